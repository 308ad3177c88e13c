//! A plan as values: what is asked of one run.
//!
//! Nothing here acts, and nothing here reads files; `parse` turns TOML into this, `schedule` turns
//! this and a seed into steps.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::ask::Ask;
use history::{CommitMode, NodeId, Partition, Topic};
use serde::{Deserialize, Serialize};

/// The hosts of a lab, and so the brokers of a cluster: n0, n1 and n2.
pub const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

/// One run, as asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// Short name; part of the run directory's name.
    pub name: String,
    /// What the plan is for, in a sentence.
    pub about: String,
    /// The verdict that this plan must end with, where it is a control (a canary).
    pub expect: Option<Expected>,
    /// The system under test.
    pub cluster: ClusterSpec,
    /// Topics with their load, by name.
    pub topics: BTreeMap<Topic, TopicSpec>,
    /// How long each phase may take.
    pub phases: Phases,
    /// The load below which a run means nothing.
    pub minimum: Minimum,
    /// What happens in the storm.
    pub storm: Storm,
    /// What the storm may never do at once.
    pub budget: Budget,
}

/// The verdict that a control must end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Expected {
    /// Everything promised was kept.
    Held,
    /// A promise was broken, as intended.
    Broken,
    /// Not enough could be examined, as intended.
    Unproven,
}

/// The brokers, as asked for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClusterSpec {
    /// Kafka's version: `3.0.0`.
    pub kafka: String,
    /// Time-outs and intervals: `fast` for quick fail-over, `stock` for Kafka's defaults.
    pub profile: Profile,
    /// Broker properties on top of the profile, checked against the known names.
    pub properties: BTreeMap<String, String>,
    /// Brokers in the order in which they are started, each ready before the next; in parallel when empty.
    pub start_order: Vec<NodeId>,
    /// A file system of its own for each broker's log directory, of so many bytes (`disk = "512MiB"`);
    /// the host's own when absent. What fills disks needs it.
    pub disk_bytes: Option<u64>,
}

/// A named set of broker time-outs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Sessions of 4 s, lag of 3 s, checkpoints every second.
    Fast,
    /// Kafka's own defaults.
    Stock,
}

/// One topic and what is sent to and read from it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TopicSpec {
    /// Replicas of each partition, in assignment order; one entry per partition.
    pub assignment: Vec<Vec<NodeId>>,
    /// `min.insync.replicas`.
    pub min_insync_replicas: u32,
    /// Further topic properties, checked against the known names.
    pub properties: BTreeMap<String, String>,
    /// The producers' side.
    pub load: Load,
}

impl TopicSpec {
    /// The partitions of the topic called `name`.
    pub fn partitions<'a>(&'a self, name: &'a Topic) -> impl Iterator<Item = Partition> + 'a {
        (0..self.assignment.len() as i32).map(move |index| Partition::new(name.clone(), index))
    }

    /// Whether its `cleanup.policy` names compaction: then its records need keys.
    pub fn is_compacted(&self) -> bool {
        let policy = self.properties.get("cleanup.policy");
        policy.is_some_and(|policy| policy.split(',').any(|word| word.trim() == "compact"))
    }
}

/// What the clients of one topic do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Load {
    /// Producer handles.
    pub producers: u32,
    /// Consumer handles that read along during the run (the drain has its own).
    pub consumers: u32,
    /// The group that these consumers belong to; each reads by itself when absent. Of a topic that
    /// is copied to, the group of its producers.
    pub group: Option<Group>,
    /// `acks`.
    pub acks: Acks,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// Sends in transactions, one after another, some of them aborted; consumers that read along
    /// read only what is committed.
    pub transactional: bool,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `linger.ms`, in milliseconds.
    pub linger_ms: u32,
    /// `batch.size`, in bytes.
    pub batch_bytes: u32,
    /// `compression.type`.
    pub compression: Compression,
    /// `delivery.timeout.ms` (librdkafka: `message.timeout.ms`).
    pub delivery_timeout: Duration,
    /// Payload size in bytes, header included.
    pub value_bytes: u32,
    /// Records a second over all producers of this topic.
    pub rate: Rate,
}

