//! Batches written and read again: every codec, every kind of damage, any bytes at all.

use std::cell::Cell;

use evidence::{Codec, Damage, DamageKind, NewBatch, NewRecord, ReplicaLog, Walker, write_batch};
use history::{Epoch, Offset, Payload, ValueId};
use proptest::prelude::*;

/// Values of these tests are eight bytes big-endian.
fn recognise(bytes: &[u8]) -> Payload {
    match <[u8; 8]>::try_from(bytes) {
        Ok(bytes) => Payload::Value(ValueId(u64::from_be_bytes(bytes))),
        Err(_) => Payload::Foreign,
    }
}

fn read(bytes: &[u8]) -> ReplicaLog {
    let mut log = ReplicaLog::default();
    Walker::default().read(Offset(0), bytes, &recognise, &mut log);
    log
}

/// Three batches of `per` values each, epochs 0, 1, 1; gives the bytes and where batches start.
fn three(codec: Codec, per: u64) -> (Vec<u8>, [usize; 4]) {
    let mut bytes = Vec::new();
    let mut starts = [0; 4];
    for index in 0..3 {
        let values: Vec<[u8; 8]> = (0..per).map(|i| (index * per + i).to_be_bytes()).collect();
        let records: Vec<NewRecord<'_>> = values.iter().map(|v| NewRecord::value(v)).collect();
        let mut batch = NewBatch::plain(
            Offset((index * per) as i64),
            Epoch(index.min(1) as i32),
            &records,
        );
        batch.codec = codec;
        batch.producer_id = 7000;
        batch.producer_epoch = 3;
        batch.base_sequence = (index * per) as i32;
        batch.timestamp = 1_795_000_000_000;
        write_batch(&mut bytes, &batch);
        starts[index as usize + 1] = bytes.len();
    }
    (bytes, starts)
}

#[test]
fn every_codec_comes_back() {
    for codec in Codec::ALL {
        let (bytes, starts) = three(codec, 50);
        let log = read(&bytes);
        assert_eq!(log.damage, [], "{codec:?}");
        assert_eq!(log.leo(), Offset(150));
        assert_eq!(log.bytes, bytes.len() as u64);
        let values: Vec<_> = log
            .records
            .iter()
            .map(|r| (r.offset.0, r.payload))
            .collect();
        let wanted: Vec<_> = (0..150)
            .map(|i| (i, Payload::Value(ValueId(i as u64))))
            .collect();
        assert_eq!(values, wanted);
        let second = &log.batches[1];
        assert_eq!((second.base, second.last), (Offset(50), Offset(99)));
        assert_eq!(second.epoch, Epoch(1));
        assert_eq!((second.producer_id, second.producer_epoch), (7000, 3));
        assert_eq!((second.base_sequence, second.count), (50, 50));
        assert_eq!(second.position, starts[1] as u64);
        assert_eq!(second.bytes as usize, starts[2] - starts[1]);
        assert_eq!(second.max_timestamp, 1_795_000_000_000);
        assert_eq!(log.records_of(second)[0].offset, Offset(50));
        assert_ne!(log.batches[0].digest, second.digest);
    }
}

#[test]
fn a_control_batch_is_never_shown_to_the_recogniser() {
    let marker = [0, 0, 0, 1_u8];
    let records = [NewRecord {
        key: Some(&marker),
        value: Some(&[0; 8]),
        ..NewRecord::default()
    }];
    let mut batch = NewBatch::plain(Offset(4), Epoch(0), &records);
    batch.control = true;
    batch.transactional = true;
    let mut bytes = Vec::new();
    write_batch(&mut bytes, &batch);
    let log = read(&bytes);
    assert!(log.batches[0].is_control() && log.batches[0].is_transactional());
    assert_eq!(log.records[0].payload, Payload::Foreign);
}

#[test]
fn null_values_and_keys_are_read() {
    let records = [
        NewRecord {
            key: Some(b"k"),
            ..NewRecord::default()
        },
        NewRecord {
            value: Some(&[0, 0, 0, 0, 0, 0, 0, 9]),
            ..NewRecord::default()
        },
    ];
    let mut bytes = Vec::new();
    write_batch(&mut bytes, &NewBatch::plain(Offset(0), Epoch(0), &records));
    let payloads: Vec<_> = read(&bytes).records.iter().map(|r| r.payload).collect();
    assert_eq!(payloads, [Payload::Foreign, Payload::Value(ValueId(9))]);
}

