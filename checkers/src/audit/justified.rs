//! Whether a cut was justified: by images where there are any, else by what must have stood there.

use super::scene::{Scene, epoch_before};
use crate::facts::{CutKind, Term};
use crate::judgement::Justified;

/// Whether the new leader lacked what was cut, and how that is known.
pub(super) fn justified(scene: &Scene) -> Justified {
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
