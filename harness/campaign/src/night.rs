//! A night: which runs were wanted, what became of each, and what that amounts to.
//!
//! One small file per night, `results/nights/2026-11-22.json`, holds all that the index, the trends
//! and the page need, so that run directories may be thinned or deleted. It never judges: verdicts
//! come from the judge, and here they are only counted against what was expected.

mod entry;

use std::fs;
use std::path::{Path, PathBuf};

use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};

use crate::error::CampaignError;
use crate::facts::Facts;
use crate::files;

pub use entry::{Attempt, Entry, Outcome, Role};

/// The newest format of a night's file that this program writes and reads.
pub const NIGHT_FORMAT: u32 = 1;

const NIGHTS: &str = "nights";

/// One night of a suite on a lab.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Night {
    /// The format of the file.
    pub format: u32,
    /// The date that gives the night its name and its seed.
    pub date: NaiveDate,
    /// Which night of that date: 1, unless it was begun again.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub nth: u32,
    /// The suite's name.
    pub suite: String,
    /// The lab's name.
    pub lab: String,
    /// What the seeds of its runs are drawn from.
    pub seed: u64,
    /// How long it was allowed to take, seconds.
    pub budget_s: u64,
    /// How long it took, seconds.
    pub taken_s: u64,
    /// Wall clock; for people, and for the page's line of freshness.
    pub started: DateTime<Utc>,
    /// Wall clock; absent while it goes on, and for ever if it was torn.
    pub ended: Option<DateTime<Utc>>,
    /// When the next night is due, where that is known.
    pub next: Option<DateTime<Utc>>,
    /// The version of this program.
    pub tidemark: String,
    /// The version of Kafka under test.
    pub kafka: String,
    /// Why nothing that this night says can be believed ([`Night::why_void`], or the harness' own
    /// reason).
    pub void: Option<String>,
    /// What was wanted, in the order in which it was run.
    pub entries: Vec<Entry>,
}

impl Night {
    /// Where the night of a date lies.
    pub fn path(results: &Path, date: NaiveDate, nth: u32) -> PathBuf {
        results
            .join(NIGHTS)
            .join(format!("{}.json", name(date, nth)))
    }

    /// The first number of a date that no night bears yet.
    pub fn fresh(results: &Path, date: NaiveDate) -> u32 {
        let free = |nth: &u32| !Self::path(results, date, *nth).exists();
        (1..).find(free).unwrap_or(1)
    }

