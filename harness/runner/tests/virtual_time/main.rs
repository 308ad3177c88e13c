//! The runner on a fake cluster under tokio's paused clock: every path out, and storms, in
//! milliseconds.

mod ends;
mod fake;
mod storms;
