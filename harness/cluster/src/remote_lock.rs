//! The hosts' locks and the leases of their undo while a run has them: taken together, renewed in
//! the background, given back.
//!
//! A host whose lock was lost belongs to somebody else, who may have started processes under the
//! same names: nothing is started, harmed or removed there any more, not even at the end.

use std::time::Duration;

use history::NodeId;
use tokio::task::JoinSet;

use crate::claim::{Lock, Owner};
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::guard::DIARY;
use crate::guard_foreign;
use crate::host::{Host, Lane};
use crate::remote::RemoteCluster;
use crate::remote_all::{all, all_ok};

/// How long a host stays locked after its holder was last heard of. Renewed every third of it.
const LEASE: Duration = Duration::from_secs(45);
/// A file that is moved.
const SHORT: Duration = Duration::from_secs(10);

/// The locks that are held.
#[derive(Debug, Default)]
pub(crate) struct Locks {
    held: Vec<(NodeId, Lock)>,
    /// Each renews one lock, and ends only when that fails.
    keepers: JoinSet<ClusterError>,
    lost: Option<String>,
    /// Each renews the lease of one host's undo, and ends only when that fails.
    watchers: JoinSet<ClusterError>,
    armed: bool,
}

impl RemoteCluster {
    /// Takes every host's lock and keeps it; on the current `LocalSet`. Taking them twice renews
    /// them. `install` does this first; by itself it is for clearing up after a run that was killed
    /// (`lock`, then `tear_down`).
    ///
    /// # Errors
    /// Somebody else has one: who, since when, and how to take it nevertheless. Then none is kept.
    pub async fn lock(&self) -> Result<(), ClusterError> {
        let each = self.nodes.iter();
        all_ok(each.map(|node| guard_foreign::none(&node.host, &self.lab))).await?;
        let owner = Owner::here(self.owner);
        let each = self.nodes.iter().map(|node| {
            let taken = Lock::take(&node.host, &self.lab, &owner, LEASE, self.steal);
            async move { Ok((node.host.node(), taken.await?)) }
        });
        let mut held = Vec::new();
        let mut refusal = None;
        for taken in all(each).await {
            match taken {
                Ok(lock) => held.push(lock),
                Err(error) => refusal = refusal.or(Some(error)),
            }
        }
        if let Some(refusal) = refusal {
            // What was had before stays had; what was taken just now is given back.
            let before = self.held();
            let fresh = held
                .iter()
                .filter(|(n, _)| !before.iter().any(|(b, _)| b == n));
            all(fresh.map(|(_, lock)| lock.release())).await;
            return Err(refusal);
        }
        let (mut keepers, mut watchers) = (JoinSet::new(), JoinSet::new());
        for (_, lock) in &held {
            let lock = lock.clone();
            keepers.spawn_local(async move { lock.keep().await });
        }
        // A guard that watches already is only told to wait longer.
        let each = self.nodes.iter().map(|node| async move {
            let watch = self.watch(node.host.node())?;
            watch.arm(&node.host).await?;
            Ok((node.host.clone(), watch))
        });
        let armed = all_ok(each).await;
        let armed = armed.map(|guards| {
            for (host, watch) in guards {
                watchers.spawn_local(async move { watch.keep(&host).await });
            }
        });
        self.locks.replace(Locks {
            held,
            keepers,
            lost: None,
            watchers,
            armed: armed.is_ok(),
        });
        armed
    }

    /// Renews no lease any more; false where none was ever given.
    pub(crate) fn stop_renewing(&self) -> bool {
        let mut locks = self.locks.borrow_mut();
        locks.watchers = JoinSet::new();
        std::mem::take(&mut locks.armed)
    }

    /// What guards had to do since the last run is told by this one: it becomes one of its logs.
    pub(crate) async fn keep_diary(&self, host: &Host) -> Result<(), ClusterError> {
        let text = r#"[ ! -e "$1" ] || mv -f -- "$1" "$2""#;
        let from = format!("{}/{DIARY}", self.layout.dir());
        let to = format!("{}/guard-before.log", self.layout.logs());
        let cmd = Cmd::script(text, [from, to]);
        host.ok(Lane::Control, &cmd, SHORT).await.map(drop)
    }

    /// That we may still act on the hosts: their locks are ours.
    pub(crate) fn still_ours(&self) -> Result<(), ClusterError> {
        let mut locks = self.locks.borrow_mut();
        if let Some(Ok(why)) = locks.keepers.try_join_next() {
            locks.lost = Some(why.to_string());
        }
        if let Some(why) = &locks.lost {
            return Err(ClusterError::Lab(why.clone()));
        }
        if locks.held.is_empty() {
            let why = "the hosts are not locked; install comes first";
            return Err(ClusterError::Lab(why.to_owned()));
        }
        Ok(())
    }

    /// A node's lock, if it was taken.
    pub(crate) fn lock_of(&self, node: NodeId) -> Option<Lock> {
        let held = self.held();
        held.into_iter().find(|(n, _)| *n == node).map(|(_, l)| l)
    }

    /// Gives back what is held and stops renewing.
    pub(crate) async fn unlock(&self) -> Result<(), ClusterError> {
        let locks = self.locks.take();
        let released = all(locks.held.iter().map(|(_, lock)| lock.release())).await;
        released.into_iter().collect()
    }

    fn held(&self) -> Vec<(NodeId, Lock)> {
        self.locks.borrow().held.clone()
    }
}
