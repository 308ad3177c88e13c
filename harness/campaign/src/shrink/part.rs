//! A part of a storm: some of its steps, and what of their times was halved how often.
//!
//! It is a name for a candidate, as records keep it. What it means is for `case`.

use serde::{Deserialize, Serialize};

/// Some steps of a storm, with their times as they were or shorter.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Part {
    /// The steps, by their place among all, from 0.
    pub kept: Vec<usize>,
    /// What of them is shorter than it was, in the order of the steps.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub halved: Vec<Halved>,
}

/// One time of one step, shorter than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Halved {
    /// The step, by its place among all, from 0.
    pub step: usize,
    /// Which of its times.
    pub time: Time,
    /// How often it was halved.
    pub times: u32,
}

/// A time that a step takes because the plan says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// Before it fires: `after NAME 2s`; of `at 20s`, what lies between it and the `at` before it.
    Before,
    /// `for 6s`, or all of `wait 2s`.
    Held,
}

impl Part {
    /// How often a time was halved.
    pub(crate) fn halvings(&self, step: usize, time: Time) -> u32 {
        let found = self
            .halved
            .iter()
            .find(|it| (it.step, it.time) == (step, time));
        found.map_or(0, |it| it.times)
    }
}

impl From<Vec<usize>> for Part {
    /// These steps, as they were.
    fn from(kept: Vec<usize>) -> Self {
        Self {
            kept,
            halved: Vec::new(),
        }
    }
}
