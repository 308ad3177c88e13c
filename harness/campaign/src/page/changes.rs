//! Figures over nights as small drawings: those that changed first, the rest by plan.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use maud::{Markup, PreEscaped, html};

use super::{NIGHTS_MAX, Page, text};
use crate::trend::{Change, Point, Trend};

const WIDTH: f64 = 260.0;
const TOP: f64 = 6.0;
const BOTTOM: f64 = 58.0;
/// A change for the worse is said at the top of the page for so many nights.
const FRESH: usize = 3;

/// A metric around its fault.
pub fn name(trend: &Trend) -> String {
    match &trend.series.fault {
        Some(fault) => format!("{} ({fault})", trend.series.metric.words()),
        None => trend.series.metric.words().to_owned(),
    }
}

/// `+38 %`, or from what to what.
pub fn by(trend: &Trend, change: &Change) -> String {
    let metric = trend.series.metric;
    let levels = format!(
        "{} → {}",
        text::figure(metric, change.from),
        text::figure(metric, change.to)
    );
    match change.share() {
        Some(share) => format!("{:+.0} % ({levels})", share * 100.0).replace('-', "−"),
        None => levels,
    }
}

/// Changes for the worse that were called in the last few nights.
pub fn fresh<'a>(page: &'a Page) -> Vec<(&'a Trend, &'a Change, &'a Point)> {
    let recent: Vec<String> = page
        .nights
        .iter()
        .rev()
        .take(FRESH)
        .map(|it| it.name())
        .collect();
    let fresh = page.trends.iter().filter_map(|trend| {
        let (change, since) = trend.newest()?;
        let called = trend.series.points.get(change.called)?;
        let worse = trend.worse(change) == Some(true);
        (worse && recent.contains(&called.night)).then_some((trend, change, since))
    });
    fresh.collect()
}

/// A change as those are told who do not look at the page.
pub fn sentence((trend, change, since): (&Trend, &Change, &Point)) -> String {
    let plan = &trend.series.plan;
    let (name, by, since) = (name(trend), by(trend, change), text::day(since.date));
    format!("{plan}, {name}: {by} since {since}")
}

/// The nights of a series that are on the page.
fn shown<'a>(page: &Page, trend: &'a Trend) -> (usize, &'a [Point]) {
    let points = &trend.series.points;
    let first = page.nights.first().map(|night| night.date);
    let from = points.partition_point(|point| first.is_some_and(|first| point.date < first));
    let from = from.max(points.len().saturating_sub(NIGHTS_MAX));
    (from, &points[from..])
}

/// The section.
pub fn section(page: &Page) -> Markup {
    let mut changed: Vec<(&Trend, &Point)> = Vec::new();
    let mut steady: BTreeMap<&str, Vec<&Trend>> = BTreeMap::new();
    for trend in page.trends {
        let (from, points) = shown(page, trend);
        if points.len() < 2 {
            continue;
        }
        match trend.newest() {
            Some((change, since)) if change.since >= from => changed.push((trend, since)),
            _ => steady.entry(&trend.series.plan).or_default().push(trend),
        }
    }
    changed.sort_by_key(|(_, since)| std::cmp::Reverse(since.date));
    html! {
        section #changes {
            h2 { "Changes" }
            @if changed.is_empty() {
                p.mute {
                    "No figure has changed its level in these nights. A change is called when three nights in a row "
                    "agree on it, against at least twelve before."
                }
            } @else {
                div.spark { @for (trend, _) in &changed { (card(page, trend, true)) } }
            }
            @for (plan, trends) in &steady {
                details {
                    summary { code { (plan) } span.mute { ": " (text::count(trends.len(), "steady figure", "steady figures")) } }
                    div.spark { @for trend in trends { (card(page, trend, false)) } }
                }
            }
        }
    }
}

fn card(page: &Page, trend: &Trend, with_plan: bool) -> Markup {
    let (from, points) = shown(page, trend);
    let change = trend.newest().filter(|(change, _)| change.since >= from);
    let class = |change: &Change| match trend.worse(change) {
        Some(true) => "pill broken",
        Some(false) => "pill held",
        None => "pill unproven",
    };
    let last = points.last().map_or(0.0, |point| point.value);
    let words = |at: usize| {
        points
            .get(at)
            .map_or(String::new(), |it| text::day(it.date))
    };
    html! {
        div.card {
            b { @if with_plan { code { (trend.series.plan) } ": " } (name(trend)) }
            @if let Some((change, since)) = change {
                " " span class=(class(change)) { (by(trend, change)) " since " (text::day(since.date)) }
            }
            svg viewBox="0 0 260 62" role="img" aria-label=(name(trend)) { (PreEscaped(drawing(trend, from, points))) }
            div.axis { span { (words(0)) } span { "last " b { (text::figure(trend.series.metric, last)) } } }
            @for version in trend.versions.iter().rev().filter(|it| it.at > from).take(2) {
                div.axis { span { "┊ " (text::day(trend.series.points[version.at].date)) ": " (version.words) } }
            }
        }
    }
}

/// From nothing to the largest value, so that a small change looks small. Attributes here are
/// numbers and names of ours only.
fn drawing(trend: &Trend, from: usize, points: &[Point]) -> String {
    let largest = points.iter().map(|point| point.value).fold(0.0, f64::max);
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let step = (WIDTH - 12.0) / (points.len().max(2) - 1) as f64;
    let x = |at: usize| 6.0 + step * at as f64;
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * (value.max(0.0) / largest);
    let mut out = String::new();
    // Writing to a string cannot fail.
    for change in trend.changes.iter().filter(|it| it.since >= from) {
        let left = (x(change.since - from) - step / 2.0).max(0.0);
        let class = match trend.worse(change) {
            Some(true) => "worse",
            Some(false) => "better",
            None => "other",
        };
        let _ = write!(
            out,
            "<rect class=\"{class}\" x=\"{left:.1}\" y=\"0\" width=\"{:.1}\" height=\"60\"/>",
            WIDTH - left
        );
    }
    for version in trend.versions.iter().filter(|it| it.at > from) {
        let at = x(version.at - from) - step / 2.0;
        let _ = write!(out, "<path class=\"version\" d=\"M{at:.1},0V60\"/>");
    }
    let _ = write!(
        out,
        "<path class=\"zero\" d=\"M0,{BOTTOM}H260\"/><path class=\"line\" d=\""
    );
    for (at, point) in points.iter().enumerate() {
        let letter = if at == 0 { 'M' } else { 'L' };
        let _ = write!(out, "{letter}{:.1},{:.1}", x(at), y(point.value));
    }
    let last = points.len().saturating_sub(1);
    let value = points.last().map_or(0.0, |point| point.value);
    let _ = write!(
        out,
        "\"/><circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.6\"/>",
        x(last),
        y(value)
    );
    out
}
