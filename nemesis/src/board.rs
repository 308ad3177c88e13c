//! What the probes last said: the state on which targets are resolved and conditions wait.
//!
//! It keeps the latest answers only, and decides nothing about right or wrong: brokers may believe
//! different things, and the highest leader epoch wins here as it does in Kafka.

use std::collections::{BTreeMap, BTreeSet};

use history::{Epoch, Mark, NodeId, Observation, Offset, Partition, Seen};

/// The latest observations of every node.
#[derive(Debug, Clone, Default)]
pub struct Board {
    replicas: BTreeMap<(Partition, NodeId), Replica>,
    controllers: BTreeMap<NodeId, (Option<NodeId>, Mark)>,
    silent: BTreeSet<NodeId>,
    /// The newest epoch of each partition, with when anybody first told of it.
    elections: BTreeMap<Partition, (Epoch, Mark)>,
    /// When the last answer came.
    latest: Mark,
}

/// What one node last said about its replica of one partition.
#[derive(Debug, Clone, Default)]
pub struct Replica {
    /// Log end offset, with when it was asked.
    pub leo: Option<(Offset, Mark)>,
    /// High watermark, with when it was asked.
    pub hw: Option<(Offset, Mark)>,
    /// Log start offset.
    pub log_start: Option<Offset>,
    /// What its metadata says about the partition.
    belief: Option<Belief>,
}

#[derive(Debug, Clone)]
struct Belief {
    leader: Option<NodeId>,
    epoch: Epoch,
    isr: Vec<NodeId>,
    at: Mark,
}

/// Who leads a partition, by the highest epoch that any node has told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leadership {
    /// The leader.
    pub node: NodeId,
    /// Its epoch.
    pub epoch: Epoch,
    /// In-sync replicas, ascending.
    pub isr: Vec<NodeId>,
    /// Whose metadata said so.
    pub said_by: NodeId,
    /// When it was answered.
    pub at: Mark,
}

impl Board {
    /// Takes an observation in.
    pub fn observe(&mut self, seen: &Observation) {
        let (node, asked, answered) = (seen.node, seen.asked, seen.answered);
        self.latest = self.latest.max(answered);
        match &seen.seen {
            Seen::LogEnd { partition, leo, .. } => {
                self.replica(partition, node).leo = Some((*leo, asked));
            }
            Seen::Watermarks {
                partition,
                hw,
                log_start,
                ..
            } => {
                let replica = self.replica(partition, node);
                replica.hw = Some((*hw, asked));
                replica.log_start = Some(*log_start);
            }
            Seen::Belief {
                partition,
                leader,
                epoch,
                isr,
            } => {
                let newest = self.elections.get(partition).map(|(epoch, _)| *epoch);
                if newest.is_none_or(|newest| *epoch > newest) {
                    let election = (*epoch, answered);
                    self.elections.insert(partition.clone(), election);
                }
                let mut isr = isr.clone();
                isr.sort_unstable();
                self.replica(partition, node).belief = Some(Belief {
                    leader: *leader,
                    epoch: *epoch,
                    isr,
                    at: answered,
                });
            }
            Seen::Controller { node: controller } => {
                self.controllers.insert(node, (*controller, answered));
            }
            Seen::Silent { .. } => {
                self.silent.insert(node);
                return;
            }
            // That a node's ZooKeeper answers says nothing about its broker.
            Seen::ZkState { .. } => return,
            Seen::LeaderHw { .. } => {}
        }
        self.silent.remove(&node);
    }

    fn replica(&mut self, partition: &Partition, node: NodeId) -> &mut Replica {
        self.replicas.entry((partition.clone(), node)).or_default()
    }

    /// What a node last said about its replica.
    pub fn of(&self, partition: &Partition, node: NodeId) -> Option<&Replica> {
        self.replicas.get(&(partition.clone(), node))
    }

