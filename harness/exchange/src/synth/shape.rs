//! The whole run as arithmetic: which record stands where, who led when, what each moment is.
//!
//! Nothing is stored per record. Sends go out in rounds, one batch to every partition in each, so
//! that history and images can be written one after the other, each as a stream, and agree.

mod laid;

use std::ops::Range;

use history::{ClientId, Epoch, Mark, NodeId, Offset, Topic, ValueId};

pub(super) use laid::{Change, Fault, Part, refused};
use laid::{faults, pauses, topics};

use super::orders::Orders;
use super::{Asked, SynthError};

/// Brokers.
pub(super) const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
/// Records of a batch at most: with more, records would not all be of one size.
const BATCH_MAX: u64 = 50;
/// When load begins.
pub(super) const LOAD_BEGINS: Mark = Mark::from_millis(5_000);
/// Sends that a full queue refuses, at each fault and acks=1 topic.
pub(super) const REFUSED: u64 = 5;
/// Batches behind the newest that the leader has not yet appended, that followers have not yet
/// copied, and that followers do not yet know to be committed.
const APPENDED: u64 = 1;
const COPIED: u64 = 2;
const KNOWN: u64 = 3;
/// A live consumer looks in every so many rounds.
pub(super) const LOOK_EVERY: u64 = 32;

const SECOND: u64 = 1_000_000_000;

/// One topic.
#[derive(Debug)]
pub(super) struct TopicShape {
    pub name: Topic,
    pub acks_all: bool,
    /// Positions in [`Shape::parts`].
    pub parts: Range<usize>,
}

impl TopicShape {
    fn client(&self, index: usize, of: u16) -> ClientId {
        ClientId(index as u16 * 4 + of)
    }
}

/// A time of leadership, as batches of the final log see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Term {
    pub epoch: Epoch,
    pub leader: NodeId,
}

/// The whole run.
#[derive(Debug)]
pub(super) struct Shape {
    pub topics: Vec<TopicShape>,
    pub parts: Vec<Part>,
    /// So many of them, the first ones, carry the ordinary load; the others are those of `orders`.
    pub load: usize,
    /// The transactions, where there are any.
    pub orders: Option<Orders>,
    /// Where a group reads the first topic along.
    pub groups: bool,
    pub faults: Vec<Fault>,
    /// Records of a batch.
    pub batch: u64,
    /// Rounds with a whole batch for every partition.
    pub whole: u64,
    /// Sends of the last, shorter round.
    pub rest: u64,
    /// Length of a round in nanoseconds.
    pub round: u64,
    /// Before which round how long nothing is sent, and how long before it altogether.
    pauses: Vec<(u64, u64, u64)>,
}

impl Shape {
    /// Lays a run out with so many ordinary sends.
    pub fn of(asked: &Asked, sends: u64) -> Result<Self, SynthError> {
        let parts = u64::from(asked.topics) * u64::from(asked.partitions);
        let failovers = u64::from(asked.failovers);
        let length = (sends / 100_000).max(20 + 10 * failovers);
        let rounds_min = 4 * length;
        let batch = (sends / (parts * rounds_min)).min(BATCH_MAX);
        if batch == 0 {
            return Err(SynthError::TooSmall {
                least: parts * rounds_min + refused(asked) + asked.planted(),
            });
        }
        let whole = sends / (parts * batch);
        let rest = sends % (parts * batch);
        let round = length * SECOND / (whole + 1);
        let mut shape = Self {
            topics: topics(asked),
            parts: Vec::new(),
            load: parts as usize,
            orders: None,
            groups: asked.groups,
            faults: faults(asked, whole, round),
            batch,
            whole,
            rest,
            round,
            pauses: Vec::new(),
        };
        shape.pauses = pauses(&shape.faults);
        shape.parts = shape.lay_parts(asked);
        if asked.transactions {
            shape.lay_orders(asked);
        }
        Ok(shape)
    }

    /// Rounds in which something is sent.
    pub fn rounds(&self) -> u64 {
        self.whole + u64::from(self.rest > 0)
    }

