//! Walks a segment file, batch by batch, and says what stands where no valid batch stands.
//!
//! It condemns nothing: a torn tail is legal above the recovery point after a crash, and only a
//! judge knows what happened. It never panics and keeps memory in proportion to records; of the file
//! it holds one window.

use std::io::{self, Read};

use history::{Epoch, Offset};
use xxhash_rust::xxh3::xxh3_128;

use crate::batch::{self, BEFORE_LENGTH, CHECKED_FROM, HEADER, Header, Recognise};
use crate::codec::Unpacker;
use crate::model::{Batch, Damage, DamageKind, Record, ReplicaLog};

/// Longest batch that is believed. Brokers refuse batches above `message.max.bytes` (1 MiB by
/// default); a length beyond 256 times that is a broken length.
const BATCH_MAX: usize = 256 << 20;

/// What is read at once, small enough to be still in a core's cache when it is checked.
const WINDOW: usize = 512 << 10;

/// Reads the segment files of one log, in the order of their base offsets. Holds the buffers that
/// files are read and compressed batches unpacked into.
#[derive(Default)]
pub struct Walker {
    unpacker: Unpacker,
    window: Vec<u8>,
}

/// What stands at the beginning of some bytes.
enum Frame {
    /// A whole batch, so many bytes long; its checksum is not looked at yet.
    Whole(Header, usize),
    /// So many bytes must be seen to tell.
    More(usize),
    /// Nothing beyond can be trusted: a cut batch, or for the reason given no batch at all.
    Tail(Option<String>),
}

/// The end of a file, from where no batch stands.
struct Tail {
    bytes: u64,
    zeroes: bool,
    nonsense: Option<String>,
}

/// Where in which file, and what for.
struct Walk<'a> {
    segment: Offset,
    position: u64,
    recognise: Recognise<'a>,
    log: &'a mut ReplicaLog,
}

impl Walker {
    /// Appends to `log` what the segment file called `segment` holds.
    ///
    /// Reading goes on after a batch with a bad checksum, whose length is then all there is to go
    /// by, and stops at a torn tail, at zeroes to the end, and at a header that cannot be one.
    pub fn read(
        &mut self,
        segment: Offset,
        bytes: &[u8],
        recognise: Recognise<'_>,
        log: &mut ReplicaLog,
    ) {
        let mut walk = Walk::begin(segment, recognise, log);
        let (rest, frame) = walk.batches(bytes, true, &mut self.unpacker);
        if let Frame::Tail(nonsense) = frame {
            let mut tail = Tail::new(nonsense);
            tail.take(rest);
            walk.end(tail);
        }
        log.bytes = log.bytes.saturating_add(bytes.len() as u64);
    }

    /// The same from a reader, which is read to its end; gives the bytes read.
    ///
    /// # Errors
    /// When reading fails. What was read before stays in `log`.
    pub fn read_from(
        &mut self,
        segment: Offset,
        mut from: impl Read,
        recognise: Recognise<'_>,
        log: &mut ReplicaLog,
    ) -> io::Result<u64> {
        let mut walk = Walk::begin(segment, recognise, log);
        let mut window = std::mem::take(&mut self.window);
        let read = walk.windows(&mut from, &mut window, &mut self.unpacker);
        self.window = window;
        let bytes = walk.position;
        log.bytes = log.bytes.saturating_add(bytes);
        read.map(|()| bytes)
    }
}

impl<'a> Walk<'a> {
    fn begin(segment: Offset, recognise: Recognise<'a>, log: &'a mut ReplicaLog) -> Self {
        log.segments.push(segment);
        Self {
            segment,
            position: 0,
            recognise,
            log,
        }
    }

