//! Faults that have been opened and not yet closed.
//!
//! The ledger never decides *what* to inject. It exists so that nothing injected is forgotten,
//! including faults whose injection failed half-way: an entry is made before anything is done, and
//! healing is owed from then on. It never waits for a host without end. How a fault is done and
//! undone is `doing`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use cluster::{ClusterError, System};
use futures_util::future::join_all;
use history::{
    Deed, Event, FaultEvent, FaultId, FaultKind, Mark, NodeId, ProcessState, Service, Stage,
};
use plan::Budget;
use tokio::sync::{Mutex, watch};
use tokio::time::{sleep, sleep_until, timeout};

use crate::budget;
use crate::clients::Clients;
use crate::resolve::Resolved;
use crate::roll::Roll;

/// An injection and its proof: a clean stop may take 30 s, a reassignment 60 s.
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

/// For each process, held by whoever lets it run just now.
type Turns = BTreeMap<(NodeId, Service), Rc<Mutex<()>>>;

/// The open faults of one run.
pub struct Ledger<'a, S> {
    pub(crate) system: &'a S,
    pub(crate) roll: Roll,
    pub(crate) clients: &'a dyn Clients,
    nodes: Vec<NodeId>,
    budget: Budget,
    open: RefCell<BTreeMap<FaultId, Open>>,
    in_force: watch::Sender<Vec<String>>,
    last: Cell<u16>,
    turns: RefCell<Turns>,
}

/// An open fault.
#[derive(Debug, Clone)]
struct Open {
    resolved: Resolved,
    /// Somebody undoes it: it is cut no more.
    healing: bool,
    flap: Option<Flap>,
}

/// A cut that comes and goes.
#[derive(Debug, Clone, Copy)]
struct Flap {
    every: Duration,
    next: Mark,
    cut: bool,
}

impl<'a, S: System> Ledger<'a, S> {
    /// An empty ledger. Stages are written where the roll writes.
    pub fn new(system: &'a S, roll: Roll, clients: &'a dyn Clients, budget: Budget) -> Self {
        Self {
            nodes: system.nodes(),
            system,
            roll,
            clients,
            budget,
            open: RefCell::default(),
            in_force: watch::Sender::new(Vec::new()),
            last: Cell::new(0),
            turns: RefCell::default(),
        }
    }

    /// Whose turn it is to let a process run: several faults on one process may be undone at once,
    /// and each would find it gone and start it.
    pub(crate) fn turn(&self, node: NodeId, service: Service) -> Rc<Mutex<()>> {
        let mut turns = self.turns.borrow_mut();
        turns.entry((node, service)).or_default().clone()
    }

    /// The open faults in words, live; for progress.
    pub fn in_force(&self) -> watch::Receiver<Vec<String>> {
        self.in_force.subscribe()
    }

    /// The open faults, in the order in which they were opened.
    pub fn open(&self) -> Vec<(FaultId, Deed)> {
        let open = self.open.borrow();
        open.iter()
            .map(|(f, it)| (*f, it.resolved.deed.clone()))
            .collect()
    }

    /// Another open fault that keeps this process as it was found: gone, or stopped.
    pub(crate) fn held_by(
        &self,
        not: FaultId,
        node: NodeId,
        service: Service,
        state: ProcessState,
    ) -> Option<FaultId> {
        let open = self.open.borrow();
        let mut others = open
            .iter()
            .filter(|(fault, it)| **fault != not && !it.healing);
        let holds = |deed: &Deed| {
            let kind = match state {
                ProcessState::Gone => deed.kind.takes_down(),
                ProcessState::Paused { .. } => deed.kind == FaultKind::Pause,
                ProcessState::Running { .. } => false,
            };
            kind && deed.processes.contains(&(node, service))
        };
        others
            .find(|(_, it)| holds(&it.resolved.deed))
            .map(|(fault, _)| *fault)
    }

    /// Whether the budget allows this deed beside what is open; why not, in words.
    ///
    /// # Errors
    /// Not now.
    pub fn allows(&self, deed: &Deed) -> Result<(), String> {
        let open: Vec<Deed> = self.open().into_iter().map(|(_, deed)| deed).collect();
        budget::over(&self.budget, &self.nodes, &open, deed).map_or(Ok(()), Err)
    }

