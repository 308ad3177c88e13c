//! Takes from a gone broker what it had not flushed, as a power cut may: never below the durable
//! point, in each log by itself.
//!
//! Checkpoints and epoch files stay: Kafka flushes them as it writes them. The index files of a cut
//! segment go; a broker builds them anew when it recovers the segment, which it does whenever there
//! is no mark of a clean shutdown. With such a mark nothing is taken: everything was flushed.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use history::{Clock, Harm, Offset, Partition, Service, Topic};
use plan::Tail;
use sha2::{Digest, Sha256};

use super::survey::{SURVEY, Segment, Survey};
use super::tail::{Cut, cut, end_of, kept, segment_of};
use super::{Sent, WITHIN, send};
use crate::cmd::Cmd;
use crate::config::Layout;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::Effect;
use crate::remote::RemoteCluster;

/// `$1` partition directory, `$2` the segment's name, `$3` bytes kept, `$4` bytes that stay, `$5` its
/// length afterwards, `$6` the directory where the cut is noted and `$7` the note, then the names of
/// segments that go. Whenever it is interrupted, what is left is what a power cut may leave. Prints
/// what is there now.
pub(super) const CUT: &str = r#"cd -- "$1" || exit 9
set -e
mkdir -p -- "$6"; echo "$7" >"$6/${1##*/}"
s=$2 keep=$3 stay=$4 length=$5; shift 7
for r; do
  rm -f -- "$r.log" "$r.index" "$r.timeindex" "$r.txnindex" "$r.snapshot"
done
rm -f -- "$s.index" "$s.timeindex"
truncate -s "$stay" "$s.log"
truncate -s "$length" "$s.log"
dd if=/dev/null of="$s.log" conv=notrunc,fsync 2>/dev/null
echo "bytes $(stat -c %s "$s.log")"
echo "kept $(head -c "$keep" "$s.log" | sha256sum | cut -c 1-64)"
echo "beyond $(tail -c +"$((stay + 1))" "$s.log" | tr -d '\000' | wc -c)"
for f in *.log; do echo "file $f"; done"#;

/// One log's part.
#[derive(Debug)]
struct Planned {
    partition: Partition,
    was: Offset,
    /// Its end afterwards; a log start above it wins.
    end: Offset,
    because: String,
    cut: Cut,
    digest: String,
    /// The segments that stay.
    left: Vec<Offset>,
}

/// Does it to every log that lost something, one after the other.
pub(super) async fn lose(
    cluster: &RemoteCluster,
    host: &Host,
    partitions: &[Partition],
    tail: Tail,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let data = cluster.layout.data(Service::Broker);
    let survey = survey(cluster, host, partitions).await?;
    let mut said = Vec::new();
    let mut planned = Vec::new();
    if survey.clean {
        said.push("it was shut down cleanly, which flushed everything".to_owned());
    } else {
        let passing = tempfile::tempdir().map_err(|e| {
            ClusterError::Lab(format!("there is no room here to look at logs: {e}"))
        })?;
        for (partition, segments) in &survey.segments {
            let every = flush_every(cluster, &partition.topic).await;
            let log = Log {
                host,
                dir: format!("{data}/{}", partition.dir_name()),
                partition,
                segments,
            };
            match log.plan(&survey, every, tail, passing.path()).await? {
                Ok(plan) => planned.push(plan),
                Err(whole) => said.push(whole),
            }
        }
    }
    let after = clock.mark();
    let mut effect = Effect::new(false, String::new(), (after, after));
    let mut lost = Vec::new();
    for plan in &planned {
        let note = format!("{} {}", plan.cut.end.0, survey.life);
        let noting = [noted_in(&cluster.layout), note];
        let done = match plan.carry_out(cluster, host, &data, noting).await {
            Sent::Done(words) => Ok(words),
            Sent::Unknown(error) => Err(error),
            Sent::Nothing(error) if effect.harms.is_empty() => return Err(error),
            Sent::Nothing(error) => {
                lost.push(format!("{}: {error}", plan.partition));
                continue;
            }
        };
        // What was begun may have happened, whatever became of the answer.
        let harm = Harm::SuffixLost {
            node: host.node(),
            from: plan.end,
        };
        effect.harms.push((plan.partition.clone(), harm));
        match done {
            Ok(words) => {
                effect.in_force = true;
                lost.push(words);
            }
            Err(error) => lost.push(format!(
                "{}: it is not known what happened: {error}",
                plan.partition
            )),
        }
        effect.between.1 = clock.mark();
    }
    lost.append(&mut said);
    if lost.is_empty() {
        lost.push("none of these partitions has a log there".to_owned());
    }
    effect.evidence = lost.join("; ");
    Ok(effect)
}

/// A log to look at.
struct Log<'a> {
    host: &'a Host,
    dir: String,
    partition: &'a Partition,
    segments: &'a [Segment],
}

