//! The command line as types.

use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, Parser, Subcommand};
use history::{NodeId, RunId};

use crate::bench::BenchArgs;
use crate::doctor::DoctorArgs;
use crate::exporting::ExportArgs;
use crate::nightly::NightlyArgs;
use crate::shrink::ShrinkArgs;
use crate::soak::SoakArgs;
use crate::soak::kills::KillsArgs;
use crate::synthesis::SynthArgs;

/// Scripts rely on these; `exit.rs` is their source.
const EXIT_CODES: &str = "Exit codes of `run` and `check`:
   0  all that was promised held
   1  something promised was broken, also where a plan wants that
   2  nothing was broken, but something is unproven
   3  the harness or the lab failed
  64  wrong usage, a bad plan or lab file, input that cannot be read

A PLAN is the name of a built-in plan (start with `demo`) or the path of a file. A LAB is a name or
the path of a lab file; `local` is three hosts in network namespaces on this machine, as root.";

/// Fault injection for Apache Kafka, judged at the replicas.
#[derive(Debug, Parser)]
#[command(name = "tidemark", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Args {
    /// Enter this network namespace first (used by tidemark itself).
    #[arg(long, hide = true, global = true)]
    pub inside: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

impl Args {
    /// Reads the command line. A misspelt verb is likened to no hidden one.
    ///
    /// # Errors
    /// What is wrong with it, or the help that was asked for.
    pub fn read() -> Result<Args, clap::Error> {
        let mut error = match Args::try_parse() {
            Err(error) => error,
            read => return read,
        };
        let near = error.remove(ContextKind::SuggestedSubcommand);
        if let Some(ContextValue::Strings(mut near)) = near {
            let command = Args::command();
            let hidden = |name: &String| {
                let verb = command.find_subcommand(name);
                verb.is_some_and(clap::Command::is_hide_set)
            };
            near.retain(|name| !hidden(name));
            if !near.is_empty() {
                error.insert(
                    ContextKind::SuggestedSubcommand,
                    ContextValue::Strings(near),
                );
            }
        }
        Err(error)
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a plan on a lab, seal, judge and report it.
    Run(RunArgs),
    /// Judge a run again, from its files alone; or a history that Jepsen recorded.
    Check(CheckArgs),
    /// Render a run's reports again, from the verdict that is there.
    Report {
        /// The run's directory.
        run: PathBuf,
    },
    /// Print a run's history as text, one event a line.
    History {
        /// The run's directory.
        run: PathBuf,
    },
    /// Hand a run's recording to other tools: JSON Lines, Parquet for SQL, Jepsen's EDN.
    Export(ExportArgs),
    /// Write a run that nobody ran: a well-behaved cluster, and what is planted in it.
    Synth(SynthArgs),
    /// Dry run: the steps, as the seed draws them, and what each topic is promised.
    Plan {
        /// A plan's name or file.
        plan: String,
        /// The seed to draw from.
        #[arg(long, default_value_t = 1, value_parser = seed, allow_hyphen_values = true)]
        seed: u64,
    },
    /// Bring labs up and down, look into them, claim machines.
    Lab {
        /// What to do with it.
        #[command(subcommand)]
        verb: LabVerb,
    },
    /// Look at a lab's hosts: what a run will need, side by side, with a remedy for what is missing.
    Doctor(DoctorArgs),
    /// Undo what runs left on a lab's hosts: rules, delays, full disks, stopped processes.
    Heal {
        /// A lab's name or file.
        lab: String,
    },
    /// A night: a suite of runs with its controls, a page, a message.
    Nightly(NightlyArgs),
    /// Reduce a failing run's storm to the steps that are needed, as a plan file.
    Shrink(ShrinkArgs),
    /// Our recorded producers beside Kafka's own, by turns.
    #[command(name = "bench-workload", hide = true)]
    BenchWorkload(BenchArgs),
    /// The inner process of `bench-workload`.
    #[command(name = "__bench", hide = true)]
    BenchInside,
    /// Random faults, each healed, and the hosts compared with what they were.
    #[command(name = "soak-faults", hide = true)]
    SoakFaults(SoakArgs),
    /// Runs whose controller dies in the storm.
    #[command(name = "soak-kills", hide = true)]
    SoakKills(KillsArgs),
    /// The inner process of `soak-faults`.
    #[command(name = "__soak", hide = true)]
    SoakInside,
    /// The inner process of `run`.
    #[command(name = "__runner", hide = true)]
    Runner {
        /// The run's directory.
        dir: PathBuf,
    },
}

/// `tidemark run`.
#[derive(Debug, clap::Args)]
pub struct RunArgs {
    /// A plan's name or file.
    pub plan: String,
    /// A lab's name or file; `local` is three hosts in network namespaces on this machine.
    #[arg(long, default_value = "local")]
    pub lab: String,
    /// Everything random is drawn from it; drawn itself when absent.
    #[arg(long, value_parser = seed, allow_hyphen_values = true)]
    pub seed: Option<u64>,
    /// Play this saved schedule (a run's schedule.toml, edited or not) instead of drawing one.
    #[arg(long)]
    pub schedule: Option<PathBuf>,
    /// Runs are kept in `runs` below this directory.
    #[arg(long, default_value = "results", env = "TIDEMARK_RESULTS")]
    pub results: PathBuf,
    /// A Kafka release tarball (path or URL) instead of Maven artefacts.
    #[arg(long, requires = "sha512")]
    pub tarball: Option<String>,
    /// The tarball's SHA-512.
    #[arg(long, value_parser = sha512)]
    pub sha512: Option<String>,
    /// Take the lab over from a run that holds its lock.
    #[arg(long)]
    pub steal: bool,
    /// Leave the local lab up afterwards.
    #[arg(long)]
    pub keep_lab: bool,
    /// Print the verdict as JSON; progress goes to standard error.
    #[arg(long)]
    pub json: bool,
    /// The run's id; the run ends, in order, with the process that asked for it (used by tidemark
    /// itself).
    #[arg(long = "as", hide = true)]
    pub id: Option<RunId>,
}

/// `tidemark check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// A run's directory, or a file with a history of Jepsen's Kafka workload: its EDN, or the
    /// same maps as JSON Lines (docs/jepsen.md).
    pub run: PathBuf,
    /// Print the verdict as JSON.
    #[arg(long)]
    pub json: bool,
    /// Whose rules judge a history in a file: ours for clients, or exactly those of Jepsen.
    #[arg(long, value_enum, value_name = "RULES")]
    pub rules: Option<RulesName>,
    /// In a history in a file, writes depend on the writes before them in the log.
    #[arg(long)]
    pub ww_deps: bool,
    /// Whether the consumers of a history in a file subscribed; auto is whether it shows one.
    #[arg(long, value_enum, value_name = "WHETHER")]
    pub subscribed: Option<SubscribedName>,
}

