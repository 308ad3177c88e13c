//! Whose Kafka is that: a host on which a Kafka or a ZooKeeper runs that is not the lab's is left
//! alone, before its lock is taken.
//!
//! It looks and does nothing else.

use std::time::Duration;

use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::site::Site;

const SHORT: Duration = Duration::from_secs(10);

/// Prints the id and the user of every Java process that runs a broker or a ZooKeeper server and
/// that none of our pid files names. A whole argument is compared, so that nobody's editor counts.
const FOREIGN: &str = r#"mine=" "
for file in "$dir"/run/*.pid; do
  read -r pid at 2>/dev/null <"$file" && lives "$pid" "$at" && mine="$mine$pid "
done
for file in $(grep -lzxE 'kafka\.Kafka|org\.apache\.zookeeper\.server\.quorum\.QuorumPeerMain' /proc/[0-9]*/cmdline 2>/dev/null); do
  pid=${file#/proc/}; pid=${pid%/cmdline}
  case $mine in *" $pid "*) continue;; esac
  read -r name 2>/dev/null <"/proc/$pid/comm" || continue
  [ "$name" != java ] || echo "$pid $(stat -c %U "/proc/$pid" 2>/dev/null)"
done"#;

/// The process id and the user of each, a line for each.
///
/// # Errors
/// The host does not answer.
pub(crate) async fn found(host: &Host, lab: &LabFile) -> Result<String, ClusterError> {
    let cmd = Site::of(host, lab).script(FOREIGN, [""; 0]);
    host.ok(Lane::Control, &cmd, SHORT).await
}

/// Refuses a host on which somebody else's Kafka or ZooKeeper runs.
///
/// # Errors
/// One does: its process id, its user, and what to do.
pub(crate) async fn none(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    let said = found(host, lab).await?;
    let Some(found) = said.lines().next() else {
        return Ok(());
    };
    let (pid, user) = found.split_once(' ').unwrap_or((found, ""));
    Err(host.error(format!(
        "a Kafka or ZooKeeper that is not this lab's runs there (process {pid} of {user}), so \
         nothing is done to this host: end that process there (`kill {pid}`) if it is a leftover, \
         or put another host into the lab file"
    )))
}
