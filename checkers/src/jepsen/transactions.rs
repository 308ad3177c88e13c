//! `G1a` and `precommitted-read`: what a transaction must not show.

use history::jepsen::{Function, Kind};
use rustc_hash::FxHashSet;

use super::entry::Entry;
use super::tables::Tables;

/// An ok read of a value that some failed operation sent; once for each time that it is in the
/// operation's reads, as Jepsen counts.
pub(super) fn aborted(tables: &Tables<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    if !tables.messages.iter().any(|message| message.fail_sent) {
        return entries;
    }
    for (at, op) in tables.history.ops().iter().enumerate() {
        if op.kind != Kind::Ok {
            continue;
        }
        for (key, ids) in tables.reads.of(at) {
            let failed = ids.iter().map(|&id| tables.message(id));
            entries.extend(
                failed
                    .filter(|m| m.fail_sent)
                    .map(|message| Entry::Aborted {
                        key,
                        value: message.value,
                        writer: message.writer,
                        reader: at as u32,
                    }),
            );
        }
    }
    entries
}

/// An operation that read what it itself sent; one an operation.
pub(super) fn precommitted(tables: &Tables<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    for (at, op) in tables.history.ops().iter().enumerate() {
        if op.function != Function::Txn || !tables.writes.has(at) || !tables.reads.has(at) {
            continue;
        }
        let read: FxHashSet<u32> = tables
            .reads
            .of(at)
            .flat_map(|(_, ids)| ids)
            .copied()
            .collect();
        let own = tables.writes.of(at).find_map(|(key, ids)| {
            let id = ids.iter().copied().find(|id| read.contains(id))?;
            Some((key, id))
        });
        if let Some((key, id)) = own {
            let value = tables.message(id).value;
            let op = at as u32;
            entries.push(Entry::Precommitted { op, key, value });
        }
    }
    entries
}
