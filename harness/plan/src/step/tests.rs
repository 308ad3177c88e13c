//! Steps: what reads, what does not and why, and that writing undoes reading.

use std::time::Duration;

use proptest::prelude::*;

pub(crate) use any_step::step;

use super::read;
use crate::ask::Ask;
use crate::model::{Action, Condition, Step};

mod any_step;

fn complains(step: &str, expected: &str) {
    let error = step.parse::<Step>().expect_err(step).to_string();
    assert_eq!(error, expected, "for {step}");
}

#[test]
fn the_steps_of_the_documentation_read_and_print_alike() {
    for step in [
        "kill leader of ledger/0 for 8s",
        "await isr of ledger/0 == {n0, n1, n2} within 30s",
        "at 20s isolate leader of metrics/0 for 10s",
        "cut n2 -> n1 port broker",
        "cut n2 -> n1 port zk-client, n1 -> n2 for 1.5s required",
        "send 1 to ledger/0",
        "await log of n2 has \"Truncating partition\" within 20s or go on",
        "await leader of r1/0 == n1 within 20s",
        "await controller == n1 within 5s",
        "await acked of ledger >= 5000 within 60s",
        "pause a follower of ledger/0 for 3s",
        "kill zookeeper of controller",
        "restart all for 2s",
        "at 12.481s kill any for 6s required",
        "wait 2s",
        "heal",
        "heal cutoff",
        "after cutoff 2s stop n1 for 3s meanwhile required as again",
        "after cutoff wait 1s as pause",
        "when hw lag of ledger/0 on n2 >= 100 within 20s kill leader of ledger/0",
        "when isr of ledger/0 == {leader} within 20s or go on power-cut leader of ledger/0 torn",
        "when election of ledger/0 within 1s within 20s or fire pause controller for 5s",
        "await all in sync for 2s and epoch of ledger/0 > 3 or isr size of ledger/0 < 3 within 9s",
        "await (acked >= 5000 or controller == n1) and unflushed of a/0 on n1 > 9 within 1s",
        "await (lag of a/0 on n1 == 0 and uncommitted of a/0 <= 3) for 2s within 10s",
    ] {
        let read: Step = step.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.to_string(), step);
    }
}

#[test]
fn spelling_is_free_where_meaning_is_not() {
    let loose: Step = "  cut n2->n1 port broker,n1->n2   for 1m 30s"
        .parse()
        .unwrap();
    assert_eq!(
        loose.to_string(),
        "cut n2 -> n1 port broker, n1 -> n2 for 90s"
    );
    let named: Step = "kill broker of n1".parse().unwrap();
    assert_eq!(named.to_string(), "kill n1");
    let named: Step = "kill broker of zookeeper leader".parse().unwrap();
    assert_eq!(named.to_string(), "kill broker of zookeeper leader");
    let bracketed: Step = "flap (ring) every 500ms".parse().unwrap();
    assert_eq!(bracketed.to_string(), "flap ring every 0.5s");
    let short: Step = "await ((controller==n1)) within 1s".parse().unwrap();
    assert_eq!(short.to_string(), "await controller == n1 within 1s");
    let full: Step = "lose 100.00% of n1->n2".parse().unwrap();
    assert_eq!(full.to_string(), "lose 100% of n1 -> n2");
    let tight: Step = "await isr of a/0=={n2,n1} within 1s".parse().unwrap();
    assert_eq!(tight.to_string(), "await isr of a/0 == {n1, n2} within 1s");
}

