//! Cuts against their plainest reading: a leader is deposed, follows, and cuts its log.

use std::fmt::Write;

use checkers::judgement::Justified;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::{CASES, Seen, compare, judge_any, scene};

/// n0 led e0, n1 leads e1 from where their logs part, n0 follows and cuts.
#[derive(Debug, Clone)]
pub struct World {
    /// How many records both have of e0.
    common: i64,
    /// How many only n0 had, and how many n1 wrote.
    lost: i64,
    new: i64,
    /// The high watermark in n0's line when it begins to follow.
    hw: i64,
    cut: i64,
    /// Offsets of n0's log that clients had been told of as committed.
    acked: Vec<i64>,
    /// A high watermark that was then seen to go back, to where.
    back: Option<(i64, i64)>,
}

impl World {
    fn end(&self) -> i64 {
        self.common + self.lost
    }

    pub fn print(&self) -> String {
        let mut text = "topic t on n0,n1,n2 by c1 acks=all\n".to_owned();
        for offset in 0..self.end() {
            let answer = match self.acked.contains(&offset) {
                true => format!("@{offset} by n0"),
                false => "? timed out".to_owned(),
            };
            writeln!(
                text,
                "c1 send t/0 v{offset} -> {answer} at {}s..{0}.1s",
                offset + 1
            )
            .unwrap();
        }
        let records = |from: i64, to: i64, add: i64| {
            let all: Vec<String> = (from..to)
                .map(|offset| format!("v{}", offset + add))
                .collect();
            all.join(" ")
        };
        let World {
            common, hw, cut, ..
        } = self;
        let mut old = Vec::new();
        let mut last = Vec::new();
        if *common > 0 {
            old.push(format!("e0 @0 {}", records(0, *common, 0)));
            last.push(old[0].clone());
        }
        if self.lost > 0 {
            old.push(format!("e0 @{common} {}", records(*common, self.end(), 0)));
        }
        if self.new > 0 {
            last.push(format!(
                "e1 @{common} {}",
                records(*common, common + self.new, 100)
            ));
        }
        for offset in *common..common + self.new {
            let (value, at) = (offset + 100, offset - common + 40);
            writeln!(
                text,
                "c1 send t/0 v{value} -> @{offset} by n1 at {at}s..{at}.1s"
            )
            .unwrap();
        }
        let (old, last) = (old.join(" | "), last.join(" | "));
        for line in [
            "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none".to_owned(),
            "n1 said 0.5s follower t/0 e0 from @0 hw @0 was none".to_owned(),
            "n2 said 0.5s follower t/0 e0 from @0 hw @0 was none".to_owned(),
            format!("n1 said 20s leader t/0 e1 from @{common} hw @0 isr n1,n2 was e0"),
            format!("n2 said 20s follower t/0 e1 from @{common} hw @0 was e0"),
            format!("n0 before-f1 25s t/0: {old}"),
            format!(
                "n0 said 30s follower t/0 e1 from @{} hw @{hw} was e0",
                self.end()
            ),
            format!("n0 said 30.1s cut t/0 @{cut}"),
        ] {
            writeln!(text, "{line}").unwrap();
        }
        if let Some((from, to)) = self.back {
            writeln!(text, "n0 said 30.2s hw-back t/0 @{from} @{to}").unwrap();
        }
        for node in 0..3 {
            writeln!(text, "n{node} final t/0: {last}").unwrap();
        }
        text
    }

    /// From where the two logs differ: a record that one of them lacks is a difference.
    fn parts(&self) -> i64 {
        match self.lost > 0 {
            true => self.common,
            false => self.end(),
        }
    }
}

/// It cut what its new leader has.
fn unjustified(world: &World) -> bool {
    world.cut < world.end() && world.cut < world.parts()
}

/// It cut below its own high watermark, or what somebody had been told is committed.
fn below_hw(world: &World) -> bool {
    let told = world.acked.iter().any(|offset| *offset >= world.cut);
    world.cut < world.hw || told
}

/// Its high watermark went back to where it had cut, and that is all.
fn dirty(world: &World) -> bool {
    let back = world
        .back
        .is_some_and(|(from, to)| to == world.cut && from > to);
    back && !below_hw(world)
}

pub fn any_world() -> impl Strategy<Value = World> {
    let back = proptest::option::weighted(0.3, (1i64..4, 0i64..8));
    (
        (0i64..4, 0i64..4, 0i64..3),
        (0i64..8, 0i64..8, any::<bool>()),
        vec(0i64..8, 0..3),
        back,
    )
        .prop_map(|((common, lost, new), (hw, cut, straight), acked, back)| {
            let end = common + lost;
            // Straight: it cuts where the logs part, and its watermark is not beyond.
            let cut = if straight { common } else { cut.min(end) };
            let hw = if straight {
                hw.min(common)
            } else {
                hw.min(end)
            };
            let mut acked: Vec<i64> = acked.into_iter().filter(|offset| *offset < end).collect();
            acked.retain(|offset| !straight || *offset < common);
            World {
                common,
                lost,
                new,
                hw,
                cut,
                acked,
                back: back.map(|(more, to)| {
                    let to = if to < 5 { cut } else { to };
                    (to + more, to)
                }),
            }
        })
}

type Rule = (&'static str, fn(&World) -> bool);

const RULES: &[Rule] = &[
    ("truncation-audit", unjustified),
    ("truncated-below-hw", below_hw),
    ("dirty-hw", dirty),
];

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    for (name, rule) in RULES {
        compare(&judgement, name, rule(world), seen)?;
    }
    if let [cut] = &judgement.truncations[..] {
        let justified = matches!(cut.justified, Justified::Yes { .. });
        prop_assert_eq!(justified, !unjustified(world), "{:?}", cut.justified);
    }
    Ok(())
}

fn check(cases: u32) {
    let shares: Vec<_> = RULES.iter().map(|(name, _)| (*name, 50)).collect();
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn cuts_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn cuts_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times() {
    check(100_000);
}
