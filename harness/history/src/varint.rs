//! Variable-length integers for the history's columns: seven bits a byte, low ones first, and
//! zigzag for differences. Reading never panics and never reads beyond its bytes.

/// Appends a number.
pub(crate) fn put(into: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        into.push(n as u8 | 0x80);
        n >>= 7;
    }
    into.push(n as u8);
}

/// Appends the difference `to - from`, wrapping, small ones of either sign short.
pub(crate) fn put_delta(into: &mut Vec<u8>, from: u64, to: u64) {
    let delta = to.wrapping_sub(from) as i64;
    put(into, ((delta << 1) ^ (delta >> 63)) as u64);
}

/// Reads what the functions above wrote.
#[derive(Clone, Copy)]
pub(crate) struct Varints<'a>(pub(crate) &'a [u8]);

impl<'a> Varints<'a> {
    /// The next number; none when the bytes end, or when it has more than 64 bits.
    pub(crate) fn take(&mut self) -> Option<u64> {
        let mut n = 0;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            if at == 9 && *byte > 1 {
                return None;
            }
            n |= u64::from(byte & 0x7f) << (7 * at);
            if *byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(n);
            }
        }
        None
    }

    /// The number that lies the next difference after `from`.
    pub(crate) fn take_delta(&mut self, from: u64) -> Option<u64> {
        let zigzag = self.take()?;
        Some(from.wrapping_add((zigzag >> 1) ^ (zigzag & 1).wrapping_neg()))
    }

    /// The next `len` bytes.
    pub(crate) fn bytes(&mut self, len: u64) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(usize::try_from(len).ok()?)?;
        self.0 = tail;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_and_differences_come_back(from: u64, to: u64, small in 0u64..300) {
            let mut bytes = Vec::new();
            put(&mut bytes, to);
            put_delta(&mut bytes, from, to);
            put_delta(&mut bytes, to, to.wrapping_sub(small));
            let mut read = Varints(&bytes);
            prop_assert_eq!(read.take(), Some(to));
            prop_assert_eq!(read.take_delta(from), Some(to));
            prop_assert_eq!(read.take_delta(to), Some(to.wrapping_sub(small)));
            prop_assert_eq!(read.take(), None);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            let mut read = Varints(&bytes);
            while read.take().is_some() {}
            prop_assert!(read.0.len() <= bytes.len());
        }
    }
}
