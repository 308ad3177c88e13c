//! Figures over nights, and where they changed: by a rule that noise does not fool.
//!
//! A series is compared with its own past only. Nothing is called that three nights in a row do not
//! agree on; what a change means, and whose doing it is, is for people. `docs/nights.md` describes
//! the rule; `tests/trend.rs` holds it to its false alarms and to what it must catch.

use chrono::NaiveDate;

use crate::facts::{Metric, median};

/// So many nights must agree before a change is called.
pub const RECENT: usize = 3;
/// So many nights since the last change are needed to compare with.
pub const BASE_MIN: usize = 12;
/// Nights further back than this are forgotten.
pub const BASE_MAX: usize = 30;
/// The middle one of the recent nights is off by this share of the level at least.
const MIDDLE_SHARE: f64 = 0.15;
/// Each of them by this share.
const EACH_SHARE: f64 = 0.10;
/// The middle one is off by so many spreads (1.4826 MAD, a normal standard deviation).
const MIDDLE_SPREADS: f64 = 2.5;
/// Each of them by so many.
const EACH_SPREADS: f64 = 2.0;
/// As many of the nights before may be like the recent ones: one in so many.
const ALIKE_ONE_IN: usize = 20;
/// As many of the nights before may be further off than the recent ones: one in so many.
const FAR_ONE_IN: usize = 5;

/// One figure over nights: of one plan, metric and kind of fault.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The plan.
    pub plan: String,
    /// What is counted or timed.
    pub metric: Metric,
    /// Around which kind of fault.
    pub fault: Option<String>,
    /// One point per night that has one, oldest first.
    pub points: Vec<Point>,
}

/// One night of a series: the median over its runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The night's name.
    pub night: String,
    /// Its date.
    pub date: NaiveDate,
    /// The figure.
    pub value: f64,
    /// The version of Kafka.
    pub kafka: String,
    /// The version of Tidemark.
    pub tidemark: String,
}

/// A change of level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// The first night of the new level; a position in the series.
    pub since: usize,
    /// The night on which it was called.
    pub called: usize,
    /// The level before: the median of the nights compared with.
    pub from: f64,
    /// The level after: the median of the nights since, up to the next change.
    pub to: f64,
}

impl Change {
    /// By how much, as a share of the level before; `None` where that was nothing.
    pub fn share(&self) -> Option<f64> {
        (self.from != 0.0).then(|| (self.to - self.from) / self.from.abs())
    }
}

/// A version that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewVersion {
    /// The first night with it; a position in the series.
    pub at: usize,
    /// `Kafka 3.0.0 → 3.0.1`.
    pub words: String,
}

/// A series with its changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Trend {
    /// The figures.
    pub series: Series,
    /// Changes of level, oldest first.
    pub changes: Vec<Change>,
    /// Versions that changed, oldest first.
    pub versions: Vec<NewVersion>,
}

impl Trend {
    /// Looks for changes in a series.
    pub fn of(series: Series) -> Self {
        let values: Vec<f64> = series.points.iter().map(|point| point.value).collect();
        Self {
            changes: changes(&values, series.metric.grain()),
            versions: versions(&series.points),
            series,
        }
    }

    /// The newest change, with the night since which it holds.
    pub fn newest(&self) -> Option<(&Change, &Point)> {
        let change = self.changes.last()?;
        Some((change, self.series.points.get(change.since)?))
    }

    /// Whether a change is for the worse; `None` where the metric knows no worse.
    pub fn worse(&self, change: &Change) -> Option<bool> {
        let more = self.series.metric.more_is_worse()?;
        Some((change.to > change.from) == more)
    }
}

/// Changes of level in a row of nights. A difference below `grain` is never one.
pub fn changes(values: &[f64], grain: f64) -> Vec<Change> {
    let mut changes: Vec<Change> = Vec::new();
    let mut begins = 0;
    for now in RECENT - 1..values.len() {
        let since = now + 1 - RECENT;
        let base = &values[begins.max(since.saturating_sub(BASE_MAX))..since.max(begins)];
        if base.len() < BASE_MIN {
            continue;
        }
        if let Some(from) = left(base, &values[since..=now], grain) {
            changes.push(Change {
                since,
                called: now,
                from,
                to: from,
            });
            begins = since;
        }
    }
    let ends: Vec<usize> = changes.iter().skip(1).map(|next| next.since).collect();
    for (change, end) in changes
        .iter_mut()
        .zip(ends.into_iter().chain([values.len()]))
    {
        let after = &values[change.since..end];
        change.to = median(after).unwrap_or(change.from);
    }
    changes
}

/// The level that the recent nights have left, if all of them have, to the same side.
fn left(base: &[f64], recent: &[f64], grain: f64) -> Option<f64> {
    let level = median(base)?;
    let off: Vec<f64> = base.iter().map(|value| (value - level).abs()).collect();
    let spread = 1.4826 * median(&off)?;
    let side = if median(recent)? > level { 1.0 } else { -1.0 };
    let by = |value: &f64| (value - level) * side;
    let mut recent: Vec<f64> = recent.iter().map(by).collect();
    recent.sort_by(f64::total_cmp);
    let (least, most) = (*recent.first()?, *recent.last()?);
    let middle = median(&recent)?;

    let large = least > 0.0
        && middle >= (MIDDLE_SHARE * level.abs()).max(grain)
        && least >= EACH_SHARE * level.abs();
    let unlike_noise = middle >= MIDDLE_SPREADS * spread && least >= EACH_SPREADS * spread;
    // A new level is one: three wild nights are not.
    let agree = most - least <= middle;
    let far = base.iter().map(by).filter(|by| *by >= least).count();
    let alike = base.iter().map(by);
    let alike = alike.filter(|by| *by >= least && *by <= 2.0 * most).count();
    let unseen = alike <= base.len() / ALIKE_ONE_IN && far <= base.len() / FAR_ONE_IN;
    (large && unlike_noise && agree && unseen).then_some(level)
}

fn versions(points: &[Point]) -> Vec<NewVersion> {
    let mut found = Vec::new();
    for (at, pair) in points.windows(2).enumerate() {
        let mut words = Vec::new();
        for (name, old, new) in [
            ("Kafka", &pair[0].kafka, &pair[1].kafka),
            ("Tidemark", &pair[0].tidemark, &pair[1].tidemark),
        ] {
            if old != new {
                words.push(format!("{name} {old} → {new}"));
            }
        }
        if !words.is_empty() {
            found.push(NewVersion {
                at: at + 1,
                words: words.join(", "),
            });
        }
    }
    found
}
