//! Conditions, written with no more brackets than reading needs.

use std::fmt::{self, Display, Formatter};

use super::asks::comma_separated;
use crate::duration::Seconds;
use crate::model::{Comparison, Condition, Quantity};
use crate::step::token::quote;
use crate::step::words::{COMPARISONS, SUBJECTS, Subject, word_of};

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |subject| word_of(SUBJECTS, &subject);
        match self {
            Condition::Leader { partition, is } => {
                write!(f, "{} of {partition} == {is}", word(Subject::Leader))
            }
            Condition::Isr { partition, members } => {
                let members = comma_separated(members);
                write!(f, "{} of {partition} == {{{members}}}", word(Subject::Isr))
            }
            Condition::LeaderAlone(partition) => {
                write!(f, "{} of {partition} == {{leader}}", word(Subject::Isr))
            }
            Condition::Controller(node) => write!(f, "{} == {node}", word(Subject::Controller)),
            Condition::LogLine { node, contains } => {
                let contains = quote(contains);
                write!(f, "{} of {node} has {contains}", word(Subject::Log))
            }
            Condition::Election { partition, within } => {
                let within = Seconds(*within);
                write!(
                    f,
                    "{} of {partition} within {within}",
                    word(Subject::Election)
                )
            }
            Condition::AllInSync => write!(f, "{} in sync", word(Subject::All)),
            Condition::Compare {
                quantity,
                by,
                number,
            } => write!(f, "{quantity} {by} {number}"),
            Condition::And(all) => join(f, all, " and ", |part| {
                matches!(part, Condition::And(_) | Condition::Or(_))
            }),
            Condition::Or(any) => join(f, any, " or ", |part| matches!(part, Condition::Or(_))),
            Condition::Lasting(inner, length) => {
                part(
                    f,
                    inner,
                    matches!(**inner, Condition::And(_) | Condition::Or(_)),
                )?;
                write!(f, " for {}", Seconds(*length))
            }
        }
    }
}

fn join(
    f: &mut Formatter<'_>,
    parts: &[Condition],
    word: &str,
    bracketed: fn(&Condition) -> bool,
) -> fmt::Result {
    for (index, one) in parts.iter().enumerate() {
        f.write_str(if index == 0 { "" } else { word })?;
        part(f, one, bracketed(one))?;
    }
    Ok(())
}

fn part(f: &mut Formatter<'_>, condition: &Condition, bracketed: bool) -> fmt::Result {
    if bracketed {
        write!(f, "({condition})")
    } else {
        write!(f, "{condition}")
    }
}

impl Display for Quantity {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |subject| word_of(SUBJECTS, &subject);
        match self {
            Quantity::HwLag(partition, node) => {
                write!(f, "{} lag of {partition} on {node}", word(Subject::Hw))
            }
            Quantity::Lag(partition, node) => {
                write!(f, "{} of {partition} on {node}", word(Subject::Lag))
            }
            Quantity::Uncommitted(partition) => {
                write!(f, "{} of {partition}", word(Subject::Uncommitted))
            }
            Quantity::Unflushed(partition, node) => {
                write!(f, "{} of {partition} on {node}", word(Subject::Unflushed))
            }
            Quantity::Epoch(partition) => write!(f, "{} of {partition}", word(Subject::Epoch)),
            Quantity::IsrSize(partition) => write!(f, "{} size of {partition}", word(Subject::Isr)),
            Quantity::Acked(Some(topic)) => write!(f, "{} of {topic}", word(Subject::Acked)),
            Quantity::Acked(None) => f.write_str(word(Subject::Acked)),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(word_of(COMPARISONS, self))
    }
}
