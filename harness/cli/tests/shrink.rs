//! `tidemark shrink` as a user meets it: what it refuses, what it writes, and what it says of a lab
//! that does not answer.
//!
//! No broker and no root: runs are on record already, made up here. What is decided is tested in
//! `campaign`; what it came to on brokers is told in docs/shrink.md.

mod said;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use campaign::shrink::{Asked, Case, Record, Tries, shrink as reduce};
use campaign::{Attempt, CampaignError, Facts, Outcome};
use checkers::Fold;
use history::rundir::RunDir;
use plan::{Expected, Plan, Schedule, Storm};
use said::{HARNESS, Said, USAGE, dir, tidemark};

/// A copy of an exhibit, which is not judged yet.
fn exhibit(at: &Path, name: &str) -> PathBuf {
    let run = at.join(name);
    let exhibits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/exhibits");
    copy(&exhibits.join(name), &run);
    run
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("an exhibit").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copied");
        }
    }
}

fn shrink(at: &Path, args: &[&str]) -> Said {
    tidemark(at, &[&["shrink"], args].concat())
}

#[test]
fn runs_that_cannot_be_reduced() {
    let at = dir();
    let refused = |args: &[&str], words: &[&str]| {
        shrink(at.path(), args).refuses(USAGE, words);
        assert!(!at.path().join("results").exists(), "it wrote something");
    };
    refused(&["/nowhere"], &["/nowhere is not a run directory"]);
    let run = exhibit(at.path(), "canary-kip101");
    refused(
        &["canary-kip101"],
        &["canary-kip101 has no verdict yet", "tidemark check"],
    );
    tidemark(at.path(), &["check", "canary-kip101"]);
    refused(
        &["canary-kip101", "--cause", "0"],
        &["--cause is from 1 to", "not 0"],
    );
    refused(
        &["canary-kip101", "--cause", "99"],
        &["--cause is from 1 to", "not 99"],
    );
    refused(&["canary-kip101", "--lab", "nowhere"], &["nowhere"]);
    let schedule = run.join("schedule.toml");
    let steps = fs::read_to_string(&schedule).expect("a schedule");
    fs::write(&schedule, steps.replace("r1/0", "r2/0")).expect("written");
    refused(
        &["canary-kip101"],
        &["does not fit its plan", "there is no topic `r2`"],
    );
    fs::remove_file(&schedule).expect("removed");
    refused(&["canary-kip101"], &["cannot read", "schedule.toml"]);
    exhibit(at.path(), "acked-lost-below-hw");
    refused(
        &["acked-lost-below-hw"],
        &["acked-lost-below-hw was written by `tidemark synth`"],
    );
    exhibit(at.path(), "demo");
    tidemark(at.path(), &["check", "demo"]);
    refused(
        &["demo"],
        &["demo broke nothing (Held): there is nothing to shrink"],
    );
}

#[test]
fn words_that_mean_nothing() {
    let at = dir();
    for (option, value, words) in [
        ("--times", "0", "0 is not in 1..=100"),
        (
            "--at-least",
            "1.2",
            "a share is a number above 0 and up to 1",
        ),
        ("--at-least", "0", "a share is a number above 0 and up to 1"),
        (
            "--at-least",
            "NaN",
            "a share is a number above 0 and up to 1",
        ),
        ("--budget", "5", "a time has a unit, as 90m or 2h"),
    ] {
        let said = shrink(at.path(), &["run", option, value]);
        assert_eq!(said.code, Some(USAGE), "{said:?}");
        assert!(said.err.contains(words), "{words:?}: {said:?}");
    }
}

/// Another cause of the same run is another reduction: its runs are not mixed with those on record.
#[test]
fn a_record_of_another_reduction() {
    let at = dir();
    exhibit(at.path(), "canary-kip101");
    tidemark(at.path(), &["check", "canary-kip101"]);
    let kept = at.path().join("results/shrunk/canary-kip101");
    fs::create_dir_all(&kept).expect("a directory");
    let record = |text: &str| fs::write(kept.join("tried.json"), text).expect("written");
    let other = r#"{"format": 1, "run": "canary-kip101", "steps": [], "tried": [], "cause":
        {"guarantee": "g", "class": "c", "topic": "t", "count": 1, "title": "", "story": ""}}"#;
    for (text, words) in [
        (other, "is of another reduction of this run"),
        ("{}", "is no record of a reduction"),
        ("{\"format\": 99}", "upgrade"),
    ] {
        record(text);
        shrink(at.path(), &["canary-kip101"]).refuses(USAGE, &["tried.json", words]);
    }
}

/// Runs nothing: a run of the canary fails if it still sends, cuts and kills; after so many runs it
/// is stopped.
struct MadeUp {
    broken: Facts,
    left: usize,
}

