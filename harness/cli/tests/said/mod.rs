//! The binary as a user meets it: what it says, and the code it ends with.

#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Usage, a bad plan or lab file, malformed or newer input.
pub const USAGE: i32 = 64;
/// The harness or the lab failed.
pub const HARNESS: i32 = 3;
/// Nothing broken, something unproven.
pub const UNPROVEN: i32 = 2;

/// How a command ended.
#[derive(Debug)]
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(output: Output) -> Said {
        Said {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// The one line that says what went wrong. More than one, or a panic, is a failure.
    pub fn sentence(&self) -> &str {
        assert!(!self.err.contains("panicked"), "{self:?}");
        let mut lines = self
            .err
            .lines()
            .filter_map(|l| l.strip_prefix("tidemark: "));
        let (first, second) = (lines.next(), lines.next());
        assert!(second.is_none(), "more than one sentence: {self:?}");
        first.unwrap_or_else(|| panic!("no sentence: {self:?}"))
    }

    /// Ended with this code, and its sentence holds all of these words; returns the sentence.
    #[track_caller]
    pub fn refuses(&self, code: i32, words: &[&str]) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        let sentence = self.sentence();
        println!("{sentence}");
        for word in words {
            assert!(sentence.contains(word), "{word:?} is not in: {sentence}");
            assert_eq!(
                sentence.matches(word).count(),
                1,
                "repeats {word:?}: {sentence}"
            );
        }
        sentence
    }
}

/// The binary, in a directory that holds no labs or plans of its own.
pub fn command(cwd: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
    command
        .current_dir(cwd)
        .args(args)
        .env_remove("TIDEMARK_RESULTS");
    command
}

pub fn tidemark(cwd: &Path, args: &[&str]) -> Said {
    Said::of(command(cwd, args).output().expect("the binary starts"))
}

/// A plan as short as can be, with a topic `ledger`.
pub fn plan(more_cluster: &str) -> String {
    format!(
        r#"name = "short"
about = "As little as can be."

[cluster]
kafka = "3.0.0"
profile = "fast"
{more_cluster}

[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2

[topics.ledger.load]
producers = 1
consumers = 0
acks = "all"
idempotent = true
rate = 100

[phases]
steady = "2s"
calm = "1s"
settle_max = "30s"
drain_max = "30s"

[minimum]
acked = 10
acked_per_second = 10

[storm]
steps = ["wait 60s"]
"#
    )
}

/// The line, from 1, on which `needle` stands.
pub fn line_of(text: &str, needle: &str) -> usize {
    text.lines()
        .position(|l| l.contains(needle))
        .expect("it is there")
        + 1
}

pub fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

pub fn put(dir: &Path, name: &str, text: &str) -> String {
    let path = dir.join(name);
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

pub fn nothing_in(dir: &Path) {
    nothing_but(dir, &[]);
}

/// A refused command leaves no directory behind.
pub fn nothing_but(dir: &Path, known: &[&str]) {
    let entries = fs::read_dir(dir).expect("a directory").flatten();
    let names = entries.map(|e| e.file_name().to_string_lossy().into_owned());
    let left: Vec<String> = names.filter(|n| !known.contains(&n.as_str())).collect();
    assert_eq!(left, Vec::<String>::new());
}

/// Writes `gone.toml`, a lab that refuses SSH: ports of loopback on which nobody listens.
pub fn lab_that_is_gone(dir: &Path) {
    let mut lab =
        "name = \"gone\"\nkind = \"machines\"\ndir = \"/srv/tidemark\"\njava = \"java\"\n\
                   [login]\nuser = \"kafka\"\nport = 1\nkey = \"id\"\n"
            .to_owned();
    for node in 0..3 {
        lab += &format!(
            "[[hosts]]\nnode = \"n{node}\"\nname = \"h{node}\"\naddress = \"127.0.0.{}\"\n",
            node + 2
        );
    }
    fs::write(dir.join("gone.toml"), lab).expect("written");
    fs::write(dir.join("id"), "").expect("written");
}
