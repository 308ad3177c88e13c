//! Whether a recording keeps the recorder's own rules. What it finds are faults of this program
//! (or of whoever wrote a foreign history), never Kafka's: it convicts nobody, it only says which
//! recording must not be believed.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::clock::Mark;
use crate::event::{Call, Event, Phase, Reply};
use crate::fault::{FaultEvent, Stage};
use crate::ids::{ClientId, FaultId, OpId};

/// So many complaints are written out; the rest is counted.
const COMPLAINTS_MAX: usize = 20;

/// Checks that answers answer invocations, once and in kind; that operations are unique and
/// ascend for each client; that faults begin with `Injecting`; and that no time runs backwards.
/// Empty when all is well; otherwise one sentence for each breach, at most twenty and a count.
///
/// Operations without an answer are no breach: a run may die.
pub fn check_consistency(events: &[Event]) -> Vec<String> {
    let mut check = Check::default();
    for event in events {
        check.event(event);
    }
    check.look_again(events);
    let more = check.found.saturating_sub(COMPLAINTS_MAX);
    if more > 0 {
        check.complaints.push(format!("and {more} more"));
    }
    check.complaints
}

/// What is asked of an operation in flight.
struct Asked {
    at: Mark,
    kind: &'static str,
}

#[derive(Default)]
struct Check {
    complaints: Vec<String>,
    found: usize,
    in_flight: FxHashMap<OpId, Asked>,
    highest: Option<OpId>,
    /// Each client's last invocation.
    clients: BTreeMap<ClientId, (OpId, Mark)>,
    faults: BTreeMap<FaultId, Mark>,
    phase: Option<(Phase, Mark)>,
    /// Answers without an operation in flight, in order.
    stray: Vec<OpId>,
    /// Operations that were invoked after a higher one, and so could be second ones.
    late: FxHashSet<OpId>,
}

impl Check {
    fn complain(&mut self, complaint: impl FnOnce() -> String) {
        self.found += 1;
        if self.found <= COMPLAINTS_MAX {
            self.complaints.push(complaint());
        }
    }

    fn ordered(&mut self, what: &str, from: Mark, to: Mark) {
        if to < from {
            self.complain(|| format!("time runs backwards: {what} from {from} to {to}"));
        }
    }

