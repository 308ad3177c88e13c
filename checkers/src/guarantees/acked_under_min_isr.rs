//! An acks=all success needs `min.insync.replicas` members in the in-sync set.
//!
//! Judged where ZooKeeper was asked before the send and after its answer, and every version of the
//! set in between is known: only if all of them were too small was the answer wrong. A set that was
//! large enough for a moment acquits.
//!
//! What counts is the set of the broker that acknowledged (`Partition.checkEnoughReplicasReachOffset`).
//! When a controller takes a member out, the leader learns of it by a later LeaderAndIsr request, or
//! never, if it was deposed: until then it waits for the members that it knows, and rightly says that
//! it has enough. So its own log must say, before the send, that it knew the small set. A set that
//! grows stands in ZooKeeper before the leader counts with it.

use std::collections::BTreeMap;

use history::{Mark, NodeId, Seen};

use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::facts::{Fate, PartFacts, acks_all, nodes};
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::{Finding, Group, OffsetRange, TimeSpan};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "acked-under-min-isr",
    sentence: "what is acknowledged had min.insync.replicas members in sync",
    group: Group::Watermarks,
    premises: &["clocks-monotonic"],
    look,
};

/// An answer of ZooKeeper: asked, answered, version of the partition's state.
type Answer = (Mark, Mark, i32);

/// An acknowledged send with the versions that may have been in force meanwhile.
#[derive(Debug, Clone, Copy)]
struct Guilty {
    send: u32,
    versions: (i32, i32),
    wanted: u32,
    /// Who acknowledged it, and the line in which it said before which set it knew.
    knew: (NodeId, usize),
}

/// A set that a leader says it has from now on.
#[derive(Debug, Clone, Copy)]
struct Word {
    span: TimeSpan,
    line: usize,
    members: usize,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("acknowledged records whose in-sync sets are known");
    let all = case.parts().flat_map(|part| &part.sends);
    let waits = |&send: &u32| acks_all(case.facts, case.facts.ops.send(send).client);
    let setting = &case.facts.recording.setting;
    let producers = || {
        let all = setting.producers.iter();
        all.filter(|(_, producer)| producer.topic == case.contract.topic)
    };
    if producers().next().is_some()
        && !producers().any(|(&client, _)| acks_all(case.facts, client))
        && !all.copied().any(|send| waits(&send))
    {
        tally.promise = Promise::No {
            why: "acks=1 and acks=0 do not ask how many replicas are in sync".to_owned(),
            change: Some("acks=all".to_owned()),
        };
        return tally;
    }
    tally.promise = Promise::Yes("acks=all needs min.insync.replicas members in sync".to_owned());
    for part in case.parts() {
        let (examined, guilty) = examine(case, part);
        tally.examined += examined;
        if let Some(finding) = tell(case, part, &guilty) {
            tally.found(findings, finding);
        }
    }
    tally
}

/// What ZooKeeper said, by version (which only grows), and by the moment of asking.
fn answers(case: &Case, part: &PartFacts) -> Vec<Answer> {
    let mut answers: Vec<Answer> = part
        .seen
        .iter()
        .map(|&index| case.facts.observations[index as usize])
        .filter_map(|seen| match &seen.seen {
            Seen::ZkState { version, .. } => Some((seen.asked, seen.answered, *version)),
            _ => None,
        })
        .collect();
    answers.sort_unstable();
    answers
}

/// What leaders said of their sets, by node, in the order in which they said it. Nothing of a node
/// whose lines cannot be placed.
fn words(case: &Case, part: &PartFacts) -> BTreeMap<NodeId, Vec<Word>> {
    let roles = &part.roles;
    let terms = roles.terms.iter();
    let began = terms.map(|term| (term.node, term.line, term.isr.len()));
    let updates = roles.isr_updates.iter();
    let changed = updates.map(|(line, node, _, set)| (*node, *line, set.len()));
    let mut words: BTreeMap<NodeId, Option<Vec<Word>>> = BTreeMap::new();
    for (node, line, members) in began.chain(changed) {
        let word = case.facts.line_span(line).map(|span| Word {
            span,
            line,
            members,
        });
        let of = words.entry(node).or_insert_with(|| Some(Vec::new()));
        match word {
            Some(word) => of.iter_mut().for_each(|words| words.push(word)),
            None => *of = None,
        }
    }
    let placed = words.into_iter().filter_map(|(node, words)| {
        let mut words = words?;
        words.sort_by_key(|word| (word.span.from, word.line));
        Some((node, words))
    });
    placed.collect()
}

/// What a leader knew while a send was under way: the line that said it before, and the size of
/// the largest set that it may have counted with. Nothing if it said none before.
fn knew(words: &[Word], from: Mark, to: Mark) -> Option<(usize, usize)> {
    let before = words.iter().rposition(|word| word.span.to <= from)?;
    let meanwhile = words[before..].iter().filter(|word| word.span.from < to);
    let largest = meanwhile.map(|word| word.members).max()?;
    Some((words[before].line, largest))
}

