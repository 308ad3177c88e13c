//! A member of the in-sync set holds all that its leader calls committed: its log never ends below a
//! high watermark that the leader gave before the member was asked.
//!
//! Judged only where the set is known from the leader's own lines and nobody changed it, its role,
//! its log or its process between the two answers.

use std::collections::BTreeMap;

use history::{Mark, NodeId, Seen};

use super::probes::{Answer, Breaks, changes_of, in_order, say};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::{PartFacts, Term, Until};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Class, Finding, Group, Standing, TimeSpan};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "isr-member-lacks-data",
    sentence: "every in-sync replica holds all that its leader calls committed",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("log ends of in-sync followers, each after an answer of its leader");
    if case.parts().all(|part| part.replicas.len() < 2) {
        tally.promise = Promise::No {
            why: "a single replica has no follower".to_owned(),
            change: Some("more replicas".to_owned()),
        };
        return tally;
    }
    for part in case.parts() {
        let Some(breaks) = breaks(case, part) else {
            continue;
        };
        let told = Told::of(case, part);
        let sets = sets(case, part);
        for term in &part.roles.terms {
            for member in part.replicas.iter().filter(|node| **node != term.node) {
                let Some(breaks) = breaks.get(&(term.node, *member)) else {
                    continue;
                };
                let pair = (term, *member);
                let of_term = sets.get(&term.line).map_or(&[][..], Vec::as_slice);
                let compared = told.compared(case, part, pair, breaks, of_term);
                tally.examined += compared.len() as u64;
                if let Some(finding) = tell(case, part, pair, &compared) {
                    tally.found(findings, finding);
                }
            }
        }
    }
    tally
}

/// Of each pair of replicas whose lines tell, when anything between the two changed; nothing if a
/// change of the in-sync set cannot be placed.
fn breaks(case: &Case, part: &PartFacts) -> Option<BTreeMap<(NodeId, NodeId), Breaks>> {
    let sets = set_changes(case, part)?;
    let changes: Vec<(NodeId, Vec<TimeSpan>)> = part
        .replicas
        .iter()
        .filter_map(|&node| Some((node, changes_of(case.facts, part, node)?)))
        .collect();
    let mut breaks = BTreeMap::new();
    for (leader, ours) in &changes {
        for (member, theirs) in changes.iter().filter(|(member, _)| member != leader) {
            let all = ours.iter().chain(theirs).chain(&sets).copied().collect();
            breaks.insert((*leader, *member), Breaks::of(all));
        }
    }
    Some(breaks)
}

/// When the in-sync set changed, or was asked to; nothing if a line of it cannot be placed.
fn set_changes(case: &Case, part: &PartFacts) -> Option<Vec<TimeSpan>> {
    let roles = &part.roles;
    let asked = roles.shrinks.iter().map(|(line, ..)| *line);
    let done = roles.isr_updates.iter().map(|(line, ..)| *line);
    let versions = roles.versions.values().map(|(.., line)| *line);
    let mut spans: Vec<TimeSpan> = asked
        .chain(done)
        .chain(versions.filter(|line| *line != usize::MAX))
        .map(|line| case.facts.line_span(line))
        .collect::<Option<_>>()?;
    // What only ZooKeeper showed happened after what it had shown before.
    let mut before: Option<(i32, Mark)> = None;
    for &index in &part.seen {
        let seen = case.facts.observations[index as usize];
        if let Seen::ZkState { version, .. } = seen.seen {
            let told = roles.versions.get(&version);
            let told = told.is_some_and(|(.., line)| *line != usize::MAX);
            if let Some((_, from)) = before.filter(|(known, _)| version > *known && !told) {
                let to = seen.answered.max(from);
                spans.push(TimeSpan { from, to });
            }
            if before.is_none_or(|(known, _)| version > known) {
                before = Some((version, seen.answered));
            }
        }
    }
    Some(spans)
}

/// A leader's changes of its in-sync set: when, and to what; ascending.
type Sets<'a> = Vec<(Mark, &'a [NodeId])>;

/// The changes by the line that began the leadership.
fn sets<'a>(case: &Case, part: &'a PartFacts) -> BTreeMap<usize, Sets<'a>> {
    let mut sets: BTreeMap<usize, Sets> = BTreeMap::new();
    for (line, _, began, set) in &part.roles.isr_updates {
        // That every line can be placed was looked at before.
        if let Some(span) = case.facts.line_span(*line) {
            sets.entry(*began).or_default().push((span.from, set));
        }
    }
    for changes in sets.values_mut() {
        changes.sort_by_key(|(from, _)| *from);
    }
    sets
}

/// Answers by who gave them, in the order in which they were asked for; positions in
/// `observations`.
#[derive(Debug, Default)]
struct Told {
    watermarks: BTreeMap<NodeId, Vec<u32>>,
    ends: BTreeMap<NodeId, Vec<u32>>,
}

