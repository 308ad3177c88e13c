//! Schedules: drawn the same for ever, within bounds, and read back as written.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::model::{Condition, When};

mod drawing;
mod figure;

fn plan(storm: &str) -> Plan {
    let (_, text) = crate::plans::find("demo").expect("embedded");
    let head = text.split("[storm]").next().expect("the demo has a storm");
    Plan::parse(&format!("{head}[storm]\n{storm}\n"), "test").unwrap_or_else(|e| panic!("{e}"))
}

fn stormy() -> Plan {
    plan(
        "length = \"60s\"\nhold = [\"3s\", \"10s\"]\nquiet = [\"2s\", \"6s\"]\n\
         faults = { \"kill leader of ledger/0\" = 3, \"pause any\" = 1, \"isolate any\" = 2 }",
    )
}

#[test]
fn a_seed_means_the_same_storm_for_ever() {
    let drawn = Schedule::draw(&stormy(), Seed(42));
    assert_eq!(drawn.to_toml(), include_str!("seed-42.toml"), "{drawn}");
}

#[test]
fn written_steps_are_taken_over_and_any_is_drawn() {
    let plan = plan("steps = [\"kill any for 3s\", \"pause a follower of ledger/0\", \"heal\"]");
    let kills: Vec<String> = (0..40)
        .map(|seed| Schedule::draw(&plan, Seed(seed)).steps[0].to_string())
        .collect();
    for node in NODES {
        assert!(kills.contains(&format!("kill {node} for 3s")), "{node}");
    }
    let drawn = Schedule::draw(&plan, Seed(1));
    let printed = drawn.to_string();
    assert!(printed.starts_with("1  kill n"), "{printed}");
    assert!(
        printed.ends_with("\n2  pause a follower of ledger/0\n3  heal\n"),
        "{printed}"
    );
}

#[test]
fn a_storm_keeps_to_its_bounds() {
    let plan = stormy();
    for seed in 0..200 {
        let schedule = Schedule::draw(&plan, Seed(seed));
        let mut free = Duration::ZERO;
        for step in &schedule.steps {
            let (
                When::At(at),
                Action::Fault {
                    hold: Some(hold), ..
                },
            ) = (step.when.clone(), &step.action)
            else {
                panic!("{step} is not a timed fault with a hold");
            };
            let quiet = at - free;
            assert!((2_000..=6_000).contains(&quiet.as_millis()), "{schedule}");
            assert!((3_000..=10_000).contains(&hold.as_millis()), "{schedule}");
            free = at + *hold;
        }
        assert!(free <= Duration::from_secs(60), "{schedule}");
        assert!(schedule.steps.len() >= 3, "{schedule}");
        assert_eq!(schedule.fits(&plan), Ok(()));
    }
}

#[test]
fn a_schedule_of_another_plan_does_not_fit() {
    let mut schedule = Schedule::draw(&stormy(), Seed(1));
    schedule.steps[0] = "kill leader of other/0 for 2s".parse().expect("a step");
    assert_eq!(
        schedule.fits(&stormy()),
        Err("`kill leader of other/0 for 2s`: there is no topic `other`".to_owned())
    );
}

#[test]
fn a_saved_schedule_is_refused_with_its_line() {
    let told = |text: &str| {
        Schedule::parse(text, "schedule.toml")
            .unwrap_err()
            .to_string()
    };
    assert!(told("seed = 1\nsteps = [\n\"kil n1\",\n]").starts_with("schedule.toml:3: expected"));
    assert!(told("sede = 1\nsteps = []").contains("did you mean `seed`?"));
    assert!(told("seed = -1\nsteps = []").contains("must be a whole number, not negative"));
    let lost = told("seed = 1\nsteps = [\"kill n1 as a\",\n\"at 3s heal b\"]");
    assert!(
        lost.starts_with("schedule.toml:3: `steps`: no step above is called `b`"),
        "{lost}"
    );
    assert!(told("seed = \"x\"\nsteps = []").contains("not a number of 64 bits"));
}

proptest! {
    #[test]
    fn a_schedule_is_read_back_as_itself(
        seed: u64,
        mut steps in prop::collection::vec(crate::step::tests::step(), 0..6),
    ) {
        // Any order of times and names would not do.
        for step in &mut steps {
            if matches!(step.when, When::At(_) | When::After { .. }) {
                step.when = When::Next;
            }
            if let Action::Heal(name) = &mut step.action {
                *name = None;
            }
            step.name = None;
        }
        let schedule = Schedule { seed: Seed(seed), steps };
        let text = schedule.to_toml();
        prop_assert_eq!(Schedule::parse(&text, "again"), Ok(schedule), "{}", text);
    }
}

#[test]
fn an_odd_log_line_survives_saving() {
    let step = Step {
        name: None,
        when: When::Next,
        action: Action::Await {
            condition: Condition::LogLine {
                node: history::NodeId(2),
                contains: "it's \"so\" \\ \t\n odd".to_owned(),
            },
            within: Duration::from_secs(1),
            missed: crate::model::Missed::GoOn,
        },
    };
    let schedule = Schedule {
        seed: Seed(u64::MAX),
        steps: vec![step],
    };
    let text = schedule.to_toml();
    assert_eq!(Schedule::parse(&text, "again"), Ok(schedule), "{text}");
}
