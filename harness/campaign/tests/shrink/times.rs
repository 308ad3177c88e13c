//! Which times are left, once no step can go.

use std::convert::Infallible;
use std::time::Duration;

use crate::pretend::*;
use campaign::shrink::{Case, Ending, Part, Time, shorten};
use plan::{Plan, Schedule, Seed, Storm};

/// Three faults: two a moment after another as the storm was drawn, the third held beside them.
const TIMED: &str = "seed = 7\nsteps = ['at 10s kill n0 for 8s as s0', \
    'at 30s pause n1 for 6.4s meanwhile as s1', 'after s1 4s isolate n2 for 3s as s2', \
    'wait 0.15s as s3', 'send 5 to ledger/0 as s4', 'at 90s kill n2 as s5']";

fn timed() -> Case {
    let schedule = Schedule::parse(TIMED, "made up").expect("a storm");
    let plan = Plan::parse(PLAN, "made up").expect("a plan");
    Case::new(&plan, schedule, "what is left").expect("they fit")
}

/// The steps of a part, as a plan writes them.
fn written(case: &Case, part: &Part) -> Vec<String> {
    let Storm::Steps(steps) = case.plan(part).storm else {
        panic!("a drawn storm");
    };
    steps.iter().map(ToString::to_string).collect()
}

#[test]
fn a_time_is_what_a_step_holds_or_waits_for_and_never_a_deadline() {
    let case = timed();
    let times = case.times(&case.all());
    let wanted = [
        (0, Time::Before, 6),
        (0, Time::Held, 6),
        (1, Time::Before, 6),
        (1, Time::Held, 6),
        (2, Time::Before, 5),
        (2, Time::Held, 4),
        (5, Time::Before, 6),
    ];
    assert_eq!(times, wanted, "0.15 s are short enough");
    let halved = [
        (0, Time::Before, 1),
        (1, Time::Before, 2),
        (1, Time::Held, 6),
        (2, Time::Before, 5),
        (5, Time::Before, 0),
    ];
    let part = case.halve(&case.all(), &halved).expect("a plan");
    assert_eq!(
        written(&case, &part),
        [
            "at 5s kill n0 for 8s as s0",
            "at 10s pause n1 for 0.1s meanwhile as s1",
            "after s1 0.125s isolate n2 for 3s as s2",
            "wait 0.15s as s3",
            "send 5 to ledger/0 as s4",
            "at 70s kill n2 as s5",
        ]
    );
    // Without a step, its time goes to the one behind it; a wait for it is gone.
    assert_eq!(
        case.times(&[2, 5]),
        [(2, Time::Held, 4), (5, Time::Before, 6)]
    );
    let whole: f64 = [10.0, 8.0, 20.0, 6.4, 4.0, 3.0, 0.15, 60.0].iter().sum();
    assert_eq!(case.length(&all(&case)), Duration::from_secs_f64(whole));
}

#[test]
fn times_are_halved_as_long_as_it_fails() {
    let case = timed();
    // n0 has to be down for 3 s, and n2 has to be cut off not before 12 s.
    let fails = |plan: &Plan| {
        let Storm::Steps(steps) = &plan.storm else {
            panic!("a drawn storm");
        };
        let texts: Vec<String> = steps.iter().map(ToString::to_string).collect();
        let number = |text: &str, before: &str, after: &str| -> Option<f64> {
            let (_, rest) = text.split_once(before)?;
            rest.split_once(after)?.0.parse().ok()
        };
        let held = texts.iter().find_map(|it| number(it, "kill n0 for ", "s"));
        let fires = texts.iter().find(|it| it.contains("pause n1"));
        let fires = fires.and_then(|it| number(it, "at ", "s"));
        held.is_some_and(|held| held >= 3.0) && fires.is_some_and(|at| at >= 12.0)
    };
    let mut pretend = Pretend::new(|_| 0);
    pretend.fails_by = Some(Box::new(fails));
    let (shrunk, record) = go(&case, with_times(3), &mut pretend);
    assert_eq!(
        written(&case, &shrunk.part),
        [
            "at 2.5s kill n0 for 4s as s0",
            "at 12.5s pause n1 for 0.1s meanwhile as s1"
        ]
    );
    assert_eq!(
        (shrunk.ending.clone(), shrunk.rate.to_string()),
        (Ending::Minimal, "3 of 3".into())
    );
    let said = shrunk.said(&record);
    assert!(
        said.contains(
            "2 of 6 steps are left, with 16.6 s of holds and pauses instead of 44.4 s; 3 of 3 runs"
        ),
        "{said}"
    );
    assert!(
        said.contains("No step can go, and times are halved where it failed still."),
        "{said}"
    );
    let text = shrunk.to_toml(&record, "x");
    assert!(
        text.contains("# Times:  16.6 s of holds and pauses instead of 44.4 s\n"),
        "{text}"
    );
    let told = pretend.told.join("\n");
    assert!(
        told.contains("`at 12.5s pause n1 for 0.1s meanwhile as s1` instead of `at 12.5s pause"),
        "{told}"
    );
    // Times may stay as they are.
    let mut pretend = Pretend::new(|_| 0);
    pretend.fails_by = Some(Box::new(fails));
    let (kept, record) = go(&case, asked(3), &mut pretend);
    assert_eq!(kept.part, Part::from(vec![0, 1]));
    assert!(kept.said(&record).contains("No step can go."));
}

