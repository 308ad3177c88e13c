//! The top of the page: what broke, since when, how much was examined, how to ask again, and how
//! fresh all this is. On a phone it must not need scrolling.

use checkers::Fold;
use chrono::{DateTime, TimeDelta, Utc};
use maud::{Markup, html};

use super::{Page, report, text};
use crate::facts::Cause;
use crate::night::{Entry, Night, Role};
use crate::shown;

/// So many commands stand in the band; all of them in the table of the last night.
const COMMANDS_MAX: usize = 3;

/// What the last night comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing that it says counts.
    Void,
    /// It has no end.
    Torn,
    /// A promise was broken.
    Broken,
    /// A run could not be made, twice.
    Failed,
    /// Something is open.
    Unproven,
    /// All was kept.
    Held,
}

impl Standing {
    /// The first word of the page.
    pub fn word(self) -> &'static str {
        match self {
            Standing::Void => "Void",
            Standing::Torn => "Torn",
            Standing::Broken => "Broken",
            Standing::Failed => "Failed",
            Standing::Unproven => "Unproven",
            Standing::Held => "Held",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Standing::Void => "void",
            Standing::Broken => "broken",
            Standing::Torn | Standing::Failed | Standing::Unproven => "unproven",
            Standing::Held => "held",
        }
    }
}

/// What a night comes to.
pub fn standing(night: &Night) -> Standing {
    let code = night.exit_code();
    if night.void.is_some() {
        Standing::Void
    } else if night.ended.is_none() {
        Standing::Torn
    } else if night.ordinary().any(Entry::broke) {
        Standing::Broken
    } else {
        match code {
            0 => Standing::Held,
            3 => Standing::Failed,
            _ => Standing::Unproven,
        }
    }
}

/// The band.
pub fn band(page: &Page, last: &Night) -> Markup {
    let standing = standing(last);
    let class = standing.class();
    html! {
        header {
            p.over.mute {
                "Tidemark " (last.tidemark) " · lab " b { (last.lab) } " · suite " b { (last.suite) }
                " · Kafka " b { (last.kafka) }
            }
            div class={ "band " (class) "-edge" } {
                h1 { span class={ "word " (class) } { (standing.word()) "." } " " (headline(page, last, standing)) }
                ul.facts {
                    (freshness(last))
                    (controls(last))
                    (amount(last))
                    (next(last))
                }
                (commands(page, last))
                (notices(page, last))
            }
        }
    }
}

/// The night's sentence after its first word, with since when.
fn headline(page: &Page, last: &Night, standing: Standing) -> Markup {
    let broke = last.ordinary().find(|entry| entry.broke());
    let cause = broke.and_then(|entry| Some((entry, entry.judged()?.causes.first()?)));
    match (standing, cause) {
        (Standing::Broken, Some((entry, cause))) => html! {
            code { (entry.plan) } ": " (shown::visible(&cause.title)) ", " (since(page, entry, cause)) "."
            @let others = last.ordinary().filter(|entry| entry.broke()).count() - 1;
            @if others > 0 {
                " " (text::count(others, "other run", "other runs")) " broke promises too."
            }
        },
        _ => {
            let sentence = last.sentence();
            let rest = sentence.split_once(". ").map_or("", |(_, rest)| rest);
            html! { (shown::visible(rest)) }
        }
    }
}

/// Since when a plan has broken for this cause.
fn since(page: &Page, entry: &Entry, cause: &Cause) -> String {
    let with: Vec<usize> = (0..page.nights.len())
        .filter(|&at| {
            let entries = page.nights[at].ordinary();
            let mut same = entries.filter(|it| it.plan == entry.plan && it.broke());
            page.nights[at].void.is_none()
                && same.any(|it| {
                    let facts = it.judged();
                    facts.is_some_and(|facts| facts.causes.iter().any(|it| it.same_as(cause)))
                })
        })
        .collect();
    let Some(&first) = with.first() else {
        return "for the first time".to_owned();
    };
    let nights = page.nights.len() - first;
    if with.len() > 1 {
        let when = text::day(page.nights[first].date);
        let times = text::ordinal(with.len());
        return format!("for the {times} time in {nights} nights (first on {when})");
    }
    let before = page.nights[..first].iter().filter(|night| {
        let mut entries = night.ordinary();
        entries.any(|it| it.plan == entry.plan && it.judged().is_some())
    });
    match before.count() {
        0 => "for the first time, on this plan's first night".to_owned(),
        n => format!(
            "for the first time in {}",
            text::count(n + 1, "night", "nights")
        ),
    }
}

fn freshness(last: &Night) -> Markup {
    html! {
        li {
            "night of " b { (text::day(last.date)) @if last.nth > 1 { " (no. " (last.nth) ")" } }
            @if let Some(ended) = last.ended {
                ", ended " time datetime=(text::machine(ended)) data-age="age" { (text::moment_of(ended, last.date)) }
                " " b #age {}
            } @else {
                ", begun " time datetime=(text::machine(last.started)) data-age="age" { (text::moment(last.started)) }
                " " b #age {} ", " b.broken { "no end" }
            }
        }
    }
}

