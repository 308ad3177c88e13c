//! Durations as plans write them: `5s`, `250ms`, `1m 30s` are read, `90s`, `0.25s` are written.
//!
//! What is written is exact, to the nanosecond, and in one word, so that it fits into a step.

use std::fmt;
use std::time::Duration;

/// Reads a duration; the error is the reason, to be put behind the place.
pub(crate) fn read(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|why| format!("`{text}` is not a duration such as `5s` or `1m 30s`: {why}"))
}

/// A duration in seconds, exactly, without trailing zeros: `12.481s`.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = format!("{:09}", self.0.subsec_nanos());
        match nanos.trim_end_matches('0') {
            "" => write!(f, "{}s", self.0.as_secs()),
            fraction => write!(f, "{}.{fraction}s", self.0.as_secs()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        for nanos in [
            0,
            1,
            250_000_000,
            12_481_000_000,
            90_000_000_000,
            5_999_999_999,
        ] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(
                read(&Seconds(duration).to_string()),
                Ok(duration),
                "{nanos}"
            );
        }
        assert_eq!(
            Seconds(Duration::from_millis(12_481)).to_string(),
            "12.481s"
        );
        assert_eq!(read("1m 30s"), Ok(Duration::from_secs(90)));
    }

    #[test]
    fn a_number_without_a_unit_is_refused() {
        assert!(read("5").unwrap_err().contains("`5` is not a duration"));
    }
}
