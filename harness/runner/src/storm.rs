//! The schedule, step by step: sends, faults, waits for conditions.
//!
//! A step that cannot be done is written down as missed; whether the storm goes on then is the
//! plan's decision. Nothing here heals on the way out: the ledger does, whatever happened.

use std::cell::RefCell;
use std::time::Duration;

use cluster::System;
use history::{
    Clock, Deed, Event, FaultId, Mark, NodeId, Partition, Pen, StepEvent, StepStage, Topic, Why,
};
use nemesis::{Board, Ledger, resolve};
use plan::seed::Stream;
use plan::{Action, Ask, Condition, Missed, Step, When};
use tokio::sync::{mpsc, watch};
use workloads::Workload;

use crate::capture::Camera;
use crate::progress::Progress;

/// Pause between two looks at what no observation announces (acknowledged counts, log lines).
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the outcomes of a `send` step are awaited.
const SEND_WITHIN: Duration = Duration::from_secs(60);

/// One storm.
pub(crate) struct Stage<'a, 'l, S: System> {
    pub system: &'a S,
    pub workload: &'l Workload,
    pub ledger: &'l mut Ledger<'a, S>,
    pub camera: &'l Camera<'a, S>,
    pub board: watch::Receiver<Board>,
    pub pen: Pen,
    pub clock: Clock,
    pub targets: Stream,
    pub progress: mpsc::UnboundedSender<Progress>,
    /// Evidence that could not be had, in words.
    pub missing: &'l RefCell<Vec<String>>,
    /// Why the last look for a log line told nothing.
    pub unread: Option<String>,
}

/// Why a storm ended before its last step.
pub(crate) struct Stopped(pub String);

impl<S: System> Stage<'_, '_, S> {
    /// Does every step. `Err` when a step missed whose miss ends the storm.
    pub async fn play(&mut self, steps: &[Step]) -> Result<(), Stopped> {
        let began = self.clock.mark();
        for (index, step) in steps.iter().enumerate() {
            if let When::At(after) = step.when {
                tokio::time::sleep_until(self.clock.instant(began + after)).await;
            }
            let text = step.to_string();
            self.note(index, &text, StepStage::Fired);
            match self.act(step).await {
                Ok(said) => {
                    self.tell(if said.is_empty() {
                        text.clone()
                    } else {
                        format!("{text}: {said}")
                    });
                    self.note(index, &text, StepStage::Done);
                }
                Err(miss) => {
                    self.tell(format!("{text}: missed, {}", miss.why));
                    self.note(index, &text, StepStage::Missed(Why::new(miss.why.as_str())));
                    if miss.stops {
                        return Err(Stopped(format!("{text}: {}", miss.why)));
                    }
                }
            }
        }
        Ok(())
    }

    async fn act(&mut self, step: &Step) -> Result<String, Miss> {
        match &step.action {
            Action::Send { count, partition } => self.send(*count, partition).await,
            Action::Fault {
                ask,
                hold,
                required,
                ..
            } => self.fault(ask, *hold, *required).await,
            Action::Heal(_) => self.heal_all().await,
            Action::Await {
                condition,
                within,
                missed,
            } => self.wait_for(condition, *within, *missed).await,
            Action::Wait(length) => {
                tokio::time::sleep(*length).await;
                Ok(String::new())
            }
        }
    }

