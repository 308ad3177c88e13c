//! Faults: whom they befall, when they fire, how they are proved, and how nothing that was done is
//! forgotten.
//!
//! It never talks to Kafka as a client and never reads results. It acts through
//! [`cluster::System`], sees through the [`Board`], and writes every stage down before and after.

pub mod board;
pub mod budget;
pub mod catalogue;
pub mod clients;
mod doing;
pub mod ledger;
pub mod needs;
pub mod proof;
pub mod resolve;
pub mod roll;
pub mod seen;
pub mod target;
pub mod trigger;

pub use board::{Board, Leadership};
pub use clients::Clients;
pub use ledger::{Healed, Ledger};
pub use needs::{needs, needs_any, puts_checkpoints_back, refusal};
pub use resolve::{CrashedClient, Resolved, resolve};
pub use roll::Roll;
pub use target::{Unresolved, World};
pub use trigger::{LookedUp, Lookups, Sight, Trigger};
