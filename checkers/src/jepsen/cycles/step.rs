//! A cycle told step by step, in Elle's words: why each operation comes before the next.

use history::jepsen::{Item, Key, Value};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::graph::Edges;
use crate::jepsen::entry::{Fields, Json};
use crate::jepsen::tables::Tables;

/// A level of isolation that a coarse entry rules out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::jepsen) struct Model {
    pub name: &'static str,
    pub not: &'static str,
    pub subgraph: &'static [&'static str],
    pub order: u8,
}

pub(super) const PL_1: Model = Model {
    name: "PL-1-cycle-exists",
    not: "read-uncommitted",
    subgraph: &["union", "ww", "wwp"],
    order: 0,
};
pub(super) const PL_2: Model = Model {
    name: "PL-2-cycle-exists",
    not: "read-committed",
    subgraph: &["union", "ww", "wwp", "wr", "wrp"],
    order: 1,
};
pub(super) const STRONG_PL_1: Model = Model {
    name: "strong-PL-1-cycle-exists",
    not: "strong-read-uncommitted",
    subgraph: &["union", "ww", "wwp", "realtime"],
    order: 2,
};
pub(super) const STRONG_PL_2: Model = Model {
    name: "strong-PL-2-cycle-exists",
    not: "strong-read-committed",
    subgraph: &["union", "ww", "wwp", "wr", "wrp", "realtime"],
    order: 3,
};

/// Somewhere in these operations there is a cycle.
#[derive(Debug)]
pub(in crate::jepsen) struct Exists {
    pub model: Model,
    ops: Vec<u32>,
}

impl Exists {
    pub(super) fn new(edges: &Edges, members: &[u32], model: Model) -> Exists {
        let ops = members
            .iter()
            .map(|&node| edges.ops[node as usize])
            .collect();
        Exists { model, ops }
    }

    pub(in crate::jepsen) fn print<M: SerializeMap>(
        &self,
        fields: &mut Fields<'_, '_, M>,
    ) -> Result<(), M::Error> {
        let tables = fields.tables;
        let scc: Vec<u64> = self
            .ops
            .iter()
            .map(|&op| tables.op(op as usize).index)
            .collect();
        fields.put("type", self.model.name)?;
        fields.put("not", self.model.not)?;
        fields.put("subgraph", self.model.subgraph)?;
        fields.put("scc-size", &scc.len())?;
        fields.put("scc", &scc)
    }
}

/// Why one completion comes before another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::jepsen) enum Step {
    /// Both sent to a key, one right before the other in its log.
    Ww {
        key: Key,
        from: Value,
        to: Value,
        mops: [Option<usize>; 2],
    },
    /// One sent what the other polled.
    Wr {
        key: Key,
        value: Value,
        mops: [Option<usize>; 2],
    },
    /// One completed before the other was invoked.
    Realtime { completed: u64, invoked: u64 },
}

/// A cycle of completions; the first comes again at the end.
#[derive(Debug)]
pub(in crate::jepsen) struct Cycle {
    pub name: &'static str,
    pub ops: Vec<u32>,
    pub steps: Vec<Step>,
}

impl Cycle {
    /// Explains a cycle; data before time, write-write before write-read, as Elle does, and names
    /// it by what the explanations are.
    pub(super) fn explain(tables: &Tables<'_>, path: &[u32], ww_deps: bool) -> Cycle {
        let steps = path.windows(2).map(|pair| {
            let (one, other) = (pair[0], pair[1]);
            let by_ww = || {
                if ww_deps {
                    ww(tables, one, other)
                } else {
                    None
                }
            };
            by_ww()
                .or_else(|| wr(tables, one, other))
                .unwrap_or_else(|| realtime(tables, one, other))
        });
        let steps: Vec<Step> = steps.collect();
        let reads = steps.iter().any(|step| matches!(step, Step::Wr { .. }));
        let in_time = steps
            .iter()
            .any(|step| matches!(step, Step::Realtime { .. }));
        let name = match (reads, in_time) {
            (false, false) => "G0",
            (false, true) => "G0-realtime",
            (true, false) => "G1c",
            (true, true) => "G1c-realtime",
        };
        Cycle {
            name,
            ops: path.to_vec(),
            steps,
        }
    }

