//! What can be done to hosts, logs and topics beyond processes and cut links, as data.
//!
//! Each kind has a module of its own that does it, reads it back, and undoes it from what *is*. None
//! chooses a target, and none is done on a host whose undo is not armed (`guard`).

use std::fmt;
use std::time::Duration;

use history::{Harm, Link, Mark, NodeId, Offset, Partition, Topic};
use plan::{SegmentChoice, Shape, Tail};

/// One thing that is done, with every target resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Injection {
    /// Drop what anybody who is no node of the lab sends to the client listener of these brokers.
    Clients(Vec<NodeId>),
    /// Make links worse. netem where the kernel has it, tbf and iptables' statistic where not.
    Shape {
        /// Which, each in its direction.
        links: Vec<Link>,
        /// How.
        shape: Shape,
    },
    /// Fill the bounded file system of a log directory to its last block.
    FillDisk(NodeId),
    /// Delay every write of a log directory's device (dm-delay).
    SlowDisk(NodeId, Duration),
    /// Answer every access of a log directory's device with an error (dm-error).
    FailDisk(NodeId),
    /// Take from a broker that is gone what it had not flushed, in every log of these partitions.
    LoseUnflushed {
        /// Whose broker; its process must be gone.
        node: NodeId,
        /// Which logs.
        partitions: Vec<Partition>,
        /// What is left at the end of each.
        tail: Tail,
    },
    /// Change one bit in the value of a record.
    FlipBit {
        /// Whose replica.
        node: NodeId,
        /// Of which partition.
        partition: Partition,
        /// In which segment.
        segment: SegmentChoice,
    },
    /// Copy a broker's checkpoint files, to be put back by [`Injection::Checkpoints`]. Harms nothing.
    KeepCheckpoints(NodeId),
    /// Remove a gone broker's checkpoint files, or put back those of [`Injection::KeepCheckpoints`].
    Checkpoints {
        /// Whose broker; its process must be gone.
        node: NodeId,
        /// Put back older ones instead of removing them.
        stale: bool,
    },
    /// Empty the log directory of a broker that is gone.
    Wipe {
        /// Whose broker; its process must be gone.
        node: NodeId,
        /// Which partitions are known to have had a replica there.
        partitions: Vec<Partition>,
    },
    /// Ask the controller for a leader election.
    Elect {
        /// Of which partition.
        partition: Partition,
        /// Unclean instead of preferred.
        unclean: bool,
    },
    /// Give a partition other replicas, and wait until they are in sync.
    Reassign {
        /// Which partition.
        partition: Partition,
        /// Its replicas, the preferred leader first.
        to: Vec<NodeId>,
    },
    /// Change a topic's setting.
    Configure {
        /// Whose.
        topic: Topic,
        /// Kafka's name.
        key: String,
        /// The new value.
        value: String,
    },
    /// DeleteRecords.
    DeleteRecords {
        /// Of which partition.
        partition: Partition,
        /// The new log start; the HW when absent.
        before: Option<Offset>,
    },
    /// Set a host's clock off by so many milliseconds, again and again where `strobe` is given.
    Clock {
        /// Whose.
        node: NodeId,
        /// By how much; negative: back.
        by_ms: i64,
        /// How often it is bumped forth and back.
        strobe: Option<Duration>,
    },
}

/// What reading back showed after an injection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Whether it is in force. Never true because it was ordered.
    pub in_force: bool,
    /// What was read, in words that name the means that was used.
    pub evidence: String,
    /// Just before the command that brought it about was sent, and when it had answered.
    pub between: (Mark, Mark),
    /// What logs lost by it, as read from their files.
    pub harms: Vec<(Partition, Harm)>,
    /// A setting that is another one now, read back from the brokers.
    pub altered: Vec<Altered>,
}

impl Effect {
    /// One that took nothing from a log and changed no setting.
    pub fn new(in_force: bool, evidence: String, between: (Mark, Mark)) -> Self {
        Self {
            in_force,
            evidence,
            between,
            harms: Vec::new(),
            altered: Vec::new(),
        }
    }
}

/// A topic's setting, changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Altered {
    /// Of which topic.
    pub topic: Topic,
    /// Kafka's name of the property.
    pub key: String,
    /// Its new value; absent: back to what the brokers say.
    pub value: Option<String>,
    /// Before the request, and when every broker that is there had taken the new value over, by its
    /// own log; a year on where one had not in time, or was paused.
    pub between: (Mark, Mark),
}

/// What a host's kernel and tools can do; asked of the host, never assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Power {
    /// Rules in the filter table (iptables, as root).
    Iptables,
    /// iptables' `statistic` match.
    Statistic,
    /// The netem queueing discipline.
    Netem,
    /// The tbf queueing discipline.
    Tbf,
    /// The log directory is a file system of its own.
    OwnDisk,
    /// device-mapper's delay and error targets.
    DeviceMapper,
    /// A clock that no other host of the lab shares.
    OwnClock,
}

/// The powers in the order of [`Power`], with the words of a plan's refusal.
pub const POWERS: [(Power, &str); 7] = [
    (Power::Iptables, "iptables as root"),
    (Power::Statistic, "iptables' statistic match"),
    (Power::Netem, "the netem queueing discipline"),
    (Power::Tbf, "the tbf queueing discipline"),
    (
        Power::OwnDisk,
        "a file system of its own for the log directory",
    ),
    (Power::DeviceMapper, "device-mapper (dm-delay, dm-error)"),
    (Power::OwnClock, "a clock of its own"),
];

impl Power {
    /// What gives it to a host that lacks it, in a clause.
    pub fn remedy(self) -> &'static str {
        match self {
            Power::Iptables => {
                "install iptables and allow the login user to run it by sudo; `tidemark doctor` \
                 prints the lines for sudoers"
            }
            Power::Statistic => "sudo modprobe xt_statistic",
            Power::Netem => {
                "sudo modprobe sch_netem; on RHEL 8 and later it is in the package \
                 kernel-modules-extra"
            }
            Power::Tbf => "sudo modprobe sch_tbf",
            Power::OwnDisk => "`disk = \"512MiB\"` in the plan's [cluster], and root on the host",
            Power::DeviceMapper => {
                "hosts that are machines of their own, with the package device-mapper (dmsetup on \
                 Debian and Ubuntu), sudo modprobe dm-delay, and `disk = \"512MiB\"` in the plan's \
                 [cluster]"
            }
            Power::OwnClock => {
                "hosts with a kernel of their own (machines, not namespaces or containers of one)"
            }
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(POWERS[*self as usize].1)
    }
}

/// A power that a host lacks, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lack {
    /// Which.
    pub power: Power,
    /// In the host's own words where it has some: `tc: Specified qdisc kind is unknown`.
    pub why: String,
}

/// The powers of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Powers {
    /// Whose.
    pub node: NodeId,
    /// What it lacks; it has all others.
    pub lacks: Vec<Lack>,
}

impl Powers {
    /// Why the host lacks a power; none when it has it.
    pub fn lack(&self, power: Power) -> Option<&str> {
        let found = self.lacks.iter().find(|lack| lack.power == power);
        found.map(|lack| lack.why.as_str())
    }
}
