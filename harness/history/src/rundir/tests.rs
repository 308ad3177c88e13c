//! Run directories are made, sealed, compared and refused.

use super::*;
use crate::frames::Counts;

fn started() -> DateTime<Utc> {
    "2026-11-22T03:10:55Z".parse().expect("a time")
}

fn fresh(results: &Path) -> RunDir {
    let run = "x7k2qa".parse().expect("a run id");
    RunDir::create(results, started(), "kill leader", run).expect("a new directory")
}

const COUNTS: Counts = Counts {
    events: 2,
    frames: 1,
    bytes: 100,
};

#[test]
fn a_run_directory_has_its_name_and_is_made_once() {
    let results = tempfile::tempdir().expect("a scratch directory");
    let dir = fresh(results.path());
    assert_eq!(dir.name(), "2026-11-22T031055-kill-leader-x7k2qa");
    assert_eq!(dir.path().parent(), Some(&*results.path().join("runs")));
    assert_eq!(RunDir::open(dir.path()), Ok(dir.clone()));
    let run = "x7k2qa".parse().expect("a run id");
    let again = RunDir::create(results.path(), started(), "kill-leader", run);
    assert!(matches!(again, Err(HistoryError::Write { .. })));
    let refused = RunDir::open(results.path())
        .expect_err("no run")
        .to_string();
    assert!(refused.contains("is not a run directory"), "{refused}");
}

#[test]
fn a_setting_comes_back() {
    let results = tempfile::tempdir().expect("a scratch directory");
    let dir = fresh(results.path());
    let setting = Setting {
        run: "x7k2qa".parse().expect("a run id"),
        plan: "kill-leader".into(),
        seed: u64::MAX,
        started: "2026-11-22T03:10:55Z".into(),
        tidemark: "0.1.0".into(),
        kafka: "3.0.0".into(),
        client: "a client".into(),
        brokers: [(NodeId(0), [("a.b".to_owned(), "1".to_owned())].into())].into(),
        topics: Default::default(),
        producers: Default::default(),
        hosts: Default::default(),
        consumers: Default::default(),
    };
    assert!(matches!(dir.read_setting(), Err(HistoryError::Read { .. })));
    dir.write_setting(&setting).expect("written");
    assert_eq!(dir.read_setting(), Ok(setting.clone()));
    let text = fs::read_to_string(dir.setting_json()).expect("there");
    let (format, newer) = ("\"format\": 1,", "\"format\": 2, \"unheard\": 0,");
    assert!(text.contains(format), "{text}");
    // The first version wrote none.
    fs::write(dir.setting_json(), text.replace(format, "")).expect("written");
    assert_eq!(dir.read_setting(), Ok(setting));
    fs::write(dir.setting_json(), text.replace(format, newer)).expect("written");
    let err = dir.read_setting().expect_err("newer");
    assert!(
        matches!(
            err,
            HistoryError::Newer {
                format: 2,
                known: 1,
                ..
            }
        ),
        "{err}"
    );
    fs::write(dir.setting_json(), "{\n  \"run\": 3}").expect("written");
    let err = dir.read_setting().expect_err("malformed").to_string();
    assert!(err.contains("line 2"), "{err}");
}

#[test]
fn a_seal_sees_what_is_changed_missing_or_added_and_nothing_derived() {
    let results = tempfile::tempdir().expect("a scratch directory");
    let dir = fresh(results.path());
    assert_eq!(dir.verify(), Ok(vec![Difference::Unsealed]));
    assert_eq!(dir.read_seal(), Ok(None));
    let node = dir.nodes_dir(NodeId(1));
    fs::create_dir_all(&node).expect("made");
    fs::write(node.join("server.log"), "line").expect("written");
    fs::write(dir.plan_toml(), "name").expect("written");
    fs::write(dir.history_file(), "frames").expect("written");
    let ended = Ended::Interrupted {
        signal: "TERM".into(),
        phase: Some(crate::Phase::Storm),
    };
    let seal = dir.seal(ended.clone(), COUNTS).expect("sealed");
    assert_eq!(ended.to_string(), "interrupted by TERM in storm");
    assert_eq!(dir.read_seal(), Ok(Some(seal.clone())));
    assert_eq!((seal.events, seal.frames, seal.digests.len()), (2, 1, 3));
    // SHA-256 of "line", by another program.
    assert_eq!(
        seal.digests["nodes/n1/server.log"],
        "38a9c1e721584da284b90ceea4ed7eb8db15ac4ea86c2c75ec925d5f8799fcf0"
    );

    write_atomically(&dir.verdict_json(), b"{}").expect("written");
    fs::create_dir_all(dir.path().join("export/jsonl")).expect("made");
    fs::write(dir.path().join("export/jsonl/history.jsonl"), "").expect("written");
    assert_eq!(dir.verify(), Ok(vec![]));
    fs::write(node.join("server.log"), "lie").expect("written");
    fs::write(node.join("extra.log"), "").expect("written");
    fs::remove_file(dir.plan_toml()).expect("removed");
    let differences = dir.verify().expect("compared");
    assert_eq!(
        differences,
        [
            Difference::Changed("nodes/n1/server.log".into()),
            Difference::Missing("plan.toml".into()),
            Difference::Added("nodes/n1/extra.log".into()),
        ]
    );
}

#[test]
fn a_newer_run_is_refused_in_one_sentence_whatever_else_its_seal_holds() {
    let results = tempfile::tempdir().expect("a scratch directory");
    let dir = fresh(results.path());
    fs::write(dir.seal_json(), r#"{"format": 2, "ended": "in a new way"}"#).expect("written");
    let refused = RunDir::open(dir.path()).expect_err("newer").to_string();
    let sentence = "was written by a newer Tidemark (format 2; this one reads up to 1): upgrade";
    assert!(refused.ends_with(sentence), "{refused}");
}

#[test]
fn a_file_that_cannot_be_written_whole_is_left_as_it_was() {
    let dir = tempfile::tempdir().expect("a scratch directory");
    let path = dir.path().join("a");
    write_atomically(&path, b"old").expect("written");
    // The place beside it is taken by a directory: nothing can be written there.
    fs::create_dir(dir.path().join("a.unfinished")).expect("made");
    assert!(write_atomically(&path, b"new").is_err());
    assert_eq!(fs::read(&path).expect("there"), b"old");
}
