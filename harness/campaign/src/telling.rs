//! What people are told of a night: summary, JUnit, bodies of webhooks, the text of a mail.
//!
//! Telling has no effect on verdicts, and nothing is told that the night's file does not say. Sending
//! is in `send`.

mod mail;
mod send;

use std::fmt::Write as _;

use checkers::Fold;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};

use crate::error::CampaignError;
use crate::night::{Entry, Night, Outcome, Role};
use crate::shown::one_line;

pub use send::{Patience, Sent, send};

/// So many commands are told; the page has all.
const COMMANDS_MAX: usize = 5;

/// What is told of a night.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    night: &'a Night,
    changes: &'a [String],
    page: Option<&'a str>,
}

impl<'a> Message<'a> {
    /// Of a night; with changes of figures that were called (in sentences), and the address of the
    /// page, where it has one.
    pub fn of(night: &'a Night, changes: &'a [String], page: Option<&'a str>) -> Self {
        Self {
            night,
            changes,
            page,
        }
    }

    /// Whether it is worth somebody's attention: always, unless they want to hear bad news only. A
    /// void night is bad news.
    pub fn worth_telling(&self, only_bad: bool) -> bool {
        !only_bad || self.night.exit_code() != 0
    }

    /// One line for a subject: `Broken: nightly on centos7, 2026-11-22`.
    pub fn subject(&self) -> String {
        let night = self.night;
        let sentence = night.sentence();
        let word = sentence.split('.').next().unwrap_or_default().to_owned();
        one_line(&format!(
            "Tidemark {word}: {} on {}, {}",
            night.suite,
            night.lab,
            night.name()
        ))
    }

    /// Plain text: the sentence, what was done, what to run again.
    pub fn text(&self) -> String {
        let night = self.night;
        let mut out = format!("{}\n{}\n", one_line(&night.sentence()), self.done());
        for entry in self.wrong().iter().take(COMMANDS_MAX) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "Again: {}", one_line(&entry.again));
        }
        for change in self.changes {
            let _ = writeln!(out, "Changed: {}", one_line(change));
        }
        if let Some(next) = night.next {
            let _ = writeln!(out, "Next night: {}", next.format("%Y-%m-%d %H:%M UTC"));
        }
        if let Some(page) = self.page {
            let _ = writeln!(out, "{}", one_line(page));
        }
        out
    }

    /// What was done, in a sentence.
    fn done(&self) -> String {
        let night = self.night;
        let judged = night
            .entries
            .iter()
            .filter(|it| it.judged().is_some())
            .count();
        let failures: usize = night.entries.iter().map(Entry::lab_failures).sum();
        let mut out = format!(
            "Suite {} on lab {}, Kafka {}, night {}: {judged} of {} runs judged in {} of {} min, \
             {} records examined",
            one_line(&night.suite),
            one_line(&night.lab),
            one_line(&night.kafka),
            night.name(),
            night.entries.len(),
            night.taken_s.div_ceil(60),
            night.budget_s / 60,
            checkers::judgement::grouped(night.examined()),
        );
        if failures > 0 {
            let times = if failures == 1 {
                "once"
            } else {
                "more than once"
            };
            let _ = write!(
                out,
                "; the lab failed {times}, which says nothing about Kafka"
            );
        }
        out.push('.');
        out
    }

    /// Runs that did not end as they had to.
    fn wrong(&self) -> Vec<&'a Entry> {
        let wrong = |entry: &&Entry| match entry.judged() {
            Some(facts) => facts.verdict != entry.wanted(),
            None => entry.failed_twice(),
        };
        self.night.entries.iter().filter(wrong).collect()
    }

    /// For a webhook of Slack, of Mattermost, or of Teams' older kind: `{"text": …}`.
    pub fn chat(&self) -> Value {
        json!({ "text": harmless(&self.text()) })
    }

    /// For a webhook that a workflow of Teams made, which takes cards only.
    pub fn card(&self) -> Value {
        let text = harmless(&self.text());
        let blocks: Vec<Value> = text
            .lines()
            .enumerate()
            .map(|(at, line)| {
                json!({
                    "type": "TextBlock",
                    "text": line,
                    "wrap": true,
                    "weight": if at == 0 { "Bolder" } else { "Default" },
                })
            })
            .collect();
        json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.2",
                    "body": blocks,
                },
            }],
        })
    }

    /// For programs: the night's facts, without what only the index needs.
    pub fn generic(&self) -> Value {
        let night = self.night;
        let runs: Vec<Value> = night.entries.iter().map(run).collect();
        json!({
            "format": 1,
            "night": night.name(),
            "suite": night.suite,
            "lab": night.lab,
            "seed": night.seed,
            "exit_code": night.exit_code(),
            "sentence": night.sentence(),
            "void": night.void,
            "started": night.started,
            "ended": night.ended,
            "next": night.next,
            "kafka": night.kafka,
            "tidemark": night.tidemark,
            "examined": night.examined(),
            "changes": self.changes,
            "page": self.page,
            "runs": runs,
        })
    }

    /// `summary.md` for the night.
    pub fn summary(&self) -> String {
        let mut out = format!(
            "# {}\n\n{}\n\n",
            escaped(&self.night.sentence()),
            escaped(&self.done())
        );
        out.push_str("| plan | verdict | examined | again |\n| --- | --- | ---: | --- |\n");
        for entry in &self.night.entries {
            let _ = writeln!(
                out,
                "| {} | {} | {} | `{}` |",
                escaped(&entry.plan),
                escaped(&verdict(entry)),
                entry.judged().map_or(String::new(), |facts| {
                    checkers::judgement::grouped(facts.examined)
                }),
                one_line(&entry.again).replace('`', "'").replace('|', "\\|"),
            );
        }
        let broke = self.night.ordinary().filter(|entry| entry.broke());
        for cause in broke
            .filter_map(Entry::judged)
            .flat_map(|facts| &facts.causes)
        {
            let _ = write!(
                out,
                "\n**{}.** {}\n",
                escaped(&cause.title),
                escaped(&cause.story)
            );
        }
        if !self.changes.is_empty() {
            out.push_str("\n## Changes\n\n");
        }
        for change in self.changes {
            let _ = writeln!(out, "- {}", escaped(change));
        }
        out
    }

    /// `junit.xml` for the night: one case for the night itself, one per run. A lab failure is an
    /// error, a broken promise a failure, what did not run is skipped.
    ///
    /// # Errors
    /// When the XML writer refuses.
    pub fn junit(&self) -> Result<String, CampaignError> {
        let night = self.night;
        let mut suite = TestSuite::new(format!("{} on {}", night.suite, night.lab));
        suite.add_property(("seed", night.seed.to_string().as_str()));
        suite.add_property(("kafka", night.kafka.as_str()));
        suite.add_property(("tidemark", night.tidemark.as_str()));
        suite.set_time(std::time::Duration::from_secs(night.taken_s));
        let status = match night.exit_code() {
            0 => TestCaseStatus::success(),
            1 => refused(NonSuccessKind::Failure, "broken", &night.sentence()),
            2 => refused(NonSuccessKind::Error, "unproven", &night.sentence()),
            _ if night.void.is_some() => refused(NonSuccessKind::Error, "void", &night.sentence()),
            _ => refused(NonSuccessKind::Error, "failed", &night.sentence()),
        };
        let mut case = TestCase::new("night", status);
        case.set_classname(night.suite.clone());
        suite.add_test_case(case);
        for (at, entry) in night.entries.iter().enumerate() {
            let name = format!("{}. {} (seed {})", at + 1, entry.plan, entry.seed);
            let mut case = TestCase::new(name, status_of(entry));
            case.set_classname(format!("{}.{}", night.suite, entry.plan));
            case.set_system_out(format!("repeat it: {}", entry.again));
            suite.add_test_case(case);
        }
        let mut report = Report::new("tidemark nightly");
        report.add_test_suite(suite);
        report.to_string().map_err(|why| CampaignError::Junit {
            night: night.name(),
            why: why.to_string(),
        })
    }
}

