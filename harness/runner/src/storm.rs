//! The schedule, step by step: sends, faults, waits for conditions; holds that go on beside them.
//!
//! A step that cannot be done is written down as missed; whether the storm goes on then is the
//! plan's decision. Nothing here heals on the way out: the ledger does, whatever happened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use cluster::System;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use history::{
    Clock, Deed, Event, FaultId, Mark, NodeId, Partition, Pen, StepEvent, StepStage, Why,
};
use nemesis::{Board, Ledger, World, resolve};
use plan::seed::Stream;
use plan::{Action, Ask, Condition, Missed, Step, Target, When};
use tokio::sync::{mpsc, watch};
use workloads::Workload;

use crate::capture::Camera;
use crate::progress::Progress;
use crate::waiting::Waiting;

/// How long the outcomes of a `send` step are awaited.
const SEND_WITHIN: Duration = Duration::from_secs(60);

/// One storm.
pub(crate) struct Stage<'a, 'l, S: System> {
    pub system: &'a S,
    pub workload: &'l Workload,
    pub ledger: &'l Ledger<'a, S>,
    pub camera: &'l Camera<'a, S>,
    pub board: watch::Receiver<Board>,
    pub partitions: Vec<(Partition, Vec<NodeId>)>,
    pub pen: Pen,
    pub clock: Clock,
    pub targets: RefCell<Stream>,
    pub progress: mpsc::UnboundedSender<Progress>,
    /// Evidence that could not be had, in words.
    pub missing: &'l RefCell<Vec<String>>,
    /// The named steps that are done, with the faults that they opened.
    pub named: watch::Sender<BTreeMap<String, Named>>,
}

/// A step that others refer to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    done: Option<Mark>,
    fault: Option<FaultId>,
}

/// Why a storm ended before its last step.
pub(crate) struct Stopped(pub String);

/// A fault that is held beside the steps that follow its own.
struct Hold<'s> {
    index: usize,
    step: &'s Step,
    fault: FaultId,
    until: Mark,
}

impl<S: System> Stage<'_, '_, S> {
    /// Does every step, and waits for the holds that go on beside them. `Err` when a step missed
    /// whose miss ends the storm.
    pub async fn play(&self, steps: &[Step]) -> Result<(), Stopped> {
        let (beside, mut begun) = mpsc::unbounded_channel();
        let mut holds = FuturesUnordered::new();
        let mut steps = pin!(self.in_order(steps, beside));
        let mut over = false;
        loop {
            tokio::select! {
                biased;
                Some(hold) = begun.recv() => holds.push(self.hold(hold)),
                Some(held) = holds.next() => held?,
                done = &mut steps, if !over => {
                    done?;
                    over = true;
                }
                else => return Ok(()),
            }
            if over && holds.is_empty() && begun.is_empty() {
                return Ok(());
            }
        }
    }

