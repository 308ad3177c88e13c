//! Suites: the built-in one, and what is wrong with others.

use std::time::Duration;

use super::*;

const SMALL: &str = r#"
name = "small"
about = "Two controls and a run."
budget = "20m"
canary = "canary-kip101"
calm = "quiet"

[[plans]]
plan = "smoke"
weight = 3
takes = "45s"

[[plans]]
plan = "demo"
"#;

#[test]
fn built_in_suites_are_sound() {
    for (name, origin, _) in EMBEDDED {
        let (found, text) = Suite::find(name).expect("it is built in");
        assert_eq!(found, origin);
        let suite = Suite::parse(&text, origin).expect("it is sound");
        assert_eq!(suite.name, name);
        assert_eq!(suite.canary.plan.expect, Some(crate::Expected::Broken));
        assert_eq!(suite.calm.plan.expect, Some(crate::Expected::Held));
    }
}

#[test]
fn a_plan_stands_there_with_its_weight_and_its_time() {
    let suite = Suite::parse(SMALL, "small.toml").expect("it is sound");
    let [smoke, demo] = suite.plans.as_slice() else {
        panic!("two plans");
    };
    assert_eq!((smoke.weight, smoke.takes), (3, Duration::from_secs(45)));
    assert_eq!((demo.named.as_str(), demo.weight), ("demo", 1));
    let storm = Suite::parse(&SMALL.replace("demo", "standard-storm"), "small.toml");
    let takes = storm.expect("it is sound").plans[1].takes;
    assert_eq!(takes, Duration::from_secs(300 + 10 + 75));
}

#[test]
fn the_suite_that_the_docs_show_is_sound() {
    let docs = include_str!("../../../../docs/nights.md");
    let shown = docs
        .lines()
        .skip_while(|line| !line.starts_with("    name = "));
    let shown = shown.map_while(|line| line.strip_prefix("    "));
    let suite: Vec<&str> = shown.collect();
    let suite = Suite::parse(&suite.join("\n"), "docs/nights.md").expect("it is sound");
    assert_eq!(suite.plans.len(), 1);
}

#[test]
fn a_budget_that_is_long_enough_to_the_second_is_one() {
    let told = Suite::parse(&SMALL.replace("20m", "1s"), "small.toml").expect_err("too short");
    let needed = |why: &str| {
        let after = why.split_once("make the budget `").expect("a remedy").1;
        let text = after.split_once('`').expect("a duration").0.to_owned();
        let seconds: u64 = text.trim_end_matches('s').parse().expect("seconds");
        seconds
    };
    // Each refusal names a budget with which this complaint is gone, to the second.
    let (mut budget, mut refusals) = (needed(&told.to_string()), 1);
    let parse = |budget: u64| Suite::parse(&SMALL.replace("20m", &format!("{budget}s")), "s.toml");
    while let Err(why) = parse(budget) {
        assert!(needed(&why.to_string()) > budget, "{why}");
        budget = needed(&why.to_string());
        refusals += 1;
        assert!(refusals < 5, "{why}");
    }
    assert!(refusals > 1, "a plan takes longer than a control");
    assert!(parse(budget - 1).is_err());
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_remedy() {
    for (from, to, told) in [
        (
            "budget",
            "buget",
            "small.toml:4: unknown key `buget`: did you mean `budget`",
        ),
        (
            "\"20m\"",
            "\"2m\"",
            "small.toml:4: `budget`: no night can begin: `quiet` takes about",
        ),
        (
            "\"45s\"",
            "\"18m\"",
            "small.toml:8: `plans`: no night can run it: `smoke` takes about 1080 s and up to 75 s more",
        ),
        ("\"20m\"", "\"soon\"", "is not a duration"),
        ("\"smoke\"", "\"smok\"", "no plan is called `smok`"),
        ("weight = 3", "weight = 0", "small.toml:10: `plans.weight`"),
        (
            "calm = \"quiet\"",
            "",
            "`calm` is missing: the plan without faults",
        ),
        ("\"small\"", "\"Small!\"", "lower-case letters"),
    ] {
        let text = SMALL.replace(from, to);
        let why = Suite::parse(&text, "small.toml")
            .expect_err(told)
            .to_string();
        assert!(why.contains(told), "{why}\n(wanted: {told})");
    }
    for (more, told) in [
        (
            "[tell]\nwebhook_env = \"https://example.org/x\"",
            "is a secret",
        ),
        ("[tell]\nform = \"slack\"", "text"),
        ("[keep]\nheld = \"30d\"\nunproven = \"10d\"", "kept longest"),
        ("[keep]\nbytes = \"40 gigs\"", "not a size"),
    ] {
        let why = Suite::parse(&format!("{SMALL}{more}"), "small.toml");
        let why = why.expect_err(told).to_string();
        assert!(why.contains(told), "{why}\n(wanted: {told})");
    }
    let keep = format!("{SMALL}[keep]\nheld = \"14d\"\nbytes = \"40GiB\"");
    let keep = Suite::parse(&keep, "small.toml").expect("it is sound").keep;
    assert_eq!(keep.bytes, Some(40 << 30));
    let why = Suite::find("weekly")
        .expect_err("nobody built it in")
        .to_string();
    assert!(
        why.contains("no suite is called `weekly`") && why.contains("nightly"),
        "{why}"
    );
}
