//! `inconsistent-offsets` and `duplicate`: what the log itself contradicts. Reading the same
//! offset again is neither.

use rustc_hash::FxHashMap;

use super::clojure;
use super::entry::Entry;
use super::tables::Tables;

/// Two values at one offset. Where Clojure cannot sort the values, Jepsen's checker dies: the
/// reason is the error.
pub(super) fn inconsistent(tables: &Tables<'_>) -> (Vec<Entry>, Option<String>) {
    let mut entries = Vec::new();
    let mut crash = None;
    for key in tables.keys() {
        let same_offset = |one: &(i64, u32), other: &(i64, u32)| one.0 == other.0;
        for (index, same) in tables.log(key).chunk_by(same_offset).enumerate() {
            if same.len() < 2 {
                continue;
            }
            let values = same.iter().map(|&(_, id)| {
                let value = tables.message(id).value;
                (tables.history.value(value), value)
            });
            let mut values: Vec<_> = values.collect();
            if !clojure::comparable(values.iter().map(|(scalar, _)| scalar)) && crash.is_none() {
                let offset = same[0].0;
                let key = super::entry::shown(tables.history.key(key));
                crash = Some(format!(
                    "inconsistent-offsets: the values at key {key}, offset {offset} are of kinds \
                     that Clojure's sorted-set cannot compare"
                ));
            }
            values.sort_by(|one, other| {
                let order = clojure::compare(&one.0, &other.0);
                order.unwrap_or_else(|| one.1.cmp(&other.1))
            });
            entries.push(Entry::Inconsistent {
                key,
                offset: same[0].0,
                index: index as u32,
                values: values.into_iter().map(|(_, value)| value).collect(),
            });
        }
    }
    (entries, crash)
}

/// One value at several offsets.
pub(super) fn duplicate(tables: &Tables<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut offsets: FxHashMap<u32, Vec<i64>> = FxHashMap::default();
    for key in tables.keys() {
        let log = tables.log(key);
        let twice = |id: u32| tables.message(id).first != tables.message(id).last;
        for &(offset, id) in log.iter().filter(|(_, id)| twice(*id)) {
            offsets.entry(id).or_default().push(offset);
        }
        for &(_, id) in log {
            if let Some(offsets) = offsets.remove(&id) {
                let value = tables.message(id).value;
                entries.push(Entry::Duplicate {
                    key,
                    value,
                    offsets,
                });
            }
        }
    }
    entries
}
