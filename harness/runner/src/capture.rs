//! Copies of what brokers hold: before one is let back, and of all at the end.
//!
//! An image that cannot be taken is written down as missing evidence, never as an error: the run
//! goes on, and the judge knows what it lacks.

use std::collections::BTreeSet;

use cluster::System;
use futures_util::future::join_all;
use history::rundir::RunDir;
use history::{
    Clock, Deed, Event, FaultId, FaultKind, ImageReason, ImageTaken, NodeId, Partition, Pen,
    ProcessChange, ProcessEvent, Service,
};

/// Takes images and writes each down.
pub(crate) struct Camera<'a, S> {
    pub system: &'a S,
    pub dir: &'a RunDir,
    pub pen: Pen,
    pub clock: Clock,
    pub partitions: Vec<Partition>,
}

impl<S: System> Camera<'_, S> {
    /// Images of the brokers that these faults killed or cut off, before they are let back. Returns
    /// what could not be taken.
    pub async fn before_return(&self, faults: &[(FaultId, Deed)]) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut shots = Vec::new();
        for (fault, deed) in faults {
            for node in harmed(deed) {
                if seen.insert(node) {
                    let name = format!("{node}-before-{fault}");
                    shots.push(self.shoot(node, ImageReason::BeforeReturn(*fault), name));
                }
            }
        }
        join_all(shots)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    /// Pauses every broker, then copies every replica and every log. Returns what could not be done.
    pub async fn at_the_end(&self) -> Vec<String> {
        let nodes = self.system.nodes();
        let mut missing = Vec::new();
        let paused = join_all(
            nodes
                .iter()
                .map(|node| self.system.pause(*node, Service::Broker)),
        );
        for (node, paused) in nodes.iter().zip(paused.await) {
            match paused {
                Ok(()) => self.pen.write(Event::Process(ProcessEvent {
                    at: self.clock.mark(),
                    node: *node,
                    service: Service::Broker,
                    change: ProcessChange::Paused,
                })),
                Err(error) => missing.push(format!("{node} could not be paused: {error}")),
            }
        }
        let shots = nodes
            .iter()
            .map(|node| self.shoot(*node, ImageReason::Final, format!("{node}-final")));
        missing.extend(join_all(shots).await.into_iter().filter_map(Result::err));
        missing.extend(self.logs().await);
        missing
    }

    /// Copies every node's configuration and logs.
    pub async fn logs(&self) -> Vec<String> {
        let nodes = self.system.nodes();
        let copies = nodes.iter().map(|node| async move {
            let into = self.dir.nodes_dir(*node);
            let copied = self.system.copy_logs(*node, &into).await;
            copied.map_err(|error| format!("no logs of {node}: {error}"))
        });
        join_all(copies)
            .await
            .into_iter()
            .filter_map(Result::err)
            .collect()
    }

    async fn shoot(&self, node: NodeId, reason: ImageReason, name: String) -> Result<(), String> {
        let file = format!("images/{name}.tar.zst");
        let from = self.clock.mark();
        let into = self.dir.path().join(&file);
        let copied = self
            .system
            .copy_image(node, &self.partitions, &into)
            .await
            .map_err(|error| format!("no image of {node}: {error}"))?;
        self.pen.write(Event::Image(ImageTaken {
            node,
            from,
            to: self.clock.mark(),
            process: copied.process,
            unchanged: copied.unchanged,
            reason,
            file,
        }));
        Ok(())
    }
}

/// The brokers whose files may be cut when the fault ends: those that were down, and those that
/// were alone. The majority's side of an isolation holds nothing that would be thrown away.
fn harmed(deed: &Deed) -> Vec<NodeId> {
    match deed.kind {
        FaultKind::Kill | FaultKind::Restart => deed
            .processes
            .iter()
            .filter(|(_, service)| *service == Service::Broker)
            .map(|(node, _)| *node)
            .collect(),
        FaultKind::Pause => Vec::new(),
        FaultKind::Isolate => deed
            .nodes()
            .into_iter()
            .filter(|node| {
                deed.links
                    .iter()
                    .all(|link| link.from == *node || link.to == *node)
            })
            .collect(),
        FaultKind::Cut => deed.nodes(),
    }
}

#[cfg(test)]
mod tests {
    use history::Link;

    use super::*;

    fn link(from: u8, to: u8) -> Link {
        Link {
            from: NodeId(from),
            to: NodeId(to),
            port: None,
        }
    }

    #[test]
    fn of_an_isolation_only_the_lonely_side_is_copied() {
        let deed = Deed {
            kind: FaultKind::Isolate,
            processes: vec![],
            links: vec![link(0, 1), link(1, 0), link(0, 2), link(2, 0)],
            because: String::new(),
        };
        assert_eq!(harmed(&deed), [NodeId(0)]);
    }
}
