//! Measures the segment walker: `cargo run --release -p evidence --example walk [SEGMENT.log]`.
//!
//! Without a file it reads a segment of its own making, one million records of 128 bytes, once per
//! codec. It is not a test: figures depend on the machine.

use std::error::Error;

use evidence::{Codec, NewBatch, NewRecord, ReplicaLog, Walker, write_batch};
use history::{Clock, Epoch, Offset, Payload, ValueId};

const RECORDS: u64 = 1_000_000;
const PER_BATCH: u64 = 120;

fn main() -> Result<(), Box<dyn Error>> {
    let clock = Clock::start();
    match std::env::args().nth(1) {
        Some(path) => measure(&clock, &path, &std::fs::read(&path)?),
        None => {
            for codec in Codec::ALL {
                measure(&clock, &format!("{codec:?}"), &segment(codec));
            }
        }
    }
    Ok(())
}

fn measure(clock: &Clock, what: &str, bytes: &[u8]) {
    let recognise = |value: &[u8]| match value.first_chunk() {
        Some(head) => Payload::Value(ValueId(u64::from_be_bytes(*head))),
        None => Payload::Foreign,
    };
    let mut log = ReplicaLog::default();
    let before = clock.mark();
    Walker::default().read(Offset(0), bytes, &recognise, &mut log);
    let seconds = clock.mark().since(before).as_secs_f64();
    println!(
        "{what}: {} records, {} batches, {} bytes, {} damaged places; {:.2} M records/s, {:.0} MB/s",
        log.records.len(),
        log.batches.len(),
        bytes.len(),
        log.damage.len(),
        log.records.len() as f64 / seconds / 1e6,
        bytes.len() as f64 / seconds / 1e6,
    );
}

fn segment(codec: Codec) -> Vec<u8> {
    let mut bytes = Vec::new();
    for first in (0..RECORDS).step_by(PER_BATCH as usize) {
        let values: Vec<[u8; 128]> = (first..RECORDS.min(first + PER_BATCH)).map(value).collect();
        let records: Vec<_> = values.iter().map(|value| NewRecord::value(value)).collect();
        let mut batch = NewBatch::plain(Offset(first as i64), Epoch(0), &records);
        batch.codec = codec;
        write_batch(&mut bytes, &batch);
    }
    bytes
}

/// The number, then bytes that compress a little.
fn value(number: u64) -> [u8; 128] {
    let mut value = [0; 128];
    value[..8].copy_from_slice(&number.to_be_bytes());
    for (at, byte) in value[8..].iter_mut().enumerate() {
        *byte = (number.wrapping_mul(31).wrapping_add(at as u64 / 4 * 17)) as u8;
    }
    value
}
