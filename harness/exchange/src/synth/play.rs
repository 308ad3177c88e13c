//! The history, written as it would have happened: rounds of sends and answers, looks of live
//! consumers, the drain.
//!
//! It keeps nothing but how far each partition's answers have come; everything else is arithmetic.

use std::cmp::Ordering;
use std::fs::File;
use std::path::Path;

use history::frames::{Counts, FrameWriter};
use history::{
    Call, ClientId, Delivery, Event, Mark, NodeId, Offset, OpId, Outcome, Partition, Payload,
    Reply, SendAck, ValueId, Why,
};

use super::SynthError;
use super::edits::{Edits, Stands, Told};
use super::says::Logs;
use super::shape::{LOOK_EVERY, NODES, REFUSED, Shape};

/// So long before and after a planted moment alone, in nanoseconds, a leader writes what it knows:
/// lines are placed to some milliseconds.
const LEARNED: u64 = 50_000_000;
/// Rounds without sends in which the last answers come.
pub(super) const FLUSH: u64 = 5;

/// Writes events and counts nothing itself.
pub(super) struct Pen {
    frames: FrameWriter<File>,
    failed: Option<std::io::Error>,
}

impl Pen {
    fn create(path: &Path) -> Result<Self, SynthError> {
        let frames = File::create_new(path).and_then(FrameWriter::begin);
        Ok(Self {
            frames: frames.map_err(|err| SynthError::write(path, &err))?,
            failed: None,
        })
    }

    /// Takes an event. A failed write is told at the end.
    pub fn write(&mut self, event: &Event) {
        self.frames.push(event);
        if self.frames.is_full() && self.failed.is_none() {
            self.failed = self.frames.cut().err();
        }
    }

    fn close(mut self, path: &Path) -> Result<Counts, SynthError> {
        let done = match self.failed.take() {
            Some(err) => Err(err),
            None => self
                .frames
                .cut()
                .and_then(|()| self.frames.get_mut().sync_all()),
        };
        done.map_err(|err| SynthError::write(path, &err))?;
        Ok(self.frames.written())
    }
}

/// A history being written.
pub(super) struct Play<'a> {
    pub shape: &'a Shape,
    pub edits: &'a Edits,
    pub pen: Pen,
    pub logs: Logs,
    /// Versions of the partitions' states.
    pub versions: Vec<i32>,
    /// Batches whose senders have their answer, by partition.
    answered: Vec<u64>,
    /// Batches that the group has been given, by partition of the first topic.
    pub grouped: Vec<u64>,
    /// Acks=1 topics: their producers are refused at faults.
    refusing: Vec<usize>,
    refused: u64,
    /// Batches of a segment; what rolls is said.
    segment: u64,
    /// Transactions of a segment.
    pub order_segment: usize,
    /// Whether images are written, and so told of.
    pub images: bool,
    pub rolled: Vec<u64>,
    steps: u32,
}

impl<'a> Play<'a> {
    /// Writes the history of a run, and gives what its brokers said.
    pub fn write(
        shape: &'a Shape,
        edits: &'a Edits,
        (segment, order_segment): (u64, usize),
        images: bool,
        path: &Path,
    ) -> Result<(Counts, Logs), SynthError> {
        let parts = shape.parts.len();
        let topics = shape.topics.iter().enumerate();
        let mut play = Self {
            shape,
            edits,
            pen: Pen::create(path)?,
            logs: Logs::default(),
            versions: vec![0; parts],
            answered: vec![0; shape.load],
            grouped: vec![0; shape.topics[0].parts.len()],
            refusing: topics
                .filter(|(_, t)| !t.acks_all)
                .map(|(i, _)| i)
                .collect(),
            refused: 0,
            segment,
            order_segment,
            images,
            rolled: vec![1; parts],
            steps: 0,
        };
        play.run();
        let counts = play.pen.close(path)?;
        Ok((counts, play.logs))
    }

