//! The layout of a run directory: what lies where, under which name, and the seal over it.
//!
//! Here only names, atomic writing and digests are known; what the files mean is their owners'
//! business. Derived files (verdict, reports) are outside the seal: they may be made again.

mod seal;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};

use crate::error::HistoryError;
use crate::frames::{self, Recording};
use crate::ids::{NodeId, RunId};
use crate::setting::Setting;

pub use seal::{Difference, Ended, SEAL_FORMAT, Seal};

/// The newest format of `setting.json` that this program writes and reads. Files of the first one do
/// not always say so.
pub const SETTING_FORMAT: u32 = 1;

/// The version of `verdict.json` that this program writes, and the newest that it reads. What gave the
/// verdict has a version of its own, that of the rules.
pub const VERDICT_FORMAT: u32 = 1;

const RUNS: &str = "runs";
const HISTORY: &str = "history";
const EVENTS: &str = "events.tmh";
const IMAGES: &str = "images";
const NODES: &str = "nodes";

/// A run directory that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes `RESULTS/runs/2026-11-22T031055-kill-leader-x7k2qa` with its sub-directories.
    /// `started` is the wall clock, which appears here and in `setting.json` only.
    ///
    /// # Errors
    /// When the directory exists already or cannot be made.
    pub fn create(
        results: &Path,
        started: DateTime<Utc>,
        plan_name: &str,
        run: RunId,
    ) -> Result<Self, HistoryError> {
        let plan: String = plan_name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = format!("{}-{plan}-{run}", started.format("%Y-%m-%dT%H%M%S"));
        let runs = results.join(RUNS);
        let path = runs.join(name);
        make(&runs, fs::create_dir_all(&runs))?;
        make(&path, fs::create_dir(&path))?;
        for sub in [HISTORY, IMAGES, NODES] {
            make(&path, fs::create_dir(path.join(sub)))?;
        }
        Ok(Self { path })
    }

    /// A run directory that somebody made before.
    ///
    /// # Errors
    /// When it is none, or of a newer format than this program reads.
    pub fn open(path: &Path) -> Result<Self, HistoryError> {
        if !path.join(HISTORY).is_dir() {
            return Err(HistoryError::NotARun {
                path: path.to_owned(),
                missing: HISTORY,
            });
        }
        let dir = Self {
            path: path.to_owned(),
        };
        dir.read_seal()?;
        Ok(dir)
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory's own name, `2026-11-22T031055-kill-leader-x7k2qa`.
    pub fn name(&self) -> String {
        let name = self.path.file_name().unwrap_or_default();
        name.to_string_lossy().into_owned()
    }

    /// What was asked.
    pub fn plan_toml(&self) -> PathBuf {
        self.path.join("plan.toml")
    }

    /// On which hosts, without secrets.
    pub fn lab_toml(&self) -> PathBuf {
        self.path.join("lab.toml")
    }

    /// What was drawn from the seed, saved before it started.
    pub fn schedule_toml(&self) -> PathBuf {
        self.path.join("schedule.toml")
    }

    /// What was found: a [`Setting`].
    pub fn setting_json(&self) -> PathBuf {
        self.path.join("setting.json")
    }

    /// What happened: frames of events.
    pub fn history_file(&self) -> PathBuf {
        self.path.join(HISTORY).join(EVENTS)
    }

    /// Replica images.
    pub fn images_dir(&self) -> PathBuf {
        self.path.join(IMAGES)
    }

    /// A node's configuration and logs.
    pub fn nodes_dir(&self, node: NodeId) -> PathBuf {
        self.path.join(NODES).join(node.to_string())
    }

    /// The [`Seal`].
    pub fn seal_json(&self) -> PathBuf {
        self.path.join("seal.json")
    }

    /// Derived: the verdict.
    pub fn verdict_json(&self) -> PathBuf {
        self.path.join("verdict.json")
    }

    /// Derived: the report for a person.
    pub fn report_html(&self) -> PathBuf {
        self.path.join("report.html")
    }

    /// Derived: the report for a build server.
    pub fn junit_xml(&self) -> PathBuf {
        self.path.join("junit.xml")
    }

    /// Derived: the report in a few lines.
    pub fn summary_md(&self) -> PathBuf {
        self.path.join("summary.md")
    }

    /// Writes `setting.json`.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_setting(&self, setting: &Setting) -> Result<(), HistoryError> {
        #[derive(serde::Serialize)]
        struct Written<'a> {
            format: u32,
            #[serde(flatten)]
            setting: &'a Setting,
        }
        let written = Written {
            format: SETTING_FORMAT,
            setting,
        };
        write_json(&self.setting_json(), &written)
    }

    /// Reads `setting.json`.
    ///
    /// # Errors
    /// When it is not there, not understood, or of a newer format.
    pub fn read_setting(&self) -> Result<Setting, HistoryError> {
        read_json(self.setting_json(), SETTING_FORMAT)
    }

    /// Reads `verdict.json`, as whatever form the caller gives it.
    ///
    /// # Errors
    /// When it is not there, not understood, or of a newer format.
    pub fn read_verdict<T: serde::de::DeserializeOwned>(&self) -> Result<T, HistoryError> {
        read_json(self.verdict_json(), VERDICT_FORMAT)
    }

    /// Reads the history, up to its tear if it has one.
    ///
    /// # Errors
    /// As [`frames::read`].
    pub fn read_history(&self) -> Result<Recording, HistoryError> {
        frames::read(&self.history_file())
    }
}

