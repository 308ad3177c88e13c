//! No value stands twice in the final log.
//!
//! The batch headers tell whose doing a copy is. The same producer id, epoch and sequence: the broker
//! did not recognise it. The same id and a higher epoch: the client library sent it again, and no
//! broker could know (KIP-360). Another id, another sequence or none: sent again by the client, which
//! is permitted without idempotence; with it, a session keeps its id, so that a copy under another
//! one is a breach like any other. A lower epoch behind a higher one should have been refused.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use evidence::Batch;
use history::Offset;

use super::dedup_state::{self, Forgotten};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::{LogView, PartFacts};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Class, Group, OffsetRange, OpWitness, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "duplicate-in-log",
    sentence: "no record stands twice in the log",
    group: Group::Order,
    premises: &["values-unique", "final-logs"],
    look,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Copied {
    /// The same producer id, epoch and sequence.
    NotRecognised,
    /// The same id, and the later copy bears a lower epoch.
    OldEpoch,
    /// The same id, and the later copy bears a higher epoch.
    NewEpoch,
    /// The same id and epoch under another sequence.
    NewSequence,
    /// Another id.
    OtherProducer,
    /// One of the two has no id.
    NoProducer,
}

/// A copy: the send, where its value stands first, where it stands again.
type Copy = (u32, Offset, Offset);

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let promise = case.contract.no_duplicates();
    let mut tally = Tally {
        blocked: case.no_final_log(),
        ..Tally::of("records of the final logs")
    };
    for part in case.parts() {
        tally.examined += part.data_records;
        let Some(log) = part.final_log() else {
            continue;
        };
        let mut by_kind: BTreeMap<(Copied, Option<Forgotten>, bool), Vec<Copy>> = BTreeMap::new();
        for &(send, copy) in &part.copies {
            let Ok(place) = part.sends.binary_search(&send) else {
                continue;
            };
            let Some(first) = part.final_at.at(place) else {
                continue;
            };
            let kind = kind(log, first, copy);
            let forgotten = match kind {
                Copied::NewEpoch | Copied::NoProducer => None,
                Copied::NotRecognised
                | Copied::OldEpoch
                | Copied::NewSequence
                | Copied::OtherProducer => dedup_state::forgotten(case, part, first, copy),
            };
            // Producers of one topic may have settings of their own.
            let client = case.facts.ops.send(send).client;
            let promised = matches!(case.contract.no_duplicates_of(client), Promise::Yes(_));
            let copies = by_kind.entry((kind, forgotten, promised)).or_default();
            copies.push((send, first, copy));
        }
        for (kind, copies) in by_kind {
            let finding = tell(case, part, log, kind, &copies);
            tally.found(findings, finding);
        }
    }
    tally.promise = promise;
    tally
}

fn kind(log: &LogView, first: Offset, copy: Offset) -> Copied {
    let (Some(a), Some(b)) = (log.batch_at(first), log.batch_at(copy)) else {
        return Copied::NoProducer;
    };
    if a.producer_id < 0 || b.producer_id < 0 {
        return Copied::NoProducer;
    }
    if a.producer_id != b.producer_id {
        return Copied::OtherProducer;
    }
    match a.producer_epoch.cmp(&b.producer_epoch) {
        Ordering::Less => Copied::NewEpoch,
        Ordering::Greater => Copied::OldEpoch,
        Ordering::Equal if sequence(a, first) == sequence(b, copy) => Copied::NotRecognised,
        Ordering::Equal => Copied::NewSequence,
    }
}

/// What a kind of copy means where nothing was forgotten, and in words.
fn meaning(kind: Copied, promised: bool) -> (Class, Standing, &'static str) {
    let again = match promised {
        true => (Class::Unexplained, Standing::Broken),
        false => (Class::Resend, Standing::NotPromised),
    };
    match kind {
        Copied::NotRecognised => (
            Class::Unexplained,
            Standing::Broken,
            "The copies have the same producer id, epoch and sequence: the broker did not \
             recognise them.",
        ),
        Copied::OldEpoch => (
            Class::Unexplained,
            Standing::Broken,
            "The later copies bear a lower epoch of the same producer id: the broker should have \
             refused them.",
        ),
        Copied::NewEpoch => (
            Class::Resend,
            Standing::NotPromised,
            "The copies have the same producer id and a higher producer epoch: the client library \
             sent them again under a new epoch (KIP-360); the cluster could not know.",
        ),
        Copied::NewSequence => (
            again.0,
            again.1,
            "The copies have the same producer id and epoch and another sequence: the client \
             library numbered them anew (as in KAFKA-14034).",
        ),
        Copied::OtherProducer => (
            again.0,
            again.1,
            "The copies have another producer id: the client library began a new session and sent \
             them again.",
        ),
        Copied::NoProducer if promised => (
            again.0,
            again.1,
            "The copies have no producer id, although nothing should be sent again.",
        ),
        Copied::NoProducer => (
            again.0,
            again.1,
            "The copies were sent again by the client library after an error or a time-out.",
        ),
    }
}

fn sequence(batch: &Batch, offset: Offset) -> i64 {
    (i64::from(batch.base_sequence) + offset.0 - batch.base.0) % (1 << 31)
}

fn tell(
    case: &Case,
    part: &PartFacts,
    log: &LogView,
    (kind, forgotten, promised): (Copied, Option<Forgotten>, bool),
    copies: &[Copy],
) -> crate::judgement::Finding {
    let (mut class, mut standing, why) = meaning(kind, promised);
    if let (Some(forgotten), Standing::Broken) = (forgotten, standing) {
        (class, standing) = (forgotten.class, forgotten.standing);
    }
    let count = copies.len() as u64;
    let title = format!(
        "{}: {} in the log",
        part.name,
        many(
            count,
            "further copy of a record",
            "further copies of records"
        )
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    story.say(case.facts, why.to_owned(), &[]);
    if let Some(forgotten) = forgotten {
        story.say(case.facts, forgotten.why.to_owned(), &[]);
    }
    if let Some(&(send, first, copy)) = copies.first() {
        let send = case.facts.ops.send(send);
        let header = |offset| {
            log.batch_at(offset).map_or(String::new(), |batch| {
                format!(
                    "producer {} epoch {} sequence {}",
                    batch.producer_id,
                    batch.producer_epoch,
                    sequence(batch, offset)
                )
            })
        };
        let text = format!(
            "The first: {} of {} ({}) stands at {first} ({}) and at {copy} ({}).",
            send.value,
            send.client,
            send.op,
            header(first),
            header(copy)
        );
        story.say(case.facts, text, &[]);
    }
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.class = class;
    finding.standing = standing;
    finding.count = count;
    finding.offsets = range(copies.iter().map(|(_, _, copy)| *copy));
    let witness = |&(send, _, copy): &Copy| -> OpWitness { case.sent(send, Some(copy)) };
    finding.first = copies.first().map(witness);
    finding.last = copies.last().map(witness);
    finding.would_keep = match (standing, case.contract.idempotent) {
        (Standing::NotPromised, false) => Some("enable.idempotence=true".to_owned()),
        _ => None,
    };
    finding
}

/// The range that some offsets span.
pub fn range(offsets: impl Iterator<Item = Offset> + Clone) -> Option<OffsetRange> {
    Some(OffsetRange {
        from: offsets.clone().min()?.0,
        to: offsets.max()?.0 + 1,
    })
}
