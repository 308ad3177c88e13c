//! Curves of the timeline, and the hatches that figures share.

use checkers::judgement::{GapPoint, GapSeries, Rate};
use maud::{Markup, html};

use crate::svg::{Scale, c};
use crate::text;

/// Columns of a curve at most: one a pixel shows all that a screen can.
const COLUMNS: usize = 900;

/// A pause in the points of a series longer than this is no line: nobody led, or nobody answered.
const PAUSE: f64 = 5.0;

/// Patterns for the whole page, once, outside of anything that may be closed: one for what is cut,
/// one for each broker that only believes that it leads.
pub fn hatches() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" { defs {
            pattern #cut width="7" height="7" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                rect.cutground width="7" height="7" {}
                line.cutline x1="0" y1="0" x2="0" y2="7" {}
            }
            @for colour in 0..8 {
                pattern id={ "believes" (colour) } width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line class={ "s" (colour) } stroke-width="4" x1="0" y1="0" x2="0" y2="6" stroke-opacity=".55" {}
                }
            }
        } }
    }
}

/// Acknowledged, unsuccessful and delivered records of one topic, a second.
pub fn sends(
    topic: &str,
    rate: &Rate,
    read: Option<&[u64]>,
    time: Scale,
    y: f64,
    height: f64,
) -> Markup {
    let acknowledged = thinned(&rate.acknowledged);
    let unsuccessful = thinned(&rate.unsuccessful);
    let read = thinned(read.unwrap_or_default());
    let peak = |points: &[(f64, u64)]| points.iter().map(|(_, value)| *value).max().unwrap_or(0);
    // Consumers that read everything again in the drain would flatten the sends.
    let most = peak(&acknowledged).max(peak(&unsuccessful)).max(1);
    let base = y + height - 6.0;
    let scale = Scale::new(0.0, most as f64, base, y + 20.0);
    html! {
        text.strong x="0" y=(c(y + 32.0)) { (text::visible(topic)) }
        text.tiny.m x="0" y=(c(y + 46.0)) { "acknowledged/s" }
        text.tiny.m x="0" y=(c(y + 60.0)) { "at most " (text::n(peak(&acknowledged))) }
        line.grid x1=(c(time.at(0.0))) x2=(c(time.at(f64::MAX))) y1=(c(base)) y2=(c(base)) {}
        path.acked d=(area(&acknowledged, time, scale, base)) {}
        @if peak(&unsuccessful) > 0 { path.failed d=(area(&unsuccessful, time, scale, base)) {} }
        @if peak(&read) > 0 { path.read d=(steps(&read, time, scale)) {} }
        @if peak(&unsuccessful) > 0 {
            text.tiny.faulty x=(c(time.at(f64::MAX))) y=(c(y + 14.0)) text-anchor="end" {
                "failed or unknown: at most " (text::n(peak(&unsuccessful))) " a second"
            }
        }
    }
}

/// Seconds with their values; longer runs keep the smallest and the largest of each column.
fn thinned(values: &[u64]) -> Vec<(f64, u64)> {
    let per = values.len().div_ceil(COLUMNS).max(1);
    values
        .chunks(per)
        .enumerate()
        .flat_map(|(i, chunk)| {
            let at = (i * per) as f64;
            let low = chunk.iter().min().copied().unwrap_or(0);
            let high = chunk.iter().max().copied().unwrap_or(0);
            let second = (chunk.len() > 1).then_some((at + per as f64 / 2.0, high));
            std::iter::once((at, low)).chain(second)
        })
        .collect()
}

/// A line of steps: the value of a second holds during that second.
fn steps(points: &[(f64, u64)], time: Scale, scale: Scale) -> String {
    let mut path = String::new();
    let mut last = None;
    for (i, (at, value)) in points.iter().enumerate() {
        let level = c(scale.at(*value as f64));
        if last.as_ref() != Some(&level) {
            let x = c(time.at(*at));
            path += &if i == 0 {
                format!("M{x} {level}")
            } else {
                format!("H{x}V{level}")
            };
            last = Some(level);
        }
    }
    if let Some((at, _)) = points.last() {
        path += &format!("H{}", c(time.at(at + 1.0)));
    }
    path
}

fn area(points: &[(f64, u64)], time: Scale, scale: Scale, base: f64) -> String {
    if points.is_empty() {
        return String::new();
    }
    let left = c(time.at(points[0].0));
    format!("{}V{}H{left}Z", steps(points, time, scale), c(base))
}

/// How far the log end of each leader of a partition was ahead of its high watermark.
pub fn gaps(partition: &str, series: &[&GapSeries], time: Scale, y: f64, height: f64) -> Markup {
    let ahead = |point: &GapPoint| point.leo.saturating_sub(point.hw).max(0);
    let most = series
        .iter()
        .flat_map(|s| &s.points)
        .map(ahead)
        .max()
        .unwrap_or(0);
    let base = y + height - 6.0;
    let scale = Scale::new(0.0, most as f64, base, y + 18.0);
    html! {
        text.strong x="0" y=(c(y + 30.0)) { (text::visible(partition)) }
        text.tiny.m x="0" y=(c(y + 44.0)) { "LEO − HW of leader" }
        line.grid x1=(c(time.at(0.0))) x2=(c(time.at(f64::MAX))) y1=(c(base)) y2=(c(base)) {}
        @for one in series {
            path class={ "gap s" (text::colour(one.node)) } d=(line(&one.points, time, scale)) {}
        }
        (peak(series, most, time, scale))
    }
}

/// The largest gap, with whose it was and when: the first where several are equal.
fn peak(series: &[&GapSeries], most: i64, time: Scale, scale: Scale) -> Markup {
    let mut points = series
        .iter()
        .flat_map(|s| s.points.iter().map(|p| (s.node, p)));
    let found = points.find(|(_, p)| most > 0 && p.leo.saturating_sub(p.hw) == most);
    html! {
        @if let Some((node, point)) = found {
            @let x = time.at(point.at.seconds());
            @let right = x > time.at(0.0) + 260.0;
            circle class={ "f" (text::colour(node)) } cx=(c(x)) cy=(c(scale.at(most as f64))) r="3" {}
            text.mono x=(c(if right { x + 3.0 } else { x - 3.0 })) y=(c(scale.at(most as f64) - 5.0))
                text-anchor=(if right { "end" } else { "start" }) {
                (text::n(most.unsigned_abs())) " on " (node) " at " (point.at)
            }
        } @else {
            text.tiny.m x=(c(time.at(0.0) + 6.0)) y=(c(scale.at(0.0) - 5.0)) { "0 in every answer" }
        }
    }
}

fn line(points: &[GapPoint], time: Scale, scale: Scale) -> String {
    let mut path = String::new();
    let mut before: Option<f64> = None;
    for point in points {
        let at = point.at.seconds();
        let joined = before.is_some_and(|b| at - b <= PAUSE);
        let ahead = point.leo.saturating_sub(point.hw).max(0) as f64;
        let (x, y) = (c(time.at(at)), c(scale.at(ahead)));
        // A point alone is drawn as a dot: a line to itself.
        path += &if joined {
            format!("L{x} {y}")
        } else {
            format!("M{x} {y}h0")
        };
        before = Some(at);
    }
    path
}
