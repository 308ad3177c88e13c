//! Events into columns. Decides nothing about when a block ends.

use rustc_hash::FxHashMap;

use super::{ACK, COLUMNS, Column, Memory, OTHER, POLL, POLLED, SEND};
use crate::clock::Mark;
use crate::event::{Call, Delivery, Event, Payload, Reply, SendAck};
use crate::ids::{ClientId, OpId, Partition, ValueId};
use crate::outcome::Outcome;
use crate::varint;

/// Collects events into columns.
#[derive(Default)]
pub(crate) struct BlockWriter {
    columns: [Vec<u8>; COLUMNS],
    memory: Memory,
    partitions: FxHashMap<Partition, usize>,
    last_partition: Option<(Partition, usize)>,
    last_run: usize,
    events: u32,
}

impl BlockWriter {
    /// Events collected since the last [`BlockWriter::finish`].
    pub(crate) fn events(&self) -> u32 {
        self.events
    }

    /// About how many bytes the block's largest columns hold.
    pub(crate) fn bytes(&self) -> usize {
        self.columns[Column::Others as usize].len()
            + 8 * self.columns[Column::ReadFlags as usize].len()
    }

    /// Takes one event.
    pub(crate) fn push(&mut self, event: &Event) {
        self.events += 1;
        let kind = match event {
            Event::Invoked {
                op,
                client,
                at,
                call: Call::Send { partition, value },
            } => {
                self.invoked(*op, *client);
                self.send(*op, *at, partition, *value);
                SEND
            }
            Event::Invoked {
                op,
                client,
                at,
                call: Call::Poll,
            } => {
                self.invoked(*op, *client);
                delta(
                    &mut self.columns,
                    Column::PollAt,
                    &mut self.memory.poll_at,
                    at.0,
                );
                POLL
            }
            Event::Returned {
                op,
                at,
                reply: Reply::Sent(Outcome::Ok(ack)),
            } => {
                self.ack(*op, *at, ack);
                ACK
            }
            Event::Returned {
                op,
                at,
                reply: Reply::Polled(Outcome::Ok(deliveries)),
            } => {
                self.polled(*op, *at, deliveries);
                POLLED
            }
            other => {
                let column = &mut self.columns[Column::Others as usize];
                let bytes = postcard::to_extend(other, std::mem::take(column));
                // Serialising our own plain data into memory has no way to fail.
                *column = bytes.expect("events serialise");
                OTHER
            }
        };
        self.columns[Column::Kinds as usize].push(kind);
    }

    fn invoked(&mut self, op: OpId, client: ClientId) {
        delta(
            &mut self.columns,
            Column::InvokedOp,
            &mut self.memory.invoked_op,
            op.0,
        );
        varint::put(
            &mut self.columns[Column::InvokedClient as usize],
            client.0.into(),
        );
    }

    fn send(&mut self, op: OpId, at: Mark, partition: &Partition, value: ValueId) {
        delta(
            &mut self.columns,
            Column::SendAt,
            &mut self.memory.send_at,
            at.0,
        );
        let partition = self.partition(partition);
        varint::put(
            &mut self.columns[Column::SendPartition as usize],
            partition as u64,
        );
        delta(
            &mut self.columns,
            Column::SendValue,
            &mut self.memory.value_less_op,
            value.0.wrapping_sub(op.0),
        );
    }

