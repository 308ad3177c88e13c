//! `tidemark synth`: a run directory of any size that nobody ran, and what is planted in it.

use std::path::{Path, PathBuf};

use exchange::synth::{self, Asked, Find};
use history::rundir;

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
    /// Beside the other load, two producers send in transactions to a topic `orders`.
    #[arg(long)]
    pub transactions: bool,
    /// A group reads the first topic along, and commits.
    #[arg(long)]
    pub groups: bool,
    /// Break a guarantee so often; a name that is none lists what can be planted.
    #[arg(long = "plant", value_name = "GUARANTEE[=COUNT]", value_parser = plant)]
    pub plants: Vec<(String, u32)>,
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
        transactions: args.transactions,
        groups: args.groups,
        images: !args.no_images,
        value_bytes: args.value_size,
        seed: args.seed,
        plants: args.plants.clone(),
    };
    let planted = match synth::write(&asked, &args.to) {
        Ok(planted) => planted,
        Err(error) if error.is_usage() => return Err(error).or_usage(),
        Err(error) => return Err(error).or_harness(),
    };
    let beside = beside(&args.to);
    let mut json = serde_json::to_vec_pretty(&planted).or_harness()?;
    json.push(b'\n');
    rundir::write_atomically(&beside, &json).or_harness()?;
    for find in &planted.planted {
        say(&line(find));
    }
    say(&format!("{}: {}", args.to.display(), beside.display()));
    Ok(Exit::Held)
}

/// `DIR.planted.json`: beside the run, since it is no evidence.
fn beside(run: &Path) -> PathBuf {
    let mut name = run.as_os_str().to_owned();
    name.push(".planted.json");
    PathBuf::from(name)
}

fn line(find: &Find) -> String {
    let offsets = match find.offsets {
        Some((from, to)) if to - from == 1 => format!(" @{from}"),
        Some((from, to)) => format!(" @{from}..@{}", to - 1),
        None => String::new(),
    };
    let also = match find.also {
        true => format!(", also {}", find.guarantee),
        false => String::new(),
    };
    format!(
        "{}{also}: {} in {}{offsets}",
        find.plant, find.count, find.partition
    )
}

fn plant(text: &str) -> Result<(String, u32), String> {
    let (name, count) = text.split_once('=').unwrap_or((text, "1"));
    let count = count
        .parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("`{count}` is not how often; give {name}=3"))?;
    Ok((name.to_owned(), count))
}
