//! A log that nothing compacts has no holes: each batch begins where the one before ended, and holds
//! as many records as its offsets say.
//!
//! Only images that kept still prove it. Bytes that damage took are `log_malformed`'s business.

use evidence::{Batch, Damage, DamageKind};

use super::{Case, Check, DAMAGE, Tally};
use crate::causes::Marred;
use crate::contract::Promise;
use crate::facts::{PartFacts, PartImage};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "log-hole",
    sentence: "logs have no holes",
    group: Group::Replicas,
    premises: &["images-complete", "evidence-read"],
    look,
};

/// A hole: the offsets that are missing (or stand twice), and what is wrong in words.
struct Hole {
    offsets: OffsetRange,
    text: String,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    if case.contract.compacted {
        return Tally {
            promise: Promise::No {
                why: "compaction takes records out of the middle of a log".to_owned(),
                change: Some("cleanup.policy=delete throughout".to_owned()),
            },
            ..Tally::of("batches in unchanging copies")
        };
    }
    let mut tally = Tally::of("batches in unchanging copies");
    for part in case.parts() {
        for image in part.images.iter().filter(|image| image.sound) {
            tally.examined += image.view.log.batches.len() as u64;
            let marred = case.marred(part, image);
            let (ours, holes): (Vec<Hole>, Vec<Hole>) = holes(image)
                .into_iter()
                .partition(|hole| marred.is_some_and(|marred| hole.offsets.to > marred.from.0));
            for (holes, marred) in [(holes, None), (ours, marred)] {
                if !holes.is_empty() {
                    let finding = tell(case, part, image, &holes, marred);
                    tally.found(findings, finding);
                }
            }
        }
    }
    tally
}

fn holes(image: &PartImage) -> Vec<Hole> {
    let log = image.view.log;
    let mut holes = Vec::new();
    let mut before: Option<&Batch> = None;
    for batch in &log.batches {
        if let Some(before) = before {
            let next = before.last.0.saturating_add(1);
            let offsets = OffsetRange {
                from: next.min(batch.base.0),
                to: next.max(batch.base.0),
            };
            if batch.base.0 != next && !damaged(&log.damage, offsets) {
                let text = format!(
                    "a batch ends at {} and the next begins at {}",
                    before.last, batch.base
                );
                holes.push(Hole { offsets, text });
            }
        }
        let span = batch.last.0.saturating_sub(batch.base.0).saturating_add(1);
        if i64::from(batch.count) != span {
            let offsets = OffsetRange {
                from: batch.base.0,
                to: batch.last.0.saturating_add(1),
            };
            let text = format!(
                "the batch at {}..{} says that it holds {}",
                batch.base,
                batch.last,
                many(u64::try_from(batch.count).unwrap_or(0), "record", "records")
            );
            holes.push(Hole { offsets, text });
        }
        before = Some(batch);
    }
    holes
}

/// Whether damage to the file accounts for missing offsets.
fn damaged(damage: &[Damage], missing: OffsetRange) -> bool {
    damage.iter().any(|damage| match damage.kind {
        DamageKind::BadCrc { base, last } => base.0 < missing.to && last.0 >= missing.from,
        DamageKind::TornTail(_)
        | DamageKind::ZeroTail(_)
        | DamageKind::Nonsense(_)
        | DamageKind::Undecodable { .. } => (missing.from..missing.to).contains(&damage.from.0),
    })
}

fn tell(
    case: &Case,
    part: &PartFacts,
    image: &PartImage,
    holes: &[Hole],
    marred: Option<Marred>,
) -> Finding {
    let archive = case.facts.image(image.image);
    let count = holes.len() as u64;
    let title = format!(
        "{}: {} in the log of {}",
        part.name,
        many(count, "hole", "holes"),
        image.node
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    for hole in holes.iter().take(3) {
        story.say(case.facts, format!("{}: {}.", archive.file, hole.text), &[]);
    }
    if let Some(marred) = marred {
        story.say(case.facts, marred.words(), &[]);
        (finding.class, finding.standing) = DAMAGE;
    }
    finding.story = story.sentences;
    finding.count = count;
    finding.offsets = Some(OffsetRange {
        from: holes
            .iter()
            .map(|hole| hole.offsets.from)
            .min()
            .unwrap_or(0),
        to: holes.iter().map(|hole| hole.offsets.to).max().unwrap_or(0),
    });
    finding
}

#[cfg(test)]
mod tests {
    use history::Offset;

    use super::*;

    #[test]
    fn damage_accounts_for_what_it_covers_and_for_no_more() {
        let bad = |base, last| Damage {
            segment: Offset(0),
            position: 0,
            from: Offset(base),
            durable: None,
            kind: DamageKind::BadCrc {
                base: Offset(base),
                last: Offset(last),
            },
        };
        let missing = OffsetRange { from: 3, to: 5 };
        for (base, last, accounts) in [
            (3, 4, true),
            (4, 9, true),
            (0, 3, true),
            (0, 2, false),
            (5, 6, false),
        ] {
            assert_eq!(
                damaged(&[bad(base, last)], missing),
                accounts,
                "{base}..{last}"
            );
        }
    }
}
