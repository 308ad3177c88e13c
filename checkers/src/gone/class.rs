//! The cause of a record's absence and what it means (docs/guarantees.md, "causes").
//!
//! A cause that nothing recorded shows is not guessed: it is undetermined while a permitted one is
//! possible, and unexplained otherwise.

use history::{Epoch, Offset};

use super::{Gone, Kind};
use crate::contract::Contract;
use crate::facts::{Facts, Follow, PartFacts, PartId, Term, Until};
use crate::judgement::{Class, Standing};

/// A cause with its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its class.
    pub class: Class,
    /// What it means.
    pub standing: Standing,
    /// The election that dropped the record; position in `elections`.
    pub dropped_by: Option<usize>,
    /// The cuts that destroyed it; positions in `roles.cuts`.
    pub cuts: Vec<usize>,
}

/// The cause of one record's absence.
pub fn of(facts: &Facts, contract: &Contract, id: PartId, record: &Gone) -> Cause {
    let part = &facts.parts[id];
    let dropped_by = record
        .offset
        .zip(record.epoch)
        .and_then(|(offset, epoch)| dropping_election(part, offset, epoch));
    let cuts = match record.offset {
        Some(offset) => destroying_cuts(part, record, offset),
        None => Vec::new(),
    };
    let (class, standing) = weigh(facts, contract, part, record, dropped_by, &cuts);
    Cause {
        class,
        standing,
        dropped_by,
        cuts,
    }
}

fn weigh(
    facts: &Facts,
    contract: &Contract,
    part: &PartFacts,
    record: &Gone,
    dropped_by: Option<usize>,
    cuts: &[usize],
) -> (Class, Standing) {
    // acks=1 promises nothing across a change of leader, and everything without one.
    let changed = match record.epoch {
        Some(epoch) => led_after(part, epoch),
        None => part.changed_leader(),
    };
    let across_change = if changed {
        Standing::NotPromised
    } else {
        Standing::Broken
    };
    // Acknowledged, never shown to be committed, and yet given to a consumer by a follower.
    let given = record.read.is_some() && record.proof.is_none();
    match record.kind {
        Kind::AckedAbove | Kind::AckedUndetermined
            if given && !read_in_dirty_window(facts, part, record) =>
        {
            (Class::Undetermined, Standing::Undetermined)
        }
        Kind::AckedAbove => (Class::AboveHw, across_change),
        Kind::AckedUndetermined => (Class::Undetermined, across_change),
        Kind::AckedElsewhere if record.proof.is_none() => (Class::Resend, across_change),
        Kind::AckedElsewhere | Kind::AckedBelow | Kind::Committed | Kind::Read => {
            below(facts, contract, part, record, dropped_by, cuts)
        }
    }
}

/// Whether anybody led after an epoch: a later leader's line, or a leader's own word that it follows
/// now.
fn led_after(part: &PartFacts, epoch: Epoch) -> bool {
    let roles = &part.roles;
    let deposed = |term: &Term| term.epoch == epoch && matches!(term.until, Until::Followed(_));
    let mut terms = roles.terms.iter();
    terms.any(|term| term.epoch > epoch || deposed(term))
}

/// Causes of losing what was committed.
fn below(
    facts: &Facts,
    contract: &Contract,
    part: &PartFacts,
    record: &Gone,
    dropped_by: Option<usize>,
    cuts: &[usize],
) -> (Class, Standing) {
    let clean = dropped_by.map(|election| part.elections[election].clean);
    if clean == Some(Some(false)) {
        let standing = if contract.unclean_enabled {
            Standing::NotPromised
        } else {
            Standing::Broken
        };
        return (Class::UncleanElection, standing);
    }
    if read_in_dirty_window(facts, part, record) {
        return (Class::DirtyHw, Standing::NotPromised);
    }
    let cut_to_own_hw = cuts
        .iter()
        .any(|&cut| part.roles.cuts[cut].to_own_hw.is_some());
    if cut_to_own_hw || contract.known_bad_protocol.is_some() {
        return (Class::KnownBadProtocol, Standing::Broken);
    }
    if contract.unclean_enabled && clean != Some(Some(true)) {
        return (Class::Undetermined, Standing::Undetermined);
    }
    (Class::Unexplained, Standing::Broken)
}

/// A broker gave it to a consumer and then saw its own high watermark go back below it
/// (KAFKA-14704, 2.7.0 to 3.4.0).
fn read_in_dirty_window(facts: &Facts, part: &PartFacts, record: &Gone) -> bool {
    let (Some(read), Some(offset), None) = (record.read, record.offset, record.proof) else {
        return false;
    };
    let broker = facts.ops.read(read).broker;
    part.roles.hw_back.iter().any(|back| {
        broker == Some(back.node) && back.cut.is_some() && back.from > offset && back.to <= offset
    })
}

/// The first election after a record's epoch whose leader's log ended at or below it.
fn dropping_election(part: &PartFacts, offset: Offset, epoch: Epoch) -> Option<usize> {
    part.elections.iter().position(|election| {
        let term = &part.roles.terms[election.term];
        term.epoch > epoch && term.leo <= offset
    })
}

/// Cuts at or below the record by brokers whose log had reached it.
fn destroying_cuts(part: &PartFacts, record: &Gone, offset: Offset) -> Vec<usize> {
    let acceptor = record.term.map(|term| part.roles.terms[term].node);
    let mut cuts = Vec::new();
    for (index, cut) in part.roles.cuts.iter().enumerate() {
        let follow = cut.follow.map(|follow| part.roles.follows[follow]);
        let later = match (follow, record.epoch) {
            (Some(follow), Some(epoch)) => follow.epoch > epoch,
            _ => true,
        };
        // The `Follower` line's log end is a lower bound; what a broker accepted, it had.
        let had = follow.is_none_or(|follow| follow.leo > offset) || acceptor == Some(cut.node);
        let other = follow.is_some_and(|follow| held_another(part, &follow, record, offset));
        let again = cuts
            .iter()
            .any(|&known: &usize| part.roles.cuts[known].node == cut.node);
        if cut.to <= offset && later && had && !other && !again {
            cuts.push(index);
        }
    }
    cuts
}

/// Whether a broker cannot have held the record when it began to follow: it had heard of no epoch
/// as late as the record's, or had led one after it that began at or below the offset.
fn held_another(part: &PartFacts, follow: &Follow, record: &Gone, offset: Offset) -> bool {
    let Some(epoch) = record.epoch else {
        return false;
    };
    follow.previous.is_some_and(|known| known < epoch)
        || part.roles.terms.iter().any(|term| {
            let between = term.epoch > epoch && term.epoch < follow.epoch;
            term.node == follow.node && between && term.leo <= offset
        })
}
