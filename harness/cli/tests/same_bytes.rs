//! The same evidence and rules give the same bytes, whatever surrounds the judge: another process
//! (and with it other hash seeds and addresses), place, zone, language, home, terminal, number of
//! threads that libraries are told to take, priority, and order of files in their directories.
//!
//! That the judge itself has one thread is held by clippy.toml, not here.

mod said;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use said::{Said, dir};

/// What judging writes into a run directory.
const DERIVED: [&str; 4] = ["verdict.json", "report.html", "junit.xml", "summary.md"];

/// Files below a directory, by their paths.
fn files(at: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![at.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next).expect("a directory") {
            let path = entry.expect("an entry").path();
            match path.is_dir() {
                true => open.push(path),
                false => found.push(path),
            }
        }
    }
    found.sort();
    found
}

/// A copy of an exhibit, its files made in the order of their names or against it.
fn copy(name: &str, to: &Path, backwards: bool) {
    let exhibits = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/exhibits");
    let from = exhibits.join(name);
    let mut files = files(&from);
    if backwards {
        files.reverse();
    }
    for file in files {
        let place = to.join(file.strip_prefix(&from).expect("below"));
        fs::create_dir_all(place.parent().expect("a directory")).expect("made");
        fs::copy(&file, place).expect("copied");
    }
}

/// What judging leaves in a copy, and what it says, in these surroundings.
fn judged(name: &str, place: &[&str], surroundings: &[(&str, &str)]) -> BTreeMap<String, Vec<u8>> {
    let at = dir();
    let cwd = place
        .iter()
        .fold(at.path().to_owned(), |at, name| at.join(name));
    fs::create_dir_all(&cwd).expect("made");
    copy(name, &cwd.join("run"), !place.is_empty());
    let program = env!("CARGO_BIN_EXE_tidemark");
    let mut command = match place {
        [] => Command::new(program),
        [..] => {
            let mut nice = Command::new("nice");
            nice.args(["-n", "19", program]);
            nice
        }
    };
    command.current_dir(&cwd).args(["check", "run"]);
    if !place.is_empty() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        command.env_clear().env("PATH", path);
    }
    command.envs(surroundings.iter().copied());
    let said = Said::of(command.output().expect("it starts"));
    assert!(matches!(said.code, Some(0..=2)), "{said:?}");
    let read = |file: &&str| (file.to_string(), fs::read(cwd.join("run").join(file)));
    let derived = DERIVED.iter().map(read);
    derived
        .map(|(file, bytes)| (file, bytes.expect("written")))
        .collect()
}

#[test]
fn one_run_has_one_judgement_whatever_surrounds_the_judge() {
    let elsewhere = [
        ("TZ", "Asia/Kathmandu"),
        ("LANG", "tr_TR.UTF-8"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("HOME", "/nonexistent"),
        ("TMPDIR", "/nonexistent"),
        ("COLUMNS", "40"),
        ("TERM", "xterm-256color"),
        ("CLICOLOR_FORCE", "1"),
        ("RAYON_NUM_THREADS", "7"),
        ("TOKIO_WORKER_THREADS", "7"),
        ("RUST_BACKTRACE", "1"),
    ];
    for name in ["demo", "canary-kip101", "order-broken"] {
        let here = judged(name, &[], &[("TZ", "UTC")]);
        let there = judged(name, &["another", "place"], &elsewhere);
        for (file, bytes) in &here {
            assert!(bytes.len() > 500, "{name}: {file} is nearly empty");
            assert!(bytes == &there[file], "{name}: {file} differs");
        }
    }
}
