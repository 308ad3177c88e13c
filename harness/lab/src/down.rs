//! Removing a lab without a trace, from its name alone.
//!
//! Nothing is remembered from when it was made: what is there under the lab's names is ended and
//! removed, whoever left it.

use std::fmt;

use crate::lock::Lock;
use crate::names::{self, State};
use crate::tools::ip;
use crate::{LabError, process};

/// What `down` found and removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Removed {
    /// Network namespaces.
    pub namespaces: usize,
    /// Processes that had to be ended.
    pub processes: usize,
    /// Whether there were keys and hosts' files.
    pub files: bool,
}

impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::default() {
            return write!(f, "nothing was there");
        }
        write!(
            f,
            "removed {} namespaces, ended {} processes{}",
            self.namespaces,
            self.processes,
            if self.files {
                ", deleted the hosts' files"
            } else {
                ""
            }
        )
    }
}

/// Ends the lab's processes, whoever uses it, removes its namespaces and deletes its files. Nothing
/// there is no error.
///
/// # Errors
/// Without root, from inside the lab, or when something would not go.
pub fn down(name: &str) -> Result<Removed, LabError> {
    remove(name, false)
}

/// The same, unless somebody uses the lab: a run, or a shell on one of its hosts.
///
/// # Errors
/// [`LabError::InUse`], with nothing touched; otherwise as [`down`].
pub fn down_unless_used(name: &str) -> Result<Removed, LabError> {
    remove(name, true)
}

fn remove(name: &str, spare_users: bool) -> Result<Removed, LabError> {
    let state = State::of(name)?;
    if !nix::unistd::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    let lock = Lock::take(&state)?;
    let user = process::user_of(name)?.filter(|_| spare_users);
    if let Some(user) = user {
        return Err(LabError::InUse {
            lab: name.to_owned(),
            user,
        });
    }
    let mut removed = end_namespaces(name, &state)?;
    removed.files = state.remove()?;
    lock.remove(&state)?;
    Ok(removed)
}

/// Ends the processes and removes the namespaces of a lab; its files stay.
pub(crate) fn end_namespaces(name: &str, state: &State) -> Result<Removed, LabError> {
    let mut removed = Removed::default();
    for namespace in names::existing(name)? {
        removed.processes += process::end_processes(&namespace)?;
        ip(&["netns", "del", &namespace])?;
        removed.namespaces += 1;
    }
    removed.processes += process::end_nameless(state, |_| true)?;
    Ok(removed)
}
