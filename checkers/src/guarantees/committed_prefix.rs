//! Every sound image, at any time, agrees with the final log below that replica's leader-sourced
//! high watermark: that of the newest epoch in its own log.

use evidence::Batch;
use history::{Epoch, Offset};

use super::{Case, Check, DAMAGE, Tally, compaction};
use crate::facts::{LogView, PartFacts, PartId};
use crate::findings::Findings;
use crate::gone::{Cleaning, Story, span_of};
use crate::judgement::{Finding, Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "committed-prefix",
    sentence: "every replica's committed part is a prefix of the final log",
    group: Group::Replicas,
    premises: &["final-logs", "evidence-read"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        blocked: case.no_final_log(),
        ..Tally::of(match case.contract.compacted {
            true => "records of replica images below a leader's high watermark",
            false => "batches of replica images below a leader's high watermark",
        })
    };
    for &id in &case.contract.parts {
        let part = &case.facts.parts[id];
        let (Some(fin), Ok(place)) = (part.final_log(), &part.fin) else {
            continue;
        };
        for (index, image) in part.images.iter().enumerate() {
            if !image.sound || index == place.image {
                continue;
            }
            let Some(hw) = own_hw(case, id, &image.view) else {
                continue;
            };
            let from = place.start.max(image.view.start());
            let cleaning = case.gone.cleaning.get(&id);
            let (examined, differs) = compare(cleaning, &image.view, fin, from, hw);
            tally.examined += examined;
            if let Some(range) = differs {
                let archive = case.facts.image(image.image);
                let mut finding = tell(case, part, archive, hw, range);
                let own = case.marred(part, image);
                if own.is_some_and(|marred| marred.from.0 <= range.from) {
                    (finding.class, finding.standing) = DAMAGE;
                }
                tally.found(findings, finding);
            }
        }
    }
    tally
}

/// The leader-sourced high watermark of a replica: that of the newest epoch in its log, cut to its
/// log end. Gone records with commit evidence count too.
pub fn own_hw(case: &Case, id: PartId, view: &LogView) -> Option<Offset> {
    let part = &case.facts.parts[id];
    let epoch = view.newest_epoch()?;
    let given = part.hw_of(epoch).map(|point| point.hw);
    let hw = given.max(gone_hw(case, id, epoch))?;
    Some(hw.min(view.log.leo()))
}

fn gone_hw(case: &Case, id: PartId, epoch: Epoch) -> Option<Offset> {
    case.gone
        .records
        .iter()
        .filter(|record| {
            record.proof.is_some()
                && record.epoch == Some(epoch)
                && case.gone.groups[record.group].part == id
        })
        .filter_map(|record| record.offset)
        .max()
        .map(|offset| Offset(offset.0 + 1))
}

/// How many batches of `view` in [from, to) were compared, and the range in which the other log has
/// something else. Of a compacted topic, records.
pub fn compare(
    cleaning: Option<&Cleaning>,
    view: &LogView,
    other: &LogView,
    from: Offset,
    to: Offset,
) -> (u64, Option<OffsetRange>) {
    if let Some(cleaning) = cleaning {
        let (examined, there) = compaction::compare(cleaning, view, other, from, to);
        let (_, here) = compaction::compare(cleaning, other, view, from, to);
        return (examined, OffsetRange::around(there, here));
    }
    let mut differs: Option<OffsetRange> = None;
    let mut note = |batch: &Batch| {
        let range = differs.get_or_insert(OffsetRange {
            from: batch.base.0,
            to: batch.last.0 + 1,
        });
        range.from = range.from.min(batch.base.0);
        range.to = range.to.max(batch.last.0 + 1);
    };
    // A batch that straddles the log start or the high watermark is left out.
    let within = |batch: &&Batch| batch.base >= from && batch.last < to;
    let mut examined = 0;
    for batch in view.log.batches.iter().filter(within) {
        examined += 1;
        let twin = other.batch_at(batch.base);
        if !twin.is_some_and(|twin| twin.base == batch.base && twin.digest == batch.digest) {
            note(batch);
        }
    }
    // What the other has and this one skips.
    for batch in other.log.batches.iter().filter(within) {
        if view.batch_at(batch.base).is_none() {
            note(batch);
        }
    }
    (examined, differs)
}

fn tell(
    case: &Case,
    part: &PartFacts,
    archive: &evidence::Image,
    hw: Offset,
    range: OffsetRange,
) -> Finding {
    let title = format!(
        "{} {}: the committed part of {} is not in the final log",
        part.name,
        span_of(Some(range)),
        archive.node
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    (finding.class, finding.standing) = case.disagreement(part, range);
    finding.offsets = Some(range);
    let mut story = Story::default();
    let text = format!(
        "The image of {} taken at {} ({}) holds batches at {} which the final log has not; the \
         leader of that image's newest epoch had its high watermark at {hw} or beyond.",
        archive.node,
        archive.to,
        archive.file,
        span_of(Some(range))
    );
    story.say(case.facts, text, &[]);
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding
}
