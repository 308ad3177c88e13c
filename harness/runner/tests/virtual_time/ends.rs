//! Every way in which a run ends.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::fake::runs::{exits, images, missed, phases, run, stages};
use crate::fake::{Vice, nodes_seen};
use history::rundir::Ended;
use history::{Event, Exit, NodeId, Phase, ProcessChange, Service, Stage};

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
        &[],
    );
    let finished = left.result.expect("it ran");
    assert_eq!(left.ended, Ended::Completed, "{:?}", left.news);
    assert_eq!(
        phases(&left.events),
        [Setup, Steady, Storm, Heal, Settle, Drain, Capture, Teardown]
    );
    let all = BTreeMap::from([
        ("injecting", 2),
        ("took effect", 2),
        ("injected", 2),
        ("healing", 2),
        ("healed", 2),
    ]);
    assert_eq!(stages(&left.events), all);
    assert_eq!(missed(&left.events), Vec::<String>::new());
    assert_eq!((left.residue, finished.stuck), (vec![], vec![]));
    assert!(finished.acked > 1000, "{} acknowledged", finished.acked);
    assert_eq!(nodes_seen(&left.events).len(), 3);
    let images = images(&left.events);
    assert_eq!(images.len(), 5, "two before a return, three at the end");
    assert_eq!(exits(&left.events), [(NodeId(0), Exit::Killed)]);
}

#[test]
fn a_signal_in_the_storm_heals_captures_and_seals() {
    let steps = ["isolate n0", "wait 60s"];
    let left = run(Vice::None, &steps, &[20]);
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
    let left = run(Vice::None, &["wait 1s"], &[2]);
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
    let left = run(Vice::DeadOnArrival, &["wait 1s"], &[]);
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
        &[],
    );
    assert_eq!(stages(&left.events).get("injected"), None);
    assert_eq!(stages(&left.events).get("ineffective"), Some(&1));
    assert_eq!(exits(&left.events), [], "nothing ended");
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("ineffective")));
}

#[test]
fn what_cannot_be_undone_is_stuck_and_told() {
    let left = run(Vice::StaysDown, &["kill n0 for 1s"], &[]);
    let finished = left.result.expect("it ran");
    assert_eq!(finished.stuck.len(), 1, "{:?}", finished.stuck);
    assert!(finished.stuck[0].contains("f1: n0: the broker did not register"));
    assert!(!stages(&left.events).contains_key("healed"));
    assert_eq!(exits(&left.events), [(NodeId(0), Exit::Killed)]);
    let settle = missed(&left.events).pop().expect("it did not settle");
    assert!(settle.contains("f1 could not be undone"), "{settle}");
}

#[test]
fn a_missed_condition_ends_the_storm_unless_the_plan_goes_on() {
    let await_n2 = "await leader of ledger/0 == n2 within 3s";
    let left = run(Vice::None, &[await_n2, "wait 60s"], &[]);
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("not met within")));
    let left = run(
        Vice::None,
        &[&format!("{await_n2} or go on"), "wait 1s"],
        &[],
    );
    assert_eq!(left.ended, Ended::Completed);
    assert_eq!(
        missed(&left.events),
        [format!("{await_n2} or go on: not met within 3s")]
    );
}

#[test]
fn a_failing_teardown_costs_a_warning_and_no_evidence() {
    let left = run(Vice::ClingsOn, &["wait 1s"], &[]);
    let finished = left.result.expect("it ran");
    assert_eq!(left.ended, Ended::Completed);
    assert_eq!(
        finished.warnings,
        ["the teardown failed: the data directory is busy"]
    );
}

#[test]
fn a_signal_ends_the_run_in_time_whatever_never_answers() {
    let steps = ["kill n1 for 1s", "isolate n0", "wait 60s"];
    let calls = [
        "install",
        "bring_up",
        "sample_clocks",
        "cut",
        "cuts",
        "mend",
        "kill",
        "process",
        "start",
        "pause",
        "copy_image",
        "copy_logs",
        "tear_down",
    ];
    for call in calls {
        let left = run(Vice::NeverAnswers(call), &steps, &[18]);
        assert!(
            left.took < Duration::from_secs(18 + 19),
            "{call}: {:?}",
            left.took
        );
        assert!(
            matches!(left.ended, Ended::Interrupted { .. }),
            "{call}: {:?}",
            left.ended
        );
    }
}

#[test]
fn without_a_signal_no_silent_host_holds_a_run_for_ever() {
    let steps = ["isolate n0 for 2s", "kill n1 for 1s"];
    for call in ["cut", "start", "tear_down"] {
        let left = run(Vice::NeverAnswers(call), &steps, &[]);
        assert!(
            left.took < Duration::from_secs(1200),
            "{call}: {:?}",
            left.took
        );
        assert!(phases(&left.events).contains(&Phase::Capture), "{call}");
    }
    let left = run(Vice::NeverAnswers("bring_up"), &steps, &[]);
    let error = left.result.expect_err("it never came up").to_string();
    assert!(error.contains("not ready within"), "{error}");
}

#[test]
fn a_silent_host_costs_the_capture_of_the_others_nothing() {
    for call in ["pause", "copy_image", "copy_logs"] {
        let left = run(Vice::NeverAnswers(call), &["wait 1s"], &[]);
        let warnings = left.result.expect("it ran").warnings;
        assert!(
            warnings.iter().all(|it| it.contains("n1")) && !warnings.is_empty(),
            "{warnings:?}"
        );
        let images = images(&left.events);
        for node in ["n0", "n2"] {
            let file = format!("images/{node}-final.tar.zst");
            assert!(images.contains(&file.as_str()), "{call}: {images:?}");
        }
    }
}

