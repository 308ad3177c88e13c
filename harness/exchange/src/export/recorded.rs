//! A run as exports see it: its settings, and its events one after the other.

use std::io;

use history::frames::Reader;
use history::{Event, RunDir, Setting};

use super::error::ExportError;

/// A run whose settings are known and whose history opens.
pub(super) struct Recorded<'a> {
    run: &'a RunDir,
    /// What was found.
    pub(super) setting: Setting,
}

impl<'a> Recorded<'a> {
    /// Opens a run for export.
    pub(super) fn open(run: &'a RunDir) -> Result<Self, ExportError> {
        let setting = run.read_setting()?;
        Ok(Self { run, setting })
    }

    /// Hands over every event of the history in recorded order, one frame in memory at a time.
    /// Gives where and why the history breaks off, if it does.
    pub(super) fn each(
        &self,
        mut take: impl FnMut(Event) -> io::Result<()>,
    ) -> Result<Option<String>, ExportError> {
        for frame in Reader::open(&self.run.history_file())? {
            match frame {
                Ok(events) => events.into_iter().try_for_each(&mut take)?,
                Err(torn) => return Ok(Some(torn.to_string())),
            }
        }
        Ok(None)
    }
}
