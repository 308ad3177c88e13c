//! What was acknowledged before a record was asked for stands before that record, whoever sent
//! either. Jepsen's checker allows such an inversion or does not look; a partition never does it.
//!
//! Only intervals speak: sends that overlap in time are unordered.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use history::{Mark, Offset};

use super::{Case, Check, Tally};
use crate::facts::{PartFacts, SendFact};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "real-time-order-broken",
    sentence: "what was acknowledged before a record was sent stands before it",
    group: Group::Order,
    premises: &[
        "history-whole",
        "values-unique",
        "clocks-monotonic",
        "final-logs",
    ],
    look,
};

/// An acknowledged record that stands before one that had been acknowledged before it was sent.
#[derive(Debug, Clone, Copy)]
struct Inversion {
    /// Acknowledged first, and where it stands.
    before: (u32, Offset),
    /// Sent afterwards, and where it stands.
    after: (u32, Offset),
}

/// Inversions of a partition, counted by the later record.
#[derive(Debug)]
struct Found {
    count: u64,
    first: Inversion,
    last: Inversion,
    offsets: OffsetRange,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    if case.never_answered() {
        return Tally::absent();
    }
    let mut tally = Tally {
        blocked: case.no_final_log(),
        ..Tally::of("acknowledged records at their offsets")
    };
    for part in case.parts() {
        let (examined, found) = sweep(case, part);
        tally.examined += examined;
        if let Some(found) = found {
            let finding = tell(case, part, &found);
            tally.found(findings, finding);
        }
    }
    tally
}

/// Places in `part.sends` in order of invocation, where the recorded order is another.
fn order(case: &Case, part: &PartFacts) -> Option<Vec<u32>> {
    let ops = &case.facts.ops;
    if ops
        .sends_of(&part.sends)
        .is_sorted_by_key(|(_, send)| send.invoked)
    {
        return None;
    }
    let mut order: Vec<u32> = (0..part.sends.len() as u32).collect();
    order.sort_by_key(|&place| ops.send(part.sends[place as usize]).invoked);
    Some(order)
}

/// Goes through the sends in order of invocation; waiting are those whose answer had not come by
/// then, never more than were in flight.
fn sweep(case: &Case, part: &PartFacts) -> (u64, Option<Found>) {
    if part.final_log().is_none() {
        return (0, None);
    }
    let ops = &case.facts.ops;
    let mut sweep = Sweep::default();
    match order(case, part) {
        None => {
            for (place, send) in ops.sends_of(&part.sends) {
                sweep.take(part, place, &send);
            }
        }
        Some(order) => {
            for place in order {
                let send = ops.send(part.sends[place as usize]);
                sweep.take(part, place as usize, &send);
            }
        }
    }
    (sweep.examined, sweep.found)
}

#[derive(Debug, Default)]
struct Sweep {
    waiting: Waiting,
    furthest: Option<(u32, Offset)>,
    found: Option<Found>,
    examined: u64,
}

impl Sweep {
    /// Takes the next send; only what stands where it was acknowledged counts.
    #[inline(always)]
    fn take(&mut self, part: &PartFacts, place: usize, send: &SendFact) {
        let (Some(at), Some(returned)) = (send.acked_at(), send.returned) else {
            return;
        };
        if !part.acked_there.get(place) {
            return;
        }
        let index = part.sends[place];
        self.examined += 1;
        while let Some((_, offset, earlier)) = self.waiting.answered_before(send.invoked) {
            if self.furthest.is_none_or(|(_, far)| far < offset) {
                self.furthest = Some((earlier, offset));
            }
        }
        if let Some(before) = self.furthest.filter(|(_, far)| *far > at) {
            let after = (index, at);
            note(&mut self.found, Inversion { before, after });
        }
        self.waiting.push((returned, at, index));
    }
}

/// When a send was answered, where it stands, which it is.
type Answered = (Mark, Offset, u32);

/// Sends whose answers had not come, taken out by the moment of their answer. Answers come mostly
/// in the order of their sends, and then nothing is sorted.
#[derive(Debug, Default)]
struct Waiting {
    ascending: VecDeque<Answered>,
    others: BinaryHeap<Reverse<Answered>>,
}

impl Waiting {
    fn push(&mut self, send: Answered) {
        if self.ascending.back().is_none_or(|last| *last <= send) {
            self.ascending.push_back(send);
        } else {
            self.others.push(Reverse(send));
        }
    }

    /// The next of those that were answered before a moment.
    fn answered_before(&mut self, moment: Mark) -> Option<Answered> {
        let front = self.ascending.front().copied();
        let other = self.others.peek().map(|Reverse(other)| *other);
        let first = front.into_iter().chain(other).min()?;
        if first.0 >= moment {
            return None;
        }
        if front == Some(first) {
            self.ascending.pop_front()
        } else {
            self.others.pop().map(|Reverse(other)| other)
        }
    }
}

fn note(found: &mut Option<Found>, inversion: Inversion) {
    let at = inversion.after.1.0;
    let found = found.get_or_insert(Found {
        count: 0,
        first: inversion,
        last: inversion,
        offsets: OffsetRange {
            from: at,
            to: at + 1,
        },
    });
    found.count += 1;
    found.last = inversion;
    found.offsets.from = found.offsets.from.min(at);
    found.offsets.to = found.offsets.to.max(at + 1);
}

fn tell(case: &Case, part: &PartFacts, found: &Found) -> Finding {
    let title = format!(
        "{}: {} before one that had been acknowledged before",
        part.name,
        many(found.count, "record stands", "records stand")
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let Inversion { before, after } = found.first;
    let [first, second] = [before, after].map(|(send, _)| case.facts.ops.send(send));
    let mut story = Story::default();
    let answered = first.returned.unwrap_or(first.invoked);
    let text = format!(
        "{} of {} ({}) was acknowledged at {} by {answered}. {} of {} ({}) was sent at {}, after \
         that, and stands before it, at {}.",
        first.value,
        first.client,
        first.op,
        before.1,
        second.value,
        second.client,
        second.op,
        second.invoked,
        after.1,
    );
    story.say(case.facts, text, &[]);
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.count = found.count;
    finding.offsets = Some(found.offsets);
    finding.first = Some(case.sent(before.0, Some(before.1)));
    finding.last = Some(case.sent(found.last.after.0, Some(found.last.after.1)));
    finding
}
