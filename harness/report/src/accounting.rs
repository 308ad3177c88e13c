//! Where every record went: bars as wide as their numbers, and the sums in words.

use checkers::Judgement;
use checkers::judgement::{Accounting, OutcomeRow, TopicJudgement, Verdict};
use maud::{Markup, html};

use crate::{contract, text};

/// One part of a sum, as wide in a bar as its count.
pub struct Part {
    /// `lost above the HW`.
    pub label: &'static str,
    /// How many records; never 0.
    pub count: u64,
    /// The colour class.
    class: &'static str,
}

/// The accounting of every topic.
pub fn section(j: &Judgement) -> Markup {
    html! {
        section id="accounting" {
            h2 { "Accounting" }
            @if j.topics.is_empty() { p { "Nothing was sent that could be accounted for." } }
            @for topic in &j.topics { (of_topic(topic)) }
        }
    }
}

fn of_topic(topic: &TopicJudgement) -> Markup {
    let a = &topic.accounting;
    let sent = [a.acknowledged.sent, a.failed.sent, a.unknown.sent]
        .into_iter()
        .fold(0, u64::saturating_add);
    html! {
        div.account {
            p.sum {
                b { code { (topic.topic) } } " " span.mute { (topic.settings) } ": sent " b { (text::n(sent)) }
                " = acknowledged " (text::n(a.acknowledged.sent)) " + failed " (text::n(a.failed.sent))
                " + unknown " (text::n(a.unknown.sent))
            }
            (bar("acknowledged", &a.acknowledged, above_hw_class(topic)))
            @if a.failed.sent > 0 { (bar("failed", &a.failed, "permit")) }
            @if a.unknown.sent > 0 { (bar("unknown", &a.unknown, "permit")) }
            (logs_and_drain(a))
            @for sentence in &a.imbalance {
                p.notice { b { "Does not balance: " } (text::prose(sentence, &[])) }
            }
        }
    }
}

/// The colour of records lost above the HW is that of the verdict on them, which is not ours.
fn above_hw_class(topic: &TopicJudgement) -> &'static str {
    let judged = contract::named(topic, "acked-lost-above-hw");
    match judged.map(|guarantee| &guarantee.verdict) {
        Some(verdict @ Verdict::Broken { .. }) => text::verdict(verdict).1,
        _ => "permit",
    }
}

/// What a row adds up from, without the parts that are 0.
pub fn parts(row: &OutcomeRow, above: &'static str) -> Vec<Part> {
    let part = |label, count, class| Part {
        label,
        count,
        class,
    };
    // What is lost without being split by the watermark belongs to values that were never promised.
    let split = [row.lost_below_hw, row.lost_above_hw, row.lost_undetermined]
        .into_iter()
        .fold(0, u64::saturating_add);
    let mut parts = vec![
        part("in the final log", row.present, "held"),
        part("superseded by compaction", row.superseded, "quiet"),
        part("expired below the log start", row.expired, "quiet"),
        part("lost below the HW", row.lost_below_hw, "broken"),
        part("lost above the HW", row.lost_above_hw, above),
        part("lost, HW undetermined", row.lost_undetermined, "unproven"),
        part(
            "applied, then gone",
            row.lost.saturating_sub(split),
            "unproven",
        ),
        part("never seen in any log", row.never_seen, "quiet"),
    ];
    parts.retain(|part| part.count > 0);
    parts
}

fn bar(outcome: &str, row: &OutcomeRow, above: &'static str) -> Markup {
    let parts = parts(row, above);
    html! {
        @if row.sent > 0 {
            div.bar role="img" aria-label={ "What became of " (row.sent) " records " (outcome) } {
                @for part in &parts {
                    div class={ "part " (part.class) "-fill" } style={ "flex-grow:" (part.count) }
                        title={ (part.label) ": " (text::n(part.count)) } {
                            @if part.count >= row.sent / 5 { (text::n(part.count)) " " (part.label) }
                        }
                }
            }
        }
        p.legend {
            span.outcome { (outcome) " " (text::n(row.sent)) " =" }
            @for (i, part) in parts.iter().enumerate() {
                @if i > 0 { " +" }
                " " span.key { i class={ "swatch " (part.class) "-fill" } {} (text::n(part.count)) " " (part.label) }
            }
            @if parts.is_empty() { " 0" }
        }
    }
}

fn logs_and_drain(a: &Accounting) -> Markup {
    let r = &a.records;
    let d = &a.drain;
    html! {
        p.mute.sum {
            "Final logs: " (text::n(r.data)) " data records = " (text::n(r.present)) " sent by us + "
            (text::n(r.extra_copies)) " further copies + " (text::n(r.phantoms)) " phantoms"
            @if r.control > 0 { ", and " (text::n(r.control)) " control records" }
            ". Drain: read " (text::n(d.delivered)) " of " (text::n(d.expected)) " below the HW, "
            (text::n(d.matching)) " of them equal in offset and value"
            @if d.superseded > 0 { ", " (text::n(d.superseded)) " replaced by compaction since" }
            "."
            @if let Some(c) = &a.committed_drain {
                " Consumers of committed data read " (text::n(c.delivered)) " of " (text::n(c.expected)) ", "
                (text::n(c.matching)) " of them equal; they are not shown " (text::n(c.aborted))
                " of aborted transactions and " (text::n(c.unstable)) " from the first open one on."
            }
        }
    }
}
