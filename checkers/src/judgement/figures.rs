//! The facts that figures show. A report draws them; it computes nothing.

use std::collections::BTreeMap;

use history::{Epoch, FaultId, Mark, NodeId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::{FindingId, TimeSpan};

/// A half-open range of offsets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OffsetRange {
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
}

impl OffsetRange {
    /// The range around two others, either of which may be empty.
    pub fn around(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(a), Some(b)) => Some(Self {
                from: a.from.min(b.from),
                to: a.to.max(b.to),
            }),
            (a, b) => a.or(b),
        }
    }
}

impl OffsetRange {
    /// How many offsets.
    pub fn len(&self) -> u64 {
        (self.to - self.from).max(0) as u64
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.to <= self.from
    }
}

/// An offset with where it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sourced {
    /// The offset.
    pub offset: i64,
    /// Where it was read: "n0 state-change.log:41", "probe of n0 at 22.103s".
    pub source: String,
}

/// The run on one axis of time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Timeline {
    /// The last moment, nanoseconds.
    #[schemars(with = "u64")]
    pub length: Mark,
    /// Per topic: acknowledged sends, failed and unknown ones in each second of the run.
    pub sends: BTreeMap<String, Rate>,
    /// Per topic: records delivered to consumers in each second of the run.
    pub deliveries: BTreeMap<String, Vec<u64>>,
    /// How far each leader's log end was ahead of its high watermark.
    pub gaps: Vec<GapSeries>,
    /// Who led, and who still believed that it led.
    pub leadership: Vec<PartitionLead>,
    /// Faults in force.
    pub faults: Vec<FaultSpan>,
}

/// Completed sends by second; position n is [n s, n+1 s).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rate {
    /// Acknowledged.
    pub acknowledged: Vec<u64>,
    /// Failed or unknown.
    pub unsuccessful: Vec<u64>,
}

/// LEO minus HW of one broker while it led (or believed that it led) a partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapSeries {
    /// Which partition.
    pub partition: String,
    /// Which broker.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// Points, ascending in time; thinned to at most two a second, the extremes kept.
    pub points: Vec<GapPoint>,
}

/// One point of a [`GapSeries`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapPoint {
    /// When, nanoseconds.
    #[schemars(with = "u64")]
    pub at: Mark,
    /// Log end offset.
    pub leo: i64,
    /// High watermark.
    pub hw: i64,
}

/// Leadership of one partition over the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PartitionLead {
    /// Which partition.
    pub partition: String,
    /// Spans, ascending by start.
    pub spans: Vec<LeadSpan>,
}

/// A time in which a broker led, or believed that it led.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeadSpan {
    /// Who.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// Which epoch.
    #[schemars(with = "i32")]
    pub epoch: Epoch,
    /// From when to when.
    pub span: TimeSpan,
    /// It only believed so: a later epoch had a leader already.
    pub deposed: bool,
}

/// A fault in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultSpan {
    /// Which fault.
    #[schemars(with = "u16")]
    pub fault: FaultId,
    /// A short label: `kill n0`.
    pub label: String,
    /// The nodes that it harms.
    #[schemars(with = "Vec<u8>")]
    pub nodes: Vec<NodeId>,
    /// From proof to heal.
    pub span: TimeSpan,
}

/// A change of leader, drawn from the brokers' own lines and files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failover {
    /// Which partition.
    pub partition: String,
    /// The epoch before.
    #[schemars(with = "i32")]
    pub from_epoch: Epoch,
    /// The new epoch.
    #[schemars(with = "i32")]
    pub to_epoch: Epoch,
    /// Who led before.
    #[schemars(with = "Option<u8>")]
    pub old_leader: Option<NodeId>,
    /// Who leads now.
    #[schemars(with = "u8")]
    pub new_leader: NodeId,
    /// When the new leader's line was written.
    pub at: Option<TimeSpan>,
    /// Whether the new leader came from the in-sync set; absent when it cannot be told.
    pub clean: Option<bool>,
    /// The fault that was in force.
    #[schemars(with = "Option<u16>")]
    pub fault: Option<FaultId>,
    /// The heading of the upper half: "before: 22.0 s, n0 cut off from n1 and n2, ...".
    pub before_caption: String,
    /// Each replica as its log stood before the cut, by node.
    pub before: Vec<ReplicaPicture>,
    /// The heading of the lower half.
    pub after_caption: String,
    /// Each replica afterwards, by node.
    pub after: Vec<ReplicaPicture>,
    /// Offsets of acknowledged records that were lost here.
    pub lost: Option<OffsetRange>,
    /// How many acknowledged records that is.
    pub lost_count: u64,
    /// What to write beside them.
    pub lost_caption: String,
    /// The findings that this fail-over explains.
    pub findings: Vec<FindingId>,
    /// Nothing was cut and nothing lost: worth a line, hardly a figure.
    pub quiet: bool,
}

/// One replica's log in a figure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReplicaPicture {
    /// Whose.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// What it is.
    pub role: Role,
    /// The epoch that it knows.
    #[schemars(with = "Option<i32>")]
    pub epoch: Option<Epoch>,
    /// The in-sync set, of a leader.
    #[schemars(with = "Vec<u8>")]
    pub isr: Vec<NodeId>,
    /// Its log by epoch, ascending.
    pub segments: Vec<EpochSegment>,
    /// Where the segments were read.
    pub segments_source: String,
    /// Its high watermark.
    pub hw: Option<Sourced>,
    /// Its log end.
    pub leo: Option<Sourced>,
    /// What it is about to cut.
    pub cut: Option<OffsetRange>,
}

/// A stretch of a log written in one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EpochSegment {
    /// The epoch.
    #[schemars(with = "i32")]
    pub epoch: Epoch,
    /// First offset.
    pub from: i64,
    /// Offset after the last.
    pub to: i64,
}

/// What a replica is at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Leads.
    Leader,
    /// Leads an epoch that is over, and does not know.
    DeposedLeader,
    /// Follows.
    Follower,
    /// Its process is gone.
    Down,
    /// No evidence.
    Unknown,
}
