//! A directory that stands in for a machine: units below `root`, and `systemctl`, `crontab` and
//! `logger` as scripts that write down what they were asked. Nothing outside of it is changed: `PATH`
//! leads nowhere else.

#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use campaign::{NIGHT_FORMAT, Night};

use crate::said::{self, Said};

/// What the units and the journal's lines of the suite and lab here are called.
pub const NAME: &str = "tidemark-small-farm";

const SUITE: &str = r#"
name = "small"
about = "Two controls and a run."
budget = "20m"
canary = "canary-kip101"
calm = "quiet"

[[plans]]
plan = "smoke"

[tell]
webhook_env = "HOOK"
"#;

const LAB: &str = r#"
name = "farm"
kind = "machines"
dir = "/srv/tidemark"

[login]
user = "kafka"
key = "/home/kafka/.ssh/tidemark"

[[hosts]]
node = "n0"
name = "n0"
address = "198.51.100.1"

[[hosts]]
node = "n1"
name = "n1"
address = "198.51.100.2"

[[hosts]]
node = "n2"
name = "n2"
address = "198.51.100.3"
"#;

const SYSTEMCTL: &str = r#"
if [ -f failing ]; then /bin/cat failing >&2; exit 1; fi
echo "$*" >>asked
[ "$1" = is-active ] || exit 0
if [ -f "active-$2" ]; then /bin/cat "active-$2"; else echo inactive; exit 3; fi
"#;

const CRONTAB: &str = r#"
if [ -f cron-fails ]; then /bin/cat cron-fails >&2; exit 1; fi
case "$*" in
    -l) [ -f crontab ] || { echo "no crontab for me" >&2; exit 1; }; /bin/cat crontab ;;
    -) /bin/cat >crontab ;;
    *) echo "asked for $*" >&2; exit 1 ;;
esac
"#;

const LOGGER: &str = r#"{ echo "$*"; /bin/cat; } >logged"#;

pub struct Machine(tempfile::TempDir);

impl Machine {
    /// A machine that systemd did not start.
    pub fn new() -> Self {
        let machine = Self(said::dir());
        machine.put("small.toml", SUITE);
        machine.put("lab.toml", LAB);
        fs::create_dir(machine.path("bin")).expect("made");
        machine.script("systemctl", SYSTEMCTL);
        machine.script("crontab", CRONTAB);
        machine.script("logger", LOGGER);
        for program in ["sh", "flock", "timeout"] {
            let path = std::env::var_os("PATH").expect("PATH");
            let found = std::env::split_paths(&path).map(|dir| dir.join(program));
            let found = found.into_iter().find(|it| it.is_file()).expect(program);
            symlink(found, machine.path(&format!("bin/{program}"))).expect("linked");
        }
        machine
    }

