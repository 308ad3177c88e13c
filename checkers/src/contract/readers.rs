//! Consumers of one topic, by group, and what their way of committing promises them: whether a record
//! may be passed over, whether it may come again, whether a committed offset may go back.

use std::collections::BTreeMap;

use history::{Call, ClientId, CommitMode, Topic};

use super::{Contract, Promise, known};
use crate::facts::{Facts, PartId};
use crate::judgement::Clause;

/// A group, or a consumer that reads by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `group g`, or `c7`.
    pub name: String,
    /// Its consumers, ascending.
    pub clients: Vec<ClientId>,
    /// When they commit; one for each way.
    pub modes: Vec<CommitMode>,
    /// Some consumer of it reads only what is committed.
    pub read_committed: bool,
    /// Whether a consumer without a committed offset begins at the log's start.
    pub from_start: bool,
}

impl Group {
    /// The groups that read a topic, by name.
    pub fn of(facts: &Facts, topic: &Topic, parts: &[PartId]) -> Vec<Self> {
        let mut groups: BTreeMap<String, Self> = BTreeMap::new();
        for (&client, setting) in &facts.recording.setting.consumers {
            let name = match &setting.group {
                Some(group) => format!("group {group}"),
                None => client.to_string(),
            };
            let group = groups.entry(name.clone()).or_insert(Self {
                name,
                clients: Vec::new(),
                modes: Vec::new(),
                read_committed: false,
                from_start: true,
            });
            group.clients.push(client);
            group.read_committed |= setting.read_committed;
            group.from_start &= setting.reset.as_deref() == Some("earliest");
            if !group.modes.contains(&setting.commit) {
                group.modes.push(setting.commit);
            }
        }
        let reads = |group: &Self| {
            let given = |&part: &PartId| {
                let reads = &mut facts.parts[part].reads.iter();
                reads.any(|&read| group.has(facts.ops.read(read).client))
            };
            let mut calls = facts.calls.iter();
            calls.any(|call| group.has(call.client) && names(call.call, topic))
                || parts.iter().any(given)
        };
        groups.into_values().filter(reads).collect()
    }

    /// Consumers that assign themselves and commit nothing.
    pub fn by_hand(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            clients: Vec::new(),
            modes: vec![CommitMode::None],
            read_committed: false,
            from_start: true,
        }
    }

    /// Whether it has a consumer that commits so.
    pub fn commits(&self, mode: CommitMode) -> bool {
        self.modes.contains(&mode)
    }

    /// Whether a consumer belongs to it.
    pub fn has(&self, client: ClientId) -> bool {
        self.clients.binary_search(&client).is_ok()
    }

    /// Whether it reads by itself, without a group.
    pub fn alone(&self) -> bool {
        self.modes == [CommitMode::None]
    }
}

/// Whether a call asks for the topic.
fn names(call: &Call, topic: &Topic) -> bool {
    match call {
        Call::Subscribe { topics } => topics.contains(topic),
        Call::Assign { from: at } | Call::Seek { to: at } | Call::Commit { offsets: at } => {
            at.iter().any(|(partition, _)| partition.topic == *topic)
        }
        Call::Send { .. } | Call::Poll | Call::Begin | Call::End { .. } => false,
    }
}

/// What becomes of committed offsets that no consumer can help.
const OFFSETS_LOST: &str = "its committed offsets expire, or go with the offsets topic (an unclean \
                            election, a leader that had lost data)";
const AFTER: &str = "commits after processing";
const WITHIN: &str = "offsets committed within the transaction";

impl Contract {
    /// The clauses for consumers: one set for each way of committing.
    pub(super) fn to_readers(&self) -> Vec<Clause> {
        let mut kinds: Vec<(Vec<Clause>, Vec<String>)> = Vec::new();
        for group in &self.groups {
            let clauses = self.to_group(group);
            match kinds.iter_mut().find(|(known, _)| *known == clauses) {
                Some((_, names)) => names.push(group.name.clone()),
                None => kinds.push((clauses, vec![group.name.clone()])),
            }
        }
        let several = kinds.len() > 1;
        let named = kinds.into_iter().flat_map(|(clauses, names)| {
            clauses.into_iter().map(move |clause| Clause {
                by: if several { names.clone() } else { Vec::new() },
                ..clause
            })
        });
        named.collect()
    }

    fn to_group(&self, group: &Group) -> Vec<Clause> {
        if group.alone() {
            let goes_on = Promise::Yes("it goes from one record to the next by itself".to_owned());
            let clause = goes_on.clause(
                "a consumer that assigns itself is given every record of its partitions once",
            );
            let unless =
                "it begins elsewhere: by its own assignment or seek, or anew after a restart";
            return vec![unless_so(clause, unless)];
        }
        let skips = unless_so(
            skips(group).clause("a group skips no record"),
            &skipped_unless(group),
        );
        let again = unless_so(
            self.again(group)
                .clause("a group processes each record once"),
            again_unless(group),
        );
        let back =
            Promise::Yes("a coordinator takes commits of members only, one after another".into());
        let back = unless_so(
            back.clause("a committed offset never goes back"),
            &format!(
                "consumers that did not join share the group's name, or one seeks back; or {OFFSETS_LOST}"
            ),
        );
        vec![skips, again, back]
    }

    /// Whether a record may come again.
    fn again(&self, group: &Group) -> Promise {
        if group.commits(CommitMode::AutoAsync) {
            return Promise::no(
                "committing whatever was given says nothing about what was processed",
                WITHIN,
            );
        }
        if group.commits(CommitMode::Before) {
            return Promise::Yes("what is committed is not given again".to_owned());
        }
        if group.commits(CommitMode::Transaction) {
            let known = match known::transactions_tear(self.kafka) {
                true => "; versions before 4.0 are known to break this, which stays a breach",
                false => "",
            };
            return Promise::Yes(format!(
                "offsets are committed with what was made of the records, or not at all{known}"
            ));
        }
        Promise::Yes("without a rebalance or a restart nothing comes again".to_owned())
    }
}

/// Whether a record may be passed over.
fn skips(group: &Group) -> Promise {
    if group.commits(CommitMode::AutoAsync) {
        return Promise::no(
            "what is committed as soon as it is given may not have been processed yet",
            AFTER,
        );
    }
    if group.commits(CommitMode::Before) {
        return Promise::no(
            "what is committed before it is processed may be skipped",
            AFTER,
        );
    }
    Promise::Yes(
        "what is not processed is not committed, and nothing below a committed offset is due"
            .into(),
    )
}

fn skipped_unless(group: &Group) -> String {
    let reset = match group.from_start {
        true => "",
        false => {
            "; or it has committed nothing and begins at the log's end (auto.offset.reset=earliest would not)"
        }
    };
    format!("a consumer seeks forwards; or {OFFSETS_LOST}{reset}")
}

fn again_unless(group: &Group) -> &'static str {
    if group.commits(CommitMode::Before) {
        "its commit failed or was never answered; or a consumer seeks back"
    } else if group.commits(CommitMode::Transaction) {
        "its transaction was aborted; or a consumer seeks back"
    } else {
        "a rebalance or a restart comes between processing and commit, and it is given again: at least \
         once (offsets committed within the transaction would rule that out); or a consumer seeks back"
    }
}

/// A promise has conditions; what is not promised needs none.
fn unless_so(clause: Clause, unless: &str) -> Clause {
    Clause {
        unless: clause.promised.then(|| unless.to_owned()),
        ..clause
    }
}
