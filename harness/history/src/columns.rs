//! A block of events as columns: what is frequent becomes differences that compress to almost
//! nothing, everything else stands beside it in postcard, and the order of events is kept.
//!
//! A block needs no other block to be read, so a lost one costs only itself. Nothing here
//! compresses, checks sums or touches a file: that is `frames`.

mod lines;
mod read;
mod topics;
mod write;

use crate::event::SendAck;
use crate::ids::NodeId;

pub(crate) use lines::Block;
pub use lines::{Given, GivenAll, Line};
pub(crate) use read::read_block;
pub(crate) use topics::Topics;
pub(crate) use write::BlockWriter;

// The kinds of events, one byte each. Their numbers stand in files.
const OTHER: u8 = 0;
const SEND: u8 = 1;
const ACK: u8 = 2;
const POLL: u8 = 3;
const POLLED: u8 = 4;

/// Columns of a block, in the order in which they stand in it.
#[derive(Clone, Copy)]
enum Column {
    Kinds,
    Others,
    Partitions,
    InvokedOp,
    InvokedClient,
    SendAt,
    SendPartition,
    SendValue,
    AckRun,
    AckOp,
    AckAt,
    AckOdd,
    PollAt,
    PolledOp,
    PolledAt,
    PolledCount,
    ReadPartition,
    ReadFlags,
    ReadOffset,
    ReadValue,
    ReadExtra,
}

const COLUMNS: usize = Column::ReadExtra as usize + 1;

/// A sequence of acknowledgements whose offsets follow each other: in practice one partition's.
/// Completions do not say their partition, so both sides find the run by the offset expected next.
#[derive(Clone, Copy, Default)]
struct Run {
    op: u64,
    offset: i64,
    broker: Option<NodeId>,
}

/// More runs than this interleave only in plans with many partitions; then older ones are
/// forgotten and cost a few bytes when they come again.
const RUNS: usize = 64;

/// An offset this close to the last one of a run belongs to that run rather than to a new one.
const NEAR: u64 = 4096;

/// What the last record of a partition was, while blocks are written and read.
#[derive(Clone, Copy, Default)]
struct Reading {
    offset: u64,
    value: u64,
    epoch: i32,
}

/// What writer and reader of a block both remember of the events before.
#[derive(Default)]
struct Memory {
    invoked_op: u64,
    value_less_op: u64,
    send_at: u64,
    ack_at: u64,
    poll_at: u64,
    polled_op: u64,
    polled_at: u64,
    runs: Vec<Run>,
    next_run: usize,
    readings: Vec<Reading>,
}

impl Memory {
    /// The run that this acknowledgement continues, if one expects it.
    fn expecting(&self, hint: usize, ack: &SendAck) -> Option<usize> {
        let offset = ack.offset?.0;
        let fits = |run: &Run| offset == run.offset.wrapping_add(1) && ack.broker == run.broker;
        if self.runs.get(hint).is_some_and(fits) {
            return Some(hint);
        }
        self.runs.iter().position(fits)
    }

    /// Where an acknowledgement goes that no run expects.
    fn place(&self, ack: &SendAck) -> usize {
        let near = |run: &Run| {
            ack.broker == run.broker
                && ack
                    .offset
                    .is_none_or(|offset| offset.0.abs_diff(run.offset) < NEAR)
        };
        self.runs.iter().position(near).unwrap_or(self.next_run)
    }

    /// The run at `slot`, made if it is the next one to be made. None for a slot out of reach.
    fn run(&mut self, slot: usize) -> Option<&mut Run> {
        if slot == self.next_run {
            self.next_run = (slot + 1) % RUNS;
            if slot == self.runs.len() {
                self.runs.push(Run::default());
            }
        }
        self.runs.get_mut(slot)
    }

    fn reading(&mut self, partition: usize) -> &mut Reading {
        if partition >= self.readings.len() {
            self.readings.resize(partition + 1, Reading::default());
        }
        &mut self.readings[partition]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::any_events;
    use proptest::prelude::*;

    fn whole(bytes: &[u8], count: usize) -> Option<Vec<crate::Event>> {
        let (mut block, mut events) = (Block::default(), Vec::new());
        read_block(bytes, count, &mut Topics::default(), &mut block)?;
        block.lines(|line| events.push(line.into()));
        Some(events)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn blocks_come_back_as_they_were(events in any_events(0..200)) {
            let mut writer = BlockWriter::default();
            let mut bytes = Vec::new();
            // Twice, since a writer is used again for the next block.
            for _ in 0..2 {
                events.iter().for_each(|event| writer.push(event));
                prop_assert_eq!(writer.events() as usize, events.len());
                writer.finish(&mut bytes);
                let read = whole(&bytes, events.len());
                prop_assert_eq!(read.as_ref(), Some(&events));
            }
        }

        #[test]
        fn damaged_blocks_are_refused_or_read_without_panic(
            events in any_events(1..40), at: prop::sample::Index, with: u8,
        ) {
            let mut writer = BlockWriter::default();
            let mut bytes = Vec::new();
            events.iter().for_each(|event| writer.push(event));
            writer.finish(&mut bytes);
            prop_assert_eq!(whole(&bytes[..at.index(bytes.len())], events.len()), None);
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Some(read) = whole(&bytes, events.len()) {
                prop_assert_eq!(read.len(), events.len());
            }
        }
    }
}
