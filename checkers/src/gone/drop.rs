//! By whom a record was dropped: the leader that began without it, the replicas that cut it, the
//! broker whose log lost it while it was loaded.

use history::{Epoch, NodeId, Offset};

use super::Gone;
use crate::facts::{Cut, CutKind, Facts, PartFacts, Term};
use crate::judgement::TimeSpan;

/// The first time of leadership after a record's own whose log ended at or below it: of a later
/// epoch, or of the same one in a later life of its leader.
pub fn dropping_term(facts: &Facts, part: &PartFacts, record: &Gone) -> Option<usize> {
    let (offset, epoch) = (record.offset?, record.epoch?);
    part.roles.terms.iter().position(|term| {
        term.leo <= offset
            && (term.epoch > epoch
                || term.epoch == epoch && resumed_after(facts, part, record, term))
    })
}

/// Whether a time of leadership is the same leader's, in the same epoch, after it had accepted the
/// record.
fn resumed_after(facts: &Facts, part: &PartFacts, record: &Gone, term: &Term) -> bool {
    let Some(accepted) = record.term.map(|term| &part.roles.terms[term]) else {
        return false;
    };
    let Some(begins) = facts.line_span(term.line) else {
        return false;
    };
    let answered = record.send.and_then(|send| facts.ops.send(send).returned);
    let read = record.read.map(|read| facts.ops.read(read).returned);
    let known = answered
        .filter(|_| record.acked)
        .into_iter()
        .chain(read)
        .min();
    term.node == accepted.node
        && term.life > accepted.life
        && known.is_some_and(|known| known <= begins.from)
}

/// Cuts at or below the record, after it was sent, by brokers whose log had reached it.
pub fn destroying_cuts(
    facts: &Facts,
    part: &PartFacts,
    record: &Gone,
    offset: Offset,
) -> Vec<usize> {
    let sent = record.send.map(|send| facts.ops.send(send).invoked);
    let acceptor = record.term.map(|term| part.roles.terms[term].node);
    let mut cuts = Vec::new();
    for (index, cut) in part.roles.cuts.iter().enumerate() {
        let follow = cut.follow.map(|follow| part.roles.follows[follow]);
        let over = facts.line_span(cut.line).map(|span| span.to);
        let too_early = over.zip(sent).is_some_and(|(over, sent)| over < sent);
        let later = match (follow, record.epoch) {
            (Some(follow), Some(epoch)) => follow.epoch > epoch,
            _ => true,
        };
        // The `Follower` line's log end is a lower bound; what a broker accepted, it had.
        let had = follow.is_none_or(|follow| follow.leo > offset) || acceptor == Some(cut.node);
        let other = held_another(facts, part, cut, record, offset);
        let again = cuts
            .iter()
            .any(|&known: &usize| part.roles.cuts[known].node == cut.node);
        if cut.to <= offset && later && !too_early && had && !other && !again {
            cuts.push(index);
        }
    }
    cuts
}

/// Whether a broker cannot have held the record when it cut its log: it had heard of no epoch as late
/// as the record's, or had led or followed one after it with a log that ended at or below the offset.
fn held_another(facts: &Facts, part: &PartFacts, cut: &Cut, record: &Gone, offset: Offset) -> bool {
    let Some(epoch) = record.epoch else {
        return false;
    };
    let follow = cut.follow.map(|follow| &part.roles.follows[follow]);
    // Times of one host's clock.
    let millis = |line: usize| facts.line(line).host_unix_millis;
    let without = |node: NodeId, line: usize, later: Epoch, leo: Offset| {
        let before = millis(line) <= millis(cut.line) && Some(line) != follow.map(|it| it.line);
        node == cut.node && before && later > epoch && leo <= offset
    };
    let roles = &part.roles;
    follow.is_some_and(|it| it.previous.is_some_and(|known| known < epoch))
        || roles
            .terms
            .iter()
            .any(|it| without(it.node, it.line, it.epoch, it.leo))
        || roles
            .follows
            .iter()
            .any(|it| without(it.node, it.line, it.epoch, it.leo))
}

/// The damage that a leader's log was cut for while it was loaded, at or below the record and in the
/// life in which it led without it; unless it had copied it again in between.
pub fn loading_cut(facts: &Facts, part: &PartFacts, record: &Gone, term: usize) -> Option<usize> {
    let offset = record.offset?;
    let term = &part.roles.terms[term];
    let begins = facts.line_span(term.line)?;
    let again = |cut: TimeSpan| {
        part.roles.follows.iter().any(|follow| {
            let when = facts.line_span(follow.line);
            follow.node == term.node
                && follow.leo > offset
                && when.is_some_and(|when| when.from >= cut.to && when.to <= begins.from)
        })
    };
    part.roles.cuts.iter().position(|cut| {
        cut.kind == CutKind::Corruption
            && cut.node == term.node
            && cut.life == term.life
            && cut.to <= offset
            && facts
                .line_span(cut.line)
                .is_some_and(|at| at.from <= begins.to && !again(at))
    })
}
