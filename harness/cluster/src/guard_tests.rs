//! The guard and its scripts, without SSH: a strict POSIX shell, files in a directory of our own.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use super::*;

fn lab(dir: &Path) -> LabFile {
    let mut lab = crate::labfile::find("local").expect("built in");
    lab.dir = dir.display().to_string();
    lab
}

/// Runs a script as a host would, in the strictest shell that there is, in a network of its own
/// where that is possible.
fn sh(cmd: &Cmd) -> Output {
    let words = cmd.words("");
    let shell = match Path::new("/usr/bin/dash").exists() {
        true => "dash",
        false => "sh",
    };
    Command::new(shell)
        .args(&words[1..])
        .output()
        .expect("a shell")
}

fn ok(cmd: &Cmd) -> String {
    let out = sh(cmd);
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(out.status.success(), "{cmd}: {}: {error}", out.status);
    String::from_utf8(out.stdout).expect("text")
}

/// A program that only sleeps, and leads a process group; ends when dropped.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Self {
        let mut sleep = Command::new("sleep");
        std::os::unix::process::CommandExt::process_group(&mut sleep, 0);
        let (sleep, none) = (sleep.arg("600").stdin(Stdio::null()), Stdio::null());
        Self(sleep.stdout(none).spawn().expect("sleep"))
    }

    /// State and start time.
    fn stat(&self) -> (String, String) {
        let file = format!("/proc/{}/stat", self.0.id());
        let stat = std::fs::read_to_string(file).expect("stat");
        let mut fields = stat.rsplit(") ").next().expect("fields").split(' ');
        let state = fields.next().expect("state").to_owned();
        (state, fields.nth(18).expect("start").to_owned())
    }

    fn end(&mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.end();
    }
}

/// A guard's lease as it stands in its file, and a process that stands for the guard.
struct Lease {
    dir: tempfile::TempDir,
    guard: Sleeper,
}

impl Lease {
    fn new() -> Self {
        let lease = Self {
            dir: tempfile::tempdir().expect("dir"),
            guard: Sleeper::new(),
        };
        std::fs::write(lease.dir.path().join(".guard"), "").expect("lock");
        lease
    }

    fn site(&self) -> Site {
        Site::new("", &lab(self.dir.path()))
    }

    /// `left` in hundredths of a second from now.
    fn write(&self, left: i64, whose: &str) {
        let (pid, (_, start)) = (self.guard.0.id(), self.guard.stat());
        let until = uptime() + left;
        let line = format!("{until:<14} {whose} {pid} {start}\n");
        std::fs::write(self.dir.path().join(".lease"), line).expect("lease");
    }

    fn asked(&self, whose: &str) -> Result<(), String> {
        let cmd = self.site().script("armed \"$1\"; echo done", [whose]);
        let out = sh(&cmd);
        match out.status.code() {
            Some(0) => Ok(()),
            Some(NOT_ARMED) if out.stdout.is_empty() => {
                Err(String::from_utf8_lossy(&out.stderr).trim().to_owned())
            }
            _ => panic!("{out:?}"),
        }
    }
}

fn uptime() -> i64 {
    let text = std::fs::read_to_string("/proc/uptime").expect("uptime");
    let up = text.split(' ').next().expect("seconds").replace('.', "");
    up.parse().expect("a number")
}

#[test]
fn nothing_is_done_unless_the_undo_is_armed() {
    let mut lease = Lease::new();
    assert_eq!(
        lease.asked("x7k2qa"),
        Err("there is no lease on this host".to_owned())
    );
    lease.write(500, "x7k2qa");
    assert_eq!(lease.asked("x7k2qa"), Ok(()));
    assert_eq!(
        lease.asked("aaaaaa"),
        Err("the lease is that of run x7k2qa".to_owned())
    );
    lease.write(90, "x7k2qa");
    assert_eq!(
        lease.asked("x7k2qa"),
        Err("the lease has run out".to_owned()),
        "less than a second is too little"
    );
    lease.write(500, "x7k2qa");
    lease.guard.end();
    let gone = lease.asked("x7k2qa").expect_err("no guard");
    assert!(
        gone.starts_with("the guard (process ") && gone.ends_with(" is gone"),
        "{gone}"
    );
    std::fs::write(lease.dir.path().join(".lease"), "nonsense").expect("lease");
    assert!(lease.asked("x7k2qa").is_err());
    std::fs::remove_file(lease.dir.path().join(".guard")).expect("lock");
    assert!(
        lease
            .asked("x7k2qa")
            .expect_err("no lock")
            .starts_with("nobody lets go of ")
    );
}

