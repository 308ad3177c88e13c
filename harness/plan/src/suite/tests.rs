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
            "small.toml:4: `budget`: the canary and the calm run take about",
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
