//! Groups that read and commit in transactions, against their plainest reading: what comes again.

use std::fmt::Write;

use checkers::judgement::Verdict;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// Records of the log; `vN` stands at offset N.
const RECORDS: i64 = 4;

/// What two consumers of one group did, one after the other: turn `n` at `4 n + 2` seconds.
#[derive(Debug, Clone)]
pub struct World {
    turns: Vec<(u8, Turn)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Turn {
    /// A transaction: what was read in it, from and up to, and how it ended.
    Read(i64, i64, End),
    Sought(i64),
    Assigned,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Committed,
    Aborted,
    Unknown,
}

/// A delivery: of which turn, to whom, in a transaction that ended so.
#[derive(Debug, Clone, Copy)]
struct Given {
    turn: usize,
    to: u8,
    end: End,
}

impl World {
    pub fn print(&self) -> String {
        let mut text = "topic t on n0,n1 by c1 idempotent
group g of c5,c6 commit=transaction reset=earliest read-committed
n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
"
        .to_owned();
        let values: Vec<String> = (0..RECORDS).map(|n| format!("v{n}")).collect();
        for node in ["n0", "n1"] {
            writeln!(text, "{node} final t/0: e0 @0 {}", values.join(" ")).unwrap();
        }
        for n in 0..RECORDS {
            writeln!(text, "c1 send t/0 v{n} -> @{n} at 0.600s..0.700s").unwrap();
        }
        for (n, (client, turn)) in self.turns.iter().enumerate() {
            let at = |more: u64| seconds(2_000 + 4_000 * n as u64 + more);
            let span = |more| format!("{}..{}", at(more), at(more + 100));
            match turn {
                Turn::Sought(to) => writeln!(text, "c{client} seek t/0@{to} at {}", span(0)),
                Turn::Assigned => writeln!(text, "c{client} rebalance assigned t/0 at {}", at(0)),
                Turn::Read(from, to, end) => {
                    let given = (*from..*to).map(|offset| format!(" @{offset}=v{offset}"));
                    let given: String = given.collect();
                    let end = match end {
                        End::Committed => "commit",
                        End::Aborted => "abort",
                        End::Unknown => "commit -> ? lost",
                    };
                    writeln!(
                        text,
                        "c{client} begin at {}\nc{client} poll -> t/0{given} by n0 at {}\n\
                         c{client} commit t/0@{to} at {}\nc{client} end {end} at {}",
                        at(0),
                        span(500),
                        span(1_000),
                        span(1_500)
                    )
                }
            }
            .unwrap();
        }
        text
    }

    fn given(&self, offset: i64) -> Vec<Given> {
        let turns = self.turns.iter().enumerate();
        let given = turns.filter_map(|(turn, (to, it))| match *it {
            Turn::Read(from, until, end) if (from..until).contains(&offset) => {
                Some(Given { turn, to: *to, end })
            }
            _ => None,
        });
        given.collect()
    }
}

/// What a record's coming again means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Permitted,
    /// Somebody was not told how a transaction ended.
    Open,
    Broken,
}

/// A record of a transaction that was not aborted came again in another of those. Permitted where who
/// was given it next, in whatever transaction, had asked for it since.
fn again(world: &World) -> Found {
    let one = |offset: i64| {
        let given = world.given(offset);
        let counted = |it: &&Given| it.end != End::Aborted;
        let counts: Vec<&Given> = given.iter().filter(counted).collect();
        let pairs = counts.windows(2).map(|pair| {
            let (before, after) = (pair[0], pair[1]);
            let next = given.iter().find(|it| it.turn > before.turn);
            let next = next.expect("the second is one");
            let mut between = world.turns[before.turn..next.turn].iter();
            let asked = between.any(|(by, turn)| {
                *by == next.to && matches!(turn, Turn::Sought(to) if *to <= offset)
            });
            let sure = [before, after].iter().all(|it| it.end == End::Committed);
            match (asked, sure) {
                (true, _) => Found::Permitted,
                (false, true) => Found::Broken,
                (false, false) => Found::Open,
            }
        });
        pairs.max().unwrap_or(Found::Nothing)
    };
    (0..RECORDS).map(one).max().unwrap_or(Found::Nothing)
}

fn any_world() -> impl Strategy<Value = World> {
    // A consumer reads on where it stands, mostly.
    let turn = (0u8..10, 0i64..RECORDS, 1i64..4, 0u8..4);
    vec((5u8..7, turn), 0..7).prop_map(|drawn| {
        let mut positions = [0i64; 2];
        let mut turns = Vec::new();
        for (client, (what, offset, count, odd)) in drawn {
            let position = &mut positions[usize::from(client - 5)];
            let turn = match what {
                0..7 => {
                    let from = if odd == 0 { offset } else { *position };
                    let to = (from + count).min(RECORDS);
                    if from >= to {
                        continue;
                    }
                    let end = match (what, odd) {
                        (0 | 1, _) => End::Aborted,
                        (2, 3) => End::Unknown,
                        _ => End::Committed,
                    };
                    *position = to;
                    Turn::Read(from, to, end)
                }
                7 | 8 => {
                    *position = offset;
                    Turn::Sought(offset)
                }
                _ => Turn::Assigned,
            };
            turns.push((client, turn));
        }
        World { turns }
    })
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let rows = &judgement.topics[0].guarantees;
    let row = rows.iter().find(|row| row.name == "redelivered");
    let wanted = again(world);
    let found = match row.map(|row| &row.verdict) {
        Some(Verdict::Broken { .. }) => Found::Broken,
        Some(Verdict::NotPromised { observed, .. }) if *observed > 0 => Found::Permitted,
        Some(Verdict::Unproven { .. }) if wanted == Found::Open => Found::Open,
        _ => Found::Nothing,
    };
    *seen.borrow_mut().entry(format!("{wanted:?}")).or_default() += 1;
    prop_assert_eq!(found, wanted);
    Ok(())
}

fn check(cases: u32) {
    let shares = ["Nothing", "Permitted", "Open", "Broken"].map(|what| (what, 15));
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn groups_in_transactions_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "half a minute: make test-slow"]
fn groups_in_transactions_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
