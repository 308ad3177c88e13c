//! The system under test as the runner and the nemesis see it.
//!
//! One trait, implemented by real hosts over SSH (`RemoteCluster`) and by the fake cluster of the
//! runner's tests. It acts and reads back; it never chooses a fault and never records an event.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use history::{
    Clock, ClockSample, FaultId, HostFacts, Link, Mark, NodeId, Observation, Offset, Partition,
    ProcessState, Service, Topic, TopicSetting,
};

use crate::error::ClusterError;
use crate::injection::{Altered, Effect, Injection, Powers};

/// Three hosts with Kafka and ZooKeeper on them. Futures are not `Send`: everything that uses this
/// runs on one thread.
#[allow(async_fn_in_trait)]
pub trait System {
    /// The nodes, ascending.
    fn nodes(&self) -> Vec<NodeId>;

    /// `host:port` of each broker's client listener, for `bootstrap.servers`.
    fn bootstrap(&self) -> String;

    /// Takes the host-side locks, installs artefacts that are not there yet, writes configurations.
    async fn install(&self) -> Result<(), ClusterError>;

    /// Starts three ZooKeepers and three brokers and waits until all are registered. Returns the
    /// processes that were started.
    async fn bring_up(&self) -> Result<Vec<Started>, ClusterError>;

    /// Creates a topic and waits until every broker's own metadata shows it with a full ISR.
    async fn create_topic(&self, name: &Topic, spec: &plan::TopicSpec) -> Result<(), ClusterError>;

    /// Effective settings of brokers and topics, read back from the brokers and compared with what
    /// was asked; a difference is an error that names the property.
    async fn describe(&self) -> Result<Described, ClusterError>;

    /// One comparison with the run's clock of every host that answers; an error when none does.
    async fn sample_clocks(&self, clock: &Clock) -> Result<Vec<ClockSample>, ClusterError>;

    /// Probes that deliver observations until dropped. `interval` is the pause between two rounds
    /// of one node.
    fn probes(&self, clock: Clock, partitions: Vec<Partition>, interval: Duration) -> Probes;

    /// What the host's process table says about a service.
    async fn process(&self, node: NodeId, service: Service) -> Result<ProcessState, ClusterError>;

    /// Sends a signal and waits until it is obeyed; says what the process was before and is then.
    /// To a process that is gone nothing is sent, nor a [`Signal::Stop`] to a paused one, which would
    /// not hear it; neither is an error. On a host whose undo is not
    /// armed only [`Signal::Resume`] is sent.
    async fn signal(
        &self,
        node: NodeId,
        service: Service,
        signal: Signal,
        clock: &Clock,
    ) -> Result<Signalled, ClusterError>;

    /// Starts a service; for a broker, once its old ZooKeeper session is gone. Returns when the
    /// broker is registered again. Starting a service that runs is no error and starts nothing.
    async fn start(&self, node: NodeId, service: Service) -> Result<Started, ClusterError>;

    /// What every host can suffer. Looks, and leaves nothing behind.
    async fn powers(&self) -> Result<Vec<Powers>, ClusterError>;

