//! A transaction is seen whole or not at all: what was committed is, what was aborted is not, and of
//! what nobody was told it is one of the two, in every partition alike.
//!
//! The markers of the final logs decide what a read_committed consumer is shown, with the index of
//! aborted transactions; deliveries to such consumers are looked at as well. Records that are gone
//! altogether are told as losses.

use history::{Offset, Payload};
use rustc_hash::FxHashMap;

use super::txn_index;
use super::{Case, Check, Tally};
use crate::facts::txns::{Fate, Marked, Stretches, Txn, Txns};
use crate::facts::{LogView, PartFacts, PartId};
use crate::findings::Findings;
use crate::gone::{Kind, Story, many};
use crate::judgement::{Class, Finding, Group, OffsetRange, OpWitness, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "txn-atomicity",
    sentence: "committed transactions are seen whole, aborted ones not at all",
    group: Group::Records,
    premises: &["history-whole", "values-unique", "final-logs", "fates"],
    look,
};

/// What is wrong with a record of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wrong {
    /// Its transaction was committed, and an abort marker ends it.
    CommittedAborted,
    /// Its transaction was committed, and nothing ends it.
    CommittedOpen,
    /// Its transaction was not committed, and a commit marker ends it.
    AbortedCommitted,
    /// Nobody was told; other records of its transaction are committed, it is not.
    Torn,
    /// It was not committed, and a read_committed consumer was given it.
    AbortedGiven,
    /// Nothing ends its transaction, and a read_committed consumer was given it.
    OpenGiven,
    /// A read_committed consumer was given it before anybody asked to commit it.
    GivenEarly,
    /// It is committed, and a read_committed consumer that read past it in the drain was not given
    /// it.
    Withheld,
}

/// A record in question: what is wrong, its transaction, where it stands, its send, and the delivery
/// that shows it.
type Suspect = (Wrong, usize, Offset, u32, Option<u32>);

/// The records of a transaction in one partition, by how their stretch ends.
#[derive(Debug, Default)]
struct Stood {
    committed: u64,
    /// Those whose end contradicts what the client was told, or may: send, offset, how they end.
    odd: Vec<(u32, Offset, Marked)>,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let facts = case.facts;
    let txns = Txns::of(facts);
    let topic = &case.contract.topic;
    let ours: Vec<usize> = txns.of_topic(facts, topic).collect();
    let transactional = facts.recording.setting.producers.values();
    let mut transactional = transactional.filter(|p| p.topic == *topic);
    if ours.is_empty() && !transactional.any(|p| p.transactional_id.is_some()) {
        return Tally::absent();
    }
    let mut tally = Tally {
        examined: ours.len() as u64,
        blocked: case.no_final_log().or_else(|| {
            // It takes markers away, and records of aborted transactions before them.
            let compacted = case.contract.compacted;
            compacted.then(|| "compaction takes the ends of transactions away".to_owned())
        }),
        ..Tally::of("transactions")
    };
    // A transaction may span topics: all partitions say whether it was torn.
    let mut stood: FxHashMap<(usize, PartId), Stood> = FxHashMap::default();
    let stretches: Vec<Stretches> = (0..facts.parts.len())
        .map(|id| stand(case, &txns, id, &mut stood))
        .collect();
    let mut committed: FxHashMap<usize, u64> = FxHashMap::default();
    for ((txn, _), stood) in &stood {
        *committed.entry(*txn).or_default() += stood.committed;
    }
    lost(case, &txns, &committed, &mut tally);
    for &id in &case.contract.parts {
        let part = &facts.parts[id];
        let mut suspects = marked(case, &txns, id, &stood, &committed);
        given(case, &txns, part, &stretches[id], &committed, &mut suspects);
        withheld(case, &txns, part, &stretches[id], &mut suspects);
        suspects.sort_unstable();
        for group in suspects.chunk_by(|a, b| a.0 == b.0) {
            let finding = tell(case, &txns, part, group);
            tally.found(findings, finding);
        }
        if let Some(finding) = txn_index::compare(case, part, &stretches[id]) {
            tally.found(findings, finding);
        }
    }
    tally
}

/// Acknowledged records that are gone, of transactions that are committed: told as losses.
fn lost(case: &Case, txns: &Txns, committed: &FxHashMap<usize, u64>, tally: &mut Tally) {
    let seen = |txn: usize| match txns.get(txn).fate {
        Fate::Committed => true,
        Fate::Aborted => false,
        Fate::Unknown => committed.get(&txn).is_some_and(|n| *n > 0),
    };
    let groups = case.gone.groups_with(|record| {
        let send = record.send.map(|send| case.facts.ops.send(send));
        let txn = send.and_then(|send| txns.containing(send.client, send.op));
        record.acked && record.kind != Kind::AckedElsewhere && txn.is_some_and(seen)
    });
    for (group, count) in groups {
        tally.observed += count;
        tally.findings.push(group.finding);
    }
}

