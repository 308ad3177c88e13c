//! One `tidemark run` as a process of its own, with a deadline, and what came of it.
//!
//! A run that crashes takes nobody with it, and one that hangs is stopped: asked twice, then killed.
//! A run whose asker is killed ends in order by itself. Nothing is tried again here.

use std::fs::File;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow};
use campaign::{Attempt, Facts, Outcome};
use checkers::{Fold, Judgement};
use history::RunId;
use history::rundir::RunDir;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::Signal;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::children::{pass_on, pid};
use crate::home::{fresh_number, say_error};
use crate::signals::{self, Signals};
use crate::unstarted;

/// How long before its deadline a run is asked to end: time to heal, capture, seal and judge.
const FIRST: Duration = plan::suite::ENDING;
/// How long before its deadline it is asked to leave the capture out.
const SECOND: Duration = Duration::from_secs(20);
/// How long a run takes to end whose asker was killed.
const ENDING_MAX: Duration = Duration::from_secs(180);
/// What begins a line in which a run says why it failed.
const REASON: &str = "tidemark: ";

/// A run that somebody wants.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// A plan's name or file.
    pub plan: &'a str,
    /// A lab's name or file. It is left up.
    pub lab: &'a str,
    /// The seed.
    pub seed: u64,
    /// Where runs are kept.
    pub results: &'a Path,
    /// The time after which it does not run any more.
    pub deadline: Duration,
}

/// What became of a run.
#[derive(Debug)]
pub struct Tried {
    /// Its directory, if it came to have one.
    pub dir: Option<RunDir>,
    /// What came of it.
    pub came: Came,
    /// The last signal that we got meanwhile, whatever came of the run.
    pub raised: Option<Signal>,
}

/// What came of a run.
#[derive(Debug)]
pub enum Came {
    /// It was judged; whatever else befell it, what it proved broken is broken.
    Judged(Box<Judgement>),
    /// The lab or the harness failed, or the deadline came: this says nothing about Kafka.
    LabFailed {
        /// How.
        why: String,
    },
    /// A signal that we got stopped it.
    Stopped(Signal),
}

/// Says that a run which somebody asked for goes on in a results directory on a lab, for as long as
/// the answer lives. Its asker may be dead by then.
///
/// # Errors
/// When another one does.
pub fn mark(results: &Path, lab: &str) -> anyhow::Result<Flock<File>> {
    let path = results.join(format!(".running-{lab}"));
    std::fs::create_dir_all(results)?;
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        let results = results.display();
        anyhow!("a run on lab {lab} is going on, or just ending, in {results}: wait for it")
    })
}

