//! `tidemark synth`: a run directory of any size that nobody ran, and what is planted in it.

use std::path::PathBuf;

use exchange::synth::{self, Asked};

use crate::exit::{Exit, Failure, OrExit};
use crate::home::say;

/// `tidemark synth`.
#[derive(Debug, clap::Args)]
pub struct SynthArgs {
    /// Records sent.
    #[arg(long, default_value_t = 100_000)]
    pub operations: u64,
    /// Everything is drawn from it: the same order gives the same bytes.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Topics: acks=all idempotent and acks=1 by turns.
    #[arg(long, default_value_t = 2)]
    pub topics: u32,
    /// Partitions of each topic.
    #[arg(long, default_value_t = 1)]
    pub partitions: u32,
    /// Brokers killed and cut off, by turns.
    #[arg(long, default_value_t = 1)]
    pub failovers: u32,
    /// Leave replica images out: the history alone, of which little can be proved.
    #[arg(long)]
    pub no_images: bool,
    /// Bytes of a record's value; they do not compress.
    #[arg(long, default_value_t = 100)]
    pub value_size: u32,
    /// The run directory to write; it must not exist.
    #[arg(long)]
    pub to: PathBuf,
}

/// `tidemark synth ... --to DIR`.
pub fn synth(args: &SynthArgs) -> Result<Exit, Failure> {
    let asked = Asked {
        operations: args.operations,
        topics: args.topics,
        partitions: args.partitions,
        failovers: args.failovers,
        images: !args.no_images,
        value_bytes: args.value_size,
        seed: args.seed,
    };
    match synth::write(&asked, &args.to) {
        Ok(()) => {}
        Err(error) if error.is_usage() => return Err(error).or_usage(),
        Err(error) => return Err(error).or_harness(),
    }
    say(&args.to.display().to_string());
    Ok(Exit::Held)
}
