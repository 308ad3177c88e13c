//! Candidates run on a lab, each as a process of its own.
//!
//! A run that broke nothing is removed once it is on record; one that broke something else stays, and
//! so does what the lab spoilt.

use std::path::Path;
use std::time::Duration;

use campaign::shrink::{Came, Record, Tried, Tries};
use campaign::{Attempt, CampaignError, Outcome};
use cluster::labfile::LabFile;
use history::rundir::write_atomically;
use nix::sys::signal::Signal;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::exit::sentence;
use crate::home::say_error;
use crate::signals::{self, Signals};
use crate::{labs, tried};

/// A lab that is up, and where its runs are kept.
pub struct OnLab<'a> {
    pub runtime: &'a Runtime,
    pub lab: &'a LabFile,
    /// What the user called it.
    pub named: &'a str,
    pub dir: &'a Path,
    /// The seed of every run.
    pub seed: u64,
    /// Since when the budget is spent.
    pub begun: Instant,
    pub signals: Signals,
    /// The signal that ends the reduction.
    pub stopped: Option<Signal>,
    /// The last run did not end in order.
    pub unclean: bool,
}

impl OnLab<'_> {
    /// Leaves the hosts as a run does that ends in order.
    pub fn leave(mut self) {
        if self.unclean {
            self.heal();
        }
    }
}

impl Tries for OnLab<'_> {
    fn run(&mut self, plan: &str, deadline: Duration) -> Attempt {
        let candidate = self.dir.join("candidate.toml");
        if let Err(why) = write_atomically(&candidate, plan.as_bytes()) {
            let why = why.to_string();
            return Attempt {
                run: None,
                outcome: Outcome::LabFailed { why },
            };
        }
        let candidate = candidate.to_string_lossy();
        let asked = tried::Asked {
            plan: &candidate,
            lab: self.named,
            seed: self.seed,
            results: self.dir,
            deadline,
        };
        let tried = self.runtime.block_on(tried::run(asked, &mut self.signals));
        self.stopped = tried.raised.or(self.stopped);
        self.unclean = !matches!(tried.came, tried::Came::Judged(_));
        tried.attempt()
    }

    fn heal(&mut self) {
        self.unclean = false;
        if let Err(error) = labs::heal_from_outside(self.lab, self.named) {
            say_error(&format!("tidemark: {}", sentence(&error)));
        }
    }

    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn stop(&mut self) -> Option<String> {
        if self.stopped.is_none() {
            self.stopped = self.runtime.block_on(self.signals.raised());
        }
        let stopped = self.stopped?;
        Some(format!("it was stopped by {}", signals::name(stopped)))
    }

    fn keep(&mut self, record: &Record) -> Result<(), CampaignError> {
        record.write(&super::record_file(self.dir))?;
        if let Some(tried) = record.tried.last()
            && matches!(tried.came, Came::Held | Came::Unproven)
        {
            remove(self.dir, tried);
        }
        Ok(())
    }

    fn tell(&mut self, line: &str) {
        say_error(&format!("shrink: {line}"));
    }
}

/// Removes a run from the disk; on record it stays.
pub fn remove(dir: &Path, tried: &Tried) {
    let Some(run) = &tried.run else { return };
    let path = dir.join("runs").join(run);
    if path.exists()
        && let Err(why) = std::fs::remove_dir_all(&path)
    {
        say_error(&format!("tidemark: {} stays: {why}", path.display()));
    }
}
