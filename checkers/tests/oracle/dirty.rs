//! Reads of what a returning follower is about to cut (KAFKA-14704), against their plainest reading:
//! who gave a record, and whether it led then, followed with a high watermark that went back, or
//! neither.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use checkers::judgement::{Class, Judgement, Standing};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, compare, judge_any, scene};

/// n1 is elected; n0 learns of it, cuts, and sees its high watermark go back; milliseconds.
const ELECTED: u64 = 20_000;
const FOLLOWS: u64 = 30_000;
const CUTS: u64 = 30_100;
const BACK: u64 = 30_200;

/// n0 leads e0, n1 leads e1 from where their logs part, n0 follows and cuts there.
#[derive(Debug, Clone)]
pub struct World {
    /// How many records both have of e0.
    common: i64,
    /// How many only n0 had, and how many n1 wrote.
    lost: i64,
    new: i64,
    /// The high watermark that was seen to go back, and to where.
    back: Option<(i64, i64)>,
    reads: Vec<Read>,
}

#[derive(Debug, Clone, Copy)]
struct Read {
    offset: i64,
    /// Given what n1 wrote there, not what n0 had.
    new: bool,
    by: Option<u8>,
    at: u64,
}

impl Read {
    fn value(self) -> i64 {
        self.offset + if self.new { 100 } else { 0 }
    }
}

impl World {
    fn print(&self) -> String {
        let World { common, new, .. } = *self;
        let end = common + self.lost;
        let mut text = "topic t on n0,n1,n2 by c1 acks=all\n".to_owned();
        for offset in 0..end {
            let at = seconds(1_000 + 10 * offset as u64);
            writeln!(text, "c1 send t/0 v{offset} -> ? timed out at {at}..{at}").unwrap();
        }
        let mut events: Vec<(u64, String)> = Vec::new();
        for offset in common..common + new {
            let (at, value) = (24_000 + 10 * offset as u64, offset + 100);
            let when = seconds(at);
            events.push((
                at,
                format!("c1 send t/0 v{value} -> ? timed out at {when}..{when}"),
            ));
        }
        for read in &self.reads {
            let by = read.by.map_or(String::new(), |by| format!(" by n{by}"));
            let (offset, value, at) = (read.offset, read.value(), seconds(read.at));
            events.push((
                read.at,
                format!("c2 poll -> t/0 @{offset}=v{value}{by} at {at}..{at}"),
            ));
        }
        events.sort();
        for (_, line) in events {
            writeln!(text, "{line}").unwrap();
        }
        let records = |from: i64, to: i64, add: i64| {
            let all: Vec<String> = (from..to).map(|at| format!("v{}", at + add)).collect();
            all.join(" ")
        };
        let mut old = Vec::new();
        if common > 0 {
            old.push(format!("e0 @0 {}", records(0, common, 0)));
        }
        let mut last = old.clone();
        old.push(format!("e0 @{common} {}", records(common, end, 0)));
        if new > 0 {
            last.push(format!(
                "e1 @{common} {}",
                records(common, common + new, 100)
            ));
        }
        let (elected, follows, cuts) = (seconds(ELECTED), seconds(FOLLOWS), seconds(CUTS));
        let (old, last) = (old.join(" | "), last.join(" | "));
        write!(
            text,
            "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
n1 said {elected} leader t/0 e1 from @{common} hw @0 isr n1,n2 was e0
n2 said {elected} follower t/0 e1 from @{common} hw @0 was e0
n0 before-f1 29.0s t/0: {old}
n0 said {follows} follower t/0 e1 from @{end} hw @0 was e0
n0 said {cuts} cut t/0 @{common}
"
        )
        .unwrap();
        if let Some((from, to)) = self.back {
            let at = seconds(BACK);
            writeln!(text, "n0 said {at} hw-back t/0 @{from} @{to}").unwrap();
        }
        for node in 0..3 {
            writeln!(text, "n{node} final t/0: {last}").unwrap();
        }
        text
    }

    /// What was given and is not there.
    fn gone(&self) -> impl Iterator<Item = &Read> {
        let stands = |read: &Read| match read.new {
            true => (self.common..self.common + self.new).contains(&read.offset),
            false => read.offset < self.common,
        };
        self.reads.iter().filter(move |read| !stands(read))
    }

    /// Offsets of which n0 alone had a record, and which somebody who led gave to a consumer. Without a
    /// name it was the leader, whom consumers ask; unless it may have been n0 while it followed.
    fn committed(&self) -> BTreeSet<i64> {
        let led = |read: &&Read| match read.by {
            Some(0) => read.at < FOLLOWS,
            Some(_) => false,
            None => !self.in_window(read),
        };
        self.gone().filter(led).map(|read| read.offset).collect()
    }

