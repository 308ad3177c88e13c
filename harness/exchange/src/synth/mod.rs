//! Runs that nobody ran: a well-behaved cluster of any size, and what is planted in it.
//!
//! What is written is a complete, sealed run directory, byte for byte the same for the same order.
//! It is made from nothing but the order: no clock, no host and no Kafka is involved, and nothing
//! is judged here. Nobody may take such a run for a real one: its plan is called `synth`, its
//! client and its hosts say that there were none.

mod drain;
mod edits;
mod groups;
mod images;
mod orders;
mod plants;
mod play;
mod says;
mod setting;
mod shape;
mod story;
mod watch;

use std::path::{Path, PathBuf};

use history::rundir::{Ended, RunDir};
use history::{HistoryError, RunId};
use plan::Seed;

pub use plants::{Find, Planted};
pub use setting::is_written;

use images::Images;
use orders::Orders;
use play::Play;
use says::make_dir;
use shape::Shape;

/// What is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Records sent.
    pub operations: u64,
    /// Topics: acks=all idempotent and acks=1 by turns.
    pub topics: u32,
    /// Partitions of each topic, of three replicas each.
    pub partitions: u32,
    /// Brokers killed and cut off, by turns.
    pub failovers: u32,
    /// Whether two producers send in transactions beside the other load, to a topic `orders`.
    pub transactions: bool,
    /// Whether a group reads the first topic along, and commits.
    pub groups: bool,
    /// Whether replica images are written; without them little can be proved.
    pub images: bool,
    /// Bytes of a record's value; they do not compress.
    pub value_bytes: u32,
    /// From which everything is drawn.
    pub seed: u64,
    /// What is planted: the names of guarantees, and how often.
    pub plants: Vec<(String, u32)>,
}

impl Asked {
    /// Sends that are planted beside the ordinary ones.
    fn planted(&self) -> u64 {
        let sends = |(name, count): &(String, u32)| {
            let plant = plants::named(name);
            plant.map_or(0, |plant| u64::from(plant.sends) * u64::from(*count))
        };
        self.plants.iter().map(sends).sum()
    }
}

/// Why a run cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SynthError {
    /// Not enough operations for so many partitions and fail-overs.
    #[error(
        "with so many topics, partitions and fail-overs at least {least} operations are needed"
    )]
    TooSmall {
        /// What would do.
        least: u64,
    },
    /// A number is out of bounds.
    #[error("{what} must be from {least} to {most}")]
    OutOfBounds {
        /// Which.
        what: &'static str,
        /// The least.
        least: u64,
        /// The most.
        most: u64,
    },
    /// Nothing of this name can be planted.
    #[error("`{name}` cannot be planted; these can: {}", names().join(", "))]
    UnknownPlant {
        /// What was asked for.
        name: String,
    },
    /// There is no place for so many.
    #[error(
        "{planted} of {wanted} {plant} find a place: give more operations, partitions or fail-overs, \
         and two topics"
    )]
    NoRoom {
        /// What was to be planted.
        plant: &'static str,
        /// How often.
        wanted: u32,
        /// How often there was room.
        planted: u32,
    },
    /// What is to be planted needs something that was not asked for.
    #[error("{plant} needs {option}")]
    Needs {
        /// What was to be planted.
        plant: &'static str,
        /// The option that gives it.
        option: &'static str,
    },
    /// Without images nothing planted can be found.
    #[error("what is planted shows in replica images: leave --no-images out")]
    PlantsNeedImages,
    /// The directory exists.
    #[error("{} exists already; give a directory that does not", path.display())]
    Exists {
        /// Which.
        path: PathBuf,
    },
    /// The plan of the run cannot be written as one.
    #[error("the run's own plan is not understood: {0}")]
    Plan(String),
    /// A file cannot be written.
    #[error("cannot write {}: {why}", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        why: String,
    },
    /// The run directory cannot be written.
    #[error(transparent)]
    Run(#[from] HistoryError),
}

impl SynthError {
    fn write(path: &Path, err: &std::io::Error) -> Self {
        Self::Write {
            path: path.to_owned(),
            why: err.to_string(),
        }
    }

    /// Whether the order is at fault, and not the disk.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::TooSmall { .. }
            | Self::OutOfBounds { .. }
            | Self::UnknownPlant { .. }
            | Self::NoRoom { .. }
            | Self::Needs { .. }
            | Self::PlantsNeedImages
            | Self::Exists { .. } => true,
            Self::Plan(_) | Self::Write { .. } | Self::Run(_) => false,
        }
    }
}

/// The names of everything that can be planted.
pub fn names() -> Vec<&'static str> {
    plants::ALL.iter().map(|plant| plant.name).collect()
}

/// Segments of small runs, as the lab's brokers have them; large runs have larger ones.
const SEGMENT: (u64, u64) = (1 << 20, 64 << 20);
/// From so many operations on.
const LARGE: u64 = 500_000;

/// Writes a run directory at `to`, which must not exist, and gives what must be found in it.
///
/// # Errors
/// When the order cannot be met, or a file not be written.
pub fn write(asked: &Asked, to: &Path) -> Result<Planted, SynthError> {
    bounds(asked)?;
    let sends = asked.operations.saturating_sub(shape::refused(asked));
    let shape = Shape::of(asked, sends.saturating_sub(asked.planted()))?;
    let (edits, planted) = plants::sow(asked, &shape)?;
    let run = RunId::from_number(Seed(asked.seed).stream("synth run id").bits());
    let segment_bytes = if asked.operations < LARGE {
        SEGMENT.0
    } else {
        SEGMENT.1
    };
    let value_bytes = asked.value_bytes as usize;
    let segment = (segment_bytes / images::batch_bytes(shape.batch, value_bytes)).max(1);
    let order_segment = Orders::of_segment(segment_bytes, value_bytes);
    let dir = create(to)?;
    setting::write(
        &dir,
        asked,
        &shape,
        &setting::setting(asked, &shape, run, segment_bytes),
    )?;
    let played = Play::write(
        &shape,
        &edits,
        (segment, order_segment),
        asked.images,
        &dir.history_file(),
    );
    let (counts, logs) = played?;
    logs.write(&dir)?;
    if asked.images {
        let images = Images {
            shape: &shape,
            edits: &edits,
            run,
            value_bytes,
            segment,
            order_segment,
            topic_ids: &setting::topic_ids(asked),
        };
        images.write(&dir)?;
    }
    dir.seal(Ended::Completed, counts)?;
    Ok(planted)
}

fn bounds(asked: &Asked) -> Result<(), SynthError> {
    let within = |what, value: u64, least, most| {
        let fits = (least..=most).contains(&value);
        fits.then_some(())
            .ok_or(SynthError::OutOfBounds { what, least, most })
    };
    within("--topics", asked.topics.into(), 1, 64)?;
    within("--partitions", asked.partitions.into(), 1, 1_000)?;
    within("--failovers", asked.failovers.into(), 0, 100)?;
    within("--operations", asked.operations, 1, 1_000_000_000)?;
    within("--value-size", asked.value_bytes.into(), 32, 1_000_000)
}

/// An empty run directory.
fn create(to: &Path) -> Result<RunDir, SynthError> {
    if to.exists() {
        return Err(SynthError::Exists {
            path: to.to_owned(),
        });
    }
    for sub in ["history", "images", "nodes"] {
        make_dir(&to.join(sub))?;
    }
    Ok(RunDir::open(to)?)
}
