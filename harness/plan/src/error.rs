//! What can be wrong with a plan, each with its place and its remedy.
//!
//! Only the words are here; who finds what is wrong is `parse`, `step` and `properties`.

use crate::nearest::{any_of, hint};
use crate::properties::PropertyError;
use crate::step::StepError;

/// A plan or schedule that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Something in the text is wrong.
    #[error("{origin}:{line}: {flaw}")]
    At {
        /// The file, or the name of an embedded plan.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        flaw: Box<Flaw>,
    },
    /// No embedded plan has this name.
    #[error(
        "no plan is called `{name}`{}\nthere are {}; a file is named by its path, with `/` or `.toml`",
        hint(near.as_deref()),
        any_of(known.iter().copied())
    )]
    NoSuchPlan {
        /// The name that was asked for.
        name: String,
        /// The nearest name.
        near: Option<String>,
        /// All names.
        known: Vec<&'static str>,
    },
    /// No built-in suite has this name.
    #[error(
        "no suite is called `{name}`; built in: {}; a file is named by its path, with `/` or `.toml`",
        any_of(known.iter().copied())
    )]
    NoSuchSuite {
        /// The name that was asked for.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// A file cannot be read.
    #[error("failed to read the {what} {path}: {why}")]
    Unreadable {
        /// A plan, or a suite.
        what: &'static str,
        /// The file.
        path: String,
        /// The system's words.
        why: String,
    },
}

/// What is wrong with one place of a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// Not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing.
    #[error("unknown key `{key}`: {}", suggestion(near.as_deref(), known))]
    UnknownKey {
        /// The key with its path.
        key: String,
        /// The nearest known key.
        near: Option<String>,
        /// All keys that may stand there.
        known: Vec<&'static str>,
    },
    /// A key that must be there.
    #[error("`{key}` is missing: {why}")]
    MissingKey {
        /// The key with its path.
        key: String,
        /// What it says.
        why: &'static str,
    },
    /// A value of the wrong type.
    #[error("`{key}` must be {wanted}, not {found}")]
    WrongType {
        /// The key with its path.
        key: String,
        /// What it must be.
        wanted: String,
        /// What it is.
        found: String,
    },
    /// A value that cannot be.
    #[error("`{key}`: {why}")]
    BadValue {
        /// The key with its path.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A Kafka property that is none.
    #[error("{0}")]
    Property(#[from] PropertyError),
    /// A step that cannot be read.
    #[error("{0}")]
    Step(#[from] StepError),
}

fn suggestion(near: Option<&str>, known: &[&'static str]) -> String {
    match near {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there may be {}", any_of(known.iter().copied())),
    }
}
