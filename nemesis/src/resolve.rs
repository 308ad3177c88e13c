//! From what a plan asked for to exactly what is done, at the moment of injection.
//!
//! Whom a target means is `target`; here a fault's parts are put together: the deed that is written
//! down, and what the hosts are asked to do.

use cluster::Injection;
use history::{Deed, FaultKind, Link, NodeId, PortName, Service, Topic};
use plan::{Ask, Counterpart};
use std::time::Duration;

use crate::target::{Choice, Unresolved, World, choose};

/// A fault, ready to be injected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What is written down.
    pub deed: Deed,
    /// What hosts, logs and topics are asked for, once the processes and links of the deed are seen to.
    pub injections: Vec<Injection>,
    /// The client that ends without goodbye.
    pub client: Option<CrashedClient>,
    /// Its links come and go at this pace.
    pub flaps: Option<Duration>,
}

/// A client of ours that is ended: which topic's, and which side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CrashedClient {
    /// Of which topic's load.
    pub topic: Topic,
    /// A consumer, not a producer.
    pub consumer: bool,
}

impl Resolved {
    fn of(deed: Deed) -> Self {
        Self {
            deed,
            injections: Vec::new(),
            client: None,
            flaps: None,
        }
    }
}

/// Resolves a fault. `world` is what is known now; its `pick` draws from the seed's stream for
/// targets.
///
/// # Errors
/// The target names nobody at this moment, in words.
pub fn resolve(ask: &Ask, world: &mut World<'_>) -> Result<Resolved, Unresolved> {
    match ask {
        Ask::Process {
            kind,
            service,
            target,
        } => {
            let chosen = choose(target, world)?;
            Ok(Resolved::of(processes(*kind, *service, chosen)))
        }
        Ask::Isolate(_)
        | Ask::Cut(_)
        | Ask::Split(_)
        | Ask::Bridge(_)
        | Ask::Ring
        | Ask::Part { .. } => links(ask, world),
        Ask::Flap { cut, every } => {
            let mut resolved = links(cut, world)?;
            if resolved.deed.links.is_empty() {
                return Err(Unresolved(format!("`{cut}` cuts no link that could flap")));
            }
            resolved.deed.kind = FaultKind::Flap;
            resolved.flaps = Some(*every);
            Ok(resolved)
        }
        Ask::Shape {
            links,
            target,
            shape,
        } => {
            let (links, because) = match target {
                None => (links.clone(), "named by the plan".to_owned()),
                Some(target) => {
                    let chosen = choose(target, world)?;
                    (around(&chosen.nodes, world.nodes), chosen.because)
                }
            };
            let mut resolved = Resolved::of(deed(FaultKind::Shape, links.clone(), because));
            let shape = *shape;
            resolved.injections = vec![Injection::Shape { links, shape }];
            Ok(resolved)
        }
        Ask::FillDisk(_)
        | Ask::SlowDisk(..)
        | Ask::FailDisk(_)
        | Ask::PowerCut { .. }
        | Ask::FlipBit { .. }
        | Ask::Checkpoints { .. }
        | Ask::Wipe(_)
        | Ask::Clock { .. } => of_hosts(ask, world),
        Ask::Elect { .. }
        | Ask::Reassign { .. }
        | Ask::Configure { .. }
        | Ask::DeleteRecords { .. } => Ok(of_topics(ask)),
        Ask::CrashClient { topic, consumer } => {
            let side = if *consumer { "consumers" } else { "producers" };
            let because = format!("the oldest of {topic}'s {side}");
            let mut resolved = Resolved::of(deed(FaultKind::CrashClient, Vec::new(), because));
            resolved.client = Some(CrashedClient {
                topic: topic.clone(),
                consumer: *consumer,
            });
            Ok(resolved)
        }
    }
}

fn deed(kind: FaultKind, links: Vec<Link>, because: String) -> Deed {
    Deed {
        kind,
        processes: Vec::new(),
        links,
        because,
    }
}