    async fn in_order<'s>(
        &self,
        steps: &'s [Step],
        beside: mpsc::UnboundedSender<Hold<'s>>,
    ) -> Result<(), Stopped> {
        let began = self.clock.mark();
        for (index, step) in steps.iter().enumerate() {
            let text = step.to_string();
            let done = match self.until_due(step, began).await {
                Ok(due) => {
                    self.note(index, &text, StepStage::Fired);
                    let done = self.act(index, step, &beside).await;
                    done.map(|said| [due, said].into_iter().flatten().collect::<Vec<_>>())
                }
                Err(miss) => Err(miss),
            };
            match done {
                Ok(said) if said.is_empty() => self.tell(text.clone()),
                Ok(said) => self.tell(format!("{text}: {}", said.join("; "))),
                Err(miss) => {
                    self.miss(index, &text, miss)?;
                    self.done(step);
                    continue;
                }
            }
            if !matches!(
                step.action,
                Action::Fault {
                    meanwhile: true,
                    ..
                }
            ) {
                self.note(index, &text, StepStage::Done);
                self.done(step);
            }
        }
        Ok(())
    }

    fn miss(&self, index: usize, text: &str, miss: Miss) -> Result<(), Stopped> {
        self.tell(format!("{text}: missed, {}", miss.why));
        self.note(index, text, StepStage::Missed(Why::new(miss.why.as_str())));
        match miss.stops {
            true => Err(Stopped(format!("{text}: {}", miss.why))),
            false => Ok(()),
        }
    }

    /// Waits until a step is to fire; what made it due, in words where that is not plain.
    async fn until_due(&self, step: &Step, began: Mark) -> Result<Option<String>, Miss> {
        match &step.when {
            When::Next => Ok(None),
            When::At(after) => {
                tokio::time::sleep_until(self.clock.instant(began + *after)).await;
                Ok(None)
            }
            When::After { step, wait } => {
                let mut named = self.named.subscribe();
                let done = |named: &BTreeMap<String, Named>| named.get(step)?.done;
                // The sender is our own: it does not go away.
                let at = loop {
                    if let Some(at) = done(&named.borrow_and_update()) {
                        break at;
                    }
                    drop(named.changed().await);
                };
                tokio::time::sleep_until(self.clock.instant(at + *wait)).await;
                Ok(None)
            }
            When::Once {
                condition,
                within,
                missed,
            } => match (self.wait_for(condition, *within).await, missed) {
                (Ok(met), _) => Ok(Some(met)),
                (Err(why), Missed::Fire) => Ok(Some(format!("{why}; fired all the same"))),
                (Err(why), Missed::Stop) => Err(Miss { why, stops: true }),
                (Err(why), Missed::GoOn) => Err(Miss::harmless(why)),
            },
        }
    }

    async fn act<'s>(
        &self,
        index: usize,
        step: &'s Step,
        beside: &mpsc::UnboundedSender<Hold<'s>>,
    ) -> Result<Option<String>, Miss> {
        match &step.action {
            Action::Send { count, partition } => self.send(*count, partition).await.map(Some),
            Action::Fault {
                ask,
                hold,
                meanwhile,
                required,
            } => {
                let (fault, said) = self.fault(step, ask, *required).await?;
                if let Some(hold) = hold {
                    let hold = Hold {
                        index,
                        step,
                        fault,
                        until: self.clock.mark() + *hold,
                    };
                    if *meanwhile {
                        // Received as long as the storm plays.
                        drop(beside.send(hold));
                    } else {
                        self.let_go(&hold).await?;
                    }
                }
                Ok(Some(said))
            }
            Action::Heal(name) => self.heal(name.as_deref()).await.map(|()| None),
            Action::Await {
                condition,
                within,
                missed,
            } => match self.wait_for(condition, *within).await {
                Ok(met) => Ok(Some(met)),
                Err(why) => Err(Miss {
                    why,
                    stops: *missed == Missed::Stop,
                }),
            },
            Action::Wait(length) => {
                tokio::time::sleep(*length).await;
                Ok(None)
            }
        }
    }

    async fn send(&self, count: u32, partition: &Partition) -> Result<String, Miss> {
        let sent = self.workload.send(partition, count, SEND_WITHIN).await;
        let said = format!(
            "{} acknowledged, {} failed, {} unknown",
            sent.acked, sent.failed, sent.unknown
        );
        if sent.acked == 0 {
            Err(Miss::harmless(said))
        } else {
            Ok(said)
        }
    }

    /// Resolves and injects. What is not allowed, finds nobody or proves ineffective is a miss.
    async fn fault(
        &self,
        step: &Step,
        ask: &Ask,
        required: bool,
    ) -> Result<(FaultId, String), Miss> {
        let not_now = |why: String| Miss {
            why,
            stops: required,
        };
        let resolved = self.resolve(ask).await.map_err(not_now)?;
        self.ledger.allows(&resolved.deed).map_err(not_now)?;
        let because = resolved.deed.because.clone();
        let injected = self.ledger.inject(ask.to_string(), resolved).await;
        let (fault, effective) = injected.map_err(|error| Miss {
            why: error.to_string(),
            stops: true,
        })?;
        if let Some(name) = &step.name {
            let fault = Some(fault);
            self.named.send_modify(|named| {
                named.insert(name.clone(), Named { done: None, fault });
            });
        }
        if !effective {
            // Half of it may be in force; there is nothing to hold.
            self.let_back(&[fault]).await?;
            return Err(not_now(format!("{fault} proved ineffective")));
        }
        Ok((fault, format!("{fault} ({because})")))
    }

    async fn resolve(&self, ask: &Ask) -> Result<nemesis::Resolved, String> {
        let nodes = self.system.nodes();
        let (zookeeper_leader, coordinator) = match ask.target() {
            Some(Target::ZooKeeperLeader) => {
                (self.system.zookeeper_leader().await.ok().flatten(), None)
            }
            Some(Target::CoordinatorOf(group)) => {
                (None, self.system.coordinator(group).await.ok().flatten())
            }
            _ => (None, None),
        };
        let mut targets = self.targets.borrow_mut();
        let mut world = World {
            nodes: &nodes,
            partitions: &self.partitions,
            board: &self.board.borrow(),
            zookeeper_leader,
            coordinator,
            pick: &mut |below| targets.between(0, below as u64 - 1) as usize,
        };
        resolve(ask, &mut world).map_err(|why| why.to_string())
    }

    /// A hold beside other steps: when it is over its step is done.
    async fn hold(&self, hold: Hold<'_>) -> Result<(), Stopped> {
        let text = hold.step.to_string();
        let held = self.let_go(&hold).await;
        self.done(hold.step);
        match held {
            Ok(()) => {
                self.note(hold.index, &text, StepStage::Done);
                Ok(())
            }
            Err(miss) => self.miss(hold.index, &text, miss),
        }
    }

    /// Holds a fault for its time, or until something else healed it, and heals it.
    async fn let_go(&self, hold: &Hold<'_>) -> Result<(), Miss> {
        let mut in_force = self.ledger.in_force();
        let label = format!("{} ", hold.fault);
        // The ledger outlives this.
        let healed = in_force.wait_for(|open| !open.iter().any(|it| it.starts_with(&label)));
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.clock.instant(hold.until)) => {}
            _ = healed => return Ok(()),
        }
        self.let_back(&[hold.fault]).await
    }

    /// Heals the fault of a named step, or every open one.
    async fn heal(&self, name: Option<&str>) -> Result<(), Miss> {
        let open: Vec<FaultId> = self.ledger.open().into_iter().map(|(f, _)| f).collect();
        let Some(name) = name else {
            return self.let_back(&open).await;
        };
        let fault = self.named.borrow().get(name).and_then(|named| named.fault);
        match fault {
            Some(fault) => self.let_back(&[fault]).await,
            None => Err(Miss::harmless(format!("{name} opened no fault"))),
        }
    }

    /// Images first, then the heal.
    async fn let_back(&self, faults: &[FaultId]) -> Result<(), Miss> {
        let mut open: Vec<(FaultId, Deed)> = self.ledger.open();
        open.retain(|(fault, _)| faults.contains(fault));
        for missing in self.camera.before_return(&open).await {
            self.tell(missing.clone());
            self.missing.borrow_mut().push(missing);
        }
        let healed = self.ledger.heal(faults).await;
        healed.map_err(|why| Miss { why, stops: true })
    }

    async fn wait_for(&self, condition: &Condition, within: Duration) -> Result<String, String> {
        let waiting = Waiting {
            system: self.system,
            workload: self.workload,
            board: self.board.clone(),
            partitions: &self.partitions,
            clock: self.clock,
            unread: Rc::new(Cell::new(None)),
        };
        waiting.wait(condition, within).await
    }

    fn done(&self, step: &Step) {
        if let Some(name) = &step.name {
            let now = self.clock.mark();
            self.named.send_modify(|named| {
                named.entry(name.clone()).or_default().done = Some(now);
            });
        }
    }

    fn note(&self, index: usize, text: &str, stage: StepStage) {
        let at = self.clock.mark();
        let step = StepEvent {
            at,
            index: index as u32,
            text: text.to_owned(),
            stage,
        };
        self.pen.write(Event::Step(step));
    }

    fn tell(&self, text: String) {
        // Nobody listening is no error: progress decides nothing.
        let _ = self.progress.send(Progress::Note {
            at: self.clock.mark(),
            text,
        });
    }
}

struct Miss {
    why: String,
    stops: bool,
}

impl Miss {
    fn harmless(why: String) -> Miss {
        Miss { why, stops: false }
    }
}