    /// Whether a node's broker did not answer its last probe.
    pub fn is_silent(&self, node: NodeId) -> bool {
        self.silent.contains(&node)
    }

    /// The leader of a partition. A cut-off broker's stale belief has a lower epoch; among equal
    /// epochs the younger answer wins, since ISR changes do not bump the epoch.
    pub fn leader(&self, partition: &Partition) -> Option<Leadership> {
        let (said_by, belief) = self
            .replicas
            .iter()
            .filter(|((of, _), _)| of == partition)
            .filter_map(|((_, node), replica)| Some((*node, replica.belief.as_ref()?)))
            .max_by_key(|(_, belief)| (belief.epoch, belief.at))?;
        Some(Leadership {
            node: belief.leader?,
            epoch: belief.epoch,
            isr: belief.isr.clone(),
            said_by,
            at: belief.at,
        })
    }

    /// The newest epoch of a partition that anybody has told of, with when that was first.
    pub fn election(&self, partition: &Partition) -> Option<(Epoch, Mark)> {
        self.elections.get(partition).copied()
    }

    /// When the last answer of anybody came.
    pub fn latest(&self) -> Mark {
        self.latest
    }

    /// Whether a node itself believes that it leads a partition in this epoch.
    pub fn believes_itself_leader(
        &self,
        partition: &Partition,
        node: NodeId,
        epoch: Epoch,
    ) -> bool {
        self.of(partition, node)
            .and_then(|replica| replica.belief.as_ref())
            .is_some_and(|belief| belief.leader == Some(node) && belief.epoch == epoch)
    }

    /// The controller that most answering nodes name; the youngest answer breaks a tie.
    pub fn controller(&self) -> Option<NodeId> {
        let mut votes: BTreeMap<NodeId, (u32, Mark)> = BTreeMap::new();
        for (voter, (named, at)) in &self.controllers {
            if let (Some(named), false) = (named, self.silent.contains(voter)) {
                let vote = votes.entry(*named).or_insert((0, *at));
                *vote = (vote.0 + 1, vote.1.max(*at));
            }
        }
        votes
            .into_iter()
            .max_by_key(|(_, vote)| *vote)
            .map(|(node, _)| node)
    }

