//! A group of gone records told as a story: who accepted them, why they were never safe (or were),
//! which election dropped them, who cut them, who still holds them. A step without evidence says so.

use history::{Mark, NodeId, Offset, Seen};

use super::acceptance::{above_proof, held_by_images};
use super::proofs::{proof_in_words, proofs};
use super::why::{conclude, resumed};
use super::words::{Story, at, many, span_of, these};
use super::{Gone, GoneTopic, Group, Kind};
use crate::causes::LossKind;
use crate::contract::Contract;
use crate::facts::{Cut, Facts, PartFacts, PartId, Term, nodes};
use crate::judgement::{
    Class, Finding, FindingId, OffsetRange, OpWitness, Standing, StillHeld, TimeSpan,
};

/// The guarantee that a kind of absence belongs to first of all.
pub fn guarantee(kind: Kind) -> &'static str {
    match kind {
        Kind::AckedBelow => "acked-lost-below-hw",
        Kind::AckedAbove => "acked-lost-above-hw",
        Kind::AckedUndetermined => "acked-lost-undetermined",
        Kind::AckedElsewhere => "acked-offset-wrong",
        Kind::Committed => "committed-lost",
        Kind::Read => "read-then-vanished",
    }
}

/// Tells a group.
pub fn tell(facts: &Facts, contract: &Contract, gone: &GoneTopic, group: &Group) -> Finding {
    let part = &facts.parts[group.part];
    let records: Vec<Gone> = group.records.iter().map(|&r| gone.records[r]).collect();
    let range = range(&records);
    let mut story = Story::default();
    if let Some(first) = records.first() {
        accepted(facts, part, group, &records, &mut story);
        committed(facts, group.part, first, &mut story);
        let faults = faults_then(facts, part, group, first);
        tell_in_order(facts, part, group, faults, &mut story);
        conclude(facts, contract, group, first, &mut story);
    }
    let (held, nowhere) = held_by_images(part, records.iter().copied());
    let still_held: Vec<StillHeld> = held
        .into_iter()
        .map(|(image, count)| {
            let image = facts.image(image);
            StillHeld {
                node: image.node,
                image: image.file.clone(),
                taken: image.to,
                count,
            }
        })
        .collect();
    let title = title(part, group, range, records.len() as u64);
    Finding {
        id: FindingId(0),
        guarantee: guarantee(group.kind).to_owned(),
        topic: part.name.topic.to_string(),
        partition: Some(part.name.to_string()),
        title,
        offsets: range,
        count: records.len() as u64,
        class: group.class,
        standing: group.standing,
        story: story.sentences,
        evidence: story.evidence,
        first: records.first().and_then(|record| witness(facts, record)),
        last: records.last().and_then(|record| witness(facts, record)),
        still_held,
        held_nowhere: Some(nowhere),
        would_keep: would_keep(contract, group),
    }
}

fn range(records: &[Gone]) -> Option<OffsetRange> {
    let offsets = || records.iter().filter_map(|record| record.offset);
    Some(OffsetRange {
        from: offsets().min()?.0,
        to: offsets().max()?.0 + 1,
    })
}

fn title(part: &PartFacts, group: &Group, range: Option<OffsetRange>, count: u64) -> String {
    let acked = many(count, "acknowledged record", "acknowledged records");
    let what = match group.kind {
        Kind::AckedBelow => format!("{acked} lost below the high watermark"),
        Kind::AckedAbove => format!("{acked} lost above the high watermark"),
        Kind::AckedUndetermined => {
            format!("{acked} lost, on which side of the high watermark cannot be shown")
        }
        Kind::AckedElsewhere => format!("{acked} not where the acknowledgement said"),
        Kind::Committed => format!(
            "{} lost",
            many(count, "committed record", "committed records")
        ),
        Kind::Read => format!(
            "{} given to consumers and gone",
            many(count, "record", "records")
        ),
    };
    format!("{} {}: {what}", part.name, span_of(range))
}

fn would_keep(contract: &Contract, group: &Group) -> Option<String> {
    match (group.kind, group.class) {
        (Kind::AckedAbove | Kind::AckedUndetermined, _) if !contract.acks_all() => {
            Some("acks=all".to_owned())
        }
        (_, Class::LastStanding | Class::AllDown | Class::LossyLeader)
            if group.standing == Standing::NotPromised =>
        {
            let causes = &contract.causes[&group.part];
            let loss = &causes.losses[causes.lossy[group.lossy?].loss];
            (loss.kind == LossKind::PowerCut).then(|| "flush.messages=1".to_owned())
        }
        (_, Class::DirtyHw) => Some("Kafka 3.5 or later".to_owned()),
        (_, Class::Compaction) => Some("Kafka 3.1 or later".to_owned()),
        (_, Class::UncleanElection) => Some("unclean.leader.election.enable=false".to_owned()),
        (_, Class::KnownBadProtocol) => {
            Some("inter.broker.protocol.version of 2.0 or later".to_owned())
        }
        (_, _) => None,
    }
}

