//! The load of a run: producers and read-along consumers of every topic, at the plan's rates.
//!
//! It is the only writer of operation events. An operation is recorded before the client library
//! hears of it and again after its outcome is known, so that recorded intervals contain the truth.
//! It does not know that faults exist, and concludes nothing.

mod belonging;
mod booking;
mod copying;
mod crash;
mod reading;
mod sending;
#[cfg(test)]
mod tests;
mod transacting;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use history::{
    ClientId, Clock, CommitMode, ConsumerSetting, Offset, Partition, Pen, ProducerSetting, Topic,
};
use plan::{Group, Load, Rate, TopicSpec};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

pub use crash::Crashed;
pub use reading::{Drained, drain};

use crate::client::{Clients, OpenError, transaction_timeout};
use belonging::Belonging;
use copying::Copier;
use crash::{Handle, Now, Order};
use reading::{Reader, along};
use sending::{Ask, Progress, Sender};

/// What one topic's clients have done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Records handed to the client library.
    pub sent: u64,
    /// Of these, acknowledged.
    pub acked: u64,
    /// Of these, certainly not written.
    pub failed: u64,
    /// Of these, nobody can tell.
    pub unknown: u64,
    /// Of these, not yet come back.
    pub in_flight: u64,
    /// Records given to the read-along consumers; one read again counts again.
    pub delivered: u64,
}

/// What came of a step's sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sent {
    /// Acknowledged.
    pub acked: u32,
    /// Certainly not written.
    pub failed: u32,
    /// Nobody can tell; those included that had no outcome when the time was up (the history tells
    /// what became of them).
    pub unknown: u32,
}

/// What all tasks of a workload share. One thread, so cells.
#[derive(Clone)]
struct Desk {
    pen: Pen,
    clock: Clock,
    next_value: Rc<Cell<u64>>,
    next_client: Rc<Cell<u16>>,
    producers: Rc<RefCell<BTreeMap<ClientId, ProducerSetting>>>,
    consumers: Rc<RefCell<BTreeMap<ClientId, ConsumerSetting>>>,
}

impl Desk {
    fn client(&self) -> ClientId {
        let id = self.next_client.get();
        self.next_client.set(id + 1);
        ClientId(id)
    }

    fn describe(
        &self,
        client: ClientId,
        topic: &Topic,
        load: &Load,
        transactional_id: Option<String>,
    ) {
        let setting = ProducerSetting {
            topic: topic.clone(),
            acks: load.acks.to_string(),
            idempotent: load.idempotent,
            retries: true,
            max_in_flight: load.max_in_flight,
            transaction_timeout_ms: transactional_id.as_ref().map(|_| {
                let timeout = transaction_timeout(load);
                timeout.as_millis() as u64
            }),
            transactional_id,
        };
        self.producers.borrow_mut().insert(client, setting);
    }

    fn describe_member(&self, client: ClientId, group: &Group, read_committed: bool) {
        let setting = ConsumerSetting {
            group: Some(group.name.clone()),
            commit: group.commit,
            read_committed,
            reset: Some("earliest".to_owned()),
        };
        self.consumers.borrow_mut().insert(client, setting);
    }

    /// Of a consumer that reads everything by itself there is nothing to say.
    fn describe_reader(&self, client: ClientId, read_committed: bool) {
        if read_committed {
            let setting = ConsumerSetting {
                group: None,
                commit: CommitMode::None,
                read_committed,
                reset: None,
            };
            self.consumers.borrow_mut().insert(client, setting);
        }
    }
}

/// A topic's clients.
struct Lane {
    counts: Rc<Cell<Counts>>,
    senders: Vec<Handle<Ask>>,
    readers: Vec<Handle<Order>>,
    next: Cell<usize>,
    tasks: Vec<JoinHandle<()>>,
}

/// A running load. Dropping it without [`Workload::stop`] leaves its tasks to the runtime.
pub struct Workload {
    lanes: BTreeMap<Topic, Lane>,
    desk: Desk,
    reading: Rc<Cell<bool>>,
}

