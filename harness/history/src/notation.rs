//! Histories as text, for tests and for people: [`parse`] and [`print`] are each other's inverse.
//!
//! One line an event, or an operation with its answer; `#` begins a comment line. Nothing is judged
//! here: a nonsensical history is written down as faithfully as a sound one.
//!
//! ```text
//! c1 send ledger/0 v1 -> @0 by n0          accepted at offset 0; `by` the broker that answered
//! c1 send ledger/0 v2 -> @?                accepted, offset not told
//! c1 send ledger/0 v3 -> ? timed out       unknown, and why
//! c1 send ledger/0 v4 -> ! queue full      failed, and why
//! c1 send ledger/0 v5 ...                  asked; the answer is another line, or never came
//! o5 sent -> @3 by n0                      that answer
//! c2 assign ledger/0@0, ledger/1@5         assigned; also `-> ? why`, `-> ! why`, `...`
//! c2 poll -> ledger/0 @0=v0 @1=corrupt @2=foreign e1 by n0, ledger/1 @7=v9
//! c2 poll -> nothing                       also `-> ? why`, `-> ! why`, `...`
//! c2 subscribe ledger, metrics            also `seek ledger/0@5`, `commit ledger/0@5`; done if it says no more
//! c1 begin                                a transaction; `end commit`, `end abort`
//! c2 rebalance assigned ledger/0, ledger/1    also revoked, lost
//! o7 polled -> nothing                     and `o8 assigned -> ok`, `o9 done -> ok`
//! f1 kill broker n0 : injecting (leader of ledger/0 is n0)
//! f2 cut n0 -> n1 port zk-peer, n1 -> n0 : injecting asked "cut n0 off" (why n0)
//! f1 injected (no such process)            ineffective, healing, healed, stuck; `f1 kill broker n0 :
//!                                          injected` says the same and is checked
//! n1 leo ledger/0 @5 e1                    log end; the epoch may be absent
//! n1 marks ledger/0 hw @5 lso @4 start @1  lso is the HW and start is @0 if absent
//! n1 leader-hw ledger/0 e1 @5
//! n1 believes ledger/0 leader n1 e1 isr {n1,n2}
//! n1 zk ledger/0 leader none e1 isr {} version 3
//! n0 controller n1
//! n0 silent (connection refused)
//! n0 broker started 123                    killed, stopped, died, paused, resumed; or `zookeeper`
//! phase storm
//! harm ledger/0 n0 lost from @5 by f1      also `n0 wiped`, `n0 damaged from @5`, `deleted before @5`
//! set ledger min.insync.replicas=1         or `set brokers key=value`; `set ledger key` takes it back
//! step 3 kill leader of ledger/0 : fired   done, missed (why)
//! clock n0 1700000000000000000             the host's nanoseconds since 1970
//! image n0 before f1 running 123 changed images/n0-f1.tar.zst    or: final; gone, paused; unchanged
//! ```
//!
//! **Times.** `at 1.5s`, or `at 1s..1.25s` where there are two (asked and answered), ends any line.
//! Without it, each moment lies one millisecond after the one before it in the text.
//! **Operations.** `o5` begins any line that invokes one. Without it, operations count on from
//! the highest so far; the first is `o1`.
//! **Texts** (whys, evidence) stand bare, or in double quotes with `\"`, `\\` and `\n`.

mod parse;
mod print;
mod words;

use crate::clock::Mark;
use crate::event::Event;
use crate::ids::OpId;

pub use parse::parse;

/// A line that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: at `{found}`: {wanted}")]
pub struct NotationError {
    /// The line, from 1.
    pub line: usize,
    /// What stands there, from where it stopped making sense.
    pub found: String,
    /// What should stand there.
    pub wanted: String,
}

/// Prints a history, one event or operation a line; [`parse`] gives the same events again.
pub fn print(events: &[Event]) -> String {
    print::print(events)
}

/// What parser and printer both assume where a line does not say.
#[derive(Default)]
struct Defaults {
    last: Mark,
    op: u64,
}

impl Defaults {
    const APART: u64 = 1_000_000;

    /// The moment of the next event that does not tell its own.
    fn next(&self) -> Mark {
        Mark(self.last.0.saturating_add(Self::APART))
    }

    /// The two moments of the next event that has two and tells none.
    fn next_two(&self) -> (Mark, Mark) {
        let first = self.next();
        (first, Mark(first.0.saturating_add(Self::APART)))
    }

    /// The next operation that does not tell its number.
    fn next_op(&self) -> OpId {
        OpId(self.op.saturating_add(1))
    }

    fn saw_op(&mut self, op: OpId) {
        self.op = self.op.max(op.0);
    }
}

#[cfg(test)]
mod tests;
