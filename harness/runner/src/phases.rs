//! The phases of a run, in their order, on every path out.
//!
//! Whatever ends a run early (a signal, a host that fails, a missed step), the ledger is closed,
//! what can be captured is captured, and the directory is sealed with how it ended.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use cluster::{ClusterError, Described, Injection, System};
use history::rundir::Ended;
use history::{FaultId, NodeId, Partition, Pen, Phase, Recorder, Setting};
use nemesis::{Healed, Ledger, Roll};
use workloads::{Clients, Workload};

use crate::capture::Camera;
use crate::error::RunError;
use crate::order::{Finished, Order};
use crate::our_clients::OurClients;
use crate::patience::{Limit, Patience};
use crate::pump::Pump;
use crate::storm::{Stage, Stopped};
use crate::watch::watch;

/// For the whole of the setup; each of its parts has a limit of its own on the hosts.
const SETUP_WITHIN: Duration = Duration::from_secs(1200);

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
        roll: Roll::new(pen.clone(), order.clock),
        patience: Patience(order.interrupt.clone()),
        pen,
        now: Cell::new(Phase::Setup),
    };
    let mut end = run.experiment().await;
    run.phase(Phase::Teardown);
    let torn_down = run.patience.bound_ok(Limit::TEARDOWN, system.tear_down());
    if let Err(why) = torn_down.await {
        end.warnings.push(format!("the teardown failed: {why}"));
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
pub(crate) struct End {
    pub ended: Ended,
    pub error: Option<RunError>,
    pub healed: Healed,
    pub acked: u64,
    pub warnings: Vec<String>,
}

impl End {
    fn before_load(ended: Ended, error: Option<RunError>) -> End {
        End {
            ended,
            error,
            healed: Healed::default(),
            acked: 0,
            warnings: Vec::new(),
        }
    }
}

/// One run while it goes on.
pub(crate) struct Run<'a, S, C> {
    pub order: &'a Order,
    pub system: &'a S,
    pub clients: Rc<C>,
    pub pen: Pen,
    pub roll: Roll,
    pub patience: Patience,
    pub now: Cell<Phase>,
}

