//! Real brokers in a lab on this machine: brought up, probed, killed, cut off, copied, torn down.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;

use std::time::Duration;

use cluster::{Cmd, Host, LabFile, Lane, RemoteCluster, Signal, Signalled, System};
use history::{
    Clock, Epoch, FaultId, Link, NodeId, Observation, Offset, Partition, ProcessState, RunId, Seen,
    Service, Topic,
};
use live_lab::{in_a_lab, jars, spec, topic};

#[test]
fn brokers_live_die_and_return() {
    in_a_lab("brokers_live_die_and_return", "s", story);
}

/// What the positive control needs: Kafka's own time-outs, an old protocol, and the controller
/// where the plan wants it.
#[test]
fn the_first_to_start_is_the_controller() {
    in_a_lab(
        "the_first_to_start_is_the_controller",
        "o",
        |lab| async move {
            let old = ("inter.broker.protocol.version", "0.11.0-IV1");
            let mut spec = spec(&[old]);
            spec.profile = plan::Profile::Stock;
            spec.start_order = vec![NodeId(2), NodeId(0)];
            let owner = RunId::from_number(2);
            let jars = jars();
            let system = RemoteCluster::connect(&lab, &spec, &jars, owner, false);
            let system = system.await.unwrap();
            let mut steps = Steps(Clock::start());
            system.install().await.unwrap();
            let order: Vec<NodeId> = system
                .bring_up()
                .await
                .unwrap()
                .iter()
                .filter(|started| started.service == Service::Broker)
                .map(|started| started.node)
                .collect();
            assert_eq!(order, [2, 0, 1].map(NodeId));
            steps.done("bring up in order");
            let name: Topic = "old".into();
            system.create_topic(&name, &topic(&[])).await.unwrap();
            let described = system.describe().await.unwrap();
            assert_eq!(described.brokers[&NodeId(2)][old.0], old.1);
            assert_eq!(described.topics[&name].id, None, "topic ids came later");
            let every = Duration::from_millis(50);
            let mut probes = system.probes(Clock::start(), vec![Partition::new(name, 0)], every);
            let controller = |o: &Observation| match o.seen {
                Seen::Controller { node } => {
                    assert_eq!(node, Some(NodeId(2)));
                    true
                }
                _ => false,
            };
            until(&mut probes, "the controller", controller).await;
            let leader = |o: &Observation| {
                matches!(
                    o.seen,
                    Seen::LeaderHw {
                        epoch: Epoch(0),
                        ..
                    }
                )
            };
            until(&mut probes, "the leader's own HW", leader).await;
            system.tear_down().await.unwrap();
            steps.done("the rest");
        },
    );
}

/// Says how long a step took.
struct Steps(Clock);

impl Steps {
    fn done(&mut self, what: &str) {
        println!("{:6.2}s {what}", self.0.mark().seconds());
        self.0 = Clock::start();
    }
}

async fn story(lab: LabFile) {
    let mut steps = Steps(Clock::start());
    let jars = jars();
    steps.done("artefacts");
    let owner = RunId::from_number(std::process::id().into());
    let system = RemoteCluster::connect(&lab, &spec(&[]), &jars, owner, false)
        .await
        .unwrap();
    steps.done("connect");
    system.install().await.unwrap();
    steps.done("install, cold");
    system.install().await.unwrap();
    steps.done("install, warm");
    let started = system.bring_up().await.unwrap();
    assert_eq!(started.len(), 6);
    assert!(started.iter().all(|process| process.fresh));
    steps.done("bring up");

    let name: Topic = "ledger".into();
    system
        .create_topic(&name, &topic(&[("segment.bytes", "2097152")]))
        .await
        .unwrap();
    let again = system
        .create_topic(&name, &topic(&[("segment.bytes", "2097152")]))
        .await
        .unwrap_err();
    assert!(again.to_string().contains("TopicAlreadyExists"), "{again}");
    steps.done("create topic");
    let described = system.describe().await.unwrap();
    let ledger = &described.topics[&name];
    assert_eq!(ledger.min_insync_replicas(), 2);
    assert_eq!(ledger.assignment[&0], [0, 1, 2].map(NodeId));
    assert_eq!(ledger.id.as_ref().unwrap().len(), 22);
    assert_eq!(described.brokers[&NodeId(1)]["broker.id"], "1");
    assert!(described.hosts[&NodeId(1)].java.contains("version"));
    steps.done("describe");
    let clock = Clock::start();
    assert_eq!(system.sample_clocks(&clock).await.unwrap().len(), 3);
    steps.done("clocks");

    faults(&system, &clock, &mut steps).await;
    copies(&system, &mut steps).await;
    system.tear_down().await.unwrap();
    for node in system.nodes() {
        let state = system.process(node, Service::Broker).await.unwrap();
        assert_eq!(state, ProcessState::Gone);
    }
    steps.done("tear down");
}