    async fn send(&mut self, count: u32, partition: &Partition) -> Result<String, Miss> {
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

    async fn fault(
        &mut self,
        ask: &Ask,
        hold: Option<Duration>,
        required: bool,
    ) -> Result<String, Miss> {
        let nodes = self.system.nodes();
        let deed = {
            let board = self.board.borrow();
            let targets = &mut self.targets;
            resolve(ask, &nodes, &board, &mut |below| {
                targets.between(0, below as u64 - 1) as usize
            })
        }
        .map_err(|error| Miss {
            why: error.to_string(),
            stops: required,
        })?;
        let because = deed.because.clone();
        let injected = self.ledger.inject(ask.to_string(), deed).await;
        let (fault, effective) = injected.map_err(|error| Miss {
            why: error.to_string(),
            stops: true,
        })?;
        self.tell(format!("{fault} {ask} ({because})"));
        if !effective {
            // Half of it may be in force; there is nothing to hold.
            self.let_back(&[fault]).await?;
            return Err(Miss {
                why: format!("{fault} proved ineffective"),
                stops: required,
            });
        }
        if let Some(hold) = hold {
            tokio::time::sleep(hold).await;
            self.let_back(&[fault]).await?;
        }
        Ok(String::new())
    }

    async fn heal_all(&mut self) -> Result<String, Miss> {
        let open: Vec<FaultId> = self.ledger.open().into_iter().map(|(f, _)| f).collect();
        self.let_back(&open).await.map(|()| String::new())
    }

    /// Images first, then the heal.
    async fn let_back(&mut self, faults: &[FaultId]) -> Result<(), Miss> {
        let mut open: Vec<(FaultId, Deed)> = self.ledger.open();
        open.retain(|(fault, _)| faults.contains(fault));
        for missing in self.camera.before_return(&open).await {
            self.tell(missing.clone());
            self.missing.borrow_mut().push(missing);
        }
        let healed = self.ledger.heal(faults).await;
        healed.map_err(|why| Miss { why, stops: true })
    }

    async fn wait_for(
        &mut self,
        condition: &Condition,
        within: Duration,
        missed: Missed,
    ) -> Result<String, Miss> {
        let began = self.clock.mark();
        let deadline = self.clock.instant(began + within);
        self.unread = None;
        let met = tokio::time::timeout_at(deadline, self.until(condition)).await;
        met.map_err(|_| {
            let unread = self
                .unread
                .take()
                .map_or_else(String::new, |why| format!("; {why}"));
            Miss {
                why: format!("not met within {within:?}{unread}"),
                stops: missed == Missed::Stop,
            }
        })
        .map(|met| format!("{met} after {}", Mark(self.clock.mark().0 - began.0)))
    }

    /// Waits for a condition, without end.
    async fn until(&mut self, condition: &Condition) -> String {
        loop {
            if let Some(met) = self.holds(condition).await {
                return met;
            }
            tokio::select! {
                biased;
                Ok(()) = self.board.changed() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// What makes the condition true now, in words; none when it is not.
    async fn holds(&mut self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::Leader { partition, is } => {
                let board = self.board.borrow_and_update();
                let leader = board.leader(partition)?;
                (leader.node == *is && board.believes_itself_leader(partition, *is, leader.epoch))
                    .then(|| format!("{is} leads {partition} in {}", leader.epoch))
            }
            Condition::Isr { partition, members } => {
                let leader = self.board.borrow_and_update().leader(partition)?;
                members
                    .iter()
                    .eq(leader.isr.iter())
                    .then(|| "met".to_owned())
            }
            Condition::Controller(node) => (self.board.borrow_and_update().controller()
                == Some(*node))
            .then(|| "met".to_owned()),
            Condition::Compare {
                quantity: plan::Quantity::Acked(Some(topic)),
                number,
                ..
            } => {
                let acked = acked(self.workload, topic);
                (acked as i64 >= *number).then(|| format!("{acked} acknowledged"))
            }
            Condition::LogLine { node, contains } => self.log_line(*node, contains).await,
            _ => None,
        }
    }

    async fn log_line(&mut self, node: NodeId, needle: &str) -> Option<String> {
        match self.system.find_log_line(node, needle).await {
            Ok(line) => line.map(|line| format!("`{}`", line.trim())),
            // A host that does not answer now may answer before the deadline, which tells otherwise.
            Err(error) => {
                self.unread = Some(error.to_string());
                None
            }
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

/// Acknowledged sends of one topic so far.
fn acked(workload: &Workload, topic: &Topic) -> u64 {
    workload
        .counts()
        .get(topic)
        .map_or(0, |counts| counts.acked)
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
