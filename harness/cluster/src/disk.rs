//! A file system of its own for a broker's log directory: bounded, so that it can be filled without
//! harm to the host, and on a device of its own, so that it can be slow or fail.
//!
//! It is an image file in the run's directory, mounted through a loop device (ext4: page cache and
//! fsync mean what they mean elsewhere), or a tmpfs where the host has no loop devices. It is ours
//! only if it is mounted where our log directory is *and* carries our mark: that image, or the name
//! `tidemark-<lab>`. Nothing else is ever filled, slowed or unmounted.

use std::time::Duration;

use crate::cmd::Cmd;
use crate::config::Layout;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::injection::{Lack, Power};
use crate::labfile::{Kind, LabFile};

/// Making a file system; removing a run's files.
const LONG: Duration = Duration::from_secs(300);
const SHORT: Duration = Duration::from_secs(20);

/// What all scripts begin with. `$1` `sudo -n` or nothing, `$2` the run's directory, `$3` our mark.
pub(crate) const PRELUDE: &str = r#"PATH=$PATH:/usr/sbin:/sbin LC_ALL=C; export PATH LC_ALL
root=$1 mark=$3; run=$(cd -P -- "$2" 2>/dev/null && pwd -P) || run=$2; shift 3
at=$run/data/broker image=$run/broker.img
ours() {
  source=$(awk -v at="$at" '$2 == at { s = $1 } END { print s }' /proc/self/mounts)
  case $source in
    "$mark" | "/dev/mapper/$mark") return 0 ;;
    /dev/loop*) read -r backing <"/sys/block/${source#/dev/}/loop/backing_file" && [ "$backing" = "$image" ] ;;
    *) return 1 ;;
  esac
}
"#;

/// `$1` bytes, `$2` `mapper` where a device that can be slowed may be put in between. Prints the
/// type of the file system, its source and its free KiB.
pub(crate) const MOUNT: &str = r#"set -e
mkdir -p -- "$at"
loop() {
  command -v mkfs.ext4 >/dev/null 2>&1 && [ -e /dev/loop-control ] || return 1
  truncate -s "$1" "$image" && mkfs.ext4 -q -F -m 0 "$image" || return 1
  if [ "$2" = mapper ] && $root dmsetup targets 2>/dev/null | grep -q '^linear '; then
    device=$($root losetup -f --show "$image") && sectors=$($root blockdev --getsz "$device") &&
      $root dmsetup create "$mark" --table "0 $sectors linear $device 0" &&
      $root mount -t ext4 -o nosuid,nodev "/dev/mapper/$mark" "$at"
  else
    $root mount -t ext4 -o loop,nosuid,nodev "$image" "$at"
  fi
}
if ! said=$(loop "$@" 2>&1); then
  rm -f -- "$image"
  $root mount -t tmpfs -o "size=$1,mode=0755,nosuid,nodev" "$mark" "$at" || { echo "$said" >&2; exit 1; }
fi
$root chown "$(id -u):$(id -g)" "$at"
[ ! -d "$at/lost+found" ] || $root rmdir -- "$at/lost+found"
ours || { echo "$at is not the file system that was mounted there" >&2; exit 1; }
df -PTk "$at" | awk 'NR == 2 { print $2, $1, $5 }'"#;

/// Unmounts what is ours and removes the run's files. A process that has just been killed may hold
/// the mount for a moment. What else is mounted below is not touched.
pub(crate) const CLEAR: &str = r#"n=0
while ours; do
  said=$($root umount "$at" 2>&1) && continue
  n=$((n + 1)); [ "$n" -lt 50 ] || { echo "$said" >&2; exit 1; }
  sleep 0.1
done
if [ -e "/dev/mapper/$mark" ]; then
  device=$($root losetup -j "$image" | cut -d : -f 1)
  $root dmsetup remove "$mark" && { [ -z "$device" ] || $root losetup -d "$device"; } || exit 1
fi
rm -rf --one-file-system -- "$run""#;

