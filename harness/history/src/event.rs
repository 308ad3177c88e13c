//! The events of a history, in the order in which the recorder saw them.
//!
//! An operation is two events, so that a run that dies between them still says that something had
//! been asked. Times are taken just outside the call: intervals may be too wide, never too narrow.

use serde::{Deserialize, Serialize};

use crate::change::{Alteration, HarmEvent, RebalanceEvent};
use crate::clock::Mark;
use crate::fault::FaultEvent;
use crate::ids::{ClientId, Epoch, NodeId, Offset, OpId, Partition, Topic, ValueId};
use crate::observation::{ClockSample, ImageTaken, Observation, ProcessEvent};
use crate::outcome::{Outcome, Why};

/// One line of the history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Event {
    /// A client is about to call.
    Invoked {
        /// The operation; unique, ascending.
        op: OpId,
        /// Who calls.
        client: ClientId,
        /// Taken before the call.
        at: Mark,
        /// What is asked.
        call: Call,
    },
    /// A call came back.
    Returned {
        /// The operation that was invoked.
        op: OpId,
        /// Taken after the answer.
        at: Mark,
        /// What the client may conclude.
        reply: Reply,
    },
    /// Something was done to the cluster, or undone.
    Fault(FaultEvent),
    /// A probe's answer.
    Observed(Observation),
    /// A process of the cluster began or ended.
    Process(ProcessEvent),
    /// A phase of the run began.
    Phase {
        /// When.
        at: Mark,
        /// Which.
        phase: Phase,
    },
    /// A step of the schedule fired, was met, or missed its deadline.
    Step(StepEvent),
    /// A host's clock was compared with the run's.
    Clock(ClockSample),
    /// A replica image was copied from a host.
    Image(ImageTaken),
    /// A consumer group gave a client partitions, or took them.
    Rebalance(RebalanceEvent),
    /// A log lost something by our doing.
    Harm(HarmEvent),
    /// A setting was changed under load.
    Altered(Alteration),
}

/// What a client asks of Kafka. New variants go to the end: their numbers stand in files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// Append one record.
    Send {
        /// Where to.
        partition: Partition,
        /// Its payload.
        value: ValueId,
    },
    /// Ask for the next records of what is assigned.
    Poll,
    /// Take these partitions, from these positions on.
    Assign {
        /// Each partition with the first offset to read.
        from: Vec<(Partition, Offset)>,
    },
    /// Join the group for these topics.
    Subscribe {
        /// Which.
        topics: Vec<Topic>,
    },
    /// Read on from other positions.
    Seek {
        /// Each partition with the next offset to read.
        to: Vec<(Partition, Offset)>,
    },
    /// Commit a group's positions.
    Commit {
        /// Each partition with the next offset to process.
        offsets: Vec<(Partition, Offset)>,
    },
    /// Begin a transaction; the client's sends until its end belong to it.
    Begin,
    /// End it.
    End {
        /// Committed, else aborted.
        commit: bool,
    },
}

/// What came of a [`Call`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Answers [`Call::Send`].
    Sent(Outcome<SendAck>),
    /// Answers [`Call::Poll`].
    Polled(Outcome<Vec<Delivery>>),
    /// Answers [`Call::Assign`].
    Assigned(Outcome<()>),
    /// Answers every other call: it was done.
    Done(Outcome<()>),
}

impl Reply {
    /// Whether this can be the answer to `call`.
    pub fn answers(&self, call: &Call) -> bool {
        match call {
            Call::Send { .. } => matches!(self, Reply::Sent(_)),
            Call::Poll => matches!(self, Reply::Polled(_)),
            Call::Assign { .. } => matches!(self, Reply::Assigned(_)),
            Call::Subscribe { .. }
            | Call::Seek { .. }
            | Call::Commit { .. }
            | Call::Begin
            | Call::End { .. } => matches!(self, Reply::Done(_)),
        }
    }
}

/// What a producer was told about a record that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SendAck {
    /// Where it stands; absent when the broker answered "duplicate sequence".
    pub offset: Option<Offset>,
    /// The broker that answered, where the client library tells.
    pub broker: Option<NodeId>,
}

/// One record that a consumer was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// Where from.
    pub partition: Partition,
    /// At which offset.
    pub offset: Offset,
    /// What it holds.
    pub payload: Payload,
    /// The leader epoch of its batch, where the client library tells.
    pub epoch: Option<Epoch>,
    /// The broker that served it, where the client library tells.
    pub broker: Option<NodeId>,
}

/// A record's payload, recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Payload {
    /// A value of this run, intact.
    Value(ValueId),
    /// Starts like one of ours, but its checksum fails.
    Corrupt,
    /// Not ours: another run's, another program's, or none.
    Foreign,
}

/// The phases of a run, in their order (docs/architecture.md, "Running").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Hosts, brokers and topics are made ready.
    Setup,
    /// Load without faults.
    Steady,
    /// The schedule.
    Storm,
    /// Every open fault is undone.
    Heal,
    /// ISR full and HW = LEO everywhere, within a deadline.
    Settle,
    /// Fresh consumers read every partition from its start.
    Drain,
    /// Last probes, brokers paused, images and logs copied.
    Capture,
    /// Processes stopped, hosts left as they were found.
    Teardown,
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Phase::Setup => "setup",
            Phase::Steady => "steady",
            Phase::Storm => "storm",
            Phase::Heal => "heal",
            Phase::Settle => "settle",
            Phase::Drain => "drain",
            Phase::Capture => "capture",
            Phase::Teardown => "teardown",
        })
    }
}

/// Something that the schedule did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEvent {
    /// When.
    pub at: Mark,
    /// The step's number in the saved schedule, from 0.
    pub index: u32,
    /// The step as the plan writes it.
    pub text: String,
    /// What became of it.
    pub stage: StepStage,
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum StepStage {
    /// It began.
    Fired,
    /// It did what it says.
    Done,
    /// Its deadline passed.
    Missed(Why),
}