/// Waits for an observation, and returns everything that was seen until then.
async fn until(
    probes: &mut cluster::Probes,
    what: &str,
    mut wanted: impl FnMut(&Observation) -> bool,
) -> Vec<Observation> {
    let mut seen = Vec::new();
    let waiting = async {
        loop {
            let one = probes.observations.recv().await.expect("probes go on");
            let found = wanted(&one);
            seen.push(one);
            if found {
                return;
            }
        }
    };
    if tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .is_err()
    {
        let last = &seen[seen.len().saturating_sub(12)..];
        panic!("not seen: {what}; the last observations were {last:#?}");
    }
    seen
}

async fn faults(system: &RemoteCluster, clock: &Clock, steps: &mut Steps) {
    let (n0, n1, n2) = (NodeId(0), NodeId(1), NodeId(2));
    let ledger = Partition::new("ledger", 0);
    let mut probes = system.probes(*clock, vec![ledger.clone()], Duration::from_millis(100));

    let hw =
        |node| move |o: &Observation| o.node == node && matches!(o.seen, Seen::LeaderHw { .. });
    let seen = until(&mut probes, "the leader's own HW", hw(n0)).await;
    assert!(
        seen.iter()
            .any(|o| matches!(o.seen, Seen::LogEnd { leo: Offset(0), .. }))
    );
    let zk = |o: &Observation| match &o.seen {
        Seen::ZkState { leader, isr, .. } => *leader == Some(n0) && *isr == [n0, n1, n2],
        _ => false,
    };
    if !seen.iter().any(zk) {
        until(&mut probes, "the state in ZooKeeper", zk).await;
    }
    let follower = |o: &Observation| o.node == n2 && matches!(o.seen, Seen::Watermarks { .. });
    until(&mut probes, "a follower's watermarks", follower).await;
    steps.done("probes answer");

    tell(system, n1, Signal::Pause).await;
    let state = system.process(n1, Service::Broker).await.unwrap();
    assert!(matches!(state, ProcessState::Paused { .. }), "{state:?}");
    let silent =
        |node| move |o: &Observation| o.node == node && matches!(o.seen, Seen::Silent { .. });
    until(&mut probes, "the silence of a paused broker", silent(n1)).await;
    tell(system, n1, Signal::Resume).await;
    steps.done("pause and resume");

    let killed = tell(system, n0, Signal::Kill).await;
    assert!(matches!(killed.before, ProcessState::Running { .. }));
    assert_eq!(killed.after, ProcessState::Gone);
    let again = tell(system, n0, Signal::Kill).await;
    assert_eq!(
        (again.before, again.after),
        (ProcessState::Gone, ProcessState::Gone)
    );
    let state = system.process(n0, Service::Broker).await.unwrap();
    assert_eq!(state, ProcessState::Gone);
    let moved = |o: &Observation| match &o.seen {
        Seen::Belief { leader, .. } => o.node == n2 && leader.is_some_and(|l| l != n0),
        _ => false,
    };
    until(&mut probes, "another leader", moved).await;
    steps.done("leader killed, another elected");
    let back = system.start(n0, Service::Broker).await.unwrap();
    assert!(back.fresh);
    let again = system.start(n0, Service::Broker).await.unwrap();
    assert_eq!((again.fresh, again.pid), (false, back.pid));
    let whole = |o: &Observation| match &o.seen {
        Seen::Belief { isr, .. } => o.node == n0 && *isr == [n0, n1, n2],
        _ => false,
    };
    until(&mut probes, "the ISR is full again", whole).await;
    steps.done("killed broker back in the ISR");

    cuts(system, steps).await;
    tell(system, n2, Signal::Stop).await;
    steps.done("clean stop");
    system.start(n2, Service::Broker).await.unwrap();
    steps.done("start after a clean stop");
    let line = system
        .find_log_line(n0, "started (kafka.server.KafkaServer)")
        .await;
    assert!(line.unwrap().is_some());
    let line = system.find_log_line(n0, "no such line -e").await;
    assert_eq!(line.unwrap(), None);
}

