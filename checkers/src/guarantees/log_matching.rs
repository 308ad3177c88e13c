//! Two batches with the same base offset and epoch are the same batch, whichever replica and
//! whatever time.
//!
//! One thing permits another: a leader that had lost part of its log by our doing went on leading the
//! same epoch in a new process, since all in-sync replicas had been down together and no election
//! came between.

use std::collections::BTreeMap;

use history::{Epoch, Mark, Offset};
use rustc_hash::FxHashMap;

use super::{Case, Check, DAMAGE, Tally};
use crate::contract::Promise;
use crate::facts::{PartFacts, Term};
use crate::findings::Findings;
use crate::gone::{Story, many, span_of};
use crate::judgement::{Class, Finding, Group, OffsetRange, Standing};

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
        tally.promise = Promise::No {
            why: "compaction writes batches anew, on each replica by itself".to_owned(),
            change: Some("cleanup.policy=delete throughout".to_owned()),
        };
        return tally;
    }
    for part in case.parts() {
        let mut known: FxHashMap<(Offset, Epoch), ([u8; 16], usize)> = FxHashMap::default();
        let mut broken: BTreeMap<(usize, usize, Epoch), (OffsetRange, u64)> = BTreeMap::new();
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
                    let pair = (first, image.image, batch.epoch);
                    let (range, count) = broken.entry(pair).or_insert((fresh, 0));
                    range.from = range.from.min(fresh.from);
                    range.to = range.to.max(fresh.to);
                    *count += 1;
                }
            }
        }
        for ((a, b, epoch), (range, count)) in broken {
            let mut finding = tell(case, part, (a, b), range, count);
            let mut images = part
                .images
                .iter()
                .filter(|image| [a, b].contains(&image.image));
            let marred = images.find_map(|image| {
                let marred = case.marred(part, image)?;
                (marred.from.0 <= range.from).then_some(marred)
            });
            if let Some(marred) = marred {
                (finding.class, finding.standing) = DAMAGE;
                let mut story = Story {
                    sentences: finding.story,
                    evidence: finding.evidence,
                };
                story.say(case.facts, marred.words(), &[]);
                (finding.story, finding.evidence) = (story.sentences, story.evidence);
            } else if let Some((term, harmed)) = resumed(case, part, epoch, range) {
                (finding.class, finding.standing) = (Class::LossyLeader, Standing::NotPromised);
                let mut story = Story {
                    sentences: finding.story,
                    evidence: finding.evidence,
                };
                let text = format!(
                    "{} had lost part of its log by a fault of ours at {harmed} and resumed {epoch} in \
                     a new process, without an election.",
                    term.node
                );
                story.say(case.facts, text, &[term.line]);
                (finding.story, finding.evidence) = (story.sentences, story.evidence);
            }
            tally.found(findings, finding);
        }
    }
    tally
}

/// A replica that led an epoch, lost these offsets by our doing, and led it again in a new process;
/// and when it lost them.
fn resumed<'a>(
    case: &Case,
    part: &'a PartFacts,
    epoch: Epoch,
    range: OffsetRange,
) -> Option<(&'a Term, Mark)> {
    let terms = || part.roles.terms.iter().filter(|term| term.epoch == epoch);
    case.facts.harms.iter().find_map(|harm| {
        let (node, _) = harm.harm.replica().filter(|(_, from)| from.0 < range.to)?;
        let of_this = harm.partition == part.name;
        let before = terms().find(|term| term.node == node)?;
        let again = terms().find(|term| {
            let later = case.facts.line_span(term.line);
            term.node == node
                && term.life > before.life
                && later.is_some_and(|span| span.to >= harm.at)
        })?;
        of_this.then_some((again, harm.at))
    })
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
        finding.class = Class::KnownBadProtocol;
    }
    finding
}
