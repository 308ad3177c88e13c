//! Run directories on the disk: what lies there, and doing what was decided.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use chrono::{DateTime, NaiveDateTime, Utc};
use plan::suite::Keep;

use super::{Decision, Fate, Kind, Rule, Stored, decide};
use crate::error::CampaignError;
use crate::index::{Index, KnownRun, Refreshed, bytes_in, run_dirs};
use crate::page;

/// What thinning removes the contents of: by far the most of a run, and needed only to judge again.
const BULKY: [&str; 2] = ["images", "history"];
/// What is on its way out. No run begins like this.
const GONE: &str = ".gone-";
const NOTE: &str = "Images and history of this run were removed by the rule of retention (docs/nights.md).\n\
    Verdict, report, settings and logs are as they were; it can no longer be judged again.\n";

/// Run directories as they lie there. `linked` are those that a kept page links to
/// ([`crate::page::linked`]). A directory whose name does not begin with a time is not ours.
///
/// # Errors
/// When they cannot be listed.
pub fn stored(
    results: &Path,
    known: &[KnownRun],
    linked: &BTreeSet<String>,
    now: DateTime<Utc>,
) -> Result<Vec<Stored>, CampaignError> {
    let known: BTreeMap<&str, &KnownRun> =
        known.iter().map(|run| (run.name.as_str(), run)).collect();
    let mut found = Vec::new();
    for dir in run_dirs(results)? {
        let name = dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let Some(began) = began(&name) else {
            continue;
        };
        let days = (now - began).num_days().max(0);
        let bytes = bytes_in(&dir);
        let bulky: u64 = BULKY.iter().map(|sub| bytes_in(&dir.join(sub))).sum();
        let judged = known.get(name.as_str());
        found.push(Stored {
            kind: judged.map_or(Kind::Unjudged, |run| Kind::of(run.verdict, run.wanted)),
            age_days: u32::try_from(days).unwrap_or(u32::MAX),
            bytes,
            thinned_bytes: bytes - bulky.min(bytes),
            thinned: !dir.join("history").join("events.tmh").exists(),
            linked: linked.contains(&name),
            marked: dir.join("keep").exists(),
            run: name,
        });
    }
    Ok(found)
}

/// When a run began, from its directory's name.
fn began(name: &str) -> Option<DateTime<Utc>> {
    let time = name.get(..17)?;
    let time = NaiveDateTime::parse_from_str(time, "%Y-%m-%dT%H%M%S").ok()?;
    Some(time.and_utc())
}

/// What was removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Freed {
    /// Runs that were thinned.
    pub thinned: usize,
    /// Runs that were deleted.
    pub deleted: usize,
    /// Bytes freed, as decided.
    pub bytes: u64,
}

/// Removes what a suite's rule says, and says what the index, which is brought up to date, could not
/// read. The files are gone through once, and again only if there are fewer of them afterwards.
///
/// # Errors
/// As of [`stored`], [`apply`] and [`Index::refresh`].
pub fn tidy(
    results: &Path,
    index: &mut Index,
    keep: &Keep,
    now: DateTime<Utc>,
) -> Result<(Freed, Refreshed), CampaignError> {
    let refreshed = index.refresh(results)?;
    let mut linked = BTreeSet::new();
    for whose in index.whose()? {
        let nights = index.nights(&whose, page::NIGHTS_MAX)?;
        linked.extend(page::linked(&nights).map(str::to_owned));
    }
    let stored = stored(results, &index.runs()?, &linked, now)?;
    let freed = apply(results, &decide(&stored, &Rule::of(keep)))?;
    if freed == Freed::default() {
        return Ok((freed, refreshed));
    }
    Ok((freed, index.refresh(results)?))
}

/// Does what was decided. What an earlier time left half deleted goes first.
///
/// # Errors
/// At the first thing that cannot be removed; what was removed until then stays removed, and doing it
/// again goes on.
pub fn apply(results: &Path, decisions: &[Decision]) -> Result<Freed, CampaignError> {
    let runs = results.join("runs");
    sweep(&runs)?;
    let mut freed = Freed::default();
    for decision in decisions {
        let dir = runs.join(&decision.run);
        let one_name = Path::new(&decision.run).components().count() == 1;
        let ours = one_name && began(&decision.run).is_some();
        // Nothing outside, and never through a link.
        if !ours || !dir.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        match decision.fate {
            Fate::Kept => continue,
            Fate::Thinned => {
                thin(&dir)?;
                freed.thinned += 1;
            }
            Fate::Deleted => {
                let gone = runs.join(format!("{GONE}{}", decision.run));
                fs::rename(&dir, &gone).map_err(|why| CampaignError::write(&dir, why))?;
                remove(&gone)?;
                freed.deleted += 1;
            }
        }
        freed.bytes += decision.frees;
    }
    Ok(freed)
}

fn sweep(runs: &Path) -> Result<(), CampaignError> {
    let Ok(listed) = fs::read_dir(runs) else {
        return Ok(());
    };
    for entry in listed.flatten() {
        if entry.file_name().to_string_lossy().starts_with(GONE) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Empties the bulky directories; they themselves stay, since they make a directory a run. The
/// history goes first: a run without it is known to be thinned.
fn thin(dir: &Path) -> Result<(), CampaignError> {
    let history = dir.join("history");
    let images = dir.join("images");
    for bulky in [&history, &images] {
        if !bulky.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
            continue;
        }
        let listed = fs::read_dir(bulky).map_err(|why| CampaignError::read(bulky, why))?;
        for entry in listed {
            let path = entry.map_err(|why| CampaignError::read(bulky, why))?.path();
            remove(&path)?;
        }
    }
    let note = dir.join("thinned.txt");
    fs::write(&note, NOTE).map_err(|why| CampaignError::write(&note, why))
}

fn remove(path: &Path) -> Result<(), CampaignError> {
    let meta = path
        .symlink_metadata()
        .map_err(|why| CampaignError::read(path, why))?;
    let removed = if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    removed.map_err(|why| CampaignError::write(path, why))
}
