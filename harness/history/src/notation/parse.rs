//! Text into events, line by line.

mod changes;
mod line;
mod parts;

use std::collections::BTreeMap;

use super::{Defaults, NotationError, print::deed_text, words};
use crate::event::{Call, Event, Reply, StepEvent, StepStage};
use crate::fault::{Deed, FaultEvent, FaultKind, Stage};
use crate::ids::{ClientId, FaultId, NodeId, OpId};
use crate::observation::{
    ClockSample, ImageReason, ImageTaken, Observation, ProcessEvent, ProcessState,
};
use crate::outcome::{Outcome, Why};
use line::{Line, Wanted};
use parts::{ack, call, change, deliveries, done, later_stage, outcome, seen, targets};

/// Reads a history.
///
/// # Errors
/// The first line that is not understood, and what should stand there.
pub fn parse(text: &str) -> Result<Vec<Event>, NotationError> {
    let mut parser = Parser::default();
    for (number, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let mut rest = Line::new(trimmed);
        parser.line(&mut rest).map_err(|wanted| NotationError {
            line: number + 1,
            found: rest.place().to_owned(),
            wanted: wanted.0,
        })?;
    }
    Ok(parser.events)
}

fn unanswered() -> Wanted {
    Wanted::new("`->` and the answer, or `...` for none yet")
}

#[derive(Default)]
struct Parser {
    events: Vec<Event>,
    defaults: Defaults,
    deeds: BTreeMap<FaultId, String>,
}

impl Parser {
    fn line(&mut self, line: &mut Line) -> Result<(), Wanted> {
        let first = line.peek();
        if line.eat("phase") {
            let phase = line.named(&words::PHASES)?;
            let at = self.time(line)?;
            self.events.push(Event::Phase { at, phase });
        } else if line.eat("step") {
            self.step(line)?;
        } else if line.eat("clock") {
            let node = line.id("a node, n0")?;
            let host_unix_nanos = line.id("nanoseconds since 1970")?;
            let (asked, answered) = self.two_times(line)?;
            self.events.push(Event::Clock(ClockSample {
                node,
                asked,
                answered,
                host_unix_nanos,
            }));
        } else if line.eat("image") {
            self.image(line)?;
        } else if line.eat("harm") {
            self.harm(line)?;
        } else if line.eat("set") {
            self.alteration(line)?;
        } else if first.parse::<OpId>().is_ok() || first.parse::<ClientId>().is_ok() {
            self.operation(line)?;
        } else if let Ok(fault) = first.parse::<FaultId>() {
            line.word();
            self.fault(line, fault)?;
        } else if let Ok(node) = first.parse::<NodeId>() {
            line.word();
            self.node(line, node)?;
        } else {
            return Err(Wanted::new(
                "a line begins with a client (c1), operation (o1), fault (f1) or node (n0), or with phase, step, clock, image, harm or set",
            ));
        }
        line.end()
    }

    fn time(&mut self, line: &mut Line) -> Result<crate::Mark, Wanted> {
        let at = match line.take_times() {
            Some((from, to)) if from == to => from,
            Some(_) => return Err(Wanted::new("this line has one moment: `at 1.5s`")),
            None => self.defaults.next(),
        };
        self.defaults.last = at;
        Ok(at)
    }

    fn two_times(&mut self, line: &mut Line) -> Result<(crate::Mark, crate::Mark), Wanted> {
        let (from, to) = line
            .take_times()
            .unwrap_or_else(|| self.defaults.next_two());
        self.defaults.last = to;
        Ok((from, to))
    }

    fn operation(&mut self, line: &mut Line) -> Result<(), Wanted> {
        let numbered: Option<OpId> = line.try_id();
        if let Some(op) = numbered {
            self.defaults.saw_op(op);
            if line.peek().parse::<ClientId>().is_err() {
                return self.answer(line, op);
            }
        }
        let op = numbered.unwrap_or_else(|| self.defaults.next_op());
        let client = line.id("a client, c1")?;
        if numbered.is_none() && line.eat("rebalance") {
            return self.rebalance(line, client);
        }
        self.defaults.saw_op(op);
        let call = call(line)?;
        if line.eat("...") {
            let at = self.time(line)?;
            self.events.push(Event::Invoked {
                op,
                client,
                at,
                call,
            });
            return Ok(());
        }
        let reply = match &call {
            Call::Assign { .. } if line.at_end() => Reply::Assigned(Outcome::Ok(())),
            Call::Send { .. } | Call::Poll if line.at_end() => return Err(unanswered()),
            _ if line.at_end() => Reply::Done(Outcome::Ok(())),
            _ if !line.eat("->") => return Err(unanswered()),
            Call::Send { .. } => Reply::Sent(outcome(line, ack)?),
            Call::Poll => Reply::Polled(outcome(line, deliveries)?),
            Call::Assign { .. } => Reply::Assigned(outcome(line, done)?),
            _ => Reply::Done(outcome(line, done)?),
        };
        let (at, until) = self.two_times(line)?;
        self.events.push(Event::Invoked {
            op,
            client,
            at,
            call,
        });
        self.events.push(Event::Returned {
            op,
            at: until,
            reply,
        });
        Ok(())
    }

