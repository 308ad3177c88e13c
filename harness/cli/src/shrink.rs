//! `tidemark shrink RUN`: a failing run's storm, reduced on a lab. What is decided is decided in
//! `campaign::shrink`; here candidates become plan files and runs.
//!
//! Everything lies in one directory, `RESULTS/shrunk/RUN`: the result, the record from which the same
//! call goes on, and the runs. The failing run itself is only read.

mod lab;
mod source;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use campaign::shrink::{Asked, Came, Ending, Record, Shrunk, shrink};
use cluster::labfile;
use history::rundir::write_atomically;
use nix::fcntl::{Flock, FlockArg};

use crate::exit::{Exit, Failure, OrExit};
use crate::home::{give_to_sudo_user, say, say_error};
use crate::signals::Signals;
use crate::standing::Up;
use crate::tried;
use lab::Lab;
use source::Source;

/// `tidemark shrink`.
#[derive(Debug, clap::Args)]
pub struct ShrinkArgs {
    /// The failing run's directory.
    pub run: PathBuf,
    /// A lab's name or file; `local` is three hosts in network namespaces on this machine.
    #[arg(long, default_value = "local")]
    lab: String,
    /// How many runs decide about a candidate; so many measure the result.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    times: u32,
    /// The share of runs that must fail in the same way, as 0.8; more than half when absent.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    at_least: Option<f64>,
    /// What is known after so long is the result of this call.
    #[arg(long, default_value = "2h", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// Which of the things that the run broke has to come back, from 1; the worst when absent.
    #[arg(long, default_value_t = 1)]
    cause: usize,
    /// What comes of it is kept in `shrunk` below this directory.
    #[arg(long, default_value = "results", env = "TIDEMARK_RESULTS")]
    results: PathBuf,
    /// Leave the local lab up afterwards.
    #[arg(long)]
    keep_lab: bool,
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let share = number.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share is a number above 0 and up to 1, as 0.8".to_owned())
}

/// `tidemark shrink RUN`: 0 when no step can go and the rest fails as often as was asked for, 2 when
/// it came to less, 3 when the lab failed.
pub fn run(args: &ShrinkArgs) -> Result<Exit, Failure> {
    let source = Source::read(&args.run, args.cause).or_usage()?;
    let lab = labfile::find(&args.lab).or_usage()?;
    let dir = args.results.join("shrunk").join(&source.name);
    record(&dir, &source).or_usage()?;
    let asked = Asked {
        times: args.times,
        at_least: Asked::of_rate(args.times, args.at_least),
        budget: args.budget,
        takes: source.takes,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    // Each listener hears every signal: one passes it on to the run, one ends the reduction.
    let (mut heard, passed_on) = {
        let _inside = runtime.enter();
        (
            Signals::listen().or_harness()?,
            Signals::listen().or_harness()?,
        )
    };
    let _ours = alone(&dir).or_harness()?;
    runtime
        .block_on(tried::idle(&dir, &lab.name))
        .or_harness()?;
    let mut record = record(&dir, &source).or_usage()?;
    say(&source.said(&asked, record.tried.len()));
    let up = Up::new(lab, args.keep_lab);
    let stopped = runtime.block_on(heard.raised());
    let up = up.or_harness()?;
    let went = match stopped {
        Some(signal) => Err(anyhow!("{signal} while the lab came up: nothing was run")),
        None => {
            let mut lab = Lab::new(&runtime, &up.lab, &args.lab, &dir, heard, passed_on);
            lab.seed = source.case.seed().0;
            let shrunk = shrink(&source.case, asked, &mut record, &mut lab);
            lab.leave();
            shrunk.map_err(Into::into)
        }
    };
    let down = up.down(&runtime);
    let kept = went.and_then(|shrunk| {
        keep(&dir, &args.lab, &shrunk, &record)?;
        Ok(shrunk)
    });
    if let Err(error) = give_to_sudo_user(&dir) {
        say_error(&format!(
            "tidemark: {} stays root's: {error}",
            dir.display()
        ));
    }
    let shrunk = kept.or_harness()?;
    down.or_harness()?;
    Ok(exit(&shrunk))
}

/// Makes the directory, and makes sure that nobody else reduces this run into it.
fn alone(dir: &Path) -> anyhow::Result<Flock<File>> {
    std::fs::create_dir_all(dir)
        .map_err(|why| anyhow!("cannot write to {} ({why}): give --results", dir.display()))?;
    Flock::lock(File::open(dir)?, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let dir = dir.display();
        anyhow!("the same run is being reduced in {dir}: wait for its end, or stop it by SIGINT")
    })
}

fn exit(shrunk: &Shrunk) -> Exit {
    match shrunk.ending {
        Ending::Minimal if shrunk.often_enough => Exit::Held,
        Ending::LabFailed => Exit::Harness,
        Ending::Minimal
        | Ending::Undecided
        | Ending::NotReproduced
        | Ending::Budget
        | Ending::Stopped { .. } => Exit::Unproven,
    }
}

/// The record of an earlier call for the same run and cause; else a new one.
fn record(dir: &Path, source: &Source) -> anyhow::Result<Record> {
    let path = record_file(dir);
    let new = Record::new(&source.name, source.cause.clone(), source.case.steps());
    match Record::read(&path)? {
        None => Ok(new),
        Some(known) if known.continues(&new) => Ok(known),
        Some(_) => Err(anyhow!(
            "{} is of another reduction of this run (another cause, or other steps): move it out of \
             the way, or give --results",
            path.display()
        )),
    }
}

fn record_file(dir: &Path) -> PathBuf {
    dir.join("tried.json")
}

/// Writes the result, says it, and removes the runs that it does not rest on.
fn keep(dir: &Path, lab: &str, shrunk: &Shrunk, record: &Record) -> anyhow::Result<()> {
    for tried in &record.tried {
        if tried.came == Came::Same && tried.kept != shrunk.kept {
            lab::remove(dir, tried);
        }
    }
    say(&shrunk.said(record));
    if shrunk.is_something() {
        let plan = dir.join("plan.toml");
        let lab = match lab {
            "local" => String::new(),
            lab => format!(" --lab {lab}"),
        };
        let again = format!(
            "tidemark run {}{lab} --seed {}",
            plan.display(),
            shrunk.seed.0
        );
        write_atomically(&plan, shrunk.to_toml(record, &again).as_bytes())?;
        say(&format!("run it: {again}"));
    }
    Ok(())
}
