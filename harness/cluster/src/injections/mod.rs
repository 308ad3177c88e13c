//! Each kind of injection in a module of its own; here only who does what.

mod data;
mod disk;
mod net;
mod time;
mod topic;

pub(crate) use net::TREE;

use history::{Clock, FaultId};

use crate::error::ClusterError;
use crate::injection::{Effect, Injection};
use crate::remote::RemoteCluster;
use crate::system::Recovered;

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    match what {
        Injection::Clients(..) | Injection::Shape { .. } => {
            net::inject(cluster, fault, what, clock).await
        }
        Injection::FillDisk(..) | Injection::SlowDisk(..) | Injection::FailDisk(..) => {
            disk::inject(cluster, fault, what, clock).await
        }
        Injection::LoseUnflushed { .. }
        | Injection::FlipBit { .. }
        | Injection::KeepCheckpoints(..)
        | Injection::Checkpoints { .. }
        | Injection::Wipe { .. } => data::inject(cluster, fault, what, clock).await,
        Injection::Elect { .. }
        | Injection::Reassign { .. }
        | Injection::Configure { .. }
        | Injection::DeleteRecords { .. } => topic::inject(cluster, fault, what, clock).await,
        Injection::Clock { .. } => time::inject(cluster, fault, what, clock).await,
    }
}

/// Undoes it from what is.
pub(crate) async fn recover(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Recovered, ClusterError> {
    match what {
        Injection::Clients(..) | Injection::Shape { .. } => {
            net::recover(cluster, fault, what, clock).await
        }
        Injection::FillDisk(..) | Injection::SlowDisk(..) | Injection::FailDisk(..) => {
            disk::recover(cluster, fault, what, clock).await
        }
        Injection::LoseUnflushed { .. }
        | Injection::FlipBit { .. }
        | Injection::KeepCheckpoints(..)
        | Injection::Checkpoints { .. }
        | Injection::Wipe { .. } => data::recover(cluster, fault, what, clock).await,
        Injection::Elect { .. }
        | Injection::Reassign { .. }
        | Injection::Configure { .. }
        | Injection::DeleteRecords { .. } => topic::recover(cluster, fault, what, clock).await,
        Injection::Clock { .. } => time::recover(cluster, fault, what, clock).await,
    }
}

/// Of a kind that `inject` and `recover` above hand to another module.
fn not_ours(what: &Injection) -> ClusterError {
    ClusterError::Lab(format!(
        "was asked of the wrong part of this program: {what:?}"
    ))
}
