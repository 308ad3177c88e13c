//! Operations as the judge asks for them: by row, with the partition's id.

use std::ops::Range;

use history::{Partition, ValueId};
use rustc_hash::FxHashMap;

use super::PartId;
pub use crate::operations::{Counts, Fate, ReadFact, SendFact, Values};
use crate::operations::{Operations, ReadCursor, SendCursor};

/// All operations.
#[derive(Debug)]
pub struct Ops<'a> {
    store: &'a Operations,
    /// By the store's number of a partition; none where nobody sends to it and no setting names it.
    ids: Vec<Option<PartId>>,
    /// From a value to its (first) send.
    pub by_value: &'a Values,
    /// Values that were sent more than once: a broken premise.
    pub twice: &'a [ValueId],
    /// Completions without an invocation, or of another kind: a broken premise.
    pub orphans: u64,
    /// Completions that lie before their invocation: a broken premise.
    pub backwards: u64,
    /// Polls that were answered.
    pub polls: u64,
}

/// No partition has this id.
const NOWHERE: PartId = usize::MAX;

#[inline(always)]
fn id(ids: &[Option<PartId>], number: usize) -> PartId {
    ids.get(number).copied().flatten().unwrap_or(NOWHERE)
}

impl<'a> Ops<'a> {
    /// The operations of a store, in partitions with these ids.
    pub fn of(store: &'a Operations, ids: &FxHashMap<Partition, PartId>) -> Self {
        let names = store.names.all().iter();
        Self {
            store,
            ids: names.map(|name| ids.get(name).copied()).collect(),
            by_value: &store.by_value,
            twice: &store.twice,
            orphans: store.orphans,
            backwards: store.backwards,
            polls: store.polls,
        }
    }

    #[inline(always)]
    fn id(&self, number: usize) -> PartId {
        id(&self.ids, number)
    }

    /// A send, by its number in order of invocation. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn send(&self, send: u32) -> SendFact {
        let fact = self.store.sends.get(send);
        SendFact {
            part: self.id(fact.part),
            ..fact
        }
    }

    /// Sends in order of invocation.
    pub fn sends(&self) -> impl Iterator<Item = SendFact> + '_ {
        (0..self.store.sends.len() as u32).map(|send| self.send(send))
    }

    /// Some sends, as a partition has them, in their order: faster than one by one.
    #[inline(always)]
    pub fn sends_of<'s>(&'s self, sends: &'s [u32]) -> SendsOf<'s> {
        SendsOf {
            ids: &self.ids,
            rows: sends,
            places: 0..sends.len(),
            cursor: self.store.sends.cursor(),
        }
    }

    /// How many sends.
    pub fn sent(&self) -> u64 {
        self.store.sends.len() as u64
    }

    /// A delivery, by its number in recorded order. What the caller does not use is not fetched.
    #[inline(always)]
    pub fn read(&self, read: u32) -> ReadFact {
        let fact = self.store.reads.get(read);
        ReadFact {
            part: self.id(fact.part),
            ..fact
        }
    }

    /// Deliveries in recorded order.
    pub fn reads(&self) -> impl DoubleEndedIterator<Item = ReadFact> + '_ {
        let all = (0..self.store.reads.len() as u32).map(|read| self.read(read));
        all.filter(|read| read.part != NOWHERE)
    }

    /// Some deliveries, as a partition has them, in their order: faster than one by one.
    #[inline(always)]
    pub fn reads_of<'s>(&'s self, reads: &'s [u32]) -> ReadsOf<'s> {
        ReadsOf {
            ids: &self.ids,
            rows: reads,
            places: 0..reads.len(),
            cursor: self.store.reads.cursor(),
        }
    }

    /// How many deliveries.
    pub fn delivered(&self) -> u64 {
        let by_part = self.store.reads.by_part().iter().enumerate();
        by_part
            .filter(|(number, _)| self.id(*number) != NOWHERE)
            .map(|(_, count)| count)
            .sum()
    }

    /// What the sends to a partition came to.
    pub fn counts(&self, part: PartId) -> Counts {
        let mut ids = self.ids.iter();
        let number = ids.position(|known| *known == Some(part));
        let counts = number.and_then(|number| self.store.sends.by_part().get(number));
        counts.copied().unwrap_or_default()
    }

    /// The sends and the deliveries of each of so many partitions, each in their order.
    pub fn by_part(&self, parts: usize) -> Vec<(Vec<u32>, Vec<u32>)> {
        let mut rows: Vec<(Vec<u32>, Vec<u32>)> = vec![(Vec::new(), Vec::new()); parts];
        let sent = self.store.sends.by_part().iter().map(|counts| counts.sent);
        for (number, sent) in sent.enumerate() {
            if let Some((sends, _)) = rows.get_mut(self.id(number)) {
                sends.reserve_exact(sent as usize);
            }
        }
        for (number, &read) in self.store.reads.by_part().iter().enumerate() {
            if let Some((_, reads)) = rows.get_mut(self.id(number)) {
                reads.reserve_exact(read as usize);
            }
        }
        for send in 0..self.store.sends.len() as u32 {
            if let Some((sends, _)) = rows.get_mut(self.id(self.store.sends.part(send))) {
                sends.push(send);
            }
        }
        for read in 0..self.store.reads.len() as u32 {
            if let Some((_, reads)) = rows.get_mut(self.id(self.store.reads.part(read))) {
                reads.push(read);
            }
        }
        rows
    }
}

