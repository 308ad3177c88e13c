//! What can go wrong with an export.

use std::io;
use std::path::{Path, PathBuf};

use history::HistoryError;

/// An error of an export. Lower-case, so that it fits after "failed to …".
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run cannot be read.
    #[error(transparent)]
    Run(#[from] HistoryError),
    /// It is there already.
    #[error("{} is there already: give --force to replace it, or another --to", path.display())]
    There {
        /// What.
        path: PathBuf,
    },
    /// Something cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// The system's reason.
        why: io::Error,
    },
    /// The bytes of a stream cannot be written.
    #[error("cannot write the export: {0}")]
    Stream(#[from] io::Error),
}

impl ExportError {
    /// Names the file whose stream failed.
    pub(super) fn at(self, path: &Path) -> Self {
        match self {
            ExportError::Stream(why) => ExportError::write(path, why),
            other => other,
        }
    }

    pub(super) fn write(path: &Path, why: io::Error) -> Self {
        ExportError::Write {
            path: path.to_owned(),
            why,
        }
    }

    /// Whether the reader of a stream went away (`| head`), which is nobody's mistake.
    pub fn reader_left(&self) -> bool {
        match self {
            ExportError::Stream(why) | ExportError::Write { why, .. } => {
                why.kind() == io::ErrorKind::BrokenPipe
            }
            ExportError::Run(_) | ExportError::There { .. } => false,
        }
    }
}
