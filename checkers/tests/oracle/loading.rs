//! Logs that lose their end while they are loaded, against the plainest reading: somebody had taken it
//! from them, and may have, or the broker threw it away by itself.

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::judge;
use checkers::judgement::{Class, Judgement, Standing};
use evidence::{LogLine, Says};
use history::{Mark, Offset, Partition, Span};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{seconds, sends};
use crate::{CASES, Seen, judge_any, scene};

/// n1 dies, is harmed, starts, loads its log, and leads; milliseconds.
const DIED: u64 = 33_000;
const HARMED: u64 = 33_500;
const STARTED: u64 = 34_000;
const LOADED: u64 = 34_200;
const LED: u64 = 35_000;

/// n0 led e0 and acknowledged every record under acks=all; n1, in sync, leads e1 without the last.
#[derive(Debug, Clone)]
pub struct World {
    records: i64,
    /// Where e1 begins.
    from: i64,
    harm: Option<(u8, Harm, i64)>,
    /// Who said that it had found damage while loading, and cut where.
    cut: Option<(u8, i64)>,
    /// It followed with all of it again between loading and leading, and whether it then said that
    /// it cut it.
    copied: Option<bool>,
    /// An image of n1 once it was dead: how much of e0 it held, and its recovery point.
    image: Option<(i64, Option<i64>)>,
    /// A segment that n1 had rolled, from which offset on, when.
    rolled: Option<(i64, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Harm {
    Lost,
    Wiped,
    Damaged,
}

impl World {
    fn print(&self) -> String {
        let World { records, from, .. } = *self;
        let values = |to: i64| {
            let all: Vec<String> = (0..to).map(|value| format!("v{value}")).collect();
            match to {
                0 => String::new(),
                _ => format!("e0 @0 {}", all.join(" ")),
            }
        };
        let mut text = "topic t on n0,n1,n2 by c1 acks=all\n".to_owned();
        text += &sends(records as u64, 10);
        text.push_str(
            "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
n0 said 0.4s state t/0 e0 isr n0,n1,n2 version 1
n2 said 34.9s state t/0 e1 isr n0,n1,n2 version 2\n",
        );
        if let Some((end, _)) = self.image {
            writeln!(text, "n1 before-f1 33.2s t/0: {}", values(end)).unwrap();
        }
        writeln!(text, "n1 broker killed at {}", seconds(DIED)).unwrap();
        if let Some((node, harm, from)) = self.harm {
            let what = match harm {
                Harm::Lost => format!("lost from @{from}"),
                Harm::Wiped => "wiped".to_owned(),
                Harm::Damaged => format!("damaged from @{from}"),
            };
            writeln!(text, "harm t/0 n{node} {what} at {}", seconds(HARMED)).unwrap();
        }
        writeln!(text, "n1 broker started 7 at {}", seconds(STARTED)).unwrap();
        let loaded = seconds(LOADED);
        if let Some((node, to)) = self.cut {
            writeln!(text, "n{node} said {loaded} damaged t/0 @{to}").unwrap();
        }
        writeln!(text, "n1 said 34.3s loaded t/0 @0").unwrap();
        let was = if self.copied.is_some() { "e0" } else { "none" };
        if self.copied.is_some() {
            writeln!(
                text,
                "n1 said 34.4s follower t/0 e0 from @{records} hw @0 was none"
            )
            .unwrap();
        }
        if self.copied == Some(true) {
            writeln!(text, "n1 said 34.5s cut t/0 @{from}").unwrap();
        }
        let led = seconds(LED);
        writeln!(
            text,
            "n1 said {led} leader t/0 e1 from @{from} hw @{from} isr n0,n1,n2 was {was}"
        )
        .unwrap();
        for node in [0, 2] {
            writeln!(
                text,
                "n{node} said 36.0s follower t/0 e1 from @{records} hw @{from} was e0"
            )
            .unwrap();
            writeln!(text, "n{node} said 36.1s cut t/0 @{from}").unwrap();
        }
        for node in 0..3 {
            writeln!(text, "n{node} final t/0: {}", values(from)).unwrap();
        }
        text
    }

    /// Judges it, with what a scene has no words for.
    fn judged(&self) -> Judgement {
        let mut run = scene::recording(&self.print());
        let partition: Partition = "t/0".parse().expect("a partition");
        if let Some((_, Some(point))) = self.image {
            let image = &mut run.evidence.images[0];
            image
                .recovery_point
                .insert(partition.clone(), Offset(point));
        }
        if let Some((offset, at)) = self.rolled {
            let at = Mark::from_millis(at);
            let line = LogLine {
                node: history::NodeId(1),
                host_unix_millis: (at.0 / 1_000_000) as i64,
                span: Some(Span { from: at, to: at }),
                text: format!("rolled {offset}"),
                line: 900,
                says: Says::Rolled {
                    partition,
                    at: Offset(offset),
                },
                ..run.evidence.lines[0].clone()
            };
            run.evidence.lines.push(line);
        }
        judge(&run)
    }

    /// Below it everything had been flushed when the power was cut.
    fn durable(&self) -> i64 {
        let point = self.image.and_then(|(_, point)| point);
        // What was rolled ten seconds before, is flushed in the background by then.
        let rolled = self.rolled.filter(|(_, at)| at + 10_000 < HARMED);
        let rolled = rolled.map(|(offset, _)| offset);
        point.max(rolled).unwrap_or(0)
    }

    /// Why the record at an offset is gone, and what that means.
    fn class(&self, offset: i64) -> (Class, Standing) {
        let unexplained = (Class::Unexplained, Standing::Broken);
        let had = self.image.is_none_or(|(end, _)| offset < end);
        let harm = self
            .harm
            .filter(|(node, harm, from)| *node == 1 && (*harm == Harm::Wiped || *from <= offset));
        // Damage is still there when the log is whole again, and may be found later.
        let again = match harm {
            Some((_, Harm::Damaged, _)) => self.copied == Some(true),
            Some((_, Harm::Lost | Harm::Wiped, _)) | None => self.copied.is_some(),
        };
        if again || !had {
            // It lost it after that, or had not had it before.
            return unexplained;
        }
        match harm {
            Some((_, Harm::Lost, _)) if offset < self.durable() => {
                (Class::LossyLeader, Standing::Broken)
            }
            Some((_, Harm::Lost | Harm::Wiped, _)) => (Class::LossyLeader, Standing::NotPromised),
            Some((_, Harm::Damaged, _)) => (Class::Damage, Standing::NotPromised),
            None => match self.cut {
                Some((1, to)) if to <= offset => (Class::LoadRecovery, Standing::Broken),
                _ => unexplained,
            },
        }
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let harm = prop_oneof![3 => Just(Harm::Lost), 1 => Just(Harm::Wiped), 1 => Just(Harm::Damaged)];
    let harm = option::weighted(
        0.6,
        (prop_oneof![4 => Just(1u8), 1 => Just(0)], harm, 0i64..5),
    );
    let cut = option::weighted(0.6, (prop_oneof![4 => Just(1u8), 1 => Just(2)], 0i64..5));
    let image = option::of((0i64..8, option::of(0i64..6)));
    let rolled = option::of((0i64..6, prop_oneof![Just(20_000u64), Just(24_000)]));
    let ends = (1i64..6, 0i64..5);
    (
        ends,
        harm,
        cut,
        option::weighted(0.2, any::<bool>()),
        image,
        rolled,
    )
        .prop_map(
            |((records, from), harm, cut, copied, image, rolled)| World {
                records,
                from: from.min(records - 1),
                harm,
                cut,
                copied,
                image: image.map(|(end, point): (i64, Option<i64>)| {
                    let end = end.min(records);
                    (end, point.map(|point| point.min(end)))
                }),
                rolled: rolled.map(|(offset, at)| (offset.min(records), at)),
            },
        )
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = world.judged();
    let found = crate::lost(&judgement);
    let mut wanted: BTreeMap<(Class, Standing), u64> = BTreeMap::new();
    for offset in world.from..world.records {
        *wanted.entry(world.class(offset)).or_default() += 1;
    }
    for (class, standing) in wanted.keys() {
        let name = format!("{class:?} {standing:?}");
        *seen.borrow_mut().entry(name).or_default() += 1;
    }
    prop_assert_eq!(found, wanted);
    Ok(())
}

fn check(cases: u32) {
    let classes = [
        ("LoadRecovery Broken", 100),
        ("LossyLeader Broken", 10),
        ("LossyLeader NotPromised", 50),
        ("Damage NotPromised", 20),
        ("Unexplained Broken", 100),
    ];
    judge_any(
        cases,
        any_world(),
        |world| format!("{world:?}\n{}", world.print()),
        agrees,
        &classes,
    );
}

#[test]
fn logs_cut_while_they_are_loaded_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn logs_cut_while_they_are_loaded_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times()
 {
    check(100_000);
}
