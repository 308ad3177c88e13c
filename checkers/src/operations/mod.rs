//! Sends and polls of a history, as columns: what is millionfold is kept in a few bytes each, and
//! comes back exactly.
//!
//! The store takes events one by one and never sees a history whole. It decides nothing: what an
//! operation means is told by `facts`.

mod column;
mod names;
mod reads;
mod sends;
mod values;

use history::frames::{Given, Line};
use history::{
    Call, ClientId, Event, Mark, OpId, Outcome, Partition, Phase, Reply, SendAck, ValueId,
};
use rustc_hash::FxHashMap;

pub use column::Column;
pub use names::Names;
pub use reads::{ReadCursor, ReadFact, Reads};
pub use sends::{Counts, Fate, SendCursor, SendFact, Sends};
pub use values::Values;

/// All sends and polls of a history.
#[derive(Debug, Clone, Default)]
pub struct Operations {
    /// In order of invocation.
    pub sends: Sends,
    /// In recorded order.
    pub reads: Reads,
    /// From a value to its (first) send.
    pub by_value: Values,
    /// Values that were sent more than once: a broken premise.
    pub twice: Vec<ValueId>,
    /// Completions without an invocation, or of another kind: a broken premise.
    pub orphans: u64,
    /// Completions that lie before their invocation: a broken premise.
    pub backwards: u64,
    /// Polls that were answered.
    pub polls: u64,
    /// Events that were kept here.
    pub events: u64,
    /// The last moment that any of them names.
    pub last: Mark,
    /// The partitions that sends and deliveries name.
    pub names: Names,
    open: FxHashMap<OpId, Open>,
    drain: bool,
}

/// What was asked and not yet answered.
#[derive(Debug, Clone, Copy)]
enum Open {
    Send(u32),
    Poll(ClientId, Mark),
    Assign,
    Request,
}

impl Operations {
    /// Takes the sends and polls out of a history; the rest comes back, in its order.
    pub fn of(events: impl IntoIterator<Item = Event>) -> (Self, Vec<Event>) {
        let mut operations = Self::default();
        let events = events.into_iter();
        let rest = events.filter_map(|event| operations.take(event)).collect();
        (operations, rest)
    }

    /// Takes the next event; one that belongs to no send and no poll comes back.
    pub fn take(&mut self, event: Event) -> Option<Event> {
        let at = match &event {
            Event::Invoked {
                op,
                client,
                at,
                call,
            } => self.invoked(*op, *client, *at, call).then_some(*at),
            Event::Returned { op, at, reply } => self.returned(*op, *at, reply).then_some(*at),
            Event::Phase { phase, .. } => {
                self.drain = *phase == Phase::Drain;
                None
            }
            Event::Fault(_)
            | Event::Observed(_)
            | Event::Process(_)
            | Event::Step(_)
            | Event::Clock(_)
            | Event::Image(_)
            | Event::Rebalance(_)
            | Event::Harm(_)
            | Event::Altered(_) => None,
        };
        let Some(at) = at else {
            return Some(event);
        };
        self.kept(at);
        None
    }

    /// Takes the next line of a frame; an event that belongs to no send and no poll comes back.
    pub fn take_line(&mut self, line: Line<'_>) -> Option<Event> {
        let at = match line {
            Line::Other(event) => return self.take(event),
            Line::Send {
                op,
                client,
                at,
                partition,
                value,
            } => {
                self.send(op, client, at, partition, value);
                at
            }
            Line::Poll { op, client, at } => {
                self.open.insert(op, Open::Poll(client, at));
                at
            }
            Line::Ack { op, at, ack } => {
                match self.open.remove(&op) {
                    Some(Open::Send(row)) => self.sent(row, at, &Outcome::Ok(ack)),
                    _ => self.orphans += 1,
                }
                at
            }
            Line::Polled { op, at, given } => {
                match self.open.remove(&op) {
                    Some(Open::Poll(client, from)) => self.polled(op, client, from, at, given),
                    _ => self.orphans += 1,
                }
                at
            }
        };
        self.kept(at);
        None
    }

    fn kept(&mut self, at: Mark) {
        self.events += 1;
        self.last = self.last.max(at);
    }

    fn send(&mut self, op: OpId, client: ClientId, at: Mark, to: &Partition, value: ValueId) {
        let part = self.names.number(to);
        let row = self.sends.invoked(op, client, part, value, at);
        if self.by_value.insert(value, row).is_some() {
            self.twice.push(value);
        }
        self.open.insert(op, Open::Send(row));
    }

    /// Notes a call; whether it is a send or a poll.
    fn invoked(&mut self, op: OpId, client: ClientId, at: Mark, call: &Call) -> bool {
        let (open, ours) = match call {
            Call::Send { partition, value } => {
                self.send(op, client, at, partition, *value);
                return true;
            }
            Call::Poll => (Open::Poll(client, at), true),
            Call::Assign { .. } => (Open::Assign, false),
            Call::Subscribe { .. }
            | Call::Seek { .. }
            | Call::Commit { .. }
            | Call::Begin
            | Call::End { .. } => (Open::Request, false),
        };
        self.open.insert(op, open);
        ours
    }

    /// Notes an answer; whether it is a send's or a poll's.
    fn returned(&mut self, op: OpId, at: Mark, reply: &Reply) -> bool {
        let open = self.open.remove(&op);
        match (reply, open) {
            (Reply::Sent(outcome), Some(Open::Send(row))) => self.sent(row, at, outcome),
            (Reply::Polled(outcome), Some(Open::Poll(client, invoked))) => {
                let given = outcome.ok().into_iter().flatten();
                self.polled(op, client, invoked, at, given.map(Given::from));
            }
            (Reply::Assigned(_), Some(Open::Assign)) | (Reply::Done(_), Some(Open::Request)) => {}
            (Reply::Sent(_) | Reply::Polled(_) | Reply::Assigned(_) | Reply::Done(_), _) => {
                self.orphans += 1;
            }
        }
        matches!(reply, Reply::Sent(_) | Reply::Polled(_))
    }

    fn sent(&mut self, row: u32, at: Mark, outcome: &Outcome<SendAck>) {
        let fate = match outcome {
            Outcome::Ok(ack) => Fate::Acked {
                offset: ack.offset,
                broker: ack.broker,
            },
            Outcome::Failed(_) => Fate::Failed,
            Outcome::Unknown(_) => Fate::Unknown,
        };
        let invoked = self.sends.returned(row, at, fate);
        self.backwards += u64::from(at < invoked);
    }

    fn polled<'a>(
        &mut self,
        op: OpId,
        client: ClientId,
        from: Mark,
        to: Mark,
        given: impl Iterator<Item = Given<'a>>,
    ) {
        self.polls += 1;
        self.backwards += u64::from(to < from);
        let mut given = given.peekable();
        if given.peek().is_none() {
            return;
        }
        self.reads.polled(op, client, from, to, self.drain);
        for delivery in given {
            let part = self.names.number(delivery.partition);
            self.reads.given(part, delivery);
        }
    }

    /// Bytes of the heap that all of it occupies.
    pub fn heap_bytes(&self) -> u64 {
        let open = self.open.capacity() * (size_of::<(OpId, Open)>() + 1);
        self.sends.heap_bytes()
            + self.reads.heap_bytes()
            + self.by_value.heap_bytes()
            + (self.twice.capacity() * size_of::<ValueId>() + open) as u64
    }
}

#[cfg(test)]
mod tests;
