//! `tidemark doctor`: the lab's hosts looked at, as a table or as JSON.

use anyhow::anyhow;
use clap::Args as ClapArgs;
use cluster::doctor::{self, Checkup};
use cluster::labfile::{self, Kind, LabFile};

use crate::args::Args;
use crate::exit::{Exit, Failure, OrExit};
use crate::home::say;
use crate::inside::again;

/// `tidemark doctor`.
#[derive(Debug, ClapArgs)]
pub struct DoctorArgs {
    /// A lab's name or file.
    #[arg(default_value = "local")]
    pub lab: String,
    /// Print everything as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Looks at every host and changes nothing.
pub fn doctor(args: &Args, asked: &DoctorArgs) -> Result<Exit, Failure> {
    let lab = labfile::find(&asked.lab).or_usage()?;
    if lab.kind == Kind::Machines {
        return examined(&lab, asked).or_harness();
    }
    if args.inside.is_some() {
        let lab = lab::as_it_is(&lab).or_harness()?;
        return examined(&lab, asked).or_harness();
    }
    if lab::status(&lab.name).or_harness()?.is_down() {
        let name = &asked.lab;
        let why = anyhow!(
            "{name} is not up, so its hosts cannot be asked: `tidemark lab up {name}` brings them \
             up (a run does that by itself)"
        );
        return Err(why).or_harness();
    }
    let mut inside = again(&lab).or_harness()?;
    inside.arg("doctor").arg(&asked.lab);
    if asked.json {
        inside.arg("--json");
    }
    match inside.status().or_harness()?.code() {
        Some(0) => Ok(Exit::Held),
        _ => Ok(Exit::Harness),
    }
}

fn examined(lab: &LabFile, asked: &DoctorArgs) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let checkup: Checkup = tokio::task::LocalSet::new().block_on(&runtime, doctor::examine(lab));
    match asked.json {
        true => say(&serde_json::to_string_pretty(&checkup)?),
        false => say(&checkup.to_string()),
    }
    Ok(match checkup.fits {
        true => Exit::Held,
        false => Exit::Harness,
    })
}
