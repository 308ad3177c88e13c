//! One leader epoch has one leader: two brokers that led it, by their own lines or by what they
//! answered as leader, are one too many. The same broker in a new process may resume its epoch.
//!
//! What others believe of an epoch is no leadership, and is not looked at.

use std::collections::BTreeMap;

use history::{Epoch, NodeId, Seen};

use super::probes::say;
use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::Story;
use crate::judgement::{Finding, Group};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "two-leaders-one-epoch",
    sentence: "no two brokers lead one epoch",
    group: Group::Replicas,
    premises: &["lines-read"],
    look,
};

/// What shows that a broker led.
#[derive(Debug, Clone, Copy)]
enum Shown {
    /// Its `Leader ... starts` line.
    Line(usize),
    /// An epoch-checked answer; position in `observations`.
    Answer(u32),
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("leader epochs");
    for part in case.parts() {
        let epochs = leaders(case, part);
        tally.examined += epochs.len() as u64;
        for (epoch, leaders) in epochs {
            if leaders.len() > 1 {
                let finding = tell(case, part, epoch, &leaders);
                tally.found(findings, finding);
            }
        }
    }
    tally
}

fn leaders(case: &Case, part: &PartFacts) -> BTreeMap<Epoch, BTreeMap<NodeId, Shown>> {
    let mut epochs: BTreeMap<Epoch, BTreeMap<NodeId, Shown>> = BTreeMap::new();
    let lines = part.roles.terms.iter();
    let lines = lines.map(|term| (term.epoch, term.node, Shown::Line(term.line)));
    let answers = part.seen.iter().filter_map(|&index| {
        let seen = case.facts.observations[index as usize];
        match seen.seen {
            Seen::LeaderHw { epoch, .. } => Some((epoch, seen.node, Shown::Answer(index))),
            Seen::LogEnd { .. }
            | Seen::Watermarks { .. }
            | Seen::Belief { .. }
            | Seen::Controller { .. }
            | Seen::ZkState { .. }
            | Seen::Silent { .. } => None,
        }
    });
    for (epoch, node, shown) in lines.chain(answers) {
        let leaders = epochs.entry(epoch).or_default();
        leaders.entry(node).or_insert(shown);
    }
    epochs
}

fn tell(case: &Case, part: &PartFacts, epoch: Epoch, leaders: &BTreeMap<NodeId, Shown>) -> Finding {
    let nodes: Vec<NodeId> = leaders.keys().copied().collect();
    let title = format!(
        "{}: {} all led {epoch}",
        part.name,
        crate::facts::nodes(&nodes)
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    for (node, shown) in leaders {
        match shown {
            Shown::Line(line) => {
                let text = format!("{node} wrote that it led {epoch}.");
                story.say(case.facts, text, &[*line]);
            }
            Shown::Answer(index) => {
                let text = format!("{node} answered as the leader of {epoch}.");
                say(&mut story, case.facts, text, &[*index]);
            }
        }
    }
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding
}
