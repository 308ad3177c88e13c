//! What brokers leave behind, read and written: segments, checkpoints, epochs, log lines.
//!
//! It never touches a host and never panics, whatever the bytes.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects,
        clippy::panic
    )
)]

mod batch;
mod bytes;
pub mod checkpoint;
mod codec;
mod extents;
mod image;
mod index;
mod lines;
pub mod model;
mod parts;
mod run;
mod says;
mod scan;
mod segment;
mod side;
mod transactions;
mod write;

pub use batch::Recognise;
pub use codec::{Codec, DECOMPRESSED_MAX};
pub use extents::{Extent, extents, value_byte};
pub use image::read_image;
pub use index::{OffsetEntry, TimeEntry, offset_entries, time_entries};
pub use lines::{Source, read_lines};
pub use model::{
    AbortedTxn, Around, Batch, Damage, DamageKind, Evidence, Image, IndexFlaw, LogLine, Marker,
    ProducerEntry, ProducerSnapshot, Record, ReplicaLog, Says, SideFile, Unreadable, key_hash,
};
pub use run::read;
pub use says::{Unfamiliar, says};
pub use segment::Walker;
pub use side::{Flaw, read_snapshot, read_txn_index};
pub use write::{
    NewBatch, NewImage, NewRecord, NewSegment, SegmentEnd, file_name, write_batch, write_marker,
    write_snapshot, write_txn_index,
};
