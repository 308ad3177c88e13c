//! Run directories that are none, newer, damaged, torn, or of a run that never began: one sentence,
//! the right exit code, and nothing lost that was recorded.

mod said;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use history::rundir::{Ended, RunDir};
use history::{Call, ClientId, Event, Mark, OpId, Phase, Recorder, RunId, Setting};
use said::{Said, UNPROVEN, USAGE, command, dir, nothing_but, plan, put, tidemark};

/// A run directory with this history, sealed as `ended` says.
fn run_dir(results: &Path, events: Vec<Event>, ended: Option<Ended>) -> PathBuf {
    let run = RunId::from_number(7);
    let started = chrono::DateTime::UNIX_EPOCH;
    let dir = RunDir::create(results, started, "short", run).expect("a run directory");
    fs::write(dir.plan_toml(), plan("")).expect("a plan");
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (pen, recorder) = Recorder::create(&dir.history_file()).expect("a history");
        pen.write_all(events);
        drop(pen);
        let counts = recorder.close().await.expect("written");
        if let Some(ended) = ended {
            dir.seal(ended, counts).expect("sealed");
        }
    });
    dir.path().to_owned()
}

fn phases(count: u64) -> Vec<Event> {
    let phase = Phase::Setup;
    (0..count)
        .map(|n| Event::Phase { at: Mark(n), phase })
        .collect()
}

#[test]
fn what_is_no_run_directory() {
    let at = dir();
    let file = put(at.path(), "file", "");
    for verb in ["check", "report", "history"] {
        for place in [".", "/nowhere", &file] {
            let said = tidemark(at.path(), &[verb, place]);
            said.refuses(
                USAGE,
                &[place, "is not a run directory", "below results/runs"],
            );
        }
    }
    nothing_but(at.path(), &["file"]);
}

#[test]
fn a_part_of_a_run_is_no_foreign_history() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), Some(Ended::Completed));
    for part in ["history/events.tmh", "seal.json"] {
        let file = run.join(part).display().to_string();
        let run = format!("give the run itself, `tidemark check {}`", run.display());
        tidemark(at.path(), &["check", &file]).refuses(USAGE, &[&file, "part of a run", &run]);
    }
}

#[test]
fn a_run_directory_of_a_newer_format() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), Some(Ended::Completed));
    let seal = fs::read_to_string(run.join("seal.json")).expect("a seal");
    let newer = seal.replace("\"format\": 1", "\"format\": 2, \"unheard\": [of]");
    assert_ne!(newer, seal);
    fs::write(run.join("seal.json"), newer.replace("[of]", "{}")).expect("written");
    let run = run.display().to_string();
    for verb in ["check", "report", "history"] {
        let said = tidemark(at.path(), &[verb, &run]);
        said.refuses(
            USAGE,
            &[
                &run,
                "a newer Tidemark (format 2; this one reads up to 1)",
                "upgrade",
            ],
        );
    }
}

#[test]
fn a_verdict_of_a_newer_format() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), Some(Ended::Completed));
    let place = run.display().to_string();
    let report = || tidemark(at.path(), &["report", &place]);
    let newer = "{\"format\": 2, \"unheard\": \"of\"}";
    fs::write(run.join("verdict.json"), newer).expect("written");
    report().refuses(
        USAGE,
        &[
            "verdict.json was written by a newer Tidemark (format 2; this one reads up to 1): upgrade",
        ],
    );
    fs::write(run.join("verdict.json"), "{\"run\": 3}").expect("written");
    report().refuses(
        USAGE,
        &["verdict.json is of another version", "tidemark check"],
    );
}

