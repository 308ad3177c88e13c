//! How a run is laid out: its faults, its partitions, and what each fault does to each partition.
//!
//! Everything is drawn from the seed here, once; nothing changes afterwards.

use std::ops::Range;

use history::{Epoch, FaultId, FaultKind, NodeId, Partition, Topic};
use plan::Seed;

use super::{APPENDED, KNOWN, NODES, REFUSED, SECOND, Shape, Term, TopicShape};
use crate::synth::Asked;
use crate::synth::orders::{self, Orders};

const MILLI: u64 = 1_000_000;
/// From a fault to the new leader; nobody knows yet.
const ELECTION: u64 = 4 * SECOND;
/// Around the beginning of a fault, around its end, and around the change of an in-sync set.
const STRIKE: u64 = 400 * MILLI;
const RETURN: u64 = 2 * SECOND;
const REJOIN: u64 = 300 * MILLI;

/// A fault, by rounds.
#[derive(Debug, Clone)]
pub(in crate::synth) struct Fault {
    pub id: FaultId,
    pub kind: FaultKind,
    pub node: NodeId,
    /// It begins before this round.
    pub strike: u64,
    /// New leaders are there before this round.
    pub elected: u64,
    /// It is undone before this round; the in-sync sets are full before the next.
    pub healed: u64,
}

/// What a fault did to one partition.
#[derive(Debug, Clone)]
pub(in crate::synth) struct Change {
    /// Position in [`Shape::faults`].
    pub fault: usize,
    /// The leader before.
    pub old: NodeId,
    /// The leader after; the same, if a follower went away.
    pub new: NodeId,
    /// The epoch after.
    pub epoch: Epoch,
    /// The first batch of the new epoch.
    pub first: u64,
    /// Batches that only the old leader holds, in its own epoch.
    pub tail: Range<u64>,
    /// In-sync replicas after it, in assignment order.
    pub isr: Vec<NodeId>,
}

impl Change {
    pub fn deposed(&self) -> bool {
        self.old != self.new
    }
}

/// One partition.
#[derive(Debug)]
pub(in crate::synth) struct Part {
    pub name: Partition,
    pub topic: usize,
    pub acks_all: bool,
    /// In assignment order.
    pub replicas: [NodeId; 3],
    /// One for each fault.
    pub changes: Vec<Change>,
}

impl Shape {
    /// The partitions of the ordinary load.
    pub fn lay_parts(&self, asked: &Asked) -> Vec<Part> {
        let mut stream = Seed(asked.seed).stream("synth tails");
        let mut parts = Vec::new();
        for (topic, shape) in self.topics.iter().enumerate() {
            for index in 0..asked.partitions as usize {
                let replicas = std::array::from_fn(|place| NODES[(index + place) % NODES.len()]);
                let mut part = Part {
                    name: Partition::new(shape.name.clone(), index as i32),
                    topic,
                    acks_all: shape.acks_all,
                    replicas,
                    changes: Vec::new(),
                };
                for fault in 0..self.faults.len() {
                    let extra = stream.between(0, 1 + (self.window(fault) - 2) / 2);
                    let change = self.change(&part, fault, extra);
                    part.changes.push(change);
                }
                parts.push(part);
            }
        }
        parts
    }

    /// `orders`: a topic beside the others, led by the broker that no fault befalls.
    pub fn lay_orders(&mut self, asked: &Asked) {
        let topic = self.topics.len();
        let first = self.parts.len();
        let name: Topic = "orders".into();
        for index in 0..orders::PARTS {
            let [one, other] = if index % 2 == 0 { [0, 1] } else { [1, 0] };
            let mut part = Part {
                name: Partition::new(name.clone(), index as i32),
                topic,
                acks_all: true,
                replicas: [NODES[2], NODES[one], NODES[other]],
                changes: Vec::new(),
            };
            for fault in 0..self.faults.len() {
                let change = self.change(&part, fault, 0);
                part.changes.push(change);
            }
            self.parts.push(part);
        }
        self.topics.push(TopicShape {
            name,
            acks_all: true,
            parts: first..self.parts.len(),
        });
        let others = self.sends() + asked.planted() + refused(asked);
        self.orders = Some(Orders::of(self, others));
    }

