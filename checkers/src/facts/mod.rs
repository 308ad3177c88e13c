//! A recording, indexed: one pass over the events and the lines, then tables by partition.
//!
//! Nothing is judged here; what the tables cannot tell stays absent.

mod bits;
mod calls;
mod commit;
mod drain;
mod elections;
mod held;
mod logview;
mod ops;
mod partition;
mod places;
mod roles;
pub mod txns;

use std::collections::BTreeMap;

use evidence::{Image, LogLine};
use history::{
    Alteration, Event, FaultEvent, FaultId, HarmEvent, Mark, NodeId, Observation, Partition, Phase,
    ProcessEvent, RebalanceEvent, Stage, StepEvent, StepStage, Topic,
};
use rustc_hash::FxHashMap;

pub use calls::CallFact;
pub use commit::{CommitProof, ProofSource, acks_all, below_a_leaders_hw, served_by_leader};
pub use elections::nodes;
pub use logview::LogView;
pub use ops::{Fate, Ops, ReadFact, SendFact};
pub use partition::{PartFacts, PartImage};
pub use roles::{Cut, CutKind, Follow, HwBack, Term, Until};

use crate::judgement::{TimeSpan, Witness};
use crate::recording::Recording;

/// A partition's position in [`Facts::parts`].
pub type PartId = usize;

/// A recording, indexed.
#[derive(Debug)]
pub struct Facts<'a> {
    /// What was recorded.
    pub recording: &'a Recording,
    /// Sends, reads, and where each value was sent.
    pub ops: Ops<'a>,
    /// Partitions, ascending by name.
    pub parts: Vec<PartFacts<'a>>,
    /// Faults in order of their numbers.
    pub faults: Vec<FaultStory<'a>>,
    /// Beginning of each phase, in recorded order.
    pub phases: Vec<(Phase, Mark)>,
    /// Steps of the schedule, in recorded order.
    pub steps: Vec<&'a StepEvent>,
    /// Processes beginning and ending, in recorded order.
    pub processes: Vec<&'a ProcessEvent>,
    /// Answers of probes, in recorded order.
    pub observations: Vec<&'a Observation>,
    /// What clients asked besides sends and polls, in order of invocation.
    pub calls: Vec<CallFact<'a>>,
    /// What groups gave to clients and took from them, in recorded order.
    pub rebalances: Vec<&'a RebalanceEvent>,
    /// What logs lost by our doing, in recorded order.
    pub harms: Vec<&'a HarmEvent>,
    /// Settings that were changed under load, in recorded order.
    pub alterations: Vec<&'a Alteration>,
    /// The last moment of the history.
    pub length: Mark,
    /// By the number of a client: it is a producer that waits for all in-sync replicas.
    acks_all: Vec<bool>,
    /// No replica selector is configured: consumers ask leaders.
    ask_leaders: bool,
}

/// A fault with its stages.
#[derive(Debug)]
pub struct FaultStory<'a> {
    /// The stages in recorded order.
    pub stages: Vec<&'a FaultEvent>,
}

impl<'a> FaultStory<'a> {
    /// What was asked and done, from the first stage.
    pub fn deed(&self) -> Option<(&'a str, &'a history::Deed)> {
        self.stages.iter().find_map(|event| match &event.stage {
            Stage::Injecting { asked, deed } => Some((asked.as_str(), deed)),
            Stage::Injected { .. }
            | Stage::Ineffective { .. }
            | Stage::Healing
            | Stage::Healed { .. }
            | Stage::Stuck { .. }
            | Stage::TookEffect { .. } => None,
        })
    }

    /// When it was proved in force, and by what.
    pub fn proof(&self) -> Option<(Mark, &'a str)> {
        self.stages.iter().find_map(|event| match &event.stage {
            Stage::Injected { evidence } => Some((event.at, evidence.as_str())),
            Stage::Injecting { .. }
            | Stage::Ineffective { .. }
            | Stage::Healing
            | Stage::Healed { .. }
            | Stage::Stuck { .. }
            | Stage::TookEffect { .. } => None,
        })
    }

