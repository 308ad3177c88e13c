//! EDN as tokens.
//!
//! Discarded forms (`#_`) and comments are passed over here; a tag is told beside the form that it
//! stands before. What only Clojure's own reader knows (quotes, metadata, octal numbers) is
//! refused, with the exception of fractions and patterns, which Clojure prints.

use std::io::Read;

use history::jepsen::Scalar;

use super::forms::{Atom, DEPTH_MAX, Forms, Malformed, Shape, Token};
use super::source::Source;

mod atom;

/// A reader of EDN.
pub struct Edn<R> {
    source: Source<R>,
    open: Vec<Frame>,
    text: Vec<u8>,
    place: (u64, u64),
    tokens: u64,
    tagged: bool,
}

#[derive(Debug, Clone, Copy)]
struct Frame {
    closer: u8,
    /// A map holds an even number of forms.
    is_map: bool,
    odd: bool,
    place: (u64, u64),
}

/// What the next bytes begin.
enum Begun {
    Token(Token),
    Tag,
    Discard,
}

impl<R: Read> Forms for Edn<R> {
    const MAY_WRAP: bool = true;

    fn next(&mut self) -> Result<Token, Malformed> {
        let token = self.undiscarded()?;
        self.tokens += 1;
        Ok(token)
    }

    fn text(&self) -> &[u8] {
        &self.text
    }

    fn depth(&self) -> usize {
        self.open.len()
    }

    fn is_first(&self) -> bool {
        self.tokens == 1
    }

    fn is_tagged(&self) -> bool {
        self.tagged
    }

    fn place(&self) -> (u64, u64) {
        self.place
    }

    fn is_word(atom: Atom) -> bool {
        atom == Atom::Keyword
    }

    fn key(&self, atom: Atom) -> Result<Scalar, Malformed> {
        self.scalar(atom)
    }
}

impl<R: Read> Edn<R> {
    pub fn new(source: Source<R>) -> Edn<R> {
        Edn {
            source,
            open: Vec::new(),
            text: Vec::new(),
            place: (1, 1),
            tokens: 0,
            tagged: false,
        }
    }

    /// The next token that is not inside a discarded form.
    fn undiscarded(&mut self) -> Result<Token, Malformed> {
        let mut unwanted = 0_u64;
        self.tagged = false;
        loop {
            match self.begin()? {
                Begun::Discard if self.tagged => return Err(self.trouble(UNTAGGED)),
                Begun::Discard => unwanted += 1,
                Begun::Tag => self.tagged = true,
                Begun::Token(token) => {
                    if matches!(token, Token::Close | Token::End) {
                        if self.tagged {
                            return Err(self.trouble(UNTAGGED));
                        }
                        if unwanted > 0 {
                            return Err(self.trouble("`#_` has nothing here to discard"));
                        }
                    }
                    if unwanted == 0 {
                        self.enter(&token)?;
                        return Ok(token);
                    }
                    self.discard(&token)?;
                    unwanted -= 1;
                    self.tagged = false;
                }
            }
        }
    }