impl Log<'_> {
    /// What to do to it; or that it loses nothing, in words.
    async fn plan(
        &self,
        survey: &Survey,
        flush_every: Option<i64>,
        tail: Tail,
        passing: &Path,
    ) -> Result<Result<Planned, String>, ClusterError> {
        let Some(newest) = self.segments.last() else {
            return Ok(Err(format!("{} has no log there", self.partition)));
        };
        let copy = self.fetch(newest, passing).await?;
        let was = end_of(open(&copy)?, newest.base).map_err(unreadable)?;
        let durable = survey.durable(self.partition, was, flush_every);
        let at = segment_of(self.segments, durable.below);
        let copy = match self.segments.get(at) {
            Some(segment) if segment != newest => self.fetch(segment, passing).await?,
            Some(_) | None => copy,
        };
        let kept = kept(open(&copy)?, durable.below).map_err(unreadable)?;
        let cut = cut(self.segments, at, kept, tail).filter(|cut| cut.end < was);
        let Some(cut) = cut else {
            return Ok(Err(format!(
                "{} on {} ends at {was} and loses nothing: {}",
                self.partition,
                self.host.node(),
                durable.because
            )));
        };
        let start = survey.starts.get(self.partition).copied();
        Ok(Ok(Planned {
            partition: self.partition.clone(),
            was,
            end: cut.end.max(start.unwrap_or(cut.end)),
            because: durable.because,
            digest: digest(open(&copy)?, cut.keep)?,
            left: self.segments.iter().take(at + 1).map(|s| s.base).collect(),
            cut,
        }))
    }

    /// Copies a segment file here.
    async fn fetch(
        &self,
        segment: &Segment,
        passing: &Path,
    ) -> Result<std::path::PathBuf, ClusterError> {
        let name = evidence::file_name(segment.base, "log");
        let to = passing.join(&name);
        let from = format!("{}/{name}", self.dir);
        self.host.get_file(Lane::Bulk, &from, &to).await?;
        Ok(to)
    }
}

impl Planned {
    /// Cuts the log and compares what is there afterwards with what was meant.
    async fn carry_out(
        &self,
        cluster: &RemoteCluster,
        host: &Host,
        data: &str,
        noting: [String; 2],
    ) -> Sent {
        let name = |base: &Offset| format!("{:020}", base.0);
        let mut args = vec![
            format!("{data}/{}", self.partition.dir_name()),
            name(&self.cut.segment),
        ];
        args.extend([self.cut.keep, self.cut.stay, self.cut.length].map(|n| n.to_string()));
        args.extend(noting);
        args.extend(self.cut.removed.iter().map(name));
        let said = match send(cluster, host, CUT, args).await {
            Sent::Done(said) => said,
            failed => return failed,
        };
        if said != meant(&self.cut, &self.digest, &self.left) {
            let said = said.trim().replace('\n', ", ");
            return Sent::Unknown(host.error(format!(
                "{} was cut, and reading back shows something else: {said}",
                self.partition
            )));
        }
        Sent::Done(format!(
            "{} on {} ends at {} now, read back; it ended at {} and lost {} bytes; {}",
            self.partition,
            host.node(),
            self.end,
            self.was,
            self.cut.lost,
            self.because
        ))
    }
}

/// What [`CUT`] prints when all went as meant: `left` are the segments that stay.
pub(super) fn meant(cut: &Cut, digest: &str, left: &[Offset]) -> String {
    let mut text = format!("bytes {}\nkept {digest}\nbeyond 0\n", cut.length);
    for base in left {
        text += &format!("file {}\n", evidence::file_name(*base, "log"));
    }
    text
}

/// What a log directory says of these partitions.
pub(super) async fn survey(
    cluster: &RemoteCluster,
    host: &Host,
    partitions: &[Partition],
) -> Result<Survey, ClusterError> {
    let layout = &cluster.layout;
    let args = [
        layout.data(Service::Broker),
        layout.log(Service::Broker),
        layout.pid_file(Service::Broker),
        noted_in(layout),
    ];
    let dirs = partitions.iter().map(Partition::dir_name);
    let cmd = Cmd::script(SURVEY, args.into_iter().chain(dirs));
    Ok(Survey::read(&host.ok(Lane::Bulk, &cmd, WITHIN).await?))
}

/// Where cuts are noted: a process loses what it had not flushed once. What `flush.messages` had it
/// flush is reckoned from its log's end, which is another one after a cut.
fn noted_in(layout: &Layout) -> String {
    format!("{}/lost", layout.run())
}

/// After how many records a log of this topic is flushed: as ZooKeeper has it where it answers,
/// since that may have been changed; else as it was asked for.
async fn flush_every(cluster: &RemoteCluster, topic: &Topic) -> Option<i64> {
    let asked = {
        let topics = cluster.topics.borrow();
        let spec = topics.get(topic);
        let own = spec.and_then(|spec| spec.properties.get("flush.messages").cloned());
        let all = cluster.spec.properties.get("log.flush.interval.messages");
        own.or_else(|| all.cloned())
    };
    let changed = async {
        let mut session = cluster.any_zookeeper(0).await.ok()?;
        let found = session.get(&format!("/config/topics/{topic}")).await;
        session.close().await;
        let config: serde_json::Value = serde_json::from_slice(&found.ok()??.data).ok()?;
        Some(config["config"]["flush.messages"].as_str()?.to_owned())
    };
    changed.await.or(asked)?.parse().ok()
}

fn open(path: &Path) -> Result<std::io::BufReader<File>, ClusterError> {
    let file = File::open(path).map_err(unreadable)?;
    Ok(std::io::BufReader::with_capacity(1 << 18, file))
}

fn unreadable(error: std::io::Error) -> ClusterError {
    ClusterError::Lab(format!("a segment's copy cannot be read here: {error}"))
}

/// SHA-256 of the first bytes, in hexadecimal.
pub(super) fn digest(from: impl Read, bytes: u64) -> Result<String, ClusterError> {
    let mut hash = Sha256::new();
    std::io::copy(&mut from.take(bytes), &mut hash).map_err(unreadable)?;
    Ok(hash.finalize().iter().map(|b| format!("{b:02x}")).collect())
}
