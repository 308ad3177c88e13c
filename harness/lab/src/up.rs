//! Bringing a lab up, from whatever is there of it.
//!
//! Each part is made only where it does not work: a lab that is up stays as it is, one that is half
//! up is repaired, one that was made from another lab file is made again.

use std::path::PathBuf;
use std::time::Duration;

use cluster::claim::{LOCK, MARKER};
use cluster::{HostSpec, Kind, LabFile, Sudo};
use history::NodeId;

use crate::host::{self, Ground};
use crate::lock::Lock;
use crate::names::{self, State};
use crate::tools::{check_tools, ip, run, until};
use crate::{LabError, down, net, process};

/// How long hosts are given until their sshd listens. Two cores that compile something need seconds.
const READY_MAX: Duration = Duration::from_secs(20);

/// Makes the lab, or what is missing of it, and returns its file with the login filled in: root,
/// the lab's own key and its hosts' keys, and Java as the hosts call it. The hosts carry the
/// lab's marker.
///
/// # Errors
/// Without root or with a program missing; when a command fails or a host does not answer.
pub fn up(lab: &LabFile) -> Result<LabFile, LabError> {
    if lab.kind != Kind::Namespaces {
        return Err(LabError::Refused(format!(
            "lab {} is made of machines that exist already: claim them with `tidemark lab claim {}`",
            lab.name, lab.name
        )));
    }
    check_tools(&lab.java)?;
    let state = State::of(&lab.name)?;
    let lock = Lock::take(&state)?;
    let ground = Ground::of(lab)?;
    names::make_dir(&state.dir(), 0o700)?;
    host::make_key(&state.key(), &format!("tidemark-{}", lab.name))?;
    end_what_was_made_otherwise(lab, &state, &ground)?;
    end_what_was_left(lab, &state, &ground)?;
    connect(lab, &state)?;
    start_hosts(lab, &state, &ground)?;
    for host in &lab.hosts {
        let dir = ground.dir_of(lab, &state, host);
        names::make_dir(&dir, 0o755)?;
        host::write(&dir.join(MARKER), &format!("{}\n", lab.name), 0o644)?;
    }
    write_known_hosts(lab, &state)?;
    drop(lock);
    Ok(filled_in(lab, &state, ground.java))
}

/// The file of a lab that is up, with the login filled in as [`up`] does; nothing is made or
/// mended.
///
/// # Errors
/// Java is missing, or the lab's directory cannot be one.
pub fn as_it_is(lab: &LabFile) -> Result<LabFile, LabError> {
    let ground = Ground::of(lab)?;
    Ok(filled_in(lab, &State::of(&lab.name)?, ground.java))
}

/// The lab file as [`up`] returns it.
pub(crate) fn filled_in(lab: &LabFile, state: &State, java: String) -> LabFile {
    let mut filled = lab.clone();
    filled.java = java;
    filled.login.user = "root".to_owned();
    filled.login.key = Some(state.key());
    filled.login.known_hosts = Some(state.known_hosts());
    filled.login.passphrase_env = None;
    filled.login.password_env = None;
    filled.login.agent = false;
    filled.login.sudo = Sudo::None;
    filled.login.accept_new_host_keys = false;
    filled.login.jump = None;
    filled
}

/// Hosts that were made from another lab file, or with another Java, are ended; their files stay.
fn end_what_was_made_otherwise(
    lab: &LabFile,
    state: &State,
    ground: &Ground,
) -> Result<(), LabError> {
    let made_from = state.dir().join("made-from");
    let now = format!("{}\n# {ground:?}\n", lab.to_toml_without_secrets());
    if std::fs::read_to_string(&made_from).is_ok_and(|before| before == now) {
        return Ok(());
    }
    if let Some(user) = process::user_of(&lab.name)? {
        return Err(LabError::Refused(format!(
            "lab {} was made from another lab file, or with another Java, and {user} is using it; \
             wait for its end, or end it and the lab with `tidemark lab down --force` on it",
            lab.name
        )));
    }
    down::end_namespaces(&lab.name, state)?;
    host::write(&made_from, &now, 0o600)
}

