//! Two batches with the same base offset and epoch are the same batch, whichever replica and
//! whatever time.

use std::collections::BTreeMap;

use history::{Epoch, Offset};
use rustc_hash::FxHashMap;

use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Story, many, span_of};
use crate::judgement::{Finding, Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "log-matching-broken",
    sentence: "one offset in one epoch is one batch on every replica",
    group: Group::Replicas,
    premises: &["evidence-read"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("batches that two or more images hold");
    if case.contract.compacted {
        tally.blocked = case.no_final_log();
        return tally;
    }
    for part in case.parts() {
        let mut known: FxHashMap<(Offset, Epoch), ([u8; 16], usize)> = FxHashMap::default();
        let mut broken: BTreeMap<(usize, usize), (OffsetRange, u64)> = BTreeMap::new();
        for image in part.images.iter().filter(|image| image.sound) {
            for batch in &image.view.log.batches {
                let key = (batch.base, batch.epoch);
                let Some(&(digest, first)) = known.get(&key) else {
                    known.insert(key, (batch.digest, image.image));
                    continue;
                };
                tally.examined += 1;
                if digest != batch.digest {
                    let fresh = OffsetRange {
                        from: batch.base.0,
                        to: batch.last.0 + 1,
                    };
                    let (range, count) = broken.entry((first, image.image)).or_insert((fresh, 0));
                    range.from = range.from.min(fresh.from);
                    range.to = range.to.max(fresh.to);
                    *count += 1;
                }
            }
        }
        for ((a, b), (range, count)) in broken {
            let finding = tell(case, part, (a, b), range, count);
            tally.found(findings, finding);
        }
    }
    tally
}

fn tell(
    case: &Case,
    part: &PartFacts,
    (a, b): (usize, usize),
    range: OffsetRange,
    count: u64,
) -> Finding {
    let [a, b] = [a, b].map(|image| case.facts.image(image));
    let title = format!(
        "{} {}: {} and {} hold different bytes at the same offset and epoch",
        part.name,
        span_of(Some(range)),
        a.node,
        b.node
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    let text = format!(
        "{} of {} (taken at {}) and of {} (taken at {}) agree in base offset and epoch and differ \
         in bytes: two leaders wrote in one epoch, or a log was damaged.",
        many(count, "batch", "batches"),
        a.file,
        a.to,
        b.file,
        b.to
    );
    story.say(case.facts, text, &[]);
    finding.story = story.sentences;
    finding.offsets = Some(range);
    finding.count = count;
    if case.contract.known_bad_protocol.is_some() {
        finding.class = crate::judgement::Class::KnownBadProtocol;
    }
    finding
}
