//! Real brokers whose disks suffer: a full file system, and an unflushed suffix lost by the last
//! replica standing.
//!
//! Needs root and what the lab needs; skips visibly without.

mod live_lab;

use std::time::Duration;

use cluster::wire::Wire;
use cluster::{Cmd, Host, Injection, LabFile, Lane, Power, RemoteCluster, Signal, System};
use history::{
    Clock, FaultId, Harm, NodeId, Offset, Partition, ProcessState, RunId, Service, Topic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use live_lab::{in_a_lab, jars, spec, topic};
use plan::{SegmentChoice, Tail};

const N0: NodeId = NodeId(0);

#[test]
fn disks_suffer_and_brokers_live_with_it() {
    in_a_lab("disks_suffer_and_brokers_live_with_it", "d", story);
}

async fn story(lab: LabFile) {
    let mut spec = spec(&[("log.segment.bytes", "262144")]);
    spec.disk_bytes = Some(96 << 20);
    let owner = RunId::from_number(std::process::id().into());
    let jars = jars();
    let system = RemoteCluster::connect(&lab, &spec, &jars, owner, false);
    let system = system.await.unwrap();
    let clock = Clock::start();
    let say = |what: &str| println!("{:6.2}s {what}", clock.mark().seconds());
    system.install().await.unwrap();
    let powers = system.powers().await.unwrap();
    assert_eq!(powers[0].lack(Power::OwnDisk), None);
    println!("slow disks: {:?}", powers[0].lack(Power::DeviceMapper));
    system.bring_up().await.unwrap();
    let (name, ledger): (Topic, _) = ("ledger".into(), Partition::new("ledger", 0));
    let flushed = topic(&[("flush.messages", "200")]);
    system.create_topic(&name, &flushed).await.unwrap();
    say("up, on file systems of their own");

    let host = Host::connect(&lab, &lab.hosts[0]).await.unwrap();
    fill(&system, &clock, &host, &lab).await;
    say("a disk was full, and is not");
    let sent = last_standing(&system, &clock, &lab, &ledger).await;
    say("the last replica standing lost its unflushed suffix");
    bits_and_files(&system, &clock, &ledger, sent).await;
    say("bits, checkpoints, everything");

    system.tear_down().await.unwrap();
    let mounts = Cmd::new("cat").arg("/proc/self/mounts");
    let mounts = host
        .ok(Lane::Control, &mounts, Duration::from_secs(5))
        .await;
    assert!(!mounts.unwrap().contains("run/data/broker"));
}

/// Sends records of 1 KiB to the partition's leader, so many in a batch; the base offset of the last
/// batch, or the error that the broker answered.
async fn send(lab: &LabFile, to: NodeId, acks: i16, batches: usize) -> Result<i64, String> {
    let address = format!(
        "{}:{}",
        lab.hosts[usize::from(to.0)].address,
        lab.ports.broker
    );
    let mut wire = Wire::open(address.parse().unwrap(), Duration::from_secs(10))
        .await
        .map_err(|e| e.to_string())?;
    let value = [7; 1024];
    let records = vec![evidence::NewRecord::value(&value); 10];
    let mut bytes = Vec::new();
    let batch = evidence::NewBatch::plain(Offset(0), history::Epoch(-1), &records);
    evidence::write_batch(&mut bytes, &batch);
    let mut last = -1;
    for _ in 0..batches {
        let data = PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(bytes.clone().into()));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_static_str("ledger")))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(acks)
            .with_timeout_ms(5000)
            .with_topic_data(vec![topic]);
        let answer = wire.ask(8, &request).await.map_err(|e| e.to_string())?;
        let one = &answer.responses[0].partition_responses[0];
        match one.error_code {
            0 => last = one.base_offset,
            code => return Err(format!("error {code}")),
        }
    }
    Ok(last)
}

