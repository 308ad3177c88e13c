//! Consumers as the contract sees them: groups (or a consumer by itself), what was given to them in
//! which order, what they asked for, what they committed.
//!
//! Nothing is judged here. What a consumer was given counts as processed; within transactions, what a
//! committed transaction contains, or may contain.

use history::{Call, ClientId, CommitMode, Mark, Offset, Partition};

use super::Case;
pub use crate::contract::Group;
use crate::facts::txns::{Fate, Txns};
use crate::facts::{CallFact, PartFacts};

/// The groups that read a topic, by name.
pub fn of(case: &Case) -> Vec<Group> {
    let groups = case.contract.groups.iter();
    groups
        .filter(|group| !group.clients.is_empty())
        .cloned()
        .collect()
}

/// A group's history of one partition.
#[derive(Debug)]
pub struct Story<'a> {
    /// Its deliveries that count as processed, as `ops.read` counts, in recorded order.
    pub given: Vec<u32>,
    /// Those that do not, since their transaction was aborted; likewise.
    pub undone: Vec<u32>,
    /// Positions that its consumers asked for: when, who, where to.
    pub sought: Vec<(Mark, ClientId, Offset)>,
    /// Moments at which partitions changed hands, or a consumer joined; ascending.
    pub moved: Vec<Mark>,
    /// Commits that were acknowledged, in order of their effect.
    pub commits: Vec<Commit<'a>>,
}

/// A committed position.
#[derive(Debug, Clone, Copy)]
pub struct Commit<'a> {
    /// The call.
    pub call: &'a CallFact<'a>,
    /// The next offset to process.
    pub next: Offset,
    /// Not before.
    pub asked: Mark,
    /// Not after.
    pub answered: Mark,
}

/// Collects a group's history of one partition.
pub fn story<'a>(case: &Case<'a>, group: &Group, part: &PartFacts, txns: &Txns) -> Story<'a> {
    let facts = case.facts;
    let processed = |client: ClientId, op| match group.commits(CommitMode::Transaction) {
        false => true,
        true => txns
            .containing(client, op)
            .is_none_or(|txn| txns.get(txn).fate != Fate::Aborted),
    };
    let reads = part.reads.iter().copied();
    let its_own = reads.filter(|&index| group.has(facts.ops.read(index).client));
    let (given, undone) = its_own.partition(|&index| {
        let read = facts.ops.read(index);
        processed(read.client, read.op)
    });
    let mut story = Story {
        given,
        undone,
        sought: Vec::new(),
        moved: Vec::new(),
        commits: Vec::new(),
    };
    for call in &facts.calls {
        let place = |at: &[(Partition, Offset)]| {
            let mut at = at.iter();
            at.find(|(partition, _)| *partition == part.name)
                .map(|(_, offset)| *offset)
        };
        match call.call {
            Call::Assign { from: at } | Call::Seek { to: at } if group.has(call.client) => {
                let asked = place(at).map(|to| (call.invoked, call.client, to));
                story.sought.extend(asked);
            }
            Call::Subscribe { .. } if group.has(call.client) => story.moved.push(call.invoked),
            Call::Commit { offsets } => {
                let commit = place(offsets).and_then(|next| commit(case, group, txns, call, next));
                story.commits.extend(commit);
            }
            _ => {}
        }
    }
    let moves = facts.rebalances.iter();
    let moves =
        moves.filter(|event| group.has(event.client) && event.partitions.contains(&part.name));
    story.moved.extend(moves.map(|event| event.at));
    story.moved.sort_unstable();
    story
        .commits
        .sort_by_key(|commit| (commit.answered, commit.call.op));
    story
}

/// A commit that took effect for sure: acknowledged, and its transaction too where it has one. A
/// producer commits for the consumers in whose stead it works.
fn commit<'a>(
    case: &Case<'a>,
    group: &Group,
    txns: &Txns,
    call: &'a CallFact<'a>,
    next: Offset,
) -> Option<Commit<'a>> {
    if !call.done() {
        return None;
    }
    let (answered, _) = call.answer?;
    if !group.commits(CommitMode::Transaction) {
        return group.has(call.client).then_some(Commit {
            call,
            next,
            asked: call.invoked,
            answered,
        });
    }
    let consumers = &case.facts.recording.setting.consumers;
    if !group.has(call.client) && consumers.contains_key(&call.client) {
        return None;
    }
    let txn = txns.get(txns.containing(call.client, call.op)?);
    let (asked, answered) = txn.commit_asked.zip(txn.answered)?;
    (txn.fate == Fate::Committed).then_some(Commit {
        call,
        next,
        asked,
        answered,
    })
}

impl Story<'_> {
    /// Whether the partition changed hands, or a consumer joined, within a time.
    pub fn moved_within(&self, from: Mark, to: Mark) -> bool {
        let first = self.moved.partition_point(|at| *at < from);
        self.moved.get(first).is_some_and(|at| *at <= to)
    }

    /// Whether a consumer asked for a position in `[from, to]` within a time.
    pub fn sought_within(
        &self,
        client: ClientId,
        (from, to): (Offset, Offset),
        (after, before): (Mark, Mark),
    ) -> bool {
        self.sought.iter().any(|&(at, who, position)| {
            who == client && at >= after && at <= before && position >= from && position <= to
        })
    }
}

/// Why a group's offsets may have been lost without a broken promise, if they may.
pub fn offsets_may_be_lost(case: &Case) -> Option<&'static str> {
    const OFFSETS: &str = "__consumer_offsets";
    let facts = case.facts;
    let harmed = facts
        .harms
        .iter()
        .any(|event| event.harm.replica().is_some() && &*event.partition.topic == OFFSETS);
    if harmed {
        return Some("a replica of the offsets topic lost data by our doing");
    }
    let unclean = facts.broker_setting("unclean.leader.election.enable") == Some("true");
    if unclean {
        return Some("the offsets topic may have had an unclean election, which is not watched");
    }
    let retention = facts.broker_setting("offsets.retention.minutes");
    let minutes = retention.and_then(|minutes| minutes.parse::<u64>().ok());
    let length = facts.length.0 / 60_000_000_000;
    minutes
        .is_some_and(|minutes| minutes <= length)
        .then_some("committed offsets may have expired")
}
