//! Changes of leader: a watermark figure for each that cut or lost something, a line for the rest.

use checkers::Judgement;
use checkers::judgement::{Failover, ReplicaPicture};
use maud::{Markup, html};

use crate::{contract, text, watermark};

/// Figures that stand open when the page is opened.
const OPEN_MAX: usize = 2;

/// After so many the rest waits behind one more click.
const SHOWN_MAX: usize = 12;

/// All changes of leader in order of time.
pub fn section(j: &Judgement) -> Markup {
    let (quiet, loud): (Vec<_>, Vec<_>) = j.failovers.iter().partition(|f| f.quiet);
    html! {
        section id="failovers" {
            h2 { "Fail-overs" @if !j.failovers.is_empty() { " (" (text::n(j.failovers.len() as u64)) ")" } }
            @if j.failovers.is_empty() { p { "No partition changed its leader." } }
            @let (first, further) = loud.split_at(loud.len().min(SHOWN_MAX));
            @let open = opened(first);
            @for (i, failover) in first.iter().enumerate() { (shown(failover, open.contains(&i))) }
            @if !further.is_empty() {
                details {
                    summary { (text::count(further.len() as u64, "more fail-over", "more fail-overs")) " that cut or lost something" }
                    @for failover in further { (shown(failover, false)) }
                }
            }
            @if !quiet.is_empty() {
                details open[loud.is_empty() && quiet.len() <= 12] {
                    summary { (text::count(quiet.len() as u64, "fail-over", "fail-overs")) " in which nothing was cut and nothing lost" }
                    div.wrap { table {
                        thead { tr { th { "partition" } th { "epoch" } th { "leader" } th { "when" } th { "election" } th { "fault" } } }
                        tbody { @for failover in &quiet { (quiet_row(failover)) } }
                    } }
                }
            }
        }
    }
}

/// Which figures stand open: those that lost something before those that only cut.
fn opened(shown: &[&Failover]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..shown.len()).collect();
    places.sort_by_key(|&place| shown[place].lost.is_none());
    places.truncate(OPEN_MAX);
    places
}

fn quiet_row(f: &Failover) -> Markup {
    html! {
        tr {
            td { code { (f.partition) } }
            td { (f.from_epoch) " → " (f.to_epoch) }
            td { (leaders(f)) }
            td { @match f.at { Some(at) => (at.from), None => span.mute { "not known" } } }
            td { (election(f)) }
            td { @match f.fault { Some(fault) => a href={ "#" (fault) } { (fault) }, None => "–" } }
        }
    }
}

fn leaders(f: &Failover) -> Markup {
    html! {
        @match f.old_leader { Some(old) => (text::broker(old)), None => "nobody" }
        " → " (text::broker(f.new_leader))
    }
}

fn election(f: &Failover) -> Markup {
    html! {
        @match f.clean {
            Some(true) => "clean, from the ISR",
            Some(false) => b.broken { "unclean" },
            None => span.unproven { "clean or unclean: not known" },
        }
    }
}

fn shown(f: &Failover, open: bool) -> Markup {
    html! {
        details.failover open[open] {
            summary {
                code { (f.partition) } " " (f.from_epoch) " → " (f.to_epoch) ": " (leaders(f))
                @if let Some(at) = f.at { " " span.mute { "at " (at.from) } }
                @if f.lost_count > 0 { " · " (text::count(f.lost_count, "acknowledged record", "acknowledged records")) " lost" }
            }
            figure {
                div.wide { (watermark::figure(f)) }
                figcaption { (caption(f)) (sources(f)) }
            }
        }
    }
}

fn caption(f: &Failover) -> Markup {
    html! {
        p {
            "Election " (election(f))
            @if let Some(fault) = f.fault { ", during " a href={ "#" (fault) } { (fault) } }
            ". Hatched: what a replica was about to cut. Offsets on one scale, above and below. "
            "★ leads, ☆ only believes that it leads."
            @if !f.findings.is_empty() { " Findings" (contract::links(&f.findings)) "." }
        }
    }
}

fn sources(f: &Failover) -> Markup {
    html! {
        details.plain {
            summary { "Where each number was read" }
            div.wrap { table {
                thead { tr { th { "" } th { "replica" } th { "log" } th { "HW" } th { "LEO" } } }
                tbody {
                    @for picture in &f.before { (source_row("before", picture)) }
                    @for picture in &f.after { (source_row("after", picture)) }
                }
            } }
        }
    }
}

fn source_row(when: &str, p: &ReplicaPicture) -> Markup {
    html! {
        tr {
            td.mute { (when) }
            td { (text::broker(p.node)) " " (watermark::role(p)) }
            td { @if p.segments_source.is_empty() { "–" } @else { (text::prose(&p.segments_source, &[])) } }
            @for read in [&p.hw, &p.leo] {
                td { @match read { Some(s) => { "@" (s.offset) " " span.mute { (s.source) } }, None => span.mute { "not known" } } }
            }
        }
    }
}
