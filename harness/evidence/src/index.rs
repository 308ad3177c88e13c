//! Offset and time indexes, checked against the segment beside which they stand.
//!
//! An index says nothing that the segment does not say; the broker rebuilds one after a crash. So
//! nothing is read from it: it is only asked whether a lookup through it would find the right batch.
//!
//! The index in use is allocated ahead, zeroes after its entries, and a truncation only moves the
//! broker's place in it (AbstractIndex.truncateToEntries): what it cut off stays in the file until it
//! is overwritten or the segment is closed. So the entries of a segment in use end with the first that
//! is not right, and nothing can be held against those behind it.

use history::Offset;

use crate::bytes::{Cursor, Short};
use crate::model::{DamageKind, ReplicaLog};
use crate::side::Flaw;

/// An entry of the offset index: relative offset, position.
pub(crate) const OFFSET_ENTRY: usize = 8;
/// An entry of the time index: timestamp, relative offset.
pub(crate) const TIME_ENTRY: usize = 12;
/// Flaws told per file; the rest is counted.
const FLAWS_MAX: usize = 16;
const ZEROES: &str = "zeroes stand before the last entry";

/// One batch as an index should know it.
#[derive(Debug, Clone, Copy)]
struct Frame {
    position: u64,
    base: i64,
    last: i64,
    /// Its largest timestamp, and the largest up to it; unknown where checksums fail.
    largest: Option<(i64, i64)>,
}

/// One segment as its indexes should know it.
#[derive(Debug)]
pub(crate) struct Frames {
    base: i64,
    frames: Vec<Frame>,
    bytes: u64,
    /// Nothing is known from here on, because reading stopped.
    known_to: u64,
    /// Whether last offsets ascend, so that they can be searched.
    ordered: bool,
}

impl Frames {
    /// Of a log that holds the segment `base` alone.
    pub(crate) fn of(base: Offset, log: &ReplicaLog) -> Self {
        let mut frames: Vec<Frame> = log
            .batches
            .iter()
            .map(|batch| Frame {
                position: batch.position,
                base: batch.base.0,
                last: batch.last.0,
                largest: Some((batch.max_timestamp, 0)),
            })
            .collect();
        let mut known_to = log.bytes;
        for damage in &log.damage {
            match damage.kind {
                DamageKind::BadCrc { base, last } => frames.push(Frame {
                    position: damage.position,
                    base: base.0,
                    last: last.0,
                    largest: None,
                }),
                DamageKind::Undecodable { .. } => {}
                DamageKind::TornTail(_) | DamageKind::ZeroTail(_) | DamageKind::Nonsense(_) => {
                    known_to = known_to.min(damage.position);
                }
            }
        }
        frames.sort_by_key(|frame| frame.position);
        let mut so_far = Some(i64::MIN);
        for frame in &mut frames {
            so_far = so_far
                .zip(frame.largest)
                .map(|(before, (own, _))| before.max(own));
            frame.largest = frame.largest.zip(so_far).map(|((own, _), all)| (own, all));
        }
        Self {
            base: base.0,
            ordered: frames.is_sorted_by(|a, b| a.last < b.last),
            frames,
            bytes: log.bytes,
            known_to,
        }
    }

    /// The first batch, with its number, whose last offset is this or above.
    fn holding(&self, offset: i64) -> Option<(usize, &Frame)> {
        let at = self.frames.partition_point(|frame| frame.last < offset);
        self.frames.get(at).map(|frame| (at, frame))
    }
}

/// The flaws of one file, no more than a reader wants.
#[derive(Default)]
struct Flaws {
    told: Vec<Flaw>,
    more: u64,
}

