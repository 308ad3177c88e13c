//! A lab that is up, on which somebody runs plans one after the other, each as a process of its own.
//!
//! It knows what a run may have left on the hosts and which signal came. What is run next, and
//! whether, is for its owner.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use campaign::retention::too_full;
use cluster::labfile::LabFile;
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::exit::sentence;
use crate::home::say_error;
use crate::labs;
use crate::signals::Signals;
use crate::tried::{self, Asked, Came, Tried};

/// A lab, and where its runs are kept.
pub struct Site<'a> {
    runtime: &'a Runtime,
    lab: &'a LabFile,
    /// What the user called it.
    named: &'a str,
    results: &'a Path,
    signals: Signals,
    began: Instant,
    stopped: Option<Signal>,
    /// The last run did not end in order.
    unclean: bool,
}

impl<'a> Site<'a> {
    /// Nothing has been run yet. Its time counts from `began`.
    pub fn new(
        runtime: &'a Runtime,
        (lab, named): (&'a LabFile, &'a str),
        results: &'a Path,
        signals: Signals,
        began: Instant,
    ) -> Self {
        Self {
            runtime,
            lab,
            named,
            results,
            signals,
            began,
            stopped: None,
            unclean: false,
        }
    }

    /// Runs a plan and waits for it.
    pub fn run(&mut self, plan: &str, seed: u64, deadline: Duration) -> Tried {
        let asked = Asked {
            plan,
            lab: self.named,
            seed,
            results: self.results,
            deadline,
        };
        let tried = self.runtime.block_on(tried::run(asked, &mut self.signals));
        self.stopped = tried.raised.or(self.stopped);
        self.unclean = !matches!(tried.came, Came::Judged(_));
        tried
    }

    /// Heals the hosts. What cannot be healed is said, and not tried again at once: the next run says
    /// why.
    pub fn heal(&mut self) {
        self.unclean = false;
        if let Err(error) = labs::heal_from_outside(self.lab, self.named) {
            say_error(&format!("tidemark: {}", sentence(&error)));
        }
    }

    /// Heals the hosts if the last run did not end in order.
    pub fn clean(&mut self) {
        if self.unclean {
            self.heal();
        }
    }

    /// Time since it began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// The last signal that came, during a run or since.
    pub fn stopped(&mut self) -> Option<Signal> {
        if self.stopped.is_none() {
            self.stopped = self.runtime.block_on(self.signals.raised());
        }
        self.stopped
    }

    /// Why no further run is to be begun that may need so many bytes where runs are kept. What cannot
    /// be asked is not in the way: a run says itself what it could not write.
    pub fn full(&self, needed: u64) -> Option<String> {
        too_full(needed, free_bytes(self.results).ok()?)
    }
}

/// Bytes that the results' file system still has for us.
pub fn free_bytes(results: &Path) -> anyhow::Result<u64> {
    let asked = statvfs(results);
    let free = asked.with_context(|| format!("cannot ask how full {} is", results.display()))?;
    Ok(free.blocks_available() * free.fragment_size())
}
