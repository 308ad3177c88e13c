//! What the files of brokers say, as values. The shape that checkers see; parsers fill it.
//!
//! Nothing here is judged: a torn tail is described, not condemned.

use std::collections::BTreeMap;

use history::{
    Epoch, ImageReason, Mark, NodeId, Offset, Partition, Payload, ProcessState, Service, Span,
};

/// Everything that brokers left behind in one run: images and log lines.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Replica images, in the order in which they were taken.
    pub images: Vec<Image>,
    /// Lines of broker logs that say something about replication, per node, in file order.
    pub lines: Vec<LogLine>,
    /// What could not be read, with file and reason. Never silently dropped.
    pub unreadable: Vec<Unreadable>,
}

/// A file, or a part of it, that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Relative to the run directory; inside an archive: `images/n0-final.tar.zst:ledger-0/...log`.
    pub file: String,
    /// Why, with the byte position where there is one.
    pub why: String,
}

/// One node's partition files at one time.
#[derive(Debug, Clone)]
pub struct Image {
    /// Whose.
    pub node: NodeId,
    /// Copying began.
    pub from: Mark,
    /// Copying ended.
    pub to: Mark,
    /// The broker's process meanwhile.
    pub process: ProcessState,
    /// Absence, holes and order may be read from it (anomalies: A.1).
    pub sound: bool,
    /// Why it was taken.
    pub reason: ImageReason,
    /// The archive, relative to the run directory.
    pub file: String,
    /// `replication-offset-checkpoint`: the HW that this broker had last written down.
    pub hw_checkpoint: BTreeMap<Partition, Offset>,
    /// `recovery-point-offset-checkpoint`: everything below was fsynced.
    pub recovery_point: BTreeMap<Partition, Offset>,
    /// `log-start-offset-checkpoint`: only partitions whose log start was moved.
    pub log_start: BTreeMap<Partition, Offset>,
    /// Whether `.kafka_cleanshutdown` was there.
    pub clean_shutdown: bool,
    /// The logs, by partition.
    pub logs: BTreeMap<Partition, ReplicaLog>,
}

/// One replica's log of one partition, all segments in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaLog {
    /// `topic_id` of `partition.metadata`.
    pub topic_id: Option<String>,
    /// Base offsets of the segments, ascending.
    pub segments: Vec<Offset>,
    /// Every CRC-valid batch, in file order.
    pub batches: Vec<Batch>,
    /// Every record of those batches, in file order.
    pub records: Vec<Record>,
    /// `leader-epoch-checkpoint`: epoch and its first offset.
    pub epochs: Vec<(Epoch, Offset)>,
    /// What stands in the files and is not a valid batch: torn tails, bad CRCs, overlaps.
    pub damage: Vec<Damage>,
    /// Size of all segment files in bytes.
    pub bytes: u64,
}

impl ReplicaLog {
    /// Log end offset: the offset after the last valid batch, or the base of the last segment.
    pub fn leo(&self) -> Offset {
        let after_batches = self
            .batches
            .last()
            .map(|batch| Offset(batch.last.0.saturating_add(1)));
        let last_segment = self.segments.last().copied();
        after_batches.max(last_segment).unwrap_or(Offset(0))
    }

    /// The records of a batch.
    pub fn records_of(&self, batch: &Batch) -> &[Record] {
        self.records
            .get(batch.records.0 as usize..batch.records.1 as usize)
            .unwrap_or(&[])
    }
}

/// A record batch of magic 2 (`DefaultRecordBatch`), CRC-valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// First offset.
    pub base: Offset,
    /// Last offset (base + last offset delta).
    pub last: Offset,
    /// Partition leader epoch; outside the CRC.
    pub epoch: Epoch,
    /// Length in bytes, whole batch.
    pub bytes: u32,
    /// First 16 bytes of the SHA-256 of the whole batch, the part outside the CRC included: equal
    /// digests mean equal bytes.
    pub digest: [u8; 16],
    /// Attributes, as stored.
    pub attributes: i16,
    /// First timestamp, milliseconds since 1970.
    pub first_timestamp: i64,
    /// Largest timestamp, milliseconds since 1970.
    pub max_timestamp: i64,
    /// Producer id; -1 for none.
    pub producer_id: i64,
    /// Producer epoch.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 for none.
    pub base_sequence: i32,
    /// Record count as the header says.
    pub count: i32,
    /// Index range of its records in [`ReplicaLog::records`], end exclusive.
    pub records: (u32, u32),
    /// File name of its segment's base offset.
    pub segment: Offset,
    /// Byte position in the segment file.
    pub position: u64,
}

impl Batch {
    /// Bit 5: transaction markers and other control records.
    pub fn is_control(&self) -> bool {
        self.attributes & 0x20 != 0
    }

    /// Bit 4.
    pub fn is_transactional(&self) -> bool {
        self.attributes & 0x10 != 0
    }
}

/// One record, recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub offset: Offset,
    /// What it holds.
    pub payload: Payload,
}

/// Bytes of a segment that are not a valid batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// File name of the segment's base offset.
    pub segment: Offset,
    /// Byte position in the segment file.
    pub position: u64,
    /// What stands there.
    pub kind: DamageKind,
}

/// What stands where a valid batch should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DamageKind {
    /// The file ends inside a batch; so many bytes are there.
    TornTail(u64),
    /// Zeroes to the end of the file; so many.
    ZeroTail(u64),
    /// A whole batch whose checksum fails.
    BadCrc {
        /// Its first offset, as the header says.
        base: Offset,
        /// Its last offset, as the header says.
        last: Offset,
    },
    /// A header that cannot be one; reading stops there.
    Nonsense(String),
    /// A batch with a valid CRC whose records cannot be decoded.
    Undecodable {
        /// Its first offset.
        base: Offset,
        /// Why.
        why: String,
    },
}

/// One line of a broker's log that says something about replication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Whose log.
    pub node: NodeId,
    /// Of which service.
    pub service: Service,
    /// File, relative to the run directory, and line number from 1.
    pub file: String,
    /// Line number, from 1.
    pub line: u32,
    /// The host's own time: milliseconds since 1970, UTC.
    pub host_unix_millis: i64,
    /// The same in run time, with its uncertainty; absent without clock samples.
    pub span: Option<Span>,
    /// The line, verbatim, without its end.
    pub text: String,
    /// What it says.
    pub says: Says,
}

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
        /// To.
        to: Offset,
    },
    /// A fatal line, or the first line of its exception: what a process that died at start said last.
    Fatal,
}
