//! Transactions as clients were told of them, and as markers in logs end them.
//!
//! Nothing is judged here. A transaction whose end nobody was told of is of unknown fate; one that
//! nobody asked to commit was not committed.

use std::collections::{BTreeMap, BTreeSet};

use evidence::{Batch, Marker};
use history::{Call, ClientId, Mark, Offset, OpId, Outcome, Payload, Topic};
use rustc_hash::FxHashMap;

use crate::facts::{CallFact, Facts, LogView};
use crate::judgement::Ended;

/// What a client may conclude about a transaction of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was told that it is committed.
    Committed,
    /// It was told that it is aborted, or never asked for a commit.
    Aborted,
    /// Either.
    Unknown,
}

/// A transaction.
#[derive(Debug, Clone)]
pub struct Txn {
    /// Whose.
    pub client: ClientId,
    /// The call that began it.
    pub begin: OpId,
    /// The last call that ended it; its operations lie between the two.
    pub end: Option<OpId>,
    /// What became of it.
    pub fate: Fate,
    /// When a commit was first asked for.
    pub commit_asked: Option<Mark>,
    /// When its end was answered.
    pub answered: Option<Mark>,
}

/// All transactions, in order of their clients and beginnings.
#[derive(Debug, Default)]
pub struct Txns {
    all: Vec<Txn>,
    by_client: BTreeMap<ClientId, (usize, usize)>,
}

impl Txns {
    /// Collects them.
    pub fn of(facts: &Facts) -> Self {
        let mut calls: BTreeMap<ClientId, Vec<&CallFact>> = BTreeMap::new();
        for call in &facts.calls {
            if matches!(call.call, Call::Begin | Call::End { .. }) {
                calls.entry(call.client).or_default().push(call);
            }
        }
        let recording = facts.recording;
        let whole = recording.torn.is_none() && recording.ended == Ended::Completed;
        let mut txns = Self::default();
        for (client, mut calls) in calls {
            calls.sort_by_key(|call| call.op);
            let first = txns.all.len();
            let mut rest = calls.as_slice();
            while let Some(at) = rest.iter().position(|call| *call.call == Call::Begin) {
                let ends = &rest[at + 1..];
                let until = ends.iter().position(|call| *call.call == Call::Begin);
                let ends = &ends[..until.unwrap_or(ends.len())];
                txns.all.push(txn(rest[at], ends, whole));
                rest = &rest[at + 1..];
            }
            txns.by_client.insert(client, (first, txns.all.len()));
        }
        txns
    }

    /// The same, where of a transaction that nobody was told of the markers behind its records say
    /// what became of it, all of them alike. What was told stays as it was told.
    pub fn with_markers(facts: &Facts) -> Self {
        let mut txns = Self::of(facts);
        if txns.all.iter().all(|txn| txn.fate != Fate::Unknown) {
            return txns;
        }
        let mut said: BTreeMap<usize, BTreeSet<Marked>> = BTreeMap::new();
        for log in facts.parts.iter().filter_map(|part| part.final_log()) {
            let stretches = Stretches::of(log);
            for batch in &log.log.batches {
                let Some(stretch) = stretches.of_batch(batch) else {
                    continue;
                };
                for record in log.log.records_of(batch) {
                    let sender = txns.sender(facts, record.payload);
                    if let Some(txn) = sender.filter(|&txn| txns.all[txn].fate == Fate::Unknown) {
                        said.entry(txn).or_default().insert(stretch.marked);
                    }
                }
            }
        }
        for (txn, said) in said {
            let txn = &mut txns.all[txn];
            txn.fate = match said.iter().collect::<Vec<_>>()[..] {
                [Marked::Committed] => Fate::Committed,
                [Marked::Aborted] => Fate::Aborted,
                _ => continue,
            };
            // A marker does not say by when.
            txn.answered = None;
        }
        txns
    }

    /// The transaction that a payload was sent in.
    pub fn sender(&self, facts: &Facts, payload: Payload) -> Option<usize> {
        let Payload::Value(value) = payload else {
            return None;
        };
        let send = facts.ops.send(facts.ops.by_value.get(value)?);
        self.containing(send.client, send.op)
    }

    /// A transaction by its number.
    pub fn get(&self, txn: usize) -> &Txn {
        &self.all[txn]
    }

    /// The transaction that a client's operation belongs to.
    pub fn containing(&self, client: ClientId, op: OpId) -> Option<usize> {
        let &(from, to) = self.by_client.get(&client)?;
        let begun = self.all[from..to].partition_point(|txn| txn.begin < op);
        let txn = from + begun.checked_sub(1)?;
        let open = self.all[txn].end.is_none_or(|end| op < end);
        open.then_some(txn)
    }

