//! What is asked of a run: plans, topics, steps, conditions, and schedules drawn from a seed.
//!
//! A plan never acts. What it asks for is printed, saved and replayed as data.

pub mod ask;
mod check;
mod duration;
pub mod error;
pub mod model;
pub mod nearest;
pub mod parse;
pub mod plans;
pub mod properties;
pub mod schedule;
pub mod seed;
pub mod step;
pub mod suite;
mod table;
mod toll;
mod words;
mod write;

pub use ask::{Ask, Counterpart, SegmentChoice, Shape, Tail, Target};
pub use error::{Flaw, PlanError};
pub use model::{
    Acks, Action, Budget, ClusterSpec, Comparison, Compression, Condition, Expected, Group, Load,
    Minimum, Missed, Palette, Phases, Plan, Profile, Quantity, Rate, Shift, Step, Storm, TopicSpec,
    When,
};
pub use schedule::Schedule;
pub use seed::{Seed, Stream};
pub use step::StepError;
pub use suite::Suite;
