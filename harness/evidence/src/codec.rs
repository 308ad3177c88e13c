//! The five ways in which a batch's records may be compressed.
//!
//! Decompression is bounded: whatever the bytes claim, no more than [`DECOMPRESSED_MAX`] bytes are
//! produced.

use std::io::{self, Read, Write};

use zstd::stream::raw::{DParameter, InBuffer, Operation, OutBuffer};

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

/// Decompresses one block after the other; holds what they can share.
#[derive(Default)]
pub(crate) struct Unpacker {
    plain: Vec<u8>,
    /// Some 40 kB: made once.
    gzip: Option<flate2::Decompress>,
    /// A context is some 150 kB: made once.
    zstd: Option<zstd::stream::raw::Decoder<'static>>,
}

impl Unpacker {
    /// What a block holds; valid until the next.
    pub(crate) fn unpack<'a>(
        &'a mut self,
        codec: Codec,
        block: &'a [u8],
    ) -> Result<&'a [u8], String> {
        let out = &mut self.plain;
        out.clear();
        let read = match codec {
            Codec::None => return Ok(block),
            Codec::Gzip => ungzip(&mut self.gzip, block, out),
            Codec::Snappy => unsnap(block, out).map_err(io::Error::other),
            Codec::Lz4 => capped(lz4_flex::frame::FrameDecoder::new(block), out),
            Codec::Zstd => unzstd(&mut self.zstd, block, out),
        };
        read.map_err(|error| format!("{codec:?}: {error}"))?;
        Ok(out)
    }
}

/// Members one after the other, as the format allows; each must be whole.
fn ungzip(
    kept: &mut Option<flate2::Decompress>,
    block: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let inflate = kept.get_or_insert_with(|| flate2::Decompress::new(false));
    if ungzip_one(inflate, block, out).is_some() {
        return Ok(());
    }
    out.clear();
    capped(flate2::bufread::MultiGzDecoder::new(block), out)
}

/// One member with a bare header, which is what Kafka's clients write, in one piece; none when it is
/// anything else, or not whole.
fn ungzip_one(inflate: &mut flate2::Decompress, block: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (head, rest) = block.split_first_chunk::<10>()?;
    let (body, tail) = rest.split_last_chunk::<8>()?;
    let [b0, b1, b2, b3, l0, l1, l2, l3] = *tail;
    let (sum, length) = ([b0, b1, b2, b3], [l0, l1, l2, l3]);
    let length = usize::try_from(u32::from_le_bytes(length)).ok()?;
    // Deflate makes at most 1032 bytes of one: a longer claim is not believed.
    let most = body.len().saturating_mul(1032).min(DECOMPRESSED_MAX);
    if head.get(..4)? != b"\x1f\x8b\x08\0" || length > most {
        return None;
    }
    out.resize(length, 0);
    inflate.reset(false);
    let finish = flate2::FlushDecompress::Finish;
    let ended = inflate.decompress(body, out, finish).ok()?;
    let whole = inflate.total_in() == body.len() as u64 && inflate.total_out() == length as u64;
    if ended != flate2::Status::StreamEnd || !whole {
        return None;
    }
    let mut crc = flate2::Crc::new();
    crc.update(out);
    (crc.sum() == u32::from_le_bytes(sum)).then_some(())
}

/// Frames one after the other, as the format allows; each must be whole.
fn unzstd(
    kept: &mut Option<zstd::stream::raw::Decoder<'static>>,
    block: &[u8],
    out: &mut Vec<u8>,
) -> io::Result<()> {
    let decoder = match kept {
        Some(decoder) => decoder,
        None => {
            let mut fresh = zstd::stream::raw::Decoder::new()?;
            fresh.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
            kept.insert(fresh)
        }
    };
    decoder.reinit()?;
    let mut input = InBuffer::around(block);
    loop {
        let written = out.len();
        // Room for another piece: as much as there is already, no less than two of zstd's blocks.
        let room = written
            .max(256 << 10)
            .min(DECOMPRESSED_MAX.saturating_add(1));
        out.resize(written.saturating_add(room), 0);
        let target = out.get_mut(written..).unwrap_or_default();
        let mut output = OutBuffer::around(target);
        let left = decoder.run(&mut input, &mut output)?;
        let gained = output.pos();
        out.truncate(written.saturating_add(gained));
        if out.len() > DECOMPRESSED_MAX {
            return Err(io::Error::other(too_large()));
        }
        match (left, input.pos() >= block.len()) {
            (0, true) => return Ok(()),
            (0, false) => decoder.reinit()?,
            // All was read, there was room for more, and the frame has not ended.
            (_, true) if gained < room => {
                return Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "incomplete frame",
                ));
            }
            (_, _) => {}
        }
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
        .ok_or("the frame's header is cut")?;
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*length) as usize;
        let (chunk, after) = after
            .split_at_checked(length)
            .ok_or_else(|| format!("a block of {length} bytes is cut"))?;
        unsnap_raw(chunk, out)?;
        rest = after;
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err("a block's length is cut".to_owned())
    }
}

