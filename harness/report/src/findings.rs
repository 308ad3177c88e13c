//! Findings as short stories, each with its evidence. Broken ones come before everything else.

use checkers::Judgement;
use checkers::judgement::{Class, Finding, OpWitness, Standing, StorySentence, Witness};
use maud::{Markup, html};

use crate::text;

/// Findings that stand open when the page is opened.
const OPEN_MAX: usize = 3;

/// After so many findings the rest waits behind one more click.
const SHOWN_MAX: usize = 20;

/// The findings that broke a promise, right below the verdict; nothing where there are none.
pub fn broken(j: &Judgement) -> Markup {
    let broken = of(j, true);
    html! {
        @if !broken.is_empty() {
            section id="broken" {
                h2.broken { "What broke (" (text::n(broken.len() as u64)) ")" }
                (list(j, &broken))
            }
        }
    }
}

/// All other findings.
pub fn others(j: &Judgement) -> Markup {
    let others = of(j, false);
    html! {
        section id="findings" {
            h2 { "Findings" @if !others.is_empty() { " (" (text::n(others.len() as u64)) ")" } }
            @if j.findings.is_empty() {
                p { "Nothing was found: no record was lost, doubled or changed, as far as was examined above." }
            } @else if others.is_empty() {
                p { "All findings broke a promise; they stand " a href="#broken" { "above" } "." }
            }
            (list(j, &others))
        }
    }
}

fn of(j: &Judgement, broken: bool) -> Vec<&Finding> {
    j.findings
        .iter()
        .filter(|finding| (finding.standing == Standing::Broken) == broken)
        .collect()
}

fn list(j: &Judgement, findings: &[&Finding]) -> Markup {
    let shown = findings.len().min(SHOWN_MAX);
    html! {
        @for (i, finding) in findings[..shown].iter().enumerate() { (story(j, finding, i < OPEN_MAX)) }
        @if findings.len() > shown {
            details.more {
                summary { (text::n((findings.len() - shown) as u64)) " more findings" }
                @for finding in &findings[shown..] { (story(j, finding, false)) }
            }
        }
    }
}

fn story(j: &Judgement, f: &Finding, open: bool) -> Markup {
    let (word, class) = text::standing(f.standing);
    let topics = text::topics(j);
    html! {
        details class={ "finding " (class) "-edge" } open[open] {
            summary {
                span class={ "pill " (class) } { (word) } " "
                span.title { (text::prose(&f.title, &topics)) }
            }
            // The anchor lies inside, so that following a link opens the story.
            div.inside id=(f.id) {
                p.mute.under {
                    b { (f.id) } " · " code { (f.guarantee) } " · " code { (f.topic) }
                    @if let Some(offsets) = f.offsets { " · " (text::offsets(offsets)) }
                    @if let Some(cause) = text::class(f.class) {
                        " · " @if f.class == Class::Unexplained { b.broken { (cause) } } @else { (cause) }
                    }
                }
                ol.story { @for sentence in &f.story { (told(f, sentence, &topics)) } }
                (evidence(f))
                (ends(f))
            }
        }
    }
}

fn told(f: &Finding, sentence: &StorySentence, topics: &[&str]) -> Markup {
    html! {
        li {
            (text::prose(&sentence.text, topics))
            @for position in &sentence.evidence {
                @if (*position as usize) < f.evidence.len() {
                    " " a.ref href={ "#" (f.id) "-" (position + 1) } { "[" (position + 1) "]" }
                }
            }
            @if let Some(missing) = &sentence.missing {
                " " span.unproven { "No evidence of this step; it would take " (text::prose(missing, topics)) "." }
            }
        }
    }
}

fn evidence(f: &Finding) -> Markup {
    html! {
        @if !f.evidence.is_empty() {
            pre.lines {
                @for (i, witness) in f.evidence.iter().enumerate() {
                    span.line id={ (f.id) "-" (i + 1) } {
                        span.ref { "[" (i + 1) "] " } (quoted(witness))
                    }
                }
            }
        }
    }
}

/// One witness: whose file and line, when, and its text verbatim.
pub fn quoted(witness: &Witness) -> Markup {
    let place = match witness.line {
        Some(line) => format!("{}:{line}", witness.source),
        None => witness.source.clone(),
    };
    // Every file of a node lies under the node's name; saying it twice only widens the line.
    let short = witness.node.and_then(|node| {
        place
            .strip_prefix(&format!("nodes/{node}/"))
            .map(str::to_owned)
    });
    html! {
        @if let Some(node) = witness.node { (text::broker(node)) " " }
        @match text::link(&witness.source) {
            Some(href) => a href=(href) { (short.as_ref().unwrap_or(&place)) },
            None => (short.as_ref().unwrap_or(&place)),
        }
        @if let Some(at) = witness.at { span.mute { "  " (at.from) } }
        "  " (text::visible(witness.text.trim_end()))
    }
}

fn ends(f: &Finding) -> Markup {
    html! {
        ul.ends {
            @match (&f.first, &f.last) {
                (Some(first), Some(last)) if first.op != last.op => {
                    li { "First: " (operation(first)) }
                    li { "Last: " (operation(last)) }
                }
                (Some(only), _) | (None, Some(only)) => li { "The operation: " (operation(only)) },
                (None, None) => {}
            }
            @for held in &f.still_held {
                li {
                    b { (text::n(held.count)) } @if held.count == 1 { " still stands in " } @else { " still stand in " }
                    @match text::link(&held.image) {
                        Some(href) => a href=(href) { code { (held.image) } },
                        None => code { (held.image) },
                    }
                    ", the image of " (text::broker(held.node)) " taken until " (held.taken) "."
                }
            }
            @if let Some(nowhere) = f.held_nowhere {
                @if nowhere > 0 { li { b { (text::n(nowhere)) } @if nowhere == 1 { " stands in no image." } @else { " stand in no image." } } }
            }
            @if let Some(keep) = &f.would_keep {
                li { (remedy(f)) b { (text::prose(keep, &[])) } "." }
            }
        }
    }
}

/// What the setting that is named would do: only records that are gone can be kept.
pub fn remedy(f: &Finding) -> &'static str {
    if f.guarantee.contains("lost") || f.guarantee == "read-then-vanished" {
        "What would keep them: "
    } else {
        "What would avoid it: "
    }
}

fn operation(op: &OpWitness) -> Markup {
    html! {
        (op.op) " of " (op.client)
        @if let Some(value) = op.value { ", " (value) }
        @if let Some(offset) = op.offset { ", @" (offset) }
        ", invoked " (op.invoked)
        @match op.returned { Some(returned) => { ", returned " (returned) }, None => ", never returned" }
    }
}
