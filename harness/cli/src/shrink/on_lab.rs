//! Candidates run on a lab, each as a process of its own.
//!
//! A run that broke nothing is removed once it is on record; one that broke something else stays, and
//! so does what the lab spoilt.

use std::path::Path;
use std::time::Duration;

use campaign::shrink::{Came, Record, Tried, Tries};
use campaign::{Attempt, CampaignError, Outcome};
use history::rundir::write_atomically;

use crate::home::say_error;
use crate::signals;
use crate::site::Site;

/// A lab, and where candidates and their runs are kept.
pub struct OnLab<'a> {
    pub site: Site<'a>,
    pub dir: &'a Path,
    /// The seed of every run.
    pub seed: u64,
    /// Bytes that a run may need.
    pub needed: u64,
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
        self.site.run(&candidate, self.seed, deadline).attempt()
    }

    fn heal(&mut self) {
        self.site.heal();
    }

    fn elapsed(&self) -> Duration {
        self.site.elapsed()
    }

    fn stop(&mut self) -> Option<String> {
        if let Some(stopped) = self.site.stopped() {
            return Some(format!("it was stopped by {}", signals::name(stopped)));
        }
        self.site.full(self.needed)
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