/// The operation that sent (or, if nobody sent it, read) a record.
fn witness(facts: &Facts, record: &Gone) -> Option<OpWitness> {
    if let Some(send) = record.send {
        let send = facts.ops.send(send);
        return Some(OpWitness {
            op: send.op,
            client: send.client,
            value: Some(send.value),
            offset: record.offset.map(|offset| offset.0),
            invoked: send.invoked,
            returned: send.returned,
        });
    }
    let read = facts.ops.read(record.read?);
    Some(OpWitness {
        op: read.op,
        client: read.client,
        value: Some(record.value),
        offset: Some(read.offset.0),
        invoked: read.invoked,
        returned: Some(read.returned),
    })
}

fn accepted_at(facts: &Facts, record: &Gone) -> Option<Mark> {
    let send = facts.ops.send(record.send?);
    send.returned
}

/// A fault that has to do with the story: when it began, and in words.
type FaultStep = (Mark, String);

/// Faults that were not over when the first record was accepted, up to the election that dropped the
/// records: those that touched the accepting broker, and for committed records all. What was found to
/// have had no effect did nothing to them.
fn faults_then(facts: &Facts, part: &PartFacts, group: &Group, first: &Gone) -> Vec<FaultStep> {
    let Some(moment) = accepted_at(facts, first) else {
        return Vec::new();
    };
    let acceptor = group.term.map(|term| part.roles.terms[term].node);
    let until = group
        .dropped_in
        .and_then(|term| facts.line_span(part.roles.terms[term].line))
        .map_or(facts.length, |span| span.to);
    let mut steps = Vec::new();
    for fault in &facts.faults {
        let Some((_, deed)) = fault.deed() else {
            continue;
        };
        if fault.had_no_effect() {
            continue;
        }
        let widest = fault.widest(facts.length);
        let touches = first.proof.is_some()
            || acceptor.is_none_or(|node| crate::faults::harmed(deed).contains(&node));
        if !touches || widest.from > until || widest.to < moment {
            continue;
        }
        let proof = match fault.proof() {
            Some((at, evidence)) => format!("proved at {at}: {evidence}"),
            None => "not proved".to_owned(),
        };
        // It may act from the intent on, whenever it was proved.
        let text = format!(
            "From {} to {}: {} ({}, {proof}).",
            widest.from,
            fault.in_force(facts.length).to,
            crate::faults::deed_in_words(deed),
            fault.stages[0].fault
        );
        steps.push((widest.from, text));
    }
    steps
}

/// The election and the cuts by epoch, with the faults among them by time.
fn tell_in_order(
    facts: &Facts,
    part: &PartFacts,
    group: &Group,
    mut faults: Vec<FaultStep>,
    story: &mut Story,
) {
    let mut steps: Vec<(Option<history::Epoch>, bool, Option<TimeSpan>, usize)> = Vec::new();
    for &index in &group.cuts {
        let cut = &part.roles.cuts[index];
        let epoch = cut.follow.map(|follow| part.roles.follows[follow].epoch);
        steps.push((epoch, true, facts.line_span(cut.line), index));
    }
    if let Some(index) = group.dropped_in {
        let term = &part.roles.terms[index];
        steps.push((Some(term.epoch), false, facts.line_span(term.line), index));
    }
    steps.sort_by_key(|(epoch, cut, at, index)| (*epoch, *cut, at.map(|at| at.from), *index));
    faults.sort();
    let mut faults = faults.into_iter().peekable();
    if group.dropped_in.is_none() {
        let text = "No election is recorded whose leader lacked them.".to_owned();
        let needed = "a `Leader ... starts` line of a later epoch at or below their offsets";
        story.missing(text, needed);
    }
    for (_, is_cut, at, index) in steps {
        while let Some((_, text)) = faults.next_if(|(from, _)| at.is_none_or(|at| *from <= at.to)) {
            story.say(facts, text, &[]);
        }
        if is_cut {
            let cut = &part.roles.cuts[index];
            story.say(facts, cut_in_words(facts, part, cut), &cut_lines(part, cut));
        } else {
            match group.dropped_by {
                Some(index) => election(facts, part, index, story),
                None => resumed(facts, part, index, story),
            }
        }
    }
    for (_, text) in faults {
        story.say(facts, text, &[]);
    }
    if group.cuts.is_empty() {
        story.missing(
            "No line shows who cut them.".to_owned(),
            "a `Truncating to offset` line of a broker that held them",
        );
    }
}

