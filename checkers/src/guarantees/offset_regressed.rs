//! What a group has committed stays committed: the next position that it is given, and the next that
//! it commits, lie no lower.
//!
//! A consumer that goes back by itself may commit less than before, and so may consumers that share a
//! group's name without joining it: nobody fences them.

use history::{Call, ClientId, Mark, Offset, Rebalance};

use super::groups::{self, Commit, Group, Story};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::PartFacts;
use crate::facts::txns::Txns;
use crate::findings::Findings;
use crate::gone::{Story as Told, many};
use crate::judgement::{self, Class, Finding, OffsetRange, OpWitness, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "offset-regressed",
    sentence: "a committed offset never goes back",
    group: judgement::Group::Records,
    premises: &["history-whole", "clocks-monotonic"],
    look,
};

/// A committed offset that went back.
#[derive(Debug, Clone, Copy)]
struct Back<'a> {
    /// What had been committed.
    before: Commit<'a>,
    /// Where it was found to stand.
    now: Offset,
    /// By a delivery after the partition was assigned anew (as `ops.read` counts), or by a commit.
    shown: Shown<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Shown<'a> {
    Given(u32),
    Committed(Commit<'a>),
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let groups = groups::of(case);
    let commits = |group: &Group| {
        let mut calls = case.facts.calls.iter();
        !group.alone()
            && calls.any(|call| matches!(call.call, Call::Commit { .. }) && group.has(call.client))
            || group.commits(history::CommitMode::Transaction)
    };
    if !groups.iter().any(commits) {
        return Tally::absent();
    }
    let txns = Txns::with_markers(case.facts);
    let mut tally = Tally::of("commits of groups");
    for part in case.parts() {
        for group in groups.iter().filter(|group| commits(group)) {
            let story = groups::story(case, group, part, &txns);
            tally.examined += story.commits.len() as u64;
            let (fenced, free) = backs(case, group, part, &story);
            for (backs, free) in [(fenced, false), (free, true)] {
                if let Some(finding) = tell(case, group, part, &backs, free) {
                    tally.found(findings, finding);
                }
            }
        }
    }
    if findings_permitted(&tally, findings) {
        tally.promise = Promise::No {
            why: "consumers that do not join their group overwrite each other's commits".to_owned(),
            change: Some("consumers that subscribe".to_owned()),
        };
    }
    tally
}

fn findings_permitted(tally: &Tally, findings: &Findings) -> bool {
    let mut found = tally.findings.iter().map(|&id| findings.get(id).standing);
    found.any(|standing| standing == Standing::NotPromised)
}

/// Offsets that went back: those of members that a coordinator fences, and those of others.
fn backs<'a>(
    case: &Case<'a>,
    group: &Group,
    part: &PartFacts,
    story: &Story<'a>,
) -> (Vec<Back<'a>>, Vec<Back<'a>>) {
    let (mut fenced, mut free) = (Vec::new(), Vec::new());
    let joined = |client: ClientId| {
        let mut calls = case.facts.calls.iter();
        calls.any(|call| call.client == client && matches!(call.call, Call::Subscribe { .. }))
    };
    let mut asked: Vec<Commit> = story.commits.clone();
    asked.sort_by_key(|commit| (commit.asked, commit.call.op));
    let mut answered = story.commits.iter().peekable();
    let mut highest: Option<Commit> = None;
    for commit in asked {
        while let Some(earlier) = answered.next_if(|earlier| earlier.answered < commit.asked) {
            if highest.is_none_or(|high| high.next <= earlier.next) {
                highest = Some(*earlier);
            }
        }
        let Some(before) = highest.filter(|high| high.next > commit.next) else {
            continue;
        };
        let during = (before.asked, commit.answered);
        if story.sought_within(commit.call.client, (Offset(i64::MIN), commit.next), during) {
            // It goes on from there.
            highest = Some(commit);
            continue;
        }
        let back = Back {
            before,
            now: commit.next,
            shown: Shown::Committed(commit),
        };
        let others = before.call.client != commit.call.client;
        match others && !joined(before.call.client) && !joined(commit.call.client) {
            true => free.push(back),
            false => fenced.push(back),
        }
    }
    // The first delivery after an assignment shows the position that was fetched; what is shown so
    // needs no commit to show it again.
    let given = given_lower(case, group, part, story);
    if let Some(first) = given.first() {
        let at = shown_at(case, &first.shown);
        fenced.retain(|back| shown_at(case, &back.shown) < at);
        fenced.extend(given);
    }
    (fenced, free)
}

