//! Storms: triggers, holds beside steps, budgets.

use std::time::Duration;

use crate::fake::Vice;
use crate::fake::runs::{PLAN, exits, missed, run, run_plan, stages};
use history::rundir::Ended;
use history::{Event, FaultId, Mark, NodeId, ProcessChange, Service, Stage, StepStage};
use runner::RunError;

/// When a step reached a stage.
fn step(events: &[Event], text: &str, stage: &StepStage) -> Mark {
    let found = events.iter().find_map(|event| match event {
        Event::Step(step) if step.text.starts_with(text) && step.stage == *stage => Some(step.at),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("{text} was never {stage:?}"))
}

/// When a fault reached a stage, each time.
fn reached(events: &[Event], fault: u16, is: fn(&Stage) -> bool) -> Vec<Mark> {
    let of = events.iter().filter_map(|event| match event {
        Event::Fault(it) if it.fault == FaultId(fault) && is(&it.stage) => Some(it.at),
        _ => None,
    });
    of.collect()
}

fn injected(stage: &Stage) -> bool {
    matches!(stage, Stage::Injected { .. })
}

fn healed(stage: &Stage) -> bool {
    matches!(stage, Stage::Healed { .. })
}

#[test]
fn a_trigger_fires_within_fifty_milliseconds_of_the_observation() {
    let kill = "when epoch of ledger/0 >= 1 within 60s pause n2 for 1s";
    let left = run(Vice::None, &["kill n0 for 3s meanwhile", kill], &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let seen = left.events.iter().find_map(|event| match event {
        Event::Observed(it) => match &it.seen {
            history::Seen::Belief { epoch, .. } if epoch.0 >= 1 => Some(it.answered),
            _ => None,
        },
        _ => None,
    });
    let fired = step(&left.events, "when epoch", &StepStage::Fired);
    let late = fired.since(seen.expect("an election was seen"));
    assert!(late.as_millis() <= 50, "{late:?}");
}

#[test]
fn a_trigger_that_is_missed_does_what_the_plan_says() {
    let never =
        |more: &str| format!("when leader of ledger/0 == n2 within 3s{more} pause n1 for 1s");
    let left = run(Vice::None, &[&never(""), "wait 60s"], &[]);
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("not met within")));
    assert_eq!(stages(&left.events).get("injecting"), None);

    let left = run(Vice::None, &[&never(" or go on"), "wait 1s"], &[]);
    assert_eq!(
        (left.ended, stages(&left.events).get("injecting")),
        (Ended::Completed, None)
    );
    assert_eq!(missed(&left.events).len(), 1);

    let left = run(Vice::None, &[&never(" or fire")], &[]);
    assert_eq!(left.ended, Ended::Completed);
    assert_eq!(stages(&left.events).get("injected"), Some(&1));
    assert_eq!(missed(&left.events), Vec::<String>::new());
}

