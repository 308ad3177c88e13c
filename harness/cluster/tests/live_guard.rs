//! Hosts that heal themselves, in a lab on this machine: programs that only sleep stand in for
//! brokers, so that no Kafka is needed.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;
#[path = "live_lab/stand_ins.rs"]
mod stand_ins;

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::config::Layout;
use cluster::{Injection, LabFile, Power, Signal, Sudo, System, guard};
use history::{Clock, FaultId, Link, ProcessState};
use live_lab::in_a_lab;
use plan::Shape;
use stand_ins::{BROKER, N, connected, harm, host, link, on, spawn, stand_ins, traces, until_as};
use tokio::time::sleep;

/// A guard looks every half a second; the rest is for machines that have much else to do.
const LATE: f64 = 4.0;

#[test]
fn hosts_heal_themselves() {
    in_a_lab("hosts_heal_themselves", "h", |mut lab| async move {
        lab.lease = "3s".to_owned().try_into().unwrap();
        foreign(&lab).await;
        stand_ins(&lab).await;
        controller_dies(&lab).await;
        network_dies(&lab).await;
        one_lease_is_lost(&lab).await;
        another_controller(&lab).await;
        a_stop_of_a_paused_one(&lab).await;
        worse_links(&lab).await;
        no_root(&lab).await;
    });
}

/// Seconds between the end of the lease and the guard's word that it healed the host.
async fn late_by(lab: &LabFile, node: usize, until: f64) -> f64 {
    let said = on(lab, node, "tail -n 1 \"$1/guard.log\"").await;
    println!("n{node}: {}", said.trim());
    let up = said.split(" up ").nth(1).unwrap().split(':').next();
    up.unwrap().parse::<f64>().unwrap() - until
}

async fn leases(lab: &LabFile) -> Vec<f64> {
    let mut all = Vec::new();
    for node in 0..3 {
        let line = on(lab, node, "cut -d' ' -f1 \"$1/.lease\"").await;
        all.push(line.trim().parse::<f64>().unwrap() / 100.0);
    }
    all
}

/// Dropped, it renews nothing any more: what a SIGKILL does to it.
async fn controller_dies(lab: &LabFile) {
    let before = traces(lab).await;
    let system = connected(lab, 1, false).await;
    system.lock().await.unwrap();
    harm(&system).await;
    let clock = Clock::start();
    let links = vec![link(2, 0, None)];
    let shape = Shape::Bandwidth(512);
    for (fault, what) in [
        (FaultId(3), Injection::Clients(vec![N[2]])),
        (FaultId(4), Injection::Shape { links, shape }),
    ] {
        system.inject(fault, &what, &clock).await.unwrap();
    }
    let until = leases(lab).await;
    sleep(Duration::from_secs(1)).await;
    let renewed = leases(lab).await;
    assert!(
        until.iter().zip(&renewed).all(|(was, is)| was < is),
        "{until:?} {renewed:?}"
    );
    drop(system);
    let until = leases(lab).await;
    until_as(lab, &before).await;
    for (node, until) in until.into_iter().enumerate() {
        let late = late_by(lab, node, until).await;
        assert!(
            (0.0..LATE).contains(&late),
            "n{node} healed itself {late} s after its lease"
        );
    }
    assert_eq!(
        on(lab, 1, "ls \"$1/.lease\" 2>&1 || :")
            .await
            .matches("No such")
            .count(),
        1
    );
    let host = host(lab, 1).await;
    let diary = guard::diary(&host, lab).await.unwrap();
    assert!(diary[0].contains("removed the chain TM-"), "{diary:?}");
    assert!(diary[0].contains("the lease of run "), "{diary:?}");
}

