//! What changed beneath the clients: group assignments, replicas' data, settings.
//!
//! A fault says what was done ([`crate::fault`]); a harm says what a replica lost by it, as read
//! from its files before it came back. Nothing here says whether that was allowed.

use serde::{Deserialize, Serialize};

use crate::clock::Mark;
use crate::ids::{ClientId, FaultId, NodeId, Offset, Partition, Topic};

/// A consumer's group gave it partitions, or took them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RebalanceEvent {
    /// When the client was told.
    pub at: Mark,
    /// Which consumer.
    pub client: ClientId,
    /// What happened.
    pub change: Rebalance,
    /// To which partitions.
    pub partitions: Vec<Partition>,
}

/// What a rebalance did to a consumer's partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rebalance {
    /// They are its own from now on.
    Assigned,
    /// They are no longer; it could commit before.
    Revoked,
    /// They are no longer; others may have read on meanwhile.
    Lost,
}

impl std::fmt::Display for Rebalance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Rebalance::Assigned => "assigned",
            Rebalance::Revoked => "revoked",
            Rebalance::Lost => "lost",
        })
    }
}

/// A log lost something by our doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HarmEvent {
    /// When it was done and read back.
    pub at: Mark,
    /// By which fault; absent for what a client asked (DeleteRecords).
    pub fault: Option<FaultId>,
    /// Which partition.
    pub partition: Partition,
    /// What.
    pub harm: Harm,
}

/// What a log lost. U, D and T of the contract (anomalies: A.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Harm {
    /// U: a stopped replica lost what it had not flushed, from this offset on, as a power cut may do.
    SuffixLost {
        /// Whose replica.
        node: NodeId,
        /// Its log end now.
        from: Offset,
    },
    /// D: a replica's files are gone or replaced.
    Wiped {
        /// Whose replica.
        node: NodeId,
    },
    /// D: bytes of a replica were changed.
    Damaged {
        /// Whose replica.
        node: NodeId,
        /// The first offset concerned.
        from: Offset,
    },
    /// T: DeleteRecords was acknowledged.
    Deleted {
        /// The log starts here now.
        before: Offset,
    },
}

impl Harm {
    /// Whose replica lost something, and from which offset on (a wiped one: from 0); none for a
    /// deletion, which all replicas follow.
    pub fn replica(self) -> Option<(NodeId, Offset)> {
        match self {
            Harm::SuffixLost { node, from } | Harm::Damaged { node, from } => Some((node, from)),
            Harm::Wiped { node } => Some((node, Offset(0))),
            Harm::Deleted { .. } => None,
        }
    }
}

/// A setting was changed while the cluster ran, and read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alteration {
    /// Taken before the request: the old value held until now at least.
    pub asked: Mark,
    /// Taken after the new value was read back.
    pub answered: Mark,
    /// Of which topic; of all brokers when absent.
    pub topic: Option<Topic>,
    /// `min.insync.replicas`.
    pub key: String,
    /// The new value; absent: back to what the brokers say.
    pub value: Option<String>,
}
