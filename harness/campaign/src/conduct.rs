//! How a night goes: controls first, then everything once, then what the weights draw, until the
//! budget is full. A lab that failed is tried once more; a verdict never is.
//!
//! It is handed something that runs, and knows neither hosts nor processes. Before and after every
//! run the night's file is written, so that a night which is killed has what it had, and says what
//! it was at.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use chrono::{DateTime, Utc};
use plan::suite::{AFTERWARDS, Wanted, with_ending};
use plan::{Seed, Stream, Suite};

use crate::error::CampaignError;
use crate::night::{Attempt, Entry, Night, Outcome, Role};

/// Ordinary runs of a night at the most: a budget of days must not fill a disk.
const RUNS_MAX: usize = 500;

/// Runs in a row that may fail twice each; a lab that does so is not there, and a night that went on
/// would only fill the disk with failures.
const FAILURES_MAX: usize = 3;

/// Whoever runs plans on a lab.
pub trait Runs {
    /// Runs a plan; ended at the deadline, which counts from now. Never an error: what goes wrong is
    /// an outcome.
    fn run(&mut self, plan: &str, seed: u64, deadline: Duration) -> Attempt;
    /// Removes from the hosts what a run left there. What cannot be healed is said by the next run.
    fn heal(&mut self);
    /// Time since the night began.
    fn elapsed(&self) -> Duration;
    /// The wall clock.
    fn now(&self) -> DateTime<Utc>;
    /// Why the night is to stop: somebody asked for it, or the disk is full.
    fn stop(&mut self) -> Option<String>;
    /// The one line that repeats a run.
    fn again(&self, plan: &str, seed: u64) -> String;
    /// Progress, in a line.
    fn tell(&mut self, line: &str);
}

/// Lets a night happen. The night comes with everything but its entries, its end and its void.
///
/// # Errors
/// When the night's file cannot be written.
pub fn conduct(
    suite: &Suite,
    night: Night,
    results: &Path,
    runs: &mut impl Runs,
) -> Result<Night, CampaignError> {
    let mut seeds = Seed(night.seed).stream("runs");
    let mut draws = Seed(night.seed).stream("plans");
    let mut conductor = Conductor {
        night,
        results,
        runs,
        took: BTreeMap::new(),
        budget: suite.budget,
    };
    conductor.night.write(results)?;
    for (wanted, role) in [(&suite.canary, Role::Canary), (&suite.calm, Role::Calm)] {
        conductor.one(wanted, role, seed(&mut seeds))?;
    }
    conductor.night.void = conductor.night.why_void();
    if let Some(why) = conductor.night.void.clone() {
        conductor.runs.tell(&format!("the night is void: {why}"));
    }
    for wanted in &suite.plans {
        conductor.one(wanted, Role::Ordinary, seed(&mut seeds))?;
    }
    while let Some(wanted) = conductor.next(suite, &mut draws) {
        conductor.one(wanted, Role::Ordinary, seed(&mut seeds))?;
    }
    conductor.end()
}

fn seed(seeds: &mut Stream) -> u64 {
    seeds.below(1_000_000)
}

/// The seed of a night: its date and number decide it, so that a night which was torn is not begun
/// again with the same.
pub fn seed_of(night: &str, suite: &str) -> u64 {
    Seed(0)
        .stream(&format!("{suite} {night}"))
        .below(1_000_000_000)
}

struct Conductor<'a, R> {
    night: Night,
    results: &'a Path,
    runs: &'a mut R,
    /// The longest time that a run of a plan took tonight.
    took: BTreeMap<String, Duration>,
    budget: Duration,
}

