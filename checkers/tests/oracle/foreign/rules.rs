//! Jepsen's rules as they can be said in one breath each, from the rule book: sets and walks over the
//! whole history, for each rule anew. Nothing is shared with the judge.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::history::{History, KEYS, Kind, Op, Step};

/// One value for each index of each key's log: where an offset holds several values, somebody chose.
pub type Orders = [Vec<u64>; 2];

/// Offset to the values that were seen there.
pub fn log(history: &History, key: usize) -> BTreeMap<i64, BTreeSet<u64>> {
    let mut log: BTreeMap<i64, BTreeSet<u64>> = BTreeMap::new();
    for op in history.completed() {
        for (offset, value) in op.pairs(key).unwrap_or_default() {
            log.entry(offset.unwrap_or(-1)).or_default().insert(value);
        }
        for step in &op.steps {
            match step {
                Step::Send(k, value, Some(offset)) if *k == key && committed(history, op) => {
                    log.entry(*offset).or_default().insert(*value);
                }
                _ => {}
            }
        }
    }
    // What has no offset stands nowhere.
    log.remove(&-1);
    log
}

/// Every way to choose one value of each offset.
pub fn all_orders(history: &History) -> Vec<Orders> {
    let choices = |key: usize| {
        let mut all: Vec<Vec<u64>> = vec![Vec::new()];
        for values in log(history, key).into_values() {
            let longer = |order: &Vec<u64>| {
                let with = values.iter().map(|&value| {
                    let mut order = order.clone();
                    order.push(value);
                    order
                });
                with.collect::<Vec<_>>()
            };
            all = all.iter().flat_map(longer).collect();
        }
        all
    };
    let (xs, ys) = (choices(0), choices(1));
    let pairs = xs
        .iter()
        .flat_map(|x| ys.iter().map(move |y| [x.clone(), y.clone()]));
    pairs.collect()
}

/// Where a value was chosen, at last.
fn index(orders: &Orders, key: usize, value: u64) -> Option<i64> {
    let at = orders[key].iter().rposition(|v| *v == value)?;
    Some(at as i64)
}

/// How far from one value to another; one where that is not known.
pub fn delta(orders: &Orders, key: usize, from: u64, to: u64) -> i64 {
    match index(orders, key, from).zip(index(orders, key, to)) {
        Some((from, to)) => to - from,
        None => 1,
    }
}

/// What lies between.
pub fn between(orders: &Orders, key: usize, from: u64, to: u64) -> Vec<u64> {
    let from = index(orders, key, from).expect("an index") as usize;
    let to = index(orders, key, to).expect("an index") as usize;
    orders[key][from + 1..to].to_vec()
}

/// Whether an ok operation read it.
pub fn read_ok(history: &History, key: usize, value: u64) -> bool {
    let reads = |op: &Op| op.reads(key).is_some_and(|values| values.contains(&value));
    let completed = history.completed();
    completed
        .iter()
        .filter(|op| op.kind == Kind::Ok)
        .any(|op| reads(op))
}

/// Ok, or undecided and one of its values was read by an ok operation.
fn committed(history: &History, op: &Op) -> bool {
    let proved = || {
        (0..2).any(|key| {
            let mut sent = op.writes(key).into_iter();
            sent.any(|value| read_ok(history, key, value))
        })
    };
    op.kind == Kind::Ok || op.kind == Kind::Info && proved()
}

/// Who sent it; the last, if several did.
pub fn writer(history: &History, key: usize, value: u64) -> Option<&Op> {
    let completed = history.completed();
    completed
        .into_iter()
        .rev()
        .find(|op| op.writes(key).contains(&value))
}

pub fn readers(history: &History, key: usize, value: u64) -> Vec<&Op> {
    let mut all = history.completed();
    all.retain(|op| op.reads(key).is_some_and(|values| values.contains(&value)));
    all
}

pub fn inconsistent_offsets(history: &History) -> Vec<Value> {
    let mut found = Vec::new();
    for (key, name) in KEYS.iter().enumerate() {
        for (index, (offset, values)) in log(history, key).into_iter().enumerate() {
            if values.len() > 1 {
                found
                    .push(json!({"key": name, "offset": offset, "index": index, "values": values}));
            }
        }
    }
    found
}

pub fn duplicate(history: &History) -> Vec<Value> {
    let mut found = Vec::new();
    for (key, name) in KEYS.iter().enumerate() {
        let log = log(history, key);
        let values: BTreeSet<u64> = log.values().flatten().copied().collect();
        for value in values {
            let holds = log.iter().filter(|(_, values)| values.contains(&value));
            let offsets: Vec<i64> = holds.map(|(offset, _)| *offset).collect();
            if offsets.len() > 1 {
                let count = offsets.len();
                found
                    .push(json!({"key": name, "value": value, "count": count, "offsets": offsets}));
            }
        }
    }
    found
}

