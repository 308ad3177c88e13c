//! Directed links between hosts: cut, mended, and read back from what is in force.
//!
//! It works through chains of its own in iptables, one per lab and fault, and touches nothing else
//! on a host. It never opens what the host's own rules close, and never cuts the controller's SSH
//! or the PROBE port. It remembers nothing: what is to be mended is what the host says is there.
//!
//! A link is cut where its packets arrive, by the sender's address. A link without a port drops
//! every packet, so answers to the other direction's connections are lost too. A link with a port
//! drops what is sent *to* that port of the receiving host: new connections to it fail and
//! established ones fall silent, while connections that the receiving host opened are untouched.

use std::time::Duration;

use history::{FaultId, Link, NodeId, PortName};
use sha2::{Digest, Sha256};

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::system::CutReading;

/// The longest name iptables takes for a chain.
const CHAIN_MAX: usize = 28;
/// `iptables -w` waits for other users of the tables without end; this ends it.
const DEADLINE: Duration = Duration::from_secs(10);

/// What all scripts begin with. $1 is `sudo -n` or nothing, $2 a chain. A login that is not root
/// often has no sbin on its path. iptables 1.4.21 knows -w, but not with seconds.
const PRELUDE: &str = r#"PATH=$PATH:/usr/sbin:/sbin; export PATH
root=$1 chain=$2; shift 2
ipt() { $root iptables -w "$@"; }
"#;

/// Then $1 and $2: ports never to cut (SSH, PROBE); then triples of address, port or `-`, comment.
/// The chain is hooked in last, so that a cut with several links begins at once.
const CUT: &str = r#"ipt -N "$chain" 2>/dev/null || ipt -n -L "$chain" >/dev/null || exit 1
need() { ipt -C "$chain" "$@" 2>/dev/null || ipt -A "$chain" "$@" || exit 1; }
need -p tcp --dport "$1" -j RETURN
need -p tcp --dport "$2" -j RETURN
shift 2
while [ $# -gt 2 ]; do
  if [ "$2" = - ]; then need -s "$1" -m comment --comment "$3" -j DROP
  else need -s "$1" -p tcp --dport "$2" -m comment --comment "$3" -j DROP; fi
  shift 3
done
ipt -C INPUT -j "$chain" 2>/dev/null || ipt -I INPUT 1 -j "$chain""#;

/// Succeeds when the chain was not there. Asks INPUT first: iptables that fails is not "no chain".
const MEND: &str = r#"ipt -n -L INPUT >/dev/null || exit 1
ipt -n -L "$chain" >/dev/null 2>&1 || exit 0
while ipt -C INPUT -j "$chain" 2>/dev/null; do ipt -D INPUT -j "$chain" || exit 1; done
ipt -F "$chain" && ipt -X "$chain""#;

const LIST: &str = r#"ipt -n -v -x -L"#;

/// Cuts links that end at this host, in the name of a fault. Cutting twice is cutting once.
///
/// # Errors
/// A link that ends elsewhere or names the PROBE port; iptables refused, in its own words.
pub async fn cut(
    host: &Host,
    lab: &LabFile,
    fault: FaultId,
    links: &[Link],
) -> Result<(), ClusterError> {
    let Some(wanted) = rules(host.node(), lab, links)? else {
        return Ok(());
    };
    let (_, ssh) = host.spec().ssh_endpoint(&lab.login);
    let mut args = vec![ssh.to_string(), lab.ports.probe.to_string()];
    args.extend(
        wanted
            .into_iter()
            .flat_map(|rule| [rule.from, rule.port, rule.comment]),
    );
    run(host, &chain(lab, fault), CUT, args).await.map(drop)
}

/// Removes every cut of a fault from this host, whatever is there.
///
/// # Errors
/// iptables refused, in its own words; the cut may still be in force.
pub async fn mend(host: &Host, lab: &LabFile, fault: FaultId) -> Result<(), ClusterError> {
    run(host, &chain(lab, fault), MEND, []).await.map(drop)
}

/// The lab's cuts that are in force on this host, with what each has dropped so far.
///
/// # Errors
/// iptables refused; or a rule in one of our chains says what we never wrote.
pub async fn readings(host: &Host, lab: &LabFile) -> Result<Vec<CutReading>, ClusterError> {
    let listing = run(host, "-", LIST, []).await?;
    parse(&listing, lab, host.node()).map_err(|line| {
        host.error(format!(
            "cannot read this rule of a chain of ours: {line:?}; `tidemark heal {}` removes it",
            lab.name
        ))
    })
}

/// Removes every chain of the lab from this host, and names them.
///
/// # Errors
/// iptables refused, in its own words.
pub async fn heal_all(host: &Host, lab: &LabFile) -> Result<Vec<String>, ClusterError> {
    let listing = run(host, "-", LIST, []).await?;
    let mut removed = Vec::new();
    for fault in chains(&listing, lab) {
        mend(host, lab, fault).await?;
        removed.push(chain(lab, fault));
    }
    Ok(removed)
}

async fn run(
    host: &Host,
    chain: &str,
    script: &str,
    args: impl IntoIterator<Item = String>,
) -> Result<String, ClusterError> {
    let first = [host.root_prefix().to_owned(), chain.to_owned()];
    let cmd = Cmd::script(&format!("{PRELUDE}{script}"), first.into_iter().chain(args));
    let ran = host.run(Lane::Control, &cmd, DEADLINE).await?;
    if ran.succeeded() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr)
        .trim()
        .replace('\n', " / ");
    let remedy = if said.contains("not found") {
        ": install iptables there (yum install iptables, apt-get install iptables)"
    } else if said.contains("sudo:") {
        ": let the login user run iptables through `sudo -n`"
    } else if said.contains("Permission denied") || said.contains("you must be root") {
        ": log in as root, or set login.sudo = \"passwordless\" in the lab file"
    } else {
        ""
    };
    Err(host.error(format!("iptables ended with {}: {said}{remedy}", ran.end)))
}

