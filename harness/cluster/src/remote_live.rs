//! What live conditions and targets ask for beside the probes: recovery points, ZooKeeper's leader,
//! the coordinator of a group.
//!
//! It only looks, and makes nothing come into being by looking.

use std::collections::BTreeMap;
use std::time::Duration;

use evidence::checkpoint;
use history::{NodeId, Offset, Partition, Service, Topic};

use crate::admin;
use crate::change;
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::Lane;
use crate::remote::RemoteCluster;
use crate::remote_all::some_ok;
use crate::wire::Wire;
use crate::zookeeper::{self, Standing};

/// A command that only looks.
const SHORT: Duration = Duration::from_secs(5);
/// For one answer.
const ANSWER: Duration = Duration::from_secs(1);
/// Where the positions of groups stand.
const GROUPS: &str = "__consumer_offsets";

/// `$1` a file; nothing where it is not there.
const READ: &str = r#"[ ! -e "$1" ] || cat -- "$1""#;

impl RemoteCluster {
    pub(crate) async fn flushed(
        &self,
        node: NodeId,
    ) -> Result<BTreeMap<Partition, Offset>, ClusterError> {
        let host = &self.node(node)?.host;
        let dir = self.layout.data(Service::Broker);
        let file = format!("{dir}/recovery-point-offset-checkpoint");
        let text = host
            .ok(Lane::Control, &Cmd::script(READ, [file]), SHORT)
            .await?;
        if text.is_empty() {
            return Ok(BTreeMap::new());
        }
        let read = checkpoint::offsets(&text);
        match read.complaints.first() {
            None => Ok(read.value),
            Some(complaint) => Err(host.error(format!("its recovery points: {complaint}"))),
        }
    }

    pub(crate) async fn ensemble_leader(&self) -> Result<Option<NodeId>, ClusterError> {
        let each = self.nodes.iter().map(|node| async move {
            let standing = zookeeper::standing(node.zookeeper, ANSWER).await;
            let standing = standing.map_err(|e| node.host.error(e.to_string()))?;
            Ok((node.host.node(), standing))
        });
        Ok(leading(&some_ok(each).await?))
    }

    pub(crate) async fn group_coordinator(
        &self,
        group: &str,
    ) -> Result<Option<NodeId>, ClusterError> {
        let groups: Topic = GROUPS.into();
        let groups = &groups;
        let each = self.nodes.iter().map(|node| async move {
            let asked = async {
                let mut wire = Wire::open(node.probe, ANSWER).await?;
                let view = admin::view(&mut wire, std::iter::once(groups)).await?;
                if view.partitions.is_empty() {
                    return Ok(None);
                }
                change::coordinator(&mut wire, group).await
            };
            let why = |e| format!("it does not say who coordinates {group}: {e}");
            asked.await.map_err(|e| node.host.error(why(e)))
        });
        let named: Vec<NodeId> = some_ok(each).await?.into_iter().flatten().collect();
        Ok(most_named(&named))
    }
}

/// The server that leads; of several, one of which has not heard of its end yet, the one that has
/// seen the newest transaction.
fn leading(all: &[(NodeId, Standing)]) -> Option<NodeId> {
    let leaders = all.iter().filter(|(_, standing)| standing.leads);
    let newest = leaders.max_by_key(|(_, standing)| standing.seen);
    newest.map(|(node, _)| *node)
}

/// The node that is named most often; of equals the lowest.
fn most_named(named: &[NodeId]) -> Option<NodeId> {
    let votes = |node: &NodeId| named.iter().filter(|it| *it == node).count();
    let by_votes = |node: &&NodeId| (votes(node), std::cmp::Reverse(**node));
    named.iter().max_by_key(by_votes).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_two_leaders_leads() {
        let standing = |node, leads, seen| (NodeId(node), Standing { leads, seen });
        let two = [
            standing(0, true, 0x1_0000_0007),
            standing(1, true, 0x2_0000_0000),
            standing(2, false, 0x2_0000_0009),
        ];
        assert_eq!(leading(&two), Some(NodeId(1)));
        assert_eq!(leading(&two[2..]), None);
    }

    #[test]
    fn most_brokers_are_believed() {
        let named = |ids: &[u8]| most_named(&ids.iter().map(|n| NodeId(*n)).collect::<Vec<_>>());
        assert_eq!(named(&[2, 1, 2]), Some(NodeId(2)));
        assert_eq!(named(&[2, 1]), Some(NodeId(1)));
        assert_eq!(named(&[]), None);
    }
}
