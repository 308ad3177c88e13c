//! Whether a condition holds on what is known now.
//!
//! Pure: what only a host can tell (a log line, a recovery point) is looked up by the caller and
//! handed in. What nobody has told yet holds for no comparison.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use history::{Mark, NodeId, Offset, Partition, Topic};
use plan::{Comparison, Condition, Quantity};

use crate::board::Board;

/// What is known when a condition is looked at.
#[derive(Debug)]
pub struct Sight<'a> {
    /// What the probes last said.
    pub board: &'a Board,
    /// The plan's partitions with the nodes they are assigned to.
    pub partitions: &'a [(Partition, Vec<NodeId>)],
    /// Acknowledged sends so far, by topic.
    pub acked: &'a BTreeMap<Topic, u64>,
    /// What was looked up on hosts, by the condition that asked.
    pub looked_up: &'a LookedUp,
    /// Now.
    pub now: Mark,
}

/// What hosts were asked for on behalf of conditions.
#[derive(Debug, Clone, Default)]
pub struct LookedUp {
    /// The first line of a node's logs with this part in it.
    pub lines: BTreeMap<(NodeId, String), String>,
    /// The recovery point of a replica, as its checkpoint file has it.
    pub recovery_points: BTreeMap<(Partition, NodeId), Offset>,
}

/// What a condition needs to have looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Log lines.
    pub lines: BTreeSet<(NodeId, String)>,
    /// Nodes whose recovery points are asked for.
    pub recovery_points: BTreeSet<NodeId>,
}

impl Lookups {
    /// What this condition needs.
    pub fn of(condition: &Condition) -> Lookups {
        let mut needed = Lookups::default();
        needed.add(condition);
        needed
    }

    /// Whether hosts must be asked at all.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty() && self.recovery_points.is_empty()
    }

    fn add(&mut self, condition: &Condition) {
        match condition {
            Condition::LogLine { node, contains } => {
                self.lines.insert((*node, contains.clone()));
            }
            Condition::Compare {
                quantity: Quantity::Unflushed(_, node),
                ..
            } => {
                self.recovery_points.insert(*node);
            }
            Condition::And(all) | Condition::Or(all) => all.iter().for_each(|it| self.add(it)),
            Condition::Lasting(inner, _) => self.add(inner),
            Condition::Leader { .. }
            | Condition::Isr { .. }
            | Condition::LeaderAlone(_)
            | Condition::Controller(_)
            | Condition::Election { .. }
            | Condition::AllInSync
            | Condition::Compare { .. } => {}
        }
    }
}

/// A condition that is watched: it remembers since when its lasting parts hold.
#[derive(Debug)]
pub struct Trigger<'a> {
    condition: &'a Condition,
    since: BTreeMap<String, Mark>,
}

impl<'a> Trigger<'a> {
    /// Begins to watch.
    pub fn new(condition: &'a Condition) -> Self {
        Self {
            condition,
            since: BTreeMap::new(),
        }
    }

    /// What makes the condition true now, in words; none when it does not hold.
    pub fn holds(&mut self, sight: &Sight<'_>) -> Option<String> {
        eval(self.condition, sight, &mut self.since)
    }

    /// When a lasting part that holds now will have lasted, if nothing changes; the earliest.
    pub fn due(&self, now: Mark) -> Option<Duration> {
        let mut due = Vec::new();
        dues(self.condition, &self.since, now, &mut due);
        due.into_iter().min()
    }
}

fn dues(condition: &Condition, since: &BTreeMap<String, Mark>, now: Mark, due: &mut Vec<Duration>) {
    match condition {
        Condition::And(all) | Condition::Or(all) => {
            all.iter().for_each(|it| dues(it, since, now, due));
        }
        Condition::Lasting(inner, length) => {
            if let Some(began) = since.get(&condition.to_string()) {
                due.push((*began + *length).since(now));
            }
            dues(inner, since, now, due);
        }
        _ => {}
    }
}

