//! The words of stories: sentences with the lines that they rest on, counts, offsets, times.

use history::Mark;

use crate::facts::Facts;
use crate::judgement::{OffsetRange, StorySentence, TimeSpan, Witness, grouped};

/// Sentences with the lines that they rest on.
#[derive(Debug, Default)]
pub struct Story {
    /// The sentences.
    pub sentences: Vec<StorySentence>,
    /// What they quote.
    pub evidence: Vec<Witness>,
}

impl Story {
    /// A sentence that rests on these lines (or, with none, on the history alone).
    pub fn say(&mut self, facts: &Facts, text: String, lines: &[usize]) {
        let evidence = lines
            .iter()
            .map(|&line| {
                let quote = facts.quote(line);
                let known = self.evidence.iter().position(|known| *known == quote);
                let place = known.unwrap_or_else(|| {
                    self.evidence.push(quote);
                    self.evidence.len() - 1
                });
                place as u32
            })
            .collect();
        self.sentences.push(StorySentence {
            text,
            evidence,
            missing: None,
        });
    }

    /// A step for which there is no evidence, and what would be needed.
    pub fn missing(&mut self, text: String, needed: &str) {
        self.sentences.push(StorySentence {
            text,
            evidence: Vec::new(),
            missing: Some(needed.to_owned()),
        });
    }
}

/// "At 12.481s", from a host's own time.
pub fn at(span: Option<TimeSpan>) -> String {
    match span {
        Some(span) => format!("At {}", middle(span)),
        None => "At a time that no clock sample places,".to_owned(),
    }
}

/// The middle of an interval.
pub fn middle(span: TimeSpan) -> Mark {
    Mark(span.from.0 + (span.to.0 - span.from.0.min(span.to.0)) / 2)
}

/// `@8079..@22883`, or `@1` for a single one.
pub fn span_of(range: Option<OffsetRange>) -> String {
    match range {
        None => "without an offset".to_owned(),
        Some(range) if range.len() == 1 => format!("@{}", range.from),
        Some(range) => format!("@{}..@{}", range.from, range.to - 1),
    }
}

/// `1 record` or `14 805 records`.
pub fn many(count: u64, one: &str, more: &str) -> String {
    let noun = if count == 1 { one } else { more };
    format!("{} {noun}", grouped(count))
}

/// What was counted, as it reads after a count: the first plural noun turns singular after one.
pub fn unit_of(count: u64, unit: &str) -> String {
    const NOUNS: [(&str, &str); 14] = [
        ("answers", "answer"),
        ("batches", "batch"),
        ("cuts", "cut"),
        ("deliveries", "delivery"),
        ("events", "event"),
        ("images", "image"),
        ("lines", "line"),
        ("logs", "log"),
        ("operations", "operation"),
        ("partitions", "partition"),
        ("records", "record"),
        ("replicas", "replica"),
        ("sends", "send"),
        ("values", "value"),
    ];
    if count != 1 {
        return unit.to_owned();
    }
    let bare = unit.split(' ').map(|word| word.trim_end_matches(','));
    let noun = bare
        .filter_map(|word| NOUNS.iter().find(|(more, _)| *more == word))
        .next();
    match noun {
        Some((more, one)) => unit.replacen(more, one, 1),
        None => unit.to_owned(),
    }
}

/// `this record` or `these 14 805 records`.
pub fn these(count: u64) -> String {
    match count {
        1 => "this record".to_owned(),
        count => format!("these {} records", grouped(count)),
    }
}