/// An ok read of what a failed operation sent; each time that it was read.
pub fn aborted_read(history: &History) -> Vec<Value> {
    let mut found = Vec::new();
    for reader in history.completed() {
        if reader.kind != Kind::Ok {
            continue;
        }
        for (key, name) in KEYS.iter().enumerate() {
            for value in reader.reads(key).unwrap_or_default() {
                let failed = |op: &&&Op| op.kind == Kind::Fail && op.writes(key).contains(&value);
                if history.completed().iter().any(|op| failed(&op)) {
                    let writer = writer(history, key, value).expect("it failed").completed;
                    let reader = reader.completed;
                    found.push(
                        json!({"key": name, "value": value, "writer": writer, "reader": reader}),
                    );
                }
            }
        }
    }
    found
}

/// Operations that saw what they themselves sent. Which of several values is shown is anybody's choice.
pub fn precommitted_read(history: &History) -> Vec<usize> {
    let shares = |op: &Op| {
        (0..2).any(|key| {
            let read = op.reads(key).unwrap_or_default();
            op.writes(key).iter().any(|value| read.contains(value))
        })
    };
    let completed = history.completed();
    completed
        .iter()
        .filter(|op| shares(op))
        .map(|op| op.completed)
        .collect()
}

/// A loss, and who may be named as the witness.
pub struct Lost {
    pub entry: Value,
    pub witnesses: Vec<Option<usize>>,
}

/// None: there is a key that was polled and of which no known value was read, on which Jepsen dies.
pub fn lost_write(history: &History) -> Option<Vec<Lost>> {
    let all: Option<Vec<Vec<Lost>>> = (0..2).map(|key| lost_of_key(history, key)).collect();
    Some(all?.into_iter().flatten().collect())
}

/// The same of one key.
pub fn lost_of_key(history: &History, key: usize) -> Option<Vec<Lost>> {
    let completed = history.completed();
    let mut ok = completed.iter().filter(|op| op.kind == Kind::Ok);
    if !ok.any(|op| op.reads(key).is_some()) {
        return Some(Vec::new());
    }
    let log: Vec<BTreeSet<u64>> = log(history, key).into_values().collect();
    let first = |value: u64| log.iter().position(|values| values.contains(&value));
    let last = |value: u64| log.iter().rposition(|values| values.contains(&value));
    let known: BTreeSet<u64> = log.iter().flatten().copied().collect();
    let read = known.iter().filter(|v| read_ok(history, key, **v));
    let bound = read.filter_map(|v| first(*v)).max()?;
    let at_bound = known.iter().filter(|v| last(**v) == Some(bound));
    let mut witnesses: Vec<Option<usize>> = at_bound
        .map(|v| readers(history, key, *v).first().map(|op| op.completed))
        .collect();
    if witnesses.is_empty() {
        witnesses.push(None);
    }
    let mut found = Vec::new();
    for value in known.iter().copied() {
        let writer = writer(history, key, value);
        let must = last(value).is_some_and(|last| last <= bound);
        if !must || read_ok(history, key, value) {
            continue;
        }
        let Some(writer) = writer.filter(|op| committed(history, op)) else {
            continue;
        };
        let (name, index, writer) = (KEYS[key], first(value), writer.completed);
        found.push(Lost {
            entry: json!({"key": name, "value": value, "index": index,
                "max-read-index": bound, "writer": writer}),
            witnesses: witnesses.clone(),
        });
    }
    Some(found)
}

/// A value was read that no completed operation sent: Jepsen dies.
pub fn phantom(history: &History) -> bool {
    let completed = history.completed();
    completed.iter().any(|op| {
        (0..2).any(|key| {
            let mut read = op.reads(key).unwrap_or_default().into_iter();
            read.any(|value| writer(history, key, value).is_none())
        })
    })
}

/// Skips and steps back.
#[derive(Default)]
pub struct Jumps {
    pub skips: Vec<Value>,
    pub backwards: Vec<Value>,
}

/// From one poll of a process to its next one.
pub fn polls(history: &History, orders: &Orders) -> Jumps {
    let mut jumps = Jumps::default();
    for process in 0..3 {
        let mut last: [Option<&Op>; 2] = [None, None];
        for op in history.completed() {
            if op.process != process {
                continue;
            }
            if op.places() && matches!(op.kind, Kind::Ok | Kind::Info) {
                for (key, last) in last.iter_mut().enumerate() {
                    *last = last.filter(|_| op.keys.contains(&key));
                }
            }
            for (key, name) in KEYS.iter().enumerate() {
                let Some(now) = op.reads(key) else { continue };
                let before = last[key];
                let was = before.and_then(|op| op.reads(key)?.last().copied());
                if let Some(((before, from), to)) = before.zip(was).zip(now.first().copied()) {
                    let delta = delta(orders, key, from, to);
                    let ops = [before.completed, op.completed];
                    if delta > 1 {
                        let skipped = between(orders, key, from, to);
                        jumps.skips.push(
                            json!({"key": name, "delta": delta, "skipped": skipped, "ops": ops}),
                        );
                    }
                    if delta < 1 {
                        jumps.backwards.push(
                            json!({"key": name, "values": [from, to], "delta": delta, "ops": ops}),
                        );
                    }
                }
                if op.kind == Kind::Ok {
                    last[key] = Some(op);
                }
            }
        }
    }
    jumps
}

