//! A group processes each record once, as far as its way of committing promises that.
//!
//! At least once is what committing after processing gives: after a rebalance or a restart records
//! come again, and without one they do not. What a consumer asked for again is its own wish.

use history::{CommitMode, Mark, Offset};

use super::groups::{self, Group, Story};
use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::txns::{Fate, Txns};
use crate::facts::{PartFacts, ReadFact};
use crate::findings::Findings;
use crate::gone::{Story as Told, many};
use crate::judgement::{self, Class, Finding, OffsetRange, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "redelivered",
    sentence: "a group processes each record once",
    group: judgement::Group::Order,
    premises: &["history-whole"],
    look,
};

/// Why a record came again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Why {
    /// Nothing explains it.
    Unexplained,
    /// What its group had committed may be lost.
    OffsetsLost,
    /// Whether the transaction of one of the two deliveries was committed, nobody knows.
    PerhapsOnce,
    /// The partition changed hands in between, or a consumer joined.
    Moved,
    /// Its consumer went back by itself.
    Sought,
    /// Nobody was told that its offset is committed.
    Uncommitted,
    /// The group commits whatever was processed.
    Unordered,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let groups = groups::of(case);
    if groups.is_empty() {
        return Tally::absent();
    }
    let txns = Txns::with_markers(case.facts);
    let mut tally = Tally::of("records that groups processed");
    let mut permitted = None;
    for part in case.parts() {
        for group in &groups {
            let story = groups::story(case, group, part, &txns);
            tally.examined += story.given.len() as u64;
            let mut pairs = again(case, group, &story, &txns);
            pairs.sort_unstable();
            for pairs in pairs.chunk_by(|a, b| a.0 == b.0) {
                let finding = tell(case, group, part, pairs);
                if finding.standing == Standing::NotPromised {
                    permitted = Some(pairs[0].0);
                }
                tally.found(findings, finding);
            }
        }
    }
    tally.promise = promise(&groups, permitted);
    tally
}

fn promise(groups: &[Group], permitted: Option<Why>) -> Promise {
    let no = |why: &str| Promise::No {
        why: why.to_owned(),
        change: Some("offsets committed within the transaction".to_owned()),
    };
    if groups
        .iter()
        .all(|group| group.commits(CommitMode::AutoAsync))
    {
        return no("committing whatever was given says nothing about what was processed");
    }
    match permitted {
        Some(Why::Moved) => no(
            "committing after processing gives records at least once: after a \
                               rebalance or a restart they may come again",
        ),
        Some(Why::Sought) => no("a consumer that goes back is given records again"),
        Some(_) => no("what nobody was told is committed may come again"),
        None => Promise::Yes("without a rebalance or a restart nothing comes again".to_owned()),
    }
}

/// A record that came again: why, its offset, the delivery before and this one.
type Again = (Why, Offset, u32, u32);

/// Deliveries of an offset that had been delivered before, each with the one before it.
fn again(case: &Case, group: &Group, story: &Story, txns: &Txns) -> Vec<Again> {
    let offset = |&read: &u32| case.facts.ops.read(read).offset;
    // Readers go forwards: then there is nothing to sort.
    let given = &story.given;
    if given
        .windows(2)
        .all(|pair| offset(&pair[0]) < offset(&pair[1]))
    {
        return Vec::new();
    }
    let mut sorted: Vec<(Offset, u32)> = given.iter().map(|read| (offset(read), *read)).collect();
    sorted.sort_unstable();
    let mut undone: Vec<(Offset, Mark, u32)> = story
        .undone
        .iter()
        .map(|read| (offset(read), case.facts.ops.read(*read).returned, *read))
        .collect();
    undone.sort_unstable();
    // With which delivery a record came again at first: one that was then aborted was one too.
    let first = |at: Offset, before: u32, after: u32| {
        let [from, to] = [before, after].map(|read| case.facts.ops.read(read).returned);
        let next = undone.partition_point(|known| (known.0, known.1) <= (at, from));
        let next = undone.get(next);
        next.filter(|(offset, when, _)| *offset == at && *when < to)
            .map_or(after, |(.., read)| *read)
    };
    let pairs = sorted.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    pairs
        .map(|pair| {
            let (at, before, after) = (pair[0].0, pair[0].1, pair[1].1);
            let first = first(at, before, after);
            let why = why(case, group, story, txns, (before, after), first);
            (why, at, before, after)
        })
        .collect()
}