    /// It was found to have changed nothing, and never seen to act.
    pub fn had_no_effect(&self) -> bool {
        let mut stages = self.stages.iter();
        self.proof().is_none() && stages.any(|it| matches!(it.stage, Stage::Ineffective { .. }))
    }

    /// Its number, if it was begun, and neither proved undone nor proved without effect.
    pub fn not_undone(&self) -> Option<FaultId> {
        let over = self.stages.iter().rev().any(|event| match event.stage {
            Stage::Healed { .. } | Stage::Ineffective { .. } => true,
            Stage::Injecting { .. } | Stage::Injected { .. } => false,
            Stage::Healing | Stage::Stuck { .. } | Stage::TookEffect { .. } => false,
        });
        let first = self.stages.first()?;
        (self.deed().is_some() && !over).then_some(first.fault)
    }

    /// From the intent (it may act before it is proved) to the proof that it is undone.
    pub fn widest(&self, end: Mark) -> TimeSpan {
        let from = self.stages.first().map_or(Mark(0), |event| event.at);
        let to = self
            .stages
            .iter()
            .rev()
            .find(|event| matches!(event.stage, Stage::Healed { .. }))
            .map_or(end, |event| event.at);
        TimeSpan { from, to }
    }

    /// From the proof (the intent without one) to the beginning of the heal (the end without one).
    pub fn in_force(&self, end: Mark) -> TimeSpan {
        let begun = self.stages.first().map_or(Mark(0), |event| event.at);
        let to = self
            .stages
            .iter()
            .find(|event| matches!(event.stage, Stage::Healing | Stage::Healed { .. }))
            .map_or(end, |event| event.at);
        TimeSpan {
            from: self.proof().map_or(begun, |(at, _)| at),
            to,
        }
    }
}

impl<'a> Facts<'a> {
    /// Indexes a recording.
    pub fn of(recording: &'a Recording) -> Self {
        let ids = part_ids(recording);
        let ops = Ops::of(&recording.operations, &ids);
        let mut facts = Self {
            recording,
            ops,
            parts: Vec::new(),
            faults: Vec::new(),
            phases: Vec::new(),
            steps: Vec::new(),
            processes: Vec::new(),
            observations: Vec::new(),
            calls: calls::of(&recording.events),
            rebalances: Vec::new(),
            harms: Vec::new(),
            alterations: Vec::new(),
            length: Mark(0),
            acks_all: commit::waiting_for_all(recording),
            ask_leaders: false,
        };
        facts.ask_leaders = commit::ask_leaders(&facts);
        facts.gather();
        let roles = roles::all(recording, &ids);
        facts.parts = partition::all(&facts, &ids, roles);
        facts
    }

    /// Sorts the events that are no operations into their tables.
    fn gather(&mut self) {
        let mut faults: BTreeMap<_, Vec<&FaultEvent>> = BTreeMap::new();
        let mut last = self.recording.operations.last;
        for event in &self.recording.events {
            let at = match event {
                Event::Invoked { at, .. } | Event::Returned { at, .. } => *at,
                Event::Phase { at, phase } => {
                    self.phases.push((*phase, *at));
                    *at
                }
                Event::Fault(fault) => {
                    faults.entry(fault.fault).or_default().push(fault);
                    fault.at
                }
                Event::Observed(seen) => {
                    self.observations.push(seen);
                    seen.answered
                }
                Event::Process(process) => {
                    self.processes.push(process);
                    process.at
                }
                Event::Step(step) => {
                    self.steps.push(step);
                    step.at
                }
                Event::Clock(sample) => sample.answered,
                Event::Image(image) => image.to,
                Event::Rebalance(rebalance) => {
                    self.rebalances.push(rebalance);
                    rebalance.at
                }
                Event::Harm(harm) => {
                    self.harms.push(harm);
                    harm.at
                }
                Event::Altered(change) => {
                    self.alterations.push(change);
                    change.answered
                }
            };
            last = last.max(at);
        }
        self.length = last;
        self.faults = faults
            .into_values()
            .map(|stages| FaultStory { stages })
            .collect();
    }

