//! The runner on a fake cluster under tokio's paused clock: every path out, in milliseconds.

mod fake;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use fake::{FakeCluster, Vice, nodes_seen};
use history::rundir::{Ended, RunDir};
use history::{Clock, Event, Phase, RunId, Stage, StepStage};
use plan::seed::Seed;
use plan::{Plan, Schedule};
use runner::{Finished, Interrupts, Order, RunError};
use workloads::fake::FakeKafka;

const PLAN: &str = include_str!("../../../plans/smoke.toml");

/// What a run left.
struct Left {
    result: Result<Finished, RunError>,
    events: Vec<Event>,
    ended: Ended,
    residue: Vec<String>,
    news: Vec<String>,
}

/// Runs the smoke plan with `steps`; a signal is raised after `signal_after`, if given.
fn run(vice: Vice, steps: &[&str], signal_after: Option<Duration>) -> Left {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, go(vice, steps, signal_after))
}

async fn go(vice: Vice, steps: &[&str], signal_after: Option<Duration>) -> Left {
    let results = tempfile::tempdir().expect("a directory");
    let plan = Plan::parse(PLAN, "smoke.toml").expect("the plan parses");
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
    if let Some(after) = signal_after {
        tokio::task::spawn_local(async move {
            tokio::time::sleep(after).await;
            interrupts.raise("TERM");
            std::future::pending::<()>().await;
        });
    }
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
    }
}

fn phases(events: &[Event]) -> Vec<Phase> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Phase { phase, .. } => Some(*phase),
            _ => None,
        })
        .collect()
}

fn stages(events: &[Event]) -> BTreeMap<&'static str, u32> {
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
            };
            *counts.entry(name).or_insert(0) += 1;
        }
    }
    counts
}

fn missed(events: &[Event]) -> Vec<String> {
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

#[test]
fn a_good_run_goes_through_every_phase_and_leaves_nothing() {
    use Phase::{Capture, Drain, Heal, Settle, Setup, Steady, Storm, Teardown};
    let left = run(
        Vice::None,
        &[
            "kill leader of ledger/0 for 6s required",
            "await isr of ledger/0 == {n0, n1, n2} within 30s",
            "isolate leader of ledger/0 for 5s",
            "send 3 to ledger/0",
        ],
        None,
    );
    let finished = left.result.expect("it ran");
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    assert_eq!(
        phases(&left.events),
        [Setup, Steady, Storm, Heal, Settle, Drain, Capture, Teardown]
    );
    let all = BTreeMap::from([
        ("injecting", 2),
        ("injected", 2),
        ("healing", 2),
        ("healed", 2),
    ]);
    assert_eq!(stages(&left.events), all);
    assert_eq!(missed(&left.events), Vec::<String>::new());
    assert_eq!((left.residue, finished.stuck), (vec![], vec![]));
    assert!(finished.acked > 1000, "{} acknowledged", finished.acked);
    assert_eq!(nodes_seen(&left.events).len(), 3);
    let images = left
        .events
        .iter()
        .filter(|event| matches!(event, Event::Image(_)))
        .count();
    assert_eq!(images, 5, "two before a return, three at the end");
}

#[test]
fn a_signal_in_the_storm_heals_captures_and_seals() {
    let steps = ["isolate n0", "wait 60s"];
    let left = run(Vice::None, &steps, Some(Duration::from_secs(20)));
    let signal = "TERM".to_owned();
    assert_eq!(
        left.ended,
        Ended::Interrupted {
            signal,
            phase: Some(Phase::Storm)
        }
    );
    assert_eq!(stages(&left.events).get("healed"), Some(&1));
    assert!(phases(&left.events).contains(&Phase::Capture));
    assert!(!phases(&left.events).contains(&Phase::Drain));
    assert_eq!(left.residue, Vec::<String>::new());
}

#[test]
fn a_signal_during_setup_tears_down() {
    let left = run(Vice::None, &["wait 1s"], Some(Duration::from_secs(2)));
    let signal = "TERM".to_owned();
    assert_eq!(
        left.ended,
        Ended::Interrupted {
            signal,
            phase: Some(Phase::Setup)
        }
    );
    assert_eq!(left.residue, Vec::<String>::new());
}

#[test]
fn a_broker_that_does_not_come_up_ends_the_run_with_its_reason() {
    let left = run(Vice::DeadOnArrival, &["wait 1s"], None);
    let error = left.result.expect_err("it failed").to_string();
    assert_eq!(
        error,
        "in setup: n1: the broker ended at once: FATAL no such disk"
    );
    assert!(matches!(left.ended, Ended::Failed { .. }));
    assert_eq!(left.residue, Vec::<String>::new());
}

#[test]
fn a_kill_that_killed_nothing_is_ineffective_and_stops_where_it_was_required() {
    let left = run(
        Vice::ImmortalBrokers,
        &["kill n0 for 1s required", "wait 60s"],
        None,
    );
    assert_eq!(stages(&left.events).get("injected"), None);
    assert_eq!(stages(&left.events).get("ineffective"), Some(&1));
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("ineffective")));
}

#[test]
fn what_cannot_be_undone_is_stuck_and_told() {
    let left = run(Vice::StaysDown, &["kill n0 for 1s"], None);
    let finished = left.result.expect("it ran");
    assert_eq!(finished.stuck.len(), 1, "{:?}", finished.stuck);
    assert!(finished.stuck[0].contains("f1: n0: the broker did not register"));
    assert!(!stages(&left.events).contains_key("healed"));
}

#[test]
fn a_missed_condition_ends_the_storm_unless_the_plan_goes_on() {
    let await_n2 = "await leader of ledger/0 == n2 within 3s";
    let left = run(Vice::None, &[await_n2, "wait 60s"], None);
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("not met within")));
    let left = run(
        Vice::None,
        &[&format!("{await_n2} or go on"), "wait 1s"],
        None,
    );
    assert_eq!(left.ended, Ended::Completed);
    assert_eq!(
        missed(&left.events),
        [format!("{await_n2} or go on: not met within 3s")]
    );
}

#[test]
fn a_failing_teardown_costs_a_warning_and_no_evidence() {
    let left = run(Vice::ClingsOn, &["wait 1s"], None);
    let finished = left.result.expect("it ran");
    assert_eq!(left.ended, Ended::Completed);
    assert_eq!(
        finished.warnings,
        ["the teardown failed: the data directory is busy"]
    );
}
