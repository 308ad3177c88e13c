//! Every record is one of ours, intact. A valid header of this run without a send is no finding but
//! a broken premise: then our own history is at fault.

use history::{Offset, Payload};

use super::{Case, Check, DAMAGE, Tally};
use crate::causes::Marred;
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "phantom",
    sentence: "every record is one that was sent, undamaged",
    group: Group::Records,
    premises: &["evidence-read"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("stored and delivered records");
    for part in case.parts() {
        let mut seen: Vec<Odd> = Vec::new();
        for image in &part.images {
            let archive = case.facts.image(image.image);
            let marred = case.marred(part, image);
            let log = image.view.log;
            for batch in log.batches.iter().filter(|batch| !batch.is_control()) {
                let records = log.records_of(batch);
                tally.examined += records.len() as u64;
                let odd = records.iter().filter(|record| is_odd(record.payload));
                seen.extend(odd.map(|record| Odd {
                    place: archive.file.clone(),
                    offset: record.offset,
                    payload: record.payload,
                    ours: marred.filter(|marred| marred.from <= record.offset),
                }));
            }
        }
        tally.examined += part.reads.len() as u64;
        let odd = part.values_given < part.reads.len() as u64;
        let reads = if odd { part.reads.as_slice() } else { &[] };
        for (_, read) in case.facts.ops.reads_of(reads) {
            if is_odd(read.payload) {
                let causes = case.causes(part);
                let (broker, at) = (read.broker, read.returned);
                seen.push(Odd {
                    place: format!("{} ({})", read.client, read.op),
                    offset: read.offset,
                    payload: read.payload,
                    ours: causes.and_then(|c| c.damaged_answer(part, broker, read.offset, at)),
                });
            }
        }
        let (ours, others): (Vec<Odd>, Vec<Odd>) =
            seen.into_iter().partition(|odd| odd.ours.is_some());
        for seen in [others, ours].iter().filter(|seen| !seen.is_empty()) {
            let finding = tell(case, part, seen);
            tally.found(findings, finding);
        }
    }
    tally
}

/// A record that is not ours, or damaged.
struct Odd<'a> {
    /// Where it stands, or who was given it.
    place: String,
    offset: Offset,
    payload: Payload,
    /// What of our doing explains it.
    ours: Option<Marred<'a>>,
}

fn is_odd(payload: Payload) -> bool {
    match payload {
        Payload::Corrupt | Payload::Foreign => true,
        Payload::Value(_) => false,
    }
}

fn tell(case: &Case, part: &PartFacts, seen: &[Odd]) -> Finding {
    let mut offsets: Vec<Offset> = seen.iter().map(|odd| odd.offset).collect();
    offsets.sort_unstable();
    offsets.dedup();
    let count = offsets.len() as u64;
    let title = format!(
        "{}: {} that nobody sent, or damaged",
        part.name,
        many(count, "record", "records")
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    for odd in seen.iter().take(5) {
        let (place, offset) = (&odd.place, odd.offset);
        let what = match odd.payload {
            Payload::Corrupt => "bears our mark and fails its checksum",
            Payload::Foreign | Payload::Value(_) => "is not ours",
        };
        story.say(
            case.facts,
            format!("{place}: the record at {offset} {what}."),
            &[],
        );
    }
    if let Some(marred) = seen.iter().find_map(|odd| odd.ours) {
        story.say(case.facts, marred.words(), &[]);
        (finding.class, finding.standing) = DAMAGE;
    }
    finding.story = story.sentences;
    finding.count = count;
    finding.offsets = offsets
        .first()
        .zip(offsets.last())
        .map(|(a, b)| OffsetRange {
            from: a.0,
            to: b.0 + 1,
        });
    finding
}
