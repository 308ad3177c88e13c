//! Whom a target means at this moment, with its proof: who said that this node leads, and when.
//!
//! Nothing here asks a host: it looks at what was observed, and says so where that is not enough.

use history::{NodeId, Partition};
use plan::Target;

use crate::board::{Board, Leadership};

/// A target that names nobody at this moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no target: {0}")]
pub struct Unresolved(pub String);

/// What is known when a fault is resolved.
pub struct World<'a> {
    /// The lab's nodes, ascending.
    pub nodes: &'a [NodeId],
    /// The plan's partitions with the nodes they are assigned to.
    pub partitions: &'a [(Partition, Vec<NodeId>)],
    /// What the probes last said.
    pub board: &'a Board,
    /// The ZooKeeper server that leads, if it was asked for and somebody does.
    pub zookeeper_leader: Option<NodeId>,
    /// The broker that coordinates the group asked for.
    pub coordinator: Option<NodeId>,
    /// Draws an index below its argument.
    pub pick: &'a mut dyn FnMut(usize) -> usize,
}

/// Who is meant, and who said so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Ascending, but for what was drawn.
    pub(crate) nodes: Vec<NodeId>,
    /// In words, for the record.
    pub(crate) because: String,
}

/// Whom a target means now.
pub(crate) fn choose(target: &Target, world: &mut World<'_>) -> Result<Choice, Unresolved> {
    let nodes = world.nodes;
    match target {
        Target::Node(node) if nodes.contains(node) => one(*node, "named by the plan".to_owned()),
        Target::Node(node) => Err(Unresolved(format!("the lab has no {node}"))),
        Target::All => Ok(Choice {
            nodes: nodes.to_vec(),
            because: "all nodes".to_owned(),
        }),
        Target::Any => Ok(drawn(1, world)),
        Target::Minority => Ok(drawn((nodes.len() - 1) / 2, world)),
        Target::Majority => Ok(drawn(nodes.len() / 2 + 1, world)),
        Target::LeaderOf(partition) => {
            let leader = leader(partition, world)?;
            let because = format!(
                "{} leads {partition} in {}, {}",
                leader.node,
                leader.epoch,
                source(&leader)
            );
            one(leader.node, because)
        }
        Target::FollowerOf(partition) => {
            let (leader, followers) = followers(partition, world)?;
            let node = followers[(world.pick)(followers.len())];
            let because = format!(
                "{node} was drawn among the followers of {partition} in sync with {} ({}), {}",
                leader.node,
                leader.epoch,
                source(&leader)
            );
            one(node, because)
        }
        Target::FollowersOf(partition) => {
            let (leader, followers) = followers(partition, world)?;
            let because = format!(
                "all followers of {partition} in sync with {} ({}), {}",
                leader.node,
                leader.epoch,
                source(&leader)
            );
            Ok(Choice {
                nodes: followers,
                because,
            })
        }
        Target::LastInSyncOf(partition) => {
            let leader = leader(partition, world)?;
            let [last] = leader.isr.as_slice() else {
                let size = leader.isr.len();
                return Err(Unresolved(format!(
                    "{size} replicas of {partition} are in sync, not one"
                )));
            };
            let because = format!(
                "{last} is the only replica of {partition} in sync ({}), {}",
                leader.epoch,
                source(&leader)
            );
            one(*last, because)
        }
        Target::Controller => {
            let node = world.board.controller();
            let node = node.ok_or_else(|| Unresolved("no node knows a controller".to_owned()))?;
            one(node, format!("{node} is the controller, say most nodes"))
        }
        Target::ZooKeeperLeader => {
            let none = || Unresolved("no ZooKeeper server says that it leads".to_owned());
            let node = world.zookeeper_leader.ok_or_else(none)?;
            one(node, format!("the ZooKeeper of {node} says that it leads"))
        }
        Target::CoordinatorOf(group) => {
            let none = || Unresolved(format!("no broker names a coordinator of {group}"));
            let node = world.coordinator.ok_or_else(none)?;
            one(node, format!("{node} coordinates {group}, say the brokers"))
        }
    }
}

fn one(node: NodeId, because: String) -> Result<Choice, Unresolved> {
    Ok(Choice {
        nodes: vec![node],
        because,
    })
}

/// So many different nodes.
fn drawn(count: usize, world: &mut World<'_>) -> Choice {
    let mut left = world.nodes.to_vec();
    let mut nodes: Vec<NodeId> = (0..count.min(left.len()))
        .map(|_| left.remove((world.pick)(left.len())))
        .collect();
    nodes.sort_unstable();
    let names: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    let verb = if nodes.len() == 1 { "was" } else { "were" };
    let because = format!(
        "{} {verb} drawn among {} nodes",
        names.join(" and "),
        world.nodes.len()
    );
    Choice { nodes, because }
}

fn leader(partition: &Partition, world: &World<'_>) -> Result<Leadership, Unresolved> {
    let leader = world.board.leader(partition);
    leader.ok_or_else(|| Unresolved(format!("no node knows a leader of {partition}")))
}

fn source(leader: &Leadership) -> String {
    format!("says the metadata of {} at {}", leader.said_by, leader.at)
}

fn followers(
    partition: &Partition,
    world: &World<'_>,
) -> Result<(Leadership, Vec<NodeId>), Unresolved> {
    let leader = leader(partition, world)?;
    let others = leader.isr.iter().copied();
    let followers: Vec<NodeId> = others.filter(|node| *node != leader.node).collect();
    if followers.is_empty() {
        return Err(Unresolved(format!("{partition} has no follower in sync")));
    }
    Ok((leader, followers))
}
