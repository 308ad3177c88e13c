//! A night's runs on its lab: each is a process of its own, and whatever it may have left on the
//! hosts is healed before the next.

use std::time::Duration;

use campaign::conduct::Runs;
use campaign::retention::{needed, too_full};
use campaign::{Attempt, KnownRun};
use chrono::{DateTime, Utc};
use cluster::labfile::LabFile;
use plan::Suite;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::night::NightArgs;
use crate::home::{give_to_caller, say_error};
use crate::labs;
use crate::signals::{self, Signals};
use crate::site::{Site, free_bytes};

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
        Ok(too_full(self.needed, free_bytes(&self.args.results)?).is_none())
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
        self.site.full(self.needed)
    }

    fn again(&self, plan: &str, seed: u64) -> String {
        let on = labs::option(&self.args.lab);
        format!("tidemark run {plan}{on} --seed {seed}")
    }

    fn tell(&mut self, line: &str) {
        say_error(line);
    }
}