/// Sends with their places in what was given, in that order.
#[derive(Debug, Clone)]
pub struct SendsOf<'a> {
    ids: &'a [Option<PartId>],
    rows: &'a [u32],
    places: Range<usize>,
    cursor: SendCursor<'a>,
}

impl SendsOf<'_> {
    #[inline(always)]
    fn fact(&mut self, place: usize) -> Option<SendFact> {
        let fact = self.cursor.get(*self.rows.get(place)?);
        Some(SendFact {
            part: id(self.ids, fact.part),
            ..fact
        })
    }
}

// Inlined all the way, or what nobody uses of a fact would be fetched after all.
impl Iterator for SendsOf<'_> {
    type Item = (usize, SendFact);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, SendFact)> {
        let place = self.places.next()?;
        Some((place, self.fact(place)?))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl DoubleEndedIterator for SendsOf<'_> {
    #[inline(always)]
    fn next_back(&mut self) -> Option<(usize, SendFact)> {
        let place = self.places.next_back()?;
        Some((place, self.fact(place)?))
    }
}

impl ExactSizeIterator for SendsOf<'_> {}

/// Deliveries with their places in what was given, in that order.
#[derive(Debug, Clone)]
pub struct ReadsOf<'a> {
    ids: &'a [Option<PartId>],
    rows: &'a [u32],
    places: Range<usize>,
    cursor: ReadCursor<'a>,
}

impl ReadsOf<'_> {
    #[inline(always)]
    fn fact(&mut self, place: usize) -> Option<ReadFact> {
        let fact = self.cursor.get(*self.rows.get(place)?);
        Some(ReadFact {
            part: id(self.ids, fact.part),
            ..fact
        })
    }
}

// Inlined all the way, or what nobody uses of a fact would be fetched after all.
impl Iterator for ReadsOf<'_> {
    type Item = (usize, ReadFact);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, ReadFact)> {
        let place = self.places.next()?;
        Some((place, self.fact(place)?))
    }

    #[inline(always)]
    fn size_hint(&self) -> (usize, Option<usize>) {
        self.places.size_hint()
    }
}

impl DoubleEndedIterator for ReadsOf<'_> {
    #[inline(always)]
    fn next_back(&mut self) -> Option<(usize, ReadFact)> {
        let place = self.places.next_back()?;
        Some((place, self.fact(place)?))
    }
}

impl ExactSizeIterator for ReadsOf<'_> {}
