//! Jepsen's rules against their plainest reading, on random small histories.

mod cycles;
mod history;
mod metamorphic;
mod native;
mod rules;

use std::collections::BTreeMap;

use checkers::jepsen::{Asked, judge_as_jepsen};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::Value;

use self::history::{History, any_history};
use self::rules::Orders;
use crate::{CASES, Seen, check_any, guilty};

/// Everything but the cycles, as entries; types without any are left out.
fn entries(history: &History, orders: &Orders) -> Option<BTreeMap<&'static str, Vec<Value>>> {
    if rules::phantom(history) {
        return None;
    }
    let lost = rules::lost_write(history)?;
    let polls = rules::polls(history, orders);
    let polls_within = rules::polls_within(history, orders);
    let sends_within = rules::sends_within(history, orders);
    let all = [
        ("inconsistent-offsets", rules::inconsistent_offsets(history)),
        ("duplicate", rules::duplicate(history)),
        ("G1a", rules::aborted_read(history)),
        (
            "lost-write",
            lost.into_iter().map(|lost| lost.entry).collect(),
        ),
        ("poll-skip", polls.skips),
        ("nonmonotonic-poll", polls.backwards),
        ("int-poll-skip", polls_within.skips),
        ("int-nonmonotonic-poll", polls_within.backwards),
        ("int-send-skip", sends_within.skips),
        ("int-nonmonotonic-send", sends_within.backwards),
        (
            "nonmonotonic-send",
            rules::nonmonotonic_send(history, orders),
        ),
        ("unseen", rules::unseen(history).into_iter().collect()),
    ];
    let sorted = all.into_iter().map(|(name, mut entries)| {
        entries.sort_by_key(Value::to_string);
        (name, entries)
    });
    Some(sorted.filter(|(_, entries)| !entries.is_empty()).collect())
}

/// What is said, with what cannot be compared word by word taken out.
fn said(json: &Value) -> BTreeMap<String, Vec<Value>> {
    let all = json["anomalies"].as_object().expect("anomalies");
    let plain = |(name, entries): (&String, &Value)| {
        let mut entries = entries.as_array().expect("entries").clone();
        for entry in &mut entries {
            entry.as_object_mut().expect("an entry").remove("max-read");
        }
        entries.sort_by_key(Value::to_string);
        (name.clone(), entries)
    };
    all.iter().map(plain).collect()
}

fn is_cycle(name: &str) -> bool {
    matches!(name, "G0" | "G1c" | "G0-realtime" | "G1c-realtime")
}

/// Whether all is said, and nothing else, if offsets with several values hold these.
fn explained(
    history: &History,
    json: &Value,
    orders: &Orders,
    ww_deps: bool,
) -> Result<(), String> {
    let Some(wanted) = entries(history, orders) else {
        return match json["valid"] == "unknown" && json["crash"].is_string() {
            true => Ok(()),
            false => Err("Jepsen dies on it".to_owned()),
        };
    };
    let said = said(json);
    if json["valid"] == "unknown" {
        return Err("Jepsen does not die on it".to_owned());
    }
    let edges = cycles::edges(history, orders, ww_deps);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    if edges.is_empty() && !history.ops.is_empty() {
        counts.insert("empty-transaction-graph".to_owned(), 1);
    }
    let exist = cycles::exist(&edges);
    for (name, _, _) in &exist {
        *counts.entry((*name).to_owned()).or_default() += 1;
    }
    for (name, entries) in &wanted {
        counts.insert((*name).to_owned(), entries.len());
        if said.get(*name) != Some(entries) {
            let said = said.get(*name);
            return Err(format!("{name} is {entries:?}, and said is {said:?}"));
        }
    }
    let own = rules::precommitted_read(history);
    if !own.is_empty() {
        counts.insert("precommitted-read".to_owned(), own.len());
    }
    let reasons = cycles::reasons(history, orders, ww_deps);
    // Which cycle is shown is free, and its name with it.
    let shown = said.iter().filter(|(name, _)| is_cycle(name));
    let shown: Vec<(&String, &Value)> = shown
        .flat_map(|(name, entries)| entries.iter().map(move |entry| (name, entry)))
        .collect();
    for (name, entry) in &shown {
        cycles::is_cycle(&reasons, name, entry)?;
        *counts.entry((*name).clone()).or_default() += 1;
    }
    let mut cycles = exist.iter().map(|(_, among, of)| {
        let mut shown = shown.iter();
        shown.any(|(_, entry)| cycles::walks(&edges, entry, among, of))
    });
    if !cycles.all(|shown| shown) || exist.len() != shown.len() {
        return Err(format!("there are {exist:?}, and shown are {shown:?}"));
    }
    for (name, _, _) in &exist {
        let mut entries = said.get(*name).into_iter().flatten();
        if !entries.all(|entry| cycles::is_component(&edges, name, entry)) {
            return Err(format!("{:?} are no components", said.get(*name)));
        }
    }
    let errors = serde_json::to_value(&counts).expect("counts are JSON");
    if json["errors"] != errors {
        let said = &json["errors"];
        return Err(format!("errors are {errors}, and said are {said}"));
    }
    witnesses(history, json)
}

