//! One host: its files, its first process, whether it answers.
//!
//! What a host shares with this machine is the kernel and the read-only parts of the file system;
//! `host.sh` hides the rest. Readiness is read from the kernel's socket table, so that asking
//! sends no packet.

use std::net::Ipv4Addr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use cluster::{HostSpec, LabFile};

use crate::LabError;
use crate::names::{self, SCRIPT_NAME, State, make_dir};
use crate::process::pids;
use crate::tools::{find, run, start_daemon, tool};

/// The first process of every host.
const SCRIPT: &str = include_str!("host.sh");

/// Written by the first process, in the host's directory, before anything can go wrong.
const STARTED: &str = "started";

/// Directories that every host has for itself, besides the lab's and root's home.
const HIDDEN: [&str; 3] = ["/tmp", "/run", "/var/log"];

/// Directories without which no program would run.
const VITAL: [&str; 12] = [
    "/", "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/proc", "/sys", "/dev", "/var", "/run",
];

/// What is the same for all hosts of a lab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ground {
    /// The directory behind which each host has its own: the parent of the lab's.
    pub mount: PathBuf,
    /// Root's home, unless it cannot be hidden.
    pub home: Option<PathBuf>,
    /// How Java is called on the hosts.
    pub java: String,
    /// The JDK, when one of the hidden directories holds it.
    pub jdk: Option<PathBuf>,
}

impl Ground {
    /// Looks at this machine before anything of it is hidden.
    ///
    /// # Errors
    /// When Java is missing, or the lab's directory would hide something vital.
    pub fn of(lab: &LabFile) -> Result<Self, LabError> {
        let mount = mount_point(Path::new(&lab.dir))?;
        let home = root_home();
        let mut hidden: Vec<&Path> = HIDDEN.iter().map(Path::new).collect();
        hidden.push(&mount);
        hidden.extend(home.as_deref());
        let found = find(&lab.java).ok_or_else(|| LabError::Refused(format!(
            "there is no Java `{}` on this machine: set `java` in the lab file to a command or an \
             absolute path that is there",
            lab.java
        )))?;
        let real = found
            .canonicalize()
            .map_err(LabError::file("resolve", &found))?;
        let (java, jdk) = match hidden.iter().any(|dir| real.starts_with(dir)) {
            false => (real.display().to_string(), None),
            true => ("/run/java/bin/java".to_owned(), Some(jdk_of(&real)?)),
        };
        Ok(Self {
            mount,
            home,
            java,
            jdk,
        })
    }

    /// The lab's directory of one host, as this machine sees it.
    pub fn dir_of(&self, lab: &LabFile, state: &State, host: &HostSpec) -> PathBuf {
        let below = Path::new(&lab.dir)
            .strip_prefix(&self.mount)
            .unwrap_or(Path::new(""));
        state.host(host.node).join("srv").join(below)
    }
}

/// The directory to hide so that `dir` is each host's own.
fn mount_point(dir: &Path) -> Result<PathBuf, LabError> {
    let mount = match dir.parent() {
        Some(parent) if parent != Path::new("/") => parent,
        _ => dir,
    };
    let vital = VITAL.iter().any(|v| Path::new(v) == mount)
        || ["/proc", "/sys", "/dev"]
            .iter()
            .any(|v| mount.starts_with(v));
    if vital || !mount.is_dir() {
        return Err(LabError::Refused(format!(
            "the lab's dir {} needs a directory above it that exists on this machine and that \
             programs can do without, since each host hides it behind its own; /srv/tidemark is a \
             good choice",
            dir.display()
        )));
    }
    Ok(mount.to_owned())
}

/// Root's home as the password file has it.
fn root_home() -> Option<PathBuf> {
    let text = std::fs::read_to_string("/etc/passwd").ok()?;
    let line = text.lines().find(|l| l.starts_with("root:"))?;
    let home = PathBuf::from(line.split(':').nth(5)?);
    (home.is_dir() && !VITAL.iter().any(|v| Path::new(v) == home)).then_some(home)
}

