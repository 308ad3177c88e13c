//! What the writers write, the readers read back: batches with everything in them, side files,
//! checkpoints.

use std::collections::BTreeMap;

use evidence::{
    AbortedTxn, Batch, Codec, Marker, NewBatch, NewRecord, NewSegment, ProducerEntry, ReplicaLog,
    SegmentEnd, Walker, checkpoint, file_name, key_hash, read_snapshot, read_txn_index,
    write_batch, write_marker, write_snapshot, write_txn_index,
};
use history::{Epoch, Offset, Partition, Payload, ValueId};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

/// The hash of a value stands for it.
fn recognise(bytes: &[u8]) -> Payload {
    Payload::Value(ValueId(key_hash(bytes)))
}

fn read(bytes: &[u8]) -> ReplicaLog {
    let mut log = ReplicaLog::default();
    Walker::default().read(Offset(0), bytes, &recognise, &mut log);
    log
}

/// A record as a test draws it: gap before it, key, value, headers, timestamp delta.
#[derive(Debug, Clone)]
struct Drawn {
    gap: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
    later: i64,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let bytes = || option::of(vec(any::<u8>(), 0..200));
    let headers = vec(("[a-z]{0,5}", option::of(vec(any::<u8>(), 0..9))), 0..3);
    (0..3, bytes(), bytes(), headers, -5..500_i64).prop_map(|(gap, key, value, headers, later)| {
        Drawn {
            gap,
            key,
            value,
            headers,
            later,
        }
    })
}

/// What a record is: offset, key, payload, whether its value is null and whether it has headers.
type Told = (i64, Option<u64>, Payload, bool, bool);
type Header<'a> = (&'a str, Option<&'a [u8]>);

/// Writes the records as one batch and reads them back.
fn there_and_back(like: &NewBatch<'_>, records: &[Drawn]) -> (ReplicaLog, Vec<Told>) {
    let headers: Vec<Vec<Header<'_>>> = records
        .iter()
        .map(|r| {
            r.headers
                .iter()
                .map(|(k, v)| (k.as_str(), v.as_deref()))
                .collect()
        })
        .collect();
    let mut next = 0;
    let new: Vec<NewRecord<'_>> = records
        .iter()
        .zip(&headers)
        .map(|(record, headers)| {
            let delta = next + record.gap;
            next = delta + 1;
            NewRecord {
                key: record.key.as_deref(),
                value: record.value.as_deref(),
                headers,
                timestamp_delta: record.later,
                offset_delta: Some(delta),
            }
        })
        .collect();
    let wanted = new
        .iter()
        .map(|r| {
            let offset = like.base.0 + i64::from(r.offset_delta.unwrap());
            let payload = r.value.map_or(Payload::Foreign, recognise);
            let key = r.key.map(key_hash);
            (
                offset,
                key,
                payload,
                r.value.is_none(),
                !r.headers.is_empty(),
            )
        })
        .collect();
    let batch = NewBatch {
        records: &new,
        last_delta: Some(next + 3),
        ..like.clone()
    };
    let mut bytes = Vec::new();
    let length = write_batch(&mut bytes, &batch);
    assert_eq!(length, bytes.len());
    (read(&bytes), wanted)
}

