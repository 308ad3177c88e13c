//! The inner process of `bench-workload`: it stands where the brokers can be reached, and sends, by
//! turns. Figures go to standard output as JSON, progress to standard error.
//!
//! Brokers come up once. Every turn has a topic of its own, which is deleted after it, so that no
//! turn pays for another's data and the disk holds one or two turns at most.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cluster::{Probes, RemoteCluster, System};
use history::{Clock, Event, Partition, Pen, Recorder, Seen, Topic};
use nix::sys::resource::{UsageWho, getrusage};
use plan::{Compression, Load, Plan, TopicSpec};
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};
use workloads::RdKafka;

use super::Instructions;
use super::figures::{Ours, Pair, Theirs};
use super::recorded::Recorded;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{say, say_error};
use crate::inside::PROBE_EVERY;

/// For everything that is in flight when a turn of ours ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(60);
/// What a turn may take beside sending: topics, a JVM's start, a flush.
const GRACE: Duration = Duration::from_secs(120);
/// A turn that sends at a quarter of the speed it was planned for is still waited for.
const SLOWEST: u32 = 4;
/// Between two turns: files of the deleted topic go, and the brokers come to rest.
const REST: Duration = Duration::from_secs(3);
/// For the brokers to say where a turn's logs end.
const ARRIVED_WITHIN: Duration = Duration::from_secs(10);
/// For brokers and hosts at the end.
const TEAR_DOWN_WITHIN: Duration = Duration::from_secs(60);

/// What Kafka's own start script gives the JVM of `ProducerPerformance`.
const JVM_FLAGS: [&str; 6] = [
    "-Xmx512M",
    "-server",
    "-XX:+UseG1GC",
    "-XX:MaxGCPauseMillis=20",
    "-XX:InitiatingHeapOccupancyPercent=35",
    "-XX:+ExplicitGCInvokesConcurrent",
];

/// `tidemark __bench`.
pub fn inside() -> Result<Exit, Failure> {
    crate::inside::die_with_parent().or_harness()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    let local = tokio::task::LocalSet::new();
    let pairs = local.block_on(&runtime, go()).or_harness()?;
    say(&serde_json::to_string(&pairs).or_harness()?);
    Ok(Exit::Held)
}

async fn go() -> anyhow::Result<Vec<Pair>> {
    let told: Instructions = serde_json::from_reader(std::io::stdin().lock())
        .context("this verb is tidemark's own; use `make bench-workload`")?;
    let plan = Plan::parse(&told.plan, "plan.toml")?;
    let mut stop = [
        signal(SignalKind::interrupt())?,
        signal(SignalKind::terminate())?,
        signal(SignalKind::hangup())?,
    ];
    let [int, term, hup] = &mut stop;
    let (lab, artefacts) = (&told.lab, &told.artefacts);
    let system = RemoteCluster::connect(lab, &plan.cluster, artefacts, told.run, false).await?;
    let measured = tokio::select! {
        biased;
        _ = int.recv() => Err(anyhow!("interrupted")),
        _ = term.recv() => Err(anyhow!("interrupted")),
        _ = hup.recv() => Err(anyhow!("interrupted")),
        measured = turns(&told, &plan, &system) => measured,
    };
    match timeout(TEAR_DOWN_WITHIN, system.tear_down()).await {
        Ok(Ok(())) => {}
        // The lab goes down next, and everything in it.
        Ok(Err(error)) => say_error(&format!("the teardown failed: {error}")),
        Err(_) => say_error("the teardown took too long"),
    }
    measured
}

/// A directory for histories that goes when this is dropped, however the turns ended.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> anyhow::Result<Self> {
        let dir = std::env::temp_dir().join(format!("tidemark-bench-{}", std::process::id()));
        std::fs::create_dir(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
        Ok(Self(dir))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            say_error(&format!("{} was not removed: {error}", self.0.display()));
        }
    }
}

/// All turns. The first pair does not count; it finds out how fast this machine is.
async fn turns(
    told: &Instructions,
    plan: &Plan,
    system: &RemoteCluster,
) -> anyhow::Result<Vec<Pair>> {
    let Some(spec) = plan.topics.values().next() else {
        bail!("the plan has no topic");
    };
    system.install().await?;
    system.bring_up().await?;
    let bench = Bench {
        told,
        spec,
        system,
        scratch: Scratch::new()?,
    };
    let length = Duration::from_secs(told.seconds.into());
    let most = length * SLOWEST + GRACE;
    let late = |whose| anyhow!("a turn of {whose} was not over within {}s", most.as_secs());
    let mut pairs = Vec::new();
    let mut their_rate = None;
    for number in 0..=told.pairs {
        let name = match number {
            0 => "warm-up".to_owned(),
            _ => format!("pair {number}"),
        };
        let turn = timeout(most, bench.ours(number, length)).await;
        let ours = turn.map_err(|_| late("ours"))??;
        say_error(&format!("{name}: recorded            {ours}"));
        let rate = their_rate.unwrap_or(ours.rate());
        let records = (rate * length.as_secs_f64()) as u64;
        let turn = timeout(most, bench.theirs(number, records)).await;
        let theirs = turn.map_err(|_| late("theirs"))??;
        say_error(&format!("{name}: ProducerPerformance {theirs}"));
        their_rate = Some(theirs.rate);
        if number > 0 {
            pairs.push(Pair { ours, theirs });
        }
    }
    Ok(pairs)
}

/// What every turn needs.
struct Bench<'a> {
    told: &'a Instructions,
    spec: &'a TopicSpec,
    system: &'a RemoteCluster,
    scratch: Scratch,
}

