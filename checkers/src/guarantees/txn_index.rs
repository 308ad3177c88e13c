//! The leader's index of aborted transactions against its log's abort markers: part of what
//! `txn_atomicity` looks at, since a consumer believes the index.
//!
//! It judges nothing by itself, and nothing that stands at or below the log's beginning: an entry may
//! have gone with its segment.

use history::Offset;

use super::{Case, DAMAGE};
use crate::facts::PartFacts;
use crate::facts::txns::{Marked, Stretch, Stretches};
use crate::gone::{Story, many};
use crate::judgement::{Finding, OffsetRange};

/// An aborted transaction: producer id, marker, first record.
type Aborted = (i64, Offset, Offset);

/// What the two disagree about, as a finding of `txn-atomicity`.
pub fn compare(case: &Case, part: &PartFacts, stretches: &Stretches) -> Option<Finding> {
    let log = part.final_log()?.log;
    let start = part.fin.as_ref().ok()?.start;
    let begins = log
        .batches
        .first()
        .map_or(start, |batch| batch.base)
        .max(start);
    let mut listed: Vec<Aborted> = log
        .aborted
        .iter()
        .map(|entry| (entry.producer_id, entry.last_offset, entry.first_offset))
        .collect();
    let mut marked: Vec<Aborted> = stretches.all().iter().filter_map(aborted).collect();
    listed.sort_unstable();
    marked.sort_unstable();
    let unlisted = only_in(&marked, &listed, begins);
    let unmarked = only_in(&listed, &marked, begins);
    let &(producer, marker, first) = unlisted.first().or(unmarked.first())?;
    let count = (unlisted.len() + unmarked.len()) as u64;
    let title = format!(
        "{}: the index of aborted transactions and the log differ in {}",
        part.name,
        many(count, "transaction", "transactions")
    );
    let mut finding = case.finding(super::txn_atomicity::CHECK.name, Some(part), title);
    let says = match unlisted.is_empty() {
        false => "the log aborts it, and the index does not name it",
        true => "the index names it, and the log does not abort it",
    };
    let text = format!("Producer {producer}, {first} to its marker at {marker}: {says}.");
    let mut story = Story::default();
    story.say(case.facts, text, &[]);
    let to = marker.0 + 1;
    if case
        .final_marred(part)
        .is_some_and(|marred| marred.from <= marker)
    {
        (finding.class, finding.standing) = DAMAGE;
    }
    finding.story = story.sentences;
    finding.count = count;
    finding.offsets = Some(OffsetRange { from: first.0, to });
    Some(finding)
}

/// The stretch of an aborted transaction.
fn aborted(stretch: &Stretch) -> Option<Aborted> {
    let marker = stretch
        .marker
        .filter(|_| stretch.marked == Marked::Aborted)?;
    Some((stretch.producer, marker, stretch.first))
}

/// Those of one that the other lacks. In a log that lost its head, only those begun behind the
/// beginning are known whole.
fn only_in(one: &[Aborted], other: &[Aborted], begins: Offset) -> Vec<Aborted> {
    let whole = one
        .iter()
        .filter(|entry| entry.2 > begins || begins == Offset(0));
    whole
        .filter(|entry| other.binary_search(entry).is_err())
        .copied()
        .collect()
}
