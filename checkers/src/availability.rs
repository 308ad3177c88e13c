//! How long clients were without service, per partition and fault. Facts, never a verdict.

use history::{Mark, Phase, Seen};

use crate::facts::{Facts, FaultStory, PartFacts};
use crate::judgement::{AvailabilityFact, TimeSpan};

/// One fact per partition and fault.
pub fn all(facts: &Facts) -> Vec<AvailabilityFact> {
    let mut all = Vec::new();
    for (index, fault) in facts.faults.iter().enumerate() {
        if fault.deed().is_none() {
            continue;
        }
        // Up to the next fault, or to the end of settling: what follows is somebody else's doing.
        let next = facts
            .faults
            .get(index + 1)
            .map(|f| f.widest(facts.length).from);
        let end = next
            .or_else(|| facts.phase_start(Phase::Drain))
            .unwrap_or(facts.length);
        for part in &facts.parts {
            all.push(one(facts, part, fault, end));
        }
    }
    all
}

fn one(facts: &Facts, part: &PartFacts, fault: &FaultStory, end: Mark) -> AvailabilityFact {
    let span = fault.in_force(facts.length);
    let from = span.from;
    // It may have acted before it was proved.
    let begun = fault.widest(facts.length).from;
    let sends: Vec<Mark> = sorted(
        part.sends
            .iter()
            .map(|&send| facts.ops.send(send))
            .filter(|send| send.acked())
            .filter_map(|send| send.returned),
    );
    let reads: Vec<Mark> = sorted(
        part.reads
            .iter()
            .map(|&read| facts.ops.read(read))
            .filter(|read| !read.drain)
            .map(|read| read.returned),
    );
    let leader = part
        .elections
        .iter()
        .filter_map(|election| facts.line_span(part.roles.terms[election.term].line))
        .map(|span| span.to)
        .filter(|at| *at >= begun && *at <= end)
        .min();
    let success = part
        .sends
        .iter()
        .map(|&send| facts.ops.send(send))
        .filter(|send| send.acked() && send.invoked >= from)
        .filter_map(|send| send.returned)
        .filter(|at| *at <= end)
        .min();
    AvailabilityFact {
        partition: part.name.to_string(),
        fault: fault.stages[0].fault,
        fault_span: span,
        send_gap: longest_gap(&sends, from, end),
        delivery_gap: longest_gap(&reads, from, end),
        to_new_leader: leader.map(|at| at.0.saturating_sub(from.0)),
        to_first_success: success.map(|at| at.0 - from.0),
        to_full_isr: full_isr(facts, part, span.to, end).map(|at| at.0 - span.to.0),
    }
}

fn sorted(marks: impl Iterator<Item = Mark>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = marks.collect();
    marks.sort_unstable();
    marks
}

/// The longest time between two successes that touches [from, end]; nothing without two successes.
fn longest_gap(marks: &[Mark], from: Mark, end: Mark) -> Option<TimeSpan> {
    marks
        .windows(2)
        .map(|pair| TimeSpan {
            from: pair[0],
            to: pair[1],
        })
        .filter(|gap| gap.to >= from && gap.from <= end)
        .max_by_key(|gap| (gap.to.0 - gap.from.0, std::cmp::Reverse(gap.from)))
}

/// When somebody first recorded the full in-sync set of the newest epoch after a moment.
fn full_isr(facts: &Facts, part: &PartFacts, after: Mark, end: Mark) -> Option<Mark> {
    let all = part.replicas.len();
    // A deposed leader may still believe in the set of its own epoch.
    let newest = part
        .seen
        .iter()
        .map(|&index| facts.observations[index as usize])
        .filter(|seen| seen.answered <= end)
        .filter_map(|seen| match &seen.seen {
            Seen::Belief { epoch, .. } | Seen::ZkState { epoch, .. } => Some(*epoch),
            _ => None,
        })
        .max()?;
    part.seen
        .iter()
        .map(|&index| facts.observations[index as usize])
        .filter(|seen| seen.asked >= after && seen.answered <= end)
        .find_map(|seen| match &seen.seen {
            Seen::Belief { epoch, isr, .. } | Seen::ZkState { epoch, isr, .. } => {
                (isr.len() == all && *epoch == newest).then_some(seen.answered)
            }
            _ => None,
        })
}
