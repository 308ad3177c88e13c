//! Drawing: counts that are kept, budgets that are kept, mixes that shift, and old seeds that mean
//! what they meant.

use super::*;
use crate::model::{Budget, NODES, Palette};

const FAULTS: &str = "[storm.faults]\n\"kill leader of ledger/0\" = 3\n\"pause any\" = 2\n\
    \"isolate n1\" = 2\n\"kill zookeeper of any\" = 2\n\"split {n0} | {n1, n2}\" = 1\n\
    \"elect preferred of ledger/0\" = 1\n\"crash producer of ledger\" = 1\n\"restart n2\" = 1\n";

fn palette(keys: &str, budget: &str) -> Plan {
    plan(&format!(
        "length = \"300s\"\nhold = [\"2s\", \"8s\"]\nquiet = [\"5s\", \"9s\"]\n{keys}\n{budget}\n{FAULTS}"
    ))
}

const BUDGET: &str = "[storm.budget]\nbrokers = 1\nzookeeper = \"majority\"";
const SHIFT: &str =
    "[storm.shift]\nevery = [\"20s\", \"40s\"]\nkinds = 3\nrest = [\"5s\", \"10s\"]";

fn drawn_from(plan: &Plan) -> &Palette {
    match &plan.storm {
        Storm::Drawn(palette) => palette,
        Storm::Steps(_) => panic!("it is drawn"),
    }
}

/// Begin, end and fault of every step.
fn faults(schedule: &Schedule) -> Vec<(Duration, Duration, Ask, bool)> {
    let faults = schedule
        .steps
        .iter()
        .map(|step| match (&step.when, &step.action) {
            (
                When::At(at),
                Action::Fault {
                    ask,
                    hold: Some(hold),
                    meanwhile,
                    ..
                },
            ) => (*at, *at + *hold, ask.clone(), *meanwhile),
            _ => panic!("{step} is not a timed fault with a hold"),
        });
    faults.collect()
}

#[test]
fn a_seed_means_the_same_shifting_storm_for_ever() {
    let plan = palette(&format!("at_once = 2\ncount = 14\n{SHIFT}"), BUDGET);
    let drawn = Schedule::draw(&plan, Seed(42));
    assert_eq!(
        drawn.to_toml(),
        include_str!("../seed-42-shifting.toml"),
        "{drawn}"
    );
}

#[test]
fn exactly_so_many_faults_are_drawn_and_spread() {
    for (keys, budget) in [
        ("count = 20", ""),
        ("count = 42", BUDGET),
        ("count = 1", ""),
        ("count = 30\nat_once = 3", ""),
        ("count = 42\nat_once = 3", BUDGET),
    ] {
        let plan = palette(keys, budget);
        let count = drawn_from(&plan).count.expect("asked for") as usize;
        for seed in 0..100 {
            let schedule = Schedule::draw(&plan, Seed(seed));
            let faults = faults(&schedule);
            assert_eq!(faults.len(), count, "{keys}, {seed}: {schedule}");
            assert!(
                faults
                    .iter()
                    .all(|(_, end, ..)| *end <= Duration::from_secs(300)),
                "{schedule}"
            );
            let gap = faults.windows(2).map(|two| two[1].0 - two[0].0).max();
            // Nowhere is nothing done for long: four times the average cycle.
            assert!(
                gap.is_none_or(|gap| gap.as_secs() <= 4 * 300 / count as u64 + 20),
                "{schedule}"
            );
            assert_eq!(schedule.fits(&plan), Ok(()));
        }
    }
}

#[test]
fn a_count_that_never_fits_is_refused() {
    let refused = |keys: &str| {
        let (_, text) = crate::plans::find("demo").expect("embedded");
        let head = text.split("[storm]").next().expect("the demo has a storm");
        let storm = format!(
            "length = \"300s\"\nhold = [\"2s\", \"8s\"]\nquiet = [\"5s\", \"9s\"]\n{keys}\n{FAULTS}"
        );
        Plan::parse(&format!("{head}[storm]\n{storm}"), "test").map(|_| ())
    };
    assert_eq!(refused("count = 42"), Ok(()));
    let told = refused("count = 43")
        .expect_err("43 times 7 s are 301 s")
        .to_string();
    assert!(
        told.contains("`storm.count`: no more than 42 faults fit"),
        "{told}"
    );
    // Six mixes of 40 s with 5 s between, and the rest of 30 s: 5 faults each, and 4.
    assert_eq!(refused(&format!("count = 34\n{SHIFT}")), Ok(()));
    assert!(refused(&format!("count = 35\n{SHIFT}")).is_err());
}