fn run(entry: &Entry) -> Value {
    let facts = entry.judged();
    let causes = facts.into_iter().flat_map(|facts| &facts.causes);
    let causes: Vec<&str> = causes.map(|cause| cause.title.as_str()).collect();
    let failures: Vec<&str> = entry
        .attempts
        .iter()
        .filter_map(|attempt| match &attempt.outcome {
            Outcome::LabFailed { why } => Some(why.as_str()),
            Outcome::Judged(_) | Outcome::DidNotRun { .. } => None,
        })
        .collect();
    json!({
        "plan": entry.plan,
        "role": entry.role,
        "seed": entry.seed,
        "run": entry.run(),
        "verdict": facts.map(|facts| facts.verdict),
        "wanted": entry.wanted(),
        "examined": facts.map(|facts| facts.examined),
        "lab_failures": failures,
        "causes": causes,
        "again": entry.again,
    })
}

/// A run's verdict in a few words.
fn verdict(entry: &Entry) -> String {
    match entry.judged() {
        Some(facts) if facts.verdict != entry.wanted() && entry.wanted() != Fold::Held => {
            format!("{}, must be {}", facts.verdict, entry.wanted())
        }
        Some(facts) if entry.wanted() != Fold::Held => format!("{}, as it must", facts.verdict),
        Some(facts) => facts.verdict.to_string(),
        None if entry.lab_failures() > 0 => {
            format!("lab failed: {}", entry.why().unwrap_or_default())
        }
        None => format!(
            "did not run: {}",
            entry.why().unwrap_or("the night ended before it")
        ),
    }
}

fn status_of(entry: &Entry) -> TestCaseStatus {
    let Some(facts) = entry.judged() else {
        if entry.lab_failures() > 0 {
            return refused(
                NonSuccessKind::Error,
                "lab",
                entry.why().unwrap_or_default(),
            );
        }
        let mut status = TestCaseStatus::skipped();
        status.set_message(entry.why().unwrap_or("the night ended before it"));
        return status;
    };
    if facts.verdict == entry.wanted() {
        return TestCaseStatus::success();
    }
    match (entry.role, facts.verdict) {
        (Role::Canary | Role::Calm, _) => {
            refused(NonSuccessKind::Failure, "control", &facts.sentence)
        }
        (Role::Ordinary, Fold::Broken) => {
            refused(NonSuccessKind::Failure, "broken", &facts.sentence)
        }
        (Role::Ordinary, Fold::Held | Fold::Unproven) => {
            refused(NonSuccessKind::Error, "unproven", &facts.sentence)
        }
    }
}

fn refused(kind: NonSuccessKind, word: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(word).set_message(message);
    status
}

/// Text in which no chat sees a mention, a link or a mark-up of its own: all of them want a `<`, an
/// `@` at the start of a word or a back-tick for that.
fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut before = ' ';
    for c in text.chars() {
        match c {
            '<' => out.push('‹'),
            '>' => out.push('›'),
            '`' | '*' => out.push('\''),
            // `@here` calls people; `@8059` is an offset.
            '@' if before.is_whitespace() => out.push_str("@\u{2060}"),
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// Text as Markdown shows it literally, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '|' | '[' | ']' | '#' | '~' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}
