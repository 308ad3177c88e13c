//! At rest all replicas are the same: below the high watermark in every byte of every batch, and,
//! with no traffic left, altogether.

use history::{Offset, Phase};

use super::committed_prefix::{compare, own_hw};
use super::{Case, Check, DAMAGE, Tally};
use crate::contract::Promise;
use crate::facts::{LogView, PartFacts, PartId, PartImage};
use crate::findings::Findings;
use crate::gone::{Story, span_of};
use crate::judgement::{Class, Group, OffsetRange, Standing, grouped};

/// Below the high watermark.
pub const BELOW: Check = Check {
    name: "divergence-below-hw",
    sentence: "replicas agree below the high watermark",
    group: Group::Replicas,
    premises: &["images-complete", "evidence-read"],
    look: below,
};

/// Anywhere.
pub const LASTING: Check = Check {
    name: "divergence-lasting",
    sentence: "replicas are identical once the cluster is at rest",
    group: Group::Replicas,
    premises: &["images-complete", "evidence-read"],
    look: lasting,
};

fn unit(case: &Case, bytes: u64) -> String {
    match case.contract.compacted {
        true => "replica logs, record by record".to_owned(),
        false => format!("replica logs, {} bytes, byte for byte", grouped(bytes)),
    }
}

/// Agreement takes two.
fn promise(case: &Case) -> Promise {
    if case.parts().all(|part| part.replicas.len() < 2) {
        return Promise::No {
            why: "a single replica has none to agree with".to_owned(),
            change: Some("more replicas".to_owned()),
        };
    }
    Promise::Yes("in any configuration".to_owned())
}

fn below(case: &Case, findings: &mut Findings) -> Tally {
    let unsettled = case.never_healed();
    let mut tally = Tally {
        promise: promise(case),
        blocked: case.no_final_log().or_else(|| unsettled.clone()),
        ..Tally::of("replica logs, byte for byte")
    };
    // A log that is missing hides nothing in the partitions of which it is there.
    if unsettled.is_some() {
        return tally;
    }
    let mut bytes = 0;
    for &id in &case.contract.parts {
        let part = &case.facts.parts[id];
        let Some((from, to)) = committed_range(case, id) else {
            continue;
        };
        tally.examined += logs_compared(part);
        for (image, view) in others(part) {
            bytes += bytes_in(view, from, to);
            let node = image.node;
            if let Some(range) = differ(case, id, view, from, to) {
                let title = format!(
                    "{} {}: {node} and the leader differ below the high watermark",
                    part.name,
                    span_of(Some(range))
                );
                let text = format!(
                    "After settling, every replica's leader-sourced high watermark was {to} or \
                     beyond, yet the batches of {node} at {} are not those of the leader.",
                    span_of(Some(range))
                );
                report(
                    case,
                    (part, image),
                    &BELOW,
                    title,
                    text,
                    range,
                    &mut tally,
                    findings,
                );
            }
        }
    }
    tally.unit = unit(case, bytes);
    tally
}

fn lasting(case: &Case, findings: &mut Findings) -> Tally {
    let restless = case.never_healed().or_else(|| traffic_after_settle(case));
    let mut tally = Tally {
        promise: promise(case),
        blocked: case.no_final_log().or_else(|| restless.clone()),
        ..Tally::of("replica logs, byte for byte")
    };
    if restless.is_some() {
        return tally;
    }
    let mut bytes = 0;
    for &id in &case.contract.parts {
        let part = &case.facts.parts[id];
        let Some(fin) = part.final_log() else {
            continue;
        };
        tally.examined += logs_compared(part);
        for (image, view) in others(part) {
            bytes += view.log.bytes;
            let from = view.start().max(fin.start());
            let (ours, theirs) = (view.log.leo(), fin.log.leo());
            let range = differ(case, id, view, from, ours.max(theirs)).or_else(|| {
                (ours != theirs).then(|| OffsetRange {
                    from: ours.min(theirs).0,
                    to: ours.max(theirs).0,
                })
            });
            let node = image.node;
            if let Some(range) = range {
                let title = format!(
                    "{} {}: {node} and the leader still differ at rest",
                    part.name,
                    span_of(Some(range))
                );
                let text = format!(
                    "After settling and without traffic the log of {node} ends at {ours} and that \
                     of the leader at {theirs}; they differ at {}.",
                    span_of(Some(range))
                );
                report(
                    case,
                    (part, image),
                    &LASTING,
                    title,
                    text,
                    range,
                    &mut tally,
                    findings,
                );
            }
        }
    }
    tally.unit = unit(case, bytes);
    tally
}

