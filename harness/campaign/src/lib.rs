//! Many runs: what a night was, how nights compare, what is kept of them, and whom to tell.
//!
//! Nothing here runs an experiment or judges one. It is handed nights and judged runs, and makes an
//! index, trends, a page and messages of them. The time of day is handed in as well.

pub mod conduct;
mod error;
mod facts;
mod files;
mod index;
mod night;
pub mod page;
pub mod retention;
mod shown;
pub mod shrink;
pub mod telling;
pub mod trend;

pub use error::CampaignError;
pub use facts::{Cause, Facts, Figure, Metric};
pub use index::{Index, KnownRun, Refreshed, State, Whose, bytes_in};
pub use night::{Attempt, Entry, NIGHT_FORMAT, Night, Outcome, Role};