/// Opens the producers and read-along consumers of every topic, and begins. Topics that send on
/// demand only get their clients. Runs on the present `LocalSet`.
///
/// # Errors
/// When the client library refuses a client; nothing has begun then.
pub fn start<C: Clients + 'static>(
    clients: Rc<C>,
    topics: &BTreeMap<Topic, TopicSpec>,
    pen: Pen,
    clock: Clock,
) -> Result<Workload, OpenError> {
    let desk = Desk {
        pen,
        clock,
        next_value: Rc::default(),
        next_client: Rc::default(),
        producers: Rc::default(),
        consumers: Rc::default(),
    };
    let reading = Rc::new(Cell::new(true));
    let mut opened = Vec::new();
    for (topic, spec) in topics {
        opened.push((topic, open(&clients, topic, spec, &desk, &reading)?));
    }
    let lanes = opened
        .into_iter()
        .map(|(topic, opened)| (topic.clone(), opened.begin()))
        .collect();
    Ok(Workload {
        lanes,
        desk,
        reading,
    })
}

/// A client that will work, and what it can be told meanwhile.
type Working<T> = (Pin<Box<dyn Future<Output = ()>>>, Handle<T>);

/// A topic's clients before they begin.
struct Opened {
    counts: Rc<Cell<Counts>>,
    senders: Vec<Working<Ask>>,
    readers: Vec<Working<Order>>,
}

fn open<C: Clients + 'static>(
    clients: &Rc<C>,
    topic: &Topic,
    spec: &TopicSpec,
    desk: &Desk,
    reading: &Rc<Cell<bool>>,
) -> Result<Opened, OpenError> {
    let counts = Rc::new(Cell::new(Counts::default()));
    let handles = match spec.load.rate {
        Rate::OnDemand => spec.load.producers.max(1),
        Rate::PerSecond(_) | Rate::Max | Rate::Copying(_) => spec.load.producers,
    };
    let mut senders = Vec::new();
    for index in 0..handles {
        let share = (index, handles);
        senders.push(open_sender(clients, topic, spec, (&counts, share), desk)?);
    }
    let mut opened = Opened {
        counts,
        senders,
        readers: Vec::new(),
    };
    for _ in 0..spec.load.consumers {
        let reader = open_reader(clients, topic, spec, &opened.counts, desk, reading)?;
        opened.readers.push(reader);
    }
    Ok(opened)
}

/// A producer that sends by itself, or what another topic holds.
fn open_sender<C: Clients + 'static>(
    clients: &Rc<C>,
    topic: &Topic,
    spec: &TopicSpec,
    (counts, share): (&Rc<Cell<Counts>>, (u32, u32)),
    desk: &Desk,
) -> Result<Working<Ask>, OpenError> {
    let partitions: Vec<Partition> = spec.partitions(topic).collect();
    let counts = Rc::clone(counts);
    let (to, inbox) = mpsc::unbounded_channel();
    if let (Rate::Copying(source), Some(group)) = (&spec.load.rate, &spec.load.group) {
        let now = Rc::new(Cell::new(Now::Gone(ClientId(0))));
        let copier = Copier {
            clients: Rc::clone(clients),
            topic: topic.clone(),
            source: source.clone(),
            group: group.clone(),
            load: spec.load.clone(),
            partitions,
            share,
            counts,
            desk: desk.clone(),
            now: Rc::clone(&now),
        };
        let hands = copier.open()?;
        return Ok((Box::pin(copier.run(hands, inbox)), Handle { to, now }));
    }
    let lane = (counts, partitions, share);
    let sender = Sender::open(clients, topic, &spec.load, lane, desk.clone(), inbox)?;
    let now = sender.now();
    Ok((Box::pin(sender.run()), Handle { to, now }))
}

/// A consumer that reads along, by itself or in its group. Who writes in transactions is read as it
/// wants to be.
fn open_reader<C: Clients + 'static>(
    clients: &Rc<C>,
    topic: &Topic,
    spec: &TopicSpec,
    counts: &Rc<Cell<Counts>>,
    desk: &Desk,
    reading: &Rc<Cell<bool>>,
) -> Result<Working<Order>, OpenError> {
    let client = desk.client();
    let (to, inbox) = mpsc::unbounded_channel();
    let now = Rc::new(Cell::new(Now::Alive(client)));
    let read_committed = spec.load.transactional;
    let (clients, counts, reading) = (Rc::clone(clients), Rc::clone(counts), Rc::clone(reading));
    let desk = desk.clone();
    let handle = Handle {
        to,
        now: Rc::clone(&now),
    };
    let group = spec.load.group.as_ref();
    // The group of a topic that is copied to reads the other one.
    if let Some(group) = group.filter(|_| !matches!(spec.load.rate, Rate::Copying(_))) {
        let reader = Belonging {
            clients,
            topic: topic.clone(),
            group: group.clone(),
            read_committed,
            desk,
            now,
            counts,
            reading,
            inbox,
        };
        let member = reader.open(client)?;
        return Ok((Box::pin(reader.run(member, client)), handle));
    }
    let consumer = clients.consumer(client, along(read_committed))?;
    desk.describe_reader(client, read_committed);
    let positions = spec.partitions(topic).map(|p| (p, Offset(0))).collect();
    let reader = Reader {
        clients,
        consumer,
        client,
        now,
        desk,
        positions,
        counts,
        read_committed,
        reading,
        inbox,
    };
    Ok((Box::pin(reader.run()), handle))
}