#[test]
fn what_is_open_at_once_keeps_to_the_budget_and_the_number() {
    let plan = palette("at_once = 3", BUDGET);
    let budget = Budget {
        brokers: Some(1),
        zookeeper_majority: true,
    };
    assert_eq!(plan.budget, budget);
    let mut most = 0;
    for seed in 0..200 {
        let schedule = Schedule::draw(&plan, Seed(seed));
        let faults = faults(&schedule);
        for (at, ..) in &faults {
            let open: Vec<&Ask> = faults
                .iter()
                .filter(|(from, end, ..)| from <= at && at < end)
                .map(|(_, _, ask, _)| ask)
                .collect();
            assert!(open.len() <= 3, "{schedule}");
            assert_eq!(
                budget.allows(open.iter().copied()),
                Ok(()),
                "{seed} {schedule}"
            );
            most = most.max(open.len());
        }
        for (_, end, ask, meanwhile) in &faults {
            let held = !ask.leaves_nothing_to_hold();
            assert_eq!(*meanwhile, held, "{ask} until {end:?}");
        }
        assert!(faults.len() >= 20, "{schedule}");
    }
    assert!(most >= 2, "faults never met");
}

#[test]
fn a_budget_without_room_still_gives_every_fault_that_was_asked_for() {
    let plan = plan(&format!(
        "length = \"300s\"\nhold = [\"2s\", \"8s\"]\nquiet = [\"5s\", \"9s\"]\nat_once = 3\ncount = 42\n\
         {BUDGET}\n[storm.faults]\n\"kill any\" = 1\n\"pause leader of ledger/0\" = 1"
    ));
    for seed in 0..50 {
        let schedule = Schedule::draw(&plan, Seed(seed));
        let faults = faults(&schedule);
        assert_eq!(faults.len(), 42, "{schedule}");
        assert!(
            faults.windows(2).all(|two| two[0].1 < two[1].0),
            "{schedule}"
        );
    }
}

#[test]
fn a_mix_has_few_kinds_and_ends_before_the_next() {
    let plan = palette(SHIFT, "");
    let palette = drawn_from(&plan);
    let mut all = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let schedule = Schedule::draw(&plan, Seed(seed));
        let faults = faults(&schedule);
        assert!(faults.len() >= 10, "{schedule}");
        let windows = super::super::drawing::windows(palette, Seed(seed));
        for window in &windows {
            let inside: Vec<_> = faults
                .iter()
                .filter(|(at, ..)| window.from <= *at && *at < window.until)
                .collect();
            assert!(
                inside.iter().all(|(_, end, ..)| *end <= window.until),
                "{schedule}"
            );
            let kinds: std::collections::BTreeSet<String> =
                inside.iter().map(|(_, _, ask, _)| unsettled(ask)).collect();
            assert!(kinds.len() <= 3, "{kinds:?}");
            all.extend(kinds);
        }
        for two in windows.windows(2) {
            let rest = two[1].from - two[0].until;
            assert!((5_000..=10_000).contains(&rest.as_millis()), "{rest:?}");
        }
        let outside = faults
            .iter()
            .filter(|(at, ..)| !windows.iter().any(|w| w.from <= *at && *at < w.until));
        assert_eq!(outside.count(), 0, "{schedule}");
    }
    assert_eq!(all.len(), 8, "every kind is drawn some day: {all:?}");
}

/// A fault as the palette has it: `any` where a node was drawn for it.
fn unsettled(ask: &Ask) -> String {
    let mut ask = ask.clone();
    let of_any = matches!(&ask, Ask::Process { kind, service, .. }
        if *kind == history::FaultKind::Pause || *service == history::Service::ZooKeeper);
    if let Some(target) = ask.target_mut()
        && of_any
    {
        *target = Target::Any;
    }
    ask.to_string()
}

#[test]
fn any_is_drawn_for_every_fault_that_has_a_target() {
    let plan = plan(
        "steps = [\"flap isolate any every 1s for 3s\", \"lose 5% of any for 3s\", \"wipe any\", \
         \"kill minority\"]",
    );
    for seed in 0..20 {
        let drawn = Schedule::draw(&plan, Seed(seed));
        let node = |text: &str| NODES.iter().any(|node| text.contains(&node.to_string()));
        for step in &drawn.steps[..3] {
            assert!(node(&step.to_string()), "{step}");
        }
        assert_eq!(drawn.steps[3].to_string(), "kill minority");
    }
}

/// Old palettes draw what they drew: the loop of the first release, said again.
#[test]
fn a_palette_without_the_further_keys_is_drawn_as_ever() {
    let plan = stormy();
    let palette = drawn_from(&plan);
    for seed in (0..300).map(Seed) {
        let mut streams = ["fault", "hold", "quiet", "any"].map(|name| seed.stream(name));
        let [faults, holds, quiets, targets] = &mut streams;
        let mut wanted = Vec::new();
        let mut now = Duration::ZERO;
        loop {
            let at = now + quiets.duration(palette.quiet);
            let hold = holds.duration(palette.hold);
            let mut ask = faults
                .pick_weighted(&palette.faults)
                .expect("weights")
                .clone();
            now = at + hold;
            if now > palette.length {
                break;
            }
            if let Some(target) = ask.target_mut()
                && *target == Target::Any
            {
                *target = Target::Node(*targets.pick(&NODES).expect("nodes"));
            }
            wanted.push((at, now, ask, false));
        }
        assert_eq!(faults_of(&plan, seed), wanted, "{seed:?}");
    }
}

fn faults_of(plan: &Plan, seed: Seed) -> Vec<(Duration, Duration, Ask, bool)> {
    faults(&Schedule::draw(plan, seed))
}
