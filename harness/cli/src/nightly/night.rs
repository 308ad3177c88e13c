//! `tidemark nightly SUITE --lab LAB`: one night, from what an earlier one left to the last message.
//!
//! How a night goes is `campaign::conduct`'s; here it gets a lab, and its results a page. Telling
//! people and tidying up come last and change no verdict.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use campaign::conduct::{Runs, conduct, seed_of};
use campaign::retention::{Freed, tidy};
use campaign::{Index, NIGHT_FORMAT, Night, Refreshed, page};
use chrono::Utc;
use cluster::labfile::{self, Kind, LabFile};
use nix::fcntl::{Flock, FlockArg};
use plan::Suite;
use tokio::runtime::Runtime;

use super::on_lab::OnLab;
use super::{news, torn};
use crate::exit::{Exit, Failure, OrExit, sentence};
use crate::home::{give_to_caller, say, say_error};
use crate::signals::{self, Signals};
use crate::site::free_bytes;
use crate::standing::Up;
use crate::tried;

/// One night.
#[derive(Debug, clap::Args)]
pub struct NightArgs {
    /// A suite's name (start with `nightly`) or file.
    pub suite: String,
    /// A lab's name or file; `local` is three hosts in network namespaces on this machine.
    #[arg(long, default_value = "local")]
    pub lab: String,
    /// Where nights and their runs are kept; the variable TIDEMARK_RESULTS says it as well.
    // Not clap's `env`: that would make the variable an argument of a night, which demands a suite
    // of `nightly status` and its like as well.
    #[arg(long, default_value_os_t = results())]
    pub results: PathBuf,
}

fn results() -> PathBuf {
    std::env::var_os("TIDEMARK_RESULTS").map_or_else(|| PathBuf::from("results"), PathBuf::from)
}

/// Index and page, made again.
#[derive(Debug, clap::Args)]
pub struct PageArgs {
    /// Where nights and their runs are kept.
    #[arg(long, default_value = "results", env = "TIDEMARK_RESULTS")]
    pub results: PathBuf,
}

/// What a night is made of.
struct Order<'a> {
    args: &'a NightArgs,
    suite: Suite,
    lab: LabFile,
}

/// `tidemark nightly SUITE`.
pub fn run(args: &NightArgs) -> Result<Exit, Failure> {
    let (origin, text) = Suite::find(&args.suite).or_usage()?;
    let suite = Suite::parse(&text, &origin).or_usage()?;
    let lab = labfile::find(&args.lab).or_usage()?;
    news::check(&suite.tell).or_usage()?;
    let order = Order { args, suite, lab };
    if order.lab.kind == Kind::Namespaces {
        lab::can_hold(&order.lab).or_harness()?;
    }
    let _ours = lock(&args.results).or_harness()?;
    let (runtime, mut signals) = signals::runtime().or_harness()?;
    let last = tried::idle(&args.results, &order.lab.name);
    runtime.block_on(last).or_harness()?;
    torn::finish(&args.results).or_harness()?;
    let mut night = order.fresh();
    say_error(&format!(
        "night {} of suite {} on lab {}: seed {}, {} min at most",
        night.name(),
        night.suite,
        night.lab,
        night.seed,
        night.budget_s / 60
    ));
    let up = Up::new(order.lab.clone(), false);
    if let Some(signal) = runtime.block_on(signals.raised()) {
        if let Ok(up) = up {
            up.down(&runtime).or_harness()?;
        }
        return Err(anyhow!("{signal} before anything was run")).or_harness();
    }
    let night = match up {
        Ok(up) => {
            let went = order.conducted(night, &runtime, signals);
            if let Err(error) = up.down(&runtime) {
                say_error(&format!("tidemark: {}", sentence(&error)));
            }
            went.or_harness()?
        }
        // A night without a lab is a night, and people are told of it.
        Err(error) => {
            let why = format!("the lab did not come up: {}", sentence(&error));
            say_error(&format!("tidemark: {why}"));
            (night.void, night.ended) = (Some(why), Some(Utc::now()));
            night.write(&args.results).or_harness()?;
            night
        }
    };
    let told = order.afterwards(&night, &runtime);
    for ours in ["nights", "index.html", "index.sqlite"] {
        let path = args.results.join(ours);
        if path.exists() {
            give_to_caller(&path);
        }
    }
    let exit = match night.exit_code() {
        0 => Exit::Held,
        1 => Exit::Broken,
        2 => Exit::Unproven,
        _ => Exit::Harness,
    };
    match told {
        Ok(()) => Ok(exit),
        // The night's file has its verdicts all the same; what is derived can be made again.
        Err(error) if exit == Exit::Broken => {
            say_error(&format!("tidemark: {}", sentence(&error)));
            Ok(exit)
        }
        Err(error) => Err(error).or_harness(),
    }
}

