//! Where the batches of a segment file stand, and where a record's value stands in a batch: for
//! whoever cuts a file as a power cut may, or changes a byte of it.
//!
//! It decodes no record to keep it, and holds one batch at a time. What is no valid batch ends it,
//! as it ends a broker's own recovery.

use std::io::{self, Read};

use history::Offset;

use crate::batch::{self, BEFORE_LENGTH, CHECKED_FROM, HEADER, Header};

/// Longest batch that is believed, as for the reader of logs.
const BATCH_MAX: usize = 256 << 20;

/// A whole, CRC-valid batch in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First offset.
    pub base: Offset,
    /// Last offset.
    pub last: Offset,
    /// Byte position of its first byte.
    pub position: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// Transaction markers and other control records.
    pub control: bool,
}

impl Extent {
    /// The position after its last byte.
    pub fn end(&self) -> u64 {
        self.position.saturating_add(self.bytes)
    }
}

/// Calls `each` for every batch of a segment file up to the first that is cut, nonsense or has a
/// wrong checksum. Gives the position there: the length that a broker's recovery leaves.
///
/// # Errors
/// When reading fails.
pub fn extents(mut from: impl Read, mut each: impl FnMut(&Extent)) -> io::Result<u64> {
    let mut position = 0_u64;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        (&mut from).take(HEADER as u64).read_to_end(&mut bytes)?;
        let Ok(header) = Header::read(&bytes) else {
            return Ok(position);
        };
        let length = usize::try_from(header.length).unwrap_or(0);
        let whole = length.saturating_add(BEFORE_LENGTH);
        let sensible = header.magic == 2
            && header.base >= 0
            && header.last_delta >= 0
            && header.last() < i64::MAX
            && (HEADER..=BATCH_MAX).contains(&whole);
        if !sensible {
            return Ok(position);
        }
        let rest = whole.saturating_sub(HEADER) as u64;
        // Grows with what is there, never at the word of a length field.
        let read = (&mut from).take(rest).read_to_end(&mut bytes)?;
        let checked = bytes.get(CHECKED_FROM..).unwrap_or_default();
        if (read as u64) < rest || crc32c::crc32c(checked) != header.crc {
            return Ok(position);
        }
        let extent = Extent {
            base: Offset(header.base),
            last: Offset(header.last()),
            position,
            bytes: whole as u64,
            control: header.is_control(),
        };
        each(&extent);
        position = extent.end();
    }
}

/// The position within a whole batch of a byte that belongs to the value of a record: the middle of
/// its first record's value. In a compressed batch the middle of the compressed block, since no
/// byte of it belongs to one value alone. `None` where no value has a byte.
pub fn value_byte(batch: &[u8]) -> Option<usize> {
    let header = Header::read(batch).ok()?;
    let block = batch.get(HEADER..).filter(|block| !block.is_empty())?;
    let compressed = header.attributes & 7 != 0;
    let within = match compressed {
        true => block.len() / 2,
        false => batch::middle_of_first_value(block)?,
    };
    HEADER.checked_add(within)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Codec, NewBatch, NewRecord, Walker, model::ReplicaLog, write_batch};
    use history::{Epoch, Payload};

    fn log(codec: Codec) -> Vec<u8> {
        let mut out = Vec::new();
        for base in [0, 2, 4] {
            let records = [
                NewRecord {
                    key: Some(b"key"),
                    value: Some(b"seven77"),
                    ..NewRecord::default()
                },
                NewRecord::value(b"second"),
            ];
            let batch = NewBatch {
                codec,
                ..NewBatch::plain(Offset(base), Epoch(0), &records)
            };
            write_batch(&mut out, &batch);
        }
        out
    }

    fn found(bytes: &[u8]) -> (Vec<Extent>, u64) {
        let mut all = Vec::new();
        let valid = extents(bytes, |extent| all.push(*extent)).unwrap();
        (all, valid)
    }

    #[test]
    fn batches_stand_where_the_reader_of_logs_finds_them() {
        let bytes = log(Codec::None);
        let (all, valid) = found(&bytes);
        assert_eq!(valid, bytes.len() as u64);
        let mut read = ReplicaLog::default();
        Walker::default().read(Offset(0), &bytes, &|_| Payload::Foreign, &mut read);
        let stand = |base, last, position, bytes| (base, last, position, bytes);
        let here: Vec<_> = all
            .iter()
            .map(|e| stand(e.base, e.last, e.position, e.bytes))
            .collect();
        let there: Vec<_> = read
            .batches
            .iter()
            .map(|b| stand(b.base, b.last, b.position, u64::from(b.bytes)))
            .collect();
        assert_eq!(here, there);
        assert_eq!(here.len(), 3);
    }

    #[test]
    fn what_is_no_batch_ends_it() {
        let bytes = log(Codec::None);
        let second = found(&bytes).0[1].position as usize;
        let mut wrong = bytes.clone();
        wrong[second + 40] ^= 1;
        let mut zeroed = bytes.clone();
        zeroed[second..].fill(0);
        let mut long = bytes.clone();
        long[second + 8..second + 12].copy_from_slice(&i32::MAX.to_be_bytes());
        for bytes in [&bytes[..second + 70], &wrong, &zeroed, &long] {
            let (all, valid) = found(bytes);
            assert_eq!((all.len(), valid), (1, second as u64));
        }
        assert_eq!(found(&[]), (Vec::new(), 0));
    }

    #[test]
    fn a_value_byte_is_in_a_value() {
        let bytes = log(Codec::None);
        let first = &bytes[..found(&bytes).0[0].bytes as usize];
        let at = value_byte(first).unwrap();
        assert_eq!(first[at - 3..at + 4], *b"seven77");
        let packed = log(Codec::Lz4);
        let first = &packed[..found(&packed).0[0].bytes as usize];
        let at = value_byte(first).unwrap();
        assert!(at >= HEADER && at < first.len());
        let records = [NewRecord::default()];
        let mut none = Vec::new();
        write_batch(&mut none, &NewBatch::plain(Offset(0), Epoch(0), &records));
        assert_eq!(value_byte(&none), None, "its only value is null");
        assert_eq!(value_byte(&[]), None);
    }
}