/// Where the records of transactions stand in one final log, and how they end there.
fn stand(
    case: &Case,
    txns: &Txns,
    id: PartId,
    stood: &mut FxHashMap<(usize, PartId), Stood>,
) -> Stretches {
    let Some(log) = case.facts.parts[id].final_log() else {
        return Stretches::default();
    };
    let stretches = Stretches::of(log);
    for batch in &log.log.batches {
        let Some(stretch) = stretches.of_batch(batch) else {
            continue;
        };
        for record in log.log.records_of(batch) {
            let Some((send, txn)) = sender(case, txns, record.payload) else {
                continue;
            };
            let stood = stood.entry((txn, id)).or_default();
            match stretch.marked {
                Marked::Committed => stood.committed += 1,
                Marked::Aborted | Marked::Open => {}
            }
            let committed = stretch.marked == Marked::Committed;
            if committed == (txns.get(txn).fate == Fate::Aborted) {
                stood.odd.push((send, record.offset, stretch.marked));
            }
        }
    }
    stretches
}

/// The send and the transaction of a payload.
fn sender(case: &Case, txns: &Txns, payload: Payload) -> Option<(u32, usize)> {
    let Payload::Value(value) = payload else {
        return None;
    };
    let index = case.facts.ops.by_value.get(value)?;
    let send = case.facts.ops.send(index);
    Some((index, txns.containing(send.client, send.op)?))
}

/// Records whose markers contradict what their clients were told.
fn marked(
    case: &Case,
    txns: &Txns,
    id: PartId,
    stood: &FxHashMap<(usize, PartId), Stood>,
    committed: &FxHashMap<usize, u64>,
) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    for (&(txn, _), stood) in stood.iter().filter(|((_, part), _)| *part == id) {
        let wrong = |marked: Marked| match (txns.get(txn).fate, marked) {
            (Fate::Committed, Marked::Aborted) => Some(Wrong::CommittedAborted),
            (Fate::Committed, Marked::Open) => Some(Wrong::CommittedOpen),
            (Fate::Aborted, Marked::Committed) => Some(Wrong::AbortedCommitted),
            (Fate::Unknown, _) if committed.get(&txn).is_some_and(|n| *n > 0) => Some(Wrong::Torn),
            _ => None,
        };
        for &(send, offset, marked) in &stood.odd {
            // What the client gave up may be left out of a committed transaction.
            let left_out = marked != Marked::Committed && !case.facts.ops.send(send).acked();
            if let Some(wrong) = wrong(marked).filter(|_| !left_out) {
                suspects.push((wrong, txn, offset, send, None));
            }
        }
    }
    suspects
}

fn read_committed(case: &Case, client: history::ClientId) -> bool {
    let consumers = &case.facts.recording.setting.consumers;
    consumers.get(&client).is_some_and(|c| c.read_committed)
}

/// What read_committed consumers were given and should not have been.
fn given(
    case: &Case,
    txns: &Txns,
    part: &PartFacts,
    stretches: &Stretches,
    committed: &FxHashMap<usize, u64>,
    suspects: &mut Vec<Suspect>,
) {
    for &index in &part.reads {
        let read = case.facts.ops.read(index);
        if !read_committed(case, read.client) {
            continue;
        }
        let Some((send, txn)) = sender(case, txns, read.payload) else {
            continue;
        };
        let Txn {
            fate, commit_asked, ..
        } = *txns.get(txn);
        let log = part.final_log();
        let marked = log.and_then(|log| stretches.at(log, read.offset));
        let stands = log.is_some_and(|log| holds(log, &read));
        let aborted = marked == Some(Marked::Aborted) && stands;
        let open = marked == Some(Marked::Open) && stands;
        let told = marked == Some(Marked::Committed) && stands;
        let torn = committed.get(&txn).is_some_and(|n| *n > 0);
        // What the client gave up may be left out, and then nobody told of its marker.
        let by_marker = (fate == Fate::Committed || torn) && case.facts.ops.send(send).acked();
        let wrong = if fate == Fate::Aborted && told {
            // Told by its marker already.
            continue;
        } else if fate == Fate::Aborted {
            Wrong::AbortedGiven
        } else if commit_asked.is_some_and(|asked| read.returned < asked) {
            Wrong::GivenEarly
        } else if (aborted || open) && by_marker {
            continue;
        } else if aborted {
            Wrong::AbortedGiven
        } else if open {
            Wrong::OpenGiven
        } else {
            continue;
        };
        suspects.push((wrong, txn, read.offset, send, Some(index)));
    }
}

fn holds(log: &LogView, read: &crate::facts::ReadFact) -> bool {
    log.at(read.offset)
        .is_some_and(|record| record.payload == read.payload)
}