#[test]
fn a_renewal_is_in_place_and_only_of_ones_own_lease_in_time() {
    let mut lease = Lease::new();
    let renew = |lease: &Lease| {
        let said = ok(&lease.site().script(RENEW, ["x7k2qa", "1000"]));
        said.trim().to_owned()
    };
    assert_eq!(renew(&lease), "none");
    lease.write(100, "x7k2qa");
    let file = lease.dir.path().join(".lease");
    let before = std::fs::read_to_string(&file).expect("lease");
    assert_eq!(renew(&lease), "renewed");
    let after = std::fs::read_to_string(&file).expect("lease");
    assert_eq!((after.len(), &after[14..]), (before.len(), &before[14..]));
    let until: i64 = after
        .split(' ')
        .next()
        .expect("until")
        .parse()
        .expect("number");
    assert!((900..=1000).contains(&(until - uptime())), "{until}");
    lease.write(500, "aaaaaa");
    assert_eq!(renew(&lease), "taken aaaaaa");
    lease.write(-1, "x7k2qa");
    assert_eq!(renew(&lease), "late");
    lease.write(500, "x7k2qa");
    lease.guard.end();
    assert_eq!(renew(&lease), "dead");
}

/// Needs no root: a process of ours that is stopped, a helper that is left, and nothing else.
#[test]
fn a_host_is_healed_from_what_is_and_twice_is_once() {
    let lease = Lease::new();
    let dir = lease.dir.path();
    let (ours, other, mut helper) = (Sleeper::new(), Sleeper::new(), Sleeper::new());
    std::fs::create_dir_all(dir.join("run")).expect("dir");
    std::fs::create_dir_all(dir.join(".helpers")).expect("dir");
    let note = |file: &str, child: &Sleeper, start: &str| {
        std::fs::write(dir.join(file), format!("{} {start}\n", child.0.id())).expect("pid file");
    };
    note("run/broker.pid", &ours, &ours.stat().1);
    note("run/zookeeper.pid", &other, "12");
    note(".helpers/strobe.pid", &helper, &helper.stat().1);
    for child in [&ours, &other] {
        let stop = Cmd::new("sh").args(["-c", "kill -STOP \"$1\"", "sh"]);
        ok(&stop.arg(child.0.id()));
        while child.stat().0 != "T" {}
    }
    let text = format!("{}heal_processes && heal_helpers", guard_heal::functions());
    let said = ok(&lease.site().script(&text, [""; 0]));
    let (ours_id, helper_id) = (ours.0.id(), helper.0.id());
    assert_eq!(
        said,
        format!("continued the broker (process {ours_id})\nended strobe (process {helper_id})\n")
    );
    while ours.stat().0 == "T" {}
    assert_eq!(
        other.stat().0,
        "T",
        "another process with a reused id is not ours"
    );
    helper.0.wait().expect("ended");
    assert!(!dir.join(".helpers").exists());
    assert_eq!(ok(&lease.site().script(&text, [""; 0])), "");
}

#[test]
fn a_refusal_of_root_says_what_to_do() {
    for (said, what) in [
        ("sudo: a password is required", "without a password"),
        (
            "sudo: sorry, you must have a tty to run sudo",
            "without a password",
        ),
        ("sh: 3: iptables: not found", "yum install iptables"),
        ("sh: 3: tc: not found", "yum install iproute"),
        (
            "iptables: Permission denied (you must be root).",
            "log in as root",
        ),
        (
            "RTNETLINK answers: Operation not permitted",
            "log in as root",
        ),
    ] {
        assert!(remedy(said).contains(what), "{said}");
    }
    assert_eq!(remedy("something else"), "");
}
