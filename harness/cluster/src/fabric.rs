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

use crate::error::ClusterError;
use crate::guard::{Watch, remedy};
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::ran::Ran;
use crate::site::{Site, chain_prefix};
use crate::system::CutReading;

/// `iptables -w` waits for other users of the tables without end; this ends it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// $1 our chain, $2 and $3 ports never to cut (SSH, PROBE); then triples of address, port or `-`,
/// comment. A fresh chain is filled and hooked in at one stroke where iptables-restore can and may
/// do that: every program that is started costs time, on a busy host tens of milliseconds. Else rule
/// by rule, hooked in last; either way a cut with several links begins at once.
const CUT: &str = r#"chain=$1; line='
'
: >>"$dir/.cuts" || exit 1
rules() {
  "$1" -p tcp --dport "$2" -j RETURN
  "$1" -p tcp --dport "$3" -j RETURN
  rule=$1; shift 3
  while [ $# -gt 2 ]; do
    if [ "$2" = - ]; then "$rule" -s "$1" -m comment --comment "$3" -j DROP
    else "$rule" -s "$1" -p tcp --dport "$2" -m comment --comment "$3" -j DROP; fi
    shift 3
  done
}
shift
if ipt -N "$chain" 2>/dev/null; then
  all="*filter$line"
  write() { all="$all-A $chain $*$line"; }
  rules write "$@"
  $root iptables-restore -w -n 2>/dev/null <<EOF && exit 0
$all-I INPUT 1 -j $chain
COMMIT
EOF
else ipt -n -L "$chain" >/dev/null || exit 1; fi
need() { ipt -C "$chain" "$@" 2>/dev/null || ipt -A "$chain" "$@" || exit 1; }
rules need "$@"
ipt -C INPUT -j "$chain" 2>/dev/null || ipt -I INPUT 1 -j "$chain""#;

/// $1 our chain. Succeeds when it was not there. `.cuts` goes with the last chain of ours.
pub(crate) const MEND: &str = r#"chain=$1 there= others=
hold 3
list=$(ipt -S) || exit 1
set -f; IFS='
'
for line in $list; do
  case $line in "-N $chain") there=1;; "-N $prefix"*) others=1;; esac
done
set +f; unset IFS
if [ -n "$there" ]; then
  while ipt -D INPUT -j "$chain" 2>/dev/null; do :; done
  ipt -F "$chain" && ipt -X "$chain" || exit 1
fi
[ -n "$others" ] || rm -f -- "$dir/.cuts""#;

const LIST: &str = r#"ipt -n -v -x -L"#;

/// Cuts links that end at this host, in the name of a fault. Cutting twice is cutting once.
///
/// # Errors
/// A link that ends elsewhere or names the PROBE port; the undo is not armed; iptables refused, in
/// its own words.
pub(crate) async fn cut(
    host: &Host,
    lab: &LabFile,
    watch: &Watch,
    fault: FaultId,
    links: &[Link],
) -> Result<(), ClusterError> {
    let Some(wanted) = rules(host.node(), lab, links)? else {
        return Ok(());
    };
    let (_, ssh) = host.spec().ssh_endpoint(&lab.login);
    let mut args = vec![
        chain(lab, fault),
        ssh.to_string(),
        lab.ports.probe.to_string(),
    ];
    args.extend(
        wanted
            .into_iter()
            .flat_map(|rule| [rule.from, rule.port, rule.comment]),
    );
    let cmd = watch.guarded(CUT, args);
    said(host, watch.run(host, &cmd, DEADLINE).await).map(drop)
}

/// Removes every rule of a fault from this host, whatever is there.
///
/// # Errors
/// iptables refused, in its own words; the rules may still be in force.
pub async fn mend(host: &Host, lab: &LabFile, fault: FaultId) -> Result<(), ClusterError> {
    let cmd = Site::of(host, lab).script(MEND, [chain(lab, fault)]);
    said(host, host.run(Lane::Control, &cmd, DEADLINE).await).map(drop)
}