/// `TM-<lab>-f3`. A long lab name keeps its beginning and six digits of its digest.
fn chain(lab: &LabFile, fault: FaultId) -> String {
    format!("{}{fault}", prefix(lab))
}

fn prefix(lab: &LabFile) -> String {
    // "TM-", the name, "-f65535".
    const NAME: usize = CHAIN_MAX - 3 - 7;
    if lab.name.len() <= NAME {
        return format!("TM-{}-", lab.name);
    }
    let digest = Sha256::digest(lab.name.as_bytes());
    let digits: String = digest.iter().take(3).map(|b| format!("{b:02x}")).collect();
    let beginning: String = lab.name.chars().take(NAME - 7).collect();
    format!("TM-{beginning}+{digits}-")
}

struct Rule {
    from: String,
    port: String,
    comment: String,
}

/// None when there is nothing to cut.
fn rules(node: NodeId, lab: &LabFile, links: &[Link]) -> Result<Option<Vec<Rule>>, ClusterError> {
    let refuse = |why| Err(ClusterError::Node { node, why });
    let mut rules = Vec::new();
    for link in links {
        if link.to != node || link.from == node {
            return refuse(format!(
                "the link {link} is not one from another host to this one"
            ));
        }
        if link.port == Some(PortName::Probe) {
            return refuse(
                "the PROBE port is never cut: a broker that is cut off is still watched through it"
                    .to_owned(),
            );
        }
        let Some(from) = lab.hosts.iter().find(|h| h.node == link.from) else {
            return refuse(format!("the lab {} has no host {}", lab.name, link.from));
        };
        rules.push(Rule {
            from: from.address.clone(),
            port: link
                .port
                .map_or_else(|| "-".to_owned(), |p| lab.ports.number(p).to_string()),
            comment: comment(*link),
        });
    }
    Ok((!rules.is_empty()).then_some(rules))
}

const PORTS: [(PortName, &str); 5] = [
    (PortName::Broker, "broker"),
    (PortName::Probe, "probe"),
    (PortName::ZkClient, "zk-client"),
    (PortName::ZkPeer, "zk-peer"),
    (PortName::ZkElection, "zk-election"),
];

/// `n2>n1` or `n2>n1:broker`, by which a rule is recognised again.
fn comment(link: Link) -> String {
    let port = PORTS.iter().find(|(name, _)| Some(*name) == link.port);
    match port {
        None => format!("{}>{}", link.from, link.to),
        Some((_, name)) => format!("{}>{}:{name}", link.from, link.to),
    }
}

fn read_comment(text: &str) -> Option<Link> {
    let (ends, port) = match text.split_once(':') {
        None => (text, None),
        Some((ends, name)) => (ends, Some(PORTS.iter().find(|(_, n)| *n == name)?.0)),
    };
    let (from, to) = ends.split_once('>')?;
    Some(Link {
        from: from.parse().ok()?,
        to: to.parse().ok()?,
        port,
    })
}

/// `Chain TM-local-f3 (1 references)`: the fault, and how often the chain is hooked in.
fn read_chain(line: &str, prefix: &str) -> Option<(FaultId, u32)> {
    let (name, rest) = line.strip_prefix("Chain ")?.split_once(' ')?;
    let fault = name.strip_prefix(prefix)?.parse().ok()?;
    let references = rest.strip_prefix('(')?.split_once(' ')?.0.parse().ok()?;
    Some((fault, references))
}

fn chains(listing: &str, lab: &LabFile) -> Vec<FaultId> {
    let prefix = prefix(lab);
    listing
        .lines()
        .filter_map(|line| read_chain(line, &prefix))
        .map(|(fault, _)| fault)
        .collect()
}

/// Reads `iptables -n -v -x -L`. 1.4.21 writes protocols by name, 1.8.9 by number; the columns are
/// the same. A chain that is not hooked in cuts nothing and is left out. `Err` is the odd line.
fn parse(listing: &str, lab: &LabFile, on: NodeId) -> Result<Vec<CutReading>, String> {
    let prefix = prefix(lab);
    let mut readings = Vec::new();
    let mut inside = None;
    for line in listing.lines() {
        if line.starts_with("Chain ") {
            inside = read_chain(line, &prefix).filter(|(_, references)| *references > 0);
            continue;
        }
        let Some((fault, _)) = inside else { continue };
        let mut columns = line.split_whitespace();
        let (packets, _bytes, target) = (columns.next(), columns.next(), columns.next());
        if target != Some("DROP") {
            continue;
        }
        let comment = line
            .split_once("/* ")
            .and_then(|(_, rest)| rest.split_once(" */"));
        let reading = packets
            .and_then(|p| p.parse().ok())
            .zip(comment.and_then(|(text, _)| read_comment(text)));
        let Some((packets, link)) = reading else {
            return Err(line.to_owned());
        };
        readings.push(CutReading {
            fault,
            on,
            link,
            packets,
        });
    }
    Ok(readings)
}

#[cfg(test)]
#[path = "fabric_tests.rs"]
mod tests;
