//! What a plan can ask to be done to a cluster: every fault, its parameters and its targets.
//!
//! An ask is not yet resolved: who leads is found at the moment of injection (`nemesis`). Whether a
//! lab has the power for it is asked of its hosts at run time (`cluster`).

use std::collections::BTreeSet;
use std::time::Duration;

use history::{FaultKind, Link, NodeId, Offset, Partition, Service, Topic};
use serde::Serialize;

/// A fault as asked for: its kind, its parameters and its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Ask {
    /// Kill, pause, stop or restart one service of each node of the target.
    Process {
        /// [`FaultKind::Kill`], [`FaultKind::Pause`], [`FaultKind::Stop`] or [`FaultKind::Restart`].
        kind: FaultKind,
        /// Broker unless the plan says `zookeeper of`.
        service: Service,
        /// Whose.
        target: Target,
    },
    /// Cut a node off from all other nodes, both ways; clients still reach it.
    Isolate(Target),
    /// Cut single links.
    Cut(Vec<Link>),
    /// Groups of nodes that do not hear each other; within a group all is well.
    Split(Vec<BTreeSet<NodeId>>),
    /// Nobody hears anybody but this node, which all hear.
    Bridge(Target),
    /// Every node hears only the node before it: of each link between neighbours one direction is cut.
    Ring,
    /// Cut a node off from one kind of counterpart only.
    Part {
        /// Whom.
        target: Target,
        /// From whom.
        from: Counterpart,
    },
    /// Cuts that come and go.
    Flap {
        /// [`Ask::Isolate`], [`Ask::Cut`], [`Ask::Split`], [`Ask::Bridge`], [`Ask::Ring`] or [`Ask::Part`].
        cut: Box<Ask>,
        /// How long it is in force, and then how long it is not.
        every: Duration,
    },
    /// Make links worse without cutting them.
    Shape {
        /// Which, each in its direction; empty: every link of the target, both ways.
        links: Vec<Link>,
        /// All links of these nodes, where no link is named.
        target: Option<Target>,
        /// How.
        shape: Shape,
    },
    /// Elect a partition's leader: `elect preferred of ledger/0`, `elect unclean of ledger/0`.
    Elect {
        /// Of which partition.
        partition: Partition,
        /// An unclean election takes a replica that is not in sync; only where no replica in sync lives.
        unclean: bool,
    },
    /// Give a partition other replicas: `reassign ledger/0 to n1, n2, n0`. Healed by the plan's own.
    Reassign {
        /// Which partition.
        partition: Partition,
        /// Its replicas, the preferred leader first.
        to: Vec<NodeId>,
    },
    /// Change a topic's setting under load: `configure ledger min.insync.replicas = 1`.
    Configure {
        /// Whose.
        topic: Topic,
        /// Kafka's name of the property.
        key: String,
        /// Its new value.
        value: String,
    },
    /// Fill the file system of the log directory. Needs one of its own (`[cluster] disk`).
    FillDisk(Target),
    /// Make every write to the log directory's device wait so long. Needs device-mapper.
    SlowDisk(Target, Duration),
    /// Make the log directory's device answer with errors. Needs device-mapper.
    FailDisk(Target),
    /// SIGKILL and the loss of what was not flushed, never below the durable point (anomalies: A.5).
    PowerCut {
        /// Whose broker.
        target: Target,
        /// What is left where the flushed part ends.
        tail: Tail,
    },
    /// Change one bit of a replica's segment.
    FlipBit {
        /// Whose replica.
        target: Target,
        /// Of which partition.
        partition: Partition,
        /// In which segment.
        segment: SegmentChoice,
    },
    /// Remove the checkpoint files of a broker that is stopped for it, or put back older ones.
    Checkpoints {
        /// Whose.
        target: Target,
        /// Removed, or replaced by those of the time when the storm began.
        stale: bool,
    },
    /// Empty the log directory of a broker that is stopped for it.
    Wipe(Target),
    /// DeleteRecords up to here: `delete records of ledger/0 before @500`, `before hw`.
    DeleteRecords {
        /// Of which partition.
        partition: Partition,
        /// The new log start; the HW when absent.
        before: Option<Offset>,
    },
    /// Set a host's clock off. Refused where hosts share a kernel.
    Clock {
        /// Whose.
        target: Target,
        /// By how much, in milliseconds; negative: back.
        by_ms: i64,
        /// Bumped forth and back so often while it lasts; once when absent.
        strobe: Option<Duration>,
    },
    /// End one of our clients without goodbye, and open a fresh one in its place at the heal.
    CrashClient {
        /// Of which topic's load.
        topic: Topic,
        /// A consumer instead of a producer.
        consumer: bool,
    },
}

/// One list for both: `target` or `target_mut`, and what that makes of an `Option<Target>`.
macro_rules! target_of {
    ($ask:expr, $same:ident, $borrow:ident) => {
        match $ask {
            Ask::Process { target, .. }
            | Ask::Isolate(target)
            | Ask::Bridge(target)
            | Ask::Part { target, .. }
            | Ask::FillDisk(target)
            | Ask::SlowDisk(target, _)
            | Ask::FailDisk(target)
            | Ask::PowerCut { target, .. }
            | Ask::FlipBit { target, .. }
            | Ask::Checkpoints { target, .. }
            | Ask::Wipe(target)
            | Ask::Clock { target, .. } => Some(target),
            Ask::Flap { cut, .. } => cut.$same(),
            Ask::Shape { target, .. } => target.$borrow(),
            Ask::Cut(_)
            | Ask::Split(_)
            | Ask::Ring
            | Ask::Elect { .. }
            | Ask::Reassign { .. }
            | Ask::Configure { .. }
            | Ask::DeleteRecords { .. }
            | Ask::CrashClient { .. } => None,
        }
    };
}

