//! `read-then-vanished`, as far as a history itself shows it: a record that was delivered, and
//! that a consumer later passed over where it must have come across it again.
//!
//! Two ways convict. A consumer went from below it to above it, or one that was assigned and sought
//! the beginning began above it. In a third way it may be gone: such a consumer ended below it, since a
//! later poll of it returned nothing and it never got further; it may have been slow. In every case the
//! record had been delivered before the consumer asked, and was never delivered again. Topics are
//! taken for ones that keep everything; histories do not tell.

use std::collections::BTreeMap;

use history::jepsen::{Function, Item, Key, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::entry::{Entry, Place};
use super::tables::{NONE, Tables};

/// What was not delivered again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missed {
    pub key: Key,
    /// Indices, from and up to but without.
    pub range: (u32, u32),
    /// What had been delivered before this position was there to be seen.
    pub since: u32,
    /// The operation that shows it.
    pub by: u32,
    pub how: How,
}

/// In which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    PassedOver,
    NotAtTheBeginning,
    /// A consumer that is slow looks the same.
    NotAtTheEnd,
}

impl How {
    fn words(self) -> &'static str {
        match self {
            How::PassedOver => "passed over",
            How::NotAtTheBeginning => "not at the beginning",
            How::NotAtTheEnd => "not at the end",
        }
    }
}

/// What vanished, and what may have.
#[derive(Debug, Default)]
pub(super) struct Vanished {
    /// Each once.
    pub gone: Vec<Entry>,
    /// What nobody came across again who may only have been slow; each once, none that is gone.
    pub perhaps: Vec<Entry>,
    /// How many indices were gone over twice.
    pub examined: u64,
}

/// What one consumer reads again from the beginning.
#[derive(Debug, Clone, Copy)]
struct Again {
    since: u32,
    /// The index after the highest that it got.
    reached: Option<u32>,
    /// A later poll that returned nothing.
    rested: Option<u32>,
}

/// Records that vanished.
pub(super) fn vanished(tables: &Tables<'_>, skips: &[&Entry]) -> Vanished {
    let mut missed: Vec<Missed> = skips
        .iter()
        .filter_map(|skip| passed_over(tables, skip))
        .collect();
    let mut all = Vanished::default();
    read_again(tables, &mut missed, &mut all.examined);
    let mut by_key: BTreeMap<Key, Vec<Missed>> = BTreeMap::new();
    for one in missed {
        all.examined += u64::from(one.range.1.saturating_sub(one.range.0));
        by_key.entry(one.key).or_default().push(one);
    }
    for (key, missed) in by_key {
        let mut told = FxHashSet::default();
        let ended = |one: &Missed| one.how == How::NotAtTheEnd;
        let (ended, sure) = missed.into_iter().partition(ended);
        all.gone.extend(gone(tables, key, sure, &mut told));
        all.perhaps.extend(gone(tables, key, ended, &mut told));
    }
    all
}

/// A jump forwards of one consumer.
fn passed_over(tables: &Tables<'_>, skip: &Entry) -> Option<Missed> {
    let Entry::Step {
        key,
        skipped,
        place,
        ..
    } = skip
    else {
        return None;
    };
    let (Place::Within(by) | Place::Between(_, by)) = *place;
    let since = tables.op(by as usize).partner()? as u32;
    Some(Missed {
        key: *key,
        range: *skipped,
        since,
        by,
        how: How::PassedOver,
    })
}

/// The beginnings and ends of what was read again from the beginning.
fn read_again(tables: &Tables<'_>, missed: &mut Vec<Missed>, examined: &mut u64) {
    let mut again: FxHashMap<i64, BTreeMap<Key, Again>> = FxHashMap::default();
    for (at, op) in tables.history.ops().iter().enumerate() {
        if let Some(again) = again.get_mut(&op.process) {
            // Where the key goes on after a rebalance is anybody's guess.
            let rebalanced = tables.history.rebalanced(op);
            again.retain(|key, _| !rebalanced.contains(key));
        }
        match (op.function, op.kind) {
            (Function::Assign | Function::Subscribe, Kind::Ok | Kind::Info) => {
                for (key, one) in again.remove(&op.process).unwrap_or_default() {
                    missed.extend(ended(tables, key, one));
                }
                if op.kind == Kind::Ok && op.from_beginning && op.function == Function::Assign {
                    let since = op.partner().map_or(at, |invoked| invoked) as u32;
                    let fresh = Again {
                        since,
                        reached: None,
                        rested: None,
                    };
                    let items = tables.history.items(op).iter();
                    let named = items.filter_map(|item| match item {
                        Item::Named(key) => Some((*key, fresh)),
                        _ => None,
                    });
                    again.insert(op.process, named.collect());
                }
            }
            (Function::Crash, _) => {
                for (key, one) in again.remove(&op.process).unwrap_or_default() {
                    missed.extend(ended(tables, key, one));
                }
            }
            (Function::Poll | Function::Txn, Kind::Ok) => {
                if let Some(again) = again.get_mut(&op.process) {
                    go_on(tables, at as u32, again, missed, examined);
                }
            }
            _ => {}
        }
    }
    let mut left: Vec<_> = again.into_iter().collect();
    left.sort_by_key(|(process, _)| *process);
    for (key, one) in left.into_iter().flat_map(|(_, keys)| keys) {
        missed.extend(ended(tables, key, one));
    }
}

