//! Service around faults, premises and limits, settings and phases.

use checkers::Judgement;
use checkers::judgement::{AvailabilityFact, Gap, Premise, PremiseState, TimeSpan};
use maud::{Markup, html};

use crate::text;

/// How long clients were without service, per partition and fault.
pub fn availability(j: &Judgement) -> Markup {
    html! {
        section id="availability" {
            h2 { "Availability" }
            @if j.availability.is_empty() {
                p { "No fault was in force, so there is no outage to measure." }
            } @else {
                div.wrap { table {
                    thead { tr {
                        th { "partition" } th { "fault" } th { "in force" } th.num { "longest without a send" }
                        th.num { "without a delivery" } th.num { "to a new leader" } th.num { "to first success" }
                        th.num { "heal to full ISR" }
                    } }
                    tbody { @for fact in &j.availability { (outage(fact)) } }
                } }
                p.mute { "Gaps are measured from the proof of the fault until the cluster had settled, of sends with acks=all, and of others apart; one to the end never closed; a dash: did not occur or was not seen." }
            }
        }
    }
}

fn outage(fact: &AvailabilityFact) -> Markup {
    html! {
        tr {
            td { code { (fact.partition) } }
            td { a href={ "#" (fact.fault) } { (fact.fault) } }
            td { (text::when(fact.fault_span)) }
            td.num { (by_acks(fact.send_gap.map(gap), fact.other_send_gap.map(gap))) }
            td.num { (by_acks(fact.delivery_gap.map(gap), None)) }
            td.num { (duration(fact.to_new_leader)) }
            td.num { (by_acks(success(fact.to_first_success), success(fact.other_to_first_success))) }
            td.num { (duration(fact.to_full_isr)) }
        }
    }
}

/// What was seen of sends that wait for all in-sync replicas, then what of the others.
fn by_acks(all: Option<Markup>, others: Option<Markup>) -> Markup {
    html! {
        @if all.is_none() && others.is_none() { "–" }
        @if let Some(all) = all { (all) }
        @if let Some(others) = others { div { small.mute { "acks=0, 1: " } (others) } }
    }
}

fn gap(gap: Gap) -> Markup {
    let span = TimeSpan {
        from: gap.from,
        to: gap.to,
    };
    html! {
        b { (text::length(span)) }
        small.why { "from " (gap.from) @if gap.open { " to the end" } }
    }
}

fn success(nanos: Option<u64>) -> Option<Markup> {
    nanos.map(|nanos| html! { (text::nanos(nanos)) })
}

fn duration(nanos: Option<u64>) -> String {
    nanos.map_or_else(|| "–".to_owned(), text::nanos)
}

/// What the conclusions rest on, and what could not be seen.
pub fn limits(j: &Judgement) -> Markup {
    let failed = |p: &&Premise| matches!(p.state, PremiseState::Failed { .. });
    let (bad, good): (Vec<_>, Vec<_>) = j.premises.iter().partition(failed);
    html! {
        section id="limits" {
            h2 { "What this rests on, and what could not be seen" }
            @if j.premises.is_empty() { p { "No premise was recorded." } }
            ul.premises {
                @for premise in bad.into_iter().chain(good) { (premise_line(premise)) }
            }
            @if j.limits.is_empty() {
                p.mute { "No further limit was noted." }
            } @else {
                h3 { "What could not be seen" }
                ul { @for limit in &j.limits { li { (text::prose(limit, &[])) } } }
            }
        }
    }
}

fn premise_line(premise: &Premise) -> Markup {
    html! {
        li {
            @match &premise.state {
                PremiseState::Kept { examined, unit } => {
                    span class="pill held" { "met" } " " (text::prose(&premise.sentence, &[]))
                    " " span.mute { (text::n(*examined)) " " (unit) " examined" }
                },
                PremiseState::Failed { why } => {
                    span class="pill broken" { "not met" } " " (text::prose(&premise.sentence, &[]))
                    ": " (text::prose(why, &[])) ". Conclusions from absence that rest on it are void."
                },
            }
            " " code.name { (premise.name) }
        }
    }
}

/// Settings, versions, phases, and where the raw files lie.
pub fn settings(j: &Judgement) -> Markup {
    html! {
        section id="settings" {
            h2 { "Settings, versions, phases" }
            details {
                summary { "Kafka " (j.kafka) ", rules version " (j.rules_version) ", seed " (j.seed) ", "
                    (text::count(j.phases.len() as u64, "phase", "phases")) }
                dl {
                    @for topic in &j.topics { dt { code { (topic.topic) } } dd { (topic.settings) } }
                    dt { "brokers" } dd { (text::n(j.totals.brokers.into())) }
                    dt { "plan" } dd { a href="plan.toml" { "plan.toml" } ", drawn with seed " (j.seed) " as "
                        a href="schedule.toml" { "schedule.toml" } }
                    dt { "found" } dd { a href="setting.json" { "setting.json" }
                        ": effective broker, topic and client settings, versions, hosts, clock offsets" }
                    dt { "brokers' files" } dd { a href="nodes/" { "nodes/" } ": configuration and logs, verbatim; "
                        a href="images/" { "images/" } ": replica images" }
                    dt { "verdict" } dd { a href="verdict.json" { "verdict.json" } ", made by rules version " (j.rules_version) }
                }
                div.wrap { table {
                    thead { tr { th { "phase" } th.num { "from" } th.num { "to" } th.num { "took" } } }
                    tbody { @for phase in &j.phases { tr {
                        td { (phase.phase) } td.num { (phase.span.from) } td.num { (phase.span.to) }
                        td.num { (text::length(phase.span)) }
                    } } }
                } }
            }
        }
    }
}
