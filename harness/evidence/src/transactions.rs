//! Transaction indexes, checked against the markers in the log.
//!
//! The last stable offset of an entry is not checked: a follower that appends several batches at
//! once writes another one than the leader did.

use std::collections::BTreeMap;

use history::Offset;

use crate::model::{AbortedTxn, Marker, ReplicaLog};

/// Something wrong: in the index of which segment, about which offset, why.
pub(crate) struct Wrong {
    pub(crate) segment: Offset,
    pub(crate) about: Offset,
    pub(crate) why: String,
}

/// A transaction that the log says was aborted.
struct Aborted {
    producer_id: i64,
    first: Offset,
    segment: Offset,
}

/// Compares what the `.txnindex` files list, by the segments beside which they stand, with the
/// markers. A log with damage is not compared: what it lost may have been markers.
pub(crate) fn check(log: &ReplicaLog, listed: &[(Offset, AbortedTxn)]) -> Vec<Wrong> {
    if !log.damage.is_empty() {
        return Vec::new();
    }
    let (mut aborted, markers) = by_markers(log);
    let mut wrong = Vec::new();
    for (segment, entry) in listed {
        let found = aborted.remove(&entry.last_offset);
        let why = match found.filter(|found| found.producer_id == entry.producer_id) {
            Some(found) => beginning(log, entry, found.first),
            // The log may begin after the transaction did.
            None if markers.get(&entry.last_offset) == Some(&entry.producer_id) => None,
            None => Some(format!(
                "it lists an abort of producer {} at {}, where no such marker stands",
                entry.producer_id, entry.last_offset
            )),
        };
        if let Some(why) = why {
            wrong.push(Wrong {
                segment: *segment,
                about: entry.last_offset,
                why,
            });
        }
    }
    wrong.extend(aborted.into_iter().map(|(last, missing)| Wrong {
        segment: missing.segment,
        about: last,
        why: format!(
            "producer {}'s transaction from {} is aborted at {last}, and not listed",
            missing.producer_id, missing.first
        ),
    }));
    wrong
}

/// Aborted transactions that have records, and all abort markers, by the marker's offset.
fn by_markers(log: &ReplicaLog) -> (BTreeMap<Offset, Aborted>, BTreeMap<Offset, i64>) {
    let mut open: BTreeMap<i64, Offset> = BTreeMap::new();
    let mut aborted = BTreeMap::new();
    let mut markers = BTreeMap::new();
    for batch in &log.batches {
        match batch.control {
            None if batch.is_transactional() => {
                open.entry(batch.producer_id).or_insert(batch.base);
            }
            None | Some(Marker::Other) => {}
            Some(Marker::Commit { .. }) => {
                open.remove(&batch.producer_id);
            }
            Some(Marker::Abort { .. }) => {
                markers.insert(batch.last, batch.producer_id);
                if let Some(first) = open.remove(&batch.producer_id) {
                    let producer_id = batch.producer_id;
                    let segment = batch.segment;
                    let entry = Aborted {
                        producer_id,
                        first,
                        segment,
                    };
                    aborted.insert(batch.last, entry);
                }
            }
        }
    }
    (aborted, markers)
}

/// Whether an entry begins where its transaction does. One that begins earlier may name a batch that
/// compaction or retention took away, but not one that is there and another's.
fn beginning(log: &ReplicaLog, entry: &AbortedTxn, first: Offset) -> Option<String> {
    let named = entry.first_offset;
    let at = log.batches.partition_point(|batch| batch.last < named);
    let there = log.batches.get(at).is_some_and(|batch| batch.base <= named);
    (named > first || (named < first && there)).then(|| {
        format!(
            "it lists an abort of producer {} from {named} to {}, which began at {first}",
            entry.producer_id, entry.last_offset
        )
    })
}
