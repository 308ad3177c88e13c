//! A host's clock set off.

use history::{Clock, FaultId};

use crate::error::ClusterError;
use crate::injection::{Effect, Injection};
use crate::remote::RemoteCluster;
use crate::system::Recovered;

/// Does it and reads it back.
pub(crate) async fn inject(
    _cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Effect, ClusterError> {
    Err(super::not_there(what))
}

/// Undoes it from what is.
pub(crate) async fn recover(
    _cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Recovered, ClusterError> {
    Err(super::not_there(what))
}
