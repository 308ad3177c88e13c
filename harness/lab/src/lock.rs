//! One `up` or `down` of a lab at a time.
//!
//! The lock is a file that is removed with the lab. Whoever waited for it while it was removed
//! starts over with the new one.

use std::fs::File;
use std::os::unix::fs::MetadataExt;

use nix::fcntl::{Flock, FlockArg};

use crate::LabError;
use crate::names::State;

/// Held until dropped.
pub(crate) struct Lock {
    _file: Flock<File>,
}

impl Lock {
    /// Waits until no other process makes or removes this lab.
    pub fn take(state: &State) -> Result<Self, LabError> {
        let path = state.lock_file();
        loop {
            state.prepare_base()?;
            let file = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(LabError::file("open", &path))?;
            let file = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, e)| LabError::file("lock", &path)(e.into()))?;
            let ours = file.metadata().map_err(LabError::file("look at", &path))?;
            match std::fs::metadata(&path) {
                Ok(there) if (there.dev(), there.ino()) == (ours.dev(), ours.ino()) => {
                    return Ok(Self { _file: file });
                }
                _ => continue,
            }
        }
    }

    /// Gives the lock up and removes its file.
    pub fn remove(self, state: &State) -> Result<(), LabError> {
        let path = state.lock_file();
        std::fs::remove_file(&path).map_err(LabError::file("remove", &path))?;
        state.remove_empty_base();
        Ok(())
    }
}
