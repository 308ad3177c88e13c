//! What happened: identities, operations, outcomes, fault events and observations, on one clock.
//!
//! This package is the language that the running half and the judging half share. It knows
//! neither Kafka clients nor processes nor verdicts; it only writes down, and reads back.

pub mod change;
pub mod clock;
mod columns;
pub mod consistency;
mod error;
pub mod event;
pub mod fault;
pub mod frames;
pub mod hosttime;
pub mod ids;
pub mod jepsen;
pub mod notation;
pub mod observation;
pub mod outcome;
pub mod payload;
pub mod recorder;
pub mod rundir;
pub mod setting;
#[cfg(test)]
mod testing;
mod varint;

pub use change::{Alteration, Harm, HarmEvent, Rebalance, RebalanceEvent};
pub use clock::{Clock, Mark, Span};
pub use consistency::check_consistency;
pub use error::HistoryError;
pub use event::{Call, Delivery, Event, Payload, Phase, Reply, SendAck, StepEvent, StepStage};
pub use fault::{Deed, FaultEvent, FaultKind, Link, PortName, Service, Stage};
pub use frames::{Counts, Recording, Torn};
pub use hosttime::HostClocks;
pub use ids::{ClientId, Epoch, FaultId, NodeId, Offset, OpId, Partition, RunId, Topic, ValueId};
pub use notation::NotationError;
pub use observation::{
    ClockSample, Exit, ImageReason, ImageTaken, Observation, ProcessChange, ProcessEvent,
    ProcessState, Seen,
};
pub use outcome::{Outcome, Why};
pub use recorder::{Notebook, Pen, Recorder};
pub use rundir::{Difference, Ended, RunDir, Seal};
pub use setting::{CommitMode, ConsumerSetting, HostFacts, ProducerSetting, Setting, TopicSetting};