    /// Rounds that are sent while nobody leads.
    fn window(&self, fault: usize) -> u64 {
        self.faults[fault].elected - self.faults[fault].strike
    }

    fn change(&self, part: &Part, index: usize, extra: u64) -> Change {
        let fault = &self.faults[index];
        let before = part.term_after(index);
        let isr: Vec<NodeId> = part
            .replicas
            .into_iter()
            .filter(|node| *node != fault.node)
            .collect();
        let deposed = before.leader == fault.node;
        let cut = fault.strike - KNOWN;
        let beyond = match (deposed, fault.kind, part.acks_all) {
            (false, ..) => 0,
            // What it had appended and nobody had copied when it died.
            (true, FaultKind::Kill, _) => 1,
            (true, _, true) => 2,
            // Cut off from its peers, it goes on answering clients that still reach it.
            (true, _, false) => 2 + extra,
        };
        let lost = if part.acks_all { 0 } else { beyond };
        Change {
            fault: index,
            old: before.leader,
            new: if deposed { isr[0] } else { before.leader },
            epoch: Epoch(before.epoch.0 + 1),
            first: if deposed {
                cut + lost
            } else {
                fault.elected - APPENDED - 1
            },
            tail: cut..cut + beyond,
            isr,
        }
    }
}

impl Part {
    /// The time of leadership after so many faults.
    pub fn term_after(&self, faults: usize) -> Term {
        match faults.checked_sub(1) {
            None => Term {
                epoch: Epoch(0),
                leader: self.replicas[0],
            },
            Some(last) => Term {
                epoch: self.changes[last].epoch,
                leader: self.changes[last].new,
            },
        }
    }
}

/// Sends that are refused over the whole run.
pub(in crate::synth) fn refused(asked: &Asked) -> u64 {
    REFUSED * u64::from(asked.failovers) * u64::from(asked.topics / 2)
}

/// The topics of the ordinary load.
pub(super) fn topics(asked: &Asked) -> Vec<TopicShape> {
    let partitions = asked.partitions as usize;
    (0..asked.topics as usize)
        .map(|index| {
            let acks_all = index % 2 == 0;
            let kind = if acks_all { "ledger" } else { "metrics" };
            let name = match index / 2 {
                0 => kind.to_owned(),
                more => format!("{kind}-{}", more + 1),
            };
            TopicShape {
                name: name.into(),
                acks_all,
                parts: index * partitions..(index + 1) * partitions,
            }
        })
        .collect()
}

/// The faults, evenly spread: killed and cut off by turns, n0 and n1 by turns, n2 never.
pub(super) fn faults(asked: &Asked, rounds: u64, round: u64) -> Vec<Fault> {
    let count = u64::from(asked.failovers);
    (0..count)
        .map(|index| {
            let steady = rounds / (2 + 2 * count);
            let share = (rounds - steady) / count;
            let strike = steady + index * share + share / 8;
            let window = (share / 4).clamp(4, 12);
            let held = (3 * SECOND / round).clamp(4, share / 4);
            Fault {
                id: FaultId(index as u16 + 1),
                kind: if index % 2 == 0 {
                    FaultKind::Kill
                } else {
                    FaultKind::Isolate
                },
                node: NODES[index as usize % 2],
                strike,
                elected: strike + window,
                healed: strike + window + held,
            }
        })
        .collect()
}

/// What each fault stops, as [`Shape`] keeps it.
pub(super) fn pauses(faults: &[Fault]) -> Vec<(u64, u64, u64)> {
    let mut sum = 0;
    let mut pauses = Vec::new();
    for fault in faults {
        for (round, length) in [
            (fault.strike, STRIKE),
            (fault.elected, ELECTION),
            (fault.healed, RETURN),
            (fault.healed + 1, REJOIN),
        ] {
            sum += length;
            pauses.push((round, length, sum));
        }
    }
    pauses
}
