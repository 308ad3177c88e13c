//! The inner process of `soak-faults`: it stands where the hosts can be reached, and goes through
//! the cycles, one after the other on one cluster.
//!
//! Faults are injected and healed by the ledger of real runs; here is only what comes before and
//! after. A cycle that leaves something behind is written down, and ends this process: what comes
//! next begins on hosts made anew, so that nothing is counted twice.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cluster::artefacts::Artefacts;
use cluster::{Injection, LabFile, RemoteCluster, System};
use history::recorder::Notebook;
use history::{Clock, Event, FaultEvent, FaultId, NodeId, Partition, RunId, Service, Stage, Topic};
use nemesis::clients::Clients;
use nemesis::{Board, Ledger, Roll, World, resolve};
use plan::seed::Seed;
use plan::{Ask, Budget, Plan, Target};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::counts::{Cast, Cycle, Row, append};
use super::drawn::{Drawn, draw};
use super::kafka::{Brokers, Nobody};
use super::looks::{Eyes, Sight};
use super::stand_ins::StandIns;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{fresh_number, say_error};
use crate::signals::Signals;

/// What is run: brokers that a soak can hurt, with disks of their own.
pub const PLAN: &str = r#"
name = "soak-faults"
about = "The brokers of a soak: one topic, small segments, disks of their own."
[cluster]
kafka = "3.0.0"
profile = "fast"
disk = "96MiB"
[cluster.properties]
"log.segment.bytes" = "262144"
[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2
[topics.ledger.load]
producers = 1
consumers = 1
acks = "all"
idempotent = true
rate = 300
[phases]
steady = "1s"
calm = "1s"
settle_max = "60s"
drain_max = "60s"
[minimum]
acked = 1
acked_per_second = 1
[storm]
steps = ["wait 1s"]
"#;

/// For hosts to look again as they did: what a command of ours under way leaves for a moment is no
/// residue, what stays is.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// For brokers to be in sync again after a fault.
pub const WHOLE_WITHIN: Duration = Duration::from_secs(150);
const TEAR_DOWN_WITHIN: Duration = Duration::from_secs(60);

/// What the outer process tells the inner one, on its standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// With how to log in.
    pub lab: LabFile,
    /// Kafka's jars.
    pub artefacts: Artefacts,
    /// The first cycle that is not done.
    pub from: u32,
    /// How many there are.
    pub cycles: u32,
    /// How many of them, the first ones, are on real brokers.
    pub kafka: u32,
    /// What everything is drawn from.
    pub seed: u64,
    /// Where each cycle is written down.
    pub counts: PathBuf,
    /// The longest hold.
    pub hold: Duration,
}

impl Told {
    fn cast(&self, cycle: u32) -> Cast {
        if cycle < self.kafka {
            Cast::Kafka
        } else {
            Cast::StandIns
        }
    }
}

/// `tidemark __soak`: exit code 0 when all cycles are done, 1 when one left something behind and the
/// hosts have to be made anew before the next.
pub fn inside() -> Result<Exit, Failure> {
    crate::inside::die_with_parent().or_harness()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, go()).or_harness()
}

async fn go() -> anyhow::Result<Exit> {
    let mut told: Told = serde_json::from_reader(std::io::stdin().lock())
        .context("this verb is tidemark's own; use `make soak-faults`")?;
    let plan = Plan::parse(PLAN, "the soak's plan")?;
    let mut signals = Signals::listen()?;
    while told.from < told.cycles {
        let (lab, artefacts) = (&told.lab, &told.artefacts);
        let run = RunId::from_number(fresh_number().wrapping_add(told.from.into()));
        let system = RemoteCluster::connect(lab, &plan.cluster, artefacts, run, false).await?;
        let cast = told.cast(told.from);
        let went = tokio::select! {
            biased;
            raised = signals.next() => Err(anyhow!("ended by {}", crate::signals::name(raised))),
            went = with(&mut told, &plan, &system, run, cast) => went,
        };
        let down = timeout(TEAR_DOWN_WITHIN, system.tear_down()).await;
        let down = down.map_err(|_| anyhow!("the teardown took too long"));
        if let Err(error) = down.and_then(|it| it.map_err(Into::into)) {
            say_error(&format!("the teardown failed: {error}"));
        }
        let went = went.with_context(|| format!("cycle {}", told.from))?;
        if went == Went::Badly {
            return Ok(Exit::Broken);
        }
    }
    Ok(Exit::Held)
}

/// How the cycles of a cast went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Went {
    /// All of them.
    Well,
    /// The last one left something behind.
    Badly,
}

