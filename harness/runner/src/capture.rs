//! Copies of what brokers hold: before one is let back, and of all at the end.
//!
//! An image that cannot be taken is written down as missing evidence, never as an error: the run
//! goes on, and the judge knows what it lacks.

use std::collections::BTreeSet;

use cluster::{Signal, System};
use futures_util::future::join_all;
use history::rundir::RunDir;
use history::{
    Clock, Deed, Event, FaultId, FaultKind, ImageReason, ImageTaken, NodeId, Partition, Pen,
    ProcessState, Service,
};
use nemesis::Roll;

use crate::patience::{Limit, Patience};

/// Takes images and writes each down.
pub(crate) struct Camera<'a, S> {
    pub system: &'a S,
    pub dir: &'a RunDir,
    pub pen: Pen,
    pub roll: Roll,
    pub clock: Clock,
    pub patience: Patience,
    pub partitions: Vec<Partition>,
}

impl<S: System> Camera<'_, S> {
    /// Images of the brokers that these faults kept down, stopped or cut off, before they are let
    /// back. Returns what could not be taken.
    pub async fn before_return(&self, faults: &[(FaultId, Deed)]) -> Vec<String> {
        let mut seen = BTreeSet::new();
        let mut shots = Vec::new();
        for (fault, deed) in faults {
            for node in harmed(deed) {
                let name = format!("{node}-before-{fault}");
                // A heal that is tried again must not replace what was there before the first try.
                let taken = self.dir.path().join(image_file(&name)).exists();
                if !taken && seen.insert(node) {
                    let why = ImageReason::BeforeReturn(*fault);
                    shots.push(self.shoot(node, why, name, Limit::IMAGE));
                }
            }
        }
        missing(join_all(shots).await)
    }

    /// Pauses every broker, then copies every replica and every log. Returns what could not be
    /// done; a host that does not answer costs the others nothing.
    pub async fn at_the_end(&self) -> Vec<String> {
        let nodes = self.system.nodes();
        let paused = join_all(nodes.iter().map(|node| self.stop(*node))).await;
        let each = nodes.iter().zip(&paused).map(async |(node, paused)| {
            let limit = match paused {
                Ok(()) => Limit::CAPTURE,
                Err(_) => Limit::CAPTURE_OF_THE_SILENT,
            };
            let name = format!("{node}-final");
            [
                self.shoot(*node, ImageReason::Final, name, limit).await,
                self.logs_of(*node, limit).await,
            ]
        });
        let copied = join_all(each).await.into_iter().flatten();
        missing(paused.iter().cloned().chain(copied))
    }

    /// Copies every node's configuration and logs.
    pub async fn logs(&self, limit: Limit) -> Vec<String> {
        let nodes = self.system.nodes();
        missing(join_all(nodes.iter().map(|node| self.logs_of(*node, limit))).await)
    }

    /// Pauses one broker; one that is gone is written down as such.
    async fn stop(&self, node: NodeId) -> Result<(), String> {
        let pause = async {
            let told = self
                .system
                .signal(node, Service::Broker, Signal::Pause, &self.clock);
            match told.await?.after {
                ProcessState::Gone => self.roll.gone(node, Service::Broker),
                ProcessState::Running { .. } | ProcessState::Paused { .. } => {
                    self.roll.paused(node, Service::Broker);
                }
            }
            Ok::<(), cluster::ClusterError>(())
        };
        let stopped = self.patience.bound_ok(Limit::SHORT, pause).await;
        stopped.map_err(|why| format!("{node} could not be paused: {why}"))
    }

    async fn logs_of(&self, node: NodeId, limit: Limit) -> Result<(), String> {
        let into = self.dir.nodes_dir(node);
        let copy = self.system.copy_logs(node, &into);
        let copied = self.patience.bound_ok(limit, copy).await;
        copied.map_err(|why| format!("no logs of {node}: {why}"))
    }

    async fn shoot(
        &self,
        node: NodeId,
        reason: ImageReason,
        name: String,
        limit: Limit,
    ) -> Result<(), String> {
        let file = image_file(&name);
        let from = self.clock.mark();
        let into = self.dir.path().join(&file);
        let copy = self.system.copy_image(node, &self.partitions, &into);
        let copied = self.patience.bound_ok(limit, copy).await;
        let copied = copied.map_err(|why| format!("no image of {node} ({name}): {why}"))?;
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

fn image_file(name: &str) -> String {
    format!("images/{name}.tar.zst")
}

fn missing(done: impl IntoIterator<Item = Result<(), String>>) -> Vec<String> {
    done.into_iter().filter_map(Result::err).collect()
}

/// The brokers whose files may be cut when the fault ends: those that were down or stopped, and
/// those that were alone. The majority's side of an isolation holds nothing that would be thrown
/// away.
fn harmed(deed: &Deed) -> Vec<NodeId> {
    match deed.kind {
        FaultKind::Kill
        | FaultKind::Restart
        | FaultKind::Stop
        | FaultKind::PowerCut
        | FaultKind::Wipe
        | FaultKind::Checkpoints
        | FaultKind::FlipBit
        | FaultKind::FillDisk
        | FaultKind::FailDisk
        | FaultKind::Clients
        | FaultKind::Pause => deed
            .processes
            .iter()
            .filter(|(_, service)| *service == Service::Broker)
            .map(|(node, _)| *node)
            .collect(),
        FaultKind::Isolate => {
            let nodes = deed.nodes();
            let apart = |a: NodeId, b: NodeId| {
                let mut links = deed.links.iter();
                links.any(|link| link.from == a && link.to == b)
            };
            let alone = |node: &NodeId| nodes.iter().all(|it| it == node || apart(*node, *it));
            nodes.iter().copied().filter(alone).collect()
        }
        FaultKind::Cut | FaultKind::Flap => deed.nodes(),
        FaultKind::Shape
        | FaultKind::Elect
        | FaultKind::Reassign
        | FaultKind::Configure
        | FaultKind::SlowDisk
        | FaultKind::DeleteRecords
        | FaultKind::Clock
        | FaultKind::CrashClient => Vec::new(),
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
        let all = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)].map(|(a, b)| link(a, b));
        let deed = Deed {
            links: all.to_vec(),
            ..deed
        };
        assert_eq!(harmed(&deed).len(), 3, "each of them is alone");
    }
}
