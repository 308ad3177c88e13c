//! The little language of steps, read and written through one table of words (`words`).
//!
//! docs/plans.md has the whole of it. In short:
//!
//! ```text
//! [at 20s | after NAME 2s | when CONDITION within 20s [or go on | or fire]] ACTION [as NAME]
//!
//! ACTION  FAULT [for 6s [meanwhile]] [required] [times 5 every 2s] | send 1 to ledger/0
//!         | await CONDITION within 30s [or go on] | wait 2s | heal [NAME] | roll [zookeeper]
//! ```
//!
//! A step that is read has a meaning, not yet a possibility: whether its partition exists is for
//! the plan to say, and whom a target means for the nemesis.

mod cursor;
mod read;
mod token;
mod words;
mod write;

use std::ops::Range;

use crate::nearest::{hint, nearest};

pub use read::read;

/// A step that cannot be read: where, and what should have stood there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{trouble}\n    {text}\n    {}", caret(text, at))]
pub struct StepError {
    /// The whole step.
    pub text: String,
    /// The bytes of it that are wrong; empty at the end where something is missing.
    pub at: Range<usize>,
    /// What is wrong with them.
    pub trouble: Trouble,
}

impl StepError {
    fn new(text: &str, at: Range<usize>, trouble: Trouble) -> Self {
        Self {
            text: text.to_owned(),
            at,
            trouble,
        }
    }
}

/// What can be wrong with a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Something else was expected here.
    #[error("expected {expected}, found {found}{}", hint(near.as_deref()))]
    Unexpected {
        /// What may stand here.
        expected: String,
        /// What stands here.
        found: String,
        /// The allowed word nearest to it.
        near: Option<String>,
    },
    /// A duration that is none.
    #[error("{0}")]
    Duration(String),
    /// A quotation that never ends.
    #[error("this quotation has no closing `\"`")]
    OpenQuote,
    /// An escape that means nothing.
    #[error("`\\{0}` is no escape; `\\\"`, `\\\\` and `\\n` are")]
    UnknownEscape(char),
    /// The PROBE listener is never cut.
    #[error("the probe listener is never cut: a cut-off broker must still be watched")]
    ProbeIsNeverCut,
    /// A link from a node to itself.
    #[error("a node has no link to itself")]
    LinkToItself,
    /// Nothing to send.
    #[error("at least one record must be sent")]
    NothingToSend,
    /// A duration of nothing where some time is needed.
    #[error("must be at least 1ms")]
    NoTime,
    /// A node in two groups of a split.
    #[error("a node is in one group only")]
    InTwoGroups,
    /// Brackets in brackets in brackets.
    #[error("brackets are nested too deeply")]
    TooDeep,
    /// `kill zookeeper leader` could mean two processes.
    #[error(
        "say of which process: `zookeeper of zookeeper leader` or `broker of zookeeper leader`"
    )]
    WhichService,
    /// Something is to be done several times and never ends.
    #[error("what is done several times must end each time: say before `times` `for` how long")]
    NeverOver,
    /// `roll` or `times` where one step is meant.
    #[error("this stands for several steps, and here is one")]
    SeveralSteps,
}

impl Trouble {
    fn unexpected(expected: String, found: &str, words: &[&str]) -> Self {
        Trouble::Unexpected {
            expected,
            found: format!("`{found}`"),
            // What is known is no slip of the fingers: it only stands in the wrong place.
            near: match words.contains(&found) {
                true => None,
                false => nearest(found, words.iter().copied()).map(str::to_owned),
            },
        }
    }
}

/// Points at `at` below the text; columns are counted in characters.
fn caret(text: &str, at: &Range<usize>) -> String {
    let indent = text[..at.start].chars().count();
    let width = text[at.clone()].chars().count().max(1);
    format!("{}{}", " ".repeat(indent), "^".repeat(width))
}

#[cfg(test)]
pub(crate) mod tests;
