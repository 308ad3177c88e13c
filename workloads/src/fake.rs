//! Clients in memory, for tests: a log for each partition, and vices to order.
//!
//! Everything happens in tokio's time, paused or not. It has no replicas, no elections and no
//! network, and a transaction is a wish that is always granted, to be sure: its records stand in their
//! logs at once and stay there, and only the offsets in it wait for its end. What a partition does to
//! its records, and a coordinator to offsets and ends, is what the test told them to do.

mod member;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use history::{
    ClientId, Clock, Delivery, Epoch, NodeId, Offset, OpId, Outcome, Partition, Payload, Reply,
    SendAck, ValueId, Why,
};
use plan::{Group, Load};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client::{
    Clients, Completion, Consumer, OpenError, Producer, Reading, Record, Then, Transact, Transacted,
};
use crate::fate;
use member::Shared;
pub use member::{FakeMember, FakeStanding};

/// What a partition does to the records that are sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Behaviour {
    /// Appends and acknowledges.
    #[default]
    Ack,
    /// Appends nothing and says so.
    Refuse,
    /// Appends nothing and never answers.
    Swallow,
    /// Appends and never answers.
    KeepSilent,
    /// Appends nothing and acknowledges.
    Lie,
    /// Appends twice and acknowledges the first.
    Double,
    /// Appends nothing, says so, and ends the producer for good.
    Fence,
}

/// What a coordinator does to transactions that offsets are committed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Coordinating {
    /// As it is asked.
    #[default]
    Well,
    /// Takes no offsets.
    RefusesOffsets,
    /// Commits, and is not heard; asked again, it answers.
    AnswersLate,
    /// Commits, is not heard, and then says that the transaction must be aborted.
    SaysAbort,
    /// Commits, is not heard, and fences the producer.
    Fences,
}

#[derive(Default)]
struct Log {
    behaviour: Behaviour,
    leader: u8,
    epoch: i32,
    records: Vec<(ValueId, Epoch)>,
}

impl Log {
    fn append(&mut self, value: ValueId) -> SendAck {
        self.records.push((value, Epoch(self.epoch)));
        SendAck {
            offset: Some(Offset(self.records.len() as i64 - 1)),
            broker: Some(NodeId(self.leader)),
        }
    }

    /// What the producer will be told; nothing when it will hear nothing.
    fn take(&mut self, value: ValueId) -> Option<Outcome<SendAck>> {
        match self.behaviour {
            Behaviour::Ack => Some(Outcome::Ok(self.append(value))),
            Behaviour::Double => {
                let ack = self.append(value);
                self.append(value);
                Some(Outcome::Ok(ack))
            }
            Behaviour::Lie => Some(Outcome::Ok(SendAck {
                offset: Some(Offset(self.records.len() as i64)),
                broker: Some(NodeId(self.leader)),
            })),
            Behaviour::Refuse | Behaviour::Fence => Some(Outcome::Failed(Why::new("refused"))),
            Behaviour::Swallow => None,
            Behaviour::KeepSilent => {
                self.append(value);
                None
            }
        }
    }
}

/// A cluster of logs. Clones are the same cluster.
#[derive(Clone)]
pub struct FakeKafka {
    logs: Rc<RefCell<BTreeMap<Partition, Log>>>,
    groups: Rc<RefCell<BTreeMap<String, Shared>>>,
    coordinating: Rc<Cell<Coordinating>>,
    grown: Rc<Notify>,
    clock: Clock,
    latency: Duration,
}

impl FakeKafka {
    /// An empty cluster that answers after `latency`. Partitions exist once they are named.
    pub fn new(clock: Clock, latency: Duration) -> Self {
        Self {
            logs: Rc::default(),
            groups: Rc::default(),
            coordinating: Rc::default(),
            grown: Rc::default(),
            clock,
            latency,
        }
    }

    /// What a partition does to records from now on.
    pub fn behave(&self, partition: &Partition, behaviour: Behaviour) {
        self.with(partition, |log| log.behaviour = behaviour);
    }

    /// What coordinators do from now on.
    pub fn coordinate(&self, coordinating: Coordinating) {
        self.coordinating.set(coordinating);
    }

    /// Takes a partition from the member that has it; the member hears of it in its next poll, behind
    /// what that brings.
    pub fn take_away(&self, group: &str, partition: &Partition) {
        if let Some(shared) = self.groups.borrow_mut().get_mut(group) {
            shared.owners.remove(partition);
        }
    }

