//! Faults that have been opened and not yet closed.
//!
//! The ledger never decides *what* to inject. It exists so that nothing injected is forgotten,
//! including faults whose injection failed half-way: an entry is made before anything is done, and
//! healing is owed from then on. It never waits for a host without end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use cluster::{ClusterError, Signal, Signalled, System};
use futures_util::future::join_all;
use history::{
    Deed, Event, FaultEvent, FaultId, FaultKind, Mark, NodeId, ProcessState, Service, Stage,
};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::proof::{self, Proof};
use crate::roll::Roll;

/// An injection and its proof: a clean stop may take 30 s.
const INJECT_WITHIN: Duration = Duration::from_secs(90);
/// A cut that is removed, and the look whether it is gone.
const MEND_WITHIN: Duration = Duration::from_secs(25);
/// A process that is started: its old session may last 75 s, its start 60 s.
const START_WITHIN: Duration = Duration::from_secs(150);
/// What cuts and pauses get once the run has to end. What is down stays down then.
const HURRIED_WITHIN: Duration = Duration::from_secs(5);

/// Proof that every fault was closed; the settle phase asks for it.
#[derive(Debug, Default)]
pub struct Healed {
    /// Faults that could not be undone, with the reason. Empty after a good run.
    pub stuck: Vec<(FaultId, String)>,
    /// Faults whose processes were left down since the run had to end at once: the teardown ends
    /// all others as well.
    pub left_down: Vec<FaultId>,
}

/// The open faults of one run.
pub struct Ledger<'a, S> {
    system: &'a S,
    roll: Roll,
    open: RefCell<BTreeMap<FaultId, Deed>>,
    in_force: watch::Sender<Vec<String>>,
    last: u16,
}

impl<'a, S: System> Ledger<'a, S> {
    /// An empty ledger. Stages are written where the roll writes.
    pub fn new(system: &'a S, roll: Roll) -> Self {
        Self {
            system,
            roll,
            open: RefCell::default(),
            in_force: watch::Sender::new(Vec::new()),
            last: 0,
        }
    }

    /// The open faults in words, live; for progress.
    pub fn in_force(&self) -> watch::Receiver<Vec<String>> {
        self.in_force.subscribe()
    }

    /// The open faults, in the order in which they were opened.
    pub fn open(&self) -> Vec<(FaultId, Deed)> {
        let open = self.open.borrow();
        open.iter().map(|(f, deed)| (*f, deed.clone())).collect()
    }

    /// Opens a fault: writes it down, does it, reads it back. `Ok(false)` when it proved
    /// ineffective; it stays open then as well, since half of it may be in force. An error leaves
    /// it open too.
    ///
    /// # Errors
    /// A host refused, or did not answer in time.
    pub async fn inject(
        &mut self,
        asked: String,
        deed: Deed,
    ) -> Result<(FaultId, bool), ClusterError> {
        self.last += 1;
        let fault = FaultId(self.last);
        let work = self.inject_as(fault, asked, deed);
        match timeout(INJECT_WITHIN, work).await {
            Ok(injected) => injected.map(|effective| (fault, effective)),
            Err(_) => Err(ClusterError::Lab(format!(
                "{fault} was neither in force nor refused within {INJECT_WITHIN:?}"
            ))),
        }
    }

    async fn inject_as(
        &self,
        fault: FaultId,
        asked: String,
        deed: Deed,
    ) -> Result<bool, ClusterError> {
        self.open.borrow_mut().insert(fault, deed.clone());
        self.roll.hold(&deed);
        self.in_force
            .send_modify(|faults| faults.push(format!("{fault} {asked}")));
        self.write(
            fault,
            Stage::Injecting {
                asked,
                deed: deed.clone(),
            },
        );
        let clock = self.roll.clock();
        let ((after, before), proof) = match deed.kind {
            FaultKind::Kill | FaultKind::Restart | FaultKind::Pause | FaultKind::Stop => {
                let told = self.signal(&deed).await?;
                self.note(&deed, &told);
                (span(&told), proof::of_processes(&deed, &told))
            }
            FaultKind::Isolate | FaultKind::Cut => {
                let between = self.system.cut(fault, &deed.links, clock).await?;
                let proof = proof::of_cuts(self.system, clock, fault, &deed.links).await?;
                (between, proof)
            }
            kind => {
                let nothing = Proof::Nothing(format!("{kind} is not injected yet"));
                ((clock.mark(), clock.mark()), nothing)
            }
        };
        Ok(match proof {
            Proof::InForce(evidence) => {
                self.write(fault, Stage::TookEffect { after, before });
                self.write(fault, Stage::Injected { evidence });
                true
            }
            Proof::Nothing(evidence) => {
                self.write(fault, Stage::Ineffective { evidence });
                false
            }
        })
    }

    /// Signals the processes of a deed, all at once.
    async fn signal(&self, deed: &Deed) -> Result<Vec<Signalled>, ClusterError> {
        let signal = match deed.kind {
            FaultKind::Pause => Signal::Pause,
            FaultKind::Restart | FaultKind::Stop => Signal::Stop,
            _ => Signal::Kill,
        };
        let clock = self.roll.clock();
        let each = deed.processes.iter();
        let told = each.map(|(node, service)| self.system.signal(*node, *service, signal, clock));
        join_all(told).await.into_iter().collect()
    }

