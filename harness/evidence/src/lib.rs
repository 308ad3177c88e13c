//! What brokers leave behind, read and written: segments, checkpoints, epochs, log lines.
//!
//! It never touches a host and never panics, whatever the bytes.

mod batch;
mod bytes;
pub mod checkpoint;
mod codec;
pub mod image;
pub mod model;
mod segment;
mod write;

pub use batch::Recognise;
pub use codec::{Codec, DECOMPRESSED_MAX};
pub use image::read_image;
pub use model::{
    Batch, Damage, DamageKind, Evidence, Image, LogLine, Record, ReplicaLog, Says, Unreadable,
};
pub use segment::Walker;
pub use write::{NewBatch, NewRecord, write_batch};
