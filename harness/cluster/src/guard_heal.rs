//! How a host is healed from what *is*: one function `heal` of POSIX sh, made of parts.
//!
//! The guard runs it when its lease has run out, `tidemark heal` and the end of a run run it over
//! SSH. It removes what carries the lab's own names, and never anything else. Each part says what
//! it removed, a line each, and fails when something of ours is still there.

/// A part: its name, and the body of its function. It finds `$root`, `$dir`, `$prefix`, `$handle`
/// and the functions of `site`'s prelude.
pub(crate) type Part = (&'static str, &'static str);

/// In the order in which they are done: first what keeps others waiting.
pub(crate) const PARTS: [Part; 6] = [
    ("processes", PROCESSES),
    ("chains", CHAINS),
    ("queues", QUEUES),
    ("disks", DISKS),
    ("helpers", HELPERS),
    ("clock", CLOCK),
];

/// Continues what of ours is stopped.
const PROCESSES: &str = r#"
for file in "$dir"/run/*.pid; do
  read -r pid at 2>/dev/null <"$file" || continue
  lives "$pid" "$at" || continue
  case ${stat##*) } in T*) ;; *) continue;; esac
  name=${file##*/}
  kill -CONT "$pid" && echo "continued the ${name%.pid} (process $pid)" || bad=1
done"#;

/// `.cuts` says that rules of ours may be there: without it, a host on which we may not ask for
/// rules has none of ours.
const CHAINS: &str = r#"
if ! list=$(ipt -S 2>&1); then
  [ ! -e "$dir/.cuts" ] || { printf '%s\n' "$list" >&2; bad=1; }
else
  set -f; IFS='
'
  for line in $list; do
    chain=${line#-N }
    case $line in "-N $prefix"f[0-9]*) ;; *) continue;; esac
    unset IFS
    while ipt -D INPUT -j "$chain" 2>/dev/null; do :; done
    ipt -F "$chain" && ipt -X "$chain" && echo "removed the chain $chain" || bad=1
  done
  set +f; unset IFS
  [ "$bad" = 1 ] || [ ! -e "$dir/.cuts" ] || rm -f -- "$dir/.cuts"
fi"#;

/// Without its root a tree of queueing disciplines is gone, and the kernel's default is back.
const QUEUES: &str = r#"
if command -v tc >/dev/null 2>&1; then
  list=$(tc qdisc show) || { bad=1; list=; }
  set -f; IFS='
'
  for line in $list; do
    case $line in "qdisc htb $handle dev "*" root "*) ;; *) continue;; esac
    unset IFS
    device=${line#*" dev "}; device=${device%%" "*}
    $root tc qdisc del dev "$device" root && echo "removed the queueing discipline $handle of $device" || bad=1
  done
  set +f; unset IFS
fi"#;

/// Filler files go, and the device of a log directory answers as it did (`disk`, `injections::disk`).
const DISKS: &str = r#"
for file in "$dir"/run/data/broker/.tidemark-filler*; do
  [ -f "$file" ] || continue
  rm -f -- "$file" && echo "removed ${file##*/}" || bad=1
done
read -r lab 2>/dev/null <"$dir/.tidemark-lab" || lab=
if [ -n "$lab" ] && [ -e "/dev/mapper/tidemark-$lab" ]; then
  device=$($root losetup -j "$dir/run/broker.img" | cut -d : -f 1)
  case $($root dmsetup table "tidemark-$lab") in
    *" linear "*) ;;
    *) $root dmsetup load "tidemark-$lab" --table "0 $($root blockdev --getsz "$device") linear $device 0" &&
      $root dmsetup suspend --noflush --nolockfs "tidemark-$lab" &&
      $root dmsetup resume "tidemark-$lab" &&
      echo "the device tidemark-$lab answers as it did" || bad=1 ;;
  esac
fi"#;

/// Programs that a fault needs for as long as it lasts; each leads a process group.
const HELPERS: &str = r#"
for file in "$dir"/.helpers/*.pid; do
  read -r pid at 2>/dev/null <"$file" || continue
  name=${file##*/}
  if lives "$pid" "$at"; then kill -9 "-$pid" && echo "ended ${name%.pid} (process $pid)" || bad=1; fi
  rm -f -- "$file"
done
[ ! -d "$dir/.helpers" ] || rmdir -- "$dir/.helpers" 2>/dev/null"#;

/// `.clock`: hundredths of a second since boot, and what the clock said then, in nanoseconds.
const CLOCK: &str = r#"
if read -r at said 2>/dev/null <"$dir/.clock"; then
  now
  right=$((said + (now - at) * 10000000))
  $root date -u -s "@$((right / 1000000000)).$(printf %09d $((right % 1000000000)))" >/dev/null &&
    rm -f -- "$dir/.clock" && echo "set the clock right" || bad=1
fi"#;

/// The text of all parts and of `heal`.
pub(crate) fn functions() -> String {
    let mut text = String::new();
    for (name, body) in PARTS {
        text += &format!("heal_{name}() {{ bad=0{body}\nreturn $bad; }}\n");
    }
    text += "heal() {\n  left=0\n";
    for (name, _) in PARTS {
        text += &format!("  heal_{name} || left=1\n");
    }
    text + "  return $left\n}\n"
}
