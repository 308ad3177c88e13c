//! Nights that go well, badly, or not at all, with somebody who only says that runs were made.

mod common;

use std::time::Duration;

use campaign::conduct::{Runs, conduct, seed_of};
use campaign::{Attempt, Night, Outcome, Role};
use checkers::Fold;
use chrono::{DateTime, TimeDelta, Utc};
use plan::Suite;

use common::{facts, failed, judged, night};

const SUITE: &str = r#"
name = "small"
about = "Controls and two plans."
budget = "20m"
canary = "canary-kip101"
calm = "quiet"
[[plans]]
plan = "demo"
takes = "60s"
weight = 3
[[plans]]
plan = "transactions"
takes = "100s"
"#;

type Answer = Box<dyn FnMut(&str, usize) -> Attempt>;

/// Time passes only while it runs something.
struct Fake {
    answer: Answer,
    takes: Duration,
    passed: Duration,
    began: DateTime<Utc>,
    stopped: Option<(usize, String)>,
    runs: Vec<(String, u64, Duration)>,
    heals: usize,
}

impl Fake {
    fn new(answer: impl FnMut(&str, usize) -> Attempt + 'static) -> Self {
        Self {
            answer: Box::new(answer),
            takes: Duration::from_secs(60),
            passed: Duration::ZERO,
            began: DateTime::UNIX_EPOCH,
            stopped: None,
            runs: Vec::new(),
            heals: 0,
        }
    }
}

impl Runs for Fake {
    fn run(&mut self, plan: &str, seed: u64, deadline: Duration) -> Attempt {
        let before = self.runs.iter().filter(|(of, ..)| of == plan).count();
        self.runs.push((plan.to_owned(), seed, deadline));
        self.passed += self.takes.min(deadline);
        (self.answer)(plan, before)
    }

    fn heal(&mut self) {
        self.heals += 1;
    }

    fn elapsed(&self) -> Duration {
        self.passed
    }

    fn now(&self) -> DateTime<Utc> {
        self.began + TimeDelta::seconds(self.passed.as_secs().cast_signed())
    }

    fn stop(&mut self) -> Option<String> {
        let (after, why) = self.stopped.clone()?;
        (self.runs.len() >= after).then_some(why)
    }

    fn again(&self, plan: &str, seed: u64) -> String {
        format!("tidemark run {plan} --seed {seed}")
    }

    fn tell(&mut self, _: &str) {}
}

fn well(plan: &str, before: usize) -> Attempt {
    let verdict = if plan == "canary-kip101" {
        Fold::Broken
    } else {
        Fold::Held
    };
    judged(&format!("{plan}-{before}"), facts(verdict))
}

fn go(fake: &mut Fake) -> Night {
    go_with(SUITE, fake)
}

fn go_with(suite: &str, fake: &mut Fake) -> Night {
    let suite = Suite::parse(suite, "small.toml").expect("a sound suite");
    let results = tempfile::tempdir().expect("a directory");
    let mut begun = night(1, Vec::new());
    (begun.seed, begun.ended, begun.entries) = (7, None, Vec::new());
    let ended = conduct(&suite, begun, results.path(), fake).expect("a night");
    let path = Night::path(results.path(), ended.date, ended.nth);
    assert_eq!(Night::read(&path).expect("its file"), ended);
    ended
}

fn made(fake: &Fake) -> Vec<&str> {
    fake.runs.iter().map(|(plan, ..)| plan.as_str()).collect()
}

