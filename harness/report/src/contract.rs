//! What was promised and what was kept: guarantees as rows, topics as columns.

use std::collections::BTreeSet;

use checkers::Judgement;
use checkers::judgement::{FindingId, Group, Guarantee, TopicJudgement, Verdict};
use maud::{Markup, html};

use crate::text;

/// So many findings are linked from one cell; the rest is counted.
const LINKS_MAX: usize = 4;

/// The contract, broken rows first, and below it in words what each topic's settings promise.
pub fn section(j: &Judgement) -> Markup {
    html! {
        section id="contract" {
            h2 { "What was promised, and what was kept" }
            @if j.topics.is_empty() {
                p { "No topic was judged: the evidence names none." }
            } @else {
                (table(j))
                @for topic in &j.topics { (happened(topic)) (clauses(topic)) }
            }
        }
    }
}

fn table(j: &Judgement) -> Markup {
    let rows = rows(j);
    let broken: Vec<_> = rows.iter().filter(|row| is_broken(j, row)).collect();
    let rest: Vec<_> = rows.iter().filter(|row| !is_broken(j, row)).collect();
    html! {
        div.wrap {
            table.contract {
                thead { tr {
                    th { "guarantee" }
                    @for topic in &j.topics { th { code { (topic.topic) } " " span.mute { (topic.settings) } } }
                } }
                @if !broken.is_empty() {
                    tbody.loud {
                        (group_row("broken", j.topics.len()))
                        @for row in &broken { (guarantee_row(j, row)) }
                    }
                }
                @for group in groups(&rest) {
                    tbody {
                        (group_row(group_name(group), j.topics.len()))
                        @for row in rest.iter().filter(|row| row.group == group) { (guarantee_row(j, row)) }
                    }
                }
            }
        }
    }
}

/// Guarantees in the order of the first topic that has them.
pub fn rows(j: &Judgement) -> Vec<&Guarantee> {
    let mut seen = BTreeSet::new();
    j.topics
        .iter()
        .flat_map(|topic| &topic.guarantees)
        .filter(|guarantee| seen.insert(guarantee.name.as_str()))
        .collect()
}

fn groups(rows: &[&&Guarantee]) -> BTreeSet<Group> {
    rows.iter().map(|row| row.group).collect()
}

/// What a topic's verdict on a guarantee is, where it was judged.
pub fn named<'a>(topic: &'a TopicJudgement, name: &str) -> Option<&'a Guarantee> {
    topic
        .guarantees
        .iter()
        .find(|guarantee| guarantee.name == name)
}

fn is_broken(j: &Judgement, row: &Guarantee) -> bool {
    j.topics
        .iter()
        .filter_map(|topic| named(topic, &row.name))
        .any(|guarantee| matches!(guarantee.verdict, Verdict::Broken { .. }))
}

fn group_name(group: Group) -> &'static str {
    match group {
        Group::Loss => "loss",
        Group::Order => "copies and order",
        Group::Replicas => "agreement of replicas",
        Group::Watermarks => "high watermarks and cuts",
        Group::Records => "records",
        Group::Liveness => "service and recovery",
    }
}

fn group_row(name: &str, topics: usize) -> Markup {
    html! { tr.group { th colspan=(topics + 1) scope="colgroup" { (name) } } }
}

fn guarantee_row(j: &Judgement, row: &Guarantee) -> Markup {
    html! {
        tr {
            th scope="row" { (text::prose(&row.sentence, &[])) " " code.name { (row.name) } }
            @for topic in &j.topics {
                td data-topic=(topic.topic) {
                    @match named(topic, &row.name) {
                        Some(guarantee) => (cell(&guarantee.verdict)),
                        None => span.mute { "not judged" },
                    }
                }
            }
        }
    }
}

fn cell(verdict: &Verdict) -> Markup {
    let (word, class) = text::verdict(verdict);
    html! {
        span class={ "pill " (class) } { (word) } " "
        @match verdict {
            Verdict::Held { examined, unit } => { (text::n(*examined)) " " (text::prose(unit, &[])) },
            Verdict::Broken { findings, observed, examined, unit } => {
                b.broken { (text::n(*observed)) } " of " (text::n(*examined)) " " (text::prose(unit, &[])) (links(findings))
            },
            Verdict::Unproven { why, findings } => { (text::prose(why, &[])) (links(findings)) },
            Verdict::NotPromised { why, observed, examined, unit, findings } => {
                @if *observed > 0 { b { (text::n(*observed)) " seen" } } @else { "0 seen" }
                " in " (text::n(*examined)) " " (text::prose(unit, &[])) (links(findings))
                small.why { (text::prose(why, &[])) }
            },
        }
    }
}

/// Links to findings: ` l1, l4 and 12 more`.
pub fn links(findings: &[FindingId]) -> Markup {
    html! {
        @for (i, id) in findings.iter().take(LINKS_MAX).enumerate() {
            @if i == 0 { ": " } @else { ", " }
            a href={ "#" (id) } { (id) }
        }
        @if findings.len() > LINKS_MAX {
            " and " a href="#findings" { (text::n((findings.len() - LINKS_MAX) as u64)) " more" }
        }
    }
}

/// Which of the conditions that a contract names came about.
fn happened(topic: &TopicJudgement) -> Markup {
    html! {
        @if !topic.happened.is_empty() {
            p { b { code { (topic.topic) } } ": "
                @for sentence in &topic.happened { (text::prose(sentence, &[])) " " }
            }
        }
    }
}

fn clauses(topic: &TopicJudgement) -> Markup {
    html! {
        @if !topic.contract.is_empty() {
            details {
                summary { "What " code { (topic.topic) } " promises with " (topic.settings) }
                ul.clauses {
                    @for clause in &topic.contract {
                        li {
                            @if clause.promised { span class="pill held" { "promised" } }
                            @else { span class="pill permit" { "not promised" } }
                            " " @if !clause.by.is_empty() { "to " (clause.by.join(", ")) ": " }
                            (text::prose(&clause.what, &[])) ": " (text::prose(&clause.why, &[])) "."
                            @if let Some(unless) = &clause.unless {
                                " " span.mute { "Unless " (text::prose(unless, &[])) "." }
                            }
                            @if let Some(change) = &clause.would_change {
                                " " span.mute { "What would change that: " (text::prose(change, &[])) "." }
                            }
                        }
                    }
                }
            }
        }
    }
}
