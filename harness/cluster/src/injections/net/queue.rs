//! Packets that wait, or come twice, late or broken, where they are sent: tc's netem and tbf.
//!
//! Below a root of ours (htb, which lets everything through that no filter of ours names) each link
//! has a class with its queue. A root that is not the kernel's default is never replaced. Without
//! its last class the root goes, and the kernel's default is back.

use std::collections::BTreeMap;
use std::time::Duration;

use history::{Clock, FaultId, Link, NodeId};
use plan::Shape;

use super::knock::{address, knock, pings, slower};
use crate::error::ClusterError;
use crate::guard::remedy;
use crate::host::{Host, Lane};
use crate::injection::Effect;
use crate::labfile::LabFile;
use crate::ran::Ran;
use crate::remote::RemoteCluster;
use crate::remote_all::all_ok;
use crate::site::Site;

const DEADLINE: Duration = Duration::from_secs(5);
/// Links of one fault that may begin at one host.
const LINKS_MAX: usize = 16;
/// How often a queue without traffic is sent some.
const ROUNDS: u32 = 4;

/// What all scripts here begin with: `device` of an address; whether the root of a device is ours,
/// the kernel's default, or somebody's.
pub(crate) const TREE: &str = r#"device() {
  set -- $(ip -o route get "$1" 2>/dev/null)
  while [ $# -gt 1 ]; do [ "$1" = dev ] && { device=$2; return 0; }; shift; done
  return 1
}
root_of() {
  whose=
  while read -r word kind number rest; do
    case "$word $rest" in "qdisc root"*) ;; *) continue;; esac
    case $kind$number in "htb$handle") whose=ours;; *0:) [ "$number" = 0: ] && whose=kernel || whose="$kind $number";; *) whose="$kind $number";; esac
  done <<EOF
$(tc qdisc show dev "$1")
EOF
}
"#;

/// $1 and $2 ports never to touch (SSH, PROBE), $3 the queue in tc's words; then triples of our
/// number (hexadecimal), address, port or `-`. A link's filter comes last: with it the fault begins.
const ADD: &str = r#"ssh=$1 probe=$2 queue=$3; shift 3
tcq() { $root tc "$@"; }
while [ $# -gt 2 ]; do
  device "$2" && [ "$device" != lo ] || { echo "no device leads to $2" >&2; exit 1; }
  root_of "$device"
  case $whose in
    ours) ;;
    kernel)
      tcq qdisc add dev "$device" root handle "$handle" htb || exit 1
      for spared in sport dport; do
        for port in "$ssh" "$probe"; do
          tcq filter add dev "$device" parent "$handle" protocol ip prio 1 u32 match ip protocol 6 0xff match ip "$spared" "$port" 0xffff flowid "${handle}0" || exit 1
        done
      done;;
    *) echo "$device has a queueing discipline of its own ($whose), which is never replaced" >&2; exit 1;;
  esac
  tcq filter del dev "$device" parent "$handle" protocol ip prio $((0x$1)) 2>/dev/null
  tcq class replace dev "$device" parent "$handle" classid "$handle$1" htb rate 10gbit burst 1mb cburst 1mb quantum 60000 || exit 1
  tcq qdisc replace dev "$device" parent "$handle$1" handle "$1:" $queue || exit 1
  port=
  [ "$3" = - ] || port="match ip protocol 6 0xff match ip dport $3 0xffff"
  tcq filter add dev "$device" parent "$handle" protocol ip prio $((0x$1)) u32 match ip dst "$2/32" $port flowid "$handle$1" || exit 1
  shift 3
done"#;

/// Our numbers of a fault. Removes their filters and classes, and the root with the last of them.
const REMOVE: &str = r#"command -v tc >/dev/null 2>&1 || exit 0
hold 3
tcq() { $root tc "$@"; }
for device in $(tc qdisc show | sed -n "s/^qdisc htb $handle dev \([^ ]*\) root .*/\1/p"); do
  there=$(tc class show dev "$device" | sed -n "s/^class htb $handle\([0-9a-f]*\) root .*/\1/p")
  others=
  for number in $there; do
    case " $* " in *" $number "*) ;; *) others=1; continue;; esac
    tcq filter del dev "$device" parent "$handle" protocol ip prio $((0x$number)) 2>/dev/null
    tcq class del dev "$device" classid "$handle$number" || exit 1
  done
  [ -n "$others" ] || tcq qdisc del dev "$device" root || exit 1
done"#;

const READ: &str = r#"command -v tc >/dev/null 2>&1 || exit 0
tc -s qdisc show"#;