/// Waits until no such run goes on any more: one whose asker was killed takes its time to heal, to
/// capture and to seal.
///
/// # Errors
/// When it does not end in time.
pub async fn idle(results: &Path, lab: &str) -> anyhow::Result<()> {
    let deadline = Instant::now() + ENDING_MAX;
    loop {
        match mark(results, lab) {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(error),
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

/// Runs a plan and waits for it.
///
/// Its progress goes to our standard error. It has its own process group; INT, TERM and HUP are
/// passed on to it.
pub async fn run(asked: Asked<'_>, signals: &mut Signals) -> Tried {
    let id = RunId::from_number(fresh_number());
    let ended = match start(&asked, id) {
        Ok(child) => follow(child, asked.deadline, signals).await,
        Err(why) => Err(format!("the run could not be started: {why}")),
    };
    let dir = dir_of(asked.results, id);
    let (came, raised) = match ended {
        Ok(ended) => (came(dir.as_ref(), &ended, asked.deadline), ended.raised),
        Err(why) => (Came::LabFailed { why }, None),
    };
    Tried { dir, came, raised }
}

fn start(asked: &Asked<'_>, id: RunId) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["run", asked.plan, "--lab", asked.lab])
        .args(["--seed", &asked.seed.to_string(), "--as", &id.to_string()])
        .arg("--results")
        .arg(asked.results)
        .args(["--keep-lab", "--json"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
}

/// How a run's process ended.
struct Ended {
    status: ExitStatus,
    /// What it said last of why it failed.
    reason: Option<String>,
    /// The signal that we got while it ran.
    raised: Option<Signal>,
    /// Its deadline came.
    late: bool,
}

async fn follow(
    mut child: Child,
    deadline: Duration,
    signals: &mut Signals,
) -> Result<Ended, String> {
    let pid = pid(&child);
    let mut said = Said::new(child.stderr.take());
    let begun = Instant::now();
    let before_end = |left| begun + deadline.saturating_sub(left).max(deadline / 2);
    let mut asks = [
        (before_end(FIRST), Signal::SIGINT),
        (before_end(SECOND), Signal::SIGINT),
        (begun + deadline, Signal::SIGKILL),
    ]
    .into_iter();
    let mut next = asks.next();
    let (mut raised, mut late) = (None, false);
    let status = loop {
        let due = next.map_or(begun + 2 * deadline, |(due, _)| due);
        tokio::select! {
            biased;
            status = child.wait() => break status,
            signal = signals.next() => {
                raised = Some(signal);
                pass_on(pid, signal);
            }
            () = sleep_until(due), if next.is_some() => {
                late = true;
                if let Some((_, signal)) = next {
                    pass_on(pid, signal);
                }
                next = asks.next();
            }
            () = said.line(), if said.open() => {}
        }
    };
    // Whoever still holds the other end is not waited for.
    while said.open()
        && timeout(Duration::from_millis(100), said.line())
            .await
            .is_ok()
    {}
    Ok(Ended {
        status: status.map_err(|why| why.to_string())?,
        reason: said.reason,
        raised,
        late,
    })
}

/// A run's standard error, passed on line by line.
struct Said {
    lines: Option<Lines<BufReader<ChildStderr>>>,
    reason: Option<String>,
}

impl Said {
    fn new(pipe: Option<ChildStderr>) -> Self {
        let lines = pipe.map(|pipe| BufReader::new(pipe).lines());
        Self {
            lines,
            reason: None,
        }
    }

    fn open(&self) -> bool {
        self.lines.is_some()
    }

    async fn line(&mut self) {
        let Some(lines) = &mut self.lines else {
            return;
        };
        match lines.next_line().await {
            Ok(Some(line)) => {
                if let Some(reason) = line.strip_prefix(REASON) {
                    self.reason = Some(reason.to_owned());
                }
                say_error(&line);
            }
            Ok(None) | Err(_) => self.lines = None,
        }
    }
}

/// The run's directory: its name ends with the run's id.
fn dir_of(results: &Path, id: RunId) -> Option<RunDir> {
    let ending = format!("-{id}");
    let dirs = std::fs::read_dir(results.join("runs")).ok()?;
    let mut names = dirs.flatten().map(|entry| entry.path());
    let path = names.find(|path| path.to_string_lossy().ends_with(&ending))?;
    RunDir::open(&path).ok()
}

/// Whether a verdict says something about Kafka: any of a run that went through, and whatever befell
/// the run, that a promise was broken.
fn counts(fold: Fold, ended: &Ended) -> bool {
    let whole = matches!(ended.status.code(), Some(0..=2)) && !ended.late && ended.raised.is_none();
    whole || fold == Fold::Broken
}

fn came(dir: Option<&RunDir>, ended: &Ended, deadline: Duration) -> Came {
    let judgement: Option<Judgement> = dir.and_then(|dir| dir.read_verdict().ok());
    if let Some(judgement) = judgement
        && counts(judgement.fold, ended)
    {
        return Came::Judged(Box::new(judgement));
    }
    if let Some(signal) = ended.raised {
        return Came::Stopped(signal);
    }
    if ended.late {
        let seconds = deadline.as_secs();
        let why = format!("it did not end within {seconds} s and was stopped");
        return Came::LabFailed { why };
    }
    let unstarted = dir.and_then(|dir| unstarted::reason(dir).ok().flatten());
    let why = ended.reason.clone().or(unstarted);
    let why = why.unwrap_or_else(|| format!("it ended with {} and said nothing", ended.status));
    Came::LabFailed { why }
}

impl Tried {
    /// As files keep it.
    pub fn attempt(self) -> Attempt {
        let outcome = match self.came {
            Came::Judged(judgement) => Outcome::Judged(Box::new(Facts::of(&judgement))),
            Came::LabFailed { why } => Outcome::LabFailed { why },
            Came::Stopped(signal) => Outcome::DidNotRun {
                why: format!("it was stopped by {}", signals::name(signal)),
            },
        };
        Attempt {
            run: self.dir.map(|dir| dir.name()),
            outcome,
        }
    }
}

impl Came {
    /// What came of it, for people.
    pub fn said(&self) -> String {
        match self {
            Came::Judged(judgement) => judgement.sentence.clone(),
            Came::LabFailed { why } => format!("the lab or the harness failed: {why}"),
            Came::Stopped(signal) => format!("stopped by {}", signals::name(*signal)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn ended(code: i32) -> Ended {
        Ended {
            status: ExitStatus::from_raw(code << 8),
            reason: None,
            raised: None,
            late: false,
        }
    }

    #[test]
    fn a_broken_promise_counts_whatever_befell_the_run_and_all_else_only_of_a_whole_one() {
        let late = Ended {
            late: true,
            ..ended(2)
        };
        let stopped = Ended {
            raised: Some(Signal::SIGTERM),
            ..ended(2)
        };
        let killed = Ended {
            status: ExitStatus::from_raw(9),
            ..ended(0)
        };
        for (ended, others_count) in [
            (ended(0), true),
            (ended(1), true),
            (ended(2), true),
            (ended(3), false),
            (ended(64), false),
            (late, false),
            (stopped, false),
            (killed, false),
        ] {
            assert!(counts(Fold::Broken, &ended));
            assert_eq!(counts(Fold::Held, &ended), others_count);
            assert_eq!(counts(Fold::Unproven, &ended), others_count);
        }
    }

    async fn followed(script: &str) -> Ended {
        // Where somebody had SIGINT ignored, as a shell does for what it puts into the background, a
        // child can trap it only if we caught it first.
        let mut signals = Signals::listen().expect("signals");
        let child = Command::new("sh")
            .args(["-c", script])
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("sh");
        // A busy machine has a shell ready within half of this.
        let followed = follow(child, Duration::from_secs(8), &mut signals).await;
        followed.expect("an end")
    }

    #[tokio::test]
    async fn a_run_that_does_not_end_is_asked_and_then_killed() {
        let polite =
            followed("trap 'exit 2' INT; echo tidemark: why >&2; while :; do :; done").await;
        assert_eq!((polite.status.code(), polite.late), (Some(2), true));
        assert_eq!(polite.reason.as_deref(), Some("why"));
        let deaf = followed("trap '' INT; while :; do :; done").await;
        assert_eq!((deaf.status.signal(), deaf.late), (Some(9), true));
        let done = followed("echo tidemark: first >&2; echo tidemark: last >&2; exit 3").await;
        assert_eq!((done.status.code(), done.late), (Some(3), false));
        assert_eq!(done.reason.as_deref(), Some("last"));
    }
}
