//! The scripts of disk faults: on a real bounded file system where this machine has root, and with
//! stand-ins for device-mapper's tools.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::*;
use crate::disk::PRELUDE;

/// As a host runs it: login is root, the run's directory, a mark.
fn sh(text: &str, run: &Path, path: &str, args: &[&str]) -> Output {
    let mut cmd = Command::new("sh");
    cmd.args(["-c", &format!("{PRELUDE}{text}"), "sh", ""])
        .arg(run)
        .arg("tidemark-x")
        .args(args)
        .env("PATH", path)
        .output()
        .unwrap()
}

fn said(out: &Output) -> String {
    assert!(out.status.success(), "{out:?}");
    String::from_utf8(out.stdout.clone()).unwrap()
}

#[test]
fn what_is_not_ours_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("data/broker")).unwrap();
    let path = std::env::var("PATH").unwrap();
    for text in [FILL, EMPTY, TABLE] {
        let out = sh(&format!("{OURS}{text}"), dir.path(), &path, &["x", "1"]);
        assert_eq!(out.status.code(), Some(NOT_OURS), "{out:?}");
    }
    assert_eq!(
        fs::read_dir(dir.path().join("data/broker"))
            .unwrap()
            .count(),
        0
    );
}

/// Tools that write down how they were called. `ours` believes them, since no mount can be made
/// here for everybody.
fn with_stand_ins(text: &str, args: &[&str]) -> (String, String) {
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(dir.path().join("data/broker")).unwrap();
    for (name, body) in [
        (
            "dmsetup",
            "[ \"$1\" != table ] || echo '0 2048 delay 7:3 0 0 7:3 0 50'",
        ),
        ("losetup", "echo \"/dev/loop3: []: ($2)\""),
        ("blockdev", "echo 2048"),
    ] {
        let file = bin.join(name);
        let log = dir.path().join("calls");
        let text = format!(
            "#!/bin/sh\necho \"{name} $*\" >>{}\n{body}\n",
            log.display()
        );
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    // The device node cannot be made without the kernel's help; a file stands in for it.
    let node = dir.path().join("node");
    fs::write(&node, "").unwrap();
    let text = format!("{OURS}{text}")
        .replace("ours || exit 8", "cd . ")
        .replace("/dev/mapper/$mark", node.to_str().unwrap());
    let out = said(&sh(&text, dir.path(), &path, args));
    let calls = fs::read_to_string(dir.path().join("calls")).unwrap();
    let image = dir.path().join("broker.img");
    (out, calls.replace(image.to_str().unwrap(), "IMAGE"))
}

#[test]
fn a_device_is_slowed_by_another_table() {
    let (out, calls) = with_stand_ins(TABLE, &["delay", "50"]);
    assert_eq!(
        calls,
        "losetup -j IMAGE\n\
         blockdev --getsz /dev/loop3\n\
         dmsetup load tidemark-x --table 0 2048 delay /dev/loop3 0 0 /dev/loop3 0 50\n\
         dmsetup suspend --noflush --nolockfs tidemark-x\n\
         dmsetup resume tidemark-x\n\
         dmsetup table tidemark-x\n"
    );
    let (in_force, evidence) = slow(NodeId(0), &out, Duration::from_millis(50));
    assert!(!in_force, "nothing became slow here: {evidence}");
    for (word, wanted) in [
        ("error", "--table 0 2048 error\n"),
        ("linear", "--table 0 2048 linear /dev/loop3 0\n"),
    ] {
        let (_, calls) = with_stand_ins(TABLE, &[word]);
        assert!(calls.contains(wanted), "{calls}");
    }
}

#[test]
fn a_proof_is_a_change() {
    let n = NodeId(1);
    let slowed = "write taken 0 \ntable 0 8 delay 7:3 0 0 7:3 0 50\nwrite taken 60 \n";
    assert!(slow(n, slowed, Duration::from_millis(50)).0);
    assert!(!slow(n, slowed, Duration::from_millis(500)).0);
    assert!(
        !slow(
            n,
            &slowed.replace("taken 0", "taken 60"),
            Duration::from_millis(50)
        )
        .0
    );
    let failed = "write taken 0 \ntable 0 8 error\nwrite refused 0 writing: Input/output error\n";
    assert!(failing(n, failed).0);
    assert!(!failing(n, &failed.replace("write taken", "write refused")).0);
    let filled = "room 400\nwrite taken 0 \nroom 0\nwrite refused 0 error writing 'x': No space left on device\n";
    let (in_force, evidence) = full(n, filled);
    assert!(in_force);
    assert_eq!(
        evidence,
        "the file system of n1's log directory had 400 KiB free and has 0; a write of 4 KiB was \
         refused: error writing 'x': No space left on device"
    );
    assert!(
        !full(
            n,
            &filled.replace("No space left on device", "Permission denied")
        )
        .0
    );
    assert!(!full(n, "room 3\n").0);
}

/// Mounts, fills, empties and removes in a mount namespace of its own, which ends with the shell.
const STORY: &str = r#"(MOUNT
) || exit 1
(FILL
)
(EMPTY
)
touch "$at/left"
(CLEAR
)
[ ! -e "$run" ] && ! ours && echo gone"#;