impl Bench<'_> {
    /// Our producers, history and probes on, for so long.
    async fn ours(&self, number: u32, length: Duration) -> anyhow::Result<Ours> {
        let topic = self.topic(number, "ours").await?;
        let clock = Clock::start();
        let file = self.scratch.0.join(format!("{topic}.tmh"));
        let (pen, recorder) = Recorder::create(&file)?;
        let clients = RdKafka::new(self.system.bootstrap(), self.told.run, clock);
        let topics = BTreeMap::from([(topic.clone(), self.spec.clone())]);
        let partitions = self.spec.partitions(&topic).collect();
        let probes = self.system.probes(clock, partitions, PROBE_EVERY);
        let observing = tokio::task::spawn_local(observe(probes, pen.clone()));

        let cpu = cpu_seconds(UsageWho::RUSAGE_SELF)?;
        let workload = workloads::start(Rc::new(clients), &topics, pen.clone(), clock)?;
        tokio::select! {
            biased;
            lost = pen.failure() => bail!("the history is being lost: {lost}"),
            () = sleep(length) => {}
        }
        workload.stop(FLUSH_WITHIN).await;
        observing.abort();
        let _ended = observing.await;
        drop(pen);
        let written = recorder.close().await?;
        let cpu_seconds = cpu_seconds(UsageWho::RUSAGE_SELF)? - cpu;
        let Recorded { records, seconds } = Recorded::read(&file)?;
        std::fs::remove_file(&file)?;
        self.arrived(&topic, records).await?;
        self.drop_topic(&topic).await?;
        Ok(Ours {
            records,
            seconds,
            history_bytes: written.bytes,
            cpu_seconds,
        })
    }

    /// Kafka's own producer, so many records.
    async fn theirs(&self, number: u32, records: u64) -> anyhow::Result<Theirs> {
        let topic = self.topic(number, "theirs").await?;
        let cpu = cpu_seconds(UsageWho::RUSAGE_CHILDREN)?;
        let output = Command::new(&self.told.java)
            .args(JVM_FLAGS)
            .args(["-cp", &self.told.tools])
            .arg("org.apache.kafka.tools.ProducerPerformance")
            .args(["--topic", &topic])
            .args(["--num-records", &records.to_string()])
            .args(["--record-size", &self.spec.load.value_bytes.to_string()])
            .args(["--throughput", "-1", "--producer-props"])
            .args(producer_properties(
                &self.system.bootstrap(),
                &self.spec.load,
            ))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .with_context(|| format!("cannot start {}", self.told.java))?;
        let cpu_seconds = cpu_seconds(UsageWho::RUSAGE_CHILDREN)? - cpu;
        let errors = String::from_utf8_lossy(&output.stderr);
        // It counts a failed send like any other, and only its trace tells.
        if !output.status.success() || errors.contains("Exception") {
            let first: Vec<&str> = errors.lines().take(5).collect();
            bail!(
                "ProducerPerformance: {}: {}",
                output.status,
                first.join("; ")
            );
        }
        let theirs = Theirs::read(&String::from_utf8_lossy(&output.stdout), cpu_seconds)?;
        self.arrived(&topic, theirs.records).await?;
        self.drop_topic(&topic).await?;
        Ok(theirs)
    }

    /// A new topic, known to every broker.
    async fn topic(&self, number: u32, whose: &str) -> anyhow::Result<Topic> {
        let topic = Topic::from(format!("{whose}-{number}"));
        self.system.create_topic(&topic, self.spec).await?;
        Ok(topic)
    }

    /// The brokers' own word that a turn's records are in their logs: the log ends, added up. More
    /// than was sent is possible without idempotence, where a retry may append again.
    async fn arrived(&self, topic: &Topic, records: u64) -> anyhow::Result<()> {
        let partitions = self.spec.partitions(topic).collect();
        let mut probes = self.system.probes(Clock::start(), partitions, PROBE_EVERY);
        let mut ends: BTreeMap<Partition, i64> = BTreeMap::new();
        let looking = async {
            while let Some(observation) = probes.observations.recv().await {
                if let Seen::LogEnd { partition, leo, .. } = observation.seen {
                    let end = ends.entry(partition).or_default();
                    *end = leo.0.max(*end);
                }
                if ends.values().sum::<i64>() as u64 >= records {
                    return true;
                }
            }
            false
        };
        if !timeout(ARRIVED_WITHIN, looking).await.unwrap_or(false) {
            bail!("{topic}: {records} records were acknowledged, the logs end at {ends:?}");
        }
        Ok(())
    }

    async fn drop_topic(&self, topic: &Topic) -> anyhow::Result<()> {
        self.system.delete_topic(topic).await?;
        sleep(REST).await;
        Ok(())
    }
}

/// What a run does with its probes: everything is recorded.
async fn observe(mut probes: Probes, pen: Pen) {
    // Named, so that dropping the task, not this line, ends the probing.
    let _guard = probes.guard;
    while let Some(observation) = probes.observations.recv().await {
        pen.write(Event::Observed(observation));
    }
}

/// Our settings in Kafka's words; what is not named here stays at the Java client's defaults.
fn producer_properties(bootstrap: &str, load: &Load) -> Vec<String> {
    let compression = match load.compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    vec![
        format!("bootstrap.servers={bootstrap}"),
        format!("acks={}", load.acks),
        format!("enable.idempotence={}", load.idempotent),
        format!("batch.size={}", load.batch_bytes),
        format!("linger.ms={}", load.linger_ms),
        format!("compression.type={compression}"),
        format!(
            "max.in.flight.requests.per.connection={}",
            load.max_in_flight
        ),
    ]
}

/// User and system time so far, in seconds.
fn cpu_seconds(whose: UsageWho) -> anyhow::Result<f64> {
    let usage = getrusage(whose)?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}