fn processes(kind: FaultKind, service: Service, chosen: Choice) -> Deed {
    Deed {
        kind,
        processes: chosen
            .nodes
            .into_iter()
            .map(|node| (node, service))
            .collect(),
        links: Vec::new(),
        because: chosen.because,
    }
}

/// What is cut, and between whom.
fn links(ask: &Ask, world: &mut World<'_>) -> Result<Resolved, Unresolved> {
    let nodes = world.nodes;
    let named = "named by the plan".to_owned();
    let cut = |links, because| Ok(Resolved::of(deed(FaultKind::Cut, links, because)));
    match ask {
        Ask::Isolate(target) => {
            let chosen = choose(target, world)?;
            let links = around(&chosen.nodes, nodes);
            Ok(Resolved::of(deed(
                FaultKind::Isolate,
                links,
                chosen.because,
            )))
        }
        Ask::Cut(links) => cut(links.clone(), named),
        Ask::Split(groups) => {
            let group = |node: NodeId| groups.iter().position(|it| it.contains(&node));
            let apart = pairs(nodes).filter(|(a, b)| group(*a) != group(*b));
            cut(apart.map(whole).collect(), named)
        }
        Ask::Bridge(target) => {
            let chosen = choose(target, world)?;
            let through = |node: &NodeId| chosen.nodes.contains(node);
            let apart = pairs(nodes).filter(|(a, b)| !through(a) && !through(b));
            cut(apart.map(whole).collect(), chosen.because.clone())
        }
        Ask::Ring => {
            let after = |node: NodeId| {
                let at = nodes.iter().position(|it| *it == node)?;
                nodes.get((at + 1) % nodes.len()).copied()
            };
            let deaf = pairs(nodes).filter(|(from, to)| after(*from) != Some(*to));
            cut(
                deaf.map(whole).collect(),
                "every node hears the one before it".to_owned(),
            )
        }
        Ask::Part { target, from } => {
            let chosen = choose(target, world)?;
            Ok(part(chosen, *from, nodes))
        }
        other => Err(Unresolved(format!("`{other}` cuts no link"))),
    }
}

fn part(chosen: Choice, from: Counterpart, nodes: &[NodeId]) -> Resolved {
    let port = |(from, to), port| Link {
        from,
        to,
        port: Some(port),
    };
    match from {
        // A broker reaches its own host's server over loopback, where no link is cut: it keeps a
        // way to ZooKeeper as long as that server is in the ensemble. So the server is parted too.
        Counterpart::ZooKeeper => {
            let ports = [PortName::ZkClient, PortName::ZkPeer, PortName::ZkElection];
            let one_side = pairs(nodes).filter(|(a, b)| touches(&chosen, *a, *b));
            let links = one_side.flat_map(|pair| ports.map(|name| port(pair, name)));
            Resolved::of(deed(
                FaultKind::Cut,
                links.collect(),
                chosen.because.clone(),
            ))
        }
        Counterpart::Peers => {
            let one_side = pairs(nodes).filter(|(a, b)| touches(&chosen, *a, *b));
            let links = one_side.map(|pair| port(pair, PortName::Broker));
            Resolved::of(deed(
                FaultKind::Cut,
                links.collect(),
                chosen.because.clone(),
            ))
        }
        Counterpart::Clients => {
            let nodes = chosen.nodes.clone();
            let mut resolved = Resolved::of(processes(FaultKind::Clients, Service::Broker, chosen));
            resolved.injections = vec![Injection::Clients(nodes)];
            resolved
        }
    }
}

fn touches(chosen: &Choice, a: NodeId, b: NodeId) -> bool {
    chosen.nodes.contains(&a) || chosen.nodes.contains(&b)
}

fn whole((from, to): (NodeId, NodeId)) -> Link {
    Link {
        from,
        to,
        port: None,
    }
}

/// Every ordered pair of two nodes.
fn pairs(nodes: &[NodeId]) -> impl Iterator<Item = (NodeId, NodeId)> {
    nodes.iter().flat_map(move |a| {
        let others = nodes.iter().filter(move |b| a != *b);
        others.map(move |b| (*a, *b))
    })
}

