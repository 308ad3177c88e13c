//! What the figures of one change of leader are made of.

use history::{Epoch, Mark, NodeId};

use crate::facts::{Facts, PartFacts, PartId};
use crate::guarantees::Case;
use crate::judgement::TimeSpan;

/// An election with its surroundings.
pub struct Scene<'a> {
    /// The topic.
    pub case: &'a Case<'a>,
    /// The recording.
    pub facts: &'a Facts<'a>,
    /// The partition.
    pub part: &'a PartFacts<'a>,
    /// Its position.
    pub id: PartId,
    /// Position of the election in `elections`.
    pub index: usize,
    /// The new epoch.
    pub epoch: Epoch,
    /// The new leader.
    pub leader: NodeId,
    /// When the new leader's line was written.
    pub at: Option<TimeSpan>,
    /// If another election follows: its beginning, or that of the fault before it.
    pub next: Option<Mark>,
}
