//! From what a plan asked for to exactly what is done, at the moment of injection.
//!
//! The resolution is written down with its proof: who said that this node leads, and when.

use history::{Deed, FaultKind, Link, NodeId};
use plan::{Ask, Target};

use crate::board::Board;

/// A target that names nobody at this moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no target: {0}")]
pub struct Unresolved(pub String);

/// Resolves a fault. `pick` draws an index below its argument, from the seed's stream for targets.
pub fn resolve(
    ask: &Ask,
    nodes: &[NodeId],
    board: &Board,
    pick: &mut dyn FnMut(usize) -> usize,
) -> Result<Deed, Unresolved> {
    match ask {
        Ask::Process {
            kind,
            service,
            target,
        } => {
            let (chosen, because) = choose(target, nodes, board, pick)?;
            Ok(Deed {
                kind: *kind,
                processes: chosen.into_iter().map(|node| (node, *service)).collect(),
                links: Vec::new(),
                because,
            })
        }
        Ask::Isolate(target) => {
            let (chosen, because) = choose(target, nodes, board, pick)?;
            Ok(Deed {
                kind: FaultKind::Isolate,
                processes: Vec::new(),
                links: around(&chosen, nodes),
                because,
            })
        }
        Ask::Cut(links) => Ok(Deed {
            kind: FaultKind::Cut,
            processes: Vec::new(),
            links: links.clone(),
            because: "named by the plan".to_owned(),
        }),
        other => Err(Unresolved(format!("{other:?} cannot be resolved yet"))),
    }
}

/// Every link between a chosen node and any other node, both ways.
fn around(chosen: &[NodeId], nodes: &[NodeId]) -> Vec<Link> {
    let mut links = Vec::new();
    for (i, a) in nodes.iter().enumerate() {
        for b in &nodes[i + 1..] {
            if chosen.contains(a) || chosen.contains(b) {
                links.push(Link {
                    from: *a,
                    to: *b,
                    port: None,
                });
                links.push(Link {
                    from: *b,
                    to: *a,
                    port: None,
                });
            }
        }
    }
    links
}

fn choose(
    target: &Target,
    nodes: &[NodeId],
    board: &Board,
    pick: &mut dyn FnMut(usize) -> usize,
) -> Result<(Vec<NodeId>, String), Unresolved> {
    let one = |node: NodeId, because: String| Ok((vec![node], because));
    match target {
        Target::Node(node) if nodes.contains(node) => one(*node, "named by the plan".to_owned()),
        Target::Node(node) => Err(Unresolved(format!("the lab has no {node}"))),
        Target::All => Ok((nodes.to_vec(), "all nodes".to_owned())),
        Target::Any => {
            let node = nodes[pick(nodes.len())];
            one(
                node,
                format!("{node} was drawn among {} nodes", nodes.len()),
            )
        }
        Target::LeaderOf(partition) => {
            let leader = board
                .leader(partition)
                .ok_or_else(|| Unresolved(format!("no node knows a leader of {partition}")))?;
            one(
                leader.node,
                format!(
                    "{} leads {partition} in {}, says the metadata of {} at {}",
                    leader.node, leader.epoch, leader.said_by, leader.at
                ),
            )
        }
        Target::FollowerOf(partition) => {
            let leader = board
                .leader(partition)
                .ok_or_else(|| Unresolved(format!("no node knows a leader of {partition}")))?;
            let followers: Vec<NodeId> = leader
                .isr
                .iter()
                .copied()
                .filter(|node| *node != leader.node)
                .collect();
            if followers.is_empty() {
                return Err(Unresolved(format!("{partition} has no follower in sync")));
            }
            let node = followers[pick(followers.len())];
            one(
                node,
                format!(
                    "{node} was drawn among the followers of {partition} in sync with {} ({}), \
                     says the metadata of {} at {}",
                    leader.node, leader.epoch, leader.said_by, leader.at
                ),
            )
        }
        Target::Controller => {
            let node = board
                .controller()
                .ok_or_else(|| Unresolved("no node knows a controller".to_owned()))?;
            one(node, format!("{node} is the controller, say most nodes"))
        }
        other => Err(Unresolved(format!("{other:?} cannot be resolved yet"))),
    }
}

#[cfg(test)]
mod tests {
    use history::{Epoch, Mark, Observation, Partition, Seen, Service};

    use super::*;

    const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

    fn led_by(node: u8) -> Board {
        let mut board = Board::default();
        board.observe(&Observation {
            asked: Mark::from_millis(9_119),
            answered: Mark::from_millis(9_120),
            node: NodeId(1),
            seen: Seen::Belief {
                partition: Partition::new("ledger", 0),
                leader: Some(NodeId(node)),
                epoch: Epoch(1),
                isr: NODES.to_vec(),
            },
        });
        board
    }

    fn kill(target: Target) -> Ask {
        Ask::Process {
            kind: FaultKind::Kill,
            service: Service::Broker,
            target,
        }
    }

    #[test]
    fn the_leader_is_resolved_with_its_proof() {
        let ask = kill(Target::LeaderOf(Partition::new("ledger", 0)));
        let deed = resolve(&ask, &NODES, &led_by(2), &mut |_| 0).unwrap();
        assert_eq!(deed.processes, [(NodeId(2), Service::Broker)]);
        assert_eq!(
            deed.because,
            "n2 leads ledger/0 in e1, says the metadata of n1 at 9.120s"
        );
        let none = resolve(&ask, &NODES, &Board::default(), &mut |_| 0).unwrap_err();
        assert_eq!(
            none.to_string(),
            "no target: no node knows a leader of ledger/0"
        );
    }

    #[test]
    fn a_follower_is_never_the_leader() {
        let ask = kill(Target::FollowerOf(Partition::new("ledger", 0)));
        for draw in 0..2 {
            let deed = resolve(&ask, &NODES, &led_by(1), &mut |_| draw).unwrap();
            assert_ne!(deed.processes[0].0, NodeId(1));
        }
    }

    #[test]
    fn isolation_is_four_directed_links_and_never_the_link_between_the_others() {
        let deed = resolve(
            &Ask::Isolate(Target::Node(NodeId(0))),
            &NODES,
            &Board::default(),
            &mut |_| 0,
        )
        .unwrap();
        let links: Vec<String> = deed.links.iter().map(Link::to_string).collect();
        assert_eq!(links, ["n0 -> n1", "n1 -> n0", "n0 -> n2", "n2 -> n0"]);
    }

    #[test]
    fn a_node_outside_the_lab_is_refused() {
        let unresolved = resolve(
            &kill(Target::Node(NodeId(7))),
            &NODES,
            &Board::default(),
            &mut |_| 0,
        );
        assert_eq!(
            unresolved.unwrap_err().to_string(),
            "no target: the lab has no n7"
        );
    }
}