/// What would keep a log directory from having a disk of its own, or from being slow. Each line
/// names the power and says why.
const LACKS: &str = r#"
if ! said=$($root true 2>&1); then echo "root ${said:-sudo refuses}"; exit 0; fi
if ! command -v dmsetup >/dev/null 2>&1; then echo "mapper dmsetup is not installed"; exit 0; fi
if ! said=$($root dmsetup targets 2>&1); then
  echo "mapper dmsetup: $(printf '%s\n' "$said" | head -n 1)"; exit 0
fi
for target in delay error; do
  printf '%s\n' "$said" | grep -q "^$target " && continue
  [ "$target" = delay ] && $root modprobe -n -q dm-delay 2>/dev/null && continue
  echo "mapper the kernel has no dm-$target"; exit 0
done"#;

/// A script that knows the log directory's mount.
pub(crate) fn script<A: Into<String>>(
    host: &Host,
    layout: &Layout,
    text: &str,
    args: impl IntoIterator<Item = A>,
) -> Cmd {
    let args = own(host, layout).chain(args.into_iter().map(Into::into));
    Cmd::script(&format!("{PRELUDE}{text}"), args)
}

/// The first arguments of every script that begins with [`PRELUDE`].
pub(crate) fn own(host: &Host, layout: &Layout) -> impl Iterator<Item = String> {
    [host.root_prefix(), layout.run(), layout.mark()].into_iter()
}

/// Mounts a file system of so many bytes where the log directory will be. What is mounted, in words.
///
/// # Errors
/// The host has neither loop devices nor tmpfs, or we may not mount.
pub(crate) async fn mount(
    host: &Host,
    lab: &LabFile,
    layout: &Layout,
    bytes: u64,
) -> Result<String, ClusterError> {
    let mapper = match lab.kind {
        Kind::Machines => "mapper",
        // Nothing would remove the device when the lab goes down.
        Kind::Namespaces => "",
    };
    let args = [bytes.to_string(), mapper.to_owned()];
    let cmd = script(host, layout, MOUNT, args);
    let ran = host.run(Lane::Control, &cmd, LONG).await?;
    if !ran.succeeded() {
        let said = String::from_utf8_lossy(&ran.stderr)
            .trim()
            .replace('\n', " / ");
        return Err(host.error(format!(
            "the log directory gets no file system of its own: {said}; mounting needs root, and \
             ext4 with a loop device, or tmpfs; or take `disk` out of the plan's [cluster]"
        )));
    }
    Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
}

/// Removes a run's files, and the file system of the log directory.
///
/// # Errors
/// Something still uses it, or is mounted there that is not ours.
pub(crate) async fn clear(host: &Host, layout: &Layout) -> Result<(), ClusterError> {
    let cmd = script(host, layout, CLEAR, [""; 0]);
    host.ok(Lane::Control, &cmd, LONG).await.map(drop)
}

/// Which powers over disks a host lacks, for a plan that wants so many bytes for a log directory.
///
/// # Errors
/// The host does not answer.
pub(crate) async fn lacks(
    host: &Host,
    lab: &LabFile,
    layout: &Layout,
    bytes: Option<u64>,
) -> Result<Vec<Lack>, ClusterError> {
    let lack = |power, why: &str| Lack {
        power,
        why: why.to_owned(),
    };
    let both = |why: &str| [Power::OwnDisk, Power::DeviceMapper].map(|power| lack(power, why));
    if bytes.is_none() {
        let why = "the plan's [cluster] asks for none (`disk = \"512MiB\"`)";
        return Ok(both(why).into());
    }
    let cmd = script(host, layout, LACKS, [""; 0]);
    let said = host.ok(Lane::Control, &cmd, SHORT).await?;
    let (word, why) = said.trim().split_once(' ').unwrap_or(("", ""));
    Ok(match (word, lab.kind) {
        ("root", _) => both(&format!("no root: {why}")).into(),
        ("mapper", _) => vec![lack(Power::DeviceMapper, why)],
        (_, Kind::Namespaces) => vec![lack(
            Power::DeviceMapper,
            "hosts of a lab of namespaces share the machine's devices",
        )],
        (_, Kind::Machines) => Vec::new(),
    })
}
