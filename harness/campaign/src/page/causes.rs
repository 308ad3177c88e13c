//! What broke promises, grouped: one entry per plan, guarantee, class of cause and kind of fault.

use maud::{Markup, html};

use super::{Page, report, text};
use crate::facts::Cause;
use crate::night::{Entry, Night};
use crate::shown;

/// So many reports are linked from a cause.
const LINKS_MAX: usize = 8;

struct Group<'a> {
    plan: &'a str,
    cause: &'a Cause,
    /// Nights by position, each with a run; newest last.
    seen: Vec<(usize, &'a Entry)>,
}

fn groups<'a>(page: &'a Page) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    for (at, night) in page.nights.iter().enumerate() {
        if night.void.is_some() {
            continue;
        }
        for entry in night.ordinary().filter(|entry| entry.broke()) {
            for cause in entry.judged().into_iter().flat_map(|facts| &facts.causes) {
                let same = |it: &&mut Group| it.plan == entry.plan && it.cause.same_as(cause);
                match groups.iter_mut().find(same) {
                    Some(group) => {
                        group.seen.push((at, entry));
                        group.cause = cause;
                    }
                    None => groups.push(Group {
                        plan: &entry.plan,
                        cause,
                        seen: vec![(at, entry)],
                    }),
                }
            }
        }
    }
    // The newest first; among those of one night, the one that came oftest.
    groups.sort_by_key(|group| {
        let newest = group.seen.last().map(|(at, _)| *at);
        std::cmp::Reverse((newest, group.seen.len()))
    });
    groups
}

/// The section; left out while nothing broke.
pub fn section(page: &Page) -> Markup {
    let groups = groups(page);
    html! {
        @if !groups.is_empty() {
            section #broken {
                h2 { "Broken, grouped by cause" }
                @for group in &groups { (one(page, group)) }
            }
        }
    }
}

fn one(page: &Page, group: &Group) -> Markup {
    let cause = group.cause;
    let in_last = group
        .seen
        .last()
        .is_some_and(|(at, _)| at + 1 == page.nights.len());
    let newest = group.seen.last().map(|(_, entry)| *entry);
    html! {
        details.finding.broken-edge open[in_last] {
            summary {
                code { (group.plan) } ": " (cause.guarantee) ", " (cause.topic)
                @if let Some(fault) = &cause.fault { " after " (fault) }
                ", " (days(page.nights, &group.seen)) " "
                span.pill.broken { (text::count(group.seen.len(), "run", "runs")) ", 1 cause" }
            }
            p { b { (shown::visible(&cause.title)) "." } " " (shown::visible(&cause.story)) }
            p.under.mute {
                @if cause.class != "plain" { "Class: " (cause.class) ". " }
                (came_with(page.nights, &group.seen))
            }
            @if let Some(entry) = newest { p.again { code.cmd { (shown::visible(&entry.again)) } } }
            p.under {
                @let links = links(page, group);
                @for (i, (day, href)) in links.iter().enumerate() {
                    @if i > 0 { " · " }
                    a href=(href) { "report of " (day) }
                }
                @if links.is_empty() { span.mute { "No report is kept." } }
            }
        }
    }
}

/// `20 and 22 Nov`, or how often between which days.
fn days(nights: &[Night], seen: &[(usize, &Entry)]) -> String {
    let mut at: Vec<usize> = seen.iter().map(|(at, _)| *at).collect();
    at.dedup();
    let day = |at: &usize| text::day(nights[*at].date);
    match at.as_slice() {
        [] => String::new(),
        [one] => day(one),
        [one, two] => format!("{} and {}", day(one), day(two)),
        [first, .., last] => format!("{} nights from {} to {}", at.len(), day(first), day(last)),
    }
}

/// Whether a version came in with the first night of it.
fn came_with(nights: &[Night], seen: &[(usize, &Entry)]) -> String {
    let Some(&(first, entry)) = seen.first() else {
        return String::new();
    };
    let with_plan = |night: &&Night| night.ordinary().any(|it| it.plan == entry.plan);
    let Some(before) = nights[..first].iter().rfind(with_plan) else {
        return "No night of this page came before it.".to_owned();
    };
    let now = &nights[first];
    let mut new = Vec::new();
    if before.kafka != now.kafka {
        new.push(format!("Kafka {}", now.kafka));
    }
    if before.tidemark != now.tidemark {
        new.push(format!("Tidemark {}", now.tidemark));
    }
    match new.is_empty() {
        true => "No version had changed when it was first seen.".to_owned(),
        false => format!(
            "First seen on the night that {} came in.",
            new.join(" and ")
        ),
    }
}

fn links(page: &Page, group: &Group) -> Vec<(String, String)> {
    let newest = group.seen.iter().rev();
    let links = newest.filter_map(|(at, entry)| {
        let href = report(page, entry.run())?;
        Some((text::day(page.nights[*at].date), href))
    });
    links.take(LINKS_MAX).collect()
}
