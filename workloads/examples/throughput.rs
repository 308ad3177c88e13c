//! How many records a second the recorded producers send, and what a record costs, against
//! librdkafka's mock cluster in a process of its own.
//!
//! `cargo run --release -p workloads --example throughput [SECONDS] [idempotent]`
//!
//! It says nothing about brokers: the mock keeps only the tail of a log and writes no disk.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use history::{Clock, Recorder, RunId, Topic};
use plan::{Acks, Compression, Load, Rate, TopicSpec};
use rdkafka::mocking::MockCluster;
use workloads::{RdKafka, start};

const SERVE: &str = "serve-the-mock";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == SERVE) {
        return serve();
    }
    let seconds = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(5);
    let idempotent = args.iter().any(|arg| arg == "idempotent");
    let mut mock = Command::new(std::env::current_exe().expect("this program"))
        .arg(SERVE)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the mock starts");
    let mut bootstrap = String::new();
    BufReader::new(mock.stdout.take().expect("its output"))
        .read_line(&mut bootstrap)
        .expect("its address");
    measure(
        bootstrap.trim().to_owned(),
        Duration::from_secs(seconds),
        idempotent,
    );
    drop(mock.stdin.take());
    mock.wait().expect("the mock ends");
}

/// Three brokers until standard input ends.
fn serve() {
    let mock = MockCluster::new(3).expect("a mock cluster");
    mock.create_topic("ledger", 3, 3).expect("a topic");
    println!("{}", mock.bootstrap_servers());
    std::io::stdin()
        .read_to_end(&mut Vec::new())
        .expect("its end");
}

fn measure(bootstrap: String, length: Duration, idempotent: bool) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("events.tmh");
    let topics = BTreeMap::from([(Topic::from("ledger"), spec(idempotent))]);
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let clock = Clock::start();
        let (pen, recorder) = Recorder::create(&file).expect("a history");
        let clients = Rc::new(RdKafka::new(bootstrap, RunId::from_number(1), clock));
        let workload = start(clients, &topics, pen.clone(), clock).expect("a workload");
        // The first send of an idempotent producer waits for its id.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let (before, cpu_before, from) = (workload.counts(), cpu(), clock.mark());
        tokio::time::sleep(length).await;
        let (after, cpu_after, to) = (workload.counts(), cpu(), clock.mark());
        let acked = after["ledger"].acked - before["ledger"].acked;
        let rate = acked as f64 / to.since(from).as_secs_f64();
        println!("{rate:.0} acknowledged records a second (idempotent: {idempotent})");
        for (thread, used) in &cpu_after {
            let used = used - cpu_before.get(thread).unwrap_or(&0.0);
            if used > 0.0 {
                println!("  {:.2} µs a record in {thread}", used * 1e6 / acked as f64);
            }
        }
        let counts = workload.stop(Duration::from_secs(20)).await["ledger"];
        drop(pen);
        let written = recorder.close().await.expect("a whole history");
        assert_eq!(written.events, 2 * counts.sent, "{counts:?}");
        let on_disk = std::fs::metadata(&file).expect("the history").len();
        assert_eq!(
            on_disk, written.bytes,
            "what the recorder counted is what stands there"
        );
        let bytes = on_disk as f64 / counts.sent as f64;
        println!(
            "{} records, {bytes:.3} bytes of history each; {counts:?}",
            counts.sent
        );
    });
}

fn spec(idempotent: bool) -> TopicSpec {
    TopicSpec {
        assignment: vec![Vec::new(); 3],
        min_insync_replicas: 1,
        properties: BTreeMap::new(),
        load: Load {
            producers: 1,
            consumers: 0,
            acks: Acks::All,
            idempotent,
            group: None,
            transactional: false,
            max_in_flight: 5,
            linger_ms: 5,
            batch_bytes: 65_536,
            compression: Compression::None,
            delivery_timeout: Duration::from_secs(30),
            value_bytes: 128,
            rate: Rate::Max,
        },
    }
}

/// CPU seconds of this process's threads, by name.
fn cpu() -> BTreeMap<String, f64> {
    let mut used = BTreeMap::new();
    for task in std::fs::read_dir("/proc/self/task")
        .expect("threads")
        .flatten()
    {
        let Ok(stat) = std::fs::read_to_string(task.path().join("stat")) else {
            continue;
        };
        let (head, tail) = stat.rsplit_once(')').expect("a name");
        let name = head.split_once('(').map_or(head, |(_, name)| name);
        let ticks: u64 = tail
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        *used.entry(name.to_owned()).or_default() += ticks as f64 / 100.0;
    }
    used
}
