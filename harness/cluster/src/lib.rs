//! The system under test: hosts over SSH, links between them, Kafka and ZooKeeper, wire probes.
//!
//! It never chooses a fault and never records an event.

pub mod admin;
pub mod artefacts;
pub mod broker;
pub mod change;
pub mod claim;
pub mod cmd;
pub mod config;
pub mod dialect;
mod disk;
pub mod doctor;
pub mod error;
pub mod fabric;
pub mod guard;
mod guard_foreign;
mod guard_heal;
pub mod host;
mod host_files;
pub mod injection;
mod injections;
pub mod install;
mod jump;
mod keys;
pub mod labfile;
mod lane;
pub mod probe;
pub mod properties;
mod ran;
pub mod remote;
mod remote_all;
mod remote_ask;
mod remote_copy;
mod remote_live;
mod remote_lock;
mod remote_powers;
mod remote_up;
pub mod root;
#[cfg(test)]
mod scripted;
mod site;
mod ssh;
mod ssh_exec;
pub mod system;
pub mod wire;
pub mod zookeeper;

pub use artefacts::Artefacts;
pub use cmd::Cmd;
pub use error::ClusterError;
pub use host::{Host, Lane};
pub use injection::{Altered, Effect, Injection, Lack, POWERS, Power, Powers};
pub use labfile::{HostSpec, Jump, Kind, LabFile, LabFileError, Login, Ports, Release, Sudo};
pub use ran::{End, Ran};
pub use remote::RemoteCluster;
pub use system::{
    Copied, CutReading, Described, Probes, Recovered, Signal, Signalled, Started, System,
};
