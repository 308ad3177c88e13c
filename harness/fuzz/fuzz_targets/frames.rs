//! Any bytes as frames of a history; and as the block of a frame whose header and checksum fit.
#![no_main]

use history::frames::Reader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    if let Some((events, block)) = bytes.split_first() {
        read(&frame(u32::from(*events), block));
    }
});

fn read(bytes: &[u8]) {
    for events in Reader::behind_header(bytes) {
        if let Ok(events) = events {
            let _ = history::check_consistency(&events);
        }
    }
}

/// A frame as `FrameWriter` makes it, around any block.
fn frame(events: u32, block: &[u8]) -> Vec<u8> {
    let stored = zstd::bulk::compress(block, 1).expect("a small block");
    let mut frame = vec![0; 32];
    frame[..4].copy_from_slice(b"TMFR");
    frame[16..20].copy_from_slice(&events.to_le_bytes());
    frame[20..24].copy_from_slice(&(block.len() as u32).to_le_bytes());
    frame[24..28].copy_from_slice(&(stored.len() as u32).to_le_bytes());
    frame[28] = 1;
    frame[29] = 1;
    frame.extend_from_slice(&stored);
    let crc = crc32c::crc32c(&frame[8..]);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    frame
}
