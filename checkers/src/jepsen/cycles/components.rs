//! Strongly connected components, by Tarjan's algorithm with a stack of its own: a cycle through a
//! million operations must not overflow anything.

/// Edges by source, in two arrays.
#[derive(Debug)]
pub(super) struct Graph {
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl Graph {
    /// From a list of edges, which is run through twice.
    pub fn new(nodes: usize, edges: impl Iterator<Item = (u32, u32)> + Clone) -> Graph {
        let mut starts = vec![0_u32; nodes + 1];
        for (from, _) in edges.clone() {
            starts[from as usize + 1] += 1;
        }
        for node in 0..nodes {
            starts[node + 1] += starts[node];
        }
        let mut targets = vec![0; starts[nodes] as usize];
        let mut places = starts.clone();
        for (from, to) in edges {
            let place = &mut places[from as usize];
            targets[*place as usize] = to;
            *place += 1;
        }
        Graph { starts, targets }
    }

    pub fn out(&self, node: u32) -> &[u32] {
        &self.targets[self.starts[node as usize] as usize..self.starts[node as usize + 1] as usize]
    }

    pub fn nodes(&self) -> usize {
        self.starts.len() - 1
    }
}

const UNSEEN: u32 = u32::MAX;

/// The component of each node. Numbers mean nothing but sameness.
pub(super) fn components(graph: &Graph) -> Vec<u32> {
    let nodes = graph.nodes();
    let mut of = vec![UNSEEN; nodes];
    let mut low = vec![UNSEEN; nodes];
    let mut open: Vec<u32> = Vec::new();
    // A node, how many of its edges have been followed, and its number.
    let mut path: Vec<(u32, u32, u32)> = Vec::new();
    let mut seen = 0;
    let mut found = 0;
    for root in 0..nodes as u32 {
        if low[root as usize] != UNSEEN {
            continue;
        }
        let enter = |node: u32, low: &mut [u32], open: &mut Vec<u32>, seen: &mut u32| {
            low[node as usize] = *seen;
            open.push(node);
            *seen += 1;
            (node, 0, *seen - 1)
        };
        path.push(enter(root, &mut low, &mut open, &mut seen));
        while let Some((node, followed, number)) = path.last_mut() {
            let node = *node;
            if let Some(&next) = graph.out(node).get(*followed as usize) {
                *followed += 1;
                if low[next as usize] == UNSEEN {
                    path.push(enter(next, &mut low, &mut open, &mut seen));
                } else if of[next as usize] == UNSEEN {
                    low[node as usize] = low[node as usize].min(low[next as usize]);
                }
                continue;
            }
            if low[node as usize] == *number {
                while let Some(member) = open.pop() {
                    of[member as usize] = found;
                    if member == node {
                        break;
                    }
                }
                found += 1;
            }
            path.pop();
            if let Some(&(above, _, _)) = path.last() {
                low[above as usize] = low[above as usize].min(low[node as usize]);
            }
        }
    }
    of
}
