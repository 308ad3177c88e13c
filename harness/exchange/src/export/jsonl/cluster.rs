//! What was done to the cluster and what it said, as it stands in lines. Nothing is decided here.

use history::{Epoch, FaultId, FaultKind, Link, NodeId, Offset, Service, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::PartitionText;

/// The life of a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum StageLine {
    /// About to be done.
    Injecting {
        /// The fault as the plan asked for it.
        asked: String,
        /// What that meant at this moment.
        deed: DeedLine,
    },
    /// In force, read back from the host.
    Injected {
        /// What was read.
        evidence: String,
    },
    /// Done, but nothing took effect.
    Ineffective {
        /// What was read.
        evidence: String,
    },
    /// About to be undone.
    Healing,
    /// Undone, read back from the host.
    Healed {
        /// What was read.
        evidence: String,
    },
    /// Could not be undone.
    Stuck {
        /// What stands in the way.
        why: String,
    },
    /// It took effect between these two moments, in nanoseconds since the run began.
    TookEffect {
        /// Just before the command that brought it about was sent.
        after: u64,
        /// When that command had answered.
        before: u64,
    },
}

/// A fault with its targets resolved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeedLine {
    /// `kill`, `pause`, `restart`, `isolate`, `cut`, ...
    #[schemars(with = "String")]
    pub kind: FaultKind,
    /// The processes that are harmed.
    pub processes: Vec<TargetLine>,
    /// The links that are cut.
    #[schemars(with = "Vec<LinkLine>")]
    pub links: Vec<Link>,
    /// How the target was found, with its proof.
    pub because: String,
}

/// A process that a fault harms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetLine {
    /// On which node.
    #[schemars(with = "u8")]
    pub node: NodeId,
    /// `broker` or `zookeeper`.
    #[schemars(with = "String")]
    pub service: Service,
}

/// How `history::Link` is written; for the schema only.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
struct LinkLine {
    /// Who sends.
    from: u8,
    /// Who no longer receives.
    to: u8,
    /// Only packets to this port of `to`; every packet when absent.
    port: Option<String>,
}

/// What a node said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "seen", rename_all = "kebab-case")]
pub enum SeenLine {
    /// The replica's own log end.
    LogEnd {
        /// Of which partition.
        partition: PartitionText,
        /// Log end offset.
        #[schemars(with = "i64")]
        leo: Offset,
        /// The leader epoch that this replica believes current.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<i32>")]
        epoch: Option<Epoch>,
    },
    /// The replica's own watermarks. A follower's HW is never commit evidence.
    Watermarks {
        /// Of which partition.
        partition: PartitionText,
        /// High watermark.
        #[schemars(with = "i64")]
        hw: Offset,
        /// Last stable offset.
        #[schemars(with = "i64")]
        lso: Offset,
        /// Log start offset.
        #[schemars(with = "i64")]
        log_start: Offset,
    },
    /// This node led `epoch`, checked by the broker itself, and its HW stood at `hw`.
    LeaderHw {
        /// Of which partition.
        partition: PartitionText,
        /// The epoch.
        #[schemars(with = "i32")]
        epoch: Epoch,
        /// High watermark.
        #[schemars(with = "i64")]
        hw: Offset,
    },
    /// What this node's metadata says about a partition. Recorded when it changes.
    Belief {
        /// Of which partition.
        partition: PartitionText,
        /// Leader, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u8>")]
        leader: Option<NodeId>,
        /// Leader epoch.
        #[schemars(with = "i32")]
        epoch: Epoch,
        /// In-sync replicas, ascending.
        #[schemars(with = "Vec<u8>")]
        isr: Vec<NodeId>,
    },
    /// Which broker this node believes to be the controller. Recorded when it changes.
    Controller {
        /// The controller, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u8>")]
        controller: Option<NodeId>,
    },
    /// The partition's state in this node's ZooKeeper. Recorded when it changes.
    ZkState {
        /// Of which partition.
        partition: PartitionText,
        /// Leader, if any.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u8>")]
        leader: Option<NodeId>,
        /// Leader epoch.
        #[schemars(with = "i32")]
        epoch: Epoch,
        /// In-sync replicas, ascending.
        #[schemars(with = "Vec<u8>")]
        isr: Vec<NodeId>,
        /// Version of the znode.
        version: i32,
    },
    /// The node did not answer a probe. Recorded when it falls silent.
    Silent {
        /// What the probe met.
        #[schemars(with = "String")]
        why: Why,
    },
}

/// What happened to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum ChangeLine {
    /// A new process.
    Started {
        /// Process id on its host.
        pid: u32,
    },
    /// We sent SIGKILL.
    Killed,
    /// We sent SIGTERM and it ended.
    Stopped,
    /// It ended by itself.
    Died,
    /// Stopped by SIGSTOP.
    Paused,
    /// Continued by SIGCONT.
    Resumed,
}

/// A process as its host's process table shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum ProcessLine {
    /// There, and running or sleeping.
    Running {
        /// Process id on its host.
        pid: u32,
    },
    /// There, and stopped.
    Paused {
        /// Process id on its host.
        pid: u32,
    },
    /// Not there, or a zombie.
    Gone,
}

/// Why an image was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum ReasonLine {
    /// At the end of the run.
    Final,
    /// Before a dead or cut-off broker was let back.
    BeforeReturn {
        /// The fault that it suffered.
        #[schemars(with = "u16")]
        fault: FaultId,
    },
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum StepLine {
    /// It began.
    Fired,
    /// It did what it says.
    Done,
    /// Its deadline passed.
    Missed {
        /// What was not so.
        #[schemars(with = "String")]
        why: Why,
    },
}

/// What a log lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "harm", rename_all = "kebab-case")]
pub enum HarmLine {
    /// A stopped replica lost what it had not flushed, as a power cut may do.
    SuffixLost {
        /// Whose replica.
        #[schemars(with = "u8")]
        node: NodeId,
        /// Its log end now.
        #[schemars(with = "i64")]
        from: Offset,
    },
    /// A replica's files are gone or replaced.
    Wiped {
        /// Whose replica.
        #[schemars(with = "u8")]
        node: NodeId,
    },
    /// Bytes of a replica were changed.
    Damaged {
        /// Whose replica.
        #[schemars(with = "u8")]
        node: NodeId,
        /// The first offset concerned.
        #[schemars(with = "i64")]
        from: Offset,
    },
    /// DeleteRecords was acknowledged.
    Deleted {
        /// The log starts here now.
        #[schemars(with = "i64")]
        before: Offset,
    },
}