/// What [`STORY`] says with these tools in front, or nothing where no namespace can be made.
fn story(tools: &[(&str, &str)]) -> Option<String> {
    let can = Command::new("unshare").args(["-m", "true"]).output();
    if !can.is_ok_and(|out| out.status.success()) {
        println!("SKIPPED: mounting takes root");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let bin = dir.path().join("bin");
    fs::create_dir(&bin).unwrap();
    for (name, body) in tools {
        let file = bin.join(name);
        fs::write(&file, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let run = dir.path().join("run");
    fs::create_dir(&run).unwrap();
    let text = STORY
        .replace("MOUNT", disk::MOUNT)
        .replace("FILL", &format!("{OURS}set -- .tidemark-filler-f1; {FILL}"))
        .replace("EMPTY", &format!("{OURS}{EMPTY}"))
        .replace("CLEAR", disk::CLEAR);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let out = Command::new("unshare")
        .args(["-m", "sh", "-c", &format!("{PRELUDE}{text}"), "sh", ""])
        .arg(&run)
        .args(["tidemark-x", "16777216", ""])
        .env("PATH", path)
        .output()
        .unwrap();
    Some(said(&out))
}

#[test]
fn a_file_system_of_ones_own_is_filled_emptied_and_gone() {
    for (tools, kind) in [
        (&[][..], "ext4 /dev/loop"),
        (
            &[("mkfs.ext4", "echo no >&2; exit 1")][..],
            "tmpfs tidemark-x",
        ),
    ] {
        let Some(said) = story(tools) else { return };
        assert!(said.starts_with(kind), "{said}");
        assert!(said.ends_with("gone\n"), "{said}");
        let at = said.rfind("room 0\nroom").unwrap();
        let (filling, emptying) = said.split_at(at);
        assert_eq!(rooms(&said).len(), 4, "{said}");
        let (in_force, evidence) = full(NodeId(0), filling);
        assert!(in_force, "{evidence}");
        assert!(Write::all(emptying).pop().unwrap().taken, "{said}");
        assert!(rooms(&said)[3] > 10_000, "{said}");
    }
}

#[test]
fn the_heal_finds_fillers_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("run/data/broker");
    fs::create_dir_all(&data).unwrap();
    fs::write(dir.path().join(".tidemark-lab"), "no-such-device\n").unwrap();
    let filler = data.join(format!("{FILLER}-f3"));
    let other = data.join("meta.properties");
    fs::write(&filler, "x").unwrap();
    fs::write(&other, "x").unwrap();
    let text = crate::guard_heal::functions();
    let heal = || {
        let out = Command::new("sh")
            .args(["-c", &format!("root= dir=$1\n{text}heal_disks"), "sh"])
            .arg(dir.path())
            .output()
            .unwrap();
        said(&out)
    };
    assert_eq!(heal(), "removed .tidemark-filler-f3\n");
    assert_eq!(heal(), "");
    assert!(!filler.exists() && other.exists());
}
