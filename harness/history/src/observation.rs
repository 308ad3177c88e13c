//! What probes and process tables said, each with the times around the question.
//!
//! Two observations are never atomic with each other (anomalies: A.3): each carries when it was
//! asked and when it was answered, and whoever compares them must order them by those.

use serde::{Deserialize, Serialize};

use crate::clock::Mark;
use crate::fault::Service;
use crate::ids::{Epoch, FaultId, NodeId, Offset, Partition};
use crate::outcome::Why;

/// One answer of one node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Taken before the request was sent.
    pub asked: Mark,
    /// Taken after the answer came.
    pub answered: Mark,
    /// Who answered.
    pub node: NodeId,
    /// What it said.
    pub seen: Seen,
}

/// What a node said. The probe numbers are those of docs/architecture.md.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// P2, ListOffsets with replica id -2: the replica's own log end, on leaders and followers.
    LogEnd {
        /// Of which partition.
        partition: Partition,
        /// Log end offset.
        leo: Offset,
        /// The leader epoch that this replica believes current.
        epoch: Option<Epoch>,
    },
    /// P1, Fetch v11 with replica id -1: the replica's own watermarks, on leaders and followers.
    /// A follower's HW is never commit evidence.
    Watermarks {
        /// Of which partition.
        partition: Partition,
        /// High watermark.
        hw: Offset,
        /// Last stable offset.
        lso: Offset,
        /// Log start offset.
        log_start: Offset,
    },
    /// Fetch v9 or v10 with `current_leader_epoch`, answered without error: this node led
    /// `epoch` and its HW stood at `hw`. Commit evidence of kind (c).
    LeaderHw {
        /// Of which partition.
        partition: Partition,
        /// The epoch that was checked by the broker.
        epoch: Epoch,
        /// High watermark.
        hw: Offset,
    },
    /// P10, Metadata: what this node believes about a partition. Recorded when it changes.
    Belief {
        /// Of which partition.
        partition: Partition,
        /// Leader, if any.
        leader: Option<NodeId>,
        /// Leader epoch.
        epoch: Epoch,
        /// In-sync replicas, ascending.
        isr: Vec<NodeId>,
    },
    /// P10, Metadata: which broker this node believes to be the controller. Recorded when it changes.
    Controller {
        /// The controller, if any.
        node: Option<NodeId>,
    },
    /// The partition's state in this node's ZooKeeper. Recorded when it changes, and every two
    /// seconds while it does not.
    ZkState {
        /// Of which partition.
        partition: Partition,
        /// Leader, if any.
        leader: Option<NodeId>,
        /// Leader epoch.
        epoch: Epoch,
        /// In-sync replicas, ascending.
        isr: Vec<NodeId>,
        /// Version of the znode.
        version: i32,
    },
    /// The node did not answer a probe. Recorded when it falls silent, not at every try.
    Silent {
        /// What the probe met.
        why: Why,
    },
}

/// A process of the cluster began or ended. HW, role and producer state are judged per process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessEvent {
    /// When the controller knew.
    pub at: Mark,
    /// On which node.
    pub node: NodeId,
    /// Which process.
    pub service: Service,
    /// What happened.
    pub change: ProcessChange,
}

/// What happened to a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProcessChange {
    /// A new process; `pid` is the host's.
    Started {
        /// Process id on its host.
        pid: u32,
    },
    /// The process is gone.
    Exited(Exit),
    /// Stopped by SIGSTOP.
    Paused,
    /// Continued by SIGCONT.
    Resumed,
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// We sent SIGKILL.
    Killed,
    /// We sent SIGTERM and it ended.
    Stopped,
    /// It ended by itself.
    Died,
}

/// A process as its host's process table shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProcessState {
    /// There, and running or sleeping.
    Running {
        /// Process id on its host.
        pid: u32,
    },
    /// There, and stopped (state T).
    Paused {
        /// Process id on its host.
        pid: u32,
    },
    /// Not there, or a zombie.
    Gone,
}

/// A comparison of a host's clock with the run's, to place the host's own timestamps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockSample {
    /// The host.
    pub node: NodeId,
    /// Taken before the host was asked.
    pub asked: Mark,
    /// Taken after its answer.
    pub answered: Mark,
    /// What the host's clock said in between: nanoseconds since 1970, UTC.
    pub host_unix_nanos: i64,
}

/// A replica image: a node's partition files, copied verbatim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageTaken {
    /// Whose files.
    pub node: NodeId,
    /// Copying began.
    pub from: Mark,
    /// Copying ended.
    pub to: Mark,
    /// What the broker's process was while they were copied.
    pub process: ProcessState,
    /// Segment list, inodes and epoch files were the same before and after, and nothing shrank.
    pub unchanged: bool,
    /// Why it was taken.
    pub reason: ImageReason,
    /// The archive, relative to the run directory: `images/n0-final.tar.zst`.
    pub file: String,
}

impl ImageTaken {
    /// Whether absence, holes and order may be read from it (anomalies: A.1, "sound image").
    pub fn sound(&self) -> bool {
        match self.process {
            ProcessState::Gone | ProcessState::Paused { .. } => true,
            ProcessState::Running { .. } => self.unchanged,
        }
    }
}

/// Why an image was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageReason {
    /// At the end of the run, all brokers paused.
    Final,
    /// Before a dead or cut-off broker was let back.
    BeforeReturn(FaultId),
}
