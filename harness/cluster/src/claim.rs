//! Whose hosts: the marker that says a host is ours to harm, and the lock that says which run has it.
//!
//! It never claims by itself, never takes a lock that is held unless asked to steal, and never
//! judges time by any clock but the host's own.

use std::fmt;
use std::time::Duration;

use history::RunId;
use tokio::time::Instant;

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::root;

/// Under the lab's directory on each host; holds the lab's name and a line feed.
pub const MARKER: &str = ".tidemark-lab";
/// Under the lab's directory on each host, while a run has it.
pub const LOCK: &str = ".lock";

const DEADLINE: Duration = Duration::from_secs(10);

/// $1 directory, $2 marker, $3 lab. Prints the name in the marker that is there afterwards.
/// A directory that holds anything else is not ours to take.
const CLAIM: &str = r#"mkdir -p -- "$1" && cd -- "$1" || exit 1
if [ ! -e "$2" ]; then
  if [ -n "$(ls -A)" ]; then echo "$1 is not empty and has no marker" >&2; exit 4; fi
  printf '%s\n' "$3" >"$2.part" && mv -f -- "$2.part" "$2" || exit 1
fi
cat -- "$2""#;

/// $1 directory, $2 lock, $3 owner, $4 lease in seconds, $5 what: take, steal, renew, release.
/// Prints `ours`, `free`, or the lock that is in the way, with the host's time.
/// A full disk lets nobody write another file: then what is renewed is written in place.
const LOCKING: &str = r#"cd -- "$1" || exit 1
exec 9>>"$2.guard" || exit 1
flock -w 5 9 || { echo "nobody lets go of $1/$2.guard" >&2; exit 1; }
now=$(date +%s) owner= since= until=0
if [ -e "$2" ]; then
  while IFS='=' read -r k v; do
    case $k in owner) owner=$v;; since) since=$v;; until) until=$v;; esac
  done <"$2"
fi
if [ -n "$owner" ] && [ "$owner" != "$3" ]; then
  if [ "$5" = renew ] || [ "$5" = release ] || { [ "$5" = take ] && [ "$until" -gt "$now" ]; }; then
    printf 'held\n%s\n%s\n%s\n%s\n' "$owner" "$since" "$until" "$now"; exit 0
  fi
  since=
fi
case $5 in
  release) rm -f -- "$2" && echo free; exit;;
  renew) [ -n "$owner" ] || { echo free; exit 0; };;
esac
[ "$owner" = "$3" ] && [ -n "$since" ] || since=$now
text() { printf 'owner=%s\nsince=%s\nuntil=%s\n' "$1" "$since" "$2"; }
if text "$3" $((now + $4)) >"$2.part" && mv -f -- "$2.part" "$2"; then echo ours; exit; fi
rm -f -- "$2.part"
[ "$5" = renew ] && [ "${#until}" = "${#now}" ] && text "$3" $((now + $4)) 1<>"$2" && echo ours"#;

/// Writes the marker on a host, as somebody asked for in so many words. Claiming twice is claiming
/// once.
///
/// # Errors
/// The directory belongs to another lab or holds something else; it cannot be made.
pub async fn claim(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    let cmd = Cmd::script(CLAIM, [lab.dir.as_str(), MARKER, &lab.name]);
    let ran = host.run(Lane::Control, &cmd, DEADLINE).await?;
    if !ran.succeeded() {
        let said = String::from_utf8_lossy(&ran.stderr)
            .trim()
            .replace('\n', " / ");
        let remedy = if said.contains("no marker") {
            "give the lab a directory of its own (`dir` in the lab file)".to_owned()
        } else {
            format!(
                "make it by hand: sudo mkdir -p {0} && sudo chown {1} {0}",
                lab.dir, lab.login.user
            )
        };
        return Err(host.error(format!(
            "cannot be claimed for {}: {said}; {remedy}",
            lab.name
        )));
    }
    match String::from_utf8_lossy(&ran.stdout).trim_end() {
        name if name == lab.name => Ok(()),
        other => Err(host.error(foreign(lab, other))),
    }
}

/// Whether a host carries the lab's marker. Everything but [`claim`] asks this first; where sudo
/// wants a password or a terminal, the host is given the means ([`crate::root`]).
///
/// # Errors
/// It carries none, or another lab's: one sentence with the command that claims it.
pub async fn check(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    let script = r#"[ -e "$1" ] || exit 4; cat -- "$1""#;
    let cmd = Cmd::script(script, [format!("{}/{MARKER}", lab.dir)]);
    let ran = host.run(Lane::Control, &cmd, DEADLINE).await?;
    if ran.end == crate::ran::End::Exit(4) {
        return Err(host.error(format!(
            "has no marker {}/{MARKER}, so nothing is done to it: `tidemark lab claim {}` claims the lab's hosts",
            lab.dir, lab.name
        )));
    }
    if !ran.succeeded() {
        return Err(host.unhappy(&cmd, &ran));
    }
    match String::from_utf8_lossy(&ran.stdout).trim_end() {
        name if name == lab.name => root::give(host, lab).await,
        other => Err(host.error(foreign(lab, other))),
    }
}

fn foreign(lab: &LabFile, other: &str) -> String {
    format!(
        "{} is claimed for the lab {other:?}, not for {}: if that lab is no more, remove {}/{MARKER} there and `tidemark lab claim {}`",
        lab.dir, lab.name, lab.dir, lab.name
    )
}

