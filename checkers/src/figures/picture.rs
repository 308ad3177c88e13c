//! One replica's log before and after a change of leader. Every number names its source.

use history::{Mark, NodeId, Offset, ProcessChange, Seen, Service};

use super::scene::Scene;
use crate::facts::{Facts, Follow, LogView, Until};
use crate::judgement::{EpochSegment, OffsetRange, ReplicaPicture, Role, Sourced};

/// The first `Follower` line of a node for this epoch or a later one.
fn follow_of<'a>(scene: &'a Scene, node: NodeId) -> Option<(usize, &'a Follow)> {
    let follows = scene.part.roles.follows.iter().enumerate();
    let fitting = follows.filter(|(_, follow)| follow.node == node && follow.epoch >= scene.epoch);
    fitting.min_by_key(|(index, _)| *index)
}

/// A replica as it stood when the new leader began.
pub fn picture_before(scene: &Scene, node: NodeId, old: NodeId) -> ReplicaPicture {
    let roles = &scene.part.roles;
    if node == scene.leader {
        let term = &roles.terms[scene.part.elections[scene.index].term];
        let source = scene.facts.cite(term.line);
        return ReplicaPicture {
            node,
            role: Role::Leader,
            epoch: Some(term.epoch),
            isr: term.isr.clone(),
            segments: segments(scene, scene.index, term.leo),
            segments_source: source.clone(),
            hw: sourced(term.hw, &source),
            leo: sourced(term.leo, &source),
            cut: None,
        };
    }
    let died = down_at(scene, node);
    let follow = follow_of(scene, node).filter(|(_, follow)| follow.epoch == scene.epoch);
    let same_life = node != old || old_term_followed(scene);
    if let Some((place, follow)) = follow
        && died.is_none()
        && same_life
    {
        return by_follow_line(scene, node, node == old, place, follow);
    }
    match died {
        Some(died) => dead_picture(scene, node, died),
        None => probed(
            scene,
            node,
            scene.at.map(|at| at.from),
            Role::Unknown,
            scene.index,
        ),
    }
}

/// The old leader became follower in the life in which it had led.
fn old_term_followed(scene: &Scene) -> bool {
    let before = scene.part.elections[scene.index].before;
    before.is_some_and(|term| matches!(scene.part.roles.terms[term].until, Until::Followed(_)))
}

fn by_follow_line(
    scene: &Scene,
    node: NodeId,
    was_leader: bool,
    place: usize,
    follow: &Follow,
) -> ReplicaPicture {
    let source = scene.facts.cite(follow.line);
    let cuts = scene.case.cuts.iter();
    let audit = cuts
        .filter(|audit| audit.part == scene.id)
        .find(|audit| scene.part.roles.cuts[audit.cut].follow == Some(place));
    let leo = audit
        .and_then(|audit| audit.fact.leo_before.clone())
        .or_else(|| sourced(follow.leo, &source));
    let end = leo.as_ref().map_or(follow.leo, |leo| Offset(leo.offset));
    ReplicaPicture {
        node,
        role: if was_leader {
            Role::DeposedLeader
        } else {
            Role::Follower
        },
        epoch: Some(follow.previous.unwrap_or(follow.epoch)),
        isr: Vec::new(),
        segments: segments(scene, scene.index, end),
        segments_source: source.clone(),
        hw: sourced(follow.hw, &source),
        leo,
        cut: audit.map(|audit| OffsetRange {
            from: audit.fact.cut_to,
            to: end.0,
        }),
    }
}

/// When the broker of a node was dead at the election: since when.
fn down_at(scene: &Scene, node: NodeId) -> Option<Mark> {
    let at = scene.at?.to;
    down(scene.facts, node, at)
}

fn down(facts: &Facts, node: NodeId, at: Mark) -> Option<Mark> {
    let last = facts
        .processes
        .iter()
        .rfind(|event| event.node == node && event.service == Service::Broker && event.at <= at)?;
    match last.change {
        ProcessChange::Exited(_) => Some(last.at),
        ProcessChange::Started { .. } | ProcessChange::Paused | ProcessChange::Resumed => None,
    }
}

/// A dead broker's log: its image from before its return, else what it says when it follows again.
fn dead_picture(scene: &Scene, node: NodeId, died: Mark) -> ReplicaPicture {
    let mut picture = probed(scene, node, Some(died), Role::Down, scene.index);
    let image = scene.part.images.iter().find(|image| {
        image.node == node && !image.last && scene.facts.image(image.image).from >= died
    });
    if let Some(image) = image {
        let source = scene.facts.image(image.image).file.clone();
        picture.segments = from_image(&image.view);
        picture.segments_source = source.clone();
        picture.leo = sourced(image.view.log.leo(), &source);
    } else if let Some((_, follow)) = follow_of(scene, node) {
        let source = scene.facts.cite(follow.line);
        picture.segments = segments(scene, scene.index, follow.leo);
        picture.segments_source = source.clone();
        picture.leo = sourced(follow.leo, &source);
    }
    // What it cut for a later epoch belongs to that one's figure.
    let place = follow_of(scene, node)
        .filter(|(_, follow)| follow.epoch == scene.epoch)
        .map(|(place, _)| place);
    let cuts = scene.part.roles.cuts.iter();
    let cut = cuts
        .filter(|cut| cut.node == node && cut.follow.is_some())
        .find(|cut| cut.follow == place);
    picture.cut = cut
        .zip(picture.leo.as_ref())
        .map(|(cut, leo)| OffsetRange {
            from: cut.to.0,
            to: leo.offset,
        })
        .filter(|cut| !cut.is_empty());
    picture
}

