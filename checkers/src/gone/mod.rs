//! Records that were somewhere and are not in the final log: each with where it was accepted,
//! whether it was committed, and what that makes of it.
//!
//! Several guarantees speak about the same record; it is found, classed and told once, here.

mod acceptance;
mod class;
mod story;
mod words;

pub use acceptance::leads_until;
pub use story::cut_lines;
pub use words::{Story, many, middle, span_of, unit_of};

use std::collections::BTreeMap;

use history::{Epoch, Offset, Payload, ValueId};

use crate::contract::Contract;
use crate::facts::{CommitProof, Facts, PartFacts, PartId, ProofSource, SendFact};
use crate::facts::{acks_all, below_a_leaders_hw, served_by_leader};
use crate::findings::Findings;
use crate::judgement::{Class, FindingId, Standing};
use acceptance::{above_proof, accepting_term, term_of};

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
    /// The election that dropped them; position in `elections`.
    pub dropped_by: Option<usize>,
    /// The cuts that destroyed them; positions in `roles.cuts`.
    pub cuts: Vec<usize>,
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
    /// Records with commit evidence that were looked up in the final log.
    pub committed_examined: u64,
}

impl GoneTopic {
    /// Finds, classes and tells what is gone from a topic.
    pub fn of(facts: &Facts, contract: &Contract, findings: &mut Findings) -> Self {
        let mut gone = Self::default();
        for &id in &contract.parts {
            let part = &facts.parts[id];
            if part.fin.is_err() {
                continue;
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
            let cause = class::of(facts, contract, part, &record);
            let key = (
                record.kind,
                cause.class,
                cause.standing,
                record.term,
                cause.dropped_by,
                cause.cuts.clone(),
                record.read.is_some(),
            );
            let groups = &mut self.groups;
            let group = *known.entry(key).or_insert_with(|| {
                groups.push(Group {
                    part,
                    kind: record.kind,
                    class: cause.class,
                    standing: cause.standing,
                    term: record.term,
                    dropped_by: cause.dropped_by,
                    cuts: cause.cuts,
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

/// Something that was seen at an offset where the final log has something else.
#[derive(Debug, Clone, Copy, Default)]
struct Candidate {
    value: Option<ValueId>,
    offset: Option<Offset>,
    epoch: Option<Epoch>,
    send: Option<u32>,
    acked: bool,
    elsewhere: bool,
    read: Option<u32>,
}

/// Acknowledgements, deliveries and sightings in images that the final log does not bear out.
fn candidates(
    facts: &Facts,
    contract: &Contract,
    id: PartId,
    gone: &mut GoneTopic,
) -> BTreeMap<(Option<Offset>, ValueId), Candidate> {
    let part = &facts.parts[id];
    let (Some(log), Ok(fin)) = (part.final_log(), &part.fin) else {
        return BTreeMap::new();
    };
    let excused = |offset: Offset| contract.may_expire && offset < fin.start;
    let mut found: BTreeMap<(Option<Offset>, ValueId), Candidate> = BTreeMap::new();
    for (place, &index) in part.sends.iter().enumerate() {
        let send = facts.ops.send(index);
        let at = part.final_at.at(place);
        if !send.acked() || acknowledged_there(&send, at, log) {
            gone.committed_examined += u64::from(send.acked() && acks_all(facts, send.client));
            continue;
        }
        // A success without an offset may have stood anywhere below.
        if excused(send.acked_at().unwrap_or(Offset(0))) {
            // A copy of it may have stayed: it is present.
            *gone.expired.entry(id).or_default() += u64::from(at.is_none());
            continue;
        }
        let entry = found.entry((send.acked_at(), send.value)).or_default();
        entry.acked = true;
        entry.send = Some(index);
        entry.elsewhere = at.is_some();
    }
    for &index in &part.reads {
        let read = facts.ops.read(index);
        let Payload::Value(value) = read.payload else {
            continue;
        };
        if log.holds(read.offset, value) || excused(read.offset) {
            continue;
        }
        let entry = found.entry((Some(read.offset), value)).or_default();
        entry.read = entry.read.or(Some(index));
        entry.epoch = entry.epoch.or(read.epoch);
    }
    sightings(part, log, &excused, &mut found);
    for ((offset, value), candidate) in &mut found {
        candidate.value = Some(*value);
        candidate.offset = *offset;
        candidate.send = candidate.send.or_else(|| facts.ops.by_value.get(*value));
    }
    found
}

/// Whether an acknowledgement is borne out: the value stands where it was acknowledged, or anywhere
/// where the answer named no offset.
fn acknowledged_there(send: &SendFact, at: Option<Offset>, log: &crate::facts::LogView) -> bool {
    match send.acked_at() {
        Some(offset) => at == Some(offset) || log.holds(offset, send.value),
        None => at.is_some(),
    }
}

/// CRC-valid batches of any image, smeared ones included, are sightings.
fn sightings(
    part: &PartFacts,
    log: &crate::facts::LogView,
    excused: &dyn Fn(Offset) -> bool,
    found: &mut BTreeMap<(Option<Offset>, ValueId), Candidate>,
) {
    for image in &part.images {
        let view = &image.view;
        for batch in view.log.batches.iter().filter(|batch| !batch.is_control()) {
            // Equal bytes at an equal place are in the final log.
            if log
                .batch_at(batch.base)
                .is_some_and(|same| same.base == batch.base && same.digest == batch.digest)
            {
                continue;
            }
            for record in view.log.records_of(batch) {
                let Payload::Value(value) = record.payload else {
                    continue;
                };
                if log.holds(record.offset, value) || excused(record.offset) {
                    continue;
                }
                let entry = found.entry((Some(record.offset), value)).or_default();
                entry.epoch = Some(batch.epoch);
            }
        }
    }
}

/// What a candidate is; nothing, when it was neither acknowledged nor committed nor read.
fn weigh(facts: &Facts, id: PartId, candidate: Candidate) -> Option<Gone> {
    let part = &facts.parts[id];
    let value = candidate.value?;
    let send = candidate.send.map(|index| facts.ops.send(index));
    let (term, epoch) = match (candidate.epoch, send) {
        (Some(epoch), _) => (term_of(part, epoch), Some(epoch)),
        (None, Some(send)) if candidate.acked => {
            let term = accepting_term(facts, part, &send);
            (term, term.map(|term| part.roles.terms[term].epoch))
        }
        (None, _) => (None, None),
    };
    let proof = proof(facts, id, &candidate, value, epoch);
    let kind = if candidate.acked && candidate.elsewhere {
        Kind::AckedElsewhere
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
        proof,
        kind,
        group: 0,
    })
}

fn proof(
    facts: &Facts,
    id: PartId,
    candidate: &Candidate,
    value: ValueId,
    epoch: Option<Epoch>,
) -> Option<CommitProof> {
    let part = &facts.parts[id];
    if let (true, Some(index)) = (candidate.acked, candidate.send) {
        let send = facts.ops.send(index);
        if acks_all(facts, send.client) {
            return Some(CommitProof {
                source: ProofSource::AckAll(index),
            });
        }
    }
    if let Some(index) = candidate.read
        && served_by_leader(facts, part, index)
    {
        return Some(CommitProof {
            source: ProofSource::Delivered(index),
        });
    }
    below_a_leaders_hw(facts, id, candidate.offset?, epoch?, value)
}
