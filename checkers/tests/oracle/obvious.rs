//! The rules, written down as slowly and as plainly as they can be, from the rule book alone: no
//! index, no epoch table, no shortcut, and no line shared with the judge.

use std::collections::BTreeSet;

use crate::world::{Batch, Fate, Topic};

/// The record of a log at an offset.
fn at(log: &[Batch], offset: i64) -> Option<(i32, u64)> {
    log.iter().find_map(|batch| {
        let value = batch
            .values
            .get(usize::try_from(offset - batch.base).ok()?)?;
        Some((batch.epoch, *value))
    })
}

fn records(log: &[Batch]) -> Vec<(i64, i32, u64)> {
    let of = |batch: &Batch| {
        let numbered = batch.values.iter().zip(batch.base..);
        let epoch = batch.epoch;
        numbered
            .map(|(value, offset)| (offset, epoch, *value))
            .collect::<Vec<_>>()
    };
    log.iter().flat_map(of).collect()
}

fn holds(log: &[Batch], value: u64) -> bool {
    records(log).iter().any(|(_, _, v)| *v == value)
}

/// Acknowledged, and absent from F.
pub fn acked_lost(topic: &Topic) -> u64 {
    let lost = |send: &&crate::world::Send| {
        matches!(send.fate, Fate::Acked(_)) && !holds(topic.final_log(), send.value)
    };
    topic.sends.iter().filter(lost).count() as u64
}

/// Acknowledged at an offset where something else (or nothing) stands, and it stands elsewhere.
pub fn acked_offset_wrong(topic: &Topic) -> u64 {
    let wrong = |send: &&crate::world::Send| {
        let Fate::Acked(Some(offset)) = send.fate else {
            return false;
        };
        let there = at(topic.final_log(), offset).map(|(_, value)| value);
        there != Some(send.value) && holds(topic.final_log(), send.value)
    };
    topic.sends.iter().filter(wrong).count() as u64
}

/// Delivered at an offset where F has something else: distinct records.
pub fn read_then_vanished(topic: &Topic) -> u64 {
    let gone = topic.reads.iter().filter(|read| {
        at(topic.final_log(), read.offset).map(|(_, value)| value) != Some(read.value)
    });
    gone.map(|read| (read.offset, read.value))
        .collect::<BTreeSet<_>>()
        .len() as u64
}

/// The highest end that is proved in an epoch: by its leader's word, or by what a client was told of a
/// record that F has.
fn leaders_hw(topic: &Topic, epoch: i32) -> i64 {
    let mut hw = 0;
    for term in topic.terms.iter().filter(|term| term.epoch == epoch) {
        hw = hw.max(term.hw);
    }
    if topic.terms.last().is_some_and(|term| term.epoch == epoch) {
        hw = topic.leader_hw.iter().fold(hw, |hw, seen| hw.max(*seen));
    }
    for (offset, value, _) in told(topic) {
        if at(topic.final_log(), offset) == Some((epoch, value)) {
            hw = hw.max(offset + 1);
        }
    }
    hw
}

/// The same, counting also what a client was told of records that are gone.
fn hw_of(topic: &Topic, epoch: i32) -> i64 {
    let mut hw = leaders_hw(topic, epoch);
    for (offset, value, when) in told(topic) {
        if epoch_of(topic, offset, value, when) == Some(epoch) {
            hw = hw.max(offset + 1);
        }
    }
    hw
}

/// In which epoch a record was accepted: as F has it, as an image has it, or as the leader then says.
fn epoch_of(topic: &Topic, offset: i64, value: u64, accepted: Option<u64>) -> Option<i32> {
    let shown = |log: &[Batch]| {
        at(log, offset)
            .filter(|(_, v)| *v == value)
            .map(|(epoch, _)| epoch)
    };
    // The leader of that moment, unless its log began beyond the offset, or an image shows that
    // another record stood there in its epoch: then the evidence contradicts itself.
    let led = |when: u64| {
        let term = topic.terms.iter().rfind(|term| term.at <= when)?;
        let other = |log: &Vec<Batch>| {
            at(log, offset).is_some_and(|(epoch, v)| epoch == term.epoch && v != value)
        };
        let possible = term.leo <= offset && !topic.logs.iter().any(other);
        possible.then_some(term.epoch)
    };
    shown(topic.final_log())
        .or_else(|| topic.logs.iter().find_map(|log| shown(log)))
        .or_else(|| led(accepted?))
}

