//! The audit of cuts: what each destroyed, which of it had been acknowledged, who still holds it,
//! and whether it was justified (docs/guarantees.md, "truncation-audit").
//!
//! 3.0.0 does not log what a follower asked its leader and what it was told; what is derived here
//! instead says so.

use history::{Epoch, Offset, Payload};

use crate::contract::Contract;
use crate::facts::{Cut, CutKind, Facts, Follow, PartFacts, PartId, Term, acks_all};
use crate::gone::{GoneTopic, cut_lines};
use crate::judgement::{Justified, Sourced, StillHeld, TruncationFact};

/// A cut, audited.
#[derive(Debug)]
pub struct CutAudit {
    /// Which partition.
    pub part: PartId,
    /// Position in `roles.cuts`.
    pub cut: usize,
    /// As the judgement shows it.
    pub fact: TruncationFact,
    /// Why it reached below the high watermark, if it did.
    pub below_hw: Option<String>,
}

/// Audits every cut of a topic.
pub fn of(facts: &Facts, contract: &Contract, gone: &GoneTopic) -> Vec<CutAudit> {
    let parts = contract.parts.iter().copied();
    parts
        .flat_map(|id| {
            let part = &facts.parts[id];
            (0..part.roles.cuts.len()).map(move |cut| audit(facts, id, cut, gone))
        })
        .collect()
}

/// What is known of a cut before it is weighed.
struct Scene<'a> {
    facts: &'a Facts<'a>,
    part: &'a PartFacts<'a>,
    cut: &'a Cut,
    follow: Option<&'a Follow>,
    /// The new leader's time of leadership.
    term: Option<&'a Term>,
    /// The replica's own last image before the cut, not before its cut before this.
    earlier: Option<usize>,
    /// An image of the new leader from its time of leadership on.
    leaders: Option<usize>,
    /// Log end before.
    leo: Option<Sourced>,
}

fn audit(facts: &Facts, id: PartId, index: usize, gone: &GoneTopic) -> CutAudit {
    let part = &facts.parts[id];
    let cut = &part.roles.cuts[index];
    let follow = cut.follow.map(|follow| &part.roles.follows[follow]);
    let term = follow.and_then(|follow| part.roles.term_of(follow.epoch));
    let mut scene = Scene {
        facts,
        part,
        cut,
        follow,
        term,
        earlier: earlier_image(facts, part, index),
        leaders: leaders_image(facts, part, term),
        leo: None,
    };
    scene.leo = log_end_before(&scene, gone, id);
    let (acknowledged, lost) = acknowledged(&scene, gone, id);
    let fact = TruncationFact {
        node: cut.node,
        partition: part.name.to_string(),
        at: facts.line_span(cut.line),
        leo_before: scene.leo.clone(),
        cut_to: cut.to.0,
        hw_then: follow.map(|follow| Sourced {
            offset: follow.hw.0,
            source: facts.cite(follow.line),
        }),
        epoch: follow.map(|follow| follow.epoch),
        destroyed: destroyed(&scene),
        acknowledged_destroyed: acknowledged,
        acknowledged_lost: lost,
        still_held: still_held(&scene),
        justified: justified(&scene),
        evidence: cut_lines(part, cut)
            .into_iter()
            .map(|line| facts.quote(line))
            .collect(),
    };
    CutAudit {
        part: id,
        cut: index,
        below_hw: below_hw(&scene, gone, id),
        fact,
    }
}

fn earlier_image(facts: &Facts, part: &PartFacts, index: usize) -> Option<usize> {
    let cut = &part.roles.cuts[index];
    let when = facts.line_span(cut.line)?;
    // Cuts are in the host's own order, so the one before is the one to the left.
    let before = part.roles.cuts[..index]
        .iter()
        .rev()
        .find(|other| other.node == cut.node)
        .map(|other| facts.line_span(other.line));
    part.images.iter().rposition(|image| {
        let archive = facts.image(image.image);
        let after_last_cut = match before {
            None => true,
            Some(span) => span.is_some_and(|span| archive.from >= span.to),
        };
        image.node == cut.node && archive.to <= when.from && after_last_cut
    })
}