/// Every link between a chosen node and any other node, both ways.
fn around(chosen: &[NodeId], nodes: &[NodeId]) -> Vec<Link> {
    let mut links = Vec::new();
    for (i, a) in nodes.iter().enumerate() {
        for b in &nodes[i + 1..] {
            if chosen.contains(a) || chosen.contains(b) {
                for (from, to) in [(*a, *b), (*b, *a)] {
                    let port = None;
                    links.push(Link { from, to, port });
                }
            }
        }
    }
    links
}

/// Faults of disks, logs and clocks. Those of logs end the broker first: nobody reads a log that
/// changes beneath a living broker, but for a flipped bit, which is what that fault is about.
fn of_hosts(ask: &Ask, world: &mut World<'_>) -> Result<Resolved, Unresolved> {
    let (kind, target) = match ask {
        Ask::FillDisk(target) => (FaultKind::FillDisk, target),
        Ask::SlowDisk(target, _) => (FaultKind::SlowDisk, target),
        Ask::FailDisk(target) => (FaultKind::FailDisk, target),
        Ask::PowerCut { target, .. } => (FaultKind::PowerCut, target),
        Ask::FlipBit { target, .. } => (FaultKind::FlipBit, target),
        Ask::Checkpoints { target, .. } => (FaultKind::Checkpoints, target),
        Ask::Wipe(target) => (FaultKind::Wipe, target),
        Ask::Clock { target, .. } => (FaultKind::Clock, target),
        other => return Err(Unresolved(format!("`{other}` is done to no host"))),
    };
    let chosen = choose(target, world)?;
    let held = |node: NodeId| {
        let of = world
            .partitions
            .iter()
            .filter(move |(_, on)| on.contains(&node));
        of.map(|(partition, _)| partition.clone()).collect()
    };
    let each = chosen.nodes.iter().map(|node| match ask {
        Ask::FillDisk(_) => Injection::FillDisk(*node),
        Ask::SlowDisk(_, by) => Injection::SlowDisk(*node, *by),
        Ask::FailDisk(_) => Injection::FailDisk(*node),
        Ask::PowerCut { tail, .. } => Injection::LoseUnflushed {
            node: *node,
            partitions: held(*node),
            tail: *tail,
        },
        Ask::FlipBit {
            partition, segment, ..
        } => Injection::FlipBit {
            node: *node,
            partition: partition.clone(),
            segment: *segment,
        },
        Ask::Checkpoints { stale, .. } => Injection::Checkpoints {
            node: *node,
            stale: *stale,
        },
        Ask::Clock { by_ms, strobe, .. } => Injection::Clock {
            node: *node,
            by_ms: *by_ms,
            strobe: *strobe,
        },
        _ => Injection::Wipe {
            node: *node,
            partitions: held(*node),
        },
    });
    let injections = each.collect();
    let mut resolved = Resolved::of(match kind {
        FaultKind::Clock => deed(kind, Vec::new(), chosen.because),
        _ => processes(kind, Service::Broker, chosen),
    });
    resolved.injections = injections;
    Ok(resolved)
}

/// What is asked of the brokers themselves.
fn of_topics(ask: &Ask) -> Resolved {
    let (kind, injection) = match ask {
        Ask::Elect { partition, unclean } => (
            FaultKind::Elect,
            Injection::Elect {
                partition: partition.clone(),
                unclean: *unclean,
            },
        ),
        Ask::Reassign { partition, to } => (
            FaultKind::Reassign,
            Injection::Reassign {
                partition: partition.clone(),
                to: to.clone(),
            },
        ),
        Ask::Configure { topic, key, value } => (
            FaultKind::Configure,
            Injection::Configure {
                topic: topic.clone(),
                key: key.clone(),
                value: value.clone(),
            },
        ),
        Ask::DeleteRecords { partition, before } => (
            FaultKind::DeleteRecords,
            Injection::DeleteRecords {
                partition: partition.clone(),
                before: *before,
            },
        ),
        other => unreachable!("{other} is no fault of a topic"),
    };
    let mut resolved = Resolved::of(deed(kind, Vec::new(), ask.to_string()));
    resolved.injections = vec![injection];
    resolved
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