impl Flaws {
    fn say(&mut self, position: usize, about: Option<i64>, why: String) {
        if self.told.len() < FLAWS_MAX {
            self.told.push(Flaw::new(position, about.map(Offset), why));
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    fn done(mut self) -> Vec<Flaw> {
        if let (more @ 1.., Some(last)) = (self.more, self.told.last_mut()) {
            last.why.push_str(&format!("; {more} more flaws follow"));
        }
        self.told
    }
}

/// How many whole entries there are before the zeroes that end the file. Says when its size is no
/// multiple of an entry's.
fn entries(bytes: &[u8], size: usize, length: u64, flaws: &mut Flaws) -> usize {
    let whole = length.checked_div(size as u64).unwrap_or(0);
    if whole.saturating_mul(size as u64) != length {
        let why = format!("{length} bytes are no multiple of {size}");
        flaws.say(usize::try_from(length).unwrap_or(usize::MAX), None, why);
    }
    let used = bytes.iter().rposition(|byte| *byte != 0);
    used.and_then(|last| last.checked_div(size)?.checked_add(1))
        .unwrap_or(0)
        .min(usize::try_from(whole).unwrap_or(usize::MAX))
}

/// The entry at a position; what is not there was zero.
fn entry<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut entry = [0; N];
    let there = bytes.get(at..).unwrap_or_default();
    for (to, from) in entry.iter_mut().zip(there) {
        *to = *from;
    }
    entry
}

/// Checks an `.index` file, `length` bytes long, of which `bytes` are those before the zeroes at its
/// end.
///
/// An entry is made when something is appended: the position where that begins, and the last offset
/// of it (LogSegment.append), which may be several batches. `closed` when the segment is not in use.
pub(crate) fn check_offsets(frames: &Frames, bytes: &[u8], length: u64, closed: bool) -> Vec<Flaw> {
    let mut flaws = Flaws::default();
    let count = entries(bytes, OFFSET_ENTRY, length, &mut flaws);
    let mut before: Option<(i64, i64)> = None;
    let mut covered = 0_usize;
    for number in 0..count {
        let at = number.saturating_mul(OFFSET_ENTRY);
        let Ok((relative, position)) = offset_entry(&entry::<OFFSET_ENTRY>(bytes, at)) else {
            break;
        };
        let offset = frames.base.saturating_add(relative);
        let out_of_order = before.filter(|(o, p)| *o >= offset || *p >= position);
        let right = match out_of_order {
            _ if (relative, position) == (0, 0) => Err(ZEROES.to_owned()),
            Some((last, place)) => Err(format!(
                "@{offset} at byte {position} comes after @{last} at byte {place}"
            )),
            None => frames.entry(offset, position, covered),
        };
        match right {
            Ok(beyond) => covered = beyond,
            Err(_) if !closed => break,
            Err(why) => flaws.say(at, Some(offset), why),
        }
        if (relative, position) != (0, 0) {
            before = Some((offset, position));
        }
    }
    flaws.done()
}

fn offset_entry(entry: &[u8]) -> Result<(i64, i64), Short> {
    let mut cursor = Cursor::new(entry);
    Ok((i64::from(cursor.i32()?), i64::from(cursor.i32()?)))
}

impl Frames {
    /// Whether an entry of the offset index is right; gives the number of the batch after those that
    /// it stands for. `covered` is that of the entry before.
    fn entry(&self, offset: i64, position: i64, covered: usize) -> Result<usize, String> {
        if offset < self.base {
            return Err(format!("@{offset} is before the segment's base"));
        }
        let place = u64::try_from(position)
            .ok()
            .filter(|place| *place < self.bytes)
            .ok_or_else(|| {
                let bytes = self.bytes;
                format!("@{offset} at byte {position}, the segment has {bytes} bytes")
            })?;
        if place >= self.known_to {
            return Ok(covered);
        }
        let first = self
            .frames
            .binary_search_by_key(&place, |frame| frame.position)
            .map_err(|_| format!("@{offset} at byte {position}, where no batch begins"))?;
        if first < covered {
            return Err(format!(
                "@{offset} at byte {position}, which the entry before stands for"
            ));
        }
        if !self.ordered {
            return Ok(first);
        }
        match self.holding(offset) {
            Some((last, frame)) if frame.last == offset && last >= first => {
                Ok(last.saturating_add(1))
            }
            // What was appended at once may end where nothing can be read.
            None if self.known_to < self.bytes => Ok(first),
            Some(_) | None => Err(format!(
                "@{offset} at byte {position}, but no batch from there on ends with it"
            )),
        }
    }
}

/// Checks a `.timeindex` file; the rest as for [`check_offsets`].
///
/// An entry is the largest timestamp so far and an offset in the batch that brought it. A leader
/// names the record's own offset, a follower the batch's last; both find it.
pub(crate) fn check_times(frames: &Frames, bytes: &[u8], length: u64, closed: bool) -> Vec<Flaw> {
    let mut flaws = Flaws::default();
    let count = entries(bytes, TIME_ENTRY, length, &mut flaws);
    let mut before: Option<(i64, i64)> = None;
    for number in 0..count {
        let at = number.saturating_mul(TIME_ENTRY);
        let Ok((timestamp, relative)) = time_entry(&entry::<TIME_ENTRY>(bytes, at)) else {
            break;
        };
        let offset = frames.base.saturating_add(relative);
        // The only entry that may be all zeroes is a first one of 1970.
        let zero = (timestamp, relative) == (0, 0) && number > 0;
        let out_of_order = before.filter(|(t, o)| *t >= timestamp || *o > offset);
        let right = match out_of_order {
            _ if zero => Err(ZEROES.to_owned()),
            Some((time, last)) => Err(format!(
                "{timestamp} at @{offset} comes after {time} at @{last}"
            )),
            None => frames.moment(timestamp, offset),
        };
        match right {
            Ok(()) => {}
            Err(_) if !closed => break,
            Err(why) => flaws.say(at, Some(offset), why),
        }
        if !zero {
            before = Some((timestamp, offset));
        }
    }
    if closed && let Err((about, why)) = frames.largest_is(before.map(|(time, _)| time)) {
        flaws.say(count.saturating_mul(TIME_ENTRY), Some(about), why);
    }
    flaws.done()
}

fn time_entry(entry: &[u8]) -> Result<(i64, i64), Short> {
    let mut cursor = Cursor::new(entry);
    Ok((cursor.i64()?, i64::from(cursor.i32()?)))
}

impl Frames {
    /// Whether an entry of the time index is right.
    fn moment(&self, timestamp: i64, offset: i64) -> Result<(), String> {
        if offset < self.base {
            return Err(format!("@{offset} is before the segment's base"));
        }
        if !self.ordered {
            return Ok(());
        }
        let Some((_, frame)) = self.holding(offset) else {
            return match self.known_to < self.bytes {
                true => Ok(()),
                false => Err(format!("{timestamp} at @{offset}, the segment ends before")),
            };
        };
        match frame.largest {
            _ if offset < frame.base => {
                Err(format!("{timestamp} at @{offset}, which no batch has"))
            }
            Some((own, _)) if own != timestamp => {
                Err(format!("{timestamp} at @{offset}, whose batch has {own}"))
            }
            Some((_, all)) if all > timestamp => Err(format!(
                "{timestamp} at @{offset}, but {all} stands before it"
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether the last entry of a closed segment names its largest timestamp
    /// (LogSegment.onBecomeInactiveSegment); otherwise the offset in question, and why.
    fn largest_is(&self, indexed: Option<i64>) -> Result<(), (i64, String)> {
        let Some((frame, (_, largest))) = self
            .frames
            .last()
            .and_then(|frame| Some((frame, frame.largest?)))
        else {
            return Ok(());
        };
        // Zero cannot be told from the zeroes behind the entries.
        if self.known_to < self.bytes || largest <= 0 || indexed == Some(largest) {
            return Ok(());
        }
        let why = match indexed {
            Some(last) => format!("its last entry is {last}, the segment's largest is {largest}"),
            None => format!("it has no entry, the segment's largest is {largest}"),
        };
        Err((frame.last, why))
    }
}