    /// Where a group goes on, by partition.
    pub fn committed(&self, group: &str) -> BTreeMap<Partition, Offset> {
        let groups = self.groups.borrow();
        let shared = groups.get(group).map(|shared| shared.committed.clone());
        shared.unwrap_or_default()
    }

    /// Who leads a partition from now on, in which epoch.
    pub fn lead(&self, partition: &Partition, leader: NodeId, epoch: Epoch) {
        self.with(partition, |log| {
            (log.leader, log.epoch) = (leader.0, epoch.0)
        });
    }

    /// Forgets a partition's records from an offset on.
    pub fn lose_from(&self, partition: &Partition, offset: Offset) {
        self.with(partition, |log| log.records.truncate(offset.0 as usize));
        self.grown.notify_waiters();
    }

    /// What stands in a partition's log.
    pub fn values(&self, partition: &Partition) -> Vec<ValueId> {
        self.with(partition, |log| {
            log.records.iter().map(|(value, _)| *value).collect()
        })
    }

    fn with<T>(&self, partition: &Partition, act: impl FnOnce(&mut Log) -> T) -> T {
        act(self.logs.borrow_mut().entry(partition.clone()).or_default())
    }
}

impl Clients for FakeKafka {
    type Standing = FakeStanding;
    type Producer = FakeProducer;
    type Consumer = FakeConsumer;
    type Member = FakeMember;

    fn producer(&self, _: ClientId, _: &Load, _: Option<&str>) -> Result<FakeProducer, OpenError> {
        Ok(FakeProducer {
            cluster: self.clone(),
            answers: VecDeque::new(),
            unanswered: Vec::new(),
            offsets: Vec::new(),
            unheard: false,
            fenced: false,
        })
    }

    fn consumer(&self, _: ClientId, _: Reading) -> Result<FakeConsumer, OpenError> {
        Ok(FakeConsumer {
            cluster: self.clone(),
            positions: BTreeMap::new(),
        })
    }

    fn member(&self, id: ClientId, group: &Group, _: bool) -> Result<FakeMember, OpenError> {
        Ok(FakeMember::of(self, id, &group.name))
    }

    fn describe(&self) -> String {
        "clients in memory".to_owned()
    }
}

/// A producer in memory.
pub struct FakeProducer {
    cluster: FakeKafka,
    answers: VecDeque<(Instant, OpId, Outcome<SendAck>)>,
    unanswered: Vec<OpId>,
    /// What the open transaction commits for a group.
    offsets: Vec<(String, Partition, Offset)>,
    /// Its end was carried out, and nobody was told.
    unheard: bool,
    fenced: bool,
}

impl FakeProducer {
    fn end(&mut self, commit: bool) -> Transacted {
        let offsets = std::mem::take(&mut self.offsets);
        if commit {
            let mut groups = self.cluster.groups.borrow_mut();
            for (group, partition, next) in offsets {
                let shared = groups.entry(group).or_default();
                shared.committed.insert(partition, next);
            }
        }
        if !commit || self.unheard {
            self.unheard = false;
            return Transacted::done();
        }
        let then = match self.cluster.coordinating.get() {
            Coordinating::Well | Coordinating::RefusesOffsets => return Transacted::done(),
            Coordinating::AnswersLate => Then::Again,
            Coordinating::SaysAbort => Then::Abort,
            Coordinating::Fences => Then::Dead,
        };
        self.unheard = true;
        self.fenced = then == Then::Dead;
        Transacted {
            outcome: Outcome::Unknown(Why::new("nobody answered")),
            then,
        }
    }
}

impl Producer for FakeProducer {
    type Standing = FakeStanding;

    fn submit(&mut self, records: &[Record]) {
        let due = Instant::now() + self.cluster.latency;
        for Record {
            op,
            partition,
            value,
        } in records
        {
            let fenced = &mut self.fenced;
            let answer = self.cluster.with(partition, |log| {
                *fenced |= log.behaviour == Behaviour::Fence;
                if *fenced {
                    return Some(Outcome::Failed(Why::new("fenced")));
                }
                log.take(*value)
            });
            match answer {
                Some(outcome) => self.answers.push_back((due, *op, outcome)),
                None => self.unanswered.push(*op),
            }
        }
        self.cluster.grown.notify_waiters();
    }

    async fn completions(&mut self) -> Vec<Completion> {
        let Some((due, _, _)) = self.answers.front() else {
            return std::future::pending().await;
        };
        sleep_until(*due).await;
        let (now, at) = (Instant::now(), self.cluster.clock.mark());
        let mut batch = Vec::new();
        while let Some((_, op, outcome)) = self.answers.pop_front_if(|(due, _, _)| *due <= now) {
            batch.push(Completion { op, at, outcome });
        }
        batch
    }

