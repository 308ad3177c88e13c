//! What was measured, in turns, and what it amounts to. Pure: numbers in, sentences out.

use std::fmt;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

/// Our median rate over theirs must not be below this.
const RATIO_MIN: f64 = 0.9;
/// All frames of a history, for each record sent.
const BYTES_PER_RECORD_MAX: f64 = 24.0;

/// One turn of ours.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ours {
    /// Records sent, all of them acknowledged.
    pub records: u64,
    /// From the first send to the last acknowledgement.
    pub seconds: f64,
    /// Bytes of the whole history.
    pub history_bytes: u64,
    /// CPU time that our process spent on it, in seconds.
    pub cpu_seconds: f64,
}

impl Ours {
    /// Acknowledged records a second.
    pub fn rate(&self) -> f64 {
        self.records as f64 / self.seconds
    }
}

impl fmt::Display for Ours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let records = self.records as f64;
        write!(
            f,
            "{:>7.0} records/s ({} in {:.1} s, {:.1} bytes of history and {:.2} µs of CPU each)",
            self.rate(),
            self.records,
            self.seconds,
            self.history_bytes as f64 / records,
            self.cpu_seconds * 1e6 / records,
        )
    }
}

/// One turn of `ProducerPerformance`, from its own last line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Theirs {
    /// Records sent.
    pub records: u64,
    /// Records a second.
    pub rate: f64,
    /// CPU time that its process spent, its start included, in seconds.
    pub cpu_seconds: f64,
}

impl Theirs {
    /// Reads the last line of its output: `1000 records sent, 99.5 records/sec (...), ... 99.9th.`
    /// Earlier lines tell of intervals and hold no percentiles.
    pub fn read(output: &str, cpu_seconds: f64) -> anyhow::Result<Self> {
        let last = output
            .lines()
            .rfind(|line| line.trim_end().ends_with("ms 99.9th."));
        let last = last.context("ProducerPerformance printed no final line")?;
        let number = |before: &str| {
            let (head, _) = last.split_once(before)?;
            head.rsplit(' ').next()
        };
        let records = number(" records sent").and_then(|it| it.parse().ok());
        let rate = number(" records/sec").and_then(|it| it.parse().ok());
        match (records, rate) {
            (Some(records), Some(rate)) => Ok(Self {
                records,
                rate,
                cpu_seconds,
            }),
            _ => bail!("ProducerPerformance ended with a line that says no rate: {last}"),
        }
    }
}

impl fmt::Display for Theirs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>7.0} records/s ({} in {:.1} s, {:.2} µs of CPU each)",
            self.rate,
            self.records,
            self.records as f64 / self.rate,
            self.cpu_seconds * 1e6 / self.records as f64,
        )
    }
}

/// Ours, then theirs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pair {
    /// First.
    pub ours: Ours,
    /// Right after.
    pub theirs: Theirs,
}

/// What all counted pairs amount to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    ours: f64,
    theirs: f64,
    history_bytes: u64,
    records: u64,
}

impl Summary {
    /// Medians and sums over the pairs.
    ///
    /// # Errors
    /// Without a pair, or without a record: having measured nothing is no result.
    pub fn of(pairs: &[Pair]) -> anyhow::Result<Self> {
        let ours = median(pairs.iter().map(|pair| pair.ours.rate()));
        let theirs = median(pairs.iter().map(|pair| pair.theirs.rate));
        let records = pairs.iter().map(|pair| pair.ours.records).sum();
        match (ours, theirs) {
            (Some(ours), Some(theirs)) if records > 0 && theirs > 0.0 => Ok(Self {
                ours,
                theirs,
                history_bytes: pairs.iter().map(|pair| pair.ours.history_bytes).sum(),
                records,
            }),
            _ => bail!("nothing was measured"),
        }
    }

    fn ratio(&self) -> f64 {
        self.ours / self.theirs
    }

    fn bytes_per_record(&self) -> f64 {
        self.history_bytes as f64 / self.records as f64
    }

    /// Whether both figures are as good as they must be.
    pub fn is_good(&self) -> bool {
        self.ratio() >= RATIO_MIN && self.bytes_per_record() <= BYTES_PER_RECORD_MAX
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = |good| if good { "good" } else { "NOT GOOD ENOUGH" };
        let (ratio, bytes) = (self.ratio(), self.bytes_per_record());
        writeln!(
            f,
            "medians: {:.0} records/s recorded, {:.0} records/s ProducerPerformance",
            self.ours, self.theirs
        )?;
        writeln!(
            f,
            "ratio of medians: {ratio:.3} (at least {RATIO_MIN}): {}",
            verdict(ratio >= RATIO_MIN)
        )?;
        write!(
            f,
            "history: {bytes:.2} bytes per record over {} records (at most {BYTES_PER_RECORD_MAX}): {}",
            self.records,
            verdict(bytes <= BYTES_PER_RECORD_MAX)
        )
    }
}

/// The middle value; of an even count the mean of the two in the middle.
fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(match values.len() % 2 {
        1 => upper,
        _ => (values[middle - 1] + upper) / 2.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
502061 records sent, 100412.2 records/sec (12.26 MB/sec), 215.6 ms avg latency, 497.0 ms max latency.
1500000 records sent, 104239.054899 records/sec (12.72 MB/sec), 221.05 ms avg latency, 497.00 ms max latency, 233 ms 50th, 330 ms 95th, 388 ms 99th, 421 ms 99.9th.
";

    fn pair(ours: u64, theirs: f64, bytes: u64) -> Pair {
        Pair {
            ours: Ours {
                records: ours,
                seconds: 2.0,
                history_bytes: bytes,
                cpu_seconds: 1.0,
            },
            theirs: Theirs {
                records: 100,
                rate: theirs,
                cpu_seconds: 1.0,
            },
        }
    }

    #[test]
    fn the_final_line_is_read_and_an_interval_is_not() {
        let read = Theirs::read(OUTPUT, 1.5).unwrap();
        assert_eq!((read.records, read.rate), (1_500_000, 104_239.054_899));
        let first = OUTPUT.lines().next().unwrap();
        assert!(Theirs::read(first, 1.5).is_err());
        assert!(Theirs::read("", 1.5).is_err());
    }

    #[test]
    fn medians_not_means_decide_and_both_figures_must_hold() {
        // Rates of ours: 50, 45, 1; the outlier moves nothing.
        let pairs = [pair(100, 50.0, 10), pair(90, 50.0, 10), pair(2, 50.0, 10)];
        let summary = Summary::of(&pairs).unwrap();
        assert_eq!((summary.ours, summary.theirs), (45.0, 50.0));
        assert!(summary.is_good(), "{summary}");
        assert!(!Summary::of(&[pair(89, 50.0, 10)]).unwrap().is_good());
        assert!(!Summary::of(&[pair(100, 50.0, 2401)]).unwrap().is_good());
        assert!(Summary::of(&[pair(100, 50.0, 2400)]).unwrap().is_good());
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    }

    #[test]
    fn nothing_measured_is_no_result() {
        assert!(Summary::of(&[]).is_err());
        assert!(Summary::of(&[pair(0, 50.0, 10)]).is_err());
    }
}
