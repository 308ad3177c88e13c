//! The index: made from files, kept up with them, thrown away and made again with the same answers.

mod common;

use std::fs;
use std::path::Path;

use campaign::{Facts, Figure, Index, Metric, Night, Role, State, Whose};
use checkers::{Fold, Judgement};
use common::{entry, facts, judged, loss, night};

/// A judged run as `verdict.json` has it.
const VERDICT: &str = include_str!("../../../checkers/tests/samples/demo.json");
const RUN: &str = "2026-09-24T031500-demo-x7k2qa";

fn whose() -> Whose {
    Whose {
        suite: "nightly".to_owned(),
        lab: "centos7".to_owned(),
    }
}

/// A run directory with a verdict.
fn run(results: &Path, name: &str, verdict: &str) {
    let dir = results.join("runs").join(name);
    fs::create_dir_all(dir.join("history")).expect("made");
    fs::write(dir.join("history/events.tmh"), "events").expect("written");
    fs::write(dir.join("verdict.json"), verdict).expect("written");
}

fn refreshed(results: &Path) -> Index {
    let mut index = Index::open(results).expect("an index");
    let found = index.refresh(results).expect("refreshed");
    assert_eq!(found.unread, Vec::<String>::new());
    index
}

fn with_gap(seconds: f64) -> Facts {
    let mut facts = facts(Fold::Held);
    facts.figures = vec![Figure {
        metric: Metric::GapAll,
        fault: Some("kill".to_owned()),
        value: seconds,
        over: 1,
    }];
    facts
}

/// Two nights, the second with two runs of the plan.
fn two_nights(results: &Path) -> [Night; 2] {
    let ran =
        |name: &str, gap: f64| entry("demo", Role::Ordinary, vec![judged(name, with_gap(gap))]);
    let first = night(0, vec![ran("a", 4.0)]);
    let second = night(1, vec![ran("b", 5.0), ran("c", 6.0)]);
    for night in [&first, &second] {
        night.write(results).expect("written");
    }
    [first, second]
}

#[test]
fn the_figures_of_a_verdict_are_what_stands_in_it() {
    let judgement: Judgement = serde_json::from_str(VERDICT).expect("a judgement");
    let facts = Facts::of(&judgement);
    assert_eq!((facts.verdict, facts.examined), (Fold::Held, 53_540));
    assert_eq!((facts.faults, facts.proved, facts.healed), (2, 2, 2));
    let figure = |metric, fault: Option<&str>| {
        let mut all = facts.figures.iter();
        let found = all.find(|it| it.metric == metric && it.fault.as_deref() == fault);
        found.map(|it| it.value)
    };
    assert_eq!(figure(Metric::GapAll, Some("kill")), Some(4.31));
    assert_eq!(figure(Metric::ToNewLeader, Some("kill")), Some(4.3));
    assert_eq!(figure(Metric::ToFullIsr, Some("kill")), Some(0.8));
    assert_eq!(figure(Metric::GapOther, Some("kill")), None);
    // A fault that cost nothing counts as well.
    assert_eq!(figure(Metric::LostAboveHw, Some("kill")), Some(0.0));
    assert_eq!(figure(Metric::LostAboveHw, Some("isolate")), Some(14_805.0));
    // Seconds 4 to 8 of both topics, whole ones of the steady phase only.
    assert_eq!(figure(Metric::Throughput, None), Some(4482.0 / 5.0));
    assert_eq!(figure(Metric::Examined, None), Some(53_540.0));
    assert!(facts.causes.is_empty(), "what is not promised is no cause");
}

#[test]
fn a_broken_promise_becomes_a_cause_with_its_fault() {
    let mut judgement: Judgement = serde_json::from_str(VERDICT).expect("a judgement");
    judgement.findings[0].standing = checkers::judgement::Standing::Broken;
    let mut twice = judgement.findings[0].clone();
    twice.id.0 += 1;
    judgement.failovers[0].findings.push(twice.id);
    judgement.findings.push(twice);
    let causes = Facts::of(&judgement).causes;
    assert_eq!(causes.len(), 1, "one cause, not one per finding");
    let cause = &causes[0];
    assert_eq!(
        (cause.guarantee.as_str(), cause.topic.as_str()),
        ("acked-lost-above-hw", "metrics")
    );
    assert_eq!(
        (cause.class.as_str(), cause.fault.as_deref()),
        ("above-hw", Some("isolate"))
    );
    assert_eq!(cause.count, 2 * 14_805);
    assert!(!cause.story.is_empty());
}

#[test]
fn figures_over_nights_are_medians_of_each_night() {
    let results = tempfile::tempdir().expect("a directory");
    two_nights(results.path());
    let mut void = night(
        2,
        vec![entry(
            "demo",
            Role::Ordinary,
            vec![judged("v", with_gap(9.0))],
        )],
    );
    void.void = Some("the canary was not convicted".to_owned());
    void.write(results.path()).expect("written");
    let index = refreshed(results.path());
    let series = index.series(&whose()).expect("series");
    let [series] = series.as_slice() else {
        panic!("{series:?}");
    };
    assert_eq!(
        (series.plan.as_str(), series.metric),
        ("demo", Metric::GapAll)
    );
    assert_eq!(series.fault.as_deref(), Some("kill"));
    let points: Vec<(&str, f64)> = series
        .points
        .iter()
        .map(|it| (it.night.as_str(), it.value))
        .collect();
    assert_eq!(
        points,
        [("2026-09-24", 4.0), ("2026-09-25", 5.5)],
        "no void night"
    );
}

