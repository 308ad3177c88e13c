//! From a value to the send that made it. Values are dense in our own runs; a foreign history may
//! number them as it likes.

use history::ValueId;
use rustc_hash::FxHashMap;

/// Positions by value.
#[derive(Debug, Default)]
pub struct Values {
    dense: Vec<u32>,
    sparse: FxHashMap<u64, u32>,
}

const NONE: u32 = u32::MAX;
/// Below this, or below four times the number of values, a value is stored by its number.
const ALWAYS_DENSE: u64 = 1 << 16;

impl Values {
    /// Room for about so many values.
    pub fn with_capacity(values: usize) -> Self {
        Self {
            dense: vec![NONE; values],
            sparse: FxHashMap::default(),
        }
    }

    /// Notes where a value stands; the position that it had before stays, and is returned.
    pub fn insert(&mut self, value: ValueId, at: u32) -> Option<u32> {
        if let Some(known) = self.get(value) {
            return Some(known);
        }
        let room = ALWAYS_DENSE.max(4 * self.dense.len() as u64);
        if value.0 < room {
            let index = value.0 as usize;
            if index >= self.dense.len() {
                self.dense.resize((index + 1).next_power_of_two(), NONE);
            }
            self.dense[index] = at;
        } else {
            self.sparse.insert(value.0, at);
        }
        None
    }

    /// Where a value stands.
    pub fn get(&self, value: ValueId) -> Option<u32> {
        match self.dense.get(value.0 as usize) {
            Some(&at) if at != NONE => Some(at),
            _ => self.sparse.get(&value.0).copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huge_numbers_cost_no_more_than_small_ones() {
        let mut values = Values::with_capacity(2);
        assert_eq!(values.insert(ValueId(u64::MAX), 1), None);
        assert_eq!(values.insert(ValueId(3), 2), None);
        assert_eq!(values.insert(ValueId(3), 9), Some(2));
        assert_eq!(values.get(ValueId(u64::MAX)), Some(1));
        assert_eq!(values.get(ValueId(3)), Some(2));
        assert_eq!(values.get(ValueId(4)), None);
    }
}
