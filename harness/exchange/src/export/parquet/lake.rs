//! Where the tables of a run stand: `TABLE/run=x7k2qa/part-0.parquet`, and the large ones by topic,
//! `TABLE/run=x7k2qa/topic=ledger/part-0.parquet`. Many runs share one such place.
//!
//! A run's tables are made in a directory of their own and moved in at the end, the table `runs`
//! last: a run that stands in `runs` is whole.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use history::{RunId, Topic};

use super::table::{Column, Table};
use crate::export::error::ExportError;
use crate::export::output::UNFINISHED;

const PART: &str = "part-0.parquet";

/// The directory of one table, `run=...` included, that is being made.
pub(super) struct Lake {
    place: PathBuf,
    beside: PathBuf,
    run: String,
    /// What is moved, in this order.
    tables: Vec<&'static str>,
    force: bool,
    kept: bool,
}

impl Lake {
    /// Begins the tables of `run` below `place`; `tables` are all that there will be.
    pub(super) fn create(
        place: &Path,
        run: RunId,
        tables: &[&'static str],
        force: bool,
    ) -> Result<Self, ExportError> {
        let run = format!("run={run}");
        for table in tables {
            let path = place.join(table).join(&run);
            if path.exists() && !force {
                return Err(ExportError::There { path });
            }
        }
        let beside = place.join(format!("{run}{UNFINISHED}"));
        let made = match fs::remove_dir_all(&beside) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => Err(why),
            _ => fs::create_dir_all(&beside),
        };
        made.map_err(|why| ExportError::write(&beside, why))?;
        Ok(Self {
            place: place.to_owned(),
            beside,
            run,
            tables: tables.to_vec(),
            force,
            kept: false,
        })
    }

    /// Begins a table in one file.
    pub(super) fn table(&self, name: &str, columns: &[Column]) -> io::Result<Table> {
        self.file(&self.beside.join(name).join(&self.run), columns)
    }

    fn file(&self, dir: &Path, columns: &[Column]) -> io::Result<Table> {
        fs::create_dir_all(dir)?;
        Table::create(&dir.join(PART), columns)
    }

    /// Moves all tables to their places. Gives the directory above them.
    pub(super) fn keep(mut self) -> Result<PathBuf, ExportError> {
        if let (true, Some(last)) = (self.force, self.tables.last()) {
            let stale = self.place.join(last).join(&self.run);
            let gone = if stale.exists() {
                fs::remove_dir_all(&stale)
            } else {
                Ok(())
            };
            gone.map_err(|why| ExportError::write(&stale, why))?;
        }
        for name in &self.tables {
            let from = self.beside.join(name).join(&self.run);
            let to = self.place.join(name).join(&self.run);
            let moved = self.replace(&from, &to);
            moved.map_err(|why| ExportError::write(&to, why))?;
        }
        self.kept = true;
        fs::remove_dir_all(&self.beside).map_err(|why| ExportError::write(&self.beside, why))?;
        Ok(self.place.clone())
    }

    fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        if self.force && to.exists() {
            fs::remove_dir_all(to)?;
        }
        let above = to.parent().unwrap_or(to);
        fs::create_dir_all(above)?;
        fs::rename(from, to)?;
        File::open(above)?.sync_all()
    }
}

impl Drop for Lake {
    fn drop(&mut self) {
        if !self.kept {
            // Whoever dropped it has an error to tell that matters more than this one.
            let _gone = fs::remove_dir_all(&self.beside);
        }
    }
}

/// A table in one file per topic.
pub(super) struct ByTopic {
    name: &'static str,
    columns: &'static [Column],
    files: BTreeMap<Topic, Table>,
}

impl ByTopic {
    /// Begins a table.
    pub(super) fn create(name: &'static str, columns: &'static [Column]) -> Self {
        Self {
            name,
            columns,
            files: BTreeMap::new(),
        }
    }

    /// The file of a topic, which is begun where it is not there.
    pub(super) fn of(&mut self, lake: &Lake, topic: &Topic) -> io::Result<&mut Table> {
        if !self.files.contains_key(topic) {
            let above = lake.beside.join(self.name).join(&lake.run);
            let dir = above.join(format!("topic={}", escaped(topic)));
            let table = lake.file(&dir, self.columns)?;
            self.files.insert(topic.clone(), table);
        }
        self.files
            .get_mut(topic)
            .ok_or_else(|| io::Error::other("a file was begun and is gone"))
    }

    /// Ends all files and gives the number of rows. A table without a topic still has one empty
    /// file: SQL wants columns.
    pub(super) fn end(mut self, lake: &Lake) -> io::Result<u64> {
        if self.files.is_empty() {
            // What Hive calls an absent value.
            self.of(lake, &Topic::from("__HIVE_DEFAULT_PARTITION__"))?;
        }
        self.files.into_values().map(Table::end).sum()
    }
}

/// A topic's name in a directory's. Kafka's own names need no escape; Hive has one for the rest.
fn escaped(topic: &str) -> String {
    let mut name = String::new();
    for byte in topic.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(byte.into()),
            _ => name += &format!("%{byte:02X}"),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_stays_one_directory() {
        assert_eq!(escaped("my.topic_1-x"), "my.topic_1-x");
        assert_eq!(escaped("../a=b"), "..%2Fa%3Db");
    }
}
