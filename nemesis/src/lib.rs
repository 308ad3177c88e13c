//! Faults: whom they befall, how they are proved, and how nothing that was done is forgotten.
//!
//! It never talks to Kafka as a client and never reads results. It acts through
//! [`cluster::System`], sees through the [`Board`], and writes every stage down before and after.

pub mod board;
pub mod ledger;
pub mod proof;
pub mod roll;
pub mod target;

pub use board::{Board, Leadership};
pub use ledger::{Healed, Ledger};
pub use roll::Roll;
pub use target::{Unresolved, resolve};
