//! What one consumer was given at an offset, every other is given too, and the final log holds it.
//!
//! An offset never holds a second record: neither compaction nor retention puts anything in the
//! place of what they take. That nothing stands there any more is `read_then_vanished`'s business.

use history::{Offset, Payload, ValueId};

use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Gone, Story, many};
use crate::judgement::{Class, Finding, Group, OffsetRange, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "read-then-changed",
    sentence: "an offset that a consumer saw never holds another record",
    group: Group::Loss,
    premises: &["history-whole", "final-logs", "load"],
    look,
};

/// Two deliveries that disagree about an offset: as `ops.read` counts.
type Dispute = (u32, u32);

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        blocked: case.no_final_log(),
        ..Tally::of("deliveries")
    };
    // Against the final log: these are gone, and told as such.
    for (group, count) in case.gone.groups_with(|record| replaced(case, record)) {
        tally.observed += count;
        tally.findings.push(group.finding);
    }
    for part in case.parts() {
        let (examined, disputes) = disputes(case, part);
        tally.examined += examined;
        if let Some(finding) = tell(case, part, &disputes) {
            tally.found(findings, finding);
        }
    }
    tally
}

/// Whether the final log holds another of our records where this one was given to a consumer.
fn replaced(case: &Case, record: &Gone) -> bool {
    let (Some(_), Some(offset)) = (record.read, record.offset) else {
        return false;
    };
    let part = &case.facts.parts[case.gone.groups[record.group].part];
    part.final_log()
        .and_then(|log| log.value_at(offset))
        .is_some_and(|other| other != record.value)
}

/// Deliveries of our values, and those that disagree with another one where the final log has
/// nothing to say. What agrees with the final log agrees with all that do.
fn disputes(case: &Case, part: &PartFacts) -> (u64, Vec<Dispute>) {
    let log = part.final_log();
    let mut open: Vec<(Offset, ValueId, u32)> = Vec::new();
    for index in part.read_there.noes().map(|place| part.reads[place]) {
        let read = case.facts.ops.read(index);
        let Payload::Value(value) = read.payload else {
            continue;
        };
        if log.is_none_or(|log| log.at(read.offset).is_none()) {
            open.push((read.offset, value, index));
        }
    }
    open.sort_unstable();
    let mut disputes = Vec::new();
    for pair in open.windows(2) {
        let [(at, value, first), (there, other, second)] = [pair[0], pair[1]];
        if at == there && value != other {
            disputes.push((first.min(second), first.max(second)));
        }
    }
    (part.values_given, disputes)
}

fn tell(case: &Case, part: &PartFacts, disputes: &[Dispute]) -> Option<Finding> {
    let (&(first, second), &(_, last)) = (disputes.first()?, disputes.last()?);
    let offset = |read: u32| case.facts.ops.read(read).offset.0;
    let range = OffsetRange {
        from: offset(first),
        to: offset(last) + 1,
    };
    let count = disputes.len() as u64;
    let title = format!(
        "{}: consumers were given different records at {}",
        part.name,
        many(count, "offset", "offsets")
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let [one, two] = [first, second].map(|read| case.facts.ops.read(read));
    let said = |read: &crate::facts::ReadFact| match read.payload {
        Payload::Value(value) => format!("{value} to {} ({})", read.client, read.op),
        Payload::Corrupt | Payload::Foreign => format!("a record to {} ({})", read.client, read.op),
    };
    let mut story = Story::default();
    let text = format!(
        "{} gave {}, and later {}; the final log holds nothing there.",
        one.offset,
        said(&one),
        said(&two)
    );
    story.say(case.facts, text, &[]);
    (finding.class, finding.standing) = cause(case, part, disputes, range);
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.count = count;
    finding.offsets = Some(range);
    finding.first = Some(case.given(first));
    finding.last = Some(case.given(last));
    Some(finding)
}

/// The cause for which the loser of each dispute is gone, where all have the same; else what the
/// elections say.
fn cause(
    case: &Case,
    part: &PartFacts,
    disputes: &[Dispute],
    range: OffsetRange,
) -> (Class, Standing) {
    let gone = |read: u32| {
        let fact = case.facts.ops.read(read);
        let Payload::Value(value) = fact.payload else {
            return None;
        };
        let of = |record: &&Gone| record.offset == Some(fact.offset) && record.value == value;
        let group = case.gone.records.iter().find(of)?.group;
        let group = &case.gone.groups[group];
        Some((group.class, group.standing))
    };
    let permitted = |cause: &(Class, Standing)| cause.1 != Standing::Broken;
    // The record that had to go excuses its successor's place.
    let mut causes = disputes.iter().map(|&(a, b)| {
        gone(a)
            .filter(permitted)
            .or_else(|| gone(b).filter(permitted))
    });
    match causes.next().flatten() {
        Some(first) if causes.all(|cause| cause == Some(first)) => first,
        _ => case.disagreement(part, range),
    }
}
