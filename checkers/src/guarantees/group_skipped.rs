//! A group processes every record up to where it has come, as far as its way of committing promises
//! that.
//!
//! Records behind a group's furthest position are not due. A conclusion from absence: a history that
//! breaks off says nothing.

use history::{CommitMode, Mark, Offset};

use super::groups::{self, Group, Story};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::PartFacts;
use crate::facts::txns::{Marked, Stretches, Txns};
use crate::findings::Findings;
use crate::gone::{Story as Told, many};
use crate::judgement::{self, Class, Ended, Finding, OffsetRange, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "group-skipped",
    sentence: "a group skips no record",
    group: judgement::Group::Records,
    premises: &["history-whole", "final-logs"],
    look,
};

/// Why records were left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Nothing explains it.
    Unexplained,
    /// What the group had committed may be lost, or nobody recorded whether it had committed.
    OffsetsLost,
    /// Its consumer went forwards by itself.
    Sought,
    /// The group commits before it has processed.
    CommittedFirst,
    /// Without a committed offset it begins at the log's end (`auto.offset.reset`).
    BeganLater,
}

/// A stretch of skipped records: why, from, to (exclusive), how many, the delivery behind it.
type Gap = (Why, Offset, Offset, u64, Option<u32>);

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let groups = groups::of(case);
    if groups.is_empty() {
        return Tally::absent();
    }
    let recording = case.facts.recording;
    let whole = recording.torn.is_none() && recording.ended == Ended::Completed;
    let mut tally = Tally {
        blocked: case
            .no_final_log()
            .or_else(|| (!whole).then(|| "the evidence is not whole".to_owned())),
        ..Tally::of("records within reach of groups")
    };
    if !whole {
        return tally;
    }
    let txns = Txns::with_markers(case.facts);
    let mut permitted = None;
    for part in case.parts() {
        for group in &groups {
            let story = groups::story(case, group, part, &txns);
            let (examined, mut gaps) = gaps(case, group, part, &story);
            tally.examined += examined;
            gaps.sort_unstable();
            for gaps in gaps.chunk_by(|a, b| a.0 == b.0) {
                let finding = tell(case, group, part, gaps);
                if finding.standing == Standing::NotPromised {
                    permitted = Some(gaps[0].0);
                }
                tally.found(findings, finding);
            }
        }
    }
    tally.promise = promise(&groups, permitted);
    tally
}

fn promise(groups: &[Group], permitted: Option<Why>) -> Promise {
    let no = |why: &str, change: &str| Promise::No {
        why: why.to_owned(),
        change: Some(change.to_owned()),
    };
    let change = "commits after processing";
    if groups.iter().all(commits_first) {
        return no(
            "what is committed before it is processed may be skipped",
            change,
        );
    }
    match permitted {
        Some(Why::Sought) => no("a consumer that goes forwards skips what it passes", change),
        Some(Why::BeganLater) => no(
            "without a committed offset the group begins at the log's end",
            "auto.offset.reset=earliest",
        ),
        Some(_) => no(
            "what is committed before it is processed may be skipped",
            change,
        ),
        None => Promise::Yes("what is not processed is not committed".to_owned()),
    }
}

fn commits_first(group: &Group) -> bool {
    group.commits(CommitMode::AutoAsync) || group.commits(CommitMode::Before)
}

/// Goes through the final log and the group's offsets side by side.
fn gaps(case: &Case, group: &Group, part: &PartFacts, story: &Story) -> (u64, Vec<Gap>) {
    let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
        return (0, Vec::new());
    };
    let read = |read: u32| case.facts.ops.read(read);
    let mut given: Vec<(Offset, u32)> = story.given.iter().map(|&r| (read(r).offset, r)).collect();
    given.sort_unstable();
    given.dedup_by_key(|(offset, _)| *offset);
    let Some((start, end)) = reach(case, group, story, &given, fin.start) else {
        return (0, Vec::new());
    };
    let stretches = group.read_committed.then(|| Stretches::of(log));
    let (mut examined, mut next) = (0, 0);
    let mut gaps: Vec<Gap> = Vec::new();
    for batch in log.log.batches.iter().filter(|batch| !batch.is_control()) {
        if batch.last < start || batch.base >= end {
            continue;
        }
        let stretch = stretches.as_ref().and_then(|all| all.of_batch(batch));
        if stretch.is_some_and(|stretch| stretch.marked != Marked::Committed) {
            continue;
        }
        for record in log.log.records_of(batch) {
            if record.offset < start || record.offset >= end {
                continue;
            }
            examined += 1;
            while given.get(next).is_some_and(|(at, _)| *at < record.offset) {
                next += 1;
            }
            if given.get(next).is_some_and(|(at, _)| *at == record.offset) {
                continue;
            }
            let behind = given.get(next).map(|(_, read)| *read);
            let why = match sought_beyond(case, story, record.offset, behind) {
                true => Why::Sought,
                false => Why::Unexplained,
            };
            match gaps.last_mut() {
                // The same delivery is behind both: one gap.
                Some((same_why, _, to, count, same)) if (*same_why, *same) == (why, behind) => {
                    (*to, *count) = (Offset(record.offset.0 + 1), *count + 1);
                }
                _ => {
                    let to = Offset(record.offset.0 + 1);
                    gaps.push((why, record.offset, to, 1, behind));
                }
            }
        }
    }
    for gap in gaps.iter_mut().filter(|gap| gap.0 != Why::Sought) {
        gap.0 = why(case, group, story, gap);
    }
    (examined, gaps)
}