proptest! {
    #[test]
    fn batches_come_back_with_all_that_is_in_them(
        records in vec(drawn(), 0..40), codec in 0_usize..5, base in 0..i64::MAX / 2,
        timestamp in 0..2_000_000_000_000_i64, producer_id in -1..i64::MAX, transactional: bool,
        log_append_time: bool, producer_epoch in -1..i16::MAX, base_sequence in -1..i32::MAX,
        epoch in -1..i32::MAX,
    ) {
        let like = NewBatch {
            codec: Codec::ALL[codec],
            log_append_time,
            transactional,
            timestamp,
            producer_id,
            producer_epoch,
            base_sequence,
            ..NewBatch::plain(Offset(base), Epoch(epoch), &[])
        };
        let (log, wanted) = there_and_back(&like, &records);
        prop_assert_eq!(&log.damage, &[]);
        let found: Vec<_> = log.records.iter()
            .map(|r| (r.offset.0, r.key(), r.payload, r.tombstone(), r.headers()))
            .collect();
        prop_assert_eq!(found, wanted);
        let [batch] = log.batches.as_slice() else { panic!("{:?}", log.batches) };
        let gaps: i32 = records.iter().map(|r| r.gap).sum();
        let latest = records.iter().map(|r| r.later).max().unwrap_or(0);
        let wanted = Batch {
            base: like.base,
            last: Offset(base + i64::from(gaps) + records.len() as i64 + 3),
            epoch: like.epoch,
            bytes: log.bytes as u32,
            digest: batch.digest,
            attributes: codec as i16
                | i16::from(log_append_time) << 3
                | i16::from(transactional) << 4,
            first_timestamp: timestamp,
            max_timestamp: timestamp + if log_append_time { 0 } else { latest },
            producer_id,
            producer_epoch,
            base_sequence,
            count: records.len() as i32,
            control: None,
            records: (0, records.len() as u32),
            segment: Offset(0),
            position: 0,
        };
        prop_assert_eq!(batch, &wanted);
    }

    #[test]
    fn markers_come_back(abort: bool, coordinator_epoch: i32, base in 0..i64::MAX / 2, id in 0..99_i64) {
        let marker = match abort {
            true => Marker::Abort { coordinator_epoch },
            false => Marker::Commit { coordinator_epoch },
        };
        let mut bytes = Vec::new();
        write_marker(&mut bytes, (Offset(base), Epoch(3)), (id, 7), marker, 12);
        write_marker(&mut bytes, (Offset(base + 1), Epoch(3)), (id, 7), Marker::Other, 12);
        let log = read(&bytes);
        prop_assert_eq!(&log.damage, &[]);
        let found: Vec<_> = log.batches.iter()
            .map(|b| (b.base.0, b.control, b.is_transactional(), b.producer_id, b.producer_epoch))
            .collect();
        let other = (base + 1, Some(Marker::Other), true, id, 7);
        prop_assert_eq!(found, [(base, Some(marker), true, id, 7), other]);
        prop_assert!(log.batches.iter().all(|b| (b.first_timestamp, b.max_timestamp) == (12, 12)));
        prop_assert!(log.records.iter().all(|r| r.payload == Payload::Foreign));
    }

    #[test]
    fn snapshots_come_back_or_are_refused(
        entries in vec(entry(), 0..9), flip: prop::sample::Index, bit in 0..8_u8, cut: prop::sample::Index,
    ) {
        let bytes = write_snapshot(&entries);
        prop_assert_eq!(read_snapshot(&bytes), Ok(entries));
        prop_assert!(read_snapshot(&bytes[..cut.index(bytes.len())]).is_err());
        let mut bytes = bytes;
        let at = flip.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(read_snapshot(&bytes).is_err());
    }

    #[test]
    fn transaction_indexes_come_back(steps in vec((0..50_i64, 1..50_i64, 0..50_i64), 0..9), cut in 1_usize..34) {
        let mut last = 100;
        let entries: Vec<AbortedTxn> = steps.iter().map(|(back, on, stable)| {
            last += on;
            AbortedTxn {
                producer_id: back * 3,
                first_offset: Offset(last - back),
                last_offset: Offset(last),
                last_stable_offset: Offset(last - stable),
            }
        }).collect();
        let bytes = write_txn_index(&entries);
        prop_assert_eq!(read_txn_index(Offset(100), &bytes), (entries.clone(), vec![]));
        if let Some((_, before)) = entries.split_last() {
            let (read, flaws) = read_txn_index(Offset(100), &bytes[..bytes.len() - cut]);
            prop_assert_eq!(read, before);
            prop_assert_eq!(flaws.iter().map(|f| f.position).collect::<Vec<_>>(), [before.len() as u64 * 34]);
        }
    }

    #[test]
    fn checkpoints_come_back(
        offsets in prop::collection::btree_map(("[a-zA-Z0-9._-]{1,9}", 0..99), 0..i64::MAX, 0..9),
        epochs in vec((0..i32::MAX, 0..i64::MAX), 0..9), id in "[a-zA-Z0-9_-]{22}",
    ) {
        let offsets: BTreeMap<Partition, Offset> = offsets.into_iter()
            .map(|((topic, index), offset)| (Partition::new(&*topic, index), Offset(offset)))
            .collect();
        let read = checkpoint::offsets(&checkpoint::write_offsets(&offsets));
        prop_assert_eq!((read.value, read.complaints), (offsets, vec![]));
        let epochs: Vec<_> = epochs.into_iter().map(|(e, o)| (Epoch(e), Offset(o))).collect();
        let read = checkpoint::epochs(&checkpoint::write_epochs(&epochs));
        prop_assert_eq!((read.value, read.complaints), (epochs, vec![]));
        prop_assert_eq!(checkpoint::topic_id(&checkpoint::write_topic_id(&id)), Ok(id));
    }

    #[test]
    fn side_files_of_any_bytes_are_read_without_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = read_snapshot(&bytes);
        let (entries, flaws) = read_txn_index(Offset(5), &bytes);
        prop_assert!(entries.len() * 34 <= bytes.len());
        prop_assert!(bytes.len() % 34 == 0 || !flaws.is_empty());
    }
}

