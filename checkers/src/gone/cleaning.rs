//! What the log cleaner of a compacted topic may take: a record of which a later one of its key was
//! written for good, what an aborted transaction wrote, and a tombstone once it is old.
//!
//! Nobody is judged here. A record of a transaction that was aborted, or never ended, replaces
//! nothing: the cleaner leaves it out when it notes the keys' last offsets, and stops at the last
//! stable offset.

use std::collections::BTreeSet;

use history::{Offset, Payload, ValueId};
use rustc_hash::FxHashMap;

use crate::contract::{Contract, Timeline};
use crate::facts::txns::{Fate, Marked, Stretches, Txns};
use crate::facts::{Facts, LogView, PartFacts, PartId};

/// What is known of one partition.
#[derive(Debug, Default)]
pub struct Cleaning {
    /// How the transactions of values ended; open, where nothing shows it. Others are in none.
    ends: FxHashMap<ValueId, Marked>,
    /// Every tombstone that any image shows, by key and offset, if tombstones may have become old
    /// enough within the run to go.
    tombstones: BTreeSet<(u64, Offset)>,
}

/// Tombstones stay for a day, unless a setting says otherwise.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

impl Cleaning {
    /// Reads what producers were told and what images show.
    pub fn of(facts: &Facts, contract: &Contract, txns: &Txns, id: PartId) -> Self {
        let part = &facts.parts[id];
        let retention = Timeline::of(facts, &contract.topic, "delete.retention.ms");
        let run_ms = facts.length.0 / 1_000_000;
        let mut stays = retention.ever().map(|value| match value {
            Some(text) => text.parse().unwrap_or(DAY_MS),
            None => DAY_MS,
        });
        Self {
            ends: ends(facts, part, txns),
            tombstones: match stays.any(|ms| ms <= run_ms) {
                true => tombstones(part),
                false => BTreeSet::new(),
            },
        }
    }

    /// How the transaction of a value ended: for good too, if it is in none.
    pub fn end(&self, value: ValueId) -> Marked {
        self.ends.get(&value).copied().unwrap_or(Marked::Committed)
    }

    /// The last offset of each key up to which the cleaner of this log may have taken what is not
    /// there: that of the key's last record, or of a tombstone that has gone in its turn. It never
    /// comes to the end of a log.
    pub fn latest(&self, log: &LogView) -> FxHashMap<u64, Offset> {
        let end = log.log.leo();
        let gone = self.tombstones.iter().filter(|(_, at)| *at < end);
        let mut latest: FxHashMap<u64, Offset> = gone.copied().collect();
        let stretches = Stretches::of(log);
        for batch in log.log.batches.iter().filter(|batch| !batch.is_control()) {
            let here = stretches.of_batch(batch).map(|stretch| stretch.marked);
            for record in log.log.records_of(batch) {
                let Some(key) = record.key() else { continue };
                let end = match (here, record.payload) {
                    (Some(Marked::Open), Payload::Value(value)) => self.end(value),
                    (here, _) => here.unwrap_or(Marked::Committed),
                };
                if end == Marked::Committed {
                    let at = latest.entry(key).or_insert(record.offset);
                    *at = record.offset.max(*at);
                }
            }
        }
        latest
    }
}

/// By what producers were told; where they were not, by the marker behind any record of the
/// transaction in any sound image.
fn ends(facts: &Facts, part: &PartFacts, txns: &Txns) -> FxHashMap<ValueId, Marked> {
    let mut shown: FxHashMap<usize, Marked> = FxHashMap::default();
    for image in part.images.iter().filter(|image| image.sound) {
        let stretches = Stretches::of(&image.view);
        for batch in &image.view.log.batches {
            let stretch = stretches.of_batch(batch);
            let Some(stretch) = stretch.filter(|stretch| stretch.marked != Marked::Open) else {
                continue;
            };
            for record in image.view.log.records_of(batch) {
                if let Some(txn) = txns.sender(facts, record.payload) {
                    shown.insert(txn, stretch.marked);
                }
            }
        }
    }
    let ends = part.sends.iter().filter_map(|&send| {
        let send = facts.ops.send(send);
        let txn = txns.containing(send.client, send.op)?;
        let end = match txns.get(txn).fate {
            Fate::Committed => Marked::Committed,
            Fate::Aborted => Marked::Aborted,
            Fate::Unknown => shown.get(&txn).copied().unwrap_or(Marked::Open),
        };
        Some((send.value, end))
    });
    ends.collect()
}

fn tombstones(part: &PartFacts) -> BTreeSet<(u64, Offset)> {
    let records = part.images.iter().flat_map(|image| &image.view.log.records);
    let tombstones = records.filter(|record| record.tombstone());
    tombstones
        .filter_map(|record| Some((record.key()?, record.offset)))
        .collect()
}
