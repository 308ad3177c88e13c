//! The inner process of `soak-faults`: it stands where the hosts can be reached, and makes the
//! clusters on which cycles go on (`ground`).
//!
//! No fault is injected here. A cycle that leaves something behind is written down, and ends this process: what comes
//! next begins on hosts made anew, so that nothing is counted twice.

use std::time::Duration;

use anyhow::{Context, anyhow};
use cluster::{RemoteCluster, System};
use history::recorder::Notebook;
use history::{Clock, RunId};
use nemesis::{Board, Roll};
use plan::Plan;
use tokio::sync::watch;
use tokio::time::timeout;

use super::counts::Cast;
use super::ground::{Ground, Went};
use super::kafka::{Brokers, Nobody, PLAN};
use super::looks::Eyes;
use super::stand_ins::StandIns;
use super::told::Told;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{fresh_number, say_error};
use crate::signals::Signals;

const TEAR_DOWN_WITHIN: Duration = Duration::from_secs(60);

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
