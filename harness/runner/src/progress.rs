//! What a run tells while it runs. For people; nothing is decided by it.

use std::collections::BTreeMap;

use history::{Mark, NodeId, Offset, Partition, Phase, Topic};

/// One piece of news.
#[derive(Debug, Clone)]
pub enum Progress {
    /// A phase began.
    Phase {
        /// When.
        at: Mark,
        /// Which.
        phase: Phase,
    },
    /// Something worth a line: a step, a fault, a proof.
    Note {
        /// When.
        at: Mark,
        /// What.
        text: String,
    },
    /// Once a second: how the load stands.
    Load {
        /// When.
        at: Mark,
        /// Acknowledged so far and a second, by topic.
        acked: BTreeMap<Topic, (u64, u64)>,
        /// LEO and HW of each replica that answers.
        ends: BTreeMap<Partition, Vec<(NodeId, Offset, Offset)>>,
        /// Faults in force, in words.
        faults: Vec<String>,
    },
}
