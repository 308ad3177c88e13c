//! One figure per change of leader: each replica's log before and after, from the brokers' own
//! transition lines, their files, and the probes in between. Every number names its source.

use history::{Epoch, Mark, NodeId, Offset, ProcessChange, Seen, Service};

use crate::facts::{Facts, Follow, LogView, PartFacts, PartId, Until};
use crate::gone::{Group, middle};
use crate::guarantees::Case;
use crate::judgement::{
    EpochSegment, Failover, OffsetRange, ReplicaPicture, Role, Sourced, TimeSpan,
};

/// The fail-overs of one topic.
pub fn failovers(case: &Case) -> Vec<Failover> {
    let mut all = Vec::new();
    for &id in &case.contract.parts {
        let elections = case.facts.parts[id].elections.len();
        all.extend((1..elections).filter_map(|index| failover(case, id, index)));
    }
    all
}

/// An election with its surroundings.
struct Scene<'a> {
    case: &'a Case<'a>,
    facts: &'a Facts<'a>,
    part: &'a PartFacts<'a>,
    id: PartId,
    index: usize,
    epoch: Epoch,
    leader: NodeId,
    at: Option<TimeSpan>,
    /// If another election follows: its beginning, or that of the fault before it.
    next: Option<Mark>,
}

fn failover(case: &Case, id: PartId, index: usize) -> Option<Failover> {
    let part = &case.facts.parts[id];
    let election = &part.elections[index];
    let term = &part.roles.terms[election.term];
    let before = &part.roles.terms[election.before?];
    let at = case.facts.line_span(term.line);
    let next = part.elections.get(index + 1);
    let scene = Scene {
        case,
        facts: case.facts,
        part,
        id,
        index,
        epoch: term.epoch,
        leader: term.node,
        at,
        next: next
            .and_then(|next| case.facts.line_span(part.roles.terms[next.term].line))
            .map(|span| {
                span.from
                    .min(next_fault(case.facts, at).unwrap_or(span.from))
            }),
    };
    let fault = fault_then(&scene);
    let (lost, lost_count, findings) = lost(&scene);
    let cuts = cuts_for(&scene);
    Some(Failover {
        partition: part.name.to_string(),
        from_epoch: before.epoch,
        to_epoch: term.epoch,
        old_leader: Some(before.node),
        new_leader: term.node,
        at,
        clean: election.clean,
        fault: fault.map(|fault| case.facts.faults[fault].stages[0].fault),
        before_caption: before_caption(&scene, before.node, before.epoch, fault),
        before: part
            .replicas
            .iter()
            .map(|&node| picture_before(&scene, node, before.node))
            .collect(),
        after_caption: after_caption(&scene, &cuts),
        after: part
            .replicas
            .iter()
            .map(|&node| picture_after(&scene, node))
            .collect(),
        lost,
        lost_count,
        lost_caption: lost_caption(&scene, lost_count),
        quiet: lost_count == 0 && cuts.is_empty(),
        findings,
    })
}

/// The beginning of the first fault after an election.
fn next_fault(facts: &Facts, at: Option<TimeSpan>) -> Option<Mark> {
    let at = at?.to;
    let begins = facts
        .faults
        .iter()
        .map(|fault| fault.widest(facts.length).from);
    begins.filter(|from| *from > at).min()
}

/// Cuts that answer to this epoch; positions in `roles.cuts`.
fn cuts_for(scene: &Scene) -> Vec<usize> {
    let roles = &scene.part.roles;
    let answers = |cut: &crate::facts::Cut| {
        cut.follow
            .is_some_and(|follow| roles.follows[follow].epoch == scene.epoch)
    };
    (0..roles.cuts.len())
        .filter(|&cut| answers(&roles.cuts[cut]))
        .collect()
}

/// The last fault that had begun, and was not over, at the election.
fn fault_then(scene: &Scene) -> Option<usize> {
    let at = scene.at?;
    scene.facts.faults.iter().rposition(|fault| {
        let span = fault.widest(scene.facts.length);
        fault.deed().is_some() && span.from <= at.to && at.from <= span.to
    })
}

