//! From the end of the storm to the capture: heal, settle, drain, copy.
//!
//! The heal is never skipped and never waits for ever; everything after it is done as far as time
//! and hosts allow, and what is missing is said.

use cluster::System;
use futures_util::future::join;
use history::rundir::Ended;
use history::{ClientId, Event, NodeId, Offset, Partition, Phase};
use nemesis::{Board, Healed, Ledger};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use workloads::{Clients, Workload, drain};

use crate::order::Order;
use crate::phases::{End, Run, Stormed};
use crate::pump::Pump;
use crate::settle::{Settled, settle};

/// How long producers may flush when the load ends.
const FLUSH_WITHIN: Duration = Duration::from_secs(10);
/// The same after a signal, when the user waits.
const FLUSH_WHEN_ASKED: Duration = Duration::from_secs(3);

/// How long one takes to start that ended by itself.
const START_WITHIN: Duration = Duration::from_secs(60);

/// What the heal left.
pub(crate) struct Closed {
    healed: Healed,
    interrupted: Option<Ended>,
    storm_phase: Phase,
    warnings: Vec<String>,
}

impl<'a, S: System, C: Clients + 'static> Run<'a, S, C> {
    /// The heal: images of what comes back, then every fault undone. Never skipped.
    pub(crate) async fn close(
        &self,
        stormed: &Stormed,
        ledger: &Ledger<'a, S>,
        mut warnings: Vec<String>,
    ) -> Closed {
        let storm_phase = self.now.get();
        let interrupted = matches!(stormed, Stormed::Interrupted).then(|| self.interrupted());
        self.phase(Phase::Heal);
        let mut open = ledger.open();
        if interrupted.is_some() {
            // What is down stays down now, so its last image is as good.
            open.retain(|(_, deed)| !deed.kind.takes_down());
        }
        let camera = self.camera();
        let images = camera.before_return(&open);
        let images = self.unless_asked(2, images).await;
        warnings.extend(images.unwrap_or_default());
        let healed = ledger
            .close(async || self.order.interrupt.asked(1).await)
            .await;
        // Said at once: whatever fails later, this was told.
        for (fault, why) in &healed.stuck {
            self.tell(format!("{fault} could not be undone: {why}"));
        }
        for fault in &healed.left_down {
            self.tell(format!("{fault}: what is down stays down, the run ends"));
        }
        if interrupted.is_none() {
            self.raise_the_fallen().await;
        }
        Closed {
            healed,
            interrupted,
            storm_phase,
            warnings,
        }
    }

    /// Starts again, once, what ended by itself under a fault, as whoever runs brokers would. Its end
    /// stays in the history; where it does not come back, the judge will say that it is missing.
    async fn raise_the_fallen(&self) {
        for (node, service) in self.roll.fallen() {
            self.tell(format!("starting the {service} of {node} again"));
            let started = timeout(START_WITHIN, self.system.start(node, service)).await;
            match started {
                Ok(Ok(started)) => self.roll.started(node, service, started.pid),
                Ok(Err(error)) => self.tell(format!("the {service} of {node}: {error}")),
                Err(_) => self.tell(format!(
                    "the {service} of {node} is not back within {START_WITHIN:?}"
                )),
            }
        }
    }

    /// Settle, drain, capture.
    pub(crate) async fn after_heal(
        &self,
        stormed: Stormed,
        closed: Closed,
        workload: Workload,
        pump: &Pump,
    ) -> End {
        let Closed {
            healed,
            interrupted,
            storm_phase,
            mut warnings,
        } = closed;
        if let Err(error) = self.note_producers(&workload) {
            warnings.push(error.to_string());
        }
        let drainer = workload.next_client();
        let flush = match self.order.interrupt.signal() {
            Some(_) => FLUSH_WHEN_ASKED,
            None => FLUSH_WITHIN,
        };
        let counts = workload.stop(flush).await;
        let interrupted = match interrupted {
            // A history that is lost makes everything but the copies pointless.
            None if self.pen.failed().is_none() => {
                let calm = self.settle_and_drain(&healed, pump, drainer);
                let went = self.unless_asked(1, calm).await;
                went.is_none().then(|| self.interrupted())
            }
            settled => settled,
        };
        self.phase(Phase::Capture);
        let camera = self.camera();
        let copies = join(self.sample_clocks(), camera.at_the_end());
        match self.unless_asked(2, copies).await {
            Some(((), missing)) => warnings.extend(missing),
            None => warnings.push("the capture was skipped, as asked".to_owned()),
        }
        let late = self.order.interrupt.signal().map(|_| self.interrupted());
        let ended = match (interrupted.or(late), stormed) {
            (Some(interrupted), _) => interrupted,
            (None, Stormed::Stopped(why)) => Ended::CutShort {
                why,
                phase: Some(storm_phase),
            },
            (None, Stormed::Done | Stormed::Interrupted) => Ended::Completed,
        };
        End {
            ended,
            error: None,
            healed,
            acked: counts.values().map(|counts| counts.acked).sum(),
            warnings,
        }
    }

    async fn settle_and_drain(&self, healed: &Healed, pump: &Pump, client: ClientId) {
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
        let ranges = self.ranges(&pump.board(), &partitions);
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

    /// From each partition's log start to its leader's HW, as last observed.
    fn ranges(
        &self,
        board: &watch::Receiver<Board>,
        partitions: &[(Partition, Vec<NodeId>)],
    ) -> Vec<(Partition, Offset, Offset)> {
        let board = board.borrow();
        let range = |partition: &Partition| {
            let leader = board.leader(partition)?.node;
            let replica = board.of(partition, leader)?;
            let from = replica.log_start.unwrap_or(Offset(0));
            Some((partition.clone(), from, replica.hw?.0))
        };
        let mut ranges = Vec::new();
        for (partition, _) in partitions {
            match range(partition) {
                Some(range) => ranges.push(range),
                None => self.tell(format!("{partition} is not drained: no leader told its HW")),
            }
        }
        ranges
    }
}