/// Whose rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum RulesName {
    /// Jepsen's Kafka checker's, to the letter.
    Jepsen,
    /// Ours.
    Native,
}

/// Whether consumers subscribed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum SubscribedName {
    /// If the history has a subscribe.
    Auto,
    /// They did.
    Yes,
    /// They did not.
    No,
}

/// What to do with a lab.
#[derive(Debug, Subcommand)]
pub enum LabVerb {
    /// Make the local hosts, or what is missing of them; on a lab that works, nothing.
    Up {
        /// A lab's name or file.
        #[arg(default_value = "local")]
        lab: String,
    },
    /// Take the hosts down and leave nothing.
    Down {
        /// A lab's name or file.
        #[arg(default_value = "local")]
        lab: String,
        /// Even while a run or a shell uses them.
        #[arg(long)]
        force: bool,
    },
    /// Say what is up: namespaces, addresses, processes.
    Status {
        /// A lab's name or file.
        #[arg(default_value = "local")]
        lab: String,
    },
    /// A shell on a host; after `--`, a command instead.
    Shell {
        /// The node, as n0.
        node: NodeId,
        /// A command instead of an interactive shell.
        #[arg(trailing_var_arg = true)]
        command: Vec<String>,
        /// A lab's name or file.
        #[arg(long, default_value = "local")]
        lab: String,
    },
    /// Mark hosts as belonging to a lab, so that runs may touch them.
    Claim {
        /// A lab's name or file.
        lab: String,
    },
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| format!("a seed is a whole number from 0 to {}", u64::MAX))
}

fn sha512(text: &str) -> Result<String, String> {
    let fits = text.len() == 128 && text.bytes().all(|b| b.is_ascii_hexdigit());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a SHA-512 is 128 hexadecimal digits".to_owned())
    }
}