fn why(
    case: &Case,
    group: &Group,
    story: &Story,
    txns: &Txns,
    (before, after): (u32, u32),
    first: u32,
) -> Why {
    let [before, after, first] = [before, after, first].map(|read| case.facts.ops.read(read));
    let during = (before.invoked, after.returned);
    let back = (Offset(i64::MIN), after.offset);
    if story.sought_within(first.client, back, (before.invoked, first.returned)) {
        return Why::Sought;
    }
    if group.commits(CommitMode::AutoAsync) {
        return Why::Unordered;
    }
    if group.commits(CommitMode::Before) {
        return match committed(story, &before, after.invoked) {
            true => lost_or(case, Why::Unexplained),
            false => Why::Uncommitted,
        };
    }
    if group.commits(CommitMode::Transaction) {
        let sure = |read: &ReadFact| {
            let txn = txns.containing(read.client, read.op);
            txn.is_some_and(|txn| txns.get(txn).fate == Fate::Committed)
        };
        return match sure(&before) && sure(&after) {
            true => lost_or(case, Why::Unexplained),
            false => Why::PerhapsOnce,
        };
    }
    let handed = before.client != after.client || story.moved_within(during.0, during.1);
    match group.alone() {
        true => Why::Unexplained,
        false if handed => Why::Moved,
        false => Why::Unexplained,
    }
}

/// Whether the group was told that a delivered record's offset is committed, before a moment.
fn committed(story: &Story, read: &ReadFact, by: Mark) -> bool {
    let mut commits = story.commits.iter();
    commits.any(|commit| commit.next > read.offset && commit.answered <= by)
}

fn lost_or(case: &Case, otherwise: Why) -> Why {
    match groups::offsets_may_be_lost(case) {
        Some(_) => Why::OffsetsLost,
        None => otherwise,
    }
}

fn tell(case: &Case, group: &Group, part: &PartFacts, pairs: &[Again]) -> Finding {
    let (why, at, before, after) = pairs[0];
    let count = pairs.len() as u64;
    let (how, class, standing) = match why {
        Why::Unexplained => ("without cause", Class::Unexplained, Standing::Broken),
        Why::OffsetsLost => (
            "after offsets that may be lost",
            Class::Undetermined,
            Standing::Undetermined,
        ),
        Why::PerhapsOnce => (
            "in transactions of unknown end",
            Class::Undetermined,
            Standing::Undetermined,
        ),
        Why::Moved => (
            "after a rebalance or a restart",
            Class::Resend,
            Standing::NotPromised,
        ),
        Why::Sought => ("on request", Class::Resend, Standing::NotPromised),
        Why::Uncommitted => ("uncommitted", Class::Resend, Standing::NotPromised),
        Why::Unordered => ("between commits", Class::Resend, Standing::NotPromised),
    };
    let title = format!(
        "{}: {} given to {} again, {how}",
        part.name,
        many(count, "record", "records"),
        group.name
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let [one, two] = [before, after].map(|read| case.facts.ops.read(read));
    let text = format!(
        "{at} was given to {} ({}) by {} and to {} ({}) by {}.",
        one.client, one.op, one.returned, two.client, two.op, two.returned
    );
    let mut told = Told::default();
    told.say(case.facts, text, &[]);
    if let (Why::OffsetsLost, Some(doubt)) = (why, groups::offsets_may_be_lost(case)) {
        told.missing(format!("{doubt}."), "The offsets topic's own history.");
    }
    finding.story = told.sentences;
    finding.class = class;
    finding.standing = standing;
    finding.count = count;
    finding.offsets = Some(OffsetRange {
        from: at.0,
        to: pairs[pairs.len() - 1].1.0 + 1,
    });
    finding.first = Some(case.given(after));
    finding.last = pairs.last().map(|pair| case.given(pair.3));
    finding
}
