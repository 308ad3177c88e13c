//! What a fault takes away while it is in force, as far as that is known before the run.
//!
//! Drawing respects a budget by it. It errs on the careful side: whom a target means is found at
//! injection, so two faults on `any` may take two brokers, and the leader is not taken for n0.
//! Slow, lossy and wrong are not counted: only down, paused, cut off or without disk.

use std::collections::BTreeSet;

use history::{NodeId, PortName, Service};

use crate::ask::{Ask, Target};
use crate::model::{Budget, NODES};

/// How many ZooKeeper servers can be lost while a majority lives.
const SPARE_ZOOKEEPERS: usize = (NODES.len() - 1) / 2;

impl Budget {
    /// Whether these faults may be in force at one moment; the error is a sentence.
    pub fn allows<'a>(&self, asks: impl IntoIterator<Item = &'a Ask>) -> Result<(), String> {
        let (mut brokers, mut zookeepers) = (Lost::default(), Lost::default());
        for ask in asks {
            let toll = Toll::of(ask);
            brokers.add(&toll.brokers);
            zookeepers.add(&toll.zookeepers);
        }
        if let Some(most) = self.brokers
            && brokers.at_most() > most as usize
        {
            return Err(format!(
                "it may take {} brokers at once, and the budget allows {most}",
                brokers.at_most()
            ));
        }
        if self.zookeeper_majority && zookeepers.at_most() > SPARE_ZOOKEEPERS {
            return Err(format!(
                "it may take {} ZooKeeper servers at once, and the budget wants a majority alive",
                zookeepers.at_most()
            ));
        }
        Ok(())
    }

    /// Whether nothing is bounded.
    pub(crate) fn is_open(&self) -> bool {
        *self == Budget::default()
    }
}

/// Nodes that a fault takes: some by name, some by number.
#[derive(Default)]
struct Lost {
    known: BTreeSet<NodeId>,
    others: usize,
}

impl Lost {
    fn others(others: usize) -> Self {
        Self {
            known: BTreeSet::new(),
            others,
        }
    }

    fn known(nodes: impl IntoIterator<Item = NodeId>) -> Self {
        Self {
            known: nodes.into_iter().collect(),
            others: 0,
        }
    }

    fn of(target: &Target) -> Self {
        match target {
            Target::Node(node) => Lost::known([*node]),
            Target::All => Lost::known(NODES),
            Target::Majority => Lost::others(NODES.len() / 2 + 1),
            Target::FollowersOf(_) => Lost::others(NODES.len() - 1),
            Target::Minority => Lost::others(SPARE_ZOOKEEPERS),
            Target::Any
            | Target::LeaderOf(_)
            | Target::FollowerOf(_)
            | Target::LastInSyncOf(_)
            | Target::Controller
            | Target::ZooKeeperLeader
            | Target::CoordinatorOf(_) => Lost::others(1),
        }
    }

    /// The fewest nodes without which no severed pair is left. Of two pairs it is the node that
    /// both have, of one it is either.
    fn of_pairs(pairs: &BTreeSet<(NodeId, NodeId)>) -> Self {
        if pairs.is_empty() {
            return Lost::default();
        }
        let covers = |node: NodeId| pairs.iter().all(|(a, b)| *a == node || *b == node);
        let covering: Vec<NodeId> = NODES.into_iter().filter(|node| covers(*node)).collect();
        match covering[..] {
            [node] => Lost::known([node]),
            [] => Lost::others(2),
            _ => Lost::others(1),
        }
    }

    fn add(&mut self, more: &Lost) {
        self.known.extend(&more.known);
        self.others += more.others;
    }

    fn at_most(&self) -> usize {
        (self.known.len() + self.others).min(NODES.len())
    }
}

#[derive(Default)]
struct Toll {
    brokers: Lost,
    zookeepers: Lost,
}

impl Toll {
    fn brokers(brokers: Lost) -> Self {
        Self {
            brokers,
            zookeepers: Lost::default(),
        }
    }