#[test]
fn controls_come_first_then_everything_once_then_what_fits() {
    let mut fake = Fake::new(well);
    let night = go(&mut fake);
    let made = made(&fake);
    assert_eq!(
        made[..4],
        ["canary-kip101", "quiet", "demo", "transactions"]
    );
    // 1 200 s less 20 s: eighteen runs of a minute, where each is known to take 66 s at most, and
    // none is begun that would be asked to end, at half its deadline, before it has.
    assert_eq!(made.len(), 18);
    for (plan, _, deadline) in &fake.runs {
        assert!(
            *deadline / 2 >= Duration::from_secs(66),
            "{plan}: {deadline:?}"
        );
    }
    assert!(fake.passed <= Duration::from_secs(1_200));
    assert_eq!(night.exit_code(), 0);
    assert_eq!(night.void, None);
    // By weight: three demos to a run with transactions, or so.
    let demos = made.iter().filter(|plan| **plan == "demo").count();
    assert!((9..=15).contains(&demos), "{demos}");
    // The seed decides all of it.
    let mut again = Fake::new(well);
    go(&mut again);
    assert_eq!(again.runs, fake.runs);
    let mut seeds: Vec<u64> = fake.runs.iter().map(|(_, seed, _)| *seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    assert_eq!(seeds.len(), 18);
}

#[test]
fn no_run_may_end_behind_the_budget() {
    let mut fake = Fake::new(well);
    fake.takes = Duration::from_secs(3_600);
    go(&mut fake);
    assert!(
        fake.passed <= Duration::from_secs(1_200),
        "{:?}",
        fake.passed
    );
    // What fits by what the suite expects, but not after runs that took twice as long.
    let mut slow = Fake::new(well);
    slow.takes = Duration::from_secs(120);
    let night = go_with(&SUITE.replace("100s", "13m"), &mut slow);
    let transactions = &night.entries[3].attempts[0].outcome;
    let Outcome::DidNotRun { why } = transactions else {
        panic!("{transactions:?}");
    };
    assert!(why.contains("of the budget were left"), "{why}");
}

#[test]
fn without_its_controls_a_night_is_void_and_ends() {
    for blind in ["canary-kip101", "quiet"] {
        let mut fake = Fake::new(move |plan, before| {
            let other = if plan == "quiet" {
                Fold::Broken
            } else {
                Fold::Held
            };
            match plan == blind {
                true => judged(plan, facts(other)),
                false => well(plan, before),
            }
        });
        let night = go(&mut fake);
        assert_eq!(made(&fake), ["canary-kip101", "quiet"], "{blind}");
        assert_eq!(night.exit_code(), 3);
        assert!(
            night.sentence().starts_with("Void."),
            "{}",
            night.sentence()
        );
        let ordinary = night.ordinary().count();
        assert_eq!(ordinary, 2, "what did not run is listed");
    }
}

#[test]
fn a_lab_that_failed_is_tried_once_more_and_a_verdict_never() {
    let mut fake = Fake::new(|plan, before| match (plan, before) {
        ("demo", 0) => failed("n1 cannot be reached"),
        ("transactions", 0) => judged("broken", facts(Fold::Broken)),
        ("canary-kip101", 0) => failed("n2 cannot be reached"),
        _ => well(plan, before),
    });
    let night = go(&mut fake);
    assert_eq!(
        made(&fake)[..6],
        [
            "canary-kip101",
            "canary-kip101",
            "quiet",
            "demo",
            "demo",
            "transactions"
        ]
    );
    assert_eq!(fake.heals, 2);
    let of = |plan: &str| night.entries.iter().find(|entry| entry.plan == plan);
    let demo = of("demo").expect("a demo");
    assert_eq!((demo.attempts.len(), demo.lab_failures()), (2, 1));
    assert!(demo.judged().is_some());
    let seeds: Vec<u64> = fake.runs[3..5].iter().map(|(_, seed, _)| *seed).collect();
    assert_eq!(seeds[0], seeds[1], "the same storm");
    assert_eq!(night.exit_code(), 1);

    let mut fake = Fake::new(|plan, before| match plan {
        "transactions" => failed("n1 cannot be reached"),
        _ => well(plan, before),
    });
    fake.takes = Duration::from_secs(200);
    let night = go(&mut fake);
    assert_eq!(
        night.exit_code(),
        3,
        "twice is the lab's fault, and no good night"
    );
}

#[test]
fn who_is_told_to_stop_stops() {
    let mut fake = Fake::new(well);
    fake.stopped = Some((3, "SIGTERM".to_owned()));
    let night = go(&mut fake);
    assert_eq!(fake.runs.len(), 3);
    assert_eq!(night.entries.len(), 4);
    let entry = &night.entries[3];
    assert_eq!((entry.role, entry.why()), (Role::Ordinary, Some("SIGTERM")));
    assert!(night.ended.is_some());
}

#[test]
fn a_lab_that_is_gone_is_not_asked_all_night() {
    let mut fake = Fake::new(|plan, before| match plan {
        "demo" | "transactions" => failed("n1 cannot be reached"),
        _ => well(plan, before),
    });
    fake.takes = Duration::from_secs(5);
    let night = go(&mut fake);
    let (canary, calm, thrice_two) = (1, 1, 6);
    assert_eq!(fake.runs.len(), canary + calm + thrice_two);
    assert_eq!(night.entries.len(), 5, "nothing more was drawn");
    assert_eq!(night.exit_code(), 3);

    // One that comes back in time is.
    let mut fake = Fake::new(|plan, before| match plan {
        "demo" if before < 2 => failed("n1 cannot be reached"),
        "transactions" if before < 1 => failed("n1 cannot be reached"),
        _ => well(plan, before),
    });
    let night = go(&mut fake);
    assert!(night.ordinary().count() > 5, "{:?}", night.entries);
}

#[test]
fn a_suite_may_want_no_more_runs_than_a_number() {
    for (runs, made) in [(1, 2), (2, 2), (3, 3)] {
        let suite = SUITE.replacen("budget", &format!("runs = {runs}\nbudget"), 1);
        let mut fake = Fake::new(well);
        let night = go_with(&suite, &mut fake);
        assert_eq!(
            night.ordinary().count(),
            made,
            "each plan once, whatever the number"
        );
    }
}

#[test]
fn what_a_night_is_at_stands_in_its_file() {
    let results = tempfile::tempdir().expect("a directory");
    let (path, suite) = (results.path().to_owned(), SUITE);
    let mut fake = Fake::new(move |plan, before| {
        let file = Night::path(&path, night(1, Vec::new()).date, 1);
        let now = Night::read(&file).expect("its file");
        let at = now.entries.last().expect("an entry");
        assert_eq!((at.plan.as_str(), at.attempts.len()), (plan, 0));
        assert_eq!(now.ended, None);
        well(plan, before)
    });
    let suite = Suite::parse(suite, "small.toml").expect("a sound suite");
    let mut begun = night(1, Vec::new());
    (begun.ended, begun.entries) = (None, Vec::new());
    conduct(&suite, begun, results.path(), &mut fake).expect("a night");
}

#[test]
fn a_nights_seed_is_its_date_and_number() {
    let seed = seed_of("2026-11-22", "nightly");
    assert_eq!(seed, seed_of("2026-11-22", "nightly"));
    for other in [
        seed_of("2026-11-22-2", "nightly"),
        seed_of("2026-11-23", "nightly"),
        seed_of("2026-11-22", "weekly"),
    ] {
        assert_ne!(seed, other);
    }
}
