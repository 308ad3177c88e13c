//! The phases of a run, in their order, on every path out.
//!
//! Whatever ends a run early (a signal, a host that fails, a missed step), the ledger is closed,
//! what can be captured is captured, and the directory is sealed with how it ended.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cluster::{Described, System};
use history::rundir::Ended;
use history::{
    ClientId, Deed, Event, FaultId, NodeId, Offset, Partition, Pen, Phase, ProcessChange,
    ProcessEvent, Recorder, Setting, Topic,
};
use nemesis::{Board, Healed, Ledger};
use tokio::sync::watch;
use workloads::{Clients, Workload, drain};

use crate::capture::Camera;
use crate::error::RunError;
use crate::order::{Finished, Order};
use crate::progress::Progress;
use crate::pump::Pump;
use crate::settle::{Settled, settle};
use crate::storm::{Stage, Stopped};

/// How long producers may flush when the load ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(15);
/// The same after a signal, when the user waits.
const FLUSH_WHEN_ASKED: Duration = Duration::from_secs(3);
/// Hosts' clocks are compared this often.
const CLOCKS_EVERY: Duration = Duration::from_secs(30);
/// Drain clients are numbered from here, so that a reader of the history sees what they are.
const FIRST_DRAIN_CLIENT: u16 = 1000;

/// Carries out one run. Returns when the directory is sealed; an error means that not even that
/// was possible, or that the system under test never came up (the directory then says so).
pub async fn run<S: System, C: Clients + 'static>(
    order: Order,
    system: &S,
    clients: Rc<C>,
) -> Result<Finished, RunError> {
    let (pen, recorder) = Recorder::create(&order.dir.history_file())
        .map_err(|error| RunError::Recording(error.to_string()))?;
    let run = Run {
        order: &order,
        system,
        clients,
        pen,
        now: Cell::new(Phase::Setup),
    };
    let mut end = run.experiment().await;
    run.phase(Phase::Teardown);
    if let Err(error) = system.tear_down().await {
        end.warnings.push(format!("the teardown failed: {error}"));
    }
    drop(run);
    let counts = recorder
        .close()
        .await
        .map_err(|error| RunError::Recording(error.to_string()))?;
    order
        .dir
        .seal(end.ended.clone(), counts)
        .map_err(|error| RunError::Recording(error.to_string()))?;
    let finished = Finished {
        ended: end.ended,
        acked: end.acked,
        stuck: end
            .healed
            .stuck
            .iter()
            .map(|(fault, why)| format!("{fault}: {why}"))
            .collect(),
        warnings: end.warnings,
    };
    match end.error {
        Some(error) => Err(error),
        None => Ok(finished),
    }
}

/// How the experiment ended; filled in as far as it came.
struct End {
    ended: Ended,
    error: Option<RunError>,
    healed: Healed,
    acked: u64,
    warnings: Vec<String>,
}

impl End {
    fn before_load(ended: Ended, error: Option<RunError>) -> End {
        End {
            ended,
            error,
            healed: Healed { stuck: Vec::new() },
            acked: 0,
            warnings: Vec::new(),
        }
    }
}

struct Run<'a, S, C> {
    order: &'a Order,
    system: &'a S,
    clients: Rc<C>,
    pen: Pen,
    now: Cell<Phase>,
}

