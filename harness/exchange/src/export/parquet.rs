//! A run as Parquet tables, for SQL: `docs/export.md` describes them, `docs/sql/` asks them.
//!
//! It decides one thing that queries need: which replica's log is the final one of a partition. It
//! judges nothing else.

mod happened;
mod lake;
mod left;
mod line_words;
mod summary;
mod table;
mod words;

use std::path::Path;

use history::RunDir;

use super::Exported;
use super::error::ExportError;
use super::recorded::Recorded;
use happened::Tables;
use lake::Lake;

/// All tables, in the order in which they get their places: `runs` last.
pub const TABLES: [&str; 13] = [
    "operations",
    "deliveries",
    "calls",
    "observations",
    "faults",
    "events",
    "log_lines",
    "replicas",
    "records",
    "partitions",
    "verdicts",
    "findings",
    "runs",
];

/// Writes all tables of a run below `to`.
pub(super) fn write(run: &RunDir, to: &Path, force: bool) -> Result<Exported, ExportError> {
    let recorded = Recorded::open(run)?;
    let setting = &recorded.setting;
    let verdict = summary::judged(run)?;
    let lake = Lake::create(to, setting.run, &TABLES, force)?;
    let at = |error: ExportError| error.at(to);

    let mut tables = Tables::create(&lake, setting).map_err(|why| at(why.into()))?;
    let torn = recorded.each(|event| tables.event(event)).map_err(at)?;
    let (happened, mut counts) = tables.end().map_err(|why| at(why.into()))?;
    let left = left::write(run, setting, &happened, &lake).map_err(|why| at(why.into()))?;
    counts.extend(&left.counts);
    let summary = summary::write(
        (run, &verdict),
        setting,
        &happened,
        torn.as_ref(),
        &left,
        &lake,
    );
    counts.extend(summary.map_err(|why| at(why.into()))?);

    let unreadable = left.unreadable.iter();
    let unreadable = unreadable.map(|part| format!("{}: {}", part.file, part.why));
    Ok(Exported {
        at: lake.keep()?,
        counts,
        missing: torn.into_iter().chain(unreadable).collect(),
    })
}
