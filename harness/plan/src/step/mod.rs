//! The little language of steps, read and written through one table of words.
//!
//! ```text
//! [at 20s] kill|pause|restart [zookeeper of] TARGET [for 6s] [required]
//! [at 20s] isolate TARGET [for 6s] [required]
//! [at 20s] cut n2 -> n1 [port broker], n1 -> n2 [for 6s] [required]
//! [at 20s] send 1 to ledger/0
//! [at 20s] await CONDITION within 30s [or go on]
//! [at 20s] wait 2s
//! [at 20s] heal
//!
//! TARGET     n1 | any | all | controller | leader of ledger/0 | a follower of ledger/0
//! CONDITION  leader of ledger/0 == n1 | isr of ledger/0 == {n0, n1} | controller == n1
//!            | acked of ledger >= 5000 | log of n2 has "Truncating partition"
//! ```
//!
//! A step that is read has a meaning, not yet a possibility: whether its partition exists is for
//! the plan to say, and whom a target means for the nemesis.

mod read;
mod token;
mod write;

use std::fmt;
use std::ops::Range;

use history::{FaultKind, PortName, Service};

use crate::nearest::{any_of, hint, nearest};

/// What a step begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Send,
    Process(FaultKind),
    Isolate,
    Cut,
    Heal,
    Await,
    Wait,
}

const VERBS: &[(&str, Verb)] = &[
    ("kill", Verb::Process(FaultKind::Kill)),
    ("pause", Verb::Process(FaultKind::Pause)),
    ("restart", Verb::Process(FaultKind::Restart)),
    ("isolate", Verb::Isolate),
    ("cut", Verb::Cut),
    ("heal", Verb::Heal),
    ("send", Verb::Send),
    ("await", Verb::Await),
    ("wait", Verb::Wait),
];

const SERVICES: &[(&str, Service)] = &[
    ("zookeeper", Service::ZooKeeper),
    ("broker", Service::Broker),
];

const PORTS: &[(&str, PortName)] = &[
    ("broker", PortName::Broker),
    ("probe", PortName::Probe),
    ("zk-client", PortName::ZkClient),
    ("zk-peer", PortName::ZkPeer),
    ("zk-election", PortName::ZkElection),
];

/// What a condition begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Leader,
    Isr,
    Controller,
    Acked,
    Log,
}

const SUBJECTS: &[(&str, Subject)] = &[
    ("leader", Subject::Leader),
    ("isr", Subject::Isr),
    ("controller", Subject::Controller),
    ("acked", Subject::Acked),
    ("log", Subject::Log),
];

/// Targets that are not a node's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TargetWord {
    Any,
    All,
    Controller,
    Leader,
    A,
}

const TARGETS: &[(&str, TargetWord)] = &[
    ("any", TargetWord::Any),
    ("all", TargetWord::All),
    ("controller", TargetWord::Controller),
    ("leader", TargetWord::Leader),
    ("a", TargetWord::A),
];

/// The word that a table gives a value.
fn word_of<T: PartialEq + fmt::Debug>(table: &[(&'static str, T)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map(|(word, _)| *word)
        .unwrap_or_else(|| unreachable!("{value:?} has no word; the tables are complete"))
}

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
}

impl Trouble {
    fn unexpected(expected: String, found: &str, words: &[&str]) -> Self {
        Trouble::Unexpected {
            expected,
            found: format!("`{found}`"),
            near: nearest(found, words.iter().copied()).map(str::to_owned),
        }
    }

    fn word(words: &[&str], found: &str) -> Self {
        Self::unexpected(any_of(words.iter().copied()), found, words)
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
