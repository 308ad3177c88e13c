//! What was read and then vanished, as far as a history itself shows it: by walking every process
//! anew for each record.

use std::collections::BTreeSet;

use checkers::jepsen::Asked;

use super::super::history::{Function, History, KEYS, Kind, Pair};
use super::super::rules;
use super::{forgets, rebalances, steady};

/// A key, an offset and a value.
pub type Record = (&'static str, i64, u64);

/// Delivered, and then missed by whoever asked later and should have been given it again: those that
/// are gone, and those that somebody may only have been too slow for.
pub fn vanished(history: &History, asked: Asked) -> (BTreeSet<Record>, BTreeSet<Record>) {
    let (mut gone, mut perhaps) = (BTreeSet::new(), BTreeSet::new());
    for (key, name) in KEYS.iter().enumerate() {
        for (offset, values) in rules::log(history, key) {
            for value in values {
                let readers = rules::readers(history, key, value);
                let Some(last) = readers.last().map(|op| op.completed) else {
                    continue;
                };
                let record = (*name, offset, value);
                for process in 0..3 {
                    match misses(history, process, key, offset, last) {
                        _ if passes(history, (asked, process), key, offset, last) => {
                            gone.insert(record);
                        }
                        Some(Missed::AtTheBeginning) => {
                            gone.insert(record);
                        }
                        Some(Missed::AtTheEnd) => {
                            perhaps.insert(record);
                        }
                        None => {}
                    }
                }
            }
        }
    }
    (gone, perhaps)
}

/// Where a reader from the beginning did not meet a record.
enum Missed {
    AtTheBeginning,
    AtTheEnd,
}

/// Where records stand that were read; of one that was given without an offset, where others saw it.
fn places(history: &History, key: usize, pairs: &[Pair]) -> Vec<Option<i64>> {
    let log = rules::log(history, key);
    let known = |value: u64| log.iter().find(|(_, values)| values.contains(&value));
    let place = |(at, value): &Pair| at.or_else(|| Some(*known(*value)?.0));
    pairs.iter().map(place).collect()
}

/// Whether a process goes from below an offset to above it, with a poll that began after a moment.
fn passes(
    history: &History,
    (asked, process): (Asked, u32),
    key: usize,
    offset: i64,
    after: usize,
) -> bool {
    let mut stands: Option<i64> = None;
    for op in history.completed() {
        if op.process != process {
            continue;
        }
        if forgets(op, key) {
            stands = None;
        }
        let Some(pairs) = op.pairs(key) else { continue };
        let mut place = stands.filter(|_| steady(history, asked, process));
        for at in places(history, key, &pairs) {
            let passes =
                place.is_some_and(|place| place < offset) && at.is_some_and(|at| at > offset);
            if passes && op.invoked > after {
                return true;
            }
            place = at.filter(|_| !rebalances(op, key));
        }
        if op.kind == Kind::Ok {
            stands = places(history, key, &pairs).pop().flatten();
        }
        stands = stands.filter(|_| !rebalances(op, key));
    }
    false
}

/// Whether a process that was assigned after a moment and sought the beginning begins above an
/// offset, or ends below it with a poll that returned nothing.
fn misses(
    history: &History,
    process: u32,
    key: usize,
    offset: i64,
    after: usize,
) -> Option<Missed> {
    let mut at_the_end = None;
    // How far it came, and whether it was then given nothing.
    let mut again: Option<(Option<i64>, bool)> = None;
    let ended = |again: Option<(Option<i64>, bool)>| {
        again.is_some_and(|(reached, rested)| rested && reached.is_none_or(|at| at < offset))
    };
    for op in history.completed() {
        if op.process != process {
            continue;
        }
        if rebalances(op, key) {
            again = None;
        }
        if op.places() && matches!(op.kind, Kind::Ok | Kind::Info) {
            if ended(again) {
                at_the_end = Some(Missed::AtTheEnd);
            }
            let seeks = op.seeks && op.kind == Kind::Ok && op.keys.contains(&key);
            again = (seeks && op.invoked > after).then_some((None, false));
        }
        let polls = matches!(op.function, Function::Poll | Function::Txn) && op.kind == Kind::Ok;
        let Some((reached, rested)) = again.as_mut().filter(|_| polls) else {
            continue;
        };
        let pairs = op.pairs(key);
        let of = |key| op.pairs(key).unwrap_or_default();
        *rested |= pairs.is_some_and(|pairs| pairs.is_empty());
        for at in places(history, key, &of(key)).into_iter().flatten() {
            if reached.is_none() && at > offset {
                return Some(Missed::AtTheBeginning);
            }
            *reached = (*reached).max(Some(at));
            *rested = false;
        }
        *rested |= (0..2).all(|key| of(key).is_empty());
    }
    if ended(again) {
        at_the_end = Some(Missed::AtTheEnd);
    }
    at_the_end
}
