//! What a soak on real brokers has besides: a topic under load, and the probes that say who leads.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::bail;
use cluster::{RemoteCluster, System};
use history::{Clock, Event, NodeId, Partition, Pen, ProcessState, RunId, Service, Topic};
use nemesis::clients::{Answer, Clients};
use nemesis::{Board, CrashedClient};
use plan::Plan;
use runner::OurClients;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use workloads::{RdKafka, Workload};

use crate::inside::PROBE_EVERY;

/// What is run: brokers that a soak can hurt, with disks of their own.
pub const PLAN: &str = r#"
name = "soak-faults"
about = "The brokers of a soak: one topic, small segments, disks of their own."
[cluster]
kafka = "3.0.0"
profile = "fast"
disk = "96MiB"
[cluster.properties]
"log.segment.bytes" = "262144"
[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2
[topics.ledger.load]
producers = 1
consumers = 1
acks = "all"
idempotent = true
rate = 300
[phases]
steady = "1s"
calm = "1s"
settle_max = "60s"
drain_max = "60s"
[minimum]
acked = 1
acked_per_second = 1
[storm]
steps = ["wait 1s"]
"#;

/// For brokers to be in sync again after a fault.
const WHOLE_WITHIN: Duration = Duration::from_secs(150);

/// Brokers with a topic, a load and probes.
pub struct Brokers {
    workload: Workload,
    board: watch::Receiver<Board>,
    probing: JoinHandle<()>,
    nodes: Vec<NodeId>,
}

impl Brokers {
    /// Makes the topic and begins to send to it.
    ///
    /// # Errors
    /// A broker refuses.
    pub async fn begin(
        system: &RemoteCluster,
        plan: &Plan,
        run: RunId,
        pen: Pen,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        for (topic, spec) in &plan.topics {
            system.create_topic(topic, spec).await?;
        }
        let partitions = vec![Partition::new(ledger(), 0)];
        let mut probes = system.probes(clock, partitions, PROBE_EVERY);
        let (sender, board) = watch::channel(Board::default());
        let telling = pen.clone();
        let probing = tokio::task::spawn_local(async move {
            // Named, so that it goes along: dropping it would end the probing.
            let _guard = probes.guard;
            while let Some(observation) = probes.observations.recv().await {
                sender.send_modify(|board| board.observe(&observation));
                telling.write(Event::Observed(observation));
            }
        });
        let clients = Rc::new(RdKafka::new(system.bootstrap(), run, clock));
        let topics: BTreeMap<_, _> = plan.topics.clone();
        Ok(Self {
            workload: workloads::start(clients, &topics, pen, clock)?,
            board,
            probing,
            nodes: system.nodes(),
        })
    }

    /// What the probes last said.
    pub fn board(&self) -> watch::Receiver<Board> {
        self.board.clone()
    }

    /// Our own clients, as a fault sees them.
    pub fn clients(&self) -> OurClients<'_> {
        OurClients::new(&self.workload)
    }

    /// Waits until every replica is in sync and every process runs.
    ///
    /// # Errors
    /// It takes too long; what is missing.
    pub async fn whole<S: System>(&self, system: &S) -> anyhow::Result<()> {
        let partition = Partition::new(ledger(), 0);
        let until = Instant::now() + WHOLE_WITHIN;
        // What was observed before now says nothing.
        sleep(PROBE_EVERY * 3).await;
        loop {
            let leader = self.board.borrow().leader(&partition);
            let mut missing = match leader {
                Some(leader) if leader.isr == self.nodes => Vec::new(),
                Some(leader) => vec![format!("only {:?} are in sync", leader.isr)],
                None => vec!["nobody leads".to_owned()],
            };
            if missing.is_empty() && self.board.borrow().controller().is_none() {
                missing.push("there is no controller".to_owned());
            }
            for node in &self.nodes {
                for service in [Service::Broker, Service::ZooKeeper] {
                    let state = system.process(*node, service).await?;
                    if !matches!(state, ProcessState::Running { .. }) {
                        missing.push(format!("the {service} of {node} does not run"));
                    }
                }
            }
            if missing.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                bail!("after {WHOLE_WITHIN:?}: {}", missing.join("; "));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Drop for Brokers {
    /// Ends the probing; the clients end with the process.
    fn drop(&mut self) {
        self.probing.abort();
    }
}

/// The soak's topic.
fn ledger() -> Topic {
    Topic::from("ledger")
}

/// No clients at all, where nobody answers them.
pub struct Nobody;

impl Clients for Nobody {
    fn crash<'a>(&'a self, _: &'a CrashedClient) -> Answer<'a> {
        Box::pin(async { Err("there are no clients".to_owned()) })
    }

    fn revive<'a>(&'a self, _: &'a CrashedClient) -> Answer<'a> {
        Box::pin(async { Ok("there are no clients".to_owned()) })
    }
}
