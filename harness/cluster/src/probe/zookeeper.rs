//! What each node's ZooKeeper says of the partitions' states.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use history::{Epoch, Mark, NodeId, Partition, Seen};
use tokio::time::sleep;

use super::{BACK_OFF, PATIENCE, Pen};
use crate::zookeeper::{PartitionState, ZkError, ZooKeeper, state_path};

/// A state that has not changed is told again after this time: what lies between two answers of one
/// version is then known to have been so.
const RETOLD: Duration = Duration::from_secs(2);

/// A ZooKeeper that is silent, or has no quorum, is not noted: the broker's silence is.
pub(super) async fn watch(
    address: SocketAddr,
    partitions: Vec<Partition>,
    interval: Duration,
    pen: Pen,
) {
    let mut told = BTreeMap::new();
    let mut last_seen = 0;
    let mut pause = BACK_OFF.0;
    while !pen.sender.is_closed() {
        if let Ok(mut zk) = ZooKeeper::open(address, last_seen, PATIENCE).await {
            pause = BACK_OFF.0;
            while states(&mut zk, &partitions, &mut told, &pen).await.is_ok() {
                last_seen = zk.last_seen();
                if pen.sender.is_closed() {
                    return zk.close().await;
                }
                sleep(interval).await;
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

async fn states(
    zk: &mut ZooKeeper,
    partitions: &[Partition],
    told: &mut BTreeMap<Partition, (i32, Mark)>,
    pen: &Pen,
) -> Result<(), ZkError> {
    for partition in partitions {
        let asked = pen.clock.mark();
        let Some(node) = zk.get(&state_path(partition)).await? else {
            continue;
        };
        let fresh =
            |(version, at): &(i32, Mark)| *version == node.version && asked.since(*at) < RETOLD;
        if told.get(partition).is_some_and(fresh) {
            continue;
        }
        let Ok(state) = serde_json::from_slice::<PartitionState>(&node.data) else {
            continue;
        };
        let node_id = |id: i32| u8::try_from(id).ok().map(NodeId);
        let mut isr: Vec<NodeId> = state.isr.into_iter().filter_map(node_id).collect();
        isr.sort_unstable();
        pen.note(
            asked,
            Seen::ZkState {
                partition: partition.clone(),
                leader: node_id(state.leader),
                epoch: Epoch(state.leader_epoch),
                isr,
                version: node.version,
            },
        );
        told.insert(partition.clone(), (node.version, asked));
    }
    Ok(())
}
