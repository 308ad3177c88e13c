//! Elections, reassignments, settings and deletions on real brokers, each read back and undone.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;

use std::time::Duration;

use bytes::Bytes;
use cluster::wire::Wire;
use cluster::{ClusterError, Effect, Injection, LabFile, RemoteCluster, Signal, System};
use evidence::{NewBatch, NewRecord, write_batch};
use history::{Clock, Epoch, FaultId, Harm, NodeId, Offset, Partition, RunId, Service};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use live_lab::{in_a_lab, jars, spec, topic};

const FAULT: FaultId = FaultId(1);

#[test]
fn brokers_do_what_they_are_asked_and_it_is_read_back() {
    in_a_lab(
        "brokers_do_what_they_are_asked_and_it_is_read_back",
        "t",
        story,
    );
}

struct Scene {
    system: RemoteCluster,
    clock: Clock,
}

impl Scene {
    async fn inject(&self, what: &Injection) -> Effect {
        let began = self.clock.mark();
        let effect = self.system.inject(FAULT, what, &self.clock).await.unwrap();
        let took = self.clock.mark().since(began).as_secs_f64();
        println!("{took:6.2}s {} {}", effect.in_force, effect.evidence);
        let (from, to) = effect.between;
        assert!(from <= to && to <= self.clock.mark(), "{from}..{to}");
        effect
    }

    /// Undoes it; what was put back.
    async fn recover(&self, what: &Injection) -> Vec<Option<String>> {
        let recovered = self.system.recover(FAULT, what, &self.clock).await;
        let recovered = recovered.unwrap();
        println!("        {}", recovered.evidence);
        recovered.altered.into_iter().map(|it| it.value).collect()
    }
}

async fn story(lab: LabFile) {
    let owner = RunId::from_number(std::process::id().into());
    let (spec, jars) = (spec(&[]), jars());
    let system = RemoteCluster::connect(&lab, &spec, &jars, owner, false);
    let system = system.await.unwrap();
    system.install().await.unwrap();
    system.bring_up().await.unwrap();
    let clock = Clock::start();
    let scene = Scene { system, clock };
    scene
        .system
        .create_topic(&"ledger".into(), &topic(&[]))
        .await
        .unwrap();
    let mut pair = topic(&[]);
    pair.assignment = vec![[1, 2].map(NodeId).to_vec()];
    pair.min_insync_replicas = 1;
    let pair_name = "pair".into();
    scene.system.create_topic(&pair_name, &pair).await.unwrap();
    println!("{:6.2}s up", clock.mark().seconds());
    elections(&scene).await;
    settings(&scene).await;
    deletions(&scene, &lab).await;
    looks(&scene.system).await;
    an_unclean_one(&scene).await;
    scene.system.tear_down().await.unwrap();
}

async fn elections(scene: &Scene) {
    let ledger: Partition = "ledger/0".parse().unwrap();
    let preferred = Injection::Elect {
        partition: ledger.clone(),
        unclean: false,
    };
    let not_needed = scene.inject(&preferred).await;
    assert!(!not_needed.in_force);
    assert!(
        not_needed.evidence.contains("ElectionNotNeeded"),
        "{not_needed:?}"
    );
    let turned = Injection::Reassign {
        partition: ledger.clone(),
        to: [1, 0, 2].map(NodeId).to_vec(),
    };
    assert!(scene.inject(&turned).await.in_force);
    assert!(!scene.inject(&turned).await.in_force, "it was so already");
    let moved = scene.inject(&preferred).await;
    assert!(moved.in_force);
    assert!(
        moved.evidence.starts_with("n1 leads ledger/0 in e"),
        "{moved:?}"
    );
    assert!(scene.recover(&turned).await.is_empty());
    assert!(scene.recover(&turned).await.is_empty(), "twice is once");
    assert!(scene.inject(&preferred).await.in_force, "n0 leads again");
    assert!(scene.recover(&preferred).await.is_empty());

    let away = Injection::Reassign {
        partition: "pair/0".parse().unwrap(),
        to: [0, 1].map(NodeId).to_vec(),
    };
    assert!(scene.inject(&away).await.in_force);
    scene.recover(&away).await;
    let nobody = Injection::Reassign {
        partition: "pair/0".parse().unwrap(),
        to: vec![NodeId(7)],
    };
    let refused = scene.inject(&nobody).await;
    assert!(!refused.in_force);
    assert!(
        refused.evidence.contains("InvalidReplicaAssignment"),
        "{refused:?}"
    );
}

async fn settings(scene: &Scene) {
    let configure = |key: &str, value: &str| Injection::Configure {
        topic: "ledger".into(),
        key: key.to_owned(),
        value: value.to_owned(),
    };
    let lower = configure("min.insync.replicas", "1");
    let effect = scene.inject(&lower).await;
    assert!(effect.in_force);
    assert_eq!(effect.altered.len(), 1);
    assert_eq!(effect.altered[0].value.as_deref(), Some("1"));
    let (asked, answered) = effect.altered[0].between;
    assert!(asked <= effect.between.0 && effect.between.1 <= answered);
    assert!(
        answered.since(asked) < Duration::from_secs(10),
        "all took it over"
    );
    assert!(
        effect.evidence.contains("n0, n1, n2 took it over"),
        "{effect:?}"
    );
    assert!(!scene.inject(&lower).await.in_force, "it was so already");
    assert_eq!(scene.recover(&lower).await, [Some("2".to_owned())]);
    assert!(scene.recover(&lower).await.is_empty(), "twice is once");

    let flush = configure("flush.messages", "1");
    assert!(scene.inject(&flush).await.in_force);
    tell(&scene.system, NodeId(2), Service::Broker, Signal::Pause).await;
    assert_eq!(scene.recover(&flush).await, [None], "no value of its own");
    let again = scene.inject(&flush).await;
    assert!(
        again.altered[0].between.1.seconds() > 1e7,
        "n2 is paused: {again:?}"
    );
    tell(&scene.system, NodeId(2), Service::Broker, Signal::Resume).await;
    scene.recover(&flush).await;

    for (key, value) in [("min.insync.replicas", "0"), ("no.such.thing", "1")] {
        let refused = scene.inject(&configure(key, value)).await;
        assert!(!refused.in_force && refused.altered.is_empty());
        assert!(
            refused.evidence.contains("refused with Invalid"),
            "{refused:?}"
        );
    }
}

