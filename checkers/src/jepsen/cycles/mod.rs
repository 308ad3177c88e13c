//! G0, G1c, their realtime forms and the coarse "a cycle exists", as Elle finds them.
//!
//! Elle is asked for strict serializability, so it draws realtime edges and leaves out those of
//! processes, which real time implies: the `-process` forms cannot occur. Of the anomalies that a component shows it reports the
//! strongest and leaves out what that implies. It searches each component for one second; this
//! one searches to the end, so there is no `cycle-search-timeout` to report.

mod components;
mod graph;
mod step;

use std::collections::VecDeque;

use rustc_hash::FxHashMap;

use self::components::{Graph, components};
use self::graph::{Edges, Rels};
pub(super) use self::step::{Cycle, Exists};
use super::tables::Tables;

/// What the search gave.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub cycles: Vec<Cycle>,
    pub exist: Vec<Exists>,
    /// Nothing depends on anything.
    pub empty: bool,
    /// Dependencies that were drawn from data.
    pub examined: u64,
    /// Why Jepsen's checker would have died.
    pub crash: Option<String>,
}

const WW: Rels = Rels {
    ww: true,
    wr: false,
    realtime: false,
};
const DATA: Rels = Rels {
    ww: true,
    wr: true,
    realtime: false,
};
const WW_REALTIME: Rels = Rels {
    ww: true,
    wr: false,
    realtime: true,
};
const ALL: Rels = Rels {
    ww: true,
    wr: true,
    realtime: true,
};

/// How many operations of a component a shortest cycle is looked for from.
const STARTS: usize = 8;

/// Finds them.
pub(super) fn cycles(tables: &Tables<'_>, ww_deps: bool) -> Found {
    let (edges, crash) = Edges::draw(tables, ww_deps);
    let mut found = Found {
        empty: edges.is_empty(),
        examined: (edges.ww.len() + edges.wr.len()) as u64,
        crash,
        ..Found::default()
    };
    let whole = Filtered::new(&edges, ALL);
    let mut cyclic: Vec<&Vec<u32>> = whole.cyclic.values().collect();
    if cyclic.is_empty() {
        return found;
    }
    cyclic.sort();
    let data = Filtered::new(&edges, DATA);
    // Without write-write edges these two cannot hold a cycle: real time alone has none.
    let (ww, ww_realtime) = if ww_deps {
        (
            Filtered::new(&edges, WW),
            Filtered::new(&edges, WW_REALTIME),
        )
    } else {
        (Filtered::default(), Filtered::default())
    };
    let inside = [&ww, &data, &ww_realtime].map(|part| part.smallest_in(&whole.of));
    for members in cyclic {
        let component = whole.of[members[0] as usize];
        let parts = inside
            .each_ref()
            .map(|parts| parts.get(&component).copied());
        let everything = Some(members);
        let mut report = |filtered: &Filtered, members: Option<&Vec<u32>>, model| {
            if let Some(members) = members {
                found.exist.push(Exists::new(&edges, members, model));
                let path = shortest(&edges, filtered, members);
                found.cycles.push(Cycle::explain(tables, &path, ww_deps));
            }
        };
        match parts {
            // All else is implied by G0.
            [Some(members), _, _] => report(&ww, Some(members), step::PL_1),
            [None, None, None] => report(&whole, everything, step::STRONG_PL_2),
            [None, by_data, by_time] => {
                report(&data, by_data, step::PL_2);
                report(&ww_realtime, by_time, step::STRONG_PL_1);
            }
        }
    }
    found.exist.sort_by_key(|exists| exists.model.order);
    found
}

/// The components of a graph that has some of the edges.
#[derive(Debug, Default)]
struct Filtered {
    graph: Option<Graph>,
    of: Vec<u32>,
    /// Those with a cycle: their completions, ascending.
    cyclic: FxHashMap<u32, Vec<u32>>,
}

impl Filtered {
    fn new(edges: &Edges, rels: Rels) -> Filtered {
        let graph = edges.graph(rels);
        let of = components(&graph);
        let mut sizes = vec![0_u32; of.len()];
        for node in 0..edges.ops.len() {
            sizes[of[node] as usize] += 1;
        }
        let mut cyclic: FxHashMap<u32, Vec<u32>> = FxHashMap::default();
        for node in 0..edges.ops.len() {
            if sizes[of[node] as usize] > 1 {
                cyclic.entry(of[node]).or_default().push(node as u32);
            }
        }
        Filtered {
            graph: Some(graph),
            of,
            cyclic,
        }
    }

    /// The smallest cyclic component inside each component of the whole graph.
    fn smallest_in(&self, whole: &[u32]) -> FxHashMap<u32, &Vec<u32>> {
        let mut smallest: FxHashMap<u32, &Vec<u32>> = FxHashMap::default();
        for members in self.cyclic.values() {
            let best = smallest
                .entry(whole[members[0] as usize])
                .or_insert(members);
            if (members.len(), members[0]) < (best.len(), best[0]) {
                *best = members;
            }
        }
        smallest
    }
}

/// A short cycle through some of the first members of a component.
fn shortest(edges: &Edges, filtered: &Filtered, members: &[u32]) -> Vec<u32> {
    let mut best: Vec<u32> = Vec::new();
    if let Some(graph) = &filtered.graph {
        for &start in members.iter().take(STARTS) {
            let path = cycle_through(edges, graph, &filtered.of, start);
            if best.is_empty() || path.len() < best.len() {
                best = path;
            }
        }
    }
    best.iter().map(|&node| edges.ops[node as usize]).collect()
}

/// The shortest cycle through a member of a cyclic component, completions only, closed.
/// Moments cost nothing: they are looked at before what is a step further.
fn cycle_through(edges: &Edges, graph: &Graph, of: &[u32], start: u32) -> Vec<u32> {
    let mut from: FxHashMap<u32, u32> = FxHashMap::default();
    let mut waiting = VecDeque::from([start]);
    let mut last = start;
    'search: while let Some(node) = waiting.pop_front() {
        for &next in graph.out(node) {
            if next == start {
                last = node;
                break 'search;
            }
            if of[next as usize] != of[start as usize] || from.contains_key(&next) {
                continue;
            }
            from.insert(next, node);
            if edges.is_op(next) {
                waiting.push_back(next);
            } else {
                waiting.push_front(next);
            }
        }
    }
    let mut path = vec![start];
    while last != start {
        if edges.is_op(last) {
            path.push(last);
        }
        last = from[&last];
    }
    path.push(start);
    path.reverse();
    path
}
