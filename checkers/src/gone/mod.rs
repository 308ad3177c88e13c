//! Records that were somewhere and are not in the final log: each with where it was accepted,
//! whether it was committed, and what that makes of it.
//!
//! Several guarantees speak about the same record; it is found, classed and told once, here.

mod acceptance;
mod candidates;
mod class;
mod cleaning;
mod drop;
mod proofs;
mod story;
mod why;
mod words;

pub use acceptance::leads_until;
pub use cleaning::Cleaning;
pub use story::cut_lines;
pub use words::{Story, at, many, middle, span_of, unit_of};

use std::collections::BTreeMap;

use history::{Epoch, Offset, ValueId};
use rustc_hash::FxHashSet;

use crate::contract::Contract;
use crate::facts::txns::Txns;
use crate::facts::{CommitProof, Facts, PartFacts, PartId, ProofSource};
use crate::facts::{acks_all, below_a_leaders_hw};
use crate::findings::Findings;
use crate::judgement::{Class, FindingId, Standing};
use acceptance::{above_proof, accepting_term, term_of};
use candidates::{Candidate, Given, candidates};

/// What is wrong with a record's absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Acknowledged and committed, and gone.
    AckedBelow,
    /// Acknowledged, proven never committed, and gone.
    AckedAbove,
    /// Acknowledged and gone; neither can be shown.
    AckedUndetermined,
    /// Acknowledged at an offset that holds something else; it stands elsewhere in the final log.
    AckedElsewhere,
    /// Not acknowledged, but committed, and gone.
    Committed,
    /// Not acknowledged, not shown to be committed, but given to a consumer, and gone.
    Read,
}

/// A record that is gone.
#[derive(Debug, Clone, Copy)]
pub struct Gone {
    /// Which value.
    pub value: ValueId,
    /// Where it stood; absent for a success without an offset.
    pub offset: Option<Offset>,
    /// The epoch that accepted it.
    pub epoch: Option<Epoch>,
    /// The time of leadership that accepted it; position in `roles.terms`.
    pub term: Option<usize>,
    /// Its send; as `ops.send` counts.
    pub send: Option<u32>,
    /// It was acknowledged.
    pub acked: bool,
    /// The first delivery of it; as `ops.read` counts.
    pub read: Option<u32>,
    /// How its deliveries came about; of several the one that is hardest to explain.
    pub given: Option<Given>,
    /// Proof that it was committed.
    pub proof: Option<CommitProof>,
    /// What is wrong.
    pub kind: Kind,
    /// Position in [`GoneTopic::groups`].
    pub group: usize,
}

/// Gone records with the same story.
#[derive(Debug)]
pub struct Group {
    /// Of which partition.
    pub part: PartId,
    /// What is wrong.
    pub kind: Kind,
    /// The cause.
    pub class: Class,
    /// What it means for the verdict.
    pub standing: Standing,
    /// Who accepted them; position in `roles.terms`.
    pub term: Option<usize>,
    /// The time of leadership that lacked them; position in `roles.terms`.
    pub dropped_in: Option<usize>,
    /// The election that began it; position in `elections`.
    pub dropped_by: Option<usize>,
    /// The cuts that destroyed them; positions in `roles.cuts`.
    pub cuts: Vec<usize>,
    /// The lossy leader to blame; position in its partition's `lossy`.
    pub lossy: Option<usize>,
    /// The replica's loss to blame, where nobody had to lead for it; position in `losses`.
    pub loss: Option<usize>,
    /// Which evidence would have told the cause.
    pub needed: Option<&'static str>,
    /// Its records, by offset; positions in [`GoneTopic::records`].
    pub records: Vec<usize>,
    /// The finding that tells it.
    pub finding: FindingId,
}

/// What is gone from one topic.
#[derive(Debug, Default)]
pub struct GoneTopic {
    /// Every record.
    pub records: Vec<Gone>,
    /// Grouped by story.
    pub groups: Vec<Group>,
    /// Acknowledged values below the expected log start, by partition: excused.
    pub expired: BTreeMap<PartId, u64>,
    /// Values that the log cleaner replaced by later ones of their keys, or took as aborted, by
    /// partition: excused. A copy of one may have stayed.
    pub superseded: BTreeMap<PartId, FxHashSet<ValueId>>,
    /// What the log cleaner may have taken, by partition of a compacted topic.
    pub cleaning: BTreeMap<PartId, Cleaning>,
}

impl GoneTopic {
    /// Finds, classes and tells what is gone from a topic.
    pub fn of(facts: &Facts, contract: &Contract, findings: &mut Findings) -> Self {
        let mut gone = Self::default();
        let txns = contract.compacted.then(|| Txns::of(facts));
        for &id in &contract.parts {
            let part = &facts.parts[id];
            if part.fin.is_err() {
                continue;
            }
            if let Some(txns) = &txns {
                let cleaning = Cleaning::of(facts, contract, txns, id);
                gone.cleaning.insert(id, cleaning);
            }
            let found = candidates(facts, contract, id, &mut gone);
            let first = gone.records.len();
            for candidate in found.into_values() {
                if let Some(record) = weigh(facts, id, candidate) {
                    gone.records.push(record);
                }
            }
            gone.records[first..].sort_by_key(|record| (record.offset, record.value));
            gone.group(facts, contract, id, first);
        }
        for index in 0..gone.groups.len() {
            let told = story::tell(facts, contract, &gone, &gone.groups[index]);
            gone.groups[index].finding = findings.add(told);
        }
        gone
    }

