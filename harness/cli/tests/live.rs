//! Whole runs on real brokers, through the binary, in labs of their own.
//!
//! They need root, Java, Maven, sshd and iptables (`make test` installs what is missing); without
//! root they say so and examine nothing. They run one at a time and leave nothing behind.

#![expect(
    clippy::disallowed_methods,
    reason = "a thread reads what a run says while the test waits"
)]

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

/// One lab at a time on two cores; the lock is shared with the other packages' live tests.
struct Turn {
    _lock: Flock<File>,
    dir: tempfile::TempDir,
    lab: PathBuf,
    name: String,
}

impl Turn {
    /// None, and says so, where a lab cannot be made.
    fn take(name: &str) -> Option<Turn> {
        if !Uid::effective().is_root() {
            println!("SKIPPED: a lab of network namespaces needs root");
            return None;
        }
        let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let file = File::create(target.join("lab.lock")).expect("a lock file");
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, error)| error);
        let dir = tempfile::tempdir().expect("a directory");
        let name = format!("{name}{}", std::process::id());
        let local = include_str!("../../../labs/local.toml");
        let text = local.replacen("name = \"local\"", &format!("name = \"{name}\""), 1);
        assert_ne!(text, local, "labs/local.toml names the lab");
        let lab = dir.path().join("lab.toml");
        fs::write(&lab, text).expect("a lab file");
        Some(Turn {
            _lock: lock.expect("the lock"),
            dir,
            lab,
            name,
        })
    }

    fn command(&self, plan: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        command
            .args(["run", plan, "--seed", "7", "--lab"])
            .arg(&self.lab);
        command.arg("--results").arg(self.dir.path());
        command
    }

    /// Starts a run and waits until its progress says `until`.
    fn start(&self, plan: &str, until: &str) -> (Child, std::thread::JoinHandle<String>) {
        let mut child = self
            .command(plan)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let stderr = child.stderr.take().expect("piped");
        let (seen, wait) = std::sync::mpsc::channel();
        let until = until.to_owned();
        let reader = std::thread::spawn(move || {
            let mut all = String::new();
            for line in
                std::io::BufRead::lines(std::io::BufReader::new(stderr)).map_while(Result::ok)
            {
                all.push_str(&line);
                all.push('\n');
                if line.contains(&until) {
                    let _ = seen.send(());
                }
            }
            all
        });
        wait.recv_timeout(Duration::from_secs(120))
            .expect("the run gets there");
        (child, reader)
    }

    /// The directory of the only run.
    fn run_dir(&self) -> PathBuf {
        let mut runs = fs::read_dir(self.dir.path().join("runs"))
            .expect("runs")
            .flatten();
        let run = runs.next().expect("a run").path();
        assert!(runs.next().is_none(), "one run only");
        run
    }

    fn verdict(&self) -> serde_json::Value {
        let text = fs::read(self.run_dir().join("verdict.json")).expect("a verdict");
        serde_json::from_slice(&text).expect("JSON")
    }

    fn nothing_is_left(&self) {
        let list = Command::new("ip")
            .args(["netns", "list"])
            .output()
            .expect("ip runs");
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert!(!list.contains(&self.name), "namespaces are left: {list}");
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // After a failed assertion the lab may still stand.
        let mut down = Command::new(env!("CARGO_BIN_EXE_tidemark"));
        let _ = down.args(["lab", "down"]).arg(&self.lab).output();
    }
}

fn words(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}\n{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

fn finding_names(verdict: &serde_json::Value) -> Vec<String> {
    let findings = verdict["findings"].as_array().expect("findings");
    let name = |finding: &serde_json::Value| finding["guarantee"].as_str().map(String::from);
    findings.iter().filter_map(name).collect()
}

#[test]
fn a_short_run_holds_and_is_judged_alike_anywhere() {
    let Some(turn) = Turn::take("smoke") else {
        return;
    };
    let output = turn.command("smoke").output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.starts_with("seed 7; repeat with: tidemark run smoke"),
        "{said}"
    );
    assert!(said.contains("Held."), "{said}");
    turn.nothing_is_left();

    let run = turn.run_dir();
    let verdict = fs::read(run.join("verdict.json")).expect("a verdict");
    let copy = turn.dir.path().join("elsewhere");
    copy_dir(&run, &copy);
    for derived in ["verdict.json", "report.html", "junit.xml", "summary.md"] {
        fs::remove_file(copy.join(derived)).expect("it was there");
    }
    let again = Command::new(env!("CARGO_BIN_EXE_tidemark"))
        .arg("check")
        .arg(&copy)
        .current_dir(turn.dir.path())
        .output()
        .expect("it runs");
    assert_eq!(again.status.code(), Some(0), "{}", words(&again));
    assert!(
        verdict == fs::read(copy.join("verdict.json")).expect("a verdict"),
        "verdicts differ"
    );
}

fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory").flatten() {
        let target = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy_dir(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).expect("a copy")),
        }
    }
}

#[test]
fn the_canary_is_convicted() {
    let Some(turn) = Turn::take("kip101") else {
        return;
    };
    let output = turn.command("canary-kip101").output().expect("it runs");
    assert_eq!(output.status.code(), Some(1), "{}", words(&output));
    let verdict = turn.verdict();
    assert!(
        finding_names(&verdict).contains(&"acked-lost-below-hw".to_owned()),
        "{verdict}"
    );
    let story = verdict["findings"].to_string();
    assert!(
        story.contains("Truncating"),
        "the line that says so is shown: {story}"
    );
    turn.nothing_is_left();
}

#[test]
fn the_same_schedule_with_the_default_protocol_holds() {
    let Some(turn) = Turn::take("default") else {
        return;
    };
    let output = turn
        .command("canary-kip101-default")
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    turn.nothing_is_left();
}

#[test]
#[ignore = "slow: two and a half minutes; `make test-slow`"]
fn what_is_copied_in_transactions_is_processed_once() {
    let Some(turn) = Turn::take("exactly-once") else {
        return;
    };
    let output = turn.command("exactly-once").output().expect("it runs");
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let verdict = turn.verdict();
    let of = |topic: &str, name: &str| {
        let topics = verdict["topics"].as_array().expect("topics").iter();
        let guarantees = topics.filter(|it| it["topic"] == topic).flat_map(|it| {
            let guarantees = it["guarantees"].as_array();
            guarantees.expect("guarantees").iter()
        });
        let mut guarantees = guarantees.filter(|it| it["name"] == name);
        guarantees.next().expect("it has a row")["verdict"].clone()
    };
    for (topic, name, least) in [
        ("ledger", "redelivered", 5000),
        ("ledger", "group-skipped", 5000),
        ("ledger", "offset-regressed", 50),
        ("copies", "txn-atomicity", 50),
    ] {
        let said = of(topic, name);
        assert_eq!(said["is"], "held", "{topic} {name}: {said}");
        let examined = said["examined"].as_u64().expect("a count");
        assert!(examined >= least, "{topic} {name}: {said}");
    }
    turn.nothing_is_left();
}

#[test]
fn term_in_the_storm_ends_the_run_within_twenty_seconds() {
    ends_in_order_after(Signal::SIGTERM, "TERM");
}

#[test]
#[ignore = "slow: the same as for TERM, in `make test-slow`"]
fn int_in_the_storm_ends_the_run_within_twenty_seconds() {
    ends_in_order_after(Signal::SIGINT, "INT");
}

#[test]
#[ignore = "slow: the same as for TERM, in `make test-slow`"]
fn hup_in_the_storm_ends_the_run_within_twenty_seconds() {
    ends_in_order_after(Signal::SIGHUP, "HUP");
}

fn ends_in_order_after(signal: Signal, name: &str) {
    let Some(turn) = Turn::take(&name.to_lowercase()) else {
        return;
    };
    let (mut child, reader) = turn.start("smoke", "f1 kill leader");
    kill(Pid::from_raw(child.id().cast_signed()), signal).expect("it lives");
    let status = wait_for(&mut child, Duration::from_secs(20)).expect("it ends within 20 s");
    let said = reader.join().expect("read");
    assert_eq!(status.code(), Some(2), "{said}");
    turn.nothing_is_left();
    let seal = fs::read_to_string(turn.run_dir().join("seal.json")).expect("sealed");
    assert!(seal.contains(name), "{seal}");
    assert_ne!(turn.verdict()["fold"], "held");
}

#[test]
fn when_the_runner_is_killed_the_command_heals_and_says_so() {
    let Some(turn) = Turn::take("killed") else {
        return;
    };
    let (mut child, reader) = turn.start("smoke", "f1 kill leader");
    let children = format!("/proc/{0}/task/{0}/children", child.id());
    let children = fs::read_to_string(children).expect("its children");
    let runner: i32 = children
        .split_whitespace()
        .next()
        .expect("a runner")
        .parse()
        .expect("a pid");
    kill(Pid::from_raw(runner), Signal::SIGKILL).expect("it lives");
    let status = wait_for(&mut child, Duration::from_secs(40)).expect("it ends");
    let said = reader.join().expect("read");
    assert!(status.signal().is_none(), "{said}");
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(
        said.contains("healing the hosts") && said.contains("healed"),
        "{said}"
    );
    turn.nothing_is_left();
    assert_ne!(turn.verdict()["fold"], "held", "a torn run never holds");
}

fn wait_for(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    const TICK: Duration = Duration::from_millis(100);
    for _ in 0..within.as_millis() / TICK.as_millis() {
        if let Some(status) = child.try_wait().expect("it can be waited for") {
            return Some(status);
        }
        std::thread::park_timeout(TICK);
    }
    None
}
