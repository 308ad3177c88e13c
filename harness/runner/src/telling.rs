//! What a run says while it runs: phases, notes and the load for people, clocks for the history.
//!
//! Nothing is decided here.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::System;
use history::{Event, NodeId, Offset, Partition, Phase, Topic};
use nemesis::Board;
use tokio::sync::watch;
use workloads::{Clients, Workload};

use crate::patience::Limit;
use crate::phases::Run;
use crate::progress::Progress;
use crate::pump::Pump;

/// Hosts' clocks are compared this often.
const CLOCKS_EVERY: Duration = Duration::from_secs(30);

impl<S: System, C: Clients + 'static> Run<'_, S, C> {
    pub(crate) async fn sample_clocks(&self) {
        let samples = self.system.sample_clocks(&self.order.clock);
        match self.patience.bound_ok(Limit::SHORT, samples).await {
            Ok(samples) => {
                let nodes = self.system.nodes().into_iter();
                for node in nodes.filter(|node| !samples.iter().any(|it| it.node == *node)) {
                    self.tell(format!("the clock of {node} was not compared"));
                }
                for sample in samples {
                    self.pen.write(Event::Clock(sample));
                }
            }
            Err(why) => self.tell(format!("clocks were not compared: {why}")),
        }
    }

    pub(crate) async fn sample_clocks_for_ever(&self) {
        loop {
            tokio::time::sleep(CLOCKS_EVERY).await;
            self.sample_clocks().await;
        }
    }

    pub(crate) async fn tell_load(
        &self,
        workload: &Workload,
        pump: &Pump,
        faults: watch::Receiver<Vec<String>>,
    ) {
        let mut before: BTreeMap<Topic, u64> = BTreeMap::new();
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let counts = workload.counts();
            let acked = counts
                .iter()
                .map(|(topic, counts)| {
                    let last = before.insert(topic.clone(), counts.acked).unwrap_or(0);
                    (topic.clone(), (counts.acked, counts.acked - last))
                })
                .collect();
            let ends = ends(&pump.board(), &self.partitions());
            let faults = faults.borrow().clone();
            let at = self.order.clock.mark();
            // Nobody listening is no error: progress decides nothing.
            let _ = self.order.progress.send(Progress::Load {
                at,
                acked,
                ends,
                faults,
            });
        }
    }

    pub(crate) fn phase(&self, phase: Phase) {
        self.now.set(phase);
        let at = self.order.clock.mark();
        self.pen.write(Event::Phase { at, phase });
        let _ = self.order.progress.send(Progress::Phase { at, phase });
    }

    pub(crate) fn tell(&self, text: String) {
        let at = self.order.clock.mark();
        let _ = self.order.progress.send(Progress::Note { at, text });
    }
}

/// LEO and HW of every replica that has answered.
fn ends(
    board: &watch::Receiver<Board>,
    partitions: &[(Partition, Vec<NodeId>)],
) -> BTreeMap<Partition, Vec<(NodeId, Offset, Offset)>> {
    let board = board.borrow();
    let of = |partition: &Partition, nodes: &[NodeId]| {
        nodes
            .iter()
            .filter(|node| !board.is_silent(**node))
            .filter_map(|node| {
                let replica = board.of(partition, *node)?;
                Some((*node, replica.leo?.0, replica.hw?.0))
            })
            .collect()
    };
    partitions
        .iter()
        .map(|(p, nodes)| (p.clone(), of(p, nodes)))
        .collect()
}
