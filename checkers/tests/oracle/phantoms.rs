//! Records that nobody sent, or damaged, against their plainest reading: wherever one stands or is
//! given, unless files of ours were damaged there.

use std::collections::BTreeSet;
use std::fmt::Write;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, compare, judge_any, scene};

/// What stands at an offset, or is given from there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Ours,
    Foreign,
    Corrupt,
}

impl What {
    fn word(self, offset: i64) -> String {
        match self {
            Self::Ours => format!("v{offset}"),
            Self::Foreign => "foreign".to_owned(),
            Self::Corrupt => "corrupt".to_owned(),
        }
    }
}

/// n0 leads `t/0`; batches of one record.
#[derive(Debug, Clone)]
pub struct World {
    /// The logs of n0 and n1.
    logs: [Vec<What>; 2],
    /// Offset, what was given, by whom, when.
    given: Vec<(i64, What, Option<u8>, u64)>,
    /// Whose files were damaged, from which offset on, when.
    damaged: Option<(u8, i64, u64)>,
}

impl World {
    fn print(&self) -> String {
        let mut text = "topic t on n0,n1 by c1 acks=all\n".to_owned();
        for offset in 0..4 {
            let at = seconds(1_000 + offset);
            writeln!(text, "c1 send t/0 v{offset} -> ? timed out at {at}..{at}").unwrap();
        }
        text.push_str("n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none\n");
        let mut given = self.given.clone();
        given.sort_by_key(|(.., at)| *at);
        let mut events: Vec<(u64, String)> = Vec::new();
        for (offset, what, by, at) in given {
            let by = by.map_or(String::new(), |by| format!(" by n{by}"));
            let what = what.word(offset);
            let when = seconds(at);
            events.push((
                at,
                format!("c5 poll -> t/0 @{offset}={what}{by} at {when}..{when}"),
            ));
        }
        if let Some((node, from, at)) = self.damaged {
            let when = seconds(at);
            events.push((
                at,
                format!("harm t/0 n{node} damaged from @{from} at {when}"),
            ));
        }
        events.sort();
        for (_, line) in events {
            writeln!(text, "{line}").unwrap();
        }
        for (node, log) in self.logs.iter().enumerate() {
            let batches: Vec<String> = log
                .iter()
                .zip(0..)
                .map(|(what, offset)| format!("e0 @{offset} {}", what.word(offset)))
                .collect();
            writeln!(text, "n{node} final t/0: {}", batches.join(" | ")).unwrap();
        }
        text
    }

    /// Every sight of a record that is not ours: where, and whether damage of ours explains it.
    fn odd(&self) -> Vec<(i64, bool)> {
        let mut odd = Vec::new();
        for (node, log) in self.logs.iter().enumerate() {
            for (what, offset) in log.iter().zip(0..) {
                let ours = self
                    .damaged
                    .is_some_and(|(of, from, _)| usize::from(of) == node && offset >= from);
                if *what != What::Ours {
                    odd.push((offset, ours));
                }
            }
        }
        // The drain is given the leader's log, by nobody who is named.
        let drain = self.logs[0].iter().zip(0..);
        let drain = drain.map(|(what, offset)| (offset, *what, None, 99_900));
        for (offset, what, by, when) in self.given.iter().copied().chain(drain) {
            let ours = self.damaged.is_some_and(|(of, from, at)| {
                at <= when && offset >= from && by.is_none_or(|by| by == of)
            });
            if what != What::Ours {
                odd.push((offset, ours));
            }
        }
        odd
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let what = || {
        prop_oneof![
            12 => Just(What::Ours),
            1 => Just(What::Foreign),
            1 => Just(What::Corrupt),
        ]
    };
    let log = || vec(what(), 0..4);
    let by = option::of(0u8..2);
    let given = vec((0i64..4, what(), by, 1_001u64..4_000), 0..4);
    let damaged = option::of((0u8..2, 0i64..4, 1_500u64..4_000));
    let same = proptest::bool::weighted(0.5);
    (log(), log(), same, given, damaged).prop_map(|(n0, n1, same, given, damaged)| World {
        logs: [n0.clone(), if same { n0 } else { n1 }],
        // Even moments for what is given, odd ones for what is damaged.
        given: given
            .into_iter()
            .map(|(offset, what, by, at)| (offset, what, by, at / 2 * 2))
            .collect(),
        damaged: damaged.map(|(node, from, at)| (node, from, at | 1)),
    })
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let odd = world.odd();
    let offsets = |explained: bool| -> u64 {
        let some = odd.iter().filter(|(_, ours)| *ours == explained);
        some.map(|(at, _)| *at).collect::<BTreeSet<_>>().len() as u64
    };
    compare(&judgement, "phantom", !odd.is_empty(), seen)?;
    let rows = &judgement.topics[0].guarantees;
    let row = rows
        .iter()
        .find(|row| row.name == "phantom")
        .expect("a row");
    let (kind, observed, _) = crate::row(&row.verdict);
    let found = (kind == "broken", observed);
    let wanted = (offsets(false) > 0, offsets(false) + offsets(true));
    if wanted.0 {
        *seen.borrow_mut().entry("nobody's".to_owned()).or_default() += 1;
    } else if wanted.1 > 0 {
        *seen.borrow_mut().entry("damage".to_owned()).or_default() += 1;
    }
    prop_assert_eq!(found, wanted, "{:?}", row.verdict);
    Ok(())
}

fn check(cases: u32) {
    let rules = [("phantom", 300), ("nobody's", 200), ("damage", 20)];
    judge_any(cases, any_world(), World::print, agrees, &rules);
}

#[test]
fn records_that_nobody_sent_are_those_of_the_obvious_reading() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn records_that_nobody_sent_are_those_of_the_obvious_reading_a_hundred_thousand_times() {
    check(100_000);
}
