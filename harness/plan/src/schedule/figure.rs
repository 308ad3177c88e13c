//! A schedule as a figure in text: a time axis, and a bar for as long as each fault is held.
//!
//! Times are as planned. How long a heal takes or a condition is waited for is not known before the
//! run, so what follows such a wait is drawn at the earliest, and marked.

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::Schedule;
use crate::model::{Action, Step, When};

/// Columns of the narrowest and of the widest axis.
const AXIS: (usize, usize) = (20, 100);
/// Columns from one mark of the axis to the next, at least.
const MARK_COLUMNS: u64 = 8;
/// Seconds between two marks.
const MARK_EVERY: [u64; 14] = [
    1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 1_200, 3_600, 14_400,
];

const HELD: char = '█';
const HELD_AT_THE_EARLIEST: char = '░';
const MOMENT: char = '·';

impl Schedule {
    /// The schedule as a figure: one row a step, with a bar while a fault is held, and the step in
    /// words at the right. The axis takes half of the width, in columns; words are never cut short.
    pub fn figure(&self, width: usize) -> String {
        let mut out = String::new();
        self.draw_figure(&mut out, width)
            .unwrap_or_else(|_| unreachable!("writing into a string cannot fail"));
        out
    }

    fn draw_figure(&self, out: &mut String, width: usize) -> fmt::Result {
        let spans = spans(&self.steps);
        let Some(end) = spans.iter().map(|span| span.until).max() else {
            return Ok(());
        };
        let scale = Scale {
            columns: (width / 2).clamp(AXIS.0, AXIS.1),
            end: end.max(Duration::from_secs(1)),
        };
        let number = self.steps.len().to_string().len();
        let (labels, marks) = scale.axis();
        writeln!(out, "{:number$}  {labels}", "")?;
        writeln!(out, "{:number$}  {marks}", "")?;
        for (index, (step, span)) in self.steps.iter().zip(&spans).enumerate() {
            let bar = scale.bar(span);
            writeln!(out, "{:>number$}  {bar}  {step}", index + 1)?;
        }
        if spans.iter().any(|span| !span.sure) {
            writeln!(
                out,
                "{:number$}  {HELD_AT_THE_EARLIEST} at the earliest: a step before it waits for \
                 something",
                ""
            )?;
        }
        Ok(())
    }
}

/// When a step is in force.
struct Span {
    from: Duration,
    until: Duration,
    /// A fault, which is shown as a bar.
    fault: bool,
    /// No step before it waits for a condition.
    sure: bool,
}

/// Every step at its earliest. What stays open ends with its heal, or with the last step.
fn spans(steps: &[Step]) -> Vec<Span> {
    let mut spans: Vec<Span> = Vec::new();
    let mut done: BTreeMap<&str, (Duration, bool)> = BTreeMap::new();
    let mut open: Vec<(usize, Option<&str>)> = Vec::new();
    let (mut now, mut sure) = (Duration::ZERO, true);
    for (index, step) in steps.iter().enumerate() {
        let (from, from_sure) = match &step.when {
            When::Next => (now, sure),
            When::At(at) if *at >= now => (*at, true),
            When::At(_) => (now, sure),
            When::After { step: name, wait } => {
                let (past, of_sure) = done.get(name.as_str()).copied().unwrap_or((now, sure));
                (now.max(past + *wait), sure && of_sure)
            }
            When::Once { .. } => (now, false),
        };
        let mut until = from;
        (now, sure) = (from, from_sure);
        match &step.action {
            Action::Fault { hold: None, .. } => open.push((index, step.name.as_deref())),
            Action::Fault {
                hold: Some(hold),
                meanwhile,
                ..
            } => {
                until += *hold;
                now = if *meanwhile { from } else { until };
            }
            Action::Wait(length) => {
                until += *length;
                now = until;
            }
            Action::Heal(name) => open.retain(|(index, known)| {
                let healed = name.is_none() || name.as_deref() == *known;
                if healed {
                    spans[*index].until = from;
                }
                !healed
            }),
            Action::Await { .. } => sure = false,
            Action::Send { .. } => {}
        }
        if let Some(name) = &step.name {
            done.insert(name, (until, from_sure));
        }
        spans.push(Span {
            from,
            until,
            fault: matches!(step.action, Action::Fault { .. }),
            sure: from_sure,
        });
    }
    let end = spans.iter().map(|span| span.until).max().unwrap_or(now);
    for (index, _) in open {
        spans[index].until = end;
    }
    spans
}

/// From time to columns.
struct Scale {
    columns: usize,
    end: Duration,
}

impl Scale {
    fn column(&self, at: Duration) -> usize {
        let column = at.as_nanos() * self.columns as u128 / self.end.as_nanos();
        usize::try_from(column)
            .unwrap_or(self.columns)
            .min(self.columns - 1)
    }

    /// The labels, and the marks below them.
    fn axis(&self) -> (String, String) {
        let seconds = self.end.as_secs();
        let enough = |every: &&u64| **every * self.columns as u64 >= seconds * MARK_COLUMNS;
        let every = MARK_EVERY.iter().find(enough).copied();
        let every = every.unwrap_or(seconds.max(1));
        let (mut labels, mut marks) = (String::new(), String::new());
        for at in (0..=seconds).step_by(usize::try_from(every).unwrap_or(1)) {
            let column = self.column(Duration::from_secs(at));
            if column < labels.len() {
                continue;
            }
            let _ = write!(labels, "{:pad$}{at}s", "", pad = column - labels.len());
            let _ = write!(marks, "{:pad$}|", "", pad = column - marks.len());
        }
        (labels, marks)
    }

    fn bar(&self, span: &Span) -> String {
        let first = self.column(span.from);
        let last = self.column(span.until.saturating_sub(Duration::from_nanos(1)));
        let last = last.max(first);
        let filled = match (span.fault, span.sure) {
            (false, _) => MOMENT,
            (true, true) => HELD,
            (true, false) => HELD_AT_THE_EARLIEST,
        };
        (0..self.columns)
            .map(|column| {
                if (first..=last).contains(&column) {
                    filled
                } else {
                    ' '
                }
            })
            .collect()
    }
}