#[test]
fn what_is_down_stays_down_when_the_run_has_to_end() {
    let left = run(
        Vice::None,
        &["kill n0", "pause n1", "isolate n2", "wait 60s"],
        &[20],
    );
    let finished = left.result.expect("it ran");
    assert_eq!((finished.stuck, left.residue), (vec![], vec![]));
    assert!(left.took < Duration::from_secs(25), "{:?}", left.took);
    assert_eq!(
        stages(&left.events).get("healed"),
        Some(&2),
        "the pause and the cut"
    );
    assert_eq!(exits(&left.events), [(NodeId(0), Exit::Killed)]);
    let files = images(&left.events);
    assert!(!files.contains(&"images/n0-before-f1.tar.zst"), "{files:?}");
    assert!(files.contains(&"images/n2-before-f3.tar.zst"), "{files:?}");
}

#[test]
fn a_second_signal_skips_the_capture_and_never_the_heal() {
    let left = run(
        Vice::NeverAnswers("copy_image"),
        &["isolate n0", "wait 60s"],
        &[20, 21],
    );
    assert_eq!(stages(&left.events).get("healed"), Some(&1));
    let warnings = left.result.expect("it ran").warnings;
    assert!(
        warnings.contains(&"the capture was skipped, as asked".to_owned()),
        "{warnings:?}"
    );
    assert!(left.took < Duration::from_secs(24), "{:?}", left.took);
}

#[test]
fn a_signal_after_the_storm_is_told_of_the_phase_in_which_it_came() {
    let left = run(Vice::Unprobed, &["wait 1s"], &[20]);
    let phase = Some(Phase::Settle);
    assert!(matches!(&left.ended, Ended::Interrupted { phase: it, .. } if *it == phase));
    assert!(phases(&left.events).contains(&Phase::Capture));
}

#[test]
fn a_broker_that_no_probe_hears_is_never_settled() {
    let left = run(Vice::Unprobed, &["wait 1s"], &[]);
    assert_eq!(left.ended, Ended::Completed);
    let settle = missed(&left.events).pop().expect("it did not settle");
    assert!(settle.contains("n1 has not answered"), "{settle}");
}

#[test]
fn a_broker_that_ends_by_itself_is_noticed_once_and_at_once() {
    let left = run(Vice::DiesAlone, &["kill n0 for 1s", "wait 5s"], &[]);
    assert_eq!(
        exits(&left.events),
        [(NodeId(0), Exit::Killed), (NodeId(2), Exit::Died)]
    );
    let died = left.events.iter().find_map(|event| match event {
        Event::Process(it) if it.change == ProcessChange::Exited(Exit::Died) => Some(it.at),
        _ => None,
    });
    let died = died.expect("it died").seconds();
    assert!((11.3..12.4).contains(&died), "at {died}");
}

#[test]
fn a_broker_that_ended_under_a_fault_is_started_again_and_no_other() {
    let starts = |steps: &[&str]| {
        let left = run(Vice::DiesAlone, steps, &[]);
        assert_eq!(exits(&left.events), [(NodeId(2), Exit::Died)], "{steps:?}");
        let of_n2 = left.events.iter().filter(|event| {
            matches!(event, Event::Process(it) if it.node == NodeId(2)
                && it.service == Service::Broker
                && matches!(it.change, ProcessChange::Started { .. }))
        });
        of_n2.count()
    };
    assert_eq!(starts(&["isolate n0 for 8s"]), 2);
    assert_eq!(starts(&["wait 8s"]), 1, "with all well it stays as it is");
}

#[test]
fn rules_that_meet_nothing_are_no_cut() {
    let left = run(
        Vice::IdleRules,
        &["isolate n0 for 5s required", "wait 60s"],
        &[],
    );
    assert!(matches!(&left.ended, Ended::CutShort { why, .. } if why.contains("ineffective")));
    let good = run(Vice::None, &["isolate n0 for 5s required"], &[]);
    let evidence = good.events.iter().find_map(|event| match event {
        Event::Fault(fault) => match &fault.stage {
            Stage::Injected { evidence } => Some(evidence.as_str()),
            _ => None,
        },
        _ => None,
    });
    let evidence = evidence.expect("it was in force");
    assert!(evidence.contains("read back at 8.0"), "{evidence}");
    assert_eq!((left.residue, good.residue), (vec![], vec![]));
}

#[test]
fn a_fault_on_what_is_down_already_has_no_effect() {
    let left = run(Vice::None, &["kill n0", "kill n0 for 1s"], &[]);
    assert_eq!(stages(&left.events).get("ineffective"), Some(&1));
    assert_eq!(exits(&left.events), [(NodeId(0), Exit::Killed)]);
}

#[test]
fn a_heal_mends_cuts_before_it_starts_what_is_behind_them() {
    let left = run(Vice::None, &["kill n0", "isolate n0", "heal"], &[]);
    assert_eq!(missed(&left.events), Vec::<String>::new());
    assert_eq!(stages(&left.events).get("healed"), Some(&2));
    assert_eq!(stages(&left.events).get("stuck"), None);
}

#[test]
fn a_host_that_cannot_be_healed_is_told_and_the_run_still_captured() {
    let left = run(Vice::NeverAnswers("mend"), &["isolate n0 for 1s"], &[]);
    let finished = left.result.expect("it ran");
    assert!(
        finished.stuck[0].contains("no answer within"),
        "{:?}",
        finished.stuck
    );
    assert_eq!(
        images(&left.events).len(),
        4,
        "before the first try to heal, and at the end"
    );
    assert!(
        left.news
            .iter()
            .any(|it| it.contains("f1 could not be undone"))
    );
}