/// The controller lives and hears nobody.
async fn network_dies(lab: &LabFile) {
    let before = traces(lab).await;
    let system = connected(lab, 2, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    let until = leases(lab).await;
    network("down").await;
    sleep(Duration::from_millis(4600)).await;
    network("up").await;
    until_as(lab, &before).await;
    for (node, until) in until.into_iter().enumerate() {
        // It was renewed once more, at most, before the network was cut.
        let late = late_by(lab, node, until).await;
        assert!(
            (0.0..LATE).contains(&late),
            "n{node} healed itself {late} s after its lease"
        );
    }
    let clock = Clock::start();
    let told = system.signal(N[2], BROKER, Signal::Pause, &clock).await;
    let said = told.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.starts_with("n2: ") && said.contains("the undo is not armed"),
        "{said}"
    );
    let said = system.tear_down().await.unwrap_err().to_string();
    println!("{said}");
    assert!(said.contains("healed itself"), "{said}");
    stand_ins(lab).await;
}

async fn network(state: &str) {
    let all =
        "for d in /sys/class/net/*; do d=${d##*/}; [ \"$d\" = lo ] || ip link set \"$d\" $0; done";
    let set = tokio::process::Command::new("sh")
        .args(["-c", all, state])
        .status()
        .await;
    assert!(set.unwrap().success());
}

async fn one_lease_is_lost(lab: &LabFile) {
    let system = connected(lab, 3, true).await;
    system.lock().await.unwrap();
    harm(&system).await;
    // As if n1 had not been heard in time; the guards of the others go on.
    on(
        lab,
        1,
        "l=$(cut -c 15- \"$1/.lease\") && printf '%-14s%s\\n' 1 \"$l\" 1<>\"$1/.lease\"",
    )
    .await;
    let healed = async {
        while system.cuts().await.unwrap().len() > 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), healed)
        .await
        .unwrap();
    let clock = Clock::start();
    let refused = system
        .cut(FaultId(3), &[link(2, 1, None)], &clock)
        .await
        .unwrap_err();
    println!("{refused}");
    assert!(
        refused.to_string().starts_with("n1: the undo is not armed"),
        "{refused}"
    );
    system
        .cut(FaultId(3), &[link(1, 2, None)], &clock)
        .await
        .unwrap();
    let said = system.tear_down().await.unwrap_err().to_string();
    assert!(
        said.starts_with("n1: ") && said.contains("healed itself"),
        "{said}"
    );
    stand_ins(lab).await;
}

async fn another_controller(lab: &LabFile) {
    let before = traces(lab).await;
    let first = connected(lab, 4, true).await;
    first.lock().await.unwrap();
    harm(&first).await;
    let second = connected(lab, 5, false).await;
    second.lock().await.unwrap_err();
    assert_eq!(
        first.cuts().await.unwrap().len(),
        3,
        "a refused one touches nothing"
    );
    let thief = connected(lab, 6, true).await;
    thief.lock().await.unwrap();
    assert_eq!(thief.cuts().await.unwrap(), []);
    let clock = Clock::start();
    let told = first.signal(N[0], BROKER, Signal::Kill, &clock).await;
    let said = told.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.contains("the lease is that of run ") || said.contains("was taken from us"),
        "{said}"
    );
    drop(first);
    thief
        .cut(FaultId(1), &[link(0, 1, None)], &clock)
        .await
        .unwrap();
    thief.mend(FaultId(1)).await.unwrap();
    let host = host(lab, 0).await;
    let healed = guard::heal(&host, lab).await.unwrap();
    assert_eq!(healed, Vec::<String>::new(), "the thief found it healed");
    drop(thief);
    until_as(lab, &before).await;
}

/// A SIGTERM that a stopped process got would be obeyed whenever it is resumed.
async fn a_stop_of_a_paused_one(lab: &LabFile) {
    let system = connected(lab, 11, true).await;
    system.lock().await.unwrap();
    let clock = Clock::start();
    let paused = system.signal(N[0], BROKER, Signal::Pause, &clock).await;
    let paused = paused.unwrap().after;
    let told = system.signal(N[0], BROKER, Signal::Stop, &clock).await;
    let told = told.unwrap();
    assert_eq!((told.before, told.after), (paused, paused));
    let took = told.between.1.since(told.between.0);
    assert!(took < Duration::from_secs(5), "not waited for: {took:?}");
    system
        .signal(N[0], BROKER, Signal::Resume, &clock)
        .await
        .unwrap();
    sleep(Duration::from_millis(200)).await;
    let state = system.process(N[0], BROKER).await.unwrap();
    assert!(matches!(state, ProcessState::Running { .. }), "{state:?}");
    system.tear_down().await.unwrap();
    stand_ins(lab).await;
}