fn within(orders: &Orders, key: usize, op: &Op, values: &[u64], jumps: &mut Jumps) {
    let (name, at) = (KEYS[key], op.completed);
    for pair in values.windows(2) {
        let delta = delta(orders, key, pair[0], pair[1]);
        if delta > 1 {
            let skipped = between(orders, key, pair[0], pair[1]);
            jumps
                .skips
                .push(json!({"key": name, "values": pair, "delta": delta,
                "skipped": skipped, "op": at}));
        }
        if delta < 1 {
            jumps
                .backwards
                .push(json!({"key": name, "values": pair, "delta": delta, "op": at}));
        }
    }
}

/// From one value to the next within a poll, but for keys that were rebalanced meanwhile.
pub fn polls_within(history: &History, orders: &Orders) -> Jumps {
    let mut jumps = Jumps::default();
    for op in history.completed() {
        for key in 0..2 {
            let rebalanced = op.rebalanced.as_ref();
            if !rebalanced.is_some_and(|keys| keys.contains(&key)) {
                within(
                    orders,
                    key,
                    op,
                    &op.reads(key).unwrap_or_default(),
                    &mut jumps,
                );
            }
        }
    }
    jumps
}

/// From one value to the next that an operation sent.
pub fn sends_within(history: &History, orders: &Orders) -> Jumps {
    let mut jumps = Jumps::default();
    for op in history.completed() {
        for key in 0..2 {
            within(orders, key, op, &op.writes(key), &mut jumps);
        }
    }
    jumps
}

/// A process's send stands before its previous one.
pub fn nonmonotonic_send(history: &History, orders: &Orders) -> Vec<Value> {
    let mut found = Vec::new();
    for process in 0..3 {
        let mut last: [Option<&Op>; 2] = [None, None];
        for op in history.completed() {
            if op.process != process || op.kind == Kind::Fail {
                continue;
            }
            for (key, name) in KEYS.iter().enumerate() {
                if op.places() && !op.keys.contains(&key) {
                    last[key] = None;
                }
                let now = op.writes(key);
                let was = last[key].and_then(|op| op.writes(key).last().copied());
                if let Some((from, to)) = was.zip(now.first().copied()) {
                    let delta = delta(orders, key, from, to);
                    let ops = [last[key].map(|op| op.completed), Some(op.completed)];
                    if delta < 1 {
                        found.push(
                            json!({"key": name, "values": [from, to], "delta": delta, "ops": ops}),
                        );
                    }
                }
                if !now.is_empty() {
                    last[key] = Some(op);
                }
            }
        }
    }
    found
}

/// Acknowledged and read by nobody, after the last ok operation. A key that the very last one is the
/// first to mention, by polling it, counts too.
pub fn unseen(history: &History) -> Option<Value> {
    let completed = history.completed();
    let mut ok: Vec<&&Op> = completed.iter().filter(|op| op.kind == Kind::Ok).collect();
    ok.retain(|op| op.sends_or_polls());
    let last = ok.last()?;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut messages: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for (key, name) in KEYS.iter().enumerate() {
        let sent: BTreeSet<u64> = ok.iter().flat_map(|op| op.writes(key)).collect();
        let mut left: BTreeSet<u64> = sent
            .into_iter()
            .filter(|value| !read_ok(history, key, *value))
            .collect();
        let mentions = |op: &Op| op.reads(key).is_some() || !op.writes(key).is_empty();
        let first = ok.iter().find(|op| mentions(op));
        let by_poll = last.writes(key).is_empty();
        if first.is_some_and(|first| first.completed == last.completed) && by_poll {
            left.extend(last.reads(key).unwrap_or_default());
        }
        if !left.is_empty() {
            counts.insert(name, left.len());
            messages.insert(name, left);
        }
    }
    let time = history.time(last.completed);
    (!counts.is_empty()).then(|| json!({"time": time, "unseen": counts, "messages": messages}))
}

/// What is tolerated, by the table of what Kafka never promised.
pub fn tolerated(name: &str, ww_deps: bool, subscribed: bool) -> bool {
    match name {
        "int-send-skip" | "G0" | "G0-process" | "G0-realtime" => true,
        "PL-1-cycle-exists" | "strong-PL-1-cycle-exists" => true,
        "poll-skip" | "nonmonotonic-poll" => subscribed,
        "G1c" | "G1c-process" | "G1c-realtime" => ww_deps,
        "PL-2-cycle-exists" | "strong-PL-2-cycle-exists" => ww_deps,
        _ => false,
    }
}
