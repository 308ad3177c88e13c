//! Writes what a broker writes: batches here, and below it segments with their indexes, side files
//! and whole image archives. For recordings that nobody ran, and for tests of whatever reads them.
//!
//! It makes valid files only; damage is done to their bytes by whoever wants some.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "it writes what its caller made up and reads no bytes of anybody's"
)]

mod archive;
mod segment;
mod side;

use history::{Epoch, Offset};

use crate::batch::{BEFORE_LENGTH, CHECKED_FROM, HEADER};
use crate::bytes::{put_varint, varint_len};
use crate::codec::Codec;
use crate::model::Marker;

pub use archive::NewImage;
pub use segment::{NewSegment, SegmentEnd};
pub use side::{file_name, write_snapshot, write_txn_index};

/// A batch to be written.
#[derive(Debug, Clone)]
pub struct NewBatch<'a> {
    /// First offset.
    pub base: Offset,
    /// Partition leader epoch.
    pub epoch: Epoch,
    /// Compression.
    pub codec: Codec,
    /// Bit 3 of the attributes: timestamps are the broker's.
    pub log_append_time: bool,
    /// Bit 4 of the attributes.
    pub transactional: bool,
    /// Bit 5 of the attributes.
    pub control: bool,
    /// Milliseconds since 1970, to which records add their own.
    pub timestamp: i64,
    /// Producer id; -1 for none.
    pub producer_id: i64,
    /// Producer epoch; -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 for none.
    pub base_sequence: i32,
    /// Last offset less the first, where compaction took the last records away.
    pub last_delta: Option<i32>,
    /// The records.
    pub records: &'a [NewRecord<'a>],
}

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NewRecord<'a> {
    /// Its key, or null.
    pub key: Option<&'a [u8]>,
    /// Its value, or null.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds after its batch's timestamp.
    pub timestamp_delta: i64,
    /// Its offset less the batch's first; otherwise the offset after the record before it.
    pub offset_delta: Option<i32>,
}

impl<'a> NewRecord<'a> {
    /// A record without a key.
    pub fn value(value: &'a [u8]) -> Self {
        Self {
            value: Some(value),
            ..Self::default()
        }
    }
}

impl<'a> NewBatch<'a> {
    /// An uncompressed batch of a producer without idempotence, at time 0.
    pub fn plain(base: Offset, epoch: Epoch, records: &'a [NewRecord<'a>]) -> Self {
        Self {
            base,
            epoch,
            codec: Codec::None,
            log_append_time: false,
            transactional: false,
            control: false,
            timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            last_delta: None,
            records,
        }
    }

    fn attributes(&self) -> i16 {
        let bit = |set: bool, bit: i16| if set { bit } else { 0 };
        self.codec.bits()
            | bit(self.log_append_time, 0x08)
            | bit(self.transactional, 0x10)
            | bit(self.control, 0x20)
    }

    /// Offset deltas of the records, then that of the batch's last offset.
    fn deltas(&self) -> (Vec<i32>, i32) {
        let mut next = 0;
        let mut deltas = Vec::with_capacity(self.records.len());
        for record in self.records {
            let delta = record.offset_delta.unwrap_or(next);
            assert!(delta >= next, "offset delta {delta} after {next}");
            deltas.push(delta);
            next = delta + 1;
        }
        let last = self.last_delta.unwrap_or(next - 1);
        assert!(last >= next - 1 && last >= 0, "a batch without a record");
        (deltas, last)
    }
}

/// Appends a batch to `out` and gives its length in bytes.
///
/// # Panics
/// When the batch has neither a record nor a `last_delta`, when its offset deltas do not ascend, or
/// when it is longer than 2^31 bytes: that is the caller's mistake, and no log can hold it.
pub fn write_batch(out: &mut Vec<u8>, batch: &NewBatch<'_>) -> usize {
    let (deltas, last_delta) = batch.deltas();
    let start = out.len();
    put_header(out, batch, last_delta);
    assert_eq!(out.len() - start, HEADER);
    if batch.codec == Codec::None || batch.records.is_empty() {
        put_records(out, batch.records, &deltas);
    } else {
        let mut block = Vec::new();
        put_records(&mut block, batch.records, &deltas);
        batch
            .codec
            .compress(&block, out)
            .expect("compression into memory does not fail");
    }
    let whole = out.len() - start;
    let length = i32::try_from(whole - BEFORE_LENGTH).expect("a batch of more than 2^31 bytes");
    out[start + 8..start + 12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&out[start + CHECKED_FROM..]);
    out[start + 17..start + 21].copy_from_slice(&crc.to_be_bytes());
    whole
}

