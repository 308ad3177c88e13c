//! Faults that have been opened and not yet closed.
//!
//! The ledger never decides *what* to inject. It exists so that nothing injected is forgotten,
//! including faults whose injection failed half-way: an entry is made before anything is done, and
//! healing is owed from then on.

use std::collections::BTreeMap;

use cluster::{ClusterError, System};
use history::{
    Clock, Deed, Event, Exit, FaultEvent, FaultId, FaultKind, NodeId, Pen, ProcessChange,
    ProcessEvent, ProcessState, Service, Stage,
};

use tokio::sync::watch;

use crate::proof::{self, Proof};

/// Proof that every fault was closed; the settle phase asks for it.
#[derive(Debug)]
pub struct Healed {
    /// Faults that could not be undone, with the reason. Empty after a good run.
    pub stuck: Vec<(FaultId, String)>,
}

/// The open faults of one run.
pub struct Ledger<'a, S> {
    system: &'a S,
    pen: Pen,
    clock: Clock,
    open: BTreeMap<FaultId, Deed>,
    in_force: watch::Sender<Vec<String>>,
    last: u16,
}

impl<'a, S: System> Ledger<'a, S> {
    /// An empty ledger.
    pub fn new(system: &'a S, pen: Pen, clock: Clock) -> Self {
        let in_force = watch::Sender::new(Vec::new());
        Self {
            system,
            pen,
            clock,
            open: BTreeMap::new(),
            in_force,
            last: 0,
        }
    }

    /// The open faults in words, live; for progress.
    pub fn in_force(&self) -> watch::Receiver<Vec<String>> {
        self.in_force.subscribe()
    }

    /// The open faults, in the order in which they were opened.
    pub fn open(&self) -> impl Iterator<Item = (FaultId, &Deed)> {
        self.open.iter().map(|(fault, deed)| (*fault, deed))
    }

    /// Opens a fault: writes it down, does it, reads it back. `Ok(false)` when it proved
    /// ineffective; it stays open then as well, since half of it may be in force. An error leaves
    /// it open too.
    pub async fn inject(
        &mut self,
        asked: String,
        deed: Deed,
    ) -> Result<(FaultId, bool), ClusterError> {
        self.last += 1;
        let fault = FaultId(self.last);
        self.open.insert(fault, deed.clone());
        self.in_force
            .send_modify(|faults| faults.push(format!("{fault} {asked}")));
        self.write(
            fault,
            Stage::Injecting {
                asked,
                deed: deed.clone(),
            },
        );
        self.act(fault, &deed).await?;
        match proof::of_injection(self.system, &self.clock, fault, &deed).await? {
            Proof::InForce(evidence) => {
                self.write(fault, Stage::Injected { evidence });
                Ok((fault, true))
            }
            Proof::Nothing(evidence) => {
                self.write(fault, Stage::Ineffective { evidence });
                Ok((fault, false))
            }
        }
    }

    async fn act(&self, fault: FaultId, deed: &Deed) -> Result<(), ClusterError> {
        for (node, service) in &deed.processes {
            let (node, service) = (*node, *service);
            match deed.kind {
                FaultKind::Kill => {
                    self.system.kill(node, service).await?;
                    self.process(node, service, ProcessChange::Exited(Exit::Killed));
                }
                FaultKind::Restart => {
                    self.system.stop(node, service).await?;
                    self.process(node, service, ProcessChange::Exited(Exit::Stopped));
                }
                FaultKind::Pause => {
                    self.system.pause(node, service).await?;
                    self.process(node, service, ProcessChange::Paused);
                }
                FaultKind::Isolate | FaultKind::Cut => {}
            }
        }
        if !deed.links.is_empty() {
            self.system.cut(fault, &deed.links).await?;
        }
        Ok(())
    }

    /// Closes one fault. What cannot be undone is written down as stuck and stays open, so that
    /// `close` tries again.
    pub async fn heal(&mut self, fault: FaultId) -> Result<(), String> {
        let Some(deed) = self.open.get(&fault).cloned() else {
            return Ok(());
        };
        self.write(fault, Stage::Healing);
        let undone = match self.undo(fault, &deed).await {
            Ok(()) => proof::of_healing(self.system, fault, &deed)
                .await
                .unwrap_or_else(|error| Err(error.to_string())),
            Err(error) => Err(error.to_string()),
        };
        match undone {
            Ok(evidence) => {
                self.open.remove(&fault);
                let label = format!("{fault} ");
                self.in_force
                    .send_modify(|faults| faults.retain(|it| !it.starts_with(&label)));
                self.write(fault, Stage::Healed { evidence });
                Ok(())
            }
            Err(why) => {
                self.write(fault, Stage::Stuck { why: why.clone() });
                Err(why)
            }
        }
    }

    /// Undoes from what *is*: a process that already runs is left alone, a cut that is not there is
    /// no error.
    async fn undo(&self, fault: FaultId, deed: &Deed) -> Result<(), ClusterError> {
        if !deed.links.is_empty() {
            self.system.mend(fault).await?;
        }
        for (node, service) in &deed.processes {
            let (node, service) = (*node, *service);
            match deed.kind {
                FaultKind::Kill | FaultKind::Restart => {
                    let started = self.system.start(node, service).await?;
                    if started.fresh {
                        self.process(node, service, ProcessChange::Started { pid: started.pid });
                    }
                }
                FaultKind::Pause => match self.system.process(node, service).await? {
                    ProcessState::Paused { .. } => {
                        self.system.resume(node, service).await?;
                        self.process(node, service, ProcessChange::Resumed);
                    }
                    ProcessState::Running { .. } => {}
                    ProcessState::Gone => {
                        let started = self.system.start(node, service).await?;
                        self.process(node, service, ProcessChange::Started { pid: started.pid });
                    }
                },
                FaultKind::Isolate | FaultKind::Cut => {}
            }
        }
        Ok(())
    }

    /// Closes every open fault, cuts before processes (a broker behind a cut cannot register), each
    /// tried twice. Never stops at the first that fails.
    pub async fn close(mut self) -> Healed {
        let mut order: Vec<(bool, FaultId)> = self
            .open
            .iter()
            .map(|(fault, deed)| (deed.links.is_empty(), *fault))
            .collect();
        order.sort_unstable();
        let mut stuck = Vec::new();
        for (_, fault) in order {
            if self.heal(fault).await.is_err()
                && let Err(why) = self.heal(fault).await
            {
                stuck.push((fault, why));
            }
        }
        Healed { stuck }
    }

    fn write(&self, fault: FaultId, stage: Stage) {
        self.pen.write(Event::Fault(FaultEvent {
            fault,
            at: self.clock.mark(),
            stage,
        }));
    }

    fn process(&self, node: NodeId, service: Service, change: ProcessChange) {
        self.pen.write(Event::Process(ProcessEvent {
            at: self.clock.mark(),
            node,
            service,
            change,
        }));
    }
}
