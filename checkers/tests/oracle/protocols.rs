//! Losses under old versions of the brokers' protocol, against their plainest reading: who cut its log
//! to its own high watermark, whether it had copied it again, and what else may have taken it before.

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::judgement::{Class, Standing};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{seconds, sends};
use crate::{CASES, Seen, judge_any, scene};

/// Moments of what may befall n2; milliseconds.
const MEETS: u64 = 600;
const HARMED_EARLY: u64 = 4_500;
const FOLLOWS: u64 = 5_000;
const CUTS: u64 = 5_200;
const IMAGED: u64 = 6_000;
const HARMED_LATE: u64 = 7_000;
const LEADS: u64 = 9_000;

/// n0 leads e0 and acknowledges under acks=all, n1 leads e1 with all of it, n2 leads e2 with less.
#[derive(Debug, Clone)]
pub struct World {
    records: i64,
    protocol: Option<&'static str>,
    /// n2 wrote that it cuts to its own high watermark when it met n0, long before.
    met: bool,
    /// n2 lost its log from there by our doing before it followed n1.
    harmed_early: Option<i64>,
    /// n2 cut to its own high watermark when it followed n1.
    cut: Option<i64>,
    /// n2 had so much again by then, as its image shows.
    copied: Option<i64>,
    harmed_late: Option<i64>,
    /// Something that nobody recorded took the rest.
    from: i64,
    /// The others' own cuts to their high watermarks, before and after n2 led.
    others: [bool; 2],
    /// n2 was in sync with n1.
    in_sync: bool,
    unclean: bool,
}

impl World {
    fn end_when_following(&self) -> i64 {
        self.harmed_early.unwrap_or(self.records)
    }

    fn print(&self) -> String {
        let unclean = match self.unclean {
            true => " unclean.leader.election.enable=true",
            false => "",
        };
        let mut text = format!("topic t on n0,n1,n2 by c1 acks=all{unclean}\n");
        if let Some(version) = self.protocol {
            writeln!(text, "broker inter.broker.protocol.version={version}").unwrap();
        }
        text += &sends(self.records as u64, 10);
        let (end, from) = (self.records, self.from);
        let harm = |text: &mut String, harm: Option<i64>, at: u64| {
            if let Some(from) = harm {
                let at = seconds(at);
                writeln!(text, "harm t/0 n2 lost from @{from} at {at}").unwrap();
            }
        };
        let cut_to_hw = |text: &mut String, node: u8, to: i64, at: u64| {
            let at = seconds(at);
            writeln!(text, "n{node} said {at} cut-to-hw t/0 @{to}").unwrap();
        };
        text.push_str(
            "n0 said 0.4s state t/0 e0 isr n0,n1,n2 version 1
n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n2 said 0.5s follower t/0 e0 from @0 hw @0 was none\n",
        );
        if self.met {
            cut_to_hw(&mut text, 2, 0, MEETS);
        }
        harm(&mut text, self.harmed_early, HARMED_EARLY);
        let set = if self.in_sync { "n1,n2" } else { "n1" };
        let (follows, held) = (seconds(FOLLOWS), self.end_when_following());
        let was = if self.harmed_early.is_some() {
            "none"
        } else {
            "e0"
        };
        write!(
            text,
            "n0 said 4.9s state t/0 e1 isr {set} version 2
n1 said {follows} leader t/0 e1 from @{end} hw @0 isr {set} was e0
n0 said {follows} follower t/0 e1 from @{end} hw @{end} was e0
n2 said {follows} follower t/0 e1 from @{held} hw @0 was {was}\n"
        )
        .unwrap();
        if self.others[0] {
            cut_to_hw(&mut text, 0, 0, CUTS + 1);
        }
        if let Some(to) = self.cut {
            cut_to_hw(&mut text, 2, to, CUTS);
            writeln!(text, "n2 said {} cut t/0 @{to}", seconds(CUTS)).unwrap();
        }
        let log = |records: i64| {
            let values: Vec<String> = (0..records).map(|value| format!("v{value}")).collect();
            match records {
                0 => String::new(),
                _ => format!(" e0 @0 {}", values.join(" ")),
            }
        };
        if let Some(copied) = self.copied {
            let at = seconds(IMAGED);
            writeln!(text, "n2 before-f1 {at} t/0:{}", log(copied)).unwrap();
        }
        harm(&mut text, self.harmed_late, HARMED_LATE);
        let (leads, was) = (
            seconds(LEADS),
            match self.harmed_late {
                Some(_) => "none",
                None => "e1",
            },
        );
        write!(
            text,
            "n0 said 8.9s state t/0 e2 isr n2 version 3
n2 said {leads} leader t/0 e2 from @{from} hw @0 isr n2 was {was}\n"
        )
        .unwrap();
        for node in 0..2 {
            writeln!(
                text,
                "n{node} said 9.5s follower t/0 e2 from @{end} hw @0 was e1"
            )
            .unwrap();
            if self.others[1] {
                cut_to_hw(&mut text, node, from, 9_600);
            }
            writeln!(text, "n{node} said 9.6s cut t/0 @{from}").unwrap();
        }
        for node in 0..3 {
            writeln!(text, "n{node} final t/0:{}", log(from)).unwrap();
        }
        text
    }

