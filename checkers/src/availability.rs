//! How long clients were without service, per partition and fault. Facts, never a verdict.

use history::{Mark, Phase, Seen};

use crate::facts::{Facts, FaultStory, PartFacts};
use crate::judgement::{AvailabilityFact, TimeSpan};

/// A fault with what of it concerns clients.
struct Trouble<'a> {
    story: &'a FaultStory<'a>,
    /// When it was in force.
    span: TimeSpan,
    /// When it may have begun to act.
    begun: Mark,
    /// The next fault, or the end of settling: what follows is somebody else's doing.
    end: Mark,
}

/// One fact per partition and fault.
pub fn all(facts: &Facts) -> Vec<AvailabilityFact> {
    let mut troubles = Vec::new();
    for (index, story) in facts.faults.iter().enumerate() {
        if story.deed().is_none() {
            continue;
        }
        let next = facts
            .faults
            .get(index + 1)
            .map(|f| f.widest(facts.length).from);
        troubles.push(Trouble {
            story,
            span: story.in_force(facts.length),
            begun: story.widest(facts.length).from,
            end: next
                .or_else(|| facts.phase_start(Phase::Drain))
                .unwrap_or(facts.length),
        });
    }
    if troubles.is_empty() {
        return Vec::new();
    }
    let parts = facts.parts.iter();
    let by_part: Vec<Vec<AvailabilityFact>> =
        parts.map(|part| of_part(facts, part, &troubles)).collect();
    // By fault, then by partition.
    let mut columns: Vec<_> = by_part.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    for _ in &troubles {
        all.extend(columns.iter_mut().filter_map(Iterator::next));
    }
    all
}

/// What each fault did to one partition. Its sends and deliveries are gone through once.
fn of_part(facts: &Facts, part: &PartFacts, troubles: &[Trouble]) -> Vec<AvailabilityFact> {
    let mut successes: Vec<Option<Mark>> = vec![None; troubles.len()];
    let mut sends: Vec<Mark> = Vec::new();
    for &send in &part.sends {
        let send = facts.ops.send(send);
        let Some(at) = send.returned.filter(|_| send.acked()) else {
            continue;
        };
        sends.push(at);
        for (trouble, first) in troubles.iter().zip(&mut successes) {
            let within = send.invoked >= trouble.span.from && at <= trouble.end;
            if within && first.is_none_or(|first| at < first) {
                *first = Some(at);
            }
        }
    }
    sends.sort_unstable();
    let mut reads: Vec<Mark> = Vec::new();
    for &read in &part.reads {
        let read = facts.ops.read(read);
        // What one poll gave came at one time: two of it show that, more would only take room.
        let again = reads.len() > 1 && reads[reads.len() - 2..] == [read.returned; 2];
        if !read.drain && !again {
            reads.push(read.returned);
        }
    }
    reads.sort_unstable();
    let troubles = troubles.iter().zip(successes);
    troubles
        .map(|(trouble, success)| one(facts, part, trouble, &sends, &reads, success))
        .collect()
}

fn one(
    facts: &Facts,
    part: &PartFacts,
    trouble: &Trouble,
    sends: &[Mark],
    reads: &[Mark],
    success: Option<Mark>,
) -> AvailabilityFact {
    let (span, end) = (trouble.span, trouble.end);
    let from = span.from;
    let leader = part
        .elections
        .iter()
        .filter_map(|election| facts.line_span(part.roles.terms[election.term].line))
        .map(|span| span.to)
        .filter(|at| *at >= trouble.begun && *at <= end)
        .min();
    AvailabilityFact {
        partition: part.name.to_string(),
        fault: trouble.story.stages[0].fault,
        fault_span: span,
        send_gap: longest_gap(sends, from, end),
        delivery_gap: longest_gap(reads, from, end),
        to_new_leader: leader.map(|at| at.0.saturating_sub(from.0)),
        to_first_success: success.map(|at| at.0 - from.0),
        to_full_isr: full_isr(facts, part, span.to, end).map(|at| at.0 - span.to.0),
    }
}

/// The longest time between two successes that touches [from, end]; nothing without two successes.
fn longest_gap(marks: &[Mark], from: Mark, end: Mark) -> Option<TimeSpan> {
    // From the last success before it to the first one after it.
    let first = marks.partition_point(|at| *at < from).saturating_sub(1);
    let last = marks.partition_point(|at| *at <= end);
    let touching = marks.get(first..marks.len().min(last + 1)).unwrap_or(&[]);
    touching
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