/// A consumer group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// `group.id`.
    pub name: String,
    /// When its members commit.
    pub commit: CommitMode,
}

/// `acks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Acks {
    /// `acks=0`: never answered.
    #[serde(rename = "0")]
    None,
    /// `acks=1`: answered by the leader alone.
    #[serde(rename = "1")]
    Leader,
    /// `acks=all`: answered once below the HW.
    #[serde(rename = "all")]
    All,
}

impl fmt::Display for Acks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Acks::None => "0",
            Acks::Leader => "1",
            Acks::All => "all",
        })
    }
}

/// `compression.type` of a producer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// None.
    None,
    /// gzip.
    Gzip,
    /// snappy.
    Snappy,
    /// lz4.
    Lz4,
    /// zstd.
    Zstd,
}

/// How fast records are sent.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Rate {
    /// So many a second.
    PerSecond(u32),
    /// As fast as it goes, with a bounded number in flight.
    Max,
    /// Only when a step says so.
    OnDemand,
    /// One for each record of another topic, read by a group of the producers and committed in the
    /// same transaction: `copies = "ledger"`.
    Copying(Topic),
}

/// How long each phase lasts, or may last.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Phases {
    /// Load without faults before the storm.
    pub steady: Duration,
    /// Load without faults after the storm's last step, before the heal.
    pub calm: Duration,
    /// From heal to ISR full and HW = LEO; beyond it liveness is broken.
    pub settle_max: Duration,
    /// For the drain to reach the end of every partition.
    pub drain_max: Duration,
}

/// The load below which a run ends as unproven.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Minimum {
    /// Acknowledged records over the whole run, per topic.
    pub acked: u64,
    /// Acknowledged records a second in the steady phase, over all topics.
    pub acked_per_second: u32,
}

/// What happens in the storm.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Storm {
    /// These steps, in their order.
    Steps(Vec<Step>),
    /// Faults drawn from a seed.
    Drawn(Palette),
}

/// What a storm is drawn from.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Palette {
    /// How long the storm lasts.
    pub length: Duration,
    /// Faults, each with a weight.
    pub faults: Vec<(Ask, u32)>,
    /// Bounds of how long a fault is held.
    pub hold: (Duration, Duration),
    /// Bounds of the quiet time between two faults of one mix.
    pub quiet: (Duration, Duration),
    /// How many faults may be open at once; 1 when the plan says nothing.
    pub at_once: u32,
    /// A mix is a few kinds of the palette that are drawn from for so long, then others; the whole
    /// palette all the time when absent.
    pub shift: Option<Shift>,
    /// Exactly so many faults, spread over the length; as many as fit when absent.
    pub count: Option<u32>,
}

/// How a storm changes its mix of faults.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shift {
    /// For how long a mix is drawn from.
    pub every: (Duration, Duration),
    /// How many kinds of fault a mix has, at most.
    pub kinds: u32,
    /// The quiet phase between two mixes, in which everything is healed.
    pub rest: (Duration, Duration),
}

/// What a storm may never do at once, whatever is drawn or found at injection. By default anything
/// may be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// Brokers that are down, paused, cut off or without disk at one moment.
    pub brokers: Option<u32>,
    /// A majority of ZooKeeper servers always lives and is connected.
    pub zookeeper_majority: bool,
}

/// One step of a schedule. `Display` writes it as a plan does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// When it fires.
    pub when: When,
    /// What it does.
    pub action: Action,
    /// What later steps call it: `... as cutoff`.
    pub name: Option<String>,
}

