//! The `tidemark` binary: words to calls, verdicts to exit codes.
//!
//! No logic worth testing lives here; every verb is a few calls into the other packages.

mod args;
mod bench;
mod children;
mod doctor;
mod exit;
mod experiment;
mod exporting;
mod foreign;
mod home;
mod inside;
mod judging;
mod labs;
mod live;
mod nightly;
mod planning;
mod shrink;
mod signals;
mod site;
mod soak;
mod standing;
mod synthesis;
mod tried;
mod unstarted;

use std::process::ExitCode;

use crate::args::{Args, LabVerb, Verb};
use crate::exit::Exit;

fn main() -> ExitCode {
    let args = match Args::read() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                Exit::Usage.into()
            } else {
                Exit::Held.into()
            };
        }
    };
    // Before any thread exists: a namespace is entered by the whole process or not at all.
    if let Some(netns) = &args.inside
        && let Err(error) = lab::enter(netns)
    {
        home::say_error(&format!("tidemark: {error}"));
        return Exit::Harness.into();
    }
    match dispatch(&args) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            home::say_error(&format!("tidemark: {}", failure.said()));
            failure.exit.into()
        }
    }
}

fn dispatch(args: &Args) -> Result<Exit, exit::Failure> {
    match &args.verb {
        Verb::Run(run) => experiment::run(run),
        Verb::BenchWorkload(asked) => bench::run(asked),
        Verb::BenchInside => bench::inside(),
        Verb::SoakFaults(asked) => soak::run(asked),
        Verb::SoakKills(asked) => soak::kills::run(asked),
        Verb::SoakInside => soak::inside(),
        Verb::Runner { dir } => inside::runner(dir),
        Verb::Check(asked) => foreign::check(asked),
        Verb::Report { run } => judging::report(run),
        Verb::History { run } => judging::history(run),
        Verb::Export(asked) => exporting::export(asked),
        Verb::Synth(asked) => synthesis::synth(asked),
        Verb::Plan { plan, seed } => planning::show(plan, *seed),
        Verb::Nightly(asked) => nightly::nightly(asked),
        Verb::Shrink(asked) => shrink::run(asked),
        Verb::Doctor(asked) => doctor::doctor(args, asked),
        Verb::Heal { lab } => labs::heal(args, lab),
        Verb::Lab { verb } => match verb {
            LabVerb::Up { lab } => labs::up(lab),
            LabVerb::Down { lab, force } => labs::down(lab, *force),
            LabVerb::Status { lab } => labs::status(lab),
            LabVerb::Shell { lab, node, command } => labs::shell(lab, *node, command),
            LabVerb::Claim { lab } => labs::claim(args, lab),
        },
    }
}
