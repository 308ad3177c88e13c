//! A consumer of a group over librdkafka, on a thread of its own: its calls wait for brokers, and
//! the group's changes are told inside them.
//!
//! Offsets are stored when a record counts as processed, which is at the next poll; so automatic
//! commits never run ahead of what was read. For commits in transactions its standing in the group is
//! kept as it was when the records were given: a consumer that the group has dropped since would
//! otherwise commit as nobody in particular, which brokers take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::rdkafka::TopicPartitionList;
use ::rdkafka::client::ClientContext;
use ::rdkafka::config::RDKafkaLogLevel;
use ::rdkafka::consumer::{
    BaseConsumer, CommitMode as Sync, Consumer as _, ConsumerContext, ConsumerGroupMetadata,
    Rebalance,
};
use ::rdkafka::error::KafkaError;
use ::rdkafka::message::{BorrowedMessage, Message as _};
use history::{
    ClientId, Clock, Delivery, Offset, Outcome, Partition, Reply, RunId, Topic, Why, payload,
};
use tokio::sync::{mpsc, oneshot};

use super::ffi;
use super::notes::Notes;
use crate::client::{Member, Move};

/// How long a seek may take.
const SEEK: Duration = Duration::from_secs(5);
/// How late a thread that waits for records hears that it should end.
const SLICE: Duration = Duration::from_millis(50);

/// A consumer of a group.
pub struct RdMember {
    orders: mpsc::UnboundedSender<Order>,
    moves: mpsc::UnboundedReceiver<Move>,
    crashed: Arc<AtomicBool>,
}

enum Order {
    Subscribe(Vec<Topic>, oneshot::Sender<Outcome<()>>),
    Poll(usize, Duration, oneshot::Sender<Reply>),
    Commit(Vec<(Partition, Offset)>, oneshot::Sender<Outcome<()>>),
    Seek(Vec<(Partition, Offset)>, oneshot::Sender<Outcome<()>>),
    Standing(oneshot::Sender<Option<ConsumerGroupMetadata>>),
}

impl RdMember {
    /// Starts the thread of a consumer that `open` makes.
    pub(super) fn start(
        consumer: BaseConsumer<Hears>,
        (run, client, clock): (RunId, ClientId, Clock),
        (moves, in_transactions): (mpsc::UnboundedReceiver<Move>, bool),
    ) -> std::io::Result<Self> {
        let (orders, inbox) = mpsc::unbounded_channel();
        let crashed = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            consumer,
            run,
            clock,
            read: TopicPartitionList::new(),
            in_transactions,
            standing: None,
            crashed: Arc::clone(&crashed),
        };
        std::thread::Builder::new()
            .name(format!("{client} group"))
            .spawn(move || thread.run(inbox))?;
        Ok(Self {
            orders,
            moves,
            crashed,
        })
    }

    async fn ask<T>(&self, order: impl FnOnce(oneshot::Sender<T>) -> Order) -> Option<T> {
        let (answer, answered) = oneshot::channel();
        self.orders.send(order(answer)).ok()?;
        answered.await.ok()
    }
}

fn ended() -> Why {
    Why::new("its thread ended")
}

impl Member for RdMember {
    type Standing = ConsumerGroupMetadata;

    async fn subscribe(&mut self, topics: &[Topic]) -> Outcome<()> {
        let subscribed = self
            .ask(|answer| Order::Subscribe(topics.to_vec(), answer))
            .await;
        subscribed.unwrap_or_else(|| Outcome::Failed(ended()))
    }

    async fn poll(&mut self, max: usize, within: Duration) -> Reply {
        let polled = self.ask(|answer| Order::Poll(max, within, answer)).await;
        polled.unwrap_or_else(|| Reply::Polled(Outcome::Failed(ended())))
    }

    async fn commit(&mut self, offsets: &[(Partition, Offset)]) -> Outcome<()> {
        let committed = self
            .ask(|answer| Order::Commit(offsets.to_vec(), answer))
            .await;
        committed.unwrap_or_else(|| Outcome::Unknown(ended()))
    }

    async fn standing(&mut self) -> Option<ConsumerGroupMetadata> {
        self.ask(Order::Standing).await.flatten()
    }

    async fn seek(&mut self, to: &[(Partition, Offset)]) -> Outcome<()> {
        let sought = self.ask(|answer| Order::Seek(to.to_vec(), answer)).await;
        sought.unwrap_or_else(|| Outcome::Failed(ended()))
    }

    fn moves(&mut self) -> Vec<Move> {
        std::iter::from_fn(|| self.moves.try_recv().ok()).collect()
    }

    /// The thread ends when nobody gives orders any more, and closes the consumer.
    fn leave(self) {}

    fn crash(self) {
        self.crashed.store(true, Ordering::Release);
    }
}

/// What the library tells about the group and about itself.
pub struct Hears {
    pub client: ClientId,
    pub clock: Clock,
    pub notes: Notes,
    pub moves: mpsc::UnboundedSender<Move>,
    /// Whether the group changed since this was last looked at.
    pub changed: AtomicBool,
}

impl ClientContext for Hears {
    fn log(&self, _: RDKafkaLogLevel, facility: &str, words: &str) {
        let line = format!("{facility} {words}");
        self.notes.write(self.clock.mark(), self.client, &line);
    }

    fn error(&self, error: KafkaError, words: &str) {
        let line = format!("{error}: {words}");
        self.notes.write(self.clock.mark(), self.client, &line);
    }
}

