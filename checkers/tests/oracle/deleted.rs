//! What a log no longer holds because somebody asked to delete it or because it was old, against the
//! plainest reading: where the log may rightly begin, and whose absence that excuses.

use std::collections::BTreeMap;
use std::fmt::Write;

use checkers::judgement::{Class, Standing};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// When retention was changed, when the image was taken, and the end; milliseconds.
const CHANGED: u64 = 30_000;
const IMAGED: u64 = 70_000;
const END: u64 = 101_000;

/// n0 leads from first to last; the value of a record is its offset.
#[derive(Debug, Clone)]
pub struct World {
    acks_all: bool,
    sends: Vec<Sent>,
    /// Where the log starts, and where its first file begins.
    start: i64,
    file: i64,
    /// Acknowledged requests to delete: what lies before this offset, and when.
    deleted: Vec<(i64, u64)>,
    retention: Retention,
    /// n1 was copied before anything was gone.
    imaged: bool,
}

#[derive(Debug, Clone)]
struct Sent {
    at: u64,
    /// Its acknowledgement named the offset.
    told: bool,
    /// The leader gave it to a consumer.
    given: bool,
    /// The final files hold it.
    stands: bool,
}

/// Milliseconds, as topic and brokers have them; below zero is for ever.
#[derive(Debug, Clone)]
struct Retention {
    topic: Option<i64>,
    later: Option<i64>,
    brokers: Option<i64>,
    bytes: Option<i64>,
}

impl Retention {
    /// What was in force at a moment: the topic's own, else the brokers', else a week.
    fn at(&self, moment: u64) -> i64 {
        let week = 7 * 24 * 3_600_000;
        let first = self.topic.or(self.brokers).unwrap_or(week);
        match self.later {
            Some(later) if moment >= CHANGED => later,
            _ => first,
        }
    }

    /// Whether it may have taken, at any moment, what was sent then.
    fn takes(&self, sent: u64) -> bool {
        let old = |moment: u64| {
            let age = moment as i64 - sent as i64;
            (0..age).contains(&self.at(moment))
        };
        let full = self.bytes.is_some_and(|bytes| bytes >= 0);
        full || old(CHANGED - 1) || old(END)
    }

    fn print(&self) -> (String, String) {
        let mut topic = String::new();
        if let Some(ms) = self.topic {
            write!(topic, " retention.ms={ms}").unwrap();
        }
        if let Some(bytes) = self.bytes {
            write!(topic, " retention.bytes={bytes}").unwrap();
        }
        let mut more = String::new();
        if let Some(value) = self.brokers {
            writeln!(more, "broker log.retention.ms={value}").unwrap();
        }
        (topic, more)
    }
}

/// What is wanted of the judge.
#[derive(Debug, Default, PartialEq, Eq)]
struct Wanted {
    lost: BTreeMap<(Class, Standing), u64>,
    /// Excused, for certain or perhaps.
    expired: u64,
    present: u64,
    vanished: u64,
}

impl World {
    fn print(&self) -> String {
        let acks = if self.acks_all { "all" } else { "1" };
        let (retention, brokers) = self.retention.print();
        let mut text = format!(
            "topic t on n0,n1 by c1 acks={acks}{retention}
{brokers}n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
n1 said 0.5s follower t/0 e0 from @0 hw @0 was none\n"
        );
        let mut events: Vec<(u64, String)> = Vec::new();
        for (send, offset) in self.sends.iter().zip(0..) {
            let place = match send.told {
                true => format!("@{offset}"),
                false => "@?".to_owned(),
            };
            let at = seconds(send.at);
            let line = format!("c1 send t/0 v{offset} -> {place} by n0 at {at}..{at}");
            events.push((send.at, line));
            if send.given {
                let at = seconds(send.at + 500);
                let line = format!("c2 poll -> t/0 @{offset}=v{offset} by n0 at {at}..{at}");
                events.push((send.at + 500, line));
            }
        }
        for (before, at) in &self.deleted {
            let line = format!("harm t/0 deleted before @{before} at {}", seconds(*at));
            events.push((*at, line));
        }
        if let Some(later) = self.retention.later {
            let at = seconds(CHANGED);
            events.push((CHANGED, format!("set t retention.ms={later} at {at}..{at}")));
        }
        events.sort();
        for (_, line) in events {
            writeln!(text, "{line}").unwrap();
        }
        let batch = |offset: i64| format!("e0 @{offset} v{offset}");
        if self.imaged {
            let all: Vec<String> = (0..self.sends.len() as i64).map(batch).collect();
            let at = seconds(IMAGED);
            writeln!(text, "n1 before-f1 {at} t/0: {}", all.join(" | ")).unwrap();
        }
        let there = |offset: &i64| *offset >= self.file && self.sends[*offset as usize].stands;
        let there = (0..self.sends.len() as i64).filter(there).map(batch);
        let mut log: Vec<String> = there.collect();
        log.push(format!("start @{}", self.start));
        for node in 0..2 {
            writeln!(text, "n{node} final t/0: {}", log.join(" | ")).unwrap();
        }
        text
    }

    /// Readers of the final log are given it.
    fn present(&self, offset: i64) -> bool {
        offset >= self.start && self.sends[offset as usize].stands
    }

    /// Where it stood is known: its producer was told, a consumer was, or a file shows it.
    fn placed(&self, offset: i64) -> bool {
        let send = &self.sends[offset as usize];
        let left = send.stands && offset >= self.file;
        send.told || send.given || self.imaged || left
    }

    /// Below where the log may rightly begin.
    fn excused(&self, offset: i64) -> bool {
        let asked = self.deleted.iter().any(|(before, _)| offset < *before);
        let aged = self.retention.takes(self.sends[offset as usize].at);
        asked || offset < self.start && aged
    }

