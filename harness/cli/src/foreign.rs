//! `tidemark check`: a run's directory goes to the judge of runs, a file to that of foreign
//! histories.

use std::fs::File;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, anyhow};
use checkers::jepsen::{Asked, ForeignVerdict, Valid};

use crate::args::{CheckArgs, RulesName, SubscribedName};
use crate::exit::{Exit, Failure, OrExit};
use crate::home::say;

/// `tidemark check RUN` and `tidemark check FILE`.
pub fn check(asked: &CheckArgs) -> Result<Exit, Failure> {
    let flagged = asked.rules.is_some() || asked.ww_deps || asked.subscribed.is_some();
    // Whoever names an empty file meant a run; only flags say otherwise.
    let is_history = asked
        .run
        .metadata()
        .is_ok_and(|file| file.is_file() && (flagged || file.len() > 0));
    if !is_history {
        if flagged {
            let why = "is no file; --rules, --ww-deps and --subscribed are for a history in a file";
            return Err(anyhow!("{} {why}", asked.run.display())).or_usage();
        }
        return crate::judging::check(&asked.run, asked.json);
    }
    if let Some(run) = run_of(&asked.run) {
        let (file, run) = (asked.run.display(), run.display());
        let why = format!("{file} is part of a run: give the run itself, `tidemark check {run}`");
        return Err(anyhow!(why)).or_usage();
    }
    let place = || asked.run.display().to_string();
    let file = File::open(&asked.run).with_context(place).or_usage()?;
    let history = exchange::foreign::read(file)
        .with_context(place)
        .or_usage()?;
    let test = Asked {
        ww_deps: asked.ww_deps,
        subscribed: match asked.subscribed {
            None | Some(SubscribedName::Auto) => None,
            Some(SubscribedName::Yes) => Some(true),
            Some(SubscribedName::No) => Some(false),
        },
    };
    let verdict = match asked.rules {
        Some(RulesName::Jepsen) => checkers::jepsen::judge_as_jepsen(&history, test),
        None | Some(RulesName::Native) => checkers::jepsen::judge_natively(&history, test),
    };
    if asked.json {
        print_json(&verdict).or_harness()?;
    } else {
        say(&verdict.sentence());
    }
    Ok(match verdict.valid {
        Valid::Yes => Exit::Held,
        Valid::No => Exit::Broken,
        Valid::Unknown => Exit::Unproven,
    })
}

/// The run directory that a file belongs to, if it does.
fn run_of(file: &Path) -> Option<&Path> {
    let mut above = file.ancestors().skip(1).take(2);
    above.find(|dir| dir.join("history/events.tmh").is_file())
}

/// As a stream: what was found can be longer than the history. A reader that went away (`| head`)
/// is no error.
fn print_json(verdict: &ForeignVerdict<'_>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match serde_json::to_writer_pretty(&mut out, verdict) {
        Err(error) if error.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe) => {}
        written => written?,
    }
    let _ = writeln!(out);
    let _ = out.flush();
    Ok(())
}
