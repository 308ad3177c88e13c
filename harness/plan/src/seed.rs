//! All chance of a run: one seed, named streams, and a generator that is ours.
//!
//! The streams are independent: a further draw from one changes no other. The algorithms are
//! written out here and never change, so that a seed means the same storm next year: names are
//! hashed with FNV-1a (64 bit), seeds are spread with SplitMix64, numbers come from xoshiro256**
//! (Blackman and Vigna, public domain). Tests pin the values.

use std::time::Duration;

/// The number from which everything that is left to chance follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of this name, from its beginning.
    pub fn stream(self, name: &str) -> Stream {
        let mut state = self.0 ^ fnv1a(name);
        Stream {
            state: std::array::from_fn(|_| splitmix64(&mut state)),
        }
    }
}

fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn splitmix64(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A sequence of draws.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    state: [u64; 4],
}

impl Stream {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number from `least` to `most`, both included, each equally likely.
    ///
    /// # Panics
    /// When `least` is above `most`.
    pub fn between(&mut self, least: u64, most: u64) -> u64 {
        assert!(least <= most, "nothing lies between {least} and {most}");
        let Some(choices) = (most - least).checked_add(1) else {
            return self.bits();
        };
        // Draws above the last whole multiple of `choices` would favour the small numbers.
        let unfair = u64::MAX - u64::MAX % choices;
        loop {
            let bits = self.bits();
            if bits < unfair {
                return least + bits % choices;
            }
        }
    }

    /// A number below `bound`, each equally likely: an index into so many things.
    ///
    /// # Panics
    /// When `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "no number is below 0");
        self.between(0, bound - 1)
    }

    /// A duration within these bounds, both included, in whole milliseconds.
    pub fn duration(&mut self, (least, most): (Duration, Duration)) -> Duration {
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        Duration::from_millis(self.between(millis(least), millis(most)))
    }

    /// One of these, each equally likely; nothing of nothing.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let last = items.len().checked_sub(1)?;
        items.get(self.between(0, last as u64) as usize)
    }

    /// One of these by weight; nothing when all weights are 0.
    pub fn pick_weighted<'a, T>(&mut self, items: &'a [(T, u32)]) -> Option<&'a T> {
        let total: u64 = items.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut left = self.between(0, total.checked_sub(1)?);
        items.iter().find_map(|(item, weight)| {
            let weight = u64::from(*weight);
            if left < weight {
                return Some(item);
            }
            left -= weight;
            None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitmix64_and_fnv_are_the_published_ones() {
        let mut state = 1_234_567;
        assert_eq!(splitmix64(&mut state), 6_457_827_717_110_365_317);
        assert_eq!(splitmix64(&mut state), 3_203_168_211_198_807_973);
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn xoshiro_is_the_published_one() {
        let mut stream = Stream {
            state: [1, 2, 3, 4],
        };
        let drawn: Vec<u64> = (0..4).map(|_| stream.bits()).collect();
        assert_eq!(drawn, [11_520, 0, 1_509_978_240, 1_215_971_899_390_074_240]);
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let draw = |name: &str| {
            let mut stream = Seed(7).stream(name);
            [stream.bits(), stream.bits()]
        };
        assert_eq!(draw("target"), draw("target"));
        assert_ne!(draw("target"), draw("hold"));
        assert_ne!(Seed(8).stream("target"), Seed(7).stream("target"));
    }

    #[test]
    fn draws_stay_in_their_bounds_and_reach_them() {
        let mut stream = Seed(1).stream("bounds");
        let drawn: Vec<u64> = (0..200).map(|_| stream.between(3, 6)).collect();
        for wanted in 3..=6 {
            assert!(drawn.contains(&wanted), "{wanted} was never drawn");
        }
        assert!(drawn.iter().all(|n| (3..=6).contains(n)));
        assert_eq!(stream.between(9, 9), 9);
        stream.between(0, u64::MAX);
        assert_eq!(stream.pick::<u8>(&[]), None);
        assert_eq!(stream.pick_weighted(&[("never", 0)]), None);
        let heavy = [("never", 0), ("always", 3)];
        assert!((0..50).all(|_| stream.pick_weighted(&heavy) == Some(&"always")));
    }
}