/// Cycles of one cast, until there are no more of it or the cluster has to be made anew.
async fn with(
    told: &mut Told,
    plan: &Plan,
    real: &RemoteCluster,
    run: RunId,
    cast: Cast,
) -> anyhow::Result<Went> {
    let clock = Clock::start();
    let (pen, book) = Notebook::open();
    let roll = Roll::new(pen.clone(), clock);
    let eyes = Eyes::open(&told.lab, cast).await?;
    match cast {
        Cast::StandIns => {
            let system = StandIns::new(real, &told.lab).await?;
            system.install().await?;
            for it in system.bring_up().await? {
                roll.started(it.node, it.service, it.pid);
            }
            let (_sender, board) = watch::channel(Board::default());
            let ground = Ground {
                system: &system,
                roll,
                clock,
                eyes,
                board,
                brokers: None,
            };
            ground.cycles(told, book, &Nobody).await
        }
        Cast::Kafka => {
            real.install().await?;
            for it in real.bring_up().await? {
                roll.started(it.node, it.service, it.pid);
            }
            let brokers = Brokers::begin(real, plan, run, pen, clock).await?;
            let ground = Ground {
                system: real,
                roll,
                clock,
                eyes,
                board: brokers.board(),
                brokers: Some(&brokers),
            };
            let clients = brokers.clients();
            ground.cycles(told, book, &clients).await
        }
    }
}

/// A cluster that is up, and how it is looked at.
struct Ground<'a, S> {
    system: &'a S,
    roll: Roll,
    clock: Clock,
    eyes: Eyes,
    board: watch::Receiver<Board>,
    /// Where brokers are real.
    brokers: Option<&'a Brokers>,
}