    /// Transactions of the producers of a topic.
    pub fn of_topic<'a>(
        &'a self,
        facts: &'a Facts,
        topic: &'a Topic,
    ) -> impl Iterator<Item = usize> + 'a {
        let producers = &facts.recording.setting.producers;
        let ours = move |txn: &usize| {
            let producer = producers.get(&self.all[*txn].client);
            producer.is_some_and(|producer| producer.topic == *topic)
        };
        (0..self.all.len()).filter(ours)
    }
}

fn txn(begin: &CallFact, ends: &[&CallFact], whole: bool) -> Txn {
    let asked = |call: &&&CallFact| matches!(call.call, Call::End { commit: true });
    let told = |commit: bool| {
        let mut ends = ends.iter();
        ends.any(|call| *call.call == (Call::End { commit }) && call.done())
    };
    let refused = |call: &&CallFact| matches!(call.answer, Some((_, Outcome::Failed(_))));
    let may_commit = ends.iter().filter(asked).any(|call| !refused(call));
    let fate = match (told(true), told(false)) {
        (true, false) => Fate::Committed,
        // A commit of unknown outcome may have been carried out before the abort was.
        (false, true) if !may_commit => Fate::Aborted,
        (false, false) if !may_commit && whole => Fate::Aborted,
        _ => Fate::Unknown,
    };
    Txn {
        client: begin.client,
        begin: begin.op,
        end: ends.last().map(|call| call.op),
        fate,
        commit_asked: ends.iter().find(asked).map(|call| call.invoked),
        answered: ends.iter().rev().find_map(|call| Some(call.answer?.0)),
    }
}

/// How a log ends the transaction that a record belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marked {
    /// By a commit marker.
    Committed,
    /// By an abort marker.
    Aborted,
    /// Not at all.
    Open,
}

/// A stretch of one producer's records that one marker ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its producer id.
    pub producer: i64,
    /// Its first record.
    pub first: Offset,
    /// Its marker, if there is one.
    pub marker: Option<Offset>,
    /// What the marker says.
    pub marked: Marked,
}

/// The transactions of one log.
#[derive(Debug, Default)]
pub struct Stretches {
    by_producer: FxHashMap<i64, Vec<Stretch>>,
}

impl Stretches {
    /// Reads a log from its first batch to its last.
    pub fn of(log: &LogView) -> Self {
        let mut open: FxHashMap<i64, Offset> = FxHashMap::default();
        let mut read = Self::default();
        for batch in &log.log.batches {
            if let Some(marked) = marker(batch) {
                if let Some(first) = open.remove(&batch.producer_id) {
                    read.push(batch.producer_id, first, Some(batch.base), marked);
                }
            } else if batch.is_transactional() && !batch.is_control() {
                open.entry(batch.producer_id).or_insert(batch.base);
            }
        }
        let mut open: Vec<(i64, Offset)> = open.into_iter().collect();
        open.sort_unstable();
        for (producer, first) in open {
            read.push(producer, first, None, Marked::Open);
        }
        read
    }

    fn push(&mut self, producer: i64, first: Offset, marker: Option<Offset>, marked: Marked) {
        let stretches = self.by_producer.entry(producer).or_default();
        stretches.push(Stretch {
            producer,
            first,
            marker,
            marked,
        });
    }

    /// The stretch that a batch belongs to; none, for one without a transaction.
    pub fn of_batch(&self, batch: &Batch) -> Option<&Stretch> {
        if !batch.is_transactional() || batch.is_control() {
            return None;
        }
        let stretches = self.by_producer.get(&batch.producer_id)?;
        let after = stretches.partition_point(|stretch| stretch.first <= batch.base);
        stretches.get(after.checked_sub(1)?)
    }

    /// How the transaction of the record at an offset ends; none, for a record without one.
    pub fn at(&self, log: &LogView, offset: Offset) -> Option<Marked> {
        Some(self.of_batch(log.batch_at(offset)?)?.marked)
    }

    /// Every stretch, by producer and offset.
    pub fn all(&self) -> Vec<Stretch> {
        let mut all: Vec<Stretch> = self.by_producer.values().flatten().copied().collect();
        all.sort_unstable_by_key(|stretch| (stretch.producer, stretch.first));
        all
    }

    /// The last stable offset: where the first open transaction begins, if one is open.
    pub fn first_open(&self) -> Option<Offset> {
        let stretches = self.by_producer.values().flatten();
        let open = stretches.filter(|stretch| stretch.marked == Marked::Open);
        open.map(|stretch| stretch.first).min()
    }
}

fn marker(batch: &Batch) -> Option<Marked> {
    match batch.control? {
        Marker::Commit { .. } => Some(Marked::Committed),
        Marker::Abort { .. } => Some(Marked::Aborted),
        Marker::Other => None,
    }
}