    /// Whether writes that follow each other are part of it.
    pub fn mixes_ww(&self) -> bool {
        self.steps
            .iter()
            .any(|step| matches!(step, Step::Ww { .. }))
    }

    pub(in crate::jepsen) fn print<M: SerializeMap>(
        &self,
        fields: &mut Fields<'_, '_, M>,
    ) -> Result<(), M::Error> {
        let tables = fields.tables;
        let ops: Vec<u64> = self
            .ops
            .iter()
            .map(|&op| tables.op(op as usize).index)
            .collect();
        fields.put("type", self.name)?;
        fields.put("cycle", &ops)?;
        let steps: Vec<Told<'_, '_>> = self.steps.iter().map(|step| Told(step, tables)).collect();
        fields.put("steps", &steps)
    }
}

/// A step being printed.
struct Told<'a, 'h>(&'a Step, &'a Tables<'h>);

impl Serialize for Told<'_, '_> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let Told(step, tables) = self;
        let history = tables.history;
        let mut map = out.serialize_map(None)?;
        match step {
            Step::Ww {
                key,
                from,
                to,
                mops,
            } => {
                map.serialize_entry("type", "ww")?;
                map.serialize_entry("key", &Json(history.key(*key)))?;
                map.serialize_entry("value", &Json(&history.value(*from)))?;
                map.serialize_entry("value'", &Json(&history.value(*to)))?;
                map.serialize_entry("a-mop-index", &mops[0])?;
                map.serialize_entry("b-mop-index", &mops[1])?;
            }
            Step::Wr { key, value, mops } => {
                map.serialize_entry("type", "wr")?;
                map.serialize_entry("key", &Json(history.key(*key)))?;
                map.serialize_entry("value", &Json(&history.value(*value)))?;
                map.serialize_entry("a-mop-index", &mops[0])?;
                map.serialize_entry("b-mop-index", &mops[1])?;
            }
            Step::Realtime { completed, invoked } => {
                map.serialize_entry("type", "realtime")?;
                map.serialize_entry("a'", completed)?;
                map.serialize_entry("b", invoked)?;
            }
        }
        map.end()
    }
}

fn ww(tables: &Tables<'_>, one: u32, other: u32) -> Option<Step> {
    tables.writes.of(other as usize).find_map(|(key, ids)| {
        ids.iter().find_map(|&id| {
            let to = tables.message(id);
            let before = usize::try_from(tables.at(id)?).ok()?.checked_sub(1)?;
            let from = tables.message(*tables.order(key).get(before)?);
            (from.writer == one).then(|| Step::Ww {
                key,
                from: from.value,
                to: to.value,
                mops: [
                    mop(tables, one, false, key, from.value),
                    mop(tables, other, false, key, to.value),
                ],
            })
        })
    })
}

fn wr(tables: &Tables<'_>, one: u32, other: u32) -> Option<Step> {
    tables.reads.of(other as usize).find_map(|(key, ids)| {
        let id = ids.iter().find(|&&id| tables.message(id).writer == one)?;
        let value = tables.message(*id).value;
        let mops = [
            mop(tables, one, false, key, value),
            mop(tables, other, true, key, value),
        ];
        Some(Step::Wr { key, value, mops })
    })
}

fn realtime(tables: &Tables<'_>, one: u32, other: u32) -> Step {
    let other = tables.op(other as usize);
    let invocation = other.partner().map_or(other, |invoked| tables.op(invoked));
    Step::Realtime {
        completed: tables.op(one as usize).index,
        invoked: invocation.index,
    }
}

/// Which micro-operation of an operation sent or polled a value.
fn mop(tables: &Tables<'_>, op: u32, polls: bool, key: Key, value: Value) -> Option<usize> {
    let mut number = None::<usize>;
    let mut polled = None;
    for item in tables.history.items(tables.op(op as usize)) {
        match *item {
            Item::Send {
                key: of,
                value: sent,
                ..
            } => {
                number = Some(number.map_or(0, |before| before + 1));
                if !polls && of == key && sent == value {
                    return number;
                }
            }
            Item::Poll => number = Some(number.map_or(0, |before| before + 1)),
            Item::Polled(of) => polled = Some(of),
            Item::Read { value: read, .. } if polls && polled == Some(key) && read == value => {
                return number;
            }
            Item::Read { .. } | Item::Named(_) => {}
        }
    }
    None
}
