//! What is planted, as deviations from the run that the shape describes.
//!
//! A deviation is local: it names a batch and a record of it, or one moment. Where nothing is
//! planted every look-up is empty, and the run is that of a well-behaved cluster.

use std::collections::{BTreeMap, BTreeSet};

use history::{ClientId, Mark, NodeId, Offset, Seen, ValueId};

/// A batch: partition, number.
type Place = (usize, u64);

/// What stands at a record's place in every log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stands {
    /// Another value, whose sender was this.
    Value {
        value: ValueId,
        client: ClientId,
        at: Mark,
    },
    /// Nothing of ours.
    Foreign,
    /// No record at all: the offset is left out.
    Nothing,
}

/// What a sender was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing, in time.
    Unknown,
    /// That it stands there, by this broker.
    At(Offset, NodeId),
}

/// A send beyond the ordinary ones, at the end of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extra {
    pub round: u64,
    pub part: usize,
    pub client: ClientId,
    pub value: ValueId,
    pub told: Told,
}

/// One image of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Taken {
    /// Before the victim of this fault was let back.
    Before(usize),
    /// At the end.
    Final(NodeId),
}

/// How one image's log of one partition differs from what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retouch {
    /// Its last batch is not there.
    Short,
    /// This batch has another timestamp.
    Restamped(u64),
    /// After its end stands a batch whose checksum fails.
    BadTail,
    /// Its epoch file has its last epoch begin one record too late.
    LateEpoch,
    /// This batch is as it was sent, whatever stands elsewhere.
    AsSent(u64),
}

/// What is wrong with a transaction in one partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderTwist {
    /// Its marker says the opposite.
    OtherEnd,
    /// It is aborted, and the live consumer is given it.
    Given,
    /// It is committed, and the drain reads past it.
    Withheld,
    /// It is aborted, and no index lists it.
    Unlisted,
}

/// What the group does wrongly with a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupTwist {
    /// It is not given the last record.
    Skips,
    /// It is given the last record a second time.
    Again,
    /// When it is given the batch it commits one record less than it had before.
    Back,
}

/// What a broker says differently when a fault is undone, or asks while it lasts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Words {
    /// The high watermark of the deposed leader's wish for a smaller in-sync set.
    pub shrinking_hw: Option<Offset>,
    /// The high watermark with which the victim begins to follow.
    pub following_hw: Option<Offset>,
    /// Where it cuts its log.
    pub cut_to: Option<Offset>,
    /// From where its high watermark goes back to the cut.
    pub hw_back: Option<Offset>,
}

/// Everything planted.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub stands: BTreeMap<Place, Vec<(u64, Stands)>>,
    pub told: BTreeMap<Place, Vec<(u64, Told)>>,
    /// By round.
    pub extra: Vec<Extra>,
    /// What a live consumer is given instead of a record, by a broker that never led.
    pub looked: BTreeMap<Place, (u64, ValueId, NodeId)>,
    /// Further answers to probes, by the round after which they come.
    pub seen: BTreeMap<u64, Vec<(NodeId, Seen)>>,
    /// In-sync sets that shrink after the drain: who is left out.
    pub left_out: BTreeMap<usize, NodeId>,
    /// In-sync sets that are the leader alone while a planted send is answered, by its value.
    pub alone: BTreeSet<ValueId>,
    /// Partitions whose high watermark stays below their last batch.
    pub stalled: BTreeSet<usize>,
    /// By partition and fault.
    pub words: BTreeMap<(usize, usize), Words>,
    pub retouched: BTreeMap<(usize, Taken), Retouch>,
    /// By transaction and partition of `orders`.
    pub orders: BTreeMap<(usize, usize), OrderTwist>,
    /// Of the group.
    pub grouped: BTreeMap<Place, GroupTwist>,
}

impl Edits {
    /// Planted contents of a batch, by record.
    pub fn stands_in(&self, part: usize, batch: u64) -> &[(u64, Stands)] {
        self.stands.get(&(part, batch)).map_or(&[], Vec::as_slice)
    }

    /// Planted answers of a batch, by record.
    pub fn told_in(&self, part: usize, batch: u64) -> &[(u64, Told)] {
        self.told.get(&(part, batch)).map_or(&[], Vec::as_slice)
    }

    /// What a broker says differently of a partition after a fault.
    pub fn words(&self, part: usize, fault: usize) -> Words {
        self.words.get(&(part, fault)).copied().unwrap_or_default()
    }

    /// What is wrong with a transaction in a partition of `orders`.
    pub fn order(&self, txn: usize, part: usize) -> Option<OrderTwist> {
        self.orders.get(&(txn, part)).copied()
    }

    /// What the group does wrongly with a batch.
    pub fn group(&self, part: usize, batch: u64) -> Option<GroupTwist> {
        self.grouped.get(&(part, batch)).copied()
    }

    /// Planted sends.
    pub fn extras(&self) -> u64 {
        self.extra.len() as u64
    }

    /// Planted sends of earlier rounds.
    pub fn extras_before(&self, round: u64) -> u64 {
        self.extra.partition_point(|extra| extra.round < round) as u64
    }

    /// Planted sends of a round.
    pub fn extras_in(&self, round: u64) -> impl Iterator<Item = &Extra> + use<'_> {
        let from = self.extra.partition_point(|extra| extra.round < round);
        self.extra[from..]
            .iter()
            .take_while(move |extra| extra.round == round)
    }
}
