//! The files beside a log, and the sequences in it, against their plainest reading.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::{CASES, Seen, compare, judge_any, scene};

/// The leader's log, which both replicas hold, and the follower's files beside it.
#[derive(Debug, Clone)]
pub struct World {
    log: Vec<Batch>,
    /// Epoch, first offset; absent where the file is as it should be.
    epochs: Option<Vec<(i32, i64)>>,
    snapshots: Vec<(i64, Vec<Producer>)>,
}

#[derive(Debug, Clone)]
struct Batch {
    base: i64,
    epoch: i32,
    count: i64,
    producer: u8,
    producer_epoch: i16,
    sequence: i64,
}

/// What is known of a producer: id, epoch, last sequence, last offset.
type Producer = (u8, i16, i64, i64);

impl World {
    pub fn print(&self) -> String {
        let mut text = "topic t on n0,n1 by c1 acks=all
n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
"
        .to_owned();
        let batches: Vec<String> = self.log.iter().map(Batch::print).collect();
        let mut follower = batches.clone();
        if let Some(epochs) = &self.epochs {
            let entries = epochs
                .iter()
                .map(|(epoch, from)| format!(" e{epoch}@{from}"));
            follower.push(format!("epochs{}", entries.collect::<String>()));
        }
        for (at, producers) in &self.snapshots {
            let entries = producers
                .iter()
                .map(|(id, epoch, sequence, offset)| format!(" {id}.{epoch}+{sequence}@{offset}"));
            follower.push(format!("snapshot @{at}{}", entries.collect::<String>()));
        }
        writeln!(text, "n0 final t/0: {}", batches.join(" | ")).unwrap();
        writeln!(text, "n1 final t/0: {}", follower.join(" | ")).unwrap();
        text
    }
}

impl Batch {
    fn last(&self) -> i64 {
        self.base + self.count - 1
    }

    fn print(&self) -> String {
        let values = (self.base..=self.last()).map(|offset| format!(" v{offset}"));
        let Batch {
            base,
            epoch,
            producer,
            producer_epoch,
            sequence,
            ..
        } = self;
        let values: String = values.collect();
        format!("e{epoch} @{base}{values} pid={producer}.{producer_epoch}+{sequence}")
    }
}

/// What the batches below an offset add up to.
fn adds_up_to(log: &[Batch], below: i64) -> BTreeSet<Producer> {
    let mut known: BTreeMap<u8, Producer> = BTreeMap::new();
    for batch in log.iter().filter(|batch| batch.last() < below) {
        let last = batch.sequence + batch.count - 1;
        let producer = (batch.producer, batch.producer_epoch, last, batch.last());
        known.insert(batch.producer, producer);
    }
    known.into_values().collect()
}

/// The epoch file is out of order or gives a record another epoch; or a snapshot is not what the log
/// adds up to.
fn producer_state(world: &World) -> bool {
    let entries = world.epochs.clone().unwrap_or_default();
    let disordered = entries
        .windows(2)
        .any(|pair| pair[1].0 <= pair[0].0 || pair[1].1 <= pair[0].1);
    let wrong = |batch: &Batch| {
        (batch.base..=batch.last()).any(|offset| {
            let entry = entries.iter().rfind(|(_, from)| *from <= offset);
            entry.is_some_and(|(epoch, _)| *epoch != batch.epoch)
        })
    };
    let snapshot = |(at, producers): &(i64, Vec<Producer>)| {
        producers.iter().copied().collect::<BTreeSet<_>>() != adds_up_to(&world.log, *at)
    };
    disordered || world.log.iter().any(wrong) || world.snapshots.iter().any(snapshot)
}

/// A producer's sequences have a gap or go back within one epoch of it; or epochs go back.
fn log_malformed(world: &World) -> bool {
    let backwards = world
        .log
        .windows(2)
        .any(|pair| pair[1].epoch < pair[0].epoch);
    let gap = world.log.iter().enumerate().any(|(n, batch)| {
        let same = |other: &&Batch| {
            (other.producer, other.producer_epoch) == (batch.producer, batch.producer_epoch)
        };
        let before = world.log[..n].iter().rfind(same);
        before.is_some_and(|before| before.sequence + before.count != batch.sequence)
    });
    backwards || gap
}

