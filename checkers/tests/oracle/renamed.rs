//! Changes of the small worlds that must not change what is said of them, or only in one direction,
//! made in their text.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, check_any, cuts, files, groups, leaders, minimum, scene, transactions};

/// What is said of the first topic: guarantee, verdict, how often seen, how much examined.
fn said(text: &str) -> Vec<(String, &'static str, u64, u64)> {
    let judgement = scene::judged(text);
    let topic = judgement.topics.iter().find(|topic| topic.topic == "t");
    let rows = topic.expect("the topic").guarantees.iter();
    rows.map(|row| {
        let (verdict, seen, examined) = crate::row(&row.verdict);
        (row.name.clone(), verdict, seen, examined)
    })
    .collect()
}

/// Every name that is this letter and a number gets another number.
fn renamed(text: &str, letter: char, number: impl Fn(u64) -> u64) -> String {
    let mut out = String::new();
    let mut rest = text;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if first == letter && digits > 0 && !before.is_alphanumeric() {
            let old: u64 = after[..digits].parse().expect("a number");
            out.push_str(&format!("{letter}{}", number(old)));
            (before, rest) = ('0', &after[digits..]);
        } else {
            out.push(first);
            (before, rest) = (first, after);
        }
    }
    out
}

/// Every moment of the run itself a quarter of a second later; the drain is where it was.
fn later(text: &str) -> String {
    let moment = |word: &str| {
        let number = word
            .strip_suffix('s')
            .and_then(|text| text.parse::<f64>().ok());
        match number.filter(|number| *number < 90.0) {
            Some(number) => seconds((number * 1_000.0).round() as u64 + 250),
            None => word.to_owned(),
        }
    };
    let word = |word: &str| {
        let moments: Vec<String> = word.split("..").map(moment).collect();
        moments.join("..")
    };
    let line = |line: &str| line.split(' ').map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

/// Another topic that is well.
const BESIDE: &str = "
    topic u on n0,n1,n2 by c50 acks=all
    n0 said 0.400s leader u/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    c50 send u/0 v7000 -> @0 by n0 at 88.000s..88.100s
    n0 final u/0: e0 @0 v7000
    n1 final u/0: e0 @0 v7000
    n2 final u/0: e0 @0 v7000";

fn changes_nothing(text: &str) -> Result<(), TestCaseError> {
    let before = said(text);
    // Of two brokers that lead the last epoch one must be taken for the leader, by its name.
    let two = |row: &(String, &str, u64, u64)| row.0 == "two-leaders-one-epoch" && row.2 > 0;
    if !before.iter().any(two) {
        let nodes = renamed(text, 'n', |node| (node + 1) % 3);
        prop_assert_eq!(&before, &said(&nodes), "other names for brokers");
    }
    let clients = renamed(text, 'c', |client| 60 - client);
    prop_assert_eq!(&before, &said(&clients), "other names for clients");
    let values = renamed(text, 'v', |value| 1_000_003 + 65_537 * value);
    prop_assert_eq!(&before, &said(&values), "other names for values");
    prop_assert_eq!(&before, &said(&later(text)), "a later clock");
    // The topic beside it may be unproven, not more.
    let beside = said(&format!("{text}\n{BESIDE}"));
    for (before, after) in before.iter().zip(&beside) {
        if (before.1, after.1) != ("held", "unproven") {
            prop_assert_eq!(before, after, "a topic beside it");
        }
    }
    Ok(())
}

/// Without the final read nothing is said more strongly.
fn says_no_more(text: &str) -> Result<(), TestCaseError> {
    let drained = |line: &&str| {
        let of = ["c7 poll", "c8 poll", "phase drain"];
        of.iter().any(|start| line.starts_with(start))
    };
    let without = match text.contains("no drain") {
        true => {
            let kept = text.lines().filter(|line| !drained(line));
            kept.collect::<Vec<_>>().join("\n")
        }
        false => format!("{text}\nno drain"),
    };
    let (before, after) = (said(text), said(&without));
    for without in &after {
        // A topic of which less was read has no rows that it had not before.
        let with = before.iter().find(|row| row.0 == without.0);
        let with = with.expect("the same guarantee");
        let convicted = without.1 == "broken" && with.1 != "broken";
        prop_assert!(!convicted, "{:?} became {:?}", with, without);
        let acquitted = without.1 == "held" && !matches!(with.1, "held" | "broken");
        prop_assert!(!acquitted, "{:?} became {:?}", with, without);
    }
    Ok(())
}

fn check<S: Strategy>(worlds: S, print: impl Fn(&S::Value) -> String) {
    check_any(CASES / 10, worlds, &print, |world| {
        let text = print(world);
        changes_nothing(&text)?;
        says_no_more(&text)
    });
}

#[test]
fn other_names_and_times_change_nothing_for_leaders() {
    check(leaders::any_world(), leaders::World::print);
}

#[test]
fn other_names_and_times_change_nothing_for_transactions() {
    check(transactions::any_world(), transactions::World::print);
}

#[test]
fn other_names_and_times_change_nothing_for_groups() {
    check(groups::any_world(), groups::World::print);
}

#[test]
fn other_names_and_times_change_nothing_for_cuts() {
    check(cuts::any_world(), cuts::World::print);
}

#[test]
fn other_names_and_times_change_nothing_for_files() {
    check(files::any_world(), files::World::print);
}

#[test]
fn other_names_and_times_change_nothing_for_in_sync_sets() {
    check(minimum::any_world(), minimum::World::print);
}