#[test]
fn a_hold_goes_on_beside_the_steps_that_follow() {
    let steps = [
        "cut n0 -> n1 for 10s meanwhile as first",
        "pause n2 for 2s",
        "after first 1s pause n1 for 1s",
    ];
    let left = run(Vice::None, &steps, &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let [cut_in, cut_out] = [injected, healed].map(|is| reached(&left.events, 1, is)[0]);
    let [second_in, second_out] = [injected, healed].map(|is| reached(&left.events, 2, is)[0]);
    assert!(
        cut_in <= second_in && second_out < cut_out,
        "{cut_in} {second_in} {second_out} {cut_out}: {:?}",
        left.news
    );
    assert!(cut_out.since(cut_in).as_secs() >= 10);
    let third = reached(&left.events, 3, injected)[0];
    let wait = third.since(cut_out).as_millis();
    assert!(
        (1_000..1_600).contains(&wait),
        "{wait} ms after the first was healed"
    );
    assert!(step(&left.events, "cut n0", &StepStage::Done) >= cut_out);
}

#[test]
fn a_fault_is_healed_by_the_name_of_its_step_and_its_hold_ends_then() {
    let steps = [
        "isolate n0 for 60s meanwhile as alone",
        "pause n2",
        "heal alone",
        "wait 2s",
    ];
    let left = run(Vice::None, &steps, &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let [alone, other] = [1, 2].map(|fault| reached(&left.events, fault, healed)[0]);
    assert!(alone < other, "only the named one was healed by its name");
    assert!(
        left.took.as_secs() < 60,
        "nobody waited for the end of the hold: {:?}",
        left.took
    );
}

#[test]
fn a_process_that_two_faults_took_down_is_started_once() {
    let left = run(Vice::None, &["kill n0", "kill all", "wait 2s"], &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    assert_eq!(stages(&left.events).get("healed"), Some(&2));
    let started = left.events.iter().filter(|event| match event {
        Event::Process(it) => {
            let at = (it.node, it.service) == (NodeId(0), Service::Broker);
            at && matches!(it.change, ProcessChange::Started { .. })
        }
        _ => false,
    });
    assert_eq!(started.count(), 2, "when it came up, and at the heal");
}

#[test]
fn a_flap_comes_and_goes_and_is_gone_in_the_end() {
    let left = run(Vice::None, &["flap isolate n0 every 500ms for 5s"], &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let took_effect = |stage: &Stage| matches!(stage, Stage::TookEffect { .. });
    let times = reached(&left.events, 1, took_effect).len();
    assert!((4..=6).contains(&times), "cut {times} times in 5 s");
    assert_eq!(left.residue, Vec::<String>::new());
}

#[test]
fn what_is_over_the_budget_is_missed_and_ends_the_storm_only_where_it_was_required() {
    let plan = format!("{PLAN}\n[storm.budget]\nbrokers = 1\n");
    let left = run_plan(
        &plan,
        Vice::None,
        &["pause n0", "pause n1 for 1s", "heal"],
        &[],
    );
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let [miss] = missed(&left.events).try_into().expect("one miss");
    assert!(
        miss.contains("over the budget: the brokers of n0, n1"),
        "{miss}"
    );
    assert_eq!(stages(&left.events).get("injecting"), Some(&1));
    let left = run_plan(
        &plan,
        Vice::None,
        &["pause n0", "kill n1 required", "heal"],
        &[],
    );
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("over the budget")));
}

#[test]
fn two_faults_of_one_process_leave_it_to_the_one_that_lasts() {
    let steps = ["pause n1 for 2s meanwhile", "kill n1 for 6s"];
    let left = run(Vice::None, &steps, &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let says = |fault, needle: &str| {
        left.events.iter().any(|event| {
            matches!(event, Event::Fault(it) if it.fault == FaultId(fault)
            && matches!(&it.stage, Stage::Healed { evidence } if evidence.contains(needle)))
        })
    };
    assert!(says(1, "the broker of n1 is left to f2"));
    assert!(says(2, "runs on n1"));
}

#[test]
fn a_clean_stop_of_a_paused_broker_is_ineffective_at_once_and_says_why() {
    let steps = ["pause n1 for 20s meanwhile", "stop n1 for 2s"];
    let left = run(Vice::None, &steps, &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let stop = left.events.iter().find_map(|event| match event {
        Event::Fault(it) if it.fault == FaultId(2) => match &it.stage {
            Stage::Ineffective { evidence } => Some((it.at, evidence)),
            _ => None,
        },
        _ => None,
    });
    let (at, evidence) = stop.expect("it is ineffective");
    let paused = reached(&left.events, 1, injected)[0];
    let after = at.since(paused);
    assert!(after < Duration::from_secs(1), "{after:?}");
    assert!(evidence.contains("does not hear SIGTERM"), "{evidence}");
    let resumed = reached(&left.events, 1, healed)[0];
    assert!(resumed.since(paused) >= Duration::from_secs(20));
    assert_eq!(exits(&left.events), [], "nothing ended");
}

#[test]
fn a_schedule_that_the_hosts_have_no_power_for_is_refused_before_a_broker_starts() {
    let left = run(Vice::Powerless, &["delay n0 -> n1 by 100ms for 2s"], &[]);
    let why = match left.result {
        Err(RunError::Refused(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(
        why.contains("needs the netem queueing discipline, and n0 has none: no such qdisc"),
        "{why}"
    );
    assert!(
        why.contains("step 1 of 1") && why.contains("modprobe sch_netem"),
        "{why}"
    );
    assert!(matches!(left.ended, Ended::Failed { .. }));
    assert_eq!(left.residue, Vec::<String>::new());
}

#[test]
fn harm_and_altered_settings_stand_in_the_recording() {
    let steps = [
        "power-cut n1 for 1s",
        "configure ledger min.insync.replicas = 1 for 1s",
    ];
    let left = run(Vice::None, &steps, &[]);
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    let count = |is: fn(&Event) -> bool| left.events.iter().filter(|it| is(it)).count();
    assert_eq!(count(|event| matches!(event, Event::Harm(_))), 1);
    assert_eq!(
        count(|event| matches!(event, Event::Altered(_))),
        2,
        "there and back"
    );
}
