//! What brokers leave behind, read and written: segments, checkpoints, epochs, log lines.
//!
//! It never touches a host and never panics, whatever the bytes.

pub mod model;

pub use model::{
    Batch, Damage, DamageKind, Evidence, Image, LogLine, Record, ReplicaLog, Says, Unreadable,
};
