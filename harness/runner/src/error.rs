//! Why a run could not be carried out: the harness' or the lab's failure, never a verdict.

use history::Phase;

/// What failed, in which phase.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A host or a broker would not do what was asked.
    #[error("in {phase}: {source}")]
    Cluster {
        /// When.
        phase: Phase,
        /// What.
        source: cluster::ClusterError,
    },
    /// A client could not be opened.
    #[error(transparent)]
    Client(#[from] workloads::OpenError),
    /// The hosts lack a power that the schedule draws on.
    #[error("{0}")]
    Refused(String),
    /// Something could not be written to the run directory.
    #[error("cannot record the run: {0}")]
    Recording(String),
}

impl RunError {
    /// For `map_err`: a cluster's error in a phase.
    pub(crate) fn during(phase: Phase) -> impl Fn(cluster::ClusterError) -> RunError {
        move |source| RunError::Cluster { phase, source }
    }
}
