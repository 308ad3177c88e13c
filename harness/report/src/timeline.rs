//! The run on one axis of time: faults, who led, what was acknowledged, how far logs ran ahead.
//!
//! Drawn as one static figure; what does not fit a screenful (many partitions) waits in a second.

use checkers::Judgement;
use checkers::judgement::{FaultSpan, GapSeries, LeadSpan, PartitionLead, Rate};
use history::Mark;
use maud::{Markup, html};

use crate::svg::{Scale, bold_width_of, c, time_step, width_of};
use crate::{curves, text};

/// Width of the drawing.
const WIDTH: f64 = 1060.0;
/// Where the plot begins and ends; names stand left of it.
const LEFT: f64 = 132.0;
const RIGHT: f64 = 1048.0;
/// Height of one lane of a broker.
const LANE: f64 = 19.0;
/// Partitions in the first figure.
const FIRST: usize = 4;

/// What stands in the figure, from top to bottom.
struct Panel<'a> {
    height: f64,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Phases,
    Lead(&'a PartitionLead),
    Sends(&'a str, &'a Rate, Option<&'a [u64]>),
    Gap(&'a str, Vec<&'a GapSeries>),
}

/// The timeline, and the lanes of further partitions behind a click.
pub fn section(j: &Judgement) -> Markup {
    let order = partitions(j);
    let (first, further) = order.split_at(order.len().min(FIRST));
    html! {
        section id="timeline" {
            h2 { "What happened" }
            @if j.timeline.length.0 == 0 {
                p { "Nothing was recorded that could be placed in time." }
            } @else {
                figure {
                    div.wide { (drawing(j, &panels(j, first, true))) }
                    figcaption {
                        "Faults in force from proof to proof (shaded); who led each partition, and who still believed that it led "
                        "(hatched); acknowledged sends a second (area), failed or unknown ones (red), deliveries (line, cut off at the panel's top); "
                        "how far each leader's log end was ahead of its high watermark."
                    }
                }
                @if !further.is_empty() {
                    details {
                        summary { (text::count(further.len() as u64, "further partition", "further partitions")) }
                        figure { div.wide { (drawing(j, &panels(j, further, false))) } }
                    }
                }
            }
        }
    }
}

/// Partitions in the order of their leadership, those with a finding first.
fn partitions(j: &Judgement) -> Vec<&str> {
    let named: Vec<&str> = j
        .timeline
        .leadership
        .iter()
        .map(|p| p.partition.as_str())
        .collect();
    let found = |p: &&str| {
        j.findings
            .iter()
            .any(|f| f.partition.as_deref() == Some(*p))
    };
    let (mut first, rest): (Vec<_>, Vec<_>) = named.into_iter().partition(found);
    first.extend(rest);
    for gap in &j.timeline.gaps {
        if !first.contains(&gap.partition.as_str()) {
            first.push(&gap.partition);
        }
    }
    first
}

fn panels<'a>(j: &'a Judgement, partitions: &[&'a str], with_sends: bool) -> Vec<Panel<'a>> {
    let mut panels = Vec::new();
    if with_sends && !j.phases.is_empty() {
        panels.push(Panel {
            height: 20.0,
            kind: Kind::Phases,
        });
    }
    for partition in partitions {
        let lead = j
            .timeline
            .leadership
            .iter()
            .find(|lead| lead.partition == *partition);
        panels.extend(lead.map(|lead| Panel {
            height: lanes(lead).len() as f64 * LANE + 10.0,
            kind: Kind::Lead(lead),
        }));
    }
    if with_sends {
        panels.extend(j.timeline.sends.iter().map(|(topic, rate)| Panel {
            height: 90.0,
            kind: Kind::Sends(
                topic,
                rate,
                j.timeline.deliveries.get(topic).map(Vec::as_slice),
            ),
        }));
    }
    for partition in partitions {
        let series: Vec<_> = j
            .timeline
            .gaps
            .iter()
            .filter(|gap| gap.partition == *partition)
            .collect();
        if !series.is_empty() {
            panels.push(Panel {
                height: 64.0,
                kind: Kind::Gap(partition, series),
            });
        }
    }
    panels
}

fn drawing(j: &Judgement, panels: &[Panel<'_>]) -> Markup {
    let time = Scale::new(0.0, j.timeline.length.seconds(), LEFT, RIGHT);
    let (labels, label_lanes) = fault_labels(&j.timeline.faults, time);
    let top = 8.0 + label_lanes as f64 * 15.0;
    let bottom = top + panels.iter().map(|panel| panel.height).sum::<f64>();
    let placed = panels.iter().scan(top, |next, panel| {
        let y = *next;
        *next += panel.height;
        Some((panel, y))
    });
    html! {
        svg viewBox={ "0 0 " (c(WIDTH)) " " (c(bottom + 26.0)) } role="img" aria-label="Timeline of the run" {
            (grid(j.timeline.length, time, top, bottom))
            @for fault in &j.timeline.faults { (shade(fault, time, top, bottom)) }
            (labels)
            @for (panel, y) in placed { (panel_at(j, panel, time, y)) }
        }
    }
}

fn panel_at(j: &Judgement, panel: &Panel<'_>, time: Scale, y: f64) -> Markup {
    match &panel.kind {
        Kind::Phases => phases(j, time, y),
        Kind::Lead(lead) => leadership(lead, time, y),
        Kind::Sends(topic, rate, read) => curves::sends(topic, rate, *read, time, y, panel.height),
        Kind::Gap(partition, series) => curves::gaps(partition, series, time, y, panel.height),
    }
}

fn grid(length: Mark, time: Scale, top: f64, bottom: f64) -> Markup {
    let step = time_step(length.seconds(), 10.0);
    let last = length.seconds() as u64;
    html! {
        @for tick in (0..=last).step_by(step as usize) {
            @let x = c(time.at(tick as f64));
            line.grid x1=(x) x2=(x) y1=(c(top)) y2=(c(bottom)) {}
            text.m x=(x) y=(c(bottom + 16.0)) text-anchor="middle" { (tick) " s" }
        }
    }
}

fn shade(fault: &FaultSpan, time: Scale, top: f64, bottom: f64) -> Markup {
    let (from, to) = (
        time.at(fault.span.from.seconds()),
        time.at(fault.span.to.seconds()),
    );
    html! {
        rect.fault x=(c(from)) y=(c(top)) width=(c((to - from).max(1.5))) height=(c(bottom - top)) {
            title { (fault.fault) " " (text::visible(&fault.label)) ", " (text::when(fault.span)) }
        }
    }
}

/// Labels of faults, each in the first lane where it is free; without room only the number stands.
fn fault_labels(faults: &[FaultSpan], time: Scale) -> (Markup, usize) {
    const LANES: usize = 4;
    let mut free_from = [0.0_f64; LANES];
    let mut used = 0;
    let mut placed = Vec::new();
    for fault in faults {
        let long = text::visible(&format!("{} {}", fault.fault, fault.label));
        let start = time.at(fault.span.from.seconds());
        let fits = |words: &str, free: &[f64; LANES]| {
            let x = start.min(RIGHT - bold_width_of(words));
            free.iter()
                .position(|from| *from <= x)
                .map(|lane| (lane, x))
        };
        let short = fault.fault.to_string();
        let place = fits(&long, &free_from).map(|place| (place, long));
        if let Some(((lane, x), words)) =
            place.or_else(|| fits(&short, &free_from).map(|p| (p, short)))
        {
            free_from[lane] = x + bold_width_of(&words) + 10.0;
            used = used.max(lane + 1);
            placed.push((lane, x, words));
        }
    }
    let height = used as f64 * 15.0;
    let labels = html! {
        @for (lane, x, words) in placed {
            text.faulty x=(c(x)) y=(c(height - lane as f64 * 15.0)) { (words) }
        }
    };
    (labels, used)
}

fn phases(j: &Judgement, time: Scale, y: f64) -> Markup {
    html! {
        text.m x="0" y=(c(y + 12.0)) { "phase" }
        @for (i, phase) in j.phases.iter().enumerate() {
            @let from = time.at(phase.span.from.seconds());
            @let width = time.at(phase.span.to.seconds()) - from;
            rect class={ "phase p" (i % 2) } x=(c(from)) y=(c(y + 1.0)) width=(c(width)) height="14" {
                title { (phase.phase) " " (text::when(phase.span)) }
            }
            @if width > width_of(&phase.phase) { text.tiny.m x=(c(from + 4.0)) y=(c(y + 12.0)) { (phase.phase) } }
        }
    }
}

/// The brokers that ever led, ascending.
fn lanes(lead: &PartitionLead) -> Vec<history::NodeId> {
    let mut nodes: Vec<_> = lead.spans.iter().map(|span| span.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

fn leadership(lead: &PartitionLead, time: Scale, y: f64) -> Markup {
    html! {
        text.strong x="0" y=(c(y + 13.0)) { (text::visible(&lead.partition)) }
        @for (i, node) in lanes(lead).iter().enumerate() {
            @let top = y + i as f64 * LANE;
            @let colour = text::colour(*node);
            @let spans: Vec<_> = lead.spans.iter().filter(|span| span.node == *node).collect();
            text class={ "strong f" (colour) } x=(c(LEFT - 10.0)) y=(c(top + 13.0)) text-anchor="end" { (node) }
            line class={ "s" (colour) } stroke-opacity=".3" x1=(c(LEFT)) x2=(c(RIGHT)) y1=(c(top + 9.0)) y2=(c(top + 9.0)) {}
            @for (k, span) in spans.iter().enumerate() {
                @let next = spans.get(k + 1).map_or(RIGHT, |next| time.at(next.span.from.seconds()));
                (lead_span(span, time, next, top))
            }
        }
    }
}

/// Where a span stands, and where the next one of its lane begins.
struct Place {
    from: f64,
    width: f64,
    next: f64,
    y: f64,
}

fn lead_span(span: &LeadSpan, time: Scale, next: f64, top: f64) -> Markup {
    let from = time.at(span.span.from.seconds());
    let width = (time.at(span.span.to.seconds()) - from).max(1.5);
    let colour = text::colour(span.node);
    let verb = if span.deposed {
        "still believes it leads"
    } else {
        "leads"
    };
    let words = format!("{verb} {}", span.epoch);
    html! {
        g {
            title { (span.node) " " (words) ", " (text::when(span.span)) }
            @if span.deposed {
                rect class={ "s" (colour) } fill={ "url(#believes" (colour) ")" }
                    x=(c(from)) y=(c(top + 2.0)) width=(c(width)) height="14" rx="2" {}
            } @else {
                rect class={ "f" (colour) } x=(c(from)) y=(c(top + 2.0)) width=(c(width)) height="14" rx="2" {}
            }
        }
        (span_label(span, &words, &Place { from, width, next, y: top + 13.0 }))
    }
}

/// Inside the bar where it fits; beside it, if nothing follows there, for a broker that only
/// believes: that is the news.
fn span_label(span: &LeadSpan, words: &str, place: &Place) -> Markup {
    let short = span.epoch.to_string();
    let brief = format!("believes {short}");
    let inside = if span.deposed {
        "tiny strong halo"
    } else {
        "tiny strong on"
    };
    html! {
        @if !span.deposed && place.width > width_of(words) {
            text class=(inside) x=(c(place.from + 5.0)) y=(c(place.y)) { (words) }
        } @else if span.deposed && place.from + place.width + 10.0 + width_of(words) < place.next {
            text.tiny.strong x=(c(place.from + place.width + 6.0)) y=(c(place.y)) { (words) }
        } @else if span.deposed && place.from + place.width + 10.0 + width_of(&brief) < place.next {
            text.tiny.strong x=(c(place.from + place.width + 6.0)) y=(c(place.y)) { (brief) }
        } @else if place.width > width_of(&short) + 4.0 {
            text class=(inside) x=(c(place.from + 3.0)) y=(c(place.y)) { (short) }
        }
    }
}
