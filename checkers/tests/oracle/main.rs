//! The judge against the plainest reading of the rules, on random small recordings.
//!
//! Five thousand cases in `make test`, a hundred thousand in `make test-slow`.

#[path = "../guarantees/scene.rs"]
mod scene;

mod classes;
mod cleaned;
mod compacted;
mod cuts;
mod deleted;
mod dirty;
mod files;
mod foreign;
mod groups;
mod leaders;
mod loading;
mod metamorphic;
mod minimum;
mod named;
mod obvious;
mod phantoms;
mod protocols;
mod renamed;
mod rolled_back;
mod settled;
mod stories;
mod transacting;
mod transactions;
mod world;

use std::cell::RefCell;
use std::collections::BTreeMap;

use checkers::Judgement;
use checkers::judgement::{Class, Standing, TopicJudgement, Verdict};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use world::{Topic, any_world, print};

/// How often a guarantee was seen violated, whatever that means for its verdict.
fn seen(judgement: &Judgement, topic: &str, name: &str) -> u64 {
    let of = |t: &&TopicJudgement| t.topic == topic;
    let topic = judgement.topics.iter().find(of).expect("the topic");
    let guarantee = topic.guarantees.iter().find(|g| g.name == name);
    match &guarantee
        .unwrap_or_else(|| panic!("no guarantee {name}"))
        .verdict
    {
        Verdict::Held { .. } => 0,
        Verdict::Broken { observed, .. } | Verdict::NotPromised { observed, .. } => *observed,
        Verdict::Unproven { findings, .. } => {
            let of = judgement
                .findings
                .iter()
                .filter(|f| findings.contains(&f.id));
            of.map(|finding| finding.count).sum()
        }
    }
}

/// A verdict without its words: its kind, how often it was seen, how much was examined.
fn row(verdict: &Verdict) -> (&'static str, u64, u64) {
    match verdict {
        Verdict::Held { examined, .. } => ("held", 0, *examined),
        Verdict::Broken {
            observed, examined, ..
        } => ("broken", *observed, *examined),
        Verdict::NotPromised {
            observed, examined, ..
        } => ("not promised", *observed, *examined),
        Verdict::Unproven { findings, .. } => ("unproven", findings.len() as u64, 0),
    }
}

