//! Where a power cut may end a log: whole batches up to the durable point, and what stands behind.
//!
//! Pure. It never goes below the durable point, and what it leaves is a prefix that a broker's own
//! recovery accepts.

use std::io::{self, Read};

use evidence::{Extent, extents};
use history::Offset;
use plan::Tail;

use super::survey::Segment;

/// The part of one segment file that stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Kept {
    /// Bytes of whole batches that begin below the durable point.
    pub bytes: u64,
    /// Last offset of those.
    pub last: Option<Offset>,
    /// The first batch that does not.
    pub next: Option<Extent>,
}

/// Reads a segment file up to where it is durable.
pub(super) fn kept(from: impl Read, durable: Offset) -> io::Result<Kept> {
    let mut kept = Kept::default();
    extents(from, |batch| {
        if kept.next.is_none() && batch.base < durable {
            kept.bytes = batch.end();
            kept.last = Some(batch.last);
        } else {
            kept.next = kept.next.or(Some(*batch));
        }
    })?;
    Ok(kept)
}

/// The log end offset that a segment file gives its log: after its last whole batch, or its base.
pub(super) fn end_of(from: impl Read, base: Offset) -> io::Result<Offset> {
    let mut end = base;
    extents(from, |batch| end = end.max(Offset(batch.last.0 + 1)))?;
    Ok(end)
}

/// Which segment the durable point lies in: the last that begins at or below it.
pub(super) fn segment_of(segments: &[Segment], durable: Offset) -> usize {
    let after = segments.partition_point(|segment| segment.base <= durable);
    after.saturating_sub(1)
}

/// What is done to the files of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cut {
    /// The segment that is cut.
    pub segment: Offset,
    /// Its bytes that stay, whole batches.
    pub keep: u64,
    /// Its bytes that stay, with half a batch where the tail is torn.
    pub stay: u64,
    /// Its length afterwards: longer where zeros follow.
    pub length: u64,
    /// Later segments, which go.
    pub removed: Vec<Offset>,
    /// The log ends here afterwards.
    pub end: Offset,
    /// Bytes of the log that are gone.
    pub lost: u64,
}

/// Cuts a log whose segment `at` keeps `kept`.
pub(super) fn cut(segments: &[Segment], at: usize, kept: Kept, tail: Tail) -> Option<Cut> {
    let (here, later) = segments.get(at..)?.split_first()?;
    // Without a batch to lose, the file stays as it is.
    let keep = kept.next.map_or(here.bytes, |_| kept.bytes);
    let (stay, length) = match (tail, kept.next) {
        (Tail::Torn, Some(next)) => (keep + next.bytes / 2, keep + next.bytes / 2),
        (Tail::Zeroed, _) => (keep, here.bytes),
        (Tail::Aligned, _) | (Tail::Torn, None) => (keep, keep),
    };
    Some(Cut {
        segment: here.base,
        keep,
        stay,
        length,
        removed: later.iter().map(|segment| segment.base).collect(),
        end: kept.last.map_or(here.base, |last| Offset(last.0 + 1)),
        lost: here.bytes.saturating_sub(keep) + later.iter().map(|s| s.bytes).sum::<u64>(),
    })
}