#[test]
fn the_epoch_is_outside_the_checksum_but_inside_the_digest() {
    let (bytes, _) = three(Codec::None, 2);
    let mut other = bytes.clone();
    other[15] = 9;
    let (log, changed) = (read(&bytes), read(&other));
    assert_eq!(changed.damage, []);
    assert_eq!(changed.batches[0].epoch, Epoch(9));
    assert_ne!(log.batches[0].digest, changed.batches[0].digest);
    assert_eq!(log.batches[1].digest, changed.batches[1].digest);
}

#[test]
fn cut_at_every_byte_it_is_a_torn_tail() {
    for codec in Codec::ALL {
        let (bytes, starts) = three(codec, 5);
        for cut in 0..bytes.len() {
            let log = read(&bytes[..cut]);
            let whole = starts.iter().filter(|start| **start <= cut).count() - 1;
            assert_eq!(log.batches.len(), whole, "{codec:?} cut at {cut}");
            assert_eq!(log.records.len(), whole * 5);
            let left = cut - starts[whole];
            let wanted: Vec<Damage> = (left > 0)
                .then(|| Damage {
                    segment: Offset(0),
                    position: starts[whole] as u64,
                    from: Offset(whole as i64 * 5),
                    durable: None,
                    kind: match starts[whole] {
                        // The first eight bytes of offset 0 cannot be told from a zero tail.
                        0 if left <= 10 => DamageKind::ZeroTail(left as u64),
                        _ if bytes[starts[whole]..cut].iter().all(|b| *b == 0) => {
                            DamageKind::ZeroTail(left as u64)
                        }
                        _ => DamageKind::TornTail(left as u64),
                    },
                })
                .into_iter()
                .collect();
            assert_eq!(log.damage, wanted, "{codec:?} cut at {cut}");
        }
    }
}

#[test]
fn zeroes_to_the_end_are_a_zero_tail() {
    let (mut bytes, starts) = three(Codec::None, 5);
    bytes.resize(bytes.len() + 4096, 0);
    let log = read(&bytes);
    assert_eq!(log.batches.len(), 3);
    let wanted = Damage {
        segment: Offset(0),
        position: starts[3] as u64,
        from: Offset(15),
        durable: None,
        kind: DamageKind::ZeroTail(4096),
    };
    assert_eq!(log.damage, [wanted]);
}

#[test]
fn reading_goes_on_after_a_bad_checksum() {
    let (mut bytes, starts) = three(Codec::None, 5);
    bytes[starts[2] - 1] ^= 1;
    let log = read(&bytes);
    assert_eq!(log.batches.len(), 2);
    assert_eq!(log.records.len(), 10);
    assert_eq!(log.leo(), Offset(15));
    let wanted = Damage {
        segment: Offset(0),
        position: starts[1] as u64,
        from: Offset(5),
        durable: None,
        kind: DamageKind::BadCrc {
            base: Offset(5),
            last: Offset(9),
        },
    };
    assert_eq!(log.damage, [wanted]);
}

#[test]
fn a_header_that_cannot_be_one_stops_the_reading() {
    let (bytes, starts) = three(Codec::None, 5);
    for (at, value, said) in [
        (16, 1_u8, "magic 1"),
        (8, 0xff, "length -"),
        (0, 0x80, "base offset -"),
    ] {
        let mut bytes = bytes.clone();
        bytes[starts[1] + at] = value;
        let log = read(&bytes);
        assert_eq!(log.batches.len(), 1);
        let [
            Damage {
                kind: DamageKind::Nonsense(why),
                position,
                ..
            },
        ] = log.damage.as_slice()
        else {
            panic!("{said}: {:?}", log.damage);
        };
        assert!(why.starts_with(said), "{why}");
        assert_eq!(*position, starts[1] as u64);
    }
}

/// Changes bytes inside the checksum and makes it right again.
fn resealed(mut batch: Vec<u8>, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    change(&mut batch);
    let length = (batch.len() - 12) as i32;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&crc.to_be_bytes());
    batch
}

#[test]
fn a_valid_checksum_over_records_that_make_no_sense_is_said() {
    let (bytes, starts) = three(Codec::None, 5);
    let one = bytes[..starts[1]].to_vec();
    for (change, said) in [
        ((60, 6_u8), "record 5 of 6"),
        ((60, 4), "bytes after the last record"),
        ((22, 7), "codec 7"),
        ((26, 3), "offset delta 4 after 3, last 3"),
        ((61, 200), "record 0 of 5"),
        ((23, 0xff), "last offset delta -"),
    ] {
        let log = read(&resealed(one.clone(), |b| b[change.0] = change.1));
        let [
            Damage {
                kind: DamageKind::Undecodable { why, .. },
                ..
            },
        ] = log.damage.as_slice()
        else {
            panic!("{said}: {:?}", log.damage);
        };
        assert!(why.contains(said), "{why} instead of {said}");
        assert!(log.records.len() <= 5);
    }
    let hollow = resealed(three(Codec::Zstd, 5).0[..starts[1]].to_vec(), |b| {
        b.truncate(80)
    });
    assert!(matches!(
        read(&hollow).damage.as_slice(),
        [Damage {
            kind: DamageKind::Undecodable { .. },
            ..
        }]
    ));
}

