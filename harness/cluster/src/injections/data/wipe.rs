//! Empties the log directory of a gone broker: partitions, checkpoints, `meta.properties`.
//!
//! The directory itself stays, since it may be a file system of its own. A broker that finds it
//! empty writes `meta.properties` anew, with the cluster's id from ZooKeeper, and fetches all.

use history::{Clock, Harm, Partition, Service};

use super::{Sent, WITHIN, effect, send, unsure};
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::Effect;
use crate::remote::RemoteCluster;

/// `$1` log directory. Prints its partitions, and how many files there are.
const LOOK: &str = r#"cd -- "$1" || exit 9
for d in *-*/; do [ -d "$d" ] && echo "log ${d%/}"; done
echo "files $(find . -mindepth 1 -type f | wc -l)""#;

/// `$1` log directory. Prints how many files and directories are left.
const WIPE: &str = r#"cd -- "$1" || exit 9
find . -mindepth 1 -delete || exit 1
sync
echo "left $(find . -mindepth 1 | wc -l)""#;

/// Does it. Whatever stood there is harmed, and so is what the caller knows to have been there.
pub(super) async fn wipe(
    cluster: &RemoteCluster,
    host: &Host,
    partitions: &[Partition],
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let data = cluster.layout.data(Service::Broker);
    let node = host.node();
    let look = Cmd::script(LOOK, [data.clone()]);
    let said = host.ok(Lane::Bulk, &look, WITHIN).await?;
    let were = number(&said, "files ").unwrap_or(0);
    let mut harmed = partitions.to_vec();
    let found = said.lines().filter_map(|line| line.strip_prefix("log "));
    harmed.extend(found.filter_map(Partition::from_dir_name));
    harmed.sort_unstable();
    harmed.dedup();
    let sent = (clock.mark(), clock);
    if were == 0 {
        let evidence = format!("the log directory of {node} is empty already");
        return Ok(effect(false, evidence, sent, Vec::new()));
    }
    let logs = harmed.len();
    let harms = harmed.into_iter().map(|p| (p, Harm::Wiped { node }));
    let harms = harms.collect();
    let left = match send(cluster, host, WIPE, [data]).await {
        Sent::Done(said) => number(&said, "left "),
        Sent::Nothing(error) => return Err(error),
        Sent::Unknown(error) => return Ok(unsure(&error, sent, harms)),
    };
    let left_in_words = left.map_or_else(|| "nobody knows what".to_owned(), |n| n.to_string());
    let evidence = format!(
        "the log directory of {node} held {were} files and holds {left_in_words} now; the logs of \
         {logs} partitions are gone"
    );
    Ok(effect(left == Some(0), evidence, sent, harms))
}

/// The number behind a word of a script's answer.
fn number(said: &str, word: &str) -> Option<u64> {
    let mut lines = said.lines();
    lines.find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn sh(script: &str, dir: &std::path::Path) -> String {
        let out = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn everything_goes_but_the_directory() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("ledger-0")).unwrap();
        for name in [
            "ledger-0/00000000000000000000.log",
            "meta.properties",
            ".lock",
        ] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        let said = sh(LOOK, dir.path());
        assert_eq!(said, "log ledger-0\nfiles 3\n");
        assert_eq!(number(&said, "files "), Some(3));
        assert_eq!(sh(WIPE, dir.path()), "left 0\n");
        assert!(dir.path().exists());
        assert_eq!(sh(LOOK, dir.path()), "files 0\n");
    }
}
