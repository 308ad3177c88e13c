//! What stands beside a segment: transaction markers, producer snapshots, indexes.
//!
//! Values only. What a flaw means is a judge's business: an index is rebuilt at the next start.

use std::fmt;

use history::Offset;

/// What a control batch says: its record's key has the type, its value the coordinator's epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marker {
    /// The producer's open transaction is committed.
    Commit {
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// The producer's open transaction is aborted.
    Abort {
        /// Epoch of the transaction coordinator that wrote it.
        coordinator_epoch: i32,
    },
    /// Another control type (KRaft's), or one whose bytes cannot be read.
    Other,
}

/// A `.snapshot` file: the producers that a log knew at one offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProducerSnapshot {
    /// The offset in its name: the state before this offset.
    pub offset: Offset,
    /// Its producers, in file order (that of a hash map).
    pub entries: Vec<ProducerEntry>,
}

/// One producer of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducerEntry {
    /// Producer id.
    pub producer_id: i64,
    /// Its last epoch.
    pub epoch: i16,
    /// Sequence of its last record; -1 for none.
    pub last_sequence: i32,
    /// Offset of its last record; -1 for none.
    pub last_offset: Offset,
    /// How many records its last batch had, less one.
    pub offset_delta: i32,
    /// Of its last batch, milliseconds since 1970; -1 for none.
    pub timestamp: i64,
    /// Epoch of the coordinator that wrote its last marker; -1 for none.
    pub coordinator_epoch: i32,
    /// First offset of its open transaction.
    pub current_txn_first_offset: Option<Offset>,
}

/// An entry of a `.txnindex` file: one aborted transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbortedTxn {
    /// Producer id.
    pub producer_id: i64,
    /// First offset of the transaction.
    pub first_offset: Offset,
    /// Offset of its marker.
    pub last_offset: Offset,
    /// Last stable offset when the marker was written.
    pub last_stable_offset: Offset,
}

/// Something wrong in a file beside a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexFlaw {
    /// Its file, without the directory: `00000000000000000000.index`.
    pub file: String,
    /// Which kind of file.
    pub kind: SideFile,
    /// Byte position in it.
    pub position: u64,
    /// The offset that it is about, where it names one.
    pub about: Option<Offset>,
    /// Whether that offset lies below the image's recovery point, as of
    /// [`Damage::durable`](crate::Damage::durable): indexes are flushed with their segments. After a
    /// power cut anything may stand in an index above it, and nobody reads it before it is rebuilt.
    pub durable: Option<bool>,
    /// What is wrong there, as a sentence without its full stop.
    pub why: String,
}

/// The kinds of files beside a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SideFile {
    /// `.index`: offset to position.
    OffsetIndex,
    /// `.timeindex`: largest timestamp so far to offset.
    TimeIndex,
    /// `.txnindex`: aborted transactions.
    TransactionIndex,
    /// `.snapshot`: producers.
    ProducerSnapshot,
}

impl fmt::Display for SideFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OffsetIndex => "offset index",
            Self::TimeIndex => "time index",
            Self::TransactionIndex => "transaction index",
            Self::ProducerSnapshot => "producer snapshot",
        })
    }
}