async fn deletions(scene: &Scene, lab: &LabFile) {
    let ledger: Partition = "ledger/0".parse().unwrap();
    let delete = |before: Option<i64>| Injection::DeleteRecords {
        partition: ledger.clone(),
        before: before.map(Offset),
    };
    assert!(
        !scene.inject(&delete(None)).await.in_force,
        "nothing is there"
    );
    produce(lab, 10).await;
    let effect = scene.inject(&delete(Some(4))).await;
    assert!(effect.in_force);
    let harm = Harm::Deleted { before: Offset(4) };
    assert_eq!(effect.harms, [(ledger.clone(), harm)]);
    assert!(!scene.inject(&delete(Some(3))).await.in_force);
    let beyond = scene.inject(&delete(Some(11))).await;
    assert!(!beyond.in_force && beyond.harms.is_empty());
    assert!(beyond.evidence.contains("OffsetOutOfRange"), "{beyond:?}");
    let all = scene.inject(&delete(None)).await;
    let harm = Harm::Deleted { before: Offset(10) };
    assert_eq!(all.harms, [(ledger.clone(), harm)]);
    assert!(scene.recover(&delete(None)).await.is_empty());
}

/// Appends records to `ledger/0` through its leader, n0.
async fn produce(lab: &LabFile, count: usize) {
    let at = format!("{}:{}", lab.hosts[0].address, lab.ports.probe);
    let mut wire = Wire::open(at.parse().unwrap(), Duration::from_secs(5))
        .await
        .unwrap();
    let records = vec![NewRecord::value(b"x"); count];
    let mut batch = Vec::new();
    write_batch(&mut batch, &NewBatch::plain(Offset(0), Epoch(0), &records));
    let data = PartitionProduceData::default().with_records(Some(Bytes::from(batch)));
    let topic = TopicProduceData::default()
        .with_name(TopicName(StrBytes::from_static_str("ledger")))
        .with_partition_data(vec![data]);
    let request = ProduceRequest::default()
        .with_acks(-1)
        .with_timeout_ms(5000)
        .with_topic_data(vec![topic]);
    let answer = wire.ask(8, &request).await.unwrap();
    let code = answer.responses[0].partition_responses[0].error_code;
    assert_eq!(code, 0, "error {code}");
}

async fn looks(system: &RemoteCluster) {
    let leader = system.zookeeper_leader().await.unwrap();
    assert!(leader.is_some());
    assert_eq!(system.coordinator("nobody").await.unwrap(), None);
    let names = format!("{:?}", system.describe().await.unwrap().topics.keys());
    assert!(
        !names.contains("__consumer_offsets"),
        "looking made it: {names}"
    );
    // The checkpoint is written every two seconds.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    let points = system.recovery_points(NodeId(0)).await.unwrap();
    let ledger: Partition = "ledger/0".parse().unwrap();
    println!("        {points:?}");
    assert!(points.contains_key(&ledger), "{points:?}");
    let server = leader.unwrap();
    tell(system, server, Service::ZooKeeper, Signal::Kill).await;
    let other = async {
        loop {
            let now: Result<_, ClusterError> = system.zookeeper_leader().await;
            if let Ok(Some(node)) = now {
                return node;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let other = tokio::time::timeout(Duration::from_secs(20), other).await;
    assert_ne!(other.unwrap(), server);
    system.start(server, Service::ZooKeeper).await.unwrap();
}

/// n2 leaves the in-sync set, n1 takes its place and dies, n2 returns: nobody may lead cleanly.
async fn an_unclean_one(scene: &Scene) {
    let (n1, n2) = (NodeId(1), NodeId(2));
    let unclean = Injection::Elect {
        partition: "pair/0".parse().unwrap(),
        unclean: true,
    };
    let not_needed = scene.inject(&unclean).await;
    assert!(!not_needed.in_force, "{not_needed:?}");
    let system = &scene.system;
    tell(system, n2, Service::Broker, Signal::Kill).await;
    let every = Duration::from_millis(100);
    let mut probes = system.probes(scene.clock, vec!["pair/0".parse().unwrap()], every);
    let alone = async {
        while let Some(seen) = probes.observations.recv().await {
            if let history::Seen::Belief { isr, .. } = &seen.seen
                && *isr == [n1]
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), alone)
        .await
        .expect("n2 left the in-sync set");
    tell(system, n1, Service::Broker, Signal::Kill).await;
    system.start(n2, Service::Broker).await.unwrap();
    // As long as n1's session lasts the controller believes that it leads.
    let nobody = async {
        while let Some(seen) = probes.observations.recv().await {
            if let history::Seen::Belief { leader: None, .. } = &seen.seen {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), nobody)
        .await
        .expect("n1's session ended");
    let effect = scene.inject(&unclean).await;
    assert!(effect.in_force, "{effect:?}");
    assert!(effect.evidence.starts_with("n2 leads pair/0"), "{effect:?}");
}

async fn tell(system: &RemoteCluster, node: NodeId, service: Service, signal: Signal) {
    let clock = Clock::start();
    let told = system.signal(node, service, signal, &clock);
    told.await.unwrap();
}