    /// Takes batches in as long as whole ones stand there. Gives what is left and why it stopped;
    /// with `ended` it never asks for more.
    fn batches<'b>(
        &mut self,
        bytes: &'b [u8],
        ended: bool,
        unpacker: &mut Unpacker,
    ) -> (&'b [u8], Frame) {
        let mut rest = bytes;
        loop {
            match frame(rest, ended) {
                Frame::Whole(header, length) => {
                    let (whole, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
                    self.batch(&header, whole, unpacker);
                    self.position = self.position.saturating_add(length as u64);
                    rest = after;
                }
                // An end between two batches is the end.
                Frame::Tail(None) if rest.is_empty() => return (rest, Frame::More(0)),
                stop => return (rest, stop),
            }
        }
    }

    fn windows(
        &mut self,
        from: &mut impl Read,
        window: &mut Vec<u8>,
        unpacker: &mut Unpacker,
    ) -> io::Result<()> {
        let (mut held, mut ended) = (0_usize, false);
        loop {
            let bytes = window.get(..held).unwrap_or_default();
            let (rest, frame) = self.batches(bytes, ended, unpacker);
            let kept = rest.len();
            match frame {
                Frame::More(wanted) if !ended => {
                    window.copy_within(held.saturating_sub(kept)..held, 0);
                    // A window grows with what is there, never at the word of a length field.
                    let room = wanted.min(kept.saturating_mul(2)).max(WINDOW);
                    if window.len() < room {
                        window.resize(room, 0);
                    }
                    let target = window.get_mut(kept..room).unwrap_or_default();
                    let read = fill(from, target)?;
                    ended = read < target.len();
                    held = kept.saturating_add(read);
                }
                Frame::More(_) | Frame::Whole(..) => return Ok(()),
                Frame::Tail(nonsense) => {
                    let mut tail = Tail::new(nonsense);
                    tail.take(rest);
                    while !ended {
                        let read = fill(from, window)?;
                        ended = read < window.len();
                        tail.take(window.get(..read).unwrap_or_default());
                    }
                    let position = self.position.saturating_add(tail.bytes);
                    self.end(tail);
                    self.position = position;
                    return Ok(());
                }
            }
        }
    }

    fn batch(&mut self, header: &Header, bytes: &[u8], unpacker: &mut Unpacker) {
        let base = Offset(header.base);
        let checked = bytes.get(CHECKED_FROM..).unwrap_or_default();
        if crc32c::crc32c(checked) != header.crc {
            let last = Offset(header.last());
            self.damage(base, DamageKind::BadCrc { base, last });
        } else if let Err(why) = self.valid(header, bytes, unpacker) {
            self.damage(base, DamageKind::Undecodable { base, why });
        }
    }

    /// Takes a CRC-valid batch into the log.
    fn valid(
        &mut self,
        header: &Header,
        bytes: &[u8],
        unpacker: &mut Unpacker,
    ) -> Result<(), String> {
        if header.last_delta < 0 || header.count < 0 {
            return Err(format!(
                "last offset delta {}, {} records",
                header.last_delta, header.count
            ));
        }
        let from = index(&self.log.records)?;
        let mut control = None;
        let decoded = batch::records(
            header,
            bytes,
            unpacker,
            self.recognise,
            &mut self.log.records,
            &mut control,
        );
        self.log.batches.push(Batch {
            base: Offset(header.base),
            last: Offset(header.last()),
            epoch: Epoch(header.epoch),
            bytes: u32::try_from(bytes.len()).unwrap_or(u32::MAX),
            digest: xxh3_128(bytes).to_be_bytes(),
            attributes: header.attributes,
            first_timestamp: header.first_timestamp,
            max_timestamp: header.max_timestamp,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            count: header.count,
            control,
            records: (from, index(&self.log.records)?),
            segment: self.segment,
            position: self.position,
        });
        decoded
    }

    fn end(&mut self, tail: Tail) {
        // An offset below the segment's base is nobody's.
        let from = self.log.leo();
        let kind = match tail.nonsense {
            _ if tail.zeroes => DamageKind::ZeroTail(tail.bytes),
            Some(why) => DamageKind::Nonsense(why),
            None => DamageKind::TornTail(tail.bytes),
        };
        self.damage(from, kind);
    }

    fn damage(&mut self, from: Offset, kind: DamageKind) {
        self.log.damage.push(Damage {
            segment: self.segment,
            position: self.position,
            from,
            durable: None,
            kind,
        });
    }
}

impl Tail {
    fn new(nonsense: Option<String>) -> Self {
        Self {
            bytes: 0,
            zeroes: true,
            nonsense,
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.zeroes = self.zeroes && bytes.iter().all(|byte| *byte == 0);
    }
}

/// Says what stands at the start of `rest`; `ended` when nothing follows it.
fn frame(rest: &[u8], ended: bool) -> Frame {
    let Ok(header) = Header::read(rest) else {
        return match ended {
            true => Frame::Tail(None),
            false => Frame::More(HEADER),
        };
    };
    let length = usize::try_from(header.length).unwrap_or(0);
    let whole = length.saturating_add(BEFORE_LENGTH);
    if !(HEADER..=BATCH_MAX).contains(&whole) {
        return Frame::Tail(Some(format!("length {}", header.length)));
    }
    if header.magic != 2 {
        return Frame::Tail(Some(format!("magic {}", header.magic)));
    }
    if header.base < 0 || header.last() == i64::MAX {
        return Frame::Tail(Some(format!("base offset {}", header.base)));
    }
    match (rest.len() >= whole, ended) {
        (true, _) => Frame::Whole(header, whole),
        (false, true) => Frame::Tail(None),
        (false, false) => Frame::More(whole),
    }
}

/// Reads until `target` is full or nothing is left.
fn fill(from: &mut impl Read, target: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0_usize;
    while let Some(room) = target.get_mut(filled..).filter(|room| !room.is_empty()) {
        match from.read(room) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// The index that the next record gets.
fn index(records: &[Record]) -> Result<u32, String> {
    u32::try_from(records.len()).map_err(|_| "more than 2^32 records in one log".to_owned())
}
