//! What a gone broker's log directory says about what had been flushed, read in one look.
//!
//! It decides nothing. The rule of what is durable is that of the judge (`checkers::causes`), in the
//! direction that keeps more: what the judge takes for flushed is flushed here too.

use std::collections::BTreeMap;

use evidence::{Says, checkpoint, says};
use history::{Offset, Partition};

/// `$1` log directory, `$2` the broker's log, `$3` its pid file, `$4` where cuts are noted, then
/// partition directories; those that exist.
pub(super) const SURVEY: &str = r#"cd -- "$1" || exit 9
date +'now %s%3N'
[ -f "$3" ] && echo "life $(cat -- "$3")"
[ -e .kafka_cleanshutdown ] && echo clean
say() { [ -f "$2" ] || return 0; sed "s/^/$1 /" "$2"; echo; }
say point recovery-point-offset-checkpoint
say start log-start-offset-checkpoint
say hw replication-offset-checkpoint
[ -f "$2" ] && sed -n '/Rolled new log segment at offset/s/^/roll /p' "$2"
noted=$4; shift 4
for d; do
  [ -f "$noted/$d" ] && echo "noted $d $(cat -- "$noted/$d")"
  for f in "$d"/*.log; do
    [ -f "$f" ] && stat -c 'file %s %n' -- "$f"
  done
done
true"#;

/// A rolled segment is flushed in the background; after so long it is (anomalies: A.5).
const FLUSHED_AFTER_MS: i64 = 10_000;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Survey {
    /// `.kafka_cleanshutdown` was there: everything was flushed.
    pub clean: bool,
    /// The host's time when it was looked at, milliseconds since 1970.
    now_ms: i64,
    /// Everything below was flushed, says the checkpoint file.
    points: BTreeMap<Partition, Offset>,
    /// Log starts that were moved.
    pub starts: BTreeMap<Partition, Offset>,
    /// HWs as the broker last wrote them down.
    pub watermarks: BTreeMap<Partition, Offset>,
    /// Where segments were rolled, with the host's time of the line.
    rolls: Vec<(Partition, Offset, i64)>,
    /// The broker's last process: its id and start time.
    pub life: String,
    /// Where logs were cut before, and after which process's end.
    noted: BTreeMap<Partition, (String, Offset)>,
    /// Segment files, ascending by base offset.
    pub segments: BTreeMap<Partition, Vec<Segment>>,
}

/// A segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Its base offset: its name.
    pub base: Offset,
    /// Its size.
    pub bytes: u64,
}

/// Below what a log is durable, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Durable {
    /// Everything below was flushed.
    pub below: Offset,
    /// `its recovery point is @0`.
    pub because: String,
}

impl Survey {
    /// Reads what [`SURVEY`] printed. What is no line of its is skipped: logs hold anything.
    pub fn read(said: &str) -> Self {
        let mut found = Self::default();
        let (mut points, mut starts, mut watermarks) = <(String, String, String)>::default();
        for line in said.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "clean" => found.clean = true,
                "now" => found.now_ms = rest.parse().unwrap_or(0),
                "point" => points += &format!("{rest}\n"),
                "start" => starts += &format!("{rest}\n"),
                "hw" => watermarks += &format!("{rest}\n"),
                "life" => found.life = rest.to_owned(),
                "noted" => found.noted.extend(noted(rest)),
                "roll" => found.rolls.extend(rolled(rest)),
                "file" => {
                    if let Some((partition, segment)) = listed(rest) {
                        found.segments.entry(partition).or_default().push(segment);
                    }
                }
                _ => {}
            }
        }
        found.points = checkpoint::offsets(&points).value;
        found.starts = checkpoint::offsets(&starts).value;
        found.watermarks = checkpoint::offsets(&watermarks).value;
        for segments in found.segments.values_mut() {
            segments.sort_by_key(|segment| segment.base);
        }
        found
    }

    /// Below what a log that ends at `end` is durable. `flush_every` is its `flush.messages`.
    pub fn durable(&self, partition: &Partition, end: Offset, flush_every: Option<i64>) -> Durable {
        if let Some((life, cut)) = self.noted.get(partition)
            && *life == self.life
        {
            return Durable {
                below: *cut,
                because: format!("what its last process had not flushed was cut at {cut} already"),
            };
        }
        let point = self.points.get(partition).copied().unwrap_or(Offset(0));
        let mut durable = Durable {
            below: point,
            because: format!("its recovery point is {point}"),
        };
        let rolls = self.rolls.iter();
        // A line from the future: the clock was set back since, and nobody knows how old it is.
        let rolls = rolls.filter(|(of, _, at)| {
            of == partition && (*at > self.now_ms || at + FLUSHED_AFTER_MS <= self.now_ms)
        });
        if let Some(at) = rolls.map(|(_, at, _)| *at).max()
            && at > durable.below
        {
            durable = Durable {
                below: at,
                because: format!("it rolled a segment at {at} long enough before"),
            };
        }
        // After an append fewer than that are unflushed.
        let flushed = flush_every.map(|every| Offset(end.0.saturating_sub(every.max(1) - 1)));
        if let Some(flushed) = flushed.filter(|flushed| *flushed > durable.below) {
            durable = Durable {
                below: flushed,
                because: format!(
                    "flush.messages={} had it flushed up to {flushed}",
                    flush_every.unwrap_or_default()
                ),
            };
        }
        durable
    }
}

/// `2026-01-01 00:00:00,000 INFO [Log partition=ledger-0, dir=/x] Rolled new log segment ...`.
fn rolled(line: &str) -> Option<(Partition, Offset, i64)> {
    let (date, message) = line.split_at_checked(23)?;
    let at = chrono::NaiveDateTime::parse_from_str(date, "%Y-%m-%d %H:%M:%S,%3f").ok()?;
    match says(message.strip_prefix(' ')?)? {
        Ok(Says::Rolled {
            partition,
            at: offset,
        }) => Some((partition, offset, at.and_utc().timestamp_millis())),
        Ok(_) | Err(_) => None,
    }
}

/// `ledger-0 4812 356 71250`: the directory, where it was cut, and the process before.
fn noted(rest: &str) -> Option<(Partition, (String, Offset))> {
    let (dir, rest) = rest.split_once(' ')?;
    let (cut, life) = rest.split_once(' ')?;
    let cut = Offset(cut.parse().ok()?);
    Some((Partition::from_dir_name(dir)?, (life.to_owned(), cut)))
}

/// `4096 ledger-0/00000000000000000000.log`.
fn listed(rest: &str) -> Option<(Partition, Segment)> {
    let (bytes, path) = rest.split_once(' ')?;
    let (dir, file) = path.split_once('/')?;
    let base = file.strip_suffix(".log")?;
    let base = Offset(base.parse().ok().filter(|_| base.len() == 20)?);
    let bytes = bytes.parse().ok()?;
    Some((Partition::from_dir_name(dir)?, Segment { base, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const AT: &str = "2026-01-01 00:00:10,000 INFO [Log partition=ledger-0, dir=/x] Rolled new log \
                      segment at offset";

    fn ledger() -> Partition {
        Partition::new("ledger", 0)
    }

    #[test]
    fn a_directory_is_surveyed() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        std::fs::create_dir(dir.path().join("ledger-0")).unwrap();
        write("ledger-0/00000000000000000000.log", "12345");
        write("ledger-0/00000000000000000100.log", "");
        write("ledger-0/00000000000000000100.log.deleted", "x");
        write("recovery-point-offset-checkpoint", "0\n1\nledger 0 40");
        write("replication-offset-checkpoint", "0\n1\nledger 0 70\n");
        write("log-start-offset-checkpoint", "");
        let log = dir.path().join("server.log");
        std::fs::write(
            &log,
            format!("{AT} 100 in 3 ms. (kafka.log.Log)\nnonsense\n"),
        )
        .unwrap();
        let out = Command::new("sh")
            .args(["-c", SURVEY, "sh"])
            .args([dir.path(), &log, &dir.path().join("pid"), dir.path()])
            .args(["ledger-0", "absent-1"])
            .output()
            .unwrap();
        assert!(out.status.success(), "{out:?}");
        let found = Survey::read(&String::from_utf8(out.stdout).unwrap());
        assert!(!found.clean);
        assert_eq!(found.points[&ledger()], Offset(40));
        assert_eq!(found.watermarks[&ledger()], Offset(70));
        let segment = |base, bytes| Segment {
            base: Offset(base),
            bytes,
        };
        assert_eq!(found.segments[&ledger()], [segment(0, 5), segment(100, 0)]);
        assert_eq!(found.rolls[0].1, Offset(100));
        assert!(found.now_ms > found.rolls[0].2, "{found:?}");
        write(".kafka_cleanshutdown", "");
        let out = Command::new("sh")
            .args(["-c", SURVEY, "sh"])
            .args([dir.path(), &log, &dir.path().join("pid"), dir.path()])
            .output()
            .unwrap();
        assert!(Survey::read(&String::from_utf8(out.stdout).unwrap()).clean);
    }

    #[test]
    fn what_is_durable_is_what_the_judge_says_or_more() {
        let at = |now: &str, flush| {
            let said = format!(
                "now {now}\npoint 0\npoint 1\npoint ledger 0 40\n\nroll {AT} 100 in 3 ms. (k)\n"
            );
            Survey::read(&said)
                .durable(&ledger(), Offset(150), flush)
                .below
        };
        // The roll was at 1767225610000.
        assert_eq!(at("1767225619999", None), Offset(40), "not old enough");
        assert_eq!(at("1767225620000", None), Offset(100));
        assert_eq!(at("1767225600000", None), Offset(100), "from the future");
        assert_eq!(at("1767225620000", Some(1)), Offset(150));
        assert_eq!(at("1767225620000", Some(11)), Offset(140));
        assert_eq!(at("1767225620000", Some(i64::MAX)), Offset(100));
        let again = "life 7 300\nnoted ledger-0 120 7 300\n";
        let below = |said: &str| Survey::read(said).durable(&ledger(), Offset(120), Some(10));
        assert_eq!(below(again).below, Offset(120), "one life, one loss");
        let other = again.replace("life 7", "life 8");
        assert_eq!(below(&other).below, Offset(111));
        let nothing = Survey::read("now 1\n").durable(&ledger(), Offset(5), None);
        assert_eq!(nothing.because, "its recovery point is @0");
    }
}
