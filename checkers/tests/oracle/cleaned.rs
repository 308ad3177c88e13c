//! Compacted topics with transactions and tombstones against their plainest reading: a record of an
//! aborted transaction may go, and replaces nothing; a tombstone replaces, and goes when it is old.

mod drawn;

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::judgement::{Class, Standing};
use proptest::prop_assert_eq;
use proptest::test_runner::TestCaseError;

use self::drawn::any_world;
use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// n0 leads e0; n1 leads e1 from the end of what was written, so that its log is the final one.
#[derive(Debug, Clone)]
pub struct World {
    /// Whether tombstones are old once the run ends.
    short_lived: bool,
    txns: Vec<Txn>,
    /// What was written, offset by offset.
    written: Vec<Entry>,
    /// What is left of it: of n0 and n1 at the end, and of n0 earlier.
    logs: [Vec<bool>; 2],
    earlier: Option<Vec<bool>>,
}

#[derive(Debug, Clone)]
struct Txn {
    producer: u8,
    end: End,
    /// Offsets, and whether the producer was told.
    records: Vec<(usize, bool)>,
}

/// What the producer asked for, and what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Committed,
    CommitUnknown,
    Aborted,
    AbortUnknown,
    Never,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Record {
        producer: u8,
        txn: usize,
        key: char,
    },
    Commit {
        producer: u8,
    },
    Abort {
        producer: u8,
    },
    /// Another program's.
    Tombstone {
        key: char,
    },
}

/// What became of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    Committed,
    Aborted,
    Unknown,
}

/// Where a log ends.
fn end(log: &[usize]) -> usize {
    log.last().map_or(0, |last| last + 1)
}

impl World {
    fn left(&self, kept: &[bool]) -> Vec<usize> {
        let all = 0..self.written.len();
        all.filter(|offset| kept.get(*offset) != Some(&false))
            .collect()
    }

    fn last(&self) -> Vec<usize> {
        self.left(&self.logs[1])
    }

    fn images(&self) -> Vec<Vec<usize>> {
        let all = self.logs.iter().chain(&self.earlier);
        all.map(|kept| self.left(kept)).collect()
    }

    fn key(&self, offset: usize) -> Option<char> {
        match self.written[offset] {
            Entry::Record { key, .. } | Entry::Tombstone { key } => Some(key),
            Entry::Commit { .. } | Entry::Abort { .. } => None,
        }
    }

    /// What a log says of a record that it holds: the next marker of its producer decides.
    fn says(&self, log: &[usize], offset: usize) -> Option<Became> {
        let Entry::Record { producer: of, .. } = self.written[offset] else {
            return None;
        };
        log.contains(&offset).then_some(())?;
        let mut later = log.iter().filter(|at| **at > offset);
        later.find_map(|at| match self.written[*at] {
            Entry::Commit { producer } if producer == of => Some(Became::Committed),
            Entry::Abort { producer } if producer == of => Some(Became::Aborted),
            _ => None,
        })
    }

    /// What is known of a transaction: what its producer was told, or what stands behind any record of it.
    fn became(&self, txn: usize) -> Became {
        let shown = || {
            let logs = self.images();
            let records = &self.txns[txn].records;
            let mut all = records.iter();
            all.find_map(|(offset, _)| logs.iter().find_map(|log| self.says(log, *offset)))
        };
        match self.txns[txn].end {
            End::Committed => Became::Committed,
            End::CommitUnknown => shown().unwrap_or(Became::Unknown),
            // What nobody asked to commit was not committed.
            End::Aborted | End::AbortUnknown | End::Never => Became::Aborted,
        }
    }

    fn shown(&self, offset: usize) -> bool {
        self.images().iter().any(|log| log.contains(&offset))
    }

    /// Whether the cleaner may have taken a record for the sake of what this log holds behind it.
    fn replaced(&self, log: &[usize], key: char, offset: usize) -> bool {
        let mut later = (offset + 1..self.written.len()).filter(|at| self.key(*at) == Some(key));
        later.any(|at| match self.written[at] {
            Entry::Record { txn, .. } => log.contains(&at) && self.became(txn) == Became::Committed,
            // It went in its turn.
            Entry::Tombstone { .. } => {
                log.contains(&at) || self.short_lived && self.shown(at) && at < end(log)
            }
            Entry::Commit { .. } | Entry::Abort { .. } => false,
        })
    }