/// Appends the control batch that ends a transaction and gives its length in bytes.
/// [`Marker::Other`] is written as control type 2 (KRaft's leader change), without a value.
pub fn write_marker(
    out: &mut Vec<u8>,
    (base, epoch): (Offset, Epoch),
    (producer_id, producer_epoch): (i64, i16),
    marker: Marker,
    timestamp: i64,
) -> usize {
    let (kind, coordinator) = match marker {
        Marker::Abort { coordinator_epoch } => (0_i16, Some(coordinator_epoch)),
        Marker::Commit { coordinator_epoch } => (1, Some(coordinator_epoch)),
        Marker::Other => (2, None),
    };
    let mut key = [0; 4];
    key[2..].copy_from_slice(&kind.to_be_bytes());
    let mut value = [0; 6];
    value[2..].copy_from_slice(&coordinator.unwrap_or_default().to_be_bytes());
    let record = NewRecord {
        key: Some(&key),
        value: coordinator.map(|_| value.as_slice()),
        ..NewRecord::default()
    };
    let batch = NewBatch {
        transactional: true,
        control: true,
        timestamp,
        producer_id,
        producer_epoch,
        ..NewBatch::plain(base, epoch, std::slice::from_ref(&record))
    };
    write_batch(out, &batch)
}

/// Everything before the records; length and checksum are filled in later.
fn put_header(out: &mut Vec<u8>, batch: &NewBatch<'_>, last_delta: i32) {
    let later = batch.records.iter().map(|record| record.timestamp_delta);
    let max = match batch.log_append_time {
        true => batch.timestamp,
        false => batch.timestamp + later.max().unwrap_or(0),
    };
    out.extend_from_slice(&batch.base.0.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&batch.epoch.0.to_be_bytes());
    out.push(2);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&batch.attributes().to_be_bytes());
    out.extend_from_slice(&last_delta.to_be_bytes());
    out.extend_from_slice(&batch.timestamp.to_be_bytes());
    out.extend_from_slice(&max.to_be_bytes());
    out.extend_from_slice(&batch.producer_id.to_be_bytes());
    out.extend_from_slice(&batch.producer_epoch.to_be_bytes());
    out.extend_from_slice(&batch.base_sequence.to_be_bytes());
    out.extend_from_slice(&(batch.records.len() as i32).to_be_bytes());
}

fn put_records(out: &mut Vec<u8>, records: &[NewRecord<'_>], deltas: &[i32]) {
    for (record, delta) in records.iter().zip(deltas) {
        let delta = i64::from(*delta);
        put_varint(out, record_len(record, delta) as i64);
        out.push(0);
        put_varint(out, record.timestamp_delta);
        put_varint(out, delta);
        put_nullable(out, record.key);
        put_nullable(out, record.value);
        put_varint(out, record.headers.len() as i64);
        for (key, value) in record.headers {
            put_nullable(out, Some(key.as_bytes()));
            put_nullable(out, *value);
        }
    }
}

/// How many bytes a record has after its length.
fn record_len(record: &NewRecord<'_>, delta: i64) -> usize {
    let nullable = |bytes: Option<&[u8]>| {
        bytes.map_or(1, |bytes| varint_len(bytes.len() as i64) + bytes.len())
    };
    let headers: usize = record
        .headers
        .iter()
        .map(|(key, value)| nullable(Some(key.as_bytes())) + nullable(*value))
        .sum();
    1 + varint_len(record.timestamp_delta)
        + varint_len(delta)
        + nullable(record.key)
        + nullable(record.value)
        + varint_len(record.headers.len() as i64)
        + headers
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i64);
            out.extend_from_slice(bytes);
        }
    }
}
