//! One row per plan, one cell per night: verdict, how much was examined, seed.

use checkers::Fold;
use maud::{Markup, html};

use super::{Page, RECENT, report, text};
use crate::night::{Entry, Night, Role};
use crate::shown;

/// Both grids: the newest nights, and folded the ones before.
pub fn section(page: &Page) -> Markup {
    let early = page.nights.len().saturating_sub(RECENT);
    let (before, recent) = page.nights.split_at(early);
    let heading = match recent.len() {
        1 => "One night".to_owned(),
        n => format!("{n} nights"),
    };
    html! {
        section #nights {
            h2 { (heading) }
            (table(page, recent))
            (legend())
            @if !before.is_empty() {
                details { summary { (text::count(before.len(), "night", "nights")) " before" } (table(page, before)) }
            }
        }
    }
}

/// A plan in its role.
type Row<'a> = (Role, &'a str);

/// Rows in order: controls first, then as the newest night has them, then what it no longer has.
fn rows(nights: &[Night]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row> = Vec::new();
    for night in nights.iter().rev() {
        for entry in &night.entries {
            let row = (entry.role, entry.plan.as_str());
            if !rows.contains(&row) {
                rows.push(row);
            }
        }
    }
    rows.sort_by_key(|(role, _)| *role);
    rows
}

fn of<'a>(night: &'a Night, row: Row<'a>) -> Vec<&'a Entry> {
    let same = |entry: &&Entry| (entry.role, entry.plan.as_str()) == row;
    night.entries.iter().filter(same).collect()
}

fn table(page: &Page, nights: &[Night]) -> Markup {
    html! {
        div.wrap.latest {
            table.grid {
                thead { tr {
                    th scope="col" { "plan" }
                    @for (at, night) in nights.iter().enumerate() {
                        th scope="col" .void[night.void.is_some()] title=(heading(night)) {
                            @let month = night.date.format("%b").to_string();
                            @if at == 0 || nights[at - 1].date.format("%b").to_string() != month { span.month { (month) } }
                            (night.date.format("%d"))
                            @if night.nth > 1 { "·" (night.nth) }
                            @if night.void.is_some() { span.tag { "void" } }
                            @else if night.ended.is_none() { span.tag { "torn" } }
                        }
                    }
                } }
                tbody {
                    @for row in rows(nights) {
                        tr {
                            th scope="row" { (label(nights, row)) }
                            @for night in nights {
                                td .void[night.void.is_some()] { (cell(page, night, row)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn heading(night: &Night) -> String {
    let void = night.void.as_deref();
    let void = void.map_or(String::new(), |why| {
        format!("; void: {}", shown::visible(why))
    });
    format!(
        "{}, Kafka {}, Tidemark {}{void}",
        night.date, night.kafka, night.tidemark
    )
}

fn label(nights: &[Night], row: Row) -> Markup {
    let last = nights.iter().rev().map(|night| of(night, row));
    let last = last.into_iter().find(|entries| !entries.is_empty());
    let last = last.unwrap_or_default();
    let must_break = row.0 == Role::Ordinary && last.iter().any(|it| it.wanted() == Fold::Broken);
    html! {
        (row.1)
        @match row.0 {
            Role::Canary => { span.mute { " must break" } }
            Role::Calm => { span.mute { " no faults" } }
            Role::Ordinary => {
                @if last.len() > 1 { span.mute { " × " (last.len()) } }
                @if must_break { span.mute { " must break" } }
            }
        }
    }
}

/// How bad a run is; the worst of a cell gives it its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Shade {
    DidNotRun,
    Held,
    Lab,
    Unproven,
    Broken,
}

fn shade(entry: &Entry) -> Shade {
    let Some(facts) = entry.judged() else {
        return match entry.lab_failures() {
            0 => Shade::DidNotRun,
            _ => Shade::Lab,
        };
    };
    if facts.verdict == entry.wanted() {
        return Shade::Held;
    }
    match (facts.verdict, entry.role) {
        // A canary that is not convicted is as loud as a promise that is broken.
        (Fold::Broken, _) | (_, Role::Canary) => Shade::Broken,
        (Fold::Held | Fold::Unproven, _) => Shade::Unproven,
    }
}

fn cell(page: &Page, night: &Night, row: Row) -> Markup {
    let entries = of(night, row);
    let Some(worst) = entries.iter().max_by_key(|entry| shade(entry)) else {
        return html! { span.c.n title="not in this night's suite" { "–" } };
    };
    let shade = shade(worst);
    let like = entries.iter().filter(|it| self::shade(it) == shade).count();
    let judged = entries.iter().filter_map(|entry| entry.judged());
    let examined: u64 = judged.map(|facts| facts.examined).sum();
    let (class, words) = match shade {
        Shade::Held if row.0 == Role::Ordinary && worst.wanted() == Fold::Held => {
            ("h", text::brief(examined))
        }
        Shade::Held => ("h", "✓".to_owned()),
        Shade::Broken if row.0 == Role::Canary => ("b", "✗".to_owned()),
        Shade::Broken => ("b", format!("✗ {like}")),
        Shade::Unproven => ("u", "?".to_owned()),
        Shade::Lab => ("x", "lab".to_owned()),
        Shade::DidNotRun => ("n", "·".to_owned()),
    };
    let retried = entries
        .iter()
        .any(|it| it.judged().is_some() && it.lab_failures() > 0);
    let part =
        shade != Shade::DidNotRun && entries.iter().any(|it| self::shade(it) == Shade::DidNotRun);
    let mut class = format!("c {class}");
    for (mark, set) in [(" again", retried), (" part", part)] {
        if set {
            class.push_str(mark);
        }
    }
    let title = title(night, &entries, worst, examined);
    html! {
        @if let Some(href) = report(page, worst.run()) { a class=(class) href=(href) title=(title) { (words) } }
        @else { span class=(class) title=(title) { (words) } }
    }
}

fn title(night: &Night, entries: &[&Entry], worst: &Entry, examined: u64) -> String {
    let what = match worst.judged() {
        Some(facts) => facts.verdict.to_string().to_lowercase(),
        None => shown::visible(worst.why().unwrap_or("not run")),
    };
    let runs = match entries.len() {
        1 => String::new(),
        n => format!(" (worst of {n} runs)"),
    };
    let retried = match worst.lab_failures() {
        0 => "",
        _ => "; the lab failed under it before",
    };
    format!(
        "{}: {what}{runs}, {} records examined, seed {}{retried}",
        text::day(night.date),
        text::n(examined),
        worst.seed
    )
}

fn legend() -> Markup {
    html! {
        p.legend.mute {
            "Cell: records examined. "
            span.key { span.c.h { "38k" } " as it must be" }
            span.key { span.c.b { "✗ 1" } " runs that broke a promise" }
            span.key { span.c.u { "?" } " unproven" }
            span.key { span.c.x { "lab" } " the lab failed, not Kafka" }
            span.key { span.c.h.again { "40k" } " at the second try" }
            span.key { span.c.h.part { "40k" } " some did not run" }
            span.key { span.c.n { "·" } " did not run" }
            span.key { span.c.n { "–" } " not in the suite" }
        }
    }
}
