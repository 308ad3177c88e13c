//! `lost-write`: a value that stands in the log below something that was read, and that no ok
//! operation read. First and last indices keep duplicates and conflicts from looking like loss.

use history::jepsen::Key;

use super::clojure;
use super::entry::{Entry, shown};
use super::tables::{NONE, Tables};

/// The lost values, and why Jepsen's checker would have died, if it would.
pub(super) fn lost(tables: &Tables<'_>) -> (Vec<Entry>, Option<String>) {
    let mut entries = Vec::new();
    let mut crash = None;
    for key in tables
        .keys()
        .filter(|key| tables.ok_read_key[key.0 as usize])
    {
        let died = match bound(tables, key) {
            Some(bound) => below(tables, key, bound, &mut entries),
            None => Some(format!(
                "lost-write: nth of index -1 is out of bounds: an ok poll returned key {}, but no \
                 ok poll read a value of it that has an offset",
                shown(tables.history.key(key))
            )),
        };
        crash = crash.or(died);
    }
    (entries, crash)
}

/// The highest of the first indices of values that were read.
fn bound(tables: &Tables<'_>, key: Key) -> Option<u32> {
    let read = tables.log(key).iter().map(|&(_, id)| tables.message(id));
    read.filter(|message| message.ok_read)
        .map(|message| message.first)
        .max()
}

fn below(tables: &Tables<'_>, key: Key, bound: u32, entries: &mut Vec<Entry>) -> Option<String> {
    let mut max_read = None;
    let mut crash = None;
    let same_offset = |one: &(i64, u32), other: &(i64, u32)| one.0 == other.0;
    let begin = entries.len();
    for (index, same) in tables
        .log(key)
        .chunk_by(same_offset)
        .enumerate()
        .take(bound as usize + 1)
    {
        let here = same.iter().map(|&(_, id)| id);
        for id in here.filter(|&id| tables.message(id).last == index as u32) {
            let message = tables.message(id);
            if index as u32 == bound {
                let place = clojure::place_in_set(&tables.history.value(message.value));
                let witness = (place, message.reader);
                max_read = Some(match max_read.take() {
                    Some(other) => witness.min(other),
                    None => witness,
                });
            }
            if message.ok_read && message.value.is_truthy() {
                continue;
            }
            if message.writer == NONE {
                crash.get_or_insert_with(|| {
                    format!(
                        "lost-write: no writer of value {} in key {}",
                        shown(&tables.history.value(message.value)),
                        shown(tables.history.key(key))
                    )
                });
            } else if tables.must_have_committed(message.writer as usize) {
                entries.push(Entry::Lost {
                    key,
                    value: message.value,
                    index: message.first,
                    max_read_index: bound,
                    writer: message.writer,
                    max_read: NONE,
                });
            }
        }
    }
    for entry in &mut entries[begin..] {
        if let Entry::Lost {
            max_read: witness, ..
        } = entry
        {
            *witness = max_read.as_ref().map_or(NONE, |(_, reader)| *reader);
        }
    }
    crash
}
