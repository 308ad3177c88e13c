//! The seal: how a run ended, how much it recorded, and the digests of all its evidence.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{RunDir, cannot_read, malformed, write_json};
use crate::error::HistoryError;
use crate::event::Phase;
use crate::frames::Counts;

/// The newest format of run directories that this program writes and reads.
pub const SEAL_FORMAT: u32 = 1;

/// What an unfinished file's name ends with. Such files are no evidence.
pub(super) const UNFINISHED: &str = ".unfinished";

/// Files that are made from evidence, and the seal itself.
const DERIVED: [&str; 5] = [
    "seal.json",
    "verdict.json",
    "report.html",
    "junit.xml",
    "summary.md",
];

/// What other tools were given of a run; made from evidence, so no evidence.
const EXPORTS: &str = "export";

/// `seal.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seal {
    /// Format of the run directory.
    pub format: u32,
    /// How the run ended.
    pub ended: Ended,
    /// Events in the history.
    pub events: u64,
    /// Frames of the history.
    pub frames: u64,
    /// SHA-256, in hexadecimal, by path relative to the run directory.
    pub digests: BTreeMap<String, String>,
}

/// How a run ended. `phase` is the one that it was in; absent before the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// All phases were gone through.
    Completed,
    /// Somebody stopped it.
    Interrupted {
        /// `INT`, `TERM` or `HUP`.
        signal: String,
        /// In which phase.
        phase: Option<Phase>,
    },
    /// It stopped itself since going on would have shown nothing: too little load, a required
    /// step that was missed.
    CutShort {
        /// What was lacking.
        why: String,
        /// In which phase.
        phase: Option<Phase>,
    },
    /// The harness or the lab failed.
    Failed {
        /// What failed.
        why: String,
        /// In which phase.
        phase: Option<Phase>,
    },
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let phase = match self {
            Ended::Completed => return f.write_str("completed"),
            Ended::Interrupted { signal, phase } => {
                write!(f, "interrupted by {signal}")?;
                phase
            }
            Ended::CutShort { why, phase } => {
                write!(f, "cut short ({why})")?;
                phase
            }
            Ended::Failed { why, phase } => {
                write!(f, "failed ({why})")?;
                phase
            }
        };
        match phase {
            Some(phase) => write!(f, " in {phase}"),
            None => Ok(()),
        }
    }
}

/// Something in which a run directory is not what was sealed. None of them keeps it from being
/// judged; all are said.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// There is no seal: the run was killed, or is still going on.
    Unsealed,
    /// A sealed file is gone.
    Missing(String),
    /// A sealed file holds other bytes.
    Changed(String),
    /// A file came after the seal.
    Added(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::Unsealed => f.write_str(
                "there is no seal.json: the run was killed or is still going on, its evidence is incomplete",
            ),
            Difference::Missing(file) => write!(f, "{file} was sealed and is gone"),
            Difference::Changed(file) => write!(f, "{file} was changed after it was sealed"),
            Difference::Added(file) => write!(f, "{file} was not there when the run was sealed"),
        }
    }
}

impl RunDir {
    /// Seals the run: digests of everything but derived files, written last. The history must be
    /// closed before.
    ///
    /// # Errors
    /// When evidence cannot be read or the seal cannot be written.
    pub fn seal(&self, ended: Ended, counts: Counts) -> Result<Seal, HistoryError> {
        let seal = Seal {
            format: SEAL_FORMAT,
            ended,
            events: counts.events,
            frames: counts.frames,
            digests: self.digests()?,
        };
        write_json(&self.seal_json(), &seal)?;
        Ok(seal)
    }

    /// The seal; none when the run was never sealed.
    ///
    /// # Errors
    /// When it is not understood, or of a newer format.
    pub fn read_seal(&self) -> Result<Option<Seal>, HistoryError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = self.seal_json();
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(cannot_read(&path, err)),
        };
        // The format first: what else stands in a newer seal is not ours to understand.
        let wrong = |err| malformed(&path, err);
        let Format { format } = serde_json::from_slice(&text).map_err(wrong)?;
        if format > SEAL_FORMAT {
            return Err(HistoryError::Newer {
                path: self.path().to_owned(),
                format,
                known: SEAL_FORMAT,
            });
        }
        serde_json::from_slice(&text).map(Some).map_err(wrong)
    }

    /// Compares the directory with its seal; empty when nothing differs.
    ///
    /// # Errors
    /// When the seal or a sealed file cannot be read.
    pub fn verify(&self) -> Result<Vec<Difference>, HistoryError> {
        let Some(seal) = self.read_seal()? else {
            return Ok(vec![Difference::Unsealed]);
        };
        let found = self.digests()?;
        let mut differences = Vec::new();
        for (file, digest) in &seal.digests {
            match found.get(file) {
                None => differences.push(Difference::Missing(file.clone())),
                Some(now) if now != digest => differences.push(Difference::Changed(file.clone())),
                Some(_) => {}
            }
        }
        let added = found
            .keys()
            .filter(|file| !seal.digests.contains_key(*file));
        differences.extend(added.cloned().map(Difference::Added));
        Ok(differences)
    }

    fn digests(&self) -> Result<BTreeMap<String, String>, HistoryError> {
        let mut digests = BTreeMap::new();
        self.digest_below(self.path(), "", &mut digests)?;
        Ok(digests)
    }

    /// Regular files only: evidence holds no links, and following one would leave the directory.
    fn digest_below(
        &self,
        dir: &Path,
        prefix: &str,
        digests: &mut BTreeMap<String, String>,
    ) -> Result<(), HistoryError> {
        let unreadable = |err| cannot_read(dir, err);
        for entry in fs::read_dir(dir).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let kind = entry.file_type().map_err(unreadable)?;
            if kind.is_dir() {
                if name == EXPORTS {
                    continue;
                }
                self.digest_below(&entry.path(), &format!("{name}/"), digests)?;
            } else if kind.is_file()
                && !DERIVED.contains(&name.as_str())
                && !name.ends_with(UNFINISHED)
            {
                let digest = digest(&entry.path())?;
                digests.insert(name, digest);
            }
        }
        Ok(())
    }
}

fn digest(path: &Path) -> Result<String, HistoryError> {
    let mut hash = Sha256::new();
    File::open(path)
        .and_then(|mut file| std::io::copy(&mut file, &mut hash))
        .map_err(|err| cannot_read(path, err))?;
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}
