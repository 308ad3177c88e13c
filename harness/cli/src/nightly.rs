//! `tidemark nightly`: a night, and nights that come by themselves.
//!
//! A night is `night`, with its runs (`on_lab`), what an earlier one left (`torn`) and who is told
//! (`news`). Nights to come are `install`, in their two forms (`systemd`, `cron`), and `status`.

mod cron;
mod every;
mod install;
mod news;
mod night;
mod on_lab;
mod status;
mod systemd;
mod torn;

use clap::{Args as ClapArgs, Subcommand};

use crate::exit::{Exit, Failure, OrExit};
use install::{InstallArgs, UninstallArgs};
use night::{NightArgs, PageArgs};
use status::StatusArgs;

/// `tidemark nightly`.
#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct NightlyArgs {
    /// What to do about the nights to come.
    #[command(subcommand)]
    pub verb: Option<NightlyVerb>,
    /// One night, now.
    #[command(flatten)]
    pub night: Option<NightArgs>,
}

/// What to do about the nights to come.
#[derive(Debug, Subcommand)]
pub enum NightlyVerb {
    /// Run a suite every night: a systemd timer, or a line of the crontab.
    Install(InstallArgs),
    /// Take an installed suite away again.
    Uninstall(UninstallArgs),
    /// Say how the last night ended and when the next one is.
    Status(StatusArgs),
    /// Make index and page again, from the files of nights and runs alone.
    Page(PageArgs),
}

/// `tidemark nightly`.
pub fn nightly(args: &NightlyArgs) -> Result<Exit, Failure> {
    match (&args.verb, &args.night) {
        (Some(NightlyVerb::Install(asked)), _) => install::install(asked),
        (Some(NightlyVerb::Uninstall(asked)), _) => install::uninstall(asked),
        (Some(NightlyVerb::Status(asked)), _) => status::status(asked),
        (Some(NightlyVerb::Page(asked)), _) => night::page_again(asked),
        (None, Some(asked)) => night::run(asked),
        (None, None) => Err(anyhow::anyhow!("name a suite: `tidemark nightly nightly`")).or_usage(),
    }
}