type Counted = (&'static [&'static str], fn(&Topic) -> u64);
type Noticed = (&'static str, fn(&Topic) -> bool);

/// Rules whose violations are records, counted; several names share one count.
const COUNTED: &[Counted] = &[
    (
        &[
            "acked-lost-below-hw",
            "acked-lost-above-hw",
            "acked-lost-undetermined",
        ],
        obvious::acked_lost,
    ),
    (&["committed-lost"], obvious::committed_lost),
    (&["acked-offset-wrong"], obvious::acked_offset_wrong),
    (&["read-then-vanished"], obvious::read_then_vanished),
    (&["duplicate-in-log"], obvious::duplicates),
];

/// Rules that are violated or not.
const NOTICED: &[Noticed] = &[
    ("order-broken", obvious::order_broken),
    ("real-time-order-broken", obvious::real_time_order_broken),
    ("divergence-lasting", obvious::divergence_lasting),
    ("divergence-below-hw", obvious::divergence_below_hw),
    ("committed-prefix", obvious::committed_prefix),
    ("log-matching-broken", obvious::log_matching),
    ("log-malformed", obvious::log_malformed),
    ("log-hole", obvious::log_hole),
    ("read-then-changed", obvious::read_then_changed),
];

/// What the judge found lost below the high watermark, in records by cause.
fn lost(judgement: &Judgement) -> BTreeMap<(Class, Standing), u64> {
    let mut lost = BTreeMap::new();
    for finding in &judgement.findings {
        if finding.guarantee == "acked-lost-below-hw" {
            *lost.entry((finding.class, finding.standing)).or_default() += finding.count;
        }
    }
    lost
}

/// Compares the causes of what is lost, counted, with what each record's must be.
fn same_classes(
    judgement: &Judgement,
    each: impl Iterator<Item = (Class, Standing)>,
    seen: &Seen,
) -> Result<(), TestCaseError> {
    let mut wanted: BTreeMap<(Class, Standing), u64> = BTreeMap::new();
    for cause in each {
        *wanted.entry(cause).or_default() += 1;
    }
    for (class, _) in wanted.keys() {
        *seen.borrow_mut().entry(format!("{class:?}")).or_default() += 1;
    }
    prop_assert_eq!(lost(judgement), wanted);
    Ok(())
}

fn agrees(topics: &[Topic], guilty: &Seen) -> Result<(), TestCaseError> {
    let text = print(topics);
    let judgement = scene::judged(&text);
    let note = |name: &str, found: bool| {
        *guilty.borrow_mut().entry(name.to_owned()).or_default() += u32::from(found);
    };
    for topic in topics {
        // In a log whose epochs go back nothing says in which epoch a record was written.
        let torn = obvious::log_malformed(topic);
        for (names, count) in COUNTED {
            if torn && names == &["committed-lost"] {
                continue;
            }
            let fast: u64 = names
                .iter()
                .map(|name| seen(&judgement, topic.name, name))
                .sum();
            note(names[0], fast > 0);
            prop_assert_eq!(fast, count(topic), "{} of {}", names[0], topic.name);
        }
        for (name, noticed) in NOTICED {
            if torn && matches!(*name, "divergence-below-hw" | "committed-prefix") {
                continue;
            }
            let fast = seen(&judgement, topic.name, name) > 0;
            note(name, fast);
            prop_assert_eq!(fast, noticed(topic), "{} of {}", name, topic.name);
        }
    }
    for topic in topics {
        let fast = seen(&judgement, topic.name, "misplaced") > 0;
        note("misplaced", fast);
        prop_assert_eq!(
            fast,
            obvious::misplaced(topic, topics),
            "misplaced in {}",
            topic.name
        );
    }
    Ok(())
}

/// How many cases show each finding; a test in which nobody is guilty proves nothing.
type Seen = RefCell<BTreeMap<String, u32>>;

/// Whether a rule of the judge finds in the (only) topic what it should.
fn compare(
    judgement: &Judgement,
    name: &str,
    wanted: bool,
    seen: &Seen,
) -> Result<(), TestCaseError> {
    let topic = &judgement.topics[0].topic;
    let found = self::seen(judgement, topic, name) > 0;
    if found {
        *seen.borrow_mut().entry(name.to_owned()).or_default() += 1;
    }
    prop_assert_eq!(found, wanted, "{}", name);
    Ok(())
}

/// In at least so many cases of a thousand somebody was guilty of it.
fn guilty(seen: &Seen, name: &str, share: u32, cases: u32) {
    let times = seen.borrow().get(name).copied().unwrap_or_default();
    assert!(
        times * 1_000 >= share * cases,
        "{name} was seen {times} times in {cases} cases: {seen:?}"
    );
}

/// So many random recordings in `make test`.
const CASES: u32 = 5_000;

/// Holds a property against so many things drawn; a failing one is printed. Up to [`CASES`] they are
/// always the same ones, so that a failing build fails again; more are drawn anew.
fn check_any<S: Strategy>(
    cases: u32,
    strategy: S,
    print: impl Fn(&S::Value) -> String,
    property: impl Fn(&S::Value) -> Result<(), TestCaseError>,
) {
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = match cases > CASES {
        true => TestRunner::new(config),
        false => {
            let rng = TestRng::deterministic_rng(config.rng_algorithm);
            TestRunner::new_with_rng(config, rng)
        }
    };
    if let Err(failure) = runner.run(&strategy, |drawn| property(&drawn)) {
        match failure {
            TestError::Fail(why, drawn) => panic!("{why}\n{}", print(&drawn)),
            TestError::Abort(why) => panic!("{why}"),
        }
    }
}

/// Judges so many random worlds, each of which must agree with its plain reading, and demands that of
/// a thousand so many show each thing that is named.
fn judge_any<S: Strategy>(
    cases: u32,
    strategy: S,
    print: impl Fn(&S::Value) -> String,
    agrees: impl Fn(&S::Value, &Seen) -> Result<(), TestCaseError>,
    shares: &[(&str, u32)],
) {
    let seen = Seen::default();
    check_any(cases, strategy, print, |world| agrees(world, &seen));
    for (name, share) in shares {
        guilty(&seen, name, *share, cases);
    }
}

/// Holds a property against so many random worlds; a failing one is printed as a scene.
fn check(cases: u32, property: impl Fn(&[Topic]) -> Result<(), TestCaseError>) {
    check_any(
        cases,
        any_world(),
        |topics| print(topics),
        |topics| property(topics),
    );
}

fn judge_and_agree(cases: u32) {
    let counted = COUNTED.iter().map(|(names, _)| names[0]);
    let noticed = NOTICED.iter().map(|(name, _)| *name);
    let shares = counted.chain(noticed).chain(["misplaced"]);
    let shares: Vec<(&str, u32)> = shares.map(|name| (name, 20)).collect();
    judge_any(
        cases,
        any_world(),
        |topics| print(topics),
        |topics, seen| agrees(topics, seen),
        &shares,
    );
}

#[test]
fn the_judge_agrees_with_the_obvious_reading() {
    judge_and_agree(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn the_judge_agrees_with_the_obvious_reading_a_hundred_thousand_times() {
    judge_and_agree(100_000);
}
