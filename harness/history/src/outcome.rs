//! What a client may conclude about an operation: it happened, it did not, or nobody can tell.
//!
//! Jepsen's `ok`, `fail` and `info`. The mapping of errors to outcomes is `workloads::fate`; this
//! file never sees an error code.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The three-valued result of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome<T> {
    /// It took effect, and this is what the client was told.
    Ok(T),
    /// It certainly took no effect, ever.
    Failed(Why),
    /// It may have taken effect, or may still.
    Unknown(Why),
}

impl<T> Outcome<T> {
    /// What the client was told, if it was told anything.
    pub fn ok(&self) -> Option<&T> {
        match self {
            Outcome::Ok(told) => Some(told),
            Outcome::Failed(_) | Outcome::Unknown(_) => None,
        }
    }
}

/// The client's own words for a failure or a doubt, for people; nothing is decided by them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Why(pub Arc<str>);

impl Why {
    /// A reason from any text.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
