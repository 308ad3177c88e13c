//! A run's recording in the formats of other tools: JSON Lines, Parquet, Jepsen's EDN.
//!
//! It streams: a history of any length passes through a few frames of memory. It judges nothing,
//! changes nothing in the run's evidence, and leaves no half-written file under a final name.

mod error;
mod jepsen;
pub mod jsonl;
mod output;
pub mod parquet;
mod recorded;

use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};

use history::RunDir;

pub use error::ExportError;
use output::WholeFile;
use recorded::Recorded;

/// What to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The history, one JSON object per event: [`jsonl`].
    Jsonl,
    /// Everything, as tables for SQL: [`parquet`].
    Parquet,
    /// What clients did, as Jepsen's Kafka workload writes it: EDN, one map a line.
    JepsenEdn,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Jsonl => "jsonl",
            Kind::Parquet => "parquet",
            Kind::JepsenEdn => "jepsen-edn",
        })
    }
}

/// What was exported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exported {
    /// What was made: a file, or the directory above all tables.
    pub at: PathBuf,
    /// How much of what, in the order of making: (`"events"`, 102 517).
    pub counts: Vec<(&'static str, u64)>,
    /// What of the recording could not be read, in sentences. It is missing in the export, too.
    pub missing: Vec<String>,
}

/// Where an export goes if nobody says otherwise. The seal takes no offence at what is there.
pub fn default_place(run: &RunDir, kind: Kind) -> PathBuf {
    run.path().join("export").join(kind.to_string())
}

/// Exports a run into the directory `to`, which is made where it is not there.
///
/// # Errors
/// When the run cannot be read, when the directory already holds this export and `force` is not
/// given, or when something cannot be written; what stood there before still stands there then.
pub fn export(run: &RunDir, kind: Kind, to: &Path, force: bool) -> Result<Exported, ExportError> {
    match kind {
        Kind::Parquet => parquet::write(run, to, force),
        Kind::JepsenEdn => {
            let mut file = WholeFile::create(&to.join("history.edn"), force)?;
            let written = jepsen::write(run, &mut file).map_err(|error| error.at(file.place()))?;
            Ok(Exported {
                at: file.keep()?,
                counts: vec![("lines", written.lines), ("processes", written.processes)],
                missing: written.torn.into_iter().collect(),
            })
        }
        Kind::Jsonl => {
            let mut file = WholeFile::create(&to.join("history.jsonl"), force)?;
            let (events, torn) = lines(run, &mut file).map_err(|error| error.at(file.place()))?;
            Ok(Exported {
                at: file.keep()?,
                counts: vec![("events", events)],
                missing: torn.into_iter().collect(),
            })
        }
    }
}

/// Writes the history as JSON Lines to anything that takes bytes. Gives what [`export`] would.
///
/// # Errors
/// When the run cannot be read, or the bytes cannot be written.
pub fn print_jsonl(run: &RunDir, into: impl Write) -> Result<Exported, ExportError> {
    let (events, torn) = lines(run, into)?;
    Ok(Exported {
        at: PathBuf::from("-"),
        counts: vec![("events", events)],
        missing: torn.into_iter().collect(),
    })
}

fn lines(run: &RunDir, into: impl Write) -> Result<(u64, Option<String>), ExportError> {
    let recorded = Recorded::open(run)?;
    let mut writer = jsonl::LineWriter::begin(into, &recorded.setting)?;
    let mut events = 0;
    let torn = recorded.each(|event| {
        events += 1;
        writer.event(&event)
    })?;
    writer.end(torn.clone())?;
    Ok((events, torn))
}
