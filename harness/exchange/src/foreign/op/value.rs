//! What an operation's `:value` and `:rebalance-log` hold: micro-operations, keys, records.

use history::jepsen::{Builder, Draft, Item, Key};

use super::{Room, skip_next};
use crate::foreign::forms::{Atom, Forms, Malformed, Shape, Token};

/// Why a form was left.
pub(super) enum Stop {
    /// It is no form at all.
    Syntax(Malformed),
    /// It is a form, but not what an operation of a client may hold.
    Meaning(Malformed),
}

impl From<Malformed> for Stop {
    fn from(malformed: Malformed) -> Stop {
        Stop::Syntax(malformed)
    }
}

pub(super) fn value<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
    room: &mut Room,
    first: &Token,
) -> Result<(), Stop> {
    match first {
        Token::Atom(Atom::Nil) => return Ok(()),
        Token::Open(Shape::Vector | Shape::List | Shape::Set) if !forms.is_tagged() => {}
        _ => {
            let wants = "a :value is a sequence of micro-operations or of keys";
            return Err(Stop::Meaning(forms.trouble(wants)));
        }
    }
    loop {
        match forms.next()? {
            Token::Close => return Ok(()),
            Token::Atom(atom) => {
                let key = builder.key(forms.key(atom)?);
                room.draft.items.push(Item::Named(key));
            }
            Token::Open(Shape::Vector | Shape::List) => micro_op(forms, builder, room)?,
            _ => {
                let wants = "a micro-operation is a vector, as [:send key value] or [:poll]";
                return Err(Stop::Meaning(forms.trouble(wants)));
            }
        }
    }
}

fn micro_op<F: Forms>(forms: &mut F, builder: &mut Builder, room: &mut Room) -> Result<(), Stop> {
    let sends = match forms.next()? {
        Token::Atom(atom) if F::is_word(atom) && forms.text() == b"send" => true,
        Token::Atom(atom) if F::is_word(atom) && forms.text() == b"poll" => false,
        _ => return meaning(forms, "a micro-operation begins with :send or :poll"),
    };
    if sends {
        return send(forms, builder, room);
    }
    room.draft.items.push(Item::Poll);
    match forms.next()? {
        Token::Close => return Ok(()),
        Token::Atom(Atom::Nil) => {}
        Token::Open(Shape::Map) if !forms.is_tagged() => polled(forms, builder, room)?,
        _ => return meaning(forms, "what a poll returned is a map from keys to records"),
    }
    close(forms, "nothing follows what a poll returned")
}

fn send<F: Forms>(forms: &mut F, builder: &mut Builder, room: &mut Room) -> Result<(), Stop> {
    let key = key(forms, builder)?;
    let (offset, value) = match forms.next()? {
        Token::Atom(atom) => (None, builder.value(forms.scalar(atom)?)),
        Token::Open(Shape::Vector) if !forms.is_tagged() => record(forms, builder)?,
        _ => return meaning(forms, "a send has a value without parts, or [offset value]"),
    };
    room.draft.items.push(Item::Send { key, offset, value });
    close(forms, "nothing follows what is sent")
}

/// `{key [[offset value] ...], ...}`, already opened.
fn polled<F: Forms>(forms: &mut F, builder: &mut Builder, room: &mut Room) -> Result<(), Stop> {
    room.polls += 1;
    loop {
        let key = match forms.next()? {
            Token::Close => return Ok(()),
            Token::Atom(atom) => builder.key(forms.key(atom)?),
            _ => return meaning(forms, "a key has no parts"),
        };
        let place = key.0 as usize;
        if room.polled_in.len() <= place {
            room.polled_in.resize(place + 1, 0);
        }
        if room.polled_in[place] == room.polls {
            return meaning(forms, "one poll returned the same key twice");
        }
        room.polled_in[place] = room.polls;
        room.draft.items.push(Item::Polled(key));
        match forms.next()? {
            Token::Atom(Atom::Nil) => {}
            Token::Open(Shape::Vector | Shape::List) if !forms.is_tagged() => loop {
                match forms.next()? {
                    Token::Close => break,
                    Token::Open(Shape::Vector | Shape::List) if !forms.is_tagged() => {
                        let (offset, value) = record(forms, builder)?;
                        room.draft.items.push(Item::Read { offset, value });
                    }
                    _ => return meaning(forms, "a record is [offset value]"),
                }
            },
            _ => return meaning(forms, "a key's records are a sequence of [offset value]"),
        }
    }
}

/// `[offset value]`, already opened.
fn record<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
) -> Result<(Option<i64>, history::jepsen::Value), Stop> {
    let offset = match forms.next()? {
        Token::Atom(Atom::Int(offset)) => Some(offset),
        Token::Atom(Atom::Nil) => None,
        _ => {
            return meaning(
                forms,
                "an offset is a whole number, or nil where it is unknown",
            );
        }
    };
    let value = match forms.next()? {
        Token::Atom(atom) => builder.value(forms.scalar(atom)?),
        _ => {
            return meaning(
                forms,
                "a record is [offset value], and a value has no parts",
            );
        }
    };
    close(forms, "a record is [offset value], and nothing more")?;
    Ok((offset, value))
}

pub(super) fn rebalance_log<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
    draft: &mut Draft,
    first: &Token,
) -> Result<(), Stop> {
    match first {
        Token::Atom(Atom::Nil) => return Ok(()),
        Token::Open(Shape::Vector | Shape::List) => {}
        _ => return meaning(forms, "a :rebalance-log is a sequence of maps"),
    }
    loop {
        match forms.next()? {
            Token::Close => return Ok(()),
            Token::Open(Shape::Map) => {
                draft.rebalance_logged = true;
                rebalance(forms, builder, draft)?;
            }
            _ => return meaning(forms, "a :rebalance-log is a sequence of maps"),
        }
    }
}

fn rebalance<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
    draft: &mut Draft,
) -> Result<(), Stop> {
    loop {
        let name = forms.next()?;
        let is_keys = match &name {
            Token::Close => return Ok(()),
            Token::Atom(atom) => F::is_word(*atom) && forms.text() == b"keys",
            _ => false,
        };
        if !is_keys {
            forms.skip(&name)?;
            skip_next(forms)?;
            continue;
        }
        match forms.next()? {
            Token::Atom(Atom::Nil) => {}
            Token::Open(Shape::Vector | Shape::List | Shape::Set) => loop {
                match forms.next()? {
                    Token::Close => break,
                    Token::Atom(atom) => {
                        let key = builder.key(forms.key(atom)?);
                        draft.rebalanced.push(key);
                    }
                    _ => return meaning(forms, "a key has no parts"),
                }
            },
            _ => return meaning(forms, "the :keys of a rebalance are a sequence"),
        }
    }
}

fn key<F: Forms>(forms: &mut F, builder: &mut Builder) -> Result<Key, Stop> {
    match forms.next()? {
        Token::Atom(atom) => Ok(builder.key(forms.key(atom)?)),
        _ => meaning(forms, "a key has no parts"),
    }
}

fn close<F: Forms>(forms: &mut F, otherwise: &str) -> Result<(), Stop> {
    match forms.next()? {
        Token::Close => Ok(()),
        _ => meaning(forms, otherwise),
    }
}

fn meaning<F: Forms, T>(forms: &F, reason: &str) -> Result<T, Stop> {
    Err(Stop::Meaning(forms.trouble(reason)))
}