    /// Does what is asked in the name of a fault, and reads it back. On a host whose undo is not
    /// armed nothing is done.
    async fn inject(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Effect, ClusterError>;

    /// Undoes an injection from what *is*: what is not there any more is no error, and what cannot
    /// be undone (a lost suffix, a flipped bit) is left as it is. Returns what was read back, in
    /// words, and the settings that are others now.
    async fn recover(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Recovered, ClusterError>;

    /// Cuts links in the name of a fault, on all hosts at once. Cutting twice is cutting once. On a
    /// host whose undo is not armed nothing is done. Returns when it was asked for and when the
    /// last host had answered.
    async fn cut(
        &self,
        fault: FaultId,
        links: &[Link],
        clock: &Clock,
    ) -> Result<(Mark, Mark), ClusterError>;

    /// Removes every cut of a fault, whatever is there.
    async fn mend(&self, fault: FaultId) -> Result<(), ClusterError>;

    /// Every cut in force on every host, with what its rules have dropped so far. A host that does
    /// not answer is an error: its silence proves neither a cut nor its end.
    async fn cuts(&self) -> Result<Vec<CutReading>, ClusterError>;

    /// Whether a fresh TCP connection over this link succeeds: asked from host `from` to `to`.
    async fn connects(&self, link: Link) -> Result<bool, ClusterError>;

    /// The first line of a broker's logs that holds `needle`, if there is one.
    async fn find_log_line(
        &self,
        node: NodeId,
        needle: &str,
    ) -> Result<Option<String>, ClusterError>;

    /// How far each log of a broker is known to be flushed, as its checkpoint file says; nothing of
    /// a log that the file does not name. Read off the disk: the broker is not asked.
    async fn recovery_points(
        &self,
        node: NodeId,
    ) -> Result<BTreeMap<Partition, Offset>, ClusterError>;

    /// The node whose ZooKeeper server leads the ensemble, if one does. An error when no server
    /// answers.
    async fn zookeeper_leader(&self) -> Result<Option<NodeId>, ClusterError>;

    /// The broker that coordinates a consumer group, as most brokers say; nobody while there are
    /// no groups. An error when no broker answers.
    async fn coordinator(&self, group: &str) -> Result<Option<NodeId>, ClusterError>;

    /// Copies a node's partition directories and checkpoint files, verbatim, into the archive
    /// `into` (tar, zstd). Memory is bounded, whatever the size.
    async fn copy_image(
        &self,
        node: NodeId,
        partitions: &[Partition],
        into: &Path,
    ) -> Result<Copied, ClusterError>;

    /// Copies a node's configuration and logs, verbatim, into the directory `into`.
    async fn copy_logs(&self, node: NodeId, into: &Path) -> Result<(), ClusterError>;

    /// Stops what still runs, removes what the run left on the hosts, gives the locks back.
    async fn tear_down(&self) -> Result<(), ClusterError>;
}

/// An injection that was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// What was read back.
    pub evidence: String,
    /// Settings that were put back.
    pub altered: Vec<Altered>,
}

impl Recovered {
    /// With no setting put back.
    pub fn told(evidence: String) -> Self {
        Self {
            evidence,
            altered: Vec::new(),
        }
    }
}

/// What can be said to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Signal {
    /// SIGKILL; obeyed when the process is gone.
    Kill,
    /// SIGSTOP; obeyed when it is stopped.
    Pause,
    /// SIGCONT; obeyed when it is not stopped any more.
    Resume,
    /// SIGTERM; obeyed when it has ended by itself, within half a minute.
    Stop,
}

/// A process that was signalled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signalled {
    /// What the process table said just before.
    pub before: ProcessState,
    /// What it said when the signal was obeyed, or when there was no more waiting.
    pub after: ProcessState,
    /// Just before the command was sent, and when it had answered.
    pub between: (Mark, Mark),
}

/// A process that was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Started {
    /// Where.
    pub node: NodeId,
    /// What.
    pub service: Service,
    /// Its process id there.
    pub pid: u32,
    /// False when it was already running.
    pub fresh: bool,
}

/// A cut as its host reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutReading {
    /// In whose name it was made.
    pub fault: FaultId,
    /// The host that drops the packets.
    pub on: NodeId,
    /// What is cut.
    pub link: Link,
    /// Packets that the rule dropped so far.
    pub packets: u64,
}

/// What copying an image found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    /// The broker's process while its files were copied.
    pub process: ProcessState,
    /// The same files, inodes and epoch files before and after, and nothing shrank.
    pub unchanged: bool,
    /// Bytes read from the host.
    pub bytes: u64,
}

/// Effective settings, read back.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// By node.
    pub brokers: BTreeMap<NodeId, BTreeMap<String, String>>,
    /// By topic.
    pub topics: BTreeMap<Topic, TopicSetting>,
    /// By node.
    pub hosts: BTreeMap<NodeId, HostFacts>,
}

/// A stream of observations; dropping it ends the probing.
#[derive(Debug)]
pub struct Probes {
    /// Where the answers arrive.
    pub observations: tokio::sync::mpsc::UnboundedReceiver<Observation>,
    /// Ends the probing tasks when dropped.
    pub guard: tokio::task::JoinSet<()>,
}
