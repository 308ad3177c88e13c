//! Transactions against their plainest reading: markers, outcomes, what readers of committed data
//! were given, and the index of aborted transactions.

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, compare, judge_any, scene};

/// Two producers with transactions one after the other, a log, and its readers.
#[derive(Debug, Clone)]
pub struct World {
    pub txns: Vec<Txn>,
    pub log: Vec<Entry>,
    /// Of the index: producer, first offset, last offset.
    pub index: Vec<(u8, usize, usize)>,
    /// What a reader of committed data was given early: position in the log, seconds.
    pub early: Vec<(usize, u64)>,
    /// What another was given in the drain: positions in the log, ascending.
    pub drained: Vec<usize>,
}

/// Transaction `n` takes place from `10 n + 1` to `10 n + 5` seconds.
#[derive(Debug, Clone)]
pub struct Txn {
    pub producer: u8,
    /// Values, and whether the producer was told where they stand.
    pub sends: Vec<(u64, bool)>,
    pub end: End,
}

/// What the producer asked for, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Committed,
    CommitUnknown,
    CommitRefused,
    Aborted,
    AbortUnknown,
    Never,
}

/// What stands in the log, offset by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    Record { producer: u8, value: u64 },
    Commit { producer: u8 },
    Abort { producer: u8 },
}

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Committed,
    Aborted,
    Open,
}

impl World {
    fn at(&self, value: u64) -> Option<usize> {
        let is = |entry: &Entry| matches!(entry, Entry::Record { value: v, .. } if *v == value);
        self.log.iter().position(is)
    }

    /// The next marker of its producer decides.
    fn became(&self, offset: usize) -> Option<Became> {
        let Entry::Record { producer: of, .. } = self.log[offset] else {
            return None;
        };
        let decides = |entry: &Entry| match entry {
            Entry::Commit { producer } if *producer == of => Some(Became::Committed),
            Entry::Abort { producer } if *producer == of => Some(Became::Aborted),
            _ => None,
        };
        let mut later = self.log[offset..].iter();
        Some(later.find_map(decides).unwrap_or(Became::Open))
    }

    /// In which transaction a record was sent.
    fn txn(&self, offset: usize) -> Option<usize> {
        let Entry::Record { value, .. } = self.log[offset] else {
            return None;
        };
        let sends = |txn: &Txn| txn.sends.iter().any(|(v, _)| *v == value);
        self.txns.iter().position(sends)
    }

    pub fn print(&self) -> String {
        let mut text = "topic t on n0,n1 by c1,c2 idempotent transactional
consumer c6 read-committed
consumer c7 read-committed
no drain
n0 said 0.500s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
"
        .to_owned();
        let log = self.print_log();
        for node in ["n0", "n1"] {
            writeln!(text, "{node} final t/0: {log}").unwrap();
        }
        let mut events: Vec<(u64, String)> = Vec::new();
        for (n, txn) in self.txns.iter().enumerate() {
            let from = 10_000 * n as u64;
            let client = format!("c{}", txn.producer);
            let mut say = |from: u64, line: String| {
                let at = format!("{}..{}", seconds(from), seconds(from + 100));
                events.push((from, format!("{client} {line} at {at}")));
            };
            say(from + 1_000, "begin".to_owned());
            for (i, (value, told)) in txn.sends.iter().enumerate() {
                let answer = match (self.at(*value), told) {
                    (Some(offset), true) => format!("@{offset}"),
                    _ => "? lost".to_owned(),
                };
                let line = format!("send t/0 v{value} -> {answer}");
                say(from + 2_000 + 200 * i as u64, line);
            }
            let end = match txn.end {
                End::Committed => "end commit",
                End::CommitUnknown => "end commit -> ? timed out",
                End::CommitRefused => "end commit -> ! fenced",
                End::Aborted => "end abort",
                End::AbortUnknown => "end abort -> ? timed out",
                End::Never => continue,
            };
            say(from + 4_000, end.to_owned());
        }
        for (offset, second) in &self.early {
            let line = self.poll("c6", &[*offset], 1_000 * second + 500);
            events.push((1_000 * second + 500, line));
        }
        events.sort();
        for (_, line) in events {
            writeln!(text, "{line}").unwrap();
        }
        let all: Vec<usize> = (0..self.log.len()).collect();
        let all = self.poll("c8", &all, 99_600);
        let drained = self.poll("c7", &self.drained, 99_700);
        writeln!(
            text,
            "phase settle at 99s\nphase drain at 99.5s\n{all}\n{drained}\nphase capture at 100s"
        )
        .unwrap();
        text
    }

    fn poll(&self, client: &str, offsets: &[usize], from: u64) -> String {
        let given = offsets.iter().filter_map(|&offset| match self.log[offset] {
            Entry::Record { value, .. } => Some(format!(" @{offset}=v{value}")),
            _ => None,
        });
        let given: String = given.collect();
        let given = match given.is_empty() {
            true => "nothing".to_owned(),
            false => format!("t/0{given} by n0"),
        };
        let at = format!("{}..{}", seconds(from), seconds(from + 50));
        format!("{client} poll -> {given} at {at}")
    }

