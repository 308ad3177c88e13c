//! The tables, and which version of them a file has.

use std::path::Path;

use rusqlite::{Connection, Result};

/// Raised whenever the tables, or what is put into them, change: an index of another version is made
/// anew from the files.
const VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE night (
  name TEXT PRIMARY KEY,          -- 2026-11-22
  date TEXT NOT NULL,
  suite TEXT NOT NULL,
  lab TEXT NOT NULL,
  seed TEXT NOT NULL,             -- 64 bits without sign
  started TEXT NOT NULL,          -- RFC 3339
  ended TEXT,                     -- NULL: torn, or still going on
  budget_s INTEGER NOT NULL,
  taken_s INTEGER NOT NULL,
  kafka TEXT NOT NULL,
  tidemark TEXT NOT NULL,
  void TEXT,                      -- why nothing of it counts
  exit_code INTEGER NOT NULL,
  sentence TEXT NOT NULL,
  stamp TEXT,                     -- of the file that this was read from
  body TEXT NOT NULL              -- that file
);
CREATE TABLE attempt (
  night TEXT NOT NULL REFERENCES night(name) ON DELETE CASCADE,
  entry INTEGER NOT NULL,         -- which run of the night, from 0
  nth INTEGER NOT NULL,           -- which attempt at it, from 0
  plan TEXT NOT NULL,
  role TEXT NOT NULL,             -- canary, calm, ordinary
  seed TEXT NOT NULL,
  again TEXT NOT NULL,            -- the command that runs it again
  outcome TEXT NOT NULL,          -- judged, lab-failed, did-not-run
  why TEXT,
  run TEXT,                       -- run.name
  PRIMARY KEY (night, entry, nth)
);
CREATE INDEX attempt_run ON attempt(run);
CREATE TABLE run (
  name TEXT PRIMARY KEY,          -- the directory below results/runs
  plan TEXT NOT NULL,
  seed TEXT NOT NULL,
  kafka TEXT NOT NULL,
  tidemark TEXT NOT NULL,
  verdict TEXT NOT NULL,          -- held, broken, unproven
  wanted TEXT,                    -- the verdict that the plan must end with
  sentence TEXT NOT NULL,
  examined INTEGER NOT NULL,      -- acknowledged records followed
  faults INTEGER NOT NULL,
  proved INTEGER NOT NULL,
  healed INTEGER NOT NULL,
  state TEXT NOT NULL,            -- whole, thinned, deleted
  bytes INTEGER NOT NULL,
  stamp TEXT,                     -- of the verdict.json that this was read from
  facts TEXT NOT NULL
);
CREATE TABLE metric (
  run TEXT NOT NULL REFERENCES run(name) ON DELETE CASCADE,
  metric TEXT NOT NULL,
  fault TEXT,                     -- the kind, where it is about faults
  value REAL NOT NULL,
  over INTEGER NOT NULL           -- so many faults
);
CREATE INDEX metric_run ON metric(run);
CREATE TABLE cause (
  run TEXT NOT NULL REFERENCES run(name) ON DELETE CASCADE,
  guarantee TEXT NOT NULL,
  class TEXT NOT NULL,
  topic TEXT NOT NULL,
  fault TEXT,
  count INTEGER NOT NULL,
  title TEXT NOT NULL
);
CREATE INDEX cause_run ON cause(run);
CREATE VIEW figure AS
  SELECT night.date, night.name AS night, night.suite, night.lab, night.kafka, night.tidemark,
         attempt.plan, attempt.role, metric.metric, metric.fault, metric.value, metric.over,
         run.name AS run
  FROM night JOIN attempt ON attempt.night = night.name AND attempt.outcome = 'judged'
  JOIN run ON run.name = attempt.run JOIN metric ON metric.run = run.name
  WHERE night.void IS NULL;
";

/// Opens an index; `None` if it is of another version.
pub fn open(path: &Path) -> Result<Option<Connection>> {
    let mut db = Connection::open(path)?;
    let version: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables = "SELECT count(*) FROM sqlite_master";
    let empty = db.query_row(tables, [], |row| row.get::<_, i64>(0))? == 0;
    if version != VERSION && !(version == 0 && empty) {
        return Ok(None);
    }
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    db.pragma_update(None, "foreign_keys", true)?;
    if empty {
        let tx = db.transaction()?;
        tx.execute_batch(TABLES)?;
        tx.pragma_update(None, "user_version", VERSION)?;
        tx.commit()?;
    }
    Ok(Some(db))
}
