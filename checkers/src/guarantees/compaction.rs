//! Two logs of a compacted topic, compared: the log cleaner works on each replica by itself, so that
//! bytes say nothing. What both hold at an offset must be the same record, and what one lacks must
//! have been replaced in it: a later record of the same key stands there, or stood and has gone in its
//! turn.
//!
//! Records without a key are no business of a compacted topic and are left out, and so are those of
//! aborted transactions.

use evidence::Record;
use history::{Offset, Payload};

use crate::facts::LogView;
use crate::facts::txns::{Marked, Stretches};
use crate::gone::Cleaning;
use crate::judgement::OffsetRange;

/// How many records of `view` in [from, to) were compared, and the range in which the other log has
/// something else, or lacks what nothing replaced in it.
pub fn compare(
    cleaning: &Cleaning,
    view: &LogView,
    other: &LogView,
    from: Offset,
    to: Offset,
) -> (u64, Option<OffsetRange>) {
    let latest = cleaning.latest(other);
    let stretches = Stretches::of(view);
    // How its transaction ended may not be known: then it may have been aborted.
    let ended_otherwise = |record: &Record| match record.payload {
        Payload::Value(value) => cleaning.end(value) != Marked::Committed,
        Payload::Corrupt | Payload::Foreign => false,
    };
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
                None => {
                    let last = latest.get(&key);
                    last.is_some_and(|last| *last >= record.offset) || ended_otherwise(record)
                }
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