#[test]
fn errors_point_at_the_place_and_name_the_nearest_word() {
    complains(
        "at 3s kil leader of ledger/0",
        "expected a fault such as `kill` or `isolate`, or `send`, `await`, `wait`, `heal` or \
         `roll`, found `kil`; did you mean `kill`?\n\
         \x20   at 3s kil leader of ledger/0\n\
         \x20         ^^^",
    );
    complains(
        "kill leader of ledger",
        "expected a partition such as `ledger/0`, found `ledger`\n\
         \x20   kill leader of ledger\n\
         \x20                  ^^^^^^",
    );
    complains(
        "await leader of ledger/0 == n1",
        "expected `within`, found the end\n\
         \x20   await leader of ledger/0 == n1\n\
         \x20                                 ^",
    );
    complains(
        "kill n1 for 8s requried",
        "expected the end of the step, found `requried`; did you mean `required`?\n\
         \x20   kill n1 for 8s requried\n\
         \x20                  ^^^^^^^^",
    );
    complains(
        "wait 5",
        "`5` is not a duration such as `5s` or `1m 30s`: time unit needed, for example 5sec or \
         5ms\n\
         \x20   wait 5\n\
         \x20        ^",
    );
}

/// A word that is known elsewhere is not suggested in its own place.
#[test]
fn a_palette_names_faults_and_not_how_long_they_last() {
    let said = "kill n1 for 8s".parse::<Ask>().unwrap_err().to_string();
    let wanted = "expected the end of the fault (`hold` says how long it lasts), found `for`\n\
                  \x20   kill n1 for 8s\n\
                  \x20           ^^^";
    assert_eq!(said, wanted);
}

#[test]
fn what_would_be_harmful_or_empty_is_refused() {
    for (step, part) in [
        ("cut n0 -> n1 port probe", "never cut"),
        ("cut n0 -> n0", "no link to itself"),
        ("send 0 to ledger/0", "at least one record"),
        ("await isr of a/0 == {n1, n1} within 3s", "not yet named"),
        ("await isr of a/0 == {} within 3s", "expected a node"),
        ("await log of n2 has \"\" within 3s", "in double quotes"),
        ("await log of n2 has \"x within 3s", "no closing"),
        ("", "found the end"),
        ("kill n300", "expected a target"),
        ("kill zookeeper leader", "say of which process"),
        ("lose 0% of n1", "above 0%"),
        ("lose 100.001% of n1", "up to 100%"),
        ("lose 0.0001% of n1", "a share such as"),
        ("limit n1 to 0kbit", "a bandwidth"),
        ("limit n1 to 5000000mbit", "a bandwidth"),
        ("delay n1 by 0s", "at least 1ms"),
        ("bump clock of n1 by 0s", "whole milliseconds"),
        ("bump clock of n1 by 1us", "whole milliseconds"),
        ("flap ring every 0s", "at least 1ms"),
        ("flap kill n1 every 1s", "expected `isolate`"),
        ("split {n0}", "another group"),
        ("split {n0} | {n0, n1}", "one group only"),
        ("reassign a/0 to n1, n1", "not yet named"),
        ("delete records of a/0 before @-1", "an offset such as"),
        ("kill n1 times 3 every 2s", "must end each time"),
        ("kill n1 for 1s times 0 every 2s", "from 1 to 1000"),
        ("kill n1 for 1s times 3 every 2s", "several steps"),
        ("kill n1 meanwhile", "the end of the step"),
        ("kill n1 as 1st", "a name such as"),
        ("await acked >= -1 within 1s", "whole number"),
        ("await acked >= 1 within 1s or fire", "expected `go`"),
        (
            "when acked >= 1 within 1s or else kill n1",
            "`go on` or `fire`",
        ),
        ("await ((((((((((((((((((all in sync", "too deeply"),
    ] {
        let error = step.parse::<Step>().expect_err(step).to_string();
        assert!(error.contains(part), "{step}: {error}");
    }
}

fn written(text: &str) -> Vec<String> {
    let steps = read(text).unwrap_or_else(|e| panic!("{e}"));
    steps.iter().map(ToString::to_string).collect()
}

