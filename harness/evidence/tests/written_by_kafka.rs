//! A segment that Kafka's own Java classes wrote (samples/WriteSegment.java), read by ours: an
//! opinion on the format that is not the encoder's beside the walker.

use evidence::{ReplicaLog, Walker};
use history::{Epoch, Offset, Payload, ValueId};

const SEGMENT: &[u8] = include_bytes!("samples/kafka-clients-3.0.0.log");

fn recognise(bytes: &[u8]) -> Payload {
    match bytes.first_chunk() {
        Some(head) => Payload::Value(ValueId(u64::from_be_bytes(*head))),
        None => Payload::Foreign,
    }
}

#[test]
fn every_codec_as_java_writes_it() {
    let mut log = ReplicaLog::default();
    Walker::default().read(Offset(0), SEGMENT, &recognise, &mut log);
    assert_eq!(log.damage, []);

    let ranges: Vec<_> = log
        .batches
        .iter()
        .map(|b| (b.base.0, b.last.0, b.attributes))
        .collect();
    assert_eq!(
        ranges,
        [
            (0, 9, 0),
            (10, 309, 1),
            (310, 609, 2),
            (610, 909, 3),
            (910, 1209, 4),
            (1210, 1211, 0x10),
            (1212, 1212, 0x30),
        ]
    );
    let values = (0..1210).map(|i| (i, Payload::Value(ValueId(i as u64))));
    let wanted: Vec<_> = values
        .chain([
            (1210, Payload::Foreign),
            (1211, Payload::Value(ValueId(1211))),
            (1212, Payload::Foreign),
        ])
        .collect();
    let read: Vec<_> = log
        .records
        .iter()
        .map(|r| (r.offset.0, r.payload))
        .collect();
    assert_eq!(read, wanted);
}

#[test]
fn headers_of_batches_as_java_writes_them() {
    let mut log = ReplicaLog::default();
    Walker::default().read(Offset(0), SEGMENT, &recognise, &mut log);
    let zstd = &log.batches[4];
    assert_eq!((zstd.epoch, zstd.count), (Epoch(4), 300));
    assert_eq!((zstd.producer_id, zstd.producer_epoch), (7000, 3));
    assert_eq!(zstd.base_sequence, 910);
    assert_eq!(zstd.first_timestamp, 1_795_317_055_000);
    assert_eq!(zstd.max_timestamp, 1_795_317_055_299);
    let transaction = &log.batches[5];
    assert!(transaction.is_transactional() && !transaction.is_control());
    assert_eq!(transaction.max_timestamp, 1_795_317_056_000);
    let marker = &log.batches[6];
    assert!(marker.is_control());
    assert_eq!((marker.epoch, marker.base_sequence), (Epoch(5), -1));
}
