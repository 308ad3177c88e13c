//! Answers of probes in an order that proves something (docs/guarantees.md, "Observations are not
//! atomic"): two answers are related only if the later question was asked after the earlier answer
//! came, and nothing in between can have moved what they speak of.
//!
//! It judges nothing. Where the lines of a broker cannot say what happened in between, its answers
//! are left out.

use std::time::Duration;

use history::{Event, Mark, NodeId, Observation, Offset, Service, notation};

use crate::facts::{Facts, PartFacts, Until};
use crate::gone::Story;
use crate::judgement::{StorySentence, TimeSpan, Witness};

/// A broker writes a line shortly before or after the deed that it tells of; so long around it
/// nothing is concluded.
const SOON: Duration = Duration::from_secs(1);

/// What one answer of one node said.
#[derive(Debug, Clone, Copy)]
pub struct Answer {
    /// Before the request was sent.
    pub asked: Mark,
    /// After the answer came.
    pub answered: Mark,
    /// What it said.
    pub value: Offset,
    /// Position in `observations`.
    pub index: u32,
    /// Between which breaks.
    pub stretch: usize,
}

/// Moments at which something changed; ascending, apart.
#[derive(Debug, Default)]
pub struct Breaks(Vec<(Mark, Mark)>);

impl Breaks {
    /// From intervals in any order.
    pub fn of(mut spans: Vec<TimeSpan>) -> Self {
        spans.sort_by_key(|span| span.from);
        let soon = SOON.as_nanos() as u64;
        let mut breaks: Vec<(Mark, Mark)> = Vec::with_capacity(spans.len());
        for span in spans {
            let from = Mark(span.from.0.saturating_sub(soon));
            let to = Mark(span.to.0.saturating_add(soon));
            match breaks.last_mut() {
                Some(last) if last.1 >= from => last.1 = last.1.max(to),
                Some(_) | None => breaks.push((from, to)),
            }
        }
        Self(breaks)
    }

    /// The quiet stretch in which an interval lies as a whole, if it touches no break.
    pub fn stretch(&self, asked: Mark, answered: Mark) -> Option<usize> {
        let before = self.0.partition_point(|(_, to)| *to < asked);
        let quiet = self.0.get(before).is_none_or(|(from, _)| answered < *from);
        quiet.then_some(before)
    }

    /// An answer, placed; absent if something changed while it was given.
    pub fn place(&self, seen: &Observation, index: u32, value: Offset) -> Option<Answer> {
        // Kafka's -1 stands for "not known".
        (value.0 >= 0).then_some(())?;
        Some(Answer {
            asked: seen.asked,
            answered: seen.answered,
            value,
            index,
            stretch: self.stretch(seen.asked, seen.answered)?,
        })
    }
}

/// When a replica changed its role, its log or its process; nothing if its lines do not tell.
pub fn changes_of(facts: &Facts, part: &PartFacts, node: NodeId) -> Option<Vec<TimeSpan>> {
    let roles = &part.roles;
    let mut spans = Vec::new();
    let mut spoke = false;
    for term in roles.terms.iter().filter(|term| term.node == node) {
        spoke = true;
        spans.push(facts.line_span(term.line)?);
        if let Until::NextLife(line) = term.until {
            spans.push(facts.line_span(line)?);
        }
    }
    for follow in roles.follows.iter().filter(|follow| follow.node == node) {
        spoke = true;
        spans.push(facts.line_span(follow.line)?);
    }
    for cut in roles.cuts.iter().filter(|cut| cut.node == node) {
        spans.push(facts.line_span(cut.line)?);
    }
    for back in roles.hw_back.iter().filter(|back| back.node == node) {
        let mut span = facts.line_span(back.line)?;
        // A cut lowers the log end first; its own line comes before both.
        if let Some(cut) = back.cut {
            span.from = span.from.min(facts.line_span(roles.cuts[cut].line)?.from);
        }
        spans.push(span);
    }
    for event in &facts.processes {
        let (from, to) = (event.at, event.at);
        let counts = match event.change {
            history::ProcessChange::Started { .. } | history::ProcessChange::Exited(_) => true,
            history::ProcessChange::Paused | history::ProcessChange::Resumed => false,
        };
        if counts && event.node == node && event.service == Service::Broker {
            spans.push(TimeSpan { from, to });
        }
    }
    spoke.then_some(spans)
}

/// Every answer of `ys` with the highest of those `xs` that had come, in the same stretch, before it
/// was asked for.
pub fn in_order(mut xs: Vec<Answer>, mut ys: Vec<Answer>) -> Vec<(Answer, Answer)> {
    xs.sort_by_key(|answer| answer.answered);
    ys.sort_by_key(|answer| answer.asked);
    let mut come = xs.into_iter().peekable();
    let mut highest: Option<Answer> = None;
    let mut pairs = Vec::new();
    for y in ys {
        while let Some(x) = come.next_if(|x| x.answered < y.asked) {
            let higher = |known: Answer| x.stretch != known.stretch || x.value > known.value;
            if highest.is_none_or(higher) {
                highest = Some(x);
            }
        }
        if let Some(x) = highest.filter(|x| x.stretch == y.stretch) {
            pairs.push((x, y));
        }
    }
    pairs
}

/// A sentence that rests on answers of probes.
pub fn say(story: &mut Story, facts: &Facts, text: String, answers: &[u32]) {
    let mut evidence = Vec::new();
    for &index in answers {
        let seen = facts.observations[index as usize];
        evidence.push(story.evidence.len() as u32);
        story.evidence.push(Witness {
            node: Some(seen.node),
            source: "history".to_owned(),
            line: None,
            at: Some(TimeSpan {
                from: seen.asked,
                to: seen.answered,
            }),
            text: notation::print(&[Event::Observed(seen.clone())])
                .trim()
                .to_owned(),
        });
    }
    story.sentences.push(StorySentence {
        text,
        evidence,
        missing: None,
    });
}