    fn ack(&mut self, op: OpId, at: Mark, ack: &SendAck) {
        delta(
            &mut self.columns,
            Column::AckAt,
            &mut self.memory.ack_at,
            at.0,
        );
        let expected = self.memory.expecting(self.last_run, ack);
        let slot = expected.unwrap_or_else(|| self.memory.place(ack));
        let tag = (slot as u64) << 1 | u64::from(expected.is_none());
        varint::put(&mut self.columns[Column::AckRun as usize], tag);
        let Some(run) = self.memory.run(slot) else {
            unreachable!("a run is found or made");
        };
        varint::put_delta(&mut self.columns[Column::AckOp as usize], run.op, op.0);
        run.op = op.0;
        if expected.is_none() {
            let odd = &mut self.columns[Column::AckOdd as usize];
            varint::put(
                odd,
                u64::from(ack.offset.is_some()) | u64::from(ack.broker.is_some()) << 1,
            );
            if let Some(offset) = ack.offset {
                varint::put_delta(odd, run.offset as u64, offset.0 as u64);
                run.offset = offset.0;
            }
            if let Some(broker) = ack.broker {
                varint::put(odd, broker.0.into());
            }
            run.broker = ack.broker;
        } else {
            run.offset = run.offset.wrapping_add(1);
        }
        self.last_run = slot;
    }

    fn polled(&mut self, op: OpId, at: Mark, deliveries: &[Delivery]) {
        delta(
            &mut self.columns,
            Column::PolledOp,
            &mut self.memory.polled_op,
            op.0,
        );
        delta(
            &mut self.columns,
            Column::PolledAt,
            &mut self.memory.polled_at,
            at.0,
        );
        varint::put(
            &mut self.columns[Column::PolledCount as usize],
            deliveries.len() as u64,
        );
        for delivery in deliveries {
            let partition = self.partition(&delivery.partition);
            let last = self.memory.reading(partition);
            varint::put(
                &mut self.columns[Column::ReadPartition as usize],
                partition as u64,
            );
            let payload = match delivery.payload {
                Payload::Value(_) => 0,
                Payload::Corrupt => 1,
                Payload::Foreign => 2,
            };
            self.columns[Column::ReadFlags as usize].push(
                payload
                    | u8::from(delivery.epoch.is_some()) << 2
                    | u8::from(delivery.broker.is_some()) << 3,
            );
            let offset = delivery.offset.0 as u64;
            varint::put_delta(
                &mut self.columns[Column::ReadOffset as usize],
                last.offset.wrapping_add(1),
                offset,
            );
            last.offset = offset;
            if let Payload::Value(value) = delivery.payload {
                varint::put_delta(
                    &mut self.columns[Column::ReadValue as usize],
                    last.value,
                    value.0,
                );
                last.value = value.0;
            }
            let extra = &mut self.columns[Column::ReadExtra as usize];
            if let Some(epoch) = delivery.epoch {
                varint::put_delta(extra, last.epoch as u64, epoch.0 as u64);
                last.epoch = epoch.0;
            }
            if let Some(broker) = delivery.broker {
                varint::put(extra, broker.0.into());
            }
        }
    }

    fn partition(&mut self, partition: &Partition) -> usize {
        if let Some((last, number)) = &self.last_partition
            && last == partition
        {
            return *number;
        }
        let next = self.partitions.len();
        let number = match self.partitions.get(partition) {
            Some(number) => *number,
            None => {
                let column = &mut self.columns[Column::Partitions as usize];
                varint::put(column, partition.topic.len() as u64);
                column.extend_from_slice(partition.topic.as_bytes());
                varint::put(column, u64::from(partition.index as u32));
                self.partitions.insert(partition.clone(), next);
                next
            }
        };
        self.last_partition = Some((partition.clone(), number));
        number
    }

    /// The block's bytes, written over `into`; the writer is empty afterwards.
    pub(crate) fn finish(&mut self, into: &mut Vec<u8>) {
        into.clear();
        for column in &mut self.columns {
            varint::put(into, column.len() as u64);
            into.extend_from_slice(column);
            column.clear();
        }
        self.memory = Memory::default();
        self.partitions.clear();
        self.last_partition = None;
        self.last_run = 0;
        self.events = 0;
    }
}

fn delta(columns: &mut [Vec<u8>; COLUMNS], column: Column, last: &mut u64, now: u64) {
    varint::put_delta(&mut columns[column as usize], *last, now);
    *last = now;
}
