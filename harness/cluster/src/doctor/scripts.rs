//! What hosts are asked, in POSIX sh with the userland of CentOS 7.
//!
//! Every script only looks, but for [`SPEED`], which writes a few MiB where the lab's marker is and
//! removes them.

/// Many hosts keep what only root uses where a login user's path does not lead.
pub(super) const PATHS: &str = r#"PATH=$PATH:/usr/sbin:/sbin LC_ALL=C; export PATH LC_ALL
"#;

/// $1 directory, $2 marker, $3 lock.
pub(super) const SITE: &str = r#"if [ ! -d "$1" ]; then echo "dir none"; elif [ ! -w "$1" ]; then echo "dir closed"; else echo "dir open"; fi
[ ! -e "$1/$2" ] || printf 'marker %s\n' "$(head -n 1 -- "$1/$2")"
if [ -e "$1/$3" ]; then sed -n 's/^owner=/lock /p; s/^until=/until /p' -- "$1/$3"; echo "now $(date +%s)"; fi
[ -d "$1" ] && [ -n "$(ls -A -- "$1")" ] && echo filled
echo "user $(id -un)""#;

/// Programs, one a line as they are missing.
pub(super) const PROGRAMS: &str =
    r#"for p in "$@"; do command -v "$p" >/dev/null 2>&1 || echo "$p"; done"#;

/// $1 how root is asked for; then commands that need it, each with a harmless use. Prints where it
/// is, and what was said where it did not work.
pub(super) const SUDO: &str = r#"root=$1; shift
while [ $# -gt 1 ]; do
  if at=$(command -v "$1" 2>/dev/null); then
    if said=$($root "$1" $2 2>&1 </dev/null); then echo "ok $1 $at"
    else echo "no $1 $at $(printf '%s\n' "$said" | head -n 1)"; fi
  else echo "none $1"; fi
  shift 2
done"#;

/// $1 java, then options that our JVMs are started with.
pub(super) const JAVA: &str = r#"command -v "$1" >/dev/null 2>&1 || { echo none; exit 0; }
java=$1; shift
"$java" "$@" -version 2>&1 | head -n 20"#;

/// $1 directory. Free KiB and type of the file system where it is or would be.
pub(super) const ROOM: &str = r#"at=$1
until [ -d "$at" ]; do at=${at%/*}; at=${at:-/}; done
df -PTk -- "$at" | awk 'NR == 2 { print $5, $2 }'"#;

/// $1 directory. Nanoseconds for 4 MiB with an fsync at the end, and for eight synchronous writes
/// of 4 KiB.
pub(super) const SPEED: &str = r#"cd -- "$1" || exit 1
f=.tidemark-speed
trap 'rm -f -- "$f"' EXIT
a=$(date +%s%N)
dd if=/dev/zero of="$f" bs=1048576 count=4 conv=fsync 2>/dev/null || exit 1
b=$(date +%s%N)
dd if=/dev/zero of="$f" bs=4096 count=8 oflag=dsync 2>/dev/null || exit 1
c=$(date +%s%N)
echo "$((b - a)) $((c - b))""#;

/// $1 how often.
pub(super) const TIME_SYNC: &str = r#"command -v timedatectl >/dev/null 2>&1 || { echo none; exit 0; }
timeout 3 timedatectl 2>&1 || echo none"#;

/// $1 how root is asked for. The version, and whether the lock can be waited for.
pub(super) const IPTABLES: &str = r#"root=$1
command -v iptables >/dev/null 2>&1 || { echo none; exit 0; }
iptables --version 2>&1 | head -n 1
if said=$($root iptables -w -n -L INPUT 2>&1 >/dev/null); then echo "wait ok"; else echo "wait $(printf '%s\n' "$said" | head -n 1)"; fi
if $root iptables-restore -w -t </dev/null >/dev/null 2>&1; then echo "restore ok"; else echo "restore no"; fi"#;

/// The limits of a process that SSH starts, as brokers will be.
pub(super) const LIMITS: &str = r#"cat /proc/self/limits"#;

/// What SELinux is, and whom it takes us for.
pub(super) const SELINUX: &str = r#"if [ -r /sys/fs/selinux/enforce ]; then echo "enforce $(cat /sys/fs/selinux/enforce)"; id -Z 2>/dev/null; else echo none; fi"#;

/// Whether firewalld runs.
pub(super) const FIREWALLD: &str = r#"command -v systemctl >/dev/null 2>&1 || { echo none; exit 0; }
timeout 3 systemctl is-active firewalld 2>/dev/null || :"#;

/// Below `guard`'s prelude; $1 how many seconds a lock lasts is not asked: only what is there. Each
/// line is one thing that a heal would remove or undo.
pub(super) const LEFTOVERS: &str = r#"for file in "$dir"/run/*.pid; do
  read -r pid at 2>/dev/null <"$file" || continue
  lives "$pid" "$at" || continue
  name=${file##*/}; echo "the ${name%.pid} (process $pid)"
done
if command -v iptables >/dev/null 2>&1; then
  ipt -S 2>/dev/null | while read -r word chain rest; do
    case "$word $chain" in "-N $prefix"f[0-9]*) echo "the chain $chain";; esac
  done
fi
if command -v tc >/dev/null 2>&1; then
  tc qdisc show 2>/dev/null | while read -r word kind number dev device rest; do
    case "$word $kind $number $rest" in "qdisc htb $handle root"*) echo "a queueing discipline on $device";; esac
  done
fi
for file in "$dir"/run/data/broker/.tidemark-filler* "$dir"/.helpers/*.pid; do
  [ ! -f "$file" ] || echo "the file ${file##*/}"
done
[ ! -e "$dir/.clock" ] || echo "a clock that was set off"
if lease; then now
  if lives "$guard" "$since"; then echo "a guard (process $guard) of run $whose"
  elif [ "$until" -gt 0 ]; then echo "the lease of run $whose"; fi
fi"#;