    /// Groups the records of one partition from position `first` on by what is told of them.
    fn group(&mut self, facts: &Facts, contract: &Contract, part: PartId, first: usize) {
        let mut known: BTreeMap<_, usize> = BTreeMap::new();
        for index in first..self.records.len() {
            let record = self.records[index];
            let cause = class::of(facts, contract, part, (&record, self.cleaning.get(&part)));
            let key = (
                record.kind,
                cause.class,
                cause.standing,
                record.term,
                (cause.dropped_in, cause.lossy, cause.loss, cause.needed),
                cause.cuts.clone(),
                record.given,
            );
            let groups = &mut self.groups;
            let group = *known.entry(key).or_insert_with(|| {
                groups.push(Group {
                    part,
                    kind: record.kind,
                    class: cause.class,
                    standing: cause.standing,
                    term: record.term,
                    dropped_in: cause.dropped_in,
                    dropped_by: cause.dropped_by,
                    cuts: cause.cuts,
                    lossy: cause.lossy,
                    loss: cause.loss,
                    needed: cause.needed,
                    records: Vec::new(),
                    finding: FindingId(0),
                });
                groups.len() - 1
            });
            self.groups[group].records.push(index);
            self.records[index].group = group;
        }
    }

    /// The groups whose records satisfy a condition, with how many of them do.
    pub fn groups_with(&self, wanted: impl Fn(&Gone) -> bool) -> Vec<(&Group, u64)> {
        self.groups
            .iter()
            .map(|group| {
                let count = group
                    .records
                    .iter()
                    .filter(|&&r| wanted(&self.records[r]))
                    .count();
                (group, count as u64)
            })
            .filter(|(_, count)| *count > 0)
            .collect()
    }
}

/// What a candidate is; nothing, when it was neither acknowledged nor committed nor read.
fn weigh(facts: &Facts, id: PartId, candidate: Candidate) -> Option<Gone> {
    let part = &facts.parts[id];
    let value = candidate.value?;
    let send = candidate.send.map(|index| facts.ops.send(index));
    let accepted = send
        .filter(|_| candidate.acked)
        .and_then(|send| accepting_term(facts, part, &send));
    let (term, epoch) = match epoch_of(facts, id, &candidate, accepted) {
        Some(epoch) => (
            term_of(facts, part, epoch, send.and_then(|send| send.returned)),
            Some(epoch),
        ),
        None => (accepted, accepted.map(|term| part.roles.terms[term].epoch)),
    };
    let proof = proof(facts, id, &candidate, value, epoch);
    let moved = part.fin.as_ref().is_ok_and(|fin| fin.start > Offset(0));
    let kind = if candidate.acked && candidate.elsewhere {
        Kind::AckedElsewhere
    } else if candidate.acked && candidate.offset.is_none() && moved {
        Kind::AckedUndetermined
    } else if candidate.acked && proof.is_some() {
        Kind::AckedBelow
    } else if candidate.acked {
        match term.and_then(|term| above_proof(part, term, candidate.offset?)) {
            Some(_) => Kind::AckedAbove,
            None => Kind::AckedUndetermined,
        }
    } else if proof.is_some() {
        Kind::Committed
    } else if candidate.read.is_some() {
        Kind::Read
    } else {
        return None;
    };
    Some(Gone {
        value,
        offset: candidate.offset,
        epoch,
        term,
        send: candidate.send,
        acked: candidate.acked,
        read: candidate.read,
        given: candidate.given,
        proof,
        kind,
        group: 0,
    })
}

/// The epoch under which a candidate is told, of those under which it stood: the first in which it
/// was committed, else that of the leader which accepted it, else the first seen.
fn epoch_of(
    facts: &Facts,
    id: PartId,
    candidate: &Candidate,
    accepted: Option<usize>,
) -> Option<Epoch> {
    let [first, _, ..] = candidate.epochs.as_slice() else {
        return candidate.epochs.first().copied();
    };
    let committed = |epoch: &&Epoch| {
        let at = candidate.offset.zip(candidate.value);
        at.is_some_and(|(offset, value)| {
            let mut proofs = below_a_leaders_hw(facts, id, offset, **epoch, value);
            proofs.next().is_some()
        })
    };
    let accepted = accepted.map(|term| facts.parts[id].roles.terms[term].epoch);
    let accepted = accepted.filter(|epoch| candidate.epochs.contains(epoch));
    let committed = candidate.epochs.iter().find(committed).copied();
    committed.or(accepted).or(Some(*first))
}

/// The first proof that a candidate was committed at its offset.
fn proof(
    facts: &Facts,
    id: PartId,
    candidate: &Candidate,
    value: ValueId,
    epoch: Option<Epoch>,
) -> Option<CommitProof> {
    let part = &facts.parts[id];
    if let Some(proof) = by_clients(facts, part, candidate) {
        return Some(proof);
    }
    below_a_leaders_hw(facts, id, candidate.offset?, epoch?, value).next()
}

/// Kinds (a) and (b): its own acknowledgement under acks=all, its own delivery by a leader.
fn by_clients(facts: &Facts, part: &PartFacts, candidate: &Candidate) -> Option<CommitProof> {
    let send = candidate.send.filter(|_| candidate.acked);
    if let Some(index) = send.filter(|&send| acks_all(facts, facts.ops.send(send).client)) {
        return Some(CommitProof::of(facts, part, ProofSource::AckAll(index)));
    }
    let read = candidate.served?;
    Some(CommitProof::of(facts, part, ProofSource::Delivered(read)))
}