fn leaders_image(facts: &Facts, part: &PartFacts, term: Option<&Term>) -> Option<usize> {
    let term = term?;
    let began = facts.line_span(term.line)?;
    part.images.iter().position(|image| {
        image.sound && image.node == term.node && facts.image(image.image).from >= began.to
    })
}

/// The best lower bound of the log end before a cut.
fn log_end_before(scene: &Scene, gone: &GoneTopic, id: PartId) -> Option<Sourced> {
    let (facts, part, cut) = (scene.facts, scene.part, scene.cut);
    let line = scene.follow.map(|follow| Sourced {
        offset: follow.leo.0,
        source: facts.cite(follow.line),
    });
    let image = scene.earlier.map(|image| {
        let image = &part.images[image];
        Sourced {
            offset: image.view.log.leo().0,
            source: facts.image(image.image).file.clone(),
        }
    });
    // What it accepted as a leader and then cut, it had, even if the line came too early.
    let accepted = gone
        .records
        .iter()
        .filter(|record| {
            gone.groups[record.group].part == id
                && record
                    .term
                    .is_some_and(|term| part.roles.terms[term].node == cut.node)
                && gone.groups[record.group].cuts.iter().any(|&known| {
                    let known = &part.roles.cuts[known];
                    known.line == cut.line
                })
        })
        .filter_map(|record| record.offset)
        .max()
        .map(|offset| Sourced {
            offset: offset.0 + 1,
            source: "acknowledgements in the history".to_owned(),
        });
    let mut best: Option<Sourced> = None;
    for known in [line, image, accepted].into_iter().flatten() {
        if best.as_ref().is_none_or(|best| known.offset > best.offset) {
            best = Some(known);
        }
    }
    best
}

/// How many offsets were destroyed, as far as known: all from the cut on, or, where the log begins
/// anew, all that it held.
fn destroyed(scene: &Scene) -> Option<u64> {
    let leo = scene.leo.as_ref()?.offset;
    let from = match scene.cut.kind {
        CutKind::Tail | CutKind::Corruption => scene.cut.to.0,
        // A log that begins anew below its end was empty.
        CutKind::Whole if scene.cut.to.0 <= leo => leo,
        CutKind::Whole => scene.part.images[scene.earlier?].view.start().0,
    };
    Some((leo - from).max(0) as u64)
}

/// The epoch of what the replica held at an offset before the cut, and whether an image shows it.
fn epoch_before(scene: &Scene, offset: Offset) -> Option<(Epoch, bool)> {
    if let Some(image) = scene.earlier {
        let view = &scene.part.images[image].view;
        if let Some(epoch) = view.epoch_at(offset) {
            return Some((epoch, true));
        }
    }
    // In one process: what it wrote as leader of the epoch before, or copied once it had cut for it.
    let follow = scene.follow?;
    let previous = follow.previous?;
    let began = scene.part.roles.term_of(previous)?;
    let its_own = began.node == scene.cut.node || followed_from(scene, previous)? <= offset;
    (offset >= began.leo && its_own).then_some((previous, false))
}

/// From which offset on a replica's log was its leader's, when it followed an epoch: it may hear of
/// the next epoch before it has cut for this one.
fn followed_from(scene: &Scene, epoch: Epoch) -> Option<Offset> {
    let roles = &scene.part.roles;
    let place = roles
        .follows
        .iter()
        .rposition(|follow| follow.node == scene.cut.node && follow.epoch == epoch)?;
    let cuts = roles.cuts.iter().filter(|cut| cut.follow == Some(place));
    let cut = cuts.map(|cut| cut.to).min();
    Some(cut.unwrap_or(roles.follows[place].leo))
}

