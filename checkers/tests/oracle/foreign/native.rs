//! Our own rules for Jepsen's histories against their plainest reading, from docs/jepsen.md: where
//! they differ from Jepsen's, and that they differ nowhere else.

mod gone;

use std::collections::{BTreeMap, BTreeSet};

use checkers::jepsen::{Asked, judge_natively};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use self::gone::vanished;
use super::cycles::{self, Why};
use super::history::{Function, History, KEYS, Kind, Op};
use super::rules::{self, Jumps, Orders};
use super::{check, guilty, said};
use crate::{CASES, Seen};

/// Whether a process's jumps can be told from rebalances: it did not subscribe, or logs them.
fn steady(history: &History, asked: Asked, process: u32) -> bool {
    let mut own = history.ops.iter().filter(|op| op.process == process);
    let subscribed = match asked.subscribed {
        Some(subscribed) => subscribed,
        None => own.clone().any(|op| op.function == Function::Subscribe),
    };
    !subscribed || own.any(|op| op.rebalanced.is_some() && op.kind != Kind::Open)
}

fn rebalances(op: &Op, key: usize) -> bool {
    op.rebalanced
        .as_ref()
        .is_some_and(|keys| keys.contains(&key))
}

/// What an assign or subscribe that took effect does to what is remembered of a key.
fn forgets(op: &Op, key: usize) -> bool {
    let effective = op.places() && matches!(op.kind, Kind::Ok | Kind::Info);
    effective && (!op.keys.contains(&key) || op.seeks) || rebalances(op, key)
}

/// From one poll of a process to its next one; and of each kind of jump, whether one of them cannot
/// be a rebalance.
fn polls(history: &History, asked: Asked, orders: &Orders) -> (Jumps, [bool; 2]) {
    let (mut jumps, mut convicts) = (Jumps::default(), [false; 2]);
    for process in 0..3 {
        let mut last: [Option<&Op>; 2] = [None, None];
        for op in history.completed() {
            if op.process != process {
                continue;
            }
            for (key, name) in KEYS.iter().enumerate() {
                if forgets(op, key) {
                    last[key] = None;
                }
                let Some(now) = op.reads(key) else { continue };
                let before = last[key];
                if op.kind == Kind::Ok && !rebalances(op, key) {
                    last[key] = Some(op);
                }
                let was = before.and_then(|op| op.reads(key)?.last().copied());
                let Some(((before, from), to)) = before.zip(was).zip(now.first().copied()) else {
                    continue;
                };
                let delta = rules::delta(orders, key, from, to);
                let ops = [before.completed, op.completed];
                let steady = steady(history, asked, process);
                if delta > 1 {
                    let skipped = rules::between(orders, key, from, to);
                    let skip = json!({"key": name, "delta": delta, "skipped": skipped, "ops": ops});
                    jumps.skips.push(skip);
                    convicts[0] |= steady;
                }
                if delta < 1 {
                    let back =
                        json!({"key": name, "values": [from, to], "delta": delta, "ops": ops});
                    jumps.backwards.push(back);
                    convicts[1] |= steady;
                }
            }
        }
    }
    (jumps, convicts)
}

/// Acknowledged, and read by no ok operation.
fn unseen(history: &History) -> BTreeMap<&'static str, BTreeSet<u64>> {
    let completed = history.completed();
    let ok = completed.iter().filter(|op| op.kind == Kind::Ok);
    let mut left: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for op in ok {
        for (key, name) in KEYS.iter().enumerate() {
            for value in op.writes(key) {
                if !rules::read_ok(history, key, value) {
                    left.entry(name).or_default().insert(value);
                }
            }
        }
    }
    left
}

/// Read by anybody, and sent by nobody, not even by who never heard of it again.
fn phantoms(history: &History) -> BTreeSet<(&'static str, u64)> {
    let mut found = BTreeSet::new();
    for op in history.completed() {
        for (key, name) in KEYS.iter().enumerate() {
            for value in op.reads(key).unwrap_or_default() {
                let mut all = history.ops.iter();
                if !all.any(|op| op.writes(key).contains(&value)) {
                    found.insert((*name, value));
                }
            }
        }
    }
    found
}

