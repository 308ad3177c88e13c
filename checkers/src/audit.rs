//! The audit of cuts: what each destroyed, which of it had been acknowledged, who still holds it,
//! and whether it was justified (docs/guarantees.md, "truncation-audit").
//!
//! 3.0.0 does not log what a follower asked its leader and what it was told; what is derived here
//! instead says so.

mod destroyed;
mod justified;
mod scene;

use history::{Epoch, Offset};

use self::destroyed::{acknowledged, destroyed, still_held};
use self::justified::justified;
use self::scene::{Scene, epoch_before};
use crate::contract::Contract;
use crate::facts::{CutKind, Facts, PartId, acks_all};
use crate::gone::{GoneTopic, cut_lines};
use crate::judgement::{Sourced, TruncationFact};

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

fn audit(facts: &Facts, id: PartId, index: usize, gone: &GoneTopic) -> CutAudit {
    let scene = Scene::of(facts, id, index, gone);
    let (part, cut, follow) = (scene.part, scene.cut, scene.follow);
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
