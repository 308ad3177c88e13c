//! A log directory without room, on a slow device, or on one that fails.
//!
//! Only ever on the file system that was mounted for it (`crate::disk`): the host's own is never
//! filled and never slowed. Undone from what is there: our filler files, our device's table.

use std::time::Duration;

use history::{Clock, FaultId, NodeId};

use crate::cmd::Cmd;
use crate::disk;
use crate::error::ClusterError;
use crate::guard::not_armed;
use crate::host::{Host, Lane};
use crate::injection::{Effect, Injection};
use crate::ran::{End, Ran};
use crate::remote::RemoteCluster;
use crate::system::Recovered;

/// Filling half a GiB takes a second; a device that answers late takes its time.
const WITHIN: Duration = Duration::from_secs(60);
/// With this status a script says that the log directory's file system is not ours.
const NOT_OURS: i32 = 8;

/// What filler files are called; the heal removes whatever begins so (`guard_heal`).
pub(crate) const FILLER: &str = ".tidemark-filler";

/// Leaves with [`NOT_OURS`] unless the file system is ours. Writes of ours in it: whether one of
/// 4 KiB that is forced to the device is taken, and how long that took, in milliseconds.
const OURS: &str = r#"ours || exit 8
cd -- "$at" || exit 9
room() { df -Pk . | awk 'NR == 2 { print $4 }'; }
now() { read -r up rest </proc/uptime; now=${up%.*}${up#*.}; }
try() {
  now; before=$now
  if said=$(dd if=/dev/zero of=.tidemark-probe bs=4096 count=1 oflag=dsync 2>&1); then taken=taken; else taken=refused; fi
  now
  said=$(printf '%s\n' "$said" | sed -n 's/^dd: //p' | head -n 1)
  rm -f -- .tidemark-probe
  echo "write $taken $(((now - before) * 10)) $said"
}
"#;

/// `$1` filler file. Fills by large pieces while there is room for them, then by small ones. A
/// broker that deletes a segment meanwhile makes room that the next look shows.
const FILL: &str = r#"echo "room $(room)"
try
at=0 step=$(room)
while [ "$step" -gt 0 ]; do
  if fallocate -o $((at * 1024)) -l $((step * 1024)) "$1" 2>/dev/null; then
    at=$((at + step)); step=$(room)
  else
    step=$((step / 2))
  fi
done
dd if=/dev/zero bs=4096 2>/dev/null >>"$1"
echo "room $(room)"
try"#;

/// Removes filler files.
const EMPTY: &str = r#"echo "room $(room)"
rm -f -- .tidemark-filler*
sync
echo "room $(room)"
try"#;

/// `$1` what the device's table becomes: `delay`, `error` or `linear`; `$2` milliseconds. A device
/// that no longer takes writes is let go of first, or nothing would ever change.
const TABLE: &str = r#"[ -e "/dev/mapper/$mark" ] || { echo "there is no device /dev/mapper/$mark" >&2; exit 1; }
device=$($root losetup -j "$image" | cut -d : -f 1)
[ -n "$device" ] || { echo "no loop device holds $image" >&2; exit 1; }
sectors=$($root blockdev --getsz "$device") || exit 1
case $1 in
  delay) table="delay $device 0 0 $device 0 $2" ;;
  error) table=error ;;
  *) table="linear $device 0" ;;
esac
try
$root dmsetup load "$mark" --table "0 $sectors $table" || exit 1
$root dmsetup suspend --noflush --nolockfs "$mark" && $root dmsetup resume "$mark" || exit 1
echo "table $($root dmsetup table "$mark")"
try"#;

/// After errors ext4 is read-only for good; mounted anew it is read again. Not while somebody still
/// has files open there.
const REMOUNT: &str = r#"
if awk -v at="$at" '$2 == at && $4 ~ /(^|,)(ro|emergency_ro)(,|$)/ { f = 1 } END { exit !f }' /proc/self/mounts; then
  cd /
  $root umount "$at" && $root e2fsck -p "/dev/mapper/$mark" >/dev/null
  ours || $root mount -t ext4 -o nosuid,nodev "/dev/mapper/$mark" "$at" || exit 1
fi"#;

/// Does it and reads it back.
pub(crate) async fn inject(
    cluster: &RemoteCluster,
    fault: FaultId,
    what: &Injection,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let (node, text, args) = match what {
        Injection::FillDisk(node) => (*node, FILL, vec![format!("{FILLER}-{fault}")]),
        Injection::SlowDisk(node, by) => (
            *node,
            TABLE,
            vec!["delay".to_owned(), by.as_millis().to_string()],
        ),
        Injection::FailDisk(node) => (*node, TABLE, vec!["error".to_owned()]),
        other => return Err(super::not_ours(other)),
    };
    let host = &cluster.node(node)?.host;
    let args = disk::own(host, &cluster.layout).chain(args);
    let text = format!("{}{OURS}{text}", disk::PRELUDE);
    let cmd = cluster.watch(node)?.guarded(&text, args);
    let after = clock.mark();
    let said = run(host, &cmd).await?;
    let between = (after, clock.mark());
    let (in_force, evidence) = match what {
        Injection::FillDisk(_) => full(node, &said),
        Injection::SlowDisk(_, by) => slow(node, &said, *by),
        _ => failing(node, &said),
    };
    Ok(Effect::new(in_force, evidence, between))
}

