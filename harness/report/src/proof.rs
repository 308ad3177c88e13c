//! Faults with the proof of each stage, and every cut of a replica's log with its audit.

use checkers::Judgement;
use checkers::judgement::{FaultFact, Justified, Latency, Sourced, StageFact, TruncationFact};
use history::Mark;
use maud::{Markup, html};

use crate::{findings, text};

/// Faults and their proof.
pub fn faults(j: &Judgement) -> Markup {
    html! {
        section id="faults" {
            h2 { "Faults and their proof (" (text::n(j.faults.len() as u64)) ")" }
            @if j.faults.is_empty() { p { "No fault was injected." } }
            @if let Some(median) = median(j) { p { "From the decision to the fault in force: " (took(&median)) " in the median." } }
            @for fault in &j.faults { (fault_story(fault)) }
        }
    }
}

/// The median of what each bound says, over the faults that took effect.
fn median(j: &Judgement) -> Option<Latency> {
    let middle = |of: fn(&Latency) -> Mark| {
        let mut all: Vec<Mark> = j
            .faults
            .iter()
            .filter_map(|f| f.latency.as_ref())
            .map(of)
            .collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    };
    Some(Latency {
        at_least: middle(|it| it.at_least)?,
        at_most: middle(|it| it.at_most)?,
    })
}

/// `between 3 and 21 ms`.
fn took(latency: &Latency) -> String {
    let millis = |mark: Mark| mark.0 / 1_000_000;
    format!(
        "between {} and {} ms",
        millis(latency.at_least),
        millis(latency.at_most)
    )
}

fn fault_story(f: &FaultFact) -> Markup {
    html! {
        details {
            summary {
                @if f.proved { span class="pill held" { "proved" } } @else { span class="pill unproven" { "not proved" } }
                " "
                @if !f.healed { span class="pill broken" { "heal not proved" } " " }
                (text::prose(&f.sentence, &[]))
            }
            dl id=(f.fault) {
                dt { "asked" } dd { code { (f.asked) } }
                dt { "in force" } dd { (text::when(f.span)) }
                @if let Some(latency) = &f.latency { dt { "took effect" } dd { (took(latency)) " after the decision" } }
                dt { "deed" } dd { (text::prose(&f.deed, &[])) }
                dt { "target" } dd { (text::brokers(&f.nodes)) ": " (text::prose(&f.because, &[])) }
            }
            ol.stages { @for stage in &f.stages { (stage_line(stage)) } }
        }
    }
}

fn stage_line(stage: &StageFact) -> Markup {
    html! {
        li {
            b { (stage.stage) } " " span.mute { (stage.at) }
            @if let Some(evidence) = &stage.evidence { pre { (text::visible(evidence.trim_end())) } }
        }
    }
}

/// Every cut of a replica's log.
pub fn truncations(j: &Judgement) -> Markup {
    html! {
        section id="cuts" {
            h2 { "Cuts of replicas' logs (" (text::n(j.truncations.len() as u64)) ")" }
            @if j.truncations.is_empty() {
                p { "No replica cut its log, as far as the brokers' lines show." }
            } @else {
                details open[j.truncations.len() <= 12] {
                    summary { "Each cut: what it destroyed, and whether it was justified" }
                    div.wrap { table { (cut_head()) tbody { @for cut in &j.truncations { (cut_row(cut)) } } } }
                }
            }
        }
    }
}

fn cut_head() -> Markup {
    html! {
        thead { tr {
            th { "whose log" } th { "when" } th.num { "LEO before" } th.num { "cut to" } th.num { "HW then" }
            th.num { "destroyed" } th.num { "acknowledged" } th.num { "of those lost" } th { "justified" }
        } }
    }
}

fn cut_row(cut: &TruncationFact) -> Markup {
    html! {
        tr {
            td { (text::broker(cut.node)) " " code { (cut.partition) }
                @if let Some(epoch) = cut.epoch { " " span.mute { "for " (epoch) } } }
            td { @match cut.at { Some(at) => (at.from), None => span.mute { "not known" } } }
            td.num { (sourced(cut.leo_before.as_ref())) }
            td.num { "@" (cut.cut_to) }
            td.num { (sourced(cut.hw_then.as_ref())) }
            td.num { @match cut.destroyed { Some(n) => (text::n(n)), None => span.mute { "not known" } } }
            td.num { (text::n(cut.acknowledged_destroyed)) }
            td.num { @if cut.acknowledged_lost > 0 { b { (text::n(cut.acknowledged_lost)) } } @else { "0" } }
            td { (justified(cut)) }
        }
    }
}

fn sourced(offset: Option<&Sourced>) -> Markup {
    html! {
        @match offset {
            Some(s) => span title=(s.source) { "@" (s.offset) },
            None => span.mute { "not known" },
        }
    }
}

fn justified(cut: &TruncationFact) -> Markup {
    let (word, class, why) = match &cut.justified {
        Justified::Yes { why } => ("justified", "held", why),
        Justified::No { why } => ("unjustified", "broken", why),
        Justified::Unknown { why } => ("not shown", "unproven", why),
    };
    html! {
        details.plain {
            summary { span class={ "pill " (class) } { (word) } }
            p { (text::prose(why, &[])) "." }
            @for held in &cut.still_held {
                p.mute { (text::n(held.count)) " still in " code { (held.image) } ", taken until " (held.taken) }
            }
            @if !cut.evidence.is_empty() {
                pre.lines { @for witness in &cut.evidence { span.line { (findings::quoted(witness)) } } }
            }
        }
    }
}
