//! What is left of a storm: a plan file whose head says where it comes from and how often it fails,
//! and a few sentences.
//!
//! It decides nothing.

use std::fmt::Write as _;
use std::time::Duration;

use plan::{Plan, Seed};

use super::part::Part;
use super::record::{Came, Record, Tally};
use crate::shown::one_line;

/// What a reduction came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The fewest steps that fail often enough, with their times.
    pub part: Part,
    /// How many there were.
    pub of_steps: usize,
    /// How long these steps hold and pause, and how long they did before that was shortened.
    pub length: (Duration, Duration),
    /// How far it came, and how far it was to come.
    pub reach: Reach,
    /// They as a plan.
    pub plan: Plan,
    /// The seed that goes with them.
    pub seed: Seed,
    /// How often they failed.
    pub rate: Tally,
    /// The rate is of runs that were made after the steps were chosen.
    pub afresh: bool,
    /// Measured afresh, they fail as often as was asked for.
    pub often_enough: bool,
    /// How often the lab failed in this call.
    pub lab_failures: u32,
    /// Why it ended.
    pub ending: Ending,
}

/// How far a reduction came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Steps were left out; times are as they were.
    Steps,
    /// No step can go, and some times may have been halved.
    Times,
    /// No step can go, and times are halved where it failed still.
    All,
}

/// Why a reduction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// Nothing more can go.
    Minimal,
    /// Nothing more can go, as far as could be tried: under some candidates the lab failed twice.
    Undecided,
    /// All steps together did not fail once.
    NotReproduced,
    /// The time was over.
    Budget,
    /// Somebody stopped it.
    Stopped {
        /// In a clause: "it was stopped by INT".
        why: String,
    },
    /// The lab failed again and again.
    LabFailed,
}

impl Shrunk {
    /// Whether there is a plan file to write: steps that failed at least once.
    pub fn is_something(&self) -> bool {
        self.rate.same > 0
    }

    /// The plan file. `again` is the command that runs it.
    pub fn to_toml(&self, record: &Record, again: &str) -> String {
        let mut head = String::new();
        let cause = &record.cause;
        let mut line = |text: &str| {
            // Whatever a title holds.
            let text = one_line(text);
            let _ = writeln!(head, "{}", format!("# {text}").trim_end());
        };
        line("A failing run's storm, reduced by `tidemark shrink`.");
        line("");
        line(&format!("Run:    {}", record.run));
        line(&format!("Breaks: {}", cause.guarantee));
        line(&format!(
            "Cause:  {} in {}{}",
            cause.class,
            cause.topic,
            after(cause.fault.as_deref())
        ));
        line(&format!("Seen:   {}", cause.title));
        line(&format!("Rate:   {} runs{}", self.rate, self.rated()));
        line(&format!(
            "Steps:  {} of {}; {}",
            self.part.kept.len(),
            self.of_steps,
            self.ended()
        ));
        if let Some(times) = self.shorter() {
            line(&format!("Times:  {times}"));
        }
        line(&format!("Again:  {again}"));
        format!("{head}\n{}", self.plan.to_toml())
    }

    /// What came of it, for people.
    pub fn said(&self, record: &Record) -> String {
        if self.ending == Ending::NotReproduced {
            return format!(
                "Not reproduced. All {} steps were run {} times, and {} was not broken by the same \
                 cause once; nothing can be reduced.{}",
                self.of_steps,
                self.rate.of,
                record.cause.guarantee,
                self.told(record)
            );
        }
        if self.rate.of == 0 {
            return format!(
                "Nothing is known yet: no run came to a verdict. {}.{}",
                capital(&self.ended()),
                self.told(record)
            );
        }
        format!(
            "{} of {} steps are left{}; {} runs of them break {} by the same cause{}. {}.{}",
            self.part.kept.len(),
            self.of_steps,
            self.shorter()
                .map_or_else(String::new, |times| format!(", with {times}")),
            self.rate,
            record.cause.guarantee,
            self.rated(),
            capital(&self.ended()),
            self.told(record)
        )
    }

    /// What became of the times, where any is shorter.
    fn shorter(&self) -> Option<String> {
        let (now, before) = self.length;
        (now < before).then(|| instead(now, before))
    }

    fn rated(&self) -> &'static str {
        if self.afresh {
            ""
        } else if self.part.kept.len() == self.of_steps && self.part.halved.is_empty() {
            " so far"
        } else {
            " (those that chose them)"
        }
    }

    fn ended(&self) -> String {
        // Where nothing holds or pauses, nothing need be said of it.
        let reached = match self.reach {
            Reach::All if !self.length.1.is_zero() => {
                "no step can go, and times are halved where it failed still"
            }
            Reach::Steps | Reach::Times | Reach::All => "no step can go",
        };
        let early = match &self.ending {
            Ending::Minimal => return reached.to_owned(),
            Ending::Undecided => {
                return format!("{reached}, except where the lab failed twice under a candidate");
            }
            Ending::NotReproduced => return "not reproduced".to_owned(),
            Ending::Budget => "the budget was over".to_owned(),
            Ending::Stopped { why } => why.clone(),
            Ending::LabFailed => "the lab failed again and again".to_owned(),
        };
        match self.reach {
            _ if self.rate.of == 0 => early,
            Reach::Steps => format!("{early}: perhaps more can go"),
            Reach::Times | Reach::All => {
                format!("no step can go; {early}: perhaps times can be shorter")
            }
        }
    }

    /// What did not count, and is told.
    fn told(&self, record: &Record) -> String {
        let mut told = String::new();
        let mut add = |count: usize, one: &str, many: &str| match count {
            0 => {}
            1 => told.push_str(&format!(" One run {one}.")),
            n => told.push_str(&format!(" {n} runs {many}.")),
        };
        let other = record.count(|came| matches!(came, Came::Other { .. }));
        let others = "broke something else, which does not count";
        add(other, others, others);
        let unproven = record.count(|came| *came == Came::Unproven);
        add(unproven, "was unproven", "were unproven");
        match self.lab_failures {
            0 => {}
            1 => told.push_str(" The lab failed once."),
            n => told.push_str(&format!(" The lab failed {n} times.")),
        }
        told
    }
}

/// Times that became shorter, all together.
pub(super) fn instead(now: Duration, before: Duration) -> String {
    format!(
        "{} s of holds and pauses instead of {} s",
        now.as_secs_f64(),
        before.as_secs_f64()
    )
}

fn after(fault: Option<&str>) -> String {
    fault.map_or_else(String::new, |kind| format!(", after {kind}"))
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}