    /// Sends of all rounds.
    pub fn sends(&self) -> u64 {
        self.whole * self.batch * self.load as u64 + self.rest
    }

    /// Records of a batch.
    pub fn len(&self, part: usize, batch: u64) -> u64 {
        if batch < self.whole {
            return self.batch;
        }
        let (part, parts) = (part as u64, self.load as u64);
        if batch > self.whole || self.rest <= part {
            0
        } else {
            (self.rest - part).div_ceil(parts)
        }
    }

    /// The last batch of a partition that holds anything.
    pub fn last_batch(&self, part: usize) -> u64 {
        let last = self.rounds() - 1;
        if self.len(part, last) == 0 {
            last - 1
        } else {
            last
        }
    }

    /// The value of a record.
    pub fn value(&self, part: usize, batch: u64, index: u64) -> ValueId {
        ValueId((batch * self.batch + index) * self.load as u64 + part as u64)
    }

    /// Who sends a batch.
    pub fn producer(&self, part: usize, batch: u64) -> ClientId {
        let topic = self.parts[part].topic;
        self.topics[topic].client(topic, (batch % 2) as u16)
    }

    /// Both producers of a topic.
    pub fn producers(&self, topic: usize) -> [ClientId; 2] {
        [0, 1].map(|of| self.topics[topic].client(topic, of))
    }

    /// The producer whose queue is full at every fault; acks=1 topics have one.
    pub fn refused_by(&self, topic: usize) -> ClientId {
        self.topics[topic].client(topic, 2)
    }

    /// The consumer that looks in during the run.
    pub fn consumer(&self, topic: usize) -> ClientId {
        self.topics[topic].client(topic, 3)
    }

    /// The base sequence of an idempotent producer's batch.
    pub fn sequence(&self, batch: u64) -> i32 {
        (batch / 2 * self.batch % (1 << 31)) as i32
    }

    /// When a round's sends begin.
    pub fn time(&self, round: u64) -> Mark {
        let before = self.pauses.partition_point(|(at, ..)| *at <= round);
        let paused = before.checked_sub(1).map_or(0, |i| self.pauses[i].2);
        Mark(LOAD_BEGINS.0 + round * self.round + paused)
    }

    /// When the pause before a round begins.
    pub fn pause_before(&self, round: u64) -> Mark {
        let pause = self.pauses.iter().find(|(at, ..)| *at == round);
        Mark(self.time(round).0 - pause.map_or(0, |(_, length, _)| *length))
    }

    /// When a record is handed to its producer.
    pub fn sent_at(&self, part: usize, batch: u64, index: u64) -> Mark {
        let position = index * self.load as u64 + part as u64;
        self.sent(self.time(batch), batch, position)
    }