    /// Writes down what the processes of a deed became.
    fn note(&self, deed: &Deed, told: &[Signalled]) {
        for ((node, service), told) in deed.processes.iter().zip(told) {
            match told.after {
                ProcessState::Gone => self.roll.gone(*node, *service),
                ProcessState::Paused { .. } => self.roll.paused(*node, *service),
                ProcessState::Running { .. } => {}
            }
        }
    }

    /// Closes these faults: cuts first, since a broker behind one cannot register, then processes,
    /// each kind at once. What cannot be undone is written down as stuck and stays open, so that
    /// `close` tries again.
    ///
    /// # Errors
    /// Why which of them are stuck.
    pub async fn heal(&mut self, faults: &[FaultId]) -> Result<(), String> {
        let mut stuck = Vec::new();
        for links in [true, false] {
            let each = self.open().into_iter();
            let each =
                each.filter(|(f, deed)| faults.contains(f) && deed.links.is_empty() != links);
            let each: Vec<(FaultId, Deed)> = each.collect();
            let tries = each.iter().map(|(fault, deed)| self.undo(*fault, deed));
            let tried = join_all(tries).await.into_iter().zip(&each);
            stuck.extend(tried.filter_map(|(it, (f, _))| Some(format!("{f}: {}", it.err()?))));
        }
        if stuck.is_empty() {
            Ok(())
        } else {
            Err(stuck.join("; "))
        }
    }

    /// Closes every open fault, each tried twice. Never stops at the first that fails. Once
    /// `hurried` resolves, cuts and pauses have five seconds more, and what is down stays down.
    pub async fn close(self, hurried: impl AsyncFn()) -> Healed {
        let mut healed = Healed::default();
        let is_down = |deed: &Deed| deed.kind.takes_down();
        let (down, rest): (Vec<_>, Vec<_>) = self.open().into_iter().partition(|(_, d)| is_down(d));
        let late = async {
            hurried().await;
            sleep(HURRIED_WITHIN).await;
        };
        tokio::select! {
            biased;
            stuck = self.undo_twice(&rest) => healed.stuck = stuck,
            () = late => for (fault, _) in self.open().into_iter().filter(|(_, d)| !is_down(d)) {
                let why = format!("not undone within {HURRIED_WITHIN:?} when the run had to end");
                self.write(fault, Stage::Stuck { why: why.clone() });
                healed.stuck.push((fault, why));
            },
        }
        tokio::select! {
            biased;
            () = hurried() => {
                let left = self.open().into_iter().filter(|(_, deed)| is_down(deed));
                healed.left_down = left.map(|(fault, _)| fault).collect();
            },
            stuck = self.undo_twice(&down) => healed.stuck.extend(stuck),
        }
        healed
    }

    async fn undo_twice(&self, faults: &[(FaultId, Deed)]) -> Vec<(FaultId, String)> {
        // What fails is still open, and is tried again.
        join_all(faults.iter().map(|(fault, deed)| self.undo(*fault, deed))).await;
        let again: Vec<(FaultId, Deed)> = self
            .open()
            .into_iter()
            .filter(|(fault, _)| faults.iter().any(|(f, _)| f == fault))
            .collect();
        let each = again.iter().map(async |(fault, deed)| {
            let stuck = self.undo(*fault, deed).await.err()?;
            Some((*fault, stuck))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    /// Undoes one fault, reads it back and strikes it off.
    async fn undo(&self, fault: FaultId, deed: &Deed) -> Result<(), String> {
        self.write(fault, Stage::Healing);
        let within = match deed.kind {
            FaultKind::Isolate | FaultKind::Cut => MEND_WITHIN,
            _ => START_WITHIN,
        };
        let work = async {
            self.undo_deed(fault, deed).await?;
            proof::of_healing(self.system, fault, deed).await
        };
        let undone = match timeout(within, work).await {
            Ok(Ok(read_back)) => read_back,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {within:?}")),
        };
        match undone {
            Ok(evidence) => {
                self.open.borrow_mut().remove(&fault);
                self.roll.release(deed);
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
    async fn undo_deed(&self, fault: FaultId, deed: &Deed) -> Result<(), ClusterError> {
        if !deed.links.is_empty() {
            self.system.mend(fault).await?;
        }
        for (node, service) in &deed.processes {
            let (node, service) = (*node, *service);
            let state = self.system.process(node, service).await?;
            match (deed.kind, state) {
                (FaultKind::Isolate | FaultKind::Cut, _) => {}
                (FaultKind::Pause, ProcessState::Paused { .. }) => {
                    let clock = self.roll.clock();
                    let told = self.system.signal(node, service, Signal::Resume, clock);
                    told.await?;
                    self.roll.resumed(node, service);
                }
                (_, ProcessState::Running { .. } | ProcessState::Paused { .. }) => {}
                (_, ProcessState::Gone) => self.start(node, service).await?,
            }
        }
        Ok(())
    }

    async fn start(&self, node: NodeId, service: Service) -> Result<(), ClusterError> {
        self.roll.gone(node, service);
        let started = self.system.start(node, service).await?;
        if started.fresh {
            self.roll.started(node, service, started.pid);
        }
        Ok(())
    }

    fn write(&self, fault: FaultId, stage: Stage) {
        self.roll.pen().write(Event::Fault(FaultEvent {
            fault,
            at: self.roll.clock().mark(),
            stage,
        }));
    }
}

/// From when the first of several signals was about to be sent to when the last was obeyed.
fn span(told: &[Signalled]) -> (Mark, Mark) {
    let first = told.iter().map(|t| t.between.0).min();
    let last = told.iter().map(|t| t.between.1).max();
    (first.unwrap_or_default(), last.unwrap_or_default())
}
