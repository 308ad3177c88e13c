//! A partition's replicas moved to other brokers, and back to those that the plan gave it.
//!
//! Done is what the controller no longer lists as moving and what metadata show; what still moves
//! when the time is up is told as it is.

use std::time::Duration;

use history::{Clock, NodeId, Partition};
use tokio::time::{Instant, sleep};

use super::{ask_controller, known, newest, refused, views};
use crate::admin::AdminError;
use crate::change::{self, Moving};
use crate::error::ClusterError;
use crate::injection::Effect;
use crate::remote::RemoteCluster;

/// For replicas to be copied.
const MOVED_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at what moves.
const LOOK: Duration = Duration::from_millis(200);

/// Gives a partition these replicas and waits until they are in sync.
pub async fn reassign(
    cluster: &RemoteCluster,
    partition: &Partition,
    to: &[NodeId],
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let before = known(cluster, partition).await?.view.replicas;
    let wanted = listed(to);
    if before == to {
        let now = clock.mark();
        let evidence = format!("{partition} has the replicas {wanted} already");
        return Ok(Effect::new(false, evidence, (now, now)));
    }
    let asked = ask_controller(cluster, partition, clock, async |wire| {
        change::reassign(wire, partition, to).await
    })
    .await;
    if let Err(error @ AdminError::Refused { .. }) = &asked.answer {
        let had = listed(&before);
        let evidence = format!("{}; {partition} has {had}", refused(asked.of, error));
        return Ok(Effect::new(false, evidence, asked.between));
    }
    let (state, seen) = moved(cluster, partition, to, clock).await;
    let in_force = matches!(state, State::Done | State::Moving(_));
    let evidence = format!(
        "{partition} was on {}; {}{}",
        listed(&before),
        state.words(&wanted),
        seen.map_or_else(String::new, |node| format!(", says the metadata of {node}"))
    );
    Ok(Effect::new(in_force, evidence, asked.between))
}

/// Gives a partition the replicas of its plan again.
pub async fn give_back(
    cluster: &RemoteCluster,
    partition: &Partition,
    clock: &Clock,
) -> Result<String, ClusterError> {
    let own = {
        let topics = cluster.topics.borrow();
        let spec = topics.get(&partition.topic);
        let own = usize::try_from(partition.index).ok();
        own.and_then(|index| spec?.assignment.get(index).cloned())
    };
    let own = own.ok_or_else(|| {
        ClusterError::Lab(format!(
            "{partition} was not created by this run: nothing says whose replicas it had"
        ))
    })?;
    let own_words = listed(&own);
    // What moves may already show the replicas that it began with.
    let asked = ask_controller(cluster, partition, clock, async |wire| {
        let now = change::moving(wire, partition).await?;
        let view = newest(&views(cluster, partition).await, partition);
        if now.is_none() && view.is_some_and(|it| it.view.replicas == own) {
            return Ok(false);
        }
        change::reassign(wire, partition, &own).await.map(|()| true)
    })
    .await;
    match asked.answer {
        Ok(false) => return Ok(format!("{partition} is on {own_words}")),
        Ok(true) => {}
        Err(error) => {
            return Err(ClusterError::Lab(format!(
                "{partition} was not given back to {own_words}: {}",
                refused(asked.of, &error)
            )));
        }
    }
    match moved(cluster, partition, &own, clock).await {
        (State::Done, says) => {
            let says = says.map_or_else(String::new, |node| format!(", says {node}"));
            Ok(format!("{partition} is on {own_words} again{says}"))
        }
        (state, _) => Err(ClusterError::Lab(format!(
            "{partition} was not back within {}s: {}",
            MOVED_WITHIN.as_secs(),
            state.words(&own_words)
        ))),
    }
}

/// What was seen last of a reassignment.
enum State {
    Done,
    Moving(Moving),
    /// Other replicas than those asked for, and none of them moves.
    Other,
    Unknown,
}

impl State {
    fn words(&self, wanted: &str) -> String {
        let after = MOVED_WITHIN.as_secs();
        match self {
            State::Done => format!("it is on {wanted} and nothing of it moves"),
            State::Moving(moving) => format!(
                "after {after}s it still moves to {wanted}: {} are added, {} taken away",
                listed(&moving.adding),
                listed(&moving.removing)
            ),
            State::Other => format!("after {after}s it is not on {wanted}, and nothing moves"),
            State::Unknown => format!("for {after}s no controller said whether it moves"),
        }
    }
}

/// Waits until a partition has these replicas and none is on its way. And who says so.
async fn moved(
    cluster: &RemoteCluster,
    partition: &Partition,
    to: &[NodeId],
    clock: &Clock,
) -> (State, Option<NodeId>) {
    let deadline = Instant::now() + MOVED_WITHIN;
    let mut last = (State::Unknown, None);
    loop {
        let asked = ask_controller(cluster, partition, clock, async |wire| {
            change::moving(wire, partition).await
        })
        .await;
        let view = newest(&views(cluster, partition).await, partition);
        last = match (asked.answer, view) {
            (Ok(Some(moving)), view) => (State::Moving(moving), view.map(|it| it.says)),
            (Ok(None), Some(it)) if it.view.replicas == to => return (State::Done, Some(it.says)),
            (Ok(None), Some(it)) => (State::Other, Some(it.says)),
            (Ok(None), None) | (Err(_), _) => last,
        };
        if Instant::now() >= deadline {
            return last;
        }
        sleep(LOOK).await;
    }
}

/// `n1, n2, n0`.
fn listed(nodes: &[NodeId]) -> String {
    if nodes.is_empty() {
        return "none".to_owned();
    }
    let words: Vec<String> = nodes.iter().map(NodeId::to_string).collect();
    words.join(", ")
}
