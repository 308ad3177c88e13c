//! `summary.md`: the report in a screenful, for a pull request or a mail.

use std::fmt::Write as _;

use checkers::Judgement;
use checkers::judgement::{Finding, Guarantee, OutcomeRow, PremiseState, TopicJudgement, Verdict};

use crate::{accounting, contract, findings, text};

/// Findings told in the summary; the rest is counted, the page has all.
const TOLD_MAX: usize = 10;

/// The summary. Writing to a string cannot fail, so results of `write!` are not looked at twice.
pub fn summary(j: &Judgement) -> String {
    let mut out = String::new();
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!("# {}", escaped(&j.sentence)));
    line(String::new());
    line(facts(j));
    line(String::new());
    for notice in notices(j) {
        line(format!("> {notice}\n"));
    }
    if !j.topics.is_empty() {
        line(contract_table(j));
        line("## Accounting\n".to_owned());
        j.topics.iter().for_each(|topic| line(sums(topic)));
        line(String::new());
    }
    if !j.findings.is_empty() {
        line("## Findings\n".to_owned());
        j.findings
            .iter()
            .take(TOLD_MAX)
            .for_each(|f| line(finding(f)));
        if j.findings.len() > TOLD_MAX {
            line(format!(
                "And {} more in report.html.\n",
                text::n((j.findings.len() - TOLD_MAX) as u64)
            ));
        }
    }
    line(format!(
        "Repeat it: `{}`",
        text::repeat(j).replace('`', "'")
    ));
    out
}

fn facts(j: &Judgement) -> String {
    let t = &j.totals;
    format!(
        "Plan {}, run {}, seed {}. Kafka {} on {}; {}, {} proved; {} sends, {} deliveries, {} replica logs; {}.",
        escaped(&j.plan),
        escaped(&j.run),
        j.seed,
        escaped(&j.kafka),
        text::count(t.brokers.into(), "broker", "brokers"),
        text::count(t.faults.into(), "fault", "faults"),
        text::n(t.faults_proved.into()),
        text::n(t.sends),
        text::n(t.deliveries),
        text::n(t.replica_logs.into()),
        t.length,
    )
}

fn notices(j: &Judgement) -> Vec<String> {
    let control = j.expected.map(|e| {
        let met = if e.met {
            "and it did"
        } else {
            "**and it did not**"
        };
        format!("This plan is a control: it must end {}, {met}.", e.wanted)
    });
    let premises = j
        .premises
        .iter()
        .filter_map(|premise| match &premise.state {
            PremiseState::Kept { .. } => None,
            PremiseState::Failed { why } => Some(format!(
                "**Premise not met:** {}. {}",
                escaped(&premise.sentence),
                escaped(why)
            )),
        });
    let imbalance = j.topics.iter().flat_map(|topic| {
        topic.accounting.imbalance.iter().map(|sentence| {
            format!(
                "**Accounting of {} does not balance:** {}",
                escaped(&topic.topic),
                escaped(sentence)
            )
        })
    });
    control
        .into_iter()
        .chain(text::ended(&j.ended).map(|sentence| escaped(&sentence)))
        .chain(premises)
        .chain(imbalance)
        .collect()
}

fn contract_table(j: &Judgement) -> String {
    let mut out = "## Contract\n\n| guarantee |".to_owned();
    for topic in &j.topics {
        let _ = write!(
            out,
            " {} ({}) |",
            escaped(&topic.topic),
            escaped(&topic.settings)
        );
    }
    out += "\n| --- |";
    out += &" --- |".repeat(j.topics.len());
    out.push('\n');
    for row in contract::rows(j) {
        let _ = write!(out, "| {} |", escaped(&row.sentence));
        for topic in &j.topics {
            let judged = contract::named(topic, &row.name);
            let _ = write!(out, " {} |", judged.map_or("not judged".to_owned(), cell));
        }
        out.push('\n');
    }
    out
}

fn cell(guarantee: &Guarantee) -> String {
    match &guarantee.verdict {
        Verdict::Held { examined, unit } => {
            format!("held: {} {}", text::n(*examined), escaped(unit))
        }
        Verdict::Broken {
            observed,
            examined,
            unit,
            ..
        } => format!(
            "**broken: {} of {} {}**",
            text::n(*observed),
            text::n(*examined),
            escaped(unit)
        ),
        Verdict::Unproven { why, .. } => format!("unproven: {}", escaped(why)),
        Verdict::NotPromised {
            observed,
            examined,
            unit,
            ..
        } => format!(
            "not promised: {} seen in {} {}",
            text::n(*observed),
            text::n(*examined),
            escaped(unit)
        ),
    }
}

fn sums(topic: &TopicJudgement) -> String {
    let a = &topic.accounting;
    let rows = [
        ("acknowledged", &a.acknowledged),
        ("failed", &a.failed),
        ("unknown", &a.unknown),
    ];
    let said: Vec<_> = rows
        .into_iter()
        .filter(|(name, row)| *name == "acknowledged" || row.sent > 0)
        .map(|(name, row)| outcome(name, row))
        .collect();
    format!("- {}: {}", escaped(&topic.topic), said.join("; "))
}

fn outcome(name: &str, row: &OutcomeRow) -> String {
    let said: Vec<_> = accounting::parts(row, "")
        .into_iter()
        .map(|part| format!("{} {}", text::n(part.count), part.label))
        .collect();
    let sum = if said.is_empty() {
        "0".to_owned()
    } else {
        said.join(" + ")
    };
    format!("{name} {} = {sum}", text::n(row.sent))
}

fn finding(f: &Finding) -> String {
    let mut out = format!(
        "**{}** {} ({})\n\n",
        f.id,
        escaped(&f.title),
        text::standing(f.standing).0
    );
    for (i, sentence) in f.story.iter().enumerate() {
        let _ = writeln!(out, "{}. {}", i + 1, escaped(&sentence.text));
    }
    if let Some(keep) = &f.would_keep {
        let _ = writeln!(out, "\n{}{}.", findings::remedy(f), escaped(keep));
    }
    out
}

/// Text as Markdown shows it literally, on one line.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text::visible(text).chars() {
        match c {
            '\n' | '\t' => out.push(' '),
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