/// What clients were told stands below the high watermark. The drain reads all of F.
fn told(topic: &Topic) -> Vec<(i64, u64, Option<u64>)> {
    let acked = topic.sends.iter().filter_map(|send| match send.fate {
        Fate::Acked(Some(offset)) if topic.acks_all => {
            Some((offset, send.value, Some(send.returned)))
        }
        _ => None,
    });
    let accepted = |offset: i64, value: u64| {
        let ack = |send: &&crate::world::Send| {
            send.value == value && send.fate == Fate::Acked(Some(offset))
        };
        topic.sends.iter().find(ack).map(|send| send.returned)
    };
    let read = topic.reads.iter();
    let read = read.map(|read| (read.offset, read.value, accepted(read.offset, read.value)));
    let drained = records(topic.final_log());
    let drained = drained
        .into_iter()
        .map(|(offset, _, value)| (offset, value, None));
    acked.chain(read).chain(drained).collect()
}

/// Committed, and not at its offset in F: distinct records.
pub fn committed_lost(topic: &Topic) -> u64 {
    let fin = topic.final_log();
    let gone = |offset, value| at(fin, offset).map(|(_, v)| v) != Some(value);
    let mut lost: BTreeSet<(i64, u64)> = told(topic)
        .into_iter()
        .map(|(offset, value, _)| (offset, value))
        .filter(|(offset, value)| gone(*offset, *value))
        .collect();
    for log in &topic.logs {
        for (offset, epoch, value) in records(log) {
            // A leader's word in the record's own epoch; or in a later one, if that leader's own
            // image shows the record.
            let committed = topic.terms.iter().any(|term| {
                let own = at(&topic.logs[usize::from(term.node)], offset) == Some((epoch, value));
                leaders_hw(topic, term.epoch) > offset
                    && (term.epoch == epoch || term.epoch > epoch && own)
            });
            if committed && gone(offset, value) {
                lost.insert((offset, value));
            }
        }
    }
    // Accepted by all, and no offset told: once, where a consumer was given it, else judged by value
    // only.
    let mut nowhere = 0;
    for send in &topic.sends {
        if !topic.acks_all || send.fate != Fate::Acked(None) || holds(fin, send.value) {
            continue;
        }
        let given = topic.reads.iter().map(|read| (read.offset, read.value));
        match given.filter(|(_, value)| *value == send.value).min() {
            Some(place) => {
                lost.insert(place);
            }
            None => nowhere += 1,
        }
    }
    lost.len() as u64 + nowhere
}

/// Further copies of a value in F.
pub fn duplicates(topic: &Topic) -> u64 {
    let all = records(topic.final_log());
    let sent = |value: u64| topic.sends.iter().any(|send| send.value == value);
    let values: BTreeSet<u64> = all
        .iter()
        .map(|(_, _, v)| *v)
        .filter(|v| sent(*v))
        .collect();
    let all = all.iter().filter(|(_, _, v)| sent(*v)).count();
    (all - values.len()) as u64
}

/// One producer's sends in order of invocation, at their acknowledged offsets, and a later one
/// stands before an earlier one. Calls that were in flight together are unordered.
pub fn order_broken(topic: &Topic) -> bool {
    let stands = |send: &crate::world::Send| match send.fate {
        Fate::Acked(Some(offset)) => {
            let there = at(topic.final_log(), offset).map(|(_, v)| v) == Some(send.value);
            there.then_some(offset)
        }
        _ => None,
    };
    let first = |send: &crate::world::Send| {
        let all = records(topic.final_log());
        all.iter()
            .find(|(_, _, v)| *v == send.value)
            .map(|(o, _, _)| *o)
    };
    let place = |send: &crate::world::Send| match topic.idempotent {
        true => first(send),
        false => stands(send),
    };
    topic.sends.iter().any(|a| {
        topic.sends.iter().any(|b| {
            let before = (a.invoked, a.value) < (b.invoked, b.value);
            let Some((first, second)) = place(a).zip(place(b)) else {
                return false;
            };
            a.client == b.client && before && first > second
        })
    })
}

