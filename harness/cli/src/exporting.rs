//! `tidemark export`: a run's recording in the formats of other tools.

use std::io::{BufWriter, stdout};
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use exchange::export::{self, ExportError, Exported, Kind};
use history::rundir::RunDir;

use crate::exit::{Exit, Failure, OrExit};
use crate::home::{say, say_error};

/// `tidemark export`.
#[derive(Debug, clap::Args)]
pub struct ExportArgs {
    /// The run's directory.
    pub run: PathBuf,
    /// The format.
    #[arg(long = "as", value_enum)]
    pub kind: ExportKind,
    /// The directory to write into; `-` is standard output, for jsonl. RUN/export/FORMAT if absent.
    #[arg(long)]
    pub to: Option<PathBuf>,
    /// Replace what an earlier export left there.
    #[arg(long)]
    pub force: bool,
}

/// Formats of other tools.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum ExportKind {
    /// The history, one JSON object per event (docs/jsonl.schema.json).
    Jsonl,
    /// Everything, as tables for DuckDB, Spark and their like (docs/export.md).
    Parquet,
    /// What clients did, for Jepsen's checker and `check --rules jepsen`.
    JepsenEdn,
}

/// `tidemark export RUN --as FORMAT`.
pub fn export(asked: &ExportArgs) -> Result<Exit, Failure> {
    let run = RunDir::open(&asked.run).or_usage()?;
    let kind = match asked.kind {
        ExportKind::Jsonl => Kind::Jsonl,
        ExportKind::Parquet => Kind::Parquet,
        ExportKind::JepsenEdn => Kind::JepsenEdn,
    };
    let exported = match &asked.to {
        Some(to) if to == Path::new("-") => return print(&run, kind),
        Some(to) => export::export(&run, kind, to, asked.force),
        None => {
            let to: PathBuf = export::default_place(&run, kind);
            export::export(&run, kind, &to, asked.force)
        }
    };
    let exported = exported.or_else(failed)?;
    let counts: Vec<String> = exported
        .counts
        .iter()
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    say(&format!("{}: {}", exported.at.display(), counts.join(", ")));
    complain(&exported);
    Ok(Exit::Held)
}

fn print(run: &RunDir, kind: Kind) -> Result<Exit, Failure> {
    if kind != Kind::Jsonl {
        let why = "only jsonl goes to standard output: give --to a directory";
        return Err(anyhow!("{kind} is not one stream; {why}")).or_usage();
    }
    let out = BufWriter::with_capacity(1 << 16, stdout().lock());
    match export::print_jsonl(run, out) {
        Err(error) if error.reader_left() => Ok(Exit::Held),
        Err(error) => failed(error),
        Ok(exported) => {
            complain(&exported);
            Ok(Exit::Held)
        }
    }
}

/// What is missing in the recording is missing in the export: said, since nobody would see it.
fn complain(exported: &Exported) {
    for missing in &exported.missing {
        say_error(&format!("tidemark: {missing}"));
    }
}

fn failed<T>(error: ExportError) -> Result<T, Failure> {
    match error {
        ExportError::Run(_) | ExportError::There { .. } => Err(error).or_usage(),
        ExportError::Write { .. } | ExportError::Stream(_) => Err(error).or_harness(),
    }
}
