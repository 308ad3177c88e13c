//! Foreign histories in, exports out, synthetic runs.
//!
//! Nothing here judges: what a history means is `checkers`' business.

pub mod export;
pub mod foreign;
pub mod synth;