    /// Opens a fault: writes it down, does it, reads it back. `Ok(false)` when it proved
    /// ineffective; it stays open then as well, since half of it may be in force. An error leaves
    /// it open too.
    ///
    /// # Errors
    /// A host refused, or did not answer in time.
    pub async fn inject(
        &self,
        asked: String,
        resolved: Resolved,
    ) -> Result<(FaultId, bool), ClusterError> {
        let fault = FaultId(self.last.get() + 1);
        self.last.set(fault.0);
        let work = self.open_as(fault, asked, resolved);
        match timeout(INJECT_WITHIN, work).await {
            Ok(injected) => injected.map(|effective| (fault, effective)),
            Err(_) => Err(ClusterError::Lab(format!(
                "{fault} was neither in force nor refused within {INJECT_WITHIN:?}"
            ))),
        }
    }

    async fn open_as(
        &self,
        fault: FaultId,
        asked: String,
        resolved: Resolved,
    ) -> Result<bool, ClusterError> {
        let deed = resolved.deed.clone();
        let open = Open {
            resolved: resolved.clone(),
            healing: false,
            flap: None,
        };
        self.open.borrow_mut().insert(fault, open);
        self.roll.hold(&deed);
        self.in_force
            .send_modify(|faults| faults.push(format!("{fault} {asked}")));
        self.write(fault, Stage::Injecting { asked, deed });
        let done = self.act(fault, &resolved).await?;
        if let Some((after, before)) = done.between {
            self.write(fault, Stage::TookEffect { after, before });
        }
        let evidence = done.evidence;
        if !done.in_force {
            self.write(fault, Stage::Ineffective { evidence });
            return Ok(false);
        }
        self.write(fault, Stage::Injected { evidence });
        if let Some(every) = resolved.flaps
            && let Some(open) = self.open.borrow_mut().get_mut(&fault)
        {
            let next = self.roll.clock().mark() + every;
            open.flap = Some(Flap {
                every,
                next,
                cut: true,
            });
        }
        // Whoever tends the flapping ones learns of it.
        self.in_force.send_modify(|_| ());
        Ok(true)
    }