    fn event(&mut self, event: &Event) {
        match event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => self.invoked(*op, *client, *at, call),
            Event::Returned { op, at, reply } => self.returned(*op, *at, reply),
            Event::Fault(fault) => self.fault(fault),
            Event::Observed(seen) => {
                self.ordered(
                    &format!("a probe of {}", seen.node),
                    seen.asked,
                    seen.answered,
                );
            }
            Event::Clock(sample) => self.ordered(
                &format!("a clock sample of {}", sample.node),
                sample.asked,
                sample.answered,
            ),
            Event::Image(image) => {
                self.ordered(&format!("an image of {}", image.node), image.from, image.to);
            }
            Event::Phase { at, phase } => {
                if let Some((before, since)) = self.phase.replace((*phase, *at)) {
                    self.ordered(&format!("phases {before} and {phase}"), since, *at);
                    if before >= *phase {
                        self.complain(|| format!("phase {phase} at {at} follows {before}"));
                    }
                }
            }
            Event::Altered(change) => {
                self.ordered(
                    &format!("a change of {}", change.key),
                    change.asked,
                    change.answered,
                );
            }
            Event::Process(_) | Event::Step(_) | Event::Rebalance(_) | Event::Harm(_) => {}
        }
    }

    fn invoked(&mut self, op: OpId, client: ClientId, at: Mark, call: &Call) {
        let kind = match call {
            Call::Send { .. } => "send",
            Call::Poll => "poll",
            Call::Assign { .. } => "assign",
            Call::Subscribe { .. }
            | Call::Seek { .. }
            | Call::Commit { .. }
            | Call::Begin
            | Call::End { .. } => "request",
        };
        if self.in_flight.insert(op, Asked { at, kind }).is_some() {
            self.complain(|| format!("{op} was invoked again at {at}, while in flight"));
        } else if self.highest.is_some_and(|highest| op <= highest) {
            self.late.insert(op);
        }
        self.highest = self.highest.max(Some(op));
        if let Some((before, since)) = self.clients.insert(client, (op, at)) {
            if op <= before {
                self.complain(|| format!("{client} invoked {op} at {at}, after {before}"));
            }
            self.ordered(&format!("{client} invoked {before} and {op}"), since, at);
        }
    }

    fn returned(&mut self, op: OpId, at: Mark, reply: &Reply) {
        let Some(asked) = self.in_flight.remove(&op) else {
            self.stray.push(op);
            return;
        };
        let kind = match reply {
            Reply::Sent(_) => "send",
            Reply::Polled(_) => "poll",
            Reply::Assigned(_) => "assign",
            Reply::Done(_) => "request",
        };
        if kind != asked.kind {
            let wanted = asked.kind;
            self.complain(|| format!("{op} was a {wanted} and got the answer to a {kind} at {at}"));
        }
        self.ordered(&format!("{op}"), asked.at, at);
    }

    fn fault(&mut self, event: &FaultEvent) {
        let FaultEvent { fault, at, stage } = event;
        let before = self.faults.insert(*fault, *at);
        let begins = matches!(stage, Stage::Injecting { .. });
        match before {
            Some(_) if begins => self.complain(|| format!("{fault} was injected again at {at}")),
            Some(since) => self.ordered(&format!("{fault}"), since, *at),
            None if begins => {}
            None => self.complain(|| format!("{fault} has a stage at {at} and no beginning")),
        }
    }

    /// Tells apart what needs a second look: answers that came twice from answers to nothing, and
    /// operations that came late from those whose number was used twice.
    fn look_again(&mut self, events: &[Event]) {
        if self.stray.is_empty() && self.late.is_empty() {
            return;
        }
        let mut invocations: FxHashMap<OpId, u32> = self.stray.iter().map(|op| (*op, 0)).collect();
        invocations.extend(self.late.iter().map(|op| (*op, 0)));
        let invoked = events.iter().filter_map(|event| match event {
            Event::Invoked { op, .. } => Some(op),
            _ => None,
        });
        for op in invoked {
            if let Some(count) = invocations.get_mut(op) {
                *count += 1;
            }
        }
        for op in std::mem::take(&mut self.stray) {
            match invocations[&op] {
                0 => self.complain(|| format!("{op} was answered and never invoked")),
                _ => self.complain(|| format!("{op} was answered twice, or before it was invoked")),
            }
        }
        let mut late: Vec<OpId> = std::mem::take(&mut self.late).into_iter().collect();
        late.sort_unstable();
        for op in late {
            if invocations[&op] > 1 {
                self.complain(|| format!("{op} was invoked twice"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::parse;

    fn complaints(text: &str) -> Vec<String> {
        check_consistency(&parse(text).unwrap_or_else(|err| panic!("{err}")))
    }

    #[test]
    fn a_sound_recording_draws_no_complaint() {
        // o3 is written before o2: two threads took numbers and wrote in another order.
        let sound = "phase steady
            c1 send ledger/0 v0 -> @0
            o3 c2 poll ...
            o2 c1 send ledger/0 v1 ...
            f1 kill broker n0 : injecting
            o3 polled -> ledger/0 @0=v0
            f1 injected
            phase storm
            n1 leo ledger/0 @1";
        assert_eq!(complaints(sound), Vec::<String>::new());
    }

    #[test]
    fn every_breach_is_said() {
        let cases = [
            ("o4 sent -> @0", "o4 was answered and never invoked"),
            (
                "c1 send ledger/0 v0 -> @0\no1 sent -> @0",
                "o1 was answered twice, or before it was invoked",
            ),
            (
                "c1 poll ...\no1 sent -> @0 at 1s",
                "o1 was a poll and got the answer to a send at 1.000s",
            ),
            (
                "c1 poll ...\no1 c2 poll ... at 1s",
                "o1 was invoked again at 1.000s, while in flight",
            ),
            (
                "c1 poll -> nothing\no1 c2 poll -> nothing",
                "o1 was invoked twice",
            ),
            (
                "o5 c1 poll ...\no4 c1 poll ... at 1s",
                "c1 invoked o4 at 1.000s, after o5",
            ),
            (
                "c1 poll ... at 2s\nc1 poll ... at 1s",
                "time runs backwards: c1 invoked o1 and o2 from 2.000s to 1.000s",
            ),
            (
                "c1 poll -> nothing at 2s..1s",
                "time runs backwards: o1 from 2.000s to 1.000s",
            ),
            (
                "n1 leo ledger/0 @1 at 2s..1s",
                "time runs backwards: a probe of n1 from 2.000s to 1.000s",
            ),
            (
                "phase heal\nphase storm at 1s",
                "phase storm at 1.000s follows heal",
            ),
            (
                "f1 injected at 1s",
                "f1 has a stage at 1.000s and no beginning",
            ),
            (
                "f1 kill : injecting\nf1 kill : injecting at 1s",
                "f1 was injected again at 1.000s",
            ),
        ];
        for (text, wanted) in cases {
            assert_eq!(complaints(text), [wanted], "{text}");
        }
    }

    #[test]
    fn many_breaches_are_counted() {
        let text: String = (0..25).map(|n| format!("o{n} sent -> @0\n")).collect();
        let complaints = complaints(&text);
        assert_eq!(complaints.len(), 21);
        assert_eq!(complaints[20], "and 5 more");
    }
}
