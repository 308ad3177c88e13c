//! The failing run: what it was asked, what its storm did, what it broke. It is only read.

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use campaign::retention::needed_beside;
use campaign::shrink::{Asked, Case};
use campaign::{Cause, Facts, bytes_in};
use checkers::Judgement;
use history::rundir::RunDir;
use plan::{Plan, Schedule};

/// What a run takes besides its phases: a lab, brokers, copies, a verdict.
const BESIDES: Duration = Duration::from_secs(20);

/// A run that broke a promise.
pub struct Source {
    /// The run's name.
    pub name: String,
    /// Its plan and steps.
    pub case: Case,
    /// What has to come back.
    pub cause: Cause,
    /// What else it broke.
    others: Vec<(usize, String)>,
    /// How long it took.
    pub takes: Duration,
    /// Bytes that a run like it may need.
    pub needed: u64,
}

impl Source {
    /// Reads a run; `nth` of its causes, from 1, is the one that has to come back.
    pub fn read(run: &Path, nth: usize) -> anyhow::Result<Self> {
        // `.` has no name of its own.
        let whole = run.canonicalize();
        let dir = RunDir::open(whole.as_deref().unwrap_or(run))?;
        let name = dir.name();
        if exchange::synth::is_written(&dir.read_setting()?) {
            bail!(
                "{name} was written by `tidemark synth`: no faults of a cluster's can be left out of it"
            );
        }
        if !dir.verdict_json().exists() {
            bail!("{name} has no verdict yet; run `tidemark check` on it");
        }
        let judgement: Judgement = dir
            .read_verdict()
            .context("the run's verdict cannot be read; run `tidemark check` on it")?;
        let facts = Facts::of(&judgement);
        let cause = nth
            .checked_sub(1)
            .and_then(|at| facts.causes.get(at))
            .cloned()
            .ok_or_else(|| none(&name, &facts, nth))?;
        let others = facts.causes.into_iter().zip(1..);
        let others = others
            .filter(|(_, at)| *at != nth)
            .map(|(other, at)| (at, other.title));
        let plan = Plan::parse(&read(&dir.plan_toml())?, &shown(&dir.plan_toml()))?;
        let schedule = Schedule::parse(&read(&dir.schedule_toml())?, &shown(&dir.schedule_toml()))?;
        let about = format!(
            "What is left of a run that broke a promise: {}",
            cause.title
        );
        let length = judgement.phases.last().map_or(0, |phase| phase.span.to.0);
        Ok(Self {
            case: Case::new(&plan, schedule, &about)?,
            others: others.collect(),
            takes: Duration::from_nanos(length) + BESIDES,
            needed: needed_beside(Some(bytes_in(dir.path()))).max(needed_beside(None)),
            name,
            cause,
        })
    }

    /// What will be done, in a few lines.
    pub fn said(&self, asked: &Asked, on_record: usize) -> String {
        let Cause {
            guarantee, topic, ..
        } = &self.cause;
        let mut said = format!(
            "{}: {} steps, seed {}; has to break {guarantee} of {topic} again, in {} of {} runs: {}",
            self.name,
            self.case.all().len(),
            self.case.seed().0,
            asked.at_least,
            asked.times,
            self.cause.title
        );
        for (at, title) in &self.others {
            let _ = write!(said, "\nit broke more, see --cause {at}: {title}");
        }
        if on_record > 0 {
            let _ = write!(
                said,
                "\n{on_record} runs are on record from an earlier call"
            );
        }
        said
    }
}

fn none(name: &str, facts: &Facts, nth: usize) -> anyhow::Error {
    match facts.causes.len() {
        0 => anyhow!(
            "{name} broke nothing ({}): there is nothing to shrink",
            facts.verdict
        ),
        1 => anyhow!("{name} broke one thing: there is no --cause {nth}"),
        n => anyhow!("{name} broke {n} things: --cause is from 1 to {n}, not {nth}"),
    }
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}