    /// Lets flapping cuts come and go, without end.
    pub async fn tend(&self) -> Infallible {
        let mut news = self.in_force.subscribe();
        loop {
            let next = {
                let open = self.open.borrow();
                let flaps = open.iter().filter(|(_, it)| !it.healing);
                let due = flaps.filter_map(|(fault, it)| Some((it.flap?.next, *fault)));
                due.min()
            };
            let due = async {
                match next {
                    Some((at, _)) => sleep_until(self.roll.clock().instant(at)).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                // The sender lives as long as the ledger.
                _ = news.changed() => {}
                () = due => if let Some((_, fault)) = next { self.flip(fault).await },
            }
        }
    }

    /// Cuts what was let go, or lets go what was cut. What fails is tried again at the next turn;
    /// whether the fault is gone in the end is the heal's to prove.
    async fn flip(&self, fault: FaultId) {
        let (links, flap) = {
            let mut open = self.open.borrow_mut();
            let Some(Open {
                resolved,
                healing: false,
                flap: Some(flap),
            }) = open.get_mut(&fault)
            else {
                return;
            };
            flap.cut = !flap.cut;
            flap.next = self.roll.clock().mark() + flap.every;
            (resolved.deed.links.clone(), *flap)
        };
        match flap.cut {
            true => {
                let cut = self.system.cut(fault, &links, self.roll.clock()).await;
                if let Ok((after, before)) = cut {
                    self.write(fault, Stage::TookEffect { after, before });
                }
            }
            // What is still there is removed at the next turn, and by the heal.
            false => drop(self.system.mend(fault).await),
        }
    }

    /// Closes these faults: cuts first, since a broker behind one cannot register, then processes,
    /// then assignments, since a replica must live to be assigned; each kind at once. What cannot be undone is written down as stuck and stays open, so that
    /// `close` tries again. One that is closed already is no error.
    ///
    /// # Errors
    /// Why which of them are stuck.
    pub async fn heal(&self, faults: &[FaultId]) -> Result<(), String> {
        let mut stuck = Vec::new();
        for turn in [Turn::Links, Turn::Rest, Turn::Assignments] {
            let mut each = self.every();
            each.retain(|(f, it)| faults.contains(f) && Turn::of(&it.deed) == turn);
            let tries = each.iter().map(|(fault, it)| self.undo(*fault, it));
            let tried = join_all(tries).await.into_iter().zip(&each);
            stuck.extend(tried.filter_map(|(it, (f, _))| Some(format!("{f}: {}", it.err()?))));
        }
        if stuck.is_empty() {
            Ok(())
        } else {
            Err(stuck.join("; "))
        }
    }

    fn every(&self) -> Vec<(FaultId, Resolved)> {
        let open = self.open.borrow();
        open.iter()
            .map(|(f, it)| (*f, it.resolved.clone()))
            .collect()
    }

    /// Closes every open fault, each tried twice. Never stops at the first that fails. Once
    /// `hurried` resolves, cuts and pauses have five seconds more, and what is down stays down.
    pub async fn close(&self, hurried: impl AsyncFn()) -> Healed {
        let mut healed = Healed::default();
        let is_down =
            |it: &Resolved| it.deed.kind.takes_down() || Turn::of(&it.deed) == Turn::Assignments;
        let (down, rest): (Vec<_>, Vec<_>) =
            self.every().into_iter().partition(|(_, it)| is_down(it));
        let late = async {
            hurried().await;
            sleep(HURRIED_WITHIN).await;
        };
        tokio::select! {
            biased;
            stuck = self.undo_twice(&rest) => healed.stuck = stuck,
            () = late => for (fault, _) in self.every().into_iter().filter(|(_, it)| !is_down(it)) {
                let why = format!("not undone within {HURRIED_WITHIN:?} when the run had to end");
                self.write(fault, Stage::Stuck { why: why.clone() });
                healed.stuck.push((fault, why));
            },
        }
        let (assignments, down): (Vec<_>, Vec<_>) = down
            .into_iter()
            .partition(|(_, it)| Turn::of(&it.deed) == Turn::Assignments);
        tokio::select! {
            biased;
            () = hurried() => {
                let left = self.every().into_iter().filter(|(_, it)| is_down(it));
                healed.left_down = left.map(|(fault, _)| fault).collect();
            },
            stuck = async {
                let mut stuck = self.undo_twice(&down).await;
                stuck.extend(self.undo_twice(&assignments).await);
                stuck
            } => healed.stuck.extend(stuck),
        }
        healed
    }

    async fn undo_twice(&self, faults: &[(FaultId, Resolved)]) -> Vec<(FaultId, String)> {
        // What fails is still open, and is tried again.
        join_all(faults.iter().map(|(fault, it)| self.undo(*fault, it))).await;
        let mut again = self.every();
        again.retain(|(fault, _)| faults.iter().any(|(f, _)| f == fault));
        let each = again.iter().map(async |(fault, it)| {
            let stuck = self.undo(*fault, it).await.err()?;
            Some((*fault, stuck))
        });
        join_all(each).await.into_iter().flatten().collect()
    }

    /// Undoes one fault, reads it back and strikes it off.
    async fn undo(&self, fault: FaultId, it: &Resolved) -> Result<(), String> {
        if let Some(open) = self.open.borrow_mut().get_mut(&fault) {
            open.healing = true;
        }
        self.write(fault, Stage::Healing);
        let within = match it.deed.kind {
            FaultKind::Isolate | FaultKind::Cut | FaultKind::Flap => MEND_WITHIN,
            _ => START_WITHIN,
        };
        let undone = match timeout(within, self.undo_all(fault, it)).await {
            Ok(Ok(read_back)) => read_back,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer within {within:?}")),
        };
        match undone {
            Ok(evidence) => {
                self.open.borrow_mut().remove(&fault);
                self.roll.release(&it.deed);
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

    fn write(&self, fault: FaultId, stage: Stage) {
        let at = self.roll.clock().mark();
        self.note(Event::Fault(FaultEvent { fault, at, stage }));
    }

    pub(crate) fn note(&self, event: Event) {
        self.roll.pen().write(event);
    }
}

/// When a fault is undone beside others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Links,
    Rest,
    Assignments,
}

impl Turn {
    fn of(deed: &Deed) -> Turn {
        match deed.kind {
            FaultKind::Reassign => Turn::Assignments,
            _ if deed.links.is_empty() => Turn::Rest,
            _ => Turn::Links,
        }
    }
}
