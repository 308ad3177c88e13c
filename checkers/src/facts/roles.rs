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
    /// The same of versions that were told again with a later epoch: what ZooKeeper forgot and then
    /// counted anew.
    pub anew: BTreeMap<i32, (Vec<NodeId>, Epoch)>,
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
    /// Notes the in-sync set of a version; `line` as in [`Roles::versions`].
    pub fn version(&mut self, version: i32, isr: &[NodeId], epoch: Option<Epoch>, line: usize) {
        let told = (isr.to_vec(), epoch, line);
        let Some(entry) = self.versions.get_mut(&version) else {
            self.versions.insert(version, told);
            return;
        };
        match (entry.1, epoch) {
            (Some(known), Some(epoch)) if known < epoch => {
                self.anew.insert(version, (told.0, epoch));
            }
            (Some(known), Some(epoch)) if known > epoch => {
                let later = std::mem::replace(entry, told);
                self.anew.insert(version, (later.0, known));
            }
            (known, epoch) => entry.1 = known.or(epoch),
        }
    }

    /// The first version that was told of an epoch.
    pub fn begun_by(&self, epoch: Epoch) -> Option<i32> {
        let first = self
            .versions
            .iter()
            .find(|(_, (_, of, _))| *of == Some(epoch));
        let anew = self.anew.iter().find(|(_, (_, of))| *of == epoch);
        let anew = anew.map(|(version, _)| *version);
        first
            .map(|(version, _)| *version)
            .into_iter()
            .chain(anew)
            .min()
    }

    /// The term of an epoch (the first life of it).
    pub fn term_of(&self, epoch: Epoch) -> Option<&Term> {
        self.terms.iter().find(|term| term.epoch == epoch)
    }
}
