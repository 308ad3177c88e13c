//! A log is well formed: offsets and epochs ascend, checksums hold, and the sequences of one
//! producer follow each other.
//!
//! A torn or zero tail of the last segment is what a killed process leaves, and an index may lag or
//! break off there too: no finding, unless the broker's own recovery point says that it had been
//! flushed. What a recorded fault of ours did to the files is counted, and no breach. Producers may begin anywhere, and again once they were forgotten, by time or because the
//! log start passed all that they had written.

use evidence::{Batch, Damage, DamageKind, Image, IndexFlaw};
use history::{Epoch, Harm, Offset};
use rustc_hash::FxHashMap;

use super::{Case, Check, DAMAGE, Tally};
use crate::causes::Marred;
use crate::facts::{PartFacts, PartImage};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::Group;

/// The guarantee.
pub const CHECK: Check = Check {
    name: "log-malformed",
    sentence: "every log is well formed",
    group: Group::Replicas,
    premises: &["evidence-read"],
    look,
};

/// A fault: the last offset that it concerns, and in words.
type Fault = (Offset, String);

/// At most so many faults of one log are quoted; all are counted.
const QUOTED: usize = 5;

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("batches of replica images");
    for part in case.parts() {
        for image in part.images.iter().filter(|image| image.sound) {
            tally.examined += image.view.log.batches.len() as u64;
            let archive = case.facts.image(image.image);
            let marred = case.marred(part, image);
            let (ours, faults): (Vec<Fault>, Vec<Fault>) = faults(case, part, image)
                .into_iter()
                .partition(|(at, _)| marred.is_some_and(|marred| *at >= marred.from));
            for (faults, marred) in [(faults, None), (ours, marred)] {
                if !faults.is_empty() {
                    let finding = tell(case, part, archive, &faults, marred);
                    tally.found(findings, finding);
                }
            }
        }
    }
    tally
}

