//! Elections, reassignments, settings and deletions, asked of the brokers.
//!
//! What an answer says is never believed: in force is what metadata, settings or log starts show
//! to be another than before. A request whose answer got lost is looked for in the same way.
//! Nothing is asked of clients' listeners; nothing waits without an end.

mod deletion;
mod reassignment;
mod setting;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use history::{Clock, FaultId, Mark, NodeId, Partition};
use tokio::time::{Instant, sleep};

use crate::admin::{self, AdminError, PartitionView, View};
use crate::change;
use crate::error::ClusterError;
use crate::injection::{Effect, Injection};
use crate::remote::RemoteCluster;
use crate::remote_all::all;
use crate::system::Recovered;
use crate::wire::{Wire, WireError};

/// For an election, a setting or a deletion to be done and read back.
const WITHIN: Duration = Duration::from_secs(10);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// For a broker to say what it believes.
const ANSWER: Duration = Duration::from_secs(1);
/// For a broker to do what it is asked; it gives up by itself before.
const DONE: Duration = Duration::from_secs(7);

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    match what {
        Injection::Elect { partition, unclean } => elect(cluster, partition, *unclean, clock).await,
        Injection::Reassign { partition, to } => {
            reassignment::reassign(cluster, partition, to, clock).await
        }
        Injection::Configure { topic, key, value } => {
            setting::configure(cluster, topic, key, value, clock).await
        }
        Injection::DeleteRecords { partition, before } => {
            deletion::delete(cluster, partition, *before, clock).await
        }
        other => Err(super::not_ours(other)),
    }
}

/// Undoes it from what is.
pub(crate) async fn recover(
    cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Recovered, ClusterError> {
    match what {
        Injection::Elect { partition, .. } => {
            let now = newest(&views(cluster, partition).await, partition);
            let now = now.map_or_else(|| format!("nobody knows {partition}"), |it| it.to_string());
            let words = format!("an election is not undone; {now}");
            Ok(Recovered::told(words))
        }
        Injection::Reassign { partition, .. } => reassignment::give_back(cluster, partition, clock)
            .await
            .map(Recovered::told),
        Injection::Configure { topic, key, .. } => {
            setting::put_back(cluster, topic, key, clock).await
        }
        Injection::DeleteRecords { partition, .. } => Ok(Recovered::told(format!(
            "what was deleted of {partition} does not come back"
        ))),
        other => Err(super::not_ours(other)),
    }
}

/// What every broker that answers believes of a partition.
async fn views(cluster: &RemoteCluster, partition: &Partition) -> Vec<(NodeId, View)> {
    let each = cluster.nodes.iter().map(|node| async move {
        let mut wire = Wire::open(node.probe, ANSWER).await.ok()?;
        let view = admin::view(&mut wire, std::iter::once(&partition.topic)).await;
        Some((node.host.node(), view.ok()?))
    });
    all(each).await.into_iter().flatten().collect()
}

/// A partition by the newest epoch that any broker names, and who names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Newest {
    partition: Partition,
    view: PartitionView,
    says: NodeId,
}

impl std::fmt::Display for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.view.leader {
            Some(leader) => write!(f, "{leader} leads {}", self.partition)?,
            None => write!(f, "nobody leads {}", self.partition)?,
        }
        let (epoch, says) = (self.view.epoch, self.says);
        write!(f, " in {epoch}, says the metadata of {says}")
    }
}

fn newest(views: &[(NodeId, View)], partition: &Partition) -> Option<Newest> {
    let known = views.iter().filter_map(|(says, view)| {
        Some(Newest {
            partition: partition.clone(),
            view: view.partitions.get(partition)?.clone(),
            says: *says,
        })
    });
    // Of equals the first.
    known.reduce(|best, it| match it.view.epoch > best.view.epoch {
        true => it,
        false => best,
    })
}

/// Whom brokers name as controller, the most named first.
fn controllers(views: &[(NodeId, View)]) -> Vec<NodeId> {
    let mut votes: BTreeMap<NodeId, usize> = BTreeMap::new();
    for controller in views.iter().filter_map(|(_, view)| view.controller) {
        *votes.entry(controller).or_default() += 1;
    }
    let mut named: Vec<NodeId> = votes.keys().copied().collect();
    named.sort_by_key(|node| std::cmp::Reverse(votes[node]));
    named
}