/// An ok poll of a consumer that reads again.
fn go_on(
    tables: &Tables<'_>,
    at: u32,
    again: &mut BTreeMap<Key, Again>,
    missed: &mut Vec<Missed>,
    examined: &mut u64,
) {
    let mut nothing = true;
    for (key, ids) in tables.reads.of(at as usize) {
        nothing &= ids.is_empty();
        let Some(one) = again.get_mut(&key) else {
            continue;
        };
        if ids.is_empty() {
            one.rested = Some(at);
        }
        for &id in ids {
            let message = tables.message(id);
            if message.first == NONE {
                continue;
            }
            *examined += 1;
            if one.reached.is_none() {
                let range = (0, message.first);
                let how = How::NotAtTheBeginning;
                missed.push(Missed {
                    key,
                    range,
                    since: one.since,
                    by: at,
                    how,
                });
            }
            let next = message.first + 1;
            one.reached = Some(one.reached.map_or(next, |reached| reached.max(next)));
            one.rested = None;
        }
    }
    if nothing
        && tables
            .history
            .items(tables.op(at as usize))
            .contains(&Item::Poll)
    {
        for one in again.values_mut() {
            one.rested = Some(at);
        }
    }
}

fn ended(tables: &Tables<'_>, key: Key, one: Again) -> Option<Missed> {
    let range = (one.reached.unwrap_or(0), tables.order(key).len() as u32);
    let how = How::NotAtTheEnd;
    Some(Missed {
        key,
        range,
        since: one.since,
        by: one.rested?,
        how,
    })
}

/// Which messages of a key had been delivered before somebody missed them. Whoever asked last
/// missed most, so each index is given to the latest: every index is visited once, however many
/// ranges cover it. What was told is not told again.
fn gone(
    tables: &Tables<'_>,
    key: Key,
    mut missed: Vec<Missed>,
    told: &mut FxHashSet<(i64, u32)>,
) -> Vec<Entry> {
    missed.sort_by_key(|one| (std::cmp::Reverse(one.since), one.by, one.range));
    let length = tables.order(key).len();
    let mut free: Vec<u32> = (0..=length as u32).collect();
    let mut latest: BTreeMap<u32, usize> = BTreeMap::new();
    for (number, one) in missed.iter().enumerate() {
        let mut index = next_free(&mut free, one.range.0);
        while index < one.range.1 {
            latest.insert(index, number);
            free[index as usize] = index + 1;
            index = next_free(&mut free, index);
        }
    }
    let same_offset = |one: &(i64, u32), other: &(i64, u32)| one.0 == other.0;
    let mut entries = Vec::new();
    for (index, same) in tables.log(key).chunk_by(same_offset).enumerate() {
        let Some(&number) = latest.get(&(index as u32)) else {
            continue;
        };
        let Missed { since, by, how, .. } = missed[number];
        for &(offset, id) in same {
            let message = tables.message(id);
            let unseen_since = message.reader != NONE && message.last_reader < since;
            if unseen_since && told.insert((offset, id)) {
                entries.push(Entry::Vanished {
                    key,
                    value: message.value,
                    offset,
                    reader: message.reader,
                    missed_by: by,
                    how: how.words(),
                });
            }
        }
    }
    entries
}

/// The first index from here on that is nobody's, with the paths to it made short.
fn next_free(free: &mut [u32], from: u32) -> u32 {
    let mut end = from;
    while free[end as usize] != end {
        end = free[end as usize];
    }
    let mut at = from;
    while at != end {
        at = std::mem::replace(&mut free[at as usize], end);
    }
    end
}