impl<'a, S: System, C: Clients + 'static> Run<'a, S, C> {
    /// From setup to capture.
    async fn experiment(&self) -> End {
        let described = match self.unless_asked(1, self.setup()).await {
            None => return End::before_load(self.interrupted(), None),
            Some(Err(error)) => return self.without_load(error).await,
            Some(Ok(described)) => described,
        };
        let (workload, pump) = match self.open_load(described) {
            Ok(ready) => ready,
            Err(error) => return self.without_load(error).await,
        };
        tokio::select! {
            biased;
            end = self.under_load(workload, &pump) => end,
            () = watch(self.system, &self.roll, |news| self.tell(news)) => unreachable!("it never ends"),
        }
    }

    /// What ended the run before its load, with what the brokers' logs say of it.
    async fn without_load(&self, error: RunError) -> End {
        let ended = self.failed(&error);
        let mut end = End::before_load(ended, Some(error));
        end.warnings = self.camera().logs(Limit::LAST_LOGS).await;
        end
    }

    async fn under_load(&self, workload: Workload, pump: &Pump) -> End {
        let (stormed, closed) = {
            let clients = OurClients::new(&workload);
            let budget = self.order.plan.budget.clone();
            let ledger = Ledger::new(self.system, self.roll.clone(), &clients, budget);
            let missing = RefCell::default();
            let storm = self.load_and_storm(&workload, &ledger, pump, &missing);
            let stormed = tokio::select! {
                biased;
                stormed = storm => stormed,
                never = ledger.tend() => match never {},
            };
            let closed = self.close(&stormed, &ledger, missing.into_inner()).await;
            (stormed, closed)
        };
        self.after_heal(stormed, closed, workload, pump).await
    }

    /// Installs, starts, creates topics, reads settings back.
    async fn setup(&self) -> Result<Described, RunError> {
        self.phase(Phase::Setup);
        let late = || {
            let why = format!("the hosts were not ready within {SETUP_WITHIN:?}");
            ClusterError::Lab(why)
        };
        let set_up = tokio::time::timeout(SETUP_WITHIN, self.set_up()).await;
        set_up.unwrap_or_else(|_| Err(RunError::during(Phase::Setup)(late())))
    }

    async fn set_up(&self) -> Result<Described, RunError> {
        let setup = RunError::during(Phase::Setup);
        self.system.install().await.map_err(&setup)?;
        self.has_the_powers().await?;
        self.come_up().await.map_err(setup)
    }

    async fn come_up(&self) -> Result<Described, ClusterError> {
        self.tell("installed; starting ZooKeeper and brokers".to_owned());
        self.sample_clocks().await;
        for started in self.system.bring_up().await? {
            let (node, service) = (started.node, started.service);
            self.roll.started(node, service, started.pid);
        }
        self.tell("all brokers are registered".to_owned());
        for (name, spec) in &self.order.plan.topics {
            self.system.create_topic(name, spec).await?;
        }
        self.system.describe().await
    }

    /// Whether every host has the powers that the schedule draws on. Before any broker is started:
    /// a fault that cannot be done would be found out in the middle of the storm.
    async fn has_the_powers(&self) -> Result<(), RunError> {
        let schedule = &self.order.schedule;
        if !nemesis::needs_any(schedule) {
            return Ok(());
        }
        let powers = self.system.powers().await;
        let powers = powers.map_err(RunError::during(Phase::Setup))?;
        let why = nemesis::refusal(&self.order.plan.storm, schedule, &powers);
        why.map_or(Ok(()), |why| Err(RunError::Refused(why)))
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
            consumers: workload.consumers(),
        };
        self.order
            .dir
            .write_setting(&setting)
            .map_err(|error| RunError::Recording(error.to_string()))?;
        Ok((workload, pump))
    }

    /// Clients that were opened since (a library may give a handle up for good) enter
    /// `setting.json` too.
    pub(crate) fn note_producers(&self, workload: &Workload) -> Result<(), history::HistoryError> {
        let mut setting = self.order.dir.read_setting()?;
        setting.producers = workload.producers();
        setting.consumers = workload.consumers();
        self.order.dir.write_setting(&setting)
    }

    /// Steady load, the schedule, calm load; with clock samples and progress alongside.
    async fn load_and_storm(
        &self,
        workload: &Workload,
        ledger: &Ledger<'a, S>,
        pump: &Pump,
        missing: &RefCell<Vec<String>>,
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
            if let Err(error) = self.keep_checkpoints().await {
                return Stormed::Stopped(error.to_string());
            }
            self.phase(Phase::Storm);
            let stage = Stage {
                system: self.system,
                workload,
                ledger,
                camera: &camera,
                board: pump.board(),
                pen: self.pen.clone(),
                clock: *clock,
                targets: RefCell::new(schedule.seed.stream("target")),
                progress: progress.clone(),
                missing,
                partitions: self.partitions(),
                named: Default::default(),
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

    /// Copies of the checkpoint files as they are before the storm, where a step puts them back.
    async fn keep_checkpoints(&self) -> Result<(), ClusterError> {
        if !nemesis::puts_checkpoints_back(&self.order.schedule) {
            return Ok(());
        }
        for node in self.system.nodes() {
            let keep = Injection::KeepCheckpoints(node);
            self.system
                .inject(FaultId(0), &keep, &self.order.clock)
                .await?;
        }
        Ok(())
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

    pub(crate) fn camera(&self) -> Camera<'a, S> {
        Camera {
            system: self.system,
            dir: &self.order.dir,
            pen: self.pen.clone(),
            roll: self.roll.clone(),
            clock: self.order.clock,
            patience: self.patience.clone(),
            partitions: self
                .partitions()
                .into_iter()
                .map(|(partition, _)| partition)
                .collect(),
        }
    }

    pub(crate) fn partitions(&self) -> Vec<(Partition, Vec<NodeId>)> {
        let topics = self.order.plan.topics.iter();
        topics
            .flat_map(|(name, spec)| spec.partitions(name).zip(spec.assignment.iter().cloned()))
            .collect()
    }

    /// The future's result, unless the user asks to stop for the `times`-th time before.
    pub(crate) async fn unless_asked<T>(
        &self,
        times: u32,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        tokio::select! {
            biased;
            () = self.order.interrupt.asked(times) => None,
            done = work => Some(done),
        }
    }

    pub(crate) fn interrupted(&self) -> Ended {
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
}

/// How the storm ended.
pub(crate) enum Stormed {
    Done,
    Stopped(String),
    Interrupted,
}
