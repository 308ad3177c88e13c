//! A person's way into a host: an ordinary `ssh`, with the caller's terminal.
//!
//! The harness itself never comes this way; it has lanes of its own.

use std::io::IsTerminal;
use std::process::{Command, ExitStatus};

use cluster::{HostSpec, Kind, LabFile};
use history::NodeId;

use crate::LabError;
use crate::names::{self, State};
use crate::tools::tool;
use crate::up::filled_in;

/// Runs a command on a host, or a login shell when `argv` is empty, and waits for its end. The
/// exit status is the command's own, or 255 when ssh could not connect.
///
/// # Errors
/// When there is no such host, the lab is not up, or ssh cannot be started.
pub fn shell(lab: &LabFile, node: NodeId, argv: &[String]) -> Result<ExitStatus, LabError> {
    let host = lab.host(node).ok_or_else(|| {
        let known: Vec<String> = lab.hosts.iter().map(|h| h.node.to_string()).collect();
        LabError::Refused(format!(
            "lab {} has no host {node}; it has {}",
            lab.name,
            known.join(", ")
        ))
    })?;
    let mut command = match lab.kind {
        Kind::Machines => ssh(lab, host, Command::new(tool("ssh"))),
        Kind::Namespaces => {
            let controller = names::controller(&lab.name);
            if names::netns_file(&controller).symlink_metadata().is_err() {
                return Err(LabError::Refused(format!(
                    "lab {0} is not up: `tidemark lab up` with its name or file brings it up",
                    lab.name
                )));
            }
            let mut inside = Command::new(tool("ip"));
            inside.args(["netns", "exec", &controller]).arg(tool("ssh"));
            let filled = filled_in(lab, &State::of(&lab.name)?, lab.java.clone());
            ssh(&filled, host, inside)
        }
    };
    command.args(argv.iter().map(|word| cluster::cmd::quote(word)));
    command
        .status()
        .map_err(LabError::file("start", tool("ssh")))
}

/// The options that the lab file asks for, up to and including the destination.
fn ssh(lab: &LabFile, host: &HostSpec, mut command: Command) -> Command {
    let login = &lab.login;
    let (address, port) = host.ssh_endpoint(login);
    // `-F none`: nothing of the caller's own configuration, so that a jump host or another user
    // there does not lead into a different machine.
    command.args(["-F", "none", "-o", "LogLevel=ERROR"]);
    if std::io::stdin().is_terminal() {
        command.arg("-t");
    }
    if let Some(key) = &login.key {
        command.args(["-o", "IdentitiesOnly=yes", "-i"]).arg(key);
    }
    if let Some(file) = &login.known_hosts {
        command
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", file.display()));
    }
    let strict = match login.accept_new_host_keys {
        true => "accept-new",
        false => "yes",
    };
    command
        .arg("-o")
        .arg(format!("StrictHostKeyChecking={strict}"));
    command.args(["-p", &port.to_string(), "-l", &login.user, "--", &address]);
    command
}