#[test]
fn only_what_is_new_is_read_and_what_changed_is_read_again() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    let [first, _] = two_nights(results);
    run(results, RUN, VERDICT);
    let mut index = Index::open(results).expect("an index");
    let found = index.refresh(results).expect("refreshed");
    assert_eq!((found.nights, found.runs), (2, 1));
    let found = index.refresh(results).expect("refreshed");
    assert_eq!((found.nights, found.runs), (0, 0));

    let mut longer = first;
    longer
        .entries
        .push(entry("late", Role::Ordinary, Vec::new()));
    longer.write(results).expect("written");
    let broken = VERDICT.replacen("\"fold\": \"held\"", "\"fold\": \"broken\"", 1);
    assert_ne!(broken, VERDICT);
    fs::write(results.join("runs").join(RUN).join("verdict.json"), broken).expect("written");
    let found = index.refresh(results).expect("refreshed");
    assert_eq!((found.nights, found.runs), (1, 1));
    let nights = index.nights(&whose(), 10).expect("nights");
    assert_eq!(nights[0], longer);
    let known = index.runs().expect("runs");
    let judged_again = known.iter().find(|it| it.name == RUN).expect("the run");
    assert_eq!(
        (judged_again.verdict, judged_again.state),
        (Fold::Broken, State::Whole)
    );
}

#[test]
fn a_night_tells_a_run_as_it_was_judged_last() {
    let results = tempfile::tempdir().expect("a directory");
    let old = facts(Fold::Unproven);
    let night = night(
        0,
        vec![entry("demo", Role::Ordinary, vec![judged(RUN, old)])],
    );
    night.write(results.path()).expect("written");
    run(results.path(), RUN, VERDICT);
    let index = refreshed(results.path());
    let nights = index.nights(&whose(), 1).expect("nights");
    let facts = nights[0].entries[2].judged().expect("judged");
    assert_eq!((facts.verdict, facts.examined), (Fold::Held, 53_540));
}

#[test]
fn a_run_that_is_thinned_or_deleted_keeps_its_row_through_a_rebuild() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    let facts = Facts::of(&serde_json::from_str(VERDICT).expect("a judgement"));
    let mut facts = facts;
    facts.causes = vec![loss()];
    let night = night(
        0,
        vec![entry(
            "demo",
            Role::Ordinary,
            vec![judged(RUN, facts.clone())],
        )],
    );
    night.write(results).expect("written");
    run(results, RUN, VERDICT);
    let dir = results.join("runs").join(RUN);
    let state = |index: &Index| {
        let runs = index.runs().expect("runs");
        let run = runs.iter().find(|it| it.name == RUN).expect("the run");
        (run.state, run.bytes > 0, run.verdict)
    };
    assert_eq!(state(&refreshed(results)), (State::Whole, true, Fold::Held));
    fs::remove_file(dir.join("history/events.tmh")).expect("thinned");
    assert_eq!(
        state(&refreshed(results)),
        (State::Thinned, true, Fold::Held)
    );
    fs::remove_dir_all(&dir).expect("deleted");
    let index = refreshed(results);
    assert_eq!(state(&index), (State::Deleted, false, Fold::Held));
    let before = index.series(&whose()).expect("series");
    drop(index);

    let (index, found) = Index::rebuild(results).expect("rebuilt");
    assert_eq!((found.nights, found.runs), (1, 0));
    assert_eq!(state(&index), (State::Deleted, false, Fold::Held));
    assert_eq!(index.series(&whose()).expect("series"), before);
    assert_eq!(index.nights(&whose(), 1).expect("nights"), [night]);
}

#[test]
fn an_index_that_is_damaged_or_of_another_version_is_made_anew() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    two_nights(results);
    let path = results.join("index.sqlite");
    let before = refreshed(results).series(&whose()).expect("series");
    for damage in ["no database at all", ""] {
        fs::write(&path, damage).expect("damaged");
        assert_eq!(refreshed(results).series(&whose()).expect("series"), before);
    }
    // The version stands at byte 60 of the file.
    let mut bytes = fs::read(&path).expect("read");
    bytes[60..64].copy_from_slice(&99u32.to_be_bytes());
    fs::write(&path, bytes).expect("written");
    assert_eq!(refreshed(results).series(&whose()).expect("series"), before);
}

#[test]
fn files_that_cannot_be_read_are_named_and_stop_nothing() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    two_nights(results);
    fs::write(results.join("nights/2026-09-26.json"), "{").expect("written");
    run(results, RUN, r#"{"format": 9}"#);
    let mut index = Index::open(results).expect("an index");
    let found = index.refresh(results).expect("refreshed");
    assert_eq!(found.nights, 2);
    assert_eq!(found.unread.len(), 2, "{:?}", found.unread);
    assert!(
        found.unread[0].contains("2026-09-26.json is no night"),
        "{:?}",
        found.unread
    );
    assert!(
        found.unread[1].contains("newer Tidemark"),
        "{:?}",
        found.unread
    );
}

#[test]
fn suites_and_labs_are_kept_apart_and_a_lost_night_is_forgotten() {
    let results = tempfile::tempdir().expect("a directory");
    let results = results.path();
    two_nights(results);
    let mut other = night(5, Vec::new());
    other.lab = "local".to_owned();
    let file = other.write(results).expect("written");
    let index = refreshed(results);
    let labs: Vec<String> = index
        .whose()
        .expect("whose")
        .into_iter()
        .map(|it| it.lab)
        .collect();
    assert_eq!(labs, ["local", "centos7"], "the newest first");
    assert_eq!(index.nights(&whose(), 10).expect("nights").len(), 2);
    assert_eq!(
        index.nights(&whose(), 1).expect("nights")[0].name(),
        "2026-09-25"
    );
    drop(index);
    fs::remove_file(file).expect("removed");
    assert_eq!(refreshed(results).whose().expect("whose"), [whose()]);
}
