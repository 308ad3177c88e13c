//! A run of the smoke plan on the fake cluster in virtual time, and what it left.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use history::rundir::{Ended, RunDir};
use history::{Clock, Event, Exit, NodeId, Phase, ProcessChange, RunId, Stage, StepStage};
use plan::seed::Seed;
use plan::{Plan, Schedule};
use runner::{Finished, Interrupts, Order, RunError};
use workloads::fake::FakeKafka;

use super::{FakeCluster, Vice};

/// The shortest real run.
pub const PLAN: &str = include_str!("../../../../../plans/smoke.toml");

/// What a run left.
pub struct Left {
    pub result: Result<Finished, RunError>,
    pub events: Vec<Event>,
    pub ended: Ended,
    pub residue: Vec<String>,
    pub news: Vec<String>,
    /// From the beginning to the end of the run.
    pub took: Duration,
}

/// Runs the smoke plan with `steps`; a signal is raised at each of these seconds.
pub fn run(vice: Vice, steps: &[&str], signals: &[u64]) -> Left {
    run_plan(PLAN, vice, steps, signals)
}

/// Runs another plan with `steps`.
pub fn run_plan(plan: &str, vice: Vice, steps: &[&str], signals: &[u64]) -> Left {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, go(plan, vice, steps, signals))
}

async fn go(plan: &str, vice: Vice, steps: &[&str], signals: &[u64]) -> Left {
    let results = tempfile::tempdir().expect("a directory");
    // Less load than for real brokers: some runs here last for ten minutes of virtual time.
    let plan = plan.replace("rate = 300", "rate = 110");
    let plan = Plan::parse(&plan, "smoke.toml").expect("the plan parses");
    let mut schedule = Schedule::draw(&plan, Seed(7));
    schedule.steps = steps
        .iter()
        .map(|step| step.parse().expect("the step parses"))
        .collect();
    let run_id = RunId::from_number(7);
    let started = chrono::DateTime::UNIX_EPOCH;
    let dir = RunDir::create(results.path(), started, &plan.name, run_id).expect("a run directory");
    let path = dir.path().to_owned();
    let clock = Clock::start();
    let kafka = FakeKafka::new(clock, Duration::from_millis(2));
    let system = FakeCluster::new(kafka.clone(), vice);
    let (interrupts, interrupt) = Interrupts::new();
    let signals = signals.to_vec();
    tokio::task::spawn_local(async move {
        for second in signals {
            let at = clock.mark().since(history::Mark(0));
            tokio::time::sleep(Duration::from_secs(second).saturating_sub(at)).await;
            interrupts.raise("TERM");
        }
        std::future::pending::<()>().await;
    });
    let (progress, mut told) = tokio::sync::mpsc::unbounded_channel();
    let order = Order {
        plan,
        schedule,
        run_id,
        dir,
        started,
        clock,
        probe_every: Duration::from_millis(200),
        interrupt,
        progress,
    };
    let result = runner::run(order, &system, Rc::new(kafka)).await;
    let took = clock.mark().since(history::Mark(0));
    let dir = RunDir::open(&path).expect("a run directory");
    let seal = dir.read_seal().expect("readable").expect("sealed");
    let mut news = Vec::new();
    while let Ok(piece) = told.try_recv() {
        if let runner::Progress::Note { text, .. } = piece {
            news.push(text);
        }
    }
    Left {
        result,
        events: dir.read_history().expect("a history").events,
        ended: seal.ended,
        residue: system.residue(),
        news,
        took,
    }
}

/// Every end of a process, in order.
pub fn exits(events: &[Event]) -> Vec<(NodeId, Exit)> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Process(process) => match &process.change {
                ProcessChange::Exited(exit) => Some((process.node, exit.clone())),
                ProcessChange::Started { .. } | ProcessChange::Paused | ProcessChange::Resumed => {
                    None
                }
            },
            _ => None,
        })
        .collect()
}

/// The files of the images, in the order in which they were taken.
pub fn images(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Image(image) => Some(image.file.as_str()),
            _ => None,
        })
        .collect()
}

pub fn phases(events: &[Event]) -> Vec<Phase> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Phase { phase, .. } => Some(*phase),
            _ => None,
        })
        .collect()
}

pub fn stages(events: &[Event]) -> BTreeMap<&'static str, u32> {
    let mut counts = BTreeMap::new();
    for event in events {
        if let Event::Fault(fault) = event {
            let name = match &fault.stage {
                Stage::Injecting { .. } => "injecting",
                Stage::Injected { .. } => "injected",
                Stage::Ineffective { .. } => "ineffective",
                Stage::Healing => "healing",
                Stage::Healed { .. } => "healed",
                Stage::Stuck { .. } => "stuck",
                Stage::TookEffect { .. } => "took effect",
            };
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    counts
}

pub fn missed(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Step(step) => match &step.stage {
                StepStage::Missed(why) => Some(format!("{}: {why}", step.text)),
                StepStage::Fired | StepStage::Done => None,
            },
            _ => None,
        })
        .collect()
}