/// Loss where packets arrive, little bandwidth where they leave, nothing for clients; and what this
/// kernel cannot do.
async fn worse_links(lab: &LabFile) {
    let before = traces(lab).await;
    let system = connected(lab, 9, true).await;
    system.lock().await.unwrap();
    let clock = Clock::start();
    let powers = system.powers().await.unwrap();
    until_as(lab, &before).await;
    for powers in &powers {
        println!("{powers:?}");
        assert!(
            powers.lack(Power::OwnClock).is_some(),
            "one kernel, one clock"
        );
        assert_eq!(powers.lack(Power::Iptables), None);
    }
    let bump = Injection::Clock {
        node: N[0],
        by_ms: 500,
        strobe: None,
    };
    let said = system
        .inject(FaultId(9), &bump, &clock)
        .await
        .unwrap_err()
        .to_string();
    println!("{said}");
    assert!(
        said.starts_with("n0: lacks a clock of its own: it runs on the same kernel as n1"),
        "{said}"
    );
    let shaped = |links: &[Link], shape| Injection::Shape {
        links: links.to_vec(),
        shape,
    };
    // Not the narrow ones: too few of our packets would arrive there to lose one for certain.
    let both = [link(0, 2, None), link(2, 1, None)];
    let narrow = shaped(&[link(0, 1, None), link(1, 0, None)], Shape::Bandwidth(512));
    let lossy = shaped(&both, Shape::Loss(20_000));
    let slow = Shape::Delay {
        by: Duration::from_millis(40),
        jitter: Duration::ZERO,
    };
    let slow = shaped(&both, slow);
    let all = [Injection::Clients(vec![N[2]]), narrow, lossy, slow];
    for (i, what) in all.iter().enumerate() {
        let fault = FaultId(20 + i as u16);
        match system.inject(fault, what, &clock).await {
            Ok(effect) => {
                println!("{}", effect.evidence);
                // Nobody listens at the brokers' ports, which is no matter to a rule.
                assert!(effect.in_force, "{effect:?}");
                assert!(effect.between.0 < effect.between.1);
                assert_ne!(traces(lab).await, before);
            }
            Err(refused) => {
                println!("{refused}");
                assert_eq!(i, 3, "{refused}");
                assert!(
                    refused
                        .to_string()
                        .contains("lacks the netem queueing discipline")
                );
            }
        }
    }
    assert_eq!(system.cuts().await.unwrap(), [], "none of these is a cut");
    for (i, what) in all.iter().enumerate() {
        let fault = FaultId(20 + i as u16);
        for _twice in 0..2 {
            let undone = system.recover(fault, what, &clock).await.unwrap();
            assert!(
                undone.evidence.contains("is left on any host"),
                "{undone:?}"
            );
        }
    }
    until_as(lab, &before).await;
    // Another one's root stays, and nothing is done.
    on(lab, 0, "tc qdisc add dev eth0 root handle 1: pfifo").await;
    let refused = system
        .inject(FaultId(30), &all[1], &clock)
        .await
        .unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("eth0 has a queueing discipline of its own (pfifo 1:)"),
        "{refused}"
    );
    on(lab, 0, "tc qdisc del dev eth0 root").await;
    system.tear_down().await.unwrap();
    stand_ins(lab).await;
}