    /// The same for a position in a round that begins then: in ascending order, at no even pace.
    pub fn sent(&self, begun: Mark, round: u64, position: u64) -> Mark {
        let positions = self.batch * self.load as u64;
        let share = self.round * 3 / 4;
        let pace = (share / positions).max(1);
        let number = round * positions + position;
        // SplitMix64's first step and half of its second: uneven is all that it must be.
        let uneven = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let uneven = (uneven ^ (uneven >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
        Mark(begun.0 + share * position / positions + uneven % pace)
    }

    /// Records that the final log of a partition holds before a batch: the batch's base offset there.
    pub fn base(&self, part: usize, batch: u64) -> Offset {
        if let Some(orders) = self.orders_of(part) {
            return orders.base(batch);
        }
        let sent = if batch <= self.whole {
            batch * self.batch
        } else {
            self.whole * self.batch + self.len(part, self.whole)
        };
        let lost: u64 = self
            .lost(part)
            .map(|tail| batch.min(tail.end).saturating_sub(tail.start))
            .sum();
        Offset((sent - lost * self.batch) as i64)
    }

    /// The transactions that a partition holds instead of the ordinary load.
    pub fn orders_of(&self, part: usize) -> Option<&Orders> {
        self.orders.as_ref().filter(|_| part >= self.load)
    }

    /// The last stable offset of whoever knows so many batches to be committed.
    pub fn stable(&self, part: usize, batches: u64) -> Offset {
        match self.orders_of(part) {
            Some(orders) => orders.stable(batches),
            None => self.base(part, batches),
        }
    }

    /// Where a batch of a tail stands on the leader that alone has it.
    pub fn tail_base(&self, part: usize, change: &Change, batch: u64) -> Offset {
        let cut = self.base(part, change.tail.start);
        Offset(cut.0 + ((batch - change.tail.start) * self.batch) as i64)
    }

    /// Batches that were acknowledged by a leader that lost them.
    fn lost(&self, part: usize) -> impl Iterator<Item = &Range<u64>> {
        let part = &self.parts[part];
        let tails = part.changes.iter().map(|change| &change.tail);
        tails.filter(|_| !part.acks_all)
    }

    /// The records of a batch whose senders gave up before the answer came.
    pub fn doubts(&self, part: usize, batch: u64) -> Option<Range<u64>> {
        let part = &self.parts[part];
        let mut tails = part.changes.iter().map(|change| &change.tail);
        if part.acks_all {
            // They were in flight when their leader was lost, and the next one appended them.
            let late = tails.any(|tail| !tail.is_empty() && tail.start == batch);
            late.then(|| 0..(self.batch / 4).min(3))
        } else {
            // The last that a lost leader took.
            let last = tails.any(|tail| !tail.is_empty() && tail.end == batch + 1);
            last.then(|| self.batch - self.batch / 2..self.batch)
        }
    }

    /// The change whose tail a lost batch belongs to.
    pub fn lost_by(&self, part: usize, batch: u64) -> Option<&Change> {
        let part = &self.parts[part];
        let mut changes = part.changes.iter().filter(|_| !part.acks_all);
        changes.find(|change| change.tail.contains(&batch))
    }

    /// Who led, and under which epoch, when a batch of the final log was appended.
    pub fn term(&self, part: usize, batch: u64) -> Term {
        let part = &self.parts[part];
        let begun = part.changes.partition_point(|change| change.first <= batch);
        part.term_after(begun)
    }

    /// Who leads at the end of a round, if anybody.
    pub fn leader(&self, part: usize, round: u64) -> Option<Term> {
        let part = &self.parts[part];
        let over = self.faults.partition_point(|fault| fault.elected <= round);
        let headless = self
            .faults
            .get(over)
            .is_some_and(|fault| fault.strike <= round)
            && part.changes[over].deposed();
        (!headless).then(|| part.term_after(over))
    }

    /// The fault that has begun and after which nobody is elected yet.
    pub fn leaderless(&self, round: u64) -> Option<usize> {
        let over = self.faults.partition_point(|fault| fault.elected <= round);
        self.faults
            .get(over)
            .filter(|fault| fault.strike <= round)
            .map(|_| over)
    }

    /// Batches that the leader holds at the end of a round.
    pub fn appended(&self, part: usize, round: u64) -> u64 {
        let all = round.saturating_sub(APPENDED).min(self.rounds());
        match self.leaderless(round) {
            Some(fault) if self.parts[part].changes[fault].deposed() => {
                all.min(self.faults[fault].strike - KNOWN)
            }
            _ => all,
        }
    }

    /// Batches below the high watermark at the end of a round; followers hold them.
    pub fn committed(&self, round: u64) -> u64 {
        let all = round.saturating_sub(COPIED).min(self.rounds());
        match self.leaderless(round) {
            Some(fault) => all.min(self.faults[fault].strike - KNOWN),
            None => all,
        }
    }

    /// Batches that followers know to be committed.
    pub fn known(&self, round: u64) -> u64 {
        self.committed(round.saturating_sub(KNOWN - COPIED))
    }

    /// Batches whose senders have their answer at the end of a round.
    pub fn answered(&self, part: usize, round: u64) -> u64 {
        if self.parts[part].acks_all {
            return self.committed(round);
        }
        let all = round.saturating_sub(APPENDED).min(self.rounds());
        match self.leaderless(round) {
            Some(fault) if self.parts[part].changes[fault].deposed() => {
                all.min(self.parts[part].changes[fault].tail.end)
            }
            _ => all,
        }
    }
}
