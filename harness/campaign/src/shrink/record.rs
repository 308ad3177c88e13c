//! What was tried, run by run: all that a reduction decides follows from it.
//!
//! It is kept after every run. A lab's failures are not in it: they decide nothing.

use std::fmt;
use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::part::Part;
use crate::error::CampaignError;
use crate::facts::Cause;
use crate::files;

/// The newest format of the record that this program writes and reads. The first one knew no times.
pub const RECORD_FORMAT: u32 = 2;

/// The runs of a reduction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The format of the file.
    pub format: u32,
    /// The failing run's name.
    pub run: String,
    /// What it broke, and what a run must break to count.
    pub cause: Cause,
    /// Its steps.
    pub steps: Vec<String>,
    /// Every judged run, in order.
    pub tried: Vec<Tried>,
}

/// One judged run of some of the steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The steps, and their times.
    #[serde(flatten)]
    pub part: Part,
    /// It measures steps that were chosen before, instead of choosing them.
    pub measured: bool,
    /// What came of it.
    pub came: Came,
    /// The run directory's name.
    pub run: Option<String>,
    /// How long it took, seconds.
    pub took_s: u64,
}

/// What came of a judged run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Came {
    /// The same promise was broken by the same cause.
    Same,
    /// Something else was broken; does not count.
    Other {
        /// What.
        title: String,
    },
    /// Nothing was broken.
    Held,
    /// Not enough was examined, or a step that was needed could not be done; does not count.
    Unproven,
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Came::Same => f.write_str("broken in the same way"),
            Came::Other { title } => {
                write!(f, "broken in another way, which does not count: {title}")
            }
            Came::Held => f.write_str("held"),
            Came::Unproven => f.write_str("unproven, which counts as not failing"),
        }
    }
}

/// How often some steps failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Runs that broke the same promise by the same cause.
    pub same: u32,
    /// All judged runs.
    pub of: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.same, self.of)
    }
}

impl Record {
    /// Nothing was tried yet.
    pub fn new(run: &str, cause: Cause, steps: Vec<String>) -> Self {
        Self {
            format: RECORD_FORMAT,
            run: run.to_owned(),
            cause,
            steps,
            tried: Vec::new(),
        }
    }

    /// How often a part failed, in the runs that measured it or in those that chose it.
    pub fn tally(&self, part: &Part, measured: bool) -> Tally {
        let mut tally = Tally::default();
        for tried in &self.tried {
            if tried.part == *part && tried.measured == measured {
                tally.of += 1;
                tally.same += u32::from(tried.came == Came::Same);
            }
        }
        tally
    }

    /// How many runs came to this.
    pub fn count(&self, wanted: impl Fn(&Came) -> bool) -> usize {
        self.tried
            .iter()
            .filter(|tried| wanted(&tried.came))
            .count()
    }

    /// Whether another record is of the same reduction.
    pub fn continues(&self, other: &Record) -> bool {
        self.run == other.run && self.cause.same_as(&other.cause) && self.steps == other.steps
    }

    /// Reads a record; `None` if there is none yet.
    ///
    /// # Errors
    /// When it cannot be read, is newer, or is none.
    pub fn read(path: &Path) -> Result<Option<Self>, CampaignError> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(why) => return Err(CampaignError::read(path, why)),
        };
        let malformed = |why| CampaignError::NoRecord {
            path: path.to_owned(),
            why,
        };
        let record: Self = files::parse(path, &text, RECORD_FORMAT, malformed)?;
        // What is added to it from now on is of this program's format.
        Ok(Some(Self {
            format: RECORD_FORMAT,
            ..record
        }))
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), CampaignError> {
        files::write(path, self)
    }
}