fn accepted(facts: &Facts, part: &PartFacts, group: &Group, records: &[Gone], story: &mut Story) {
    let Some(first) = records.first() else { return };
    let Some(index) = group.term else {
        let what = "Which broker accepted them, and in which epoch, is not known.".to_owned();
        let needed = "an image that holds them, the broker's name in the acknowledgement, or the \
                      brokers' transition lines";
        story.missing(what, needed);
        return;
    };
    let term = &part.roles.terms[index];
    let when = accepted_at(facts, first);
    let isr = when
        .and_then(|when| isr_at(facts, part, term, when))
        .unwrap_or_else(|| term.isr.clone());
    let hw = when.and_then(|when| hw_at(facts, part, term.node, when));
    let hw = hw.map_or(String::new(), |(hw, at)| {
        format!(", its high watermark {hw} when last asked ({at})")
    });
    let verb = if first.acked { "acknowledged" } else { "took" };
    let text = format!(
        "{} led {} and {verb} {}; the in-sync set was {}{hw}.",
        term.node,
        term.epoch,
        these(records.len() as u64),
        nodes(&isr),
    );
    story.say(facts, text, &[term.line]);
}

/// Why the records were safe, or never were.
fn committed(facts: &Facts, id: PartId, first: &Gone, story: &mut Story) {
    let part = &facts.parts[id];
    if first.proof.is_some() {
        for proof in proofs(facts, id, first) {
            let (text, lines) = proof_in_words(facts, first, &proof);
            story.say(facts, text, &lines);
        }
        return;
    }
    let above = first
        .term
        .zip(first.offset)
        .and_then(|(term, offset)| above_proof(part, term, offset));
    match (above, first.kind) {
        (Some(follow), _) => {
            let follow = &part.roles.follows[follow];
            let text = format!(
                "When {} stopped leading, its own high watermark stood at {}: none of \
                 them had ever been below it.",
                follow.node, follow.hw
            );
            story.say(facts, text, &[follow.line]);
        }
        (None, Kind::AckedUndetermined) => story.missing(
            "Whether they were ever below the high watermark cannot be shown.".to_owned(),
            "the `Follower ... starts` line of the process that acknowledged them; it ended before \
             it could write one",
        ),
        (None, _) => {}
    }
}

fn election(facts: &Facts, part: &PartFacts, index: usize, story: &mut Story) {
    let election = &part.elections[index];
    let term = &part.roles.terms[election.term];
    let clean = match election.clean {
        Some(true) => "cleanly",
        Some(false) => "uncleanly",
        None => "cleanly or not",
    };
    let text = format!(
        "{} {} was elected for {}, {clean} ({}); its log ended at {}, its high watermark stood at {}.",
        at(facts.line_span(term.line)),
        term.node,
        term.epoch,
        election.clean_because,
        term.leo,
        term.hw
    );
    story.say(facts, text, &[term.line]);
}

/// The lines of a cut: the `Follower` line that it answers to, the old protocol's line, its own.
pub fn cut_lines(part: &PartFacts, cut: &Cut) -> Vec<usize> {
    let follow = cut.follow.map(|follow| part.roles.follows[follow].line);
    follow
        .into_iter()
        .chain(cut.to_own_hw)
        .chain([cut.line])
        .collect()
}

fn cut_in_words(facts: &Facts, part: &PartFacts, cut: &Cut) -> String {
    let when = at(facts.line_span(cut.line));
    let own = match cut.to_own_hw {
        Some(_) => ", its own high watermark, without asking the leader",
        None => "",
    };
    match cut.follow.map(|follow| part.roles.follows[follow]) {
        Some(follow) => format!(
            "{when} {} followed {} with its log ending at {} and its high watermark at {}, and cut \
             the log to {}{own}.",
            cut.node, follow.epoch, follow.leo, follow.hw, cut.to
        ),
        None => format!("{when} {} cut its log to {}{own}.", cut.node, cut.to),
    }
}

/// The in-sync set as ZooKeeper or any broker's metadata of that epoch had it last.
fn isr_at(facts: &Facts, part: &PartFacts, term: &Term, when: Mark) -> Option<Vec<NodeId>> {
    let seen = part.seen.iter().rev();
    seen.map(|&index| facts.observations[index as usize])
        .filter(|seen| seen.answered <= when)
        .find_map(|seen| match &seen.seen {
            Seen::ZkState { epoch, isr, .. } if *epoch == term.epoch => Some(isr.clone()),
            Seen::Belief { epoch, isr, .. } if *epoch == term.epoch && seen.node == term.node => {
                Some(isr.clone())
            }
            _ => None,
        })
}

/// The high watermark that a broker gave last before a moment.
fn hw_at(facts: &Facts, part: &PartFacts, node: NodeId, when: Mark) -> Option<(Offset, Mark)> {
    let seen = part.seen.iter().rev();
    seen.map(|&index| facts.observations[index as usize])
        .filter(|seen| seen.node == node && seen.answered <= when)
        .find_map(|seen| match &seen.seen {
            Seen::LeaderHw { hw, .. } | Seen::Watermarks { hw, .. } => Some((*hw, seen.answered)),
            _ => None,
        })
}