/// Committed records that read_committed consumers of the drain read past without being given them.
fn withheld(
    case: &Case,
    txns: &Txns,
    part: &PartFacts,
    stretches: &Stretches,
    suspects: &mut Vec<Suspect>,
) {
    let Some(log) = part.final_log() else {
        return;
    };
    let drained = part.reads.iter().map(|&read| case.facts.ops.read(read));
    let mut drained: Vec<Offset> = drained
        .filter(|read| read.drain && read_committed(case, read.client))
        .map(|read| read.offset)
        .collect();
    drained.sort_unstable();
    let Some(&furthest) = drained.last() else {
        return;
    };
    // Whoever reads on past an open transaction has been shown more than the log would show.
    let end = furthest;
    let start = part.fin.as_ref().map_or(Offset(0), |fin| fin.start);
    for batch in log.log.batches.iter().filter(|batch| batch.base < end) {
        let stretch = stretches.of_batch(batch);
        if stretch.is_none_or(|stretch| stretch.marked != Marked::Committed) {
            continue;
        }
        for record in log.log.records_of(batch) {
            let due = record.offset >= start && record.offset < end;
            if due
                && drained.binary_search(&record.offset).is_err()
                && let Some((send, txn)) = sender(case, txns, record.payload)
            {
                suspects.push((Wrong::Withheld, txn, record.offset, send, None));
            }
        }
    }
}

impl Wrong {
    fn title(self) -> &'static str {
        match self {
            Self::CommittedAborted => "of committed transactions stand aborted",
            Self::CommittedOpen => "of committed transactions stand without a marker",
            Self::AbortedCommitted => "of transactions that were not committed stand committed",
            Self::Torn => "of transactions that are committed elsewhere are not",
            Self::AbortedGiven => {
                "of transactions that were not committed were given to read_committed consumers"
            }
            Self::OpenGiven => {
                "of transactions that nothing ends were given to read_committed consumers"
            }
            Self::GivenEarly => {
                "were given to read_committed consumers before anybody asked to commit them"
            }
            Self::Withheld => "are committed and were withheld from read_committed consumers",
        }
    }

    fn says(self) -> &'static str {
        match self {
            Self::CommittedAborted => "and an abort marker ends it",
            Self::CommittedOpen => "and no marker ends it",
            Self::AbortedCommitted => "and a commit marker ends it",
            Self::Torn => "and no commit marker ends it, although one ends others of its records",
            Self::AbortedGiven | Self::GivenEarly => "and was given to",
            Self::OpenGiven => "and no marker ends it, and was given to",
            Self::Withheld => "and the read_committed drain read past it",
        }
    }
}

fn tell(case: &Case, txns: &Txns, part: &PartFacts, group: &[Suspect]) -> Finding {
    let &(wrong, txn, at, send, read) = &group[0];
    let count = group.len() as u64;
    let title = format!(
        "{}: {} {}",
        part.name,
        many(count, "record", "records"),
        wrong.title()
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let txn = txns.get(txn);
    let fact = case.facts.ops.send(send);
    let told = match txn.fate {
        Fate::Committed => "was told that it is committed",
        Fate::Aborted if txn.commit_asked.is_none() => "did not commit",
        Fate::Aborted => "was told that it is aborted",
        Fate::Unknown => "does not know whether it is committed",
    };
    let to = read.map_or(String::new(), |read| {
        let read = case.facts.ops.read(read);
        format!(" {} ({}) at {}", read.client, read.op, read.returned)
    });
    let text = format!(
        "{} of {} ({}) belongs to the transaction that {} began ({}) and {told}. It stands at {at} \
         {}{to}.",
        fact.value,
        fact.client,
        fact.op,
        txn.client,
        txn.begin,
        wrong.says()
    );
    let mut story = Story::default();
    story.say(case.facts, text, &[]);
    story.say(
        case.facts,
        "Before 4.0 a delayed or repeated EndTxn may end the next transaction of the same producer \
         epoch (KAFKA-17754): known, and not permitted."
            .to_owned(),
        &[],
    );
    let offsets = group.iter().map(|suspect| suspect.2);
    let range = OffsetRange {
        from: offsets.clone().min().unwrap_or(at).0,
        to: offsets.max().unwrap_or(at).0 + 1,
    };
    let end = part.final_log().map_or(at, |log| log.log.leo());
    (finding.class, finding.standing) = match wrong {
        Wrong::CommittedOpen | Wrong::OpenGiven if case.never_healed().is_some() => {
            (Class::Undetermined, Standing::Undetermined)
        }
        // What is missing is the marker, which stood behind them.
        Wrong::CommittedOpen | Wrong::OpenGiven => case.disagreement(
            part,
            OffsetRange {
                from: end.0,
                ..range
            },
        ),
        _ => case.disagreement(part, range),
    };
    finding.story = story.sentences;
    finding.count = count;
    finding.offsets = Some(range);
    let witness = |&(_, _, at, send, read): &Suspect| -> OpWitness {
        read.map_or_else(|| case.sent(send, Some(at)), |read| case.given(read))
    };
    finding.first = group.first().map(witness);
    finding.last = group.last().map(witness);
    finding
}
