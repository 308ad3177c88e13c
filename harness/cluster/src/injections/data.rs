//! What a stopped broker finds when it comes back: a lost suffix, a flipped bit, other checkpoints,
//! nothing.
//!
//! None of it is undone: what a disk lost stays lost, and the heal says so. Files of a broker that
//! lives are left alone; only a bit is flipped under it.

mod bit;
mod checkpoints;
mod survey;
mod tail;
#[cfg(test)]
mod tests;
mod unflushed;
mod wipe;

use std::time::Duration;

use history::{Clock, FaultId, Harm, Mark, NodeId, Partition, ProcessState, Service};

use crate::error::ClusterError;
use crate::guard::not_armed;
use crate::host::{Host, Lane};
use crate::injection::{Effect, Injection};
use crate::remote::RemoteCluster;
use crate::system::Recovered;

/// Listing, cutting and reading back one log. A digest of a segment of 1 GiB takes seconds.
const WITHIN: Duration = Duration::from_secs(120);

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    match what {
        Injection::LoseUnflushed {
            node,
            partitions,
            tail,
        } => {
            unflushed::lose(
                cluster,
                gone(cluster, *node).await?,
                partitions,
                *tail,
                clock,
            )
            .await
        }
        Injection::FlipBit {
            node,
            partition,
            segment,
        } => {
            bit::flip(
                cluster,
                &cluster.node(*node)?.host,
                partition,
                *segment,
                clock,
            )
            .await
        }
        Injection::KeepCheckpoints(node) => {
            checkpoints::keep(cluster, &cluster.node(*node)?.host, clock).await
        }
        Injection::Checkpoints { node, stale: false } => {
            checkpoints::remove(cluster, gone(cluster, *node).await?, clock).await
        }
        Injection::Checkpoints { node, stale: true } => {
            checkpoints::put_back(cluster, gone(cluster, *node).await?, clock).await
        }
        Injection::Wipe { node, partitions } => {
            wipe::wipe(cluster, gone(cluster, *node).await?, partitions, clock).await
        }
        other => Err(super::not_ours(other)),
    }
}

/// Says that it stays.
pub(crate) async fn recover(
    _cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Recovered, ClusterError> {
    let stays = |node: NodeId, what: &str| format!("nothing to undo on {node}: {what}");
    let evidence = match what {
        Injection::LoseUnflushed { node, .. } => stays(*node, "what its logs lost stays lost"),
        Injection::FlipBit { node, .. } => stays(*node, "the flipped bit stays flipped"),
        Injection::Checkpoints { node, .. } => {
            stays(*node, "its checkpoint files stay as they were made")
        }
        Injection::KeepCheckpoints(node) => stays(*node, "copies of checkpoint files were made"),
        Injection::Wipe { node, .. } => stays(*node, "what was in its log directory stays gone"),
        other => return Err(super::not_ours(other)),
    };
    Ok(Recovered::told(evidence))
}

/// The host of a broker whose process is gone.
async fn gone(cluster: &RemoteCluster, node: NodeId) -> Result<&Host, ClusterError> {
    let process = cluster.service(node, Service::Broker)?;
    match process.state().await? {
        ProcessState::Gone => Ok(process.host),
        ProcessState::Running { pid } | ProcessState::Paused { pid } => {
            Err(process.host.error(format!(
                "its broker (process {pid}) is alive, and the files of a living broker are not \
                 touched: kill or stop it first"
            )))
        }
    }
}

/// What became of a script that harms.
enum Sent {
    /// It did what it should, and said this.
    Done(String),
    /// It did nothing: the undo is not armed.
    Nothing(ClusterError),
    /// Its end was not seen, or not a good one.
    Unknown(ClusterError),
}

/// Sends a script that harms, on the lane for what takes long. It is not started unless the host's
/// undo is armed: what heals a host also says whose it is.
async fn send(
    cluster: &RemoteCluster,
    host: &Host,
    text: &str,
    args: impl IntoIterator<Item = String>,
) -> Sent {
    let cmd = match cluster.watch(host.node()) {
        Ok(watch) => watch.guarded(text, args),
        Err(error) => return Sent::Nothing(error),
    };
    match host.run(Lane::Bulk, &cmd, WITHIN).await {
        Ok(ran) if ran.succeeded() => Sent::Done(String::from_utf8_lossy(&ran.stdout).into_owned()),
        Ok(ran) => match not_armed(host, &ran) {
            Some(error) => Sent::Nothing(error),
            None => Sent::Unknown(host.unhappy(&cmd, &ran)),
        },
        Err(error) => Sent::Unknown(error),
    }
}

/// What a script brought about that was sent at `after` and has answered.
fn effect(
    in_force: bool,
    evidence: String,
    (after, clock): (Mark, &Clock),
    harms: Vec<(Partition, Harm)>,
) -> Effect {
    Effect {
        harms,
        ..Effect::new(in_force, evidence, (after, clock.mark()))
    }
}

/// What may have been done, since it was sent, and whose answer was an error: not in force for want
/// of proof, but the harm is told, or the judge would blame the brokers for it.
fn unsure(error: &ClusterError, sent: (Mark, &Clock), harms: Vec<(Partition, Harm)>) -> Effect {
    let evidence = format!("it is not known what happened: {error}");
    effect(false, evidence, sent, harms)
}
