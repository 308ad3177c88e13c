//! A night's runs on its lab: each is a process of its own, and whatever it may have left on the
//! hosts is healed before the next.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use campaign::conduct::Runs;
use campaign::retention::{Room, needed, room};
use campaign::{Attempt, KnownRun};
use chrono::{DateTime, Utc};
use cluster::labfile::LabFile;
use nix::sys::signal::Signal;
use nix::sys::statvfs::statvfs;
use plan::Suite;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::night::NightArgs;
use crate::exit::sentence;
use crate::home::{give_to_sudo_user, say_error};
use crate::labs;
use crate::signals::{self, Signals};
use crate::tried::{self, Asked, Came};

/// Runs plans on a lab.
pub struct OnLab<'a> {
    args: &'a NightArgs,
    lab: &'a LabFile,
    runtime: &'a Runtime,
    signals: Signals,
    began: Instant,
    stopped: Option<Signal>,
    /// Bytes that a run may need.
    needed: u64,
    /// A run may have left something on the hosts.
    unclean: bool,
}

impl<'a> OnLab<'a> {
    /// Nothing has been run yet.
    pub fn new(
        args: &'a NightArgs,
        lab: &'a LabFile,
        runtime: &'a Runtime,
        signals: Signals,
    ) -> Self {
        Self {
            args,
            lab,
            runtime,
            signals,
            began: Instant::now(),
            stopped: None,
            needed: 0,
            unclean: false,
        }
    }

    /// What the largest run of the suite will need on the disk, by what runs needed before.
    pub fn foresee(&mut self, known: &[KnownRun], suite: &Suite) {
        let controls = [&suite.canary, &suite.calm];
        let all = suite.plans.iter().chain(controls);
        let largest = all.map(|wanted| needed(known, &wanted.plan.name)).max();
        self.needed = largest.unwrap_or_default();
    }

    /// Whether such a run fits on the disk.
    pub fn has_room(&self) -> anyhow::Result<bool> {
        Ok(room(self.needed, free_bytes(&self.args.results)?) == Room::Enough)
    }

    /// Heals what earlier nights, or others, may have left.
    pub fn heal_first(&mut self) {
        self.unclean = true;
        self.heal();
    }

    /// Leaves the hosts as a night should.
    pub fn leave(mut self) {
        if self.unclean {
            self.heal();
        }
    }
}

impl Runs for OnLab<'_> {
    fn run(&mut self, plan: &str, seed: u64, deadline: Duration) -> Attempt {
        if self.unclean {
            self.heal();
        }
        say_error(&format!("{plan}, seed {seed}"));
        let asked = Asked {
            plan,
            lab: &self.args.lab,
            seed,
            results: &self.args.results,
            deadline,
        };
        let tried = self.runtime.block_on(tried::run(asked, &mut self.signals));
        say_error(&format!("{plan}: {}", tried.came.said()));
        if let Some(dir) = &tried.dir
            && let Err(error) = give_to_sudo_user(dir.path())
        {
            say_error(&format!("tidemark: {} stays root's: {error}", dir.name()));
        }
        self.stopped = tried.raised.or(self.stopped);
        self.unclean = !matches!(tried.came, Came::Judged(_));
        tried.attempt()
    }

    fn heal(&mut self) {
        // What could not be healed now is not tried again at once; the next run says why.
        self.unclean = false;
        if let Err(error) = labs::heal_from_outside(self.lab, &self.args.lab) {
            say_error(&format!("tidemark: {}", sentence(&error)));
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn stop(&mut self) -> Option<String> {
        if self.stopped.is_none() {
            self.stopped = self.runtime.block_on(self.signals.raised());
        }
        if let Some(signal) = self.stopped {
            return Some(format!(
                "the night was stopped by {}",
                signals::name(signal)
            ));
        }
        let free = free_bytes(&self.args.results).ok()?;
        match room(self.needed, free) {
            Room::Enough => None,
            Room::Missing(missing) => Some(format!(
                "the results would be full: a run may need {} MB, and {} MB are missing beside \
                 what must stay free",
                self.needed / 1_000_000,
                missing.div_ceil(1_000_000)
            )),
        }
    }

    fn again(&self, plan: &str, seed: u64) -> String {
        let on = labs::option(&self.args.lab);
        format!("tidemark run {plan}{on} --seed {seed}")
    }

    fn tell(&mut self, line: &str) {
        say_error(line);
    }
}

/// Bytes that the results' file system still has for us.
pub fn free_bytes(results: &Path) -> anyhow::Result<u64> {
    let asked = statvfs(results);
    let free = asked.with_context(|| format!("cannot ask how full {} is", results.display()))?;
    Ok(free.blocks_available() * free.fragment_size())
}
