//! What is written and read: results, records, rates.

use crate::pretend::*;
use campaign::shrink::{Asked, Case, Record, shrink};
use plan::{Plan, Schedule, Seed};

#[test]
fn the_plan_file_says_where_it_comes_from() {
    let case = storm(&mut Seed(3).stream("file"), 9);
    let mut record = fresh(&case);
    record.cause.title = "two\nlines".to_owned();
    let mut pretend = Pretend::needing(&Steps::from([0]));
    let shrunk = shrink(&case, asked(3), &mut record, &mut pretend).expect("it goes well");
    let text = shrunk.to_toml(&record, "tidemark run plan.toml --seed 7");
    let head: Vec<&str> = text
        .lines()
        .take_while(|line| line.starts_with('#'))
        .collect();
    assert_eq!(
        head,
        [
            "# A failing run's storm, reduced by `tidemark shrink`.",
            "#",
            "# Run:    2026-11-22T031055-made-up-x7k2qa",
            "# Breaks: acked-lost-below-hw",
            "# Cause:  unexplained in ledger, after isolate",
            "# Seen:   two lines",
            "# Rate:   3 of 3 runs",
            "# Steps:  1 of 9; no step can go",
            "# Again:  tidemark run plan.toml --seed 7",
        ]
    );
    let plan = Plan::parse(&text, "the result").expect("a plan");
    assert_eq!(plan, shrunk.plan);
    assert_eq!(plan.name, "made-up-shrunk");
    assert_eq!(plan.expect, Some(plan::Expected::Broken));
    // A result can be reduced again, and is not called shrunk twice.
    let again = Case::new(&plan, Schedule::draw(&plan, Seed(7)), "").expect("it fits");
    assert_eq!(again.plan(&all(&again)), plan);
}

#[test]
fn a_rate_is_so_many_runs() {
    let rows = [
        (5, None, 3),
        (4, None, 3),
        (1, None, 1),
        (5, Some(0.6), 3),
        (5, Some(0.61), 4),
        (10, Some(0.7), 7),
        (3, Some(1.0), 3),
        (3, Some(0.0), 1),
    ];
    for (times, rate, wanted) in rows {
        assert_eq!(Asked::of_rate(times, rate), wanted, "{times} {rate:?}");
    }
}

#[test]
fn a_record_that_is_none_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("tried.json");
    assert_eq!(Record::read(&path).expect("none yet"), None);
    for (text, wanted) in [
        ("{", "is no record of a reduction"),
        ("{\"format\": 1}", "missing field `run`"),
        ("{\"format\": 3}", "written by a newer Tidemark"),
    ] {
        std::fs::write(&path, text).expect("written");
        let why = Record::read(&path).expect_err(text).to_string();
        assert!(why.contains(wanted), "{why}");
    }
    let case = storm(&mut Seed(3).stream("file"), 9);
    // What an earlier version wrote knew no times, and is gone on with.
    let mut old = serde_json::to_value(fresh(&case)).expect("JSON");
    old["format"] = 1.into();
    old["tried"] = serde_json::json!([
        {"kept": [0, 3], "measured": false, "came": {"is": "same"}, "run": null, "took_s": 60}
    ]);
    std::fs::write(&path, old.to_string()).expect("written");
    let read = Record::read(&path)
        .expect("it is understood")
        .expect("it is there");
    assert_eq!(read.tally(&vec![0, 3].into(), false).same, 1);
    assert_eq!(read.format, campaign::shrink::RECORD_FORMAT);
    let (record, mut other) = (fresh(&case), fresh(&case));
    other.cause.fault = Some("kill".to_owned());
    assert!(!other.continues(&record));
}

#[test]
fn steps_that_do_not_fit_their_plan_are_refused() {
    let plan = Plan::parse(PLAN, "made up").expect("a plan");
    let text = "seed = 1\nsteps = ['kill leader of other/0 for 1s']";
    let schedule = Schedule::parse(text, "made up").expect("a storm");
    let why = Case::new(&plan, schedule, "").expect_err("no such topic");
    assert!(
        why.to_string().contains("there is no topic `other`"),
        "{why}"
    );
}
