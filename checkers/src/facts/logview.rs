//! A replica's log, asked by offset. It copies nothing, and it bears logs whose offsets are out of
//! order (which other rules report).

use std::sync::atomic::{AtomicUsize, Ordering};

use evidence::{Batch, Record, ReplicaLog};
use history::{Epoch, Offset, ValueId};

/// A log with a way to find offsets in it.
#[derive(Debug)]
pub struct LogView<'a> {
    /// The log.
    pub log: &'a ReplicaLog,
    /// Record positions by offset, only where the file order is not ascending.
    records: Option<Vec<u32>>,
    /// Batch positions by base offset, likewise.
    batches: Option<Vec<u32>>,
    /// Where batches of another epoch begin, and which; nothing where the file order of the batches is
    /// not ascending.
    runs: Vec<(Offset, Epoch)>,
    /// Where the last search for a record ended: the next one mostly ends near it.
    last_record: AtomicUsize,
    /// Likewise for batches.
    last_batch: AtomicUsize,
}

impl<'a> LogView<'a> {
    /// Looks at a log.
    pub fn of(log: &'a ReplicaLog) -> Self {
        let records = order(log.records.len(), |i| log.records[i].offset);
        let batches = order(log.batches.len(), |i| log.batches[i].base);
        let mut runs: Vec<(Offset, Epoch)> = Vec::new();
        for batch in log.batches.iter().filter(|_| batches.is_none()) {
            if runs.last().is_none_or(|(_, epoch)| *epoch != batch.epoch) {
                runs.push((batch.base, batch.epoch));
            }
        }
        Self {
            log,
            records,
            batches,
            runs,
            last_record: AtomicUsize::new(0),
            last_batch: AtomicUsize::new(0),
        }
    }

    /// Whether each record has a higher offset than the one before it.
    pub fn ascends(&self) -> bool {
        self.records.is_none()
    }

    /// The only epoch that [`epoch_at`](Self::epoch_at) may say of an offset, if it says any; nothing
    /// where that is not known without looking.
    pub fn epoch_around(&self, offset: Offset) -> Option<Epoch> {
        let after = self.runs.partition_point(|(from, _)| *from <= offset);
        let (_, epoch) = self.runs.get(after.checked_sub(1)?)?;
        Some(*epoch)
    }

    /// The position of the record at an offset.
    #[inline]
    pub fn position(&self, offset: Offset) -> Option<usize> {
        let records = &self.log.records;
        if let Some(order) = &self.records {
            let place = order
                .binary_search_by_key(&offset, |&i| records[i as usize].offset)
                .ok()?;
            return Some(order[place] as usize);
        }
        // Logs without holes are the rule: the position follows from the offset.
        let first = records.first()?.offset;
        let guess = usize::try_from(offset.0.checked_sub(first.0)?).ok()?;
        if records
            .get(guess)
            .is_some_and(|record| record.offset == offset)
        {
            return Some(guess);
        }
        let at = after(records, &self.last_record, |record| record.offset <= offset);
        let last = at.checked_sub(1)?;
        (records[last].offset == offset).then_some(last)
    }

    /// The record at an offset.
    pub fn at(&self, offset: Offset) -> Option<&'a Record> {
        self.position(offset).map(|at| &self.log.records[at])
    }

    /// The value at an offset.
    pub fn value_at(&self, offset: Offset) -> Option<ValueId> {
        match self.at(offset)?.payload {
            history::Payload::Value(value) => Some(value),
            history::Payload::Corrupt | history::Payload::Foreign => None,
        }
    }

    /// Whether this value stands at this offset.
    pub fn holds(&self, offset: Offset, value: ValueId) -> bool {
        self.value_at(offset) == Some(value)
    }

    /// The batch that covers an offset.
    pub fn batch_at(&self, offset: Offset) -> Option<&'a Batch> {
        let batches = &self.log.batches;
        let batch = match &self.batches {
            Some(order) => {
                let after = order.partition_point(|&i| batches[i as usize].base <= offset);
                &batches[order[after.checked_sub(1)?] as usize]
            }
            None => {
                let after = after(batches, &self.last_batch, |batch| batch.base <= offset);
                &batches[after.checked_sub(1)?]
            }
        };
        (batch.last >= offset).then_some(batch)
    }

    /// The epoch of the batch that covers an offset.
    pub fn epoch_at(&self, offset: Offset) -> Option<Epoch> {
        self.batch_at(offset).map(|batch| batch.epoch)
    }

    /// The newest epoch of its batches.
    pub fn newest_epoch(&self) -> Option<Epoch> {
        self.log.batches.iter().map(|batch| batch.epoch).max()
    }

    /// The first offset that it holds, or where its first segment begins.
    pub fn start(&self) -> Offset {
        self.log
            .segments
            .first()
            .copied()
            .or_else(|| self.log.batches.first().map(|batch| batch.base))
            .unwrap_or(Offset(0))
    }
}

/// How many of `all` come before the first that does not fit, as `partition_point` says it; looked
/// for around where the last search ended.
fn after<T>(all: &[T], last: &AtomicUsize, fits: impl Fn(&T) -> bool) -> usize {
    let found = near(all, last.load(Ordering::Relaxed), fits);
    last.store(found, Ordering::Relaxed);
    found
}

/// `partition_point`, in time that grows with the distance from `hint`.
pub fn near<T>(all: &[T], hint: usize, fits: impl Fn(&T) -> bool) -> usize {
    let hint = hint.min(all.len());
    let (mut low, mut high, mut step) = (hint, hint, 1);
    if hint < all.len() && fits(&all[hint]) {
        // The answer lies behind the hint.
        while high < all.len() && fits(&all[high]) {
            low = high + 1;
            high = all.len().min(high + step);
            step *= 2;
        }
    } else {
        while low > 0 && !fits(&all[low - 1]) {
            high = low - 1;
            low = low.saturating_sub(step);
            step *= 2;
        }
    }
    low += all[low..high].partition_point(fits);
    low
}

fn order<K: Ord + Copy>(len: usize, key: impl Fn(usize) -> K) -> Option<Vec<u32>> {
    if (1..len).all(|i| key(i - 1) < key(i)) {
        return None;
    }
    let mut order: Vec<u32> = (0..len as u32).collect();
    order.sort_by_key(|&i| key(i as usize));
    Some(order)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::near;

    proptest! {
        #[test]
        fn searching_near_finds_what_searching_finds(
            mut all in prop::collection::vec(0u32..60, 0..40), hint in 0usize..50, limit in 0u32..70,
        ) {
            all.sort_unstable();
            let fits = |n: &u32| *n <= limit;
            prop_assert_eq!(near(&all, hint, fits), all.partition_point(fits));
        }
    }
}
