//! The clients that a workload drives. A client does what it is told and says what came of it; it
//! never records, never retries above its library, never knows that faults exist.

use std::time::Duration;

use history::{
    ClientId, Mark, Offset, OpId, Outcome, Partition, Rebalance, Reply, SendAck, Topic, ValueId,
    Why,
};
use plan::{Group, Load};

/// One record to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The operation it belongs to; comes back in the completion.
    pub op: OpId,
    /// Where to.
    pub partition: Partition,
    /// Which payload.
    pub value: ValueId,
}

/// A send that came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    /// Which operation.
    pub op: OpId,
    /// Taken when the client library reported it.
    pub at: Mark,
    /// What may be concluded.
    pub outcome: Outcome<SendAck>,
}

/// How long a transaction may stay open before its coordinator aborts it (`transaction.timeout.ms`):
/// ten seconds longer than its records may take.
pub fn transaction_timeout(load: &Load) -> Duration {
    load.delivery_timeout + Duration::from_secs(10)
}

/// A step of a producer's transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transact {
    /// Make itself known to the coordinator; once, before all others.
    Register,
    /// Begin one.
    Begin,
    /// End it.
    End {
        /// Committed, else aborted.
        commit: bool,
    },
}

/// What came of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transacted {
    /// What may be concluded.
    pub outcome: Outcome<()>,
    /// What an application does next.
    pub then: Then,
}

impl Transacted {
    /// It was done.
    pub fn done() -> Self {
        Self {
            outcome: Outcome::Ok(()),
            then: Then::GoOn,
        }
    }

    /// It was not done, and this producer will do nothing any more.
    pub fn dead(why: &str) -> Self {
        Self {
            outcome: Outcome::Failed(Why::new(why)),
            then: Then::Dead,
        }
    }
}

/// What an application does after a step of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The next one.
    GoOn,
    /// The same one again.
    Again,
    /// Abort the transaction.
    Abort,
    /// Open another producer.
    Dead,
}

/// A producer handle.
#[allow(async_fn_in_trait)]
pub trait Producer {
    /// How a consumer stands in its group, as this producer tells its coordinator.
    type Standing;

    /// Hands records to the client library, in order. Never blocks on the network. What the library
    /// refuses at once comes back as a completion like any other.
    fn submit(&mut self, records: &[Record]);

    /// Completions since the last call, at least one; waits for it. Each operation completes
    /// exactly once. Dropping the future before it is ready loses nothing.
    async fn completions(&mut self) -> Vec<Completion>;

    /// Whether the client library gave this handle up for good: it will refuse every record from now
    /// on, and an application would open another.
    fn is_dead(&self) -> bool;

    /// Waits until nothing is in flight, at most `within`; what is then still in flight is purged
    /// and completes as unknown. After this `completions` has delivered every operation.
    async fn finish(&mut self, within: Duration) -> Vec<Completion>;

    /// Takes a step of a transaction, at most `within`. Sends are handed over between a begin and
    /// an end, and nothing is in flight when a transaction is to be committed. Only of a producer
    /// that was opened with a transactional id.
    async fn transact(&mut self, step: Transact, within: Duration) -> Transacted;

    /// Commits a group's next offsets to process within the open transaction, at most `within`: they
    /// count if it is committed. `standing` is how the consumer stood that was given the records
    /// before them; a group that has changed since refuses.
    async fn send_offsets(
        &mut self,
        offsets: &[(Partition, Offset)],
        standing: Self::Standing,
        within: Duration,
    ) -> Transacted;

    /// Ends this handle as a crash of its process would: nothing is flushed, nobody is told.
    /// What had been answered completes as it was answered, everything else as unknown: after this
    /// `submit` and `completions` are not called again.
    fn crash(&mut self) -> Vec<Completion>;
}

/// What a consumer is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// To read along; what stands in open and aborted transactions too.
    Everything,
    /// To read along what is committed.
    Committed,
    /// To read everything and tell where a log ends: markers of transactions are given to nobody.
    ToTheEnd,
}

/// A consumer handle with manual assignment and no group.
#[allow(async_fn_in_trait)]
pub trait Consumer {
    /// Reads these partitions from these offsets on.
    async fn assign(&mut self, from: &[(Partition, Offset)]) -> Outcome<()>;

    /// The next records, at most `max` of them, waiting at most `within`. No records is `Ok` of an
    /// empty list.
    async fn poll(&mut self, max: usize, within: Duration) -> Reply;

    /// Ends of logs that were met since the last call, with the next offset behind them. Only a
    /// consumer that reads to the end is sure to tell.
    fn ends(&mut self) -> Vec<(Partition, Offset)>;

    /// Ends this handle as a crash of its process would: nobody is told.
    fn crash(self);
}

/// What a group did to a member's partitions: when, what, which.
pub type Move = (Mark, Rebalance, Vec<Partition>);

/// A consumer that belongs to a group.
#[allow(async_fn_in_trait)]
pub trait Member {
    /// How it stands in its group: as which member, in which generation.
    type Standing;

    /// Joins its group for these topics.
    async fn subscribe(&mut self, topics: &[Topic]) -> Outcome<()>;

    /// The next records, at most `max` of them, waiting at most `within`. No records is `Ok` of an
    /// empty list. Records of earlier polls count as processed by now. A change of the group ends a
    /// poll: what the poll brought came before it.
    async fn poll(&mut self, max: usize, within: Duration) -> Reply;

    /// Commits the next offset to process of each partition, and waits for the answer.
    async fn commit(&mut self, offsets: &[(Partition, Offset)]) -> Outcome<()>;

    /// How it stood in its group when a poll last brought records. Nothing if it had none to commit
    /// with: not a member any more, or one that commits otherwise.
    async fn standing(&mut self) -> Option<Self::Standing>;

    /// Reads on from these offsets.
    async fn seek(&mut self, to: &[(Partition, Offset)]) -> Outcome<()>;

    /// What the group did since the last call, in order.
    fn moves(&mut self) -> Vec<Move>;

    /// Leaves the group and ends.
    fn leave(self);

    /// Ends as a crash of its process would: the group is told nothing.
    fn crash(self);
}

/// Opens clients. The real one is rdkafka; the tests' one is in memory.
pub trait Clients {
    /// How a consumer stands in its group.
    type Standing;
    /// Its producers.
    type Producer: Producer<Standing = Self::Standing>;
    /// Its consumers.
    type Consumer: Consumer;
    /// Its consumers that belong to groups.
    type Member: Member<Standing = Self::Standing>;

    /// Opens a producer for one topic's load, with a `transactional.id` where that is transactional.
    fn producer(
        &self,
        id: ClientId,
        load: &Load,
        transactional_id: Option<&str>,
    ) -> Result<Self::Producer, OpenError>;

    /// Opens a consumer.
    fn consumer(&self, id: ClientId, reading: Reading) -> Result<Self::Consumer, OpenError>;

    /// Opens a consumer of a group, which begins at a log's start where nothing is committed.
    fn member(
        &self,
        id: ClientId,
        group: &Group,
        read_committed: bool,
    ) -> Result<Self::Member, OpenError>;

    /// The client library and its features, as it names itself.
    fn describe(&self) -> String;
}

/// A client could not be opened: a setting that the library refuses.
#[derive(Debug, thiserror::Error)]
#[error("cannot open client {client}: {why}")]
pub struct OpenError {
    /// Which.
    pub client: ClientId,
    /// What the library said.
    pub why: String,
}
