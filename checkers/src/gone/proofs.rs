//! Commit evidence of one record, of every kind, told with its source, epoch and time
//! (docs/guarantees.md, "committed").

use history::{Offset, Seen};

use super::Gone;
use super::words::middle;
use crate::facts::{CommitProof, Facts, PartId, ProofSource};
use crate::facts::{below_a_leaders_hw, served_by_leader};

/// Every kind of proof that a record was committed, one of each: what one of them says the others
/// may confirm.
pub fn proofs(facts: &Facts, id: PartId, record: &Gone) -> Vec<CommitProof> {
    let part = &facts.parts[id];
    let mut all: Vec<CommitProof> = Vec::new();
    let mut add = |proof: CommitProof| {
        let kind = std::mem::discriminant(&proof.source);
        if !all
            .iter()
            .any(|known| std::mem::discriminant(&known.source) == kind)
        {
            all.push(proof);
        }
    };
    if let Some(proof) = record.proof {
        add(proof);
    }
    if let Some(read) = record
        .read
        .filter(|&read| served_by_leader(facts, part, read))
    {
        add(CommitProof::of(facts, part, ProofSource::Delivered(read)));
    }
    if let (Some(offset), Some(epoch)) = (record.offset, record.epoch) {
        for proof in below_a_leaders_hw(facts, id, offset, epoch, record.value) {
            add(proof);
        }
    }
    all
}

/// A proof as a sentence, with the lines that it rests on.
pub fn proof_in_words(facts: &Facts, first: &Gone, proof: &CommitProof) -> (String, Vec<usize>) {
    let by = proof
        .node
        .map_or(String::new(), |node| format!(" by {node}"));
    let epoch = proof
        .epoch
        .map_or(String::new(), |epoch| format!(" in {epoch}"));
    let when = proof
        .at
        .map_or(String::new(), |at| format!(", at {}", middle(at)));
    match proof.source {
        // Its neighbour's acknowledgement or delivery: a committed record commits all before it.
        ProofSource::AckAll(send) if Some(send) != first.send => {
            let send = facts.ops.send(send);
            let text = format!(
                "{}, which stands behind it{epoch}, was acknowledged under acks=all ({}): all \
                 before it was below the high watermark.",
                send.value, send.op
            );
            (text, vec![])
        }
        ProofSource::Delivered(read)
            if facts.ops.read(read).offset != first.offset.unwrap_or(Offset(-1)) =>
        {
            let read = facts.ops.read(read);
            let text = format!(
                "{}, which stands behind it{epoch}, was given to {} at {}{by} ({}): all before it was \
                 below the high watermark.",
                read.offset, read.client, read.returned, read.op
            );
            (text, vec![])
        }
        ProofSource::AckAll(send) => {
            let send = facts.ops.send(send);
            let at = send
                .returned
                .map_or(String::new(), |at| format!(" at {at}"));
            let text = format!(
                "{} was acknowledged to {} under acks=all{at} ({}): it was below the high watermark.",
                first.value, send.client, send.op
            );
            (text, vec![])
        }
        ProofSource::Delivered(read) => {
            let read = facts.ops.read(read);
            let text = format!(
                "{} was given to {} at {}{by} ({}): it was below the high watermark.",
                first.value, read.client, read.returned, read.op
            );
            (text, vec![])
        }
        ProofSource::LeaderHw(index) => {
            let seen = facts.observations[index as usize];
            let text = match &seen.seen {
                Seen::LeaderHw { epoch, hw, .. } => format!(
                    "{} led {epoch} and gave its high watermark as {hw} at {}, beyond them.",
                    seen.node, seen.answered
                ),
                _ => format!("{} gave a high watermark beyond them.", seen.node),
            };
            (text, vec![])
        }
        ProofSource::Line(line) => (
            format!(
                "{} wrote down a high watermark beyond them while it led{epoch}{when}.",
                facts.line(line).node
            ),
            vec![line],
        ),
        ProofSource::Checkpoint(image) => (
            format!(
                "The high watermark checkpoint of {} in {}, written while it led{epoch}{when}, lies beyond them.",
                facts.image(image).node,
                facts.image(image).file
            ),
            vec![],
        ),
    }
}