    /// Files of nights, oldest first. A directory that is not there yet holds none.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn files(results: &Path) -> Result<Vec<PathBuf>, CampaignError> {
        let dir = results.join(NIGHTS);
        if !dir.exists() {
            return Ok(Vec::new());
        }
        let listed = fs::read_dir(&dir).map_err(|why| CampaignError::read(&dir, why))?;
        let mut files = Vec::new();
        for entry in listed {
            let path = entry.map_err(|why| CampaignError::read(&dir, why))?.path();
            if let Some(named) = dated(&path) {
                files.push((named, path));
            }
        }
        files.sort();
        Ok(files.into_iter().map(|(_, path)| path).collect())
    }

    /// Reads one night's file.
    ///
    /// # Errors
    /// When it is not there, not understood, or of a newer format.
    pub fn read(path: &Path) -> Result<Self, CampaignError> {
        let text = fs::read(path).map_err(|why| CampaignError::read(path, why))?;
        let malformed = |why| CampaignError::Malformed {
            path: path.to_owned(),
            why,
        };
        files::parse(path, &text, NIGHT_FORMAT, malformed)
    }

    /// Writes the night's file, whole or not at all; to be done after every run, so that a night
    /// that is torn has what it had.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, results: &Path) -> Result<PathBuf, CampaignError> {
        let path = Self::path(results, self.date, self.nth);
        let dir = results.join(NIGHTS);
        fs::create_dir_all(&dir).map_err(|why| CampaignError::write(&dir, why))?;
        files::write(&path, self)?;
        Ok(path)
    }

    /// `2026-11-22`, and `2026-11-22-2` if it is the second of that date.
    pub fn name(&self) -> String {
        name(self.date, self.nth)
    }

    /// Why the controls void the night: each must have been run, judged, and ended as its role
    /// wants. `None` if they did. The caller puts the answer into `void`.
    pub fn why_void(&self) -> Option<String> {
        for (role, lack) in [
            (Role::Canary, "no canary was run"),
            (Role::Calm, "no calm run was made"),
        ] {
            let mut controls = self.entries.iter().filter(|entry| entry.role == role);
            let mut any = false;
            let wrong = controls.find_map(|entry| {
                any = true;
                entry.why_void()
            });
            if wrong.is_some() {
                return wrong;
            }
            if !any {
                return Some(lack.to_owned());
            }
        }
        None
    }

    /// 3 if the night is void, has no end, or an ordinary run failed twice; else 1 if one broke what
    /// it should have kept; 2 if something is unproven, or nothing was judged; 0.
    pub fn exit_code(&self) -> u8 {
        if self.void.is_some() || self.ended.is_none() || self.ordinary().any(Entry::failed_twice) {
            return 3;
        }
        if self.ordinary().any(Entry::broke) {
            return 1;
        }
        let judged: Vec<&Facts> = self.ordinary().filter_map(Entry::judged).collect();
        if judged.is_empty() || judged.iter().any(|facts| !facts.as_wanted()) {
            return 2;
        }
        0
    }

    /// Runs that are neither canary nor calm.
    pub fn ordinary(&self) -> impl Iterator<Item = &Entry> {
        let ordinary = |entry: &&Entry| entry.role == Role::Ordinary;
        self.entries.iter().filter(ordinary)
    }

    /// Acknowledged records whose fate was followed, over all ordinary runs.
    pub fn examined(&self) -> u64 {
        let judged = self.ordinary().filter_map(Entry::judged);
        judged.map(|facts| facts.examined).sum()
    }

    /// What the night comes to, in a sentence; its first word says how bad it is.
    pub fn sentence(&self) -> String {
        if let Some(why) = &self.void {
            return format!("Void. Nothing that this night says counts: {}.", plain(why));
        }
        if self.ended.is_none() {
            return "Torn. The night did not come to its end.".to_owned();
        }
        let broke: Vec<&Entry> = self.ordinary().filter(|entry| entry.broke()).collect();
        if let Some(first) = broke.first() {
            let others = match broke.len() - 1 {
                0 => String::new(),
                1 => " One other run broke a promise too.".to_owned(),
                n => format!(" {n} other runs broke promises too."),
            };
            return format!("Broken. {}.{others}", first.said());
        }
        if let Some(failed) = self.ordinary().find(|entry| entry.failed_twice()) {
            return format!(
                "Failed. {} could not be run, twice: {}.",
                failed.plan,
                plain(failed.why().unwrap_or("no reason was given"))
            );
        }
        let judged: Vec<&Entry> = self
            .ordinary()
            .filter(|entry| entry.judged().is_some())
            .collect();
        if judged.is_empty() {
            return "Unproven. No ordinary run was judged.".to_owned();
        }
        let open = |entry: &&&Entry| entry.judged().is_some_and(|facts| !facts.as_wanted());
        if let Some(open) = judged.iter().find(open) {
            return format!("Unproven. {}.", open.said());
        }
        let examined = checkers::judgement::grouped(self.examined());
        let runs = match judged.len() {
            1 => "the one run".to_owned(),
            n => format!("all {n} runs"),
        };
        format!(
            "Held. {examined} acknowledged records were followed in {runs}: every promise was kept."
        )
    }
}

/// Text that a sentence of ours ends: without a full stop of its own.
fn plain(text: &str) -> &str {
    text.trim_end().trim_end_matches('.')
}

fn name(date: NaiveDate, nth: u32) -> String {
    let date = date.format("%Y-%m-%d");
    match nth {
        0 | 1 => date.to_string(),
        nth => format!("{date}-{nth}"),
    }
}

/// The date and number in the name of a night's file; other files are none of ours.
fn dated(path: &Path) -> Option<(NaiveDate, u32)> {
    let stem = path.file_name()?.to_str()?.strip_suffix(".json")?;
    let (date, rest) = stem.split_at_checked(10)?;
    let date = NaiveDate::parse_from_str(date, "%Y-%m-%d").ok()?;
    let nth = match rest.strip_prefix('-') {
        None if rest.is_empty() => 1,
        None => return None,
        Some(nth) => nth.parse().ok()?,
    };
    Some((date, nth))
}

fn one() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde wants it.
fn is_one(nth: &u32) -> bool {
    *nth == 1
}