/// Acknowledged values in the destroyed range that stood on this replica, and how many of them the
/// final log lacks.
fn acknowledged(scene: &Scene, gone: &GoneTopic, id: PartId) -> (u64, u64) {
    let Some(leo) = &scene.leo else {
        return (0, 0);
    };
    let inside = |offset: Offset| offset >= scene.cut.to && offset.0 < leo.offset;
    let mut count = 0;
    let mut lost = 0;
    for record in &gone.records {
        let Some(offset) = record.offset.filter(|offset| inside(*offset)) else {
            continue;
        };
        let here = gone.groups[record.group].part == id
            && record.acked
            && epoch_before(scene, offset).is_some_and(|(epoch, _)| Some(epoch) == record.epoch);
        count += u64::from(here);
        lost += u64::from(here);
    }
    let log = scene.part.final_log();
    for (place, send) in scene.facts.ops.sends_of(&scene.part.sends) {
        let Some(offset) = send.acked_at().filter(|offset| inside(*offset)) else {
            continue;
        };
        let kept = scene.part.final_at.at(place) == Some(offset);
        let epoch = log.and_then(|log| log.epoch_at(offset));
        let here = epoch_before(scene, offset).map(|(epoch, _)| epoch);
        count += u64::from(kept && here.is_some() && here == epoch);
    }
    (count, lost)
}

/// Images that hold values which this replica held in the destroyed range.
fn still_held(scene: &Scene) -> Vec<StillHeld> {
    let (Some(leo), Some(_)) = (&scene.leo, scene.follow) else {
        return Vec::new();
    };
    let mut held = Vec::new();
    for image in &scene.part.images {
        let log = image.view.log;
        let count = log
            .records
            .iter()
            .filter(|record| record.offset >= scene.cut.to && record.offset.0 < leo.offset)
            .filter(|record| matches!(record.payload, Payload::Value(_)))
            .filter(|record| {
                let before = epoch_before(scene, record.offset).map(|(epoch, _)| epoch);
                before.is_some() && before == image.view.epoch_at(record.offset)
            })
            .count() as u64;
        if count > 0 {
            let archive = scene.facts.image(image.image);
            held.push(StillHeld {
                node: archive.node,
                image: archive.file.clone(),
                taken: archive.to,
                count,
            });
        }
    }
    held
}

fn justified(scene: &Scene) -> Justified {
    let yes = |why: String| Justified::Yes { why };
    let unknown = |why: &str| Justified::Unknown {
        why: why.to_owned(),
    };
    let Some(leo) = &scene.leo else {
        return unknown("no line and no image says where the log ended before");
    };
    if scene.cut.kind == CutKind::Whole {
        return yes(if scene.cut.to.0 > leo.offset {
            format!(
                "a full restart: its leader's log began at {}, beyond its own end {}",
                scene.cut.to, leo.offset
            )
        } else {
            format!("an empty log, to begin anew at {}", scene.cut.to)
        });
    }
    if leo.offset <= scene.cut.to.0 {
        return yes("nothing is known to have stood there".to_owned());
    }
    if scene.cut.kind == CutKind::Corruption {
        return unknown("damage was found while loading; what stood there is not known");
    }
    let Some(term) = scene.term else {
        return unknown("no line names the new leader's log end");
    };
    if let Some(verdict) = by_images(scene, term) {
        return verdict;
    }
    if scene.cut.to >= term.leo {
        return yes(format!(
            "the log of {}, the new leader, ended at {} when {} began, so it had nothing of what \
             was cut (derived from its line)",
            term.node, term.leo, term.epoch
        ));
    }
    derived(scene, term)
}

