//! Whether brokers may have forgotten what an idempotent producer had sent, between two places of a
//! log: without that memory they can neither recognise a copy nor keep its order.
//!
//! The memory goes with a leader that was elected uncleanly, with data that a leader had lost, with
//! the head of a log, or when a producer id expires. What is not shown stays undetermined.

use history::Offset;

use super::Case;
use crate::facts::PartFacts;
use crate::judgement::{Class, Standing};

/// Why it may be gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Forgotten {
    /// The cause.
    pub class: Class,
    /// What that means for a promise that needs the memory.
    pub standing: Standing,
    /// In words, a sentence.
    pub why: &'static str,
}

/// What may have been forgotten when `second` was appended, of what had been appended at `first`.
pub fn forgotten(
    case: &Case,
    part: &PartFacts,
    first: Offset,
    second: Offset,
) -> Option<Forgotten> {
    let log = part.final_log()?;
    let epochs = log.epoch_at(first)?..=log.epoch_at(second)?;
    let terms = &part.roles.terms;
    let undetermined = |why| Forgotten {
        class: Class::Undetermined,
        standing: Standing::Undetermined,
        why,
    };
    let mut doubt = None;
    for election in &part.elections {
        let epoch = terms[election.term].epoch;
        if epoch == *epochs.start() || !epochs.contains(&epoch) {
            continue;
        }
        match election.clean {
            Some(true) => {}
            Some(false) => {
                return Some(Forgotten {
                    class: Class::UncleanElection,
                    standing: match case.contract.unclean_enabled {
                        true => Standing::NotPromised,
                        false => Standing::Broken,
                    },
                    why: "In between an unclean election took the brokers' memory of the producer.",
                });
            }
            None if case.contract.unclean_enabled => {
                doubt = Some(undetermined(
                    "In between there was an election that may have been unclean.",
                ));
            }
            None => {}
        }
    }
    let led = |node| {
        let mut terms = terms.iter();
        terms.any(|term| term.node == node && epochs.contains(&term.epoch))
    };
    for event in case.facts.harms.iter().filter(|e| e.partition == part.name) {
        match event.harm.replica() {
            Some((node, _)) if led(node) => {
                doubt = Some(undetermined(
                    "A leader of these epochs had lost data, and perhaps its memory of the \
                     producer.",
                ));
            }
            Some(_) => {}
            None => {
                doubt = Some(undetermined(
                    "The head of the log was deleted, and perhaps the memory of the producer.",
                ));
            }
        }
    }
    let expiry = case.facts.broker_setting("transactional.id.expiration.ms");
    let expiry = expiry.and_then(|ms| ms.parse::<u64>().ok());
    if expiry.is_some_and(|ms| ms <= case.facts.length.0 / 1_000_000) {
        doubt = Some(undetermined(
            "The producer's id may have expired in between.",
        ));
    }
    doubt
}
