//! The two things of Clojure that shine through Jepsen's verdicts: the order in which its hash
//! sets give their members, and which values it refuses to compare.

use std::cmp::Ordering;

use history::jepsen::Scalar;

/// Where a value comes in a hash set: sets are tries over the hash, five bits at a time, the
/// lowest first. For numbers that are not whole and for tagged forms it is only *an* order.
pub(super) fn place_in_set(value: &Scalar) -> (u64, String) {
    let hash = hash(value);
    let mut place = 0;
    for level in 0..7 {
        place = place << 5 | u64::from(hash >> (5 * level) & 31);
    }
    (place, format!("{value:?}"))
}

/// Clojure's `compare`; none where it throws.
pub(super) fn compare(one: &Scalar, other: &Scalar) -> Option<Ordering> {
    use Scalar::{Bool, Char, Int, Keyword, Nil, Number, Symbol, Tagged, Text};
    let float = |scalar: &Scalar| match scalar {
        Int(int) => Some(*int as f64),
        Number(text) => text.trim_end_matches(['N', 'M']).parse().ok(),
        _ => None,
    };
    Some(match (one, other) {
        (Nil, Nil) => Ordering::Equal,
        (Nil, _) => Ordering::Less,
        (_, Nil) => Ordering::Greater,
        (Int(one), Int(other)) => one.cmp(other),
        (Bool(one), Bool(other)) => one.cmp(other),
        (Char(one), Char(other)) => one.cmp(other),
        (Keyword(one), Keyword(other))
        | (Text(one), Text(other))
        | (Symbol(one), Symbol(other))
        | (Tagged(one), Tagged(other)) => one.cmp(other),
        (Int(_) | Number(_), Int(_) | Number(_)) => {
            let by_size = float(one).zip(float(other));
            by_size.map_or(Ordering::Equal, |(one, other)| one.total_cmp(&other))
        }
        _ => return None,
    })
}

/// Whether a sorted set of these can be made.
pub(super) fn comparable<'a>(values: impl IntoIterator<Item = &'a Scalar>) -> bool {
    let mut values = values.into_iter().filter(|value| **value != Scalar::Nil);
    let Some(first) = values.next() else {
        return true;
    };
    values.all(|value| compare(first, value).is_some())
}

fn hash(value: &Scalar) -> u32 {
    match value {
        Scalar::Nil => 0,
        Scalar::Bool(true) => 1231,
        Scalar::Bool(false) => 1237,
        Scalar::Int(int) => of_long(*int),
        Scalar::Text(text) | Scalar::Number(text) | Scalar::Tagged(text) => of_text(text),
        Scalar::Symbol(name) => of_symbol(name),
        Scalar::Keyword(name) => of_symbol(name).wrapping_add(0x9e37_79b9),
        Scalar::Char(letter) => u32::from(*letter),
    }
}

/// Murmur3 of 64 bits, as two halves.
fn of_long(long: i64) -> u32 {
    if long == 0 {
        return 0;
    }
    let low = mix(0, long as u32);
    let high = mix(low, (long as u64 >> 32) as u32);
    finish(high, 8)
}

/// Java's hash of a text, and Murmur3 of that.
fn of_text(text: &str) -> u32 {
    let java = java_hash(text);
    if java == 0 {
        0
    } else {
        finish(mix(0, java), 4)
    }
}

fn java_hash(text: &str) -> u32 {
    text.encode_utf16().fold(0_u32, |hash, unit| {
        hash.wrapping_mul(31).wrapping_add(u32::from(unit))
    })
}

/// A name's letters by Murmur3, and its namespace's hash mixed in; Java shifts with the sign.
fn of_symbol(symbol: &str) -> u32 {
    let (space, name) = match symbol.split_once('/') {
        Some((space, name)) if !space.is_empty() && !name.is_empty() => (Some(space), name),
        _ => (None, symbol),
    };
    let units: Vec<u32> = name.encode_utf16().map(u32::from).collect();
    let mut hash = 0;
    for pair in units.chunks_exact(2) {
        hash = mix(hash, pair[0] | pair[1] << 16);
    }
    if units.len() % 2 == 1 {
        hash ^= scramble(units[units.len() - 1]);
    }
    let hash = finish(hash, 2 * units.len() as u32);
    let seed = space.map_or(0, java_hash);
    hash ^ seed
        .wrapping_add(0x9e37_79b9)
        .wrapping_add(hash << 6)
        .wrapping_add((hash as i32 >> 2) as u32)
}

fn scramble(word: u32) -> u32 {
    word.wrapping_mul(0xcc9e_2d51)
        .rotate_left(15)
        .wrapping_mul(0x1b87_3593)
}

fn mix(hash: u32, word: u32) -> u32 {
    (hash ^ scramble(word))
        .rotate_left(13)
        .wrapping_mul(5)
        .wrapping_add(0xe654_6b64)
}

fn finish(hash: u32, length: u32) -> u32 {
    let hash = hash ^ length;
    let hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    let hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(values: &[Scalar]) -> Vec<Scalar> {
        let mut values = values.to_vec();
        values.sort_by_key(place_in_set);
        values
    }

    /// What Clojure 1.12 printed for `(map hash [...])`.
    #[test]
    fn hashes_are_clojures() {
        let word = |name: &str| Scalar::Keyword(name.to_owned());
        let text = |text: &str| Scalar::Text(text.to_owned());
        let asked = [
            (Scalar::Int(1), 1_392_991_556),
            (Scalar::Int(-1), 1_651_860_712),
            (Scalar::Int(0), 0),
            (Scalar::Int(123_456_789_012), -514_757_697),
            (word("a"), -2_123_407_586),
            (word("b"), 1_482_224_470),
            (word("a/b"), 1_482_224_565),
            (text("hello"), 1_715_862_179),
            (text(""), 0),
            (Scalar::Symbol("sym".to_owned()), 195_671_222),
        ];
        for (value, wanted) in asked {
            assert_eq!(hash(&value) as i32, wanted, "{value:?}");
        }
    }

    /// What Clojure 1.12 printed for `(seq #{...})`.
    #[test]
    fn sets_are_in_clojures_order() {
        let given = [1, 2, 3, 4, 5, 100, 641, 645, -7, 99_999_999_999].map(Scalar::Int);
        let wanted = [641, 99_999_999_999, 1, 4, 645, 100, 3, 2, -7, 5].map(Scalar::Int);
        assert_eq!(ordered(&given), wanted);
        let word = |name: &str| Scalar::Keyword(name.to_owned());
        let given = ["a", "b", "c", "d", "x", "foo/bar"].map(word);
        assert_eq!(
            ordered(&given),
            ["foo/bar", "c", "b", "d", "x", "a"].map(word)
        );
    }
}
