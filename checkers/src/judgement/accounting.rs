//! Where every record of a topic went, in numbers that must add up.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where every record of a topic went. Every row adds up, or `imbalance` says where it does not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accounting {
    /// Values sent and acknowledged.
    pub acknowledged: OutcomeRow,
    /// Values sent and certainly refused.
    pub failed: OutcomeRow,
    /// Values of unknown fate (acks=0 and sends without a completion included).
    pub unknown: OutcomeRow,
    /// Records of the final logs.
    pub records: RecordRow,
    /// What the drain read, against the final logs.
    pub drain: DrainRow,
    /// What consumers of committed data read in it (`isolation.level=read_committed`), where there
    /// were any: expected + aborted + unstable = data records of the final logs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub committed_drain: Option<DrainRow>,
    /// What does not add up, in sentences; empty when all does.
    pub imbalance: Vec<String>,
}

/// What became of the values of one outcome:
/// sent = present + superseded + expired + lost + never seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OutcomeRow {
    /// Values sent with this outcome.
    pub sent: u64,
    /// Of those, in the final log of their partition.
    pub present: u64,
    /// Of those, superseded by compaction.
    pub superseded: u64,
    /// Of those, below the expected log start.
    pub expired: u64,
    /// Of those, lost: acknowledged and absent, or seen somewhere and absent from the final log.
    pub lost: u64,
    /// Of the lost: committed, then gone.
    pub lost_below_hw: u64,
    /// Of the lost: proven never below the high watermark.
    pub lost_above_hw: u64,
    /// Of the lost: which of the two cannot be shown.
    pub lost_undetermined: u64,
    /// Never seen in any log or delivery. Always 0 for acknowledged ones.
    pub never_seen: u64,
}

/// Records of the final logs: data records = present + extra copies + phantoms + unaccounted; data
/// and control records together fill every offset of a log that nothing compacts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordRow {
    /// Data records at or above the log start.
    pub data: u64,
    /// Distinct values of ours among them.
    pub present: u64,
    /// Further copies of those.
    pub extra_copies: u64,
    /// Records that are not ours or are damaged.
    pub phantoms: u64,
    /// Control records, which end transactions; no data, and given to nobody.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub control: u64,
}

/// The drain: what fresh consumers read from start to end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DrainRow {
    /// Data records of the final logs in [log start, HW).
    pub expected: u64,
    /// Records delivered in the drain.
    pub delivered: u64,
    /// Of those delivered, equal in offset and value to the final log.
    pub matching: u64,
    /// Of those delivered, taken from the log by compaction before it was captured.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub superseded: u64,
    /// Data records of aborted transactions, which consumers of committed data are not shown.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub aborted: u64,
    /// Data records from the first open transaction on, which they are not shown yet.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unstable: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde wants it.
fn is_zero(number: &u64) -> bool {
    *number == 0
}
