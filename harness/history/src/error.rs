//! What can go wrong with files of a recording. A torn tail is no error: it is reported beside
//! what could be read.

use std::path::PathBuf;

/// An error of this package. Lower-case, so that it fits after "failed to …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// A file could not be opened, read or listed.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A file could not be written, or its bytes not brought to the disk.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// The file is something else.
    #[error("{} is not a history: it does not begin like one; is it `history/events.tmh` of a run?", path.display())]
    NotAHistory {
        /// Which.
        path: PathBuf,
    },
    /// The file's format is newer than this program.
    #[error("{} was written by a newer Tidemark (format {format}; this one reads up to {known}): upgrade", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// The directory is no run directory.
    #[error("{} is not a run directory: it holds no {missing}; give a directory below results/runs", path.display())]
    NotARun {
        /// Which.
        path: PathBuf,
        /// What a run directory would hold.
        missing: &'static str,
    },
    /// A JSON file does not hold what it should.
    #[error("{} cannot be understood: {why}", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// The recorder ended, or was closed, while somebody still wrote.
    #[error("the history was closed before its last events were written")]
    Closed,
}
