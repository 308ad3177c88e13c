//! A segment with the indexes that a broker keeps beside it, as files of a partition's directory.
//!
//! Entries stand where LogSegment.scala puts them when it appends one batch at a time, as a leader
//! does. A follower appends more at once and has fewer.

use history::Offset;

use super::side::{file_name, write_txn_index};
use super::{NewBatch, write_batch};
use crate::batch::Header;
use crate::model::AbortedTxn;

/// `index.interval.bytes` as Kafka ships it.
const INTERVAL: usize = 4096;

/// A segment in the making.
#[derive(Debug, Clone)]
pub struct NewSegment {
    base: Offset,
    /// `index.interval.bytes`.
    interval: usize,
    log: Vec<u8>,
    offsets: Vec<u8>,
    times: Vec<u8>,
    aborted: Vec<AbortedTxn>,
    /// Bytes since the last entry of the offset index.
    since: usize,
    /// Largest timestamp so far, and the last offset of its batch.
    largest: (i64, Offset),
    /// Timestamp of the last entry of the time index.
    indexed: i64,
}

/// In which state a segment's files are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SegmentEnd {
    /// Rolled, or its broker has stopped cleanly: the largest timestamp is in the index, and the
    /// index files end with their last entries.
    Closed,
    /// In use: index files are as large as `segment.index.bytes`, zeroes after their entries.
    Active {
        /// `segment.index.bytes`.
        index_bytes: usize,
    },
}

impl NewSegment {
    /// An empty segment whose first offset will be `base` or above.
    pub fn new(base: Offset) -> Self {
        Self {
            base,
            interval: INTERVAL,
            log: Vec::new(),
            offsets: Vec::new(),
            times: Vec::new(),
            aborted: Vec::new(),
            since: 0,
            largest: (-1, base),
            indexed: -1,
        }
    }

    /// With this many bytes between entries of the offset index: `index.interval.bytes`.
    pub fn index_interval(self, bytes: usize) -> Self {
        Self {
            interval: bytes,
            ..self
        }
    }

    /// Its size so far, in bytes.
    pub fn bytes(&self) -> usize {
        self.log.len()
    }

    /// Appends a batch.
    ///
    /// # Panics
    /// As [`write_batch`]; and when its offsets are below the base or 2^31 above it.
    pub fn append(&mut self, batch: &NewBatch<'_>) {
        let position = self.log.len();
        write_batch(&mut self.log, batch);
        self.appended(position);
    }

    /// Appends one batch that is written already, such as one that several replicas share.
    ///
    /// # Panics
    /// When `batch` is shorter than a header; else as [`NewSegment::append`].
    pub fn append_written(&mut self, batch: &[u8]) {
        let position = self.log.len();
        self.log.extend_from_slice(batch);
        self.appended(position);
    }

    /// Lists a transaction that is aborted by a marker in this segment.
    pub fn aborted(&mut self, transaction: AbortedTxn) {
        self.aborted.push(transaction);
    }

    fn appended(&mut self, position: usize) {
        let header = Header::read(&self.log[position..]).expect("a batch has a header");
        let last = Offset(header.last());
        if header.max_timestamp > self.largest.0 {
            self.largest = (header.max_timestamp, last);
        }
        if self.since > self.interval {
            let relative = self.relative(last);
            self.offsets.extend_from_slice(&relative);
            self.offsets
                .extend_from_slice(&(position as i32).to_be_bytes());
            self.time_entry();
            self.since = 0;
        }
        self.since += self.log.len() - position;
    }

    fn time_entry(&mut self) {
        let (timestamp, offset) = self.largest;
        if timestamp > self.indexed {
            self.times.extend_from_slice(&timestamp.to_be_bytes());
            let relative = self.relative(offset);
            self.times.extend_from_slice(&relative);
            self.indexed = timestamp;
        }
    }

    fn relative(&self, offset: Offset) -> [u8; 4] {
        let relative = i32::try_from(offset.0 - self.base.0)
            .ok()
            .filter(|relative| *relative >= 0)
            .expect("an offset outside its segment");
        relative.to_be_bytes()
    }

    /// Its files: names without a directory, and contents. A transaction index is there only if it
    /// has entries.
    pub fn files(mut self, end: SegmentEnd) -> Vec<(String, Vec<u8>)> {
        match end {
            SegmentEnd::Closed => self.time_entry(),
            SegmentEnd::Active { index_bytes } => {
                self.offsets
                    .resize(self.offsets.len().max(index_bytes / 8 * 8), 0);
                self.times
                    .resize(self.times.len().max(index_bytes / 12 * 12), 0);
            }
        }
        let mut files = vec![
            (file_name(self.base, "log"), self.log),
            (file_name(self.base, "index"), self.offsets),
            (file_name(self.base, "timeindex"), self.times),
        ];
        if !self.aborted.is_empty() {
            let name = file_name(self.base, "txnindex");
            files.push((name, write_txn_index(&self.aborted)));
        }
        files
    }
}
