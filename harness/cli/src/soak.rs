//! `make soak-faults`: a thousand random faults, each injected, proved, healed, and the hosts
//! compared with what they were before, byte for byte. This is the outer process: the lab up and
//! down, the counts, the answer.
//!
//! It judges no broker and keeps no run.

mod counts;
mod drawn;
mod ground;
mod inside;
mod kafka;
pub mod kills;
mod looks;
mod rows;
mod stand_ins;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cluster::artefacts::{Artefacts, default_cache};
use cluster::labfile::{self, Kind, LabFile};
use plan::Plan;

use crate::children;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{say, say_error};
use crate::inside::again;
use crate::signals;
use crate::standing::Up;
use counts::Summary;
use told::Told;

pub use inside::inside;

/// The lab's name where none is named; runs on the local lab do not meet it.
const LAB: &str = "soak";
/// A longer one's chains have other names than the soak looks for.
const NAME_MAX: usize = 18;
/// Failures of ours or of the lab, with no cycle that went through in between.
const FAILURES_MAX: u32 = 3;

/// `tidemark soak-faults`.
#[derive(Debug, clap::Args)]
pub struct SoakArgs {
    /// A local lab's name or file; one of the soak's own when absent.
    #[arg(long)]
    lab: Option<String>,
    /// How many cycles there are in the end, those of earlier calls included.
    #[arg(long, default_value_t = 1000)]
    cycles: u32,
    /// How many of them, the first ones, are on real brokers.
    #[arg(long, default_value_t = 50)]
    kafka: u32,
    /// Everything is drawn from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Each cycle is appended to this file; another call goes on after its last one.
    #[arg(long, default_value = "target/soak-faults.jsonl")]
    counts: PathBuf,
    /// Milliseconds that a fault is held at most.
    #[arg(long, default_value_t = 1000)]
    hold: u64,
}

/// `tidemark soak-faults`: exit code 0 when all cycles are done and nothing is wrong with any, 1
/// when something is, 3 when not all could be done.
pub fn run(args: &SoakArgs) -> Result<Exit, Failure> {
    let lab = lab_of(args.lab.as_deref(), LAB).or_usage()?;
    let mut failures = 0;
    loop {
        let done = counts::read(&args.counts, args.seed).or_usage()?;
        let from = done.last().map_or(0, |last| last.cycle + 1);
        if from >= args.cycles {
            break;
        }
        say_error(&format!("from cycle {from} on, on hosts made anew"));
        match cycles(args, lab.clone(), from) {
            Ok(Some(())) => failures = 0,
            Ok(None) => return Err(anyhow!("interrupted: the same call goes on")).or_harness(),
            // A busy machine's brokers do not always come up in time.
            Err(error) if failures < FAILURES_MAX => {
                say_error(&format!("{error:#}"));
                failures += 1;
            }
            Err(error) => return Err(error).or_harness(),
        }
    }
    let done = counts::read(&args.counts, args.seed).or_usage()?;
    let summary = Summary::of(&done);
    say(&summary.to_string());
    Ok(if summary.is_good() {
        Exit::Held
    } else {
        Exit::Broken
    })
}

/// The lab that is named, or one made as the local one and called `own`.
fn lab_of(name: Option<&str>, own: &str) -> anyhow::Result<LabFile> {
    let mut lab = labfile::find(name.unwrap_or("local"))?;
    if name.is_none() {
        own.clone_into(&mut lab.name);
    }
    if lab.kind != Kind::Namespaces {
        bail!("a soak does to hosts what no real machine should suffer: name a lab of namespaces");
    }
    if lab.name.len() > NAME_MAX {
        bail!("the lab's name is too long for a soak: {NAME_MAX} characters at most");
    }
    Ok(lab)
}

/// Cycles until all are done or the hosts have to be made anew; none when a signal came.
fn cycles(args: &SoakArgs, lab: LabFile, from: u32) -> anyhow::Result<Option<()>> {
    let plan = Plan::parse(kafka::PLAN, "the soak's plan")?;
    let artefacts = Artefacts::broker(&plan.cluster.kafka, &default_cache()?)?;
    // From here on a signal ends nothing by itself: the lab goes down on every path.
    let (runtime, mut signals) = signals::runtime()?;
    let up = Up::new(lab, false).context("the lab did not come up")?;
    let told = Told {
        lab: up.lab.clone(),
        artefacts,
        from,
        cycles: args.cycles,
        kafka: args.kafka,
        seed: args.seed,
        counts: std::path::absolute(&args.counts)?,
        hold: Duration::from_millis(args.hold),
    };
    let mut inner = again(&told.lab)?;
    inner.arg("__soak");
    let ended = runtime.block_on(children::tell(inner, &told, &mut signals));
    let down = up.down(&runtime);
    let ended = ended?;
    down?;
    match ended.status.code() {
        _ if ended.raised.is_some() => Ok(None),
        Some(0 | 1) => Ok(Some(())),
        _ => Err(anyhow!("not all cycles were done: {}", ended.status)),
    }
}
