//! One figure per change of leader: each replica's log before and after, from the brokers' own
//! transition lines, their files, and the probes in between. Every number names its source.

use history::{Epoch, Mark, NodeId};

use super::picture::{picture_after, picture_before};
use super::scene::Scene;
use crate::facts::{Facts, PartId};
use crate::gone::{Group, middle};
use crate::guarantees::Case;
use crate::judgement::{Failover, OffsetRange, TimeSpan};

/// The fail-overs of one topic.
pub fn failovers(case: &Case) -> Vec<Failover> {
    let mut all = Vec::new();
    for &id in &case.contract.parts {
        let elections = case.facts.parts[id].elections.len();
        all.extend((1..elections).filter_map(|index| failover(case, id, index)));
    }
    all
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
        let who = if held_by_others(scene) {
            "the new leader did not hold"
        } else {
            "only the old leader held"
        };
        return format!("{records} that {who}: never below the high watermark");
    }
    if kinds.contains(&Kind::AckedBelow) {
        return format!("{records}, committed and lost");
    }
    format!("{records} that the new leader did not hold")
}

/// Whether some replica other than the broker that accepted them is known to have held any of them:
/// it cut them, or an image shows them.
fn held_by_others(scene: &Scene) -> bool {
    groups(scene).any(|group| {
        let roles = &scene.part.roles;
        let acceptor = group.term.map(|term| roles.terms[term].node);
        let cut = group.cuts.iter().map(|&cut| roles.cuts[cut].node);
        let records = &scene.case.gone.records;
        let shown = scene.part.images.iter().filter(|image| {
            let mut records = group.records.iter().map(|&record| &records[record]);
            records.any(|r| r.offset.is_some_and(|at| image.view.holds(at, r.value)))
        });
        cut.chain(shown.map(|image| image.node))
            .any(|node| Some(node) != acceptor)
    })
}

fn before_caption(scene: &Scene, old: NodeId, epoch: Epoch, fault: Option<usize>) -> String {
    let fault = fault.and_then(|fault| {
        let fault = &scene.facts.faults[fault];
        let (_, deed) = fault.deed()?;
        let since = fault.widest(scene.facts.length).from;
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
