//! The harness itself: the last night run by run, its faults with their proofs, what the lab did to
//! it, and the room that is left.

use checkers::Fold;
use maud::{Markup, html};

use super::{Page, report, text};
use crate::index::State;
use crate::night::{Entry, Night, Outcome};
use crate::shown;

/// So many oddities are told.
const ODD_MAX: usize = 6;

/// Both sections.
pub fn section(page: &Page, last: &Night) -> Markup {
    html! {
        section #runs {
            h2 { "The last night, run by run" }
            div.wrap { table.runs {
                thead { tr { th { "plan" } th { "verdict" } th.num { "examined" } th.num { "faults" } th { "again" } } }
                tbody { @for entry in &last.entries { (run(page, entry)) } }
            } }
        }
        section #harness {
            h2 { "The harness itself" }
            div.wrap { table { tbody {
                (faults(last))
                (failures(last))
                (missing(last))
                (space(page))
                @for sentence in page.unread {
                    tr { th scope="row" { "not read" } td {} td.mute { (shown::visible(sentence)) } }
                }
            } } }
        }
    }
}

fn run(page: &Page, entry: &Entry) -> Markup {
    let facts = entry.judged();
    html! {
        tr {
            td { (entry.plan) @if let Some(href) = report(page, entry.run()) { " " a href=(href) { "report" } } }
            td { (verdict(entry)) }
            td.num { @if let Some(facts) = facts { (text::n(facts.examined)) } }
            td.num { @if let Some(facts) = facts { (facts.proved) " of " (facts.faults) } }
            td { code.cmd { (shown::visible(&entry.again)) } }
        }
    }
}

fn verdict(entry: &Entry) -> Markup {
    let Some(facts) = entry.judged() else {
        return match entry.lab_failures() {
            0 => html! { span.mute { "did not run" } },
            n => html! { span.unproven { "lab failed" @if n > 1 { " " (n) " times" } } },
        };
    };
    let class = match facts.verdict {
        _ if facts.verdict == entry.wanted() => "held",
        Fold::Broken => "broken",
        Fold::Held | Fold::Unproven => "unproven",
    };
    html! {
        b class=(class) { (facts.verdict) }
        @if entry.wanted() != Fold::Held {
            @if facts.verdict == entry.wanted() { span.mute { ", as it must" } }
            @else { ", must be " (entry.wanted()) }
        }
    }
}

fn faults(last: &Night) -> Markup {
    let judged: Vec<_> = last.entries.iter().filter_map(Entry::judged).collect();
    let sum = |of: fn(&crate::facts::Facts) -> u32| -> u64 {
        judged.iter().map(|facts| u64::from(of(facts))).sum()
    };
    let odd: Vec<&str> = judged
        .iter()
        .flat_map(|it| &it.odd)
        .map(String::as_str)
        .collect();
    html! {
        tr {
            th scope="row" { "faults begun / proved / healed with proof" }
            td.num { (text::n(sum(|it| it.faults))) " / " (text::n(sum(|it| it.proved))) " / " (text::n(sum(|it| it.healed))) }
            td.mute {
                @for sentence in odd.iter().take(ODD_MAX) { div { (shown::visible(sentence)) } }
                @if odd.len() > ODD_MAX { div { "and " (odd.len() - ODD_MAX) " more" } }
            }
        }
    }
}

fn failures(last: &Night) -> Markup {
    let attempts = last.entries.iter().flat_map(|entry| {
        let attempts = entry.attempts.iter();
        attempts.map(move |attempt| (entry, attempt))
    });
    let failed: Vec<(&Entry, &str)> = attempts
        .filter_map(|(entry, attempt)| match &attempt.outcome {
            Outcome::LabFailed { why } => Some((entry, why.as_str())),
            Outcome::Judged(_) | Outcome::DidNotRun { .. } => None,
        })
        .collect();
    html! {
        tr {
            th scope="row" { "lab failures, each retried once" }
            td.num { (failed.len()) }
            td.mute {
                @for (entry, why) in failed.iter().take(ODD_MAX) {
                    div {
                        code { (entry.plan) } ": " (shown::visible(why))
                        @if entry.judged().is_some() { " (the second try was judged)" }
                    }
                }
            }
        }
    }
}

fn missing(last: &Night) -> Markup {
    let waiting = |entry: &&Entry| entry.judged().is_none() && entry.lab_failures() == 0;
    let missing: Vec<&Entry> = last.entries.iter().filter(waiting).collect();
    html! {
        tr {
            th scope="row" { "did not run" }
            td.num { (missing.len()) }
            td.mute {
                @for entry in missing.iter().take(ODD_MAX) {
                    div { code { (entry.plan) } ": " (shown::visible(entry.why().unwrap_or("the night ended before it"))) }
                }
            }
        }
    }
}

fn space(page: &Page) -> Markup {
    let mut whole = page
        .runs
        .iter()
        .filter(|(_, kept)| kept.state == State::Whole);
    let oldest = whole.next();
    let thinned = page
        .runs
        .values()
        .filter(|kept| kept.state == State::Thinned);
    let thinned = thinned.count();
    html! {
        @if let Some(space) = page.space {
            tr {
                th scope="row" { "space" }
                td.num { (text::bytes(space.used)) " used, " (text::bytes(space.free)) " free" }
                td.mute {
                    @if let Some((name, kept)) = oldest {
                        "oldest kept whole: " (name.get(..10).unwrap_or(name)) " ("
                        (kept.verdict.to_string().to_lowercase()) ")"
                    }
                    @if thinned > 0 { "; " (text::count(thinned, "run", "runs")) " thinned to verdict and report" }
                }
            }
        }
    }
}
