//! Events into text. What the parser would assume anyway is left out.

mod changes;

use super::{Defaults, words};
use crate::clock::Mark;
use crate::event::{Call, Delivery, Event, Payload, Reply, SendAck, StepEvent, StepStage};
use crate::fault::{Deed, FaultEvent, Stage};
use crate::ids::{ClientId, NodeId, Offset, OpId, Partition};
use crate::observation::{
    Exit, ImageReason, ImageTaken, Observation, ProcessChange, ProcessEvent, ProcessState, Seen,
};
use crate::outcome::Outcome;

pub(super) fn print(events: &[Event]) -> String {
    let mut printer = Printer::default();
    let mut rest = events;
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if let (
            Event::Invoked {
                op,
                client,
                at,
                call,
            },
            Some(Event::Returned {
                op: answered,
                at: until,
                reply,
            }),
        ) = (first, rest.first())
            && op == answered
            && reply.answers(call)
        {
            printer.operation(*op, *client, call, Some(reply));
            printer.two_times(*at, *until);
            rest = &rest[1..];
        } else {
            printer.event(first);
        }
        printer.text.push('\n');
    }
    printer.text
}

#[derive(Default)]
struct Printer {
    text: String,
    defaults: Defaults,
}

/// Appends to the text.
macro_rules! put {
    ($printer:expr, $($arg:tt)*) => {
        $printer.text.push_str(&format!($($arg)*))
    };
}