    fn run(&mut self) {
        self.begin();
        let probe = self.probe_every();
        let rounds = self.shape.rounds();
        let first_storm = self.shape.faults.first().map_or(rounds / 2, |f| f.strike);
        for round in 0..rounds + FLUSH {
            if round == first_storm {
                self.storm(self.shape.pause_before(round));
            }
            self.before(round);
            if round < rounds {
                if round % LOOK_EVERY == 0 && round > 0 {
                    self.look(round);
                }
                self.send(round);
                self.send_extras(round);
            }
            self.order(round);
            self.read_along(round);
            self.answer(round);
            self.roll(round);
            self.roll_orders(round);
            if round % probe == 0 {
                self.probe(round);
            }
            self.probe_more(round);
        }
        self.end();
    }

    /// The first operation of a round, before any that its beginning brings.
    pub fn ops_before(&self, round: u64) -> u64 {
        let shape = self.shape;
        let parts = shape.load as u64;
        let sends = (round * parts * shape.batch).min(shape.sends());
        let looked = round.min(shape.rounds()).saturating_sub(1);
        let looks = 2 * parts * (looked / LOOK_EVERY);
        let struck = shape.faults.partition_point(|fault| fault.strike < round) as u64;
        let refused = struck * REFUSED * self.refusing.len() as u64;
        let orders = shape.orders.as_ref().map_or(0, |of| of.ops_before(round));
        let others = self.edits.extras_before(round) + orders + shape.group_ops_before(round);
        sends + looks + refused + others
    }

    /// The first of a round's ordinary sends.
    fn first_send(&self, round: u64) -> u64 {
        let shape = self.shape;
        let looks = match round % LOOK_EVERY {
            0 if round > 0 && round < shape.rounds() => 2 * shape.load as u64,
            _ => 0,
        };
        let struck = shape.faults.iter().any(|fault| fault.strike == round);
        let refused = if struck {
            REFUSED * self.refusing.len() as u64
        } else {
            0
        };
        self.ops_before(round) + refused + looks
    }

    /// The first operation after a round's sends, planted ones among them.
    pub fn after_sends(&self, round: u64) -> u64 {
        self.first_send(round) + self.sends_in(round) + self.edits.extras_in(round).count() as u64
    }

    fn sends_in(&self, round: u64) -> u64 {
        let shape = self.shape;
        match round.cmp(&shape.whole) {
            Ordering::Less => shape.batch * shape.load as u64,
            Ordering::Equal => shape.rest,
            Ordering::Greater => 0,
        }
    }

    /// Whether the answer to a record came too late for its sender.
    fn doubtful(&self, part: usize, batch: u64, index: u64) -> bool {
        let doubts = self.shape.doubts(part, batch);
        doubts.is_some_and(|doubts| doubts.contains(&index))
    }

    fn send(&mut self, round: u64) {
        let shape = self.shape;
        let first = self.first_send(round);
        let parts = shape.load;
        let sends = self.sends_in(round);
        let begun = shape.time(round);
        let producers: Vec<ClientId> = (0..parts).map(|p| shape.producer(p, round)).collect();
        let value = shape.value(0, round, 0).0;
        let mut part = 0;
        for position in 0..sends {
            let at = shape.sent(begun, round, position);
            let call = Call::Send {
                partition: shape.parts[part].name.clone(),
                value: ValueId(value + position),
            };
            self.invoked(OpId(first + position), producers[part], at, call);
            part = if part + 1 == parts { 0 } else { part + 1 };
        }
    }

    /// Sends that were planted at the end of a round.
    fn send_extras(&mut self, round: u64) {
        let shape = self.shape;
        let first = self.first_send(round) + self.sends_in(round);
        let at = Mark(shape.time(round).0 + shape.round * 13 / 16);
        let step = (shape.round / 1_600).max(2);
        let mut at = at.0;
        for (op, extra) in (first..).zip(self.edits.extras_in(round)) {
            let partition = shape.parts[extra.part].name.clone();
            let (part, value) = (extra.part, extra.value);
            let alone = self.edits.alone.contains(&value);
            if alone {
                self.leader_alone(part, round, at, step / 2);
            }
            let call = Call::Send { partition, value };
            self.invoked(OpId(op), extra.client, Mark(at + step), call);
            let outcome = told(extra.told);
            self.returned(OpId(op), Mark(at + step + 1), Reply::Sent(outcome));
            if alone {
                self.zk_alone(part, round, at + 2 * step, step / 2);
                self.leader_joined(part, round, at + 3 * step, step / 2);
            }
            at += 4 * step;
        }
    }

