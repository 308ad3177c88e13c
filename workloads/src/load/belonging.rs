//! One consumer that belongs to a group, recorded: what the group gave it and took from it, what it
//! read, what it committed.
//!
//! It processes what it reads at once. With `commit = "after"` it commits each batch that it has
//! read before it reads on; with `"auto"` the library commits now and then what was processed
//! before, and nobody records when.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use history::{
    Call, ClientId, CommitMode, Delivery, Offset, OpId, Outcome, Partition, Reply, Topic, Why,
};
use plan::Group;
use tokio::sync::mpsc;
use tokio::time::sleep;

use super::crash::{Crashed, Now, Order};
use super::{Counts, Desk, booking};
use crate::client::{Clients, Member, OpenError};

/// Records asked for in one poll, at most.
const MOST: usize = 500;
/// How long one poll waits for records; also how late a consumer hears that it should end.
const POLL: Duration = Duration::from_millis(500);
/// The pause after a poll that failed.
const PAUSE: Duration = Duration::from_millis(500);

/// A consumer of a group and what it shares with others.
pub struct Belonging<C: Clients> {
    pub clients: Rc<C>,
    pub topic: Topic,
    pub group: Group,
    pub read_committed: bool,
    pub desk: Desk,
    pub now: Rc<Cell<Now>>,
    pub counts: Rc<Cell<Counts>>,
    /// False once it should end.
    pub reading: Rc<Cell<bool>>,
    pub inbox: mpsc::UnboundedReceiver<Order>,
}

impl<C: Clients> Belonging<C> {
    /// Opens the member that begins, or follows one that crashed.
    pub fn open(&self, client: ClientId) -> Result<C::Member, OpenError> {
        let member = self
            .clients
            .member(client, &self.group, self.read_committed)?;
        self.desk
            .describe_member(client, &self.group, self.read_committed);
        Ok(member)
    }

    /// Reads until it is told to end, then leaves the group.
    pub async fn run(mut self, mut member: C::Member, mut client: ClientId) {
        loop {
            let Some(order) = self.along(&mut member, client).await else {
                return member.leave();
            };
            member.crash();
            self.now.set(Now::Gone(client));
            if let Order::Crash(answer) = order {
                let in_flight = 1;
                let _ = answer.send(Crashed { client, in_flight });
            }
            let Some(fresh) = self.revived().await else {
                return;
            };
            (member, client) = fresh;
            self.now.set(Now::Alive(client));
        }
    }

    async fn revived(&mut self) -> Option<(C::Member, ClientId)> {
        loop {
            let Order::Revive(answer) = self.inbox.recv().await? else {
                continue;
            };
            let client = self.desk.client();
            match self.open(client) {
                Ok(member) => {
                    let _ = answer.send(Ok(client));
                    return Some((member, client));
                }
                Err(refused) => {
                    let _ = answer.send(Err(refused));
                }
            }
        }
    }

    /// Reads along until told to end; what it is told otherwise cuts its call short.
    async fn along(&mut self, member: &mut C::Member, client: ClientId) -> Option<Order> {
        let topics = vec![self.topic.clone()];
        let op = self.invoked(
            client,
            Call::Subscribe {
                topics: topics.clone(),
            },
        );
        let outcome = member.subscribe(&topics).await;
        self.returned(op, Reply::Done(outcome));
        while self.reading.get() {
            let op = self.invoked(client, Call::Poll);
            let reply = tokio::select! {
                biased;
                // Closed when the run ends: then the poll goes on to its end.
                Some(order) = self.inbox.recv() => {
                    self.moved(member, client);
                    let why = Why::new("the client crashed");
                    self.returned(op, Reply::Polled(Outcome::Unknown(why)));
                    return Some(order);
                }
                reply = member.poll(MOST, POLL) => reply,
            };
            // What the group did during the poll came before what the poll brought.
            self.moved(member, client);
            let next = next_of(&reply);
            self.returned(op, reply);
            match next {
                None => sleep(PAUSE).await,
                Some((count, next)) => {
                    self.delivered(count);
                    if self.group.commit == CommitMode::After && !next.is_empty() {
                        self.commit(member, client, next).await;
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        None
    }

    async fn commit(
        &self,
        member: &mut C::Member,
        client: ClientId,
        next: BTreeMap<Partition, Offset>,
    ) {
        let offsets: Vec<(Partition, Offset)> = next.into_iter().collect();
        let op = self.invoked(
            client,
            Call::Commit {
                offsets: offsets.clone(),
            },
        );
        let outcome = member.commit(&offsets).await;
        self.returned(op, Reply::Done(outcome));
    }

    fn moved(&self, member: &mut C::Member, client: ClientId) {
        booking::moved(&self.desk.pen, client, member.moves());
    }

    fn delivered(&self, count: u64) {
        let mut counts = self.counts.get();
        counts.delivered += count;
        self.counts.set(counts);
    }

    fn invoked(&self, client: ClientId, call: Call) -> OpId {
        booking::invoked(&self.desk.pen, &self.desk.clock, client, call)
    }

    fn returned(&self, op: OpId, reply: Reply) {
        booking::returned(&self.desk.pen, &self.desk.clock, op, reply);
    }
}

/// How many records a poll brought, and the next offset of each partition; nothing when it failed.
fn next_of(reply: &Reply) -> Option<(u64, BTreeMap<Partition, Offset>)> {
    let Reply::Polled(Outcome::Ok(deliveries)) = reply else {
        return None;
    };
    let after = |it: &Delivery| (it.partition.clone(), Offset(it.offset.0 + 1));
    Some((
        deliveries.len() as u64,
        deliveries.iter().map(after).collect(),
    ))
}