    /// Whether every replica in `assigned` is in sync and its LEO and HW, both asked after `since`,
    /// are one and the same number.
    pub fn settled(
        &self,
        partition: &Partition,
        assigned: &[NodeId],
        since: Mark,
    ) -> Result<(), String> {
        let leader = self
            .leader(partition)
            .ok_or_else(|| format!("{partition} has no leader"))?;
        if let Some(missing) = assigned.iter().find(|node| !leader.isr.contains(node)) {
            return Err(format!("{missing} is not in the ISR of {partition}"));
        }
        let mut end: Option<Offset> = None;
        for node in assigned {
            let fresh = |seen: Option<(Offset, Mark)>| seen.filter(|(_, at)| *at > since);
            let replica = self.of(partition, *node);
            let (Some((leo, _)), Some((hw, _))) = (
                fresh(replica.and_then(|r| r.leo)),
                fresh(replica.and_then(|r| r.hw)),
            ) else {
                return Err(format!("{node} has not answered for {partition}"));
            };
            let expected = *end.get_or_insert(leo);
            if leo != hw || leo != expected {
                return Err(format!(
                    "{node} stands at LEO {leo}, HW {hw} in {partition}"
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn belief(node: u8, at: u64, leader: u8, epoch: i32, isr: &[u8]) -> Observation {
        Observation {
            asked: Mark::from_millis(at),
            answered: Mark::from_millis(at + 1),
            node: NodeId(node),
            seen: Seen::Belief {
                partition: Partition::new("ledger", 0),
                leader: Some(NodeId(leader)),
                epoch: Epoch(epoch),
                isr: isr.iter().map(|n| NodeId(*n)).collect(),
            },
        }
    }

    fn ends(node: u8, at: u64, leo: i64, hw: i64) -> [Observation; 2] {
        let partition = Partition::new("ledger", 0);
        let around = |seen| Observation {
            asked: Mark::from_millis(at),
            answered: Mark::from_millis(at + 1),
            node: NodeId(node),
            seen,
        };
        [
            around(Seen::LogEnd {
                partition: partition.clone(),
                leo: Offset(leo),
                epoch: None,
            }),
            around(Seen::Watermarks {
                partition,
                hw: Offset(hw),
                lso: Offset(hw),
                log_start: Offset(0),
            }),
        ]
    }

    #[test]
    fn the_highest_epoch_wins_over_a_younger_stale_belief() {
        let mut board = Board::default();
        board.observe(&belief(1, 10, 1, 1, &[2, 1]));
        board.observe(&belief(0, 20, 0, 0, &[0, 1, 2]));
        let leader = board.leader(&Partition::new("ledger", 0)).unwrap();
        assert_eq!((leader.node, leader.said_by), (NodeId(1), NodeId(1)));
        assert_eq!(leader.isr, [NodeId(1), NodeId(2)]);
        assert!(board.believes_itself_leader(&Partition::new("ledger", 0), NodeId(1), Epoch(1)));
        assert!(!board.believes_itself_leader(&Partition::new("ledger", 0), NodeId(0), Epoch(1)));
    }

    #[test]
    fn settled_needs_every_replica_fresh_and_equal() {
        let (ledger, all) = (Partition::new("ledger", 0), [NodeId(0), NodeId(1)]);
        let mut board = Board::default();
        let since = Mark::from_millis(50);
        assert!(
            board
                .settled(&ledger, &all, since)
                .unwrap_err()
                .contains("no leader")
        );
        board.observe(&belief(0, 60, 0, 0, &[0]));
        assert!(
            board
                .settled(&ledger, &all, since)
                .unwrap_err()
                .contains("n1 is not in the ISR")
        );
        board.observe(&belief(0, 61, 0, 0, &[0, 1]));
        ends(0, 62, 7, 7)
            .iter()
            .for_each(|seen| board.observe(seen));
        ends(1, 40, 7, 7)
            .iter()
            .for_each(|seen| board.observe(seen));
        assert!(
            board
                .settled(&ledger, &all, since)
                .unwrap_err()
                .contains("n1 has not answered")
        );
        ends(1, 63, 7, 6)
            .iter()
            .for_each(|seen| board.observe(seen));
        assert!(
            board
                .settled(&ledger, &all, since)
                .unwrap_err()
                .contains("HW @6")
        );
        ends(1, 64, 7, 7)
            .iter()
            .for_each(|seen| board.observe(seen));
        assert_eq!(board.settled(&ledger, &all, since), Ok(()));
    }

    #[test]
    fn a_broker_stays_silent_while_its_zookeeper_answers() {
        let mut board = Board::default();
        let said = |seen| Observation {
            asked: Mark(0),
            answered: Mark(1),
            node: NodeId(0),
            seen,
        };
        let why = history::Why::new("refused");
        board.observe(&said(Seen::Silent { why }));
        board.observe(&said(Seen::ZkState {
            partition: Partition::new("ledger", 0),
            leader: None,
            epoch: Epoch(1),
            isr: Vec::new(),
            version: 3,
        }));
        assert!(board.is_silent(NodeId(0)));
        board.observe(&belief(0, 3, 0, 0, &[0]));
        assert!(!board.is_silent(NodeId(0)));
    }

    #[test]
    fn the_controller_is_what_most_answering_nodes_name() {
        let mut board = Board::default();
        for (voter, named) in [(0, 0), (1, 1), (2, 1)] {
            board.observe(&Observation {
                asked: Mark(0),
                answered: Mark(voter as u64),
                node: NodeId(voter),
                seen: Seen::Controller {
                    node: Some(NodeId(named)),
                },
            });
        }
        assert_eq!(board.controller(), Some(NodeId(1)));
    }
}
