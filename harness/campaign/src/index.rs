//! `results/index.sqlite`: nights and runs in tables, for trends, for the page and for whoever asks
//! in SQL.
//!
//! It is derived: it can be thrown away and made again from `nights/*.json` and the run directories
//! at any time. A run that was thinned or deleted keeps its row, from the night's own file. Nothing
//! is stored here alone, except the rows of deleted runs that belonged to no night.

mod read;
mod schema;
mod store;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use checkers::Judgement;
use history::rundir::RunDir;
use rusqlite::Connection;

use crate::error::CampaignError;
use crate::facts::Facts;
use crate::night::Night;

pub use read::{KnownRun, Whose};

const FILE: &str = "index.sqlite";

/// The index, open.
#[derive(Debug)]
pub struct Index {
    db: Connection,
    path: PathBuf,
}

/// What of a run directory is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// All of it: the run can be judged again.
    Whole,
    /// Verdict and report.
    Thinned,
    /// Nothing.
    Deleted,
}

/// What a refresh found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// Nights that were read, since they are new or have changed.
    pub nights: usize,
    /// The same of runs.
    pub runs: usize,
    /// Files that could not be read, with why; the rest is indexed all the same.
    pub unread: Vec<String>,
}

impl Index {
    /// Opens the index of a results directory. One that is missing, damaged or of another version is
    /// made anew, and is empty until it is refreshed.
    ///
    /// # Errors
    /// When it can neither be opened nor made.
    pub fn open(results: &Path) -> Result<Self, CampaignError> {
        let path = results.join(FILE);
        fs::create_dir_all(results).map_err(|why| CampaignError::write(results, why))?;
        match schema::open(&path) {
            Ok(Some(db)) => Ok(Self { db, path }),
            // Damaged, or of another version: what is derived need not be repaired.
            Ok(None) | Err(_) => Self::anew(&path),
        }
    }

    /// Throws the index away and makes it from the files again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn rebuild(results: &Path) -> Result<(Self, Refreshed), CampaignError> {
        let mut index = Self::anew(&results.join(FILE))?;
        let refreshed = index.refresh(results)?;
        Ok((index, refreshed))
    }

    fn anew(path: &Path) -> Result<Self, CampaignError> {
        for ending in ["", "-wal", "-shm"] {
            let mut name = path.as_os_str().to_owned();
            name.push(ending);
            match fs::remove_file(&name) {
                Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                    return Err(CampaignError::write(Path::new(&name), why));
                }
                Ok(()) | Err(_) => {}
            }
        }
        let wrong = |why: String| CampaignError::Index {
            path: path.to_owned(),
            why,
        };
        match schema::open(path) {
            Ok(Some(db)) => Ok(Self {
                db,
                path: path.to_owned(),
            }),
            Ok(None) => Err(wrong("a fresh one has another version".to_owned())),
            Err(why) => Err(wrong(why.to_string())),
        }
    }

    /// Takes in what is new or has changed since the last time.
    ///
    /// # Errors
    /// When directories cannot be listed or the index cannot be written. A file that cannot be read
    /// is named in the answer instead.
    pub fn refresh(&mut self, results: &Path) -> Result<Refreshed, CampaignError> {
        let mut refreshed = Refreshed::default();
        let path = self.path.clone();
        let wrong = |why: rusqlite::Error| CampaignError::Index {
            path: path.clone(),
            why: why.to_string(),
        };
        let tx = self.db.transaction().map_err(wrong)?;
        let mut names = BTreeSet::new();
        for file in Night::files(results)? {
            let stem = file.file_stem().unwrap_or_default();
            let name = stem.to_string_lossy().into_owned();
            names.insert(name.clone());
            let stamp = stamp(&file);
            if store::night_stamp(&tx, &name).map_err(wrong)? == stamp && stamp.is_some() {
                continue;
            }
            match Night::read(&file) {
                Ok(night) => {
                    store::night(&tx, &name, &night, stamp.as_deref()).map_err(wrong)?;
                    refreshed.nights += 1;
                }
                Err(error) => refreshed.unread.push(error.to_string()),
            }
        }
        store::forget_nights(&tx, &names).map_err(wrong)?;
        let mut there = BTreeSet::new();
        for dir in run_dirs(results)? {
            let name = dir.file_name().unwrap_or_default();
            let name = name.to_string_lossy().into_owned();
            let (state, bytes) = measured(&dir);
            let stamp = stamp(&dir.join("verdict.json"));
            let known = store::run_stamp(&tx, &name).map_err(wrong)?;
            if stamp.is_some() && known != stamp {
                match read_run(&dir) {
                    Ok((facts, run)) => {
                        store::run(&tx, &name, &facts, &run, stamp.as_deref()).map_err(wrong)?;
                        refreshed.runs += 1;
                    }
                    Err(why) => refreshed.unread.push(why),
                }
            }
            store::kept(&tx, &name, state, bytes).map_err(wrong)?;
            there.insert(name);
        }
        store::deleted(&tx, &there).map_err(wrong)?;
        tx.commit().map_err(wrong)?;
        Ok(refreshed)
    }

    fn wrong(&self, why: &impl ToString) -> CampaignError {
        CampaignError::Index {
            path: self.path.clone(),
            why: why.to_string(),
        }
    }
}

/// What a run's own files add to its verdict.
pub(crate) struct OfRun {
    plan: String,
    seed: u64,
    tidemark: String,
}

fn read_run(dir: &Path) -> Result<(Facts, OfRun), String> {
    let run = RunDir::open(dir).map_err(|error| error.to_string())?;
    let judgement: Judgement = run.read_verdict().map_err(|error| error.to_string())?;
    // A run without a setting was judged all the same; whose program it was is not known.
    let tidemark = run.read_setting().map(|setting| setting.tidemark);
    let of = OfRun {
        plan: judgement.plan.clone(),
        seed: judgement.seed,
        tidemark: tidemark.unwrap_or_default(),
    };
    Ok((Facts::of(&judgement), of))
}

/// What a file was like when it was read: another stamp, other contents.
fn stamp(path: &Path) -> Option<String> {
    let meta = fs::metadata(path).ok()?;
    let modified = meta.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(format!("{} {}", meta.len(), since.as_nanos()))
}

/// Run directories, by name.
pub(crate) fn run_dirs(results: &Path) -> Result<Vec<PathBuf>, CampaignError> {
    let runs = results.join("runs");
    if !runs.exists() {
        return Ok(Vec::new());
    }
    let listed = fs::read_dir(&runs).map_err(|why| CampaignError::read(&runs, why))?;
    let mut dirs = Vec::new();
    for entry in listed {
        let entry = entry.map_err(|why| CampaignError::read(&runs, why))?;
        // A link is somebody's own; what it leads to is not ours to count or to thin.
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            dirs.push(entry.path());
        }
    }
    dirs.sort();
    Ok(dirs)
}

/// Whether a run still has its recording, and how many bytes it takes.
fn measured(dir: &Path) -> (State, u64) {
    let whole = dir.join("history").join("events.tmh").exists();
    let state = if whole { State::Whole } else { State::Thinned };
    (state, bytes_in(dir))
}

/// Bytes of all files below a directory. What vanishes meanwhile takes none.
pub fn bytes_in(dir: &Path) -> u64 {
    let Ok(listed) = fs::read_dir(dir) else {
        return 0;
    };
    let sizes = listed.flatten().map(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => bytes_in(&entry.path()),
        Ok(kind) if kind.is_file() => entry.metadata().map_or(0, |meta| meta.len()),
        Ok(_) | Err(_) => 0,
    });
    sizes.sum()
}
