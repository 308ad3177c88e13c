//! What a host or a broker may lack, in a lab on this machine: each ends in one sentence with the
//! node and the remedy, before or instead of a run.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::{Cmd, Host, LabFile, Lane, RemoteCluster, Signal, System};
use history::{Clock, NodeId, ProcessState, RunId, Service};
use live_lab::{in_a_lab, jars, spec};
use plan::ClusterSpec;

const SOON: Duration = Duration::from_secs(10);
const PORT: &str = "TIDEMARK_HOLD_PORT";

#[test]
fn what_is_missing_is_one_sentence() {
    in_a_lab("what_is_missing_is_one_sentence", "r", |lab| async move {
        ownership(&lab).await;
        java(&lab).await;
        port(&lab).await;
        disk(&lab).await;
        death(&lab).await;
    });
}

/// Not a test of its own: the program that holds a port in [`port`].
#[test]
fn holds_a_port_when_asked() {
    if let Ok(address) = std::env::var(PORT) {
        let _held = TcpListener::bind(address).unwrap();
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
    }
}

async fn connected(lab: &LabFile, spec: &ClusterSpec) -> RemoteCluster {
    let owner = RunId::from_number(std::process::id().into());
    RemoteCluster::connect(lab, spec, &jars(), owner, true)
        .await
        .unwrap()
}

/// What `install` says when it refuses, in this lab.
async fn refusal(lab: &LabFile) -> String {
    let system = connected(lab, &spec(&[])).await;
    let said = system.install().await.unwrap_err().to_string();
    system.tear_down().await.unwrap();
    println!("{said}");
    said
}

async fn ownership(lab: &LabFile) {
    let host = Host::connect(lab, &lab.hosts[2]).await.unwrap();
    let marker = format!("{}/.tidemark-lab", lab.dir);
    let hide = Cmd::new("mv").arg(&marker).arg(format!("{marker}.away"));
    host.ok(Lane::Control, &hide, SOON).await.unwrap();
    let jars = jars();
    let run = |n| RunId::from_number(n);
    let connect = |n, steal| {
        let (spec, jars) = (spec(&[]), &jars);
        async move { RemoteCluster::connect(lab, &spec, jars, run(n), steal).await }
    };
    let said = connect(1, false).await.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.starts_with("n2: ") && said.contains("tidemark lab claim"),
        "{said}"
    );
    let show = Cmd::new("mv").arg(format!("{marker}.away")).arg(&marker);
    host.ok(Lane::Control, &show, SOON).await.unwrap();

    let first = connect(1, false).await.unwrap();
    let clock = Clock::start();
    let early = first.signal(NodeId(0), Service::Broker, Signal::Kill, &clock);
    let early = early.await.unwrap_err();
    assert!(early.to_string().contains("not locked"), "{early}");
    first.lock().await.unwrap();
    first.lock().await.unwrap();
    let second = connect(2, false).await.unwrap();
    let said = second.install().await.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.contains(&run(1).to_string()) && said.contains("--steal"),
        "{said}"
    );
    second.tear_down().await.unwrap();
    let thief = connect(3, true).await.unwrap();
    thief.lock().await.unwrap();
    let said = first.tear_down().await.unwrap_err().to_string();
    println!("{said}");
    assert!(said.contains(&run(3).to_string()), "{said}");
    thief.tear_down().await.unwrap();
    connect(4, false).await.unwrap().lock().await.unwrap();
}

async fn java(lab: &LabFile) {
    let mut without = lab.clone();
    without.java = "/nowhere/java".into();
    let said = refusal(&without).await;
    assert!(said.starts_with("n0: there is no Java"), "{said}");

    let old = format!("{}/java7", lab.dir);
    let script = "#!/bin/sh\necho 'java version \"1.7.0_80\"' >&2\n";
    for spec in &lab.hosts {
        let host = Host::connect(lab, spec).await.unwrap();
        let put = host.put_bytes(Lane::Control, script.into(), &old, 0o755);
        put.await.unwrap();
    }
    without.java = old;
    let said = refusal(&without).await;
    assert!(
        said.starts_with("n0: Java is too old: java version \"1.7.0_80\""),
        "{said}"
    );
}

async fn port(lab: &LabFile) {
    let mut holder = hold(lab, 1, lab.ports.probe);
    let host = Host::connect(lab, &lab.hosts[1]).await.unwrap();
    let look = Cmd::script(
        "until grep -q :23E8 /proc/net/tcp; do sleep 0.05; done",
        [""; 0],
    );
    host.ok(Lane::Control, &look, SOON).await.unwrap();
    let said = refusal(lab).await;
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(
        said.starts_with("n1: port 9192 is in use by another program"),
        "{said}"
    );
}

fn hold(lab: &LabFile, node: usize, port: u16) -> Child {
    Command::new("ip")
        .args(["netns", "exec", &format!("tm-{}-n{node}", lab.name)])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "holds_a_port_when_asked"])
        .env(PORT, format!("{}:{port}", lab.hosts[node].address))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn disk(lab: &LabFile) {
    let host = Host::connect(lab, &lab.hosts[2]).await.unwrap();
    let store = format!("{}/store", lab.dir);
    let fill = "mkdir -p \"$1\" && mount -t tmpfs -o size=16m tmpfs \"$1\"";
    host.ok(Lane::Control, &Cmd::script(fill, [store.clone()]), SOON)
        .await
        .unwrap();
    let said = refusal(lab).await;
    host.ok(Lane::Control, &Cmd::new("umount").arg(store), SOON)
        .await
        .unwrap();
    assert!(said.starts_with("n2: the disk is full: 1"), "{said}");
    assert!(said.contains("MiB are needed; make room there"), "{said}");
}

async fn death(lab: &LabFile) {
    let system = connected(lab, &spec(&[("inter.broker.protocol.version", "9.9")])).await;
    system.install().await.unwrap();
    let said = system.bring_up().await.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.starts_with("n0: the broker ended while it was starting; its log says:"),
        "{said}"
    );
    assert!(said.contains("9.9"), "{said}");
    system.tear_down().await.unwrap();
    let state = system.process(NodeId(0), Service::ZooKeeper).await.unwrap();
    assert_eq!(state, ProcessState::Gone);
}
