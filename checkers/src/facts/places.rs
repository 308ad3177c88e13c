//! Where the values of a partition's sends stand in its final log, if they do.

use history::Offset;

use super::bits::Bits;
use crate::operations::Column;

/// An offset, or none, for each send of a partition.
#[derive(Debug, Default)]
pub struct Places {
    /// The offset; for a value that stands nowhere, where it would be looked for.
    offsets: Column,
    /// One bit for each that stands somewhere.
    there: Bits,
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
        let there = Bits::none(offsets.len());
        Self { offsets, there }
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
        self.there.get(place)
    }

    /// Notes where it stands; the place that it had before stays, and is returned.
    pub fn put(&mut self, place: usize, offset: Offset) -> Option<Offset> {
        if let Some(known) = self.at(place) {
            return Some(known);
        }
        if place < self.offsets.len() {
            self.offsets.set(place, offset.0 as u64);
            self.there.set(place);
        }
        None
    }

    /// How many stand somewhere.
    pub fn present(&self) -> u64 {
        self.there.count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_stays_and_absence_is_no_offset() {
        let acknowledged = [Some(Offset(7)), None, Some(Offset(-1)), None];
        let mut places = Places::expected(acknowledged.into_iter());
        let all = |places: &Places| -> Vec<_> { (0..5).map(|place| places.at(place)).collect() };
        assert_eq!(all(&places), [None; 5]);
        assert_eq!(places.put(0, Offset(9)), None);
        assert_eq!(places.put(0, Offset(10)), Some(Offset(9)));
        assert_eq!(places.put(2, Offset(i64::MIN)), None);
        assert_eq!(places.put(4, Offset(1)), None);
        let put = [Some(Offset(9)), None, Some(Offset(i64::MIN)), None, None];
        assert_eq!(all(&places), put);
        assert_eq!(places.present(), 2);
    }
}