/// The lab's cuts that are in force on this host, with what each has dropped so far.
///
/// # Errors
/// iptables refused; or a rule in one of our chains says what we never wrote.
pub async fn readings(host: &Host, lab: &LabFile) -> Result<Vec<CutReading>, ClusterError> {
    let cmd = Site::of(host, lab).script(LIST, [""; 0]);
    let listing = said(host, host.run(Lane::Control, &cmd, DEADLINE).await)?;
    parse(&listing, lab, host.node()).map_err(|line| {
        host.error(format!(
            "cannot read this rule of a chain of ours: {line:?}; `tidemark heal {}` removes it",
            lab.name
        ))
    })
}

/// A rule of a fault that does not simply cut, and how many packets met it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counter {
    /// What the rule is, beginning with `~`.
    pub(crate) comment: String,
    /// Packets so far.
    pub(crate) packets: u64,
}

/// The counters of a fault's rules on this host.
///
/// # Errors
/// iptables refused.
pub(crate) async fn counters(
    host: &Host,
    lab: &LabFile,
    fault: FaultId,
) -> Result<Vec<Counter>, ClusterError> {
    let cmd = Site::of(host, lab).script(LIST, [""; 0]);
    let listing = said(host, host.run(Lane::Control, &cmd, DEADLINE).await)?;
    Ok(count(&listing, &chain(lab, fault)))
}

fn count(listing: &str, chain: &str) -> Vec<Counter> {
    let start = format!("Chain {chain} (");
    let within = listing.lines().skip_while(|line| !line.starts_with(&start));
    let rules = within
        .skip(1)
        .take_while(|line| !line.starts_with("Chain "));
    let counter = |line: &str| {
        let comment = line.split_once("/* ~")?.1.split_once(" */")?.0;
        let packets = line.split_whitespace().next()?.parse().ok()?;
        let comment = format!("~{comment}");
        Some(Counter { comment, packets })
    };
    rules.filter_map(counter).collect()
}

/// What iptables printed, or its refusal with the remedy.
pub(crate) fn said(host: &Host, ran: Result<Ran, ClusterError>) -> Result<String, ClusterError> {
    let ran = ran.map_err(|error| match error.to_string() {
        late if late.contains("did not end within") => host.error(format!(
            "iptables did not answer within {} s: another program holds its lock (the holder of \
             /run/xtables.lock: `fuser /run/xtables.lock` there)",
            DEADLINE.as_secs()
        )),
        _ => error,
    })?;
    if ran.succeeded() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr)
        .trim()
        .replace('\n', " / ");
    Err(host.error(format!(
        "iptables ended with {}: {said}{}",
        ran.end,
        remedy(&said)
    )))
}

/// `TM-<lab>-f3`.
pub(crate) fn chain(lab: &LabFile, fault: FaultId) -> String {
    format!("{}{fault}", chain_prefix(&lab.name))
}

/// A link as a rule of its receiver knows it.
pub(crate) struct Rule {
    /// The sender's address.
    pub(crate) from: String,
    /// A number, or `-` for all.
    pub(crate) port: String,
    /// By which the rule is recognised again.
    pub(crate) comment: String,
}

/// None when there is nothing to cut.
pub(crate) fn rules(
    node: NodeId,
    lab: &LabFile,
    links: &[Link],
) -> Result<Option<Vec<Rule>>, ClusterError> {
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
pub(crate) fn comment(link: Link) -> String {
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

/// Reads `iptables -n -v -x -L`. 1.4.21 writes protocols by name, 1.8.9 by number; the columns are
/// the same. A chain that is not hooked in cuts nothing and is left out. `Err` is the odd line.
fn parse(listing: &str, lab: &LabFile, on: NodeId) -> Result<Vec<CutReading>, String> {
    let prefix = chain_prefix(&lab.name);
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
        if comment.is_some_and(|(text, _)| text.starts_with('~')) {
            continue;
        }
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
