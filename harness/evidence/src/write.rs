//! Writes record batches as a broker would: for tests of everything that reads them, and for
//! recordings that nobody ran.
//!
//! It makes whole, valid batches only; damage is done to their bytes by whoever wants some.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "it writes what its caller made up and reads no bytes of anybody's"
)]

use history::{Epoch, Offset};

use crate::batch::{BEFORE_LENGTH, CHECKED_FROM, HEADER};
use crate::bytes::put_varint;
use crate::codec::Codec;

/// A batch to be written.
#[derive(Debug, Clone)]
pub struct NewBatch<'a> {
    /// First offset.
    pub base: Offset,
    /// Partition leader epoch.
    pub epoch: Epoch,
    /// Compression.
    pub codec: Codec,
    /// Bit 4 of the attributes.
    pub transactional: bool,
    /// Bit 5 of the attributes.
    pub control: bool,
    /// Of every record, milliseconds since 1970.
    pub timestamp: i64,
    /// Producer id; -1 for none.
    pub producer_id: i64,
    /// Producer epoch; -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record; -1 for none.
    pub base_sequence: i32,
    /// The records.
    pub records: &'a [NewRecord<'a>],
}

/// A record to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewRecord<'a> {
    /// Its key, or null.
    pub key: Option<&'a [u8]>,
    /// Its value, or null.
    pub value: Option<&'a [u8]>,
}

impl<'a> NewRecord<'a> {
    /// A record without a key.
    pub fn value(value: &'a [u8]) -> Self {
        Self {
            key: None,
            value: Some(value),
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
            transactional: false,
            control: false,
            timestamp: 0,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            records,
        }
    }
}

/// Appends a batch to `out` and gives its length in bytes. Records stand at consecutive offsets.
///
/// # Panics
/// When the batch has no record or is longer than 2^31 bytes: that is the caller's mistake, and
/// no log can hold it.
pub fn write_batch(out: &mut Vec<u8>, batch: &NewBatch<'_>) -> usize {
    assert!(!batch.records.is_empty(), "a batch without a record");
    let mut block = Vec::new();
    let mut one = Vec::new();
    for (delta, record) in batch.records.iter().enumerate() {
        one.clear();
        put_record(&mut one, delta as i64, record);
        put_varint(&mut block, one.len() as i64);
        block.extend_from_slice(&one);
    }

    let count = batch.records.len() as i32;
    let attributes = batch.codec.bits()
        | if batch.transactional { 0x10 } else { 0 }
        | if batch.control { 0x20 } else { 0 };
    let start = out.len();
    out.extend_from_slice(&batch.base.0.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&batch.epoch.0.to_be_bytes());
    out.push(2);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&attributes.to_be_bytes());
    out.extend_from_slice(&(count - 1).to_be_bytes());
    out.extend_from_slice(&batch.timestamp.to_be_bytes());
    out.extend_from_slice(&batch.timestamp.to_be_bytes());
    out.extend_from_slice(&batch.producer_id.to_be_bytes());
    out.extend_from_slice(&batch.producer_epoch.to_be_bytes());
    out.extend_from_slice(&batch.base_sequence.to_be_bytes());
    out.extend_from_slice(&count.to_be_bytes());
    assert_eq!(out.len() - start, HEADER);
    batch
        .codec
        .compress(&block, out)
        .expect("compression into memory does not fail");

    let whole = out.len() - start;
    let length = i32::try_from(whole - BEFORE_LENGTH).expect("a batch of more than 2^31 bytes");
    out[start + 8..start + 12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&out[start + CHECKED_FROM..]);
    out[start + 17..start + 21].copy_from_slice(&crc.to_be_bytes());
    whole
}

fn put_record(out: &mut Vec<u8>, delta: i64, record: &NewRecord<'_>) {
    out.push(0);
    put_varint(out, 0);
    put_varint(out, delta);
    for field in [record.key, record.value] {
        match field {
            None => put_varint(out, -1),
            Some(bytes) => {
                put_varint(out, bytes.len() as i64);
                out.extend_from_slice(bytes);
            }
        }
    }
    put_varint(out, 0);
}
