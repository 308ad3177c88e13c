//! A leader's high watermark does not go back while it leads one epoch in one process, and the end
//! that clients see does not go back once the cluster has settled.
//!
//! A leader that writes so itself convicts itself. Two answers are compared only if the second
//! question was asked after the first answer came. Across an election or a restart a temporarily
//! lower high watermark is normal.

use std::collections::BTreeMap;

use history::{Epoch, Mark, NodeId, Offset, Phase, Seen, Service};

use super::probes::say;
use super::{Case, Check, Tally};
use crate::facts::{HwBack, PartFacts};
use crate::findings::Findings;
use crate::gone::Story;
use crate::judgement::{Finding, Group};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "hw-regressed",
    sentence: "a leader's high watermark never goes back",
    group: Group::Watermarks,
    premises: &[],
    look,
};

/// An answer of a leader about its high watermark.
#[derive(Debug, Clone, Copy)]
struct Answer {
    node: NodeId,
    epoch: Epoch,
    asked: Mark,
    answered: Mark,
    hw: Offset,
    /// Position in `observations`.
    index: u32,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("answers of leaders about their high watermark");
    let settled = case.facts.phase_start(Phase::Drain);
    for part in case.parts() {
        for back in &part.roles.hw_back {
            if let Some(led) = back.led {
                let finding = wrote_so(case, part, back, led);
                tally.found(findings, finding);
            }
        }
        let answers = answers(case, part);
        tally.examined += answers.len() as u64;
        let mut streams: BTreeMap<Option<(NodeId, Epoch, usize)>, Vec<Answer>> = BTreeMap::new();
        for answer in &answers {
            let life = life(case, answer);
            let key = Some((answer.node, answer.epoch, life));
            streams.entry(key).or_default().push(*answer);
            if settled.is_some_and(|settled| answer.asked >= settled) {
                streams.entry(None).or_default().push(*answer);
            }
        }
        for (stream, answers) in &streams {
            // Within one leader's time its own stream tells it.
            let told = |(before, after): &(Answer, Answer)| {
                let leader = |a: &Answer| (a.node, a.epoch, life(case, a));
                stream.is_none() && leader(before) == leader(after)
            };
            if let Some((before, after)) = regression(answers).filter(|pair| !told(pair)) {
                let title = format!(
                    "{}: the high watermark went back from {} to {}",
                    part.name, before.hw, after.hw
                );
                let mut finding = case.finding(CHECK.name, Some(part), title);
                let mut story = Story::default();
                let text = format!(
                    "{} led {} and answered {} at {}; asked again at {}, {} ({}) answered {}.",
                    before.node,
                    before.epoch,
                    before.hw,
                    before.answered,
                    after.asked,
                    after.node,
                    after.epoch,
                    after.hw
                );
                say(&mut story, case.facts, text, &[before.index, after.index]);
                (finding.story, finding.evidence) = (story.sentences, story.evidence);
                tally.found(findings, finding);
            }
        }
    }
    tally
}

/// A leader that saw its own high watermark going back, and wrote it.
fn wrote_so(case: &Case, part: &PartFacts, back: &HwBack, led: usize) -> Finding {
    let title = format!(
        "{}: {} led and saw its high watermark go back from {} to {}",
        part.name, back.node, back.from, back.to
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    let text = format!(
        "{} had become leader, followed nobody since, and wrote that its high watermark went from \
         {} to {}.",
        back.node, back.from, back.to
    );
    story.say(case.facts, text, &[led, back.line]);
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding
}

fn answers(case: &Case, part: &PartFacts) -> Vec<Answer> {
    let seen = part.seen.iter();
    seen.filter_map(|&index| {
        let observation = case.facts.observations[index as usize];
        match observation.seen {
            Seen::LeaderHw { epoch, hw, .. } => Some(Answer {
                node: observation.node,
                epoch,
                asked: observation.asked,
                answered: observation.answered,
                hw,
                index,
            }),
            _ => None,
        }
    })
    .collect()
}

/// How many times the broker's process had ended before the answer.
fn life(case: &Case, answer: &Answer) -> usize {
    case.facts
        .processes
        .iter()
        .filter(|event| {
            event.node == answer.node
                && event.service == Service::Broker
                && event.at <= answer.answered
                && matches!(event.change, history::ProcessChange::Exited(_))
        })
        .count()
}

/// The first answer that lies below one that had come before it was asked for.
fn regression(stream: &[Answer]) -> Option<(Answer, Answer)> {
    let mut by_asked: Vec<&Answer> = stream.iter().collect();
    by_asked.sort_by_key(|answer| answer.asked);
    let mut by_answered: Vec<&Answer> = stream.iter().collect();
    by_answered.sort_by_key(|answer| answer.answered);
    let mut come = by_answered.into_iter().peekable();
    let mut highest: Option<&Answer> = None;
    for after in by_asked {
        while let Some(before) = come.next_if(|before| before.answered < after.asked) {
            if highest.is_none_or(|known| before.hw > known.hw) {
                highest = Some(before);
            }
        }
        if let Some(before) = highest
            && after.hw < before.hw
        {
            return Some((*before, *after));
        }
    }
    None
}