/// A replica as the last probes before a moment had it.
fn probed(
    scene: &Scene,
    node: NodeId,
    before: Option<Mark>,
    role: Role,
    elections: usize,
) -> ReplicaPicture {
    let mut picture = ReplicaPicture {
        node,
        role,
        epoch: None,
        isr: Vec::new(),
        segments: Vec::new(),
        segments_source: "nothing".to_owned(),
        hw: None,
        leo: None,
        cut: None,
    };
    for &index in &scene.part.seen {
        let seen = scene.facts.observations[index as usize];
        if seen.node != node || before.is_some_and(|before| seen.answered > before) {
            continue;
        }
        let source = format!("probe of {node} at {}", seen.answered);
        match &seen.seen {
            Seen::LogEnd { leo, epoch, .. } => {
                picture.leo = sourced(*leo, &source);
                picture.epoch = epoch.or(picture.epoch);
            }
            Seen::Watermarks { hw, .. } | Seen::LeaderHw { hw, .. } => {
                picture.hw = sourced(*hw, &source);
            }
            Seen::Belief { .. }
            | Seen::Controller { .. }
            | Seen::ZkState { .. }
            | Seen::Silent { .. } => {}
        }
    }
    // The log end is asked first: a high watermark that is ahead of it moved on in between, and the
    // log with it.
    if let (Some(leo), Some(hw)) = (&picture.leo, &picture.hw)
        && hw.offset > leo.offset
    {
        picture.leo = Some(hw.clone());
    }
    if let Some(leo) = &picture.leo {
        picture.segments = segments(scene, elections, Offset(leo.offset));
        picture.segments_source = leo.source.clone();
    }
    picture
}

/// A replica as it stood before the next fault, or at the end.
pub fn picture_after(scene: &Scene, node: NodeId) -> ReplicaPicture {
    let role = if node == scene.leader {
        Role::Leader
    } else {
        Role::Follower
    };
    let isr = match role {
        Role::Leader => isr_after(scene),
        _ => Vec::new(),
    };
    let epoch = Some(scene.epoch);
    if let Some(next) = scene.next {
        let role = match down(scene.facts, node, next) {
            Some(_) => Role::Down,
            None => role,
        };
        let picture = probed(scene, node, Some(next), role, scene.index + 1);
        return ReplicaPicture {
            epoch,
            isr,
            ..picture
        };
    }
    let mut picture = probed(scene, node, None, role, scene.index + 1);
    if let Some(image) = scene.part.finals().find(|image| image.node == node) {
        let source = scene.facts.image(image.image).file.clone();
        picture.segments = from_image(&image.view);
        picture.segments_source = source.clone();
        picture.leo = sourced(image.view.log.leo(), &source);
    }
    ReplicaPicture {
        epoch,
        isr,
        ..picture
    }
}

/// The last in-sync set of this epoch that ZooKeeper or the leader gave.
fn isr_after(scene: &Scene) -> Vec<NodeId> {
    let seen = scene.part.seen.iter().rev();
    seen.map(|&index| scene.facts.observations[index as usize])
        .find_map(|seen| match &seen.seen {
            Seen::ZkState { epoch, isr, .. } if *epoch == scene.epoch => Some(isr.clone()),
            Seen::Belief { epoch, isr, .. }
                if *epoch == scene.epoch && seen.node == scene.leader =>
            {
                Some(isr.clone())
            }
            _ => None,
        })
        .unwrap_or_default()
}

fn sourced(offset: Offset, source: &str) -> Option<Sourced> {
    Some(Sourced {
        offset: offset.0,
        source: source.to_owned(),
    })
}

/// A log by epoch, from the log ends at which the first `elections` leaders began.
fn segments(scene: &Scene, elections: usize, end: Offset) -> Vec<EpochSegment> {
    let mut segments: Vec<EpochSegment> = Vec::new();
    for election in &scene.part.elections[..elections] {
        let term = &scene.part.roles.terms[election.term];
        // A leader that began below what earlier ones had reached cut their ends off.
        for earlier in &mut segments {
            earlier.to = earlier.to.min(term.leo.0);
        }
        segments.push(EpochSegment {
            epoch: term.epoch,
            from: term.leo.0,
            to: end.0,
        });
    }
    for segment in &mut segments {
        segment.to = segment.to.min(end.0);
    }
    segments.retain(|segment| segment.from < segment.to);
    segments
}

/// A log by epoch, from an image's batches.
fn from_image(view: &LogView) -> Vec<EpochSegment> {
    let mut segments: Vec<EpochSegment> = Vec::new();
    for batch in &view.log.batches {
        match segments.last_mut() {
            Some(last) if last.epoch == batch.epoch => last.to = batch.last.0 + 1,
            _ => segments.push(EpochSegment {
                epoch: batch.epoch,
                from: batch.base.0,
                to: batch.last.0 + 1,
            }),
        }
    }
    segments
}
