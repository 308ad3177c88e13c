//! Why something could not be done to a host or a broker: one sentence with the place and the remedy.

use history::NodeId;

/// What failed, where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A node would not do what was asked; `why` names the command, the deadline, the remedy.
    #[error("{node}: {why}")]
    Node {
        /// Where.
        node: NodeId,
        /// What failed and what to do about it.
        why: String,
    },
    /// Something that concerns no single node.
    #[error("{0}")]
    Lab(String),
}

impl ClusterError {
    /// Its words without the node in front, for a place that names the node already.
    pub(crate) fn bare(&self) -> &str {
        match self {
            ClusterError::Node { why, .. } | ClusterError::Lab(why) => why,
        }
    }
}
