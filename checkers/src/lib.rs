//! The judge: one file per guarantee, `judge` folds them.
//!
//! Pure functions of a recording. No file, clock, random number, log or network is touched here,
//! so the same evidence under the same rules gives the same verdict on any machine.

mod accounting;
mod audit;
mod availability;
mod causes;
mod contract;
mod facts;
mod faults;
mod figures;
mod findings;
mod gone;
mod guarantees;
pub mod jepsen;
mod judge;
pub mod judgement;
mod operations;
mod premises;
mod recording;
mod sentence;

pub use contract::promises;
pub use judge::judge;
pub use judgement::{Fold, Judgement};
pub use recording::{Ended, Operations, Recording};
