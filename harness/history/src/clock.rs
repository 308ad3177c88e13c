//! The one clock of a run: the controller's monotonic one, counted from the start of the run.
//!
//! It is tokio's clock, so that under tokio's paused time the same code runs in virtual time. Wall
//! time appears only in a directory's name and in `setting.json`, never in an interval.

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::ids::BadId;

/// A moment of a run: nanoseconds since its start. Prints as seconds, `12.481s`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Mark(pub u64);

impl Mark {
    /// The moment `millis` milliseconds after the start.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1_000_000)
    }

    /// Seconds since the start, for figures.
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time since an earlier moment; zero when `earlier` is later.
    pub fn since(self, earlier: Mark) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Mark {
    type Output = Mark;
    fn add(self, by: Duration) -> Mark {
        Mark(self.0.saturating_add(by.as_nanos() as u64))
    }
}

impl Sub<Duration> for Mark {
    type Output = Mark;
    fn sub(self, by: Duration) -> Mark {
        Mark(self.0.saturating_sub(by.as_nanos() as u64))
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:03}s",
            self.0 / 1_000_000_000,
            self.0 / 1_000_000 % 1000
        )
    }
}

impl FromStr for Mark {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = || BadId {
            text: text.to_owned(),
            wanted: "<seconds>s, as in 12.481s",
        };
        let seconds: f64 = text
            .strip_suffix('s')
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(bad)?;
        if !(0.0..1e9).contains(&seconds) {
            return Err(bad());
        }
        Ok(Mark((seconds * 1e9).round() as u64))
    }
}

/// A closed interval of run time. A host's own timestamp enters a recording only as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// Not before this moment.
    pub from: Mark,
    /// Not after this moment.
    pub to: Mark,
}

/// Hands out marks. Clones share one origin; cheap, and usable from any thread.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    /// Starts the run's time now.
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    /// The present moment.
    pub fn mark(&self) -> Mark {
        Mark(
            Instant::now()
                .saturating_duration_since(self.origin)
                .as_nanos() as u64,
        )
    }

    /// The tokio instant of a moment, to sleep until it.
    pub fn instant(&self, mark: Mark) -> Instant {
        self.origin + Duration::from_nanos(mark.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_print_as_seconds_and_parse_back() {
        assert_eq!(Mark::from_millis(12_481).to_string(), "12.481s");
        assert_eq!("12.481s".parse(), Ok(Mark::from_millis(12_481)));
        assert!("-1s".parse::<Mark>().is_err());
        assert_eq!(
            Mark::from_millis(5).since(Mark::from_millis(9)),
            Duration::ZERO
        );
    }
}
