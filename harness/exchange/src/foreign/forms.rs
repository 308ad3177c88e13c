//! What EDN and JSON have in common: forms, as a flat run of tokens.
//!
//! Brackets are checked here and in the two readers, so that whoever takes the tokens need not.

use history::jepsen::{JepsenError, Scalar};

use super::ForeignError;

/// How deep forms may nest.
pub const DEPTH_MAX: usize = 256;
/// The longest number, word or text, in bytes.
pub const ATOM_MAX: usize = 1 << 20;
/// What is said of longer ones.
pub const TOO_LONG: &str = "a number, word or text is longer than 1 MiB";

/// One token.
#[derive(Debug, Clone, PartialEq)]
pub enum Token {
    /// A collection begins.
    Open(Shape),
    /// The innermost collection ends.
    Close,
    /// A form without parts.
    Atom(Atom),
    /// The text ends.
    End,
}

/// What kind of collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{}`
    Map,
    /// `[]`
    Vector,
    /// `()`
    List,
    /// `#{}`
    Set,
}

/// A form without parts; texts are with [`Forms::text`] until the next token is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Atom {
    Nil,
    Bool(bool),
    Int(i64),
    Char(char),
    Keyword,
    Text,
    Symbol,
    Number,
    Tagged,
}

/// A stream of tokens.
pub trait Forms {
    /// Whether one collection may hold all operations.
    const MAY_WRAP: bool;

    /// The next token, brackets checked.
    fn next(&mut self) -> Result<Token, Malformed>;
    /// The text of the last atom.
    fn text(&self) -> &[u8];
    /// How many collections are open.
    fn depth(&self) -> usize;
    /// Whether the last token was the very first.
    fn is_first(&self) -> bool;
    /// Whether a tag stands before the last token.
    fn is_tagged(&self) -> bool;
    /// Where the last token began.
    fn place(&self) -> (u64, u64);
    /// Whether an atom is what names are written as: keywords, in JSON texts.
    fn is_word(atom: Atom) -> bool;
    /// The last atom as the name of a key, which JSON can only write as a text inside maps.
    fn key(&self, atom: Atom) -> Result<Scalar, Malformed>;

    /// The last atom as a value.
    fn scalar(&self, atom: Atom) -> Result<Scalar, Malformed> {
        let text = || {
            String::from_utf8(self.text().to_vec())
                .map_err(|_| self.trouble("this text is not UTF-8"))
        };
        Ok(match atom {
            Atom::Nil => Scalar::Nil,
            Atom::Bool(yes) => Scalar::Bool(yes),
            Atom::Int(int) => Scalar::Int(int),
            Atom::Char(letter) => Scalar::Char(letter),
            Atom::Keyword => Scalar::Keyword(text()?),
            Atom::Text => Scalar::Text(text()?),
            Atom::Symbol => Scalar::Symbol(text()?),
            Atom::Number => Scalar::Number(text()?),
            Atom::Tagged => Scalar::Tagged(text()?),
        })
    }

    /// What is wrong with the last token.
    fn trouble(&self, reason: impl Into<String>) -> Malformed {
        Malformed::at(self.place(), reason)
    }

    /// Passes over the form that a token begins.
    fn skip(&mut self, first: &Token) -> Result<(), Malformed> {
        match first {
            Token::Open(_) => self.leave(self.depth() - 1),
            Token::Atom(_) => Ok(()),
            Token::Close | Token::End => Err(self.trouble("a form is missing here")),
        }
    }

    /// Passes over everything until no more than `depth` collections are open.
    fn leave(&mut self, depth: usize) -> Result<(), Malformed> {
        while self.depth() > depth {
            self.next()?;
        }
        Ok(())
    }
}

/// Where reading ended, and why. Boxed, because it travels in every result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub(super) Box<ForeignError>);

impl Malformed {
    pub fn at((line, column): (u64, u64), reason: impl Into<String>) -> Malformed {
        let reason = reason.into();
        Malformed(Box::new(ForeignError::Malformed {
            line,
            column,
            reason,
        }))
    }

    pub fn unreadable(error: &std::io::Error) -> Malformed {
        let why = error.to_string();
        Malformed(Box::new(ForeignError::Read { why }))
    }

    pub fn impossible(place: (u64, u64), error: &JepsenError) -> Malformed {
        Malformed::at(place, error.to_string())
    }
}

impl From<Malformed> for ForeignError {
    fn from(malformed: Malformed) -> ForeignError {
        *malformed.0
    }
}
