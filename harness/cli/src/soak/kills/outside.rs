//! What of ours is in force on the hosts of a local lab, seen from this machine: through their
//! network namespaces and this machine's process table. It changes nothing, but for the
//! controller's own network.

use std::path::Path;

use anyhow::{Context, bail};
use cluster::LabFile;
use history::NodeId;
use tokio::process::Command;

/// The hosts of a lab that is up.
pub struct Hosts {
    controller: String,
    nodes: Vec<(NodeId, String)>,
    chains: String,
}

impl Hosts {
    /// Of a lab whose name is short enough to be that of its chains.
    ///
    /// # Errors
    /// It is not up.
    pub fn of(lab: &LabFile) -> anyhow::Result<Self> {
        if !lab::controller_netns(&lab.name).exists() {
            bail!("the lab {} is not up", lab.name);
        }
        let named = |node: NodeId| (node, format!("tm-{}-{node}", lab.name));
        Ok(Self {
            controller: format!("tm-{}-ctl", lab.name),
            nodes: lab.hosts.iter().map(|host| named(host.node)).collect(),
            chains: format!("TM-{}-", lab.name),
        })
    }

    /// What of ours is in force: rules, queues, stopped processes; a line each.
    ///
    /// # Errors
    /// A namespace cannot be looked into.
    pub async fn look(&self) -> anyhow::Result<Vec<String>> {
        let mut found = Vec::new();
        for (node, namespace) in &self.nodes {
            let rules = inside(namespace, &["iptables-save"]).await?;
            let ours = rules.lines().filter(|line| line.contains(&self.chains));
            found.extend(ours.map(|line| format!("{node} {}", without_counters(line))));
            let queues = inside(namespace, &["tc", "qdisc", "show"]).await?;
            // The kernel's default for such a device is none, or one that has the handle 0.
            let ours = queues.lines().filter(|line| !line.contains(" 0: "));
            found.extend(ours.map(|line| format!("{node} {}", line.trim())));
            found.extend(
                stopped(namespace)?
                    .into_iter()
                    .map(|it| format!("{node} {it}")),
            );
        }
        Ok(found)
    }

    /// Takes the controller's network away, or gives it back: every device but the loopback.
    ///
    /// # Errors
    /// `ip` refuses.
    pub async fn network(&self, state: &str) -> anyhow::Result<()> {
        let links = inside(&self.controller, &["ip", "-o", "link", "show"]).await?;
        let name = |line: &str| {
            let name = line.split(": ").nth(1)?.split('@').next()?;
            (name != "lo").then(|| name.to_owned())
        };
        for device in links.lines().filter_map(name) {
            inside(&self.controller, &["ip", "link", "set", &device, state]).await?;
        }
        Ok(())
    }
}

async fn inside(namespace: &str, argv: &[&str]) -> anyhow::Result<String> {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).args(argv);
    let output = command.output().await.context("cannot start ip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("{} in {namespace}: {}", argv.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn without_counters(line: &str) -> &str {
    line.split(" [").next().unwrap_or(line)
}

/// Processes in the namespace that are stopped.
fn stopped(namespace: &str) -> anyhow::Result<Vec<String>> {
    let inode = |path: &Path| {
        use std::os::unix::fs::MetadataExt;
        std::fs::metadata(path).map(|it| it.ino())
    };
    let ours = inode(&Path::new("/run/netns").join(namespace))?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        // Processes end while they are looked at.
        let Ok(net) = inode(&entry.path().join("ns/net")) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(name) = is_stopped(&stat).filter(|_| net == ours) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            found.push(format!("{name} {pid} is stopped"));
        }
    }
    Ok(found)
}

/// The name of a process whose state is T: `12 (java) T 1 ...`.
fn is_stopped(stat: &str) -> Option<&str> {
    let (before, after) = stat.rsplit_once(") ")?;
    let (_, name) = before.split_once('(')?;
    after.starts_with(['T', 't']).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_process_is_known_by_its_state() {
        assert_eq!(is_stopped("12 (java) T 1 12"), Some("java"));
        assert_eq!(is_stopped("12 (T) S) T 1 12"), Some("T) S"));
        assert_eq!(is_stopped("12 (T) S 1 12"), None);
        assert_eq!(is_stopped(""), None);
    }
}