impl Opened {
    fn begin(self) -> Lane {
        let mut lane = Lane {
            counts: self.counts,
            senders: Vec::new(),
            readers: Vec::new(),
            next: Cell::new(0),
            tasks: Vec::new(),
        };
        for (sender, handle) in self.senders {
            lane.tasks.push(tokio::task::spawn_local(sender));
            lane.senders.push(handle);
        }
        for (reader, handle) in self.readers {
            lane.tasks.push(tokio::task::spawn_local(reader));
            lane.readers.push(handle);
        }
        lane
    }
}

impl Workload {
    /// What every topic's clients have done so far.
    pub fn counts(&self) -> BTreeMap<Topic, Counts> {
        self.lanes
            .iter()
            .map(|(topic, lane)| (topic.clone(), lane.counts.get()))
            .collect()
    }

    /// Sends `count` records to a partition and waits for their outcomes, at most `within`.
    ///
    /// # Panics
    /// When the partition's topic has no load: plans are checked for that.
    pub async fn send(&self, partition: &Partition, count: u32, within: Duration) -> Sent {
        let until = Instant::now() + within;
        let lane = self
            .lanes
            .get(&partition.topic)
            .filter(|lane| !lane.senders.is_empty())
            .unwrap_or_else(|| panic!("{partition} has no producer in this workload"));
        let turn = lane.next.replace(lane.next.get() + 1) % lane.senders.len();
        // Whoever lives, from the one whose turn it is; if nobody does, it waits for its revival.
        let (before, from) = lane.senders.split_at(turn);
        let lives = |handle: &&Handle<Ask>| matches!(handle.now.get(), Now::Alive(_));
        let sender = from.iter().chain(before).find(lives).unwrap_or(&from[0]);
        let progress = Rc::new(Progress::of(count));
        let ask = Ask::Send {
            partition: partition.clone(),
            count,
            progress: Rc::clone(&progress),
        };
        if sender.to.send(ask).is_ok() {
            // When the time is up, what has no outcome yet counts as unknown.
            let _in_time = timeout_at(until, progress.done()).await.is_ok();
        }
        progress.so_far()
    }

    /// Every producer that was opened, with its settings; of a handle that was opened again, both.
    pub fn producers(&self) -> BTreeMap<ClientId, ProducerSetting> {
        self.desk.producers.borrow().clone()
    }

    /// Every consumer of which there is more to say than that it reads.
    pub fn consumers(&self) -> BTreeMap<ClientId, ConsumerSetting> {
        self.desk.consumers.borrow().clone()
    }

    /// A client id that nobody has used yet: for the drain's consumers.
    pub fn next_client(&self) -> ClientId {
        self.desk.client()
    }

    /// Ends the load: no new sends, everything in flight awaited for at most `within` and then
    /// purged, every operation returned, every client closed. The final counts.
    pub async fn stop(self, within: Duration) -> BTreeMap<Topic, Counts> {
        self.reading.set(false);
        for sender in self.lanes.values().flat_map(|lane| &lane.senders) {
            // A sender that is gone has nothing in flight.
            let _gone = sender.to.send(Ask::Stop { within });
        }
        let mut counts = BTreeMap::new();
        for (topic, mut lane) in self.lanes {
            // A crashed reader waits for a revival that does not come any more.
            lane.readers.clear();
            for task in lane.tasks {
                if let Err(ended) = task.await
                    && let Ok(panic) = ended.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
            }
            counts.insert(topic, lane.counts.get());
        }
        counts
    }
}
