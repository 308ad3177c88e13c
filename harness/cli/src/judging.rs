//! `tidemark check` and `tidemark report`: from a run's files to a verdict and its pages.

use std::path::Path;

use anyhow::{Context, anyhow};
use checkers::{Ended, Judgement, Operations, Recording};
use history::rundir::{self, RunDir};
use history::{Event, HistoryError, Torn, frames};
use plan::Plan;

use crate::exit::{Exit, Failure, OrExit};
use crate::home::say;

/// `tidemark check RUN`.
pub fn check(run: &Path, json: bool) -> Result<Exit, Failure> {
    let dir = RunDir::open(run).or_usage()?;
    judge(&dir, json)
}

/// Judges a run directory, writes verdict and reports into it, prints the verdict.
pub fn judge(dir: &RunDir, json: bool) -> Result<Exit, Failure> {
    if let Some(why) = crate::unstarted::reason(dir).or_usage()? {
        crate::home::say_error(&format!("unproven: {why}"));
        return Ok(Exit::Unproven);
    }
    let recording = read(dir).or_usage()?;
    let judgement = checkers::judge(&recording);
    write(dir, &judgement).or_harness()?;
    if json {
        say(&serde_json::to_string_pretty(&judgement).or_harness()?);
    } else {
        let report = dir.report_html();
        say(&format!(
            "{}\nreport: {}",
            judgement.sentence,
            report.display()
        ));
    }
    Ok(judgement.fold.into())
}

/// `tidemark report RUN`: from the verdict that is there.
pub fn report(run: &Path) -> Result<Exit, Failure> {
    let dir = RunDir::open(run).or_usage()?;
    if !dir.verdict_json().exists() {
        let why = "has no verdict yet; run `tidemark check` on it";
        return Err(anyhow!("{} {why}", run.display())).or_usage();
    }
    let judgement: Judgement = match dir.read_verdict() {
        Err(why @ HistoryError::Newer { .. }) => Err(why.into()),
        read => read.context("verdict.json is of another version; run `tidemark check` on the run"),
    }
    .or_usage()?;
    render(&dir, &judgement).or_harness()?;
    say(&dir.report_html().display().to_string());
    Ok(Exit::Held)
}

/// `tidemark history RUN`: what happened, in the notation of the tests.
pub fn history(run: &Path) -> Result<Exit, Failure> {
    let dir = RunDir::open(run).or_usage()?;
    let recorded = dir.read_history().or_usage()?;
    crate::home::print(&history::notation::print(&recorded.events));
    if let Some(torn) = recorded.torn {
        crate::home::say_error(&format!("tidemark: {torn}"));
    }
    Ok(Exit::Held)
}

/// Reads everything that a run left.
fn read(dir: &RunDir) -> anyhow::Result<Recording> {
    let text = std::fs::read_to_string(dir.plan_toml())
        .with_context(|| format!("cannot read {}", dir.plan_toml().display()))?;
    let plan = Plan::parse(&text, &dir.plan_toml().display().to_string())?;
    let seal = dir.read_seal()?;
    let (operations, events, tear) = happened(dir)?;
    let setting = dir.read_setting()?;
    let run = setting.run;
    let evidence = evidence::read(dir.path(), &events, &|bytes| {
        history::payload::recognise(run, bytes)
    });
    Ok(Recording {
        plan,
        setting,
        evidence,
        torn: flaw(dir, seal.is_some(), tear)?,
        operations,
        events,
        ended: ended(seal.map(|seal| seal.ended)),
    })
}

/// Reads the history frame by frame: sends and polls, whatever else happened, and where it is torn.
fn happened(dir: &RunDir) -> anyhow::Result<(Operations, Vec<Event>, Option<Torn>)> {
    let mut operations = Operations::default();
    let mut events = Vec::new();
    let reader = frames::Reader::open(&dir.history_file())?;
    let tear = reader.each(|line| events.extend(operations.take_line(line)));
    Ok((operations, events, tear))
}

/// What is wrong with the evidence itself: a history that breaks off, files that are not as sealed.
fn flaw(dir: &RunDir, sealed: bool, torn: Option<Torn>) -> anyhow::Result<Option<String>> {
    let mut flaws: Vec<String> = torn.iter().map(ToString::to_string).collect();
    if sealed {
        flaws.extend(dir.verify()?.iter().map(ToString::to_string));
    }
    Ok((!flaws.is_empty()).then(|| flaws.join("; ")))
}

fn ended(sealed: Option<rundir::Ended>) -> Ended {
    match sealed {
        None => Ended::Incomplete,
        Some(rundir::Ended::Completed) => Ended::Completed,
        Some(rundir::Ended::CutShort { why, .. }) => Ended::CutShort { why },
        Some(rundir::Ended::Interrupted { signal, .. }) => Ended::Interrupted { signal },
        Some(rundir::Ended::Failed { why, .. }) => Ended::Failed { why },
    }
}

fn write(dir: &RunDir, judgement: &Judgement) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(judgement)?;
    json.push(b'\n');
    rundir::write_atomically(&dir.verdict_json(), &json)?;
    render(dir, judgement)
}

fn render(dir: &RunDir, judgement: &Judgement) -> anyhow::Result<()> {
    rundir::write_atomically(&dir.report_html(), report::html(judgement).as_bytes())?;
    rundir::write_atomically(&dir.junit_xml(), report::junit(judgement)?.as_bytes())?;
    rundir::write_atomically(&dir.summary_md(), report::markdown(judgement).as_bytes())?;
    Ok(())
}
