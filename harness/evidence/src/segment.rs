//! Walks a segment file, batch by batch, and says what stands where no valid batch stands.
//!
//! It condemns nothing: a torn tail is legal above the recovery point after a crash, and only a
//! judge knows where that is. It never panics and keeps memory in proportion to records.

use history::{Epoch, Offset};
use xxhash_rust::xxh3::xxh3_128;

use crate::batch::{self, BEFORE_LENGTH, CHECKED_FROM, HEADER, Header, Recognise};
use crate::model::{Batch, Damage, DamageKind, ReplicaLog};

/// Reads the segment files of one log, in the order of their base offsets. Holds the buffer that
/// compressed batches are unpacked into.
#[derive(Default)]
pub struct Walker {
    scratch: Vec<u8>,
}

/// What to do after a piece of a file.
enum Next {
    /// Go on, so many bytes further.
    Skip(usize),
    /// Nothing beyond can be trusted.
    Stop,
}

impl Walker {
    /// Appends to `log` what the segment file called `segment` holds.
    ///
    /// Reading goes on after a batch with a bad checksum, whose length is then all there is to go
    /// by, and stops at a torn tail, at zeroes to the end, and at a header that cannot be one.
    pub fn read(
        &mut self,
        segment: Offset,
        bytes: &[u8],
        recognise: Recognise<'_>,
        log: &mut ReplicaLog,
    ) {
        log.segments.push(segment);
        log.bytes = log.bytes.saturating_add(bytes.len() as u64);
        let mut position = 0_usize;
        while let Some(rest) = bytes.get(position..).filter(|rest| !rest.is_empty()) {
            let at = At {
                segment,
                position: position as u64,
            };
            match self.step(at, rest, recognise, log) {
                Next::Skip(count) => position = position.saturating_add(count),
                Next::Stop => return,
            }
        }
    }

    fn step(
        &mut self,
        at: At,
        rest: &[u8],
        recognise: Recognise<'_>,
        log: &mut ReplicaLog,
    ) -> Next {
        let (header, bytes) = match frame(rest) {
            Ok(found) => found,
            Err(kind) => {
                log.damage.push(at.damage(log.leo(), kind));
                return Next::Stop;
            }
        };
        let checked = bytes.get(CHECKED_FROM..).unwrap_or_default();
        if crc32c::crc32c(checked) != header.crc {
            log.damage.push(at.damage(
                Offset(header.base),
                DamageKind::BadCrc {
                    base: Offset(header.base),
                    last: Offset(header.last()),
                },
            ));
            return Next::Skip(bytes.len());
        }
        if let Err(why) = self.valid(at, &header, bytes, recognise, log) {
            log.damage.push(at.damage(
                Offset(header.base),
                DamageKind::Undecodable {
                    base: Offset(header.base),
                    why,
                },
            ));
        }
        Next::Skip(bytes.len())
    }

    /// Takes a CRC-valid batch into the log.
    fn valid(
        &mut self,
        at: At,
        header: &Header,
        bytes: &[u8],
        recognise: Recognise<'_>,
        log: &mut ReplicaLog,
    ) -> Result<(), String> {
        if header.last_delta < 0 || header.count < 0 {
            return Err(format!(
                "last offset delta {}, {} records",
                header.last_delta, header.count
            ));
        }
        let from = index(&log.records)?;
        let mut control = None;
        let decoded = batch::records(
            header,
            bytes,
            &mut self.scratch,
            recognise,
            &mut log.records,
            &mut control,
        );
        log.batches.push(Batch {
            base: Offset(header.base),
            last: Offset(header.last()),
            epoch: Epoch(header.epoch),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            digest: xxh3_128(bytes).to_be_bytes(),
            attributes: header.attributes,
            first_timestamp: header.first_timestamp,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            count: header.count,
            control,
            records: (from, index(&log.records)?),
            segment: at.segment,
            position: at.position,
        });
        decoded
    }
}

/// Where in which file.
#[derive(Clone, Copy)]
struct At {
    segment: Offset,
    position: u64,
}

impl At {
    fn damage(self, from: Offset, kind: DamageKind) -> Damage {
        Damage {
            segment: self.segment,
            position: self.position,
            from,
            durable: None,
            kind,
        }
    }
}

/// Cuts the batch at the start of `rest` out, or says what stands there instead.
fn frame(rest: &[u8]) -> Result<(Header, &[u8]), DamageKind> {
    let torn = || DamageKind::TornTail(rest.len() as u64);
    let otherwise = |why: String| match rest.iter().all(|byte| *byte == 0) {
        true => DamageKind::ZeroTail(rest.len() as u64),
        false => DamageKind::Nonsense(why),
    };
    let Ok(header) = Header::read(rest) else {
        return Err(match rest.iter().all(|byte| *byte == 0) {
            true => DamageKind::ZeroTail(rest.len() as u64),
            false => torn(),
        });
    };
    let length = usize::try_from(header.length).unwrap_or(0);
    let whole = length.saturating_add(BEFORE_LENGTH);
    if whole < HEADER {
        return Err(otherwise(format!("length {}", header.length)));
    }
    if header.magic != 2 {
        return Err(otherwise(format!("magic {}", header.magic)));
    }
    if header.base < 0 || header.last() == i64::MAX {
        return Err(otherwise(format!("base offset {}", header.base)));
    }
    let batch = rest.get(..whole).ok_or_else(torn)?;
    Ok((header, batch))
}

/// The index that the next record gets.
fn index(records: &[crate::model::Record]) -> Result<u32, String> {
    u32::try_from(records.len()).map_err(|_| "more than 2^32 records in one log".to_owned())
}