    fn of(ask: &Ask) -> Self {
        match ask {
            Ask::Process {
                service: Service::ZooKeeper,
                target,
                ..
            } => Toll {
                brokers: Lost::default(),
                zookeepers: Lost::of(target),
            },
            Ask::Process { target, .. }
            | Ask::Part { target, .. }
            | Ask::FillDisk(target)
            | Ask::FailDisk(target)
            | Ask::PowerCut { target, .. }
            | Ask::Checkpoints { target, .. }
            | Ask::Wipe(target) => Toll::brokers(Lost::of(target)),
            Ask::Isolate(target) => Toll {
                brokers: Lost::of(target),
                zookeepers: Lost::of(target),
            },
            Ask::Cut(links) => {
                let pairs = |counted: fn(Option<PortName>) -> bool| {
                    let links = links.iter().filter(|link| counted(link.port));
                    Lost::of_pairs(&links.map(|link| pair(link.from, link.to)).collect())
                };
                Toll {
                    brokers: pairs(|port| {
                        matches!(port, None | Some(PortName::Broker | PortName::ZkClient))
                    }),
                    zookeepers: pairs(|port| {
                        matches!(port, None | Some(PortName::ZkPeer | PortName::ZkElection))
                    }),
                }
            }
            Ask::Split(groups) => severed(|a, b| {
                let has = |node| groups.iter().position(|group| group.contains(&node));
                matches!((has(a), has(b)), (Some(one), Some(other)) if one != other)
            }),
            Ask::Bridge(_) => Toll {
                brokers: Lost::others(1),
                zookeepers: Lost::others(1),
            },
            Ask::Ring => severed(|_, _| true),
            Ask::Flap { cut, .. } => Toll::of(cut),
            Ask::Shape { .. }
            | Ask::Elect { .. }
            | Ask::Reassign { .. }
            | Ask::Configure { .. }
            | Ask::SlowDisk(..)
            | Ask::FlipBit { .. }
            | Ask::DeleteRecords { .. }
            | Ask::Clock { .. }
            | Ask::CrashClient { .. } => Toll::default(),
        }
    }
}

/// Both services of every pair of nodes that is meant.
fn severed(meant: impl Fn(NodeId, NodeId) -> bool) -> Toll {
    let all = NODES.into_iter().flat_map(|a| NODES.map(|b| (a, b)));
    let pairs = all.filter(|(a, b)| a < b && meant(*a, *b)).collect();
    Toll {
        brokers: Lost::of_pairs(&pairs),
        zookeepers: Lost::of_pairs(&pairs),
    }
}

fn pair(a: NodeId, b: NodeId) -> (NodeId, NodeId) {
    (a.min(b), a.max(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(budget: &Budget, asks: &[&str]) -> bool {
        let asks: Vec<Ask> = asks
            .iter()
            .map(|text| text.parse().unwrap_or_else(|e| panic!("{e}")))
            .collect();
        budget.allows(&asks).is_ok()
    }

    #[test]
    fn what_takes_no_more_than_the_budget_is_allowed() {
        let one = Budget {
            brokers: Some(1),
            zookeeper_majority: true,
        };
        for asks in [
            &["kill n1"][..],
            &["kill n1", "pause n1", "isolate n1"],
            &["kill leader of a/0", "kill zookeeper of n2"],
            &["isolate any"],
            &["split {n0} | {n1, n2}", "kill n0"],
            &["cut n2 -> n1, n1 -> n2"],
            &["cut n2 -> n1, n2 -> n0", "wipe n2"],
            &["cut n2 -> n1 port zk-peer", "kill n0"],
            &[
                "kill minority",
                "elect preferred of a/0",
                "lose 100% of all",
            ],
            &["flap bridge n1 every 1s"],
            &["part any from zookeeper", "crash producer of a"],
        ] {
            assert!(allowed(&one, asks), "{asks:?}");
        }
        for asks in [
            &["kill n1", "kill n2"][..],
            &["kill any", "kill any"],
            &["kill leader of a/0", "pause n0"],
            &["stop all"],
            &["power-cut majority"],
            &["wipe followers of a/0"],
            &["ring"],
            &["split {n0} | {n1} | {n2}"],
            &["cut n2 -> n1", "part n0 from peers"],
            &["kill zookeeper of n1", "isolate n2"],
            &["kill zookeeper of majority"],
            &["flap ring every 1s"],
            &["cut n0 -> n1 port zk-election", "kill zookeeper of n2"],
            &["fill disk of n1", "fail disk of n2"],
        ] {
            assert!(!allowed(&one, asks), "{asks:?}");
            assert!(allowed(&Budget::default(), asks), "{asks:?}");
        }
    }

    #[test]
    fn a_budget_bounds_what_it_names_and_nothing_else() {
        let two = Budget {
            brokers: Some(2),
            zookeeper_majority: false,
        };
        assert!(allowed(&two, &["kill any", "kill any"]));
        assert!(allowed(&two, &["kill zookeeper of all"]));
        assert!(!allowed(&two, &["kill all"]));
        assert_eq!(
            two.allows([&Ask::Isolate(Target::All)]),
            Err("it may take 3 brokers at once, and the budget allows 2".to_owned())
        );
    }
}
