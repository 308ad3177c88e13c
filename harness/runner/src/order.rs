//! What a run is asked to do, and what it says when it is done.

use std::time::Duration;

use chrono::{DateTime, Utc};
use history::rundir::{Ended, RunDir};
use history::{Clock, RunId};
use plan::{Plan, Schedule};

use crate::interrupt::Interrupt;
use crate::progress::Progress;

/// Everything that a run needs beside a cluster and clients.
pub struct Order {
    /// What was asked.
    pub plan: Plan,
    /// What was drawn from it; already saved in the run directory.
    pub schedule: Schedule,
    /// Names the run, and stands in every payload.
    pub run_id: RunId,
    /// Where everything is written.
    pub dir: RunDir,
    /// Wall-clock start, for people.
    pub started: DateTime<Utc>,
    /// The one clock.
    pub clock: Clock,
    /// Pause between two rounds of probes of one node.
    pub probe_every: Duration,
    /// The wish to stop.
    pub interrupt: Interrupt,
    /// Where progress is told; a receiver that is gone is no error.
    pub progress: tokio::sync::mpsc::UnboundedSender<Progress>,
}

/// How a run ended. What it *means* is judged from the run directory.
#[derive(Debug)]
pub struct Finished {
    /// As the seal says.
    pub ended: Ended,
    /// Acknowledged sends over all topics.
    pub acked: u64,
    /// Faults that could not be undone; `tidemark heal` is owed.
    pub stuck: Vec<String>,
    /// Evidence that could not be had, and a teardown that failed.
    pub warnings: Vec<String>,
}
