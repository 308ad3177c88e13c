//! What is known of a cut: the line that answers to it, the images around it, and which epoch the
//! replica held where.

use history::{Epoch, Offset};

use crate::facts::{Cut, Facts, Follow, PartFacts, PartId, Term};
use crate::gone::GoneTopic;
use crate::judgement::Sourced;

/// What is known of a cut before it is weighed.
pub(super) struct Scene<'a> {
    pub(super) facts: &'a Facts<'a>,
    pub(super) part: &'a PartFacts<'a>,
    pub(super) cut: &'a Cut,
    pub(super) follow: Option<&'a Follow>,
    /// The new leader's time of leadership.
    pub(super) term: Option<&'a Term>,
    /// The replica's own last image before the cut, not before its cut before this.
    pub(super) earlier: Option<usize>,
    /// An image of the new leader from its time of leadership on.
    pub(super) leaders: Option<usize>,
    /// Log end before.
    pub(super) leo: Option<Sourced>,
}

impl<'a> Scene<'a> {
    /// What the recording says of one cut of a partition.
    pub fn of(facts: &'a Facts<'a>, id: PartId, index: usize, gone: &GoneTopic) -> Self {
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
        scene
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

/// The epoch of what the replica held at an offset before the cut, and whether an image shows it.
pub(super) fn epoch_before(scene: &Scene, offset: Offset) -> Option<(Epoch, bool)> {
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