/// P, the first offset at which the replica's earlier image differs from the new leader's log.
fn by_images(scene: &Scene, term: &Term) -> Option<Justified> {
    let earlier = &scene.part.images[scene.earlier?];
    let leaders = &scene.part.images[scene.leaders?];
    let mut first = earlier.view.log.leo();
    if first <= scene.cut.to {
        // It was taken before the replica wrote what it cut.
        return None;
    }
    for batch in &earlier.view.log.batches {
        let same = leaders.view.batch_at(batch.base).is_some_and(|twin| {
            // From its log end on a new leader had nothing but what it wrote itself: what its image
            // shows there of earlier epochs it copied later, from leaders after it.
            let had = twin.base < term.leo || twin.epoch >= term.epoch;
            had && twin.base == batch.base && twin.digest == batch.digest
        });
        if !same && batch.base >= leaders.view.start() {
            first = batch.base;
            break;
        }
    }
    if scene.cut.to < first {
        return Some(Justified::No {
            why: format!(
                "the image of {} from {} agrees with the log of {}, the new leader, up to {first}",
                scene.cut.node,
                scene.facts.image(earlier.image).to,
                term.node
            ),
        });
    }
    Some(Justified::Yes {
        why: format!(
            "the image of {} from {} differs from the log of {}, the new leader, from {first} on",
            scene.cut.node,
            scene.facts.image(earlier.image).to,
            term.node
        ),
    })
}

/// Without an earlier image: by the epoch that the replica must have held there.
fn derived(scene: &Scene, term: &Term) -> Justified {
    let here = epoch_before(scene, scene.cut.to).map(|(epoch, _)| epoch);
    let there = scene
        .leaders
        .and_then(|image| scene.part.images[image].view.epoch_at(scene.cut.to));
    match (here, there) {
        (Some(here), Some(there)) if here == there => Justified::No {
            why: format!(
                "{} held {} in {here} (derived: it had followed no other leader since), and so \
                 does the log of {}, the new leader",
                scene.cut.node, scene.cut.to, term.node
            ),
        },
        (Some(here), Some(there)) => Justified::Yes {
            why: format!(
                "{} held {} in {here} (derived), the log of {}, the new leader, has {there} there",
                scene.cut.node, scene.cut.to, term.node
            ),
        },
        (_, _) => Justified::Unknown {
            why: format!(
                "no image of {} before the cut, or none of {} after its election, was taken",
                scene.cut.node, term.node
            ),
        },
    }
}

/// Why a cut reached below the high watermark: the broker's own, as its `Follower` line gave it, or
/// what had been committed before.
fn below_hw(scene: &Scene, gone: &GoneTopic, id: PartId) -> Option<String> {
    let (cut, part) = (scene.cut, scene.part);
    let leo = scene.leo.as_ref()?.offset;
    if cut.kind == CutKind::Whole {
        // What the log start has passed is no cut below the high watermark.
        return None;
    }
    if let Some(follow) = scene.follow
        && cut.to < follow.hw
    {
        return Some(format!(
            "{} learnt of {} with its own high watermark at {} and cut its log to {}",
            cut.node, follow.epoch, follow.hw, cut.to
        ));
    }
    let destroyed = |offset: Offset, epoch: Option<Epoch>| {
        offset >= cut.to
            && offset.0 < leo
            && epoch.is_some()
            && epoch_before(scene, offset).map(|(epoch, _)| epoch) == epoch
    };
    let lost = gone.records.iter().find(|record| {
        gone.groups[record.group].part == id
            && record.proof.is_some()
            && record
                .offset
                .is_some_and(|offset| destroyed(offset, record.epoch))
    });
    if let Some((record, offset)) = lost.and_then(|record| record.offset.map(|at| (record, at))) {
        return Some(format!(
            "{} cut its log to {} and with it {} at {offset}, which had been committed",
            cut.node, cut.to, record.value
        ));
    }
    let when = scene.facts.line_span(cut.line)?;
    let log = part.final_log()?;
    let mut sends = scene.facts.ops.sends_of(&part.sends);
    let kept = sends.find_map(|(place, send)| {
        let offset = part.final_at.at(place)?;
        let before = send.returned.is_some_and(|returned| returned < when.from);
        (send.acked_at() == Some(offset)
            && before
            && acks_all(scene.facts, send.client)
            && destroyed(offset, log.epoch_at(offset)))
        .then_some((send.value, offset))
    });
    kept.map(|(value, offset)| {
        format!(
            "{} cut its log to {} and with it {value} at {offset}, which had been committed (it \
             copied it again later)",
            cut.node, cut.to
        )
    })
}