/// Everything but cycles, as entries, and which external jumps convict; those of which only the names
/// count are apart.
fn entries(
    history: &History,
    asked: Asked,
    orders: &Orders,
) -> (BTreeMap<&'static str, Vec<Value>>, [bool; 2]) {
    let (polls, convicts) = polls(history, asked, orders);
    let polls_within = rules::polls_within(history, orders);
    let sends_within = rules::sends_within(history, orders);
    let lost = (0..2).filter_map(|key| rules::lost_of_key(history, key));
    let all = [
        ("inconsistent-offsets", rules::inconsistent_offsets(history)),
        ("duplicate", rules::duplicate(history)),
        ("G1a", rules::aborted_read(history)),
        (
            "lost-write",
            lost.flatten().map(|lost| lost.entry).collect(),
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
    ];
    let sorted = all.into_iter().map(|(name, mut entries)| {
        entries.sort_by_key(Value::to_string);
        (name, entries)
    });
    (
        sorted.filter(|(_, entries)| !entries.is_empty()).collect(),
        convicts,
    )
}

/// Cycles of reads alone are findings, whatever writes do; others are told by other names.
fn cyclic(history: &History, orders: &Orders) -> (bool, bool) {
    let edges = cycles::edges(history, orders, false);
    let plain = cycles::components(&edges, &[Why::WriteRead]);
    let timed = cycles::components(&edges, &[Why::WriteRead, Why::RealTime]);
    let new = |all: &BTreeSet<usize>| !plain.iter().any(|inner| inner.is_subset(all));
    (!plain.is_empty(), timed.iter().any(new))
}

fn names(json: &Value, name: &str) -> Vec<Value> {
    let entries = json["anomalies"][name].as_array();
    entries.cloned().unwrap_or_default()
}

/// Whether all is said, and nothing else, if offsets with several values hold these.
fn explained(history: &History, asked: Asked, json: &Value, orders: &Orders) -> Result<(), String> {
    let (wanted, convicts) = entries(history, asked, orders);
    let apart = |name: &str| {
        let cycle = name.starts_with("G0") || name.starts_with("G1c");
        cycle
            || matches!(
                name,
                "unseen" | "phantom" | "read-then-vanished" | "precommitted-read"
            )
    };
    let mut found = said(json);
    found.retain(|name, entries| !entries.is_empty() && !apart(name));
    let wanted: BTreeMap<String, Vec<Value>> = wanted
        .into_iter()
        .map(|(name, entries)| (name.to_owned(), entries))
        .collect();
    if found != wanted {
        return Err(format!("there is {wanted:?}, and said is {found:?}"));
    }
    let (plain, timed) = cyclic(history, orders);
    for (name, is) in [("G1c", plain), ("G1c-realtime", timed)] {
        if names(json, name).is_empty() == is {
            return Err(format!("there are cycles of type {name}: {is}"));
        }
    }
    let row = |name: &str| {
        let mut rows = json["guarantees"].as_array().expect("rows").iter();
        rows.find(|row| row["guarantee"] == name || row["name"] == name)
            .unwrap_or_else(|| panic!("no row {name}: {}", json["guarantees"]))
    };
    for (name, convicts) in ["poll-skip", "nonmonotonic-poll"].into_iter().zip(convicts) {
        let said = row(name)["verdict"].as_str();
        // What may be a rebalance, nobody is accused of.
        let there = !names(json, name).is_empty();
        let right = match (there, convicts) {
            (true, true) => said == Some("broken"),
            (true, false) => said == Some("unproven"),
            (false, _) => said != Some("broken"),
        };
        if !right {
            return Err(format!("{name} convicts: {convicts}, and said is {said:?}"));
        }
    }
    Ok(())
}

/// What does not depend on which of several values an offset holds.
fn settled(history: &History, asked: Asked, json: &Value) -> Result<(), TestCaseError> {
    let text = |entry: &Value, field: &str| entry[field].as_str().expect("a name").to_owned();
    let number = |entry: &Value, field: &str| entry[field].as_i64().expect("a number");
    let found: BTreeSet<(String, u64)> = names(json, "phantom")
        .iter()
        .map(|entry| (text(entry, "key"), number(entry, "value") as u64))
        .collect();
    let wanted = phantoms(history).into_iter();
    let wanted: BTreeSet<_> = wanted.map(|(key, value)| (key.to_owned(), value)).collect();
    prop_assert_eq!(found, wanted, "phantom");
    let found: BTreeSet<(String, i64, u64)> = names(json, "read-then-vanished")
        .iter()
        .map(|entry| {
            let value = number(entry, "value") as u64;
            (text(entry, "key"), number(entry, "offset"), value)
        })
        .collect();
    let (gone, perhaps) = vanished(history, asked);
    let wanted: BTreeSet<_> = gone
        .union(&perhaps)
        .map(|&(key, offset, value)| (key.to_owned(), offset, value))
        .collect();
    // Where an offset has two values or a value two offsets, what was passed over is anybody's guess.
    let clear = rules::inconsistent_offsets(history).is_empty();
    if clear && rules::duplicate(history).is_empty() {
        prop_assert_eq!(found, wanted, "read-then-vanished");
        let bad = json["bad"].as_array().expect("names");
        let convicts = bad.contains(&json!("read-then-vanished"));
        prop_assert_eq!(convicts, !gone.is_empty(), "read-then-vanished convicts");
    }
    let left = unseen(history);
    let found = names(json, "unseen");
    prop_assert_eq!(found.len(), usize::from(!left.is_empty()), "unseen");
    for entry in found {
        let wanted = serde_json::to_value(&left).expect("names");
        prop_assert_eq!(&entry["messages"], &wanted, "unseen");
    }
    let own: Vec<usize> = names(json, "precommitted-read")
        .iter()
        .map(|entry| number(entry, "op") as usize)
        .collect();
    prop_assert_eq!(own, rules::precommitted_read(history), "precommitted-read");
    Ok(())
}

/// What Kafka never promised.
fn tolerated(name: &str) -> bool {
    let mixed = matches!(
        name,
        "G0" | "G0-realtime" | "G1c-mixed" | "G1c-realtime-mixed"
    );
    mixed || name == "int-send-skip"
}

fn agrees(history: &History, asked: Asked, seen: &Seen) -> Result<(), TestCaseError> {
    let text = history.print();
    let read = exchange::foreign::read(text.as_bytes()).expect("a history");
    let verdict = judge_natively(&read, asked);
    let json = serde_json::to_value(&verdict).expect("a verdict is JSON");
    let errors = json["errors"].as_object().expect("errors");
    for name in errors.keys() {
        *seen.borrow_mut().entry(name.clone()).or_default() += 1;
    }
    for entry in names(&json, "read-then-vanished") {
        let how = entry["how"].as_str().expect("how").to_owned();
        *seen.borrow_mut().entry(how).or_default() += 1;
    }
    let rows = json["guarantees"].as_array().expect("rows");
    let bad: Vec<&str> = json["bad"]
        .as_array()
        .expect("names")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let doubtful = ["poll-skip", "nonmonotonic-poll", "read-then-vanished"];
    let open = |name: &str| doubtful.contains(&name) && !bad.contains(&name);
    let wanted = errors.keys().map(String::as_str);
    let wanted: Vec<&str> = wanted
        .filter(|name| !tolerated(name) && !open(name))
        .collect();
    prop_assert_eq!(&bad, &wanted);
    let valid = if bad.is_empty() {
        json!("unknown")
    } else {
        json!(false)
    };
    prop_assert_eq!(&json["valid"], &valid);
    for row in rows {
        let name = row["guarantee"]
            .as_str()
            .or(row["name"].as_str())
            .expect("a name");
        let broken = bad.contains(&name);
        prop_assert_eq!(row["verdict"] == "broken", broken, "{}", row);
        prop_assert!(
            row["verdict"] != "held" || row["examined"].as_u64() > Some(0),
            "{}",
            row
        );
    }
    settled(history, asked, &json)?;
    let mut why = String::new();
    for orders in rules::all_orders(history) {
        match explained(history, asked, &json, &orders) {
            Ok(()) => return Ok(()),
            Err(said) => why = said,
        }
    }
    Err(TestCaseError::fail(why))
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
    ("phantom", 10),
    ("read-then-vanished", 5),
    ("passed over", 5),
    ("not at the beginning", 1),
    ("not at the end", 1),
    ("G0", 1),
    ("G1c", 10),
    ("G0-realtime", 5),
    ("G1c-realtime", 10),
    ("G1c-mixed", 1),
];

fn judge_and_agree(cases: u32) {
    let seen = Seen::default();
    check(cases, |history, asked| agrees(history, asked, &seen));
    for (name, share) in SHARES {
        guilty(&seen, name, *share, cases);
    }
}

#[test]
fn our_own_rules_agree_with_the_obvious_reading() {
    judge_and_agree(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn our_own_rules_agree_with_the_obvious_reading_a_hundred_thousand_times() {
    judge_and_agree(100_000);
}
