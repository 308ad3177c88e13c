//! `tidemark run`: the outer process. It stays where the user typed, fetches artefacts, brings the
//! lab up, starts the runner, outlives it, heals if the runner died, judges, reports.

use anyhow::{Context, anyhow};
use chrono::Utc;
use cluster::artefacts::{Artefacts, default_cache};
use cluster::labfile::{self, Kind, LabFile};
use history::RunId;
use history::rundir::RunDir;
use plan::seed::Seed;
use plan::{Plan, Schedule};

use crate::args::RunArgs;
use crate::exit::{Exit, Failure, OrExit, sentence};
use crate::home::{fresh_number, give_to_caller, say, say_error};
use crate::inside::{Instructions, again, die_with_parent};
use crate::signals::{self, Signals};
use crate::standing::Up;
use crate::{children, judging, labs, tried, unstarted};

/// `tidemark run PLAN`.
pub fn run(args: &RunArgs) -> Result<Exit, Failure> {
    let (origin, text) = plan::plans::find(&args.plan).or_usage()?;
    let plan = Plan::parse(&text, &origin).or_usage()?;
    let lab = labfile::find(&args.lab).or_usage()?;
    let _going_on = match args.id {
        Some(_) => {
            die_with_parent().or_harness()?;
            Some(tried::mark(&args.results, &lab.name).or_harness()?)
        }
        None => None,
    };
    let seed = args.seed.unwrap_or_else(|| fresh_number() % 1_000_000);
    let schedule = schedule(args, &plan, seed).or_usage()?;
    let on = labs::option(&args.lab);
    let mut again = format!("tidemark run {}{on} --seed {seed}", args.plan);
    if let Some(saved) = &args.schedule {
        again.push_str(&format!(" --schedule {}", saved.display()));
    }
    let tell = if args.json { say_error } else { say };
    tell(&format!("seed {seed}; repeat with: {again}"));

    if lab.kind == Kind::Namespaces {
        lab::can_hold(&lab).or_harness()?;
    }
    std::fs::create_dir_all(&args.results)
        .map_err(|why| {
            let results = args.results.display();
            anyhow!("cannot keep runs in {results} ({why}): name another directory with --results")
        })
        .or_harness()?;
    let artefacts = artefacts(args, &lab, &plan).or_harness()?;
    // Listening begins before the lab and the runner, so that no signal leaves one of them behind.
    let (runtime, mut signals) = signals::runtime().or_harness()?;
    let up = Up::new(lab, args.keep_lab);
    if let Some(name) = runtime.block_on(signals.raised()) {
        say_error(&format!(
            "tidemark: {name} while the lab came up: nothing was run"
        ));
        // What was half up when it failed has gone down already.
        if let Ok(up) = up {
            up.down(&runtime).or_harness()?;
        }
        return Ok(Exit::Unproven);
    }
    let up = up.or_harness()?;
    let went = runtime.block_on(carry_out(
        args,
        &plan,
        &schedule,
        &up,
        artefacts,
        &mut signals,
    ));
    let down = up.down(&runtime);
    let (dir, went) = went.or_harness()?;
    if let Err(error) = &down {
        say_error(&format!("tidemark: {}", sentence(error)));
    }
    if unstarted::reason(&dir).or_harness()?.is_some() {
        tell(&format!(
            "unproven: the run ended before its load began; it is kept in {}",
            dir.path().display()
        ));
        give_to_caller(dir.path());
        return Ok(if went { Exit::Unproven } else { Exit::Harness });
    }
    let judged = judging::judge(&dir, args.json);
    give_to_caller(dir.path());
    Ok(match (went && down.is_ok(), judged) {
        (true, judged) => judged?,
        (false, Ok(judged)) => worse(judged),
        (false, Err(failure)) => {
            say_error(&format!("tidemark: {}", failure.said()));
            Exit::Harness
        }
    })
}

/// From a lab that is up to a run directory, and whether the runner did its work.
async fn carry_out(
    args: &RunArgs,
    plan: &Plan,
    schedule: &Schedule,
    up: &Up,
    artefacts: Artefacts,
    signals: &mut Signals,
) -> anyhow::Result<(RunDir, bool)> {
    let run_id = args
        .id
        .unwrap_or_else(|| RunId::from_number(fresh_number()));
    let started = Utc::now();
    let dir = RunDir::create(&args.results, started, &plan.name, run_id)?;
    std::fs::write(dir.plan_toml(), plan.to_toml())?;
    std::fs::write(dir.lab_toml(), up.lab.to_toml_without_secrets())?;
    std::fs::write(dir.schedule_toml(), schedule.to_toml())?;
    let told = Instructions {
        lab: up.lab.clone(),
        artefacts,
        run_id,
        started,
        steal: args.steal,
    };
    let mut runner = again(&up.lab)?;
    runner.arg("__runner").arg(dir.path());
    let ended = children::tell(runner, &told, signals).await?;
    let status = ended.status;
    if let Some(signal) = ended.killed_by() {
        heal(args, up, &format!("was killed by signal {signal}")).await?;
    } else if !status.success() && !dir.history_file().exists() {
        let why = format!("the runner ended with {status} before it recorded anything");
        unstarted::seal(&dir, unstarted::failed(why)).await?;
    } else if !matches!(dir.read_seal(), Ok(Some(_))) {
        heal(args, up, &format!("ended with {status} and sealed nothing")).await?;
    }
    Ok((dir, status.success()))
}

/// Removes from the hosts what a runner left there that did not end in order.
async fn heal(args: &RunArgs, up: &Up, ended: &str) -> anyhow::Result<()> {
    say_error(&format!("the runner {ended}; healing the hosts"));
    match labs::heal_from_outside(&up.lab, &args.lab) {
        Ok(()) => say_error("healed"),
        Err(_) if up.has_gone_down().await? => say_error("the lab was taken down with it"),
        Err(error) => say_error(&format!("tidemark: {}", sentence(&error))),
    }
    Ok(())
}

/// A run that the harness could not carry out: what was broken stays broken, all else is the
/// harness' failure.
fn worse(judged: Exit) -> Exit {
    if judged == Exit::Broken {
        Exit::Broken
    } else {
        Exit::Harness
    }
}

/// The schedule that was saved by another run, if one is named; else drawn from the seed.
fn schedule(args: &RunArgs, plan: &Plan, seed: u64) -> anyhow::Result<Schedule> {
    let Some(saved) = &args.schedule else {
        return Ok(Schedule::draw(plan, Seed(seed)));
    };
    let origin = saved.display().to_string();
    let text = std::fs::read_to_string(saved).with_context(|| format!("cannot read {origin}"))?;
    let schedule = Schedule::parse(&text, &origin)?;
    schedule
        .fits(plan)
        .map_err(|why| anyhow!("{origin} does not fit plan {}: {why}", plan.name))?;
    Ok(schedule)
}

/// What the command line names; else what the lab file has of this version; else Maven's.
fn artefacts(args: &RunArgs, lab: &LabFile, plan: &Plan) -> anyhow::Result<Artefacts> {
    let (cache, version) = (default_cache()?, &plan.cluster.kafka);
    let release = lab.kafka.iter().find(|release| release.version == *version);
    let release = release.map(|release| (&release.tarball, &release.sha512));
    let Some((tarball, sha512)) = args.tarball.as_ref().zip(args.sha512.as_ref()).or(release)
    else {
        return Ok(Artefacts::broker(version, &cache)?);
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(Artefacts::from_tarball(version, tarball, sha512, &cache))?)
}
