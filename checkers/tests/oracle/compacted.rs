//! Compacted topics against their plainest reading: a record is replaced where its own log holds a
//! later one of its key, and gone where it does not.

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::judgement::{Class, Standing};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// n0 leads e0; n1 leads e1 from the end of what was sent, so that its log is the final one.
#[derive(Debug, Clone)]
pub struct World {
    compact: bool,
    records: Vec<Sent>,
    /// What is left of the logs of n0 and n1, and of an image of before.
    logs: [Vec<bool>; 2],
    earlier: Option<Vec<bool>>,
}

#[derive(Debug, Clone)]
struct Sent {
    key: char,
    acked: bool,
}

impl World {
    /// Offsets that are left.
    fn left(&self, kept: &[bool]) -> Vec<i64> {
        let all = 0..self.records.len() as i64;
        all.filter(|offset| kept.get(*offset as usize) != Some(&false))
            .collect()
    }

    fn key(&self, offset: i64) -> char {
        self.records[offset as usize].key
    }

    fn log(&self, kept: &[bool]) -> String {
        let batch = |offset: i64| format!("e0 @{offset} v{offset} key={}", self.key(offset));
        let batches: Vec<String> = self.left(kept).into_iter().map(batch).collect();
        batches.join(" | ")
    }

    fn print(&self) -> String {
        let policy = if self.compact { "compact" } else { "delete" };
        let mut text = format!("topic t on n0,n1 by c1 acks=all cleanup.policy={policy}\n");
        for (sent, offset) in self.records.iter().zip(0..) {
            let at = seconds(1_000 + 10 * offset);
            let answer = match sent.acked {
                true => format!("@{offset} by n0"),
                false => "? timed out".to_owned(),
            };
            writeln!(text, "c1 send t/0 v{offset} -> {answer} at {at}..{at}").unwrap();
        }
        let end = self.records.len();
        text.push_str(
            "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n0 said 0.4s state t/0 e0 isr n0,n1 version 1
",
        );
        if let Some(earlier) = &self.earlier {
            writeln!(text, "n0 before-f1 3.0s t/0: {}", self.log(earlier)).unwrap();
        }
        write!(
            text,
            "n0 said 4.9s state t/0 e1 isr n0,n1 version 2
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

    /// Whether anybody's log shows the record, and with it its key.
    fn shown(&self, offset: i64) -> bool {
        let logs = self.logs.iter().chain(&self.earlier);
        logs.into_iter().any(|log| self.left(log).contains(&offset))
    }

    /// Later records of the final log, and those of its key among them.
    fn later(&self, offset: i64) -> (usize, usize) {
        let left = self.left(&self.logs[1]);
        let later = left.iter().filter(|at| **at > offset);
        let same = later
            .clone()
            .filter(|at| self.key(**at) == self.key(offset));
        (later.clone().count(), same.count())
    }

    /// A record that is not in the final log: replaced (nothing), or lost, and why.
    fn fate(&self, offset: i64) -> Option<(Class, Standing)> {
        let unexplained = Some((Class::Unexplained, Standing::Broken));
        let (later, same) = self.later(offset);
        if !self.compact || later == 0 {
            // Nothing was to be replaced, or nothing came after it that could have.
            return unexplained;
        }
        match self.shown(offset) {
            true if same > 0 => None,
            true => Some((Class::Compaction, Standing::Broken)),
            false => Some((Class::Undetermined, Standing::Undetermined)),
        }
    }

    /// What was acknowledged and is not in the final log.
    fn absent(&self) -> impl Iterator<Item = i64> {
        let left = self.left(&self.logs[1]);
        let all = self.records.iter().zip(0..);
        all.filter(move |(sent, offset)| sent.acked && !left.contains(offset))
            .map(|(_, offset)| offset)
    }

    /// What was acknowledged and is lost; and what nobody was told of and a log shows, if something
    /// stands behind it: that, consumers are given in the end.
    fn committed_lost(&self) -> u64 {
        let left = self.left(&self.logs[1]);
        let behind = left.last();
        let all = self.records.iter().zip(0..);
        let lost = all.filter(|(sent, offset)| {
            let committed =
                sent.acked || self.shown(*offset) && behind.is_some_and(|behind| offset < behind);
            committed && !left.contains(offset) && self.fate(*offset).is_some()
        });
        lost.count() as u64
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let key = prop_oneof![3 => Just('a'), 2 => Just('b'), 1 => Just('c')];
    let sent = (key, proptest::bool::weighted(0.8)).prop_map(|(key, acked)| Sent { key, acked });
    let log = || vec(proptest::bool::weighted(0.7), 0..7);
    let earlier = option::weighted(0.6, vec(proptest::bool::weighted(0.9), 0..7));
    let compact = proptest::bool::weighted(0.85);
    (compact, vec(sent, 1..7), log(), log(), earlier).prop_map(
        |(compact, records, n0, n1, earlier)| World {
            compact,
            records,
            logs: [n0, n1],
            earlier,
        },
    )
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let found = crate::lost(&judgement);
    let mut wanted: BTreeMap<(Class, Standing), u64> = BTreeMap::new();
    let mut replaced = 0;
    for offset in world.absent() {
        match world.fate(offset) {
            Some(why) => *wanted.entry(why).or_default() += 1,
            None => replaced += 1,
        }
    }
    let note = |name: &str, there: bool| {
        *seen.borrow_mut().entry(name.to_owned()).or_default() += u32::from(there);
    };
    for (class, _) in wanted.keys() {
        note(&format!("{class:?}"), true);
    }
    note("replaced", replaced > 0);
    note("committed-lost", world.committed_lost() > 0);
    prop_assert_eq!(found, wanted);
    let row = &judgement.topics[0].accounting.acknowledged;
    prop_assert_eq!(row.superseded, replaced, "{:?}", row);
    prop_assert_eq!(
        crate::seen(&judgement, "t", "committed-lost"),
        world.committed_lost()
    );
    Ok(())
}

fn check(cases: u32) {
    let shares = [
        ("Compaction", 100),
        ("Undetermined", 10),
        ("Unexplained", 100),
        ("replaced", 100),
        ("committed-lost", 50),
    ];
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn compacted_logs_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn compacted_logs_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