impl<S: System> Ground<'_, S> {
    async fn cycles(
        self,
        told: &mut Told,
        mut book: Notebook,
        clients: &dyn Clients,
    ) -> anyhow::Result<Went> {
        let powers = self.system.powers().await?;
        let roll = self.roll.clone();
        let ledger = Ledger::new(self.system, roll, clients, Budget::default());
        let cast = told.cast(told.from);
        self.whole().await?;
        self.warm_up().await?;
        let before = self.eyes.look().await?;
        let seed = Seed(told.seed);
        while told.from < told.cycles && told.cast(told.from) == cast {
            let number = told.from;
            let drawn = draw(seed, number, cast, &powers, told.hold);
            book.take();
            let cycle = tokio::select! {
                biased;
                never = ledger.tend() => match never {},
                cycle = self.cycle(&ledger, &drawn, &mut book, &before, told) => cycle?,
            };
            append(&told.counts, &cycle)?;
            told.from += 1;
            say(&cycle);
            if !cycle.is_good() {
                return Ok(Went::Badly);
            }
        }
        Ok(Went::Well)
    }

    /// What faults leave on purpose, once and for all, is there before the first look: iptables'
    /// empty table, copies of checkpoint files.
    async fn warm_up(&self) -> anyhow::Result<()> {
        let fault = FaultId(u16::MAX);
        let nodes = self.system.nodes();
        let from = |node: NodeId| nodes.iter().find(|it| **it != node).copied();
        for node in &nodes {
            let links: Vec<history::Link> = from(*node)
                .map(|from| history::Link {
                    from,
                    to: *node,
                    port: None,
                })
                .into_iter()
                .collect();
            self.system.cut(fault, &links, &self.clock).await?;
            self.system.mend(fault).await?;
            let keep = Injection::KeepCheckpoints(*node);
            self.system.inject(fault, &keep, &self.clock).await?;
        }
        Ok(())
    }

    /// Waits until real brokers are all in sync.
    async fn whole(&self) -> anyhow::Result<()> {
        match self.brokers {
            Some(brokers) => brokers.whole(self.system).await,
            None => Ok(()),
        }
    }

    async fn cycle(
        &self,
        ledger: &Ledger<'_, S>,
        drawn: &Drawn,
        book: &mut Notebook,
        before: &Sight,
        told: &Told,
    ) -> anyhow::Result<Cycle> {
        let begun = Instant::now();
        let mut targets = drawn.targets.clone();
        let mut pick = |below: usize| targets.below(below as u64) as usize;
        let mut rows: Vec<(Option<FaultId>, Row)> = Vec::new();
        let mut last = before.clone();
        for ask in &drawn.asks {
            let resolved = match self.resolve(ask, &mut pick).await {
                Ok(resolved) => resolved,
                Err(error) => bail!("`{ask}` found no target: {error}"),
            };
            let deed = resolved.deed.clone();
            let done = ledger.inject(ask.to_string(), resolved).await;
            let now = self.eyes.look().await?;
            let events = of_faults(book);
            let fault = events.first().map(|event| event.fault);
            let mut row = row_of(ask, &deed, &events);
            if let Err(error) = &done {
                row.error = Some(error.to_string());
            }
            let chains = format!("TM-{}-", told.lab.name);
            let shows = fault.and_then(|fault| now.shows(&last, fault, &deed, &chains));
            row.seen = shows;
            let told_so =
                matches!(done, Ok((_, true))) && row.stages.iter().any(|s| s == "injected");
            row.proof =
                told_so && !row.evidence.is_empty() && row.ms.is_some() && shows != Some(false);
            rows.push((fault, row));
            last = now;
        }
        sleep(drawn.hold).await;
        self.heal(ledger, drawn, &rows).await;
        for event in of_faults(book) {
            let mine = rows
                .iter_mut()
                .find(|(fault, _)| *fault == Some(event.fault));
            if let Some((_, row)) = mine {
                take_in(row, &event.stage);
            }
        }
        let whole = self.whole().await;
        let (mut residue, looks) = self.residue(before).await?;
        residue.extend(whole.err().map(|error| format!("! {error}")));
        Ok(Cycle {
            cycle: told.from,
            seed: told.seed,
            cast: told.cast(told.from),
            faults: rows.into_iter().map(|(_, row)| row).collect(),
            residue,
            looks,
            seconds: (begun.elapsed().as_secs_f64() * 10.0).round() / 10.0,
        })
    }

    async fn heal(&self, ledger: &Ledger<'_, S>, drawn: &Drawn, rows: &[(Option<FaultId>, Row)]) {
        let mut order: Vec<FaultId> = rows.iter().filter_map(|(fault, _)| *fault).collect();
        if !drawn.in_order {
            order.reverse();
        }
        if drawn.at_once {
            // What is stuck is tried again below, and told by its stages.
            drop(ledger.heal(&order).await);
        } else {
            for fault in order {
                drop(ledger.heal(&[fault]).await);
            }
        }
        ledger.close(std::future::pending).await;
    }

    async fn residue(&self, before: &Sight) -> anyhow::Result<(Vec<String>, u32)> {
        let until = Instant::now() + SETTLES_WITHIN;
        let mut looks = 0;
        loop {
            let differ = before.difference(&self.eyes.look().await?);
            looks += 1;
            if differ.is_empty() || Instant::now() >= until {
                return Ok((differ, looks));
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn resolve(
        &self,
        ask: &Ask,
        pick: &mut dyn FnMut(usize) -> usize,
    ) -> anyhow::Result<nemesis::Resolved> {
        let zookeeper_leader = match ask.target() {
            Some(Target::ZooKeeperLeader) => self.system.zookeeper_leader().await?,
            _ => None,
        };
        let nodes = self.system.nodes();
        let partitions = [(Partition::new("ledger", 0), nodes.clone())];
        let mut world = World {
            nodes: &nodes,
            partitions: &partitions,
            board: &self.board.borrow(),
            zookeeper_leader,
            coordinator: None,
            pick,
        };
        Ok(resolve(ask, &mut world)?)
    }
}

/// What the ledger wrote about faults since the last call.
fn of_faults(book: &mut Notebook) -> Vec<FaultEvent> {
    let fault = |event| match event {
        Event::Fault(event) => Some(event),
        _ => None,
    };
    book.take().into_iter().filter_map(fault).collect()
}

fn row_of(ask: &Ask, deed: &history::Deed, events: &[FaultEvent]) -> Row {
    let process = |(node, service): &(NodeId, Service)| format!("{service} of {node}");
    let mut targets: Vec<String> = deed.processes.iter().map(process).collect();
    targets.extend(deed.links.iter().map(ToString::to_string));
    let mut row = Row {
        fault: ask.to_string(),
        kind: deed.kind.to_string(),
        targets,
        stages: Vec::new(),
        proof: false,
        seen: None,
        ms: None,
        evidence: String::new(),
        error: None,
    };
    for event in events {
        if let Stage::TookEffect { before, .. } = &event.stage
            && let Some(decided) = events.first()
        {
            let ms = (before.seconds() - decided.at.seconds()) * 1000.0;
            row.ms.get_or_insert((ms * 10.0).round() / 10.0);
        }
        take_in(&mut row, &event.stage);
    }
    row
}

fn take_in(row: &mut Row, stage: &Stage) {
    let word = match stage {
        Stage::Injecting { .. } => "injecting",
        Stage::TookEffect { .. } => "took-effect",
        Stage::Injected { evidence } => {
            row.evidence.clone_from(evidence);
            "injected"
        }
        Stage::Ineffective { evidence } => {
            row.evidence.clone_from(evidence);
            "ineffective"
        }
        Stage::Healing => "healing",
        Stage::Healed { .. } => "healed",
        Stage::Stuck { why } => {
            row.error = Some(why.clone());
            "stuck"
        }
    };
    // A cut that flaps takes effect again and again.
    if row.stages.last().is_none_or(|last| last != word) {
        row.stages.push(word.to_owned());
    }
}

fn say(cycle: &Cycle) {
    let each = cycle.faults.iter().map(|row| {
        let came = match (row.proof, &row.error) {
            (true, _) => format!("in force after {:.0} ms", row.ms.unwrap_or(0.0)),
            (false, Some(error)) => format!("not done: {error}"),
            (false, None) => format!("{}: {}", row.stages.join(" "), row.evidence),
        };
        format!("{} ({came})", row.fault)
    });
    let each = each.collect::<Vec<_>>().join(", ");
    say_error(&format!(
        "cycle {}: {each}; {:.1} s",
        cycle.cycle, cycle.seconds
    ));
    for line in &cycle.residue {
        say_error(&format!("  {}", shortened(line)));
    }
}

/// Command lines of JVMs fill screens.
fn shortened(line: &str) -> String {
    let beginning: String = line.chars().take(240).collect();
    match line.chars().count() {
        0..=240 => beginning,
        _ => format!("{beginning} ..."),
    }
}

/// The soak's topic.
pub fn ledger() -> Topic {
    Topic::from("ledger")
}
