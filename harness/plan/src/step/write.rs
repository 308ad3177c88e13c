//! Steps written as a plan writes them.
//!
//! What is written here is read back by `read` as the same step; a property test holds both to it.

use std::fmt::{self, Display, Formatter};

use history::Service;

use super::token::quote;
use super::{SERVICES, SUBJECTS, Subject, TARGETS, TargetWord, VERBS, Verb, word_of};
use crate::ask::{Ask, Target};
use crate::duration::Seconds;
use crate::model::{Action, Condition, Missed, Quantity, Step, When};

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::At(after) => write!(f, "at {} {}", Seconds(*after), self.action),
            _ => write!(f, "{}", self.action),
        }
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let verb = |verb| word_of(VERBS, &verb);
        match self {
            Action::Send { count, partition } => {
                write!(f, "{} {count} to {partition}", verb(Verb::Send))
            }
            Action::Fault {
                ask,
                hold,
                required,
                ..
            } => {
                write!(f, "{ask}")?;
                if let Some(hold) = hold {
                    write!(f, " for {}", Seconds(*hold))?;
                }
                if *required {
                    write!(f, " required")?;
                }
                Ok(())
            }
            Action::Heal(_) => write!(f, "{}", verb(Verb::Heal)),
            Action::Await {
                condition,
                within,
                missed,
            } => {
                let verb = verb(Verb::Await);
                write!(f, "{verb} {condition} within {}", Seconds(*within))?;
                match missed {
                    Missed::Stop => Ok(()),
                    Missed::GoOn | Missed::Fire => write!(f, " or go on"),
                }
            }
            Action::Wait(length) => write!(f, "{} {}", verb(Verb::Wait), Seconds(*length)),
        }
    }
}

impl Display for Ask {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Process {
                kind,
                service,
                target,
            } => {
                write!(f, "{kind} ")?;
                match service {
                    Service::Broker => {}
                    Service::ZooKeeper => write!(f, "{} of ", word_of(SERVICES, service))?,
                }
                write!(f, "{target}")
            }
            Ask::Isolate(target) => write!(f, "{} {target}", word_of(VERBS, &Verb::Isolate)),
            Ask::Cut(links) => {
                write!(f, "{}", word_of(VERBS, &Verb::Cut))?;
                for (index, link) in links.iter().enumerate() {
                    let comma = if index == 0 { "" } else { "," };
                    write!(f, "{comma} {link}")?;
                }
                Ok(())
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl Display for Target {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |word| word_of(TARGETS, &word);
        match self {
            Target::Node(node) => write!(f, "{node}"),
            Target::Any => f.write_str(word(TargetWord::Any)),
            Target::All => f.write_str(word(TargetWord::All)),
            Target::Controller => f.write_str(word(TargetWord::Controller)),
            Target::LeaderOf(partition) => write!(f, "{} of {partition}", word(TargetWord::Leader)),
            Target::FollowerOf(partition) => {
                write!(f, "{} follower of {partition}", word(TargetWord::A))
            }
            other => write!(f, "{other:?}"),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let word = |subject| word_of(SUBJECTS, &subject);
        match self {
            Condition::Leader { partition, is } => {
                write!(f, "{} of {partition} == {is}", word(Subject::Leader))
            }
            Condition::Isr { partition, members } => {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                let members = members.join(", ");
                write!(f, "{} of {partition} == {{{members}}}", word(Subject::Isr))
            }
            Condition::Controller(node) => write!(f, "{} == {node}", word(Subject::Controller)),
            Condition::Compare {
                quantity: Quantity::Acked(Some(topic)),
                number,
                ..
            } => write!(f, "{} of {topic} >= {number}", word(Subject::Acked)),
            Condition::LogLine { node, contains } => {
                let contains = quote(contains);
                write!(f, "{} of {node} has {contains}", word(Subject::Log))
            }
            other => write!(f, "{other:?}"),
        }
    }
}