    /// The set shrinks to the leader, which learned of it a while before ZooKeeper is asked.
    fn leader_alone(&mut self, part: usize, round: u64, from: u64, step: u64) {
        self.versions[part] += 1;
        if let Some(term) = self.shape.leader(part, round) {
            let known = Mark(from.saturating_sub(LEARNED));
            self.in_sync(part, term.leader, known, &[term.leader]);
        }
        self.zk_alone(part, round, from, step);
    }

    /// The set is whole again; the leader learns of it a while after.
    fn leader_joined(&mut self, part: usize, round: u64, from: u64, step: u64) {
        self.versions[part] += 1;
        self.zk_whole(part, round, from, step);
        if let Some(term) = self.shape.leader(part, round) {
            self.in_sync(part, term.leader, Mark(from + LEARNED), &NODES);
        }
    }

    fn in_sync(&mut self, part: usize, leader: NodeId, at: Mark, isr: &[NodeId]) {
        let (name, version) = (&self.shape.parts[part].name, self.versions[part]);
        self.logs.isr_updated(leader, name, at, isr, version);
    }

    fn answer(&mut self, round: u64) {
        let shape = self.shape;
        let parts = shape.load;
        for part in 0..parts {
            let at = shape.round * 7 / 8 + shape.round / 16 * part as u64 / parts as u64;
            let at = Mark(shape.time(round).0 + at);
            let until = shape.answered(part, round);
            while self.answered[part] < until {
                self.answer_batch(part, self.answered[part], at);
                self.answered[part] += 1;
            }
        }
    }

    fn answer_batch(&mut self, part: usize, batch: u64, at: Mark) {
        let shape = self.shape;
        let (broker, base) = match shape.lost_by(part, batch) {
            Some(change) => (change.old, shape.tail_base(part, change, batch)),
            None => (shape.term(part, batch).leader, shape.base(part, batch)),
        };
        let parts = shape.load as u64;
        let first = self.first_send(batch) + part as u64;
        let planted = self.edits.told_in(part, batch);
        for index in 0..shape.len(part, batch) {
            let outcome = match planted.iter().find(|(of, _)| *of == index) {
                Some((_, how)) => told(*how),
                None if self.doubtful(part, batch, index) => told(Told::Unknown),
                None => Outcome::Ok(SendAck {
                    offset: Some(Offset(base.0 + index as i64)),
                    broker: Some(broker),
                }),
            };
            self.returned(OpId(first + index * parts), at, Reply::Sent(outcome));
        }
    }

    /// Live consumers look at the newest committed batch of every partition.
    fn look(&mut self, round: u64) {
        let shape = self.shape;
        let parts = shape.load as u64;
        let mut op = self.first_send(round) - 2 * parts;
        let at = shape.time(round);
        for part in 0..shape.load {
            let client = shape.consumer(shape.parts[part].topic);
            let batch = shape.committed(round - 1).saturating_sub(1);
            let from = vec![(shape.parts[part].name.clone(), shape.base(part, batch))];
            self.assign(OpId(op), client, at, from);
            let leader = shape.leader(part, round - 1);
            let mut given = Vec::new();
            if let Some(term) = leader.filter(|_| shape.lost_by(part, batch).is_none()) {
                self.deliver(part, batch, Some(term.leader), &mut given);
            }
            if let Some((index, value, broker)) = self.edits.looked.get(&(part, batch)) {
                let given = &mut given[*index as usize];
                given.payload = Payload::Value(*value);
                (given.epoch, given.broker) = (None, Some(*broker));
            }
            self.polled(OpId(op + 1), client, at, Mark(at.0 + 1), given);
            op += 2;
        }
    }