/// Gives what it has in small pieces, as an archive does.
struct Trickle<'a>(&'a [u8], usize);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let count = self.1.min(self.0.len()).min(to.len());
        let (head, rest) = self.0.split_at(count);
        to[..count].copy_from_slice(head);
        self.0 = rest;
        Ok(count)
    }
}

/// The same from a reader.
fn streamed(bytes: &[u8], piece: usize) -> ReplicaLog {
    let mut log = ReplicaLog::default();
    let read = Walker::default().read_from(Offset(0), Trickle(bytes, piece), &recognise, &mut log);
    assert_eq!(read.unwrap(), bytes.len() as u64);
    log
}

#[test]
fn files_of_several_windows_are_read_as_one() {
    // Batches of some 1.6 MB, longer than a window, and small ones between them.
    let (mut bytes, _) = three(Codec::None, 100_000);
    let (small, _) = three(Codec::None, 7);
    for _ in 0..3000 {
        bytes.extend_from_slice(&small);
    }
    bytes.extend_from_slice(&small[..100]);
    assert!(bytes.len() > 4 << 20);
    assert!(streamed(&bytes, 1_000_003) == read(&bytes));
    bytes.resize(bytes.len() + (3 << 20), 0);
    assert!(streamed(&bytes, usize::MAX) == read(&bytes));
    let zeroes = vec![0; 3 << 20];
    assert_eq!(streamed(&zeroes, usize::MAX), read(&zeroes));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_stream_is_read_as_the_whole(
        codec in 0_usize..5, cut in any::<proptest::sample::Index>(), zeroes in 0_usize..40,
        flip in any::<proptest::sample::Index>(), bit in 0_u8..8, piece in 1_usize..700,
    ) {
        let (mut bytes, _) = three(Codec::ALL[codec], 9);
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        bytes.truncate(cut.index(bytes.len() + 1));
        bytes.resize(bytes.len() + zeroes, 0);
        prop_assert_eq!(streamed(&bytes, piece), read(&bytes));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let log = read(&bytes);
        prop_assert!(log.batches.is_empty() || log.leo() > Offset(-1));
        prop_assert_eq!(bytes.is_empty(), log.damage.is_empty() && log.batches.is_empty());
    }

    #[test]
    fn a_flipped_bit_is_noticed_or_outside_the_checksum(
        codec in 0_usize..5, flip in any::<proptest::sample::Index>(), bit in 0_u8..8,
    ) {
        let (mut bytes, starts) = three(Codec::ALL[codec], 9);
        let clean = read(&bytes);
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        let log = read(&bytes);
        let batch = starts.iter().filter(|start| **start <= at).count() - 1;
        let within = at - starts[batch];
        if within >= 17 {
            prop_assert_eq!(log.damage.len(), 1);
            prop_assert_eq!(log.batches.len(), 2);
        } else if (8..12).contains(&within) || within == 16 {
            prop_assert!(!log.damage.is_empty());
        } else {
            // Base offset and leader epoch: nobody vouches for them but the digest.
            prop_assert!(!log.damage.is_empty() || clean.batches[batch] != log.batches[batch]);
            if log.damage.is_empty() {
                prop_assert_ne!(clean.batches[batch].digest, log.batches[batch].digest);
            }
        }
    }

    #[test]
    fn damaged_but_resealed_batches_never_panic(
        codec in 0_usize..5, at in any::<proptest::sample::Index>(), byte in any::<u8>(), cut in 0_usize..20,
    ) {
        let (bytes, starts) = three(Codec::ALL[codec], 9);
        let batch = resealed(bytes[..starts[1]].to_vec(), |b| {
            let cut = b.len() - cut.min(b.len() - 61);
            b.truncate(cut);
            let at = 21 + at.index(b.len() - 21);
            b[at] = byte;
        });
        let calls = Cell::new(0_u32);
        let mut log = ReplicaLog::default();
        let count = |value: &[u8]| { calls.set(calls.get() + 1); recognise(value) };
        Walker::default().read(Offset(0), &batch, &count, &mut log);
        prop_assert!(log.records.len() >= calls.get() as usize);
    }
}