/// `tidemark nightly page`: after runs were judged again, or came from elsewhere.
pub fn page_again(args: &PageArgs) -> Result<Exit, Failure> {
    let results = &args.results;
    if Night::files(results).or_usage()?.is_empty() {
        let results = results.to_owned();
        return Err(campaign::CampaignError::NoNight { results }).or_usage();
    }
    let _ours = lock(results).or_harness()?;
    let (index, refreshed) = Index::rebuild(results).or_harness()?;
    let free = free_bytes(results).ok();
    let written = page::write(results, &index, &refreshed.unread, free).or_harness()?;
    say(&written.path.display().to_string());
    Ok(Exit::Held)
}

impl Order<'_> {
    /// Tonight, before anything was run.
    fn fresh(&self) -> Night {
        let started = Utc::now();
        let (date, results) = (started.date_naive(), &self.args.results);
        let mut night = Night {
            format: NIGHT_FORMAT,
            date,
            nth: Night::fresh(results, date),
            suite: self.suite.name.clone(),
            lab: self.lab.name.clone(),
            seed: 0,
            budget_s: self.suite.budget.as_secs(),
            taken_s: 0,
            started,
            ended: None,
            next: super::status::next(&self.suite.name, &self.lab.name),
            tidemark: env!("CARGO_PKG_VERSION").to_owned(),
            kafka: self.suite.calm.plan.cluster.kafka.clone(),
            void: None,
            entries: Vec::new(),
        };
        night.seed = seed_of(&night.name(), &night.suite);
        night
    }

    fn conducted(
        &self,
        night: Night,
        runtime: &Runtime,
        signals: Signals,
    ) -> anyhow::Result<Night> {
        let results = &self.args.results;
        let mut index = Index::open(results)?;
        index.refresh(results)?;
        let mut on_lab = OnLab::new(self.args, &self.lab, runtime, signals);
        on_lab.foresee(&index.runs()?, &self.suite);
        if !on_lab.has_room()? {
            self.tidy(&mut index)?;
        }
        // What earlier nights, or others, may have left.
        on_lab.heal();
        let night = conduct(&self.suite, night, results, &mut on_lab)?;
        on_lab.leave();
        Ok(night)
    }

    /// The index, what is kept, the page, and who is told.
    fn afterwards(&self, night: &Night, runtime: &Runtime) -> anyhow::Result<()> {
        let results = &self.args.results;
        let mut index = Index::open(results)?;
        let refreshed = self.tidy(&mut index)?;
        let free = free_bytes(results).ok();
        let written = page::write(results, &index, &refreshed.unread, free)?;
        let news = news::News::of(night, &written.changes, &self.suite.tell, results);
        say(&news.summary(&written.path)?);
        runtime.block_on(news.tell());
        Ok(())
    }

    /// Removes what the suite's rule says, and says so.
    fn tidy(&self, index: &mut Index) -> anyhow::Result<Refreshed> {
        let (freed, refreshed) = tidy(&self.args.results, index, &self.suite.keep, Utc::now())?;
        if freed != Freed::default() {
            say_error(&format!(
                "{} runs thinned and {} deleted, as the suite's rule has it: {} MB",
                freed.thinned,
                freed.deleted,
                freed.bytes / 1_000_000
            ));
        }
        Ok(refreshed)
    }
}

/// The results are one night's at a time.
fn lock(results: &Path) -> anyhow::Result<Flock<File>> {
    let dir = results.join("nights");
    std::fs::create_dir_all(&dir).with_context(|| {
        let results = results.display();
        format!("cannot keep nights in {results}: name another directory with --results")
    })?;
    let path = dir.join(".lock");
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    let file = options
        .open(&path)
        .with_context(|| format!("cannot open {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(mut ours) => {
            ours.set_len(0)?;
            write!(*ours, "{}", std::process::id())?;
            Ok(ours)
        }
        Err((mut theirs, _)) => {
            let mut whose = String::new();
            theirs.read_to_string(&mut whose)?;
            Err(anyhow!(
                "a night is going on in {}, process {whose}: wait for its end, or stop it with \
                 SIGINT",
                results.display()
            ))
        }
    }
}
