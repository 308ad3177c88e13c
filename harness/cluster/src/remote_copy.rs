//! Replica images, logs and log lines, copied off a host as they are.
//!
//! Nothing is interpreted and nothing is filtered by content. Checkpoint files come first in an
//! image, so that on a running broker they are never newer than the data (facts of the design:
//! checkpoint HW <= real HW, data >= checkpoint).

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use history::{NodeId, Partition, ProcessState, Service};
use tokio::sync::oneshot;

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::guard::DIARY;
use crate::host::{Host, Lane};
use crate::ran::End;
use crate::remote::RemoteCluster;
use crate::system::Copied;

/// For one replica image: 1 GB takes ten seconds.
const COPY_WITHIN: Duration = Duration::from_secs(900);
const SHORT: Duration = Duration::from_secs(20);
/// zstd's fastest ordinary level: the disk and the line are slower than it.
const LEVEL: i32 = 1;

/// Files of the log directory itself, in the order in which they are archived.
const CHECKPOINTS: &str = "replication-offset-checkpoint recovery-point-offset-checkpoint \
     log-start-offset-checkpoint cleaner-offset-checkpoint meta.properties .kafka_cleanshutdown";

/// `$1` log directory, `$2` checkpoint names, then partition directories; those that exist. Kafka's
/// names hold no blanks. Where nothing is left, as after a wipe, an archive of nothing: its end mark.
const ARCHIVE: &str = r#"cd -- "$1" || exit 9
names=
for f in $2; do [ -e "$f" ] && names="$names $f"; done
shift 2
for d; do [ -d "$d" ] && names="$names $d"; done
[ -n "$names" ] || exec head -c 1024 /dev/zero
exec tar cf - -- $names"#;

/// `$1` log directory, then partition directories. Name, inode and size of each file, and the
/// digests of the epoch files: what must not change while a running broker is copied.
const LISTING: &str = r#"cd -- "$1" || exit 9; shift
for d; do
  [ -d "$d" ] || continue
  find "$d" -type f -printf '%p %i %s\n' 2>/dev/null
  [ -f "$d/leader-epoch-checkpoint" ] && sha256sum "$d/leader-epoch-checkpoint" | awk '{print "epochs-of/" $2, $1, 0}'
done
true"#;

/// `$1` needle, then files. The first line of the first file that holds it.
const FIND: &str = r#"needle=$1; shift
for f; do [ -f "$f" ] && grep -F -m 1 -e "$needle" -- "$f" && exit 0; done
true"#;

/// The logs in which a line is looked for.
const LOGS: [&str; 3] = ["server.log", "state-change.log", "controller.log"];

impl RemoteCluster {
    pub(crate) async fn image(
        &self,
        node: NodeId,
        partitions: &[Partition],
        into: &Path,
    ) -> Result<Copied, ClusterError> {
        let host = &self.node(node)?.host;
        let process = self.service(node, Service::Broker)?;
        let data = self.layout.data(Service::Broker);
        let dirs: Vec<String> = partitions.iter().map(Partition::dir_name).collect();
        let listing = |data: &String| {
            Cmd::script(
                LISTING,
                std::iter::once(data.clone()).chain(dirs.iter().cloned()),
            )
        };
        let before = (
            process.state().await?,
            host.ok(Lane::Bulk, &listing(&data), SHORT).await?,
        );
        let args = [data.clone(), CHECKPOINTS.to_owned()].into_iter();
        let cmd = Cmd::script(ARCHIVE, args.chain(dirs.iter().cloned()));
        let bytes = archive(host, &cmd, into).await?;
        let after = (
            host.ok(Lane::Bulk, &listing(&data), SHORT).await?,
            process.state().await?,
        );
        Ok(Copied {
            process: livelier(before.0, after.1),
            unchanged: before.0 == after.1 && grew_at_most(&before.1, &after.0),
            bytes,
        })
    }

    pub(crate) async fn logs(&self, node: NodeId, into: &Path) -> Result<(), ClusterError> {
        let host = &self.node(node)?.host;
        let unwritable = |e: std::io::Error| {
            ClusterError::Lab(format!(
                "cannot write {node}'s logs into {}: {e}",
                into.display()
            ))
        };
        fs::create_dir_all(into).map_err(unwritable)?;
        // What the guard had to do belongs to the logs; it stays where it is until it is told.
        let diary = format!("{}/{DIARY}", self.layout.dir());
        let with = r#"[ ! -e "$1" ] || cp -f -- "$1" "$2""#;
        let cmd = Cmd::script(with, [diary, self.layout.logs()]);
        host.ok(Lane::Bulk, &cmd, SHORT).await?;
        let passing = tempfile::NamedTempFile::new_in(into).map_err(unwritable)?;
        let sink = passing.reopen().map_err(unwritable)?;
        let cmd = Cmd::new("tar")
            .args(["cf", "-", "-C"])
            .arg(self.layout.run())
            .args(["config", "logs"]);
        let (ran, _) = host
            .stream(Lane::Bulk, &cmd, COPY_WITHIN, Box::new(sink))
            .await?;
        told_by_tar(host, &cmd, &ran)?;
        let file = passing.reopen().map_err(unwritable)?;
        tar::Archive::new(file).unpack(into).map_err(unwritable)
    }

    pub(crate) async fn log_line(
        &self,
        node: NodeId,
        needle: &str,
    ) -> Result<Option<String>, ClusterError> {
        let host = &self.node(node)?.host;
        let logs = LOGS.map(|name| format!("{}/{name}", self.layout.logs()));
        let cmd = Cmd::script(FIND, std::iter::once(needle.to_owned()).chain(logs));
        let ran = host.run(Lane::Control, &cmd, SHORT).await?;
        if !ran.succeeded() {
            return Err(host.unhappy(&cmd, &ran));
        }
        let found = String::from_utf8_lossy(&ran.stdout);
        Ok(found.lines().next().map(str::to_owned))
    }
}

