//! Steps written as a plan writes them.
//!
//! What is written here is read back by `read` as the same step; a property test holds both to it.

mod asks;
mod conditions;

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use super::words::{VERBS, Verb, word_of};
use crate::duration::Seconds;
use crate::model::{Action, Missed, Step, When};

impl Display for Step {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.when, self.action)?;
        match &self.name {
            Some(name) => write!(f, " as {name}"),
            None => Ok(()),
        }
    }
}

impl Display for When {
    /// Ends with a blank, where there is something to say.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            When::Next => Ok(()),
            When::At(at) => write!(f, "at {} ", Seconds(*at)),
            When::After { step, wait } if wait.is_zero() => write!(f, "after {step} "),
            When::After { step, wait } => write!(f, "after {step} {} ", Seconds(*wait)),
            When::Once {
                condition,
                within,
                missed,
            } => write!(
                f,
                "when {condition} within {}{} ",
                Seconds(*within),
                otherwise(*missed)
            ),
        }
    }
}

fn otherwise(missed: Missed) -> &'static str {
    match missed {
        Missed::Stop => "",
        Missed::GoOn => " or go on",
        Missed::Fire => " or fire",
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
                meanwhile,
                required,
            } => {
                write!(f, "{ask}")?;
                let said = |hold: &Duration| !ask.is_momentary() || !hold.is_zero() || *meanwhile;
                if let Some(hold) = hold.filter(said) {
                    write!(f, " for {}", Seconds(hold))?;
                    f.write_str(if *meanwhile { " meanwhile" } else { "" })?;
                }
                f.write_str(if *required { " required" } else { "" })
            }
            Action::Heal(None) => f.write_str(verb(Verb::Heal)),
            Action::Heal(Some(name)) => write!(f, "{} {name}", verb(Verb::Heal)),
            Action::Await {
                condition,
                within,
                missed,
            } => {
                let verb = verb(Verb::Await);
                let within = Seconds(*within);
                write!(
                    f,
                    "{verb} {condition} within {within}{}",
                    otherwise(*missed)
                )
            }
            Action::Wait(length) => write!(f, "{} {}", verb(Verb::Wait), Seconds(*length)),
        }
    }
}