fn entry() -> impl Strategy<Value = ProducerEntry> {
    let ids = (any::<i64>(), any::<i16>(), any::<i32>(), any::<i64>());
    let rest = (
        any::<i32>(),
        any::<i64>(),
        any::<i32>(),
        option::of(0..i64::MAX),
    );
    (ids, rest).prop_map(|((producer_id, epoch, last_sequence, last), rest)| {
        let (offset_delta, timestamp, coordinator_epoch, open) = rest;
        ProducerEntry {
            producer_id,
            epoch,
            last_sequence,
            last_offset: Offset(last),
            offset_delta,
            timestamp,
            coordinator_epoch,
            current_txn_first_offset: open.map(Offset),
        }
    })
}

#[test]
fn a_transaction_index_out_of_order_is_said() {
    let entry = |first, last| AbortedTxn {
        producer_id: 1,
        first_offset: Offset(first),
        last_offset: Offset(last),
        last_stable_offset: Offset(last),
    };
    let bytes = write_txn_index(&[entry(10, 12), entry(9, 12), entry(30, 20), entry(1, 4)]);
    let (entries, flaws) = read_txn_index(Offset(5), &bytes);
    assert_eq!(entries.len(), 4);
    let said: Vec<_> = flaws.iter().map(|f| (f.position, f.why.as_str())).collect();
    assert_eq!(
        said,
        [
            (34, "it ends at @12, after @12"),
            (68, "it begins at @30, after its end @20"),
            (102, "it ends at @4, before its segment @5"),
            (102, "it ends at @4, after @20"),
        ]
    );
}

#[test]
fn keys_are_told_apart_by_61_bits_of_xxh3() {
    // What XXH3's authors give for the empty input.
    assert_eq!(key_hash(b""), 0x2d06_8005_38d3_94c2 >> 3);
    let hashes: std::collections::BTreeSet<u64> = (0..1000_u32)
        .map(|key| key_hash(&key.to_be_bytes()))
        .collect();
    assert_eq!(hashes.len(), 1000);
    assert!(hashes.iter().all(|hash| *hash < 1 << 61));
}

#[test]
fn a_plain_batch_names_no_producer() {
    let mut bytes = Vec::new();
    let records = [NewRecord::value(b"v")];
    write_batch(&mut bytes, &NewBatch::plain(Offset(7), Epoch(3), &records));
    let log = read(&bytes);
    let batch = &log.batches[0];
    let producer = (batch.producer_id, batch.producer_epoch, batch.base_sequence);
    assert_eq!(producer, (-1, -1, -1));
    assert_eq!((batch.first_timestamp, batch.attributes), (0, 0));
}

#[test]
fn indexes_in_use_are_as_large_as_they_were_made() {
    let sizes = |end: SegmentEnd| {
        let mut segment = NewSegment::new(Offset(0));
        segment.append(&NewBatch::plain(
            Offset(0),
            Epoch(0),
            &[NewRecord::value(b"v")],
        ));
        let files = segment.files(end);
        let size = |suffix: &str| {
            let name = file_name(Offset(0), suffix);
            let found = files.iter().find(|(known, _)| *known == name);
            found.expect("a file").1.len()
        };
        (size("index"), size("timeindex"))
    };
    // Whole entries only, of 8 and of 12 bytes.
    assert_eq!(
        sizes(SegmentEnd::Active { index_bytes: 4096 }),
        (4096, 4092)
    );
    assert_eq!(
        sizes(SegmentEnd::Active { index_bytes: 4100 }),
        (4096, 4092)
    );
    assert_eq!(sizes(SegmentEnd::Closed), (0, 12));
}
