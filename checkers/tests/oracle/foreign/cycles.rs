//! Cycles, found by walking every path that does not meet itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::history::{History, Kind, Op};
use super::rules::{Orders, readers, writer};

/// Why one completion comes before another, each as a graph of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    WriteWrite,
    WriteRead,
    RealTime,
}

/// Pairs of completions, by position, with all reasons.
pub type Edges = BTreeMap<(usize, usize), BTreeSet<Why>>;

/// All dependencies between completions, by their positions in the history. Where a value was sent
/// more than once, it is its last sender that depends and is depended on.
pub fn edges(history: &History, orders: &Orders, ww_deps: bool) -> Edges {
    draw(history, orders, ww_deps, |key, value| {
        writer(history, key, value).into_iter().collect()
    })
}

/// What explains them: there, whoever sent a value follows the sender of the one before.
pub fn reasons(history: &History, orders: &Orders, ww_deps: bool) -> Edges {
    draw(history, orders, ww_deps, |key, value| {
        let mut senders = history.completed();
        senders.retain(|op| op.writes(key).contains(&value));
        senders
    })
}

fn draw<'h>(
    history: &'h History,
    orders: &Orders,
    ww_deps: bool,
    followers: impl Fn(usize, u64) -> Vec<&'h Op>,
) -> Edges {
    let mut edges = Edges::new();
    let mut add = |from: &Op, to: &Op, why: Why| {
        if from.completed != to.completed {
            let both = (from.completed, to.completed);
            edges.entry(both).or_default().insert(why);
        }
    };
    let completed: Vec<&Op> = history.completed();
    let completed: Vec<&Op> = completed
        .into_iter()
        .filter(|op| op.sends_or_polls())
        .collect();
    for (key, order) in orders.iter().enumerate() {
        let read: BTreeSet<u64> = completed
            .iter()
            .flat_map(|op| op.reads(key).unwrap_or_default())
            .collect();
        for value in read {
            for reader in readers(history, key, value) {
                if let Some(writer) = writer(history, key, value) {
                    add(writer, reader, Why::WriteRead);
                }
            }
        }
        for value in order.iter().filter(|_| ww_deps) {
            // A value that stands there twice stands at its last place.
            let last = order.iter().rposition(|v| v == value);
            let Some(before) = last.and_then(|last| last.checked_sub(1)) else {
                continue;
            };
            let before = writer(history, key, order[before]);
            for next in followers(key, *value) {
                if let Some(before) = before {
                    add(before, next, Why::WriteWrite);
                }
            }
        }
    }
    // What ended well ended before all that began later.
    for from in completed.iter().filter(|op| op.kind == Kind::Ok) {
        for to in completed.iter().filter(|to| from.completed < to.invoked) {
            add(from, to, Why::RealTime);
        }
    }
    edges
}

/// Whether one can be reached from the other by such edges.
fn reaches(edges: &Edges, of: &[Why], from: usize, to: usize) -> bool {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(at) = next.pop() {
        for ((a, b), why) in edges {
            if *a == at && of.iter().any(|w| why.contains(w)) && seen.insert(*b) {
                next.push(*b);
            }
        }
    }
    seen.contains(&to)
}

/// Sets of completions each of which reaches each other by such edges.
pub fn components(edges: &Edges, of: &[Why]) -> BTreeSet<BTreeSet<usize>> {
    let nodes: BTreeSet<usize> = edges.keys().flat_map(|(a, b)| [*a, *b]).collect();
    let cyclic = nodes.iter().filter(|at| reaches(edges, of, **at, **at));
    let component = |at: &usize| {
        let both = nodes
            .iter()
            .filter(|other| reaches(edges, of, *at, **other) && reaches(edges, of, **other, *at));
        both.copied().collect::<BTreeSet<usize>>()
    };
    cyclic.map(component).collect()
}

use Why::{RealTime, WriteRead, WriteWrite};