impl Printer {
    fn event(&mut self, event: &Event) {
        match event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => {
                self.operation(*op, *client, call, None);
                self.time(*at);
            }
            Event::Returned { op, at, reply } => {
                put!(self, "{op} ");
                self.defaults.saw_op(*op);
                match reply {
                    Reply::Sent(_) => put!(self, "sent -> "),
                    Reply::Polled(_) => put!(self, "polled -> "),
                    Reply::Assigned(_) => put!(self, "assigned -> "),
                    Reply::Done(_) => put!(self, "done -> "),
                }
                self.reply(reply);
                self.time(*at);
            }
            Event::Fault(fault) => {
                self.fault(fault);
                self.time(fault.at);
            }
            Event::Observed(observation) => {
                self.observation(observation);
                self.two_times(observation.asked, observation.answered);
            }
            Event::Process(process) => {
                self.process(process);
                self.time(process.at);
            }
            Event::Phase { at, phase } => {
                put!(self, "phase {phase}");
                self.time(*at);
            }
            Event::Step(step) => {
                self.step(step);
                self.time(step.at);
            }
            Event::Clock(sample) => {
                put!(self, "clock {} {}", sample.node, sample.host_unix_nanos);
                self.two_times(sample.asked, sample.answered);
            }
            Event::Image(image) => {
                self.image(image);
                self.two_times(image.from, image.to);
            }
            Event::Rebalance(event) => {
                self.rebalance(event);
                self.time(event.at);
            }
            Event::Harm(event) => {
                self.harm(event);
                self.time(event.at);
            }
            Event::Altered(change) => {
                self.alteration(change);
                self.two_times(change.asked, change.answered);
            }
        }
    }

    fn time(&mut self, at: Mark) {
        if at != self.defaults.next() {
            put!(self, " at {}", seconds(at));
        }
        self.defaults.last = at;
    }

    fn two_times(&mut self, from: Mark, to: Mark) {
        if (from, to) != self.defaults.next_two() {
            put!(self, " at {}", seconds(from));
            if from != to {
                put!(self, "..{}", seconds(to));
            }
        }
        self.defaults.last = to;
    }

    fn operation(&mut self, op: OpId, client: ClientId, call: &Call, reply: Option<&Reply>) {
        if op != self.defaults.next_op() {
            put!(self, "{op} ");
        }
        self.defaults.saw_op(op);
        put!(self, "{client} ");
        match call {
            Call::Send { partition, value } => put!(self, "send {partition} {value}"),
            Call::Poll => put!(self, "poll"),
            Call::Assign { from } => {
                put!(self, "assign");
                self.positions(from);
            }
            Call::Subscribe { topics } => {
                put!(self, "subscribe");
                self.list(topics);
            }
            Call::Seek { to } => {
                put!(self, "seek");
                self.positions(to);
            }
            Call::Commit { offsets } => {
                put!(self, "commit");
                self.positions(offsets);
            }
            Call::Begin => put!(self, "begin"),
            Call::End { commit: true } => put!(self, "end commit"),
            Call::End { commit: false } => put!(self, "end abort"),
        }
        match reply {
            None => put!(self, " ..."),
            Some(Reply::Assigned(Outcome::Ok(())) | Reply::Done(Outcome::Ok(()))) => {}
            Some(reply) => {
                put!(self, " -> ");
                self.reply(reply);
            }
        }
    }

    fn reply(&mut self, reply: &Reply) {
        match reply {
            Reply::Sent(outcome) => self.outcome(outcome, Self::ack),
            Reply::Polled(outcome) => self.outcome(outcome, |this, told| this.deliveries(told)),
            Reply::Assigned(outcome) | Reply::Done(outcome) => {
                self.outcome(outcome, |this, ()| put!(this, "ok"));
            }
        }
    }

    fn outcome<T>(&mut self, outcome: &Outcome<T>, told: impl Fn(&mut Self, &T)) {
        match outcome {
            Outcome::Ok(value) => told(self, value),
            Outcome::Unknown(why) => put!(self, "? {}", text(&why.0)),
            Outcome::Failed(why) => put!(self, "! {}", text(&why.0)),
        }
    }

    fn ack(&mut self, ack: &SendAck) {
        match ack.offset {
            Some(offset) => put!(self, "{offset}"),
            None => put!(self, "@?"),
        }
        self.by(ack.broker);
    }

    fn by(&mut self, broker: Option<NodeId>) {
        if let Some(broker) = broker {
            put!(self, " by {broker}");
        }
    }

    fn deliveries(&mut self, deliveries: &[Delivery]) {
        if deliveries.is_empty() {
            put!(self, "nothing");
        }
        let alike = |a: &Delivery, b: &Delivery| {
            (&a.partition, a.epoch, a.broker) == (&b.partition, b.epoch, b.broker)
        };
        for (n, group) in deliveries.chunk_by(alike).enumerate() {
            put!(
                self,
                "{}{}",
                if n > 0 { ", " } else { "" },
                group[0].partition
            );
            for Delivery {
                offset, payload, ..
            } in group
            {
                match payload {
                    Payload::Value(value) => put!(self, " {offset}={value}"),
                    Payload::Corrupt => put!(self, " {offset}=corrupt"),
                    Payload::Foreign => put!(self, " {offset}=foreign"),
                }
            }
            if let Some(epoch) = group[0].epoch {
                put!(self, " {epoch}");
            }
            self.by(group[0].broker);
        }
    }

    fn fault(&mut self, event: &FaultEvent) {
        put!(self, "{} ", event.fault);
        match &event.stage {
            Stage::Injecting { asked, deed } => {
                let what = deed_text(deed);
                put!(self, "{what} : injecting");
                if *asked != what {
                    put!(self, " asked {}", quoted(asked));
                }
                self.told(&deed.because);
            }
            Stage::Injected { evidence } => {
                put!(self, "injected");
                self.told(evidence);
            }
            Stage::Ineffective { evidence } => {
                put!(self, "ineffective");
                self.told(evidence);
            }
            Stage::Healing => put!(self, "healing"),
            Stage::Healed { evidence } => {
                put!(self, "healed");
                self.told(evidence);
            }
            Stage::Stuck { why } => {
                put!(self, "stuck");
                self.told(why);
            }
            Stage::TookEffect { after, before } => {
                put!(
                    self,
                    "took-effect {} to {}",
                    seconds(*after),
                    seconds(*before)
                );
            }
        }
    }

    /// A text in brackets; nothing for an empty one.
    fn told(&mut self, what: &str) {
        if !what.is_empty() {
            put!(self, " ({})", text(what));
        }
    }

    fn observation(&mut self, observation: &Observation) {
        put!(self, "{} ", observation.node);
        match &observation.seen {
            Seen::LogEnd {
                partition,
                leo,
                epoch,
            } => {
                put!(self, "leo {partition} {leo}");
                if let Some(epoch) = epoch {
                    put!(self, " {epoch}");
                }
            }
            Seen::Watermarks {
                partition,
                hw,
                lso,
                log_start,
            } => {
                put!(self, "marks {partition} hw {hw}");
                if lso != hw {
                    put!(self, " lso {lso}");
                }
                if *log_start != Offset(0) {
                    put!(self, " start {log_start}");
                }
            }
            Seen::LeaderHw {
                partition,
                epoch,
                hw,
            } => {
                put!(self, "leader-hw {partition} {epoch} {hw}");
            }
            Seen::Belief {
                partition,
                leader,
                epoch,
                isr,
            } => {
                put!(self, "believes ");
                self.leadership(partition, *leader, epoch, isr);
            }
            Seen::Controller { node } => put!(self, "controller {}", or_none(*node)),
            Seen::ZkState {
                partition,
                leader,
                epoch,
                isr,
                version,
            } => {
                put!(self, "zk ");
                self.leadership(partition, *leader, epoch, isr);
                put!(self, " version {version}");
            }
            Seen::Silent { why } => {
                put!(self, "silent");
                self.told(&why.0);
            }
        }
    }

    fn leadership(
        &mut self,
        partition: &Partition,
        leader: Option<NodeId>,
        epoch: &crate::ids::Epoch,
        isr: &[NodeId],
    ) {
        let isr: Vec<String> = isr.iter().map(ToString::to_string).collect();
        put!(
            self,
            "{partition} leader {} {epoch} isr {{{}}}",
            or_none(leader),
            isr.join(",")
        );
    }

    fn process(&mut self, event: &ProcessEvent) {
        put!(self, "{} {} ", event.node, event.service);
        match &event.change {
            ProcessChange::Started { pid } => put!(self, "started {pid}"),
            ProcessChange::Exited(exit) => put!(self, "{}", exit_word(exit)),
            ProcessChange::Paused => put!(self, "paused"),
            ProcessChange::Resumed => put!(self, "resumed"),
        }
    }

    fn step(&mut self, event: &StepEvent) {
        put!(self, "step {} {} : ", event.index, text(&event.text));
        match &event.stage {
            StepStage::Fired => put!(self, "fired"),
            StepStage::Done => put!(self, "done"),
            StepStage::Missed(why) => {
                put!(self, "missed");
                self.told(&why.0);
            }
        }
    }

    fn image(&mut self, image: &ImageTaken) {
        put!(self, "image {} ", image.node);
        match image.reason {
            ImageReason::Final => put!(self, "final "),
            ImageReason::BeforeReturn(fault) => put!(self, "before {fault} "),
        }
        match image.process {
            ProcessState::Running { pid } => put!(self, "running {pid} "),
            ProcessState::Paused { pid } => put!(self, "paused {pid} "),
            ProcessState::Gone => put!(self, "gone "),
        }
        put!(
            self,
            "{} ",
            if image.unchanged {
                "unchanged"
            } else {
                "changed"
            }
        );
        put!(self, "{}", text(&image.file));
    }
}

