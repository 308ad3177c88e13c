//! Moving the calling process into a network namespace.
//!
//! A namespace belongs to a thread, so this is refused once a second one exists: half a process in
//! the lab and half outside would send packets of the lab into the caller's network.

use std::fs::File;
use std::path::Path;

use nix::sched::{CloneFlags, setns};

use crate::LabError;

/// Puts this process into the network namespace that `netns` names, for good.
///
/// # Errors
/// When the process has more than one thread, or there is no such namespace.
pub fn enter(netns: &Path) -> Result<(), LabError> {
    let threads = threads()?;
    if threads != 1 {
        return Err(LabError::Refused(format!(
            "cannot enter {}: this process already has {threads} threads, and only one of them \
             would move",
            netns.display()
        )));
    }
    let file = File::open(netns).map_err(LabError::file("open the network namespace", netns))?;
    setns(file, CloneFlags::CLONE_NEWNET)
        .map_err(|e| LabError::file("enter the network namespace", netns)(e.into()))
}

fn threads() -> Result<usize, LabError> {
    let path = "/proc/self/status";
    let text = std::fs::read_to_string(path).map_err(LabError::file("read", path))?;
    text.lines()
        .find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok())
        .ok_or_else(|| LabError::Refused(format!("{path} does not say how many threads there are")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_refused() {
        // The test runner itself is the second thread.
        let said = enter(Path::new("/proc/self/ns/net"))
            .unwrap_err()
            .to_string();
        assert!(said.contains("threads"), "{said}");
    }
}
