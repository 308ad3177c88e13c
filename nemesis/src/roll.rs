//! Which processes of the cluster are there, as far as anybody looked.
//!
//! Every process event of a run is written here, so that each change is written once, by whoever
//! sees it first: the fault that made it, the watch, or the capture. It asks no host itself.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use history::{
    Clock, Deed, Event, Exit, FaultKind, NodeId, Pen, ProcessChange, ProcessEvent, Service,
};

/// The processes of one run. Clones share it; one thread, so cells.
#[derive(Clone)]
pub struct Roll {
    pen: Pen,
    clock: Clock,
    lives: Rc<RefCell<BTreeMap<(NodeId, Service), Life>>>,
    /// Faults that are open.
    open: Rc<Cell<usize>>,
}

#[derive(Debug, Default)]
struct Life {
    up: bool,
    paused: bool,
    /// It ended by itself while a fault was open somewhere.
    fell: bool,
    /// Kinds of the open faults on this process, in the order in which they were opened.
    held: Vec<FaultKind>,
    /// Changes so far: an answer that was asked for before the last one says nothing.
    turn: u64,
}

/// A process that nobody but itself may end, with when it was called on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Called {
    /// Where.
    pub node: NodeId,
    /// What.
    pub service: Service,
    turn: u64,
}

impl Roll {
    /// Nobody is there yet.
    pub fn new(pen: Pen, clock: Clock) -> Self {
        Self {
            pen,
            clock,
            lives: Rc::default(),
            open: Rc::default(),
        }
    }

    pub(crate) fn pen(&self) -> &Pen {
        &self.pen
    }

    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// A process was started.
    pub fn started(&self, node: NodeId, service: Service, pid: u32) {
        self.change(node, service, |life| {
            (life.up, life.paused, life.fell) = (true, false, false);
            Some(ProcessChange::Started { pid })
        });
    }

    /// A process was found stopped by SIGSTOP.
    pub fn paused(&self, node: NodeId, service: Service) {
        self.change(node, service, |life| {
            let fresh = !life.paused;
            life.paused = true;
            fresh.then_some(ProcessChange::Paused)
        });
    }

    /// A process was continued.
    pub fn resumed(&self, node: NodeId, service: Service) {
        self.change(node, service, |life| {
            life.paused = false;
            Some(ProcessChange::Resumed)
        });
    }

    /// A process was found gone: by the fault that holds it, else by itself.
    pub fn gone(&self, node: NodeId, service: Service) {
        let under_fault = self.open.get() > 0;
        self.change(node, service, |life| {
            if !life.up {
                return None;
            }
            (life.up, life.paused) = (false, false);
            let ended = life.held.iter().rev().find_map(|kind| match kind {
                FaultKind::Kill | FaultKind::PowerCut => Some(Exit::Killed),
                FaultKind::Restart | FaultKind::Stop => Some(Exit::Stopped),
                _ => None,
            });
            life.fell = ended.is_none() && under_fault;
            Some(ProcessChange::Exited(ended.unwrap_or(Exit::Died)))
        });
    }

    /// The processes that ended by themselves while a fault was open somewhere, and are still gone:
    /// a broker gives up that cannot reach ZooKeeper while it starts. One that ended while all was
    /// well is not among them.
    pub fn fallen(&self) -> Vec<(NodeId, Service)> {
        let lives = self.lives.borrow();
        let fallen = lives.iter().filter(|(_, life)| !life.up && life.fell);
        fallen.map(|(process, _)| *process).collect()
    }

    /// The processes that should be there and that no open fault holds.
    pub fn call(&self) -> Vec<Called> {
        let lives = self.lives.borrow();
        let on_their_own = lives
            .iter()
            .filter(|(_, life)| life.up && life.held.is_empty());
        on_their_own
            .map(|((node, service), life)| Called {
                node: *node,
                service: *service,
                turn: life.turn,
            })
            .collect()
    }

    /// A process that was called on was found gone. False, and nothing is written, when a fault
    /// took hold of it or it changed since it was called on.
    pub fn died(&self, called: Called) -> bool {
        let Called {
            node,
            service,
            turn,
        } = called;
        let alone = self
            .lives
            .borrow()
            .get(&(node, service))
            .is_some_and(|life| life.up && life.held.is_empty() && life.turn == turn);
        if alone {
            self.gone(node, service);
        }
        alone
    }

