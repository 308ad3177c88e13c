//! The history as tables: operations, deliveries, calls, observations, faults, and everything else
//! as events in their JSON form.
//!
//! One pass, in recorded order. What is held meanwhile is what is in flight, and the few facts that
//! later tables need.

use std::collections::BTreeMap;
use std::io;

use history::{
    Call, ClientId, Delivery, Epoch, Event, FaultEvent, ImageTaken, Mark, NodeId, Observation,
    OpId, Outcome, Partition, Phase, Reply, SendAck, Setting, Stage,
};
use rustc_hash::FxHashMap;

use super::lake::{ByTopic, Lake};
use super::table::{Column, Table, bool, int, long, text};
use super::words::{Answer, call_name, nodes, payload, words};
use crate::export::jsonl::Line;

const OPERATIONS: &[Column] = &[
    int("partition"),
    long("op"),
    int("client"),
    long("value"),
    long("invoked_ns"),
    long("returned_ns").or_null(),
    text("outcome"),
    text("why").or_null(),
    long("log_offset").or_null(),
    int("broker").or_null(),
    text("acks").or_null(),
    bool("idempotent").or_null(),
    text("phase").or_null(),
];

const DELIVERIES: &[Column] = &[
    int("partition"),
    long("log_offset"),
    long("value").or_null(),
    text("payload"),
    int("epoch").or_null(),
    int("broker").or_null(),
    long("op"),
    int("client"),
    long("invoked_ns").or_null(),
    long("returned_ns"),
    text("phase").or_null(),
];

const CALLS: &[Column] = &[
    long("op"),
    int("client"),
    text("call"),
    text("detail"),
    long("invoked_ns"),
    long("returned_ns").or_null(),
    text("outcome"),
    text("why").or_null(),
    int("records").or_null(),
];

const OBSERVATIONS: &[Column] = &[
    long("asked_ns"),
    long("answered_ns"),
    int("node"),
    text("seen"),
    text("topic").or_null(),
    int("partition").or_null(),
    int("epoch").or_null(),
    long("leo").or_null(),
    long("hw").or_null(),
    long("lso").or_null(),
    long("log_start").or_null(),
    int("leader").or_null(),
    text("isr").or_null(),
    int("version").or_null(),
    text("why").or_null(),
];

const FAULTS: &[Column] = &[
    int("fault"),
    text("stage"),
    long("at_ns"),
    text("asked").or_null(),
    text("kind").or_null(),
    text("nodes").or_null(),
    text("because").or_null(),
    text("evidence").or_null(),
    text("why").or_null(),
];

const EVENTS: &[Column] = &[long("seq"), text("event"), text("json")];

/// What later tables need of the history.
#[derive(Default)]
pub(super) struct Happened {
    /// Events.
    pub(super) events: u64,
    /// Clock samples, as events, to place the hosts' own times by.
    pub(super) clocks: Vec<Event>,
    /// Images, in the order in which they were taken.
    pub(super) images: Vec<ImageTaken>,
    /// The newest leader that a probe named, by partition.
    pub(super) leaders: BTreeMap<Partition, (Epoch, NodeId)>,
    /// The last moment.
    pub(super) length: Mark,
    /// The phase that began last.
    phase: Option<Phase>,
}

/// The tables being written.
pub(super) struct Tables<'a> {
    lake: &'a Lake,
    setting: &'a Setting,
    open: FxHashMap<OpId, Open>,
    operations: ByTopic,
    deliveries: ByTopic,
    calls: Table,
    observations: Table,
    faults: Table,
    events: Table,
    /// What was seen so far.
    pub(super) happened: Happened,
}

/// An operation in flight.
struct Open {
    client: ClientId,
    at: Mark,
    phase: Option<Phase>,
    call: Call,
}

impl<'a> Tables<'a> {
    /// Begins the tables; those by topic have a file for every topic of the run.
    pub(super) fn create(lake: &'a Lake, setting: &'a Setting) -> io::Result<Self> {
        let mut operations = ByTopic::create("operations", OPERATIONS);
        let mut deliveries = ByTopic::create("deliveries", DELIVERIES);
        for topic in setting.topics.keys() {
            operations.of(lake, topic)?;
            deliveries.of(lake, topic)?;
        }
        Ok(Self {
            lake,
            setting,
            open: FxHashMap::default(),
            operations,
            deliveries,
            calls: lake.table("calls", CALLS)?,
            observations: lake.table("observations", OBSERVATIONS)?,
            faults: lake.table("faults", FAULTS)?,
            events: lake.table("events", EVENTS)?,
            happened: Happened::default(),
        })
    }

