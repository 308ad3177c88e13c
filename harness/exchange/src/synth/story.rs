//! What happens besides the load: the cluster comes up, faults strike and are undone, leaders
//! change, the run settles and is captured.
//!
//! Each moment lies in a pause of the load, so that lines of different hosts, whose clocks are
//! known to some milliseconds only, keep their order.

use history::{
    ClockSample, Deed, Epoch, Event, Exit, FaultEvent, FaultKind, ImageReason, ImageTaken, Link,
    Mark, NodeId, Offset, Phase, ProcessChange, ProcessEvent, ProcessState, Service, Stage,
    StepEvent, StepStage,
};

use super::play::{FLUSH, Play};
use super::says::{Role, ahead, started};
use super::shape::{Change, Fault, LOAD_BEGINS, NODES, Shape};

const MILLI: u64 = 1_000_000;
/// Clocks are compared so often.
const CLOCKS: u64 = 10_000 * MILLI;

/// The process id of a broker, in its `life`-th life.
fn pid(node: NodeId, life: u32) -> u32 {
    347 + u32::from(node.0) + 100 * life
}

/// How often a broker was killed before a fault.
fn lives(shape: &Shape, node: NodeId, faults: usize) -> u32 {
    let killed = |fault: &&Fault| fault.node == node && fault.kind == FaultKind::Kill;
    shape.faults[..faults].iter().filter(killed).count() as u32
}

/// The steps of the schedule, as a plan writes them.
pub(super) fn steps(shape: &Shape) -> Vec<String> {
    let mut steps = Vec::new();
    for fault in &shape.faults {
        let ledger = &shape.parts[0].name;
        let held = shape
            .pause_before(fault.healed)
            .since(shape.pause_before(fault.strike));
        let seconds = held.as_secs();
        steps.push(format!(
            "{} leader of {ledger} for {seconds}s required",
            fault.kind
        ));
        steps.push(format!(
            "await isr of {ledger} == {{n0, n1, n2}} within 30s"
        ));
    }
    steps
}

/// The image that is taken before a fault's victim is let back.
pub(super) fn before_image(shape: &Shape, index: usize) -> ImageTaken {
    let fault = &shape.faults[index];
    let from = shape.pause_before(fault.healed).0 + 50 * MILLI;
    let life = lives(shape, fault.node, index);
    ImageTaken {
        node: fault.node,
        from: Mark(from),
        to: Mark(from + 100 * MILLI),
        process: match fault.kind {
            FaultKind::Kill => ProcessState::Gone,
            _ => ProcessState::Running {
                pid: pid(fault.node, life),
            },
        },
        unchanged: true,
        reason: ImageReason::BeforeReturn(fault.id),
        file: format!("images/{}-before-{}.tar.zst", fault.node, fault.id),
    }
}

/// The name of a node's last image.
pub(super) fn final_image(node: NodeId) -> String {
    format!("images/{node}-final.tar.zst")
}

