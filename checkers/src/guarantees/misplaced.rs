//! A record stands in the partition that it was sent to, and as it was sent: our clients give no
//! keys and no headers.
//!
//! Where a client library mixes up its buffers (KAFKA-19012), records of one topic land in another;
//! the broker that stores them cannot know.

use history::{Offset, Payload};

use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group, OffsetRange, OpWitness};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "misplaced",
    sentence: "records stand where they were sent, as they were sent",
    group: Group::Records,
    premises: &["history-whole", "values-unique", "evidence-read"],
    look,
};

/// What is wrong with a record's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// It was sent to another partition.
    Partition,
    /// It has a key that nobody gave it.
    Key,
    /// It has headers that nobody gave it.
    Headers,
}

/// A record in a wrong place or dress: where, what, its send, and who shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Misplaced {
    wrong: Wrong,
    offset: Offset,
    send: u32,
    seen: Seen,
}

/// Who shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    /// An image: position in `evidence.images`.
    Stored(usize),
    /// A delivery, as `ops.read` counts.
    Given(u32),
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("stored and delivered records");
    for &id in &case.contract.parts {
        let part = &case.facts.parts[id];
        let mut all = Vec::new();
        tally.examined += stored(case, id, &mut all) + given(case, id, &mut all);
        all.sort_unstable();
        all.dedup_by_key(|one| (one.wrong, one.offset, one.send));
        for group in all.chunk_by(|a, b| a.wrong == b.wrong) {
            let finding = tell(case, part, group);
            tally.found(findings, finding);
        }
    }
    tally
}

/// Records of all images; those whose bytes the final log holds too are looked at there.
fn stored(case: &Case, id: usize, all: &mut Vec<Misplaced>) -> u64 {
    let part = &case.facts.parts[id];
    let fin = part.fin.as_ref().ok().map(|fin| fin.image);
    let mut examined = 0;
    for (place, image) in part.images.iter().enumerate() {
        let log = image.view.log;
        let known = part.final_log().filter(|_| Some(place) != fin);
        for batch in log.batches.iter().filter(|batch| !batch.is_control()) {
            let records = log.records_of(batch);
            examined += records.len() as u64;
            let same = known.and_then(|log| log.batch_at(batch.base));
            if same.is_some_and(|same| same.base == batch.base && same.digest == batch.digest) {
                continue;
            }
            for record in records {
                let Payload::Value(value) = record.payload else {
                    continue;
                };
                let Some(send) = case.facts.ops.by_value.get(value) else {
                    continue;
                };
                let wrong = if case.facts.ops.send(send).part != id {
                    Wrong::Partition
                } else if record.key().is_some() && !case.contract.compacted {
                    Wrong::Key
                } else if record.headers() {
                    Wrong::Headers
                } else {
                    continue;
                };
                all.push(Misplaced {
                    wrong,
                    offset: record.offset,
                    send,
                    seen: Seen::Stored(image.image),
                });
            }
        }
    }
    examined
}

/// Deliveries; those that the final log bears out are looked at there.
fn given(case: &Case, id: usize, all: &mut Vec<Misplaced>) -> u64 {
    let part = &case.facts.parts[id];
    for index in part.read_there.noes().map(|place| part.reads[place]) {
        let read = case.facts.ops.read(index);
        let Payload::Value(value) = read.payload else {
            continue;
        };
        let send = case.facts.ops.by_value.get(value);
        if let Some(send) = send.filter(|&send| case.facts.ops.send(send).part != id) {
            all.push(Misplaced {
                wrong: Wrong::Partition,
                offset: read.offset,
                send,
                seen: Seen::Given(index),
            });
        }
    }
    part.reads.len() as u64
}

fn tell(case: &Case, part: &PartFacts, group: &[Misplaced]) -> Finding {
    let first = &group[0];
    let count = group.len() as u64;
    let what = match first.wrong {
        Wrong::Partition => "sent to another partition",
        Wrong::Key => "with a key that nobody gave",
        Wrong::Headers => "with headers that nobody gave",
    };
    let title = format!("{}: {} {what}", part.name, many(count, "record", "records"));
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    for one in group.iter().take(3) {
        let send = case.facts.ops.send(one.send);
        let shown = match one.seen {
            Seen::Stored(image) => format!("stands in {}", case.facts.image(image).file),
            Seen::Given(read) => {
                let read = case.facts.ops.read(read);
                format!("was given to {} ({})", read.client, read.op)
            }
        };
        let dress = match one.wrong {
            Wrong::Partition => String::new(),
            Wrong::Key => ", with a key".to_owned(),
            Wrong::Headers => ", with headers".to_owned(),
        };
        let text = format!(
            "{} of {} ({}), sent to {}, {shown} at {} {}{dress}.",
            send.value,
            send.client,
            send.op,
            case.facts.parts[send.part].name,
            part.name,
            one.offset,
        );
        story.say(case.facts, text, &[]);
    }
    finding.story = story.sentences;
    finding.count = count;
    finding.offsets = Some(OffsetRange {
        from: first.offset.0,
        to: group[group.len() - 1].offset.0 + 1,
    });
    let witness = |one: &Misplaced| -> OpWitness { case.sent(one.send, Some(one.offset)) };
    finding.first = Some(witness(first));
    finding.last = group.last().map(witness);
    finding
}
