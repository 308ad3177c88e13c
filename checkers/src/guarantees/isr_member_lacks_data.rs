//! A member of the in-sync set holds all that its leader calls committed: its log never ends below a
//! high watermark that the leader gave before the member was asked.
//!
//! Judged only where the set is known from the leader's own lines and nobody changed it, its role,
//! its log or its process between the two answers.

use std::collections::BTreeMap;

use history::{Harm, Mark, NodeId, Seen};

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
        let Some(sets) = set_changes(case, part) else {
            continue;
        };
        let ends = log_ends(case, part);
        let changes: BTreeMap<NodeId, Option<Vec<TimeSpan>>> = part
            .replicas
            .iter()
            .map(|&node| (node, changes_of(case.facts, part, node)))
            .collect();
        for term in &part.roles.terms {
            for member in part.replicas.iter().filter(|node| **node != term.node) {
                let known = |node| changes.get(node).cloned().flatten();
                let (Some(mut all), Some(theirs)) = (known(&term.node), known(member)) else {
                    continue;
                };
                all.extend(theirs);
                all.extend(&sets);
                let pair = (term, *member);
                let compared = compared(case, part, pair, &Breaks::of(all), ends.get(member));
                tally.examined += compared.len() as u64;
                if let Some(finding) = tell(case, part, pair, &compared) {
                    tally.found(findings, finding);
                }
            }
        }
    }
    tally
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

fn log_ends(case: &Case, part: &PartFacts) -> BTreeMap<NodeId, Vec<u32>> {
    let mut ends: BTreeMap<NodeId, Vec<u32>> = BTreeMap::new();
    for &index in &part.seen {
        let seen = case.facts.observations[index as usize];
        if let Seen::LogEnd { .. } = seen.seen {
            ends.entry(seen.node).or_default().push(index);
        }
    }
    ends
}

/// The leader's high watermarks, each with a later log end of the member.
fn compared(
    case: &Case,
    part: &PartFacts,
    (term, member): (&Term, NodeId),
    breaks: &Breaks,
    ends: Option<&Vec<u32>>,
) -> Vec<(Answer, Answer)> {
    let given = part.seen.iter().filter_map(|&index| {
        let seen = case.facts.observations[index as usize];
        let hw = match seen.seen {
            Seen::LeaderHw { epoch, hw, .. } if epoch == term.epoch => hw,
            Seen::Watermarks { hw, .. } => hw,
            _ => return None,
        };
        let led = seen.node == term.node && led_at(case, part, term, seen.asked);
        let answer = breaks.place(seen, index, hw).filter(|_| led)?;
        set_at(case, part, term, seen.asked)?
            .contains(&member)
            .then_some(answer)
    });
    let held = ends.into_iter().flatten().filter_map(|&index| {
        let seen = case.facts.observations[index as usize];
        match seen.seen {
            Seen::LogEnd { leo, .. } => breaks.place(seen, index, leo),
            _ => None,
        }
    });
    in_order(given.collect(), held.collect())
}

/// Whether its own lines show that it led at a moment that touches none of them.
fn led_at(case: &Case, part: &PartFacts, term: &Term, at: Mark) -> bool {
    let after = |line| case.facts.line_span(line).is_some_and(|span| at > span.to);
    let ended = match term.until {
        Until::Open => false,
        Until::NextLife(line) | Until::LedAgain(line) => after(line),
        Until::Followed(follow) => after(part.roles.follows[follow].line),
    };
    after(term.line) && !ended
}

/// The in-sync set that a leader's own lines show at a moment of its leadership.
fn set_at<'a>(
    case: &Case,
    part: &'a PartFacts,
    term: &'a Term,
    at: Mark,
) -> Option<&'a Vec<NodeId>> {
    let updates = part.roles.isr_updates.iter();
    let mine = updates.filter(|(_, _, began, _)| *began == term.line);
    let mut last = &term.isr;
    for (line, _, _, set) in mine {
        if case.facts.line_span(*line)?.from <= at {
            last = set;
        }
    }
    Some(last)
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
        let hit = match harm.harm {
            Harm::SuffixLost { node, .. } | Harm::Wiped { node } | Harm::Damaged { node, .. } => {
                node == of
            }
            Harm::Deleted { .. } => false,
        };
        hit && harm.partition == part.name && harm.at <= before
    })
}