impl Play<'_> {
    fn phase(&mut self, phase: Phase, at: Mark) {
        self.pen.write(&Event::Phase { at, phase });
    }

    fn process(&mut self, node: NodeId, at: Mark, service: Service, change: ProcessChange) {
        let event = ProcessEvent {
            at,
            node,
            service,
            change,
        };
        self.pen.write(&Event::Process(event));
    }

    fn clocks(&mut self, at: Mark) {
        for node in NODES {
            let (asked, answered) = (at, Mark(at.0 + 2 * MILLI));
            let wall = started().timestamp_nanos_opt().unwrap_or_default();
            let host_unix_nanos = wall + at.0 as i64 + MILLI as i64 + ahead(node);
            let sample = ClockSample {
                node,
                asked,
                answered,
                host_unix_nanos,
            };
            self.pen.write(&Event::Clock(sample));
        }
    }

    /// Hosts, brokers and topics come up.
    pub fn begin(&mut self) {
        self.phase(Phase::Setup, Mark::from_millis(100));
        self.clocks(Mark::from_millis(1_000));
        for node in NODES {
            let at = Mark::from_millis(2_500);
            self.process(
                node,
                at,
                Service::ZooKeeper,
                ProcessChange::Started { pid: 293 },
            );
            let at = Mark::from_millis(2_600);
            self.process(
                node,
                at,
                Service::Broker,
                ProcessChange::Started { pid: pid(node, 0) },
            );
            self.logs.starts(node, at);
        }
        self.logs.controls(Mark::from_millis(3_200));
        for part in 0..self.shape.parts.len() {
            self.create(part);
        }
        self.controller_known(Mark::from_millis(4_700));
        self.phase(Phase::Steady, LOAD_BEGINS);
    }

    fn create(&mut self, part: usize) {
        let shape = self.shape;
        let (name, replicas) = (&shape.parts[part].name, &shape.parts[part].replicas);
        let at = Mark::from_millis(4_000);
        let role = Role {
            epoch: Epoch(0),
            leo: Offset(0),
            hw: Offset(0),
            isr: replicas,
            previous: -1,
        };
        self.logs.elects(name, at, replicas[0], &role, 0);
        let at = Mark(at.0 + 50 * MILLI);
        for node in *replicas {
            self.logs.loaded(node, name, at, Offset(0));
            let then = Mark(at.0 + 2 * MILLI);
            if node == replicas[0] {
                self.logs.leads(node, name, then, &role);
            } else {
                self.logs.follows(node, name, then, &role);
                let then = Mark(then.0 + 2 * MILLI);
                self.logs.nothing_to_cut(node, name, replicas[0], then);
            }
        }
        let at = Mark::from_millis(4_500);
        self.believed(part, at, replicas[0], Epoch(0), replicas, &NODES);
    }

    /// The schedule begins.
    pub fn storm(&mut self, at: Mark) {
        self.phase(Phase::Storm, at);
    }

    /// What happens in the pause before a round.
    pub fn before(&mut self, round: u64) {
        let shape = self.shape;
        if round > 0 && shape.time(round).0 / CLOCKS != shape.time(round - 1).0 / CLOCKS {
            self.clocks(shape.pause_before(round));
        }
        let begun = shape.pause_before(round);
        for (index, fault) in shape.faults.iter().enumerate() {
            if fault.strike == round {
                self.strike(index, fault, begun);
            } else if fault.elected == round {
                self.elect(index, fault, begun);
            } else if fault.healed == round {
                self.heal(index, fault, begun);
            } else if fault.healed + 1 == round {
                self.rejoin(index, fault, begun);
            }
        }
    }

    fn step(&mut self, index: u32, at: Mark, stage: StepStage) {
        let text = match steps(self.shape).get(index as usize) {
            Some(text) => text.clone(),
            None => "settle: every replica in sync, HW = LEO".to_owned(),
        };
        self.pen.write(&Event::Step(StepEvent {
            at,
            index,
            text,
            stage,
        }));
    }

    fn fault(&mut self, fault: &Fault, at: Mark, stage: Stage) {
        let event = FaultEvent {
            fault: fault.id,
            at,
            stage,
        };
        self.pen.write(&Event::Fault(event));
    }

    fn strike(&mut self, index: usize, fault: &Fault, begun: Mark) {
        let after = |millis: u64| Mark(begun.0 + millis * MILLI);
        let ledger = &self.shape.parts[0].name;
        let asked = format!("{} leader of {ledger}", fault.kind);
        let deed = deed(fault, self.shape);
        let step = self.next_step();
        self.step(step, after(10), StepStage::Fired);
        self.fault(fault, after(20), Stage::Injecting { asked, deed });
        let evidence = match fault.kind {
            FaultKind::Kill => {
                let gone = ProcessChange::Exited(Exit::Killed);
                self.process(fault.node, after(60), Service::Broker, gone);
                format!("the process table of {} has no broker", fault.node)
            }
            _ => "4 rules in force, 11 packets dropped so far".to_owned(),
        };
        self.fault(fault, after(100), Stage::Injected { evidence });
        if fault.kind == FaultKind::Kill {
            self.silent(fault.node, after(200));
        }
        debug_assert_eq!(self.shape.faults[index].id, fault.id);
        self.refuse(fault.strike, after(300));
    }

    /// The controller gives every partition a leader that is there.
    fn elect(&mut self, index: usize, fault: &Fault, begun: Mark) {
        let shape = self.shape;
        let after = |millis: u64| Mark(begun.0 + millis * MILLI);
        for part in 0..shape.parts.len() {
            let change = &shape.parts[part].changes[index];
            if change.deposed() && fault.kind == FaultKind::Isolate {
                self.ask_to_shrink(part, change, after(3_000));
            }
            self.versions[part] += 1;
            self.announce(part, change, fault, after(3_600));
            let others: Vec<NodeId> = match fault.kind {
                FaultKind::Kill => NODES.to_vec(),
                _ => NODES
                    .into_iter()
                    .filter(|node| *node != fault.node)
                    .collect(),
            };
            // A dead broker's host still has its ZooKeeper; nobody there is asked for beliefs.
            let others: Vec<NodeId> = others
                .into_iter()
                .filter(|node| *node != fault.node)
                .collect();
            self.believed(
                part,
                after(3_800),
                change.new,
                change.epoch,
                &change.isr,
                &others,
            );
        }
    }

    /// A leader that is cut off asks for an in-sync set of its own, and is not heard.
    fn ask_to_shrink(&mut self, part: usize, change: &Change, at: Mark) {
        let shape = self.shape;
        let alone = [change.old];
        let planted = self.edits.words(part, change.fault).shrinking_hw;
        let role = Role {
            epoch: change.epoch,
            leo: shape.tail_base(part, change, change.tail.end),
            hw: planted.unwrap_or_else(|| shape.base(part, change.tail.start)),
            isr: &alone,
            previous: 0,
        };
        let all = &shape.parts[part].replicas;
        let name = &shape.parts[part].name;
        self.logs.shrinks(change.old, name, at, all, &role);
    }

    fn announce(&mut self, part: usize, change: &Change, fault: &Fault, at: Mark) {
        let shape = self.shape;
        let name = &shape.parts[part].name;
        let before = fault.elected - 1;
        let role = Role {
            epoch: change.epoch,
            leo: shape.base(part, shape.appended(part, before)),
            hw: match change.deposed() {
                true => shape.base(part, shape.known(before)),
                false => shape.base(part, shape.committed(before)),
            },
            isr: &change.isr,
            previous: change.epoch.0 - 1,
        };
        if change.deposed() {
            self.logs
                .elects(name, at, change.new, &role, self.versions[part]);
        }
        let then = Mark(at.0 + MILLI);
        self.logs.removes(name, then, change.new, &role, fault.node);
        let then = Mark(at.0 + 30 * MILLI);
        for node in &change.isr {
            if *node == change.new {
                self.logs.leads(*node, name, then, &role);
            } else {
                let copied = (before - 2).min(shape.appended(part, before));
                let role = Role {
                    leo: shape.base(part, copied),
                    hw: shape.base(part, shape.known(before)),
                    ..role
                };
                self.logs.follows(*node, name, then, &role);
            }
        }
    }

    /// The victim comes back: it learns who leads, cuts what the leader has not, and copies.
    fn heal(&mut self, index: usize, fault: &Fault, begun: Mark) {
        let after = |millis: u64| Mark(begun.0 + millis * MILLI);
        if self.images {
            let taken = before_image(self.shape, index);
            self.pen.write(&Event::Image(taken));
        }
        self.fault(fault, after(200), Stage::Healing);
        let node = fault.node;
        let evidence = match fault.kind {
            FaultKind::Kill => {
                let pid = pid(node, lives(self.shape, node, index + 1));
                let change = ProcessChange::Started { pid };
                self.process(node, after(400), Service::Broker, change);
                self.logs.starts(node, after(410));
                format!("broker {pid} runs on {node}")
            }
            _ => format!("no rule of {} is left on any host", fault.id),
        };
        for part in 0..self.shape.parts.len() {
            self.return_to(part, index, after(1_000));
        }
        self.fault(fault, after(1_200), Stage::Healed { evidence });
        let step = 2 * index as u32;
        self.step(step, after(1_210), StepStage::Done);
        let step = self.next_step();
        self.step(step, after(1_220), StepStage::Fired);
    }

    fn return_to(&mut self, part: usize, index: usize, at: Mark) {
        let shape = self.shape;
        let (name, fault) = (&shape.parts[part].name, &shape.faults[index]);
        let change = &shape.parts[part].changes[index];
        let cut = fault.strike - 3;
        let killed = fault.kind == FaultKind::Kill;
        let words = self.edits.words(part, index);
        let hw = match (killed, change.deposed()) {
            // The checkpoint of a dead broker is some time old.
            (true, _) => shape.base(part, cut - 2),
            (false, true) => shape.base(part, cut),
            (false, false) => shape.base(part, cut - 1),
        };
        if killed {
            self.logs.loaded(fault.node, name, at, hw);
        }
        let role = Role {
            epoch: change.epoch,
            leo: shape.tail_base(part, change, change.tail.end),
            hw: words.following_hw.unwrap_or(hw),
            isr: &change.isr,
            previous: if killed { -1 } else { change.epoch.0 - 1 },
        };
        self.logs
            .follows(fault.node, name, Mark(at.0 + 2 * MILLI), &role);
        if !change.tail.is_empty() {
            let to = words.cut_to.unwrap_or_else(|| shape.base(part, cut));
            self.logs
                .cuts(fault.node, name, Mark(at.0 + 60 * MILLI), to);
            if let Some(from) = words.hw_back {
                let then = Mark(at.0 + 62 * MILLI);
                self.logs.hw_back(fault.node, name, then, from, to);
            }
        }
    }

    /// The in-sync sets are full again.
    fn rejoin(&mut self, index: usize, fault: &Fault, begun: Mark) {
        let shape = self.shape;
        let after = |millis: u64| Mark(begun.0 + millis * MILLI);
        for (part, of) in shape.parts.iter().enumerate() {
            let change = &of.changes[index];
            let mut isr = change.isr.clone();
            isr.push(fault.node);
            self.versions[part] += 1;
            let version = self.versions[part];
            self.logs
                .isr_updated(change.new, &of.name, after(50), &isr, version);
            self.believed(part, after(100), change.new, change.epoch, &isr, &NODES);
        }
        self.step(2 * index as u32 + 1, after(200), StepStage::Done);
    }

    /// The load has ended: settle, drain, capture.
    pub fn end(&mut self) {
        let shape = self.shape;
        let rest = shape.rounds() + FLUSH;
        let begun = shape.time(rest);
        let after = |millis: u64| Mark(begun.0 + millis * MILLI);
        self.clocks(after(0));
        self.phase(Phase::Heal, after(100));
        self.phase(Phase::Settle, after(110));
        self.ask(rest, after(200).0, 1_000);
        for part in 0..shape.parts.len() {
            // Nothing has changed since, and ZooKeeper was asked again.
            self.zk_whole(part, rest, after(400).0, MILLI);
        }
        let step = self.next_step();
        self.step(step, after(900), StepStage::Done);
        self.phase(Phase::Drain, after(1_000));
        let drained = self.drain(after(1_010));
        let after = |millis: u64| Mark(drained.0 + millis * MILLI);
        self.ask(rest, after(10).0, 1_000);
        for (part, node) in &self.edits.left_out {
            let term = shape.term(*part, rest);
            let replicas = shape.parts[*part].replicas.into_iter();
            let isr: Vec<NodeId> = replicas.filter(|other| other != node).collect();
            self.versions[*part] += 1;
            self.believed(*part, after(500), term.leader, term.epoch, &isr, &NODES);
        }
        self.phase(Phase::Capture, after(1_000));
        self.clocks(after(1_010));
        for node in NODES {
            self.process(node, after(1_100), Service::Broker, ProcessChange::Paused);
        }
        for node in NODES.into_iter().filter(|_| self.images) {
            let pid = pid(node, lives(shape, node, shape.faults.len()));
            let taken = ImageTaken {
                node,
                from: after(1_110),
                to: after(1_400),
                process: ProcessState::Paused { pid },
                unchanged: true,
                reason: ImageReason::Final,
                file: final_image(node),
            };
            self.pen.write(&Event::Image(taken));
        }
        self.phase(Phase::Teardown, after(1_500));
    }
}

fn deed(fault: &Fault, shape: &Shape) -> Deed {
    let ledger = &shape.parts[0];
    let epoch = shape.term(0, fault.strike - 4).epoch;
    let because = format!(
        "{} leads {} in {epoch}, says the metadata of n2",
        fault.node, ledger.name
    );
    let (processes, links) = match fault.kind {
        FaultKind::Kill => (vec![(fault.node, Service::Broker)], vec![]),
        _ => (vec![], cut_links(fault.node)),
    };
    Deed {
        kind: fault.kind,
        processes,
        links,
        because,
    }
}

fn cut_links(node: NodeId) -> Vec<Link> {
    let others = NODES.into_iter().filter(|other| *other != node);
    let both = others.flat_map(|other| [(node, other), (other, node)]);
    let mut links: Vec<Link> = both
        .map(|(from, to)| Link {
            from,
            to,
            port: None,
        })
        .collect();
    links.sort_unstable();
    links
}
