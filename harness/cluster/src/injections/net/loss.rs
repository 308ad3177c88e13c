//! Packets lost where they arrive: iptables' `statistic` match, for kernels without netem.
//!
//! Each link has two rules, one that counts what arrives and one that drops a part of it, so that
//! the share that was lost is measured and not assumed.

use std::time::Duration;

use history::{Clock, FaultId, Link};

use super::knock::knock;
use crate::error::ClusterError;
use crate::fabric::{self, Counter};
use crate::injection::Effect;
use crate::remote::RemoteCluster;
use crate::remote_all::all_ok;

/// For how long a link waits for packets to be lost before it sends some itself, and how often.
const WAIT: Duration = Duration::from_millis(150);
const ROUNDS: u32 = 5;

/// $1 our chain, $2 and $3 ports never to touch (SSH, PROBE), $4 the share that is dropped; then
/// triples of address, port or `-`, link.
const LOSE: &str = r#"chain=$1 ssh=$2 probe=$3 share=$4; shift 4
: >>"$dir/.cuts" || exit 1
ipt -N "$chain" 2>/dev/null || { ipt -D INPUT -j "$chain" 2>/dev/null; ipt -F "$chain" || exit 1; }
ipt -A "$chain" -p tcp --dport "$ssh" -j RETURN || exit 1
ipt -A "$chain" -p tcp --dport "$probe" -j RETURN || exit 1
while [ $# -gt 2 ]; do
  port=
  [ "$2" = - ] || port="-p tcp --dport $2"
  ipt -A "$chain" -s "$1" $port -m comment --comment "~meets:$3" || exit 1
  ipt -A "$chain" -s "$1" $port -m statistic --mode random --probability "$share" -m comment --comment "~loses:$3" -j DROP || exit 1
  shift 3
done
ipt -I INPUT 1 -j "$chain""#;

/// Drops so many of 100 000 packets of each link, and counts.
pub(super) async fn add(
    cluster: &RemoteCluster,
    fault: FaultId,
    links: &[Link],
    part: u32,
    clock: &Clock,
) -> Result<Effect, ClusterError> {
    let lab = &cluster.lab;
    let receivers = super::ends(cluster, links.iter().map(|link| link.to));
    let after = clock.mark();
    let each = receivers.iter().map(|node| async move {
        let on = node.host.node();
        let own: Vec<Link> = links.iter().filter(|l| l.to == on).copied().collect();
        let (_, ssh) = node.host.spec().ssh_endpoint(&lab.login);
        let mut args = vec![
            fabric::chain(lab, fault),
            ssh.to_string(),
            lab.ports.probe.to_string(),
            share(part),
        ];
        for rule in fabric::rules(on, lab, &own)?.into_iter().flatten() {
            args.extend([rule.from, rule.port, rule.comment]);
        }
        let watch = cluster.watch(on)?;
        let cmd = watch.guarded(LOSE, args);
        let ran = watch.run(&node.host, &cmd, fabric::DEADLINE).await;
        fabric::said(&node.host, ran).map(drop)
    });
    all_ok(each).await?;
    let between = (after, clock.mark());
    let mut lost = Vec::new();
    for round in 0..ROUNDS {
        tokio::time::sleep(WAIT).await;
        let each = receivers
            .iter()
            .map(|node| fabric::counters(&node.host, lab, fault));
        let counters: Vec<Counter> = all_ok(each).await?.into_iter().flatten().collect();
        lost = links.iter().map(|link| found(&counters, *link)).collect();
        let idle = links.iter().zip(&lost).filter(|(_, lost)| lost.1 == 0);
        let idle: Vec<Link> = idle.map(|(link, _)| *link).collect();
        if idle.is_empty() || round + 1 == ROUNDS {
            break;
        }
        // Twenty times as many as one loss needs on average.
        let packets = (20 * 100_000 / part.max(1)).clamp(50, 20_000);
        all_ok(idle.iter().map(|link| knock(cluster, *link, packets, 64))).await?;
    }
    let words = links.iter().zip(&lost).map(|(link, (met, lost))| {
        format!("iptables' statistic match lost {lost} of {met} packets {link}")
    });
    Ok(Effect::new(
        !lost.is_empty() && lost.iter().all(|(_, lost)| *lost > 0),
        words.collect::<Vec<_>>().join("; "),
        between,
    ))
}

/// How many packets of a link arrived, and how many of them were dropped.
fn found(counters: &[Counter], link: Link) -> (u64, u64) {
    let comment = fabric::comment(link);
    let of = |what: &str| {
        let mut all = counters.iter();
        all.find(|c| c.comment == format!("~{what}:{comment}"))
            .map_or(0, |c| c.packets)
    };
    (of("meets"), of("loses"))
}

/// So many of 100 000, as iptables reads it.
pub(super) fn share(part: u32) -> String {
    format!("{}.{:05}", part / 100_000, part % 100_000)
}
