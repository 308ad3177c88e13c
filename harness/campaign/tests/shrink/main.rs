//! Storms that somebody made up, whose runs fail if certain steps are in them, always or mostly; and
//! what is left of the storms.

#[path = "../common/mod.rs"]
mod common;
mod endings;
mod files;
mod pretend;
mod steps;
mod times;
