//! Offset and time indexes, from bytes.
//!
//! The index in use is allocated ahead, zeroes after its entries (AbstractIndex): those are cut off
//! here. Whether the entries are right is asked in `check`.

mod check;

use history::Offset;

use crate::bytes::{Cursor, Short};

pub(crate) use check::{Frames, check_offsets, check_times};

/// Relative offset, position.
const OFFSET_ENTRY: usize = 8;
/// Timestamp, relative offset.
const TIME_ENTRY: usize = 12;

/// An entry of an `.index` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OffsetEntry {
    /// The last offset of what was appended there at once.
    pub offset: Offset,
    /// Where that begins in the segment file, in bytes. Negative in a broken file only.
    pub position: i64,
}

/// An entry of a `.timeindex` file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeEntry {
    /// The largest timestamp up to the time of the entry, milliseconds since 1970.
    pub timestamp: i64,
    /// An offset in the batch that brought it.
    pub offset: Offset,
}

/// The entries of an `.index` file that belongs to the segment `base`, as they stand there.
pub fn offset_entries(base: Offset, bytes: &[u8]) -> impl Iterator<Item = OffsetEntry> + '_ {
    entries::<OFFSET_ENTRY, _>(bytes, move |cursor| {
        Ok(OffsetEntry {
            offset: Offset(base.0.saturating_add(cursor.i32()?.into())),
            position: cursor.i32()?.into(),
        })
    })
}

/// The entries of a `.timeindex` file that belongs to the segment `base`, as they stand there.
pub fn time_entries(base: Offset, bytes: &[u8]) -> impl Iterator<Item = TimeEntry> + '_ {
    entries::<TIME_ENTRY, _>(bytes, move |cursor| {
        Ok(TimeEntry {
            timestamp: cursor.i64()?,
            offset: Offset(base.0.saturating_add(cursor.i32()?.into())),
        })
    })
}

/// Entries of `N` bytes up to the last that is not all zeroes. `bytes` may have lost its zeroes at
/// the end; a cut entry reads as if zeroes followed.
fn entries<'a, const N: usize, T>(
    bytes: &'a [u8],
    read: impl Fn(&mut Cursor<'_>) -> Result<T, Short> + 'a,
) -> impl Iterator<Item = T> + 'a {
    let used = bytes.iter().rposition(|byte| *byte != 0);
    let used = used.map_or(0, |last| last.saturating_add(1));
    bytes
        .get(..used)
        .unwrap_or_default()
        .chunks(N)
        .map_while(move |chunk| {
            let mut entry = [0; N];
            for (to, from) in entry.iter_mut().zip(chunk) {
                *to = *from;
            }
            read(&mut Cursor::new(&entry)).ok()
        })
}
