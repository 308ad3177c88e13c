//! The processes of a lab, found by the namespace they are in.
//!
//! No pid is ever remembered: what is in a namespace of ours was put there by us or by what we
//! started, and nothing else is ever signalled.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use history::NodeId;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::LabError;
use crate::names::{SCRIPT_NAME, State, controller, netns_file};
use crate::tools::{ip, run, until};

/// How long processes are given to end after SIGKILL.
const END_MAX: Duration = Duration::from_secs(10);

/// The processes of a network namespace, as this machine numbers them. None when it is not there.
pub(crate) fn pids(namespace: &str) -> Result<Vec<i32>, LabError> {
    if netns_file(namespace).symlink_metadata().is_err() {
        return Ok(Vec::new());
    }
    // A name that leads nowhere has no processes.
    let text = ip(&["netns", "pids", namespace]).unwrap_or_default();
    Ok(text
        .split_whitespace()
        .filter_map(|w| w.parse().ok())
        .collect())
}

/// Who uses a lab, for people: one process inside the controller's namespace, where every runner
/// and every shell on a host begins.
pub(crate) fn user_of(lab: &str) -> Result<Option<String>, LabError> {
    let pids = pids(&controller(lab))?;
    Ok(pids
        .into_iter()
        .find_map(Stat::of)
        .map(|stat| format!("process {} ({})", stat.pid, stat.name)))
}

/// Ends every process of a namespace and waits until none is left. They are ours by construction:
/// nothing gets into a namespace of ours that we did not put there.
pub(crate) fn end_processes(namespace: &str) -> Result<usize, LabError> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let mut ended = BTreeSet::new();
    let mut left = Vec::new();
    let gone = until(END_MAX, || {
        left = pids(namespace)?;
        if left.contains(&own) {
            return Err(LabError::Refused(format!(
                "this process is inside {namespace} and would end itself; run the command outside \
                 the lab"
            )));
        }
        for pid in &left {
            // ESRCH: it ended by itself in between.
            if kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok() {
                ended.insert(*pid);
            }
        }
        Ok(left.is_empty().then_some(()))
    })?;
    match gone {
        Some(()) => Ok(ended.len()),
        None => Err(immortal(namespace, &left)),
    }
}

/// Ends hosts whose namespace has lost its name (`ip netns del` while they live), and with a first
/// process everything below it. They are known by being pid 1 of a pid namespace of their own and
/// by the script that they run, which lies in this lab's state.
pub(crate) fn end_nameless(
    state: &State,
    wanted: impl Fn(NodeId) -> bool,
) -> Result<usize, LabError> {
    let find = || -> Result<Vec<i32>, LabError> {
        let entries = std::fs::read_dir("/proc").map_err(LabError::file("list", "/proc"))?;
        let pids = entries
            .flatten()
            .filter_map(|e| e.file_name().to_str()?.parse::<i32>().ok());
        Ok(pids
            .filter(|pid| runs_host_of(state, *pid).is_some_and(&wanted))
            .filter(|pid| Stat::of(*pid).is_some_and(|s| s.is_first))
            .collect())
    };
    let mut ended = BTreeSet::new();
    let mut left = Vec::new();
    let gone = until(END_MAX, || {
        left = find()?;
        for pid in &left {
            if kill(Pid::from_raw(*pid), Signal::SIGKILL).is_ok() {
                ended.insert(*pid);
            }
        }
        Ok(left.is_empty().then_some(()))
    })?;
    match gone {
        Some(()) => Ok(ended.len()),
        None => Err(immortal(&format!("lab {}", state.lab()), &left)),
    }
}

/// The host whose first process this is, by its command line.
fn runs_host_of(state: &State, pid: i32) -> Option<NodeId> {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let script = line.split(|b| *b == 0).nth(1)?;
    let script = Path::new(std::str::from_utf8(script).ok()?);
    let below = script.strip_prefix(state.dir()).ok()?;
    let node: NodeId = below.parent()?.to_str()?.parse().ok()?;
    (below.file_name()? == SCRIPT_NAME).then_some(node)
}

fn immortal(place: &str, pids: &[i32]) -> LabError {
    let pids: Vec<String> = pids.iter().map(i32::to_string).collect();
    LabError::Immortal {
        namespace: place.to_owned(),
        pids: pids.join(", "),
        seconds: END_MAX.as_secs(),
    }
}

/// What somebody left on a host: daemons, and firewall rules. Empty on a host as it was made.
pub(crate) fn residue(namespace: &str) -> Result<Vec<String>, LabError> {
    let stats: Vec<Stat> = pids(namespace)?.into_iter().filter_map(Stat::of).collect();
    let Some(first) = stats.iter().find(|s| s.is_first) else {
        return Ok(Vec::new());
    };
    let mut found: Vec<String> = stats
        .iter()
        // What belongs to an SSH session has sshd above it; a daemon has the first process.
        .filter(|s| s.parent == first.pid && !s.name.starts_with("sshd"))
        .map(|s| format!("process {}", s.name))
        .collect();
    let target = first.pid.to_string();
    // A host whose rules cannot be read is not as it was made, either.
    let rules = run(
        "nsenter",
        &[
            "--target", &target, "--mount", "--net", "iptables", "-w", "-S",
        ],
    )
    .unwrap_or_else(|e| e.to_string());
    found.extend(
        rules
            .lines()
            .filter(|line| !(line.starts_with("-P ") && line.ends_with(" ACCEPT")))
            .map(|line| format!("rule {line}")),
    );
    Ok(found)
}

/// What `/proc` says about one process.
struct Stat {
    pid: i32,
    parent: i32,
    name: String,
    /// Whether it is pid 1 of a host.
    is_first: bool,
}

impl Stat {
    fn of(pid: i32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(str::trim)
        };
        Some(Self {
            pid,
            parent: field("PPid")?.parse().ok()?,
            name: field("Name")?.to_owned(),
            // In every pid namespace it is part of, outermost first; the host's own comes last.
            is_first: field("NSpid")?.split_whitespace().last() == Some("1"),
        })
    }
}
