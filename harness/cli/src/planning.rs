//! `tidemark plan`: what would be done, and what would be promised.

use plan::seed::Seed;
use plan::{Plan, Schedule};

use crate::exit::{Exit, Failure, OrExit};
use crate::home::say;

/// How wide the figure of a schedule is, in columns.
const FIGURE_COLUMNS: usize = 120;

/// `tidemark plan PLAN`.
pub fn show(name: &str, seed: u64) -> Result<Exit, Failure> {
    let (origin, text) = plan::plans::find(name).or_usage()?;
    let plan = Plan::parse(&text, &origin).or_usage()?;
    let schedule = Schedule::draw(&plan, Seed(seed));
    say(&format!("{}: {}\n", plan.name, plan.about));
    say(&schedule.figure(FIGURE_COLUMNS));
    say(&checkers::promises(&plan));
    Ok(Exit::Held)
}