/// Takes away what a killed program left on hosts that still work: its daemons and firewall rules
/// go with the host's namespace, its lock by name. The lab is in use, and left alone, while
/// any process is inside the controller's namespace: that is where every runner lives.
fn end_what_was_left(lab: &LabFile, state: &State, ground: &Ground) -> Result<(), LabError> {
    let controller = names::controller(&lab.name);
    for host in &lab.hosts {
        let namespace = names::host(&lab.name, host.node);
        let lock = ground.dir_of(lab, state, host).join(LOCK);
        let locked = lock.symlink_metadata().is_ok();
        let residue = process::residue(&namespace)?;
        if !process::pids(&controller)?.is_empty() {
            return Ok(());
        }
        if !residue.is_empty() {
            end_host(state, &namespace, host.node)?;
        }
        if locked {
            std::fs::remove_file(&lock).map_err(LabError::file("remove", &lock))?;
        }
    }
    Ok(())
}

/// Removes a host's namespace and every process and firewall rule with it; its files stay.
fn end_host(state: &State, namespace: &str, node: NodeId) -> Result<(), LabError> {
    process::end_processes(namespace)?;
    process::end_nameless(state, |n| n == node)?;
    if names::netns_file(namespace).symlink_metadata().is_ok() {
        ip(&["netns", "del", namespace])?;
    }
    Ok(())
}

/// Namespaces, switch and cables. A host that does not answer loses its namespace first, and with
/// it every process and firewall rule that it had.
fn connect(lab: &LabFile, state: &State) -> Result<(), LabError> {
    for host in &lab.hosts {
        if !host::listens(lab, host)? {
            let namespace = names::host(&lab.name, host.node);
            end_host(state, &namespace, host.node)?;
        }
    }
    let switch = names::switch(&lab.name);
    net::ensure_switch(&switch)?;
    let controller = names::controller(&lab.name);
    net::ensure_namespace(&controller)?;
    let address = names::controller_address(lab)?.to_string();
    net::ensure_plugged(&switch, "ctl", &controller, &address)?;
    for host in &lab.hosts {
        let namespace = names::host(&lab.name, host.node);
        net::ensure_namespace(&namespace)?;
        net::ensure_plugged(&switch, &host.node.to_string(), &namespace, &host.address)?;
    }
    Ok(())
}

/// Starts the hosts that do not answer, all at once, and waits for them.
fn start_hosts(lab: &LabFile, state: &State, ground: &Ground) -> Result<(), LabError> {
    // util-linux before 2.32 (CentOS 7) does not know it; `down` ends processes by namespace anyway.
    let kill_child = run("unshare", &["--help"]).is_ok_and(|help| help.contains("--kill-child"));
    let mut waiting: Vec<&HostSpec> = Vec::new();
    for host in &lab.hosts {
        if host::listens(lab, host)? {
            continue;
        }
        host::prepare(lab, state, host)?;
        host::start(lab, state, ground, host, kill_child)?;
        waiting.push(host);
    }
    for host in waiting {
        let namespace = names::host(&lab.name, host.node);
        let ready = until(READY_MAX, || {
            if host::listens(lab, host)? {
                return Ok(Some(true));
            }
            let ended = host::has_ended(state, host, &namespace)?;
            Ok(ended.then_some(false))
        })?;
        if ready != Some(true) {
            return Err(LabError::Silent {
                host: namespace,
                address: host.address.clone(),
                how: match ready {
                    Some(_) => "its first process ended".to_owned(),
                    None => format!("nothing for {} s", READY_MAX.as_secs()),
                },
                console: console(&state.host(host.node)),
            });
        }
    }
    Ok(())
}

/// The last lines of what a host said while it started.
fn console(own: &std::path::Path) -> String {
    let said: Vec<String> = ["console.log", "sshd.log"]
        .iter()
        .filter_map(|name| std::fs::read(own.join(name)).ok())
        .flat_map(|bytes| {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<String> = text.lines().rev().take(3).map(str::to_owned).collect();
            lines.into_iter().rev()
        })
        .collect();
    match said.is_empty() {
        true => "nothing".to_owned(),
        false => said.join("; "),
    }
}

fn write_known_hosts(lab: &LabFile, state: &State) -> Result<(), LabError> {
    let mut text = String::new();
    for host in &lab.hosts {
        let file: PathBuf = state.host(host.node).join("ssh_host_ed25519_key.pub");
        let public = std::fs::read_to_string(&file).map_err(LabError::file("read", &file))?;
        let key: Vec<&str> = public.split_whitespace().take(2).collect();
        let place = match host.ssh_endpoint(&lab.login).1 {
            22 => host.address.clone(),
            port => format!("[{}]:{port}", host.address),
        };
        text += &format!("{place} {}\n", key.join(" "));
    }
    host::write(&state.known_hosts(), &text, 0o600)
}