/// A queue of ours, as its host counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Queue {
    /// Our number.
    pub number: u16,
    /// As tc words it: `netem 1010: ... delay 100ms`.
    pub words: String,
    /// Packets that went through it.
    pub sent: u64,
    /// Packets that it dropped.
    pub dropped: u64,
    /// Packets that had to wait for the rate.
    pub overlimits: u64,
}

/// The script that adds queues.
pub(super) fn adding() -> String {
    format!("{TREE}{ADD}")
}

/// One number for the class, its queue and its filter: from 1000 to 4fff (hexadecimal).
fn number(fault: FaultId, index: usize) -> u16 {
    0x1000 + (fault.0 % 1024) * 16 + (index % LINKS_MAX) as u16
}

/// The queue in tc's words.
pub(super) fn words(shape: Shape) -> String {
    let percent = |part: u32| format!("{}.{:03}%", part / 1000, part % 1000);
    let micros = |time: Duration| format!("{}us", time.as_micros());
    match shape {
        Shape::Delay { by, jitter } if jitter.is_zero() => format!("netem delay {}", micros(by)),
        Shape::Delay { by, jitter } => format!("netem delay {} {}", micros(by), micros(jitter)),
        Shape::Loss(part) => format!("netem loss {}", percent(part)),
        Shape::Duplicate(part) => format!("netem duplicate {}", percent(part)),
        Shape::Corrupt(part) => format!("netem corrupt {}", percent(part)),
        // Those that overtake are those that do not wait.
        Shape::Reorder(part) => format!("netem delay 10ms reorder {}", percent(part)),
        Shape::Bandwidth(kbit) => {
            // What the kernel's timer, a hundred times a second at worst, has to let through at once.
            let burst = (u64::from(kbit) * 1000 / 8 / 100).max(16 * 1024);
            format!("tbf rate {kbit}kbit burst {burst} latency 400ms")
        }
    }
}

/// Adds a queue for each link on the hosts where they begin, and waits until each has shown itself.
pub(super) async fn add(
    cluster: &RemoteCluster,
    fault: FaultId,
    links: &[Link],
    shape: Shape,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let mut by_sender: BTreeMap<NodeId, Vec<Link>> = BTreeMap::new();
    for link in links {
        by_sender.entry(link.from).or_default().push(*link);
    }
    let numbered = |own: &[Link]| -> Vec<(u16, Link)> {
        let each = own.iter().enumerate();
        each.map(|(i, link)| (number(fault, i), *link)).collect()
    };
    let times_before = match shape {
        Shape::Delay { .. } => pings(cluster, links).await?,
        _ => Vec::new(),
    };
    let after = clock.mark();
    let each = by_sender.iter().map(|(node, own)| async move {
        if own.len() > LINKS_MAX {
            let why = format!("a fault may worsen {LINKS_MAX} links that begin at one host");
            return Err(ClusterError::Node { node: *node, why });
        }
        begin(cluster, *node, &numbered(own), shape).await
    });
    all_ok(each).await?;
    let between = (after, clock.mark());
    let (in_force, evidence) = match shape {
        Shape::Delay { by, jitter } => {
            let times = pings(cluster, links).await?;
            slower(links, &times_before, &times, by.saturating_sub(jitter))
        }
        _ => counted(cluster, fault, &by_sender, shape).await?,
    };
    Ok(Effect::new(
        in_force,
        format!("tc: {}; {evidence}", words(shape)),
        between,
    ))
}

async fn begin(
    cluster: &RemoteCluster,
    node: NodeId,
    links: &[(u16, Link)],
    shape: Shape,
) -> Result<(), ClusterError> {
    let (lab, host) = (&cluster.lab, &cluster.node(node)?.host);
    let (_, ssh) = host.spec().ssh_endpoint(&lab.login);
    let mut args = vec![ssh.to_string(), lab.ports.probe.to_string(), words(shape)];
    for (number, link) in links {
        let port = link.port.map(|name| lab.ports.number(name).to_string());
        args.extend([
            format!("{number:x}"),
            address(cluster, link.to)?.to_owned(),
            port.unwrap_or_else(|| "-".to_owned()),
        ]);
    }
    let watch = cluster.watch(node)?;
    let cmd = watch.guarded(&adding(), args);
    said(host, watch.run(host, &cmd, DEADLINE).await?).map(drop)
}

