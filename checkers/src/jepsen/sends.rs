//! `int-send-skip`, `int-nonmonotonic-send` and `nonmonotonic-send`: producers whose messages
//! stand in another order than they were sent. There is no external send-skip: others send too.

use history::jepsen::{Function, Key, Kind};
use rustc_hash::FxHashMap;

use super::entry::{Entry, Place};
use super::polls::{Jumps, keep_named, within};
use super::tables::Tables;

/// Within one operation.
pub(super) fn internal(tables: &Tables<'_>) -> Jumps {
    let mut jumps = Jumps::default();
    for (at, op) in tables.history.ops().iter().enumerate() {
        if op.kind != Kind::Invoke {
            for (key, ids) in tables.writes.of(at) {
                within(tables, at as u32, key, ids, &mut jumps);
            }
        }
    }
    jumps
}

/// From one operation of a process to its next, ok or undecided.
pub(super) fn external(tables: &Tables<'_>) -> (Vec<Entry>, u64) {
    let mut entries = Vec::new();
    let mut examined = 0;
    let mut last: FxHashMap<i64, FxHashMap<Key, u32>> = FxHashMap::default();
    for (at, op) in tables.history.ops().iter().enumerate() {
        if !matches!(op.kind, Kind::Ok | Kind::Info) {
            continue;
        }
        match op.function {
            Function::Assign | Function::Subscribe => {
                if let Some(last) = last.get_mut(&op.process) {
                    keep_named(last, tables.history.items(op));
                }
            }
            Function::Send | Function::Txn if tables.writes.has(at) => {
                let last = last.entry(op.process).or_default();
                for (key, ids) in tables.writes.of(at) {
                    if let Some(&before) = last.get(&key) {
                        examined += 1;
                        entries.extend(backwards(tables, key, before, at as u32, ids));
                    }
                    last.insert(key, at as u32);
                }
            }
            _ => {}
        }
    }
    (entries, examined)
}

fn backwards(tables: &Tables<'_>, key: Key, before: u32, now: u32, ids: &[u32]) -> Option<Entry> {
    let old = tables
        .writes
        .of(before as usize)
        .find(|(of, _)| *of == key)?;
    let (old, new) = (*old.1.last()?, *ids.first()?);
    let (from, to) = (tables.at(old)?, tables.at(new)?);
    (to - from < 1).then(|| Entry::Step {
        key,
        values: Some([old, new].map(|id| tables.message(id).value)),
        delta: to - from,
        skipped: (0, 0),
        place: Place::Between(before, now),
    })
}
