//! Any bytes as each of the files beside a segment; a snapshot also behind a checksum that fits.
#![no_main]

use history::Offset;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let base = Offset(5);
    assert!(evidence::offset_entries(base, bytes).count() <= bytes.len().div_ceil(8));
    assert!(evidence::time_entries(base, bytes).count() <= bytes.len().div_ceil(12));
    let (aborted, _) = evidence::read_txn_index(base, bytes);
    assert!(aborted.len() <= bytes.len() / 34 + 1);
    let _ = evidence::read_snapshot(bytes);
    if bytes.len() >= 10 {
        let mut fitting = bytes.to_vec();
        fitting[..2].copy_from_slice(&1_i16.to_be_bytes());
        let crc = crc32c::crc32c(&fitting[6..]);
        fitting[2..6].copy_from_slice(&crc.to_be_bytes());
        if let Ok(entries) = evidence::read_snapshot(&fitting) {
            assert!(entries.len() <= bytes.len());
        }
    }
});