#[test]
fn a_run_directory_that_was_damaged() {
    let at = dir();
    let run = run_dir(at.path(), phases(1), None);
    let damage = |name: &str, text: Option<&str>| {
        let path = run.join(name);
        let before = fs::read(&path).ok();
        match text {
            Some(text) => fs::write(&path, text).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let said = tidemark(at.path(), &["check", &run.display().to_string()]);
        match before {
            Some(bytes) => fs::write(&path, bytes).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        said
    };
    damage("seal.json", Some("{")).refuses(USAGE, &["seal.json cannot be understood"]);
    damage("setting.json", Some("{\"run\": 3}"))
        .refuses(USAGE, &["setting.json cannot be understood"]);
    fs::write(run.join("setting.json"), "{}").expect("written");
    damage("plan.toml", None).refuses(USAGE, &["cannot read ", "plan.toml"]);
    damage("plan.toml", Some("nam = 1")).refuses(USAGE, &["plan.toml:1: unknown key `nam`"]);
    damage("history/events.tmh", None).refuses(USAGE, &["cannot read ", "events.tmh"]);
    let garbage = Some("this is somebody's diary, not a history");
    damage("history/events.tmh", garbage).refuses(USAGE, &["is not a history"]);
}

#[test]
fn a_run_that_ended_before_its_load_says_why() {
    let at = dir();
    let why = "in setup: n1: port 9092 is in use by another program";
    for (ended, words) in [
        (
            None,
            "was killed, or is still going on, before its load began",
        ),
        (
            Some(Ended::Failed {
                why: why.to_owned(),
                phase: Some(Phase::Setup),
            }),
            "failed before its load began: in setup: n1: port 9092 is in use",
        ),
        (
            Some(Ended::Interrupted {
                signal: "INT".to_owned(),
                phase: Some(Phase::Setup),
            }),
            "before its load began: interrupted by INT in setup",
        ),
    ] {
        let results = dir();
        let run = run_dir(results.path(), phases(1), ended);
        let said = tidemark(at.path(), &["check", &run.display().to_string()]);
        assert_eq!(said.code, Some(UNPROVEN), "{said:?}");
        assert!(
            said.err.starts_with("unproven: ") && said.err.contains(words),
            "{said:?}"
        );
        assert_eq!(said.err.lines().count(), 1, "{said:?}");
    }
    let results = dir();
    let run = run_dir(results.path(), phases(1), None);
    let opened = RunDir::open(&run).expect("a run directory");
    opened.write_setting(&setting()).expect("a setting");
    let counts = history::Counts::default();
    opened.seal(Ended::Completed, counts).expect("sealed");
    fs::remove_file(run.join("setting.json")).expect("removed");
    tidemark(at.path(), &["check", &run.display().to_string()])
        .refuses(USAGE, &["setting.json was sealed and is gone"]);
}

/// A history is read up to its tear; what is left proves nothing, and both are said.
#[test]
fn a_torn_history() {
    let at = dir();
    let run = run_dir(at.path(), phases(3), None);
    let opened = RunDir::open(&run).expect("a run directory");
    opened.write_setting(&setting()).expect("a setting");
    let path = opened.history_file();
    let whole = fs::read(&path).expect("a history");
    fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    let run = run.display().to_string();
    let said = tidemark(at.path(), &["history", &run]);
    assert_eq!(said.code, Some(0), "{said:?}");
    let torn = "the history is torn at byte ";
    assert!(said.sentence().contains(torn), "{said:?}");
    let said = tidemark(at.path(), &["check", &run]);
    assert_eq!(said.code, Some(UNPROVEN), "{said:?}");
    assert!(
        said.out.starts_with("Unproven.") && said.out.contains(torn),
        "{said:?}"
    );
}

/// What a run without brokers would have found.
fn setting() -> Setting {
    Setting {
        run: RunId::from_number(7),
        plan: "short".to_owned(),
        seed: 1,
        started: "1970-01-01T00:00:00Z".to_owned(),
        tidemark: "0".to_owned(),
        kafka: "3.0.0".to_owned(),
        client: "none".to_owned(),
        brokers: BTreeMap::new(),
        topics: BTreeMap::new(),
        producers: BTreeMap::new(),
        hosts: BTreeMap::new(),
        consumers: BTreeMap::new(),
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let at = dir();
    // More than a pipe holds, so that the writer is still writing when nobody reads any more.
    let polls = (0..20_000).map(|n| Event::Invoked {
        op: OpId(n),
        client: ClientId(1),
        at: Mark(n),
        call: Call::Poll,
    });
    let run = run_dir(at.path(), polls.collect(), None);
    let run = run.display().to_string();
    let mut child = command(at.path(), &["history", &run])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("piped"));
    out.read_line(&mut line).expect("a line");
    drop(out);
    let said = Said::of(child.wait_with_output().expect("it ends"));
    assert!(line.contains("poll"), "{line}");
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
}
