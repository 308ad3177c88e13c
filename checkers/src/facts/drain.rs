//! What the drain gave of the final log, beside what it should have given: to consumers of all that is
//! stored, and to those of what is committed, who are shown neither aborted transactions nor anything
//! from the first open one on.
//!
//! Nothing is judged here.

use history::{ClientId, Offset, Payload};
use rustc_hash::FxHashSet;

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
pub fn of(
    facts: &Facts,
    part: &PartFacts,
    committed: &FxHashSet<ClientId>,
) -> (DrainRow, Option<DrainRow>) {
    let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
        return (DrainRow::default(), None);
    };
    let mut given = Given::of(log);
    let mut shown = (!committed.is_empty()).then(|| (Given::of(log), shown(part, log, fin.start)));
    for &read in &part.reads {
        let read = facts.ops.read(read);
        if !read.drain {
            continue;
        }
        let to = match &mut shown {
            Some((shown, _)) if committed.contains(&read.client) => shown,
            _ => &mut given,
        };
        to.note(log, read.offset, read.payload);
    }
    // At rest the high watermark is the log end; `stuck` says so if it is not.
    let expected = part.data_records;
    let all = given.row(DrainRow {
        expected,
        ..DrainRow::default()
    });
    (all, shown.map(|(given, row)| given.row(row)))
}

/// What was given, and of that, what stands in the log.
#[derive(Debug)]
struct Given {
    delivered: u64,
    matching: u64,
    /// One bit for each record of the log that was given.
    seen: Vec<u64>,
}

impl Given {
    fn of(log: &LogView) -> Self {
        Self {
            delivered: 0,
            matching: 0,
            seen: vec![0; log.log.records.len().div_ceil(64)],
        }
    }

    fn row(self, expected: DrainRow) -> DrainRow {
        DrainRow {
            delivered: self.delivered,
            matching: self.matching,
            ..expected
        }
    }

    fn note(&mut self, log: &LogView, offset: Offset, payload: Payload) {
        self.delivered += 1;
        let Some(at) = log.position(offset) else {
            return;
        };
        if log.log.records[at].payload == payload {
            let (word, bit) = (&mut self.seen[at / 64], 1 << (at % 64));
            self.matching += u64::from(*word & bit == 0);
            *word |= bit;
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