impl ConsumerContext for Hears {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        self.changed.store(true, Ordering::Relaxed);
        let (change, list) = match rebalance {
            Rebalance::Assign(list) => (history::Rebalance::Assigned, list),
            Rebalance::Revoke(list) if consumer.assignment_lost() => {
                (history::Rebalance::Lost, list)
            }
            Rebalance::Revoke(list) => (history::Rebalance::Revoked, list),
            Rebalance::Error(error) => {
                let line = format!("rebalance: {error}");
                return self.notes.write(self.clock.mark(), self.client, &line);
            }
        };
        let partitions = list.elements();
        let partitions = partitions
            .iter()
            .map(|it| Partition::new(it.topic(), it.partition()));
        let told: Move = (self.clock.mark(), change, partitions.collect());
        // Nobody listens any more once the member has left.
        let _ = self.moves.send(told);
    }
}

/// Owns the consumer.
struct Thread {
    consumer: BaseConsumer<Hears>,
    run: RunId,
    clock: Clock,
    /// What was read last, and counts as processed at the next poll.
    read: TopicPartitionList,
    in_transactions: bool,
    /// As it was when records were given last; only in transactions.
    standing: Option<ConsumerGroupMetadata>,
    crashed: Arc<AtomicBool>,
}

impl Thread {
    fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = inbox.blocking_recv() {
            if self.crashed.load(Ordering::Acquire) {
                break;
            }
            // Whoever asked may have crashed meanwhile.
            match order {
                Order::Subscribe(topics, answer) => {
                    let topics: Vec<&str> = topics.iter().map(|topic| &**topic).collect();
                    let done = self.consumer.subscribe(&topics);
                    let done = done.map_err(|e| Why::new(e.to_string()));
                    let _ = answer.send(done.map_or_else(Outcome::Failed, Outcome::Ok));
                }
                Order::Poll(max, within, answer) => {
                    let _ = answer.send(self.poll(max, within));
                }
                Order::Commit(offsets, answer) => {
                    let _ = answer.send(self.commit(&offsets));
                }
                Order::Seek(to, answer) => {
                    let _ = answer.send(self.seek(&to));
                }
                Order::Standing(answer) => {
                    let _ = answer.send(self.standing.take());
                }
            }
        }
        if self.crashed.load(Ordering::Acquire) {
            ffi::abandon(self.consumer);
        }
    }

    fn poll(&mut self, max: usize, within: Duration) -> Reply {
        // Fails for what was taken away meanwhile: then others process it.
        let _taken_away = self.consumer.store_offsets(&self.read);
        self.read = TopicPartitionList::new();
        let until = self.clock.mark() + within;
        let mut deliveries: Vec<Delivery> = Vec::new();
        while deliveries.len() < max && !self.crashed.load(Ordering::Acquire) {
            let wait = match deliveries.is_empty() {
                true => SLICE.min(until.since(self.clock.mark())),
                false => Duration::ZERO,
            };
            let polled = self.consumer.poll(wait);
            let changed = self
                .consumer
                .context()
                .changed
                .swap(false, Ordering::Relaxed);
            match polled {
                Some(Ok(message)) => {
                    let given = delivery(self.run, &message);
                    deliveries.push(given);
                }
                // What was read before it is given first; the error comes again or was passing.
                Some(Err(_)) if !deliveries.is_empty() => break,
                Some(Err(error)) => {
                    return Reply::Polled(Outcome::Failed(Why::new(error.to_string())));
                }
                None if changed => break,
                None if !deliveries.is_empty() || self.clock.mark() >= until => break,
                None => {}
            }
        }
        self.standing = None;
        if self.in_transactions && !deliveries.is_empty() {
            let standing = self.consumer.group_metadata();
            // Looked at after it was taken: who is a member by then was one before.
            self.standing = standing.filter(|_| ffi::generation(&self.consumer) >= 0);
        }
        self.read = list(deliveries.iter().map(|it| (&it.partition, it.offset.0 + 1)));
        Reply::Polled(Outcome::Ok(deliveries))
    }

    fn seek(&self, to: &[(Partition, Offset)]) -> Outcome<()> {
        let sought = self.consumer.seek_partitions(offsets_of(to), SEEK);
        let sought = sought.and_then(|done| {
            let mut each = done.elements().into_iter().map(|it| it.error());
            each.try_for_each(|sought| sought)
        });
        match sought {
            Ok(()) => Outcome::Ok(()),
            Err(error) => Outcome::Unknown(Why::new(error.to_string())),
        }
    }

    fn commit(&self, offsets: &[(Partition, Offset)]) -> Outcome<()> {
        let list = offsets_of(offsets);
        match self.consumer.commit(&list, Sync::Sync) {
            Ok(()) => Outcome::Ok(()),
            // A coordinator that was asked twice may have done it the first time.
            Err(error) => Outcome::Unknown(Why::new(error.to_string())),
        }
    }
}

/// Offsets as the library takes them.
pub(super) fn offsets_of(offsets: &[(Partition, Offset)]) -> TopicPartitionList {
    list(offsets.iter().map(|(partition, next)| (partition, next.0)))
}

fn list<'a>(offsets: impl Iterator<Item = (&'a Partition, i64)>) -> TopicPartitionList {
    let mut last = std::collections::BTreeMap::new();
    offsets.for_each(|(partition, next)| {
        last.insert(partition, next);
    });
    let mut list = TopicPartitionList::new();
    for (partition, next) in last {
        let next = ::rdkafka::Offset::Offset(next);
        // Only a negative offset is refused.
        let _never = list.add_partition_offset(&partition.topic, partition.index, next);
    }
    list
}

fn delivery(run: RunId, message: &BorrowedMessage<'_>) -> Delivery {
    Delivery {
        partition: Partition::new(message.topic(), message.partition()),
        offset: Offset(message.offset()),
        payload: payload::recognise(run, message.payload().unwrap_or_default()),
        epoch: None,
        broker: None,
    }
}
