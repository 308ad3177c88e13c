//! DeleteRecords, asked of the leader.
//!
//! Whatever may have been deleted counts as harm, a request without an answer included: a record
//! that we deleted ourselves must never convict a broker.

use history::{Clock, Harm, NodeId, Offset, Partition};
use tokio::time::{Instant, sleep};

use super::{ANSWER, DONE, LOOK, WITHIN, known, said};
use crate::admin::AdminError;
use crate::change::{self, LogEdge};
use crate::error::ClusterError;
use crate::injection::Effect;
use crate::remote::RemoteCluster;
use crate::wire::Wire;

/// Deletes what lies before an offset; before the HW where none is named.
pub async fn delete(
    cluster: &RemoteCluster,
    partition: &Partition,
    before: Option<Offset>,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let (leader, tried) = attempt(cluster, partition, before, clock).await?;
        let error = match tried {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        let elsewhere = ["NotLeaderOrFollower", "UnknownTopicOrPartition"];
        let moved = elsewhere.iter().any(|name| error.is(name));
        if !moved && matches!(error, AdminError::Refused { .. }) {
            let now = clock.mark();
            let evidence = format!("{leader}, the leader of {partition}, {}", said(&error));
            return Ok(Effect::new(false, evidence, (now, now)));
        }
        if Instant::now() >= deadline {
            return Err(ClusterError::Node {
                node: leader,
                why: format!("nothing of {partition} was deleted: it {}", said(&error)),
            });
        }
        sleep(LOOK).await;
    }
}

/// One attempt with whoever leads now. An error says that nothing was deleted.
async fn attempt(
    cluster: &RemoteCluster,
    partition: &Partition,
    before: Option<Offset>,
    clock: &Clock,
) -> Result<(NodeId, Result<Effect, AdminError>), ClusterError> {
    let found = known(cluster, partition).await?;
    let leader = found.view.leader.unwrap_or(found.says);
    let node = cluster.node(leader)?;
    let tried = async {
        let mut wire = Wire::open(node.probe, ANSWER).await?.patient(DONE);
        let start = change::edge(&mut wire, partition, LogEdge::Start).await?;
        let before = match before {
            Some(before) => before,
            None => change::edge(&mut wire, partition, LogEdge::Hw).await?,
        };
        let now = clock.mark();
        if before <= start {
            let evidence = format!("the log of {partition} starts at {start} already");
            return Ok(Effect::new(false, evidence, (now, now)));
        }
        let answer = change::delete_records(&mut wire, partition, before).await;
        let between = (now, clock.mark());
        let harm = |before| vec![(partition.clone(), Harm::Deleted { before })];
        let (answer, harm) = match answer {
            // It answers with the lowest log start of the live replicas.
            Ok(low) => (format!("{leader} answered {low}"), harm(low.max(before))),
            Err(error @ AdminError::Refused { .. }) if !error.is("RequestTimedOut") => {
                return Err(error);
            }
            // The leader did its part, or may have.
            Err(error) => (format!("{leader} {}", said(&error)), harm(before)),
        };
        let (in_force, now) = match read_back(cluster, partition).await {
            Some(now) => (now > start, format!("it starts at {now} now")),
            None => (false, "nobody says where it starts now".to_owned()),
        };
        let evidence = format!("{partition} started at {start}; {now}; {answer}");
        Ok(Effect {
            harms: harm,
            ..Effect::new(in_force, evidence, between)
        })
    };
    Ok((leader, tried.await))
}

/// The log start that the leader tells after a deletion.
async fn read_back(cluster: &RemoteCluster, partition: &Partition) -> Option<Offset> {
    let deadline = Instant::now() + WITHIN;
    while Instant::now() < deadline {
        let found = known(cluster, partition).await.ok()?;
        if let Some(node) = found.view.leader.and_then(|it| cluster.node(it).ok()) {
            let read = async {
                let mut wire = Wire::open(node.probe, ANSWER).await?;
                change::edge(&mut wire, partition, LogEdge::Start).await
            };
            if let Ok(start) = read.await {
                return Some(start);
            }
        }
        sleep(LOOK).await;
    }
    None
}
