//! Producer snapshots and transaction indexes, as bytes.

use history::Offset;

use crate::model::{AbortedTxn, ProducerEntry};
use crate::side::{SNAPSHOT_CHECKED_FROM, SNAPSHOT_VERSION, TXN_INDEX_VERSION};

/// The name of a file that belongs to an offset: 20 digits and a suffix.
pub fn file_name(offset: Offset, suffix: &str) -> String {
    format!("{:020}.{suffix}", offset.0)
}

/// A `.snapshot` file, checksum included.
pub fn write_snapshot(entries: &[ProducerEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    out.extend_from_slice(&SNAPSHOT_VERSION.to_be_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(entries.len() as i32).to_be_bytes());
    for entry in entries {
        let open = entry.current_txn_first_offset.unwrap_or(Offset(-1));
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.epoch.to_be_bytes());
        out.extend_from_slice(&entry.last_sequence.to_be_bytes());
        out.extend_from_slice(&entry.last_offset.0.to_be_bytes());
        out.extend_from_slice(&entry.offset_delta.to_be_bytes());
        out.extend_from_slice(&entry.timestamp.to_be_bytes());
        out.extend_from_slice(&entry.coordinator_epoch.to_be_bytes());
        out.extend_from_slice(&open.0.to_be_bytes());
    }
    let crc = crc32c::crc32c(&out[SNAPSHOT_CHECKED_FROM..]);
    out[2..SNAPSHOT_CHECKED_FROM].copy_from_slice(&crc.to_be_bytes());
    out
}

/// A `.txnindex` file.
pub fn write_txn_index(aborted: &[AbortedTxn]) -> Vec<u8> {
    let mut out = Vec::new();
    for entry in aborted {
        out.extend_from_slice(&TXN_INDEX_VERSION.to_be_bytes());
        out.extend_from_slice(&entry.producer_id.to_be_bytes());
        out.extend_from_slice(&entry.first_offset.0.to_be_bytes());
        out.extend_from_slice(&entry.last_offset.0.to_be_bytes());
        out.extend_from_slice(&entry.last_stable_offset.0.to_be_bytes());
    }
    out
}
