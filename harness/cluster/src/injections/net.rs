//! Links that are slow, lossy or narrow, and clients that lose a broker.
//!
//! Where packets are dropped there is a rule in the fault's own chain (`fabric`); where they wait,
//! there are classes and queues of ours below a root of ours (`queue`). Neither touches SSH or the
//! PROBE port. What is believed is what counters say after the fault met traffic: the hosts' own,
//! or else ours.

mod knock;
mod loss;
mod queue;

pub(crate) use queue::TREE;

use std::net::SocketAddr;
use std::time::Duration;

use history::{Clock, FaultId, Link, NodeId};
use plan::Shape;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::ClusterError;
use crate::fabric;
use crate::injection::{Effect, Injection, Power};
use crate::remote::{Node, RemoteCluster};
use crate::remote_all::{all, all_ok};
use crate::system::Recovered;

/// A connection that nobody answers.
const CONNECT: Duration = Duration::from_millis(700);

/// $1 our chain, $2 the clients' port, $3 comment, then the addresses that go on. A connection
/// within the host goes on too.
const CLIENTS: &str = r#"chain=$1 port=$2 comment=$3; shift 3
: >>"$dir/.cuts" || exit 1
ipt -N "$chain" 2>/dev/null || { ipt -D INPUT -j "$chain" 2>/dev/null; ipt -F "$chain" || exit 1; }
ipt -A "$chain" -i lo -j RETURN || exit 1
for address in "$@"; do ipt -A "$chain" -s "$address" -j RETURN || exit 1; done
ipt -A "$chain" -p tcp --dport "$port" -m comment --comment "$comment" -j DROP || exit 1
ipt -I INPUT 1 -j "$chain""#;

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    match what {
        Injection::Clients(nodes) => clients(cluster, fault, nodes, clock).await,
        Injection::Shape { links, shape } => worsen(cluster, fault, links, *shape, clock).await,
        other => Err(super::not_ours(other)),
    }
}

/// Undoes it from what is.
pub(crate) async fn recover(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Recovered, ClusterError> {
    let lab = &cluster.lab;
    let mended = all(cluster.nodes.iter().map(|node| async move {
        fabric::mend(&node.host, lab, fault).await?;
        match what {
            Injection::Shape { .. } => queue::remove(&node.host, lab, fault).await,
            _ => Ok(()),
        }
    }));
    mended.await.into_iter().collect::<Result<Vec<()>, _>>()?;
    let each = cluster.nodes.iter().map(|node| async move {
        let rules = fabric::counters(&node.host, lab, fault).await?.len();
        let queues = queue::read(&node.host, lab, fault).await?.len();
        Ok((node.host.node(), rules + queues))
    });
    let left = all_ok(each).await?;
    match left.iter().find(|(_, left)| *left > 0) {
        None => Ok(Recovered::told(format!(
            "no rule and no queue of {fault} is left on any host"
        ))),
        Some((node, left)) => Err(ClusterError::Node {
            node: *node,
            why: format!("{left} rules or queues of {fault} are still there"),
        }),
    }
}

/// Makes links worse by the means that the hosts have.
async fn worsen(
    cluster: &RemoteCluster,
    fault: FaultId,
    links: &[Link],
    shape: Shape,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    // Refuses the PROBE port, and links that are none.
    for link in links {
        fabric::rules(link.to, &cluster.lab, &[*link])?;
    }
    let senders: Vec<&Node> = ends(cluster, links.iter().map(|link| link.from));
    let needed = match shape {
        Shape::Bandwidth(_) => Power::Tbf,
        _ => Power::Netem,
    };
    let each = senders.iter().map(|node| cluster.powers_of(node));
    let powers = all_ok(each).await?;
    let lack = powers
        .iter()
        .find_map(|of| Some((of.node, of.lack(needed)?.to_owned())));
    match (lack, shape) {
        (None, _) => queue::add(cluster, fault, links, shape, clock).await,
        (Some(_), Shape::Loss(part)) => loss::add(cluster, fault, links, part, clock).await,
        (Some((node, why)), _) => Err(ClusterError::Node {
            node,
            why: format!("lacks {needed}, without which this cannot be done to a link: {why}"),
        }),
    }
}

/// The nodes of an iterator, each once.
fn ends(cluster: &RemoteCluster, nodes: impl Iterator<Item = NodeId>) -> Vec<&Node> {
    let wanted: Vec<NodeId> = nodes.collect();
    let all = cluster.nodes.iter();
    all.filter(|node| wanted.contains(&node.host.node()))
        .collect()
}

async fn clients(
    cluster: &RemoteCluster,
    fault: FaultId,
    nodes: &[NodeId],
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let lab = &cluster.lab;
    let hosts = ends(cluster, nodes.iter().copied());
    let before = all(hosts.iter().map(|node| connects(cluster, node))).await;
    let after = clock.mark();
    let each = hosts.iter().map(|node| async move {
        let on = node.host.node();
        let mut args = vec![
            fabric::chain(lab, fault),
            lab.ports.broker.to_string(),
            format!("~clients>{on}"),
        ];
        args.extend(lab.hosts.iter().map(|host| host.address.clone()));
        let watch = cluster.watch(on)?;
        let cmd = watch.guarded(CLIENTS, args);
        let ran = watch.run(&node.host, &cmd, fabric::DEADLINE).await;
        fabric::said(&node.host, ran).map(drop)
    });
    all_ok(each).await?;
    let between = (after, clock.mark());
    let (mut in_force, mut words) = (!hosts.is_empty(), Vec::new());
    for (node, connected) in hosts.iter().zip(before) {
        let connects = connects(cluster, node).await;
        let rules = fabric::counters(&node.host, lab, fault).await?;
        let dropped: u64 = rules.iter().map(|rule| rule.packets).sum();
        in_force &= !connects && dropped > 0;
        let place = format!("port {} of {}", lab.ports.broker, node.host.node());
        let was = if connected {
            ""
        } else {
            " (nobody listened before)"
        };
        words.push(match (connects, dropped) {
            (true, _) => format!("a fresh connection of the controller to {place} succeeds"),
            (false, 0) => format!("a fresh connection to {place} never met the rule"),
            (false, dropped) => format!(
                "a fresh connection of the controller to {place} gets no answer{was}; iptables \
                 dropped {dropped} packets"
            ),
        });
    }
    Ok(Effect::new(in_force, words.join("; "), between))
}

/// Whether the controller reaches a broker as a client does.
async fn connects(cluster: &RemoteCluster, node: &Node) -> bool {
    let at = SocketAddr::new(node.probe.ip(), cluster.lab.ports.broker);
    matches!(timeout(CONNECT, TcpStream::connect(at)).await, Ok(Ok(_)))
}

#[cfg(test)]
#[path = "net/tests.rs"]
mod tests;
