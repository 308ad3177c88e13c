//! The commands that need root, and the sudoers lines that allow them and nothing else.

use std::collections::BTreeSet;

use super::Column;
use crate::labfile::{LabFile, Sudo};

/// A command that scripts run as root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootCommand {
    /// Its name.
    pub name: &'static str,
    /// A use that changes nothing, to try whether it is allowed.
    pub harmless: &'static str,
    /// A run without it works; only faults of the log directory's disk need it.
    pub for_disks: bool,
}

const fn network(name: &'static str, harmless: &'static str) -> RootCommand {
    RootCommand {
        name,
        harmless,
        for_disks: false,
    }
}

const fn disks(name: &'static str, harmless: &'static str) -> RootCommand {
    RootCommand {
        name,
        harmless,
        for_disks: true,
    }
}

/// All of them; a test compares them with the scripts.
pub const ROOT_COMMANDS: [RootCommand; 14] = [
    network("iptables", "--version"),
    network("iptables-restore", "-t"),
    network("tc", "-V"),
    network("date", "+%s"),
    disks("true", "."),
    disks("mount", "-V"),
    disks("umount", "-V"),
    disks("losetup", "-V"),
    disks("dmsetup", "--version"),
    disks("blockdev", "-V"),
    disks("modprobe", "-V"),
    disks("e2fsck", "-V"),
    disks("chown", "--version"),
    disks("rmdir", "--version"),
];

/// What `/etc/sudoers.d/tidemark` should hold on every host: paths as they were found there, and
/// where none was found those of CentOS 7.
pub(super) fn lines(lab: &LabFile, hosts: &[Column]) -> Vec<String> {
    if lab.login.sudo == Sudo::None {
        return Vec::new();
    }
    let mut paths: BTreeSet<String> = BTreeSet::new();
    for command in ROOT_COMMANDS {
        let found = hosts.iter().flat_map(|host| &host.root_paths);
        let found = found.filter(|(name, _)| *name == command.name);
        let before = paths.len();
        paths.extend(
            found
                .map(|(_, path)| path.clone())
                .filter(|path| path.starts_with('/')),
        );
        if paths.len() == before {
            paths.insert(usual(command.name));
        }
    }
    let user = &lab.login.user;
    let tag = match lab.login.sudo {
        Sudo::Password => "",
        _ => "NOPASSWD: ",
    };
    let paths: Vec<String> = paths.into_iter().collect();
    let mut lines = vec![format!("{user} ALL=(root) {tag}{}", paths.join(", "))];
    if !lab.login.sudo_terminal {
        lines.insert(0, format!("Defaults:{user} !requiretty"));
    }
    lines
}

fn usual(name: &str) -> String {
    let place = match name {
        "true" | "date" | "mount" | "umount" | "chown" | "rmdir" => "/usr/bin",
        _ => "/usr/sbin",
    };
    format!("{place}/{name}")
}