    /// A record that is not in the final log: excused (nothing), or lost, and why.
    fn fate(&self, offset: usize) -> Option<(Class, Standing)> {
        let Entry::Record { txn, key, .. } = self.written[offset] else {
            return None;
        };
        let undetermined = Some((Class::Undetermined, Standing::Undetermined));
        let last = self.last();
        let became = self.became(txn);
        if became == Became::Aborted {
            return None;
        }
        // The cleaner never comes to the end of a log.
        if !last.iter().any(|at| *at > offset) {
            return Some((Class::Unexplained, Standing::Broken));
        }
        if !self.shown(offset) {
            return undetermined;
        }
        match self.replaced(&last, key, offset) {
            true => None,
            false if became == Became::Unknown => undetermined,
            false => Some((Class::Compaction, Standing::Broken)),
        }
    }

    /// What is peculiar about a record's absence, if anything.
    fn how(&self, offset: usize) -> Option<&'static str> {
        let Entry::Record { txn, key, .. } = self.written[offset] else {
            return None;
        };
        let (last, became) = (self.last(), self.became(txn));
        let stands = |at: &&usize| **at > offset && self.key(**at) == Some(key);
        let stands = last.iter().any(|at| stands(&at));
        match self.fate(offset) {
            None if became == Became::Aborted && self.txns[txn].end == End::CommitUnknown => {
                Some("aborted by a marker")
            }
            None if became != Became::Aborted && !stands => Some("behind it an old tombstone"),
            Some((Class::Undetermined, _)) if self.shown(offset) => Some("end unknown"),
            Some((Class::Compaction, _)) if stands => Some("only an aborted one behind"),
            _ => None,
        }
    }

    fn records(&self) -> impl Iterator<Item = (usize, bool)> {
        self.txns.iter().flat_map(|txn| txn.records.iter().copied())
    }

    /// What was acknowledged and is not in the final log.
    fn absent(&self) -> Vec<usize> {
        let last = self.last();
        let told = self.records().filter(|(_, told)| *told);
        told.map(|(offset, _)| offset)
            .filter(|offset| !last.contains(offset))
            .collect()
    }

    /// Lost of what was acknowledged, or what a log shows: all of it was committed.
    fn gone(&self) -> Vec<(usize, Class)> {
        let last = self.last();
        let committed = self
            .records()
            .filter(|(offset, told)| (*told || self.shown(*offset)) && !last.contains(offset));
        committed
            .filter_map(|(offset, _)| Some((offset, self.fate(offset)?.0)))
            .collect()
    }

    /// Where one of two logs lacks, below an offset, what nothing in it makes superfluous: from the
    /// first such place to behind the last, and why.
    fn differ(&self, one: &[usize], other: &[usize], to: usize) -> Option<(usize, usize, Class)> {
        let lacks = |log: &[usize], at: usize| match self.written[at] {
            Entry::Record { txn, key, .. } => {
                // How it ended may not be known: then it may have gone.
                self.became(txn) == Became::Committed && !self.replaced(log, key, at)
            }
            Entry::Tombstone { key } => {
                let old = self.short_lived && at < end(log);
                !old && !self.replaced(log, key, at)
            }
            Entry::Commit { .. } | Entry::Abort { .. } => false,
        };
        let differ = |at: &usize| match (one.contains(at), other.contains(at)) {
            (true, false) => lacks(other, *at),
            (false, true) => lacks(one, *at),
            _ => false,
        };
        let places: Vec<usize> = (0..to).filter(differ).collect();
        let (from, to) = (*places.first()?, places.last()? + 1);
        Some((from, to, self.blame(from, to)))
    }

    /// The cleaner, where it took all that is gone from there.
    fn blame(&self, from: usize, to: usize) -> Class {
        let gone = self.gone().into_iter();
        let gone: Vec<Class> = gone
            .filter(|(offset, _)| (from..to).contains(offset))
            .map(|(_, class)| class)
            .collect();
        match !gone.is_empty() && gone.iter().all(|class| *class == Class::Compaction) {
            true => Class::Compaction,
            false => Class::Unexplained,
        }
    }

    fn divergence(&self) -> Option<(usize, usize, Class)> {
        let [one, other] = self.logs.each_ref().map(|kept| self.left(kept));
        self.differ(&one, &other, end(&one).min(end(&other)))
    }

    /// Where images differ from the final log, of each that does.
    fn prefix_broken(&self) -> Vec<(usize, usize, Class)> {
        let last = self.last();
        let before = self.logs.iter().take(1).chain(&self.earlier);
        let before = before.map(|kept| self.left(kept));
        let broken = before.filter_map(|log| self.differ(&log, &last, end(&log)));
        let mut broken: Vec<_> = broken.collect();
        broken.sort();
        broken
    }

    fn log(&self, kept: &[bool]) -> String {
        let mut sequences = [0; 3];
        let mut batches = Vec::new();
        let left = self.left(kept);
        for (offset, entry) in self.written.iter().enumerate() {
            let text = match entry {
                Entry::Record { producer, key, .. } => {
                    let sequence = &mut sequences[usize::from(*producer)];
                    *sequence += 1;
                    format!(
                        "v{offset} key={key} pid=7{producer}.0+{} txn",
                        *sequence - 1
                    )
                }
                Entry::Commit { producer } => format!("commit pid=7{producer}.0"),
                Entry::Abort { producer } => format!("abort pid=7{producer}.0"),
                Entry::Tombstone { key } => format!("null key={key}"),
            };
            if left.contains(&offset) {
                batches.push(format!("e0 @{offset} {text}"));
            }
        }
        batches.join(" | ")
    }

    fn print(&self) -> String {
        let retention = if self.short_lived {
            " delete.retention.ms=1000"
        } else {
            ""
        };
        let mut text = format!(
            "topic t on n0,n1 by c1,c2 acks=all idempotent transactional cleanup.policy=compact{retention}
n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n0 said 0.4s state t/0 e0 isr n0,n1 version 1
"
        );
        for (n, txn) in self.txns.iter().enumerate() {
            let mut at = 1_000 + 200 * n as u64;
            let mut say = |line: &str| {
                at += 10;
                let (from, to) = (seconds(at), seconds(at + 5));
                writeln!(text, "c{} {line} at {from}..{to}", txn.producer).unwrap();
            };
            say("begin");
            for (offset, told) in &txn.records {
                let answer = match told {
                    true => format!("@{offset} by n0"),
                    false => "? timed out".to_owned(),
                };
                say(&format!("send t/0 v{offset} -> {answer}"));
            }
            match txn.end {
                End::Committed => say("end commit"),
                End::CommitUnknown => say("end commit -> ? timed out"),
                End::Aborted => say("end abort"),
                End::AbortUnknown => say("end abort -> ? timed out"),
                End::Never => {}
            }
        }
        let end = self.written.len();
        if let Some(earlier) = &self.earlier {
            writeln!(text, "n0 before-f1 3.0s t/0: {}", self.log(earlier)).unwrap();
        }
        write!(
            text,
            "n0 leader-hw t/0 e0 @{end} at 2.9s
n0 said 4.9s state t/0 e1 isr n0,n1 version 2
n1 said 5.0s leader t/0 e1 from @{end} hw @{end} isr n0,n1 was e0
n0 said 5.0s follower t/0 e1 from @{end} hw @{end} was e0
n0 final t/0: {}
n1 final t/0: {}
",
            self.log(&self.logs[0]),
            self.log(&self.logs[1])
        )
        .unwrap();
        text
    }
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let found = crate::lost(&judgement);
    let mut wanted: BTreeMap<(Class, Standing), u64> = BTreeMap::new();
    let mut excused = 0;
    let note = |name: &str, there: bool| {
        *seen.borrow_mut().entry(name.to_owned()).or_default() += u32::from(there);
    };
    for offset in world.absent() {
        if let Some(how) = world.how(offset) {
            note(how, true);
        }
        match world.fate(offset) {
            Some(why) => *wanted.entry(why).or_default() += 1,
            None => excused += 1,
        }
    }
    for (class, _) in wanted.keys() {
        note(&format!("{class:?}"), true);
    }
    note("excused", excused > 0);
    note("committed-lost", !world.gone().is_empty());
    prop_assert_eq!(found, wanted);
    let row = &judgement.topics[0].accounting.acknowledged;
    prop_assert_eq!(row.superseded, excused, "{:?}", row);
    let lost = world.gone().len() as u64;
    prop_assert_eq!(crate::seen(&judgement, "t", "committed-lost"), lost);
    let told = |name: &str| {
        let all = judgement
            .findings
            .iter()
            .filter(|one| one.guarantee == name);
        let mut all: Vec<(usize, usize, Class)> = all
            .map(|one| {
                let range = one.offsets.expect("where they differ");
                (range.from as usize, range.to as usize, one.class)
            })
            .collect();
        all.sort();
        all
    };
    for (name, wanted) in [
        (
            "divergence-below-hw",
            world.divergence().into_iter().collect(),
        ),
        ("committed-prefix", world.prefix_broken()),
    ] {
        for (_, _, class) in &wanted {
            note(&format!("{name} {class:?}"), true);
        }
        prop_assert_eq!(told(name), wanted, "{}", name);
    }
    Ok(())
}

fn check(cases: u32) {
    let shares = [
        ("Compaction", 100),
        ("Undetermined", 30),
        ("end unknown", 3),
        ("aborted by a marker", 20),
        ("only an aborted one behind", 20),
        ("behind it an old tombstone", 5),
        ("Unexplained", 10),
        ("excused", 100),
        ("committed-lost", 50),
        ("divergence-below-hw Compaction", 20),
        ("divergence-below-hw Unexplained", 20),
        ("committed-prefix Compaction", 20),
        ("committed-prefix Unexplained", 20),
    ];
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn cleaned_logs_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn cleaned_logs_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