    fn answer(&mut self, line: &mut Line, op: OpId) -> Result<(), Wanted> {
        let kind = line.word();
        if !line.eat("->") {
            return Err(Wanted::new(
                "a client (c1), or the answer to the operation: `sent ->`, `polled ->`, `assigned ->`, `done ->`",
            ));
        }
        let reply = match kind {
            "sent" => Reply::Sent(outcome(line, ack)?),
            "polled" => Reply::Polled(outcome(line, deliveries)?),
            "assigned" => Reply::Assigned(outcome(line, done)?),
            "done" => Reply::Done(outcome(line, done)?),
            _ => return Err(Wanted::new("sent, polled, assigned or done before `->`")),
        };
        let at = self.time(line)?;
        self.events.push(Event::Returned { op, at, reply });
        Ok(())
    }

    fn fault(&mut self, line: &mut Line, fault: FaultId) -> Result<(), Wanted> {
        let mut deed = None;
        let kinds: Vec<FaultKind> = FaultKind::all().collect();
        if let Some(kind) = words::named(&kinds, line.peek()) {
            line.word();
            let mut it = Deed {
                kind,
                processes: Vec::new(),
                links: Vec::new(),
                because: String::new(),
            };
            targets(line, &mut it)?;
            deed = Some(it);
        }
        let stage = match (line.word(), deed) {
            ("injecting", Some(mut deed)) => {
                let what = deed_text(&deed);
                let asked = match line.eat("asked") {
                    true => line.quoted()?,
                    false => what.clone(),
                };
                deed.because = line.bracketed()?;
                self.deeds.insert(fault, what);
                Stage::Injecting { asked, deed }
            }
            ("injecting", None) => {
                return Err(Wanted::new(format!(
                    "`injecting` needs what is done before it: {fault} kill broker n0 : injecting"
                )));
            }
            (word, deed) => {
                let stage = later_stage(word, line)?;
                let known = self.deeds.get(&fault);
                if let Some(what) = deed.map(|deed| deed_text(&deed))
                    && known != Some(&what)
                {
                    return Err(Wanted::new(match known {
                        Some(known) => format!("{fault} was injected as `{known}`, not `{what}`"),
                        None => format!("{fault} has no line `{what} : injecting` before this one"),
                    }));
                }
                stage
            }
        };
        let at = self.time(line)?;
        self.events
            .push(Event::Fault(FaultEvent { fault, at, stage }));
        Ok(())
    }

    fn node(&mut self, line: &mut Line, node: NodeId) -> Result<(), Wanted> {
        if let Some(service) = words::named(&words::SERVICES, line.peek()) {
            line.word();
            let change = change(line)?;
            let at = self.time(line)?;
            self.events.push(Event::Process(ProcessEvent {
                at,
                node,
                service,
                change,
            }));
            return Ok(());
        }
        let seen = seen(line)?;
        let (asked, answered) = self.two_times(line)?;
        self.events.push(Event::Observed(Observation {
            asked,
            answered,
            node,
            seen,
        }));
        Ok(())
    }

    fn step(&mut self, line: &mut Line) -> Result<(), Wanted> {
        let index = line.id("the step's number")?;
        let text = line.text_before(" : ")?;
        let stage = match line.word() {
            "fired" => StepStage::Fired,
            "done" => StepStage::Done,
            "missed" => StepStage::Missed(Why::new(line.bracketed()?)),
            _ => return Err(Wanted::new("fired, done or missed after ` : `")),
        };
        let at = self.time(line)?;
        self.events.push(Event::Step(StepEvent {
            at,
            index,
            text,
            stage,
        }));
        Ok(())
    }

    fn image(&mut self, line: &mut Line) -> Result<(), Wanted> {
        let node = line.id("a node, n0")?;
        let reason = match line.word() {
            "final" => ImageReason::Final,
            "before" => ImageReason::BeforeReturn(line.id("a fault, f1")?),
            _ => return Err(Wanted::new("`final`, or `before f1`")),
        };
        let process = match line.word() {
            "running" => ProcessState::Running {
                pid: line.id("a process id")?,
            },
            "paused" => ProcessState::Paused {
                pid: line.id("a process id")?,
            },
            "gone" => ProcessState::Gone,
            _ => return Err(Wanted::new("`running 123`, `paused 123` or `gone`")),
        };
        let unchanged = match line.word() {
            "unchanged" => true,
            "changed" => false,
            _ => return Err(Wanted::new("unchanged or changed")),
        };
        let file = line.text()?;
        let (from, to) = self.two_times(line)?;
        self.events.push(Event::Image(ImageTaken {
            node,
            from,
            to,
            process,
            unchanged,
            reason,
            file,
        }));
        Ok(())
    }
}