/// What a level rules out, and the edges of which a cycle must be made to show it.
const FORMS: [(&str, &[Why]); 4] = [
    ("PL-1-cycle-exists", &[WriteWrite]),
    ("PL-2-cycle-exists", &[WriteWrite, WriteRead]),
    ("strong-PL-1-cycle-exists", &[WriteWrite, RealTime]),
    (
        "strong-PL-2-cycle-exists",
        &[WriteWrite, WriteRead, RealTime],
    ),
];

/// What a stronger one hides in its component.
fn hidden(found: &[&str], name: &str) -> bool {
    match name {
        "PL-1-cycle-exists" => false,
        "strong-PL-2-cycle-exists" => !found.is_empty(),
        _ => found.contains(&"PL-1-cycle-exists"),
    }
}

/// What there is a cycle of: one of each form in each component that shows it and nothing stronger.
/// With each the operations among which it must be shown, and by which edges.
pub fn exist(edges: &Edges) -> Vec<(&'static str, BTreeSet<usize>, &'static [Why])> {
    let mut all = Vec::new();
    for component in components(edges, &[WriteWrite, WriteRead, RealTime]) {
        let mut found: Vec<&str> = Vec::new();
        for (name, of) in FORMS {
            let inside = components(edges, of).into_iter();
            let shown = inside.filter(|inner| inner.is_subset(&component)).count() > 0;
            if shown && !hidden(&found, name) {
                found.push(name);
                all.push((name, component.clone(), of));
            }
        }
    }
    all
}

/// The positions on a cycle that is shown.
fn cycle(entry: &Value) -> Vec<usize> {
    serde_json::from_value(entry["cycle"].clone()).expect("positions")
}

/// Whether a cycle lies among these operations and can be walked by these edges.
pub fn walks(edges: &Edges, entry: &Value, among: &BTreeSet<usize>, of: &[Why]) -> bool {
    let cycle = cycle(entry);
    let mut steps = cycle.windows(2);
    cycle.iter().all(|at| among.contains(at))
        && steps.all(|pair| {
            let why = edges.get(&(pair[0], pair[1]));
            why.is_some_and(|why| of.iter().any(|w| why.contains(w)))
        })
}

/// Whether what is shown as a cycle is one: each step is a dependency of the kind it says it is, no
/// stronger one is kept back, and the whole has the name that its steps give it.
pub fn is_cycle(reasons: &Edges, name: &str, entry: &Value) -> Result<(), String> {
    let cycle = cycle(entry);
    let steps = entry["steps"].as_array().expect("steps");
    let closed = cycle.first() == cycle.last() && cycle.len() == steps.len() + 1;
    if !closed {
        return Err(format!("{entry} is not closed"));
    }
    let mut all = BTreeSet::new();
    for (pair, step) in cycle.windows(2).zip(steps) {
        let why = reasons
            .get(&(pair[0], pair[1]))
            .cloned()
            .unwrap_or_default();
        let said = match step["type"].as_str() {
            Some("ww") => WriteWrite,
            Some("wr") => WriteRead,
            _ => RealTime,
        };
        if why.first() != Some(&said) {
            return Err(format!("{pair:?} is {why:?}, and is called {step}"));
        }
        all.insert(said);
    }
    let named = match (all.contains(&WriteRead), all.contains(&RealTime)) {
        (false, false) => "G0",
        (true, false) => "G1c",
        (false, true) => "G0-realtime",
        (true, true) => "G1c-realtime",
    };
    match named == name {
        true => Ok(()),
        false => Err(format!("{entry} is a {named}")),
    }
}

/// Whether what is shown as a component is one.
pub fn is_component(edges: &Edges, name: &str, entry: &Value) -> bool {
    let scc: BTreeSet<usize> = serde_json::from_value(entry["scc"].clone()).expect("positions");
    let form = FORMS.iter().find(|(exists, _)| *exists == name);
    let (_, of) = form.expect("a form");
    components(edges, of).contains(&scc) && entry["scc-size"] == scc.len()
}
