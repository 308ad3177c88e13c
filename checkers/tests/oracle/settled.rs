//! What is asked once the load has ended, against its plainest reading: the high watermark has come
//! as far as everybody in sync, and the cluster has recovered. And what stands in the logs against
//! what was sent.

use std::collections::BTreeSet;
use std::fmt::Write;

use checkers::judge;
use checkers::judgement::{Judgement, Verdict};
use history::{Event, Outcome, Reply};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{seconds, sends};
use crate::{CASES, Seen, compare, judge_any, scene};

/// The time for settling is over; milliseconds.
const OVER: u64 = 99_500;

/// n0 leads `t/0` of three replicas, and every log holds the same number of records.
#[derive(Debug, Clone)]
pub struct World {
    records: i64,
    /// How many of them the drain is given.
    drained: i64,
    /// What was seen, one after the other, each in 20 ms of its own, the middle one when the time
    /// for settling ran out.
    seen: Vec<Sight>,
    /// Replicas of which a broker died, and whether it was started again.
    died: Vec<(u8, bool)>,
}

#[derive(Debug, Clone)]
enum Sight {
    /// Who is in sync, as ZooKeeper has it, or a broker.
    Set(Option<u8>, BTreeSet<u8>),
    End(u8, i64),
    Watermark(u8, i64),
}

impl World {
    /// When a sight was asked for and answered.
    fn when(&self, nth: usize) -> (u64, u64) {
        let from = OVER - 20 * (self.seen.len() as u64 / 2) + 20 * nth as u64 - 5;
        (from, from + 10)
    }

    fn print(&self) -> String {
        let mut text = "topic t on n0,n1,n2 by c1 acks=all\nno watch\n".to_owned();
        text += &sends(self.records as u64, 1);
        text.push_str("n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none\n");
        for (nth, (node, again)) in self.died.iter().enumerate() {
            let at = 50_000 + 100 * nth as u64;
            writeln!(text, "n{node} broker died at {}", seconds(at)).unwrap();
            if *again {
                writeln!(text, "n{node} broker started 9 at {}", seconds(at + 50)).unwrap();
            }
        }
        for (nth, sight) in self.seen.iter().enumerate() {
            let (from, to) = self.when(nth);
            let at = format!("at {}..{}", seconds(from), seconds(to));
            let line = match sight {
                Sight::Set(by, set) => {
                    let set: Vec<String> = set.iter().map(|node| format!("n{node}")).collect();
                    let set = set.join(",");
                    match by {
                        Some(by) => format!("n{by} believes t/0 leader n0 e0 isr {{{set}}} {at}"),
                        None => format!("n0 zk t/0 leader n0 e0 isr {{{set}}} version 4 {at}"),
                    }
                }
                Sight::End(node, end) => format!("n{node} leo t/0 @{end} {at}"),
                Sight::Watermark(node, hw) => format!("n{node} marks t/0 hw @{hw} {at}"),
            };
            writeln!(text, "{line}").unwrap();
        }
        let values: Vec<String> = (0..self.records).map(|value| format!("v{value}")).collect();
        for node in 0..3 {
            match self.records {
                0 => writeln!(text, "n{node} final t/0:").unwrap(),
                _ => writeln!(text, "n{node} final t/0: e0 @0 {}", values.join(" ")).unwrap(),
            }
        }
        text
    }

    /// Judges it, with a drain that ends early.
    fn judged(&self) -> Judgement {
        let keep = usize::try_from(self.drained).expect("a count");
        judge(&scene::edited(&self.print(), |events| {
            for event in events {
                if let Event::Returned {
                    reply: Reply::Polled(Outcome::Ok(given)),
                    ..
                } = event
                {
                    given.truncate(keep);
                }
            }
        }))
    }

    /// Who was in sync to the last, by the leader's word or ZooKeeper's.
    fn last_set(&self) -> Option<&BTreeSet<u8>> {
        let mut sets = self.seen.iter().filter_map(|sight| match sight {
            Sight::Set(None | Some(0), set) => Some(set),
            _ => None,
        });
        sets.next_back()
    }