async fn gone(system: &RemoteCluster, node: NodeId) {
    let until = tokio::time::Instant::now() + Duration::from_secs(40);
    while system.process(node, Service::Broker).await.unwrap() != ProcessState::Gone {
        assert!(tokio::time::Instant::now() < until, "{node} goes on");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn line(system: &RemoteCluster, node: NodeId, needle: &str) -> String {
    let until = tokio::time::Instant::now() + Duration::from_secs(40);
    loop {
        if let Some(line) = system.find_log_line(node, needle).await.unwrap() {
            return line;
        }
        assert!(
            tokio::time::Instant::now() < until,
            "{node} never said {needle}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn fill(system: &RemoteCluster, clock: &Clock, host: &Host, lab: &LabFile) {
    let fill = Injection::FillDisk(N0);
    send(lab, N0, -1, 10).await.unwrap();
    let effect = system.inject(FaultId(1), &fill, clock).await.unwrap();
    println!("{}", effect.evidence);
    assert!(effect.in_force);
    // Sooner or later n0 needs a block that is not there.
    let mut refused = None;
    for _ in 0..40 {
        if let Err(why) = send(lab, N0, 1, 20).await {
            refused = Some(why);
            break;
        }
    }
    println!("the broker answered: {refused:?}");
    gone(system, N0).await;
    let said = system.find_log_line(N0, "No space left on device").await;
    println!("n0: {:?}", said.unwrap());

    let healed = system.recover(FaultId(1), &fill, clock).await.unwrap();
    println!("{}", healed.evidence);
    let again = system.recover(FaultId(1), &fill, clock).await.unwrap();
    assert!(again.evidence.contains("no filler is left"));
    let look = Cmd::script(
        "ls -A \"$1\" | grep -c tidemark; true",
        [format!("{}/run/data/broker", lab.dir)],
    );
    let left = host.ok(Lane::Control, &look, Duration::from_secs(5)).await;
    assert_eq!(left.unwrap().trim(), "0");
    system.start(N0, Service::Broker).await.unwrap();
    in_sync(system, clock, 3).await;
}

/// Waits until the ISR has so many members, as the leader sees it.
async fn in_sync(system: &RemoteCluster, clock: &Clock, members: usize) {
    let every = Duration::from_millis(50);
    let mut probes = system.probes(*clock, vec![Partition::new("ledger", 0)], every);
    let waiting = async {
        loop {
            let one = probes.observations.recv().await.unwrap();
            if let history::Seen::ZkState { isr, .. } = &one.seen
                && isr.len() == members
            {
                return;
            }
        }
    };
    let within = tokio::time::timeout(Duration::from_secs(40), waiting).await;
    within.unwrap_or_else(|_| panic!("the ISR never had {members} members"));
}

async fn last_standing(
    system: &RemoteCluster,
    clock: &Clock,
    lab: &LabFile,
    ledger: &Partition,
) -> Offset {
    let others = [NodeId(1), NodeId(2)];
    let leader = N0;
    // Whoever leads now: n0 leads again once it is the only one.
    for node in others {
        tell(system, node, Signal::Kill).await;
    }
    in_sync(system, clock, 1).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(40);
    while let Err(why) = send(lab, leader, 1, 1).await {
        assert!(
            tokio::time::Instant::now() < until,
            "{leader} never led: {why}"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let last = send(lab, leader, 1, 150).await.unwrap();
    let was = Offset(last + 10);
    let lose = Injection::LoseUnflushed {
        node: leader,
        partitions: vec![ledger.clone()],
        tail: Tail::Torn,
    };
    let alive = system.inject(FaultId(2), &lose, clock).await.unwrap_err();
    assert!(alive.to_string().contains("is alive"), "{alive}");
    tell(system, leader, Signal::Kill).await;
    gone(system, leader).await;
    let effect = system.inject(FaultId(2), &lose, clock).await.unwrap();
    println!("{}", effect.evidence);
    assert!(effect.in_force);
    let [(of, Harm::SuffixLost { node, from })] = &effect.harms[..] else {
        panic!("{effect:?}");
    };
    assert_eq!((of, *node), (ledger, leader));
    // Fewer than flush.messages are unflushed.
    assert_eq!(
        *from,
        Offset(was.0 - 190),
        "{from} of {was}, in batches of ten"
    );
    let again = system.inject(FaultId(2), &lose, clock).await.unwrap();
    assert!(
        !again.in_force,
        "what is durable is not lost: {}",
        again.evidence
    );
    assert!(again.harms.is_empty());

    system.start(leader, Service::Broker).await.unwrap();
    let end = format!("from offset {} with high watermark", from.0);
    println!("{}", line(system, leader, &end).await);
    for (node, tail) in others.into_iter().zip([Tail::Zeroed, Tail::Aligned]) {
        let lose = Injection::LoseUnflushed {
            node,
            partitions: vec![ledger.clone()],
            tail,
        };
        let effect = system.inject(FaultId(2), &lose, clock).await.unwrap();
        println!("{}", effect.evidence);
        assert!(effect.in_force);
        system.start(node, Service::Broker).await.unwrap();
    }
    in_sync(system, clock, 3).await;
    Offset(send(lab, leader, -1, 1).await.unwrap() + 10)
}

async fn bits_and_files(system: &RemoteCluster, clock: &Clock, ledger: &Partition, end: Offset) {
    let n2 = NodeId(2);
    for segment in [SegmentChoice::Active, SegmentChoice::Closed] {
        let flip = Injection::FlipBit {
            node: n2,
            partition: ledger.clone(),
            segment,
        };
        // What is committed is written down once a second.
        let until = tokio::time::Instant::now() + Duration::from_secs(10);
        let effect = loop {
            match system.inject(FaultId(3), &flip, clock).await {
                Ok(effect) => break effect,
                Err(why) => assert!(tokio::time::Instant::now() < until, "{why}"),
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        println!("{}", effect.evidence);
        assert!(effect.in_force);
        assert!(effect.harms[0].1.replica().unwrap().1 < end);
    }
    let stale = |stale| Injection::Checkpoints { node: n2, stale };
    let keep = Injection::KeepCheckpoints(n2);
    assert!(
        system
            .inject(FaultId(4), &keep, clock)
            .await
            .unwrap()
            .in_force
    );
    assert!(
        system
            .inject(FaultId(4), &stale(true), clock)
            .await
            .is_err()
    );
    tell(system, n2, Signal::Stop).await;
    let unflushed = Injection::LoseUnflushed {
        node: n2,
        partitions: vec![ledger.clone()],
        tail: Tail::Aligned,
    };
    let effect = system.inject(FaultId(5), &unflushed, clock).await.unwrap();
    assert!(!effect.in_force && effect.evidence.contains("cleanly"));
    for (fault, what) in [(6, stale(true)), (7, stale(false))] {
        let effect = system.inject(FaultId(fault), &what, clock).await.unwrap();
        println!("{}", effect.evidence);
        assert!(effect.in_force);
        assert!(effect.harms.iter().any(|(of, _)| of == ledger));
    }
    let wipe = Injection::Wipe {
        node: n2,
        partitions: vec![ledger.clone()],
    };
    let effect = system.inject(FaultId(8), &wipe, clock).await.unwrap();
    println!("{}", effect.evidence);
    assert!(effect.in_force);
    assert_eq!(effect.harms, [(ledger.clone(), Harm::Wiped { node: n2 })]);
    assert!(
        !system
            .inject(FaultId(8), &wipe, clock)
            .await
            .unwrap()
            .in_force
    );
    system.start(n2, Service::Broker).await.unwrap();
    in_sync(system, clock, 3).await;
}

async fn tell(system: &RemoteCluster, node: NodeId, signal: Signal) {
    let clock = Clock::start();
    let told = system.signal(node, Service::Broker, signal, &clock);
    told.await.unwrap();
}