#[allow(clippy::too_many_arguments)] // One call for two guarantees; a struct would only rename them.
fn report(
    case: &Case,
    (part, image): (&PartFacts, &PartImage),
    check: &Check,
    title: String,
    text: String,
    range: OffsetRange,
    tally: &mut Tally,
    findings: &mut Findings,
) {
    let mut finding = case.finding(check.name, Some(part), title);
    // An unclean election permits losses; replicas must then agree on what is left.
    let marred = [case.marred(part, image), case.final_marred(part)];
    let mut marred = marred.into_iter().flatten();
    let ours = marred.find(|marred| marred.from.0 <= range.from);
    if ours.is_some() {
        (finding.class, finding.standing) = DAMAGE;
    } else if check.name == LASTING.name && case.facts.unsettled().is_some() {
        (finding.class, finding.standing) = (Class::Undetermined, Standing::Undetermined);
    } else if case.contract.known_bad_protocol.is_some() {
        finding.class = Class::KnownBadProtocol;
    } else if case.cleaned(part, range) {
        finding.class = Class::Compaction;
    }
    finding.offsets = Some(range);
    let mut story = Story::default();
    story.say(case.facts, text, &[]);
    if let Some(marred) = ours {
        story.say(case.facts, marred.words(), &[]);
    }
    for cut in &part.roles.cuts {
        if cut.to.0 <= range.from {
            let text = format!("{} had cut its log to {}.", cut.node, cut.to);
            story.say(case.facts, text, &crate::gone::cut_lines(part, cut));
        }
    }
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    tally.found(findings, finding);
}

/// The followers' logs of the final capture.
fn others<'a>(
    part: &'a PartFacts<'a>,
) -> impl Iterator<Item = (&'a PartImage<'a>, &'a LogView<'a>)> {
    let leader = part.fin.as_ref().ok().map(|fin| fin.leader);
    part.finals()
        .filter(move |image| image.sound && Some(image.node) != leader)
        .map(|image| (image, &image.view))
}

/// The leader's log and those compared with it; none if there is nothing to compare it with.
fn logs_compared(part: &PartFacts) -> u64 {
    match others(part).count() as u64 {
        0 => 0,
        others => others + 1,
    }
}

/// [max log start, min leader-sourced HW) over the final images.
fn committed_range(case: &Case, id: PartId) -> Option<(Offset, Offset)> {
    let part = &case.facts.parts[id];
    let from = part.finals().map(|image| image.view.start()).max()?;
    let hws: Option<Vec<Offset>> = part
        .finals()
        .map(|image| own_hw(case, id, &image.view))
        .collect();
    Some((from, hws?.into_iter().min()?))
}

/// Where a log and the leader's differ within a range, looked at from both sides.
fn differ(
    case: &Case,
    id: PartId,
    view: &LogView,
    from: Offset,
    to: Offset,
) -> Option<OffsetRange> {
    let fin = case.facts.parts[id].final_log()?;
    let cleaning = case.gone.cleaning.get(&id);
    let (_, there) = compare(cleaning, view, fin, from, to);
    let (_, here) = compare(cleaning, fin, view, from, to);
    OffsetRange::around(there, here)
}

fn bytes_in(view: &LogView, from: Offset, to: Offset) -> u64 {
    let batches = view.log.batches.iter();
    batches
        .filter(|batch| batch.base >= from && batch.last < to)
        .map(|batch| u64::from(batch.bytes))
        .sum()
}

fn traffic_after_settle(case: &Case) -> Option<String> {
    let drain = case.facts.phase_start(Phase::Drain)?;
    let late = case.parts().any(|part| {
        let mut sends = case.facts.ops.sends_of(&part.sends);
        sends.any(|(_, send)| send.invoked >= drain)
    });
    late.then(|| "records were still sent after settling".to_owned())
}