/// Whether every queue did what it is there for; where there was too little traffic, after some of
/// ours.
async fn counted(
    cluster: &RemoteCluster,
    fault: FaultId,
    by_sender: &BTreeMap<NodeId, Vec<Link>>,
    shape: Shape,
) -> Result<(bool, String), ClusterError> {
    let mut round = 0;
    loop {
        let (mut idle, mut words) = (Vec::new(), Vec::new());
        for (node, own) in by_sender {
            let queues = read(&cluster.node(*node)?.host, &cluster.lab, fault).await?;
            for (i, link) in own.iter().enumerate() {
                let queue = queues.iter().find(|q| q.number == number(fault, i));
                let (works, said) = queue.map_or((false, "has no queue".to_owned()), |queue| {
                    works(queue, shape)
                });
                words.push(format!("{link} {said}"));
                if !works {
                    idle.push(*link);
                }
            }
        }
        if idle.is_empty() || round == ROUNDS {
            return Ok((idle.is_empty(), words.join("; ")));
        }
        round += 1;
        let (packets, bytes) = match shape {
            // More than the bucket holds, and a little.
            Shape::Bandwidth(kbit) => ((u64::from(kbit) / 4).clamp(40_000, 8_000_000) / 1400, 1400),
            Shape::Loss(part) => (20 * 100_000 / u64::from(part.max(1)), 64),
            _ => (50, 64),
        };
        let packets = packets.clamp(50, 20_000) as u32;
        all_ok(
            idle.iter()
                .map(|link| knock(cluster, *link, packets, bytes)),
        )
        .await?;
    }
}

/// What a queue's counters prove.
fn works(queue: &Queue, shape: Shape) -> (bool, String) {
    let (sent, dropped) = (queue.sent, queue.dropped);
    match shape {
        Shape::Bandwidth(_) => (
            queue.overlimits > 0,
            format!(
                "let {sent} packets through, {} had to wait, {dropped} were dropped",
                queue.overlimits
            ),
        ),
        Shape::Loss(_) => (
            dropped > 0,
            format!("let {sent} packets through, lost {dropped}"),
        ),
        // netem counts neither copies nor broken bits nor overtaking.
        Shape::Delay { .. } | Shape::Duplicate(_) | Shape::Corrupt(_) | Shape::Reorder(_) => {
            (sent > 0, format!("sent {sent} packets by way of it"))
        }
    }
}

/// Removes a fault's queues from a host.
pub(super) async fn remove(host: &Host, lab: &LabFile, fault: FaultId) -> Result<(), ClusterError> {
    let numbers = (0..LINKS_MAX).map(|i| format!("{:x}", number(fault, i)));
    let cmd = Site::of(host, lab).script(REMOVE, numbers);
    said(host, host.run(Lane::Control, &cmd, DEADLINE).await?).map(drop)
}

/// A fault's queues on a host.
pub(super) async fn read(
    host: &Host,
    lab: &LabFile,
    fault: FaultId,
) -> Result<Vec<Queue>, ClusterError> {
    let site = Site::of(host, lab);
    let cmd = site.script(READ, [""; 0]);
    let listing = said(host, host.run(Lane::Control, &cmd, DEADLINE).await?)?;
    let first = number(fault, 0);
    let mut queues = parse(&listing, site.handle());
    queues.retain(|queue| (first..first + LINKS_MAX as u16).contains(&queue.number));
    Ok(queues)
}

/// Reads `tc -s qdisc show`: a line with the discipline, below it a line with what it sent.
pub(super) fn parse(listing: &str, handle: &str) -> Vec<Queue> {
    let mut queues: Vec<Queue> = Vec::new();
    let mut ours = false;
    for line in listing.lines() {
        if let Some(rest) = line.strip_prefix("qdisc ") {
            let mut words = rest.split_whitespace();
            let (_kind, own) = (words.next(), words.next().unwrap_or_default());
            let number = u16::from_str_radix(own.trim_end_matches(':'), 16);
            ours = rest.contains(&format!(" parent {handle}"));
            if let (true, Ok(number)) = (ours, number) {
                queues.push(Queue {
                    number,
                    words: rest.trim().to_owned(),
                    sent: 0,
                    dropped: 0,
                    overlimits: 0,
                });
            }
        } else if let (true, Some(queue)) = (ours, queues.last_mut())
            && line.trim_start().starts_with("Sent ")
        {
            let words: Vec<&str> = line.split([' ', '(', ')', ',']).collect();
            let after = |name: &str, step: isize| {
                let at = words.iter().position(|w| *w == name)?;
                words.get(at.checked_add_signed(step)?)?.parse().ok()
            };
            queue.sent = after("pkt", -1).unwrap_or(0);
            queue.dropped = after("dropped", 1).unwrap_or(0);
            queue.overlimits = after("overlimits", 1).unwrap_or(0);
        }
    }
    queues
}

fn said(host: &Host, ran: Ran) -> Result<String, ClusterError> {
    if ran.succeeded() {
        return Ok(String::from_utf8_lossy(&ran.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&ran.stderr);
    let said = said.trim().replace('\n', " / ");
    Err(host.error(format!(
        "tc ended with {}: {said}{}",
        ran.end,
        remedy(&said)
    )))
}
