//! Records of one producer handle stand in the order in which they were handed to it.
//!
//! A record counts where it was acknowledged (an idempotent session's unknown ones count too, by
//! their first copy). Calls that overlap in other handles say nothing about order.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use history::{ClientId, Offset};
use rustc_hash::FxHashMap;

use super::dedup_state::{self, Forgotten};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::{LogView, PartFacts};
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
        for (cause, found) in classed(case, part, inversions) {
            // Producers of one topic may have settings of their own.
            let promise = case.contract.order_of(cause.0);
            let finding = tell(case, part, cause, &found, &promise);
            tally.found(findings, finding);
        }
    }
    tally.promise = promise;
    tally
}

/// What two records out of order have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    /// One session of an idempotent producer, or a producer without one.
    OneSession,
    /// The earlier record stands where an old epoch was taken behind a newer one.
    OldEpoch,
    /// The earlier record was sent again under a new epoch or id.
    NewSession,
}

/// Whose inversion, what it means, and what brokers may have forgotten in between.
type Cause = (ClientId, Kind, Option<Forgotten>);

/// The sends that count, each with its client, its number and where it counts: an idempotent
/// session's first copies are in sending order; else only what stands where its acknowledgement
/// says, be it a further copy.
fn counted<'a>(
    case: &'a Case,
    part: &'a PartFacts,
) -> impl Iterator<Item = (ClientId, u32, Offset)> + 'a {
    // The next send is mostly one of the same few clients.
    let mut known: Vec<Option<bool>> = Vec::new();
    let sends = case.facts.ops.sends_of(&part.sends);
    sends.filter_map(move |(place, send)| {
        let client = usize::from(send.client.0);
        if client >= known.len() {
            known.resize(client + 1, None);
        }
        let by_first_copy = *known[client].get_or_insert_with(|| idempotent(case, send.client));
        let at = match by_first_copy {
            true => part.final_at.at(place),
            false => send.acked_at().filter(|_| part.acked_there.get(place)),
        };
        Some((send.client, part.sends[place], at?))
    })
}

fn idempotent(case: &Case, client: ClientId) -> bool {
    let producers = &case.facts.recording.setting.producers;
    producers
        .get(&client)
        .is_some_and(|producer| producer.idempotent)
}

fn inversions(case: &Case, part: &PartFacts) -> (u64, BTreeMap<ClientId, Vec<Inversion>>) {
    let mut furthest: Vec<Option<(u32, Offset)>> = Vec::new();
    let mut found: BTreeMap<ClientId, Vec<Inversion>> = BTreeMap::new();
    let mut examined = 0;
    if part.final_log().is_none() {
        return (examined, found);
    }
    for (client, index, at) in counted(case, part) {
        examined += 1;
        let number = usize::from(client.0);
        if number >= furthest.len() {
            furthest.resize(number + 1, None);
        }
        match furthest[number] {
            Some((before, far)) if at < far => {
                let found = found.entry(client).or_default();
                found.push((before, far, index, at));
            }
            _ => furthest[number] = Some((index, at)),
        }
    }
    (examined, found)
}

/// Inversions by what they mean. A record sent again under a new session may hide one within the
/// old: each session is gone through by itself where a client has any.
fn classed(
    case: &Case,
    part: &PartFacts,
    found: BTreeMap<ClientId, Vec<Inversion>>,
) -> BTreeMap<Cause, Vec<Inversion>> {
    let mut classed: BTreeMap<Cause, Vec<Inversion>> = BTreeMap::new();
    let Some(log) = part.final_log() else {
        return classed;
    };
    for (client, found) in found {
        let within = match idempotent(case, client) {
            true => within_sessions(case, part, log, client),
            false => FxHashMap::default(),
        };
        for inversion in found {
            let kind = kind(log, &inversion);
            let (kind, inversion) = match within.get(&inversion.2) {
                Some(inner) => (Kind::OneSession, *inner),
                None => (kind, inversion),
            };
            let (_, far, _, at) = inversion;
            let forgotten = match idempotent(case, client) && kind != Kind::NewSession {
                true => dedup_state::forgotten(case, part, at, far),
                false => None,
            };
            let cause = (client, kind, forgotten);
            classed.entry(cause).or_default().push(inversion);
        }
    }
    classed
}

/// A producer's id and epoch.
type Session = (i64, i16);

fn session(log: &LogView, at: Offset) -> Option<Session> {
    let batch = log.batch_at(at)?;
    (batch.producer_id >= 0).then_some((batch.producer_id, batch.producer_epoch))
}

/// The inversions within each session of one client, by the later record.
fn within_sessions(
    case: &Case,
    part: &PartFacts,
    log: &LogView,
    client: ClientId,
) -> FxHashMap<u32, Inversion> {
    let mut furthest: FxHashMap<Option<Session>, (u32, Offset)> = FxHashMap::default();
    let mut within = FxHashMap::default();
    for (_, index, at) in counted(case, part).filter(|(whose, ..)| *whose == client) {
        let session = session(log, at);
        match furthest.get(&session) {
            Some(&(before, far)) if at < far => {
                within.insert(index, (before, far, index, at));
            }
            _ => {
                furthest.insert(session, (index, at));
            }
        }
    }
    within
}

fn kind(log: &LogView, &(_, far, _, at): &Inversion) -> Kind {
    match (session(log, far), session(log, at)) {
        (Some(earlier), Some(later)) if earlier.0 != later.0 => Kind::NewSession,
        (Some(earlier), Some(later)) => match earlier.1.cmp(&later.1) {
            Ordering::Greater => Kind::NewSession,
            Ordering::Less => Kind::OldEpoch,
            Ordering::Equal => Kind::OneSession,
        },
        _ => Kind::OneSession,
    }
}

fn tell(
    case: &Case,
    part: &PartFacts,
    (client, kind, forgotten): Cause,
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
    if let Some(&(before, far, after, at)) = found.first() {
        let [before, after] = [before, after].map(|send| case.facts.ops.send(send));
        let text = format!(
            "{client} sent {} ({}) before {} ({}), yet the first stands at {far} and the second \
             at {at}.",
            before.value, before.op, after.value, after.op
        );
        story.say(case.facts, text, &[]);
    }
    let (class, standing, why) = match (promise, kind, forgotten) {
        (Promise::No { .. }, ..) => (Class::Resend, Standing::NotPromised, None),
        (Promise::Yes(_), Kind::NewSession, _) => (
            Class::Resend,
            Standing::NotPromised,
            Some(
                "In between the client library began a new producer epoch or id: what it sent \
                 again under it may stand later (KIP-360).",
            ),
        ),
        (Promise::Yes(_), _, Some(forgotten)) => {
            (forgotten.class, forgotten.standing, Some(forgotten.why))
        }
        (Promise::Yes(_), Kind::OldEpoch, _) => (
            Class::Unexplained,
            Standing::Broken,
            Some("The earlier one bears a lower producer epoch and should have been refused."),
        ),
        (Promise::Yes(_), Kind::OneSession, _) => (Class::Unexplained, Standing::Broken, None),
    };
    if let Some(why) = why {
        story.say(case.facts, why.to_owned(), &[]);
    }
    (finding.class, finding.standing) = (class, standing);
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.count = count;
    finding.offsets = super::duplicate_in_log::range(found.iter().map(|found| found.3));
    let witness = |&(_, _, send, at): &Inversion| -> OpWitness { case.sent(send, Some(at)) };
    finding.first = found.first().map(witness);
    finding.last = found.last().map(witness);
    finding
}
