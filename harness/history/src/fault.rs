//! Faults as data: what was done to whom, in which stage, with which proof.
//!
//! How a fault is injected, proved and undone is `nemesis`; what it means for a verdict is
//! `checkers`. Here it is only a value that both understand.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Mark;
use crate::ids::{FaultId, NodeId};

/// A process of the cluster, by what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// The Kafka broker of a node.
    Broker,
    /// The ZooKeeper server of a node.
    ZooKeeper,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Service::Broker => "broker",
            Service::ZooKeeper => "zookeeper",
        })
    }
}

/// A port by its role; the lab file gives the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortName {
    /// The listener that clients and other brokers use.
    Broker,
    /// The second listener, for probes only. Never cut.
    Probe,
    /// ZooKeeper's client port.
    ZkClient,
    /// ZooKeeper's follower-to-leader port.
    ZkPeer,
    /// ZooKeeper's election port.
    ZkElection,
}

/// One direction of traffic between two nodes: packets *from* one *to* the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Who sends.
    pub from: NodeId,
    /// Who no longer receives.
    pub to: NodeId,
    /// Only packets to this port of `to` (and to nothing else); every packet when absent.
    pub port: Option<PortName>,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)?;
        match self.port {
            None => Ok(()),
            Some(PortName::Broker) => write!(f, " port broker"),
            Some(PortName::Probe) => write!(f, " port probe"),
            Some(PortName::ZkClient) => write!(f, " port zk-client"),
            Some(PortName::ZkPeer) => write!(f, " port zk-peer"),
            Some(PortName::ZkElection) => write!(f, " port zk-election"),
        }
    }
}

/// What kind of harm. The plan's vocabulary and the nemesis' catalogue share it. Variants are only
/// ever added at the end: their numbers stand in recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// SIGKILL; healed by starting the process again once its ZooKeeper session is gone.
    Kill,
    /// SIGSTOP; healed by SIGCONT.
    Pause,
    /// SIGTERM and a wait for the clean end; healed by starting the process again at once.
    Restart,
    /// A host loses its peers and their ZooKeepers, both ways; clients still reach it.
    Isolate,
    /// Single directed links, or single ports of them.
    Cut,
    /// SIGTERM and a wait for the clean end; down until it is healed.
    Stop,
    /// Links that are cut and let go, again and again.
    Flap,
    /// Clients lose a broker's listener; its peers still reach it.
    Clients,
    /// Links that are slow, lossy, narrow, or deliver twice, wrongly or out of order.
    Shape,
    /// A leader election asked for: preferred or unclean.
    Elect,
    /// A partition's replicas moved; healed by moving them back.
    Reassign,
    /// A topic's setting changed under load; healed by what it was.
    Configure,
    /// No room left on the file system of a broker's log directory.
    FillDisk,
    /// A log directory on a device that answers late.
    SlowDisk,
    /// A log directory on a device that answers with errors.
    FailDisk,
    /// SIGKILL and the loss of what was not flushed, as a power cut may do; healed by a start.
    PowerCut,
    /// One bit of one segment of a replica changed.
    FlipBit,
    /// A stopped broker's checkpoint files removed, or put back to what they were before.
    Checkpoints,
    /// A stopped broker's log directory emptied.
    Wipe,
    /// DeleteRecords.
    DeleteRecords,
    /// A host's clock set off; healed by setting it right.
    Clock,
    /// A client of ours ended without goodbye; healed by a fresh one.
    CrashClient,
}

/// Every kind with its word, in the order of its number.
const KINDS: [(FaultKind, &str); 22] = [
    (FaultKind::Kill, "kill"),
    (FaultKind::Pause, "pause"),
    (FaultKind::Restart, "restart"),
    (FaultKind::Isolate, "isolate"),
    (FaultKind::Cut, "cut"),
    (FaultKind::Stop, "stop"),
    (FaultKind::Flap, "flap"),
    (FaultKind::Clients, "clients"),
    (FaultKind::Shape, "shape"),
    (FaultKind::Elect, "elect"),
    (FaultKind::Reassign, "reassign"),
    (FaultKind::Configure, "configure"),
    (FaultKind::FillDisk, "fill-disk"),
    (FaultKind::SlowDisk, "slow-disk"),
    (FaultKind::FailDisk, "fail-disk"),
    (FaultKind::PowerCut, "power-cut"),
    (FaultKind::FlipBit, "flip-bit"),
    (FaultKind::Checkpoints, "checkpoints"),
    (FaultKind::Wipe, "wipe"),
    (FaultKind::DeleteRecords, "delete-records"),
    (FaultKind::Clock, "clock"),
    (FaultKind::CrashClient, "crash-client"),
];

impl FaultKind {
    /// Every kind, in the order of its number.
    pub fn all() -> impl Iterator<Item = FaultKind> {
        KINDS.into_iter().map(|(kind, _)| kind)
    }

    /// Whether a process is gone while the fault lasts.
    pub fn takes_down(self) -> bool {
        matches!(
            self,
            FaultKind::Kill
                | FaultKind::Restart
                | FaultKind::Stop
                | FaultKind::PowerCut
                | FaultKind::Checkpoints
                | FaultKind::Wipe
        )
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(KINDS[*self as usize].1)
    }
}

/// A fault with its targets resolved: exactly what is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What kind.
    pub kind: FaultKind,
    /// The processes that are killed, paused or restarted.
    pub processes: Vec<(NodeId, Service)>,
    /// The links that are cut.
    pub links: Vec<Link>,
    /// How the target was found, with its proof: `leader of ledger/0 is n0 (e1, metadata of n1 at 9.120s)`.
    pub because: String,
}

impl Deed {
    /// The nodes whose processes are harmed, or that a cut separates from somebody, ascending.
    pub fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<NodeId> = self
            .processes
            .iter()
            .map(|(node, _)| *node)
            .chain(self.links.iter().flat_map(|link| [link.from, link.to]))
            .collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }
}

/// One stage of one fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultEvent {
    /// Which fault.
    pub fault: FaultId,
    /// When this stage was reached.
    pub at: Mark,
    /// The stage.
    pub stage: Stage,
}

/// The life of a fault. `Injecting` is written before anything is done, so that a crash leaves no
/// effect without a cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// About to be done.
    Injecting {
        /// The fault as the plan asked for it: `kill leader of ledger/0`.
        asked: String,
        /// What that meant at this moment.
        deed: Deed,
    },
    /// In force, read back from the host.
    Injected {
        /// What was read: process table, packet counters, refused connection.
        evidence: String,
    },
    /// Done, but the reading back says that nothing took effect.
    Ineffective {
        /// What was read.
        evidence: String,
    },
    /// About to be undone.
    Healing,
    /// Undone, read back from the host.
    Healed {
        /// What was read.
        evidence: String,
    },
    /// Could not be undone; somebody must look.
    Stuck {
        /// What stands in the way.
        why: String,
    },
    /// It took effect between these two moments. Written before its proof; the decision is at
    /// `Injecting`.
    TookEffect {
        /// Just before the command that brought it about was sent.
        after: Mark,
        /// When that command had answered.
        before: Mark,
    },
}