/// When a step fires; never before the step before it is done (of a fault that is held
/// `meanwhile`: before it is in force).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum When {
    /// As soon as the step before it is done.
    Next,
    /// So long after the storm began.
    At(Duration),
    /// So long after the step of this name was done; its hold and its heal included.
    After {
        /// Which.
        step: String,
        /// How long.
        wait: Duration,
    },
    /// In the moment when a condition holds: `when hw lag of ledger/0 on n2 >= 100 within 20s`.
    Once {
        /// Which.
        condition: Condition,
        /// How long it is waited for at most.
        within: Duration,
        /// What happens when the deadline passes.
        missed: Missed,
    },
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Action {
    /// Send records to a partition and wait for their outcomes: `send 1 to ledger/0`.
    Send {
        /// How many.
        count: u32,
        /// Where to.
        partition: Partition,
    },
    /// Inject a fault: `kill leader of ledger/0`, with `for 6s` healed after that time and the
    /// step done then, else left open until a `heal` step or the heal phase.
    Fault {
        /// What and to whom.
        ask: Ask,
        /// How long it is held.
        hold: Option<Duration>,
        /// The step is done once the fault is in force; its hold goes on beside the next steps.
        meanwhile: bool,
        /// Whether the run is unproven when the fault proves ineffective.
        required: bool,
    },
    /// Undo an open fault by its step's name, or every one: `heal cutoff`, `heal`.
    Heal(Option<String>),
    /// Wait for a condition: `await isr of ledger/0 == {n1, n2} within 20s`.
    Await {
        /// For what.
        condition: Condition,
        /// How long at most.
        within: Duration,
        /// What happens when the deadline passes.
        missed: Missed,
    },
    /// Do nothing for a while: `wait 5s`.
    Wait(Duration),
}

/// What happens when a deadline is missed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Missed {
    /// The storm ends, the run heals and is unproven (the default).
    Stop,
    /// The step is left out and the schedule goes on: `or go on`.
    GoOn,
    /// The step fires all the same: `or fire`. Only of [`When::Once`].
    Fire,
}

/// A condition on live observations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Condition {
    /// `leader of P == n1`: some broker's metadata and that broker itself say so.
    Leader {
        /// Of which partition.
        partition: Partition,
        /// Which node.
        is: NodeId,
    },
    /// `isr of P == {n1, n2}`, as the leader sees it.
    Isr {
        /// Of which partition.
        partition: Partition,
        /// Exactly these.
        members: BTreeSet<NodeId>,
    },
    /// `isr of P == {leader}`: nobody but the leader is left in it.
    LeaderAlone(Partition),
    /// `controller == n1`.
    Controller(NodeId),
    /// `log of n2 has "..."`: a line anywhere in a broker's logs of this run.
    LogLine {
        /// Whose log.
        node: NodeId,
        /// A part of the line, verbatim.
        contains: String,
    },
    /// `election of P within 1s`: a newer epoch was seen first no longer ago than this.
    Election {
        /// Of which partition.
        partition: Partition,
        /// How long ago at most.
        within: Duration,
    },
    /// `all in sync`: every ISR is the whole assignment.
    AllInSync,
    /// `hw lag of P on n2 >= 100`, `epoch of P > 3`, `acked of TOPIC >= 5000`.
    Compare {
        /// What is measured.
        quantity: Quantity,
        /// How it is compared.
        by: Comparison,
        /// With what.
        number: i64,
    },
    /// `A and B`; binds closer than `or`.
    And(Vec<Condition>),
    /// `A or B`.
    Or(Vec<Condition>),
    /// `A for 2s`: it held at every look for so long.
    Lasting(Box<Condition>, Duration),
}

/// Something that observations measure; unknown until somebody answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Quantity {
    /// `hw lag of P on n2`: the leader's HW less that replica's own HW.
    HwLag(Partition, NodeId),
    /// `lag of P on n2`: the leader's LEO less that replica's LEO.
    Lag(Partition, NodeId),
    /// `uncommitted of P`: the leader's LEO less its HW.
    Uncommitted(Partition),
    /// `unflushed of P on n2`: that replica's LEO less its recovery point, as its checkpoint file has it.
    Unflushed(Partition, NodeId),
    /// `epoch of P`: the newest leader epoch that anybody names.
    Epoch(Partition),
    /// `isr size of P`.
    IsrSize(Partition),
    /// `acked of TOPIC`; of all topics when absent (`acked`).
    Acked(Option<Topic>),
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Comparison {
    /// `>=`
    AtLeast,
    /// `>`
    Above,
    /// `<=`
    AtMost,
    /// `<`
    Below,
    /// `==`
    Equal,
}
