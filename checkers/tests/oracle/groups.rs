//! Groups of consumers against their plainest reading: what comes again, what is skipped, and
//! committed offsets that go back.

use std::fmt::Write;

use checkers::judgement::Verdict;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// Records of the log; `vN` stands at offset N.
const RECORDS: i64 = 6;

/// What two consumers of one group did, one after the other: step `n` at `2 n + 2` seconds.
#[derive(Debug, Clone)]
pub struct World {
    mode: Mode,
    steps: Vec<(Client, Step)>,
}

type Client = u8;

/// When a group commits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    After,
    Before,
    Auto,
    AutoAsync,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Polled(Vec<i64>),
    Committed(i64),
    /// Of unknown outcome, or refused.
    Tried(i64, bool),
    Sought(i64),
    Assigned,
    Revoked,
    Subscribed,
}

impl World {
    pub fn print(&self) -> String {
        let mode = match self.mode {
            Mode::After => "after",
            Mode::Before => "before",
            Mode::Auto => "auto",
            Mode::AutoAsync => "auto-async",
        };
        let mut text = format!(
            "topic t on n0,n1 by c1 idempotent
group g of c5,c6 commit={mode} reset=earliest
n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
"
        );
        let values: Vec<String> = (0..RECORDS).map(|n| format!("v{n}")).collect();
        for node in ["n0", "n1"] {
            writeln!(text, "{node} final t/0: e0 @0 {}", values.join(" ")).unwrap();
        }
        for n in 0..RECORDS {
            writeln!(text, "c1 send t/0 v{n} -> @{n} at 0.600s..0.700s").unwrap();
        }
        writeln!(
            text,
            "c5 subscribe t at 0.8s..0.9s\nc5 rebalance assigned t/0 at 0.9s"
        )
        .unwrap();
        for (n, (client, step)) in self.steps.iter().enumerate() {
            let from = 2_000 + 2_000 * n as u64;
            let call = match step {
                Step::Polled(offsets) => {
                    let given = offsets.iter().map(|offset| format!(" @{offset}=v{offset}"));
                    format!("poll -> t/0{} by n0", given.collect::<String>())
                }
                Step::Committed(offset) => format!("commit t/0@{offset}"),
                Step::Tried(offset, false) => format!("commit t/0@{offset} -> ? lost"),
                Step::Tried(offset, true) => format!("commit t/0@{offset} -> ! fenced"),
                Step::Sought(offset) => format!("seek t/0@{offset}"),
                Step::Subscribed => "subscribe t".to_owned(),
                Step::Assigned => "rebalance assigned t/0".to_owned(),
                Step::Revoked => "rebalance revoked t/0".to_owned(),
            };
            let to = match step {
                Step::Assigned | Step::Revoked => String::new(),
                _ => format!("..{}", seconds(from + 100)),
            };
            writeln!(text, "c{client} {call} at {}{to}", seconds(from)).unwrap();
        }
        text
    }

    /// Deliveries in order: step, consumer, offset.
    fn given(&self) -> Vec<(usize, Client, i64)> {
        let mut all = Vec::new();
        for (n, (client, step)) in self.steps.iter().enumerate() {
            if let Step::Polled(offsets) = step {
                all.extend(offsets.iter().map(|offset| (n, *client, *offset)));
            }
        }
        all
    }

    /// Whether such a step was taken between two others.
    fn between(&self, from: usize, to: usize, is: impl Fn(Client, &Step) -> bool) -> bool {
        let mut steps = self.steps[from..to].iter();
        steps.any(|(client, step)| is(*client, step))
    }

    fn commits(&self) -> Vec<(usize, i64)> {
        let steps = self.steps.iter().enumerate();
        let ok = steps.filter_map(|(n, (_, step))| match step {
            Step::Committed(offset) => Some((n, *offset)),
            _ => None,
        });
        ok.collect()
    }
}

/// What the rule book says of what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Nothing,
    Permitted,
    Broken,
}

/// A record was given to the group again. Permitted after a rebalance or by another consumer, but
/// not where commits come first and one covers it; and where its consumer asked for it.
fn redelivered(world: &World) -> Found {
    let given = world.given();
    let again = given
        .iter()
        .enumerate()
        .map(|(place, &(now, client, offset))| {
            let before = given[..place].iter().rfind(|(_, _, o)| *o == offset);
            let Some(&(then, to, _)) = before else {
                return Found::Nothing;
            };
            let asked = world.between(then, now, |by, step| {
                by == client && matches!(step, Step::Sought(to) if *to <= offset)
            });
            let joined = to != client
                || world.between(then, now, |_, step| {
                    matches!(step, Step::Assigned | Step::Revoked | Step::Subscribed)
                });
            let commits = world.commits();
            let covered = commits.iter().any(|(n, to)| *n < now && *to > offset);
            let permitted = match world.mode {
                Mode::AutoAsync => true,
                Mode::After | Mode::Auto => joined || asked,
                Mode::Before => asked || !covered,
            };
            match permitted {
                true => Found::Permitted,
                false => Found::Broken,
            }
        });
    again.max().unwrap_or(Found::Nothing)
}