impl<'a, S: System, C: Clients + 'static> Run<'a, S, C> {
    /// From setup to capture.
    async fn experiment(&self) -> End {
        let ready = match self.unless_asked(1, self.setup()).await {
            None => return End::before_load(self.interrupted(), None),
            Some(Err(error)) => {
                let missing = self.camera().logs().await;
                let mut end = End::before_load(self.failed(&error), Some(error));
                end.warnings = missing;
                return end;
            }
            Some(Ok(described)) => self.open_load(described),
        };
        let (workload, pump) = match ready {
            Ok(ready) => ready,
            Err(error) => {
                return End::before_load(self.failed(&error), Some(error));
            }
        };
        let mut ledger = Ledger::new(self.system, self.pen.clone(), self.order.clock);
        let stormed = self.load_and_storm(&workload, &mut ledger, &pump).await;
        let end = self.after_storm(stormed, ledger, workload, &pump).await;
        pump.stop().await;
        end
    }

    /// Installs, starts, creates topics, reads settings back.
    async fn setup(&self) -> Result<Described, RunError> {
        self.phase(Phase::Setup);
        let during = RunError::during(Phase::Setup);
        self.system.install().await.map_err(&during)?;
        self.tell("installed; starting ZooKeeper and brokers".to_owned());
        self.sample_clocks().await;
        for started in self.system.bring_up().await.map_err(&during)? {
            self.pen.write(Event::Process(ProcessEvent {
                at: self.order.clock.mark(),
                node: started.node,
                service: started.service,
                change: ProcessChange::Started { pid: started.pid },
            }));
        }
        self.tell("all brokers are registered".to_owned());
        for (name, spec) in &self.order.plan.topics {
            self.system
                .create_topic(name, spec)
                .await
                .map_err(&during)?;
        }
        self.system.describe().await.map_err(&during)
    }

    /// Starts clients and probes, and writes `setting.json`.
    fn open_load(&self, described: Described) -> Result<(Workload, Pump), RunError> {
        let Order {
            plan,
            clock,
            probe_every,
            ..
        } = self.order;
        let partitions = self
            .partitions()
            .into_iter()
            .map(|(partition, _)| partition)
            .collect();
        let probes = self.system.probes(*clock, partitions, *probe_every);
        let pump = Pump::start(probes, self.pen.clone());
        self.phase(Phase::Steady);
        let workload =
            workloads::start(self.clients.clone(), &plan.topics, self.pen.clone(), *clock)?;
        let setting = Setting {
            run: self.order.run_id,
            plan: plan.name.clone(),
            seed: self.order.schedule.seed.0,
            started: self
                .order
                .started
                .to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            tidemark: env!("CARGO_PKG_VERSION").to_owned(),
            kafka: plan.cluster.kafka.clone(),
            client: self.clients.describe(),
            brokers: described.brokers,
            topics: described.topics,
            producers: workload.producers(),
            hosts: described.hosts,
        };
        self.order
            .dir
            .write_setting(&setting)
            .map_err(|error| RunError::Recording(error.to_string()))?;
        Ok((workload, pump))
    }

    /// Producers that were opened since (a library may give a handle up for good) enter
    /// `setting.json` too.
    fn note_producers(&self, workload: &Workload) -> Result<(), history::HistoryError> {
        let mut setting = self.order.dir.read_setting()?;
        setting.producers = workload.producers();
        self.order.dir.write_setting(&setting)
    }

    /// Steady load, the schedule, calm load; with clock samples and progress alongside.
    async fn load_and_storm(
        &self,
        workload: &Workload,
        ledger: &mut Ledger<'a, S>,
        pump: &Pump,
    ) -> Stormed {
        let faults = ledger.in_force();
        let camera = self.camera();
        let Order {
            plan,
            schedule,
            clock,
            progress,
            ..
        } = self.order;
        let storm = async {
            tokio::time::sleep(plan.phases.steady).await;
            if let Err(low) = self.enough_load(workload) {
                return Stormed::Stopped(low);
            }
            self.phase(Phase::Storm);
            let mut stage = Stage {
                system: self.system,
                workload,
                ledger,
                camera: &camera,
                board: pump.board(),
                pen: self.pen.clone(),
                clock: *clock,
                targets: schedule.seed.stream("target"),
                progress: progress.clone(),
            };
            if let Err(Stopped(why)) = stage.play(&schedule.steps).await {
                return Stormed::Stopped(why);
            }
            tokio::time::sleep(plan.phases.calm).await;
            Stormed::Done
        };
        tokio::select! {
            biased;
            () = self.order.interrupt.asked(1) => Stormed::Interrupted,
            lost = self.pen.failure() => Stormed::Stopped(format!("the history is being lost: {lost}")),
            stormed = storm => stormed,
            () = self.sample_clocks_for_ever() => unreachable!("it never ends"),
            () = self.tell_load(workload, pump, faults) => unreachable!("it never ends"),
        }
    }

    /// The load of the steady phase against the plan's minimum.
    fn enough_load(&self, workload: &Workload) -> Result<(), String> {
        let plan = &self.order.plan;
        let acked: u64 = workload.counts().values().map(|counts| counts.acked).sum();
        let rate = acked as f64 / plan.phases.steady.as_secs_f64().max(1.0);
        let minimum = f64::from(plan.minimum.acked_per_second);
        if rate < minimum {
            return Err(format!(
                "not enough load to mean anything: {rate:.0} records a second were acknowledged \
                 in the steady phase, the plan asks for {minimum:.0}"
            ));
        }
        Ok(())
    }

    /// Heal, settle, drain, capture. The heal is never skipped.
    async fn after_storm(
        &self,
        stormed: Stormed,
        ledger: Ledger<'a, S>,
        workload: Workload,
        pump: &Pump,
    ) -> End {
        let (storm_phase, interrupted) = (self.now.get(), self.interrupted());
        self.phase(Phase::Heal);
        let camera = self.camera();
        let open: Vec<(FaultId, Deed)> = ledger
            .open()
            .map(|(fault, deed)| (fault, deed.clone()))
            .collect();
        let missing = self.unless_asked(2, camera.before_return(&open)).await;
        let mut warnings = missing.unwrap_or_default();
        let healed = ledger.close().await;
        let asked = matches!(stormed, Stormed::Interrupted);
        let flush = if asked {
            FLUSH_WHEN_ASKED
        } else {
            FLUSH_WITHIN
        };
        if let Err(error) = self.note_producers(&workload) {
            warnings.push(error.to_string());
        }
        let counts = workload.stop(flush).await;
        let acked = counts.values().map(|counts| counts.acked).sum();
        if !asked {
            self.unless_asked(1, self.settle_and_drain(&healed, pump))
                .await;
        }
        self.phase(Phase::Capture);
        match self.unless_asked(2, self.capture(&camera)).await {
            Some(missing) => warnings.extend(missing),
            None => warnings.push("the capture was skipped, as asked".to_owned()),
        }
        let ended = match stormed {
            Stormed::Interrupted => interrupted,
            _ if self.order.interrupt.signal().is_some() => self.interrupted(),
            Stormed::Done => Ended::Completed,
            Stormed::Stopped(why) => Ended::CutShort {
                why,
                phase: Some(storm_phase),
            },
        };
        End {
            ended,
            error: None,
            healed,
            acked,
            warnings,
        }
    }

    async fn settle_and_drain(&self, healed: &Healed, pump: &Pump) {
        let Order { plan, clock, .. } = self.order;
        self.phase(Phase::Settle);
        let partitions = self.partitions();
        let within = plan.phases.settle_max;
        let text = "settle: every replica in sync, HW = LEO".to_owned();
        let stage = match settle(healed, pump.board(), &partitions, clock, within).await {
            Settled::Yes => history::StepStage::Done,
            Settled::No(why) => {
                self.tell(format!("not settled within {within:?}: {why}"));
                history::StepStage::Missed(history::Why::new(why.as_str()))
            }
        };
        let index = self.order.schedule.steps.len() as u32;
        let at = clock.mark();
        self.pen.write(Event::Step(history::StepEvent {
            at,
            index,
            text,
            stage,
        }));
        self.phase(Phase::Drain);
        let ranges = ranges(&pump.board(), &partitions);
        let client = ClientId(FIRST_DRAIN_CLIENT);
        let within = plan.phases.drain_max;
        match drain(&*self.clients, client, &ranges, &self.pen, clock, within).await {
            Ok(drained) if drained.complete => {}
            Ok(drained) => self.tell(format!(
                "the drain reached {:?} within {within:?}, not the end",
                drained.reached
            )),
            Err(error) => self.tell(format!("no drain: {error}")),
        }
    }

    async fn capture(&self, camera: &Camera<'_, S>) -> Vec<String> {
        self.sample_clocks().await;
        for node in self.system.nodes() {
            let state = self.system.process(node, history::Service::Broker).await;
            if let Ok(history::ProcessState::Gone) = state {
                self.pen.write(Event::Process(ProcessEvent {
                    at: self.order.clock.mark(),
                    node,
                    service: history::Service::Broker,
                    change: ProcessChange::Exited(history::Exit::Died),
                }));
            }
        }
        camera.at_the_end().await
    }

    fn camera(&self) -> Camera<'a, S> {
        Camera {
            system: self.system,
            dir: &self.order.dir,
            pen: self.pen.clone(),
            clock: self.order.clock,
            partitions: self
                .partitions()
                .into_iter()
                .map(|(partition, _)| partition)
                .collect(),
        }
    }

    fn partitions(&self) -> Vec<(Partition, Vec<NodeId>)> {
        let topics = self.order.plan.topics.iter();
        topics
            .flat_map(|(name, spec)| spec.partitions(name).zip(spec.assignment.iter().cloned()))
            .collect()
    }

    async fn sample_clocks(&self) {
        match self.system.sample_clocks(&self.order.clock).await {
            Ok(samples) => samples
                .into_iter()
                .for_each(|it| self.pen.write(Event::Clock(it))),
            Err(error) => self.tell(format!("clocks were not compared: {error}")),
        }
    }

    async fn sample_clocks_for_ever(&self) {
        loop {
            tokio::time::sleep(CLOCKS_EVERY).await;
            self.sample_clocks().await;
        }
    }

    async fn tell_load(
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

    /// The future's result, unless the user asks to stop for the `times`-th time before.
    async fn unless_asked<T>(&self, times: u32, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.order.interrupt.asked(times) => None,
            done = work => Some(done),
        }
    }

    fn interrupted(&self) -> Ended {
        Ended::Interrupted {
            signal: self.order.interrupt.signal().unwrap_or_default(),
            phase: Some(self.now.get()),
        }
    }

    fn failed(&self, error: &RunError) -> Ended {
        Ended::Failed {
            why: error.to_string(),
            phase: Some(self.now.get()),
        }
    }

    fn phase(&self, phase: Phase) {
        self.now.set(phase);
        let at = self.order.clock.mark();
        self.pen.write(Event::Phase { at, phase });
        let _ = self.order.progress.send(Progress::Phase { at, phase });
    }

    fn tell(&self, text: String) {
        let at = self.order.clock.mark();
        let _ = self.order.progress.send(Progress::Note { at, text });
    }
}

/// How the storm ended.
enum Stormed {
    Done,
    Stopped(String),
    Interrupted,
}

/// From each partition's log start to its leader's HW, as last observed.
fn ranges(
    board: &watch::Receiver<Board>,
    partitions: &[(Partition, Vec<NodeId>)],
) -> Vec<(Partition, Offset, Offset)> {
    let board = board.borrow();
    partitions
        .iter()
        .filter_map(|(partition, _)| {
            let leader = board.leader(partition)?.node;
            let replica = board.of(partition, leader)?;
            Some((
                partition.clone(),
                replica.log_start.unwrap_or(Offset(0)),
                replica.hw?.0,
            ))
        })
        .collect()
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