    /// The leader's last high watermark that was asked for when the time was over.
    fn last_watermark(&self) -> Option<i64> {
        let late = self.seen.iter().enumerate();
        let mut marks = late.filter_map(|(nth, sight)| match sight {
            Sight::Watermark(0, hw) if self.when(nth).0 >= OVER => Some(*hw),
            _ => None,
        });
        marks.next_back()
    }

    /// What a replica had said that it holds when the time was over.
    fn end_of(&self, node: u8) -> Option<i64> {
        let early = self.seen.iter().enumerate();
        let mut ends = early.filter_map(|(nth, sight)| match sight {
            Sight::End(of, end) if *of == node && self.when(nth).1 <= OVER => Some(*end),
            _ => None,
        });
        ends.next_back()
    }
}

/// The high watermark does not reach what every member of the in-sync set holds.
fn hw_stalled(world: &World) -> bool {
    let Some((hw, set)) = world.last_watermark().zip(world.last_set()) else {
        return false;
    };
    let held = |node: &u8| world.end_of(*node).is_some_and(|end| end > hw);
    set.contains(&0) && set.iter().all(held)
}

/// A broker is missing, a replica is not in sync, or the high watermark is not at the log's end.
fn not_recovered(world: &World) -> bool {
    let gone = |node: u8| {
        let mut last = world.died.iter().rev().filter(|(of, _)| *of == node);
        last.next().is_some_and(|(_, again)| !again)
    };
    (0..3).any(gone)
        || world.last_set().is_some_and(|set| set.len() < 3)
        || world.last_watermark().is_some_and(|hw| hw < world.records)
}

/// Consumers were not given everything; that may be for want of time only.
fn behind(world: &World) -> bool {
    world.drained < world.records
}

fn any_world() -> impl Strategy<Value = World> {
    let set = prop_oneof![
        2 => Just(BTreeSet::from([0, 1, 2])),
        1 => btree_set(0u8..3, 1..4),
    ];
    let by = prop_oneof![Just(None), Just(Some(0u8)), Just(Some(1))];
    let sight = prop_oneof![
        2 => (by, set).prop_map(|(by, set)| Sight::Set(by, set)),
        4 => (0u8..3, 0i64..5).prop_map(|(node, end)| Sight::End(node, end)),
        2 => (0u8..2, 0i64..4).prop_map(|(node, hw)| Sight::Watermark(node, hw)),
    ];
    let drained = prop_oneof![3 => Just(9i64), 1 => 0i64..4];
    let died = vec((0u8..3, proptest::bool::weighted(0.7)), 0..3);
    let told = any::<bool>();
    let all = (0i64..5, drained, vec(sight, 0..12), died, told);
    all.prop_map(|(records, drained, mut seen, died, told)| {
        if told {
            // Everybody had it all, and was in sync, so far as anybody says nothing else.
            let whole = Sight::Set(None, BTreeSet::from([0, 1, 2]));
            let ends = (0..3).map(|node| Sight::End(node, records));
            seen.splice(0..0, ends.chain([whole]));
        }
        World {
            records,
            drained: drained.min(records),
            seen,
            died,
        }
    })
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = world.judged();
    compare(&judgement, "hw-stalled", hw_stalled(world), seen)?;
    let wanted = not_recovered(world) || behind(world);
    compare(&judgement, "stuck", wanted, seen)?;
    // Who was given nothing at all was not cut short.
    let sure = not_recovered(world) || (behind(world) && world.drained == 0);
    let rows = &judgement.topics[0].guarantees;
    let row = rows.iter().find(|row| row.name == "stuck").expect("a row");
    let broken = matches!(row.verdict, Verdict::Broken { .. });
    prop_assert_eq!(broken, sure, "{:?}", row.verdict);
    Ok(())
}

fn check(cases: u32) {
    let rules = [("hw-stalled", 20), ("stuck", 300)];
    judge_any(cases, any_world(), World::print, agrees, &rules);
}

#[test]
fn a_settled_cluster_is_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn a_settled_cluster_is_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
