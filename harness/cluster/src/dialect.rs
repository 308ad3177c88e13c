//! The programs of a host that scripts call: what they are called, which package brings them.
//!
//! Every command that is sent to a host is one of these. What options each of them may be given is
//! in the test of this table (`dialect/tests.rs`): those of CentOS 7.

use crate::labfile::{Kind, LabFile};

/// A program on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Program {
    /// What it is called.
    pub name: &'static str,
    /// What brings it on CentOS 7.
    pub package: &'static str,
    /// Whether every run needs it, or only some faults do.
    pub needed: bool,
}

const fn needed(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        needed: true,
    }
}

const fn for_faults(name: &'static str, package: &'static str) -> Program {
    Program {
        name,
        package,
        needed: false,
    }
}

/// Programs without which no run works, and those that only some faults or questions need.
pub const PROGRAMS: [Program; 54] = [
    needed("sh", "bash"),
    needed("bash", "bash"),
    needed("cat", "coreutils"),
    needed("chmod", "coreutils"),
    needed("cp", "coreutils"),
    needed("cut", "coreutils"),
    needed("date", "coreutils"),
    needed("dd", "coreutils"),
    needed("df", "coreutils"),
    needed("dirname", "coreutils"),
    needed("env", "coreutils"),
    needed("head", "coreutils"),
    needed("id", "coreutils"),
    needed("ls", "coreutils"),
    needed("mkdir", "coreutils"),
    needed("mv", "coreutils"),
    needed("od", "coreutils"),
    needed("rm", "coreutils"),
    needed("rmdir", "coreutils"),
    needed("sha256sum", "coreutils"),
    needed("sleep", "coreutils"),
    needed("stat", "coreutils"),
    needed("sync", "coreutils"),
    needed("tail", "coreutils"),
    needed("timeout", "coreutils"),
    needed("tr", "coreutils"),
    needed("true", "coreutils"),
    needed("truncate", "coreutils"),
    needed("uname", "coreutils"),
    needed("wc", "coreutils"),
    needed("awk", "gawk"),
    needed("cmp", "diffutils"),
    needed("find", "findutils"),
    needed("grep", "grep"),
    needed("sed", "sed"),
    needed("tar", "tar"),
    needed("flock", "util-linux"),
    needed("setsid", "util-linux"),
    needed("getent", "glibc-common"),
    needed("ip", "iproute"),
    needed("iptables", "iptables"),
    for_faults("iptables-restore", "iptables"),
    for_faults("tc", "iproute"),
    for_faults("fallocate", "util-linux"),
    for_faults("mount", "util-linux"),
    for_faults("umount", "util-linux"),
    for_faults("losetup", "util-linux"),
    for_faults("blockdev", "util-linux"),
    for_faults("chown", "coreutils"),
    for_faults("mkfs.ext4", "e2fsprogs"),
    for_faults("e2fsck", "e2fsprogs"),
    for_faults("dmsetup", "device-mapper"),
    for_faults("modprobe", "kmod"),
    for_faults("mkfifo", "coreutils"),
];

/// What a lab's hosts are looked through for.
pub fn programs(lab: &LabFile) -> Vec<String> {
    let mut names: Vec<String> = PROGRAMS.iter().map(|p| p.name.to_owned()).collect();
    if lab.kind == Kind::Namespaces {
        // Such hosts share the machine's devices, which nothing then touches.
        names.retain(|name| !["dmsetup", "modprobe", "e2fsck"].contains(&name.as_str()));
    }
    if lab.login.sudo != crate::labfile::Sudo::None {
        names.push("sudo".to_owned());
    }
    if lab.login.sudo_terminal {
        names.push("script".to_owned());
    }
    names
}