/// What came of a request that changes something.
struct Asked<T> {
    /// Who was asked last.
    of: Option<NodeId>,
    answer: Result<T, AdminError>,
    /// Just before the request was sent, and when it was answered or given up.
    between: (Mark, Mark),
}

/// Asks the controller, whoever that turns out to be within 10 s. A refusal for another reason than
/// not being it is an answer; so is silence after the request was sent, since it may have been done.
async fn ask_controller<T>(
    cluster: &RemoteCluster,
    about: &Partition,
    clock: &Clock,
    ask: impl AsyncFn(&mut Wire) -> Result<T, AdminError>,
) -> Asked<T> {
    let deadline = Instant::now() + WITHIN;
    loop {
        let mut asked = Asked {
            of: None,
            answer: Err(WireError::Malformed("nobody names a controller".to_owned()).into()),
            between: (clock.mark(), clock.mark()),
        };
        for controller in controllers(&views(cluster, about).await) {
            let Ok(node) = cluster.node(controller) else {
                continue;
            };
            let Ok(wire) = Wire::open(node.probe, ANSWER).await else {
                continue;
            };
            let mut wire = wire.patient(DONE);
            let before = clock.mark();
            let answer = ask(&mut wire).await;
            asked = Asked {
                of: Some(controller),
                answer,
                between: (before, clock.mark()),
            };
            if !matches!(&asked.answer, Err(error) if error.is("NotController")) {
                return asked;
            }
        }
        if Instant::now() >= deadline {
            return asked;
        }
        sleep(LOOK).await;
    }
}

/// Who refused what, in words.
fn refused(of: Option<NodeId>, error: &AdminError) -> String {
    match of {
        Some(node) => format!("{node}, the controller, {}", said(error)),
        None => error.to_string(),
    }
}

fn said(error: &AdminError) -> String {
    match error {
        AdminError::Wire(error) => format!("gave no answer: {error}"),
        AdminError::Refused { .. } => error.to_string(),
    }
}

async fn elect(
    cluster: &RemoteCluster,
    partition: &Partition,
    unclean: bool,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let before = known(cluster, partition).await?;
    let asked = ask_controller(cluster, partition, clock, async |wire| {
        change::elect(wire, partition, unclean).await
    })
    .await;
    if let Err(error @ AdminError::Refused { .. }) = &asked.answer {
        let evidence = format!("{}; {before}", refused(asked.of, error));
        return Ok(Effect::new(false, evidence, asked.between));
    }
    let deadline = Instant::now() + WITHIN;
    loop {
        let after = newest(&views(cluster, partition).await, partition);
        if let Some(after) = after
            && after.view.epoch > before.view.epoch
            && after.view.leader.is_some()
        {
            let (in_force, why) = elected(&before.view, &after.view, unclean);
            let evidence = format!("{after}; before, {before}{why}");
            return Ok(Effect::new(in_force, evidence, asked.between));
        }
        if Instant::now() >= deadline {
            let said = match &asked.answer {
                Ok(()) => "the election was acknowledged".to_owned(),
                Err(error) => refused(asked.of, error),
            };
            let evidence = format!("{said}, and still {before}");
            return Ok(Effect::new(false, evidence, asked.between));
        }
        sleep(LOOK).await;
    }
}

/// Whether a newer epoch is what was asked for, and why not.
fn elected(before: &PartitionView, after: &PartitionView, unclean: bool) -> (bool, String) {
    let preferred = after.replicas.first().copied();
    match unclean {
        false if after.leader == before.leader => (
            false,
            ": it led already; something else moved on".to_owned(),
        ),
        false if after.leader != preferred => {
            let named = preferred.map_or_else(|| "nobody".to_owned(), |node| node.to_string());
            (false, format!(": the preferred leader is {named}"))
        }
        true if before.leader.is_some() => (
            false,
            ": it had a leader, so the election was not unclean".to_owned(),
        ),
        false | true => (true, String::new()),
    }
}

/// The partition as the brokers know it now.
async fn known(cluster: &RemoteCluster, partition: &Partition) -> Result<Newest, ClusterError> {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(found) = newest(&views(cluster, partition).await, partition) {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(ClusterError::Lab(format!(
                "no broker said within {}s who leads {partition}; is one up?",
                WITHIN.as_secs()
            )));
        }
        sleep(LOOK).await;
    }
}
