//! `unseen`: acknowledged and by the end of the history read by no ok operation. It cannot tell
//! lost from late.

use history::jepsen::{Key, Kind, Value};
use rustc_hash::FxHashSet;

use super::clojure;
use super::entry::Entry;
use super::tables::Tables;

/// Whether a key that is first mentioned by the very last ok poll counts as unseen, as the merge
/// of Jepsen's checker has it for one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glitch {
    /// As Jepsen.
    Reproduced,
    /// As it is meant.
    Absent,
}

/// The last observation, if it is not empty; and why Jepsen's checker could not print it.
pub(super) fn unseen(tables: &Tables<'_>, glitch: Glitch) -> Option<(Entry, Option<String>)> {
    let history = tables.history;
    let counts = |op: &history::jepsen::Op| op.kind == Kind::Ok && op.function.is_transactional();
    let last = history.ops().iter().rposition(counts)?;
    let mut by_key: Vec<Vec<Value>> = vec![Vec::new(); history.key_count()];
    for message in &tables.messages {
        if message.ok_sent && !message.ok_read {
            by_key[message.key.0 as usize].push(message.value);
        }
    }
    if glitch == Glitch::Reproduced {
        let first_polled = first_polled_by(tables, last);
        for message in &tables.messages {
            if message.ok_read && first_polled.contains(&message.key) {
                by_key[message.key.0 as usize].push(message.value);
            }
        }
    }
    let mut messages: Vec<(Key, Vec<Value>)> = Vec::new();
    for (key, values) in by_key.into_iter().enumerate() {
        if !values.is_empty() {
            messages.push((Key(key as u32), values));
        }
    }
    if messages.is_empty() {
        return None;
    }
    let mut crash = None;
    if !clojure::comparable(messages.iter().map(|(key, _)| history.key(*key))) {
        crash =
            Some("unseen: the keys are of kinds that Clojure's sorted-map cannot compare".into());
    }
    messages.sort_by(|(one, _), (other, _)| {
        let order = clojure::compare(history.key(*one), history.key(*other));
        order.unwrap_or_else(|| one.cmp(other))
    });
    for (_, values) in &mut messages {
        let mut named: Vec<_> = values.iter().map(|&v| (history.value(v), v)).collect();
        if crash.is_none() && !clojure::comparable(named.iter().map(|(scalar, _)| scalar)) {
            crash =
                Some("unseen: the messages are of kinds that Clojure's sort cannot compare".into());
        }
        named.sort_by(|one, other| {
            let order = clojure::compare(&one.0, &other.0);
            order.unwrap_or_else(|| one.1.cmp(&other.1))
        });
        *values = named.into_iter().map(|(_, value)| value).collect();
    }
    let time = history.ops()[last].time;
    Some((Entry::Unseen { time, messages }, crash))
}

/// Keys that no ok operation before the last sent or polled, and that the last polled only.
fn first_polled_by(tables: &Tables<'_>, last: usize) -> FxHashSet<Key> {
    let mut polled: FxHashSet<Key> = tables.reads.of(last).map(|(key, _)| key).collect();
    for (key, _) in tables.writes.of(last) {
        polled.remove(&key);
    }
    for (at, op) in tables.history.ops()[..last].iter().enumerate() {
        if polled.is_empty() {
            break;
        }
        if op.kind == Kind::Ok {
            for (key, _) in tables.reads.of(at).chain(tables.writes.of(at)) {
                polled.remove(&key);
            }
        }
    }
    polled
}