/// Reads a JSON file that names its format, of which versions up to `known` are understood. The first
/// files named none.
fn read_json<T: serde::de::DeserializeOwned>(path: PathBuf, known: u32) -> Result<T, HistoryError> {
    #[derive(serde::Deserialize)]
    struct Format {
        format: Option<u32>,
    }
    let text = fs::read(&path).map_err(|err| cannot_read(&path, err))?;
    let wrong = |err| malformed(&path, err);
    // The format first: what else stands in a newer file is not ours to understand.
    let Format { format } = serde_json::from_slice(&text).map_err(wrong)?;
    let format = format.unwrap_or(1);
    if format > known {
        return Err(HistoryError::Newer {
            path,
            format,
            known,
        });
    }
    serde_json::from_slice(&text).map_err(wrong)
}

/// Writes a file whole or not at all: beside its place first, on the disk, then renamed.
///
/// # Errors
/// When any of that fails; the file is then whole, with its old bytes or with the new ones.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), HistoryError> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(seal::UNFINISHED);
    let beside = path.with_file_name(name);
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_data()))
        .and_then(|()| fs::rename(&beside, path))
        .and_then(|()| sync_name(path));
    if written.is_err() {
        // Perhaps it was never made; the error that matters is the one above.
        let _gone = fs::remove_file(&beside);
    }
    make(path, written)
}

/// Makes the disk keep a file's name, which lies in its directory.
pub(crate) fn sync_name(path: &Path) -> std::io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty());
    File::open(dir.unwrap_or(Path::new(".")))?.sync_all()
}

fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), HistoryError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|err| malformed(path, err))?;
    text.push(b'\n');
    write_atomically(path, &text)
}

fn malformed(path: &Path, err: serde_json::Error) -> HistoryError {
    HistoryError::Malformed {
        path: path.to_owned(),
        why: err.to_string(),
    }
}

fn cannot_read(path: &Path, err: std::io::Error) -> HistoryError {
    HistoryError::Read {
        path: path.to_owned(),
        why: err.to_string(),
    }
}

fn make(path: &Path, done: std::io::Result<()>) -> Result<(), HistoryError> {
    done.map_err(|err| HistoryError::Write {
        path: path.to_owned(),
        why: err.to_string(),
    })
}

#[cfg(test)]
mod tests;