    /// n0 had taken over a high watermark from n1 that covered the record, and saw it go back below it
    /// when it had cut its log. A consumer may be handed later what its library had fetched then.
    fn in_window(&self, read: &Read) -> bool {
        let covered = |(from, to): (i64, i64)| to == self.common && read.offset < from;
        !read.new && read.at >= FOLLOWS && self.back.is_some_and(covered)
    }

    /// Whether its high watermark went back to where it had cut, and it cut nothing committed.
    fn dirty(&self) -> bool {
        let back = self
            .back
            .is_some_and(|(from, to)| to == self.common && from > to);
        back && self.committed().is_empty()
    }

    /// Why a record is gone that this read was given.
    fn class(&self, read: &Read) -> (Class, Standing) {
        match read.by {
            Some(0) if self.in_window(read) => (Class::DirtyHw, Standing::NotPromised),
            None if self.in_window(read) => (Class::Undetermined, Standing::Undetermined),
            _ => (Class::Unexplained, Standing::Broken),
        }
    }

    /// What was given, not committed, and is gone, by cause. Of several reads of one record the one that
    /// is hardest to explain counts.
    fn vanished(&self) -> BTreeMap<(Class, Standing), u64> {
        let mut records: BTreeMap<(i64, i64), Vec<(Class, Standing)>> = BTreeMap::new();
        let committed = self.committed();
        for read in self.gone().filter(|read| !committed.contains(&read.offset)) {
            let reads = records.entry((read.offset, read.value())).or_default();
            reads.push(self.class(read));
        }
        let mut classes = BTreeMap::new();
        for reads in records.into_values() {
            let worst = reads.into_iter().min_by_key(|(_, standing)| *standing);
            let worst = worst.expect("a read");
            *classes.entry(worst).or_default() += 1;
        }
        classes
    }
}

/// What the judge found, by cause.
fn found(judgement: &Judgement, guarantee: &str) -> BTreeMap<(Class, Standing), u64> {
    let mut found = BTreeMap::new();
    let of = judgement.findings.iter();
    for finding in of.filter(|finding| finding.guarantee == guarantee) {
        *found.entry((finding.class, finding.standing)).or_default() += finding.count;
    }
    found
}

fn any_world() -> impl Strategy<Value = World> {
    let at = prop_oneof![
        Just(10_000u64),
        Just(25_000),
        Just(30_050),
        Just(30_050),
        Just(30_150),
        Just(40_000),
    ];
    let by =
        prop_oneof![4 => Just(Some(0u8)), 1 => Just(Some(1)), 1 => Just(Some(2)), 1 => Just(None)];
    let read = (0i64..6, proptest::bool::weighted(0.2), by, at);
    let back = option::weighted(0.8, (0i64..4, 0i64..8));
    let logs = (0i64..3, 1i64..4, 0i64..3);
    (logs, back, vec(read, 0..4)).prop_map(|((common, lost, new), back, reads)| {
        let reads = reads.into_iter().filter_map(|(offset, of_n1, by, at)| {
            let of_n1 = of_n1 && new > 0;
            let (from, count) = match of_n1 {
                true => (common, new),
                false => (0, common + lost),
            };
            let offset = from + offset % count;
            // Nobody was given what was not written yet, and n1 by then gave only what it wrote.
            let sensible = match of_n1 || by == Some(1) {
                true => of_n1 == (at > 24_900),
                false => true,
            };
            sensible.then_some(Read {
                offset,
                new: of_n1,
                by,
                at,
            })
        });
        World {
            common,
            lost,
            new,
            back: back.map(|(more, to)| {
                let to = if to < 6 { common } else { to };
                (to + more, to)
            }),
            reads: reads.collect(),
        }
    })
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    compare(&judgement, "dirty-hw", world.dirty(), seen)?;
    let committed = world.committed();
    compare(
        &judgement,
        "truncated-below-hw",
        !committed.is_empty(),
        seen,
    )?;
    let lost = crate::seen(&judgement, "t", "committed-lost");
    prop_assert_eq!(lost, committed.len() as u64);
    let gone: BTreeSet<i64> = world.gone().map(|read| read.offset).collect();
    let told = crate::seen(&judgement, "t", "read-then-vanished");
    prop_assert_eq!(told, gone.len() as u64);
    let wanted = world.vanished();
    for (class, _) in wanted.keys() {
        *seen.borrow_mut().entry(format!("{class:?}")).or_default() += 1;
    }
    prop_assert_eq!(found(&judgement, "read-then-vanished"), wanted);
    Ok(())
}

fn check(cases: u32) {
    let shares = [
        ("dirty-hw", 100),
        ("truncated-below-hw", 50),
        ("DirtyHw", 50),
        ("Undetermined", 10),
        ("Unexplained", 100),
    ];
    judge_any(cases, any_world(), World::print, agrees, &shares);
}

#[test]
fn reads_of_what_is_about_to_be_cut_are_judged_as_the_obvious_reading_has_it() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn reads_of_what_is_about_to_be_cut_are_judged_as_the_obvious_reading_has_it_a_hundred_thousand_times()
 {
    check(100_000);
}
