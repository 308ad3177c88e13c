//! What is recorded of calls and counted of sends, whoever makes them: before the client library hears
//! of them, and when they come back.

use std::cell::Cell;

use history::{
    Call, ClientId, Clock, Event, OpId, Outcome, Partition, Pen, RebalanceEvent, Reply, ValueId,
};

use super::{Counts, Desk};
use crate::client::{Completion, Move, Record};

/// Records that a client is about to make a call.
pub fn invoked(pen: &Pen, clock: &Clock, client: ClientId, call: Call) -> OpId {
    let op = pen.next_op();
    let at = clock.mark();
    pen.write(Event::Invoked {
        op,
        client,
        at,
        call,
    });
    op
}

/// Records what a call came to, now.
pub fn returned(pen: &Pen, clock: &Clock, op: OpId, reply: Reply) {
    let at = clock.mark();
    pen.write(Event::Returned { op, at, reply });
}

/// Records what a group did to a member.
pub fn moved(pen: &Pen, client: ClientId, moves: Vec<Move>) {
    for (at, change, partitions) in moves {
        pen.write(Event::Rebalance(RebalanceEvent {
            at,
            client,
            change,
            partitions,
        }));
    }
}

/// New records for these partitions: consecutive operations, consecutive values.
pub fn records_to(targets: impl ExactSizeIterator<Item = Partition>, desk: &Desk) -> Vec<Record> {
    let count = targets.len() as u64;
    let op = desk.pen.next_ops(count).0;
    let value = desk.next_value.replace(desk.next_value.get() + count);
    targets
        .zip(0..)
        .map(|(partition, n)| Record {
            op: OpId(op + n),
            partition,
            value: ValueId(value + n),
        })
        .collect()
}

/// Records that a client is about to hand these over.
pub fn handed_over(desk: &Desk, counts: &Cell<Counts>, client: ClientId, records: &[Record]) {
    let at = desk.clock.mark();
    let events = records.iter().map(|record| Event::Invoked {
        op: record.op,
        client,
        at,
        call: Call::Send {
            partition: record.partition.clone(),
            value: record.value,
        },
    });
    desk.pen.write_all(events.collect());
    let mut now = counts.get();
    now.sent += records.len() as u64;
    now.in_flight += records.len() as u64;
    counts.set(now);
}

/// Records what came back.
pub fn came_back(desk: &Desk, counts: &Cell<Counts>, batch: Vec<Completion>) {
    let mut now = counts.get();
    now.in_flight -= batch.len() as u64;
    let mut events = Vec::with_capacity(batch.len());
    for Completion { op, at, outcome } in batch {
        match outcome {
            Outcome::Ok(_) => now.acked += 1,
            Outcome::Failed(_) => now.failed += 1,
            Outcome::Unknown(_) => now.unknown += 1,
        }
        let reply = Reply::Sent(outcome);
        events.push(Event::Returned { op, at, reply });
    }
    counts.set(now);
    desk.pen.write_all(events);
}