/// From where and how far a group must have processed. Where it began it may have asked for.
fn reach(
    case: &Case,
    group: &Group,
    story: &Story,
    given: &[(Offset, u32)],
    log_start: Offset,
) -> Option<(Offset, Offset)> {
    let first = given.first().map(|(at, _)| *at);
    let committed = story.commits.iter().map(|commit| commit.next);
    let furthest = given.last().map(|(at, _)| Offset(at.0 + 1));
    let end = furthest.into_iter().chain(committed).max()?;
    let began = story.given.iter().map(|&read| case.facts.ops.read(read));
    let began = began.min_by_key(|read| read.returned);
    let asked = story.sought.iter().filter(|(at, by, _)| {
        began.is_some_and(|began| *at <= began.returned && *by == began.client)
    });
    let asked = asked.map(|(.., at)| *at).min();
    let start = match asked {
        Some(asked) if asked.0 >= 0 => asked.min(first.unwrap_or(asked)),
        _ if group.from_start && !group.alone() => log_start,
        _ => first?,
    };
    Some((start.max(log_start), end))
}

/// Whether who came behind a record, by a delivery or a commit, had asked for a position beyond it.
fn sought_beyond(case: &Case, story: &Story, at: Offset, behind: Option<u32>) -> bool {
    let by =
        |client, to, until| story.sought_within(client, (Offset(at.0 + 1), to), (Mark(0), until));
    match behind.map(|read| case.facts.ops.read(read)) {
        Some(read) => by(read.client, read.offset, read.returned),
        None => {
            let mut behind = story.commits.iter().filter(|commit| commit.next > at);
            behind.any(|commit| by(commit.call.client, commit.next, commit.asked))
        }
    }
}

fn why(case: &Case, group: &Group, story: &Story, gap: &Gap) -> Why {
    let &(_, _, to, _, behind) = gap;
    let behind = behind.map(|read| case.facts.ops.read(read));
    if commits_first(group) {
        return Why::CommittedFirst;
    }
    if group.alone() {
        return Why::Unexplained;
    }
    if groups::offsets_may_be_lost(case).is_some() {
        return Why::OffsetsLost;
    }
    let (Some(read), false) = (behind, group.from_start) else {
        return Why::Unexplained;
    };
    // It may have begun anew, without a committed offset, behind the gap.
    let began = story.moved_within(Mark(0), read.returned);
    let told = story
        .commits
        .iter()
        .any(|commit| commit.answered <= read.returned && commit.next < to);
    match (began, told) {
        (false, _) | (true, true) => Why::Unexplained,
        (true, false) if group.commits(CommitMode::Auto) => Why::OffsetsLost,
        (true, false) => Why::BeganLater,
    }
}

fn tell(case: &Case, group: &Group, part: &PartFacts, gaps: &[Gap]) -> Finding {
    let (why, from, to, _, behind) = gaps[0];
    let count = gaps.iter().map(|gap| gap.3).sum();
    let (how, class, standing) = match why {
        Why::Unexplained => ("without cause", Class::Unexplained, Standing::Broken),
        Why::OffsetsLost => (
            "behind offsets that may be lost",
            Class::Undetermined,
            Standing::Undetermined,
        ),
        Why::Sought => ("on request", Class::Plain, Standing::NotPromised),
        Why::CommittedFirst => ("committed first", Class::Plain, Standing::NotPromised),
        Why::BeganLater => (
            "before it had committed anything",
            Class::Plain,
            Standing::NotPromised,
        ),
    };
    let title = format!(
        "{}: {} skipped by {}, {how}",
        part.name,
        many(count, "record", "records"),
        group.name
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let then = match behind.map(|read| case.facts.ops.read(read)) {
        Some(read) => format!(
            "{} was given to {} ({}) by {}",
            read.offset, read.client, read.op, read.returned
        ),
        None => "its committed offset lies behind them".to_owned(),
    };
    let text = format!(
        "From {from} on, before {to}, nothing was given to any consumer of {}, and yet {then}.",
        group.name
    );
    let mut told = Told::default();
    told.say(case.facts, text, &[]);
    if why == Why::OffsetsLost {
        let doubt =
            groups::offsets_may_be_lost(case).unwrap_or("automatic commits are not recorded");
        told.missing(format!("{doubt}."), "The offsets topic's own history.");
    }
    finding.story = told.sentences;
    finding.class = class;
    finding.standing = standing;
    finding.count = count;
    finding.offsets = Some(OffsetRange {
        from: from.0,
        to: gaps[gaps.len() - 1].2.0,
    });
    finding.first = behind.map(|read| case.given(read));
    finding.last = gaps
        .last()
        .and_then(|gap| gap.4)
        .map(|read| case.given(read));
    finding
}
