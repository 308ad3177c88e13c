//! Findings as stories: what was found, who did it, and the evidence of each step.
//!
//! One finding covers a run of consecutive offsets with the same story; there is never one per
//! record.

use history::{ClientId, Mark, NodeId, OpId, Span, ValueId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::figures::OffsetRange;

/// Names a finding within a judgement; printed `l1` for the first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct FindingId(pub u32);

impl std::fmt::Display for FindingId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "l{}", self.0)
    }
}

/// A closed interval of run time in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TimeSpan {
    /// Not before.
    #[schemars(with = "u64")]
    pub from: Mark,
    /// Not after.
    #[schemars(with = "u64")]
    pub to: Mark,
}

impl From<Span> for TimeSpan {
    fn from(span: Span) -> Self {
        Self {
            from: span.from,
            to: span.to,
        }
    }
}

/// Something found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Its id.
    pub id: FindingId,
    /// The guarantee that it speaks about.
    pub guarantee: String,
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: Option<String>,
    /// "metrics/0 @8079..@22883: 14 805 acknowledged records lost above the HW".
    pub title: String,
    /// The offsets, where it is about offsets.
    pub offsets: Option<OffsetRange>,
    /// How many records (or cuts, or moments) it covers.
    pub count: u64,
    /// What kind of cause.
    pub class: Class,
    /// What it means for the verdict.
    pub standing: Standing,
    /// What happened, in order.
    pub story: Vec<StorySentence>,
    /// Everything quoted; sentences point here by position.
    pub evidence: Vec<Witness>,
    /// The first operation concerned.
    pub first: Option<OpWitness>,
    /// The last operation concerned.
    pub last: Option<OpWitness>,
    /// Images that still hold the records.
    pub still_held: Vec<StillHeld>,
    /// Records that no image holds.
    pub held_nowhere: Option<u64>,
    /// What setting would keep them.
    pub would_keep: Option<String>,
}

/// The class of a cause (anomalies: A.5).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Nothing recorded explains it: the loudest line of a report.
    Unexplained,
    /// A protocol version that is known to lose.
    KnownBadProtocol,
    /// The evidence that would tell is missing.
    Undetermined,
    /// A leader was elected from outside the in-sync set.
    UncleanElection,
    /// A replica that had lost data led without having copied it again; why it was in sync is not
    /// known.
    LossyLeader,
    /// The same: it was the last one standing, which is never taken out of the in-sync set.
    LastStanding,
    /// The same: all in-sync members had been down together.
    AllDown,
    /// The same: a fetch from before its loss took it back into the in-sync set.
    StaleReadmission,
    /// The files that hold it were damaged, and recorded to be.
    Damage,
    /// ZooKeeper forgot what it had confirmed, and a leader was chosen by what it knew before.
    ZookeeperRolledBack,
    /// The log cleaner took what was committed (KAFKA-13194, before 3.1.0).
    Compaction,
    /// A log lost its end while it was loaded, although nobody had taken anything from it.
    LoadRecovery,
    /// KAFKA-14704: a returning follower took the leader's HW before it cut its log.
    DirtyHw,
    /// Proven above the high watermark.
    AboveHw,
    /// Deleted on request or by retention.
    Expired,
    /// The client library or program sent it again.
    Resend,
    /// Says of itself what it is; no cause to be sought.
    Plain,
}

/// What a finding means for its guarantee.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// A promise was broken.
    Broken,
    /// Could be either.
    Undetermined,
    /// Seen, counted, not promised.
    NotPromised,
}

/// One sentence of a story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StorySentence {
    /// The sentence.
    pub text: String,
    /// Positions in the finding's `evidence`.
    pub evidence: Vec<u32>,
    /// Said when there is no evidence for this step: what would be needed.
    pub missing: Option<String>,
}

/// Something quoted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Witness {
    /// Whose file or answer.
    #[schemars(with = "Option<u8>")]
    pub node: Option<NodeId>,
    /// File relative to the run directory, or `history`.
    pub source: String,
    /// Line number from 1.
    pub line: Option<u32>,
    /// When, in run time.
    pub at: Option<TimeSpan>,
    /// The text, verbatim for lines.
    pub text: String,
}

/// An operation, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OpWitness {
    /// Which operation.
    #[schemars(with = "u64")]
    pub op: OpId,
    /// Whose.
    #[schemars(with = "u16")]
    pub client: ClientId,
    /// The value that it sent or read.
    #[schemars(with = "Option<u64>")]
    pub value: Option<ValueId>,
    /// The offset that it named.
    pub offset: Option<i64>,
    /// When it was invoked.
    #[schemars(with = "u64")]
    pub invoked: Mark,
    /// When it came back.
    #[schemars(with = "Option<u64>")]
    pub returned: Option<Mark>,
}

/// An image that holds records which the final log lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StillHeld {
    /// Whose image.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// The archive, relative to the run directory.
    pub image: String,
    /// When its copying ended.
    #[schemars(with = "u64")]
    pub taken: Mark,
    /// How many of the records.
    pub count: u64,
}
