//! The steps of one storm, drawn from a seed before the storm starts.
//!
//! A schedule is data: printed, saved as `schedule.toml`, edited and replayed. Nothing here knows
//! whether a step can be done.

mod drawing;
mod figure;

use std::fmt::{self, Write};

use crate::ask::{Ask, Target};
use crate::check::{Order, Scope};
use crate::error::PlanError;
use crate::model::{Action, NODES, Plan, Step, Storm};
use crate::seed::{Seed, Stream};
use crate::step;
use crate::table::{Source, Table};
use crate::write;

pub(crate) use drawing::capacity;

/// What will be done, in order, and the seed of all that is still left to chance.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The seed that it was drawn from; `a follower of P` is resolved by its stream `target`.
    pub seed: Seed,
    /// The steps, in order; no target in them is `any`.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// Draws the schedule of a plan. Written steps are taken over, with `any` drawn; a palette is
    /// drawn until its length is full. The same plan and seed give the same schedule, always.
    pub fn draw(plan: &Plan, seed: Seed) -> Schedule {
        let mut steps = match &plan.storm {
            Storm::Steps(steps) => steps.clone(),
            Storm::Drawn(palette) => drawing::drawn(palette, &plan.budget, seed),
        };
        let mut targets = seed.stream("any");
        for step in &mut steps {
            if let Action::Fault { ask, .. } = &mut step.action {
                settle(ask, &mut targets);
            }
        }
        Schedule { seed, steps }
    }

    /// Reads a saved schedule. `origin` is what errors call the text.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line. Whether the steps fit a plan is [`Self::fits`].
    pub fn parse(text: &str, origin: &str) -> Result<Schedule, PlanError> {
        let source = Source { origin, text };
        let document = source.parse()?;
        let root = Table::root(&source, &document, &["seed", "steps"])?;
        let seed = root.need("seed", "the seed of what is left to chance")?;
        let seed = match seed.as_text() {
            None => Seed(seed.number()?),
            Some(digits) => digits
                .parse()
                .map(Seed)
                .map_err(|_| seed.bad(format!("`{digits}` is not a number of 64 bits")))?,
        };
        let list = root.need("steps", "the steps of the storm")?;
        let mut steps: Vec<Step> = Vec::new();
        let mut order = Order::default();
        for element in list.list()? {
            let several = step::read(element.text()?).map_err(|why| element.flawed(why))?;
            for step in several {
                order.step(&step).map_err(|why| element.bad(why))?;
                steps.push(step);
            }
        }
        Ok(Schedule { seed, steps })
    }

    /// Whether every step names only what the plan has and keeps to its budget; the error is a
    /// sentence. For schedules that were saved, edited, or taken from another plan.
    pub fn fits(&self, plan: &Plan) -> Result<(), String> {
        let mut scope = Scope::new(&plan.topics, &plan.cluster, &plan.budget);
        self.steps.iter().try_for_each(|step| {
            let named = scope.step(step);
            named.map_err(|why| format!("`{step}`: {why}"))
        })
    }

    /// The schedule as TOML; [`Schedule::parse`] of it is the schedule again.
    pub fn to_toml(&self) -> String {
        write::text(|out| self.write(out))
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(
            out,
            "# What the storm does, step by step. It can be edited and run again."
        )?;
        // TOML's integers end at 63 bits.
        match i64::try_from(self.seed.0) {
            Ok(seed) => writeln!(out, "seed = {seed}")?,
            Err(_) => writeln!(out, "seed = \"{}\"", self.seed.0)?,
        }
        write::steps(out, &self.steps)
    }
}

impl fmt::Display for Schedule {
    /// For people: one step a line, numbered from 1.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.steps.len().to_string().len();
        for (index, step) in self.steps.iter().enumerate() {
            writeln!(f, "{:>width$}  {step}", index + 1)?;
        }
        Ok(())
    }
}

/// Draws a node for `any`; every other target is found at the moment of injection.
fn settle(ask: &mut Ask, targets: &mut Stream) {
    if let Some(target) = ask.target_mut()
        && *target == Target::Any
        && let Some(node) = targets.pick(&NODES)
    {
        *target = Target::Node(*node);
    }
}

#[cfg(test)]
mod tests;