#[test]
fn what_stands_for_several_steps_becomes_them() {
    assert_eq!(
        written("at 5s kill n1 for 1s required times 3 every 2s as loop"),
        [
            "at 5s kill n1 for 1s required",
            "wait 2s",
            "kill n1 for 1s required",
            "wait 2s",
            "kill n1 for 1s required as loop",
        ]
    );
    assert_eq!(written("send 5 to a/0 times 1 every 1s"), ["send 5 to a/0"]);
    assert_eq!(
        written("after calm 1s roll every 2s as rolled"),
        [
            "after calm 1s restart n0",
            "await all in sync within 60s",
            "wait 2s",
            "restart n1",
            "await all in sync within 60s",
            "wait 2s",
            "restart n2",
            "await all in sync within 60s as rolled",
        ]
    );
    let rolled = written("roll zookeeper required");
    assert_eq!(rolled.len(), 6);
    assert_eq!(rolled[2], "restart zookeeper of n1 required");
}

#[test]
fn a_restart_without_a_hold_is_healed_at_once() {
    for momentary in [
        "restart n1",
        "elect preferred of a/0",
        "flip bit of a/0 on n1",
    ] {
        let step: Step = momentary.parse().unwrap_or_else(|e| panic!("{e}"));
        assert!(
            matches!(
                step.action,
                Action::Fault {
                    hold: Some(Duration::ZERO),
                    ..
                }
            ),
            "{step:?}"
        );
        assert_eq!(step.to_string(), momentary);
    }
    let held: Step = "kill n1".parse().unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(held.action, Action::Fault { hold: None, .. }));
}

/// What `recovery point` means, said in the way in which it is written back.
#[test]
fn a_recovery_point_is_compared_by_what_is_not_flushed() {
    for (sugar, plain) in [
        (
            "await recovery point of a/0 on n2 < leo - 1000 within 1s",
            "await unflushed of a/0 on n2 > 1000 within 1s",
        ),
        (
            "await recovery point of a/0 on n2<=leo-1000 within 1s",
            "await unflushed of a/0 on n2 >= 1000 within 1s",
        ),
        (
            "await recovery point of a/0 on n2 > leo -5 within 1s",
            "await unflushed of a/0 on n2 < 5 within 1s",
        ),
        (
            "await recovery point of a/0 < leo - 7 within 1s",
            "await leader of a/0 == n0 and unflushed of a/0 on n0 > 7 \
             or leader of a/0 == n1 and unflushed of a/0 on n1 > 7 \
             or leader of a/0 == n2 and unflushed of a/0 on n2 > 7 within 1s",
        ),
    ] {
        let step: Step = sugar.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(step.to_string(), plain, "{sugar}");
        assert_eq!(plain.parse::<Step>().as_ref(), Ok(&step), "{plain}");
    }
}

/// `for` binds closest, then `and`, then `or`.
#[test]
fn conditions_are_joined_as_documented() {
    let step = "await acked > 1 and acked > 2 for 1s or acked > 3 within 1s";
    let step: Step = step.parse().unwrap_or_else(|e| panic!("{e}"));
    let Action::Await { condition, .. } = step.action else {
        panic!("it awaits");
    };
    let Condition::Or(any) = condition else {
        panic!("`or` binds least: {condition:?}");
    };
    assert!(
        matches!(&any[..], [Condition::And(all), Condition::Compare { .. }]
            if matches!(&all[..], [Condition::Compare { .. }, Condition::Lasting(..)])),
        "{any:?}"
    );
}

proptest! {
    #[test]
    fn every_step_is_read_back_as_itself(step in step()) {
        let text = step.to_string();
        prop_assert_eq!(text.parse::<Step>(), Ok(step), "{}", text);
    }

    #[test]
    fn every_fault_is_read_back_as_itself(ask in any_step::ask()) {
        let text = ask.to_string();
        prop_assert_eq!(text.parse::<Ask>(), Ok(ask), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[ a-z0-9>={},\"\\\\/é()|%.<@-]{0,40}") {
        if let Err(error) = read(&text) {
            prop_assert!(!error.to_string().is_empty());
        }
    }

    /// Words of the language in any order.
    #[test]
    fn any_words_are_read_or_refused_without_a_panic(
        words in prop::collection::vec(any_step::word(), 0..14)
    ) {
        let text = words.join(" ");
        match read(&text) {
            Ok(steps) => for step in steps {
                prop_assert_eq!(step.to_string().parse::<Step>(), Ok(step), "{}", text);
            },
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}
