//! A history as JSON Lines: a header, one object per event, an end.
//!
//! It is the history and nothing else: no images, no broker logs, no verdict. The form is that of
//! `docs/jsonl.schema.json`, and [`read`] gives the same events back.

mod client;
mod cluster;
mod line;
mod read;
mod write;

use std::io::{self, Write};

use history::{Event, Setting};

pub use line::{FORMAT, Header, Line};
pub use read::{BadLine, Told, read};

/// Writes lines to anything that takes bytes.
pub struct LineWriter<W> {
    into: W,
    events: u64,
}

impl<W: Write> LineWriter<W> {
    /// Begins with the header of the run that `setting` describes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn begin(into: W, setting: &Setting) -> io::Result<Self> {
        let mut writer = Self { into, events: 0 };
        writer.line(&Line::Header(Header {
            format: FORMAT,
            run: setting.run.to_string(),
            plan: setting.plan.clone(),
            seed: setting.seed,
            kafka: setting.kafka.clone(),
        }))?;
        Ok(writer)
    }

    /// Writes one event.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        self.events += 1;
        self.line(&event.into())
    }

    /// Writes the end: how many events there were, and where the recording breaks off, if it does.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self, torn: Option<String>) -> io::Result<W> {
        let events = self.events;
        self.line(&Line::End { events, torn })?;
        self.into.flush()?;
        Ok(self.into)
    }

    fn line(&mut self, line: &Line) -> io::Result<()> {
        serde_json::to_writer(&mut self.into, line)?;
        self.into.write_all(b"\n")
    }
}

/// The schema of one line, as `docs/jsonl.schema.json` publishes it.
pub fn schema() -> serde_json::Value {
    schemars::schema_for!(Line).into()
}
