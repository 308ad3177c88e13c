//! Cycles on one cluster: faults are drawn, injected and healed, and the hosts compared with before.
//!
//! Faults go through the ledger of real runs; it knows neither how the cluster was made nor who
//! hands out the cycles.

use std::time::Duration;

use anyhow::bail;
use cluster::{Injection, System};
use history::recorder::Notebook;
use history::{Clock, FaultId, NodeId, Partition};
use nemesis::clients::Clients;
use nemesis::{Board, Ledger, Roll, World, resolve};
use plan::seed::Seed;
use plan::{Ask, Budget, Target};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::counts::{Cycle, Row, append};
use super::drawn::{Drawn, draw};
use super::kafka::Brokers;
use super::looks::{Eyes, Sight};
use super::rows::{of_faults, row_of, say, take_in};
use super::told::Told;

/// For hosts to look again as they did: what a command of ours under way leaves for a moment is no
/// residue, what stays is.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);

/// How the cycles of a cast went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Went {
    /// All of them.
    Well,
    /// The last one left something behind.
    Badly,
}

/// A cluster that is up, and how it is looked at.
pub struct Ground<'a, S> {
    /// Hosts and processes.
    pub system: &'a S,
    /// Who runs.
    pub roll: Roll,
    /// The clock of everything.
    pub clock: Clock,
    /// How hosts are looked at.
    pub eyes: Eyes,
    /// Who leads what.
    pub board: watch::Receiver<Board>,
    /// Where brokers are real.
    pub brokers: Option<&'a Brokers>,
}

impl<S: System> Ground<'_, S> {
    /// Cycles until there are no more of this cast, or one left something behind.
    ///
    /// # Errors
    /// What ends the soak: hosts that cannot be asked, a fault without a target.
    pub async fn cycles(
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