    fn is_dead(&self) -> bool {
        self.fenced
    }

    async fn finish(&mut self, within: Duration) -> Vec<Completion> {
        let until = Instant::now() + within;
        let mut all = Vec::new();
        while !self.answers.is_empty() {
            match timeout_at(until, self.completions()).await {
                Ok(batch) => all.extend(batch),
                Err(_) => break,
            }
        }
        if !self.unanswered.is_empty() {
            sleep_until(until).await;
        }
        all.extend(self.crash());
        all
    }

    /// Its records are in the log as soon as they are sent, and stay there.
    async fn transact(&mut self, step: Transact, _: Duration) -> Transacted {
        sleep_until(Instant::now() + self.cluster.latency).await;
        match step {
            _ if self.fenced => Transacted::dead("fenced"),
            Transact::Register | Transact::Begin => Transacted::done(),
            Transact::End { commit } => self.end(commit),
        }
    }

    async fn send_offsets(
        &mut self,
        offsets: &[(Partition, Offset)],
        FakeStanding { group, client }: FakeStanding,
        _: Duration,
    ) -> Transacted {
        sleep_until(Instant::now() + self.cluster.latency).await;
        if self.fenced {
            return Transacted::dead("fenced");
        }
        let groups = self.cluster.groups.borrow();
        let owners = groups.get(&group).map(|shared| &shared.owners);
        let owns = |it: &Partition| owners.and_then(|all| all.get(it)) == Some(&client);
        if self.cluster.coordinating.get() == Coordinating::RefusesOffsets
            || !offsets.iter().all(|(partition, _)| owns(partition))
        {
            return Transacted {
                outcome: Outcome::Unknown(Why::new("refused")),
                then: Then::Abort,
            };
        }
        let named =
            |(partition, next): &(Partition, Offset)| (group.clone(), partition.clone(), *next);
        self.offsets.extend(offsets.iter().map(named));
        Transacted::done()
    }

    fn crash(&mut self) -> Vec<Completion> {
        let at = self.cluster.clock.mark();
        let late = self.answers.drain(..).map(|(_, op, _)| op);
        let all = late.chain(self.unanswered.drain(..)).map(|op| Completion {
            op,
            at,
            outcome: fate::of_silence(),
        });
        all.collect()
    }
}

/// A consumer in memory.
pub struct FakeConsumer {
    cluster: FakeKafka,
    positions: BTreeMap<Partition, Offset>,
}

impl FakeConsumer {
    /// What is at hand; fails when a position lies beyond its log.
    fn take(&mut self, max: usize) -> Result<Vec<Delivery>, Why> {
        let mut deliveries = Vec::new();
        for (partition, position) in &mut self.positions {
            let cluster = &self.cluster;
            cluster.with(partition, |log| {
                let Some(rest) = log.records.get(position.0 as usize..) else {
                    return Err(Why::new(format!(
                        "{partition}: {position} is beyond the log"
                    )));
                };
                for (value, epoch) in rest.iter().take(max.saturating_sub(deliveries.len())) {
                    deliveries.push(Delivery {
                        partition: partition.clone(),
                        offset: *position,
                        payload: Payload::Value(*value),
                        epoch: Some(*epoch),
                        broker: Some(NodeId(log.leader)),
                    });
                    position.0 += 1;
                }
                Ok(())
            })?;
        }
        Ok(deliveries)
    }
}

impl Consumer for FakeConsumer {
    async fn assign(&mut self, from: &[(Partition, Offset)]) -> Outcome<()> {
        self.positions = from.iter().cloned().collect();
        Outcome::Ok(())
    }

    async fn poll(&mut self, max: usize, within: Duration) -> Reply {
        let until = Instant::now() + within;
        let grown = Rc::clone(&self.cluster.grown);
        loop {
            let changed = grown.notified();
            match self.take(max) {
                Err(why) => return Reply::Polled(Outcome::Failed(why)),
                Ok(deliveries) if !deliveries.is_empty() => {
                    return Reply::Polled(Outcome::Ok(deliveries));
                }
                Ok(_) => {}
            }
            if timeout_at(until, changed).await.is_err() {
                return Reply::Polled(Outcome::Ok(Vec::new()));
            }
        }
    }

    /// Its logs hold nothing but records: a position says it all.
    fn ends(&mut self) -> Vec<(Partition, Offset)> {
        Vec::new()
    }

    fn crash(self) {}
}
