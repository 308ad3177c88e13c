//! What a replica's files may show by our doing: from which offset on they were damaged, or had lost
//! what had not been flushed.
//!
//! Damage stays for as long as the files do. What a power cut leaves behind is put right by the next
//! start of the broker; nothing excuses it after that.

use history::{Mark, NodeId, Offset, ProcessChange, Service};

use super::{Loss, LossKind, PartCauses};
use crate::facts::{Facts, PartFacts, PartImage};

/// A recorded loss that shows in a replica's files.
#[derive(Debug, Clone, Copy)]
pub struct Marred<'a> {
    /// By which loss.
    pub loss: &'a Loss,
    /// From here on: the beginning of the batch in which it begins.
    pub from: Offset,
}

impl Marred<'_> {
    /// "What stands there is our doing: ...", as a sentence.
    pub fn words(&self) -> String {
        format!("That is our doing: {}.", self.loss.words())
    }
}

impl PartCauses {
    /// By which loss the files of an image may be malformed, and from where on.
    pub fn marred(&self, facts: &Facts, part: &PartFacts, image: &PartImage) -> Option<Marred<'_>> {
        let taken = facts.image(image.image);
        let losses = self.losses.iter().filter(|loss| loss.node == image.node);
        let before: Vec<&Loss> = losses.filter(|loss| loss.at <= taken.to).collect();
        // Files that came after a wipe are new ones.
        let wiped = |loss: &&Loss| loss.kind == LossKind::Wiped && loss.at <= taken.from;
        let since = before.iter().rposition(wiped).map_or(0, |wipe| wipe + 1);
        let shows = |loss: &&&Loss| match loss.kind {
            LossKind::Damaged => true,
            LossKind::PowerCut => !started(facts, loss.node, loss.at, taken.from),
            LossKind::Wiped => false,
        };
        let all = before[since..].iter().filter(shows);
        let marred = all.map(|loss| Marred {
            loss,
            from: batch_begin(part, loss.from),
        });
        marred.min_by_key(|marred| marred.from)
    }

    /// The damage that a broker's answer about an offset may show.
    pub fn damaged_answer(
        &self,
        part: &PartFacts,
        broker: Option<NodeId>,
        offset: Offset,
        at: Mark,
    ) -> Option<Marred<'_>> {
        let damaged = self.losses.iter().filter(|loss| {
            let by = broker.is_none_or(|broker| broker == loss.node);
            loss.kind == LossKind::Damaged && by && loss.at <= at
        });
        let mut marred = damaged.map(|loss| Marred {
            loss,
            from: batch_begin(part, loss.from),
        });
        marred.find(|marred| marred.from <= offset)
    }

    /// The first damage to any replica.
    pub fn damage(&self) -> Option<&Loss> {
        let mut losses = self.losses.iter();
        losses.find(|loss| loss.kind == LossKind::Damaged)
    }
}

/// Where the batch begins that holds an offset, as any image shows it.
fn batch_begin(part: &PartFacts, offset: Offset) -> Offset {
    let images = part.images.iter();
    let batches = images.filter_map(|image| image.view.batch_at(offset));
    batches.map(|batch| batch.base).min().unwrap_or(offset)
}

/// Whether a broker was started between two moments.
fn started(facts: &Facts, node: NodeId, after: Mark, until: Mark) -> bool {
    facts.processes.iter().any(|event| {
        event.node == node
            && event.service == Service::Broker
            && matches!(event.change, ProcessChange::Started { .. })
            && (after..=until).contains(&event.at)
    })
}
