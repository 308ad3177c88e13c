//! Nights made up for tests: no run stands behind them.

#![allow(dead_code)] // Each test file uses its own part.

use campaign::{Attempt, Cause, Entry, Facts, NIGHT_FORMAT, Night, Outcome, Role};
use checkers::Fold;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

/// The first made-up night.
pub fn first() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 9, 24).expect("a date")
}

/// A judged run that kept its promises.
pub fn facts(verdict: Fold) -> Facts {
    Facts {
        verdict,
        wanted: None,
        sentence: format!("{verdict}. ledger kept all 21 870 acknowledged records."),
        examined: 21_870,
        kafka: "3.0.0".to_owned(),
        rules: 3,
        faults: 2,
        proved: 2,
        healed: 2,
        odd: Vec::new(),
        figures: Vec::new(),
        causes: Vec::new(),
    }
}

/// The loss of one committed record.
pub fn loss() -> Cause {
    Cause {
        guarantee: "acked-lost-below-hw".to_owned(),
        class: "unexplained".to_owned(),
        topic: "ledger".to_owned(),
        fault: Some("isolate".to_owned()),
        count: 1,
        title: "ledger/0 @8079: 1 acknowledged record lost below the high watermark".to_owned(),
        story: "n1 led e6 and acknowledged it; n2 was elected in e7 without it.".to_owned(),
    }
}

/// A judged attempt.
pub fn judged(run: &str, facts: Facts) -> Attempt {
    Attempt {
        run: Some(run.to_owned()),
        outcome: Outcome::Judged(Box::new(facts)),
    }
}

/// An attempt that the lab failed.
pub fn failed(why: &str) -> Attempt {
    Attempt {
        run: None,
        outcome: Outcome::LabFailed {
            why: why.to_owned(),
        },
    }
}

/// An entry with its attempts.
pub fn entry(plan: &str, role: Role, attempts: Vec<Attempt>) -> Entry {
    Entry {
        plan: plan.to_owned(),
        role,
        seed: 20_261_122,
        again: format!("tidemark run {plan} --lab centos7 --seed 20261122"),
        attempts,
    }
}

/// Both controls, as they should end.
pub fn controls() -> Vec<Entry> {
    vec![
        entry(
            "canary-kip101",
            Role::Canary,
            vec![judged("canary", facts(Fold::Broken))],
        ),
        entry("calm", Role::Calm, vec![judged("calm", facts(Fold::Held))]),
    ]
}

/// The `nth` night after the first, with controls and these entries.
pub fn night(nth: u64, entries: Vec<Entry>) -> Night {
    let date = first().checked_add_days(Days::new(nth)).expect("a date");
    let started: DateTime<Utc> = date.and_hms_opt(3, 10, 0).expect("a time").and_utc();
    let mut all = controls();
    all.extend(entries);
    Night {
        format: NIGHT_FORMAT,
        date,
        nth: 1,
        suite: "nightly".to_owned(),
        lab: "centos7".to_owned(),
        seed: 20_261_122,
        budget_s: 3600,
        taken_s: 3480,
        started,
        ended: Some(started + TimeDelta::minutes(58)),
        next: Some(started + TimeDelta::days(1)),
        tidemark: "0.1.0".to_owned(),
        kafka: "3.0.0".to_owned(),
        void: None,
        entries: all,
    }
}