pub fn any_world() -> impl Strategy<Value = World> {
    // Count, step of the leader's epoch, producer, its step of epoch, flaw of its sequence.
    let step = prop_oneof![3 => Just(0i32), 1 => Just(1), 1 => Just(2)];
    let bumps = proptest::bool::weighted(0.1);
    let flaw = prop_oneof![12 => Just(0i64), 1 => Just(1), 1 => Just(-1)];
    let batch = (1i64..3, step, 7u8..9, bumps, flaw);
    let entry = (-1i32..2, -1i64..2);
    let epochs = proptest::option::weighted(0.6, (0u8..4, 0usize..4, entry));
    let snapshot = (0i64..9, 0u8..12);
    (vec(batch, 1..5), epochs, vec(snapshot, 0..3)).prop_map(|(drawn, epochs, snapshots)| {
        let log = log_of(drawn);
        let epochs = epochs.map(|(what, at, by)| epochs_of(&log, what, at, by));
        let end = log.last().map_or(0, Batch::last) + 1;
        let mut taken: Vec<(i64, Vec<Producer>)> = Vec::new();
        for (at, flaw) in snapshots {
            // A segment begins where a batch does.
            let bases = log.iter().map(|batch| batch.base);
            let at = bases.filter(|base| *base >= at).min().unwrap_or(end);
            if taken.iter().all(|(other, _)| *other != at) {
                taken.push((at, flawed(adds_up_to(&log, at), flaw)));
            }
        }
        taken.sort();
        World {
            log,
            epochs,
            snapshots: taken,
        }
    })
}

fn log_of(drawn: Vec<(i64, i32, u8, bool, i64)>) -> Vec<Batch> {
    let mut log: Vec<Batch> = Vec::new();
    let mut next: BTreeMap<u8, (i16, i64)> = BTreeMap::new();
    let (mut base, mut epoch) = (0, 0);
    for (count, step, producer, bumps, flaw) in drawn {
        epoch += if log.is_empty() { 0 } else { step };
        let (producer_epoch, sequence) = next.entry(producer).or_default();
        if bumps && *sequence > 0 {
            (*producer_epoch, *sequence) = (*producer_epoch + 1, 0);
        }
        // The first one of an epoch may be any, and is 0.
        let first = (*sequence + flaw).max(0);
        let sequence_now = if *sequence == 0 { 0 } else { first };
        log.push(Batch {
            base,
            epoch,
            count,
            producer,
            producer_epoch: *producer_epoch,
            sequence: sequence_now,
        });
        *sequence = sequence_now + count;
        base += count;
    }
    log
}

/// The file as it should be, and one thing about it changed.
fn epochs_of(log: &[Batch], what: u8, at: usize, (epoch, from): (i32, i64)) -> Vec<(i32, i64)> {
    let mut entries: Vec<(i32, i64)> = Vec::new();
    for batch in log {
        if entries.last().is_none_or(|(last, _)| *last < batch.epoch) {
            entries.push((batch.epoch, batch.base));
        }
    }
    let at = at % entries.len();
    match what {
        0 => {}
        1 => {
            let (old, start) = entries[at];
            entries[at] = ((old + epoch).max(0), (start + from).max(0));
        }
        2 => drop(entries.remove(at)),
        _ => {
            let (old, start) = entries[at];
            entries.insert(at + 1, (old + 1, start + 1));
        }
    }
    entries
}

fn flawed(right: BTreeSet<Producer>, flaw: u8) -> Vec<Producer> {
    let mut all: Vec<Producer> = right.into_iter().collect();
    match flaw {
        0 => drop(all.pop()),
        1 => all.push((9, 0, 0, 0)),
        2 => all.iter_mut().take(1).for_each(|producer| producer.2 += 1),
        3 => all.iter_mut().take(1).for_each(|producer| producer.1 += 1),
        _ => {}
    }
    all
}

type Rule = (&'static str, fn(&World) -> bool);

const RULES: &[Rule] = &[
    ("producer-state", producer_state),
    ("log-malformed", log_malformed),
];

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    for (name, rule) in RULES {
        compare(&judgement, name, rule(world), seen)?;
    }
    Ok(())
}

fn check(cases: u32) {
    let shares: Vec<_> = RULES.iter().map(|(name, _)| (*name, 100)).collect();
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn files_beside_logs_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn files_beside_logs_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
