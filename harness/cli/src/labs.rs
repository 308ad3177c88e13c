//! `tidemark lab ...` and `tidemark heal`.

use std::time::Duration;

use anyhow::{anyhow, bail};
use cluster::claim;
use cluster::guard;
use cluster::host::Host;
use cluster::labfile::{self, Kind, LabFile};
use history::NodeId;

use crate::args::Args;
use crate::exit::{Exit, Failure, OrExit, sentence};
use crate::home::say;
use crate::inside::again;

/// How a command names a lab, after its other words: not at all where it is the default.
pub fn option(name: &str) -> String {
    match name {
        "local" => String::new(),
        name => format!(" --lab {name}"),
    }
}

/// `tidemark lab up`.
pub fn up(name: &str) -> Result<Exit, Failure> {
    let lab = namespaces(name, "bring up").or_usage()?;
    lab::up(&lab).or_harness()?;
    say(&lab::status(&lab.name).or_harness()?.to_string());
    Ok(Exit::Held)
}

/// `tidemark lab down`. A lab that somebody uses goes down only when forced.
pub fn down(name: &str, force: bool) -> Result<Exit, Failure> {
    let lab = namespaces(name, "take down").or_usage()?;
    let removed = if force {
        lab::down(&lab.name)
    } else {
        lab::down_unless_used(&lab.name)
    };
    say(&removed.or_harness()?.to_string());
    Ok(Exit::Held)
}

/// `tidemark lab status`.
pub fn status(name: &str) -> Result<Exit, Failure> {
    let lab = namespaces(name, "look into").or_usage()?;
    say(&lab::status(&lab.name).or_harness()?.to_string());
    Ok(Exit::Held)
}

/// `tidemark lab shell`.
pub fn shell(name: &str, node: NodeId, command: &[String]) -> Result<Exit, Failure> {
    let lab = namespaces(name, "enter").or_usage()?;
    if lab.host(node).is_none() {
        let known: Vec<String> = lab.hosts.iter().map(|h| h.node.to_string()).collect();
        let known = known.join(", ");
        return Err(anyhow!("lab {name} has no host {node}; it has {known}")).or_usage();
    }
    let status = lab::shell(&lab, node, command).or_harness()?;
    Ok(if status.success() {
        Exit::Held
    } else {
        Exit::Harness
    })
}

/// `tidemark lab claim`: writes the marker on every host of a lab, as asked for in so many words.
pub fn claim(args: &Args, name: &str) -> Result<Exit, Failure> {
    let lab = labfile::find(name).or_usage()?;
    if lab.kind == Kind::Namespaces && args.inside.is_none() {
        say("a local lab is claimed when it is brought up");
        return Ok(Exit::Held);
    }
    on_every_host(&lab, async |host| {
        claim::claim(&host, &lab).await?;
        Ok(format!("{}: claimed for {}", host.node(), lab.name))
    })
    .or_harness()
}

/// `tidemark heal LAB`: from any controller, at any time.
pub fn heal(args: &Args, name: &str) -> Result<Exit, Failure> {
    let lab = labfile::find(name).or_usage()?;
    if lab.kind == Kind::Namespaces {
        if args.inside.is_none() {
            if lab::status(&lab.name).or_harness()?.is_down() {
                say(&format!("{} is not up: nothing to heal", lab.name));
                return Ok(Exit::Held);
            }
            heal_from_outside(&lab, name).or_harness()?;
            return Ok(Exit::Held);
        }
        let lab = lab::up(&lab).or_harness()?;
        return heal_hosts(&lab).or_harness();
    }
    heal_hosts(&lab).or_harness()
}

/// Heals from the outer process: through this binary again, inside the controller's namespace.
/// `name` is what the user called the lab: its name or file.
pub fn heal_from_outside(lab: &LabFile, name: &str) -> anyhow::Result<()> {
    if lab.kind == Kind::Namespaces && !lab::controller_netns(&lab.name).exists() {
        say(&format!("{} is down: nothing to heal", lab.name));
        return Ok(());
    }
    let status = again(lab)?.arg("heal").arg(name).status()?;
    if status.success() {
        Ok(())
    } else {
        bail!("healing {} failed: {status}", lab.name)
    }
}

fn heal_hosts(lab: &LabFile) -> anyhow::Result<Exit> {
    on_every_host(lab, async |host| {
        claim::check(&host, lab).await?;
        let healed = guard::heal(&host, lab).await?;
        let mut said = match healed.as_slice() {
            [] => format!("{}: nothing to heal", host.node()),
            healed => format!("{}: {}", host.node(), healed.join(", ")),
        };
        cluster::root::forget(&host, lab).await?;
        for line in guard::diary(&host, lab).await? {
            said.push_str(&format!("\n{}: its guard says: {line}", host.node()));
        }
        Ok(said)
    })
}

/// Does the same on every host, one after the other, and says what each said. Goes on after a
/// failure and fails at the end.
fn on_every_host(
    lab: &LabFile,
    what: impl AsyncFn(Host) -> anyhow::Result<String>,
) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = tokio::task::LocalSet::new();
    let failures: Vec<String> = local.block_on(&runtime, async {
        let mut failures = Vec::new();
        for spec in &lab.hosts {
            let done = async {
                let host = Host::connect(lab, spec).await?;
                what(host).await
            };
            match tokio::time::timeout(Duration::from_secs(30), done).await {
                Ok(Ok(said)) => say(&said),
                Ok(Err(error)) => failures.push({
                    let said = sentence(&error);
                    // Most errors name their node themselves.
                    match said.strip_prefix(&format!("{}: ", spec.node)) {
                        Some(_) => said,
                        None => format!("{}: {said}", spec.node),
                    }
                }),
                Err(_) => failures.push(format!("{}: no answer within 30s", spec.node)),
            }
        }
        failures
    });
    if failures.is_empty() {
        Ok(Exit::Held)
    } else {
        Err(anyhow!(failures.join("; ")))
    }
}

fn namespaces(name: &str, what: &str) -> anyhow::Result<LabFile> {
    let lab = labfile::find(name)?;
    match lab.kind {
        Kind::Namespaces => Ok(lab),
        Kind::Machines => {
            bail!("{name} is made of real machines, which tidemark cannot {what}")
        }
    }
}
