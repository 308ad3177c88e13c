//! What a cut destroyed, how much of it had been acknowledged, and who still holds it.

use history::{Offset, Payload};

use super::scene::{Scene, epoch_before};
use crate::facts::{CutKind, PartId};
use crate::gone::GoneTopic;
use crate::judgement::StillHeld;

/// How many offsets were destroyed, as far as known: all from the cut on, or, where the log begins
/// anew, all that it held.
pub(super) fn destroyed(scene: &Scene) -> Option<u64> {
    let leo = scene.leo.as_ref()?.offset;
    let from = match scene.cut.kind {
        CutKind::Tail | CutKind::Corruption => scene.cut.to.0,
        // A log that begins anew below its end was empty.
        CutKind::Whole if scene.cut.to.0 <= leo => leo,
        CutKind::Whole => scene.part.images[scene.earlier?].view.start().0,
    };
    Some((leo - from).max(0) as u64)
}

/// Acknowledged values in the destroyed range that stood on this replica, and how many of them the
/// final log lacks.
pub(super) fn acknowledged(scene: &Scene, gone: &GoneTopic, id: PartId) -> (u64, u64) {
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
pub(super) fn still_held(scene: &Scene) -> Vec<StillHeld> {
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