/// Undoes it from what is.
pub(crate) async fn recover(
    cluster: &RemoteCluster,
    _fault: FaultId,
    what: &Injection,
    _clock: &Clock,
) -> Result<Recovered, ClusterError> {
    let (node, text) = match what {
        Injection::FillDisk(node) => (*node, format!("{OURS}{EMPTY}")),
        Injection::SlowDisk(node, _) | Injection::FailDisk(node) => {
            (*node, format!("{OURS}{TABLE}{REMOUNT}"))
        }
        other => return Err(super::not_ours(other)),
    };
    let host = &cluster.node(node)?.host;
    let cmd = disk::script(host, &cluster.layout, &text, ["linear"]);
    let said = run(host, &cmd).await?;
    let write = Write::all(&said).pop();
    let Some(write) = write.filter(|write| write.taken) else {
        return Err(host.error(format!(
            "the log directory still takes no writes: {}",
            said.trim().replace('\n', ", ")
        )));
    };
    let evidence = match what {
        Injection::FillDisk(_) => format!(
            "{node} has {} KiB free in the file system of its log directory and took a write; no \
             filler is left",
            rooms(&said).pop().unwrap_or(0)
        ),
        _ => format!(
            "the device of {node}'s log directory is as it was ({}) and took a write in {} ms",
            table(&said),
            write.millis
        ),
    };
    Ok(Recovered::told(evidence))
}

async fn run(host: &Host, cmd: &Cmd) -> Result<String, ClusterError> {
    let ran: Ran = host.run(Lane::Bulk, cmd, WITHIN).await?;
    match ran.end {
        End::Exit(0) => Ok(String::from_utf8_lossy(&ran.stdout).into_owned()),
        End::Exit(NOT_OURS) => Err(host.error(
            "its log directory has no file system of its own, and the host's is never harmed: give \
             the plan's [cluster] a `disk`",
        )),
        _ => Err(not_armed(host, &ran).unwrap_or_else(|| host.unhappy(cmd, &ran))),
    }
}

/// A write that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Write {
    taken: bool,
    millis: u64,
    /// Why not, in the host's words.
    why: String,
}

impl Write {
    fn all(said: &str) -> Vec<Write> {
        let lines = said.lines().filter_map(|line| line.strip_prefix("write "));
        let write = |line: &str| {
            let mut words = line.splitn(3, ' ');
            Some(Write {
                taken: words.next()? == "taken",
                millis: words.next()?.parse().ok()?,
                why: words.next().unwrap_or_default().to_owned(),
            })
        };
        lines.filter_map(write).collect()
    }
}

/// Free KiB, each time it was looked at.
fn rooms(said: &str) -> Vec<u64> {
    let lines = said.lines().filter_map(|line| line.strip_prefix("room "));
    lines.filter_map(|number| number.parse().ok()).collect()
}

fn table(said: &str) -> &str {
    let mut lines = said.lines();
    lines
        .find_map(|line| line.strip_prefix("table "))
        .unwrap_or("no table")
}

/// A write was taken before, and is refused for want of room now.
fn full(node: NodeId, said: &str) -> (bool, String) {
    let rooms = rooms(said);
    let ([before, after], [was, left]) = (&Write::all(said)[..], &rooms[..]) else {
        return (false, format!("filling the disk of {node} said {said:?}"));
    };
    let now = match after.taken {
        true => "was taken nevertheless".to_owned(),
        false => format!("was refused: {}", after.why),
    };
    (
        before.taken && !after.taken && after.why.contains("No space left"),
        format!(
            "the file system of {node}'s log directory had {was} KiB free and has {left}; a write \
             of 4 KiB {now}"
        ),
    )
}

/// A write takes at least so long now, and did not before.
fn slow(node: NodeId, said: &str, by: Duration) -> (bool, String) {
    let [before, after] = &Write::all(said)[..] else {
        return (false, format!("slowing the disk of {node} said {said:?}"));
    };
    let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
    // The host counts in hundredths of a second.
    let late = after.millis.saturating_add(10) >= millis;
    (
        after.taken && late && before.millis < after.millis && table(said).contains(" delay "),
        format!(
            "a write to {node}'s log directory took {} ms before and takes {} ms; the table of its \
             device is: {}",
            before.millis,
            after.millis,
            table(said)
        ),
    )
}

/// A write was taken before, and fails now.
fn failing(node: NodeId, said: &str) -> (bool, String) {
    let [before, after] = &Write::all(said)[..] else {
        return (false, format!("failing the disk of {node} said {said:?}"));
    };
    let now = match after.taken {
        true => "was taken nevertheless".to_owned(),
        false => format!("failed: {}", after.why),
    };
    (
        before.taken && !after.taken && table(said).contains(" error"),
        format!(
            "a write to {node}'s log directory {now}; the table of its device is: {}",
            table(said)
        ),
    )
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
