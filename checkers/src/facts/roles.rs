//! Who led, who followed, who cut what: the brokers' own transition lines, in each host's order.
//!
//! Times of different hosts are not compared here; epochs order them. A *life* is one process of
//! one broker: the first transition after a start says "previous leader epoch -1".

mod read;

use std::collections::BTreeMap;

use history::{Epoch, NodeId, Offset};

pub use read::all;

/// What the lines say about one partition.
#[derive(Debug, Default)]
pub struct Roles {
    /// Times of leadership, ascending by epoch, then life.
    pub terms: Vec<Term>,
    /// Every `Follower ... starts` line, by node in the host's order.
    pub follows: Vec<Follow>,
    /// Every cut, by node in the host's order.
    pub cuts: Vec<Cut>,
    /// Every `Non-monotonic update of high watermark`, by node in the host's order.
    pub hw_back: Vec<HwBack>,
    /// `Shrinking ISR` lines of leaders: line, node, epoch led then, HW.
    pub shrinks: Vec<(usize, NodeId, Epoch, Offset)>,
    /// `ISR updated` lines of leaders: line, node, the `Leader ... starts` line of the time of
    /// leadership, the set.
    pub isr_updates: Vec<(usize, NodeId, usize, Vec<NodeId>)>,
    /// In-sync sets by version of the partition's state, from any line that gives both.
    pub versions: BTreeMap<i32, (Vec<NodeId>, Option<Epoch>, usize)>,
}

/// A time of leadership of one process.
#[derive(Debug, Clone)]
pub struct Term {
    /// Who led.
    pub node: NodeId,
    /// Which epoch.
    pub epoch: Epoch,
    /// Which life of the broker.
    pub life: u32,
    /// The `Leader ... starts` line.
    pub line: usize,
    /// Log end at its start.
    pub leo: Offset,
    /// High watermark at its start.
    pub hw: Offset,
    /// In-sync set at its start.
    pub isr: Vec<NodeId>,
    /// What ended it.
    pub until: Until,
}

/// What ended a time of leadership, in the same broker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nothing in this log: it led to the end, or its process ended.
    Open,
    /// The process began anew: this line belongs to the next life.
    NextLife(usize),
    /// It became follower, in the same life; position in [`Roles::follows`].
    Followed(usize),
    /// It led again under a later epoch, in the same life: that line.
    LedAgain(usize),
}

/// A `Follower ... starts` line.
#[derive(Debug, Clone, Copy)]
pub struct Follow {
    /// Who follows.
    pub node: NodeId,
    /// Which epoch.
    pub epoch: Epoch,
    /// The line.
    pub line: usize,
    /// Log end then; a lower bound.
    pub leo: Offset,
    /// High watermark then.
    pub hw: Offset,
    /// The epoch that this process knew before; absent in a new life.
    pub previous: Option<Epoch>,
}

/// A cut of a replica's log.
#[derive(Debug, Clone, Copy)]
pub struct Cut {
    /// Whose log.
    pub node: NodeId,
    /// Which life of the broker.
    pub life: u32,
    /// The line.
    pub line: usize,
    /// New log end.
    pub to: Offset,
    /// How.
    pub kind: CutKind,
    /// The `Follower` line of the same life that it answers to; position in [`Roles::follows`].
    pub follow: Option<usize>,
    /// The line of the old protocol that announces a cut to the local high watermark.
    pub to_own_hw: Option<usize>,
}

/// How a log was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutKind {
    /// `Truncating to offset N`.
    Tail,
    /// `Truncate and start at offset N`: everything.
    Whole,
    /// Damage found while loading.
    Corruption,
}

/// A high watermark that a broker itself saw going back.
#[derive(Debug, Clone, Copy)]
pub struct HwBack {
    /// Whose.
    pub node: NodeId,
    /// The line.
    pub line: usize,
    /// From.
    pub from: Offset,
    /// To.
    pub to: Offset,
    /// The cut to the same offset in the same life just before it; position in [`Roles::cuts`].
    pub cut: Option<usize>,
    /// The `Leader ... starts` line of the time of leadership in which it happened, if it led, and
    /// if that line is not of the same millisecond.
    pub led: Option<usize>,
}

impl Roles {
    /// The term of an epoch (the first life of it).
    pub fn term_of(&self, epoch: Epoch) -> Option<&Term> {
        self.terms.iter().find(|term| term.epoch == epoch)
    }
}
