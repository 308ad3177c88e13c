//! Every record is one of ours, intact. A valid header of this run without a send is no finding but
//! a broken premise: then our own history is at fault.

use history::{Offset, Payload};

use super::{Case, Check, Tally};
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
        let mut seen: Vec<(String, Offset, Payload)> = Vec::new();
        for image in &part.images {
            let archive = case.facts.image(image.image);
            let log = image.view.log;
            for batch in log.batches.iter().filter(|batch| !batch.is_control()) {
                let records = log.records_of(batch);
                tally.examined += records.len() as u64;
                let odd = records.iter().filter(|record| is_odd(record.payload));
                seen.extend(odd.map(|r| (archive.file.clone(), r.offset, r.payload)));
            }
        }
        tally.examined += part.reads.len() as u64;
        for &read in &part.reads {
            let read = case.facts.ops.read(read);
            if is_odd(read.payload) {
                let who = format!("{} ({})", read.client, read.op);
                seen.push((who, read.offset, read.payload));
            }
        }
        if !seen.is_empty() {
            let finding = tell(case, part, &seen);
            tally.found(findings, finding);
        }
    }
    tally
}

fn is_odd(payload: Payload) -> bool {
    match payload {
        Payload::Corrupt | Payload::Foreign => true,
        Payload::Value(_) => false,
    }
}

fn tell(case: &Case, part: &PartFacts, seen: &[(String, Offset, Payload)]) -> Finding {
    let mut offsets: Vec<Offset> = seen.iter().map(|(_, offset, _)| *offset).collect();
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
    for (place, offset, payload) in seen.iter().take(5) {
        let what = match payload {
            Payload::Corrupt => "bears our mark and fails its checksum",
            Payload::Foreign | Payload::Value(_) => "is not ours",
        };
        story.say(
            case.facts,
            format!("{place}: the record at {offset} {what}."),
            &[],
        );
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