    fn print_log(&self) -> String {
        let mut sequences = [0, 0, 0];
        let batches = self
            .log
            .iter()
            .enumerate()
            .map(|(offset, entry)| match entry {
                Entry::Record { producer, value } => {
                    let sequence = &mut sequences[usize::from(*producer)];
                    *sequence += 1;
                    format!(
                        "e0 @{offset} v{value} pid=7{producer}.0+{} txn",
                        *sequence - 1
                    )
                }
                Entry::Commit { producer } => format!("e0 @{offset} commit pid=7{producer}.0"),
                Entry::Abort { producer } => format!("e0 @{offset} abort pid=7{producer}.0"),
            });
        let mut all: Vec<String> = batches.collect();
        let aborted = self.index.iter();
        all.extend(aborted.map(|(pid, from, to)| format!("aborted 7{pid} @{from} @{to}")));
        all.join(" | ")
    }
}

/// A transaction stands otherwise than its producer was told, or in part.
fn torn(world: &World) -> bool {
    world.txns.iter().any(|txn| {
        let stands = txn.sends.iter().filter_map(|(value, told)| {
            let offset = world.at(*value)?;
            Some((world.became(offset)?, *told))
        });
        let stands: Vec<(Became, bool)> = stands.collect();
        let mut all = stands.iter();
        let committed = all.any(|(became, _)| *became == Became::Committed);
        // What its producer was not told of may be left out.
        let mut all = stands.iter();
        let not = all.any(|(became, told)| *became != Became::Committed && *told);
        match txn.end {
            End::Committed => not,
            End::CommitUnknown => committed && not,
            End::CommitRefused | End::Aborted | End::AbortUnknown | End::Never => committed,
        }
    })
}

/// A reader of committed data was given what is not, or what nobody had asked to commit yet.
fn given(world: &World) -> bool {
    let uncommitted = |offset: usize| {
        let became = world.became(offset);
        became.is_some_and(|became| became != Became::Committed)
    };
    let too_early = |offset: usize, second: u64| {
        let Some(txn) = world.txn(offset) else {
            return false;
        };
        world.txns[txn].end == End::Never || 1_000 * second + 550 < 10_000 * txn as u64 + 4_000
    };
    let mut early = world.early.iter();
    early.any(|(offset, second)| uncommitted(*offset) || too_early(*offset, *second))
        || world.drained.iter().any(|offset| uncommitted(*offset))
}

/// The drain went on beyond a committed record without giving it.
fn withheld(world: &World) -> bool {
    let records = world.drained.iter().copied();
    let furthest = records
        .filter(|offset| world.became(*offset).is_some())
        .max();
    (0..world.log.len()).any(|offset| {
        furthest.is_some_and(|furthest| offset < furthest)
            && world.became(offset) == Some(Became::Committed)
            && !world.drained.contains(&offset)
    })
}

/// The index lists other transactions than the log aborts.
fn index_wrong(world: &World) -> bool {
    let mut aborted: BTreeSet<(u8, usize, usize)> = BTreeSet::new();
    for (end, entry) in world.log.iter().enumerate() {
        let Entry::Abort { producer: of } = *entry else {
            continue;
        };
        let before = &world.log[..end];
        let ended = |entry: &Entry| match entry {
            Entry::Commit { producer } | Entry::Abort { producer } => *producer == of,
            Entry::Record { .. } => false,
        };
        let since = before.iter().rposition(ended).map_or(0, |at| at + 1);
        let own =
            |entry: &Entry| matches!(entry, Entry::Record { producer, .. } if *producer == of);
        if let Some(first) = before[since..].iter().position(own) {
            aborted.insert((of, since + first, end));
        }
    }
    aborted != world.index.iter().copied().collect()
}

/// Committed transactions are seen whole, aborted ones not at all.
fn broken(world: &World) -> bool {
    torn(world) || given(world) || withheld(world) || index_wrong(world)
}

/// How a transaction's end differs from what it should be.
#[derive(Debug, Clone, Copy)]
enum Twist {
    None,
    Other,
    Missing,
    /// Another marker after its first record.
    Within,
}

pub fn any_world() -> impl Strategy<Value = World> {
    let end = prop_oneof![
        6 => Just(End::Committed),
        3 => Just(End::CommitUnknown),
        1 => Just(End::CommitRefused),
        4 => Just(End::Aborted),
        1 => Just(End::AbortUnknown),
        1 => Just(End::Never),
    ];
    let twist = prop_oneof![
        20 => Just(Twist::None),
        1 => Just(Twist::Other),
        1 => Just(Twist::Missing),
        1 => Just(Twist::Within),
    ];
    let txn = (
        1u8..3,
        vec(
            (
                proptest::bool::weighted(0.9),
                proptest::bool::weighted(0.95),
            ),
            1..4,
        ),
        (end, any::<bool>()),
        twist,
    );
    let flaw = prop_oneof![10 => Just(0u8), 1 => 1u8..4];
    let early = vec((0usize..10, 0u64..40, 0u8..4), 0..3);
    (
        vec(txn, 0..4),
        any::<u32>(),
        flaw,
        early,
        (0u8..6, 0usize..10),
    )
        .prop_map(|(txns, merge, flaw, early, (drain, at))| {
            build(txns, merge, flaw, early, drain, at)
        })
}

