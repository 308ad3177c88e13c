//! What the client library says about itself, kept for people in a ring of bounded size.
//!
//! Never printed, never judged: librdkafka is talkative when brokers die, and that is no news here.
#![expect(
    clippy::disallowed_types,
    reason = "written by the library's threads, read by the runner; nothing else waits on it"
)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use history::{ClientId, Mark};

/// The lines that are kept; older ones are forgotten first.
const KEPT: usize = 2000;

/// A ring of lines. Clones share it.
#[derive(Clone, Default)]
pub struct Notes(Arc<Mutex<VecDeque<String>>>);

impl Notes {
    /// Keeps one line, unless the same client said the same just before.
    pub fn write(&self, at: Mark, client: ClientId, line: &str) {
        let said = format!("{client} {line}");
        let mut lines = self.lock();
        if lines.back().is_some_and(|last| last.ends_with(&said)) {
            return;
        }
        if lines.len() == KEPT {
            lines.pop_front();
        }
        lines.push_back(format!("{at} {said}"));
    }

    /// The kept lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lock().iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<String>> {
        // A ring of text stays usable whatever a writer was doing when it panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ring_keeps_the_latest_and_no_echo() {
        let notes = Notes::default();
        for n in 0..KEPT as u64 + 10 {
            notes.write(Mark::from_millis(n), ClientId(7), &format!("line {n}"));
            notes.write(Mark::from_millis(n), ClientId(7), &format!("line {n}"));
        }
        let lines = notes.lines();
        assert_eq!(lines.len(), KEPT);
        assert_eq!(lines[0], "0.010s c7 line 10");
    }
}