impl<R: Runs> Conductor<'_, R> {
    /// One run that is wanted, or why it was not made.
    fn one(&mut self, wanted: &Wanted, role: Role, seed: u64) -> Result<(), CampaignError> {
        let plan = wanted.named.as_str();
        let place = self.night.entries.len();
        self.night.entries.push(Entry {
            plan: wanted.plan.name.clone(),
            role,
            seed,
            again: self.runs.again(plan, seed),
            attempts: Vec::new(),
        });
        self.night.write(self.results)?;
        while let Some(attempt) = self.attempt(wanted, place) {
            self.night.entries[place].attempts.push(attempt);
            self.night.write(self.results)?;
        }
        Ok(())
    }

    /// The next attempt at an entry, unless it has what it needs.
    fn attempt(&mut self, wanted: &Wanted, place: usize) -> Option<Attempt> {
        let entry = &self.night.entries[place];
        let (seed, failed) = (entry.seed, entry.lab_failures());
        let over = entry.attempts.len() > failed || failed == 2;
        if over {
            return None;
        }
        let not = |why: String| Attempt {
            run: None,
            outcome: Outcome::DidNotRun { why },
        };
        if let Some(why) = self.why_not(wanted) {
            return Some(not(why));
        }
        if failed > 0 {
            self.runs.tell(&format!("{} once more", wanted.plan.name));
            self.runs.heal();
        }
        let begun = self.runs.elapsed();
        let deadline = deadline(self.takes(wanted), self.left());
        let attempt = self.runs.run(&wanted.named, seed, deadline);
        let took = self.runs.elapsed().saturating_sub(begun);
        if matches!(attempt.outcome, Outcome::Judged(_)) {
            let longest = self.took.entry(wanted.named.clone()).or_default();
            *longest = took.max(*longest);
        }
        Some(attempt)
    }

    /// Why a plan is not run now.
    fn why_not(&mut self, wanted: &Wanted) -> Option<String> {
        if let Some(why) = self.runs.stop() {
            return Some(why);
        }
        if self.night.void.is_some() {
            return Some("the night is void".to_owned());
        }
        if self.lab_is_gone() {
            return Some(format!(
                "the lab failed {FAILURES_MAX} runs in a row, twice each"
            ));
        }
        let (takes, left) = (self.takes(wanted), self.left());
        (with_ending(takes) > left).then(|| {
            format!(
                "it takes about {} s, up to {} s more to be ended, and {} s of the budget were left",
                takes.as_secs(),
                (with_ending(takes) - takes).as_secs(),
                left.as_secs()
            )
        })
    }

    /// The last runs that were made failed.
    fn lab_is_gone(&self) -> bool {
        let made = |entry: &&Entry| entry.judged().is_some() || entry.lab_failures() > 0;
        let last = self.night.entries.iter().rev().filter(made);
        last.take(FAILURES_MAX)
            .filter(|entry| entry.failed_twice())
            .count()
            == FAILURES_MAX
    }

    /// How long a run of this plan takes: as it did tonight, else as the suite expects.
    fn takes(&self, wanted: &Wanted) -> Duration {
        self.took
            .get(&wanted.named)
            .map_or(wanted.takes, |took| *took + *took / 10)
    }

    fn left(&self) -> Duration {
        self.budget
            .saturating_sub(self.runs.elapsed())
            .saturating_sub(AFTERWARDS)
    }

    /// The next plan that still fits, drawn by weight among those that do.
    fn next<'s>(&mut self, suite: &'s Suite, draws: &mut Stream) -> Option<&'s Wanted> {
        let asked = suite.runs.map_or(RUNS_MAX, |runs| runs as usize);
        let full = self.night.ordinary().count() >= asked.min(RUNS_MAX);
        if full || self.night.void.is_some() || self.lab_is_gone() || self.runs.stop().is_some() {
            return None;
        }
        let left = self.left();
        let fits = suite
            .plans
            .iter()
            .filter(|wanted| with_ending(self.takes(wanted)) <= left);
        let weighted: Vec<(&Wanted, u32)> = fits.map(|wanted| (wanted, wanted.weight)).collect();
        draws.pick_weighted(&weighted).copied()
    }

    fn end(mut self) -> Result<Night, CampaignError> {
        self.night.taken_s = self.runs.elapsed().as_secs();
        self.night.ended = Some(self.runs.now());
        self.night.write(self.results)?;
        Ok(self.night)
    }
}

/// Twice what a run takes and two minutes, but never beyond what is left of the budget.
pub(crate) fn deadline(takes: Duration, left: Duration) -> Duration {
    (2 * takes + Duration::from_secs(120)).min(left)
}
