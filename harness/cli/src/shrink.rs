//! `tidemark shrink RUN`: a failing run's storm, reduced on a lab. What is decided is decided in
//! `campaign::shrink`; here candidates become plan files and runs.
//!
//! Everything lies in one directory, `RESULTS/shrunk/RUN`: the result, the record from which the same
//! call goes on, and the runs. The failing run itself is only read.

mod on_lab;
mod source;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use campaign::shrink::{Asked, Came, Ending, Record, Shrunk, shrink};
use cluster::labfile::{self, LabFile};
use history::rundir::write_atomically;
use nix::fcntl::{Flock, FlockArg};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::exit::{Exit, Failure, OrExit, sentence};
use crate::home::{give_to_caller, say, say_error};
use crate::signals::{self, Signals};
use crate::site::Site;
use crate::standing::Up;
use crate::{labs, tried};
use on_lab::OnLab;
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
    #[arg(long, default_value = "2h", value_parser = time)]
    budget: Duration,
    /// Which of the things that the run broke has to come back, from 1; the worst when absent.
    #[arg(long, default_value_t = 1)]
    cause: usize,
    /// Leave out steps only; holds and pauses stay as long as they were.
    #[arg(long)]
    keep_times: bool,
    /// What comes of it is kept in `shrunk` below this directory.
    #[arg(long, default_value = "results", env = "TIDEMARK_RESULTS")]
    results: PathBuf,
    /// Leave the local lab up afterwards.
    #[arg(long)]
    keep_lab: bool,
}

fn time(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|_| "a time has a unit, as 90m or 2h".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    let number = text.parse().ok();
    let share = number.filter(|share| *share > 0.0 && *share <= 1.0);
    share.ok_or_else(|| "a share is a number above 0 and up to 1, as 0.8".to_owned())
}

/// What is reduced, how, where, and into which directory.
struct Order<'a> {
    args: &'a ShrinkArgs,
    source: Source,
    lab: LabFile,
    dir: PathBuf,
    asked: Asked,
}

/// `tidemark shrink RUN`: 0 when nothing more can go and the rest fails as often as was asked for, 2 when
/// it came to less, 3 when the lab failed.
pub fn run(args: &ShrinkArgs) -> Result<Exit, Failure> {
    let order = Order::read(args).or_usage()?;
    // What cannot be gone on with is refused before anything is made.
    order.record().or_usage()?;
    let (runtime, signals) = signals::runtime().or_harness()?;
    let _ours = alone(&order.dir).or_harness()?;
    let last = tried::idle(&order.dir, &order.lab.name);
    runtime.block_on(last).or_harness()?;
    let mut record = order.record().or_usage()?;
    say(&order.source.said(&order.asked, record.tried.len()));
    let went = order.reduced(&mut record, &runtime, signals);
    let kept = went.and_then(|shrunk| {
        order.keep(&shrunk, &record)?;
        Ok(shrunk)
    });
    give_to_caller(&order.dir);
    kept.map(|shrunk| exit(&shrunk)).or_harness()
}

impl<'a> Order<'a> {
    fn read(args: &'a ShrinkArgs) -> anyhow::Result<Self> {
        let source = Source::read(&args.run, args.cause)?;
        Ok(Self {
            args,
            lab: labfile::find(&args.lab)?,
            dir: args.results.join("shrunk").join(&source.name),
            asked: Asked {
                times: args.times,
                at_least: Asked::of_rate(args.times, args.at_least),
                budget: args.budget,
                takes: source.takes,
                shorten: !args.keep_times,
            },
            source,
        })
    }

    /// The record of an earlier call for the same run and cause; else a new one.
    fn record(&self) -> anyhow::Result<Record> {
        let path = record_file(&self.dir);
        let Source {
            name, cause, case, ..
        } = &self.source;
        let new = Record::new(name, cause.clone(), case.steps());
        match Record::read(&path)? {
            None => Ok(new),
            Some(known) if known.continues(&new) => Ok(known),
            Some(_) => Err(anyhow!(
                "{} is of another reduction of this run (another cause, or other steps): move it \
                 out of the way, or give --results",
                path.display()
            )),
        }
    }

    /// Reduces on the lab, which is up for as long as that takes.
    fn reduced(
        &self,
        record: &mut Record,
        runtime: &Runtime,
        mut signals: Signals,
    ) -> anyhow::Result<Shrunk> {
        let begun = Instant::now();
        let up = Up::new(self.lab.clone(), self.args.keep_lab);
        let raised = runtime.block_on(signals.raised());
        let up = up?;
        let shrunk = match raised {
            Some(signal) => {
                let signal = signals::name(signal);
                Err(anyhow!("{signal} while the lab came up: nothing was run"))
            }
            None => {
                let named = (&up.lab, self.args.lab.as_str());
                let mut lab = OnLab {
                    site: Site::new(runtime, named, &self.dir, signals, begun),
                    dir: &self.dir,
                    seed: self.source.case.seed().0,
                    needed: self.source.needed,
                };
                let shrunk = shrink(&self.source.case, self.asked, record, &mut lab);
                lab.site.clean();
                shrunk.map_err(Into::into)
            }
        };
        if let Err(error) = up.down(runtime) {
            say_error(&format!("tidemark: {}", sentence(&error)));
        }
        shrunk
    }

    /// Writes the result, says it, and removes the runs that it does not rest on.
    fn keep(&self, shrunk: &Shrunk, record: &Record) -> anyhow::Result<()> {
        for tried in &record.tried {
            if tried.came == Came::Same && tried.part != shrunk.part {
                on_lab::remove(&self.dir, tried);
            }
        }
        say(&shrunk.said(record));
        if !shrunk.is_something() {
            return Ok(());
        }
        let path = self.dir.join("plan.toml");
        let lab = labs::option(&self.args.lab);
        let (plan, seed) = (path.display(), shrunk.seed.0);
        let again = format!("tidemark run {plan}{lab} --seed {seed}");
        write_atomically(&path, shrunk.to_toml(record, &again).as_bytes())?;
        say(&format!("run it: {again}"));
        Ok(())
    }
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

fn record_file(dir: &Path) -> PathBuf {
    dir.join("tried.json")
}
