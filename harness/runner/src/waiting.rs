//! Waiting for a condition: looked at on every observation, and what no observation announces by
//! and by.
//!
//! A look costs nothing that a host would notice: hosts are asked only for what the condition
//! names (log lines, recovery points), beside the looking and never before it.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use cluster::System;
use history::{Clock, NodeId, Partition, Topic};
use nemesis::{Board, LookedUp, Lookups, Sight, Trigger};
use plan::Condition;
use tokio::sync::watch;
use workloads::Workload;

/// Pause between two looks at what no observation announces (acknowledged counts).
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Pause between two questions to a host.
const ASK_EVERY: Duration = Duration::from_millis(200);

/// One wait.
pub(crate) struct Waiting<'a, S> {
    pub system: &'a S,
    pub workload: &'a Workload,
    pub board: watch::Receiver<Board>,
    pub partitions: &'a [(Partition, Vec<NodeId>)],
    pub clock: Clock,
    /// Why the last question to a host told nothing.
    pub unread: Rc<Cell<Option<String>>>,
}

impl<S: System> Waiting<'_, S> {
    /// What made the condition true, and after how long; or that it did not come true in time.
    pub async fn wait(mut self, condition: &Condition, within: Duration) -> Result<String, String> {
        let began = self.clock.mark();
        let deadline = self.clock.instant(began + within);
        let needed = Lookups::of(condition);
        let looked_up = RefCell::new(LookedUp::default());
        let (system, unread) = (self.system, self.unread.clone());
        let looks = self.looks(condition, &looked_up);
        let met = async {
            tokio::select! {
                biased;
                met = looks => met,
                () = look_up(system, &needed, &looked_up, &unread) => unreachable!("it never ends"),
            }
        };
        match tokio::time::timeout_at(deadline, met).await {
            Ok(met) => Ok(format!(
                "{met} after {:.3}s",
                self.clock.mark().since(began).as_secs_f64()
            )),
            Err(_) => {
                let unread = unread
                    .take()
                    .map_or_else(String::new, |why| format!("; {why}"));
                Err(format!("not met within {within:?}{unread}"))
            }
        }
    }

    /// Looks at every observation, without end.
    async fn looks(&mut self, condition: &Condition, looked_up: &RefCell<LookedUp>) -> String {
        let mut trigger = Trigger::new(condition);
        loop {
            let acked = self.acked();
            let now = self.clock.mark();
            let met = trigger.holds(&Sight {
                board: &self.board.borrow_and_update(),
                partitions: self.partitions,
                acked: &acked,
                looked_up: &looked_up.borrow(),
                now,
            });
            if let Some(met) = met {
                return met;
            }
            let pause = trigger
                .due(now)
                .map_or(LOOK_EVERY, |due| due.min(LOOK_EVERY));
            tokio::select! {
                biased;
                Ok(()) = self.board.changed() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Acknowledged sends so far.
    fn acked(&self) -> BTreeMap<Topic, u64> {
        let counts = self.workload.counts().into_iter();
        counts
            .map(|(topic, counts)| (topic, counts.acked))
            .collect()
    }
}

/// Asks hosts for what the condition names, again and again.
async fn look_up<S: System>(
    system: &S,
    needed: &Lookups,
    looked_up: &RefCell<LookedUp>,
    unread: &Cell<Option<String>>,
) {
    if needed.is_empty() {
        return std::future::pending().await;
    }
    loop {
        for (node, contains) in &needed.lines {
            match system.find_log_line(*node, contains).await {
                Ok(Some(line)) => {
                    let key = (*node, contains.clone());
                    looked_up.borrow_mut().lines.insert(key, line);
                }
                Ok(None) => {}
                // A host that does not answer now may answer before the deadline, which tells otherwise.
                Err(error) => unread.set(Some(error.to_string())),
            }
        }
        for node in &needed.recovery_points {
            match system.recovery_points(*node).await {
                Ok(points) => {
                    let points = points.into_iter().map(|(of, at)| ((of, *node), at));
                    looked_up.borrow_mut().recovery_points.extend(points);
                }
                Err(error) => unread.set(Some(error.to_string())),
            }
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