fn controls(last: &Night) -> Markup {
    let judged = |role: Role| {
        let mut of = last.entries.iter().filter(move |entry| entry.role == role);
        of.find_map(Entry::judged).map(|facts| facts.verdict)
    };
    html! {
        li {
            "canary "
            @match judged(Role::Canary) {
                Some(Fold::Broken) => { b { "convicted" } }
                Some(_) => { b.broken { "not convicted" } }
                None => { b.broken { "not judged" } }
            }
            ", calm run "
            @match judged(Role::Calm) {
                Some(Fold::Held) => { b { "held" } }
                Some(Fold::Broken) => { b.broken { "broken" } }
                Some(Fold::Unproven) => { b.broken { "unproven" } }
                None => { b.broken { "not judged" } }
            }
        }
    }
}

fn amount(last: &Night) -> Markup {
    let judged = last
        .entries
        .iter()
        .filter(|it| it.judged().is_some())
        .count();
    html! {
        li { b { (text::n(last.examined())) } " records examined" }
        li {
            b { (judged) } " of " (text::count(last.entries.len(), "run", "runs")) " judged in "
            (text::minutes(last.taken_s)) " of " (text::minutes(last.budget_s))
        }
    }
}

fn next(last: &Night) -> Markup {
    html! {
        @if let Some(next) = last.next {
            li { "next night " time datetime=(text::machine(next)) data-late=(text::machine(late(last, next))) data-due="stale" { b { (text::moment(next)) } } }
        }
    }
}

/// From when on a night that was due can only have been lost: its budget and an hour later.
fn late(last: &Night, due: DateTime<Utc>) -> DateTime<Utc> {
    let budget = i64::try_from(last.budget_s).unwrap_or(i64::MAX);
    let allowed = TimeDelta::try_seconds(budget.saturating_add(3600));
    let late = allowed.and_then(|allowed| due.checked_add_signed(allowed));
    late.unwrap_or(due)
}

/// What runs again what is not as it should be.
fn commands(page: &Page, last: &Night) -> Markup {
    let control = |entry: &&Entry| match entry.judged() {
        Some(facts) => facts.verdict != entry.wanted(),
        None => true,
    };
    let mut wrong: Vec<&Entry> = if last.void.is_some() {
        let controls = last.entries.iter().filter(|it| it.role != Role::Ordinary);
        controls.filter(control).collect()
    } else {
        last.ordinary().filter(|entry| entry.broke()).collect()
    };
    if wrong.is_empty() {
        let open = |entry: &&Entry| {
            entry.failed_twice() || entry.judged().is_some_and(|it| !it.as_wanted())
        };
        wrong = last.ordinary().filter(open).collect();
    }
    let mut told: Vec<&Entry> = Vec::new();
    for entry in &wrong {
        if told.len() < COMMANDS_MAX && !told.iter().any(|it| alike(it, entry)) {
            told.push(entry);
        }
    }
    html! {
        @for entry in &told {
            p.again {
                code.cmd { (shown::visible(&entry.again)) }
                @if let Some(href) = report(page, entry.run()) { a href=(href) { "report" } }
            }
        }
        @if wrong.len() > told.len() {
            p.again { a href="#runs" { "and " (wrong.len() - told.len()) " more" } }
        }
    }
}

/// Runs of one plan that came to the same: one line repeats both.
fn alike(one: &Entry, other: &Entry) -> bool {
    let cause = |entry: &Entry| {
        entry
            .judged()
            .and_then(|facts| facts.causes.first().cloned())
    };
    one.plan == other.plan
        && match (cause(one), cause(other)) {
            (Some(one), Some(other)) => one.same_as(&other),
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
}

/// What did not run, what changed, and that nothing came after this night although it was due.
fn notices(page: &Page, last: &Night) -> Markup {
    let missing: Vec<(&Entry, &str)> = last
        .entries
        .iter()
        .filter(|entry| entry.judged().is_none())
        .map(|entry| (entry, entry.why().unwrap_or("the night ended before it")))
        .collect();
    html! {
        @if let Some(next) = last.next {
            p.notice.loud #stale hidden {
                b { "This page is old: " } "a night was due " (text::moment(next))
                " and did not come to its end. " code { "tidemark nightly status" }
            }
        }
        @if !missing.is_empty() {
            p.notice {
                b { "Not judged: " }
                @for (i, (entry, why)) in missing.iter().take(COMMANDS_MAX).enumerate() {
                    @if i > 0 { "; " }
                    code { (entry.plan) } " ("
                    @if entry.lab_failures() > 0 { "the lab failed: " }
                    (shown::visible(why)) ")"
                }
                @if missing.len() > COMMANDS_MAX { "; and " (missing.len() - COMMANDS_MAX) " more" }
                "."
            }
        }
        @for (trend, change, point) in super::changes::fresh(page) {
            p.notice {
                b { "Changed: " } code { (trend.series.plan) } ", " (super::changes::name(trend)) ": "
                (super::changes::by(trend, change)) " since " (text::day(point.date)) "."
            }
        }
    }
}
