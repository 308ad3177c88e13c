//! What stands in a block, before it becomes events: nothing is owned that millions of lines have
//! in common.

use crate::clock::Mark;
use crate::event::{Call, Delivery, Event, Payload, Reply, SendAck};
use crate::ids::{ClientId, Epoch, NodeId, Offset, OpId, Partition, ValueId};
use crate::outcome::Outcome;

/// An event as it stands in a block.
#[derive(Debug)]
pub enum Line<'a> {
    /// A send was invoked.
    Send {
        /// The operation.
        op: OpId,
        /// Who calls.
        client: ClientId,
        /// Taken before the call.
        at: Mark,
        /// Where to.
        partition: &'a Partition,
        /// Its payload.
        value: ValueId,
    },
    /// A send succeeded.
    Ack {
        /// The operation.
        op: OpId,
        /// Taken after the answer.
        at: Mark,
        /// What the producer was told.
        ack: SendAck,
    },
    /// A poll was invoked.
    Poll {
        /// The operation.
        op: OpId,
        /// Who calls.
        client: ClientId,
        /// Taken before the call.
        at: Mark,
    },
    /// A poll succeeded.
    Polled {
        /// The operation.
        op: OpId,
        /// Taken after the answer.
        at: Mark,
        /// What it gave.
        given: GivenAll<'a>,
    },
    /// Any other event.
    Other(Event),
}

/// A delivery that owns nothing.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Where from.
    pub partition: &'a Partition,
    /// At which offset.
    pub offset: Offset,
    /// What it holds.
    pub payload: Payload,
    /// The leader epoch of its batch, where the client library tells.
    pub epoch: Option<Epoch>,
    /// The broker that served it, where the client library tells.
    pub broker: Option<NodeId>,
}

impl<'a> From<&'a Delivery> for Given<'a> {
    fn from(delivery: &'a Delivery) -> Self {
        Self {
            partition: &delivery.partition,
            offset: delivery.offset,
            payload: delivery.payload,
            epoch: delivery.epoch,
            broker: delivery.broker,
        }
    }
}

/// The deliveries of one poll, in their order.
#[derive(Debug, Clone)]
pub struct GivenAll<'a> {
    partitions: &'a [Partition],
    stored: std::slice::Iter<'a, Stored>,
}

impl<'a> Iterator for GivenAll<'a> {
    type Item = Given<'a>;

    fn next(&mut self) -> Option<Given<'a>> {
        let stored = self.stored.next()?;
        Some(Given {
            partition: self.partitions.get(stored.partition as usize)?,
            offset: stored.offset,
            payload: stored.payload,
            epoch: stored.epoch,
            broker: stored.broker,
        })
    }
}

impl From<Line<'_>> for Event {
    fn from(line: Line<'_>) -> Self {
        match line {
            Line::Send {
                op,
                client,
                at,
                partition,
                value,
            } => Event::Invoked {
                op,
                client,
                at,
                call: Call::Send {
                    partition: partition.clone(),
                    value,
                },
            },
            Line::Ack { op, at, ack } => Event::Returned {
                op,
                at,
                reply: Reply::Sent(Outcome::Ok(ack)),
            },
            Line::Poll { op, client, at } => Event::Invoked {
                op,
                client,
                at,
                call: Call::Poll,
            },
            Line::Polled { op, at, given } => {
                let deliveries = given.map(|given| Delivery {
                    partition: given.partition.clone(),
                    offset: given.offset,
                    payload: given.payload,
                    epoch: given.epoch,
                    broker: given.broker,
                });
                Event::Returned {
                    op,
                    at,
                    reply: Reply::Polled(Outcome::Ok(deliveries.collect())),
                }
            }
            Line::Other(event) => event,
        }
    }
}

/// A block that was read; its room is used again for the next one.
#[derive(Default)]
pub(crate) struct Block {
    pub(super) rows: Vec<Row>,
    pub(super) given: Vec<Stored>,
    pub(super) others: Vec<Event>,
    pub(super) partitions: Vec<Partition>,
}

/// A line by the places of what it names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Row {
    Send {
        op: OpId,
        client: ClientId,
        at: Mark,
        partition: u32,
        value: ValueId,
    },
    Ack {
        op: OpId,
        at: Mark,
        ack: SendAck,
    },
    Poll {
        op: OpId,
        client: ClientId,
        at: Mark,
    },
    Polled {
        op: OpId,
        at: Mark,
        given: (u32, u32),
    },
    Other,
}

/// A delivery by the place of its partition.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    pub(super) partition: u32,
    pub(super) offset: Offset,
    pub(super) payload: Payload,
    pub(super) epoch: Option<Epoch>,
    pub(super) broker: Option<NodeId>,
}

impl Block {
    /// How many lines.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Empties it, and keeps its room.
    pub(crate) fn clear(&mut self) {
        self.rows.clear();
        self.given.clear();
        self.others.clear();
        self.partitions.clear();
    }

    /// Hands every line out, in order.
    pub(crate) fn lines(&mut self, mut take: impl FnMut(Line<'_>)) {
        let mut others = self.others.drain(..);
        for row in &self.rows {
            let line = match *row {
                Row::Send {
                    op,
                    client,
                    at,
                    partition,
                    value,
                } => self
                    .partitions
                    .get(partition as usize)
                    .map(|partition| Line::Send {
                        op,
                        client,
                        at,
                        partition,
                        value,
                    }),
                Row::Ack { op, at, ack } => Some(Line::Ack { op, at, ack }),
                Row::Poll { op, client, at } => Some(Line::Poll { op, client, at }),
                Row::Polled {
                    op,
                    at,
                    given: (from, to),
                } => self
                    .given
                    .get(from as usize..to as usize)
                    .map(|given| Line::Polled {
                        op,
                        at,
                        given: GivenAll {
                            partitions: &self.partitions,
                            stored: given.iter(),
                        },
                    }),
                Row::Other => others.next().map(Line::Other),
            };
            // The reader of blocks refused whatever does not exist.
            line.into_iter().for_each(&mut take);
        }
    }
}
