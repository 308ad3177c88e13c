//! What is there of a lab now, without changing it.

use std::fmt;
use std::os::unix::fs::MetadataExt;

use crate::names::{self, State};
use crate::tools::ip;
use crate::{LabError, net, process};

/// A lab as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The lab.
    pub lab: String,
    /// Its namespaces: hosts, then the controller, then the switch. Empty when it is down.
    pub parts: Vec<Part>,
    /// Whether its keys and hosts' files are there.
    pub files: bool,
}

/// One namespace of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// `tm-local-n0`.
    pub namespace: String,
    /// Its addresses with their prefix lengths, without loopback's.
    pub addresses: Vec<String>,
    /// Processes that it holds.
    pub processes: usize,
    /// Whether one of them is a host's sshd.
    pub sshd: bool,
    /// Whether the name leads to a namespace at all.
    pub works: bool,
}

impl Status {
    /// Whether nothing is there.
    pub fn is_down(&self) -> bool {
        self.parts.is_empty() && !self.files
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_down() {
            return write!(f, "lab {} is down", self.lab);
        }
        write!(f, "lab {}:", self.lab)?;
        for part in &self.parts {
            write!(f, "\n  {:<24} ", part.namespace)?;
            match (part.works, part.addresses.is_empty()) {
                (false, _) => write!(f, "broken: its name leads nowhere")?,
                (true, true) => write!(f, "no address")?,
                (true, false) => write!(f, "{}", part.addresses.join(" "))?,
            }
            write!(f, ", {} processes", part.processes)?;
            if part.sshd {
                write!(f, ", sshd")?;
            }
        }
        if self.parts.is_empty() {
            write!(f, " no namespaces, but files of its hosts are left")?;
        }
        Ok(())
    }
}

/// Looks at a lab.
///
/// # Errors
/// Without root, or when the name cannot be a lab's.
pub fn status(name: &str) -> Result<Status, LabError> {
    let state = State::of(name)?;
    if !nix::unistd::geteuid().is_root() {
        return Err(LabError::NotRoot);
    }
    let mut parts = Vec::new();
    for namespace in names::existing(name)? {
        let works = net::works(&namespace);
        let addresses = match works {
            true => ip(&["-n", &namespace, "-o", "-4", "addr", "show"])?,
            false => String::new(),
        };
        let pids = process::pids(&namespace)?;
        parts.push(Part {
            addresses: addresses
                .lines()
                .filter(|line| !line.contains(" lo "))
                .filter_map(|line| line.split_whitespace().nth(3).map(str::to_owned))
                .collect(),
            processes: pids.len(),
            sshd: pids.iter().any(|pid| is_sshd(*pid)),
            works,
            namespace,
        });
    }
    Ok(Status {
        lab: name.to_owned(),
        parts,
        files: std::fs::metadata(state.dir()).is_ok_and(|m| m.uid() == 0),
    })
}

fn is_sshd(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sshd")
}