    /// Takes the next event.
    pub(super) fn event(&mut self, event: Event) -> io::Result<()> {
        self.happened.events += 1;
        match event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => {
                self.reached(at);
                let phase = self.happened.phase;
                let open = Open {
                    client,
                    at,
                    phase,
                    call,
                };
                self.open.insert(op, open);
                Ok(())
            }
            Event::Returned { op, at, reply } => {
                self.reached(at);
                match self.open.remove(&op) {
                    Some(open) => self.completed(op, &open, Some((at, &reply))),
                    // Nobody knows what was asked; what came back is still there to be seen.
                    None => self.other(&Event::Returned { op, at, reply }),
                }
            }
            Event::Observed(observation) => {
                self.reached(observation.answered);
                self.observed(&observation)
            }
            Event::Fault(event) => {
                self.reached(event.at);
                self.fault(&event)
            }
            event => self.rare(event),
        }
    }

    fn rare(&mut self, event: Event) -> io::Result<()> {
        self.other(&event)?;
        if let Event::Phase { at, phase } = event {
            self.reached(at);
            self.happened.phase = Some(phase);
        } else if let Event::Clock(_) = event {
            self.happened.clocks.push(event);
        } else if let Event::Image(taken) = event {
            self.happened.images.push(taken);
        }
        Ok(())
    }

    fn reached(&mut self, at: Mark) {
        self.happened.length = self.happened.length.max(at);
    }

    /// Ends the tables. Gives the rows of each.
    pub(super) fn end(mut self) -> io::Result<(Happened, Vec<(&'static str, u64)>)> {
        let mut open: Vec<(OpId, Open)> = self.open.drain().collect();
        open.sort_unstable_by_key(|(op, _)| *op);
        for (op, open) in open {
            self.completed(op, &open, None)?;
        }
        let counts = vec![
            ("operations", self.operations.end(self.lake)?),
            ("deliveries", self.deliveries.end(self.lake)?),
            ("calls", self.calls.end()?),
            ("observations", self.observations.end()?),
            ("faults", self.faults.end()?),
            ("events", self.events.end()?),
        ];
        Ok((self.happened, counts))
    }

    fn completed(
        &mut self,
        op: OpId,
        open: &Open,
        returned: Option<(Mark, &Reply)>,
    ) -> io::Result<()> {
        match (&open.call, returned) {
            (Call::Send { partition, value }, Some((at, Reply::Sent(outcome)))) => {
                self.send(op, open, partition, value.0, Some((at, outcome)))
            }
            (Call::Send { partition, value }, None) => {
                self.send(op, open, partition, value.0, None)
            }
            (_, Some((at, Reply::Polled(Outcome::Ok(records))))) => {
                for delivery in records {
                    self.delivery(op, open, at, delivery)?;
                }
                self.call(op, open, returned)
            }
            _ => self.call(op, open, returned),
        }
    }

    fn send(
        &mut self,
        op: OpId,
        open: &Open,
        partition: &Partition,
        value: u64,
        returned: Option<(Mark, &Outcome<SendAck>)>,
    ) -> io::Result<()> {
        let producer = self.setting.producers.get(&open.client);
        let ack = returned.and_then(|(_, outcome)| outcome.ok());
        let (outcome, why) = words(returned.map(|(_, outcome)| outcome));
        let phase = open.phase.map(|phase| phase.to_string());
        self.operations.of(self.lake, &partition.topic)?.row([
            partition.index.into(),
            op.0.into(),
            open.client.0.into(),
            value.into(),
            open.at.0.into(),
            returned.map(|(at, _)| at.0).into(),
            outcome.into(),
            why.into(),
            ack.and_then(|ack| ack.offset).map(|at| at.0).into(),
            ack.and_then(|ack| ack.broker).map(|node| node.0).into(),
            producer.map(|producer| &producer.acks).into(),
            producer.map(|producer| producer.idempotent).into(),
            phase.as_ref().into(),
        ])
    }

    fn delivery(&mut self, op: OpId, open: &Open, at: Mark, delivery: &Delivery) -> io::Result<()> {
        let (payload, value) = payload(delivery.payload);
        let phase = open.phase.map(|phase| phase.to_string());
        let topic = &delivery.partition.topic;
        self.deliveries.of(self.lake, topic)?.row([
            delivery.partition.index.into(),
            delivery.offset.0.into(),
            value.into(),
            payload.into(),
            delivery.epoch.map(|epoch| epoch.0).into(),
            delivery.broker.map(|node| node.0).into(),
            op.0.into(),
            open.client.0.into(),
            open.at.0.into(),
            at.0.into(),
            phase.as_ref().into(),
        ])
    }

    fn call(&mut self, op: OpId, open: &Open, returned: Option<(Mark, &Reply)>) -> io::Result<()> {
        let event = Event::Invoked {
            op,
            client: open.client,
            at: open.at,
            call: open.call.clone(),
        };
        let detail = serde_json::to_string(&Line::from(&event))?;
        let reply = returned.map(|(_, reply)| reply);
        let records = match reply {
            Some(Reply::Polled(Outcome::Ok(records))) => i32::try_from(records.len()).ok(),
            _ => None,
        };
        let (outcome, why) = match reply {
            Some(Reply::Sent(outcome)) => words(Some(outcome)),
            Some(Reply::Polled(outcome)) => words(Some(outcome)),
            Some(Reply::Assigned(outcome) | Reply::Done(outcome)) => words(Some(outcome)),
            None => words::<()>(None),
        };
        self.calls.row([
            op.0.into(),
            open.client.0.into(),
            call_name(&open.call).into(),
            (&detail).into(),
            open.at.0.into(),
            returned.map(|(at, _)| at.0).into(),
            outcome.into(),
            why.into(),
            records.into(),
        ])
    }

    fn observed(&mut self, observation: &Observation) -> io::Result<()> {
        let answer = Answer::of(&observation.seen, observation.node);
        if let (Some(partition), Some(epoch), Some(leader)) =
            (answer.partition, answer.epoch, answer.leader)
        {
            let newest = self.happened.leaders.entry(partition.clone());
            let newest = newest.or_insert((epoch, leader));
            *newest = (*newest).max((epoch, leader));
        }
        let isr = answer.isr.map(nodes);
        self.observations.row([
            observation.asked.0.into(),
            observation.answered.0.into(),
            observation.node.0.into(),
            answer.seen.into(),
            answer.partition.map(|partition| &*partition.topic).into(),
            answer.partition.map(|partition| partition.index).into(),
            answer.epoch.map(|epoch| epoch.0).into(),
            answer.leo.map(|offset| offset.0).into(),
            answer.hw.map(|offset| offset.0).into(),
            answer.lso.map(|offset| offset.0).into(),
            answer.log_start.map(|offset| offset.0).into(),
            answer.leader.map(|node| node.0).into(),
            isr.as_ref().into(),
            answer.version.into(),
            answer.why.into(),
        ])
    }

    fn fault(&mut self, event: &FaultEvent) -> io::Result<()> {
        let (asked, deed) = match &event.stage {
            Stage::Injecting { asked, deed } => (Some(asked), Some(deed)),
            _ => (None, None),
        };
        let (stage, evidence, why) = match &event.stage {
            Stage::Injecting { .. } => ("injecting", None, None),
            Stage::Injected { evidence } => ("injected", Some(evidence), None),
            Stage::Ineffective { evidence } => ("ineffective", Some(evidence), None),
            Stage::Healing => ("healing", None, None),
            Stage::Healed { evidence } => ("healed", Some(evidence), None),
            Stage::Stuck { why } => ("stuck", None, Some(why)),
            Stage::TookEffect { .. } => ("took-effect", None, None),
        };
        let kind = deed.map(|deed| deed.kind.to_string());
        let harmed = deed.map(|deed| nodes(&deed.nodes()));
        self.faults.row([
            event.fault.0.into(),
            stage.into(),
            event.at.0.into(),
            asked.into(),
            kind.as_ref().into(),
            harmed.as_ref().into(),
            deed.map(|deed| &deed.because).into(),
            evidence.into(),
            why.into(),
        ])
    }

    /// Whatever has no table of its own, in its JSON form.
    fn other(&mut self, event: &Event) -> io::Result<()> {
        let line = serde_json::to_value(Line::from(event))?;
        let name = line.get("event").and_then(|name| name.as_str());
        self.events.row([
            (self.happened.events - 1).into(),
            name.unwrap_or_default().into(),
            (&line.to_string()).into(),
        ])
    }
}
