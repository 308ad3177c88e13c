//! No value stands twice in the final log.
//!
//! The batch headers tell whose doing a copy is: the same producer id, epoch and sequence is the
//! broker's; a higher epoch is the client library's (KIP-360); anything else is a plain resend.

use std::collections::BTreeMap;

use evidence::Batch;
use history::Offset;

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
    NotRecognised,
    NewEpoch,
    SentAgain,
}

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
        let mut by_kind: BTreeMap<Copied, Vec<(u32, Offset, Offset)>> = BTreeMap::new();
        for &(send, copy) in &part.copies {
            let Ok(place) = part.sends.binary_search(&send) else {
                continue;
            };
            let Some(first) = part.final_at.at(place) else {
                continue;
            };
            let kind = kind(log, first, copy);
            by_kind.entry(kind).or_default().push((send, first, copy));
        }
        for (kind, copies) in by_kind {
            let finding = tell(case, part, log, kind, &copies, &promise);
            tally.found(findings, finding);
        }
    }
    tally.promise = promise;
    tally
}

fn kind(log: &LogView, first: Offset, copy: Offset) -> Copied {
    let (Some(a), Some(b)) = (log.batch_at(first), log.batch_at(copy)) else {
        return Copied::SentAgain;
    };
    if a.producer_id < 0 || a.producer_id != b.producer_id {
        return Copied::SentAgain;
    }
    if a.producer_epoch != b.producer_epoch {
        return Copied::NewEpoch;
    }
    if sequence(a, first) == sequence(b, copy) {
        Copied::NotRecognised
    } else {
        Copied::SentAgain
    }
}

fn sequence(batch: &Batch, offset: Offset) -> i64 {
    (i64::from(batch.base_sequence) + offset.0 - batch.base.0) % (1 << 31)
}

fn tell(
    case: &Case,
    part: &PartFacts,
    log: &LogView,
    kind: Copied,
    copies: &[(u32, Offset, Offset)],
    promise: &Promise,
) -> crate::judgement::Finding {
    let promised = matches!(promise, Promise::Yes(_));
    let (class, standing, why) = match kind {
        Copied::NotRecognised => (
            Class::Unexplained,
            Standing::Broken,
            "The copies have the same producer id, epoch and sequence: the broker did not \
             recognise them.",
        ),
        Copied::NewEpoch => (
            Class::Resend,
            Standing::NotPromised,
            "The copies have the same producer id and another producer epoch: the client library \
             sent them again under a new epoch (KIP-360); the cluster could not know.",
        ),
        Copied::SentAgain if promised => (
            Class::Unexplained,
            Standing::Broken,
            "The copies differ in producer id or sequence, although nothing should be sent again.",
        ),
        Copied::SentAgain => (
            Class::Resend,
            Standing::NotPromised,
            "The copies were sent again by the client library after an error or a time-out.",
        ),
    };
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
    let witness = |&(send, _, copy): &(u32, Offset, Offset)| {
        let send = case.facts.ops.send(send);
        OpWitness {
            op: send.op,
            client: send.client,
            value: Some(send.value),
            offset: Some(copy.0),
            invoked: send.invoked,
            returned: send.returned,
        }
    };
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
