//! Transactions beside the ordinary load, as arithmetic: which there are, where they stand, how they
//! end.
//!
//! Two producers go side by side: both begin in one round, send to every partition of `orders`, and
//! end some rounds later, so that their transactions interleave in the logs. Around an election none is
//! open. What is kept is one entry for each transaction, never one for a record.

mod log;
mod play;

use history::{Offset, ValueId};

use super::images::batch_bytes;
use super::shape::Shape;

/// Partitions of `orders`.
pub(super) const PARTS: usize = 2;
/// Records of a transaction in each partition.
pub(super) const RECORDS: u64 = 2;
/// Producers.
const PRODUCERS: u64 = 2;
/// Offsets that the transactions of one round take in a partition: records, then markers.
const WIDTH: u64 = PRODUCERS * (RECORDS + 1);
/// Transactions begin every so many rounds, and their ends are asked for so many rounds later.
const EVERY: u64 = 8;
const ENDS_AFTER: u64 = 4;
/// By so many rounds after their beginning everything is answered.
const OVER_AFTER: u64 = 8;
/// Operations of one producer when it begins: the beginning itself, and its sends.
const BEGIN_OPS: u64 = 1 + PARTS as u64 * RECORDS;

/// Bytes of a control batch at most.
const MARKER_BYTES: u64 = 80;

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// Its producer was told that it is committed.
    Committed,
    /// Its producer was told that it is aborted.
    Aborted,
    /// It is committed, and its producer never heard of it.
    UnheardCommitted,
    /// Its producer asked for a commit, never heard of it, and the coordinator aborted it.
    UnheardAborted,
}

impl Ending {
    /// So that every kind comes up, in every producer's row.
    fn of(number: u64) -> Self {
        match (number % 5, number % 14) {
            (3, _) => Self::Aborted,
            (_, 5) => Self::UnheardCommitted,
            (_, 12) => Self::UnheardAborted,
            _ => Self::Committed,
        }
    }

    /// Whether its markers commit it.
    pub fn commits(self) -> bool {
        matches!(self, Self::Committed | Self::UnheardCommitted)
    }

    /// Whether its producer was told how it ended.
    pub fn heard(self) -> bool {
        matches!(self, Self::Committed | Self::Aborted)
    }
}

/// A transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Txn {
    /// The round in which it begins.
    pub round: u64,
    /// How it ends.
    pub ending: Ending,
    /// Its producer's epoch.
    pub epoch: i16,
    /// Its first sequence in every partition.
    pub sequence: i32,
}

impl Txn {
    /// The round in which its end is asked for, and its markers are sent.
    pub fn ends(&self) -> u64 {
        self.round + ENDS_AFTER
    }

    /// The round in which everything of it is answered.
    pub fn over(&self) -> u64 {
        self.round + OVER_AFTER
    }
}

/// All transactions: those of one round stand side by side.
#[derive(Debug)]
pub(super) struct Orders {
    txns: Vec<Txn>,
    /// The value of the first record.
    first_value: u64,
}

impl Orders {
    /// Transactions in every round of their turn that is away from elections; `values` are taken.
    pub fn of(shape: &Shape, values: u64) -> Self {
        let calm = |round: &u64| {
            shape
                .faults
                .iter()
                .all(|fault| round + OVER_AFTER <= fault.strike || *round > fault.elected)
        };
        let rounds =
            (EVERY..(shape.rounds() + 1).saturating_sub(OVER_AFTER)).step_by(EVERY as usize);
        let mut txns: Vec<Txn> = Vec::new();
        for round in rounds.filter(calm) {
            for _ in 0..PRODUCERS {
                let number = txns.len();
                let before = number.checked_sub(PRODUCERS as usize).map(|at| txns[at]);
                let (epoch, sequence) = match before {
                    None => (0, 0),
                    // Whoever has heard nothing begins anew, under the next epoch; the coordinator took
                    // one more to abort.
                    Some(last) if last.ending == Ending::UnheardAborted => (last.epoch + 2, 0),
                    Some(last) if last.ending == Ending::UnheardCommitted => (last.epoch + 1, 0),
                    Some(last) => (last.epoch, last.sequence + RECORDS as i32),
                };
                txns.push(Txn {
                    round,
                    ending: Ending::of(number as u64),
                    epoch,
                    sequence,
                });
            }
        }
        Self {
            txns,
            first_value: values,
        }
    }

    /// Transactions of a segment at most: whole rounds of them.
    pub fn of_segment(segment_bytes: u64, value_bytes: usize) -> usize {
        let one = batch_bytes(RECORDS, value_bytes) + MARKER_BYTES;
        let rounds = segment_bytes / (PRODUCERS * one);
        (rounds.max(1) * PRODUCERS) as usize
    }

    /// Records of all of them.
    pub fn sends(&self) -> u64 {
        self.txns.len() as u64 * PARTS as u64 * RECORDS
    }

    /// All of them.
    pub fn all(&self) -> &[Txn] {
        &self.txns
    }

    /// How many have begun before a round.
    fn begun(&self, round: u64) -> u64 {
        self.txns.partition_point(|txn| txn.round < round) as u64
    }

    /// For how many the end was asked for before a round.
    fn ended(&self, round: u64) -> u64 {
        self.txns.partition_point(|txn| txn.ends() < round) as u64
    }

    /// How many are over before a round.
    fn over(&self, round: u64) -> u64 {
        self.txns.partition_point(|txn| txn.over() < round) as u64
    }

    /// What a partition holds of the sends and ends of all earlier rounds.
    pub fn base(&self, round: u64) -> Offset {
        Offset((self.begun(round) * RECORDS + self.ended(round)) as i64)
    }

    /// The same up to the first transaction that is then open.
    pub fn stable(&self, round: u64) -> Offset {
        match self.begun(round) > self.ended(round) {
            true => self.first(self.ended(round) as usize),
            false => self.base(round),
        }
    }

    /// The first record of a transaction.
    pub fn first(&self, txn: usize) -> Offset {
        let txn = txn as u64;
        Offset((txn / PRODUCERS * WIDTH + txn % PRODUCERS * RECORDS) as i64)
    }

    /// Its marker.
    pub fn marker(&self, txn: usize) -> Offset {
        let txn = txn as u64;
        let records = PRODUCERS * RECORDS;
        Offset((txn / PRODUCERS * WIDTH + records + txn % PRODUCERS) as i64)
    }

    /// The offsets of its records, the last one excluded.
    pub fn range(&self, txn: usize) -> (i64, i64) {
        let first = self.first(txn).0;
        (first, first + RECORDS as i64)
    }

    /// The value of one of its records; partitions count from 0.
    pub fn value(&self, txn: usize, part: usize, index: u64) -> ValueId {
        let before = (txn * PARTS + part) as u64;
        ValueId(self.first_value + before * RECORDS + index)
    }

    /// Operations of all earlier rounds: those of the producers, and of the consumer that reads along.
    pub fn ops_before(&self, round: u64) -> u64 {
        let producing = self.begun(round) * BEGIN_OPS + self.ended(round);
        let assigned = u64::from(self.begun(round) > 0);
        producing + assigned + self.over(round) / PRODUCERS
    }
}
