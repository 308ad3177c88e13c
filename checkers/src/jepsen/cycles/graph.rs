//! Dependencies between completions: write-read, write-write where asked for, and real time.
//!
//! Real time orders every ok completion before everything that is invoked later. It is kept as a
//! line of moments, one an ok completion: a completion reaches its moment, a moment the next one and what is
//! invoked before that. The line has as many edges as operations, and the same paths as all the
//! pairs have.

use history::jepsen::Kind;

use super::components::Graph;
use crate::jepsen::entry::shown;
use crate::jepsen::tables::{NONE, Tables};

/// Which edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rels {
    pub ww: bool,
    pub wr: bool,
    pub realtime: bool,
}

/// All edges, between numbered completions; moments are numbered after them.
#[derive(Debug)]
pub(super) struct Edges {
    /// The completion (position in the history) of each node.
    pub ops: Vec<u32>,
    pub ww: Vec<(u32, u32)>,
    pub wr: Vec<(u32, u32)>,
    realtime: Vec<(u32, u32)>,
    moments: usize,
    /// Whether real time orders anything.
    ordered: bool,
}

impl Edges {
    /// Draws them. A value that nobody sent kills Jepsen's checker: the reason comes first.
    pub fn draw(tables: &Tables<'_>, ww_deps: bool) -> (Edges, Option<String>) {
        let (ops, node_of) = number(tables);
        let mut crash = None;
        let mut no_writer = |id: u32| {
            crash.get_or_insert_with(|| {
                let message = tables.message(id);
                format!(
                    "cycles: no writer of value {} in key {}, which was polled",
                    shown(&tables.history.value(message.value)),
                    shown(tables.history.key(message.key))
                )
            });
        };
        let node = |op: u32| node_of[op as usize];
        let mut ww = Vec::new();
        if ww_deps {
            for key in tables.keys() {
                let order = tables.order(key);
                for (at, pair) in order.windows(2).enumerate() {
                    let (from, to) = (tables.message(pair[0]), tables.message(pair[1]));
                    // A value that was picked twice stands at its last index only.
                    if to.writer == NONE || to.at != at as u32 + 1 {
                        continue;
                    }
                    if from.writer == NONE {
                        no_writer(pair[0]);
                    } else if from.writer != to.writer {
                        ww.push((node(from.writer), node(to.writer)));
                    }
                }
            }
        }
        let mut wr = Vec::new();
        for (number, &op) in ops.iter().enumerate() {
            for &id in tables.reads.of(op as usize).flat_map(|(_, ids)| ids) {
                let writer = tables.message(id).writer;
                if writer == NONE {
                    no_writer(id);
                } else if writer != op {
                    wr.push((node(writer), number as u32));
                }
            }
        }
        let (realtime, moments, ordered) = line(tables, &ops, &node_of);
        let edges = Edges {
            ops,
            ww,
            wr,
            realtime,
            moments,
            ordered,
        };
        (edges, crash)
    }

    /// Whether there is no edge at all.
    pub fn is_empty(&self) -> bool {
        self.ww.is_empty() && self.wr.is_empty() && !self.ordered
    }

    /// Whether a node is a completion, not a moment.
    pub fn is_op(&self, node: u32) -> bool {
        (node as usize) < self.ops.len()
    }

    /// The graph of some of the edges.
    pub fn graph(&self, rels: Rels) -> Graph {
        let some = |wanted: bool, edges: &'_ [(u32, u32)]| {
            let edges = if wanted { edges } else { &[] };
            edges.to_vec()
        };
        let all = [
            some(rels.ww, &self.ww),
            some(rels.wr, &self.wr),
            some(rels.realtime, &self.realtime),
        ]
        .concat();
        Graph::new(self.ops.len() + self.moments, all.iter().copied())
    }
}

/// Numbers the completions of sends, polls and transactions.
fn number(tables: &Tables<'_>) -> (Vec<u32>, Vec<u32>) {
    let all = tables.history.ops();
    let mut ops = Vec::new();
    let mut node_of = vec![NONE; all.len()];
    for (at, op) in all.iter().enumerate() {
        if op.kind != Kind::Invoke && op.function.is_transactional() {
            node_of[at] = ops.len() as u32;
            ops.push(at as u32);
        }
    }
    (ops, node_of)
}

/// The line of moments.
fn line(tables: &Tables<'_>, ops: &[u32], node_of: &[u32]) -> (Vec<(u32, u32)>, usize, bool) {
    let mut edges = Vec::new();
    let mut moments = 0;
    let mut ordered = false;
    let moment = |number: usize| (ops.len() + number) as u32;
    for (at, op) in tables.history.ops().iter().enumerate() {
        if !op.function.is_transactional() {
            continue;
        }
        match op.kind {
            Kind::Invoke => {
                if let Some(completion) = op.partner()
                    && moments > 0
                {
                    edges.push((moment(moments - 1), node_of[completion]));
                    ordered = true;
                }
            }
            Kind::Ok => {
                if moments > 0 {
                    edges.push((moment(moments - 1), moment(moments)));
                }
                edges.push((node_of[at], moment(moments)));
                moments += 1;
            }
            // Nothing can be said to come after what did not happen or may happen yet.
            Kind::Info | Kind::Fail => {}
        }
    }
    (edges, moments, ordered)
}
