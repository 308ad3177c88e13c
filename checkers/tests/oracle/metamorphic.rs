//! Changes of a recording that must not change what is said of it.

use checkers::Judgement;
use checkers::judgement::Accounting;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::{Fate, Read, Send, Topic, print};
use crate::{CASES, check, scene};

/// What is said, without the words: topic, guarantee, verdict, how often seen, how much examined.
type Row = (String, String, &'static str, u64, u64);
type Said = Vec<Row>;

fn said(judgement: &Judgement) -> Said {
    let topics = judgement.topics.iter();
    topics
        .flat_map(|topic| {
            topic.guarantees.iter().map(|guarantee| {
                let (kind, seen, examined) = crate::row(&guarantee.verdict);
                let name = guarantee.name.clone();
                (topic.topic.clone(), name, kind, seen, examined)
            })
        })
        .collect()
}

fn accounts(judgement: &Judgement) -> Vec<Accounting> {
    let topics = judgement.topics.iter();
    topics.map(|topic| topic.accounting.clone()).collect()
}

/// Judges a world before and after a change; both must say the same.
fn unchanged(topics: &[Topic], change: impl Fn(&mut Vec<Topic>)) -> Result<(), TestCaseError> {
    let mut other = topics.to_vec();
    change(&mut other);
    let (before, after) = (scene::judged(&print(topics)), scene::judged(&print(&other)));
    prop_assert_eq!(said(&before), said(&after));
    prop_assert_eq!(accounts(&before), accounts(&after));
    prop_assert_eq!(before.fold, after.fold);
    Ok(())
}

fn for_values(topic: &mut Topic, rename: impl Fn(u64) -> u64) {
    topic
        .sends
        .iter_mut()
        .for_each(|send| send.value = rename(send.value));
    topic
        .reads
        .iter_mut()
        .for_each(|read| read.value = rename(read.value));
    let logs = topic.logs.iter_mut().flatten();
    logs.flat_map(|batch| &mut batch.values)
        .for_each(|value| *value = rename(*value));
}

#[test]
fn other_names_for_values_change_nothing() {
    check(CASES / 5, |topics| {
        unchanged(topics, |topics| {
            // Far apart, and beyond what is stored densely.
            let rename = |value| 1_000_000_007 + 65_537 * value;
            topics
                .iter_mut()
                .for_each(|topic| for_values(topic, rename));
        })
    });
}

#[test]
fn clients_that_change_names_change_nothing() {
    check(CASES / 5, |topics| {
        unchanged(topics, |topics| {
            // c1 and c2 write to one topic, c3 and c4 to the other.
            let swap = |client| {
                if client % 2 == 1 {
                    client + 1
                } else {
                    client - 1
                }
            };
            let sends = topics.iter_mut().flat_map(|topic| &mut topic.sends);
            sends.for_each(|send| send.client = swap(send.client));
        })
    });
}

#[test]
fn a_later_clock_changes_nothing() {
    check(CASES / 5, |topics| {
        unchanged(topics, |topics| {
            for topic in topics {
                topic.sends.iter_mut().for_each(|send| {
                    send.invoked += 250;
                    send.returned += 250;
                });
                topic.terms.iter_mut().for_each(|term| term.at += 250);
                topic.reads.iter_mut().for_each(|read| read.at += 250);
            }
        })
    });
}

#[test]
fn topics_know_nothing_of_each_other() {
    check(CASES / 5, |topics| {
        let together = said(&scene::judged(&print(topics)));
        let mut apart: Said = Vec::new();
        for topic in topics {
            apart.extend(said(&scene::judged(&print(std::slice::from_ref(topic)))));
        }
        // A premise that fails speaks about the whole recording.
        let sure = |said: Said| -> Said {
            // And a record in a wrong topic is known by the send to the right one.
            let sure = said
                .into_iter()
                .filter(|row| row.2 == "broken" && row.1 != "misplaced");
            sure.collect()
        };
        prop_assert_eq!(sure(together), sure(apart));
        Ok(())
    });
}

#[test]
fn an_innocent_send_more_convicts_nobody() {
    check(CASES / 5, |topics| {
        let mut other = topics.to_vec();
        for (topic, value) in other.iter_mut().zip([900, 901]) {
            // Of its own producer, at the end of every log that is as F is.
            let fin = topic.final_log().to_vec();
            let end = fin.last().map_or(0, |batch| batch.last() + 1);
            let epoch = topic.terms.last().expect("a leader").epoch;
            let read_there = topic.reads.iter().any(|read| read.offset >= end);
            if read_there
                || topic.logs.iter().any(|log| log != &fin)
                || fin.last().is_some_and(|b| b.epoch > epoch)
            {
                continue;
            }
            for log in &mut topic.logs {
                let batch = crate::world::Batch {
                    base: end,
                    epoch,
                    values: vec![value],
                    tag: false,
                };
                log.push(batch);
            }
            topic.sends.push(Send {
                client: if topic.name == "a" { 1 } else { 3 },
                value,
                fate: Fate::Acked(Some(end)),
                invoked: 85_001,
                returned: 85_101,
            });
            let read = Read {
                offset: end,
                value,
                at: 1_500,
            };
            topic.reads.push(read);
        }
        let broken = |topics: &[Topic]| -> Vec<(String, String)> {
            let said = said(&scene::judged(&print(topics))).into_iter();
            let broken = said.filter(|row| row.2 == "broken");
            broken.map(|row| (row.0, row.1)).collect()
        };
        let (before, after) = (broken(topics), broken(&other));
        for row in after {
            prop_assert!(before.contains(&row), "{:?} is new", row);
        }
        Ok(())
    });
}

#[test]
fn without_the_final_read_nothing_is_said_more_strongly() {
    check(CASES / 5, |topics| {
        let text = print(topics);
        let all = said(&scene::judged(&text));
        let without = said(&scene::judged(&format!("{text}\nno drain")));
        prop_assert_eq!(all.len(), without.len());
        for (with, without) in all.iter().zip(&without) {
            // A loss whose side of the high watermark the drain tells is the same loss without it.
            let loss = |row: &Row| row.0 == without.0 && row.1.starts_with("acked-lost");
            let same_loss = loss(without) && all.iter().any(|row| loss(row) && row.2 == "broken");
            let convicted = without.2 == "broken" && with.2 != "broken" && !same_loss;
            prop_assert!(!convicted, "{:?} became {:?}", with, without);
            let acquitted = without.2 == "held" && !matches!(with.2, "held" | "broken");
            prop_assert!(!acquitted, "{:?} became {:?}", with, without);
        }
        Ok(())
    });
}