    /// A machine that systemd started.
    pub fn booted() -> Self {
        let machine = Self::new();
        for dir in ["root/run/systemd/system", "root/etc/systemd/system"] {
            fs::create_dir_all(machine.path(dir)).expect("made");
        }
        machine
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        fs::write(path, text).expect("written");
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).expect(name)
    }

    pub fn mode(&self, name: &str, mode: u32) {
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("changed");
    }

    /// A program that runs in this directory. Another process writes it: while a test has a file
    /// open, what other tests start has it open too, and then it cannot be run.
    fn script(&self, name: &str, text: &str) {
        let at = self.0.path().display();
        self.put("script", &format!("#!/bin/sh\ncd {at} || exit 9\n{text}\n"));
        self.mode("script", 0o755);
        let copied = Command::new("cp")
            .arg(self.path("script"))
            .arg(self.path(&format!("bin/{name}")))
            .status();
        assert!(copied.expect("cp").success());
    }

    /// `tidemark nightly` on this machine.
    pub fn tidemark_with(&self, args: &[&str]) -> Said {
        let mut command = said::command(self.0.path(), &["nightly"]);
        command.args(args).arg("--root").arg(self.path("root"));
        command.env("PATH", self.path("bin"));
        Said::of(command.output().expect("the binary starts"))
    }

    /// The same for the suite and the lab here.
    pub fn tidemark(&self, args: &[&str]) -> Said {
        match args {
            ["install", more @ ..] => {
                let all = [&["install", "small.toml", "--lab", "lab.toml"], more].concat();
                self.tidemark_with(&all)
            }
            other => self.tidemark_with(other),
        }
    }

    /// What would be installed, by file name.
    pub fn units(&self, more: &[&str]) -> BTreeMap<String, String> {
        let said = self.tidemark(&[&["install", "--print"], more].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let files = said.out.split("# /etc/systemd/system/").skip(1);
        let file = |text: &str| {
            let (name, text) = text.split_once('\n').expect("a name");
            let text = text.strip_suffix('\n').expect("an empty line");
            (name.to_owned(), text.to_owned())
        };
        files.map(file).collect()
    }

    /// What is installed, by file name.
    pub fn installed(&self) -> BTreeMap<String, String> {
        let listed = fs::read_dir(self.path("root/etc/systemd/system")).expect("a directory");
        listed
            .map(|entry| {
                let path = entry.expect("an entry").path();
                let name = path
                    .file_name()
                    .expect("a name")
                    .to_string_lossy()
                    .into_owned();
                (name, fs::read_to_string(path).expect("a unit"))
            })
            .collect()
    }

    /// What systemctl was asked since the last time.
    pub fn systemctl(&self) -> Vec<String> {
        self.taken("asked")
    }

    /// The crontab's mark and its line.
    pub fn line(&self, more: &[&str]) -> (String, String) {
        let said = self.tidemark(&[&["install", "--cron", "--print"], more].concat());
        assert_eq!(said.code, Some(0), "{said:?}");
        let lines: Vec<&str> = said.out.lines().collect();
        let [written, mark, line] = lines.as_slice() else {
            panic!("three lines: {said:?}");
        };
        assert!(written.starts_with("# Written by `tidemark nightly install`"));
        ((*mark).to_owned(), (*line).to_owned())
    }

    /// What takes this program's place in the line.
    pub fn stand_in(&self, text: &str) {
        self.script("stand-in", &format!("echo \"$*\" >>calls\n{text}"));
    }

    /// Does what cron does with the line.
    pub fn run_line(&self) {
        let secrets = self.path("secrets").display().to_string();
        let (_, line) = self.line(&["--secrets", &secrets]);
        let job = line.splitn(6, ' ').nth(5).expect("a command");
        let program = fs::canonicalize(env!("CARGO_BIN_EXE_tidemark")).expect("the binary");
        let stand_in = self.path("bin/stand-in").display().to_string();
        let job = job.replace(&program.display().to_string(), &stand_in);
        fs::create_dir_all(self.path("results")).expect("made");
        let ended = Command::new("/bin/sh")
            .args(["-c", &job])
            .env("PATH", self.path("bin"))
            .output()
            .expect("sh");
        let said = Said::of(ended);
        assert_eq!(
            (said.out.as_str(), said.err.as_str()),
            ("", ""),
            "cron would mail it"
        );
    }

    /// What the stand-in was called with since the last time.
    pub fn calls(&self) -> Vec<String> {
        self.taken("calls")
    }

    /// What logger was given by the last line that was run, its own arguments first.
    pub fn logged(&self) -> String {
        self.read("logged")
    }

    fn taken(&self, name: &str) -> Vec<String> {
        let path = self.path(name);
        let text = fs::read_to_string(&path).unwrap_or_default();
        let _absent = fs::remove_file(path);
        text.lines().map(str::to_owned).collect()
    }

    /// Whoever runs the tests.
    pub fn user(&self) -> String {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective());
        user.expect("asked").expect("somebody").name
    }

    /// A night that began at one o'clock.
    pub fn night(&self, date: &str, ended: Option<&str>, void: Option<&str>) {
        let time = |text: &str| text.parse().expect("a time");
        let night = Night {
            format: NIGHT_FORMAT,
            date: date.parse().expect("a date"),
            nth: 1,
            suite: "small".to_owned(),
            lab: "farm".to_owned(),
            seed: 1,
            budget_s: 1200,
            taken_s: 1200,
            started: time(&format!("{date}T01:00:00Z")),
            ended: ended.map(time),
            next: None,
            tidemark: "0.1.0".to_owned(),
            kafka: "3.0.0".to_owned(),
            void: void.map(str::to_owned),
            entries: Vec::new(),
        };
        night.write(&self.path("results")).expect("written");
    }
}
