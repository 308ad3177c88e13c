//! Facts for figures: nothing is judged here, and nothing is drawn.

mod failover;
mod picture;
mod scene;
mod timeline;

pub use failover::failovers;
pub use timeline::timeline;
