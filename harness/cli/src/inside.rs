//! The inner process of `run`: it stands where the hosts can be reached, and runs.
//!
//! It is told what to do by the run directory and by the lab on its standard input, and it says
//! how it went by its exit code and the seal. It never judges.

use std::path::Path;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use cluster::RemoteCluster;
use cluster::artefacts::Artefacts;
use cluster::labfile::{Kind, LabFile};
use history::rundir::RunDir;
use history::{Clock, RunId};
use plan::{Plan, Schedule};
use runner::{Interrupts, Order};
use serde::{Deserialize, Serialize};
use workloads::RdKafka;

use crate::exit::{Exit, Failure, OrExit};
use crate::home::say_error;
use crate::signals::{self, Signals};
use crate::{live, unstarted};

/// Pause between two rounds of probes of one node.
pub const PROBE_EVERY: Duration = Duration::from_millis(200);

/// What the outer process tells the inner one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Instructions {
    /// The lab, with how to log in.
    pub lab: LabFile,
    /// Where the artefacts are.
    pub artefacts: Artefacts,
    /// The run.
    pub run_id: RunId,
    /// Wall-clock start, RFC 3339.
    pub started: chrono::DateTime<chrono::Utc>,
    /// Take the lock over.
    pub steal: bool,
}

/// This binary again, where the lab's hosts can be reached: for a local lab, inside the controller's
/// namespace.
pub fn again(lab: &LabFile) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    if lab.kind == Kind::Namespaces {
        command
            .arg("--inside")
            .arg(lab::controller_netns(&lab.name));
    }
    Ok(command)
}

/// `tidemark __runner DIR`.
pub fn runner(dir: &Path) -> Result<Exit, Failure> {
    die_with_parent().or_harness()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, go(dir)).or_harness()
}

/// When the process that started this one is killed, this one ends its run in order instead of going
/// on alone.
pub fn die_with_parent() -> anyhow::Result<()> {
    nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGTERM)
        .context("cannot ask to be told of the outer process' end")
}

async fn go(dir: &Path) -> anyhow::Result<Exit> {
    let told: Instructions = serde_json::from_reader(std::io::stdin().lock())
        .context("this verb is tidemark's own; use `tidemark run`")?;
    let dir = RunDir::open(dir)?;
    let plan_text = std::fs::read_to_string(dir.plan_toml())?;
    let plan = Plan::parse(&plan_text, "plan.toml")?;
    let schedule = Schedule::parse(
        &std::fs::read_to_string(dir.schedule_toml())?,
        "schedule.toml",
    )?;
    let clock = Clock::start();
    let (interrupts, interrupt) = Interrupts::new();
    let signals = tokio::task::spawn_local(listen(Signals::listen()?, interrupts));
    let (progress, news) = tokio::sync::mpsc::unbounded_channel();
    let following = tokio::task::spawn_local(live::follow(news));

    let connect = RemoteCluster::connect(
        &told.lab,
        &plan.cluster,
        &told.artefacts,
        told.run_id,
        told.steal,
    );
    let connected = tokio::select! {
        biased;
        () = interrupt.asked(1) => None,
        connected = connect => Some(connected),
    };
    let system = match connected {
        Some(Ok(system)) => system,
        Some(Err(error)) => {
            unstarted::seal(&dir, unstarted::failed(error.to_string())).await?;
            return Err(error.into());
        }
        None => {
            let signal = interrupt.signal().unwrap_or_default();
            unstarted::seal(&dir, unstarted::interrupted(signal)).await?;
            return Ok(Exit::Held);
        }
    };
    let bootstrap = cluster::System::bootstrap(&system);
    let compacted = plan.topics.iter().filter(|(_, topic)| topic.is_compacted());
    let compacted = compacted.map(|(name, _)| name.clone()).collect();
    let clients = Rc::new(RdKafka::new(bootstrap, told.run_id, clock).keyed(compacted));
    let order = Order {
        plan,
        schedule,
        run_id: told.run_id,
        dir,
        started: told.started,
        clock,
        probe_every: PROBE_EVERY,
        interrupt,
        progress,
    };
    let finished = runner::run(order, &system, clients).await;
    signals.abort();
    following
        .await
        .map_err(|error| anyhow!("progress: {error}"))?;
    let finished = finished?;
    for warning in &finished.warnings {
        say_error(&format!("tidemark: {warning}"));
    }
    if !finished.stuck.is_empty() {
        let stuck = finished.stuck.join("; ");
        return Err(anyhow!(
            "faults that could not be undone: {stuck}; run `tidemark heal`"
        ));
    }
    Ok(Exit::Held)
}

async fn listen(mut signals: Signals, interrupts: Interrupts) {
    loop {
        let name = signals::name(signals.next().await);
        say_error(&format!(
            "tidemark: {name}: healing, capturing and sealing; once more skips the capture"
        ));
        interrupts.raise(name);
    }
}