fn shown_at(case: &Case, shown: &Shown) -> Mark {
    match shown {
        Shown::Given(read) => case.facts.ops.read(*read).returned,
        Shown::Committed(commit) => commit.asked,
    }
}

/// First deliveries after an assignment that lie below what had been committed before it.
fn given_lower<'a>(
    case: &Case<'a>,
    group: &Group,
    part: &PartFacts,
    story: &Story<'a>,
) -> Vec<Back<'a>> {
    let facts = case.facts;
    let mut backs = Vec::new();
    let assigned = facts.rebalances.iter().filter(|event| {
        event.change == Rebalance::Assigned
            && group.has(event.client)
            && event.partitions.contains(&part.name)
    });
    for event in assigned {
        let first = story.given.iter().copied().find(|&read| {
            let read = facts.ops.read(read);
            read.client == event.client && read.returned >= event.at
        });
        let Some(index) = first else { continue };
        let read = facts.ops.read(index);
        let mut before = story.commits.iter().rev();
        let higher = |commit: &&Commit| commit.answered < event.at && commit.next > read.offset;
        let Some(before) = before.find(higher) else {
            continue;
        };
        // What others sought they may have committed before, and not afterwards.
        let sought = group.clients.iter().any(|&client| {
            let until = match client == event.client {
                true => read.returned,
                false => event.at,
            };
            let back = (Offset(i64::MIN), read.offset);
            story.sought_within(client, back, (before.asked, until))
        });
        if !sought {
            backs.push(Back {
                before: *before,
                now: read.offset,
                shown: Shown::Given(index),
            });
        }
    }
    backs
}

fn tell(
    case: &Case,
    group: &Group,
    part: &PartFacts,
    backs: &[Back],
    free: bool,
) -> Option<Finding> {
    let (first, last) = (backs.first()?, backs.last()?);
    let count = backs.len() as u64;
    let title = format!(
        "{}: the committed offset of {} went back {}",
        part.name,
        group.name,
        many(count, "time", "times")
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let how = match first.shown {
        Shown::Given(read) => {
            let read = case.facts.ops.read(read);
            format!(
                "{} ({}) was given {} after it",
                read.client, read.op, first.now
            )
        }
        Shown::Committed(commit) => {
            let call = commit.call;
            format!(
                "{} ({}) committed {} after it",
                call.client, call.op, first.now
            )
        }
    };
    let call = first.before.call;
    let text = format!(
        "{} ({}) had committed {} by {}; {how}.",
        call.client, call.op, first.before.next, first.before.answered
    );
    let mut told = Told::default();
    told.say(case.facts, text, &[]);
    (finding.class, finding.standing) = match groups::offsets_may_be_lost(case) {
        _ if free => (Class::Plain, Standing::NotPromised),
        Some(doubt) => {
            told.missing(format!("{doubt}."), "The offsets topic's own history.");
            (Class::Undetermined, Standing::Undetermined)
        }
        None => (Class::Unexplained, Standing::Broken),
    };
    finding.story = told.sentences;
    finding.count = count;
    finding.offsets = Some(OffsetRange {
        from: backs.iter().map(|back| back.now.0).min().unwrap_or(0),
        to: backs
            .iter()
            .map(|back| back.before.next.0)
            .max()
            .unwrap_or(0),
    });
    let witness = |back: &Back| match back.shown {
        Shown::Given(read) => case.given(read),
        Shown::Committed(commit) => OpWitness {
            op: commit.call.op,
            client: commit.call.client,
            value: None,
            offset: Some(back.now.0),
            invoked: commit.asked,
            returned: Some(commit.answered),
        },
    };
    finding.first = Some(witness(first));
    finding.last = Some(witness(last));
    Some(finding)
}
