//! Programs that only sleep under the brokers' names, and what a fault can leave behind on a host.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::broker::Process;
use cluster::config::Layout;
use cluster::{Cmd, Host, LabFile, Lane, RemoteCluster, Signal, System};
use history::{Clock, FaultId, Link, NodeId, PortName, ProcessState, RunId, Service};
use tokio::time::{Instant, sleep};

use crate::live_lab::{jars, spec};

pub const SOON: Duration = Duration::from_secs(20);
pub const N: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];
pub const BROKER: Service = Service::Broker;

pub async fn host(lab: &LabFile, node: usize) -> Host {
    Host::connect(lab, &lab.hosts[node]).await.unwrap()
}

pub async fn on(lab: &LabFile, node: usize, script: &str) -> String {
    let cmd = Cmd::script(script, [lab.dir.clone()]);
    let host = host(lab, node).await;
    host.ok(Lane::Control, &cmd, SOON).await.unwrap()
}

pub async fn connected(lab: &LabFile, run: u64, steal: bool) -> RemoteCluster {
    let run = RunId::from_number(run);
    RemoteCluster::connect(lab, &spec(&[]), &jars(), run, steal)
        .await
        .unwrap()
}

/// Programs under the brokers' names, on every host.
pub async fn stand_ins(lab: &LabFile) {
    let layout = Layout::new(lab);
    for node in 0..3 {
        // The first chain ever makes iptables create its empty table, which stays.
        let make = "mkdir -p \"$1/run/logs\"; iptables -N test && iptables -X test";
        on(lab, node, make).await;
        spawn(&host(lab, node).await, &layout).await;
    }
}

pub async fn spawn(host: &Host, layout: &Layout) {
    let stand_in = Process {
        host,
        layout,
        service: BROKER,
    };
    let argv = ["sleep", "86400"].map(str::to_owned).to_vec();
    stand_in.spawn(argv).await.unwrap();
}

/// All that a fault can leave behind: rules, queues, processes, files, mounts.
const TRACES: &str = r#"cd /; iptables-save | sed '/^#/d; s/\[[0-9]*:[0-9]*\]//'; tc qdisc show
for p in /proc/[0-9]*; do
  case $(tr '\0' ' ' <"$p/cmdline" 2>/dev/null) in
    *sshd*|"sh -c"*|"sleep 0.5 "|"") ;;
    *) echo "${p#/proc/} $(tr '\0' ' ' <"$p/cmdline") $(sed 's/.*) //' "$p/stat" | cut -d' ' -f1)";;
  esac
done 2>/dev/null | grep -v '^[0-9]*  $\|^[0-9]* *[A-Z]$\| sh -c \| tr \| sed \| cut \| sort \| grep ' | sort
grep -v /run/netns /proc/self/mounts
find "$1" -not -path "$1/.guard" -not -path "$1/.lease" -not -path "$1/guard.log" -not -path "$1/.lock*" -printf '%p %s\n' | sort"#;

pub async fn traces(lab: &LabFile) -> Vec<String> {
    let mut all = Vec::new();
    for node in 0..3 {
        all.push(on(lab, node, TRACES).await);
    }
    all
}

/// Until the hosts look as they did; how long that took.
pub async fn until_as(lab: &LabFile, before: &[String]) -> Duration {
    let asked = Instant::now();
    loop {
        let now = traces(lab).await;
        if now == before {
            return asked.elapsed();
        }
        let lines = |all: &[String]| {
            all.concat()
                .lines()
                .map(str::to_owned)
                .collect::<BTreeSet<_>>()
        };
        let (was, is) = (lines(before), lines(&now));
        let (gone, new): (Vec<_>, Vec<_>) =
            (was.difference(&is).collect(), is.difference(&was).collect());
        assert!(asked.elapsed() < SOON, "gone: {gone:#?}\nnew: {new:#?}");
        sleep(Duration::from_millis(100)).await;
    }
}

pub fn link(from: usize, to: usize, port: Option<PortName>) -> Link {
    let (from, to) = (N[from], N[to]);
    Link { from, to, port }
}

pub async fn harm(system: &RemoteCluster) {
    let clock = Clock::start();
    let told = system.signal(N[0], BROKER, Signal::Pause, &clock);
    let told = told.await.unwrap();
    assert!(matches!(told.before, ProcessState::Running { .. }));
    assert!(matches!(told.after, ProcessState::Paused { .. }));
    let links = [link(0, 1, None), link(2, 1, Some(PortName::Broker))];
    system.cut(FaultId(1), &links, &clock).await.unwrap();
    system
        .cut(FaultId(2), &[link(1, 2, None)], &clock)
        .await
        .unwrap();
    assert_eq!(system.cuts().await.unwrap().len(), 3);
}