/// A login that is not root and whose sudo asks for a password.
async fn no_root(lab: &LabFile) {
    let mut lab = lab.clone();
    lab.login.sudo = Sudo::Passwordless;
    let refuse = r#"printf '#!/bin/sh\necho "sudo: a password is required" >&2; exit 1\n' >"$1/sudo"
chmod +x "$1/sudo"; mount --bind "$1/sudo" "$(readlink -f "$(command -v sudo)")""#;
    on(&lab, 1, refuse).await;
    let system = connected(&lab, 10, true).await;
    system.lock().await.unwrap();
    let clock = Clock::start();
    let refused = system.cut(FaultId(1), &[link(0, 1, None)], &clock).await;
    let said = refused.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.starts_with("n1: iptables ended with exit status 1: sudo: a password is required"),
        "{said}"
    );
    assert!(
        said.ends_with("through `sudo -n`, without a password"),
        "{said}"
    );
    let undo = "umount \"$(readlink -f \"$(command -v sudo)\")\"; rm \"$1/sudo\"";
    on(&lab, 1, undo).await;
    drop(system);
}

async fn foreign(lab: &LabFile) {
    let start = r#"cp /bin/dash "$1/java" 2>/dev/null || cp /bin/sh "$1/java"
setsid "$1/java" -c 'while :; do sleep 1; done' kafka.Kafka </dev/null >/dev/null 2>&1 &
until kill -0 -$! 2>/dev/null; do sleep 0.01; done; echo $!"#;
    let pid = on(lab, 2, start).await;
    let system = connected(lab, 8, false).await;
    let said = system.lock().await.unwrap_err().to_string();
    println!("{said}");
    assert!(
        said.starts_with("n2: a Kafka or ZooKeeper that is not this lab's runs there"),
        "{said}"
    );
    assert!(
        said.contains(&format!("process {} of root", pid.trim())),
        "{said}"
    );
    assert_eq!(on(lab, 2, "ls -A \"$1\"").await, ".tidemark-lab\njava\n");
    on(lab, 2, &format!("kill -9 -{}; rm \"$1/java\"", pid.trim())).await;
}

/// Figures, not a judgement: how long from the decision to the fault in force.
#[test]
#[ignore = "prints figures: run it on a machine that does nothing else"]
fn how_fast_faults_are() {
    in_a_lab("how_fast_faults_are", "f", |lab| async move {
        stand_ins(&lab).await;
        let system = connected(&lab, 1, false).await;
        system.lock().await.unwrap();
        let layout = Layout::new(&lab);
        let clock = Clock::start();
        let mut times: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        let mut note = |what, (from, to): (history::Mark, history::Mark)| {
            let took = (to.seconds() - from.seconds()) * 1000.0;
            times.entry(what).or_default().push(took);
        };
        for round in 0..100u16 {
            let node = N[usize::from(round) % 3];
            let signal = async |signal| {
                let told = system.signal(node, BROKER, signal, &clock).await.unwrap();
                assert_ne!(told.before, told.after);
                told.between
            };
            note("pause", signal(Signal::Pause).await);
            note("resume", signal(Signal::Resume).await);
            note("kill", signal(Signal::Kill).await);
            spawn(&host(&lab, usize::from(node.0)).await, &layout).await;
            let others = N.into_iter().filter(|n| *n != node);
            let links: Vec<Link> = others
                .flat_map(|other| [(node, other), (other, node)])
                .map(|(from, to)| Link {
                    from,
                    to,
                    port: None,
                })
                .collect();
            let fault = FaultId(round + 1);
            note(
                "isolate (4 links, 3 hosts)",
                system.cut(fault, &links, &clock).await.unwrap(),
            );
            let from = clock.mark();
            system.mend(fault).await.unwrap();
            note("mend", (from, clock.mark()));
            let fault = FaultId(round + 1000);
            note(
                "cut (1 link)",
                system.cut(fault, &links[..1], &clock).await.unwrap(),
            );
            system.mend(fault).await.unwrap();
        }
        for (what, mut all) in times {
            all.sort_by(f64::total_cmp);
            let at = |part: f64| all[((all.len() - 1) as f64 * part) as usize];
            println!(
                "{what:<28} median {:6.1} ms, p95 {:6.1} ms, longest {:6.1} ms, of {}",
                at(0.5),
                at(0.95),
                at(1.0),
                all.len()
            );
        }
        system.tear_down().await.unwrap();
    });
}
