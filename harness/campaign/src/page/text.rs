//! How dates, numbers and names are set on the page.

use chrono::{DateTime, NaiveDate, Utc};

use crate::facts::Metric;

/// A space that is thin and does not break: between groups of three digits.
const THIN: &str = "\u{202f}";

/// `22 Nov`.
pub fn day(date: NaiveDate) -> String {
    date.format("%-d %b").to_string()
}

/// `22 Nov 04:12 UTC`.
pub fn moment(at: DateTime<Utc>) -> String {
    at.format("%-d %b %H:%M UTC").to_string()
}

/// The same, without the day where that is known already.
pub fn moment_of(at: DateTime<Utc>, day: NaiveDate) -> String {
    if at.date_naive() == day {
        return at.format("%H:%M UTC").to_string();
    }
    moment(at)
}

/// As `datetime` attributes and scripts want it.
pub fn machine(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Digits in groups of three.
pub fn n(number: u64) -> String {
    checkers::judgement::grouped(number).replace(' ', THIN)
}

/// A number that must fit into a cell: `38k`.
pub fn brief(number: u64) -> String {
    match number {
        0..1_000 => number.to_string(),
        1_000..10_000 => format!("{:.1}k", number as f64 / 1e3),
        10_000..1_000_000 => format!("{}k", (number as f64 / 1e3).round()),
        1_000_000..10_000_000 => format!("{:.1}M", number as f64 / 1e6),
        _ => format!("{}M", (number as f64 / 1e6).round()),
    }
}

/// Bytes for people, in powers of 1000.
pub fn bytes(number: u64) -> String {
    const STEPS: [(u64, &str); 3] = [(1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    STEPS.iter().find(|(step, _)| number >= *step).map_or_else(
        || format!("{number} B"),
        |(step, unit)| format!("{:.1} {unit}", number as f64 / *step as f64),
    )
}

/// A count with its noun.
pub fn count(number: usize, one: &str, many: &str) -> String {
    format!(
        "{} {}",
        n(number as u64),
        if number == 1 { one } else { many }
    )
}

/// A figure with its unit: `4.32 s`, `2.1k/s`.
pub fn figure(metric: Metric, value: f64) -> String {
    let unit = metric.unit();
    match metric {
        Metric::GapAll | Metric::GapOther | Metric::ToNewLeader | Metric::ToFullIsr => {
            format!("{value:.2} {unit}")
        }
        Metric::LostAboveHw | Metric::Throughput | Metric::Examined => {
            format!("{}{unit}", brief(value.max(0.0).round() as u64))
        }
    }
}

/// Which time this is: `second`.
pub fn ordinal(number: usize) -> String {
    const WORDS: [&str; 9] = [
        "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth",
    ];
    let word = number.checked_sub(1).and_then(|at| WORDS.get(at));
    word.map_or_else(|| format!("{number}th"), |word| (*word).to_owned())
}

/// Seconds as minutes: `58`.
pub fn minutes(seconds: u64) -> String {
    if seconds < 120 {
        return format!("{seconds} s");
    }
    format!("{} min", (seconds as f64 / 60.0).round())
}
