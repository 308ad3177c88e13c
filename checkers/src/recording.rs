//! What is judged: a run as values. Whoever builds it reads files; nothing here does.

use evidence::Evidence;
use history::{Event, Setting};
use plan::Plan;

pub use crate::judgement::Ended;
pub use crate::operations::Operations;

/// Everything that a run left.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What was asked.
    pub plan: Plan,
    /// What was found.
    pub setting: Setting,
    /// Sends and polls, and what came of them ([`Operations::of`] takes them out of a history).
    pub operations: Operations,
    /// Whatever else happened, in recorded order.
    pub events: Vec<Event>,
    /// What brokers left behind.
    pub evidence: Evidence,
    /// The history breaks off before its end: where and why.
    pub torn: Option<String>,
    /// How the run ended.
    pub ended: Ended,
}
