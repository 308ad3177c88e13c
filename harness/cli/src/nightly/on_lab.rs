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
use nix::sys::statvfs::statvfs;
use plan::Suite;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::night::NightArgs;
use crate::home::{give_to_caller, say_error};
use crate::labs;
use crate::signals::{self, Signals};
use crate::site::Site;

/// Runs plans on a lab.
pub struct OnLab<'a> {
    args: &'a NightArgs,
    site: Site<'a>,
    /// Bytes that a run may need.
    needed: u64,
}

impl<'a> OnLab<'a> {
    /// Nothing has been run yet.
    pub fn new(
        args: &'a NightArgs,
        lab: &'a LabFile,
        runtime: &'a Runtime,
        signals: Signals,
    ) -> Self {
        let named = (lab, args.lab.as_str());
        Self {
            args,
            site: Site::new(runtime, named, &args.results, signals, Instant::now()),
            needed: 0,
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

    /// Leaves the hosts as a night should.
    pub fn leave(mut self) {
        self.site.clean();
    }
}

impl Runs for OnLab<'_> {
    fn run(&mut self, plan: &str, seed: u64, deadline: Duration) -> Attempt {
        self.site.clean();
        say_error(&format!("{plan}, seed {seed}"));
        let tried = self.site.run(plan, seed, deadline);
        say_error(&format!("{plan}: {}", tried.came.said()));
        if let Some(dir) = &tried.dir {
            give_to_caller(dir.path());
        }
        tried.attempt()
    }

    fn heal(&mut self) {
        self.site.heal();
    }

    fn elapsed(&self) -> Duration {
        self.site.elapsed()
    }

    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn stop(&mut self) -> Option<String> {
        if let Some(signal) = self.site.stopped() {
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
