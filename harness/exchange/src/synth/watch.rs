//! What the probes saw: log ends, watermarks, leaders' own high watermarks, beliefs, ZooKeeper.
//!
//! Log ends are asked before watermarks, as real probes do.

use history::{Epoch, Event, FaultKind, Mark, NodeId, Observation, Offset, Partition, Seen, Why};

use super::play::Play;
use super::says::CONTROLLER;
use super::shape::NODES;

/// Probes look every so many nanoseconds where rounds are shorter.
const PROBE: u64 = 250_000_000;
/// At most so many answers in all; with many partitions probes look less often.
const ANSWERS_MAX: u64 = 400_000;

/// What one replica knows of itself.
#[derive(Debug, Clone, Copy)]
struct Own {
    leo: Offset,
    hw: Offset,
    lso: Offset,
    epoch: Epoch,
    leads: bool,
}

impl Play<'_> {
    /// Rounds from one look to the next.
    pub fn probe_every(&self) -> u64 {
        let shape = self.shape;
        let often = PROBE.div_ceil(shape.round).max(1);
        let each = shape.parts.len() as u64 * 7;
        let looks = shape.rounds() / often;
        often * (looks * each).div_ceil(ANSWERS_MAX).max(1)
    }

    /// All brokers that can be reached are asked for all partitions.
    pub fn probe(&mut self, round: u64) {
        let shape = self.shape;
        let from = shape.time(round).0 + shape.round * 15 / 16;
        let answers = 3 * shape.parts.len() as u64 * NODES.len() as u64;
        self.ask(round, from, (shape.round / 20 / answers).max(1));
    }

    /// Further answers that were planted, a little after the last question.
    pub fn probe_more(&mut self, round: u64) {
        let at = self.shape.time(round).0 + self.shape.round * 31 / 32;
        let step = (self.shape.round / 400).max(1);
        let planted = self.edits.seen.get(&round).map_or(&[][..], Vec::as_slice);
        for ((node, seen), at) in planted.iter().zip((at..).step_by(step as usize)) {
            self.observed(*node, Mark(at), Mark(at + step / 2), seen.clone());
        }
    }

    /// Asks, each question `step` nanoseconds after the one before.
    pub fn ask(&mut self, round: u64, from: u64, step: u64) {
        let mut at = from;
        for kind in 0..3 {
            for node in NODES {
                for part in 0..self.shape.parts.len() {
                    let Some(own) = self.own(part, node, round) else {
                        continue;
                    };
                    let partition = self.shape.parts[part].name.clone();
                    let Some(seen) = answer(kind, own, partition) else {
                        continue;
                    };
                    self.observed(node, Mark(at), Mark(at + step / 2), seen);
                    at += step;
                }
            }
        }
    }

    /// What a replica would say at the end of a round; nothing, where it cannot be asked.
    fn own(&self, part: usize, node: NodeId, round: u64) -> Option<Own> {
        let shape = self.shape;
        let away = shape
            .faults
            .iter()
            .position(|fault| fault.node == node && (fault.strike..=fault.healed).contains(&round));
        if let Some(fault) = away {
            return self.cut_off(part, fault, round);
        }
        let base = |batch| shape.base(part, batch);
        let hw = |batches: u64| match self.edits.stalled.contains(&part) {
            true => base(batches.min(shape.last_batch(part))),
            false => base(batches),
        };
        let stable = |batches: u64| hw(batches).min(shape.stable(part, batches));
        let over = shape.faults.partition_point(|fault| fault.elected <= round);
        let term = shape.parts[part].term_after(over);
        if term.leader == node {
            return Some(Own {
                leo: base(shape.appended(part, round)),
                hw: hw(shape.committed(round)),
                lso: stable(shape.committed(round)),
                epoch: term.epoch,
                leads: true,
            });
        }
        let copied = round.saturating_sub(2).min(shape.appended(part, round));
        Some(Own {
            leo: base(copied),
            hw: hw(shape.known(round)),
            lso: stable(shape.known(round)),
            epoch: term.epoch,
            leads: false,
        })
    }

    /// A broker under a fault: the dead say nothing, those cut off go on as they were.
    fn cut_off(&self, part: usize, index: usize, round: u64) -> Option<Own> {
        let shape = self.shape;
        let fault = &shape.faults[index];
        let change = &shape.parts[part].changes[index];
        if fault.kind != FaultKind::Isolate || round == fault.healed {
            return None;
        }
        let cut = fault.strike - 3;
        let epoch = Epoch(change.epoch.0 - 1);
        if !change.deposed() {
            return Some(Own {
                leo: shape.base(part, cut),
                hw: shape.base(part, cut - 1),
                lso: shape.stable(part, cut - 1),
                epoch,
                leads: false,
            });
        }
        let end = change.tail.end.min(round - 1);
        Some(Own {
            leo: shape.tail_base(part, change, end),
            hw: shape.base(part, cut),
            lso: shape.stable(part, cut),
            epoch,
            leads: true,
        })
    }

    /// A probe's answer.
    pub fn observed(&mut self, node: NodeId, asked: Mark, answered: Mark, seen: Seen) {
        let observation = Observation {
            asked,
            answered,
            node,
            seen,
        };
        self.pen.write(&Event::Observed(observation));
    }

    /// ZooKeeper shows the leader alone in sync.
    pub fn zk_alone(&mut self, part: usize, round: u64, from: u64, step: u64) {
        if let Some(term) = self.shape.leader(part, round) {
            self.zk_shows(part, round, (from, step), vec![term.leader]);
        }
    }

    /// ZooKeeper shows every replica in sync.
    pub fn zk_whole(&mut self, part: usize, round: u64, from: u64, step: u64) {
        self.zk_shows(part, round, (from, step), NODES.to_vec());
    }

    fn zk_shows(&mut self, part: usize, round: u64, (from, step): (u64, u64), isr: Vec<NodeId>) {
        let Some(term) = self.shape.leader(part, round) else {
            return;
        };
        let seen = Seen::ZkState {
            partition: self.shape.parts[part].name.clone(),
            leader: Some(term.leader),
            epoch: term.epoch,
            isr,
            version: self.versions[part],
        };
        self.observed(CONTROLLER, Mark(from), Mark(from + step), seen);
    }

    /// A broker falls silent.
    pub fn silent(&mut self, node: NodeId, at: Mark) {
        let why = Why::new("unexpected end of file");
        self.observed(node, Mark(at.0 - 1_000_000), at, Seen::Silent { why });
    }

    /// ZooKeeper's state of a partition changes, and the brokers among `nodes` hear of it.
    pub fn believed(
        &mut self,
        part: usize,
        at: Mark,
        leader: NodeId,
        epoch: Epoch,
        isr: &[NodeId],
        nodes: &[NodeId],
    ) {
        let mut isr = isr.to_vec();
        isr.sort_unstable();
        let partition = self.shape.parts[part].name.clone();
        let version = self.versions[part];
        for node in nodes {
            let seen = Seen::ZkState {
                partition: partition.clone(),
                leader: Some(leader),
                epoch,
                isr: isr.clone(),
                version,
            };
            self.observed(*node, at, Mark(at.0 + 500_000), seen);
        }
        for node in nodes {
            let seen = Seen::Belief {
                partition: partition.clone(),
                leader: Some(leader),
                epoch,
                isr: isr.clone(),
            };
            self.observed(*node, Mark(at.0 + 600_000), Mark(at.0 + 900_000), seen);
        }
    }

    /// Which broker each takes for the controller.
    pub fn controller_known(&mut self, at: Mark) {
        for node in NODES {
            let seen = Seen::Controller {
                node: Some(CONTROLLER),
            };
            self.observed(node, at, Mark(at.0 + 500_000), seen);
        }
    }
}

fn answer(kind: u8, own: Own, partition: Partition) -> Option<Seen> {
    match kind {
        0 => Some(Seen::LogEnd {
            partition,
            leo: own.leo,
            epoch: Some(own.epoch),
        }),
        1 => Some(Seen::Watermarks {
            partition,
            hw: own.hw,
            lso: own.lso,
            log_start: Offset(0),
        }),
        _ => own.leads.then_some(Seen::LeaderHw {
            partition,
            epoch: own.epoch,
            hw: own.hw,
        }),
    }
}
