//! A few cycles of the soak on stand-ins, through the binary, in a lab of its own.
//!
//! It needs root and what a lab needs; without, it says so and examines nothing.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::fcntl::{Flock, FlockArg};

#[test]
fn twelve_faults_are_proved_healed_and_leave_nothing() {
    if let Err(missing) = lab::missing_tools() {
        println!("SKIPPED: {missing}");
        return;
    }
    let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock");
    let lock = File::create(lock).expect("a lock file");
    let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error);
    let _turn = lock.expect("the lock");
    let dir = tempfile::tempdir().expect("a directory");
    let name = format!("soak{}", std::process::id());
    let local = include_str!("../../../labs/local.toml");
    let text = local.replacen("name = \"local\"", &format!("name = \"{name}\""), 1);
    assert_ne!(text, local, "labs/local.toml names the lab");
    let lab = dir.path().join("lab.toml");
    std::fs::write(&lab, text).expect("a lab file");
    let counts = dir.path().join("counts.jsonl");
    let soak = |cycles: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command.args([
            "soak-faults",
            "--kafka",
            "0",
            "--seed",
            "1700",
            "--hold",
            "100",
        ]);
        command.args(["--cycles", cycles, "--lab"]).arg(&lab);
        let output = command.arg("--counts").arg(&counts).output();
        let output = output.expect("the binary starts");
        let out = String::from_utf8_lossy(&output.stdout).into_owned();
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), format!("{err}\n{out}"))
    };
    let (code, said) = soak("12");
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("12 cycles, 0 of them on real brokers"),
        "{said}"
    );
    let lines = std::fs::read_to_string(&counts).expect("counts");
    assert_eq!(lines.lines().count(), 12);
    // A cut that flaps may be let go in the moment in which it is looked for.
    assert!(!lines.contains("\"seen\":false"), "{lines}");
    assert!(lines.matches("\"proof\":true").count() >= 15, "{lines}");
    // The same call has nothing left to do: no lab comes up.
    let (code, said) = soak("12");
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("made anew"), "{said}");
    let list = Command::new("ip").args(["netns", "list"]).output();
    let list = list.expect("ip runs").stdout;
    assert!(!String::from_utf8_lossy(&list).contains(&name));
}
