//! The words of the language, each beside what it stands for. Reading and writing share them.
//!
//! Only words are here: what may follow one is for `read` to say.

use std::fmt;

use history::{FaultKind, PortName, Service};

use crate::ask::{Counterpart, SegmentChoice, Tail};
use crate::model::Comparison;

/// What a step that is no fault begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Send,
    Heal,
    Await,
    Wait,
    Roll,
}

pub(super) const VERBS: &[(&str, Verb)] = &[
    ("send", Verb::Send),
    ("heal", Verb::Heal),
    ("await", Verb::Await),
    ("wait", Verb::Wait),
    ("roll", Verb::Roll),
];

/// What a fault begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FaultVerb {
    Process(FaultKind),
    Cut(CutVerb),
    Flap,
    Delay,
    Packets(PacketVerb),
    Limit,
    Elect,
    Reassign,
    Configure,
    Disk(DiskVerb),
    PowerCut,
    Flip,
    /// `stale` or not.
    Checkpoints(bool),
    Wipe,
    Delete,
    Bump,
    Strobe,
    Crash,
}

/// What can flap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CutVerb {
    Isolate,
    Links,
    Split,
    Bridge,
    Ring,
    Part,
}

/// What befalls so many of all packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PacketVerb {
    Lose,
    Duplicate,
    Corrupt,
    Reorder,
}

/// What befalls a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DiskVerb {
    Fill,
    Slow,
    Fail,
}

pub(super) const FAULTS: &[(&str, FaultVerb)] = &[
    ("kill", FaultVerb::Process(FaultKind::Kill)),
    ("pause", FaultVerb::Process(FaultKind::Pause)),
    ("stop", FaultVerb::Process(FaultKind::Stop)),
    ("restart", FaultVerb::Process(FaultKind::Restart)),
    ("isolate", FaultVerb::Cut(CutVerb::Isolate)),
    ("cut", FaultVerb::Cut(CutVerb::Links)),
    ("split", FaultVerb::Cut(CutVerb::Split)),
    ("bridge", FaultVerb::Cut(CutVerb::Bridge)),
    ("ring", FaultVerb::Cut(CutVerb::Ring)),
    ("part", FaultVerb::Cut(CutVerb::Part)),
    ("flap", FaultVerb::Flap),
    ("delay", FaultVerb::Delay),
    ("lose", FaultVerb::Packets(PacketVerb::Lose)),
    ("duplicate", FaultVerb::Packets(PacketVerb::Duplicate)),
    ("corrupt", FaultVerb::Packets(PacketVerb::Corrupt)),
    ("reorder", FaultVerb::Packets(PacketVerb::Reorder)),
    ("limit", FaultVerb::Limit),
    ("elect", FaultVerb::Elect),
    ("reassign", FaultVerb::Reassign),
    ("configure", FaultVerb::Configure),
    ("fill", FaultVerb::Disk(DiskVerb::Fill)),
    ("slow", FaultVerb::Disk(DiskVerb::Slow)),
    ("fail", FaultVerb::Disk(DiskVerb::Fail)),
    ("power-cut", FaultVerb::PowerCut),
    ("flip", FaultVerb::Flip),
    ("remove", FaultVerb::Checkpoints(false)),
    ("stale", FaultVerb::Checkpoints(true)),
    ("wipe", FaultVerb::Wipe),
    ("delete", FaultVerb::Delete),
    ("bump", FaultVerb::Bump),
    ("strobe", FaultVerb::Strobe),
    ("crash", FaultVerb::Crash),
];

pub(super) const SERVICES: &[(&str, Service)] = &[
    ("zookeeper", Service::ZooKeeper),
    ("broker", Service::Broker),
];

pub(super) const PORTS: &[(&str, PortName)] = &[
    ("broker", PortName::Broker),
    ("probe", PortName::Probe),
    ("zk-client", PortName::ZkClient),
    ("zk-peer", PortName::ZkPeer),
    ("zk-election", PortName::ZkElection),
];

pub(super) const COUNTERPARTS: &[(&str, Counterpart)] = &[
    ("zookeeper", Counterpart::ZooKeeper),
    ("peers", Counterpart::Peers),
    ("clients", Counterpart::Clients),
];

/// Unclean or not.
pub(super) const ELECTIONS: &[(&str, bool)] = &[("preferred", false), ("unclean", true)];

/// Those that are said; the others are what is meant where nothing is said.
pub(super) const TAILS: &[(&str, Tail)] = &[("torn", Tail::Torn), ("zeroed", Tail::Zeroed)];

pub(super) const SEGMENTS: &[(&str, SegmentChoice)] = &[("closed", SegmentChoice::Closed)];

/// A consumer or not.
pub(super) const CLIENTS: &[(&str, bool)] = &[("producer", false), ("consumer", true)];

/// Kilobits a second of each unit, the largest first.
pub(super) const BANDWIDTHS: &[(&str, u32)] = &[("mbit", 1_000), ("kbit", 1)];

/// What a condition begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Subject {
    Leader,
    Isr,
    Controller,
    Log,
    Election,
    All,
    Hw,
    Lag,
    Uncommitted,
    Unflushed,
    Recovery,
    Epoch,
    Acked,
}

pub(super) const SUBJECTS: &[(&str, Subject)] = &[
    ("leader", Subject::Leader),
    ("isr", Subject::Isr),
    ("controller", Subject::Controller),
    ("log", Subject::Log),
    ("election", Subject::Election),
    ("all", Subject::All),
    ("hw", Subject::Hw),
    ("lag", Subject::Lag),
    ("uncommitted", Subject::Uncommitted),
    ("unflushed", Subject::Unflushed),
    ("recovery", Subject::Recovery),
    ("epoch", Subject::Epoch),
    ("acked", Subject::Acked),
];

pub(super) const COMPARISONS: &[(&str, Comparison)] = &[
    (">=", Comparison::AtLeast),
    (">", Comparison::Above),
    ("<=", Comparison::AtMost),
    ("<", Comparison::Below),
    ("==", Comparison::Equal),
];

/// Targets that are not a node's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TargetWord {
    Any,
    All,
    Minority,
    Majority,
    Leader,
    A,
    Followers,
    Last,
    Controller,
    ZooKeeper,
    Coordinator,
}

pub(super) const TARGETS: &[(&str, TargetWord)] = &[
    ("any", TargetWord::Any),
    ("all", TargetWord::All),
    ("minority", TargetWord::Minority),
    ("majority", TargetWord::Majority),
    ("leader", TargetWord::Leader),
    ("a", TargetWord::A),
    ("followers", TargetWord::Followers),
    ("last", TargetWord::Last),
    ("controller", TargetWord::Controller),
    ("zookeeper", TargetWord::ZooKeeper),
    ("coordinator", TargetWord::Coordinator),
];

/// The word that a table gives a value.
pub(super) fn word_of<T: PartialEq + fmt::Debug>(
    table: &[(&'static str, T)],
    value: &T,
) -> &'static str {
    table
        .iter()
        .find(|(_, known)| known == value)
        .map(|(word, _)| *word)
        .unwrap_or_else(|| unreachable!("{value:?} has no word; the tables are complete"))
}

/// The words of a table.
pub(super) fn words_of<T>(table: &[(&'static str, T)]) -> Vec<&'static str> {
    table.iter().map(|(word, _)| *word).collect()
}