/// A deed's kind and targets, as they begin a fault's line.
pub(super) fn deed_text(deed: &Deed) -> String {
    let processes = deed
        .processes
        .iter()
        .map(|(node, service)| format!("{service} {node}"));
    let links = deed.links.iter().map(ToString::to_string);
    let targets: Vec<String> = processes.chain(links).collect();
    let space = if targets.is_empty() { "" } else { " " };
    format!("{}{space}{}", deed.kind, targets.join(", "))
}

fn exit_word(exit: &Exit) -> &'static str {
    let entry = words::EXITS.iter().find(|(_, one)| one == exit);
    entry.map_or("died", |(word, _)| word)
}

fn or_none(node: Option<NodeId>) -> String {
    node.map_or_else(|| "none".to_owned(), |node| node.to_string())
}

/// Seconds with as many decimals as the moment needs.
fn seconds(at: Mark) -> String {
    let (whole, nanos) = (at.0 / 1_000_000_000, at.0 % 1_000_000_000);
    let decimals = format!("{nanos:09}");
    match decimals.trim_end_matches('0') {
        "" => format!("{whole}s"),
        decimals => format!("{whole}.{decimals}s"),
    }
}

/// A text bare, where nothing in it could be taken for something else; in quotes otherwise.
fn text(what: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || " /.,-_+*=<>%@'".contains(c);
    let bare = !what.is_empty()
        && what.chars().all(plain)
        && what.trim() == what
        && !what.contains(" at ")
        && !what.starts_with("at ");
    if bare { what.to_owned() } else { quoted(what) }
}

fn quoted(what: &str) -> String {
    let escaped = what
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
        .replace('\r', "\\r");
    format!("\"{escaped}\"")
}