type Drawn = (u8, Vec<(bool, bool)>, (End, bool), Twist);

fn build(
    drawn: Vec<Drawn>,
    merge: u32,
    flaw: u8,
    early: Vec<(usize, u64, u8)>,
    drain: u8,
    at: usize,
) -> World {
    let mut value = 0;
    let mut txns = Vec::new();
    // What each producer's part of the log is.
    let mut parts: [Vec<Entry>; 3] = Default::default();
    for (producer, sends, (end, luck), twist) in drawn {
        let mut commits = match end {
            End::Committed => true,
            End::CommitUnknown => luck,
            _ => false,
        };
        let marker = |commits: bool| match commits {
            true => Entry::Commit { producer },
            false => Entry::Abort { producer },
        };
        let part = &mut parts[usize::from(producer)];
        let mut sent = Vec::new();
        for (n, (stands, told)) in sends.into_iter().enumerate() {
            if stands {
                part.push(Entry::Record { producer, value });
            }
            if matches!(twist, Twist::Within) && n == 0 {
                part.push(marker(!commits));
            }
            sent.push((value, told));
            value += 1;
        }
        if matches!(twist, Twist::Other) {
            commits = !commits;
        }
        if !matches!(twist, Twist::Missing) {
            part.push(marker(commits));
        }
        txns.push(Txn {
            producer,
            sends: sent,
            end,
        });
    }
    let mut log = Vec::new();
    let [_, mut one, mut other] = parts.map(Vec::into_iter);
    for turn in 0..32 {
        let next = match merge >> turn & 1 {
            0 => one.next(),
            _ => other.next(),
        };
        log.extend(next);
    }
    log.extend(one.chain(other));
    let mut world = World {
        txns,
        log,
        index: Vec::new(),
        early: Vec::new(),
        drained: Vec::new(),
    };
    world.index = index_of(&world, flaw);
    let committed = |offset: &usize| world.became(*offset) == Some(Became::Committed);
    let mut drained: Vec<usize> = (0..world.log.len()).filter(committed).collect();
    match drain {
        0 if !drained.is_empty() => drop(drained.remove(at % drained.len())),
        1 => drained.truncate(at),
        2 if at < world.log.len() && !drained.contains(&at) => {
            drained.push(at);
            drained.sort();
        }
        _ => {}
    }
    // Mostly what is committed, and long after.
    let early = early
        .into_iter()
        .filter(|(offset, _, _)| *offset < world.log.len());
    world.early = early
        .map(|(offset, second, late)| (offset, if late > 0 { 50 + second } else { second }))
        .filter(|(offset, second)| *second < 50 || world.became(*offset) != Some(Became::Aborted))
        .collect();
    world.drained = drained;
    world
}

/// The index as it should be, but for a flaw.
fn index_of(world: &World, flaw: u8) -> Vec<(u8, usize, usize)> {
    let mut index = Vec::new();
    let mut open = [None; 3];
    for (offset, entry) in world.log.iter().enumerate() {
        match *entry {
            Entry::Record { producer, .. } => {
                open[usize::from(producer)].get_or_insert(offset);
            }
            Entry::Commit { producer } => open[usize::from(producer)] = None,
            Entry::Abort { producer } => {
                let first = open[usize::from(producer)].take();
                index.extend(first.map(|first| (producer, first, offset)));
            }
        }
    }
    match flaw {
        1 => drop(index.pop()),
        2 => index.extend(world.log.len().checked_sub(1).map(|last| (1, 0, last))),
        3 => index.iter_mut().take(1).for_each(|entry| entry.1 += 1),
        _ => {}
    }
    index.dedup();
    index
}

type Part = (&'static str, fn(&World) -> bool);

/// The parts of the rule: each must have been broken by itself.
const PARTS: &[Part] = &[
    ("torn", torn),
    ("given", given),
    ("withheld", withheld),
    ("index", index_wrong),
];

fn check(cases: u32) {
    let shares: Vec<_> = PARTS
        .iter()
        .map(|(name, _)| (*name, 10))
        .chain([("txn-atomicity", 100)])
        .collect();
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    compare(&judgement, "txn-atomicity", broken(world), seen)?;
    let broken: Vec<&str> = PARTS
        .iter()
        .filter(|(_, rule)| rule(world))
        .map(|(name, _)| *name)
        .collect();
    if let [alone] = broken[..] {
        *seen.borrow_mut().entry(alone.to_owned()).or_default() += 1;
    }
    Ok(())
}

#[test]
fn transactions_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn transactions_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
