//! The page: what comes in which order. Nothing in it can fetch, run or submit anything.

use checkers::Judgement;
use checkers::judgement::Standing;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    accounting, contract, curves, failover, findings, head, proof, tables, text, timeline,
};

/// Nothing may be fetched, run, embedded or submitted; the page's own style is all there is.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// The style sheet, inlined.
const STYLE: &str = include_str!("style.css");

/// The whole page.
pub fn page(j: &Judgement) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="referrer" content="no-referrer";
                meta name="color-scheme" content="light dark";
                title { "Tidemark: " (text::fold(j.fold).0) ", " (j.plan) " " (j.run) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (curves::hatches())
                main {
                    (head::band(j))
                    (contents(j))
                    (findings::broken(j))
                    (contract::section(j))
                    (accounting::section(j))
                    (timeline::section(j))
                    (failover::section(j))
                    (findings::others(j))
                    (proof::truncations(j))
                    (tables::availability(j))
                    (proof::faults(j))
                    (tables::limits(j))
                    (tables::settings(j))
                    footer.mute {
                        "Judged from files alone; " code { "tidemark check" }
                        " on this directory gives the same verdict again."
                    }
                }
            }
        }
    }
}

/// One line of links, with how much stands behind each.
fn contents(j: &Judgement) -> Markup {
    let broken = j
        .findings
        .iter()
        .filter(|f| f.standing == Standing::Broken)
        .count();
    let entries = [
        ("contract", "contract", None),
        ("accounting", "accounting", None),
        ("timeline", "timeline", None),
        ("failovers", "fail-overs", Some(j.failovers.len())),
        (
            "findings",
            "other findings",
            Some(j.findings.len() - broken),
        ),
        ("cuts", "cuts", Some(j.truncations.len())),
        ("availability", "availability", None),
        ("faults", "faults", Some(j.faults.len())),
        ("limits", "limits", Some(j.limits.len())),
        ("settings", "settings", None),
    ];
    html! {
        nav aria-label="Contents" {
            @if broken > 0 { a.broken href="#broken" { b { "broken " (text::n(broken as u64)) } } }
            @for (id, name, count) in entries {
                a href={ "#" (id) } { (name) @if let Some(count) = count { " " span.mute { (text::n(count as u64)) } } }
            }
        }
    }
}
