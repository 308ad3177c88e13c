//! A gone broker's checkpoint files: removed, or put back as they were at some earlier time.
//!
//! Recovery points, HWs, log starts and leader epochs. Segments are not touched. A broker that was
//! stopped cleanly believes its logs without reading them, and has no epochs then; so every log
//! there counts as damaged.

use history::{Clock, Harm, Offset, Partition, Service};

use super::{Sent, WITHIN, effect, send, unsure};
use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::Effect;
use crate::remote::RemoteCluster;

/// `$1` log directory. Names the checkpoint files there, one a line.
const NAMES: &str = r#"cd -- "$1" || exit 9
names() {
  for f in recovery-point-offset-checkpoint replication-offset-checkpoint \
    log-start-offset-checkpoint */leader-epoch-checkpoint; do
    [ -f "$f" ] && echo "$f"
  done
}
"#;

/// Copies them into `$2`, which appears when it is whole.
const KEEP: &str = r#"rm -rf -- "$2.new"; mkdir -p -- "$2.new" || exit 1
names | while read -r f; do cp -p --parents -- "$f" "$2.new" || exit 1; done || exit 1
rm -rf -- "$2"; mv -- "$2.new" "$2" || exit 1
(cd -- "$2" && find . -type f | wc -l)"#;

/// Removes them. Prints the partitions, how many files there were, how many are left.
const REMOVE: &str = r#"names | sed -n 's,/leader-epoch-checkpoint$,,; t p; b; :p; s/^/log /p'
echo "were $(names | wc -l)"
names | while read -r f; do rm -f -- "$f"; done
sync
echo "left $(names | wc -l)""#;

/// Puts those in `$2` back whose directories are still there, one rename each. Prints the
/// partitions, how many files differed, and how many still do.
const PUT_BACK: &str = r#"[ -d "$2" ] || exit 4
kept() { (cd -- "$2" && find . -type f | cut -c 3-); }
differ() {
  kept "$@" | while read -r f; do
    [ -d "$(dirname -- "$f")" ] || continue
    cmp -s -- "$2/$f" "$f" || echo "$f"
  done
}
names | sed -n 's,/leader-epoch-checkpoint$,,; t p; b; :p; s/^/log /p'
echo "were $(differ "$@" | wc -l)"
differ "$@" | while read -r f; do cp -p -- "$2/$f" "$f.tm" && mv -f -- "$f.tm" "$f"; done
sync
echo "left $(differ "$@" | wc -l)""#;

/// Where copies are kept; goes with the run's files.
fn kept(cluster: &RemoteCluster) -> String {
    format!("{}/checkpoints", cluster.layout.run())
}

fn script(text: &str, args: [String; 2]) -> Cmd {
    Cmd::script(&format!("{NAMES}{text}"), args)
}

/// Copies a broker's checkpoint files, running or not.
pub(super) async fn keep(
    cluster: &RemoteCluster,
    host: &Host,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let args = [cluster.layout.data(Service::Broker), kept(cluster)];
    let sent = (clock.mark(), clock);
    let said = host.ok(Lane::Bulk, &script(KEEP, args), WITHIN).await?;
    let files: u64 = said.trim().parse().unwrap_or(0);
    let evidence = format!("{files} checkpoint files of {} were copied", host.node());
    Ok(effect(files > 0, evidence, sent, Vec::new()))
}

/// Removes them, and keeps copies where there are none yet.
pub(super) async fn remove(
    cluster: &RemoteCluster,
    host: &Host,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let args = [cluster.layout.data(Service::Broker), kept(cluster)];
    let text = format!("[ -d \"$2\" ] || {{ {KEEP}\n}} >/dev/null\n{REMOVE}");
    change(cluster, host, (&text, args), "removed", clock).await
}

/// Replaces them by the copies of an earlier time.
pub(super) async fn put_back(
    cluster: &RemoteCluster,
    host: &Host,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let args = [cluster.layout.data(Service::Broker), kept(cluster)];
    let there = Cmd::script(r#"[ -d "$1" ]"#, [args[1].clone()]);
    if !host.run(Lane::Bulk, &there, WITHIN).await?.succeeded() {
        return Err(host.error(
            "there are no older checkpoint files to put back: none were kept since this run \
             began; a fault that removes them keeps them",
        ));
    }
    let words = "replaced by older ones";
    change(cluster, host, (PUT_BACK, args), words, clock).await
}

async fn change(
    cluster: &RemoteCluster,
    host: &Host,
    (text, args): (&str, [String; 2]),
    words: &str,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let node = host.node();
    let from = Offset(0);
    let sent = (clock.mark(), clock);
    let text = format!("{NAMES}{text}");
    let said = match send(cluster, host, &text, args).await {
        Sent::Done(said) => said,
        Sent::Nothing(error) => return Err(error),
        Sent::Unknown(error) => return Ok(unsure(&error, sent, Vec::new())),
    };
    let number = |word: &str| -> Option<u64> {
        let mut lines = said.lines();
        lines.find_map(|line| line.strip_prefix(word)?.trim().parse().ok())
    };
    let (Some(were), Some(left)) = (number("were "), number("left ")) else {
        return Err(host.error(format!("changing checkpoint files printed {said:?}")));
    };
    let logs = said.lines().filter_map(|line| line.strip_prefix("log "));
    let harms: Vec<_> = logs
        .filter_map(Partition::from_dir_name)
        .map(|partition| (partition, Harm::Damaged { node, from }))
        .filter(|_| were > 0)
        .collect();
    let evidence = format!(
        "{} of {were} checkpoint files of {node} are {words}, read back",
        were.saturating_sub(left)
    );
    Ok(effect(were > 0 && left == 0, evidence, sent, harms))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::process::Command;

    fn sh(text: &str, dir: &Path, kept: &Path) -> String {
        let out = Command::new("sh")
            .args(["-c", &format!("{NAMES}{text}"), "sh"])
            .args([dir, kept])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        assert!(out.stderr.is_empty(), "{out:?}");
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn they_are_kept_removed_and_put_back() {
        let top = tempfile::tempdir().unwrap();
        let (data, kept) = (top.path().join("data"), top.path().join("kept"));
        for dir in ["ledger-0", "audit-1"] {
            fs::create_dir_all(data.join(dir)).unwrap();
        }
        let hw = data.join("replication-offset-checkpoint");
        let epochs = data.join("ledger-0/leader-epoch-checkpoint");
        fs::write(&hw, "old").unwrap();
        fs::write(&epochs, "old").unwrap();
        fs::write(data.join("meta.properties"), "x").unwrap();
        assert_eq!(sh(KEEP, &data, &kept).trim(), "2");

        fs::write(&epochs, "new").unwrap();
        let said = sh(PUT_BACK, &data, &kept);
        assert_eq!(said, "log ledger-0\nwere 1\nleft 0\n");
        assert_eq!(fs::read_to_string(&epochs).unwrap(), "old");

        let text = format!("[ -d \"$2\" ] || {{ {KEEP}\n}} >/dev/null\n{REMOVE}");
        fs::write(&epochs, "newer").unwrap();
        let said = sh(&text, &data, &kept);
        assert_eq!(said, "log ledger-0\nwere 2\nleft 0\n");
        assert!(!hw.exists() && !epochs.exists());
        assert!(data.join("meta.properties").exists());
        // What was kept first stays kept, and files that are gone differ.
        fs::remove_dir_all(data.join("audit-1")).unwrap();
        assert_eq!(sh(PUT_BACK, &data, &kept), "were 2\nleft 0\n");
        assert_eq!(fs::read_to_string(&epochs).unwrap(), "old");
    }
}
