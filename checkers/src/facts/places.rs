//! Where the values of a partition's sends stand in its final log, if they do.

use history::Offset;

use crate::operations::Column;

/// An offset, or none, for each send of a partition.
#[derive(Debug, Default)]
pub struct Places {
    /// The offset; for a value that stands nowhere, where it would be looked for.
    offsets: Column,
    /// One bit for each that stands somewhere.
    there: Vec<u64>,
}

impl Places {
    /// Nothing stands anywhere yet; each is expected where it was acknowledged, if it was.
    pub fn expected(acknowledged: impl Iterator<Item = Option<Offset>>) -> Self {
        let mut offsets = Column::default();
        let mut last = 0;
        for offset in acknowledged {
            last = offset.map_or(last, |offset| offset.0 as u64);
            offsets.push(last);
        }
        let there = vec![0; offsets.len().div_ceil(64)];
        Self { offsets, there }
    }

    /// How many sends.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Where the value of the send at this place of the partition's sends stands.
    #[inline]
    pub fn at(&self, place: usize) -> Option<Offset> {
        let there = self.is_there(place);
        there.then(|| Offset(self.offsets.get(place) as i64))
    }

    /// Whether it stands anywhere.
    #[inline]
    pub fn is_there(&self, place: usize) -> bool {
        let word = self.there.get(place / 64);
        word.is_some_and(|word| word >> (place % 64) & 1 == 1)
    }

    /// Notes where it stands; the place that it had before stays, and is returned.
    pub fn put(&mut self, place: usize, offset: Offset) -> Option<Offset> {
        if let Some(known) = self.at(place) {
            return Some(known);
        }
        if let Some(word) = self.there.get_mut(place / 64)
            && place < self.offsets.len()
        {
            self.offsets.set(place, offset.0 as u64);
            *word |= 1 << (place % 64);
        }
        None
    }

    /// All, in order of the sends.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Option<Offset>> + '_ {
        (0..self.len()).map(|place| self.at(place))
    }

    /// How many stand somewhere.
    pub fn present(&self) -> u64 {
        let words = self.there.iter();
        words.map(|word| u64::from(word.count_ones())).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_stays_and_absence_is_no_offset() {
        let acknowledged = [Some(Offset(7)), None, Some(Offset(-1)), None];
        let mut places = Places::expected(acknowledged.into_iter());
        assert_eq!(places.iter().collect::<Vec<_>>(), [None; 4]);
        assert_eq!(places.put(0, Offset(9)), None);
        assert_eq!(places.put(0, Offset(10)), Some(Offset(9)));
        assert_eq!(places.put(2, Offset(i64::MIN)), None);
        assert_eq!(places.put(4, Offset(1)), None);
        let all: Vec<_> = places.iter().collect();
        assert_eq!(all, [Some(Offset(9)), None, Some(Offset(i64::MIN)), None]);
        assert_eq!(places.present(), 2);
    }
}
