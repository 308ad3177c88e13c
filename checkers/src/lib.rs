//! The judge: one file per guarantee, `judge` folds them.
//!
//! Pure functions of a recording. No file, clock, random number, log or network is touched here,
//! so the same evidence under the same rules gives the same verdict on any machine.

pub mod contract;
pub mod facts;
mod faults;
mod findings;
pub mod gone;
pub mod judgement;
pub mod recording;

pub use contract::Contract;
pub use facts::Facts;
pub use findings::Findings;
pub use judgement::Judgement;
pub use recording::{Ended, Recording};
