//! The two clients of a copier, under one id, and what is recorded of their calls.
//!
//! At most one call is open at a time, beside the sends, and whoever drops a call in the middle finds
//! it here: it ends as unknown. What to call next is decided elsewhere.

use std::cell::Cell;
use std::rc::Rc;

use history::{
    Call, ClientId, Event, OpId, Outcome, Partition, Rebalance, RebalanceEvent, Reply, Why,
};
use plan::Stream;

use super::super::booking::came_back;
use super::super::crash::Crashed;
use super::super::transacting::ATTEMPT;
use super::super::{Counts, Desk};
use crate::client::{Clients, Completion, Member, Producer, Then, Transact, Transacted};

/// The clients of one copier.
pub struct Hands<C: Clients> {
    pub client: ClientId,
    pub producer: C::Producer,
    pub member: C::Member,
    /// Known to its coordinator, and joined to its group.
    pub ready: bool,
    pub in_flight: usize,
    /// The call that has not returned yet.
    pub open: Option<(OpId, Call)>,
    /// Which transactions are aborted without need.
    pub chance: Stream,
    pub desk: Desk,
    pub counts: Rc<Cell<Counts>>,
}

impl<C: Clients> Hands<C> {
    /// Records how everything ends that has no outcome yet.
    pub fn ended(&mut self, why: &'static str) -> Crashed {
        let last = self.producer.crash();
        let unknown = |it: &&Completion| matches!(it.outcome, Outcome::Unknown(_));
        let in_flight = last.iter().filter(unknown).count() + usize::from(self.open.is_some());
        self.back(last);
        self.moved();
        if let Some((op, call)) = self.open.take() {
            let why = Why::new(why);
            let reply = match call {
                Call::Poll => Reply::Polled(Outcome::Unknown(why)),
                _ => Reply::Done(Outcome::Unknown(why)),
            };
            self.returned(op, reply);
        }
        Crashed {
            client: self.client,
            in_flight: in_flight as u64,
        }
    }

    /// Records sends that came back.
    pub fn back(&mut self, batch: Vec<Completion>) {
        self.in_flight -= batch.len();
        came_back(&self.desk, &self.counts, batch);
    }

    /// Records what the group did; what it took away.
    pub fn moved(&mut self) -> Vec<Partition> {
        let mut taken = Vec::new();
        for (at, change, partitions) in self.member.moves() {
            if matches!(change, Rebalance::Revoked | Rebalance::Lost) {
                taken.extend(partitions.iter().cloned());
            }
            self.desk.pen.write(Event::Rebalance(RebalanceEvent {
                at,
                client: self.client,
                change,
                partitions,
            }));
        }
        taken
    }

    /// Takes a step of a transaction, recorded.
    pub async fn step(&mut self, call: Call, step: Transact) -> Then {
        let op = self.invoked(call);
        let Transacted { outcome, then } = self.producer.transact(step, ATTEMPT).await;
        self.returned(op, Reply::Done(outcome));
        then
    }

    pub fn invoked(&mut self, call: Call) -> OpId {
        let op = self.desk.pen.next_op();
        self.open = Some((op, call.clone()));
        self.desk.pen.write(Event::Invoked {
            op,
            client: self.client,
            at: self.desk.clock.mark(),
            call,
        });
        op
    }

    pub fn returned(&mut self, op: OpId, reply: Reply) {
        self.open = None;
        let at = self.desk.clock.mark();
        self.desk.pen.write(Event::Returned { op, at, reply });
    }
}
