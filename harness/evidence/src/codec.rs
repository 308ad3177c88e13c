//! The five ways in which a batch's records may be compressed.
//!
//! Decompression is bounded: whatever the bytes claim, no more than [`DECOMPRESSED_MAX`] bytes are
//! produced.

use std::io::{self, Read, Write};

/// Most bytes that one batch may hold decompressed. Brokers refuse batches above
/// `message.max.bytes` (1 MiB by default) compressed; 256 times that is no honest batch.
pub const DECOMPRESSED_MAX: usize = 256 << 20;

/// Largest zstd window that is accepted, as a power of two; the same bound as the zstd tools'.
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// The frame that snappy-java writes around raw blocks: magic, version 1, compatible with 1.
const XERIAL_MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
const XERIAL_HEADER: usize = 16;
/// snappy-java's default block.
const XERIAL_BLOCK: usize = 32 << 10;

/// A compression codec, numbered as in bits 0-2 of a batch's attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// 0.
    None,
    /// 1.
    Gzip,
    /// 2: xerial-framed by Java clients, raw by some others.
    Snappy,
    /// 3: the standard frame format.
    Lz4,
    /// 4.
    Zstd,
}

impl Codec {
    /// All of them, in the order of their numbers.
    pub const ALL: [Codec; 5] = [
        Codec::None,
        Codec::Gzip,
        Codec::Snappy,
        Codec::Lz4,
        Codec::Zstd,
    ];

    /// The codec of a batch with these attributes; 5 to 7 are nobody's.
    pub fn of(attributes: i16) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|codec| codec.bits() == attributes & 7)
    }

    /// Its number in the attributes.
    pub fn bits(self) -> i16 {
        match self {
            Codec::None => 0,
            Codec::Gzip => 1,
            Codec::Snappy => 2,
            Codec::Lz4 => 3,
            Codec::Zstd => 4,
        }
    }

    /// Decompresses a block into `out`, which is cleared first. For [`Codec::None`] it copies;
    /// readers that care about speed use the block itself.
    pub(crate) fn decompress(self, block: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.clear();
        let read = match self {
            Codec::None => capped(block, out),
            Codec::Gzip => capped(flate2::bufread::MultiGzDecoder::new(block), out),
            Codec::Snappy => return unsnap(block, out),
            Codec::Lz4 => capped(lz4_flex::frame::FrameDecoder::new(block), out),
            Codec::Zstd => zstd::stream::read::Decoder::with_buffer(block)
                .and_then(|mut decoder| {
                    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                    Ok(decoder)
                })
                .and_then(|decoder| capped(decoder, out)),
        };
        read.map_err(|error| format!("{self:?}: {error}"))
    }

    /// Compresses a block and appends it to `out`; the counterpart of `decompress`.
    pub(crate) fn compress(self, block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Codec::None => out.extend_from_slice(block),
            Codec::Gzip => {
                let mut encoder =
                    flate2::write::GzEncoder::new(&mut *out, flate2::Compression::fast());
                encoder.write_all(block)?;
                encoder.finish()?;
            }
            Codec::Snappy => snap_xerial(block, out)?,
            Codec::Lz4 => {
                let mut encoder = lz4_flex::frame::FrameEncoder::new(&mut *out);
                encoder.write_all(block)?;
                encoder.finish().map_err(io::Error::other)?;
            }
            Codec::Zstd => out.extend_from_slice(&zstd::encode_all(block, 1)?),
        }
        Ok(())
    }
}

fn capped(from: impl Read, out: &mut Vec<u8>) -> io::Result<()> {
    let beyond = (DECOMPRESSED_MAX as u64).saturating_add(1);
    from.take(beyond).read_to_end(out)?;
    if out.len() > DECOMPRESSED_MAX {
        return Err(io::Error::other(too_large()));
    }
    Ok(())
}

fn too_large() -> String {
    format!("more than {DECOMPRESSED_MAX} bytes decompressed")
}

fn unsnap(block: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    if !block.starts_with(XERIAL_MAGIC) {
        return unsnap_raw(block, out);
    }
    let mut rest = block
        .get(XERIAL_HEADER..)
        .ok_or("Snappy: the frame's header is cut")?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (chunk, after) = after
            .split_at_checked(length)
            .ok_or_else(|| format!("Snappy: a block of {length} bytes is cut"))?;
        unsnap_raw(chunk, out)?;
        rest = after;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("Snappy: a block's length is cut".to_owned())
    }
}

fn unsnap_raw(chunk: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let says = |error: snap::Error| format!("Snappy: {error}");
    let length = snap::raw::decompress_len(chunk).map_err(says)?;
    let before = out.len();
    let after = before
        .checked_add(length)
        .filter(|after| *after <= DECOMPRESSED_MAX)
        .ok_or_else(|| format!("Snappy: {}", too_large()))?;
    // The densest element of the format is a copy of 64 bytes written in 3, so a longer claim is
    // refused before anything is allocated for it.
    if length > chunk.len().saturating_mul(64) {
        return Err(format!(
            "Snappy: {} bytes cannot hold {length}",
            chunk.len()
        ));
    }
    out.resize(after, 0);
    let room = out.get_mut(before..).unwrap_or_default();
    let written = snap::raw::Decoder::new()
        .decompress(chunk, room)
        .map_err(says)?;
    out.truncate(before.saturating_add(written));
    Ok(())
}

fn snap_xerial(block: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    out.extend_from_slice(XERIAL_MAGIC);
    out.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 1]);
    for chunk in block.chunks(XERIAL_BLOCK) {
        let packed = snap::raw::Encoder::new().compress_vec(chunk)?;
        out.extend_from_slice(&(packed.len() as u32).to_be_bytes());
        out.extend_from_slice(&packed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snappy_is_read_raw_as_well() {
        let text = b"high water ".repeat(20_000);
        let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        let mut out = Vec::new();
        assert_eq!(Codec::Snappy.decompress(&raw, &mut out), Ok(()));
        assert_eq!(out, text);
    }

    #[test]
    fn a_snappy_block_may_not_claim_more_than_it_can_hold() {
        // Length 2^28 - 1 as a plain varint, then nothing.
        let bomb = [0xff, 0xff, 0xff, 0x7f];
        let mut out = Vec::new();
        let refused = Codec::Snappy.decompress(&bomb, &mut out).unwrap_err();
        assert!(refused.contains("cannot hold"), "{refused}");
        assert_eq!(out.capacity(), 0);
    }

    #[test]
    fn a_zstd_bomb_is_cut_off() {
        let mut bomb = Vec::new();
        let zeroes = vec![0_u8; DECOMPRESSED_MAX + 10];
        Codec::Zstd.compress(&zeroes, &mut bomb).unwrap();
        drop(zeroes);
        let refused = Codec::Zstd.decompress(&bomb, &mut Vec::new()).unwrap_err();
        assert!(refused.contains("more than"), "{refused}");
    }
}