/// The directory that holds `bin/java`.
fn jdk_of(java: &Path) -> Result<PathBuf, LabError> {
    match (java.parent(), java.parent().and_then(Path::parent)) {
        (Some(bin), Some(home)) if bin.ends_with("bin") && java.ends_with("java") => {
            Ok(home.to_owned())
        }
        _ => Err(LabError::Refused(format!(
            "{} lies in a directory that each host hides, and it is not the `bin/java` of a JDK \
             that could be shown elsewhere; name another in the lab file's `java`",
            java.display()
        ))),
    }
}

/// Writes everything that a host's first process needs. Keys that exist are kept.
pub(crate) fn prepare(lab: &LabFile, state: &State, host: &HostSpec) -> Result<(), LabError> {
    let own = state.host(host.node);
    for (dir, mode) in [
        ("", 0o755),
        ("etc", 0o755),
        ("srv", 0o755),
        ("log", 0o755),
        ("run", 0o755),
        ("root", 0o700),
        ("tmp", 0o1777),
    ] {
        let path = own.join(dir);
        make_dir(&path, mode)?;
        // Whatever the caller's umask took away.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode))
            .map_err(LabError::file("set the mode of", &path))?;
    }
    make_key(&own.join("ssh_host_ed25519_key"), &host.name)?;
    write(&own.join("etc/hosts"), &hosts_file(lab)?, 0o644)?;
    write(
        &own.join("etc/hostname"),
        &format!("{}\n", host.name),
        0o644,
    )?;
    // A locked root account (`!`) is refused by sshd without PAM; `*` only has no password.
    write(
        &own.join("etc/shadow"),
        "root:*:19000:0:99999:7:::\n",
        0o600,
    )?;
    let public = state.key().with_extension("pub");
    let public = std::fs::read_to_string(&public).map_err(LabError::file("read", &public))?;
    write(&own.join("authorized_keys"), &public, 0o644)?;
    write(&own.join("sshd_config"), &sshd_config(lab, host), 0o644)?;
    write(&own.join(SCRIPT_NAME), SCRIPT, 0o644)
}

/// Every host knows every other, and the controller, by name. A JVM asks for its host's own.
fn hosts_file(lab: &LabFile) -> Result<String, LabError> {
    let mut text = "127.0.0.1 localhost\n::1 localhost\n".to_owned();
    text += &format!("{} controller\n", names::controller_address(lab)?);
    for host in &lab.hosts {
        text += &format!("{} {}\n", host.address, host.name);
    }
    Ok(text)
}

/// Only options that OpenSSH 7.4 knows as well.
fn sshd_config(lab: &LabFile, host: &HostSpec) -> String {
    let (_, port) = host.ssh_endpoint(&lab.login);
    format!(
        "Port {port}\nListenAddress {}\nHostKey /run/host/ssh_host_ed25519_key\n\
         AuthorizedKeysFile /run/host/authorized_keys\nPidFile /run/sshd.pid\n\
         PermitRootLogin prohibit-password\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\nUseDNS no\n\
         PrintMotd no\nPrintLastLog no\nX11Forwarding no\nMaxSessions 100\n\
         MaxStartups 100:30:200\nSubsystem sftp internal-sftp\n",
        host.address
    )
}

/// Makes an ed25519 key pair unless both halves are there.
pub(crate) fn make_key(path: &Path, comment: &str) -> Result<(), LabError> {
    let public = path.with_extension("pub");
    let filled = |p: &Path| std::fs::metadata(p).is_ok_and(|m| m.len() > 0);
    if filled(path) && filled(&public) {
        return Ok(());
    }
    for half in [path, &public] {
        match std::fs::remove_file(half) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(LabError::file("remove", half)(e));
            }
            _ => {}
        }
    }
    let file = path.display().to_string();
    run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", &file],
    )
    .map(drop)
}

/// Replaces a file, with this mode whatever the caller's umask.
pub(crate) fn write(path: &Path, text: &str, mode: u32) -> Result<(), LabError> {
    use std::io::Write;
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .map_err(LabError::file("write", path))?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.set_permissions(std::fs::Permissions::from_mode(mode)))
        .map_err(LabError::file("write", path))
}

