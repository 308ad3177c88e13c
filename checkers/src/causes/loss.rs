//! U and D: a replica lost data by our doing. A power cut excuses only what had not been flushed,
//! and what had been is computed here from what the broker left.

use evidence::Says;
use history::{Harm, ImageReason, Mark, NodeId, Offset, ProcessChange, Service};

use crate::contract::Contract;
use crate::facts::{Facts, PartFacts};
use crate::judgement::Standing;

/// A replica's loss.
#[derive(Debug, Clone)]
pub struct Loss {
    /// Position in `facts.harms`.
    pub harm: usize,
    /// Whose replica.
    pub node: NodeId,
    /// U or D.
    pub kind: LossKind,
    /// What it lost begins here.
    pub from: Offset,
    /// Everything below had been flushed: a power cut does not excuse its loss. 0 for D.
    pub durable: Offset,
    /// How that is known.
    pub durable_because: String,
    /// When.
    pub at: Mark,
}

/// How a replica lost data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossKind {
    /// U: what it had not flushed.
    PowerCut,
    /// D: everything.
    Wiped,
    /// D: bytes were changed.
    Damaged,
}

impl Loss {
    /// Whether it took an offset, and may have: a power cut never what was flushed.
    pub fn excuses(&self, offset: Offset) -> bool {
        offset >= self.from && offset >= self.durable
    }

    /// What the loss of an offset by it means: what had been flushed no power cut takes.
    pub fn standing(&self, offset: Offset) -> Standing {
        match self.excuses(offset) {
            true => Standing::NotPromised,
            false => Standing::Broken,
        }
    }

    /// "a power cut took what n1 had not flushed, from @5 on".
    pub fn words(&self) -> String {
        match self.kind {
            LossKind::PowerCut => format!(
                "{} lost its log from {} on, as by a power cut, at {}",
                self.node, self.from, self.at
            ),
            LossKind::Wiped => format!("{} lost all its files at {}", self.node, self.at),
            LossKind::Damaged => format!(
                "the files of {} were damaged from {} on at {}",
                self.node, self.from, self.at
            ),
        }
    }
}

/// Every loss of a partition's replicas, in recorded order.
pub fn all(facts: &Facts, contract: &Contract, part: &PartFacts) -> Vec<Loss> {
    let mut all = Vec::new();
    for (harm, event) in facts.harms.iter().enumerate() {
        if event.partition != part.name {
            continue;
        }
        let (node, kind, from) = match event.harm {
            Harm::SuffixLost { node, from } => (node, LossKind::PowerCut, from),
            Harm::Wiped { node } => (node, LossKind::Wiped, Offset(0)),
            Harm::Damaged { node, from } => (node, LossKind::Damaged, from),
            Harm::Deleted { .. } => continue,
        };
        let (durable, durable_because) = match kind {
            LossKind::PowerCut => durable(facts, contract, part, harm, node),
            LossKind::Wiped | LossKind::Damaged => (Offset(0), String::new()),
        };
        all.push(Loss {
            harm,
            node,
            kind,
            from,
            durable,
            durable_because,
            at: event.at,
        });
    }
    all
}

/// A rolled segment is flushed in the background; after so long it is.
const FLUSHED_AFTER: u64 = 10_000_000_000;

/// Below which offset a replica's log had been flushed when its process ended: all of it where every
/// record is, else up to the recovery point that it had written down, or the base of a segment that
/// it had rolled long enough before.
fn durable(
    facts: &Facts,
    contract: &Contract,
    part: &PartFacts,
    harm: usize,
    node: NodeId,
) -> (Offset, String) {
    let event = facts.harms[harm];
    let died = last_exit(facts, node, event.at).unwrap_or(event.at);
    if contract.flushed_until(died) {
        let because = "flush.messages=1: every record was flushed as it was written".to_owned();
        return (Offset(i64::MAX), because);
    }
    let archives = facts.recording.evidence.images.iter();
    let checkpoint = archives
        .filter(|image| {
            let before = match image.reason {
                ImageReason::BeforeReturn(fault) => event.fault == Some(fault),
                ImageReason::Final => false,
            };
            image.node == node && (before || image.to <= event.at)
        })
        .filter_map(|image| Some((*image.recovery_point.get(&part.name)?, image.file.as_str())))
        .max_by_key(|(point, _)| *point);
    let rolled = facts.recording.evidence.lines.iter().enumerate();
    let rolled = rolled
        .filter(|(_, line)| line.node == node)
        .filter_map(|(index, line)| match &line.says {
            Says::Rolled { partition, at } if *partition == part.name => Some((index, *at)),
            _ => None,
        })
        .filter(|(index, _)| {
            let written = facts.line_span(*index);
            written.is_some_and(|span| span.to.0.saturating_add(FLUSHED_AFTER) <= died.0)
        })
        .max_by_key(|(_, at)| *at);
    match (checkpoint, rolled) {
        (Some((point, file)), rolled) if rolled.is_none_or(|(_, at)| at <= point) => {
            (point, format!("its recovery point in {file}"))
        }
        (_, Some((line, at))) => (
            at,
            format!("it had rolled a segment there ({})", facts.cite(line)),
        ),
        (_, None) => (
            Offset(0),
            "no recovery point and no rolled segment of it was recorded".to_owned(),
        ),
    }
}

/// The last end of a broker's process before a moment.
fn last_exit(facts: &Facts, node: NodeId, before: Mark) -> Option<Mark> {
    let broker = facts
        .processes
        .iter()
        .filter(|event| event.node == node && event.service == Service::Broker);
    broker
        .filter(|event| matches!(event.change, ProcessChange::Exited(_)) && event.at <= before)
        .map(|event| event.at)
        .max()
}
