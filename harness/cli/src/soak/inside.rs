//! The inner process of `soak-faults`: it stands where the hosts can be reached, and makes the
//! clusters on which cycles go on (`ground`).
//!
//! No fault is injected here. A cycle that leaves something behind is written down, and ends this process: what comes
//! next begins on hosts made anew, so that nothing is counted twice.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow};
use cluster::artefacts::Artefacts;
use cluster::{LabFile, RemoteCluster, System};
use history::recorder::Notebook;
use history::{Clock, RunId, Topic};
use nemesis::{Board, Roll};
use plan::Plan;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::counts::Cast;
use super::ground::{Ground, Went};
use super::kafka::{Brokers, Nobody};
use super::looks::Eyes;
use super::stand_ins::StandIns;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{fresh_number, say_error};
use crate::signals::Signals;

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
pub const WHOLE_WITHIN: Duration = Duration::from_secs(150);
const TEAR_DOWN_WITHIN: Duration = Duration::from_secs(60);

/// What the outer process tells the inner one, on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// With how to log in.
    pub lab: LabFile,
    /// Kafka's jars.
    pub artefacts: Artefacts,
    /// The first cycle that is not done.
    pub from: u32,
    /// How many there are.
    pub cycles: u32,
    /// How many of them, the first ones, are on real brokers.
    pub kafka: u32,
    /// What everything is drawn from.
    pub seed: u64,
    /// Where each cycle is written down.
    pub counts: PathBuf,
    /// The longest hold.
    pub hold: Duration,
}

impl Told {
    /// On what a cycle goes on.
    pub fn cast(&self, cycle: u32) -> Cast {
        if cycle < self.kafka {
            Cast::Kafka
        } else {
            Cast::StandIns
        }
    }
}

/// `tidemark __soak`: exit code 0 when all cycles are done, 1 when one left something behind and the
/// hosts have to be made anew before the next.
pub fn inside() -> Result<Exit, Failure> {
    crate::inside::die_with_parent().or_harness()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, go()).or_harness()
}

async fn go() -> anyhow::Result<Exit> {
    let mut told: Told = serde_json::from_reader(std::io::stdin().lock())
        .context("this verb is tidemark's own; use `make soak-faults`")?;
    let plan = Plan::parse(PLAN, "the soak's plan")?;
    let mut signals = Signals::listen()?;
    while told.from < told.cycles {
        let (lab, artefacts) = (&told.lab, &told.artefacts);
        let run = RunId::from_number(fresh_number().wrapping_add(told.from.into()));
        let system = RemoteCluster::connect(lab, &plan.cluster, artefacts, run, false).await?;
        let cast = told.cast(told.from);
        let went = tokio::select! {
            biased;
            raised = signals.next() => Err(anyhow!("ended by {}", crate::signals::name(raised))),
            went = with(&mut told, &plan, &system, run, cast) => went,
        };
        let down = timeout(TEAR_DOWN_WITHIN, system.tear_down()).await;
        let down = down.map_err(|_| anyhow!("the teardown took too long"));
        if let Err(error) = down.and_then(|it| it.map_err(Into::into)) {
            say_error(&format!("the teardown failed: {error}"));
        }
        let went = went.with_context(|| format!("cycle {}", told.from))?;
        if went == Went::Badly {
            return Ok(Exit::Broken);
        }
    }
    Ok(Exit::Held)
}

/// Cycles of one cast, until there are no more of it or the cluster has to be made anew.
async fn with(
    told: &mut Told,
    plan: &Plan,
    real: &RemoteCluster,
    run: RunId,
    cast: Cast,
) -> anyhow::Result<Went> {
    let clock = Clock::start();
    let (pen, book) = Notebook::open();
    let roll = Roll::new(pen.clone(), clock);
    let eyes = Eyes::open(&told.lab, cast).await?;
    match cast {
        Cast::StandIns => {
            let system = StandIns::new(real, &told.lab).await?;
            system.install().await?;
            for it in system.bring_up().await? {
                roll.started(it.node, it.service, it.pid);
            }
            let (_sender, board) = watch::channel(Board::default());
            let ground = Ground {
                system: &system,
                roll,
                clock,
                eyes,
                board,
                brokers: None,
            };
            ground.cycles(told, book, &Nobody).await
        }
        Cast::Kafka => {
            real.install().await?;
            for it in real.bring_up().await? {
                roll.started(it.node, it.service, it.pid);
            }
            let brokers = Brokers::begin(real, plan, run, pen, clock).await?;
            let ground = Ground {
                system: real,
                roll,
                clock,
                eyes,
                board: brokers.board(),
                brokers: Some(&brokers),
            };
            let clients = brokers.clients();
            ground.cycles(told, book, &clients).await
        }
    }
}

/// The soak's topic.
pub fn ledger() -> Topic {
    Topic::from("ledger")
}