    /// Known to lose, or to part the replicas' ways.
    fn old(&self) -> bool {
        let versions = [
            "0.10.2-IV0",
            "0.11.0-IV1",
            "0.11.0-IV2",
            "1.0-IV0",
            "1.1-IV0",
            "1.1",
        ];
        self.protocol
            .is_some_and(|version| versions.contains(&version))
    }

    /// Why the record at an offset is gone: of those who may have taken it since n2 last had it for
    /// certain, one that is permitted.
    fn class(&self, offset: i64) -> (Class, Standing) {
        if !self.in_sync {
            let standing = match self.unclean {
                true => Standing::NotPromised,
                false => Standing::Broken,
            };
            return (Class::UncleanElection, standing);
        }
        let lossy = (Class::LossyLeader, Standing::NotPromised);
        let known = (Class::KnownBadProtocol, Standing::Broken);
        let took = |from: Option<i64>| from.is_some_and(|from| from <= offset);
        let again = self.copied.is_some_and(|copied| copied > offset);
        // What it is known not to have had when it was harmed, it did not lose then.
        let missed = self.copied.is_some() && !again;
        if took(self.harmed_early) && !again || took(self.harmed_late) && !missed {
            return lossy;
        }
        match self.old() || took(self.cut) && !again {
            true => known,
            false => (Class::Unexplained, Standing::Broken),
        }
    }
}

fn any_world() -> impl Strategy<Value = World> {
    let often = |share: f64| proptest::bool::weighted(share);
    let protocol = proptest::sample::select(vec![
        None,
        None,
        Some("0.10.2-IV0"),
        Some("0.11.0-IV1"),
        Some("0.11.0-IV2"),
        Some("1.0-IV0"),
        Some("1.1-IV0"),
        Some("1.1"),
        Some("2.0-IV0"),
        Some("2.1-IV1"),
        Some("2.7-IV0"),
        Some("3.0-IV1"),
    ]);
    let n2 = (
        option::weighted(0.3, 0i64..5),
        option::weighted(0.5, 0i64..5),
        option::weighted(0.4, 0i64..6),
        option::weighted(0.3, 0i64..5),
    );
    let more = (
        often(0.3),
        [often(0.3), often(0.3)],
        often(0.9),
        any::<bool>(),
    );
    (1i64..6, 0i64..5, protocol, n2, more).prop_map(
        |(records, from, protocol, (early, cut, copied, late), more)| {
            let harmed_early = early.map(|from| from.min(records));
            let mut held = harmed_early.unwrap_or(records);
            let cut = cut.map(|to| to.min(held));
            held = cut.unwrap_or(held);
            let copied = copied.map(|to| to.min(records).max(held));
            held = copied.unwrap_or(held);
            let harmed_late = late.map(|from| from.min(held));
            held = harmed_late.unwrap_or(held);
            World {
                records,
                protocol,
                met: more.0,
                harmed_early,
                cut,
                copied,
                harmed_late,
                from: match from {
                    // Mostly nobody else took anything.
                    0 => 0,
                    _ => held,
                },
                others: more.1,
                in_sync: more.2,
                unclean: more.3,
            }
        },
    )
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let found = crate::lost(&judgement);
    let mut wanted: BTreeMap<(Class, Standing), u64> = BTreeMap::new();
    for offset in world.from..world.records {
        *wanted.entry(world.class(offset)).or_default() += 1;
    }
    let note = |name: String| *seen.borrow_mut().entry(name).or_default() += 1;
    for (class, _) in wanted.keys() {
        note(format!("{class:?}"));
        if *class == Class::KnownBadProtocol && !world.old() {
            note("a cut alone".into());
        }
    }
    prop_assert_eq!(found, wanted);
    Ok(())
}

fn check(cases: u32) {
    let shares = [
        ("KnownBadProtocol", 200),
        ("a cut alone", 50),
        ("LossyLeader", 100),
        ("Unexplained", 50),
        ("UncleanElection", 20),
    ];
    judge_any(
        cases,
        any_world(),
        |world| format!("{world:?}\n{}", world.print()),
        agrees,
        &shares,
    );
}

#[test]
fn losses_by_an_old_protocol_are_those_of_the_obvious_reading() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn losses_by_an_old_protocol_are_those_of_the_obvious_reading_a_hundred_thousand_times() {
    check(100_000);
}
