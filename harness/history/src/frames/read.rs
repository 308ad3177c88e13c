//! Reading `events.tmh`, whole or frame by frame, up to its end or its first tear.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::{
    BLOCK_BYTES_MAX, CHECKED, CODEC_ZSTD, EVENTS_MAX, FILE_HEADER, FILE_MAGIC, FORMAT,
    FRAME_HEADER, FRAME_MAGIC, LAYOUT_COLUMNS, file_header,
};
use crate::columns::{Block, Line, Topics, read_block};
use crate::error::HistoryError;
use crate::event::Event;

/// Where a log stops being readable, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Everything before this byte was read.
    pub at_byte: u64,
    /// What is wrong there.
    pub why: String,
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "the history is torn at byte {}: {}",
            self.at_byte, self.why
        )
    }
}

/// A history as it was read back.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Recording {
    /// All events up to the tear, in the order in which the recorder saw them.
    pub events: Vec<Event>,
    /// Where and why reading stopped, if not at the end.
    pub torn: Option<Torn>,
    /// Whole frames that were read.
    pub frames: u64,
}

/// Reads a whole history file.
///
/// # Errors
/// When the file cannot be read, is no history, or is of a newer format. A tear is no error.
pub fn read(path: &Path) -> Result<Recording, HistoryError> {
    let mut reader = Reader::open(path)?;
    let mut recording = Recording::default();
    for frame in &mut reader {
        match frame {
            Ok(events) if recording.events.is_empty() => recording.events = events,
            Ok(events) => recording.events.extend(events),
            Err(torn) => recording.torn = Some(torn),
        }
    }
    recording.frames = reader.next_seq;
    Ok(recording)
}

/// Reads frame by frame: the events of each, then the tear, if there is one, then nothing.
pub struct Reader<R> {
    from: R,
    at_byte: u64,
    next_seq: u64,
    topics: Topics,
    block: Block,
    stored: Vec<u8>,
    /// A tear that is known and not yet reported.
    torn: Option<Torn>,
    ended: bool,
}

impl Reader<BufReader<File>> {
    /// Opens a history file.
    ///
    /// # Errors
    /// As [`read`].
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        let failed = |err: io::Error| HistoryError::Read {
            path: path.to_owned(),
            why: err.to_string(),
        };
        let file = File::open(path).map_err(failed)?;
        let mut reader = Self::behind_header(BufReader::with_capacity(1 << 18, file));
        let mut header = Vec::new();
        let whole = take(&mut reader.from, FILE_HEADER, &mut header).map_err(failed)?;
        let beginning = header.len().min(FILE_MAGIC.len());
        if header[..beginning] != FILE_MAGIC[..beginning] {
            return Err(HistoryError::NotAHistory {
                path: path.to_owned(),
            });
        }
        if !whole {
            reader.tear("the file's header is not whole");
            return Ok(reader);
        }
        let format = number(&header[8..12]);
        if header != file_header(format) {
            reader.tear("the file's header does not match its checksum");
        } else if format > FORMAT {
            return Err(HistoryError::Newer {
                path: path.to_owned(),
                format,
                known: FORMAT,
            });
        }
        if reader.torn.is_none() {
            reader.at_byte = FILE_HEADER as u64;
        }
        Ok(reader)
    }
}

impl<R: Read> Reader<R> {
    /// Reads frames from just behind a file's header.
    pub fn behind_header(from: R) -> Self {
        Self {
            from,
            at_byte: 0,
            next_seq: 0,
            topics: Topics::default(),
            block: Block::default(),
            stored: Vec::new(),
            torn: None,
            ended: false,
        }
    }

    fn tear(&mut self, why: impl Into<String>) {
        self.torn = Some(Torn {
            at_byte: self.at_byte,
            why: why.into(),
        });
    }

    /// Hands out every line that is left, in order; then the tear, if there is one. A frame is
    /// handed out whole or not at all.
    pub fn each(mut self, mut take: impl FnMut(Line<'_>)) -> Option<Torn> {
        loop {
            match self.next_block()? {
                Ok(()) => self.block.lines(&mut take),
                Err(torn) => return Some(torn),
            }
        }
    }

    /// Reads the next frame's block; after the last one comes the tear, if there is one, then
    /// nothing.
    fn next_block(&mut self) -> Option<Result<(), Torn>> {
        if self.ended {
            return None;
        }
        if self.torn.is_none() {
            match self.frame() {
                Ok(true) => return Some(Ok(())),
                Ok(false) => {}
                Err(why) => self.tear(why),
            }
        }
        self.ended = true;
        self.torn.take().map(Err)
    }

    /// Reads the next frame into the block; false at the clean end.
    fn frame(&mut self) -> Result<bool, String> {
        let unreadable = |err: io::Error| format!("the file cannot be read on: {err}");
        let mut head = Vec::with_capacity(FRAME_HEADER);
        if !take(&mut self.from, FRAME_HEADER, &mut head).map_err(unreadable)? {
            return match head.len() {
                0 => Ok(false),
                len => Err(format!("{len} bytes are too few for a frame's header")),
            };
        }
        if head[..4] != FRAME_MAGIC {
            return Err("no frame begins here".to_owned());
        }
        let (events, raw, len) = (
            number(&head[16..20]),
            number(&head[20..24]) as usize,
            number(&head[24..28]) as usize,
        );
        if events > EVENTS_MAX || raw > BLOCK_BYTES_MAX || len > BLOCK_BYTES_MAX {
            return Err("the frame claims an impossible size".to_owned());
        }
        if !take(&mut self.from, len, &mut self.stored).map_err(unreadable)? {
            return Err(format!(
                "the frame holds {len} bytes, of which {} are there",
                self.stored.len()
            ));
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&head[CHECKED..]), &self.stored);
        if crc != number(&head[4..8]) {
            return Err("the frame does not match its checksum".to_owned());
        }
        let mut seq = [0; 8];
        seq.copy_from_slice(&head[8..16]);
        let seq = u64::from_le_bytes(seq);
        if seq != self.next_seq {
            return Err(format!("frame {seq} stands where {} should", self.next_seq));
        }
        if head[28..32] != [LAYOUT_COLUMNS, CODEC_ZSTD, 0, 0] {
            return Err("the frame's layout or codec is not known".to_owned());
        }
        let block = zstd::bulk::decompress(&self.stored, raw)
            .map_err(|err| format!("the frame cannot be decompressed: {err}"))?;
        read_block(&block, events as usize, &mut self.topics, &mut self.block)
            .filter(|()| block.len() == raw)
            .ok_or("the frame's block cannot be understood")?;
        self.at_byte += (FRAME_HEADER + len) as u64;
        self.next_seq += 1;
        Ok(true)
    }
}

impl<R: Read> Iterator for Reader<R> {
    type Item = Result<Vec<Event>, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.next_block()?.map(|()| {
            let mut events = Vec::with_capacity(self.block.len());
            self.block.lines(|line| events.push(line.into()));
            events
        }))
    }
}

/// Reads `len` bytes over `into`; false when fewer are there. Memory grows with what is read.
fn take(from: &mut impl Read, len: usize, into: &mut Vec<u8>) -> io::Result<bool> {
    into.clear();
    let read = from.by_ref().take(len as u64).read_to_end(into)?;
    Ok(read == len)
}

fn number(four: &[u8]) -> u32 {
    four.iter()
        .rev()
        .fold(0, |n, byte| n << 8 | u32::from(*byte))
}
