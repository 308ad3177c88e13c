//! Histories that Jepsen's Kafka workload recorded, read from its EDN or from JSON Lines.
//!
//! The text is read as a stream, once, without building its forms; what is kept is the columns of
//! [`history::jepsen`]. Nothing is repaired and nothing is guessed: the first thing that is not as
//! it must be ends the reading, with its line, its column and the reason.

mod edn;
mod forms;
mod json;
mod op;
mod source;

use std::io::Read;

use history::jepsen::{Builder, History};

use self::edn::Edn;
use self::forms::{Forms, Malformed, Shape, Token};
use self::json::Json;
use self::source::Source;

/// Why a file is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForeignError {
    /// It cannot be read.
    #[error("it cannot be read: {why}")]
    Read {
        /// The system's reason.
        why: String,
    },
    /// It is not what Jepsen writes.
    #[error("line {line}, column {column}: {reason}")]
    Malformed {
        /// From 1.
        line: u64,
        /// In bytes, from 1.
        column: u64,
        /// What is wrong there.
        reason: String,
    },
}

/// Reads a history: EDN maps, one vector of EDN maps, or JSON Lines. Which of them is told from
/// the first two characters that are no space: JSON's maps begin with a text.
pub fn read(input: impl Read) -> Result<History, ForeignError> {
    let mut source = Source::new(input);
    if source.begins_like_json()? {
        Ok(read_forms(&mut Json::new(source))?)
    } else {
        Ok(read_forms(&mut Edn::new(source))?)
    }
}

fn read_forms<F: Forms>(forms: &mut F) -> Result<History, Malformed> {
    let mut builder = Builder::new();
    let mut room = op::Room::default();
    let mut wrapped = false;
    loop {
        match forms.next()? {
            Token::Open(Shape::Map) => op::read(forms, &mut builder, &mut room)?,
            Token::Open(Shape::Vector | Shape::List) if F::MAY_WRAP && forms.is_first() => {
                wrapped = true;
            }
            Token::Close if wrapped && forms.depth() == 0 => break,
            Token::End if !wrapped => return Ok(builder.finish()),
            _ => return Err(forms.trouble("a history is made of maps, one an operation")),
        }
    }
    match forms.next()? {
        Token::End => Ok(builder.finish()),
        _ => Err(forms.trouble("the history has ended; nothing may follow its closing bracket")),
    }
}
