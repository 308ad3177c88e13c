//! What a history of a throughput run costs: bytes per record sent, and events per second.
//!
//! `cargo test --release -p history --test throughput -- --nocapture` prints both. Only the bytes
//! are demanded: they do not depend on how busy the machine is.

use history::frames::{FrameWriter, read};
use history::*;

const SENDS: u64 = 1_000_000;
/// All frames of a throughput run, for each record sent.
const BYTES_PER_SEND_MAX: f64 = 14.0;

/// A small generator of even numbers below a bound; the seed is part of the test.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// Four producers, three partitions on three brokers. Up to `batch` records are handed over at
/// once, with one time; answers come per broker in produce batches, each record with a
/// time of its own, out of order across partitions.
fn throughput_run(sends: u64, batch: u64) -> Vec<Event> {
    let mut dice = Dice(0x5eed);
    let partitions: Vec<Partition> = (0..3).map(|n| Partition::new("ledger", n)).collect();
    let mut waiting: Vec<Vec<OpId>> = vec![Vec::new(); 3];
    let mut offsets = [0; 3];
    let mut events = Vec::new();
    let (mut sent, mut now) = (0, 5_000_000_000);
    while sent < sends || waiting.iter().any(|ops| !ops.is_empty()) {
        let client = ClientId(dice.below(4) as u16);
        for _ in 0..dice.below(batch + 1).min(sends - sent) {
            let at = dice.below(3) as usize;
            events.push(Event::Invoked {
                op: OpId(sent + 1000),
                client,
                at: Mark(now),
                call: Call::Send {
                    partition: partitions[at].clone(),
                    value: ValueId(sent),
                },
            });
            waiting[at].push(OpId(sent + 1000));
            sent += 1;
        }
        now += 500 + dice.below(19_000) * batch.div_ceil(2);
        let broker = dice.below(3) as usize;
        let answered = match dice.below(200) < batch {
            true => dice.below(400).min(waiting[broker].len() as u64) as usize,
            false => 0,
        };
        for op in waiting[broker].drain(..answered) {
            now += 100 + dice.below(900);
            events.push(Event::Returned {
                op,
                at: Mark(now),
                reply: Reply::Sent(Outcome::Ok(SendAck {
                    offset: Some(Offset(offsets[broker])),
                    broker: Some(NodeId(broker as u8)),
                })),
            });
            offsets[broker] += 1;
        }
    }
    events
}

#[test]
fn batches_cost_few_bytes_per_record_and_come_back() {
    write_and_read(&throughput_run(SENDS, 200));
}

#[test]
fn single_records_cost_few_bytes_each_and_come_back() {
    write_and_read(&throughput_run(SENDS, 1));
}

fn write_and_read(events: &[Event]) {
    let count = events.len() as f64;
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("events.tmh");
    let file = std::fs::File::create(&path).expect("a file");

    let clock = Clock::start();
    let mut writer = FrameWriter::begin(file).expect("written");
    for event in events {
        writer.push(event);
        if writer.is_full() {
            writer.cut().expect("written");
        }
    }
    writer.cut().expect("written");
    let wrote = clock.mark();
    let recording = read(&path).expect("readable");
    let done = clock.mark();

    let bytes = writer.written().bytes as f64 / SENDS as f64;
    println!(
        "{SENDS} sends: {bytes:.2} bytes each; {:.1} M events/s written, {:.1} M read",
        count / wrote.seconds() / 1e6,
        count / done.since(wrote).as_secs_f64() / 1e6,
    );
    assert!(recording.torn.is_none() && recording.events == events);
    assert!(
        bytes < BYTES_PER_SEND_MAX,
        "{bytes:.2} bytes per record sent"
    );
}

#[test]
fn payloads_cost_little() {
    let run = RunId::from_number(7);
    let mut payload = Vec::new();
    let clock = Clock::start();
    for value in 0..SENDS {
        let at = Mark(value * 1000);
        payload::encode(run, ClientId(1), ValueId(value), at, 128, &mut payload);
        let known = payload::recognise(run, &payload);
        assert_eq!(known, Payload::Value(ValueId(value)));
    }
    let each = clock.mark().0 / SENDS;
    println!("a payload of 128 bytes: {each} ns to make and to recognise");
}