/// Who holds a lock: `run x7k2qa (pid 4711 on host ctl)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The controller's host name.
    pub controller: String,
    /// The process that renews the lock.
    pub pid: u32,
    /// Its run.
    pub run: RunId,
}

impl Owner {
    /// This process, for a run.
    pub fn here(run: RunId) -> Self {
        let name = nix::unistd::gethostname()
            .ok()
            .and_then(|n| n.into_string().ok());
        let controller = name
            .unwrap_or_else(|| "unknown".to_owned())
            .replace(char::is_whitespace, "_");
        Self {
            controller,
            pid: std::process::id(),
            run,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "run {} (pid {} on host {})",
            self.run, self.pid, self.controller
        )
    }
}

/// A host's lock, held until it is released or its lease runs out.
#[derive(Debug, Clone)]
pub struct Lock {
    host: Host,
    dir: String,
    owner: String,
    lease: Duration,
}

impl Lock {
    /// Takes a host's lock for `lease` (whole seconds). An expired one is taken over; a held one
    /// only with `steal`. Taking one's own again renews it.
    ///
    /// # Errors
    /// Somebody else has it: who, since when, and how to take it nevertheless.
    pub async fn take(
        host: &Host,
        lab: &LabFile,
        owner: &Owner,
        lease: Duration,
        steal: bool,
    ) -> Result<Lock, ClusterError> {
        let lock = Lock {
            host: host.clone(),
            dir: lab.dir.clone(),
            owner: owner.to_string(),
            lease,
        };
        match lock.ask(if steal { "steal" } else { "take" }).await? {
            Answer::Ours => Ok(lock),
            Answer::Free => Err(host.error("gave no lock although nobody has it")),
            Answer::Held(holder) => Err(host.error(format!(
                "in use by {holder}: wait until it ends, or take it with --steal if it is no more"
            ))),
        }
    }

    /// Extends the lease; due every third of it.
    ///
    /// # Errors
    /// It is no longer ours, and the host must be left alone; or the host does not answer.
    pub async fn renew(&self) -> Result<(), ClusterError> {
        match self.ask("renew").await? {
            Answer::Ours => Ok(()),
            answer => Err(self.lost(answer)),
        }
    }

    /// Renews until the lock is no longer ours, and returns why. A host that does not answer is
    /// asked again as long as the lease lasts: until then nobody else can have taken it unasked.
    pub async fn keep(&self) -> ClusterError {
        let mut renewed = Instant::now();
        let mut pause = self.lease / 3;
        loop {
            tokio::time::sleep(pause).await;
            let asked = Instant::now();
            match self.ask("renew").await {
                Ok(Answer::Ours) => (renewed, pause) = (asked, self.lease / 3),
                Ok(answer) => return self.lost(answer),
                Err(silent) if renewed.elapsed() >= self.lease => return silent,
                Err(_) => pause = self.lease / 15,
            }
        }
    }

    /// Gives the lock back. One that is gone already is no error.
    ///
    /// # Errors
    /// Somebody else has it now; it is left to them.
    pub async fn release(&self) -> Result<(), ClusterError> {
        match self.ask("release").await? {
            Answer::Ours | Answer::Free => Ok(()),
            held @ Answer::Held(_) => Err(self.lost(held)),
        }
    }

    fn lost(&self, answer: Answer) -> ClusterError {
        self.host.error(match answer {
            Answer::Held(holder) => format!("the lock was taken from us: now {holder}"),
            Answer::Ours | Answer::Free => "the lock was removed while we held it".to_owned(),
        })
    }

    async fn ask(&self, what: &str) -> Result<Answer, ClusterError> {
        let lease = self.lease.as_secs().max(1).to_string();
        let cmd = Cmd::script(
            LOCKING,
            [self.dir.as_str(), LOCK, &self.owner, &lease, what],
        );
        let said = self.host.ok(Lane::Control, &cmd, DEADLINE).await?;
        read_answer(&said)
            .ok_or_else(|| self.host.error(format!("the lock script printed {said:?}")))
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Ours,
    Free,
    /// By whom, since when, for how long.
    Held(String),
}

fn read_answer(text: &str) -> Option<Answer> {
    let mut lines = text.lines();
    match lines.next()? {
        "ours" => Some(Answer::Ours),
        "free" => Some(Answer::Free),
        "held" => {
            let owner = lines.next()?;
            let mut numbers = lines.map(|l| l.parse::<i64>().ok());
            let (since, until, now) = (numbers.next()??, numbers.next()??, numbers.next()??);
            let since = chrono::DateTime::from_timestamp(since, 0)?.format("%Y-%m-%dT%H:%M:%SZ");
            let lease = match until - now {
                left if left > 0 => format!("for {left} s more unless renewed"),
                over => format!("expired {} s ago", -over),
            };
            Some(Answer::Held(format!("{owner} since {since}, {lease}")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_lock_is_told_in_full() {
        let text = "held\nrun x7k2qa (pid 7 on host ctl)\n1700000000\n1700000060\n1700000035\n";
        let told = "run x7k2qa (pid 7 on host ctl) since 2023-11-14T22:13:20Z, for 25 s more unless renewed";
        assert_eq!(read_answer(text), Some(Answer::Held(told.to_owned())));
        let over = text.replace("1700000035", "1700000061");
        assert!(
            matches!(read_answer(&over), Some(Answer::Held(t)) if t.ends_with("expired 1 s ago"))
        );
        assert_eq!(read_answer("held\nx\n"), None);
        assert_eq!(read_answer("what"), None);
    }
}
