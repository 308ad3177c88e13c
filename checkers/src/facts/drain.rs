//! What the drain gave of the final log, beside what it should have given: to consumers of all that is
//! stored, and to those of what is committed, who are shown neither aborted transactions nor anything
//! from the first open one on.
//!
//! Nothing is judged here.

use history::{ClientId, Offset};
use rustc_hash::FxHashSet;

use super::bits::Bits;
use super::txns::{Marked, Stretches};
use super::{Facts, LogView, PartFacts};
use crate::judgement::DrainRow;

/// Consumers of committed data that were given anything in the drain.
pub fn of_committed(facts: &Facts) -> FxHashSet<ClientId> {
    let consumers = facts.recording.setting.consumers.iter();
    let committed = consumers.filter(|(_, consumer)| consumer.read_committed);
    let mut committed: FxHashSet<ClientId> = committed.map(|(client, _)| *client).collect();
    if !committed.is_empty() {
        let reads = facts.ops.reads().filter(|read| read.drain);
        let drained: FxHashSet<ClientId> = reads.map(|read| read.client).collect();
        committed.retain(|client| drained.contains(client));
    }
    committed
}

/// What all others were given of a partition, and what these were, if there are any.
#[derive(Debug)]
pub struct Drain<'c> {
    committed: &'c FxHashSet<ClientId>,
    all: Given,
    of_committed: Given,
}

impl<'c> Drain<'c> {
    /// Nothing was given yet.
    pub fn of(part: &PartFacts, committed: &'c FxHashSet<ClientId>) -> Self {
        let records = part.final_log().map_or(0, |log| log.log.records.len());
        let shown = if committed.is_empty() { 0 } else { records };
        Self {
            committed,
            all: Given::of(records),
            of_committed: Given::of(shown),
        }
    }

    /// A delivery of the drain, with the position of the record in the final log that it is, if it
    /// is one.
    pub fn note(&mut self, client: ClientId, at: Option<usize>) {
        let shown = !self.committed.is_empty() && self.committed.contains(&client);
        let to = match shown {
            true => &mut self.of_committed,
            false => &mut self.all,
        };
        to.note(at);
    }

    /// What came of it; nothing without a final log.
    pub fn rows(self, part: &PartFacts) -> (DrainRow, Option<DrainRow>) {
        let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
            return (DrainRow::default(), None);
        };
        // At rest the high watermark is the log end; `stuck` says so if it is not.
        let expected = part.data_records;
        let all = self.all.row(DrainRow {
            expected,
            ..DrainRow::default()
        });
        let shown = (!self.committed.is_empty()).then(|| shown(part, log, fin.start));
        (all, shown.map(|row| self.of_committed.row(row)))
    }
}

/// What was given, and of that, what stands in the log.
#[derive(Debug)]
struct Given {
    delivered: u64,
    matching: u64,
    /// The records of the log that were given.
    seen: Bits,
}

impl Given {
    fn of(records: usize) -> Self {
        Self {
            delivered: 0,
            matching: 0,
            seen: Bits::none(records),
        }
    }

    fn row(self, expected: DrainRow) -> DrainRow {
        DrainRow {
            delivered: self.delivered,
            matching: self.matching,
            ..expected
        }
    }

    fn note(&mut self, at: Option<usize>) {
        self.delivered += 1;
        if let Some(at) = at.filter(|at| !self.seen.get(*at)) {
            self.matching += 1;
            self.seen.set(at);
        }
    }
}

/// What of a log consumers of committed data are shown, and what is kept from them.
fn shown(part: &PartFacts, log: &LogView, start: Offset) -> DrainRow {
    let stretches = Stretches::of(log);
    let stable = stretches.first_open().unwrap_or(Offset(i64::MAX));
    let mut row = DrainRow::default();
    for batch in log.log.batches.iter().filter(|batch| !batch.is_control()) {
        let stretch = stretches.of_batch(batch);
        let aborted = stretch.is_some_and(|stretch| stretch.marked == Marked::Aborted);
        let records = log.log.records_of(batch).iter();
        for record in records.filter(|record| record.offset >= start) {
            row.unstable += u64::from(record.offset >= stable);
            row.aborted += u64::from(record.offset < stable && aborted);
        }
    }
    row.expected = part.data_records - row.unstable - row.aborted;
    row
}
