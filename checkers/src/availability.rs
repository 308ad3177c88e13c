//! How long clients were without service, per partition and fault: those that wait for all in-sync
//! replicas and the others apart, and with what never came back. Facts, never a verdict.

use std::time::Duration;

use history::{ClientId, Mark, Phase, Seen};

use crate::facts::{Facts, FaultStory, PartFacts, acks_all};
use crate::judgement::{AvailabilityFact, Gap, TimeSpan};

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

/// Successes of one kind, and what was asked for in vain after the last of them.
#[derive(Debug, Default)]
struct Service {
    /// When something succeeded.
    marks: Vec<Mark>,
    /// What was asked for later than all of them, when first, and until when it was waited for.
    vain: Option<(Mark, Mark)>,
}

/// What each fault did to one partition. Its sends and deliveries are gone through once.
fn of_part(facts: &Facts, part: &PartFacts, troubles: &[Trouble]) -> Vec<AvailabilityFact> {
    // Of sends that wait for all in-sync replicas, and of the others.
    let mut successes = vec![[None; 2]; troubles.len()];
    let mut sends = [Service::default(), Service::default()];
    for (_, send) in facts.ops.sends_of(&part.sends) {
        let kind = usize::from(!acks_all(facts, send.client));
        let Some(at) = send.returned.filter(|_| send.acked()) else {
            continue;
        };
        sends[kind].marks.push(at);
        for (trouble, first) in troubles.iter().zip(&mut successes) {
            let within = send.invoked >= trouble.span.from && at <= trouble.end;
            if within && first[kind].is_none_or(|first| at < first) {
                first[kind] = Some(at);
            }
        }
    }
    for service in &mut sends {
        service.marks.sort_unstable();
    }
    for (_, send) in facts.ops.sends_of(&part.sends) {
        let service = &mut sends[usize::from(!acks_all(facts, send.client))];
        let late = service.marks.last().is_none_or(|last| *last < send.invoked);
        if late && !send.acked() && answered(facts, send.client) {
            service.ask(send.invoked, send.returned.unwrap_or(facts.length));
        }
    }
    let reads = reads(facts, part, &sends);
    let troubles = troubles.iter().zip(successes);
    troubles
        .map(|(trouble, success)| one(facts, part, trouble, &sends, &reads, success))
        .collect()
}

/// Whether a client waits for answers at all: what nobody answers is not asked for in vain.
fn answered(facts: &Facts, client: ClientId) -> bool {
    let producers = &facts.recording.setting.producers;
    producers.get(&client).is_none_or(|p| p.acks != "0")
}

/// Deliveries; what was acknowledged after the last of them was waited for in vain.
fn reads(facts: &Facts, part: &PartFacts, sends: &[Service; 2]) -> Service {
    let mut reads = Service::default();
    for (_, read) in facts.ops.reads_of(&part.reads) {
        let marks = &mut reads.marks;
        // What one poll gave came at one time: two of it show that, more would only take room.
        let again = marks.len() > 1 && marks[marks.len() - 2..] == [read.returned; 2];
        if !read.drain && !again {
            marks.push(read.returned);
        }
    }
    reads.marks.sort_unstable();
    if let Some(&last) = reads.marks.last() {
        let stored = sends.iter().filter_map(|service| service.marks.last());
        if let Some(&stored) = stored.max().filter(|stored| **stored > last) {
            reads.vain = Some((last, stored));
        }
    }
    reads
}

fn one(
    facts: &Facts,
    part: &PartFacts,
    trouble: &Trouble,
    sends: &[Service; 2],
    reads: &Service,
    success: [Option<Mark>; 2],
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
    let [all, others] = sends;
    let [success, other] = success.map(|at| at.map(|at| at.0 - from.0));
    AvailabilityFact {
        partition: part.name.to_string(),
        fault: trouble.story.stages[0].fault,
        fault_span: span,
        send_gap: all.longest_gap(from, end),
        other_send_gap: others.longest_gap(from, end),
        delivery_gap: reads.longest_gap(from, end),
        to_new_leader: leader.map(|at| at.0.saturating_sub(from.0)),
        to_first_success: success,
        other_to_first_success: other,
        to_full_isr: full_isr(facts, part, span.to, end).map(|at| at.0 - span.to.0),
    }
}

/// A gap at the end that is no longer than this is what is under way whenever a run stops.
const UNDER_WAY: Duration = Duration::from_secs(1);

impl Service {
    fn ask(&mut self, invoked: Mark, until: Mark) {
        let (from, to) = self.vain.unwrap_or((invoked, until));
        self.vain = Some((from.min(invoked), to.max(until)));
    }

    /// The time at the end in which nothing succeeded any more, if it touches [from, end]; else the
    /// longest time between two successes that does.
    fn longest_gap(&self, from: Mark, end: Mark) -> Option<Gap> {
        let touches = |gap: &Gap| gap.to >= from && gap.from <= end;
        let open = self.vain.map(|(asked, until)| Gap {
            from: self.marks.last().copied().unwrap_or(asked),
            to: until,
            open: true,
        });
        let open = open.filter(|gap| gap.to.since(gap.from) > UNDER_WAY && touches(gap));
        open.or_else(|| {
            // From the last success before it to the first one after it.
            let marks = &self.marks;
            let first = marks.partition_point(|at| *at < from).saturating_sub(1);
            let last = marks.partition_point(|at| *at <= end);
            let touching = marks.get(first..marks.len().min(last + 1)).unwrap_or(&[]);
            let gaps = touching.windows(2).map(|pair| Gap {
                from: pair[0],
                to: pair[1],
                open: false,
            });
            gaps.filter(touches)
                .max_by_key(|gap| (gap.to.0 - gap.from.0, std::cmp::Reverse(gap.from)))
        })
    }
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
