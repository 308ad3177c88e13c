//! Records of one producer handle stand in the order in which they were handed to it.
//!
//! A record counts where it was acknowledged (an idempotent session's unknown ones count too, by
//! their first copy). Calls that overlap in other handles say nothing about order.

use std::collections::BTreeMap;

use history::{ClientId, Offset};

use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Class, Finding, Group, OpWitness, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "order-broken",
    sentence: "records of one producer stay in sending order",
    group: Group::Order,
    premises: &["history-whole", "values-unique", "final-logs"],
    look,
};

/// A record that stands before one that was sent earlier: (earlier send, its place, later send, its
/// place).
type Inversion = (u32, Offset, u32, Offset);

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let promise = case.contract.order();
    let mut tally = Tally {
        blocked: case.no_final_log(),
        ..Tally::of("records in the final logs, in sending order")
    };
    for part in case.parts() {
        let (examined, inversions) = inversions(case, part);
        tally.examined += examined;
        for (client, found) in inversions {
            let finding = tell(case, part, client, &found, &promise);
            tally.found(findings, finding);
        }
    }
    tally.promise = promise;
    tally
}

fn inversions(case: &Case, part: &PartFacts) -> (u64, BTreeMap<ClientId, Vec<Inversion>>) {
    let mut furthest: BTreeMap<ClientId, (u32, Offset)> = BTreeMap::new();
    let mut found: BTreeMap<ClientId, Vec<Inversion>> = BTreeMap::new();
    let mut examined = 0;
    let Some(fin) = part.final_log() else {
        return (examined, found);
    };
    for (place, &index) in part.sends.iter().enumerate() {
        let send = case.facts.ops.send(index);
        let idempotent = case
            .facts
            .recording
            .setting
            .producers
            .get(&send.client)
            .is_some_and(|producer| producer.idempotent);
        // An idempotent session's first copies are in sending order; else only what stands where its
        // acknowledgement says, be it a further copy.
        let at = match send.acked_at() {
            _ if idempotent => part.final_at.at(place),
            Some(acked) => fin.holds(acked, send.value).then_some(acked),
            None => None,
        };
        let Some(at) = at else { continue };
        examined += 1;
        match furthest.get(&send.client) {
            Some(&(before, far)) if at < far => {
                let found = found.entry(send.client).or_default();
                found.push((before, far, index, at));
            }
            _ => {
                furthest.insert(send.client, (index, at));
            }
        }
    }
    (examined, found)
}

fn tell(
    case: &Case,
    part: &PartFacts,
    client: ClientId,
    found: &[Inversion],
    promise: &Promise,
) -> Finding {
    let count = found.len() as u64;
    let title = format!(
        "{}: {} of {client} before an earlier one",
        part.name,
        many(count, "record", "records")
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    let across_sessions = found.iter().all(|inversion| new_session(part, inversion));
    if let Some(&(before, far, after, at)) = found.first() {
        let [before, after] = [before, after].map(|send| case.facts.ops.send(send));
        let text = format!(
            "{client} sent {} ({}) before {} ({}), yet the first stands at {far} and the second \
             at {at}.",
            before.value, before.op, after.value, after.op
        );
        story.say(case.facts, text, &[]);
    }
    (finding.class, finding.standing) = match promise {
        Promise::No { .. } => (Class::Resend, Standing::NotPromised),
        Promise::Yes(_) if across_sessions => {
            let text = "In between the client library began a new producer epoch: what it sent \
                        again under it may stand later (KIP-360).";
            story.say(case.facts, text.to_owned(), &[]);
            (Class::Resend, Standing::NotPromised)
        }
        Promise::Yes(_) => (Class::Unexplained, Standing::Broken),
    };
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.count = count;
    finding.offsets = super::duplicate_in_log::range(found.iter().map(|found| found.3));
    let witness = |&(_, _, send, at): &Inversion| {
        let send = case.facts.ops.send(send);
        OpWitness {
            op: send.op,
            client: send.client,
            value: Some(send.value),
            offset: Some(at.0),
            invoked: send.invoked,
            returned: send.returned,
        }
    };
    finding.first = found.first().map(witness);
    finding.last = found.last().map(witness);
    finding
}

/// Whether the two records were written under different producer epochs or ids.
fn new_session(part: &PartFacts, &(_, far, _, at): &Inversion) -> bool {
    let Some(log) = part.final_log() else {
        return false;
    };
    let session = |offset| {
        let batch = log.batch_at(offset)?;
        (batch.producer_id >= 0).then_some((batch.producer_id, batch.producer_epoch))
    };
    match (session(far), session(at)) {
        (Some(a), Some(b)) => a != b,
        _ => false,
    }
}
