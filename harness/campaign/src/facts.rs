//! A judged run in small: what a night keeps of its verdict when the run itself is gone.
//!
//! Everything here is taken from the judgement, by adding up and choosing; nothing is judged again.

mod causes;
mod figures;

use std::collections::BTreeMap;

use checkers::judgement::FaultFact;
use checkers::{Fold, Judgement};
use history::FaultId;
use serde::{Deserialize, Serialize};

pub use causes::Cause;
pub(crate) use figures::median;
pub use figures::{Figure, Metric};

/// What a night keeps of a judged run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The verdict.
    pub verdict: Fold,
    /// The verdict that the plan has to end with, where it says so.
    pub wanted: Option<Fold>,
    /// The judge's own sentences.
    pub sentence: String,
    /// Acknowledged records whose fate was followed.
    pub examined: u64,
    /// The version of Kafka under test.
    pub kafka: String,
    /// The version of the rules.
    pub rules: u32,
    /// Faults that were begun.
    pub faults: u32,
    /// Of those, proved in force.
    pub proved: u32,
    /// Of those, proved undone.
    pub healed: u32,
    /// The faults that were not proved or not undone, in sentences.
    #[serde(default)]
    pub odd: Vec<String>,
    /// Numbers that nights are compared by.
    pub figures: Vec<Figure>,
    /// What broke promises, worst first.
    pub causes: Vec<Cause>,
}

impl Facts {
    /// What a night keeps of a judgement.
    pub fn of(j: &Judgement) -> Self {
        let count = |wanted: fn(&&FaultFact) -> bool| {
            u32::try_from(j.faults.iter().filter(wanted).count()).unwrap_or(u32::MAX)
        };
        let odd = j
            .faults
            .iter()
            .filter(|fault| !fault.proved || !fault.healed);
        Self {
            verdict: j.fold,
            wanted: j.expected.map(|expected| expected.wanted),
            sentence: j.sentence.clone(),
            examined: j.totals.acknowledged,
            kafka: j.kafka.clone(),
            rules: j.rules_version,
            faults: count(|_| true),
            proved: count(|fault| fault.proved),
            healed: count(|fault| fault.healed),
            odd: odd.map(|fault| fault.sentence.clone()).collect(),
            figures: figures::of(j),
            causes: causes::of(j),
        }
    }

    /// Whether the verdict is the one that the plan has to end with; Held, if it does not say.
    pub fn as_wanted(&self) -> bool {
        self.verdict == self.wanted.unwrap_or(Fold::Held)
    }

    /// The judge's sentences without the verdict's word in front.
    pub fn said(&self) -> &str {
        let word = self.verdict.to_string();
        let rest = self.sentence.strip_prefix(word.as_str());
        let rest = rest.and_then(|rest| rest.strip_prefix('.'));
        rest.unwrap_or(&self.sentence).trim_start()
    }
}

/// The kind of every fault, by number.
fn kinds(j: &Judgement) -> BTreeMap<FaultId, &str> {
    let kind = |fault: &'_ FaultFact| fault.fault;
    let kinds = j.faults.iter();
    kinds
        .map(|fault| (kind(fault), fault.kind.as_str()))
        .collect()
}
