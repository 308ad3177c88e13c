//! `make soak-kills`: runs whose controller dies in the middle of a storm, a hundred times: killed
//! with SIGKILL, both of its processes, or cut off from the network. The hosts have to heal
//! themselves within the lease, and what was recorded has to be judged, and never to hold.
//!
//! The runs are those of `tidemark run`, as children. Nothing here heals, and nothing asks a host
//! over SSH: whether one is healed is looked up from outside, in its namespaces.

mod outside;
mod tally;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use cluster::labfile::{self, LabFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plan::seed::{Seed, Stream};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::counts::append;
use super::lab_of;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{say, say_error};
use crate::signals::Signals;
use outside::Hosts;
use tally::{Death, Row};

/// The lab's name where none is named.
const LAB: &str = "kills";

/// Faults upon faults: at any moment some are in force.
const PLAN: &str = r#"
name = "soak-kills"
about = "A storm in whose middle the controller dies."
[cluster]
kafka = "3.0.0"
profile = "fast"
[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2
[topics.ledger.load]
producers = 1
consumers = 1
acks = "all"
idempotent = true
rate = 200
[phases]
steady = "3s"
calm = "1s"
settle_max = "90s"
drain_max = "60s"
[minimum]
acked = 10
acked_per_second = 1
[storm]
length = "10s"
hold = ["3s", "6s"]
quiet = ["0.1s", "0.4s"]
at_once = 3
[storm.faults]
"pause any" = 3
"pause zookeeper of any" = 2
"isolate any" = 3
"cut n2 -> n1, n1 -> n0 port broker" = 2
"part any from peers" = 1
"part any from clients" = 1
"flap isolate any every 0.5s" = 1
"lose 20% of any" = 1
"limit any to 2mbit" = 2
"kill any" = 1
"#;

/// Of which this part is hit at random; the storm is then still going on.
const MOMENTS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(9));
/// Artefacts, a lab, brokers, and the load before the storm.
const STORM_WITHIN: Duration = Duration::from_secs(240);
const STARTS_MAX: u32 = 3;
/// A guard looks every half a second; the rest is for machines that have much else to do.
const LATE: Duration = Duration::from_secs(3);
/// A run whose hosts were away ends by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(400);
const LOOK: Duration = Duration::from_millis(200);
/// The last run is ended by us, in order, once it has shown that it starts clean.
const LAST_WITHIN: Duration = Duration::from_secs(60);

/// `tidemark soak-kills`.
#[derive(Debug, clap::Args)]
pub struct KillsArgs {
    /// A local lab's name or file; one of the soak's own when absent.
    #[arg(long)]
    lab: Option<String>,
    /// How often the controller dies in the end, earlier calls included.
    #[arg(long, default_value_t = 100)]
    times: u32,
    /// Everything is drawn from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Each death is appended to this file; another call goes on after its last one.
    #[arg(long, default_value = "target/soak-kills.jsonl")]
    counts: PathBuf,
    /// Where runs are kept until they are judged; those with which something is wrong stay.
    #[arg(long, default_value = "target/soak-kills")]
    results: PathBuf,
}

/// `tidemark soak-kills`: exit code 0 when all are done and nothing is wrong with any, 1 when
/// something is, 3 when not all could be done.
pub fn run(args: &KillsArgs) -> Result<Exit, Failure> {
    let lab = lab_of(args.lab.as_deref(), LAB).or_usage()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .or_harness()?;
    let went = runtime.block_on(async {
        let mut signals = Signals::listen()?;
        tokio::select! {
            biased;
            raised = signals.next() => bail!("ended by {raised}; the same call goes on"),
            went = all(args, &lab) => went,
        }
    });
    let down = lab::down(&lab.name);
    went.or_harness()?;
    down.or_harness()?;
    let rows = tally::read(&args.counts, args.seed).or_usage()?;
    say(&tally::summary(&rows, allowed(&lab)));
    Ok(if rows.iter().all(|row| row.is_good(allowed(&lab))) {
        Exit::Held
    } else {
        Exit::Broken
    })
}

/// Seconds after which a host must have healed itself.
fn allowed(lab: &LabFile) -> f64 {
    (lab.lease.0 + LATE).as_secs_f64()
}

async fn all(args: &KillsArgs, lab: &LabFile) -> anyhow::Result<()> {
    std::fs::create_dir_all(&args.results)?;
    let at = |name: &str| args.results.join(name);
    std::fs::write(at("soak-kills.toml"), PLAN)?;
    std::fs::write(at("lab.toml"), lab.to_toml_without_secrets())?;
    labfile::find(&at("lab.toml").to_string_lossy())?;
    let done = tally::read(&args.counts, args.seed)?;
    let from = done.last().map_or(0, |last| last.number + 1);
    for number in from..args.times {
        let mut draws = Seed(args.seed).stream(&format!("death {number}"));
        let row = one(args, lab, number, &mut draws).await?;
        append(&args.counts, &row)?;
        say_error(&row.to_string());
    }
    if from < args.times {
        starts_clean(args, lab).await?;
    }
    Ok(())
}

/// A run, up to its storm.
struct Running {
    child: Child,
    said: Lines<BufReader<ChildStderr>>,
    /// Its directory.
    dir: PathBuf,
    /// Seconds until the storm began.
    to_storm: f64,
}

impl Running {
    async fn start(args: &KillsArgs, seed: u64) -> anyhow::Result<Self> {
        let begun = Instant::now();
        let runs = args.results.join("runs");
        if runs.exists() {
            std::fs::remove_dir_all(&runs)?;
        }
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("run")
            .arg(args.results.join("soak-kills.toml"))
            .arg("--lab")
            .arg(args.results.join("lab.toml"))
            .arg("--results")
            .arg(&args.results)
            .args(["--seed", &seed.to_string(), "--keep-lab"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // A terminal's Ctrl-C is ours.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().context("cannot start a run")?;
        let stderr = child.stderr.take();
        let stderr = stderr.ok_or_else(|| anyhow!("a run has no standard error"))?;
        let mut said = BufReader::new(stderr).lines();
        let mut all = String::new();
        let storm = async {
            while let Some(line) = said.next_line().await? {
                if line.ends_with("-- storm") {
                    return Ok(());
                }
                all.push_str(&line);
                all.push('\n');
            }
            Err(std::io::Error::other("it ended before"))
        };
        let reached = timeout(STORM_WITHIN, storm).await;
        let reached = reached.map_err(|_| anyhow!("not within {STORM_WITHIN:?}"));
        if let Err(error) = reached.and_then(|it| it.map_err(Into::into)) {
            bail!("a run did not come to its storm: {error}; it said:\n{all}");
        }
        let mut dirs = std::fs::read_dir(&runs)?;
        let dir = dirs.next().ok_or_else(|| anyhow!("no run in {runs:?}"))??;
        Ok(Self {
            child,
            said,
            dir: dir.path(),
            to_storm: begun.elapsed().as_secs_f64(),
        })
    }

    /// As [`Running::start`], again where a busy machine's brokers or load did not come up in time.
    async fn start_in_the_end(args: &KillsArgs, seed: u64) -> anyhow::Result<Self> {
        for _ in 0..STARTS_MAX - 1 {
            match Self::start(args, seed).await {
                Ok(running) => return Ok(running),
                Err(error) => say_error(&format!("{error:#}")),
            }
        }
        Self::start(args, seed).await
    }

    /// The command and the runner, its only child.
    fn pids(&self) -> anyhow::Result<(Pid, Pid)> {
        let pid = self
            .child
            .id()
            .ok_or_else(|| anyhow!("the run has ended"))?;
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let runner = children.split_whitespace().next();
        let runner = runner.ok_or_else(|| anyhow!("the command has no runner"))?;
        Ok((
            Pid::from_raw(pid.cast_signed()),
            Pid::from_raw(runner.parse()?),
        ))
    }

    /// Waits for its end, and reads on meanwhile, so that it is never kept from saying something.
    async fn ended(&mut self, within: Duration) -> anyhow::Result<Option<i32>> {
        let reading = async { while let Ok(Some(_)) = self.said.next_line().await {} };
        let ended = async { tokio::join!(self.child.wait(), reading).0 };
        let ended = timeout(within, ended).await;
        Ok(ended.context("the run did not end")??.code())
    }
}

async fn one(
    args: &KillsArgs,
    lab: &LabFile,
    number: u32,
    draws: &mut Stream,
) -> anyhow::Result<Row> {
    let death = match number % 2 {
        0 => Death::Killed,
        _ => Death::CutOff,
    };
    let after = draws.duration(MOMENTS);
    let mut running = Running::start_in_the_end(args, draws.below(1_000_000)).await?;
    let hosts = Hosts::of(lab)?;
    let until = Instant::now() + after;
    let reading = async { while let Ok(Some(_)) = running.said.next_line().await {} };
    tokio::select! {
        biased;
        () = sleep_until(until) => {}
        () = reading => bail!("a run ended in the middle of its storm"),
    }
    match death {
        Death::Killed => {
            let (command, runner) = running.pids()?;
            // The command heals when its runner dies, unless it is held.
            kill(command, Signal::SIGSTOP)?;
            kill(runner, Signal::SIGKILL)?;
            kill(command, Signal::SIGKILL)?;
        }
        Death::CutOff => hosts.network("down").await?,
    }
    let died = Instant::now();
    let in_force = hosts.look().await?;
    let healed = heal_themselves(&hosts, died, allowed(lab)).await;
    if death == Death::CutOff {
        hosts.network("up").await?;
    }
    let (healed_after, left) = healed?;
    let exit = running.ended(ENDS_WITHIN).await?;
    let (check, fold) = check(&running.dir).await?;
    let row = Row {
        number,
        seed: args.seed,
        death,
        after: rounded(after.as_secs_f64()),
        in_force,
        healed_after: healed_after.map(rounded),
        left,
        exit,
        check,
        fold,
        to_storm: rounded(running.to_storm),
    };
    if row.is_good(allowed(lab)) {
        std::fs::remove_dir_all(&running.dir)?;
    } else {
        let kept = args.results.join(format!("wrong-{number}"));
        std::fs::rename(&running.dir, kept)?;
    }
    Ok(row)
}

fn rounded(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

/// Looks as long as the hosts have time, also where nothing was in force: a command on its way may
/// still come, and the lease has to run out. After how many seconds nothing was left any more, or
/// what is left.
async fn heal_themselves(
    hosts: &Hosts,
    died: Instant,
    allowed: f64,
) -> anyhow::Result<(Option<f64>, Vec<String>)> {
    let mut healed = None;
    loop {
        let left = hosts.look().await?;
        let now = died.elapsed().as_secs_f64();
        healed = match left.is_empty() {
            true => healed.or(Some(now)),
            false => None,
        };
        if now > allowed {
            return Ok((healed, left));
        }
        sleep(LOOK).await;
    }
}

/// `tidemark check` of a run, and how its verdict folds.
async fn check(dir: &Path) -> anyhow::Result<(Option<i32>, String)> {
    let mut command = Command::new(std::env::current_exe()?);
    let output = command.arg("check").arg(dir).arg("--json").output().await?;
    let verdict: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let fold = verdict["fold"].as_str().unwrap_or("unreadable");
    Ok((output.status.code(), fold.to_owned()))
}

/// After the last death: one run more comes to its storm, and ends in order when it is told to.
async fn starts_clean(args: &KillsArgs, lab: &LabFile) -> anyhow::Result<()> {
    let mut running = Running::start_in_the_end(args, 1).await?;
    let (command, _) = running.pids()?;
    kill(command, Signal::SIGTERM)?;
    let code = running.ended(LAST_WITHIN).await?;
    let left = Hosts::of(lab)?.look().await?;
    if code != Some(2) || !left.is_empty() {
        bail!("the run after the last death ended with {code:?} and left {left:?}");
    }
    Ok(())
}
