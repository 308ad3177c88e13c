//! Record payloads: a header by which a record can be recognised in any log, and filler derived
//! from it, so that corruption of any byte is seen.
//!
//! Layout, big endian: magic (4 bytes), run id (6), client (2), value (8), send time in run
//! nanoseconds (8), CRC-32C of everything but these four bytes (4), filler. Nothing here judges:
//! a payload is recognised or it is not.

use crate::clock::Mark;
use crate::event::Payload;
use crate::ids::{ClientId, RunId, ValueId};

/// The smallest payload that can be recognised, in bytes: the header alone. Plans that ask for
/// less are refused.
pub const MIN_PAYLOAD_BYTES: usize = 32;

const MAGIC: [u8; 4] = *b"TDMK";
const RUN: std::ops::Range<usize> = 4..10;
const CRC: std::ops::Range<usize> = 28..32;

/// The header of an intact payload, of whichever run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The run that sent it.
    pub run: RunId,
    /// The producer that sent it.
    pub client: ClientId,
    /// The value; unique within its run.
    pub value: ValueId,
    /// When it was handed to the client library, in that run's time.
    pub at: Mark,
}

/// Writes the payload of one record into `into`, which is emptied first.
///
/// # Panics
/// When `bytes` is below [`MIN_PAYLOAD_BYTES`]: plans are checked for that long before.
pub fn encode(
    run: RunId,
    client: ClientId,
    value: ValueId,
    at: Mark,
    bytes: usize,
    into: &mut Vec<u8>,
) {
    assert!(
        bytes >= MIN_PAYLOAD_BYTES,
        "a payload of {bytes} bytes cannot hold its header of {MIN_PAYLOAD_BYTES}"
    );
    into.clear();
    into.reserve(bytes);
    into.extend_from_slice(&MAGIC);
    into.extend_from_slice(&run.bytes());
    into.extend_from_slice(&client.0.to_be_bytes());
    into.extend_from_slice(&value.0.to_be_bytes());
    into.extend_from_slice(&at.0.to_be_bytes());
    into.extend_from_slice(&[0; 4]);
    // The golden ratio keeps neighbouring values apart; see `next_filler`.
    let mut state = value.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ at.0 ^ u64::from(client.0) << 48;
    while into.len() < bytes {
        let word = next_filler(&mut state).to_be_bytes();
        into.extend_from_slice(&word[..word.len().min(bytes - into.len())]);
    }
    let crc = checksum(into);
    into[CRC].copy_from_slice(&crc.to_be_bytes());
}

/// What a record's payload is, to the run called `run`. Never panics, whatever the bytes.
///
/// A payload of ours in which any byte was changed, or which was shortened to no less than its
/// magic, is [`Payload::Corrupt`]: either its magic or its run id still shows where it came from.
pub fn recognise(run: RunId, bytes: &[u8]) -> Payload {
    match header(bytes) {
        Some(header) if header.run == run => Payload::Value(header.value),
        Some(_) => Payload::Foreign,
        None if bytes.starts_with(&MAGIC) || bytes.get(RUN) == Some(&run.bytes()) => {
            Payload::Corrupt
        }
        None => Payload::Foreign,
    }
}

/// The header of a payload whose checksum holds; none for everything else.
pub fn header(bytes: &[u8]) -> Option<Header> {
    let (head, _) = bytes.split_first_chunk::<MIN_PAYLOAD_BYTES>()?;
    let crc = u32::from_be_bytes(head[CRC].try_into().ok()?);
    if !head.starts_with(&MAGIC) || crc != checksum(bytes) {
        return None;
    }
    Some(Header {
        run: RunId::from_bytes(head[RUN].try_into().ok()?)?,
        client: ClientId(u16::from_be_bytes(head[10..12].try_into().ok()?)),
        value: ValueId(u64::from_be_bytes(head[12..20].try_into().ok()?)),
        at: Mark(u64::from_be_bytes(head[20..28].try_into().ok()?)),
    })
}

/// CRC-32C of a payload without its own checksum. `bytes` holds at least a header.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..CRC.start]), &bytes[CRC.end..])
}

/// The next eight bytes of filler: SplitMix64, written out here since what stands in a log of last
/// year must be reproducible for ever. Incompressible on purpose: compression must not make one
/// plan's records lighter than another's.
fn next_filler(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(run: RunId, bytes: usize) -> Vec<u8> {
        let mut into = vec![9; 3];
        encode(
            run,
            ClientId(7),
            ValueId(4812),
            Mark::from_millis(12_481),
            bytes,
            &mut into,
        );
        into
    }

    #[test]
    fn a_payload_is_recognised_by_its_own_run_only() {
        let (ours, theirs) = (RunId::from_number(1), RunId::from_number(2));
        for size in [MIN_PAYLOAD_BYTES, 33, 40, 128, 1000] {
            let payload = sample(ours, size);
            assert_eq!(payload.len(), size);
            assert_eq!(recognise(ours, &payload), Payload::Value(ValueId(4812)));
            assert_eq!(recognise(theirs, &payload), Payload::Foreign);
            let header = header(&payload).expect("intact");
            assert_eq!((header.client, header.at.0), (ClientId(7), 12_481_000_000));
        }
    }

    #[test]
    fn every_flipped_bit_and_every_shortening_is_seen() {
        let run = RunId::from_number(77);
        let whole = sample(run, 100);
        for bit in 0..whole.len() * 8 {
            let mut payload = whole.clone();
            payload[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(recognise(run, &payload), Payload::Corrupt, "bit {bit}");
        }
        for len in 4..whole.len() {
            assert_eq!(
                recognise(run, &whole[..len]),
                Payload::Corrupt,
                "{len} bytes"
            );
        }
        assert_eq!(recognise(run, &whole[..3]), Payload::Foreign);
        assert_eq!(recognise(run, b""), Payload::Foreign);
        assert_eq!(
            recognise(run, b"somebody else's record, long enough to hold a header"),
            Payload::Foreign
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_recognised_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_ne!(
                recognise(RunId::from_number(5), &bytes),
                Payload::Value(ValueId(0))
            );
        }
    }
}
