//! Clients in memory, for tests: a log for each partition, and vices to order.
//!
//! Everything happens in tokio's time, paused or not. It has no replicas, no elections and no
//! network, and a transaction is a wish that is always granted: what a partition does to its records is what the test told it to do.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use history::{
    ClientId, Clock, Delivery, Epoch, NodeId, Offset, OpId, Outcome, Partition, Payload, Reply,
    SendAck, ValueId, Why,
};
use plan::Load;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::client::{
    Clients, Completion, Consumer, OpenError, Producer, Reading, Record, Transact, Transacted,
};
use crate::fate;

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
    grown: Rc<Notify>,
    clock: Clock,
    latency: Duration,
}

impl FakeKafka {
    /// An empty cluster that answers after `latency`. Partitions exist once they are named.
    pub fn new(clock: Clock, latency: Duration) -> Self {
        Self {
            logs: Rc::default(),
            grown: Rc::default(),
            clock,
            latency,
        }
    }

    /// What a partition does to records from now on.
    pub fn behave(&self, partition: &Partition, behaviour: Behaviour) {
        self.with(partition, |log| log.behaviour = behaviour);
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
    type Producer = FakeProducer;
    type Consumer = FakeConsumer;

    fn producer(&self, _: ClientId, _: &Load, _: Option<&str>) -> Result<FakeProducer, OpenError> {
        Ok(FakeProducer {
            cluster: self.clone(),
            answers: VecDeque::new(),
            unanswered: Vec::new(),
            fenced: false,
        })
    }

    fn consumer(&self, _: ClientId, _: Reading) -> Result<FakeConsumer, OpenError> {
        Ok(FakeConsumer {
            cluster: self.clone(),
            positions: BTreeMap::new(),
        })
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
    fenced: bool,
}

impl Producer for FakeProducer {
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
    async fn transact(&mut self, _: Transact, _: Duration) -> Transacted {
        sleep_until(Instant::now() + self.cluster.latency).await;
        match self.fenced {
            true => Transacted::dead("fenced"),
            false => Transacted::done(),
        }
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
