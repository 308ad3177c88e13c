//! The on-disk log `history/events.tmh`: a header, then frames, appended and never changed.
//!
//! Header (16 bytes, little endian like all numbers here): `TMHISTRY`, format version (4), CRC-32C
//! of those (4). Frame: `TMFR`, CRC-32C of all that follows in this frame (4), sequence number from
//! 0 (8), number of events (4), bytes of the block (4), bytes stored (4), layout of the block (1),
//! codec (1), two zero bytes, then the stored bytes. Layout 1 is `columns`, codec 1 is zstd.
//!
//! A reader stops at the first frame that is not whole and says where: a crash tears the tail, and
//! what stands behind a tear has lost its place. Nothing here decides when a frame ends or when
//! it reaches the disk: that is `recorder`.

mod read;

use std::io::{self, Write};

use crate::columns::BlockWriter;
use crate::event::Event;

pub use crate::columns::{Given, GivenAll, Line};
pub use read::{Reader, Recording, Torn, read};

/// The newest format that this program writes and reads.
pub const FORMAT: u32 = 1;

const FILE_MAGIC: [u8; 8] = *b"TMHISTRY";
const FILE_HEADER: usize = 16;
const FRAME_MAGIC: [u8; 4] = *b"TMFR";
const FRAME_HEADER: usize = 32;
/// Where a frame's checksummed part begins.
const CHECKED: usize = 8;
const LAYOUT_COLUMNS: u8 = 1;
const CODEC_ZSTD: u8 = 1;

/// More events than this are in no frame, so a reader need not believe more.
const EVENTS_MAX: u32 = 1 << 20;
/// A block is never larger than this, compressed or not.
const BLOCK_BYTES_MAX: usize = 64 << 20;

/// A block that has come this far should be closed.
const BLOCK_EVENTS: u32 = 32_768;
const BLOCK_BYTES: usize = 4 << 20;

/// Level 1: on columns, higher levels cost much time and win little.
const ZSTD_LEVEL: i32 = 1;

/// What has been written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events in whole frames.
    pub events: u64,
    /// Frames.
    pub frames: u64,
    /// Bytes of the file, its header included.
    pub bytes: u64,
}

/// Writes frames to anything that takes bytes.
pub struct FrameWriter<W> {
    into: W,
    block: BlockWriter,
    zstd: zstd::bulk::Compressor<'static>,
    raw: Vec<u8>,
    frame: Vec<u8>,
    written: Counts,
}

impl<W: Write> FrameWriter<W> {
    /// Begins a file: writes its header.
    pub fn begin(mut into: W) -> io::Result<Self> {
        into.write_all(&file_header(FORMAT))?;
        Ok(Self {
            into,
            block: BlockWriter::default(),
            zstd: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
            raw: Vec::new(),
            frame: Vec::new(),
            written: Counts {
                bytes: FILE_HEADER as u64,
                ..Counts::default()
            },
        })
    }

    /// Takes an event into the open block. Nothing is written yet.
    pub fn push(&mut self, event: &Event) {
        self.block.push(event);
    }

    /// Events in the open block.
    pub fn pending(&self) -> u32 {
        self.block.events()
    }

    /// Whether the open block should be closed now.
    pub fn is_full(&self) -> bool {
        self.block.events() >= BLOCK_EVENTS || self.block.bytes() >= BLOCK_BYTES
    }

    /// Closes the open block and hands it over as one frame, in one write; an empty block writes
    /// nothing.
    pub fn cut(&mut self) -> io::Result<()> {
        let events = self.block.events();
        if events == 0 {
            return Ok(());
        }
        self.block.finish(&mut self.raw);
        if self.raw.len() > BLOCK_BYTES_MAX || events > EVENTS_MAX {
            return Err(io::Error::other(format!(
                "a block of {events} events and {} bytes is too large to be read again",
                self.raw.len()
            )));
        }
        self.frame.clear();
        let room = zstd::zstd_safe::compress_bound(self.raw.len());
        self.frame.resize(FRAME_HEADER + room, 0);
        let stored = self
            .zstd
            .compress_to_buffer(&self.raw, &mut self.frame[FRAME_HEADER..])?;
        self.frame.truncate(FRAME_HEADER + stored);
        let head = &mut self.frame[..FRAME_HEADER];
        head[..4].copy_from_slice(&FRAME_MAGIC);
        head[8..16].copy_from_slice(&self.written.frames.to_le_bytes());
        head[16..20].copy_from_slice(&events.to_le_bytes());
        head[20..24].copy_from_slice(&(self.raw.len() as u32).to_le_bytes());
        head[24..28].copy_from_slice(&(stored as u32).to_le_bytes());
        head[28] = LAYOUT_COLUMNS;
        head[29] = CODEC_ZSTD;
        let crc = crc32c::crc32c(&self.frame[CHECKED..]);
        self.frame[4..8].copy_from_slice(&crc.to_le_bytes());
        self.into.write_all(&self.frame)?;
        self.written.events += u64::from(events);
        self.written.frames += 1;
        self.written.bytes += self.frame.len() as u64;
        Ok(())
    }

    /// What stands in whole frames so far.
    pub fn written(&self) -> Counts {
        self.written
    }

    /// Where the frames go.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.into
    }
}

fn file_header(format: u32) -> [u8; FILE_HEADER] {
    let mut header = [0; FILE_HEADER];
    header[..8].copy_from_slice(&FILE_MAGIC);
    header[8..12].copy_from_slice(&format.to_le_bytes());
    let crc = crc32c::crc32c(&header[..12]);
    header[12..].copy_from_slice(&crc.to_le_bytes());
    header
}

#[cfg(test)]
mod tests;