fn tell(
    case: &Case,
    part: &PartFacts,
    archive: &Image,
    faults: &[Fault],
    marred: Option<Marred>,
) -> crate::judgement::Finding {
    let count = faults.len() as u64;
    let title = format!(
        "{}: {} in the log of {} ({})",
        part.name,
        many(count, "fault", "faults"),
        archive.node,
        archive.file
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    for (_, fault) in faults.iter().take(QUOTED) {
        story.say(case.facts, fault.clone(), &[]);
    }
    if let Some(marred) = marred {
        story.say(case.facts, marred.words(), &[]);
        (finding.class, finding.standing) = DAMAGE;
    }
    finding.story = story.sentences;
    finding.count = count;
    finding
}

fn faults(case: &Case, part: &PartFacts, image: &PartImage) -> Vec<Fault> {
    let log = image.view.log;
    let last_segment = log.segments.last().copied();
    let mut faults: Vec<Fault> = log
        .damage
        .iter()
        .filter(|damage| !ends_a_killed_log(damage, last_segment))
        .map(|damage| (damage_reaches(damage), damage_in_words(damage)))
        .collect();
    let flaws = log.index_flaws.iter();
    faults.extend(
        flaws
            .filter(|flaw| !may_be_rebuilt(flaw))
            .map(|flaw| (flaw.about.unwrap_or(Offset(i64::MAX)), flaw_in_words(flaw))),
    );
    for pair in log.batches.windows(2) {
        if pair[1].base <= pair[0].last {
            let text = format!(
                "The batch at {} follows one that ends at {}.",
                pair[1].base, pair[0].last
            );
            // Either may be the one whose offset is wrong.
            faults.push((pair[0].last.max(pair[1].last), text));
        }
    }
    let mut newest: Option<Epoch> = None;
    for batch in &log.batches {
        if let Some(before) = newest
            && batch.epoch < before
        {
            let text = format!(
                "The batch at {} has {} after {before}.",
                batch.base, batch.epoch
            );
            faults.push((batch.last, text));
        }
        newest = newest.max(Some(batch.epoch));
    }
    if !case.contract.compacted {
        let start = moved_start(case, part, image);
        sequences(&log.batches, start, forgotten_after(case), &mut faults);
    }
    faults
}

/// What a process that was killed while it wrote may leave at the very end.
fn ends_a_killed_log(damage: &Damage, last_segment: Option<Offset>) -> bool {
    let tail = match damage.kind {
        DamageKind::TornTail(_) | DamageKind::ZeroTail(_) => true,
        DamageKind::BadCrc { .. } | DamageKind::Nonsense(_) | DamageKind::Undecodable { .. } => {
            false
        }
    };
    tail && Some(damage.segment) == last_segment && damage.durable != Some(true)
}

/// The last offset that damage is known to concern.
fn damage_reaches(damage: &Damage) -> Offset {
    match damage.kind {
        DamageKind::BadCrc { last, .. } => last.max(damage.from),
        DamageKind::TornTail(_)
        | DamageKind::ZeroTail(_)
        | DamageKind::Nonsense(_)
        | DamageKind::Undecodable { .. } => damage.from,
    }
}

/// Whether a start after an unclean stop would put it right: nothing of it had been flushed.
fn may_be_rebuilt(flaw: &IndexFlaw) -> bool {
    flaw.durable == Some(false)
}

fn flaw_in_words(flaw: &IndexFlaw) -> String {
    format!(
        "In {}, a {}, at byte {}: {}.",
        flaw.file, flaw.kind, flaw.position, flaw.why
    )
}

fn damage_in_words(damage: &Damage) -> String {
    let place = format!("segment {} at byte {}", damage.segment.0, damage.position);
    let where_ = match damage.durable {
        Some(true) => "below the recovery point",
        Some(false) | None => "with segments after it",
    };
    match &damage.kind {
        DamageKind::TornTail(bytes) => {
            format!("In {place} a batch breaks off after {bytes} bytes, {where_}.")
        }
        DamageKind::ZeroTail(bytes) => {
            format!("In {place} {bytes} bytes are zero, {where_}.")
        }
        DamageKind::BadCrc { base, last } => {
            format!("In {place} the checksum of the batch {base}..{last} fails.")
        }
        DamageKind::Nonsense(why) => format!("In {place} stands no batch header: {why}."),
        DamageKind::Undecodable { base, why } => {
            format!("In {place} the records of the batch at {base} cannot be decoded: {why}.")
        }
    }
}

/// The furthest that a log's start is known to have been moved, by this replica or on request.
fn moved_start(case: &Case, part: &PartFacts, image: &PartImage) -> Offset {
    let own = case.facts.image(image.image).log_start.get(&part.name);
    let asked = case.facts.harms.iter().filter_map(|harm| match harm.harm {
        Harm::Deleted { before } if harm.partition == part.name => Some(before),
        Harm::Deleted { .. }
        | Harm::SuffixLost { .. }
        | Harm::Wiped { .. }
        | Harm::Damaged { .. } => None,
    });
    let furthest = asked.chain(own.copied()).max().unwrap_or(Offset(0));
    furthest.max(image.view.start())
}

/// After so many milliseconds of silence a broker forgets a producer.
fn forgotten_after(case: &Case) -> i64 {
    let keys = [
        "transactional.id.expiration.ms",
        "producer.id.expiration.ms",
    ];
    let set = keys.iter().filter_map(|key| case.facts.broker_setting(key));
    let set = set.filter_map(|ms| ms.parse().ok());
    set.min().unwrap_or(i64::MAX)
}

/// Base sequence = last sequence + 1 (mod 2^31), per producer id and epoch; the first is exempt, and
/// the first after the producer was forgotten.
fn sequences(batches: &[Batch], start: Offset, forgotten_after: i64, faults: &mut Vec<Fault>) {
    let mut last: FxHashMap<(i64, i16), (i64, &Batch)> = FxHashMap::default();
    for batch in batches {
        if batch.producer_id < 0 || batch.base_sequence < 0 || batch.is_control() {
            continue;
        }
        let base = i64::from(batch.base_sequence);
        let key = (batch.producer_id, batch.producer_epoch);
        let end = (base + batch.last.0 - batch.base.0) % (1 << 31);
        let Some((before, previous)) = last.insert(key, (end, batch)) else {
            continue;
        };
        let silent = batch.max_timestamp.saturating_sub(previous.max_timestamp);
        let forgotten = previous.last < start || silent >= forgotten_after;
        if base != (before + 1) % (1 << 31) && !forgotten {
            let text = format!(
                "The batch at {} of producer {} epoch {} begins with sequence {base}, after {before}.",
                batch.base, batch.producer_id, batch.producer_epoch
            );
            faults.push((batch.last, text));
        }
    }
}
