//! What a night left that was killed: its last run is judged as far as it came, and the night's file
//! says so. The night itself stays without an end.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use campaign::{Attempt, Entry, Facts, Night, Outcome};
use checkers::{Fold, Judgement};
use history::rundir::RunDir;

use crate::exit::sentence;
use crate::home::say_error;
use crate::{judging, unstarted};

const WHY: &str = "the night was killed while it ran";

/// Completes the files of nights that were killed in the middle of a run. A file that cannot be read
/// is told of on the page, and is left alone here.
///
/// # Errors
/// When the nights cannot be listed, or a file cannot be written.
pub fn finish(results: &Path) -> anyhow::Result<()> {
    for path in Night::files(results)? {
        let Ok(mut night) = Night::read(&path) else {
            continue;
        };
        if night.ended.is_some() {
            continue;
        }
        let name = night.name();
        let known = known(&night);
        let started = night.started;
        let Some(entry) = night.entries.last_mut() else {
            continue;
        };
        let over = entry.judged().is_some() || entry.attempts.len() >= 2 || says_so(entry);
        if over {
            continue;
        }
        let from = started.format("%Y-%m-%dT%H%M%S").to_string();
        let left = newest(results, &entry.plan, &from, &known);
        say_error(&format!(
            "night {name} was killed while it ran {}{}",
            entry.plan,
            left.as_ref()
                .map(|dir| format!(": judging what {} has", dir.name()))
                .unwrap_or_default()
        ));
        entry.attempts.push(attempt(left));
        night.write(results)?;
    }
    Ok(())
}

/// It was completed before.
fn says_so(entry: &Entry) -> bool {
    entry.why() == Some(WHY)
}

/// Runs that the night's file names already.
fn known(night: &Night) -> Vec<String> {
    let attempts = night.entries.iter().flat_map(|entry| &entry.attempts);
    attempts.filter_map(|it| it.run.clone()).collect()
}

/// The newest run of a plan that began with the night or later, and is nobody's yet.
fn newest(results: &Path, plan: &str, from: &str, known: &[String]) -> Option<RunDir> {
    let listed = std::fs::read_dir(results.join("runs")).ok()?;
    let of_plan = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        // 2026-11-22T021530-PLAN-ID
        let (time, rest) = name.split_at_checked(17)?;
        let (named, _id) = rest.strip_prefix('-')?.rsplit_once('-')?;
        let ours = named == plan && time >= from && !known.iter().any(|run| run == name);
        ours.then(|| name.to_owned())
    };
    let paths = listed.flatten().map(|entry| entry.path());
    let found = paths.filter_map(|path| Some((of_plan(&path)?, path)));
    let (_, newest) = found.max()?;
    RunDir::open(&newest).ok()
}

/// What the run came to. What it proved broken before it was torn stays broken; nothing else counts.
fn attempt(left: Option<RunDir>) -> Attempt {
    let failed = Outcome::LabFailed {
        why: WHY.to_owned(),
    };
    let Some(dir) = left else {
        return Attempt {
            run: None,
            outcome: failed,
        };
    };
    let outcome = match judged(&dir) {
        Ok(Some(judgement)) if judgement.fold == Fold::Broken => {
            Outcome::Judged(Box::new(Facts::of(&judgement)))
        }
        Ok(_) => failed,
        Err(error) => {
            let name = dir.name();
            say_error(&format!("tidemark: {name}: {}", sentence(&error)));
            failed
        }
    };
    Attempt {
        run: Some(dir.name()),
        outcome,
    }
}

/// The verdict that is there, or one made now of what is there.
fn judged(dir: &RunDir) -> anyhow::Result<Option<Judgement>> {
    if unstarted::reason(dir)?.is_some() {
        return Ok(None);
    }
    if !dir.verdict_json().exists() {
        judging::judge(dir, false).map_err(|failure| anyhow!(failure.said()))?;
    }
    Ok(Some(dir.read_verdict()?))
}
