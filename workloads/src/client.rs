//! The clients that a workload drives. A client does what it is told and says what came of it; it
//! never records, never retries above its library, never knows that faults exist.

use std::time::Duration;

use history::{ClientId, Mark, Offset, OpId, Outcome, Partition, Reply, SendAck, ValueId};
use plan::Load;

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

/// A producer handle.
#[allow(async_fn_in_trait)]
pub trait Producer {
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

    /// Ends this handle as a crash of its process would: nothing is flushed, nobody is told.
    /// What had been answered completes as it was answered, everything else as unknown: after this
    /// `submit` and `completions` are not called again.
    fn crash(&mut self) -> Vec<Completion>;
}

/// A consumer handle with manual assignment and no group.
#[allow(async_fn_in_trait)]
pub trait Consumer {
    /// Reads these partitions from these offsets on.
    async fn assign(&mut self, from: &[(Partition, Offset)]) -> Outcome<()>;

    /// The next records, at most `max` of them, waiting at most `within`. No records is `Ok` of an
    /// empty list.
    async fn poll(&mut self, max: usize, within: Duration) -> Reply;

    /// Ends this handle as a crash of its process would: nobody is told.
    fn crash(self);
}

/// Opens clients. The real one is rdkafka; the tests' one is in memory.
pub trait Clients {
    /// Its producers.
    type Producer: Producer;
    /// Its consumers.
    type Consumer: Consumer;

    /// Opens a producer for one topic's load.
    fn producer(&self, id: ClientId, load: &Load) -> Result<Self::Producer, OpenError>;

    /// Opens a consumer.
    fn consumer(&self, id: ClientId) -> Result<Self::Consumer, OpenError>;

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