/// Starts a host's first process; returns before it is ready.
pub(crate) fn start(
    lab: &LabFile,
    state: &State,
    ground: &Ground,
    host: &HostSpec,
    kill_child: bool,
) -> Result<(), LabError> {
    let own = state.host(host.node).display().to_string();
    let script = format!("{own}/{SCRIPT_NAME}");
    let [ip, unshare, sh, sshd] =
        ["ip", "unshare", "sh", "sshd"].map(|name| tool(name).display().to_string());
    let shown = |path: &Option<PathBuf>| {
        path.as_ref()
            .map_or_else(String::new, |p| p.display().to_string())
    };
    let namespace = names::host(&lab.name, host.node);
    let mut argv = vec![
        ip.as_str(),
        "netns",
        "exec",
        &namespace,
        &unshare,
        "--mount",
        "--pid",
        "--uts",
        "--fork",
        "--mount-proc",
    ];
    if kill_child {
        argv.push("--kill-child");
    }
    let mount = ground.mount.display().to_string();
    let (home, jdk) = (shown(&ground.home), shown(&ground.jdk));
    argv.extend([
        sh.as_str(),
        &script,
        &own,
        &host.name,
        &mount,
        &home,
        &sshd,
        &jdk,
    ]);
    let started = state.host(host.node).join(STARTED);
    match std::fs::remove_file(&started) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            return Err(LabError::file("remove", &started)(e));
        }
        _ => {}
    }
    start_daemon(&state.host(host.node).join("console.log"), &argv)
}

/// Whether a host's first process, started before, has ended.
pub(crate) fn has_ended(state: &State, host: &HostSpec, namespace: &str) -> Result<bool, LabError> {
    // In this order: what is not there yet must not count as gone.
    Ok(state.host(host.node).join(STARTED).exists() && pids(namespace)?.is_empty())
}

/// Whether the host's sshd listens, as the kernel's table of its namespace says.
pub(crate) fn listens(lab: &LabFile, host: &HostSpec) -> Result<bool, LabError> {
    let Ok(address) = host.address.parse::<Ipv4Addr>() else {
        return Ok(false);
    };
    let (_, port) = host.ssh_endpoint(&lab.login);
    for pid in pids(&names::host(&lab.name, host.node))? {
        // The process may have ended since it was listed; the next one shows the same table.
        if let Ok(table) = std::fs::read_to_string(format!("/proc/{pid}/net/tcp")) {
            return Ok(table_listens(&table, address, port));
        }
    }
    Ok(false)
}

/// Reads `/proc/net/tcp`: address and port in hexadecimal, the address as the machine's own byte
/// order has it; state `0A` is LISTEN.
fn table_listens(table: &str, address: Ipv4Addr, port: u16) -> bool {
    let wanted = format!("{:08X}:{port:04X}", u32::from_ne_bytes(address.octets()));
    table.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        words.next() == Some(&wanted) && words.nth(1) == Some("0A")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_table_is_read_as_the_kernel_writes_it() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n   \
                     0: 1B88A8C0:0016 00000000:0000 0A 00000000:00000000\n   \
                     1: 1C88A8C0:0017 1A88A8C0:9999 01 00000000:00000000\n";
        let n0 = Ipv4Addr::new(192, 168, 136, 27);
        assert!(table_listens(table, n0, 22));
        assert!(!table_listens(table, n0, 23));
        assert!(!table_listens(table, Ipv4Addr::new(192, 168, 136, 28), 23));
    }

    #[test]
    fn a_directory_that_programs_need_is_not_hidden() {
        for bad in [
            "/usr/tidemark",
            "/tidemark",
            "/etc/tidemark",
            "/proc/1/x",
            "/no/such/x",
        ] {
            assert!(mount_point(Path::new(bad)).is_err(), "{bad} was accepted");
        }
        let mount = mount_point(Path::new("/tmp/tidemark")).unwrap();
        assert_eq!(mount, Path::new("/tmp"));
    }

    #[test]
    fn a_jdk_in_a_hidden_place_is_shown_elsewhere() {
        let jdk = jdk_of(Path::new("/opt/jdk/bin/java")).unwrap();
        assert_eq!(jdk, Path::new("/opt/jdk"));
        assert!(jdk_of(Path::new("/opt/shims/java")).is_err());
    }
}