/// Streams a tar archive of the host through zstd into a file that appears only when it is whole.
async fn archive(host: &Host, cmd: &Cmd, into: &Path) -> Result<u64, ClusterError> {
    let unwritable = |e: &dyn std::fmt::Display| {
        let why = format!(
            "cannot write the image of {} to {}: {e}",
            host.node(),
            into.display()
        );
        ClusterError::Lab(why)
    };
    let dir = into.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(dir).map_err(|e| unwritable(&e))?;
    let partial = tempfile::NamedTempFile::new_in(dir).map_err(|e| unwritable(&e))?;
    let file = partial.reopen().map_err(|e| unwritable(&e))?;
    let (done, finished) = oneshot::channel();
    let mut done = Some(done);
    let encoder = zstd::Encoder::new(BufWriter::with_capacity(1 << 18, file), LEVEL)
        .map_err(|e| unwritable(&e))?
        .on_finish(move |end| {
            if let Some(done) = done.take() {
                let _ = done.send(end.and_then(close));
            }
        });
    let streamed = host.stream(Lane::Bulk, cmd, COPY_WITHIN, Box::new(encoder));
    let (ran, bytes) = streamed.await?;
    told_by_tar(host, cmd, &ran)?;
    finished
        .await
        .map_err(|_| unwritable(&"it was never finished"))?
        .map_err(|e| unwritable(&e))?;
    partial.persist(into).map_err(|e| unwritable(&e.error))?;
    Ok(bytes)
}

fn close(mut file: BufWriter<File>) -> std::io::Result<()> {
    file.flush()
}

/// Status 1 of tar: a file changed or vanished while it was read, which the listing tells as well.
fn told_by_tar(host: &Host, cmd: &Cmd, ran: &crate::ran::Ran) -> Result<(), ClusterError> {
    match ran.end {
        End::Exit(0 | 1) => Ok(()),
        End::Exit(_) | End::Signal(_) => Err(host.unhappy(cmd, ran)),
    }
}

/// When the process changed meanwhile, the state in which the files could change.
fn livelier(before: ProcessState, after: ProcessState) -> ProcessState {
    match (before, after) {
        (running @ ProcessState::Running { .. }, _) => running,
        (_, after) => after,
    }
}

/// The same files under the same inodes, none shorter than before, the same epoch files.
fn grew_at_most(before: &str, after: &str) -> bool {
    let files = |text: &str| -> BTreeMap<String, (String, u64)> {
        let file = |line: &str| {
            let mut words = line.rsplitn(3, ' ');
            let size = words.next()?.parse().ok()?;
            let identity = words.next()?.to_owned();
            Some((words.next()?.to_owned(), (identity, size)))
        };
        text.lines().filter_map(file).collect()
    };
    let (before, after) = (files(before), files(after));
    before.len() == after.len()
        && before.iter().all(|(name, (identity, size))| {
            let now = after.get(name);
            now.is_some_and(|(inode, now)| inode == identity && now >= size)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn growth_is_no_change_and_everything_else_is() {
        let before = "t-0/0.log 12 100\nepochs-of/t-0/leader-epoch-checkpoint abc 0\n";
        assert!(grew_at_most(before, before));
        assert!(grew_at_most(before, &before.replace("100", "101")));
        assert!(
            !grew_at_most(before, &before.replace("100", "99")),
            "shrank"
        );
        assert!(
            !grew_at_most(before, &before.replace("12", "13")),
            "another inode"
        );
        assert!(
            !grew_at_most(before, &before.replace("abc", "abd")),
            "epochs"
        );
        assert!(
            !grew_at_most(before, &format!("{before}t-0/9.log 13 0\n")),
            "rolled"
        );
        assert!(!grew_at_most(before, ""), "vanished");
    }

    #[test]
    fn checkpoints_are_archived_first_and_what_is_not_there_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("t-0")).unwrap();
        for name in [
            "t-0/00.log",
            "meta.properties",
            "replication-offset-checkpoint",
        ] {
            fs::write(dir.path().join(name), name).unwrap();
        }
        let output = Command::new("sh")
            .args(["-c", ARCHIVE, "sh"])
            .arg(dir.path())
            .args([CHECKPOINTS, "t-0", "absent-3"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut archive = tar::Archive::new(&output.stdout[..]);
        let entries = archive.entries().unwrap();
        let names: Vec<String> = entries
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(
            names,
            [
                "replication-offset-checkpoint",
                "meta.properties",
                "t-0/",
                "t-0/00.log"
            ]
        );
    }

    #[test]
    fn nothing_is_an_archive_of_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let output = Command::new("sh")
            .args(["-c", ARCHIVE, "sh"])
            .arg(dir.path())
            .args([CHECKPOINTS, "t-0"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        assert_eq!(
            output.stdout, [0; 1024],
            "two blocks of zeros end an archive"
        );
        assert_eq!(
            tar::Archive::new(&output.stdout[..])
                .entries()
                .unwrap()
                .count(),
            0
        );
    }

    #[test]
    fn a_listing_names_files_and_epochs() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("t-0")).unwrap();
        fs::write(dir.path().join("t-0/leader-epoch-checkpoint"), "0\n0\n").unwrap();
        let output = Command::new("sh")
            .args(["-c", LISTING, "sh"])
            .arg(dir.path())
            .args(["t-0", "absent-3"])
            .output()
            .unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(grew_at_most(&text, &text));
    }
}