impl Ask {
    /// Whether it is over in the moment in which it takes effect: without `for` it is healed at once
    /// (a restart: started again), where every other fault stays open.
    pub(crate) fn is_momentary(&self) -> bool {
        match self {
            Ask::Process { kind, .. } => *kind == FaultKind::Restart,
            Ask::Elect { .. } | Ask::FlipBit { .. } | Ask::DeleteRecords { .. } => true,
            Ask::Isolate(_)
            | Ask::Cut(_)
            | Ask::Split(_)
            | Ask::Bridge(_)
            | Ask::Ring
            | Ask::Part { .. }
            | Ask::Flap { .. }
            | Ask::Shape { .. }
            | Ask::Reassign { .. }
            | Ask::Configure { .. }
            | Ask::FillDisk(_)
            | Ask::SlowDisk(..)
            | Ask::FailDisk(_)
            | Ask::PowerCut { .. }
            | Ask::Checkpoints { .. }
            | Ask::Wipe(_)
            | Ask::Clock { .. }
            | Ask::CrashClient { .. } => false,
        }
    }

    /// Whether there is nothing to hold: what it did is done, and stays.
    pub(crate) fn leaves_nothing_to_hold(&self) -> bool {
        self.is_momentary() && !matches!(self, Ask::Process { .. })
    }

    /// Whom it befalls, where it says so by a target.
    pub fn target(&self) -> Option<&Target> {
        target_of!(self, target, as_ref)
    }

    /// The same, to be settled.
    pub fn target_mut(&mut self) -> Option<&mut Target> {
        target_of!(self, target_mut, as_mut)
    }
}

/// From whom a node can be parted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Counterpart {
    /// The client ports of all ZooKeeper servers but its own, and of its own: its broker loses its session.
    ZooKeeper,
    /// The brokers' listeners of the other nodes, both ways; ZooKeeper and clients go on.
    Peers,
    /// Everybody who is no node of the lab: only the broker's client listener.
    Clients,
}

/// How links get worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// Every packet waits; `jitter` is the spread, zero for none.
    Delay {
        /// How long.
        by: Duration,
        /// Give or take.
        jitter: Duration,
    },
    /// So many of 100 000 packets are dropped.
    Loss(u32),
    /// So many of 100 000 packets arrive twice.
    Duplicate(u32),
    /// So many of 100 000 packets have a wrong bit.
    Corrupt(u32),
    /// So many of 100 000 packets overtake others.
    Reorder(u32),
    /// At most so many kilobits a second.
    Bandwidth(u32),
}

/// What a power cut leaves where the part ends that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tail {
    /// Whole batches only.
    Aligned,
    /// The first half of a batch.
    Torn,
    /// The file's old length, its end zeros.
    Zeroed,
}

/// A segment, by what it is to its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SegmentChoice {
    /// The newest one, which is written to.
    Active,
    /// The oldest one that is no longer written to.
    Closed,
}

/// Whom a fault befalls; resolved at the moment of injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Target {
    /// This one.
    Node(NodeId),
    /// Any one, drawn from the seed.
    Any,
    /// Every one.
    All,
    /// As many as can go without a majority being lost, drawn from the seed: one of three.
    Minority,
    /// As few as make a majority, drawn from the seed: two of three.
    Majority,
    /// The leader of a partition.
    LeaderOf(Partition),
    /// One follower of a partition, drawn from the seed.
    FollowerOf(Partition),
    /// Every follower of a partition that is in sync.
    FollowersOf(Partition),
    /// The only member that a partition's ISR has left; nobody while it has more.
    LastInSyncOf(Partition),
    /// The controller.
    Controller,
    /// The ZooKeeper server that leads its ensemble.
    ZooKeeperLeader,
    /// The broker that coordinates a consumer group.
    CoordinatorOf(String),
}

/// Every kind of fault once, as a plan writes it; where one has several forms, each of them. A test
/// holds this list to the language, and the documentation to this list.
pub const EXAMPLES: &[&str] = &[
    "kill leader of ledger/0",
    "pause a follower of ledger/0",
    "stop controller",
    "restart zookeeper of zookeeper leader",
    "isolate n0",
    "cut n2 -> n1 port broker, n1 -> n2",
    "split {n0} | {n1, n2}",
    "bridge n1",
    "ring",
    "part any from zookeeper",
    "part leader of ledger/0 from peers",
    "part n2 from clients",
    "flap isolate n1 every 0.5s",
    "delay n1 -> n2 by 0.1s jitter 0.02s",
    "lose 5% of all",
    "duplicate 1.5% of n1",
    "corrupt 0.125% of n1 -> n2",
    "reorder 25% of followers of ledger/0",
    "limit coordinator of payments to 2mbit",
    "elect preferred of ledger/0",
    "elect unclean of ledger/0",
    "reassign ledger/0 to n1, n2, n0",
    "configure ledger min.insync.replicas = 1",
    "fill disk of n1",
    "slow disk of minority by 0.05s",
    "fail disk of any",
    "power-cut last in sync of ledger/0",
    "power-cut majority torn",
    "power-cut n1 zeroed",
    "flip bit of ledger/0 on n1",
    "flip bit of ledger/0 on a follower of ledger/0 closed",
    "remove checkpoints of n1",
    "stale checkpoints of n1",
    "wipe n1",
    "delete records of ledger/0 before @500",
    "delete records of ledger/0 before hw",
    "bump clock of n1 by -0.5s",
    "strobe clock of n1 by 0.2s every 0.05s",
    "crash producer of ledger",
    "crash consumer of ledger",
];

#[cfg(test)]
mod tests;
