//! `tidemark nightly status`: what is installed, how the last night ended, when the next one is.
//!
//! It reads nights' files, units and a crontab, and changes nothing.

use std::path::{Path, PathBuf};

use anyhow::Context;
use campaign::Night;
use chrono::{DateTime, Local, TimeDelta, Utc};
use clap::Args as ClapArgs;
use serde::Serialize;

use super::cron;
use super::every::{self, Every, GRACE_S};
use super::systemd::{Active, Systemd};
use crate::exit::{Exit, Failure, OrExit, sentence};
use crate::home::say;

/// `tidemark nightly status`.
#[derive(Debug, ClapArgs)]
pub struct StatusArgs {
    /// Where nights are kept; by default, where the installed ones are.
    #[arg(long, env = "TIDEMARK_RESULTS")]
    pub results: Option<PathBuf>,
    /// Whose crontab, if not yours.
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// Units are below this directory.
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

/// All that can be said of nights here.
#[derive(Debug, Serialize)]
struct Status {
    installed: Vec<Installed>,
    /// Why the crontab could not be read.
    crontab: Option<String>,
    results: Vec<Kept>,
}

/// An installed night.
#[derive(Debug, Serialize)]
struct Installed {
    name: String,
    suite: String,
    lab: String,
    user: String,
    at: every::At,
    /// `tidemark-nightly-local.timer`, or `crontab`.
    by: String,
    /// Why it will not begin, where that is known.
    idle: Option<String>,
    /// A night goes on now. Not known for a crontab.
    goes_on: Option<bool>,
    next: Option<DateTime<Local>>,
    results: PathBuf,
}

/// The nights in a directory.
#[derive(Debug, Default, Serialize)]
struct Kept {
    results: PathBuf,
    nights: usize,
    /// The newest, whatever became of it.
    last: Option<Last>,
    /// The newest that came to its end, if that is another one.
    last_ended: Option<Last>,
    /// Files that are no nights.
    unreadable: Vec<String>,
}

/// A night that was.
#[derive(Debug, Serialize)]
struct Last {
    name: String,
    suite: String,
    lab: String,
    started: DateTime<Utc>,
    ended: Option<DateTime<Utc>>,
    /// It has no end yet, and may still come to one.
    perhaps_goes_on: bool,
    exit_code: u8,
    sentence: String,
}

/// Says it; exit code 3 if an installed night will not begin.
pub fn status(asked: &StatusArgs) -> Result<Exit, Failure> {
    let status = looked_at(asked).or_harness()?;
    match asked.json {
        true => say(&serde_json::to_string_pretty(&status).or_harness()?),
        false => say(&told(&status)),
    }
    let idle = status.installed.iter().any(|one| one.idle.is_some());
    Ok(if idle { Exit::Harness } else { Exit::Held })
}

/// When the next night of a suite on a lab is due, if one is installed and will begin.
pub fn next(suite: &str, lab: &str) -> Option<DateTime<Utc>> {
    let (installed, _) = installed(Path::new("/"), None, Local::now()).ok()?;
    let ours = installed.iter();
    let ours = ours.filter(|one| (one.suite.as_str(), one.lab.as_str()) == (suite, lab));
    ours.filter_map(|one| one.next)
        .min()
        .map(|next| next.to_utc())
}

/// What systemd has of ours below a directory, and a user's crontab; and why that could not be read.
fn installed(
    root: &Path,
    user: Option<&str>,
    now: DateTime<Local>,
) -> anyhow::Result<(Vec<Installed>, Option<String>)> {
    let systemd = Systemd::below(root);
    let mut installed: Vec<Installed> = systemd
        .installed()?
        .iter()
        .map(|every| by_timer(&systemd, every, now))
        .collect();
    let user = every::user(user)?;
    // Who may not have a crontab has none; that is no reason to be silent about timers.
    let (lines, crontab) = match cron::read(&user) {
        Ok(text) => (cron::installed(&text), None),
        Err(error) => (Vec::new(), Some(sentence(&error))),
    };
    installed.extend(
        lines
            .iter()
            .map(|every| Installed::new(every, "crontab", now)),
    );
    Ok((installed, crontab))
}

fn looked_at(asked: &StatusArgs) -> anyhow::Result<Status> {
    let now = Local::now();
    let (installed, crontab) = installed(&asked.root, asked.user.as_deref(), now)?;
    let mut dirs: Vec<PathBuf> = match &asked.results {
        Some(dir) => vec![dir.clone()],
        None => installed.iter().map(|one| one.results.clone()).collect(),
    };
    if dirs.is_empty() {
        dirs.push(PathBuf::from("results"));
    }
    dirs.sort();
    dirs.dedup();
    let results = dirs.iter().map(|dir| kept(dir, now.to_utc()));
    Ok(Status {
        results: results.collect::<anyhow::Result<_>>()?,
        installed,
        crontab,
    })
}

impl Installed {
    fn new(every: &Every, by: &str, now: DateTime<Local>) -> Self {
        Self {
            name: every.name(),
            suite: every.suite.clone(),
            lab: every.lab.clone(),
            user: every.user.clone(),
            at: every.at,
            by: by.to_owned(),
            idle: None,
            goes_on: None,
            next: every.at.next(now),
            results: every.results.clone(),
        }
    }
}

/// The next night is computed from the time of day that the unit has: systemctl 219 prints it as a
/// span of time since 1970, today's as a date in the machine's own form.
fn by_timer(systemd: &Systemd, every: &Every, now: DateTime<Local>) -> Installed {
    let (tag, mut one) = (every.tag(), Installed::new(every, "", now));
    one.by = format!("{tag}.timer");
    one.goes_on = Some(systemd.active(&format!("{tag}.service")) == Active::Yes);
    one.idle = match systemd.active(&one.by) {
        Active::Yes => return one,
        Active::No(how) => Some(format!(
            "the timer is {how}; start it by `systemctl enable {by}` and `systemctl start {by}`",
            by = one.by
        )),
        Active::Unknown(why) => Some(why),
    };
    one.next = None;
    one
}

fn kept(results: &Path, now: DateTime<Utc>) -> anyhow::Result<Kept> {
    let files = Night::files(results)
        .with_context(|| format!("cannot look for nights in {}", results.display()))?;
    let mut kept = Kept {
        results: results.to_owned(),
        nights: files.len(),
        ..Kept::default()
    };
    for file in files.iter().rev() {
        match Night::read(file) {
            Ok(night) => {
                let last = Last::of(&night, now);
                match (&kept.last, last.ended) {
                    (None, None) => kept.last = Some(last),
                    (None, Some(_)) => {
                        kept.last = Some(last);
                        break;
                    }
                    (Some(_), None) => {}
                    (Some(_), Some(_)) => {
                        kept.last_ended = Some(last);
                        break;
                    }
                }
            }
            Err(error) => kept.unreadable.push(sentence(&error.into())),
        }
    }
    Ok(kept)
}

impl Last {
    fn of(night: &Night, now: DateTime<Utc>) -> Self {
        let allowed = i64::try_from(night.budget_s + GRACE_S).unwrap_or(i64::MAX);
        let allowed = TimeDelta::try_seconds(allowed).unwrap_or(TimeDelta::MAX);
        Self {
            name: night.name(),
            suite: night.suite.clone(),
            lab: night.lab.clone(),
            started: night.started,
            ended: night.ended,
            perhaps_goes_on: night.ended.is_none() && now - night.started < allowed,
            exit_code: night.exit_code(),
            sentence: night.sentence(),
        }
    }
}

fn told(status: &Status) -> String {
    let mut lines: Vec<String> = Vec::new();
    if status.installed.is_empty() {
        lines.push(
            "no night is installed here: `tidemark nightly install SUITE --lab LAB` does that"
                .to_owned(),
        );
    }
    for one in &status.installed {
        lines.push(format!(
            "{}: every night at {}, by {}",
            one.name, one.at, one.by
        ));
        if one.goes_on == Some(true) {
            lines.push("  now:  a night goes on".to_owned());
        }
        if let Some(next) = one.next {
            lines.push(format!("  next: {}", next.format("%Y-%m-%d %H:%M %:z")));
        }
        if let Some(idle) = &one.idle {
            lines.push(format!("  next: unknown: {idle}"));
        }
    }
    lines.extend(status.crontab.clone());
    for kept in &status.results {
        lines.push(format!(
            "{}: {}",
            kept.results.display(),
            counted(kept.nights)
        ));
        lines.extend(
            kept.unreadable
                .iter()
                .map(|why| format!("  not read: {why}")),
        );
        for (word, last) in [("last: ", &kept.last), ("before that: ", &kept.last_ended)] {
            if let Some(last) = last {
                lines.push(format!("  {word}{}", last.told()));
            }
        }
    }
    lines.join("\n")
}

fn counted(nights: usize) -> String {
    match nights {
        0 => "no night yet".to_owned(),
        1 => "one night".to_owned(),
        n => format!("{n} nights"),
    }
}

impl Last {
    fn told(&self) -> String {
        let (name, suite, lab) = (&self.name, &self.suite, &self.lab);
        let began = self.started.format("%Y-%m-%d %H:%M UTC");
        match self.ended {
            Some(ended) => format!(
                "{name}, {suite} on {lab}, ended {}, exit code {}. {}",
                ended.format("%Y-%m-%d %H:%M UTC"),
                self.exit_code,
                self.sentence
            ),
            None if self.perhaps_goes_on => {
                format!("{name}, {suite} on {lab}, began {began} and goes on, or was killed.")
            }
            None => format!("{name}, {suite} on {lab}, began {began}. {}", self.sentence),
        }
    }
}
