//! Any bytes as a segment file; and the same bytes behind a checksum that fits, so that the
//! decoding of records and compressed blocks is reached.
#![no_main]

use evidence::{ReplicaLog, Walker};
use history::{Offset, Payload, RunId, ValueId};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    walk(bytes);
    let mut fitting = bytes.to_vec();
    if fitting.len() > 61 {
        // Length and magic as they must be, attributes and all behind them as they come.
        let length = u32::try_from(fitting.len() - 12).expect("a small input");
        fitting[8..12].copy_from_slice(&length.to_be_bytes());
        fitting[16] = 2;
        let crc = crc32c::crc32c(&fitting[21..]);
        fitting[17..21].copy_from_slice(&crc.to_be_bytes());
        walk(&fitting);
    }
});

fn walk(bytes: &[u8]) {
    let run = RunId::from_number(7);
    let recognise = |payload: &[u8]| match payload.len() {
        1 => Payload::Value(ValueId(u64::from(payload[0]))),
        _ => history::payload::recognise(run, payload),
    };
    let mut log = ReplicaLog::default();
    Walker::default().read(Offset(0), bytes, &recognise, &mut log);
    // What is kept is in proportion to what was there: a record takes seven bytes at least, and
    // compression is capped by the decoder.
    assert!(log.batches.len() <= bytes.len() / 61 + 1);
    for batch in &log.batches {
        assert!(log.records_of(batch).len() <= batch.count.max(0) as usize);
    }
    let _ = log.leo();
}
