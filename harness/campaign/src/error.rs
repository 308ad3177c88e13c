//! What can go wrong with the files of nights.

use std::path::PathBuf;

/// An error of this package. Lower-case, so that it fits after "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A file or directory could not be read.
    #[error("cannot read {}: {why}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A file or directory could not be written or removed.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// A night's file does not hold what it should.
    #[error("{} is no night: {why}; move it out of the way", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A reduction's record does not hold what it should.
    #[error("{} is no record of a reduction: {why}; move it out of the way", path.display())]
    NoRecord {
        /// Which.
        path: PathBuf,
        /// Where and why.
        why: String,
    },
    /// A run's steps are not such as its plan can have.
    #[error("the run's schedule does not fit its plan: {why}; one of the two was changed after it")]
    Unfit {
        /// Which step, and why.
        why: String,
    },
    /// A night's file is newer than this program.
    #[error("{} was written by a newer Tidemark (format {format}; this one reads up to {known}): upgrade", path.display())]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The newest format that this program reads.
        known: u32,
    },
    /// The XML writer refused.
    #[error("could not write junit.xml for the night {night}: {why}; report this as a bug")]
    Junit {
        /// Which night.
        night: String,
        /// What the writer said.
        why: String,
    },
    /// There is nothing to show but what cannot be read.
    #[error("no night in {} can be read: {why}", results.display())]
    NoNightRead {
        /// The results directory.
        results: PathBuf,
        /// Why the first of them cannot.
        why: String,
    },
    /// There is nothing to show.
    #[error("{} holds no night yet: `tidemark nightly SUITE` makes one", results.display())]
    NoNight {
        /// The results directory.
        results: PathBuf,
    },
    /// The index could not be read or written.
    #[error("the index {} failed: {why}; it is derived: remove it and it is made again", path.display())]
    Index {
        /// Which file.
        path: PathBuf,
        /// What SQLite said.
        why: String,
    },
}

impl CampaignError {
    pub(crate) fn read(path: &std::path::Path, why: impl ToString) -> Self {
        Self::Read {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }

    pub(crate) fn write(path: &std::path::Path, why: impl ToString) -> Self {
        Self::Write {
            path: path.to_owned(),
            why: why.to_string(),
        }
    }
}
