//! Single-threaded processes for clients that have many calls in flight.
//!
//! A call takes a process of its client that is idle, or a new one, and gives it back when the
//! client knows what came of it. Where nobody knows, the process is never used again, as Jepsen's
//! are not.

use std::collections::BTreeMap;

use history::ClientId;

/// Who does what, by number.
#[derive(Debug, Default)]
pub(super) struct Processes {
    /// Idle ones of each client; the last one is used next, so that calls that follow each other
    /// are one process's.
    idle: BTreeMap<ClientId, Vec<u64>>,
    next: u64,
}

impl Processes {
    /// A process of the client's that does nothing else.
    pub(super) fn take(&mut self, client: ClientId) -> u64 {
        let idle = self.idle.get_mut(&client).and_then(Vec::pop);
        idle.unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// The process may be used again.
    pub(super) fn give_back(&mut self, client: ClientId, process: u64) {
        self.idle.entry(client).or_default().push(process);
    }

    /// None of the client's idle processes is used again.
    pub(super) fn forget(&mut self, client: ClientId) {
        self.idle.remove(&client);
    }

    /// How many there were.
    pub(super) fn count(&self) -> u64 {
        self.next
    }
}
