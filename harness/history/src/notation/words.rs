//! The words of the notation: each closed set of names in one table, read and printed by it.

use std::fmt::Display;

use crate::change::Rebalance;
use crate::event::Phase;
use crate::fault::{PortName, Service};
use crate::observation::Exit;

pub(super) const PHASES: [Phase; 8] = [
    Phase::Setup,
    Phase::Steady,
    Phase::Storm,
    Phase::Heal,
    Phase::Settle,
    Phase::Drain,
    Phase::Capture,
    Phase::Teardown,
];

pub(super) const REBALANCES: [Rebalance; 3] =
    [Rebalance::Assigned, Rebalance::Revoked, Rebalance::Lost];

pub(super) const SERVICES: [Service; 2] = [Service::Broker, Service::ZooKeeper];

pub(super) const PORTS: [(&str, PortName); 5] = [
    ("broker", PortName::Broker),
    ("probe", PortName::Probe),
    ("zk-client", PortName::ZkClient),
    ("zk-peer", PortName::ZkPeer),
    ("zk-election", PortName::ZkElection),
];

pub(super) const EXITS: [(&str, Exit); 3] = [
    ("killed", Exit::Killed),
    ("stopped", Exit::Stopped),
    ("died", Exit::Died),
];

/// The member of a set that prints as `word`.
pub(super) fn named<T: Display + Copy>(set: &[T], word: &str) -> Option<T> {
    set.iter().copied().find(|one| one.to_string() == word)
}

/// The member of a table that is called `word`.
pub(super) fn called<T: Clone>(table: &[(&str, T)], word: &str) -> Option<T> {
    let entry = table.iter().find(|(name, _)| *name == word);
    entry.map(|(_, one)| one.clone())
}

/// All names of a set, for messages.
pub(super) fn names<T: Display>(set: &[T]) -> String {
    let names: Vec<String> = set.iter().map(ToString::to_string).collect();
    names.join(", ")
}
