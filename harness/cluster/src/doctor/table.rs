//! A checkup for people: hosts side by side, then what is wrong with its remedy, then what
//! schedules may draw on.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::{About, Checkup, Column, Finding, Grade};
use crate::injection::POWERS;

/// A column is never wider; the whole words stand below where they matter.
const WIDE: usize = 26;

/// `2.1 ms`, `1.3 s`.
pub(super) fn millis(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds => format!("{:.1} ms", seconds * 1e3),
    }
}

impl fmt::Display for Checkup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.columns(f)?;
        self.remedies(f, Grade::Missing, "A run needs:")?;
        self.remedies(f, Grade::Note, "Worth knowing:")?;
        self.powers(f)?;
        if !self.sudoers.is_empty() {
            writeln!(f, "\nsudo visudo -f /etc/sudoers.d/tidemark, on each host:")?;
            for line in &self.sudoers {
                writeln!(f, "  {line}")?;
            }
        }
        writeln!(f)?;
        let count = self.hosts.len();
        match self.missing() {
            0 => write!(f, "{}: all {count} hosts fit.", self.lab),
            1 => write!(f, "{}: one thing that a run needs is missing.", self.lab),
            n => write!(f, "{}: {n} things that a run needs are missing.", self.lab),
        }
    }
}

impl Checkup {
    fn columns(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cell = |host: &Column, about: About| {
            let found = host.findings.iter().find(|finding| finding.about == about);
            found.map_or_else(|| "-".to_owned(), shown)
        };
        let mut rows: Vec<About> = Vec::new();
        for finding in self.hosts.iter().flat_map(|host| &host.findings) {
            if !rows.contains(&finding.about) {
                rows.push(finding.about);
            }
        }
        rows.sort_unstable();
        let widths: Vec<usize> = self
            .hosts
            .iter()
            .map(|host| {
                let cells = rows.iter().map(|about| cell(host, *about).chars().count());
                cells.max().unwrap_or(0).max(head(host).chars().count())
            })
            .collect();
        let line = |left: &str, cells: Vec<String>| {
            let cells = cells.iter().zip(&widths);
            let cells = cells.map(|(cell, width)| format!("{cell:width$}"));
            let text = format!("{left:12}{}", cells.collect::<Vec<_>>().join("  "));
            text.trim_end().to_owned()
        };
        writeln!(f, "{}", line("", self.hosts.iter().map(head).collect()))?;
        for about in rows {
            let cells = self.hosts.iter().map(|host| cell(host, about));
            writeln!(f, "{}", line(about.word(), cells.collect()))?;
        }
        Ok(())
    }

    /// What is so on several hosts is told once.
    fn remedies(&self, f: &mut fmt::Formatter<'_>, grade: Grade, title: &str) -> fmt::Result {
        let mut told: Vec<(Vec<String>, &Finding)> = Vec::new();
        for host in &self.hosts {
            for finding in host
                .findings
                .iter()
                .filter(|finding| finding.grade == grade)
            {
                let same = told.iter_mut().find(|(_, other)| {
                    (other.about, &other.why, &other.remedy)
                        == (finding.about, &finding.why, &finding.remedy)
                });
                match same {
                    Some((nodes, _)) => nodes.push(host.node.to_string()),
                    None => told.push((vec![host.node.to_string()], finding)),
                }
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        writeln!(f, "\n{title}")?;
        told.sort_by_key(|(_, finding)| finding.about);
        for (nodes, finding) in told {
            writeln!(
                f,
                "  {} {}: {}",
                nodes.join(" "),
                finding.about.word(),
                finding.why
            )?;
            if !finding.remedy.is_empty() {
                writeln!(f, "      {}", finding.remedy)?;
            }
        }
        Ok(())
    }

    fn powers(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asked: Vec<&Column> = self
            .hosts
            .iter()
            .filter(|host| host.powers.is_some())
            .collect();
        writeln!(f, "\nSchedules may draw on:")?;
        if asked.is_empty() {
            return writeln!(
                f,
                "  nothing yet: powers are tried where the marker is and nobody runs"
            );
        }
        for (power, words) in POWERS {
            let mut lacking: BTreeMap<&str, Vec<String>> = BTreeMap::new();
            for host in &asked {
                if let Some(why) = host.powers.as_ref().and_then(|powers| powers.lack(power)) {
                    lacking.entry(why).or_default().push(host.node.to_string());
                }
            }
            if lacking.is_empty() {
                writeln!(
                    f,
                    "  {words}: {}",
                    match asked.len() == self.hosts.len() {
                        true => "all hosts",
                        false => "all hosts that could be asked",
                    }
                )?;
                continue;
            }
            for (why, nodes) in lacking {
                writeln!(
                    f,
                    "  {words}: not {} ({why})\n      {}",
                    nodes.join(" "),
                    power.remedy()
                )?;
            }
        }
        Ok(())
    }
}

fn head(host: &Column) -> String {
    match host.name == host.node.to_string() {
        true => host.node.to_string(),
        false => shortened(&format!("{} {}", host.node, host.name)),
    }
}

fn shown(finding: &Finding) -> String {
    let mark = match finding.grade {
        Grade::Fits => "",
        Grade::Note => "! ",
        Grade::Missing => "X ",
    };
    shortened(&format!("{mark}{}", finding.found))
}

fn shortened(text: &str) -> String {
    if text.chars().count() <= WIDE {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(WIDE - 1).collect();
    cut.push('…');
    cut
}
