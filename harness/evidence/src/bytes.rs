//! A cursor over bytes from disk that cannot panic: every read says whether the bytes were there.
//!
//! It knows big-endian integers and Kafka's zig-zag varints, and nothing about batches.

/// The bytes ended, or a varint went on for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short;

/// What is left to read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn remaining(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (head, rest) = self.rest.split_first_chunk::<N>().ok_or(Short)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(crate) fn i8(&mut self) -> Result<i8, Short> {
        self.array().map(i8::from_be_bytes)
    }

    pub(crate) fn i16(&mut self) -> Result<i16, Short> {
        self.array().map(i16::from_be_bytes)
    }

    pub(crate) fn i32(&mut self) -> Result<i32, Short> {
        self.array().map(i32::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, Short> {
        self.array().map(i64::from_be_bytes)
    }

    /// A zig-zag varint of at most five bytes.
    #[inline]
    pub(crate) fn varint(&mut self) -> Result<i32, Short> {
        let raw = u32::try_from(self.raw(5)?).map_err(|_| Short)?;
        Ok((raw >> 1) as i32 ^ ((raw & 1) as i32).wrapping_neg())
    }

    /// A zig-zag varint of at most ten bytes.
    #[inline]
    pub(crate) fn varlong(&mut self) -> Result<i64, Short> {
        let raw = self.raw(10)?;
        Ok((raw >> 1) as i64 ^ ((raw & 1) as i64).wrapping_neg())
    }

    #[inline]
    fn raw(&mut self, bytes_max: u32) -> Result<u64, Short> {
        // Nearly all varints of a record have one byte.
        if let Some((byte @ 0..0x80, rest)) = self.rest.split_first() {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.raw_long(bytes_max)
    }

    fn raw_long(&mut self, bytes_max: u32) -> Result<u64, Short> {
        let mut value = 0_u64;
        for index in 0..bytes_max {
            let [byte] = self.array::<1>()?;
            let shifted = u64::from(byte & 0x7f).wrapping_shl(index.wrapping_mul(7));
            value |= shifted;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Short)
    }
}

/// Appends a zig-zag varint; the same bytes for 32 and 64 bits.
pub(crate) fn put_varint(out: &mut Vec<u8>, value: i64) {
    let mut raw = (value.wrapping_shl(1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        out.push((raw & 0x7f) as u8 | 0x80);
        raw >>= 7;
    }
    out.push(raw as u8);
}

/// How many bytes [`put_varint`] appends.
pub(crate) fn varint_len(value: i64) -> usize {
    let raw = (value.wrapping_shl(1) ^ (value >> 63)) as u64;
    let bits = u64::BITS.saturating_sub(raw.leading_zeros()).max(1);
    bits.div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_come_back() {
        for value in [
            0,
            1,
            -1,
            63,
            -64,
            64,
            300,
            i64::from(i32::MAX),
            i64::from(i32::MIN),
        ] {
            let mut bytes = Vec::new();
            put_varint(&mut bytes, value);
            assert_eq!(varint_len(value), bytes.len());
            assert_eq!(Cursor::new(&bytes).varint().map(i64::from), Ok(value));
            assert_eq!(Cursor::new(&bytes).varlong(), Ok(value));
        }
        let mut bytes = Vec::new();
        put_varint(&mut bytes, i64::MIN);
        assert_eq!(varint_len(i64::MIN), bytes.len());
        assert_eq!(Cursor::new(&bytes).varlong(), Ok(i64::MIN));
        assert_eq!(Cursor::new(&bytes).varint(), Err(Short));
    }

    #[test]
    fn a_varint_without_end_is_short() {
        assert_eq!(Cursor::new(&[0xff; 20]).varint(), Err(Short));
        assert_eq!(Cursor::new(&[0xff; 20]).varlong(), Err(Short));
        assert_eq!(Cursor::new(&[0x80]).varint(), Err(Short));
    }
}
