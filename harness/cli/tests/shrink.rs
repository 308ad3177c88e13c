//! What `tidemark shrink` says of runs and words that it cannot use. No lab, no root: what it does on
//! brokers is told in docs/shrink.md, what it decides is tested in `campaign`.

mod said;

use std::fs;
use std::path::{Path, PathBuf};

use said::{Said, USAGE, dir, tidemark};

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
        ("--budget", "5", "time unit needed"),
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
