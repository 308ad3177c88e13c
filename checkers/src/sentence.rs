//! The verdict in sentences: what was kept, what was lost, and whether that was promised.

use crate::judgement::{Class, Finding, Premise, Standing};
use crate::judgement::{Fold, OutcomeRow, PremiseState, TopicJudgement, Verdict, grouped};

/// "Held. ledger kept all 26 707 acknowledged records. ..."
pub fn of(
    fold: Fold,
    topics: &[TopicJudgement],
    findings: &[Finding],
    premises: &[Premise],
) -> String {
    let mut sentences = vec![format!("{fold}.")];
    let unexplained: u64 = findings
        .iter()
        .filter(|finding| finding.class == Class::Unexplained)
        .filter(|finding| finding.standing == Standing::Broken)
        .map(|finding| finding.count)
        .sum();
    for topic in topics {
        sentences.extend(topic_sentence(topic));
        sentences.extend(broken_otherwise(topic));
    }
    if unexplained > 0 {
        sentences.push(format!(
            "Nothing recorded explains {} of what was found.",
            grouped(unexplained)
        ));
    }
    if fold == Fold::Unproven {
        sentences.extend(why_unproven(topics, premises));
    }
    sentences.join(" ")
}

fn topic_sentence(topic: &TopicJudgement) -> Option<String> {
    let row = &topic.accounting.acknowledged;
    let name = &topic.topic;
    if row.sent == 0 {
        return None;
    }
    if !topic.accounting.imbalance.is_empty() && row.lost == 0 {
        return Some(format!(
            "What became of the records of {name} cannot be accounted for in full."
        ));
    }
    let excused = row.expired + row.superseded;
    if row.lost == 0 && excused > 0 && row.present + excused == row.sent {
        return Some(format!(
            "{name} kept {} of {} acknowledged records; {} were deleted or replaced by later ones.",
            grouped(row.present),
            grouped(row.sent),
            grouped(excused)
        ));
    }
    if row.lost == 0 && row.present == row.sent {
        return Some(match row.sent {
            1 => format!("{name} kept its one acknowledged record."),
            sent => format!("{name} kept all {} acknowledged records.", grouped(sent)),
        });
    }
    if row.lost == 0 {
        return None;
    }
    Some(lost(topic, row))
}

fn lost(topic: &TopicJudgement, row: &OutcomeRow) -> String {
    let name = &topic.topic;
    let of = |n: u64| match n {
        1 => "1 acknowledged record".to_owned(),
        n => format!("{} acknowledged records", grouped(n)),
    };
    let promised = topic
        .contract
        .iter()
        .any(|clause| clause.promised && clause.what.contains("above"));
    if row.lost_below_hw > 0 {
        let below = match row.lost_below_hw == row.lost {
            true => format!("{name} lost {} of {}", of(row.lost), grouped(row.sent)),
            false => format!(
                "{name} lost {} of {}, {} of them",
                of(row.lost),
                grouped(row.sent),
                grouped(row.lost_below_hw)
            ),
        };
        return format!("{below} below the high watermark.");
    }
    let side = match (row.lost_above_hw, row.lost_undetermined) {
        (1, 0) => "above the high watermark".to_owned(),
        (_, 0) => "all above the high watermark".to_owned(),
        (0, _) => "on which side of the high watermark cannot be shown".to_owned(),
        (above, undetermined) => format!(
            "{} proven above the high watermark, {} on a side that cannot be shown",
            grouped(above),
            grouped(undetermined)
        ),
    };
    let contract = match (promised, row.lost) {
        (true, 1) => "although it was promised".to_owned(),
        (true, _) => "although they were promised".to_owned(),
        (false, 1) => format!("{} does not promise it", topic.settings),
        (false, _) => format!("{} does not promise them", topic.settings),
    };
    format!("{name} lost {}, {side}: {contract}.", of(row.lost))
}

/// Broken guarantees, but for the losses of acknowledged records, which are told already.
fn broken_otherwise(topic: &TopicJudgement) -> Option<String> {
    let names: Vec<&str> = topic
        .guarantees
        .iter()
        .filter(|guarantee| matches!(guarantee.verdict, Verdict::Broken { .. }))
        .map(|guarantee| guarantee.name.as_str())
        .filter(|name| !name.starts_with("acked-lost") || topic.accounting.acknowledged.lost == 0)
        .collect();
    (!names.is_empty()).then(|| format!("Broken for {}: {}.", topic.topic, names.join(", ")))
}

fn why_unproven(topics: &[TopicJudgement], premises: &[Premise]) -> Vec<String> {
    let failed: Vec<String> = premises
        .iter()
        .filter_map(|premise| match &premise.state {
            PremiseState::Failed { why } => Some(format!("Not proven, because {why}.")),
            PremiseState::Kept { .. } => None,
        })
        .collect();
    if !failed.is_empty() {
        return failed.into_iter().take(2).collect();
    }
    let first = topics.iter().find_map(|topic| {
        topic.guarantees.iter().find_map(|g| match &g.verdict {
            Verdict::Unproven { why, .. } => Some(format!(
                "{} of {} is not proven: {why}.",
                g.name, topic.topic
            )),
            _ => None,
        })
    });
    vec![first.unwrap_or_else(|| "Nothing that was promised was examined.".to_owned())]
}
