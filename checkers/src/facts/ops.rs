//! Operations: every send with its outcome, every delivered record.

use history::{
    Call, ClientId, Delivery, Epoch, Event, Mark, NodeId, Offset, OpId, Outcome, Partition,
    Payload, Phase, Reply, ValueId,
};
use rustc_hash::FxHashMap;

use super::PartId;
use super::values::Values;
use crate::recording::Recording;

/// A send, from invocation to outcome.
#[derive(Debug, Clone, Copy)]
pub struct SendFact {
    /// The operation.
    pub op: OpId,
    /// The producer handle.
    pub client: ClientId,
    /// Where to.
    pub part: PartId,
    /// What.
    pub value: ValueId,
    /// Before the call.
    pub invoked: Mark,
    /// After the answer.
    pub returned: Option<Mark>,
    /// What the client may conclude.
    pub fate: Fate,
}

/// What a producer may conclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Accepted.
    Acked {
        /// At this offset, where it was told.
        offset: Option<Offset>,
        /// By this broker, where the library tells.
        broker: Option<NodeId>,
    },
    /// Certainly refused.
    Failed,
    /// Either.
    Unknown,
}

impl SendFact {
    /// Whether it was acknowledged.
    pub fn acked(&self) -> bool {
        matches!(self.fate, Fate::Acked { .. })
    }

    /// The acknowledged offset.
    pub fn acked_at(&self) -> Option<Offset> {
        match self.fate {
            Fate::Acked { offset, .. } => offset,
            Fate::Failed | Fate::Unknown => None,
        }
    }
}

/// A delivered record.
#[derive(Debug, Clone, Copy)]
pub struct ReadFact {
    /// The poll.
    pub op: OpId,
    /// The consumer handle.
    pub client: ClientId,
    /// Where from.
    pub part: PartId,
    /// At which offset.
    pub offset: Offset,
    /// What.
    pub payload: Payload,
    /// The epoch of its batch, where the library tells.
    pub epoch: Option<Epoch>,
    /// The broker that served it, where the library tells.
    pub broker: Option<NodeId>,
    /// Before the poll.
    pub invoked: Mark,
    /// After it.
    pub returned: Mark,
    /// In the drain, by a fresh consumer.
    pub drain: bool,
}

/// All operations.
#[derive(Debug, Default)]
pub struct Ops {
    /// In order of invocation.
    sends: Vec<SendFact>,
    /// In recorded order.
    reads: Vec<ReadFact>,
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
}

enum Open {
    Send(u32),
    Poll(ClientId, Mark),
    Assign,
    Request,
}

impl Ops {
    /// A send, by its number in order of invocation.
    pub fn send(&self, send: u32) -> SendFact {
        self.sends[send as usize]
    }

    /// Sends in order of invocation.
    pub fn sends(&self) -> impl DoubleEndedIterator<Item = SendFact> + ExactSizeIterator + '_ {
        self.sends.iter().copied()
    }

    /// How many sends.
    pub fn sent(&self) -> u64 {
        self.sends.len() as u64
    }

    /// A delivery, by its number in recorded order.
    pub fn read(&self, read: u32) -> ReadFact {
        self.reads[read as usize]
    }

    /// Deliveries in recorded order.
    pub fn reads(&self) -> impl DoubleEndedIterator<Item = ReadFact> + ExactSizeIterator + '_ {
        self.reads.iter().copied()
    }

    /// How many deliveries.
    pub fn delivered(&self) -> u64 {
        self.reads.len() as u64
    }

    /// Collects the operations of a recording.
    pub fn of(recording: &Recording, ids: &FxHashMap<Partition, PartId>) -> Self {
        let mut ops = Ops {
            by_value: Values::with_capacity(recording.events.len() / 2),
            ..Ops::default()
        };
        let mut open: FxHashMap<OpId, Open> = FxHashMap::default();
        let mut drain = false;
        for event in &recording.events {
            match event {
                Event::Phase { phase, .. } => drain = *phase == Phase::Drain,
                Event::Invoked {
                    op,
                    client,
                    at,
                    call,
                } => {
                    let known = ops.invoked(*op, *client, *at, call, ids);
                    open.insert(*op, known);
                }
                Event::Returned { op, at, reply } => {
                    let known = open.remove(op);
                    ops.returned(*op, *at, reply, known, drain, ids);
                }
                Event::Fault(_)
                | Event::Observed(_)
                | Event::Process(_)
                | Event::Step(_)
                | Event::Clock(_)
                | Event::Image(_)
                | Event::Rebalance(_)
                | Event::Harm(_)
                | Event::Altered(_) => {}
            }
        }
        ops
    }

    fn invoked(
        &mut self,
        op: OpId,
        client: ClientId,
        at: Mark,
        call: &Call,
        ids: &FxHashMap<Partition, PartId>,
    ) -> Open {
        match call {
            Call::Send { partition, value } => {
                let index = self.sends.len() as u32;
                if self.by_value.insert(*value, index).is_some() {
                    self.twice.push(*value);
                }
                self.sends.push(SendFact {
                    op,
                    client,
                    part: ids[partition],
                    value: *value,
                    invoked: at,
                    returned: None,
                    fate: Fate::Unknown,
                });
                Open::Send(index)
            }
            Call::Poll => Open::Poll(client, at),
            Call::Assign { .. } => Open::Assign,
            Call::Subscribe { .. }
            | Call::Seek { .. }
            | Call::Commit { .. }
            | Call::Begin
            | Call::End { .. } => Open::Request,
        }
    }

    fn returned(
        &mut self,
        op: OpId,
        at: Mark,
        reply: &Reply,
        open: Option<Open>,
        drain: bool,
        ids: &FxHashMap<Partition, PartId>,
    ) {
        match (reply, open) {
            (Reply::Sent(outcome), Some(Open::Send(index))) => {
                let send = &mut self.sends[index as usize];
                self.backwards += u64::from(at < send.invoked);
                send.returned = Some(at);
                send.fate = match outcome {
                    Outcome::Ok(ack) => Fate::Acked {
                        offset: ack.offset,
                        broker: ack.broker,
                    },
                    Outcome::Failed(_) => Fate::Failed,
                    Outcome::Unknown(_) => Fate::Unknown,
                };
            }
            (Reply::Polled(outcome), Some(Open::Poll(client, invoked))) => {
                self.polls += 1;
                self.backwards += u64::from(at < invoked);
                for delivery in outcome.ok().into_iter().flatten() {
                    if let Some(&part) = ids.get(&delivery.partition) {
                        self.reads
                            .push(read(op, client, part, invoked, at, drain, delivery));
                    }
                }
            }
            (Reply::Assigned(_), Some(Open::Assign)) | (Reply::Done(_), Some(Open::Request)) => {}
            (Reply::Sent(_) | Reply::Polled(_) | Reply::Assigned(_) | Reply::Done(_), _) => {
                self.orphans += 1;
            }
        }
    }
}

fn read(
    op: OpId,
    client: ClientId,
    part: PartId,
    invoked: Mark,
    returned: Mark,
    drain: bool,
    delivery: &Delivery,
) -> ReadFact {
    ReadFact {
        op,
        client,
        part,
        offset: delivery.offset,
        payload: delivery.payload,
        epoch: delivery.epoch,
        broker: delivery.broker,
        invoked,
        returned,
        drain,
    }
}
