//! The transactions in the history: their beginnings, sends and ends, the answers, and what
//! read_committed consumers are given.

use std::ops::Range;

use history::{
    Call, ClientId, Delivery, Mark, Offset, OpId, Outcome, Payload, Reply, SendAck, Why,
};

use super::{BEGIN_OPS, Orders, PARTS, PRODUCERS, RECORDS};
use crate::synth::drain::{DRAIN_STEP, DRAINED_AT_ONCE};
use crate::synth::edits::OrderTwist;
use crate::synth::play::Play;
use crate::synth::shape::Shape;

/// When in a round the producers and the consumer act, and when answers come, in 64ths of it.
const ACTS: u64 = 54;
const ANSWERS: u64 = 58;

impl Shape {
    /// The topic of the transactions.
    fn order_topic(&self) -> usize {
        self.topics.len() - 1
    }

    /// Whose transaction it is.
    pub fn order_client(&self, txn: usize) -> ClientId {
        self.producers(self.order_topic())[txn % PRODUCERS as usize]
    }
}

impl Play<'_> {
    /// What the producers of transactions do in a round, and what the consumer beside them is given.
    pub fn order(&mut self, round: u64) {
        let shape = self.shape;
        let Some(orders) = &shape.orders else { return };
        let mut op = self.after_sends(round);
        let mut at = shape.time(round).0 + shape.round * ACTS / 64;
        let numbers = |from: u64, to: u64| from as usize..to as usize;
        let over = numbers(orders.over(round), orders.over(round + 1));
        if !over.is_empty() {
            self.read_orders(orders, OpId(op), over, Mark(at));
            (op, at) = (op + 1, at + 2);
        }
        let begun = numbers(orders.begun(round), orders.begun(round + 1));
        if begun.start == 0 && !begun.is_empty() {
            let client = shape.consumer(shape.order_topic());
            let parts = shape.parts[shape.load..].iter();
            let from = parts.map(|part| (part.name.clone(), Offset(0))).collect();
            self.assign(OpId(op), client, Mark(at), from);
            (op, at) = (op + 1, at + 1);
        }
        for txn in begun {
            self.begin_order(orders, txn, OpId(op), at);
            (op, at) = (op + BEGIN_OPS, at + BEGIN_OPS + 1);
        }
        for txn in numbers(orders.ended(round), orders.ended(round + 1)) {
            let commit = orders.txns[txn].ending != super::Ending::Aborted;
            let call = Call::End { commit };
            self.invoked(OpId(op), shape.order_client(txn), Mark(at), call);
            (op, at) = (op + 1, at + 1);
        }
        self.answer_orders(orders, round);
    }

    fn begin_order(&mut self, orders: &Orders, txn: usize, first: OpId, at: u64) {
        let client = self.shape.order_client(txn);
        self.invoked(first, client, Mark(at), Call::Begin);
        self.returned(first, Mark(at + 1), Reply::Done(Outcome::Ok(())));
        for (nth, (part, index)) in sends().enumerate() {
            let call = Call::Send {
                partition: self.shape.parts[self.shape.load + part].name.clone(),
                value: orders.value(txn, part, index),
            };
            let nth = nth as u64 + 1;
            self.invoked(OpId(first.0 + nth), client, Mark(at + 1 + nth), call);
        }
    }

    /// Answers to what has now become committed.
    fn answer_orders(&mut self, orders: &Orders, round: u64) {
        let shape = self.shape;
        let Some(before) = round.checked_sub(1) else {
            return;
        };
        let (from, to) = (shape.committed(before), shape.committed(round));
        let mut at = shape.time(round).0 + shape.round * ANSWERS / 64;
        for txn in orders.begun(from)..orders.begun(to) {
            let txn = txn as usize;
            let round = orders.txns[txn].round;
            let first = self.first_of_orders(orders, round);
            let first = first + txn as u64 % PRODUCERS * BEGIN_OPS + 1;
            let broker = shape.term(shape.load, round).leader;
            for (nth, (_, index)) in sends().enumerate() {
                let ack = SendAck {
                    offset: Some(Offset(orders.first(txn).0 + index as i64)),
                    broker: Some(broker),
                };
                let reply = Reply::Sent(Outcome::Ok(ack));
                self.returned(OpId(first + nth as u64), Mark(at), reply);
                at += 1;
            }
        }
        for txn in orders.ended(from)..orders.ended(to) {
            let of = orders.txns[txn as usize];
            let first = self.first_of_orders(orders, of.ends());
            let outcome = match of.ending.heard() {
                true => Outcome::Ok(()),
                false => Outcome::Unknown(Why::new("Local: Timed out")),
            };
            let op = OpId(first + txn % PRODUCERS);
            self.returned(op, Mark(at), Reply::Done(outcome));
            at += 1;
        }
    }

    /// The first operation of the producers of transactions in a round.
    fn first_of_orders(&self, orders: &Orders, round: u64) -> u64 {
        let read = u64::from(orders.over(round + 1) > orders.over(round));
        let assigned = u64::from(orders.begun(round) == 0);
        self.after_sends(round) + read + assigned
    }

    fn read_orders(&mut self, orders: &Orders, op: OpId, txns: Range<usize>, at: Mark) {
        let client = self.shape.consumer(self.shape.order_topic());
        let mut given = Vec::new();
        for part in 0..PARTS {
            for txn in txns.clone() {
                let twist = self.edits.order(txn, part);
                if orders.stands_committed(txn, twist) || twist == Some(OrderTwist::Given) {
                    self.give_order(orders, txn, part, &mut given);
                }
            }
        }
        self.polled(op, client, at, Mark(at.0 + 1), given);
    }

    fn give_order(&self, orders: &Orders, txn: usize, part: usize, given: &mut Vec<Delivery>) {
        let of = &self.shape.parts[self.shape.load + part];
        let term = self
            .shape
            .term(self.shape.load + part, orders.txns[txn].round);
        for index in 0..RECORDS {
            given.push(Delivery {
                partition: of.name.clone(),
                offset: Offset(orders.first(txn).0 + index as i64),
                payload: Payload::Value(orders.value(txn, part, index)),
                epoch: Some(term.epoch),
                broker: Some(term.leader),
            });
        }
    }

    /// A fresh consumer reads all of `orders`, or what is committed.
    pub fn drain_orders(&mut self, client: ClientId, committed: bool, (op, at): &mut (u64, u64)) {
        let shape = self.shape;
        let Some(orders) = &shape.orders else { return };
        let parts = shape.parts[shape.load..].iter();
        let start = parts.map(|part| (part.name.clone(), Offset(0))).collect();
        self.assign(OpId(*op), client, Mark(*at), start);
        *op += 1;
        for part in 0..PARTS {
            let all: Vec<usize> = (0..orders.txns.len()).collect();
            for some in all.chunks(DRAINED_AT_ONCE as usize) {
                let mut given = Vec::new();
                for &txn in some {
                    let twist = self.edits.order(txn, part);
                    let shown =
                        orders.stands_committed(txn, twist) && twist != Some(OrderTwist::Withheld);
                    if shown || !committed {
                        self.give_order(orders, txn, part, &mut given);
                    }
                }
                self.polled(OpId(*op), client, Mark(*at), Mark(*at + DRAIN_STEP), given);
                *at += DRAIN_STEP;
                *op += 1;
            }
        }
    }

    /// Segments of `orders` that every replica begins.
    pub fn roll_orders(&mut self, round: u64) {
        let shape = self.shape;
        let Some(orders) = &shape.orders else { return };
        let at = Mark(shape.time(round).0 + shape.round * 15 / 16);
        let full = orders.begun(shape.committed(round)) as usize;
        for part in shape.load..shape.parts.len() {
            while full > self.rolled[part] as usize * self.order_segment {
                let base = orders.first(self.rolled[part] as usize * self.order_segment);
                for node in crate::synth::shape::NODES {
                    self.logs.rolls(node, &shape.parts[part].name, at, base);
                }
                self.rolled[part] += 1;
            }
        }
    }
}

/// The records of a transaction in the order in which they are sent: partition, number.
fn sends() -> impl Iterator<Item = (usize, u64)> {
    (0..PARTS).flat_map(|part| (0..RECORDS).map(move |index| (part, index)))
}
