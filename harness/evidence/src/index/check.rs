//! Indexes checked against the segment beside which they stand.
//!
//! An index says nothing that the segment does not say; the broker rebuilds one after a crash. So
//! it is only asked whether a lookup through it would find the right batch.
//!
//! A truncation only moves the broker's place in the index in use (AbstractIndex): what it cut off
//! stays in the file until it is overwritten or the segment is closed. So the entries of a segment in
//! use end with the first that is not right, and nothing can be held against those behind it.

use history::Offset;

use super::{OFFSET_ENTRY, TIME_ENTRY, offset_entries, time_entries};
use crate::model::{DamageKind, ReplicaLog};
use crate::side::Flaw;

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
    fn size(&mut self, length: u64, entry: usize) {
        if length.checked_rem(entry as u64) != Some(0) {
            let why = format!("{length} bytes are no multiple of {entry}");
            self.say(usize::try_from(length).unwrap_or(usize::MAX), None, why);
        }
    }

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

/// Checks an `.index` file, `length` bytes long, of which `bytes` are those before the zeroes at its
/// end; `closed` when the segment is not in use.
///
/// An entry is made when something is appended: the position where that begins, and the last offset
/// of it (LogSegment.append), which may be several batches.
pub(crate) fn check_offsets(frames: &Frames, bytes: &[u8], length: u64, closed: bool) -> Vec<Flaw> {
    let mut flaws = Flaws::default();
    flaws.size(length, OFFSET_ENTRY);
    let mut before: Option<(i64, i64)> = None;
    let mut covered = 0_usize;
    for (number, entry) in offset_entries(Offset(frames.base), bytes).enumerate() {
        let at = number.saturating_mul(OFFSET_ENTRY);
        let (offset, position) = (entry.offset.0, entry.position);
        // Nothing is indexed before something stands in the segment, so no entry is all zeroes.
        let zeroes = (offset, position) == (frames.base, 0);
        let out_of_order = before.filter(|(o, p)| *o >= offset || *p >= position);
        let right = match out_of_order {
            _ if zeroes => Err(ZEROES.to_owned()),
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
        if !zeroes {
            before = Some((offset, position));
        }
    }
    flaws.done()
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
    flaws.size(length, TIME_ENTRY);
    let mut before: Option<(i64, i64)> = None;
    let mut end = 0_usize;
    for (number, entry) in time_entries(Offset(frames.base), bytes).enumerate() {
        let at = number.saturating_mul(TIME_ENTRY);
        end = at.saturating_add(TIME_ENTRY);
        let (timestamp, offset) = (entry.timestamp, entry.offset.0);
        // The only entry that may be all zeroes is a first one of 1970.
        let zeroes = (timestamp, offset) == (0, frames.base) && number > 0;
        let out_of_order = before.filter(|(t, o)| *t >= timestamp || *o > offset);
        let right = match out_of_order {
            _ if zeroes => Err(ZEROES.to_owned()),
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
        if !zeroes {
            before = Some((timestamp, offset));
        }
    }
    if closed && let Err((about, why)) = frames.largest_is(before.map(|(time, _)| time)) {
        flaws.say(end, Some(about), why);
    }
    flaws.done()
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
