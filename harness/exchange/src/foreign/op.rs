//! One map of the text to one operation of the history.
//!
//! Fields may stand in any order, so a value is read before it is known whose it is: what is
//! wrong with it counts only once the operation turns out to be a client's.

mod value;

use history::jepsen::{Builder, Draft, Function, Item, Kind};

use self::value::{Stop, rebalance_log, value};
use super::forms::{Atom, Forms, Malformed, Token};

/// What one operation leaves for the next: memory, and which poll named which key last.
#[derive(Debug, Default)]
pub struct Room {
    draft: Draft,
    polls: u64,
    polled_in: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Field {
    Index,
    Time,
    Process,
    Kind,
    Function,
    Value,
    FromBeginning,
    RebalanceLog,
}

#[derive(Debug, Default)]
struct Fields {
    seen: u8,
    kind: Option<Kind>,
    function: Option<Result<Function, Malformed>>,
    process: Option<Option<i64>>,
    trouble: Option<Malformed>,
    value_at: (u64, u64),
}

/// Reads the operation whose map has just been opened.
pub fn read<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
    room: &mut Room,
) -> Result<(), Malformed> {
    let begun = forms.place();
    let mut fields = Fields::default();
    room.draft.index = None;
    room.draft.time = None;
    room.draft.from_beginning = false;
    room.draft.rebalance_logged = false;
    room.draft.items.clear();
    room.draft.rebalanced.clear();
    loop {
        match forms.next()? {
            Token::Close => break,
            Token::Atom(atom) if F::is_word(atom) => match field(forms.text()) {
                Some(field) => read_field(forms, builder, room, &mut fields, field)?,
                None => skip_next(forms)?,
            },
            other => {
                forms.skip(&other)?;
                skip_next(forms)?;
            }
        }
    }
    finish(begun, builder, room, fields)
}

fn skip_next<F: Forms>(forms: &mut F) -> Result<(), Malformed> {
    let first = forms.next()?;
    forms.skip(&first)
}

fn field(name: &[u8]) -> Option<Field> {
    Some(match name {
        b"index" => Field::Index,
        b"time" => Field::Time,
        b"process" => Field::Process,
        b"type" => Field::Kind,
        b"f" => Field::Function,
        b"value" => Field::Value,
        b"seek-to-beginning?" => Field::FromBeginning,
        b"rebalance-log" => Field::RebalanceLog,
        _ => return None,
    })
}

fn read_field<F: Forms>(
    forms: &mut F,
    builder: &mut Builder,
    room: &mut Room,
    fields: &mut Fields,
    field: Field,
) -> Result<(), Malformed> {
    let bit = 1 << field as u8;
    if fields.seen & bit != 0 {
        let name = String::from_utf8_lossy(forms.text()).into_owned();
        return Err(forms.trouble(format!("this operation has two :{name}")));
    }
    fields.seen |= bit;
    let depth = forms.depth();
    let first = forms.next()?;
    let read = match field {
        Field::Value => {
            fields.value_at = forms.place();
            value(forms, builder, room, &first)
        }
        Field::RebalanceLog => rebalance_log(forms, builder, &mut room.draft, &first),
        _ => return plain(forms, &mut room.draft, fields, field, &first),
    };
    match read {
        Ok(()) => Ok(()),
        Err(Stop::Syntax(malformed)) => Err(malformed),
        Err(Stop::Meaning(malformed)) => {
            fields.trouble.get_or_insert(malformed);
            forms.leave(depth)
        }
    }
}

/// The fields that are one word or number.
fn plain<F: Forms>(
    forms: &mut F,
    draft: &mut Draft,
    fields: &mut Fields,
    field: Field,
    first: &Token,
) -> Result<(), Malformed> {
    let atom = match first {
        Token::Atom(atom) => Some(*atom),
        _ => None,
    };
    let word = atom.is_some_and(F::is_word);
    match (field, atom) {
        (Field::Index, Some(Atom::Int(index))) => match u64::try_from(index) {
            Ok(index) => draft.index = Some(index),
            Err(_) => return Err(forms.trouble("an :index is never negative")),
        },
        (Field::Index, _) => return Err(forms.trouble("an :index is a whole number")),
        (Field::Time, Some(Atom::Int(time))) => draft.time = Some(time),
        (Field::Time, _) => return Err(forms.trouble("a :time is a whole number of nanoseconds")),
        (Field::Process, Some(Atom::Int(process))) => fields.process = Some(Some(process)),
        (Field::Process, Some(_)) => fields.process = Some(None),
        (Field::Process, None) => {
            return Err(forms.trouble("a :process is a number, or a name that no client has"));
        }
        (Field::Kind, _) => {
            let kind = word.then(|| kind(forms.text())).flatten();
            let wrong = || forms.trouble("a :type is one of :invoke, :ok, :info and :fail");
            fields.kind = Some(kind.ok_or_else(wrong)?);
        }
        (Field::Function, _) => {
            let known = word.then(|| Function::parse(forms.text())).flatten();
            fields.function = Some(known.ok_or_else(|| {
                forms.trouble(
                    "an :f of a client is one of :send, :poll, :txn, :assign, :subscribe, :crash \
                     and :debug-topic-partitions",
                )
            }));
            forms.skip(first)?;
        }
        (Field::FromBeginning, Some(Atom::Bool(yes))) => draft.from_beginning = yes,
        (Field::FromBeginning, Some(Atom::Nil)) => {}
        (Field::FromBeginning, _) => {
            return Err(forms.trouble("a :seek-to-beginning? is true or false"));
        }
        (Field::Value | Field::RebalanceLog, _) => forms.skip(first)?,
    }
    Ok(())
}

fn kind(word: &[u8]) -> Option<Kind> {
    Some(match word {
        b"invoke" => Kind::Invoke,
        b"ok" => Kind::Ok,
        b"info" => Kind::Info,
        b"fail" => Kind::Fail,
        _ => return None,
    })
}

fn finish(
    begun: (u64, u64),
    builder: &mut Builder,
    room: &mut Room,
    fields: Fields,
) -> Result<(), Malformed> {
    let lacks = |what: &str| Malformed::at(begun, format!("this operation has no {what}"));
    let kind = fields.kind.ok_or_else(|| lacks(":type"))?;
    let process = fields.process.ok_or_else(|| lacks(":process"))?;
    let wrong = |error| Malformed::impossible(begun, &error);
    let Some(process) = process else {
        return builder.pass_over(room.draft.index).map_err(wrong);
    };
    let function = fields.function.ok_or_else(|| lacks(":f"))??;
    let is_named = |item: &Item| matches!(item, Item::Named(_));
    let fits = match function {
        Function::Crash | Function::DebugTopicPartitions => {
            room.draft.items.clear();
            true
        }
        Function::Assign | Function::Subscribe => room.draft.items.iter().all(is_named),
        Function::Send | Function::Poll | Function::Txn => !room.draft.items.iter().any(is_named),
    };
    let has_value = !matches!(function, Function::Crash | Function::DebugTopicPartitions);
    if let Some(trouble) = fields.trouble
        && has_value
    {
        return Err(trouble);
    }
    if has_value && fields.seen & (1 << Field::Value as u8) == 0 {
        return Err(lacks(":value"));
    }
    if !fits {
        let name = function.name();
        let wants = if function.is_transactional() {
            "micro-operations, as [:send key value] and [:poll]"
        } else {
            "keys"
        };
        return Err(Malformed::at(
            fields.value_at,
            format!("the :value of :{name} is a sequence of {wants}"),
        ));
    }
    builder
        .push(process, kind, function, &mut room.draft)
        .map_err(wrong)
}