/// A record below the group's furthest position was given to nobody of it.
fn skipped(world: &World) -> Found {
    let given = world.given();
    let reached = given.iter().map(|(_, _, offset)| *offset);
    let committed = world.commits().into_iter().map(|(_, offset)| offset);
    let furthest = reached.chain(committed).max().unwrap_or(0);
    // Whoever seeks before anything was given begins at the least that it sought, or lower if somebody
    // then was given less.
    let least = given.iter().map(|(_, _, offset)| *offset).min();
    let began = given.first().map_or(0, |&(first, client, _)| {
        let before = world.steps[..first].iter();
        let sought = before.filter_map(|(by, step)| match step {
            Step::Sought(to) if *by == client => Some(*to),
            _ => None,
        });
        let sought = sought.min();
        sought.unwrap_or(0).min(least.unwrap_or(0))
    });
    let all = (began..furthest.min(RECORDS)).map(|offset| {
        if given.iter().any(|(_, _, o)| *o == offset) {
            return Found::Nothing;
        }
        // Who came behind it: the delivery next to it, else those that committed behind it.
        let behind = given.iter().filter(|(_, _, to)| *to > offset);
        let behind = behind.min_by_key(|(n, _, to)| (*to, *n));
        let asked = |by: Client, until: usize, furthest: i64| {
            world.between(0, until, |client, step| {
                client == by && matches!(step, Step::Sought(to) if *to > offset && *to <= furthest)
            })
        };
        let asked = match behind {
            Some(&(n, client, to)) => asked(client, n, to),
            None => world
                .commits()
                .into_iter()
                .any(|(n, to)| to > offset && asked(world.steps[n].0, n, to)),
        };
        match world.mode {
            Mode::Before | Mode::AutoAsync => Found::Permitted,
            Mode::After | Mode::Auto if asked => Found::Permitted,
            Mode::After | Mode::Auto => Found::Broken,
        }
    });
    all.max().unwrap_or(Found::Nothing)
}

/// A commit below the one before, or a first delivery after an assignment below it; unless its
/// consumer went back on purpose.
fn went_back(world: &World) -> Found {
    let commits = world.commits();
    let on_purpose = |by: Client, from: usize, to: usize, at: i64| {
        world.between(from, to, |client, step| {
            client == by && matches!(step, Step::Sought(to) if *to <= at)
        })
    };
    let committed = commits.windows(2).any(|pair| {
        let ((before, high), (after, low)) = (pair[0], pair[1]);
        low < high && !on_purpose(world.steps[after].0, before, after, low)
    });
    let resumed = world.steps.iter().enumerate().any(|(n, (client, step))| {
        let mut given = world.given().into_iter();
        let first = given.find(|(then, to, _)| *then > n && to == client);
        let Some((then, _, offset)) = first.filter(|_| *step == Step::Assigned) else {
            return false;
        };
        // Others' seeks count until the partition changed hands.
        let purpose = |before: usize| {
            let theirs = |by| on_purpose(by, before, n, offset);
            on_purpose(*client, before, then, offset) || theirs(5) || theirs(6)
        };
        let last = commits.iter().rfind(|(before, _)| *before < n);
        last.is_some_and(|(before, high)| offset < *high && !purpose(*before))
    });
    match committed || resumed {
        true => Found::Broken,
        false => Found::Nothing,
    }
}

pub fn any_world() -> impl Strategy<Value = World> {
    let mode = prop_oneof![
        3 => Just(Mode::After),
        2 => Just(Mode::Before),
        1 => Just(Mode::Auto),
        1 => Just(Mode::AutoAsync),
    ];
    // A poll begins where the consumer is, mostly.
    let step = (0u8..16, 0i64..=RECORDS, 1i64..4, 0u8..4);
    (mode, vec((5u8..7, step), 0..8)).prop_map(|(mode, drawn)| {
        let mut positions = [0i64; 2];
        let mut committed = 0;
        let mut steps = Vec::new();
        for (client, (what, offset, count, odd)) in drawn {
            let position = &mut positions[usize::from(client - 5)];
            let commits = matches!(mode, Mode::After | Mode::Before);
            let step = match what {
                0..7 => {
                    let from = if odd == 0 { offset } else { *position };
                    let to = (from + count).min(RECORDS);
                    if from >= to {
                        continue;
                    }
                    *position = to;
                    Step::Polled((from..to).collect())
                }
                7..10 if commits => {
                    committed = if odd == 0 { offset } else { *position };
                    Step::Committed(committed)
                }
                10 if commits => Step::Tried(*position, odd % 2 == 0),
                11 => {
                    *position = offset;
                    Step::Sought(offset)
                }
                12 | 13 => {
                    *position = committed;
                    Step::Assigned
                }
                14 => Step::Revoked,
                15 => Step::Subscribed,
                _ => continue,
            };
            steps.push((client, step));
        }
        World { mode, steps }
    })
}

type Rule = (&'static str, fn(&World) -> Found);

const RULES: &[Rule] = &[
    ("redelivered", redelivered),
    ("group-skipped", skipped),
    ("offset-regressed", went_back),
];

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let rows = &judgement.topics[0].guarantees;
    for (name, rule) in RULES {
        let row = rows.iter().find(|row| row.name == *name);
        let found = match row.map(|row| &row.verdict) {
            Some(Verdict::Broken { .. }) => Found::Broken,
            Some(Verdict::NotPromised { observed, .. }) if *observed > 0 => Found::Permitted,
            _ => Found::Nothing,
        };
        if found != Found::Nothing {
            let what = format!("{name} {found:?}");
            *seen.borrow_mut().entry(what).or_default() += 1;
        }
        // Where somebody moved about on purpose, what is not broken may be counted or not.
        let moved = world.between(0, world.steps.len(), |_, step| {
            matches!(step, Step::Sought(_))
        });
        let free = |found: Found| match found {
            Found::Permitted if moved => Found::Nothing,
            found => found,
        };
        prop_assert_eq!(free(found), free(rule(world)), "{}", name);
    }
    Ok(())
}

fn check(cases: u32) {
    let shares = [
        "redelivered Broken",
        "redelivered Permitted",
        "group-skipped Broken",
        "group-skipped Permitted",
        "offset-regressed Broken",
    ]
    .map(|what| (what, 15));
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn groups_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn groups_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
