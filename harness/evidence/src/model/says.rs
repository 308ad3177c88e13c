//! What a line of a broker's log says, as a value.
//!
//! Lines that say nothing about replication have no variant here.

use history::{Epoch, NodeId, Offset, Partition};

/// What a log line says. The tokens are those of Kafka 3.0.0's source; each variant's docs name
/// the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// KafkaServer.scala: a new process wrote `starting (kafka.server.KafkaServer)`, before it loads
    /// anything, or later `started (...)`, when it serves clients. Two lines per process that lives.
    BrokerStarted,
    /// Partition.scala, makeLeader: `Leader P starts at leader epoch E from offset O with high
    /// watermark H ISR [..]`.
    LeaderStarts {
        /// Of which partition.
        partition: Partition,
        /// New leader epoch.
        epoch: Epoch,
        /// LEO at this moment.
        leo: Offset,
        /// HW at this moment.
        hw: Offset,
        /// In-sync replicas as written.
        isr: Vec<NodeId>,
        /// The epoch it had before.
        previous: Option<Epoch>,
    },
    /// Partition.scala, makeFollower: `Follower P starts at leader epoch E from offset O with high
    /// watermark H`.
    FollowerStarts {
        /// Of which partition.
        partition: Partition,
        /// New leader epoch.
        epoch: Epoch,
        /// LEO at this moment; a lower bound, the old fetcher may still append.
        leo: Offset,
        /// HW at this moment.
        hw: Offset,
        /// The epoch it had before.
        previous: Option<Epoch>,
    },
    /// Log.scala: `Truncating to offset N` (the line's own `[Log partition=P, dir=D]` names P).
    Truncating {
        /// Of which partition.
        partition: Partition,
        /// New log end.
        to: Offset,
    },
    /// AbstractFetcherThread.scala: `Truncating partition P to local high watermark N`. What the old
    /// protocol does at every new epoch, and every protocol while the log holds no epoch (empty).
    TruncatingToHw {
        /// Of which partition.
        partition: Partition,
        /// The local HW.
        hw: Offset,
    },
    /// Log.scala: `Truncating to N has no effect as the largest offset in the log is M`.
    TruncationWithoutEffect {
        /// Of which partition.
        partition: Partition,
        /// What was asked.
        to: Offset,
    },
    /// Log.scala: a full truncation, `Truncate and start at offset N` (at DEBUG only), or
    /// Partition.scala: `Unexpected offset in append to P .. will start the log from offset N`.
    TruncateFully {
        /// Of which partition.
        partition: Partition,
        /// New log start and end.
        to: Offset,
    },
    /// Log.scala, WARN: `Non-monotonic update of high watermark from X to N`.
    NonMonotonicHw {
        /// Of which partition.
        partition: Partition,
        /// From.
        from: Offset,
        /// To.
        to: Offset,
    },
    /// LogLoader/LogManager: `Log loaded for partition P with initial high watermark H`.
    Loaded {
        /// Of which partition.
        partition: Partition,
        /// Initial HW.
        hw: Offset,
    },
    /// Partition.scala: `Shrinking ISR from A to B. Leader: (highWatermark: H, endOffset: L)`. A and B
    /// are ascending here; their order in the line means nothing.
    Shrinking {
        /// Of which partition.
        partition: Partition,
        /// ISR before.
        from: Vec<NodeId>,
        /// ISR asked for.
        to: Vec<NodeId>,
        /// The leader's HW.
        hw: Offset,
        /// The leader's LEO.
        leo: Offset,
    },
    /// Partition.scala: `ISR updated to A`, with the version where given; A is ascending here.
    IsrUpdated {
        /// Of which partition.
        partition: Partition,
        /// The ISR.
        isr: Vec<NodeId>,
        /// Version of the partition state.
        version: Option<i32>,
    },
    /// PartitionStateMachine.scala on the controller: `Changed partition P from S to S with state
    /// LeaderAndIsr(leader, epoch, isr, zkVersion)`. ReplicaStateMachine.scala, the controller's own
    /// ISR change: `Partition P state changed to (Leader:..,ISR:..,LeaderEpoch:..)`, no version.
    PartitionState {
        /// Of which partition.
        partition: Partition,
        /// Leader; absent for -1.
        leader: Option<NodeId>,
        /// Leader epoch.
        epoch: Epoch,
        /// In-sync replicas.
        isr: Vec<NodeId>,
        /// Version of the znode.
        version: Option<i32>,
    },
    /// KafkaController.scala: this broker became the controller, with its controller epoch.
    ControllerElected {
        /// Controller epoch.
        epoch: i32,
    },
    /// LogSegment/LogLoader, WARN: corruption found while loading, cut at this offset if it says so.
    Corruption {
        /// Of which partition.
        partition: Partition,
        /// Cut to.
        to: Option<Offset>,
    },
    /// Log.scala: `Rolled new log segment at offset N`.
    Rolled {
        /// Of which partition.
        partition: Partition,
        /// Base of the new segment.
        at: Offset,
    },
    /// AbstractFetcherThread.scala, WARN/ERROR: `Reset fetch offset for partition P from X to current
    /// leader's start/latest offset N`.
    ResetFetchOffset {
        /// Of which partition.
        partition: Partition,
        /// The replica's log end. Below `to`, its whole log goes; the log itself tells that at DEBUG
        /// only.
        from: Offset,
        /// To.
        to: Offset,
    },
    /// A fatal line, or the first line of its exception: what a process that died at start said last.
    Fatal,
}