async fn tell(system: &RemoteCluster, node: NodeId, signal: Signal) -> Signalled {
    let clock = Clock::start();
    let told = system.signal(node, Service::Broker, signal, &clock);
    told.await.unwrap()
}

async fn cuts(system: &RemoteCluster, steps: &mut Steps) {
    let link = Link {
        from: NodeId(1),
        to: NodeId(2),
        port: None,
    };
    assert!(system.connects(link).await.unwrap());
    system
        .cut(FaultId(1), &[link], &Clock::start())
        .await
        .unwrap();
    system
        .cut(FaultId(1), &[link], &Clock::start())
        .await
        .unwrap();
    assert!(!system.connects(link).await.unwrap());
    let readings = system.cuts().await.unwrap();
    assert_eq!(readings.len(), 1, "{readings:?}");
    assert_eq!((readings[0].fault, readings[0].on), (FaultId(1), NodeId(2)));
    assert_eq!(readings[0].link, link);
    assert!(readings[0].packets > 0);
    system.mend(FaultId(1)).await.unwrap();
    system.mend(FaultId(1)).await.unwrap();
    assert!(system.cuts().await.unwrap().is_empty());
    assert!(system.connects(link).await.unwrap());
    steps.done("a link cut and mended");
}

async fn copies(system: &RemoteCluster, steps: &mut Steps) {
    let dir = tempfile::tempdir().unwrap();
    let into = dir.path().join("images/n0-final.tar.zst");
    tell(system, NodeId(0), Signal::Pause).await;
    let copied = system
        .copy_image(NodeId(0), &[Partition::new("ledger", 0)], &into)
        .await
        .unwrap();
    assert!(copied.unchanged);
    assert!(matches!(copied.process, ProcessState::Paused { .. }));
    let archive = zstd::Decoder::new(std::fs::File::open(&into).unwrap()).unwrap();
    let mut archive = tar::Archive::new(archive);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert!(names[0].ends_with("-checkpoint"), "{names:?}");
    assert!(names.iter().any(|name| name == "meta.properties"));
    assert!(
        names
            .iter()
            .any(|name| name == "ledger-0/00000000000000000000.log")
    );
    tell(system, NodeId(0), Signal::Resume).await;
    steps.done("image");
    system.copy_logs(NodeId(0), dir.path()).await.unwrap();
    let log = std::fs::read_to_string(dir.path().join("logs/state-change.log")).unwrap();
    assert!(
        log.contains("Leader ledger-0 starts at leader epoch 0 from offset 0"),
        "{log}"
    );
    assert!(dir.path().join("config/server.properties").exists());
    steps.done("logs");
}

/// A figure, not a judgement: one gigabyte that compresses as badly as can be. Run it alone, with
/// optimisation, on a machine that does nothing else.
#[test]
#[ignore = "takes a gigabyte of disk and prints a figure"]
fn a_gigabyte_is_captured() {
    in_a_lab("a_gigabyte_is_captured", "g", |lab| async move {
        let host = Host::connect(&lab, &lab.hosts[0]).await.unwrap();
        let dir = format!("{}/run/data/broker/big-0", lab.dir);
        let fill = "mkdir -p \"$1\" && head -c 1073741824 /dev/urandom >\"$1/00.log\"";
        let minute = Duration::from_secs(60);
        host.ok(Lane::Bulk, &Cmd::script(fill, [dir]), minute)
            .await
            .unwrap();
        let owner = RunId::from_number(1);
        let (spec, jars) = (spec(&[]), jars());
        let system = RemoteCluster::connect(&lab, &spec, &jars, owner, false);
        let system = system.await.unwrap();
        let into = tempfile::tempdir().unwrap();
        let clock = Clock::start();
        let copied = system
            .copy_image(
                NodeId(0),
                &[Partition::new("big", 0)],
                &into.path().join("i.tar.zst"),
            )
            .await
            .unwrap();
        let seconds = clock.mark().seconds();
        assert!(copied.bytes > 1 << 30);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        println!("{:.0} MB/s, {peak}", copied.bytes as f64 / seconds / 1e6);
    });
}