impl Tries for MadeUp {
    fn run(&mut self, plan: &str, _: Duration) -> Attempt {
        self.left -= 1;
        let fails = ["kill n0", "kill n1", "cut n2 -> n1"];
        let fails = fails.iter().all(|step| plan.contains(step)) && plan.contains("send 1");
        let mut facts = self.broken.clone();
        if !fails {
            facts.causes.clear();
            facts.verdict = Fold::Held;
        }
        Attempt {
            run: None,
            outcome: Outcome::Judged(Box::new(facts)),
        }
    }

    fn heal(&mut self) {}

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }

    fn stop(&mut self) -> Option<String> {
        (self.left == 0).then(|| "INT".to_owned())
    }

    fn keep(&mut self, _: &Record) -> Result<(), CampaignError> {
        Ok(())
    }

    fn tell(&mut self, _: &str) {}
}

/// A judged canary with so many runs of its reduction on record; where the record is, and what is.
fn on_record(at: &Path, runs: usize) -> (PathBuf, Record) {
    let run = exhibit(at, "canary-kip101");
    tidemark(at, &["check", "canary-kip101"]);
    let run = RunDir::open(&run).expect("a run");
    let read = |path: PathBuf| fs::read_to_string(path).expect("a file");
    let plan = Plan::parse(&read(run.plan_toml()), "plan.toml").expect("a plan");
    let steps = Schedule::parse(&read(run.schedule_toml()), "schedule.toml").expect("steps");
    let judgement = run.read_verdict().expect("a verdict");
    let broken = Facts::of(&judgement);
    let case = Case::new(&plan, steps, "made up").expect("they fit");
    let mut record = Record::new(&run.name(), broken.causes[0].clone(), case.steps());
    let asked = Asked {
        times: 3,
        at_least: 2,
        budget: Duration::from_secs(1_000),
        takes: Duration::ZERO,
        shorten: true,
    };
    let mut made_up = MadeUp { broken, left: runs };
    reduce(&case, asked, &mut record, &mut made_up).expect("nothing to write");
    let kept = at.join("results/shrunk/canary-kip101");
    fs::create_dir_all(&kept).expect("a directory");
    record.write(&kept.join("tried.json")).expect("written");
    (kept, record)
}

const CALL: [&str; 5] = ["canary-kip101", "--lab", "./gone.toml", "--times", "3"];

#[test]
fn the_result_is_a_plan_file() {
    let at = dir();
    said::lab_that_is_gone(at.path());
    let (kept, _) = on_record(at.path(), 1_000);
    let said = shrink(at.path(), &CALL);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(
        said.out.contains("runs are on record from an earlier call"),
        "{said:?}"
    );
    assert!(said.out.contains("3 of 3 runs of them break"), "{said:?}");
    assert!(said.out.contains("No step can go."), "{said:?}");
    let again = "tidemark run results/shrunk/canary-kip101/plan.toml --lab ./gone.toml --seed ";
    assert!(said.out.contains(&format!("run it: {again}")), "{said:?}");
    let text = fs::read_to_string(kept.join("plan.toml")).expect("a result");
    assert!(text.contains(&format!("# Again:  {again}")), "{text}");
    assert!(text.contains("# Rate:   3 of 3 runs\n"), "{text}");
    let plan = Plan::parse(&text, "plan.toml").expect("a plan");
    assert_eq!(plan.expect, Some(Expected::Broken));
    assert!(
        matches!(&plan.storm, Storm::Steps(steps) if steps.len() == 4),
        "{text}"
    );
    let shown = tidemark(
        at.path(),
        &["plan", "results/shrunk/canary-kip101/plan.toml"],
    );
    assert_eq!(shown.code, Some(0), "{shown:?}");
}

/// What was known before is the result of the call, and stays on record.
#[test]
fn a_lab_that_does_not_answer_decides_nothing() {
    for (runs, words) in [
        (
            0,
            "Nothing is known yet: no run came to a verdict. The lab failed again and again.",
        ),
        (7, "The lab failed again and again: perhaps more can go."),
    ] {
        let at = dir();
        said::lab_that_is_gone(at.path());
        let (kept, record) = on_record(at.path(), runs);
        assert_eq!(record.tried.len(), runs);
        let said = shrink(at.path(), &CALL);
        assert_eq!(said.code, Some(HARNESS), "{said:?}");
        assert!(said.out.contains(words), "{said:?}");
        assert!(
            said.err
                .contains("the lab failed, which counts for nothing"),
            "{said:?}"
        );
        assert_eq!(kept.join("plan.toml").exists(), runs > 0);
        let after = Record::read(&kept.join("tried.json")).expect("a record");
        assert!(after.is_none_or(|after| after == record));
    }
}
