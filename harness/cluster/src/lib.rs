//! The system under test: hosts over SSH, links between them, Kafka and ZooKeeper, wire probes.
//!
//! It never chooses a fault and never records an event.

pub mod admin;
pub mod error;
pub mod labfile;
pub mod probe;
pub mod system;
pub mod wire;
pub mod zookeeper;

pub use error::ClusterError;
pub use labfile::{HostSpec, Kind, LabFile, LabFileError, Login, Ports, Sudo};
pub use system::{Copied, CutReading, Described, Probes, Started, System};
