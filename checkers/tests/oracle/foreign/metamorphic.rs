//! Changes of a foreign history that must not change what is said of it, or only in one direction.

use std::collections::BTreeMap;

use checkers::jepsen::{Asked, judge_as_jepsen, judge_natively};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use super::check;
use super::history::{Function, History, Kind, Step};
use crate::CASES;

/// How often each type was found; a crash of Jepsen's counts as one.
type Errors = BTreeMap<String, u64>;

/// By Jepsen's rules, and by ours.
fn errors(text: &str, asked: Asked) -> [Errors; 2] {
    let read = exchange::foreign::read(text.as_bytes()).expect("a history");
    let verdicts = [judge_as_jepsen(&read, asked), judge_natively(&read, asked)];
    verdicts.map(|verdict| {
        let json = serde_json::to_value(&verdict).expect("a verdict is JSON");
        if json.get("crash").is_some_and(Value::is_string) {
            return Errors::from([("crash".to_owned(), 1)]);
        }
        serde_json::from_value(json["errors"].clone()).expect("counts")
    })
}

/// Without the cycles that are shown: which ones is free.
fn settled([jepsen, native]: [Errors; 2]) -> [Errors; 2] {
    let shown = |name: &str| name.starts_with("G0") || name.starts_with("G1c");
    [jepsen, native].map(|mut errors| {
        errors.retain(|name, _| !shown(name));
        errors
    })
}

/// What follows from which of several values at one offset is taken, is free too.
fn conflicts(errors: &[Errors; 2]) -> bool {
    errors
        .iter()
        .any(|errors| errors.contains_key("inconsistent-offsets"))
}

fn unchanged(
    history: &History,
    asked: Asked,
    change: impl Fn(&mut History),
) -> Result<(), TestCaseError> {
    let before = errors(&history.print(), asked);
    let mut other = history.clone();
    change(&mut other);
    let after = errors(&other.print(), asked);
    if !conflicts(&before) {
        prop_assert_eq!(settled(before), settled(after), "\n{}", other.print());
    }
    Ok(())
}

#[test]
fn other_names_for_values_change_nothing() {
    check(CASES / 5, |history, asked| {
        unchanged(history, asked, |history| {
            for step in history.ops.iter_mut().flat_map(|op| &mut op.steps) {
                match step {
                    Step::Send(_, value, _) => *value = 1_000_003 + 65_537 * *value,
                    Step::Poll(lists) => {
                        let pairs = lists.iter_mut().flat_map(|(_, pairs)| pairs);
                        pairs.for_each(|(_, value)| *value = 1_000_003 + 65_537 * *value);
                    }
                }
            }
        })
    });
}

#[test]
fn other_processes_and_a_later_clock_change_nothing() {
    check(CASES / 5, |history, asked| {
        unchanged(history, asked, |history| {
            history.shift = 86_400_000_000_000;
            history
                .ops
                .iter_mut()
                .for_each(|op| op.process = 90 - 7 * op.process);
        })
    });
}

#[test]
fn partitions_that_change_names_change_nothing() {
    check(CASES / 5, |history, asked| {
        unchanged(history, asked, |history| {
            for op in &mut history.ops {
                op.keys.iter_mut().for_each(|key| *key = 1 - *key);
                let rebalanced = op.rebalanced.iter_mut().flatten();
                rebalanced.for_each(|key| *key = 1 - *key);
                for step in &mut op.steps {
                    match step {
                        Step::Send(key, ..) => *key = 1 - *key,
                        Step::Poll(lists) => {
                            lists.iter_mut().for_each(|(key, _)| *key = 1 - *key);
                        }
                    }
                }
            }
        })
    });
}

#[test]
fn another_partition_that_is_well_adds_nothing() {
    check(CASES / 5, |history, asked| {
        let before = errors(&history.print(), asked);
        let events = 2 * history.ops.len();
        let add = |n: usize, rest: &str| format!("{{:index {0}, :time {0}0, {rest}}}", events + n);
        let more = [
            history.print(),
            add(
                1,
                ":type :invoke, :process 8, :f :send, :value [[:send :z 77]]",
            ),
            add(
                2,
                ":type :ok, :process 8, :f :send, :value [[:send :z [0 77]]]",
            ),
            add(3, ":type :invoke, :process 9, :f :poll, :value [[:poll]]"),
            add(
                4,
                ":type :ok, :process 9, :f :poll, :value [[:poll {:z [[0 77]]}]]",
            ),
        ];
        let after = errors(&more.join("\n"), asked);
        for (before, after) in settled(before).into_iter().zip(settled(after)) {
            for name in before.keys().chain(after.keys()) {
                let (was, is) = (before.get(name), after.get(name));
                match name.as_str() {
                    // There is a dependency now; and a key that the last poll was the first to
                    // mention is seen one operation later.
                    "empty-transaction-graph" | "unseen" => prop_assert!(is <= was, "{}", name),
                    _ => prop_assert_eq!(was, is, "{}", name),
                }
            }
        }
        Ok(())
    });
}

#[test]
fn without_the_last_poll_nothing_is_said_of_what_was_not_read() {
    check(CASES, |history, asked| {
        let last = history.completed().last().map(|op| op.completed);
        let polls = |op: &&super::history::Op| {
            Some(op.completed) == last && op.function == Function::Poll && op.kind == Kind::Ok
        };
        let Some(last) = history.ops.iter().position(|op| polls(&op)) else {
            return Ok(());
        };
        let before = errors(&history.print(), asked);
        let mut other = history.clone();
        other.ops.remove(last);
        let after = errors(&other.print(), asked);
        // Jepsen's judge died before, or what was read decided which index a value has.
        let moved =
            |errors: &Errors| errors.contains_key("crash") || errors.contains_key("duplicate");
        if conflicts(&before) || before.iter().any(moved) {
            return Ok(());
        }
        for (before, after) in settled(before).into_iter().zip(settled(after)) {
            for (name, times) in &after {
                // What nobody has read any more counts as unseen, or lost where others read on.
                // What somebody missed is gone until anybody is given it again.
                let about_reads = matches!(
                    name.as_str(),
                    "unseen" | "lost-write" | "read-then-vanished"
                );
                let about_all = name == "empty-transaction-graph" || name == "crash";
                let was = before.get(name).copied().unwrap_or_default();
                // A stronger form of cycle hides weaker ones in its component.
                let coarse = |name: &String| name.ends_with("-cycle-exists");
                let hidden = coarse(name) && before.keys().any(coarse);
                prop_assert!(
                    about_reads || about_all || hidden || *times <= was,
                    "{} was found {} times, then {}",
                    name,
                    was,
                    times
                );
            }
        }
        Ok(())
    });
}
