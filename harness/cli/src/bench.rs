//! `make bench-workload`: our recorded producers beside Kafka's own `ProducerPerformance`, by turns,
//! in a lab of their own. This is the outer process: artefacts, the lab up and down, the answer.
//!
//! It judges no broker and keeps no run. It refuses to start beside another one of its kind.

mod figures;
mod inside;
mod recorded;

use std::process::Stdio;

use anyhow::{Context, anyhow};
use cluster::artefacts::{Artefacts, TOOLS_POM, default_cache};
use cluster::labfile::{self, LabFile};
use history::RunId;
use plan::Plan;
use serde::{Deserialize, Serialize};

use crate::children;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::{fresh_number, say};
use crate::inside::again;
use crate::signals::{self, Signals};
use figures::{Pair, Summary};

pub use inside::inside;

/// What is measured: one topic and its load.
const PLAN: &str = "bench-workload";
/// The lab's name; runs on the local lab do not meet it.
const LAB: &str = "bench";

/// `tidemark bench-workload`.
#[derive(Debug, clap::Args)]
pub struct BenchArgs {
    /// Pairs that count; one more goes before them to warm the brokers up.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    pairs: u32,
    /// Seconds that one turn takes, about.
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(2..=120))]
    seconds: u32,
}

/// What the outer process tells the inner one, on its standard input.
#[derive(Debug, Serialize, Deserialize)]
struct Instructions {
    lab: LabFile,
    artefacts: Artefacts,
    /// `java` as this machine calls it.
    java: String,
    /// The class path of Kafka's tools.
    tools: String,
    plan: String,
    run: RunId,
    pairs: u32,
    seconds: u32,
}

/// `tidemark bench-workload`: exit code 0 when both figures are as good as they must be, 1 when one
/// is not.
pub fn run(args: &BenchArgs) -> Result<Exit, Failure> {
    let (origin, text) = plan::plans::find(PLAN).or_usage()?;
    let plan = Plan::parse(&text, &origin).or_usage()?;
    let cache = default_cache().or_harness()?;
    let kafka = &plan.cluster.kafka;
    let artefacts = Artefacts::broker(kafka, &cache).or_harness()?;
    let tools = Artefacts::resolve(kafka, &cache, TOOLS_POM).or_harness()?;
    let mut lab = labfile::find("local").or_usage()?;
    LAB.clone_into(&mut lab.name);
    let java = lab.java.clone();

    // From here on a signal ends nothing by itself: the lab goes down on every path.
    let (runtime, mut signals) = signals::runtime().or_harness()?;
    let was_up = !lab::status(LAB).or_harness()?.is_down();
    let measured = lab::up(&lab)
        .context("the lab did not come up")
        .and_then(|lab| {
            let told = Instructions {
                lab,
                artefacts,
                java,
                tools: tools.class_path(),
                plan: text,
                run: RunId::from_number(fresh_number()),
                pairs: args.pairs,
                seconds: args.seconds,
            };
            runtime.block_on(measure(&told, &mut signals))
        });
    // A lab that was up and would not have us belongs to somebody else.
    if measured.is_ok() || !was_up {
        lab::down(LAB)
            .context("the lab did not go down")
            .or_harness()?;
    }
    let pairs = measured.or_harness()?;
    let summary = Summary::of(&pairs).or_harness()?;
    say(&summary.to_string());
    Ok(if summary.is_good() {
        Exit::Held
    } else {
        Exit::Broken
    })
}

/// Starts the inner process inside the controller's namespace, and takes its figures from its
/// standard output.
async fn measure(told: &Instructions, signals: &mut Signals) -> anyhow::Result<Vec<Pair>> {
    let mut inner = again(&told.lab)?;
    inner.arg("__bench").stdout(Stdio::piped());
    let ended = children::tell(inner, told, signals).await?;
    if !ended.status.success() {
        return Err(anyhow!(
            "nothing was measured: the inner process ended with {}",
            ended.status
        ));
    }
    serde_json::from_slice(&ended.said).context("the inner process printed no figures")
}
