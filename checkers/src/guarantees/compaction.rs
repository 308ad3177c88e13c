//! Two logs of a compacted topic, compared: the log cleaner works on each replica by itself, so that
//! bytes say nothing. What both hold at an offset must be the same record, and what one lacks must
//! have been replaced in it: a later record of the same key stands there.
//!
//! Records without a key are no business of a compacted topic and are left out, and so are those of
//! aborted transactions.

use history::Offset;
use rustc_hash::FxHashMap;

use crate::facts::LogView;
use crate::facts::txns::{Marked, Stretches};
use crate::judgement::OffsetRange;

/// How many records of `view` in [from, to) were compared, and the range in which the other log has
/// something else, or lacks what nothing replaced in it.
pub fn compare(
    view: &LogView,
    other: &LogView,
    from: Offset,
    to: Offset,
) -> (u64, Option<OffsetRange>) {
    let latest = latest(other);
    let stretches = Stretches::of(view);
    let (mut examined, mut differs) = (0, None::<OffsetRange>);
    for batch in view.log.batches.iter().filter(|batch| !batch.is_control()) {
        let stretch = stretches.of_batch(batch);
        if stretch.is_some_and(|stretch| stretch.marked == Marked::Aborted) {
            continue;
        }
        for record in view.log.records_of(batch) {
            let Some(key) = record.key() else { continue };
            if record.offset < from || record.offset >= to {
                continue;
            }
            examined += 1;
            let agrees = match other.at(record.offset) {
                Some(there) => there.payload == record.payload && there.key() == Some(key),
                None => latest.get(&key).is_some_and(|last| *last > record.offset),
            };
            if !agrees {
                let at = record.offset.0;
                let range = differs.get_or_insert(OffsetRange {
                    from: at,
                    to: at + 1,
                });
                (range.from, range.to) = (range.from.min(at), range.to.max(at + 1));
            }
        }
    }
    (examined, differs)
}

/// The last offset of each key.
pub fn latest(log: &LogView) -> FxHashMap<u64, Offset> {
    let mut latest: FxHashMap<u64, Offset> = FxHashMap::default();
    for record in &log.log.records {
        if let Some(key) = record.key() {
            let at = latest.entry(key).or_insert(record.offset);
            *at = record.offset.max(*at);
        }
    }
    latest
}
