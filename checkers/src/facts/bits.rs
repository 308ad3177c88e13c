//! A yes or no for each of many rows: what was once looked up in the final log need not be looked up
//! again by every rule that asks for it.

/// One bit for each row.
#[derive(Debug, Clone, Default)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// So many rows, each of which says no.
    pub fn none(len: usize) -> Self {
        Self {
            words: vec![0; len.div_ceil(64)],
            len,
        }
    }

    /// Says yes for a row.
    #[inline]
    pub fn set(&mut self, row: usize) {
        debug_assert!(row < self.len, "row {row} of {}", self.len);
        if let Some(word) = self.words.get_mut(row / 64) {
            *word |= 1 << (row % 64);
        }
    }

    /// Whether a row says yes; one that is not there does not.
    #[inline]
    pub fn get(&self, row: usize) -> bool {
        let word = self.words.get(row / 64);
        word.is_some_and(|word| word >> (row % 64) & 1 == 1)
    }

    /// How many rows say yes.
    pub fn count(&self) -> u64 {
        let words = self.words.iter();
        words.map(|word| u64::from(word.count_ones())).sum()
    }

    /// The rows that say no, ascending.
    pub fn noes(&self) -> impl Iterator<Item = usize> + '_ {
        let words = self.words.iter().enumerate();
        let noes = words.flat_map(|(place, word)| {
            let mut left = !word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                left &= left.wrapping_sub(1);
                (bit < 64).then_some(place * 64 + bit as usize)
            })
        });
        noes.take_while(|row| *row < self.len)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Bits;

    proptest! {
        #[test]
        fn bits_are_what_was_set(
            len in 0usize..300, set in prop::collection::vec(any::<prop::sample::Index>(), 0..300),
        ) {
            let mut plain = vec![false; len];
            let mut bits = Bits::none(len);
            for row in set.iter().filter(|_| len > 0).map(|index| index.index(len)) {
                plain[row] = true;
                bits.set(row);
            }
            let got: Vec<bool> = (0..len).map(|row| bits.get(row)).collect();
            prop_assert_eq!(&got, &plain);
            let noes: Vec<usize> = (0..len).filter(|row| !plain[*row]).collect();
            prop_assert_eq!(bits.noes().collect::<Vec<_>>(), noes);
            prop_assert_eq!(bits.count(), plain.iter().filter(|set| **set).count() as u64);
            prop_assert!(!bits.get(len) && !bits.get(len + 64));
        }
    }
}
