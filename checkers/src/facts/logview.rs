//! A replica's log, asked by offset. It copies nothing, and it bears logs whose offsets are out of
//! order (which other rules report).

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
}

impl<'a> LogView<'a> {
    /// Looks at a log.
    pub fn of(log: &'a ReplicaLog) -> Self {
        let records = order(log.records.len(), |i| log.records[i].offset);
        let batches = order(log.batches.len(), |i| log.batches[i].base);
        Self {
            log,
            records,
            batches,
        }
    }

    /// The record at an offset.
    pub fn at(&self, offset: Offset) -> Option<&'a Record> {
        let records = &self.log.records;
        if let Some(order) = &self.records {
            let place = order
                .binary_search_by_key(&offset, |&i| records[i as usize].offset)
                .ok()?;
            return Some(&records[order[place] as usize]);
        }
        // Logs without holes are the rule: the position follows from the offset.
        let first = records.first()?.offset;
        let guess = usize::try_from(offset.0.checked_sub(first.0)?).ok()?;
        match records.get(guess) {
            Some(record) if record.offset == offset => Some(record),
            _ => records
                .binary_search_by_key(&offset, |record| record.offset)
                .ok()
                .map(|place| &records[place]),
        }
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
                let after = batches.partition_point(|batch| batch.base <= offset);
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

fn order<K: Ord + Copy>(len: usize, key: impl Fn(usize) -> K) -> Option<Vec<u32>> {
    if (1..len).all(|i| key(i - 1) < key(i)) {
        return None;
    }
    let mut order: Vec<u32> = (0..len as u32).collect();
    order.sort_by_key(|&i| key(i as usize));
    Some(order)
}
