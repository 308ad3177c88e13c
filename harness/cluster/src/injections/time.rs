//! Clocks that are set off, once or again and again. Never where hosts share a kernel.
//!
//! Before the first bump the host writes down, against its monotonic clock, what time it was
//! (`.clock`): that is what the undo goes by, also when the guard does it, and so nothing has to be
//! known of how often it was bumped. A strobe is a program of ours on the host (`.helpers`).

use std::time::Duration;

use history::{Clock, FaultId};

use crate::cmd::Cmd;
use crate::error::ClusterError;
use crate::guard::Watch;
use crate::guard_heal;
use crate::injection::{Effect, Injection, Power};
use crate::ran::Ran;
use crate::remote::{Node, RemoteCluster};
use crate::system::Recovered;

const SHORT: Duration = Duration::from_secs(10);
/// A clock that was set is off by what was asked for, give or take so many milliseconds: `date`
/// takes its time.
const GIVE_MS: i64 = 50;

/// `off` prints by how many nanoseconds the clock is off against what was written down; `bump` sets
/// it off by $1 nanoseconds more.
const OFF: &str = r#"off() {
  read -r at said <"$dir/.clock" || return 1
  now; echo $(($(date +%s%N) - said - (now - at) * 10000000))
}
bump() {
  to=$(($(date +%s%N) + $1))
  $root date -u -s "@$((to / 1000000000)).$(printf %09d $((to % 1000000000)))" >/dev/null
}
"#;

/// $1 nanoseconds. Prints by how much the clock was off before, and is now.
const BUMP: &str = r#"if [ ! -e "$dir/.clock" ]; then
  now; echo "$now $(date +%s%N)" >"$dir/.clock.part" && mv -f -- "$dir/.clock.part" "$dir/.clock" || exit 1
fi
off && bump "$1" && off"#;

/// $1 nanoseconds, $2 the pause between two bumps in seconds, $3 the helper, $4 its name. Prints as
/// [`BUMP`], after the first bump; the helper goes on.
const STROBE: &str = r#"mkdir -p -- "$dir/.helpers" || exit 1
setsid sh -c "$3" tidemark-strobe "$root" "$dir" "$prefix" "$handle" "$1" "$2" </dev/null >/dev/null 2>&1 9<&- &
p=$!
until kill -0 -"$p" 2>/dev/null; do kill -0 "$p" || exit 1; sleep 0.01; done
read -r stat <"/proc/$p/stat" || exit 1
helper=$4; set -- ${stat##*) }
echo "$p ${20}" >"$dir/.helpers/$helper.pid""#;

/// $1 nanoseconds, $2 seconds. Forth is done already; the heal ends this program, and it ends by
/// itself where nothing says any more what time it is.
const HELPER: &str = r#"by=$1 back=-$1
case $back in --*) back=${back#--};; esac
while sleep "$2" && [ -e "$dir/.clock" ]; do bump "$back"; sleep "$2"; bump "$by"; done"#;

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let Injection::Clock {
        node,
        by_ms,
        strobe,
    } = what
    else {
        return Err(super::not_ours(what));
    };
    let at = cluster.node(*node)?;
    refuse_shared(cluster, at).await?;
    let watch = cluster.watch(*node)?;
    let cmd = bump(&watch, *by_ms, *strobe, fault);
    let after = clock.mark();
    let ran = watch.run(&at.host, &cmd, SHORT).await?;
    let between = (after, clock.mark());
    let said = told(at, &cmd, &ran)?;
    let (in_force, evidence) = judged(&said, *by_ms).ok_or_else(|| {
        let why = format!("setting the clock printed {said:?}");
        at.host.error(why)
    })?;
    Ok(Effect::new(
        in_force,
        format!("the clock of {node} {evidence}"),
        between,
    ))
}

/// Undoes it from what is.
pub(crate) async fn recover(
    cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Recovered, ClusterError> {
    let Injection::Clock { node, .. } = what else {
        return Err(super::not_ours(what));
    };
    let at = cluster.node(*node)?;
    // On a shared kernel nothing was ever set, and nothing is set now.
    refuse_shared(cluster, at).await?;
    let cmd = cluster.watch(*node)?.unguarded(&undoing(), [""; 0]);
    let ran = at.host.run(crate::host::Lane::Control, &cmd, SHORT).await?;
    let said = told(at, &cmd, &ran)?;
    Ok(Recovered::told(match said.trim() {
        "" => format!("the clock of {node} was not off"),
        said => format!("{node}: {}", said.replace('\n', "; ")),
    }))
}

async fn refuse_shared(cluster: &RemoteCluster, at: &Node) -> Result<(), ClusterError> {
    match cluster.shares_its_clock(at).await? {
        None => Ok(()),
        Some(why) => Err(at.host.error(format!(
            "lacks {}: {why}; a clock of hosts that share one is never touched",
            Power::OwnClock
        ))),
    }
}

fn bump(watch: &Watch, by_ms: i64, strobe: Option<Duration>, fault: FaultId) -> Cmd {
    let nanos = (by_ms * 1_000_000).to_string();
    match strobe {
        None => watch.guarded(&format!("{OFF}{BUMP}"), [nanos]),
        Some(every) => {
            let helper = watch.text(&format!("{OFF}{HELPER}"));
            let every = format!("{:.3}", every.as_secs_f64());
            let name = format!("strobe-{fault}");
            let text = format!("{OFF}{BUMP}\n{STROBE}");
            watch.guarded(&text, [nanos, every, helper, name])
        }
    }
}

/// Ends helpers first, or they would set it off again.
fn undoing() -> String {
    let functions = guard_heal::functions();
    format!("{functions}hold 3\nheal_helpers && heal_clock")
}

fn told(at: &Node, cmd: &Cmd, ran: &Ran) -> Result<String, ClusterError> {
    if ran.succeeded() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    Err(at.host.unhappy(cmd, ran))
}

/// Whether the clock went off by what was asked for; in words.
fn judged(said: &str, by_ms: i64) -> Option<(bool, String)> {
    let mut lines = said.lines().map(|line| line.trim().parse::<i64>().ok());
    let (before, after) = (lines.next()??, lines.next()??);
    let moved = (after - before) / 1_000_000;
    let words = format!(
        "is off by {} ms, {} ms before, against its monotonic one",
        after / 1_000_000,
        before / 1_000_000
    );
    Some(((moved - by_ms).abs() <= GIVE_MS, words))
}

#[cfg(test)]
#[path = "time/tests.rs"]
mod tests;
