//! What is planted, as deviations from the run that the shape describes.
//!
//! A deviation is local: it names a batch and a record of it, or one moment. Where nothing is
//! planted every look-up is empty, and the run is that of a well-behaved cluster.

use std::collections::BTreeMap;

use history::{ClientId, Mark, NodeId, Offset, ValueId};

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

/// Everything planted.
#[derive(Debug, Default)]
pub(super) struct Edits {
    pub stands: BTreeMap<Place, Vec<(u64, Stands)>>,
    pub told: BTreeMap<Place, Vec<(u64, Told)>>,
    /// By round.
    pub extra: Vec<Extra>,
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