    /// Keeps account of open collections. An atom or a collection is one form of what holds it.
    fn enter(&mut self, token: &Token) -> Result<(), Malformed> {
        if matches!(token, Token::Atom(_) | Token::Open(_))
            && let Some(frame) = self.open.last_mut()
        {
            frame.odd = !frame.odd;
        }
        match token {
            Token::Open(shape) => {
                if self.open.len() == DEPTH_MAX {
                    let why = format!("forms nest deeper than {DEPTH_MAX}");
                    return Err(self.trouble(why));
                }
                self.open.push(Frame {
                    closer: closer(*shape),
                    is_map: *shape == Shape::Map,
                    odd: false,
                    place: self.place,
                });
                Ok(())
            }
            Token::Close => self.close(),
            Token::End => match self.open.last() {
                None => Ok(()),
                Some(frame) => {
                    let opener = opener(frame.closer);
                    let why = format!("this `{opener}` is never closed");
                    Err(Malformed::at(frame.place, why))
                }
            },
            Token::Atom(_) => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Malformed> {
        let found = self.text.first().copied().unwrap_or_default();
        let Some(frame) = self.open.pop() else {
            let why = format!("`{}` closes nothing", char::from(found));
            return Err(self.trouble(why));
        };
        if frame.closer != found {
            let (line, column) = frame.place;
            return Err(self.trouble(format!(
                "`{}` stands where `{}` must close the `{}` of line {line}, column {column}",
                char::from(found),
                char::from(frame.closer),
                opener(frame.closer),
            )));
        }
        if frame.is_map && frame.odd {
            return Err(self.trouble("the last name in this map has no value"));
        }
        Ok(())
    }

    /// Passes over a form that nobody wants. Nests no deeper than forms may.
    fn discard(&mut self, first: &Token) -> Result<(), Malformed> {
        if !matches!(first, Token::Open(_)) {
            return Ok(());
        }
        let depth = self.open.len();
        let odd = self.open.last().map(|frame| frame.odd);
        self.enter(first)?;
        while self.open.len() > depth {
            self.undiscarded()?;
        }
        if let (Some(frame), Some(odd)) = (self.open.last_mut(), odd) {
            frame.odd = odd;
        }
        Ok(())
    }

    fn begin(&mut self) -> Result<Begun, Malformed> {
        self.space()?;
        if !self.tagged {
            self.place = self.source.place();
        }
        let Some(byte) = self.source.peek()? else {
            return Ok(Begun::Token(Token::End));
        };
        let open = |shape| Ok(Begun::Token(Token::Open(shape)));
        match byte {
            b'[' => self.source.bump(),
            b'{' => self.source.bump(),
            b'(' => self.source.bump(),
            b']' | b'}' | b')' => {
                self.source.bump();
                self.text.clear();
                self.text.push(byte);
                return Ok(Begun::Token(Token::Close));
            }
            b'#' => return self.dispatch(),
            _ => return Ok(Begun::Token(Token::Atom(self.atom(byte)?))),
        }
        match byte {
            b'[' => open(Shape::Vector),
            b'{' => open(Shape::Map),
            _ => open(Shape::List),
        }
    }

    /// What follows `#`.
    fn dispatch(&mut self) -> Result<Begun, Malformed> {
        self.source.bump();
        match self.source.peek()? {
            Some(b'{') => {
                self.source.bump();
                Ok(Begun::Token(Token::Open(Shape::Set)))
            }
            Some(b'_') => {
                self.source.bump();
                Ok(Begun::Discard)
            }
            Some(b'#' | b'"') if self.tagged => {
                Err(self.trouble("a tag before a number or pattern"))
            }
            Some(b'#') => Ok(Begun::Token(Token::Atom(self.unending()?))),
            Some(b'"') => Ok(Begun::Token(Token::Atom(self.pattern()?))),
            Some(byte) if byte.is_ascii_alphabetic() || byte == b':' => {
                if self.tagged {
                    return Err(self.trouble("a tag before a tag"));
                }
                self.tag()?;
                Ok(Begun::Tag)
            }
            _ => Err(self.trouble("`#` begins nothing here; EDN has sets, tags and `#_`")),
        }
    }

    /// Passes over spaces, commas and comments.
    fn space(&mut self) -> Result<(), Malformed> {
        while let Some(byte) = self.source.peek()? {
            match byte {
                b' ' | b',' | b'\n' | b'\r' | b'\t' | 0x0b | 0x0c => self.source.bump(),
                b';' => {
                    while let Some(byte) = self.source.peek()?
                        && byte != b'\n'
                    {
                        self.source.bump();
                    }
                }
                _ => break,
            }
        }
        Ok(())
    }
}

const UNTAGGED: &str = "this tag has no form after it";

fn closer(shape: Shape) -> u8 {
    match shape {
        Shape::Map | Shape::Set => b'}',
        Shape::Vector => b']',
        Shape::List => b')',
    }
}

fn opener(closer: u8) -> char {
    match closer {
        b'}' => '{',
        b']' => '[',
        _ => '(',
    }
}