fn eval(
    condition: &Condition,
    sight: &Sight<'_>,
    since: &mut BTreeMap<String, Mark>,
) -> Option<String> {
    match condition {
        Condition::Leader { partition, is } => {
            let leader = sight.board.leader(partition)?;
            let believes = sight
                .board
                .believes_itself_leader(partition, *is, leader.epoch);
            (leader.node == *is && believes)
                .then(|| format!("{is} leads {partition} in {}", leader.epoch))
        }
        Condition::Isr { partition, members } => {
            let leader = sight.board.leader(partition)?;
            let same = members.iter().eq(leader.isr.iter());
            same.then(|| format!("the ISR of {partition} is {{{}}}", names(&leader.isr)))
        }
        Condition::LeaderAlone(partition) => {
            let leader = sight.board.leader(partition)?;
            (leader.isr == [leader.node])
                .then(|| format!("{} is alone in the ISR of {partition}", leader.node))
        }
        Condition::Controller(node) => {
            let is = sight.board.controller() == Some(*node);
            is.then(|| format!("{node} is the controller"))
        }
        Condition::LogLine { node, contains } => {
            let line = sight.looked_up.lines.get(&(*node, contains.clone()))?;
            Some(format!("`{}`", line.trim()))
        }
        Condition::Election { partition, within } => {
            let (epoch, at) = sight.board.election(partition)?;
            (sight.now.since(at) <= *within).then(|| format!("{partition} has {epoch} since {at}"))
        }
        Condition::AllInSync => {
            let full = |(partition, on): &(Partition, Vec<NodeId>)| {
                let isr = sight.board.leader(partition).map(|leader| leader.isr);
                isr.is_some_and(|isr| on.iter().all(|node| isr.contains(node)))
            };
            sight
                .partitions
                .iter()
                .all(full)
                .then(|| "every ISR is full".to_owned())
        }
        Condition::Compare {
            quantity,
            by,
            number,
        } => {
            let value = measure(quantity, sight)?;
            compare(*by, value, *number).then(|| format!("{quantity} is {value}"))
        }
        Condition::And(all) => {
            // Every part is looked at, so that lasting ones keep their own time.
            let met: Vec<Option<String>> = all.iter().map(|it| eval(it, sight, since)).collect();
            let met: Option<Vec<String>> = met.into_iter().collect();
            Some(met?.join(", "))
        }
        Condition::Or(any) => {
            let met: Vec<Option<String>> = any.iter().map(|it| eval(it, sight, since)).collect();
            met.into_iter().flatten().next()
        }
        Condition::Lasting(inner, length) => {
            let key = condition.to_string();
            let Some(met) = eval(inner, sight, since) else {
                since.remove(&key);
                return None;
            };
            let began = *since.entry(key).or_insert(sight.now);
            (sight.now.since(began) >= *length).then(|| format!("{met} since {began}"))
        }
    }
}

fn measure(quantity: &Quantity, sight: &Sight<'_>) -> Option<i64> {
    let board = sight.board;
    let leo = |partition, node| Some(board.of(partition, node)?.leo?.0.0);
    let hw = |partition, node| Some(board.of(partition, node)?.hw?.0.0);
    let leader = |partition| Some(board.leader(partition)?.node);
    match quantity {
        Quantity::HwLag(p, node) => Some(hw(p, leader(p)?)? - hw(p, *node)?),
        Quantity::Lag(p, node) => Some(leo(p, leader(p)?)? - leo(p, *node)?),
        Quantity::Uncommitted(p) => {
            let leader = leader(p)?;
            Some(leo(p, leader)? - hw(p, leader)?)
        }
        Quantity::Unflushed(p, node) => {
            let recovery_point = sight.looked_up.recovery_points.get(&(p.clone(), *node))?;
            Some(leo(p, *node)? - recovery_point.0)
        }
        Quantity::Epoch(p) => Some(board.election(p)?.0.0.into()),
        Quantity::IsrSize(p) => i64::try_from(board.leader(p)?.isr.len()).ok(),
        Quantity::Acked(Some(topic)) => {
            let acked = sight.acked.get(topic).copied().unwrap_or(0);
            i64::try_from(acked).ok()
        }
        Quantity::Acked(None) => i64::try_from(sight.acked.values().sum::<u64>()).ok(),
    }
}

fn compare(by: Comparison, value: i64, number: i64) -> bool {
    match by {
        Comparison::AtLeast => value >= number,
        Comparison::Above => value > number,
        Comparison::AtMost => value <= number,
        Comparison::Below => value < number,
        Comparison::Equal => value == number,
    }
}

fn names(nodes: &[NodeId]) -> String {
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    names.join(", ")
}

#[cfg(test)]
#[path = "trigger_tests.rs"]
mod tests;
