//! One run that a night wanted: what it is for, what was tried, and what that came to.
//!
//! It counts a verdict against what was wanted; it never judges.

use checkers::Fold;
use serde::{Deserialize, Serialize};

use super::plain;
use crate::facts::Facts;

/// What a run is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Must be Broken, or the harness is blind.
    Canary,
    /// No faults; must be Held, or the harness sees ghosts.
    Calm,
    /// What the night is for.
    Ordinary,
}

/// One run that was wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The plan's name.
    pub plan: String,
    /// What it is for.
    pub role: Role,
    /// The seed of its run.
    pub seed: u64,
    /// The one line that runs it again.
    pub again: String,
    /// What was tried, in order. A product's verdict is never retried, so only the last one can be
    /// judged. Empty while it waits for its turn.
    pub attempts: Vec<Attempt>,
}

/// One try at a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The run directory's name below `results/runs`, where one was made.
    pub run: Option<String>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Outcome {
    /// It was run and judged.
    Judged(Box<Facts>),
    /// The lab or the harness failed: this says nothing about Kafka.
    LabFailed {
        /// How.
        why: String,
    },
    /// It was not run.
    DidNotRun {
        /// Why not: "the budget was spent".
        why: String,
    },
}

impl Entry {
    /// What the judge said, if it came to that.
    pub fn judged(&self) -> Option<&Facts> {
        self.attempts
            .iter()
            .find_map(|attempt| match &attempt.outcome {
                Outcome::Judged(facts) => Some(&**facts),
                Outcome::LabFailed { .. } | Outcome::DidNotRun { .. } => None,
            })
    }

    /// The run directory that matters: the judged one's, else the last one's.
    pub fn run(&self) -> Option<&str> {
        let judged = |attempt: &&Attempt| matches!(attempt.outcome, Outcome::Judged(_));
        let counts = self.attempts.iter().find(judged);
        counts
            .or_else(|| self.attempts.iter().rfind(|attempt| attempt.run.is_some()))
            .and_then(|attempt| attempt.run.as_deref())
    }

    /// The verdict that the run has to end with to count as good.
    pub fn wanted(&self) -> Fold {
        match self.role {
            Role::Canary => Fold::Broken,
            Role::Calm => Fold::Held,
            Role::Ordinary => self
                .judged()
                .and_then(|facts| facts.wanted)
                .unwrap_or(Fold::Held),
        }
    }

    /// It broke a promise that it was to keep.
    pub fn broke(&self) -> bool {
        let broken = |facts: &Facts| facts.verdict == Fold::Broken;
        self.wanted() != Fold::Broken && self.judged().is_some_and(broken)
    }

    /// It was tried twice, and the lab or the harness failed each time.
    pub fn failed_twice(&self) -> bool {
        self.judged().is_none() && self.lab_failures() >= 2
    }

    /// How often the lab or the harness failed under it.
    pub fn lab_failures(&self) -> usize {
        let failed = |attempt: &&Attempt| matches!(attempt.outcome, Outcome::LabFailed { .. });
        self.attempts.iter().filter(failed).count()
    }

    /// Why it came to nothing: how the lab failed it last, if it did; else why it was not run.
    pub fn why(&self) -> Option<&str> {
        let mut last = None;
        for attempt in &self.attempts {
            match (&attempt.outcome, last) {
                (Outcome::Judged(_), _) => return None,
                (Outcome::LabFailed { why }, _) | (Outcome::DidNotRun { why }, None) => {
                    last = Some(why.as_str());
                }
                (Outcome::DidNotRun { .. }, Some(_)) => {}
            }
        }
        last
    }

    /// What it was found to be, in a clause that begins with the plan's name.
    pub(super) fn said(&self) -> String {
        let Some(facts) = self.judged() else {
            return format!("{} was not judged", self.plan);
        };
        let wanted = self.wanted();
        if facts.verdict != Fold::Broken && wanted == Fold::Broken {
            return format!("{} has to break a promise, and broke none", self.plan);
        }
        match facts.causes.first() {
            Some(cause) => format!("{}: {}", self.plan, plain(&cause.title)),
            None => format!("{}: {}", self.plan, plain(facts.said())),
        }
    }

    /// Why the night is void, if this is a control that did not end as it must.
    pub(super) fn why_void(&self) -> Option<String> {
        let name = match self.role {
            Role::Canary => "the canary",
            Role::Calm => "the calm run",
            Role::Ordinary => return None,
        };
        let plan = &self.plan;
        match self.judged() {
            None => Some(format!(
                "{name} ({plan}) was not judged: {}",
                plain(self.why().unwrap_or("it was never run"))
            )),
            Some(facts) if facts.verdict == self.wanted() => None,
            Some(facts) => Some(match self.role {
                Role::Canary => format!(
                    "{name} ({plan}) must be convicted and came out {}: a harness that does not see \
                     a planted loss would not see a real one either",
                    facts.verdict.to_string().to_lowercase()
                ),
                Role::Calm | Role::Ordinary => format!(
                    "{name} ({plan}), without any fault, came out {}: whatever is wrong lies in the \
                     lab, the harness or the plan ({})",
                    facts.verdict.to_string().to_lowercase(),
                    plain(facts.said())
                ),
            }),
        }
    }
}
