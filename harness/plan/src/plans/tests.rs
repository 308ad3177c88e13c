//! The embedded plans: each reads, is what its file name says, and is complete in the list.

use std::collections::BTreeSet;
use std::time::Duration;

use super::*;
use crate::model::{Acks, Action, Budget, Expected, Plan, Rate, When};
use crate::schedule::Schedule;
use crate::seed::Seed;

#[test]
fn every_plan_of_the_repository_is_embedded_and_reads() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../plans");
    let listed = |directory: String| {
        let files = std::fs::read_dir(directory).expect("the repository has plans");
        let name = |file: std::io::Result<std::fs::DirEntry>| {
            let name = file.expect("readable").file_name();
            let name = name.to_string_lossy();
            name.strip_suffix(".toml").map(str::to_owned)
        };
        files.filter_map(name).collect::<Vec<String>>()
    };
    let mut files = listed(directory.to_owned());
    files.extend(listed(format!("{directory}/known")));
    files.sort();
    let mut names: Vec<&str> = EMBEDDED.iter().map(|(name, _, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(names, files);
    for name in names {
        let (origin, text) = find(name).expect("it is in the list");
        let plan = Plan::parse(&text, &origin).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(plan.name, name);
        let again = plan.to_toml();
        assert_eq!(Plan::parse(&again, "again"), Ok(plan), "{again}");
    }
}

#[test]
fn an_unknown_plan_is_told_with_the_nearest_and_all_there_are() {
    let told = find("dmeo").expect_err("no such plan").to_string();
    assert!(
        told.starts_with("no plan is called `dmeo`; did you mean `demo`?\nthere are "),
        "{told}"
    );
    assert!(told.contains("`demo`"), "{told}");
    let told = find("no/such.toml").expect_err("no such file").to_string();
    assert!(
        told.starts_with("failed to read the plan no/such.toml: "),
        "{told}"
    );
}

fn embedded(name: &str) -> Plan {
    let (origin, text) = find(name).unwrap_or_else(|e| panic!("{e}"));
    Plan::parse(&text, &origin).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_two_canaries_differ_in_the_protocol_alone() {
    const PROTOCOL: &str = "inter.broker.protocol.version";
    let old = embedded("canary-kip101");
    let mut default = embedded("canary-kip101-default");
    assert_eq!(old.expect, Some(Expected::Broken));
    assert_eq!(default.expect, Some(Expected::Held));
    assert_eq!(default.cluster.properties.get(PROTOCOL), None);
    let protocol = old.cluster.properties[PROTOCOL].clone();
    default
        .cluster
        .properties
        .insert(PROTOCOL.to_owned(), protocol);
    default.name.clone_from(&old.name);
    default.about.clone_from(&old.about);
    default.expect = old.expect;
    assert_eq!(default, old);
}

#[test]
fn the_demo_puts_two_contracts_under_one_leader() {
    let demo = embedded("demo");
    let (ledger, metrics) = (&demo.topics["ledger"], &demo.topics["metrics"]);
    assert_eq!(
        (ledger.load.acks, ledger.load.idempotent),
        (Acks::All, true)
    );
    assert_eq!(ledger.min_insync_replicas, 2);
    assert_eq!(metrics.load.acks, Acks::Leader);
    assert_eq!(
        ledger.assignment, metrics.assignment,
        "one broker leads both"
    );
}

#[test]
fn the_standard_storm_is_twenty_faults_in_five_minutes_that_excuse_nothing() {
    let plan = embedded("standard-storm");
    let budget = Budget {
        brokers: Some(1),
        zookeeper_majority: true,
    };
    assert_eq!(plan.budget, budget);
    assert_eq!(plan.expect, Some(Expected::Held));
    assert_eq!(plan.topics["ledger"].load.rate, Rate::PerSecond(2_000));
    let mut kinds = BTreeSet::new();
    for seed in 0..200 {
        let drawn = Schedule::draw(&plan, Seed(seed));
        assert_eq!(drawn.steps.len(), 20, "{drawn}");
        assert_eq!(drawn.fits(&plan), Ok(()));
        for step in &drawn.steps {
            let Action::Fault {
                ask,
                hold: Some(hold),
                ..
            } = &step.action
            else {
                panic!("{step} is no fault that is held");
            };
            let When::At(at) = step.when else {
                panic!("{step} has no time");
            };
            assert!(at + *hold <= Duration::from_secs(300), "{step}");
            kinds.extend(ask.to_string().split(' ').next().map(str::to_owned));
        }
    }
    assert_eq!(
        kinds.len(),
        11,
        "every kind is drawn by some seed: {kinds:?}"
    );
}

/// The steps and palettes of docs/plans.md, in the demo's surroundings.
#[test]
fn the_examples_of_the_documentation_read() {
    let docs = include_str!("../../../../docs/plans.md");
    let (_, demo) = find("demo").unwrap_or_else(|e| panic!("{e}"));
    let head = demo.split("[storm]").next().expect("the demo has a storm");
    let blocks = docs.split("```toml\n").skip(1);
    let mut read = 0;
    for block in blocks.filter_map(|rest| rest.split("```").next()) {
        let header = if block.contains("[storm]") {
            ""
        } else {
            "[storm]\n"
        };
        let plan = Plan::parse(&format!("{head}{header}{block}"), "docs/plans.md");
        plan.unwrap_or_else(|e| panic!("{e}\n{block}"));
        read += 1;
    }
    assert_eq!(read, 3);
}
