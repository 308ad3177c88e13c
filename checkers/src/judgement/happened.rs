//! What happened, as facts without a verdict: cuts, time without service, faults, phases.

use history::{Epoch, FaultId, Mark, NodeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::Sourced;
use super::finding::{StillHeld, TimeSpan, Witness};

/// One cut of one replica's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TruncationFact {
    /// Whose log.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// Of which partition.
    pub partition: String,
    /// When, from the host's own time.
    pub at: Option<TimeSpan>,
    /// Log end before. A lower bound where it comes from the `Follower` line.
    pub leo_before: Option<Sourced>,
    /// New log end.
    pub cut_to: i64,
    /// The replica's own high watermark then.
    pub hw_then: Option<Sourced>,
    /// The epoch it had just learnt.
    #[schemars(with = "Option<i32>")]
    pub epoch: Option<Epoch>,
    /// Records destroyed, where it is known.
    pub destroyed: Option<u64>,
    /// Acknowledged values that stood in the destroyed range.
    pub acknowledged_destroyed: u64,
    /// Of the acknowledged ones, how many the final log lacks.
    pub acknowledged_lost: u64,
    /// Images that still hold destroyed records.
    pub still_held: Vec<StillHeld>,
    /// Whether the rules justify it.
    pub justified: Justified,
    /// The lines.
    pub evidence: Vec<Witness>,
}

/// Whether a cut was justified (anomalies: truncation-audit).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Justified {
    /// It cut only what differed from the new leader's log, or nothing.
    Yes {
        /// Why.
        why: String,
    },
    /// It cut what the new leader's log agreed with.
    No {
        /// Why.
        why: String,
    },
    /// No evidence either way.
    Unknown {
        /// What is missing.
        why: String,
    },
}

/// How long clients of a partition were without service around a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AvailabilityFact {
    /// Which partition.
    pub partition: String,
    /// Which fault.
    #[schemars(with = "u16")]
    pub fault: FaultId,
    /// Fault in force, from proof to proof.
    pub fault_span: TimeSpan,
    /// Longest time without a successful send of those that wait for all in-sync replicas
    /// (`acks=all`), and when; from the fault until settled.
    pub send_gap: Option<Gap>,
    /// The same of all other sends, where there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_send_gap: Option<Gap>,
    /// Longest time without a delivered record, and when.
    pub delivery_gap: Option<Gap>,
    /// From the fault to a new leader, nanoseconds.
    pub to_new_leader: Option<u64>,
    /// From the fault to the first `acks=all` send invoked after it that succeeded, nanoseconds.
    pub to_first_success: Option<u64>,
    /// The same of all other sends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other_to_first_success: Option<u64>,
    /// From the fault's end to the full in-sync set, nanoseconds.
    pub to_full_isr: Option<u64>,
}

/// A time without service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Gap {
    /// The last success before it; where there was none, the first attempt.
    #[schemars(with = "u64")]
    pub from: Mark,
    /// The first success after it; where there was none, the last that was still waited for.
    #[schemars(with = "u64")]
    pub to: Mark,
    /// It never closed: something was asked for until the end, and nothing succeeded any more.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
}

impl From<TimeSpan> for Gap {
    fn from(span: TimeSpan) -> Self {
        Self {
            from: span.from,
            to: span.to,
            open: false,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde wants it.
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A fault as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultFact {
    /// Its number.
    #[schemars(with = "u16")]
    pub fault: FaultId,
    /// `kill`, `isolate`, ...
    pub kind: String,
    /// As the plan asked for it.
    pub asked: String,
    /// What that meant: `kill broker n0`, `cut n0 -> n1, n1 -> n0`.
    pub deed: String,
    /// How the target was found.
    pub because: String,
    /// The nodes that it harms.
    #[schemars(with = "Vec<u8>")]
    pub nodes: Vec<NodeId>,
    /// Its stages in order.
    pub stages: Vec<StageFact>,
    /// Whether it was proved in force.
    pub proved: bool,
    /// Whether it was proved undone.
    pub healed: bool,
    /// From the decision to the moment at which it took effect; not known of recordings before it
    /// was measured, and of faults that proved ineffective.
    pub latency: Option<Latency>,
    /// From proof (or intent, where there is none) to the beginning of the heal (or the end).
    pub span: TimeSpan,
    /// In a sentence.
    pub sentence: String,
}

/// How long something took, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Nanoseconds that it took at least: until just before the command was sent.
    #[schemars(with = "u64")]
    pub at_least: Mark,
    /// Nanoseconds that it took at most: until the command had answered.
    #[schemars(with = "u64")]
    pub at_most: Mark,
}

/// One stage of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StageFact {
    /// `injecting`, `took effect`, `injected`, `ineffective`, `healing`, `healed`, `stuck`.
    pub stage: String,
    /// When, nanoseconds.
    #[schemars(with = "u64")]
    pub at: Mark,
    /// What was read back.
    pub evidence: Option<String>,
}

/// A phase as it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseFact {
    /// `storm`.
    pub phase: String,
    /// From when to when.
    pub span: TimeSpan,
}
