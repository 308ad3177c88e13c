//! Whether what the table of errors concluded is borne out by what stands in the logs.

use history::{Offset, Payload, ValueId};
use rustc_hash::FxHashMap;

use super::Looked;
use crate::facts::{Facts, Fate, PartFacts, ReadFact, SendFact};

/// A failed send that stands somewhere, or a record of this run that nobody sent, is our own fault.
pub(super) fn fates(facts: &Facts) -> Looked {
    let refused = refused(facts);
    for (id, part) in facts.parts.iter().enumerate() {
        let refuses = facts.ops.counts(id).failed > 0;
        let sends = if refuses { part.sends.as_slice() } else { &[] };
        for (place, send) in facts.ops.sends_of(sends) {
            if let (Fate::Failed, Some(at)) = (send.fate, part.final_at.at(place)) {
                return Err(format!(
                    "{} ({}) was taken as refused and stands in {} at {at}",
                    send.value, send.op, part.name
                ));
            }
        }
        if let Some((send, read)) = given_though_refused(facts, part, &refused) {
            return Err(format!(
                "{} ({}) was taken as refused and was given to {} ({})",
                send.value, send.op, read.client, read.op
            ));
        }
        if let Some(at) = part.strangers.iter().find(|at| unsent(facts, part, **at)) {
            return Err(format!(
                "{} holds a record of this run at {at} that was not sent there",
                part.name
            ));
        }
    }
    Ok((facts.ops.sent(), "sends"))
}

/// The first delivery of a value that was certainly refused, with its send.
fn given_though_refused(
    facts: &Facts,
    part: &PartFacts,
    refused: &FxHashMap<ValueId, u32>,
) -> Option<(SendFact, ReadFact)> {
    let of = |read: ReadFact| {
        let Payload::Value(value) = read.payload else {
            return None;
        };
        let send = *refused.get(&value)?;
        Some((facts.ops.send(send), read))
    };
    if refused.is_empty() {
        return None;
    }
    // Where each record of the final log was found among the partition's own sends, none of those is
    // refused (that was looked for before), and so none of the deliveries that it bears out.
    let log = part
        .final_log()
        .map_or(0, |log| log.log.records.len() as u64);
    if part.data_records == log && part.strangers.is_empty() {
        let mut places = part.read_there.noes();
        return places.find_map(|place| of(facts.ops.read(part.reads[place])));
    }
    let mut reads = facts.ops.reads_of(&part.reads);
    reads.find_map(|(_, read)| of(read))
}

/// The values that were certainly refused, each with its (first) send.
fn refused(facts: &Facts) -> FxHashMap<ValueId, u32> {
    let any = |id: &usize| facts.ops.counts(*id).failed > 0;
    let mut refused = FxHashMap::default();
    for id in (0..facts.parts.len()).filter(any) {
        let rows = &facts.parts[id].sends;
        for (place, send) in facts.ops.sends_of(rows) {
            let first = || facts.ops.by_value.get(send.value) == Some(rows[place]);
            if send.fate == Fate::Failed && first() {
                refused.insert(send.value, rows[place]);
            }
        }
    }
    refused
}

/// Whether nobody sent what stands there, or it was certainly refused. What was sent to another
/// partition is `misplaced`, and not our own fault.
fn unsent(facts: &Facts, part: &PartFacts, at: Offset) -> bool {
    let value = part.final_log().and_then(|log| log.value_at(at));
    let send = value.and_then(|value| facts.ops.by_value.get(value));
    send.is_none_or(|send| facts.ops.send(send).fate == Fate::Failed)
}
