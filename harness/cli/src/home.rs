//! Numbers nobody chose, and saying things to a terminal that may be gone.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

/// A number nobody chose: for a run's id, and for a seed that was not given. Printed at once.
pub fn fresh_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

/// Prints a line; a reader that went away (`| head`) is no error.
pub fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// The same on standard error.
pub fn say_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints text as it is.
pub fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