/// Whether losses and reads of one's own name operations that they may name.
fn witnesses(history: &History, json: &Value) -> Result<(), String> {
    let list = |name: &str| {
        json["anomalies"][name]
            .as_array()
            .cloned()
            .unwrap_or_default()
    };
    for entry in list("lost-write") {
        let all = rules::lost_write(history).unwrap_or_default();
        let same = |lost: &&rules::Lost| {
            lost.entry["key"] == entry["key"] && lost.entry["value"] == entry["value"]
        };
        let lost = all.iter().find(same).expect("it was compared");
        let named = entry["max-read"].as_u64().map(|at| at as usize);
        if !lost.witnesses.contains(&named) {
            return Err(format!("{entry} is shown by {:?}", lost.witnesses));
        }
    }
    let own = rules::precommitted_read(history);
    let told = list("precommitted-read").into_iter();
    let told: Vec<usize> = told
        .map(|entry| entry["op"].as_u64().expect("an operation") as usize)
        .collect();
    match told == own {
        true => Ok(()),
        false => Err(format!("{own:?} read their own, and said is {told:?}")),
    }
}

fn agrees(history: &History, asked: Asked, seen: &Seen) -> Result<(), TestCaseError> {
    let text = history.print();
    let read = exchange::foreign::read(text.as_bytes()).expect("a history");
    let verdict = judge_as_jepsen(&read, asked);
    let json = serde_json::to_value(&verdict).expect("a verdict is JSON");
    let count = |name: &str| *seen.borrow_mut().entry(name.to_owned()).or_default() += 1;
    match json["valid"].as_str() {
        Some(_) => count("crash"),
        None => json["errors"]
            .as_object()
            .expect("errors")
            .keys()
            .for_each(|name| count(name)),
    }
    let subscribed = asked.subscribed.unwrap_or(history.subscribes());
    let names = json["errors"].as_object().expect("errors").keys();
    let bad: Vec<&String> = names
        .filter(|name| !rules::tolerated(name, asked.ww_deps, subscribed))
        .collect();
    if json["valid"] != "unknown" {
        prop_assert_eq!(&json["bad"], &serde_json::to_value(&bad).expect("names"));
        prop_assert_eq!(&json["valid"], &Value::Bool(bad.is_empty()));
    }
    // Of several values at one offset any may have been taken, but the same for every rule.
    let mut why = String::new();
    for orders in rules::all_orders(history) {
        match explained(history, &json, &orders, asked.ww_deps) {
            Ok(()) => return Ok(()),
            Err(said) => why = said,
        }
    }
    Err(TestCaseError::fail(why))
}

fn asked() -> impl Strategy<Value = Asked> {
    let subscribed = prop_oneof![3 => Just(None), 1 => any::<bool>().prop_map(Some)];
    (any::<bool>(), subscribed).prop_map(|(ww_deps, subscribed)| Asked {
        ww_deps,
        subscribed,
    })
}

fn check(cases: u32, property: impl Fn(&History, Asked) -> Result<(), TestCaseError>) {
    let print = |(history, asked): &(History, Asked)| format!("{asked:?}\n{}", history.print());
    check_any(
        cases,
        (any_history(), asked()),
        print,
        |(history, asked)| property(history, *asked),
    );
}

/// All that can be found, and at least how many histories in a thousand show it.
const SHARES: &[(&str, u32)] = &[
    ("inconsistent-offsets", 10),
    ("duplicate", 10),
    ("G1a", 10),
    ("precommitted-read", 10),
    ("lost-write", 10),
    ("poll-skip", 10),
    ("nonmonotonic-poll", 10),
    ("int-poll-skip", 10),
    ("int-nonmonotonic-poll", 10),
    ("int-send-skip", 10),
    ("int-nonmonotonic-send", 10),
    ("nonmonotonic-send", 10),
    ("unseen", 10),
    ("G0", 1),
    ("G1c", 10),
    ("G0-realtime", 5),
    ("G1c-realtime", 10),
    ("PL-1-cycle-exists", 1),
    ("PL-2-cycle-exists", 10),
    ("strong-PL-1-cycle-exists", 10),
    ("strong-PL-2-cycle-exists", 10),
    ("empty-transaction-graph", 10),
    ("crash", 10),
];

fn judge_and_agree(cases: u32) {
    let seen = Seen::default();
    check(cases, |history, asked| agrees(history, asked, &seen));
    for (name, share) in SHARES {
        guilty(&seen, name, *share, cases);
    }
}

#[test]
fn jepsens_rules_agree_with_the_obvious_reading() {
    judge_and_agree(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn jepsens_rules_agree_with_the_obvious_reading_a_hundred_thousand_times() {
    judge_and_agree(100_000);
}
