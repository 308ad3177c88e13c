//! Whether a leader held a record while it led, as its images show. What no image shows is not
//! concluded from anybody else's.

use history::{Epoch, Mark, Offset, ValueId};

use super::Facts;
use super::commit::HwPoint;
use super::partition::{PartFacts, PartImage};
use super::roles::Term;

/// Whether an image of the leader shows that it held the record while it led: taken after it began
/// to lead, or before, if it cannot have lost it in between.
pub fn leader_held(
    facts: &Facts,
    part: &PartFacts,
    point: &HwPoint,
    offset: Offset,
    epoch: Epoch,
    value: ValueId,
) -> bool {
    if point.epoch < epoch {
        return false;
    }
    let mut terms = part.roles.terms.iter();
    let term = terms.find(|term| term.epoch == point.epoch && term.node == point.node);
    let Some((term, began)) = term.zip(term.and_then(|term| facts.line_span(term.line))) else {
        return false;
    };
    let of_leader = |image: &&PartImage| image.node == point.node;
    let mut images = part.images.iter().filter(of_leader);
    images.any(|image| {
        let archive = facts.image(image.image);
        let holds = image.view.holds(offset, value) && image.view.epoch_at(offset) == Some(epoch);
        holds
            && (archive.from >= began.to
                || kept(facts, part, term, (offset, epoch, value), archive.from))
    })
}

/// Whether a replica that held a record then still had it when it began to lead: its log reached
/// beyond it, none of its lines says that it cut it, and nothing else stands there of an epoch before
/// its own, since a leader replaces nothing.
fn kept(
    facts: &Facts,
    part: &PartFacts,
    term: &Term,
    (offset, epoch, value): (Offset, Epoch, ValueId),
    then: Mark,
) -> bool {
    let Some(began) = facts.line_span(term.line) else {
        return false;
    };
    let reached = term.epoch == epoch || term.leo > offset;
    let cut = part.roles.cuts.iter().any(|cut| {
        let at = facts.line_span(cut.line);
        let between = at.is_none_or(|at| at.to >= then && at.from <= began.to);
        cut.node == term.node && cut.to <= offset && between
    });
    let another = part.images.iter().any(|image| {
        image.node == term.node
            && facts.image(image.image).from >= began.to
            && image
                .view
                .epoch_at(offset)
                .is_some_and(|at| at < term.epoch)
            && !image.view.holds(offset, value)
    });
    reached && !cut && !another
}