    /// Some deletion may have taken what was sent then, wherever it stood.
    fn may_be_excused(&self, sent: u64) -> bool {
        let asked = self.deleted.iter().any(|(_, at)| *at > sent);
        asked || self.retention.takes(sent)
    }

    /// What nothing excuses. Under acks=1 it was below the high watermark if the leader gave it to
    /// somebody, or what still stands behind it was read; either way no other leader came.
    fn lost(&self, offset: i64) -> (Class, Standing) {
        let send = &self.sends[offset as usize];
        let behind = || (offset + 1..self.sends.len() as i64).any(|behind| self.present(behind));
        match self.acks_all || send.given || send.told && behind() {
            true => (Class::Unexplained, Standing::Broken),
            false => (Class::Undetermined, Standing::Broken),
        }
    }

    /// Why an acknowledged record that nobody finds is gone.
    fn class(&self, offset: i64) -> (Class, Standing) {
        let send = &self.sends[offset as usize];
        // What a file shows may be another copy than the one that was acknowledged.
        if send.told || send.given {
            return self.lost(offset);
        }
        match self.start > 0 {
            true if self.may_be_excused(send.at) => (Class::Expired, Standing::Undetermined),
            true => (Class::Undetermined, Standing::Undetermined),
            false => self.lost(offset),
        }
    }

    fn wanted(&self) -> Wanted {
        let mut wanted = Wanted::default();
        for (send, offset) in self.sends.iter().zip(0..) {
            if self.present(offset) {
                wanted.present += 1;
                continue;
            }
            if self.placed(offset) && self.excused(offset) {
                wanted.expired += 1;
                continue;
            }
            wanted.vanished += u64::from(send.given);
            let class = self.class(offset);
            wanted.expired += u64::from(class.0 == Class::Expired);
            *wanted.lost.entry(class).or_default() += 1;
        }
        wanted
    }
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let mut found = Wanted::default();
    for finding in &judgement.findings {
        if finding.guarantee.starts_with("acked-lost") {
            let class = (finding.class, finding.standing);
            *found.lost.entry(class).or_default() += finding.count;
        }
    }
    let row = &judgement.topics[0].accounting.acknowledged;
    (found.expired, found.present) = (row.expired, row.present);
    found.vanished = crate::seen(&judgement, "t", "read-then-vanished");
    let wanted = world.wanted();
    let note = |name: String, so: bool| {
        *seen.borrow_mut().entry(name).or_default() += u32::from(so);
    };
    for (class, _) in wanted.lost.keys() {
        note(format!("{class:?}"), true);
    }
    let aged = |at: u64| world.retention.takes(at);
    note("excused".into(), wanted.expired > 0);
    note("vanished".into(), wanted.vanished > 0);
    note(
        "aged".into(),
        wanted.expired > 0 && world.sends.iter().any(|send| aged(send.at)),
    );
    prop_assert_eq!(found, wanted);
    Ok(())
}

fn any_world() -> impl Strategy<Value = World> {
    let often = |share: f64| proptest::bool::weighted(share);
    let send = (often(0.6), often(0.3), often(0.85));
    let ms = || prop_oneof![Just(20_000i64), Just(50_000), Just(200_000), Just(-1)];
    let retention = (
        option::weighted(0.5, ms()),
        option::weighted(0.2, ms()),
        option::weighted(0.3, ms()),
        option::weighted(0.2, prop_oneof![Just(1_000i64), Just(-1)]),
    );
    let deleted = vec((0i64..6, any::<bool>()), 0..3);
    let log = (0i64..7, option::weighted(0.3, 0i64..6), often(0.1));
    let sends = (vec(send, 1..6), 0usize..6);
    (often(0.8), sends, log, deleted, retention, often(0.3)).prop_map(
        |(acks_all, (sends, old), (start, file, ignored), deleted, retention, imaged)| {
            let sends = sends.into_iter().enumerate();
            let sends: Vec<Sent> = sends
                .map(|(n, (told, given, stands))| Sent {
                    at: if n < old { 1_000 } else { 60_000 } + 1_000 * n as u64,
                    told,
                    given,
                    stands,
                })
                .collect();
            let (end, old) = (sends.len() as i64, old.min(sends.len()) as i64);
            let deleted = deleted.into_iter().map(|(before, early)| match early {
                true => (before.min(old), 40_000),
                false => (before.min(end), 95_000),
            });
            let deleted: Vec<(i64, u64)> = deleted.collect();
            let asked = deleted.iter().map(|(before, _)| *before).max();
            // A log that was told to delete does so; one that was loaded since may not remember.
            let least = asked.filter(|_| !ignored).unwrap_or(0);
            let start = start.min(end).max(least);
            World {
                acks_all,
                sends,
                start,
                file: file.map_or(start, |file| file.min(start)),
                deleted,
                retention: Retention {
                    topic: retention.0,
                    later: retention.1,
                    brokers: retention.2,
                    bytes: retention.3,
                },
                imaged,
            }
        },
    )
}

fn check(cases: u32) {
    let shares = [
        ("Unexplained", 100),
        ("Expired", 50),
        ("Undetermined", 20),
        ("excused", 100),
        ("aged", 50),
        ("vanished", 50),
    ];
    judge_any(
        cases,
        any_world(),
        |world| format!("{world:?}\n{:?}\n{}", world.wanted(), world.print()),
        agrees,
        &shares,
    );
}

#[test]
fn what_was_deleted_is_told_from_what_was_lost() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn what_was_deleted_is_told_from_what_was_lost_a_hundred_thousand_times() {
    check(100_000);
}