#[test]
fn times_that_were_halved_by_luck_are_taken_back() {
    let (mut taken_back, mut often_enough) = (0, 0);
    for seed in 0..50 {
        let case = timed();
        let mut pretend = Pretend::new(|_| 0);
        pretend.seed = seed;
        // It fails nearly always; with a hold that is shorter, seldom.
        let mut luck = Seed(seed).stream("a hold");
        pretend.fails_by = Some(Box::new(move |plan| {
            let Storm::Steps(steps) = &plan.storm else {
                panic!("a drawn storm");
            };
            let text: Vec<String> = steps.iter().map(ToString::to_string).collect();
            let text = text.join("\n");
            let often = match (text.contains("kill n0"), text.contains("kill n0 for 8s")) {
                (true, true) => 95,
                (true, false) => 35,
                (false, _) => 0,
            };
            luck.below(100) < often
        }));
        let (shrunk, record) = go(&case, with_times(5), &mut pretend);
        assert_eq!(shrunk.ending, Ending::Minimal, "seed {seed}");
        assert_eq!(record.tally(&shrunk.part, true), shrunk.rate);
        assert!(shrunk.afresh, "seed {seed}");
        often_enough += u32::from(shrunk.often_enough);
        taken_back += u32::from(pretend.told.iter().any(|line| line.ends_with("taken back")));
    }
    assert_eq!(often_enough, 50);
    assert!(taken_back > 10, "{taken_back}");
}

#[test]
fn whoever_is_halved_is_halved_as_far_as_it_fails_and_few_questions_are_asked() {
    for seed in 0..2_000 {
        let mut draws = Seed(seed).stream("halves");
        let count = draws.below(12) as usize;
        let mut each = |least: u32, most: &[u32]| -> Vec<u32> {
            let most = most.iter();
            most.map(|most| draws.between(u64::from(least), u64::from(*most)) as u32)
                .collect()
        };
        let most = each(1, &vec![6; count]);
        let bounds = each(0, &most);
        let mut questions = 0;
        let Ok::<_, Infallible>(halved) = shorten(&most, |halved| {
            questions += 1;
            assert!(halved.iter().zip(&most).all(|(is, most)| is <= most));
            Ok(halved.iter().zip(&bounds).all(|(is, bound)| is <= bound))
        });
        assert_eq!(halved, bounds, "seed {seed}");
        let most_asked = bounds.iter().sum::<u32>() as usize + 2 * count + 6;
        assert!(questions <= most_asked, "seed {seed}: {questions}");
    }
}

#[test]
fn a_budget_that_ends_among_times_leaves_the_steps_reduced() {
    let case = timed();
    let needs = Steps::from([0, 1]);
    let (steps, _) = go(&case, asked(3), &mut Pretend::needing(&needs));
    let (_, record) = go(&case, with_times(3), &mut Pretend::needing(&needs));
    let runs_for_steps = record
        .tried
        .iter()
        .filter(|it| it.part.halved.is_empty())
        .count();
    for more in [1, 3] {
        let mut asked = with_times(3);
        asked.budget = Duration::from_secs(60 * (runs_for_steps as u64 + 1 + more));
        let mut pretend = Pretend::needing(&needs);
        let (shrunk, record) = go(&case, asked, &mut pretend);
        assert_eq!(
            (&shrunk.ending, &shrunk.part.kept),
            (&Ending::Budget, &steps.part.kept)
        );
        assert_eq!(shrunk.afresh, shrunk.part.halved.is_empty());
        let said = shrunk.said(&record);
        assert!(
            said.contains("No step can go; the budget was over: perhaps times can be shorter."),
            "{said}"
        );
    }
}