fn unsnap_raw(chunk: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
    let says = |error: snap::Error| error.to_string();
    let length = snap::raw::decompress_len(chunk).map_err(says)?;
    let before = out.len();
    let after = before
        .checked_add(length)
        .filter(|after| *after <= DECOMPRESSED_MAX)
        .ok_or_else(too_large)?;
    // The densest element of the format is a copy of 64 bytes written in 3, so a longer claim is
    // refused before anything is allocated for it.
    if length > chunk.len().saturating_mul(64) {
        return Err(format!("{} bytes cannot hold {length}", chunk.len()));
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

    fn unpack(codec: Codec, block: &[u8]) -> Result<Vec<u8>, String> {
        Unpacker::default().unpack(codec, block).map(<[u8]>::to_vec)
    }

    #[test]
    fn snappy_is_read_raw_as_well() {
        let text = b"high water ".repeat(20_000);
        let raw = snap::raw::Encoder::new().compress_vec(&text).unwrap();
        assert_eq!(unpack(Codec::Snappy, &raw), Ok(text));
    }

    #[test]
    fn a_snappy_block_may_not_claim_more_than_it_can_hold() {
        // Length 2^28 - 1 as a plain varint, then nothing.
        let bomb = [0xff, 0xff, 0xff, 0x7f];
        let mut unpacker = Unpacker::default();
        let refused = unpacker.unpack(Codec::Snappy, &bomb).unwrap_err();
        assert!(refused.contains("cannot hold"), "{refused}");
        assert_eq!(unpacker.plain.capacity(), 0);
    }

    #[test]
    fn a_zstd_bomb_is_cut_off() {
        let mut bomb = Vec::new();
        let zeroes = vec![0_u8; DECOMPRESSED_MAX + 10];
        Codec::Zstd.compress(&zeroes, &mut bomb).unwrap();
        drop(zeroes);
        let refused = unpack(Codec::Zstd, &bomb).err().unwrap();
        assert!(refused.contains("more than"), "{refused}");
    }

    fn gzip(text: &[u8], level: u32) -> Vec<u8> {
        let mut encoder =
            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(level));
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// What the streaming reader says, which takes every form of the format.
    fn slowly(block: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        capped(flate2::bufread::MultiGzDecoder::new(block), &mut out).ok()?;
        Some(out)
    }

    proptest::proptest! {
        #[test]
        fn gzip_in_one_piece_is_gzip(
            text in proptest::collection::vec(0_u8..6, 0..600),
            more in proptest::option::of(proptest::collection::vec(0_u8..6, 0..60)),
            level in 0_u32..10,
            damage in proptest::option::of((proptest::prelude::any::<proptest::sample::Index>(), 1_u8..)),
            cut in 0_usize..30,
        ) {
            let mut block = gzip(&text, level);
            let whole = more.is_none() && damage.is_none() && cut > 9;
            block.extend(more.map(|more| gzip(&more, level)).unwrap_or_default());
            block.truncate(block.len() - if cut > 9 { 0 } else { cut });
            if let Some((at, flip)) = damage {
                let at = at.index(block.len());
                block[at] ^= flip;
            }
            let mut unpacker = Unpacker::default();
            // Twice, since what one block leaves behind is no business of the next.
            for _ in 0..2 {
                let fast = unpacker.unpack(Codec::Gzip, &block).ok().map(<[u8]>::to_vec);
                proptest::prop_assert_eq!(&fast, &slowly(&block));
            }
            if whole {
                let inflate = unpacker.gzip.as_mut().unwrap();
                let mut out = Vec::new();
                proptest::prop_assert!(ungzip_one(inflate, &block, &mut out).is_some());
                proptest::prop_assert_eq!(out, text);
            }
        }
    }

    #[test]
    fn a_gzip_block_may_not_claim_more_than_it_can_hold() {
        let mut bomb = gzip(b"ebb", 6);
        let length = bomb.len() - 4;
        bomb[length..].copy_from_slice(&[0xff, 0xff, 0xff, 0x0f]);
        let mut unpacker = Unpacker::default();
        assert!(unpacker.unpack(Codec::Gzip, &bomb).is_err());
        assert!(unpacker.plain.capacity() < 1 << 16);
    }

    #[test]
    fn zstd_frames_follow_each_other_whole() {
        let (one, two) = (b"ebb ".repeat(90_000), b"flood".to_vec());
        let mut block = Vec::new();
        Codec::Zstd.compress(&one, &mut block).unwrap();
        Codec::Zstd.compress(&two, &mut block).unwrap();
        // The same unpacker goes on after a block that it refused.
        let mut unpacker = Unpacker::default();
        for cut in [1, block.len() / 2, block.len() - 1] {
            let refused = unpacker.unpack(Codec::Zstd, &block[..cut]);
            assert!(refused.is_err(), "cut at {cut}");
        }
        let both = [one, two].concat();
        assert_eq!(unpacker.unpack(Codec::Zstd, &block), Ok(both.as_slice()));
    }
}
