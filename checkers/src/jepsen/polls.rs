//! `poll-skip`, `nonmonotonic-poll` and their internal forms: consumers that jump.

use history::jepsen::{Function, Item, Key, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::entry::{Entry, Place};
use super::tables::Tables;

/// What a jump forwards and a jump back are kept as.
#[derive(Debug, Default)]
pub(super) struct Jumps {
    pub skips: Vec<Entry>,
    pub backwards: Vec<Entry>,
    /// How many steps from one record to the next were looked at.
    pub examined: u64,
}

/// What to do where an operation tells that its process goes on elsewhere: after a rebalance, or
/// after it sought the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rebalances {
    /// Jepsen's external checks do not look.
    Ignored,
    /// The process has forgotten the keys that were rebalanced.
    Honoured,
}

/// From one operation of a process to its next.
pub(super) fn external(tables: &Tables<'_>, rebalances: Rebalances) -> Jumps {
    let mut jumps = Jumps::default();
    let mut last: FxHashMap<i64, FxHashMap<Key, u32>> = FxHashMap::default();
    for (at, op) in tables.history.ops().iter().enumerate() {
        let rebalanced = match rebalances {
            Rebalances::Ignored => &[],
            Rebalances::Honoured => tables.history.rebalanced(op),
        };
        forget(&mut last, op.process, rebalanced);
        match op.function {
            Function::Assign | Function::Subscribe => {
                if matches!(op.kind, Kind::Ok | Kind::Info)
                    && let Some(last) = last.get_mut(&op.process)
                {
                    keep_named(last, tables.history.items(op));
                    if rebalances == Rebalances::Honoured && op.from_beginning {
                        last.clear();
                    }
                }
            }
            Function::Poll | Function::Txn if tables.reads.has(at) => {
                let last = last.entry(op.process).or_default();
                for (key, ids) in tables.reads.of(at) {
                    if let Some(&before) = last.get(&key) {
                        step(tables, key, before, at as u32, ids, &mut jumps);
                    }
                    if op.kind == Kind::Ok {
                        last.insert(key, at as u32);
                    }
                }
            }
            _ => {}
        }
        forget(&mut last, op.process, rebalanced);
    }
    jumps
}

/// Where the key goes on after a rebalance is anybody's guess.
fn forget(last: &mut FxHashMap<i64, FxHashMap<Key, u32>>, process: i64, keys: &[Key]) {
    if !keys.is_empty()
        && let Some(last) = last.get_mut(&process)
    {
        for key in keys {
            last.remove(key);
        }
    }
}

/// An assign or subscribe forgets what it does not name.
pub(super) fn keep_named(last: &mut FxHashMap<Key, u32>, items: &[Item]) {
    let named = items.iter().filter_map(|item| match item {
        Item::Named(key) => Some(*key),
        _ => None,
    });
    let named: FxHashSet<Key> = named.collect();
    last.retain(|key, _| named.contains(key));
}

/// From the last thing that `before` read to the first that `now` read.
fn step(tables: &Tables<'_>, key: Key, before: u32, now: u32, ids: &[u32], jumps: &mut Jumps) {
    let old = tables.reads.of(before as usize).find(|(of, _)| *of == key);
    let old = old.and_then(|(_, ids)| ids.last());
    let from = tables.index_or_nil(key, old);
    let to = tables.index_or_nil(key, ids.first());
    jumps.examined += 1;
    let (Some(from), Some(to)) = (from, to) else {
        return;
    };
    let value = |id: Option<&u32>| id.map(|&id| tables.message(id).value);
    let entry = |values| Entry::Step {
        key,
        values,
        delta: to - from,
        skipped: (from as u32 + 1, to as u32),
        place: Place::Between(before, now),
    };
    if to - from > 1 {
        jumps.skips.push(entry(None));
    } else if to - from < 1 {
        let nil = history::jepsen::Value::NIL;
        let ends = [old, ids.first()].map(|id| value(id).unwrap_or(nil));
        jumps.backwards.push(entry(Some(ends)));
    }
}

/// From one record to the next within one operation.
pub(super) fn internal(tables: &Tables<'_>) -> Jumps {
    let mut jumps = Jumps::default();
    for (at, op) in tables.history.ops().iter().enumerate() {
        if !tables.reads.has(at) {
            continue;
        }
        let rebalanced = tables.history.rebalanced(op);
        for (key, ids) in tables.reads.of(at) {
            if !rebalanced.contains(&key) {
                within(tables, at as u32, key, ids, &mut jumps);
            }
        }
    }
    jumps
}

/// Consecutive messages of one key in one operation.
pub(super) fn within(tables: &Tables<'_>, op: u32, key: Key, ids: &[u32], jumps: &mut Jumps) {
    for pair in ids.windows(2) {
        jumps.examined += 1;
        let (Some(from), Some(to)) = (tables.at(pair[0]), tables.at(pair[1])) else {
            continue;
        };
        let ends = [pair[0], pair[1]].map(|id| tables.message(id).value);
        let entry = Entry::Step {
            key,
            values: Some(ends),
            delta: to - from,
            skipped: (from as u32 + 1, to as u32),
            place: Place::Within(op),
        };
        if to - from > 1 {
            jumps.skips.push(entry);
        } else if to - from < 1 {
            jumps.backwards.push(entry);
        }
    }
}
