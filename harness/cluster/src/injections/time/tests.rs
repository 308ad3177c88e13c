//! The commands only: a play `date` and files of our own. No clock is ever set.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use super::*;
use crate::site::Site;

/// Runs a script with a `date` that keeps its time in a file: what the monotonic clock says plus
/// an offset.
fn run(dir: &Path, text: &str, args: &[&str]) -> String {
    let date = r#"#!/bin/sh
read -r up rest </proc/uptime; up=${up%.*}${up#*.}
read -r off <"$PLAY/offset"
case $1 in
  +%s%N) echo $((1700000000000000000 + up * 10000000 + off));;
  -u) to=${3#@}; to=${to%.*}${to#*.}; echo $((to - 1700000000000000000 - up * 10000000)) >"$PLAY/offset"; echo "$*" >>"$PLAY/log";;
esac
"#;
    let program = dir.join("date");
    std::fs::write(&program, date).expect("play");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("mode");
    let mut lab = crate::labfile::find("local").expect("built in");
    lab.dir = dir.display().to_string();
    let cmd = Site::new("", &lab).script(text, args.iter().copied());
    let words = cmd.words("");
    // Whatever goes wrong here: who is not root sets no clock.
    let mut sh = Command::new(&words[0]);
    if nix::unistd::geteuid().is_root() {
        let open = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(dir, open).expect("mode");
        nix::unistd::chown(&dir.join("offset"), Some(65534.into()), None).expect("owner");
        sh.uid(65534).gid(65534);
    }
    let out = sh
        .args(&words[1..])
        .env("PATH", format!("{}:/usr/bin:/bin", dir.display()))
        .env("PLAY", dir)
        .output()
        .expect("sh");
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success() && error.is_empty(), "{error}");
    String::from_utf8(out.stdout).expect("text")
}

fn offset(dir: &Path) -> i64 {
    let text = std::fs::read_to_string(dir.join("offset")).expect("offset");
    text.trim().parse().expect("a number")
}

#[test]
fn a_clock_is_bumped_twice_and_set_right_once() {
    let dir = tempfile::tempdir().expect("dir");
    let dir = dir.path();
    std::fs::write(dir.join("offset"), "7000000\n").expect("offset");
    let text = format!("{OFF}{BUMP}");
    let said = run(dir, &text, &["500000000"]);
    let (in_force, words) = judged(&said, 500).expect("two numbers");
    assert!(in_force, "{words}");
    let said = run(dir, &text, &["-1250000000"]);
    assert!(judged(&said, -1250).expect("two numbers").0, "{said}");
    assert!(
        (offset(dir) + 743_000_000).abs() < 100_000_000,
        "{}",
        offset(dir)
    );
    let undo = undoing();
    assert_eq!(run(dir, &undo, &[]), "set the clock right\n");
    assert!(
        (offset(dir) - 7_000_000).abs() < 50_000_000,
        "{}",
        offset(dir)
    );
    assert!(!dir.join(".clock").exists());
    assert_eq!(run(dir, &undo, &[]), "", "twice is once");
    let log = std::fs::read_to_string(dir.join("log")).expect("log");
    assert_eq!(log.lines().count(), 3, "{log}");
    assert!(
        log.lines().all(|line| line.starts_with("-u -s @17")),
        "{log}"
    );
}

#[test]
fn a_strobe_is_a_program_that_the_heal_ends() {
    let dir = tempfile::tempdir().expect("dir");
    let dir = dir.path();
    std::fs::write(dir.join("offset"), "0\n").expect("offset");
    let text = format!("{OFF}{BUMP}\n{STROBE}");
    let site = Site::new("", &crate::labfile::find("local").expect("built in"));
    let helper = site.text(&format!("{OFF}{HELPER}"));
    let said = run(dir, &text, &["300000000", "0.020", &helper, "strobe-f3"]);
    assert!(judged(&said, 300).expect("two numbers").0, "{said}");
    let pid = std::fs::read_to_string(dir.join(".helpers/strobe-f3.pid")).expect("pid");
    let pid = pid.split(' ').next().expect("pid").to_owned();
    let bumps = || {
        std::fs::read_to_string(dir.join("log"))
            .expect("log")
            .lines()
            .count()
    };
    while bumps() < 4 {
        assert!(
            Path::new(&format!("/proc/{pid}")).exists(),
            "the strobe goes on"
        );
    }
    let said = run(dir, &undoing(), &[]);
    assert_eq!(
        said,
        format!("ended strobe-f3 (process {pid})\nset the clock right\n")
    );
    assert!(offset(dir).abs() < 50_000_000, "{}", offset(dir));
    assert!(!dir.join(".helpers").exists());
}

#[test]
fn a_clock_that_did_not_move_is_not_off() {
    let (in_force, words) = judged("0\n3000000\n", 500).expect("two numbers");
    assert!(
        !in_force && words.contains("off by 3 ms, 0 ms before"),
        "{words}"
    );
    assert_eq!(judged("what\n", 500), None);
}