    /// The topics under judgement with the positions of their partitions.
    pub fn topics(&self) -> BTreeMap<Topic, Vec<PartId>> {
        let mut topics: BTreeMap<Topic, Vec<PartId>> = self
            .recording
            .setting
            .topics
            .keys()
            .map(|topic| (topic.clone(), Vec::new()))
            .collect();
        for (id, part) in self.parts.iter().enumerate() {
            topics.entry(part.name.topic.clone()).or_default().push(id);
        }
        topics
    }

    /// What stood in the way when the time for settling ran out, if it did.
    pub fn unsettled(&self) -> Option<&'a str> {
        self.steps.iter().find_map(|step| match &step.stage {
            StepStage::Missed(why) if step.text.starts_with("settle:") => Some(why.0.as_ref()),
            StepStage::Missed(_) | StepStage::Fired | StepStage::Done => None,
        })
    }

    /// A line of a broker's log.
    pub fn line(&self, line: usize) -> &'a LogLine {
        &self.recording.evidence.lines[line]
    }

    /// An image.
    pub fn image(&self, image: usize) -> &'a Image {
        &self.recording.evidence.images[image]
    }

    /// A line as evidence of a finding.
    pub fn quote(&self, line: usize) -> Witness {
        let line = self.line(line);
        Witness {
            node: Some(line.node),
            source: line.file.clone(),
            line: Some(line.line),
            at: line.span.map(TimeSpan::from),
            text: line.text.clone(),
        }
    }

    /// "n0 state-change.log:41".
    pub fn cite(&self, line: usize) -> String {
        let line = self.line(line);
        let file = line.file.rsplit('/').next().unwrap_or(&line.file);
        format!("{} {file}:{}", line.node, line.line)
    }

    /// When a line was written, in run time.
    pub fn line_span(&self, line: usize) -> Option<TimeSpan> {
        self.line(line).span.map(TimeSpan::from)
    }

    /// The beginning of a phase.
    pub fn phase_start(&self, wanted: Phase) -> Option<Mark> {
        self.phases
            .iter()
            .find(|(phase, _)| *phase == wanted)
            .map(|(_, at)| *at)
    }

    /// The end of a broker's process that was running at `after`, if it ended.
    pub fn exit_after(&self, node: NodeId, after: Mark) -> Option<Mark> {
        self.processes
            .iter()
            .find(|event| {
                event.node == node
                    && event.service == history::Service::Broker
                    && event.at >= after
                    && matches!(event.change, history::ProcessChange::Exited(_))
            })
            .map(|event| event.at)
    }

    /// The value of a broker setting, if all brokers agree on it.
    pub fn broker_setting(&self, key: &str) -> Option<&'a str> {
        let mut values = self
            .recording
            .setting
            .brokers
            .values()
            .filter_map(|settings| settings.get(key).map(String::as_str));
        let first = values.next()?;
        values.all(|value| value == first).then_some(first)
    }
}

/// Every partition of the setting, and any other that was sent to.
fn part_ids(recording: &Recording) -> FxHashMap<Partition, PartId> {
    let mut names: Vec<Partition> = recording
        .setting
        .topics
        .iter()
        .flat_map(|(topic, setting)| setting.partitions(topic))
        .collect();
    let mut known: FxHashMap<Partition, PartId> =
        names.iter().map(|name| (name.clone(), 0)).collect();
    let named = recording.operations.names.all().iter();
    for (name, counts) in named.zip(recording.operations.sends.by_part()) {
        if counts.sent > 0 && !known.contains_key(name) {
            known.insert(name.clone(), 0);
            names.push(name.clone());
        }
    }
    names.sort();
    names
        .into_iter()
        .enumerate()
        .map(|(id, name)| (name, id))
        .collect()
}
