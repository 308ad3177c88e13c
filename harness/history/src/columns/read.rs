//! Columns back into events. Any bytes may come; they are refused or read, never believed.

use super::lines::{Block, Row, Stored};
use super::{ACK, COLUMNS, Column, Memory, OTHER, POLL, POLLED, SEND, Topics};
use crate::clock::Mark;
use crate::event::{Payload, SendAck};
use crate::ids::{ClientId, Epoch, NodeId, Offset, OpId, Partition, ValueId};
use crate::varint::Varints;

/// Reads a block of so many events over what stands in `into`; none when its bytes cannot be one,
/// and then what is there means nothing. Memory follows the bytes there are, never a length that
/// they claim.
pub(crate) fn read_block(
    bytes: &[u8],
    count: usize,
    topics: &mut Topics,
    into: &mut Block,
) -> Option<()> {
    into.clear();
    let mut rest = Varints(bytes);
    let mut columns = [Varints(&[]); COLUMNS];
    for column in &mut columns {
        let len = rest.take()?;
        *column = Varints(rest.bytes(len)?);
    }
    while !columns[Column::Partitions as usize].0.is_empty() {
        let column = &mut columns[Column::Partitions as usize];
        let len = column.take()?;
        let topic = std::str::from_utf8(column.bytes(len)?).ok()?;
        into.partitions.push(Partition {
            topic: topics.named(topic),
            index: column.take()? as u32 as i32,
        });
    }
    let kinds = columns[Column::Kinds as usize].0;
    if kinds.len() != count {
        return None;
    }
    let mut block = BlockReader {
        columns,
        memory: Memory::default(),
        into,
    };
    block.into.rows.reserve(kinds.len());
    for kind in kinds {
        let row = block.row(*kind, topics)?;
        block.into.rows.push(row);
    }
    // The kinds were walked; every other column must be used up by them.
    let used_up = block.columns[1..].iter().all(|column| column.0.is_empty());
    (used_up && rest.0.is_empty()).then_some(())
}

struct BlockReader<'a, 'b> {
    columns: [Varints<'a>; COLUMNS],
    memory: Memory,
    into: &'b mut Block,
}

impl BlockReader<'_, '_> {
    fn row(&mut self, kind: u8, topics: &mut Topics) -> Option<Row> {
        Some(match kind {
            OTHER => {
                let column = &mut self.columns[Column::Others as usize];
                let (mut event, rest) = postcard::take_from_bytes(column.0).ok()?;
                column.0 = rest;
                topics.share(&mut event);
                self.into.others.push(event);
                Row::Other
            }
            SEND => {
                let (op, client) = self.invoked()?;
                let at = undelta(&mut self.columns, Column::SendAt, &mut self.memory.send_at)?;
                let partition = self.take(Column::SendPartition)?;
                let partition = self.partition(partition)?;
                let less = &mut self.memory.value_less_op;
                let value = undelta(&mut self.columns, Column::SendValue, less)?;
                Row::Send {
                    op,
                    client,
                    at: Mark(at),
                    partition,
                    value: ValueId(value.wrapping_add(op.0)),
                }
            }
            POLL => {
                let (op, client) = self.invoked()?;
                let at = &mut self.memory.poll_at;
                Row::Poll {
                    op,
                    client,
                    at: Mark(undelta(&mut self.columns, Column::PollAt, at)?),
                }
            }
            ACK => self.ack()?,
            POLLED => self.polled()?,
            _ => return None,
        })
    }

    /// The place of a partition that the block names.
    fn partition(&self, number: u64) -> Option<u32> {
        let known = usize::try_from(number).ok()? < self.into.partitions.len();
        known.then(|| u32::try_from(number).ok()).flatten()
    }

    fn take(&mut self, column: Column) -> Option<u64> {
        self.columns[column as usize].take()
    }

    fn invoked(&mut self) -> Option<(OpId, ClientId)> {
        let op = &mut self.memory.invoked_op;
        let op = undelta(&mut self.columns, Column::InvokedOp, op)?;
        let client = u16::try_from(self.take(Column::InvokedClient)?).ok()?;
        Some((OpId(op), ClientId(client)))
    }

    fn ack(&mut self) -> Option<Row> {
        let at = &mut self.memory.ack_at;
        let at = undelta(&mut self.columns, Column::AckAt, at)?;
        let tag = self.take(Column::AckRun)?;
        let run = self.memory.run(usize::try_from(tag >> 1).ok()?)?;
        let op = self.columns[Column::AckOp as usize].take_delta(run.op)?;
        run.op = op;
        let mut offset = None;
        if tag & 1 == 1 {
            let odd = &mut self.columns[Column::AckOdd as usize];
            let there = odd.take()?;
            if there & 1 != 0 {
                run.offset = odd.take_delta(run.offset as u64)? as i64;
                offset = Some(Offset(run.offset));
            }
            run.broker = None;
            if there & 2 != 0 {
                run.broker = Some(NodeId(u8::try_from(odd.take()?).ok()?));
            }
        } else {
            run.offset = run.offset.wrapping_add(1);
            offset = Some(Offset(run.offset));
        }
        let broker = run.broker;
        Some(Row::Ack {
            op: OpId(op),
            at: Mark(at),
            ack: SendAck { offset, broker },
        })
    }

    fn polled(&mut self) -> Option<Row> {
        let op = &mut self.memory.polled_op;
        let op = undelta(&mut self.columns, Column::PolledOp, op)?;
        let at = &mut self.memory.polled_at;
        let at = undelta(&mut self.columns, Column::PolledAt, at)?;
        let count = usize::try_from(self.take(Column::PolledCount)?).ok()?;
        // Each delivery has one byte of flags: no more than those are believed.
        if count > self.columns[Column::ReadFlags as usize].0.len() {
            return None;
        }
        let from = u32::try_from(self.into.given.len()).ok()?;
        for _ in 0..count {
            let delivery = self.delivery()?;
            self.into.given.push(delivery);
        }
        let to = u32::try_from(self.into.given.len()).ok()?;
        Some(Row::Polled {
            op: OpId(op),
            at: Mark(at),
            given: (from, to),
        })
    }

    fn delivery(&mut self) -> Option<Stored> {
        let number = self.take(Column::ReadPartition)?;
        let partition = self.partition(number)?;
        let flags = *self.columns[Column::ReadFlags as usize].bytes(1)?.first()?;
        let last = self.memory.reading(partition as usize);
        let expected = last.offset.wrapping_add(1);
        last.offset = self.columns[Column::ReadOffset as usize].take_delta(expected)?;
        let payload = match flags & 3 {
            0 => {
                last.value = self.columns[Column::ReadValue as usize].take_delta(last.value)?;
                Payload::Value(ValueId(last.value))
            }
            1 => Payload::Corrupt,
            2 => Payload::Foreign,
            _ => return None,
        };
        let extra = &mut self.columns[Column::ReadExtra as usize];
        let mut epoch = None;
        if flags & 4 != 0 {
            last.epoch = extra.take_delta(last.epoch as u64)? as i32;
            epoch = Some(Epoch(last.epoch));
        }
        let mut broker = None;
        if flags & 8 != 0 {
            broker = Some(NodeId(u8::try_from(extra.take()?).ok()?));
        }
        Some(Stored {
            partition,
            offset: Offset(last.offset as i64),
            payload,
            epoch,
            broker,
        })
    }
}

fn undelta(columns: &mut [Varints; COLUMNS], column: Column, last: &mut u64) -> Option<u64> {
    *last = columns[column as usize].take_delta(*last)?;
    Some(*last)
}
