//! What clients ask of Kafka, and what an error entitles a client to conclude.
//!
//! It never touches a host and does not know that faults exist.

pub mod client;
#[cfg(any(test, feature = "fake"))]
pub mod fake;
pub mod fate;
pub mod load;
pub mod rdkafka;

pub use client::{Clients, Completion, Consumer, OpenError, Producer, Reading, Record};
pub use client::{Member, Move, Then, Transact, Transacted};
pub use load::{Counts, Crashed, Drained, Sent, Workload, drain, start};
pub use rdkafka::RdKafka;
