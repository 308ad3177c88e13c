//! Who accepted a record, until when, and who still holds it. Where the evidence fits several
//! leaders, none is named.

use history::{Epoch, Mark, Offset, ValueId};
use rustc_hash::FxHashMap;

use super::Gone;
use crate::facts::{Facts, Fate, PartFacts, SendFact, Term, Until};

/// The `Follower` line that proves a record of this time of leadership above the high watermark;
/// position in `roles.follows`. It must be the first after it: a cut since may have lowered the
/// high watermark.
pub fn above_proof(part: &PartFacts, term: usize, offset: Offset) -> Option<usize> {
    let term = &part.roles.terms[term];
    match term.until {
        Until::Followed(index) => {
            let follow = &part.roles.follows[index];
            let next = follow.previous == Some(term.epoch);
            (next && follow.hw <= offset).then_some(index)
        }
        Until::Open | Until::NextLife(_) | Until::LedAgain(_) => None,
    }
}

/// The time of leadership of an epoch that accepted what was answered then: the last one that had
/// begun, where its leader resumed the epoch; the first where the moment is not known.
pub fn term_of(
    facts: &Facts,
    part: &PartFacts,
    epoch: Epoch,
    answered: Option<Mark>,
) -> Option<usize> {
    let mut terms = part.roles.terms.iter().enumerate();
    let first = terms.find(|(_, term)| term.epoch == epoch)?;
    let begun = |term: &Term| {
        let begins = facts.line_span(term.line);
        begins
            .zip(answered)
            .is_some_and(|(begins, answered)| begins.from <= answered)
    };
    let mut resumed = terms.filter(|(_, term)| term.epoch == epoch && term.node == first.1.node);
    let last = resumed.rfind(|(_, term)| begun(term));
    Some(last.map_or(first.0, |(index, _)| index))
}

/// The time of leadership that accepted an acknowledged record which no image shows: of the broker
/// that answered, where known, and the only one that was leading then, began at or below the
/// offset, and is not known to have put something else there. Where several fit, none is named.
pub fn accepting_term(facts: &Facts, part: &PartFacts, send: &SendFact) -> Option<usize> {
    let offset = send.acked_at()?;
    let returned = send.returned?;
    let broker = match send.fate {
        Fate::Acked { broker, .. } => broker,
        Fate::Failed | Fate::Unknown => None,
    };
    let mut fitting = part.roles.terms.iter().enumerate().filter(|(_, term)| {
        broker.is_none_or(|broker| broker == term.node)
            && term.leo <= offset
            && facts
                .line_span(term.line)
                .is_none_or(|span| span.from <= returned)
            && leads_until(facts, part, term).is_none_or(|end| end >= send.invoked)
            && !put_something_else(part, term.epoch, offset, send.value)
    });
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.0)
}

/// The end of a time of leadership at the latest, where it is known.
pub fn leads_until(facts: &Facts, part: &PartFacts, term: &Term) -> Option<Mark> {
    let line = match term.until {
        Until::Open => None,
        Until::NextLife(line) | Until::LedAgain(line) => Some(line),
        Until::Followed(follow) => Some(part.roles.follows[follow].line),
    };
    let said = line
        .and_then(|line| facts.line_span(line))
        .map(|span| span.to);
    let began = facts.line_span(term.line).map(|span| span.to)?;
    let died = facts.exit_after(term.node, began);
    match (said, died) {
        (Some(said), Some(died)) => Some(said.min(died)),
        (said, died) => said.or(died),
    }
}

fn put_something_else(part: &PartFacts, epoch: Epoch, offset: Offset, value: ValueId) -> bool {
    part.images.iter().any(|image| {
        image.view.epoch_at(offset) == Some(epoch)
            && image.view.at(offset).is_some()
            && !image.view.holds(offset, value)
    })
}

/// Where each value of `records` is still held, by image: archive position, count.
pub fn held_by_images(
    part: &PartFacts,
    records: impl Iterator<Item = Gone>,
) -> (Vec<(usize, u64)>, u64) {
    let mut counts: FxHashMap<usize, u64> = FxHashMap::default();
    let mut nowhere = 0;
    for record in records {
        let Some(offset) = record.offset else {
            nowhere += 1;
            continue;
        };
        let mut held = false;
        for image in &part.images {
            if image.view.holds(offset, record.value) {
                *counts.entry(image.image).or_default() += 1;
                held = true;
            }
        }
        nowhere += u64::from(!held);
    }
    let mut counts: Vec<(usize, u64)> = counts.into_iter().collect();
    counts.sort_unstable();
    (counts, nowhere)
}