fn examine(case: &Case, part: &PartFacts) -> (u64, Vec<Guilty>) {
    let words = words(case, part);
    let answers = answers(case, part);
    // For each answer: the lowest version from it on, by the moment of asking.
    let mut lowest: Vec<i32> = answers.iter().map(|answer| answer.2).collect();
    for place in (1..lowest.len()).rev() {
        lowest[place - 1] = lowest[place - 1].min(lowest[place]);
    }
    let mut by_answer = answers.clone();
    by_answer.sort_unstable_by_key(|answer| answer.1);
    let mut known = (None, 0, false);
    let mut examined = 0;
    let mut guilty = Vec::new();
    for (place, send) in case.facts.ops.sends_of(&part.sends) {
        let Some(returned) = send.returned.filter(|_| send.acked()) else {
            continue;
        };
        if !acks_all(case.facts, send.client) {
            continue;
        }
        let wanted = case.contract.min_isr_within(TimeSpan {
            from: send.invoked,
            to: returned,
        });
        if wanted <= 1 {
            // A leader is in sync with itself.
            examined += 1;
            continue;
        }
        let before = by_answer.partition_point(|answer| answer.1 <= send.invoked);
        let after = answers.partition_point(|answer| answer.0 < returned);
        let (Some(from), Some(&to)) = (
            // Versions only grow, so the last answer before is the highest, or nearly so.
            before.checked_sub(1).map(|last| by_answer[last].2),
            lowest.get(after),
        ) else {
            continue;
        };
        let versions = (from.min(to), to);
        if known.0 != Some((versions, wanted)) {
            let (whole, small) = sizes(part, versions, wanted);
            known = (Some((versions, wanted)), u64::from(whole), whole && small);
        }
        if !known.2 {
            examined += known.1;
            continue;
        }
        let Fate::Acked {
            broker: Some(broker),
            ..
        } = send.fate
        else {
            continue;
        };
        let words = words.get(&broker).map_or(&[][..], Vec::as_slice);
        let Some((line, largest)) = knew(words, send.invoked, returned) else {
            continue;
        };
        examined += 1;
        if largest < wanted as usize {
            guilty.push(Guilty {
                send: part.sends[place],
                versions,
                wanted,
                knew: (broker, line),
            });
        }
    }
    (examined, guilty)
}

/// Whether the in-sync sets of all these versions are known, and whether all are too small.
fn sizes(part: &PartFacts, (from, to): (i32, i32), wanted: u32) -> (bool, bool) {
    let known = part.roles.versions.range(from..=to);
    let count = i64::try_from(known.clone().count()).unwrap_or(i64::MAX);
    let small = known
        .map(|(_, (isr, ..))| isr.len())
        .all(|len| len < wanted as usize);
    let sure = part.roles.anew.range(from..=to).next().is_none();
    (sure && count == i64::from(to) - i64::from(from) + 1, small)
}

fn tell(case: &Case, part: &PartFacts, guilty: &[Guilty]) -> Option<Finding> {
    let (first, last) = (guilty.first()?, guilty.last()?);
    let count = guilty.len() as u64;
    let title = format!(
        "{}: {} with too few replicas in sync",
        part.name,
        many(
            count,
            "record was acknowledged",
            "records were acknowledged"
        )
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let send = case.facts.ops.send(first.send);
    let sets: Vec<String> = part
        .roles
        .versions
        .range(first.versions.0..=first.versions.1)
        .map(|(version, (isr, ..))| format!("{} (version {version})", nodes(isr)))
        .collect();
    let text = format!(
        "{} of {} ({}) was sent at {} and acknowledged at {}. All the while ZooKeeper held {} as \
         the in-sync set, and {} members were wanted.",
        send.value,
        send.client,
        send.op,
        send.invoked,
        send.returned.unwrap_or(send.invoked),
        sets.join(", then "),
        first.wanted
    );
    let (leader, line) = first.knew;
    let known = format!("{leader}, which acknowledged it, knew of too small a set before.");
    let mut story = Story::default();
    story.say(case.facts, text, &[]);
    story.say(case.facts, known, &[line]);
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding.count = count;
    let offsets = guilty
        .iter()
        .filter_map(|one| case.facts.ops.send(one.send).acked_at());
    finding.offsets = offsets
        .clone()
        .min()
        .zip(offsets.max())
        .map(|(from, to)| OffsetRange {
            from: from.0,
            to: to.0 + 1,
        });
    let witness = |one: &Guilty| case.sent(one.send, case.facts.ops.send(one.send).acked_at());
    finding.first = Some(witness(first));
    finding.last = Some(witness(last));
    Some(finding)
}