    /// The records of a batch of the final log, as a consumer is given them.
    pub fn deliver(
        &self,
        part: usize,
        batch: u64,
        broker: Option<history::NodeId>,
        given: &mut Vec<Delivery>,
    ) {
        let shape = self.shape;
        let base = shape.base(part, batch);
        let epoch = shape.term(part, batch).epoch;
        let planted = self.edits.stands_in(part, batch);
        let name: &Partition = &shape.parts[part].name;
        for index in 0..shape.len(part, batch) {
            let payload = match planted.iter().find(|(of, _)| *of == index) {
                Some((_, Stands::Nothing)) => continue,
                Some((_, Stands::Foreign)) => Payload::Foreign,
                Some((_, Stands::Value { value, .. })) => Payload::Value(*value),
                None => Payload::Value(shape.value(part, batch, index)),
            };
            given.push(Delivery {
                partition: name.clone(),
                offset: Offset(base.0 + index as i64),
                payload,
                epoch: Some(epoch),
                broker,
            });
        }
    }

    /// The queue of one producer of each acks=1 topic is full.
    pub fn refuse(&mut self, round: u64, at: Mark) {
        let shape = self.shape;
        let mut op = self.ops_before(round);
        for topic in self.refusing.clone() {
            let part = shape.topics[topic].parts.start;
            let client = shape.refused_by(topic);
            for _ in 0..REFUSED {
                let call = Call::Send {
                    partition: shape.parts[part].name.clone(),
                    value: ValueId(shape.sends() + self.edits.extras() + self.refused),
                };
                self.invoked(OpId(op), client, at, call);
                let why = Why::new("Local: Queue full");
                self.returned(OpId(op), at, Reply::Sent(Outcome::Failed(why)));
                self.refused += 1;
                op += 1;
            }
        }
    }

    /// Segments that every replica begins as the newest batch reaches them.
    fn roll(&mut self, round: u64) {
        let at = Mark(self.shape.time(round).0 + self.shape.round * 15 / 16);
        for part in 0..self.shape.load {
            let full = self.shape.base(part, self.shape.committed(round)).0 as u64;
            while full > self.rolled[part] * self.segment * self.shape.batch {
                let base = Offset((self.rolled[part] * self.segment * self.shape.batch) as i64);
                for node in super::shape::NODES {
                    let name = &self.shape.parts[part].name;
                    self.logs.rolls(node, name, at, base);
                }
                self.rolled[part] += 1;
            }
        }
    }

    /// The number of the next step of the schedule.
    pub fn next_step(&mut self) -> u32 {
        self.steps += 1;
        self.steps - 1
    }

    /// A consumer takes partitions.
    pub fn assign(&mut self, op: OpId, client: ClientId, at: Mark, from: Vec<(Partition, Offset)>) {
        self.invoked(op, client, at, Call::Assign { from });
        self.returned(op, at, Reply::Assigned(Outcome::Ok(())));
    }

    /// A consumer is given records.
    pub fn polled(&mut self, op: OpId, client: ClientId, at: Mark, to: Mark, given: Vec<Delivery>) {
        self.invoked(op, client, at, Call::Poll);
        self.returned(op, to, Reply::Polled(Outcome::Ok(given)));
    }

    /// A call.
    pub fn invoked(&mut self, op: OpId, client: ClientId, at: Mark, call: Call) {
        self.pen.write(&Event::Invoked {
            op,
            client,
            at,
            call,
        });
    }

    /// Its answer.
    pub fn returned(&mut self, op: OpId, at: Mark, reply: Reply) {
        self.pen.write(&Event::Returned { op, at, reply });
    }
}

fn told(how: Told) -> Outcome<SendAck> {
    match how {
        Told::Unknown => Outcome::Unknown(Why::new("Local: Message timed out")),
        Told::At(offset, broker) => Outcome::Ok(SendAck {
            offset: Some(offset),
            broker: Some(broker),
        }),
    }
}