/// Acknowledged before the other was invoked, and standing behind it.
pub fn real_time_order_broken(topic: &Topic) -> bool {
    let place = |send: &crate::world::Send| match send.fate {
        Fate::Acked(Some(offset)) => {
            let there = at(topic.final_log(), offset).map(|(_, v)| v) == Some(send.value);
            there.then_some((offset, send.returned))
        }
        _ => None,
    };
    topic.sends.iter().any(|a| {
        topic.sends.iter().any(|b| {
            let Some(((first, acked), (second, _))) = place(a).zip(place(b)) else {
                return false;
            };
            acked < b.invoked && first > second
        })
    })
}

/// Any two replicas differ anywhere.
pub fn divergence_lasting(topic: &Topic) -> bool {
    topic.logs.iter().any(|log| log != &topic.logs[0])
}

/// A replica's leader-sourced high watermark: that of the newest epoch it knows, within its log.
fn own_hw(topic: &Topic, node: usize) -> i64 {
    let log = &topic.logs[node];
    let of_batches = log.iter().map(|batch| batch.epoch);
    let led = topic
        .terms
        .iter()
        .filter(|term| usize::from(term.node) == node)
        .map(|t| t.epoch);
    let newest = of_batches.chain(led).max().unwrap_or(0);
    let end = log.last().map_or(0, |batch| batch.last() + 1);
    hw_of(topic, newest).min(end)
}

/// Whole batches below an offset.
fn below(log: &[Batch], hw: i64) -> Vec<&Batch> {
    log.iter().filter(|batch| batch.last() < hw).collect()
}

/// Two replicas differ in a batch below the smallest of their high watermarks.
pub fn divergence_below_hw(topic: &Topic) -> bool {
    let least = (0..3).map(|node| own_hw(topic, node)).min().unwrap_or(0);
    topic
        .logs
        .iter()
        .any(|log| overlapping(log, least) != overlapping(&topic.logs[0], least))
}

/// Batches that have an offset below `hw`.
fn overlapping(log: &[Batch], hw: i64) -> Vec<&Batch> {
    log.iter().filter(|batch| batch.base < hw).collect()
}

/// A replica differs from F below its own high watermark.
pub fn committed_prefix(topic: &Topic) -> bool {
    (0..3).any(|node| {
        let hw = own_hw(topic, node);
        below(&topic.logs[node], hw) != below(topic.final_log(), hw)
    })
}

/// Equal base and epoch, other bytes.
pub fn log_matching(topic: &Topic) -> bool {
    let all: Vec<&Batch> = topic.logs.iter().flatten().collect();
    all.iter().any(|a| {
        all.iter()
            .any(|b| a.base == b.base && a.epoch == b.epoch && a != b)
    })
}

/// Epochs go back inside one log.
pub fn log_malformed(topic: &Topic) -> bool {
    topic
        .logs
        .iter()
        .any(|log| log.windows(2).any(|pair| pair[1].epoch < pair[0].epoch))
}

/// A batch does not begin where the one before ended, in any image.
pub fn log_hole(topic: &Topic) -> bool {
    let broken = |log: &Vec<Batch>| {
        let pairs = log.windows(2);
        pairs
            .into_iter()
            .any(|pair| pair[1].base != pair[0].last() + 1)
    };
    topic.logs.iter().any(broken)
}

/// One offset was seen as one record by somebody, and as another by somebody else or in F.
pub fn read_then_changed(topic: &Topic) -> bool {
    let mine = topic.reads.iter().map(|read| (read.offset, read.value));
    let drained = records(topic.final_log()).into_iter();
    let all: Vec<(i64, u64)> = mine
        .clone()
        .chain(drained.map(|(o, _, v)| (o, v)))
        .collect();
    mine.into_iter()
        .any(|(o, v)| all.iter().any(|(other, w)| o == *other && v != *w))
}

/// A stored or delivered value that was sent, to another topic.
pub fn misplaced(topic: &Topic, topics: &[Topic]) -> bool {
    let stored = topic
        .logs
        .iter()
        .flat_map(|log| records(log))
        .map(|(_, _, value)| value);
    let given = topic.reads.iter().map(|read| read.value);
    let sent_to = |topic: &Topic, value: u64| topic.sends.iter().any(|send| send.value == value);
    stored.chain(given).any(|value| {
        let elsewhere = topics.iter().filter(|other| other.name != topic.name);
        elsewhere.into_iter().any(|other| sent_to(other, value)) && !sent_to(topic, value)
    })
}