fn groups<'a>(scene: &'a Scene) -> impl Iterator<Item = &'a Group> {
    scene
        .case
        .gone
        .groups
        .iter()
        .filter(|group| group.part == scene.id && group.dropped_by == Some(scene.index))
}

fn lost(scene: &Scene) -> (Option<OffsetRange>, u64, Vec<crate::judgement::FindingId>) {
    let records = &scene.case.gone.records;
    let mut range: Option<OffsetRange> = None;
    let mut count = 0;
    let mut findings = Vec::new();
    for group in groups(scene) {
        findings.push(group.finding);
        for record in group.records.iter().map(|&record| &records[record]) {
            let Some(offset) = record.offset.filter(|_| record.acked) else {
                continue;
            };
            count += 1;
            let range = range.get_or_insert(OffsetRange {
                from: offset.0,
                to: offset.0 + 1,
            });
            range.from = range.from.min(offset.0);
            range.to = range.to.max(offset.0 + 1);
        }
    }
    (range, count, findings)
}

fn lost_caption(scene: &Scene, count: u64) -> String {
    use crate::gone::Kind;
    if count == 0 {
        return "no acknowledged record was lost here".to_owned();
    }
    let records = crate::gone::many(count, "acknowledged record", "acknowledged records");
    let kinds: Vec<Kind> = groups(scene).map(|group| group.kind).collect();
    if kinds.iter().all(|kind| *kind == Kind::AckedAbove) {
        return format!("{records} that only the old leader held: never below the high watermark");
    }
    if kinds.contains(&Kind::AckedBelow) {
        return format!("{records}, committed and lost");
    }
    format!("{records} that the new leader did not hold")
}

fn before_caption(scene: &Scene, old: NodeId, epoch: Epoch, fault: Option<usize>) -> String {
    let fault = fault.and_then(|fault| {
        let fault = &scene.facts.faults[fault];
        let (_, deed) = fault.deed()?;
        let since = fault.in_force(scene.facts.length).from;
        Some(format!(
            "; {} ({since})",
            crate::faults::deed_in_words(deed)
        ))
    });
    format!("before: {old} led {epoch}{}", fault.unwrap_or_default())
}

fn after_caption(scene: &Scene, cuts: &[usize]) -> String {
    let elected = match scene.at {
        Some(at) => format!(
            "after: {} led {} from {}",
            scene.leader,
            scene.epoch,
            middle(at)
        ),
        None => format!("after: {} led {}", scene.leader, scene.epoch),
    };
    let cuts: Vec<String> = cuts
        .iter()
        .map(|&cut| {
            let cut = &scene.part.roles.cuts[cut];
            let when = scene.facts.line_span(cut.line).map(middle);
            let when = when.map_or(String::new(), |at| format!(" at {at}"));
            format!("; {} cut its log to {}{when}", cut.node, cut.to)
        })
        .collect();
    format!("{elected}{}", cuts.concat())
}

/// The first `Follower` line of a node for this epoch or a later one.
fn follow_of<'a>(scene: &'a Scene, node: NodeId) -> Option<(usize, &'a Follow)> {
    let follows = scene.part.roles.follows.iter().enumerate();
    let fitting = follows.filter(|(_, follow)| follow.node == node && follow.epoch >= scene.epoch);
    fitting.min_by_key(|(index, _)| *index)
}

fn picture_before(scene: &Scene, node: NodeId, old: NodeId) -> ReplicaPicture {
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
    let place = follow_of(scene, node).map(|(place, _)| place);
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
    if let Some(leo) = &picture.leo {
        picture.segments = segments(scene, elections, Offset(leo.offset));
        picture.segments_source = leo.source.clone();
    }
    picture
}

fn picture_after(scene: &Scene, node: NodeId) -> ReplicaPicture {
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
