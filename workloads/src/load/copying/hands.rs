//! The two clients of a copier, under one id, and what is recorded of their calls.
//!
//! At most one call is open at a time, beside the sends, and whoever drops a call in the middle finds
//! it here: it ends as unknown. What to call next is decided elsewhere.

use std::cell::Cell;
use std::rc::Rc;

use history::{Call, ClientId, OpId, Outcome, Partition, Rebalance, Reply, Why};
use plan::Stream;

use super::super::booking::{self, came_back};
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
        let moves = self.member.moves();
        let took = |change: &Rebalance| matches!(change, Rebalance::Revoked | Rebalance::Lost);
        let taken = moves.iter().filter(|(_, change, _)| took(change));
        let taken = taken.flat_map(|(.., partitions)| partitions.clone());
        let taken = taken.collect();
        booking::moved(&self.desk.pen, self.client, moves);
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
        let op = booking::invoked(&self.desk.pen, &self.desk.clock, self.client, call.clone());
        self.open = Some((op, call));
        op
    }

    pub fn returned(&mut self, op: OpId, reply: Reply) {
        self.open = None;
        booking::returned(&self.desk.pen, &self.desk.clock, op, reply);
    }
}