impl Told {
    fn of(case: &Case, part: &PartFacts) -> Self {
        let mut told = Self::default();
        for &index in &part.seen {
            let seen = case.facts.observations[index as usize];
            let answers = match seen.seen {
                Seen::LogEnd { .. } => &mut told.ends,
                Seen::LeaderHw { .. } | Seen::Watermarks { .. } => &mut told.watermarks,
                Seen::Belief { .. }
                | Seen::Controller { .. }
                | Seen::ZkState { .. }
                | Seen::Silent { .. } => continue,
            };
            answers.entry(seen.node).or_default().push(index);
        }
        for answers in told.watermarks.values_mut().chain(told.ends.values_mut()) {
            answers.sort_by_key(|&index| case.facts.observations[index as usize].asked);
        }
        told
    }

    /// The leader's high watermarks, each with a later log end of the member.
    fn compared(
        &self,
        case: &Case,
        part: &PartFacts,
        (term, member): (&Term, NodeId),
        breaks: &Breaks,
        sets: &[(Mark, &[NodeId])],
    ) -> Vec<(Answer, Answer)> {
        let Some(led) = led(case, part, term) else {
            return Vec::new();
        };
        let within = |answers: Option<&Vec<u32>>| -> Vec<u32> {
            let answers = answers.map_or(&[][..], Vec::as_slice);
            let asked = |index: u32| case.facts.observations[index as usize].asked;
            let from = answers.partition_point(|&index| asked(index) <= led.from);
            let to = answers.partition_point(|&index| asked(index) <= led.to);
            answers[from..to.max(from)].to_vec()
        };
        let given = within(self.watermarks.get(&term.node)).into_iter();
        let given = given.filter_map(|index| {
            let seen = case.facts.observations[index as usize];
            let hw = match seen.seen {
                Seen::LeaderHw { epoch, hw, .. } if epoch == term.epoch => hw,
                Seen::Watermarks { hw, .. } => hw,
                _ => return None,
            };
            let changes = sets.partition_point(|(from, _)| *from <= seen.asked);
            let set = changes
                .checked_sub(1)
                .map_or(&term.isr[..], |at| sets[at].1);
            let answer = breaks.place(seen, index, hw)?;
            set.contains(&member).then_some(answer)
        });
        let held = within(self.ends.get(&member)).into_iter();
        let held = held.filter_map(|index| {
            let seen = case.facts.observations[index as usize];
            match seen.seen {
                Seen::LogEnd { leo, .. } => breaks.place(seen, index, leo),
                _ => None,
            }
        });
        in_order(given.collect(), held.collect())
    }
}

/// From its first line to its last, as far as its own lines show.
fn led(case: &Case, part: &PartFacts, term: &Term) -> Option<TimeSpan> {
    let to = match term.until {
        Until::Open => Mark(u64::MAX),
        Until::NextLife(line) | Until::LedAgain(line) => case.facts.line_span(line)?.to,
        Until::Followed(follow) => case.facts.line_span(part.roles.follows[follow].line)?.to,
    };
    let from = case.facts.line_span(term.line)?.to;
    Some(TimeSpan { from, to })
}

fn tell(
    case: &Case,
    part: &PartFacts,
    (term, member): (&Term, NodeId),
    compared: &[(Answer, Answer)],
) -> Option<Finding> {
    let mut wrong = compared.iter().filter(|(hw, end)| hw.value > end.value);
    let (hw, end) = wrong.next()?;
    let count = 1 + wrong.count() as u64;
    let leader = term.node;
    let title = format!(
        "{}: {member} was in sync and ended at {}, below the {} of {leader}",
        part.name, end.value, hw.value
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    let text = format!(
        "{leader}, the leader of {}, gave {} as its high watermark at {}, with {member} in its \
         in-sync set; asked after that, at {}, {member} said that its log ends at {}. In between \
         neither the set nor the role, the process or the log of either was changed.",
        term.epoch, hw.value, hw.answered, end.asked, end.value
    );
    say(&mut story, case.facts, text, &[hw.index, end.index]);
    if count > 1 {
        let answers = many(count, "answer", "answers");
        story.say(case.facts, format!("So did {answers} in all."), &[]);
    }
    if harmed(case, part, member, end.answered) {
        (finding.class, finding.standing) = (Class::LossyLeader, Standing::NotPromised);
        let text = format!("{member} had lost part of its log by a fault of ours.");
        story.say(case.facts, text, &[]);
    }
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding.count = count;
    Some(finding)
}

/// Whether a power cut or damage of ours had taken something from a replica.
fn harmed(case: &Case, part: &PartFacts, of: NodeId, before: Mark) -> bool {
    case.facts.harms.iter().any(|harm| {
        let hit = harm.harm.replica().is_some_and(|(node, _)| node == of);
        hit && harm.partition == part.name && harm.at <= before
    })
}
