//! What the parts of a lab are called and where its state lies.
//!
//! Names are pure functions of the lab's name, so that `down` finds what a killed program left
//! without having been told.

use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use cluster::LabFile;
use history::NodeId;

use crate::LabError;

/// Where `ip netns` keeps its names.
const NETNS: &str = "/run/netns";

/// Overrides the base directory of all state.
const STATE_ENV: &str = "TIDEMARK_STATE";

/// The base directory of all state, unless overridden.
const STATE: &str = "/var/tmp/tidemark";

/// The name under which the first process's script lies in a host's directory.
pub(crate) const SCRIPT_NAME: &str = "host.sh";

/// The namespace of the switch.
pub(crate) fn switch(lab: &str) -> String {
    format!("tm-{lab}-sw")
}

/// The namespace in which Tidemark's runner lives.
pub(crate) fn controller(lab: &str) -> String {
    format!("tm-{lab}-ctl")
}

/// The namespace of a host.
pub(crate) fn host(lab: &str, node: NodeId) -> String {
    format!("tm-{lab}-{node}")
}

/// The file by which a namespace is entered.
pub(crate) fn netns_file(namespace: &str) -> PathBuf {
    Path::new(NETNS).join(namespace)
}

/// The file of the controller's network namespace, for [`crate::enter`].
pub fn controller_netns(lab: &str) -> PathBuf {
    netns_file(&controller(lab))
}

/// The controller's address: the one just below the lowest of the hosts'.
///
/// # Errors
/// When the lab is not one of namespaces with IPv4 addresses.
pub fn controller_address(lab: &LabFile) -> Result<Ipv4Addr, LabError> {
    let lowest = lab
        .hosts
        .iter()
        .map(|h| h.address.parse::<Ipv4Addr>())
        .collect::<Result<Vec<_>, _>>()
        .ok()
        .and_then(|all| all.into_iter().min());
    match lowest {
        Some(address) if address.octets()[3] > 1 => Ok(Ipv4Addr::from(u32::from(address) - 1)),
        _ => Err(LabError::Refused(format!(
            "{}: a lab of namespaces needs IPv4 addresses that leave one below the lowest for the \
             controller",
            lab.name
        ))),
    }
}

/// Every namespace of this lab that has a name now, hosts first, the switch last.
pub(crate) fn existing(lab: &str) -> Result<Vec<String>, LabError> {
    let prefix = format!("tm-{lab}-");
    let entries = match std::fs::read_dir(NETNS) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(LabError::file("list", NETNS)(e)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(LabError::file("list", NETNS))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let rank = match name.strip_prefix(&prefix) {
            Some("sw") => 2,
            Some("ctl") => 1,
            Some(rest) if rest.parse::<NodeId>().is_ok() => 0,
            _ => continue,
        };
        found.push((rank, name));
    }
    found.sort();
    Ok(found.into_iter().map(|(_, name)| name).collect())
}

/// Where one lab keeps its keys and its hosts' files.
#[derive(Debug, Clone)]
pub(crate) struct State {
    base: PathBuf,
    lab: String,
}

impl State {
    /// The state of a lab; nothing is created.
    ///
    /// # Errors
    /// When the name could not be a lab's: it becomes part of paths that are deleted.
    pub fn of(lab: &str) -> Result<Self, LabError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let fits = (1..=cluster::labfile::NAME_MAX).contains(&lab.len());
        if !fits || !lab.chars().all(plain) || lab.starts_with('-') {
            return Err(LabError::Refused(format!("`{lab}` cannot be a lab's name")));
        }
        let base = std::env::var_os(STATE_ENV).map_or_else(|| STATE.into(), PathBuf::from);
        if !base.is_absolute() {
            return Err(LabError::Refused(format!(
                "{STATE_ENV} must be an absolute path, not `{}`",
                base.display()
            )));
        }
        Ok(Self {
            base,
            lab: lab.to_owned(),
        })
    }

    /// The lab's name.
    pub fn lab(&self) -> &str {
        &self.lab
    }

    /// The directory of all labs.
    fn labs(&self) -> PathBuf {
        self.base.join("labs")
    }

    /// The lab's own directory, mode 0700.
    pub fn dir(&self) -> PathBuf {
        self.labs().join(&self.lab)
    }

    /// The lock beside it, so that removing the directory does not remove the lock.
    pub fn lock_file(&self) -> PathBuf {
        self.labs().join(format!("{}.lock", self.lab))
    }

    /// The controller's private key for every host of the lab.
    pub fn key(&self) -> PathBuf {
        self.dir().join("id_ed25519")
    }

    /// The host keys of the lab.
    pub fn known_hosts(&self) -> PathBuf {
        self.dir().join("known_hosts")
    }

    /// The directory of one host's files.
    pub fn host(&self, node: NodeId) -> PathBuf {
        self.dir().join(node.to_string())
    }

    /// Makes the base directories. What others could write to is refused, since root is about to
    /// trust it.
    pub fn prepare_base(&self) -> Result<(), LabError> {
        for dir in [self.base.clone(), self.labs()] {
            make_dir(&dir, 0o755)?;
            let meta = std::fs::symlink_metadata(&dir).map_err(LabError::file("look at", &dir))?;
            if !meta.is_dir() || meta.uid() != 0 || meta.mode() & 0o022 != 0 {
                return Err(LabError::Refused(format!(
                    "{} must be a directory of root's that nobody else can write to; remove it, or \
                     name another with {STATE_ENV}",
                    dir.display()
                )));
            }
        }
        Ok(())
    }

    /// Removes the lab's directory and, when no other lab is left, those above it.
    pub fn remove(&self) -> Result<bool, LabError> {
        let dir = self.dir();
        match std::fs::remove_dir_all(&dir) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(LabError::file("remove", &dir)(e)),
        }
    }

    /// Removes the base directories where they are empty. Others may be using them.
    pub fn remove_empty_base(&self) {
        if std::fs::remove_dir(self.labs()).is_ok() {
            drop(std::fs::remove_dir(&self.base));
        }
    }
}

/// Makes a directory, and those above it, unless it is there.
pub(crate) fn make_dir(path: &Path, mode: u32) -> Result<(), LabError> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .map_err(LabError::file("make the directory", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_leave_the_state_directory_is_refused() {
        for bad in ["", "..", "a/b", "-x", "Local", "a b", &"x".repeat(25)] {
            assert!(State::of(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(State::of("local").unwrap().dir().ends_with("labs/local"));
    }

    #[test]
    fn the_controller_sits_below_the_lowest_host() {
        let lab = cluster::labfile::find("local").unwrap();
        assert_eq!(
            controller_address(&lab).unwrap().to_string(),
            "192.168.136.26"
        );
    }
}
