//! Why the lab could not be made, looked at or removed: the place, the command, the remedy.

use std::path::{Path, PathBuf};

/// What failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// Namespaces belong to root.
    #[error(
        "the local lab is made of network namespaces and needs root: run the same command with sudo"
    )]
    NotRoot,
    /// A program is not installed.
    #[error("the local lab needs {missing}, not found on this machine; install with: {remedy}")]
    Missing {
        /// The programs, comma-separated.
        missing: String,
        /// The command that installs them.
        remedy: String,
    },
    /// A program said no.
    #[error("`{command}` failed ({how}): {said}{hint}")]
    Command {
        /// The program and its arguments.
        command: String,
        /// Its exit status.
        how: String,
        /// The end of what it printed.
        said: String,
        /// A remedy, where one is known, with a leading `; `.
        hint: &'static str,
    },
    /// A file or directory would not do what was asked.
    #[error("cannot {doing} {path}: {source}")]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
    },
    /// A host's sshd did not come up.
    #[error("{host} does not listen on {address} ({how}); its console says: {console}")]
    Silent {
        /// The namespace.
        host: String,
        /// Where it should have listened.
        address: String,
        /// How long it was given, or how it ended.
        how: String,
        /// The end of its console and sshd's log.
        console: String,
    },
    /// Processes outlived SIGKILL.
    #[error("{namespace}: process {pids} did not end within {seconds} s of SIGKILL")]
    Immortal {
        /// Where.
        namespace: String,
        /// Which.
        pids: String,
        /// How long they were given.
        seconds: u64,
    },
    /// Somebody else uses the lab.
    #[error(
        "lab {lab} is in use by {user}: wait for its end, or end it and the lab with `tidemark lab down --force` on it"
    )]
    InUse {
        /// The lab.
        lab: String,
        /// One of its users.
        user: String,
    },
    /// What was asked does not fit this lab or this process.
    #[error("{0}")]
    Refused(String),
}

impl LabError {
    /// For `map_err` on file operations.
    pub(crate) fn file(
        doing: &'static str,
        path: impl AsRef<Path>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::File {
            doing,
            path,
            source,
        }
    }
}
