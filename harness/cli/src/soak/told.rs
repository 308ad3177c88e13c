//! What the outer process of `soak-faults` tells the inner one.

use std::path::PathBuf;
use std::time::Duration;

use cluster::LabFile;
use cluster::artefacts::Artefacts;
use serde::{Deserialize, Serialize};

use super::counts::Cast;

/// Goes through the inner one's standard input.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    /// With how to log in.
    pub lab: LabFile,
    /// Kafka's jars.
    pub artefacts: Artefacts,
    /// The first cycle that is not done.
    pub from: u32,
    /// How many there are.
    pub cycles: u32,
    /// How many of them, the first ones, are on real brokers.
    pub kafka: u32,
    /// What everything is drawn from.
    pub seed: u64,
    /// Where each cycle is written down.
    pub counts: PathBuf,
    /// The longest hold.
    pub hold: Duration,
}

impl Told {
    /// On what a cycle goes on.
    pub fn cast(&self, cycle: u32) -> Cast {
        if cycle < self.kafka {
            Cast::Kafka
        } else {
            Cast::StandIns
        }
    }
}