    /// A fault is about to act on these processes.
    pub(crate) fn hold(&self, deed: &Deed) {
        self.open.set(self.open.get() + 1);
        for process in &deed.processes {
            let mut lives = self.lives.borrow_mut();
            let life = lives.entry(*process).or_default();
            life.turn += 1;
            life.held.push(deed.kind);
        }
    }

    /// A fault on these processes was undone.
    pub(crate) fn release(&self, deed: &Deed) {
        self.open.set(self.open.get().saturating_sub(1));
        for process in &deed.processes {
            let mut lives = self.lives.borrow_mut();
            let life = lives.entry(*process).or_default();
            life.turn += 1;
            if let Some(at) = life.held.iter().position(|kind| *kind == deed.kind) {
                life.held.remove(at);
            }
        }
    }

    fn change(
        &self,
        node: NodeId,
        service: Service,
        how: impl FnOnce(&mut Life) -> Option<ProcessChange>,
    ) {
        let change = {
            let mut lives = self.lives.borrow_mut();
            let life = lives.entry((node, service)).or_default();
            life.turn += 1;
            how(life)
        };
        if let Some(change) = change {
            self.pen.write(Event::Process(ProcessEvent {
                at: self.clock.mark(),
                node,
                service,
                change,
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use history::recorder::Notebook;

    use super::*;

    const N0: (NodeId, Service) = (NodeId(0), Service::Broker);

    fn kill() -> Deed {
        Deed {
            kind: FaultKind::Kill,
            processes: vec![N0],
            links: Vec::new(),
            because: String::new(),
        }
    }

    fn changes(book: &mut Notebook) -> Vec<ProcessChange> {
        let change = |event| match event {
            Event::Process(event) => Some(event.change),
            _ => None,
        };
        book.take().into_iter().filter_map(change).collect()
    }

    #[test]
    fn a_death_is_written_once_and_by_its_cause() {
        let (pen, mut book) = Notebook::open();
        let roll = Roll::new(pen, Clock::start());
        roll.started(N0.0, N0.1, 7);
        let called = roll.call();
        assert!(roll.died(called[0]) && !roll.died(called[0]));
        roll.gone(N0.0, N0.1);
        let died = ProcessChange::Exited(Exit::Died);
        let started = ProcessChange::Started { pid: 7 };
        assert_eq!(changes(&mut book), [started, died]);
        assert_eq!(roll.call(), []);
    }

    #[test]
    fn who_fell_under_a_fault_is_known_until_it_is_back() {
        let (pen, _book) = Notebook::open();
        let roll = Roll::new(pen, Clock::start());
        let elsewhere = Deed {
            kind: FaultKind::Isolate,
            processes: Vec::new(),
            ..kill()
        };
        roll.started(N0.0, N0.1, 7);
        roll.gone(N0.0, N0.1);
        assert_eq!(roll.fallen(), [], "nothing was done to anybody");
        roll.started(N0.0, N0.1, 8);
        roll.hold(&elsewhere);
        roll.gone(N0.0, N0.1);
        roll.release(&elsewhere);
        assert_eq!(roll.fallen(), [N0]);
        roll.started(N0.0, N0.1, 9);
        assert_eq!(roll.fallen(), []);
        roll.hold(&kill());
        roll.gone(N0.0, N0.1);
        assert_eq!(roll.fallen(), [], "that one was killed");
    }

    #[test]
    fn an_answer_from_before_a_fault_says_nothing() {
        let (pen, mut book) = Notebook::open();
        let roll = Roll::new(pen, Clock::start());
        roll.started(N0.0, N0.1, 7);
        let called = roll.call();
        roll.hold(&kill());
        assert!(!roll.died(called[0]) && roll.call().is_empty());
        roll.gone(N0.0, N0.1);
        roll.started(N0.0, N0.1, 8);
        roll.release(&kill());
        assert!(!roll.died(called[0]), "that was another process");
        let written = changes(&mut book);
        assert_eq!(written[1], ProcessChange::Exited(Exit::Killed));
        assert_eq!(written.len(), 3);
    }
}
