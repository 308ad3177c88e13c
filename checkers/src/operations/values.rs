//! From a value to the send that made it. Values are dense in our own runs, and mostly number the
//! sends themselves; a foreign history may number them as it likes.

use history::ValueId;
use rustc_hash::FxHashMap;

use super::Column;

/// Rows by value.
#[derive(Debug, Clone, Default)]
pub struct Values {
    /// Values below this one stand in the rows of the same number.
    own: u64,
    /// Rows of the values from `own` on, plus one; 0 for none.
    dense: Column,
    sparse: FxHashMap<u64, u32>,
    known: u64,
}

/// So far beyond `own`, or four times as far as there are values, a value is stored by its number.
const ALWAYS_DENSE: u64 = 1 << 16;

impl Values {
    /// Notes where a value stands; the row that it had before stays, and is returned.
    pub fn insert(&mut self, value: ValueId, at: u32) -> Option<u32> {
        if let Some(known) = self.get(value) {
            return Some(known);
        }
        self.known += 1;
        if self.own + 1 == self.known && value.0 == self.own && u64::from(at) == self.own {
            self.own += 1;
            return None;
        }
        let index = value.0 - self.own;
        if index < ALWAYS_DENSE.max(4 * self.known) {
            while self.dense.len() as u64 <= index {
                self.dense.push(0);
            }
            self.dense.set(index as usize, u64::from(at) + 1);
        } else {
            self.sparse.insert(value.0, at);
        }
        None
    }

    /// Where a value stands.
    #[inline]
    pub fn get(&self, value: ValueId) -> Option<u32> {
        let Some(index) = value.0.checked_sub(self.own) else {
            return Some(value.0 as u32);
        };
        match usize::try_from(index).map_or(0, |index| self.dense.get(index)) {
            0 => self.sparse.get(&value.0).copied(),
            row => Some((row - 1) as u32),
        }
    }

    /// Bytes of the heap that they occupy.
    pub fn heap_bytes(&self) -> u64 {
        let sparse = self.sparse.capacity() * (size_of::<(u64, u32)>() + 1);
        self.dense.heap_bytes() + sparse as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_numbers_cost_no_more_than_small_ones() {
        let mut values = Values::default();
        assert_eq!(values.insert(ValueId(u64::MAX), 1), None);
        assert_eq!(values.insert(ValueId(3), 2), None);
        assert_eq!(values.insert(ValueId(3), 9), Some(2));
        assert_eq!(values.get(ValueId(u64::MAX)), Some(1));
        assert_eq!(values.get(ValueId(3)), Some(2));
        assert_eq!(values.get(ValueId(4)), None);
        for power in 0..60 {
            values.insert(ValueId(1 << power), 10 + power);
        }
        assert_eq!(values.get(ValueId(1 << 59)), Some(69));
        assert!(values.heap_bytes() < 1 << 20, "{}", values.heap_bytes());
    }

    #[test]
    fn values_that_number_their_sends_cost_nothing() {
        let mut values = Values::default();
        for row in 0..100_000u32 {
            assert_eq!(values.insert(ValueId(row.into()), row), None);
        }
        assert_eq!(values.heap_bytes(), 0);
        assert_eq!(values.insert(ValueId(100_001), 100_000), None);
        assert_eq!(values.insert(ValueId(100_000), 100_001), None);
        assert_eq!(values.insert(ValueId(7), 100_002), Some(7));
        assert_eq!(values.get(ValueId(99_999)), Some(99_999));
        assert_eq!(values.get(ValueId(100_000)), Some(100_001));
        assert_eq!(values.get(ValueId(100_001)), Some(100_000));
        assert_eq!(values.get(ValueId(100_002)), None);
    }
}
