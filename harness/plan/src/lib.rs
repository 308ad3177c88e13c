//! What is asked of a run: plans, topics, steps, conditions, and schedules drawn from a seed.
//!
//! A plan never acts. What it asks for is printed, saved and replayed as data.

pub mod model;

pub use model::{
    Acks, Action, Ask, ClusterSpec, Compression, Condition, Expected, Load, Minimum, Missed,
    Palette, Phases, Plan, Profile, Rate, Step, Storm, Target, TopicSpec, When,
};
