//! What the files of brokers say, as values. The shape that checkers see; parsers fill it.
//!
//! Nothing here is judged: a torn tail is described, not condemned.

use std::collections::BTreeMap;

use history::{
    Epoch, ImageReason, Mark, NodeId, Offset, Partition, Payload, ProcessState, Service, Span,
};

mod says;
mod side;

pub use says::Says;
pub use side::{AbortedTxn, IndexFlaw, Marker, ProducerEntry, ProducerSnapshot, SideFile};

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
    /// Directories of logs that Kafka was deleting (`-delete`) or moving (`-future`), by name.
    pub leftovers: Vec<String>,
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
    /// `.snapshot` files that could be read, by the offset in their name, ascending. The one a
    /// broker would load is the last.
    pub snapshots: Vec<ProducerSnapshot>,
    /// Aborted transactions as the `.txnindex` files list them, in file order.
    pub aborted: Vec<AbortedTxn>,
    /// What is wrong in index files and producer snapshots.
    pub index_flaws: Vec<IndexFlaw>,
    /// Files that Kafka had marked, or not finished: `.deleted`, `.cleaned`, `.swap` and whatever
    /// else stands there unread. Names without their directory, ascending.
    pub leftovers: Vec<String>,
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
    /// XXH3-128 of the whole batch, the part outside the CRC included: equal digests mean equal
    /// bytes, as far as nobody forged them. Compared within one judgement, never kept.
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
    /// What a control batch says; absent for data.
    pub control: Option<Marker>,
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

/// One record, recognised. 32 bytes: a judge holds millions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Where it stands.
    pub offset: Offset,
    /// What it holds.
    pub payload: Payload,
    /// What stands around the payload.
    pub around: Around,
}

impl Record {
    /// A record without key and headers, with a value.
    pub fn plain(offset: Offset, payload: Payload) -> Self {
        Self {
            offset,
            payload,
            around: Around::default(),
        }
    }

    /// The hash of its key ([`key_hash`]); absent for a null key.
    pub fn key(&self) -> Option<u64> {
        (self.around.0 & Around::KEY != 0).then_some(self.around.0 >> Around::FLAGS)
    }

    /// Whether its value is null.
    pub fn tombstone(&self) -> bool {
        self.around.0 & Around::TOMBSTONE != 0
    }

    /// Whether it has headers. Our clients send none.
    pub fn headers(&self) -> bool {
        self.around.0 & Around::HEADERS != 0
    }
}

/// A record's key, as a hash, whether its value is null and whether it has headers: packed, and read
/// through [`Record`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Around(u64);

impl Around {
    const FLAGS: u32 = 3;
    const KEY: u64 = 1;
    const TOMBSTONE: u64 = 2;
    const HEADERS: u64 = 4;

    /// `key` is the key's bytes, absent for null.
    pub fn new(key: Option<&[u8]>, tombstone: bool, headers: bool) -> Self {
        let key = key.map_or(0, |key| key_hash(key) << Self::FLAGS | Self::KEY);
        let tombstone = if tombstone { Self::TOMBSTONE } else { 0 };
        let headers = if headers { Self::HEADERS } else { 0 };
        Self(key | tombstone | headers)
    }
}

/// The hash by which [`Record::key`] tells keys apart: 61 bits of XXH3.
pub fn key_hash(key: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key) >> Around::FLAGS
}

/// Bytes of a segment that are not a valid batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// File name of the segment's base offset.
    pub segment: Offset,
    /// Byte position in the segment file.
    pub position: u64,
    /// The first offset that it may have taken away: what its header says where one can be
    /// believed, else the offset after the last batch before it.
    pub from: Offset,
    /// Whether `from` lies below the recovery point of the same image, so that these bytes had been
    /// flushed once. The broker's own checkpoint decides, which lags behind what was flushed: `true`
    /// is sure, `false` means nobody vouches for them. Absent without a checkpoint file.
    pub durable: Option<bool>,
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
