//! A lab of a test's own, made through the binary, and runs on it that are expected to fail.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use history::rundir::{Ended, RunDir};
use nix::fcntl::{Flock, FlockArg};

use crate::said::{HARNESS, Said, UNPROVEN, command, plan, tidemark};

const LOCAL: &str = include_str!("../../../../labs/local.toml");

/// A lab with a name of its own; forced down when dropped. Labs' tests take turns.
pub struct Lab {
    pub dir: tempfile::TempDir,
    pub name: String,
    _turn: Flock<File>,
}

impl Lab {
    /// None, said aloud, where no lab can be made.
    pub fn new(letter: &str) -> Option<Lab> {
        if let Err(missing) = lab::missing_tools() {
            println!("SKIPPED: {missing}");
            return None;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock");
        let file = File::create(path).expect("a lock file");
        let turn = Flock::lock(file, FlockArg::LockExclusive).expect("a turn");
        // The controller's namespace has no way out: what is fetched is fetched here.
        let cache = cluster::artefacts::default_cache().expect("a cache");
        cluster::Artefacts::broker("3.0.0", &cache).expect("Kafka's jars");
        let name = format!("b{}{letter}", std::process::id());
        let dir = tempfile::tempdir().expect("a directory");
        let named = LOCAL.replacen("name = \"local\"", &format!("name = \"{name}\""), 1);
        assert_ne!(named, LOCAL);
        let lab = Lab {
            dir,
            name,
            _turn: turn,
        };
        lab.put("lab.toml", &named);
        lab.put("short.toml", &plan(""));
        Some(lab)
    }

    pub fn put(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("written");
    }

    pub fn say(&self, args: &[&str]) -> Said {
        tidemark(self.dir.path(), args)
    }

    /// A shell command on a host, which must succeed.
    pub fn on(&self, node: &str, script: &str) {
        let said = self.say(&[
            "lab", "shell", "--lab", "lab.toml", node, "sh", "-c", script,
        ]);
        assert_eq!(said.code, Some(0), "{script}: {said:?}");
    }

    /// The same hosts as machines that exist already, seen from inside the controller's namespace:
    /// nothing repairs them before a run.
    pub fn machines(&self, change: impl Fn(&mut toml::Table)) {
        let mut lab: toml::Table = LOCAL.parse().expect("TOML");
        lab.insert("name".to_owned(), self.name.clone().into());
        lab.insert("kind".to_owned(), "machines".into());
        let state = Path::new("/var/tmp/tidemark/labs").join(&self.name);
        let mut login = toml::Table::new();
        for (key, file) in [("key", "id_ed25519"), ("known_hosts", "known_hosts")] {
            let path = state.join(file).display().to_string();
            login.insert(key.to_owned(), path.into());
        }
        lab.insert("login".to_owned(), login.into());
        change(&mut lab);
        self.put("machines.toml", &toml::to_string(&lab).expect("TOML"));
    }

    pub fn inside(&self, args: &[&str]) -> Said {
        let ctl = format!("tm-{}-ctl", self.name);
        let mut ip = Command::new("ip");
        ip.args(["netns", "exec", &ctl, env!("CARGO_BIN_EXE_tidemark")]);
        ip.args(args).current_dir(self.dir.path());
        Said::of(ip.output().expect("ip starts"))
    }

    /// A run on [`Lab::machines`] that is refused in setup with these words, first things first.
    #[track_caller]
    pub fn refused(&self, words: &[&str]) {
        let said = self.inside(&["run", "short.toml", "--lab", "machines.toml"]);
        self.refused_in_setup(&said, words);
    }

    /// The sentence is said, and kept: the newest run directory is sealed with it, and `check`
    /// tells it again.
    #[track_caller]
    pub fn refused_in_setup(&self, said: &Said, words: &[&str]) {
        let sentence = said.refuses(HARNESS, words);
        let (seal, again) = self.newest();
        let Some(Ended::Failed { why, .. }) = seal else {
            panic!("sealed as {seal:?}");
        };
        assert!(sentence.ends_with(&why), "{why}");
        assert_eq!(again.code, Some(UNPROVEN), "{again:?}");
        assert!(again.err.contains(&why), "{again:?}");
    }

    /// How the newest run was sealed, and what `check` says of it; then it is removed.
    pub fn newest(&self) -> (Option<Ended>, Said) {
        let runs: Vec<PathBuf> = fs::read_dir(self.dir.path().join("results/runs"))
            .expect("runs")
            .map(|e| e.expect("an entry").path())
            .collect();
        let [run] = runs.as_slice() else {
            panic!("one run was due: {runs:?}");
        };
        let seal = RunDir::open(run)
            .expect("a run directory")
            .read_seal()
            .expect("a seal");
        let again = self.say(&["check", &run.display().to_string()]);
        fs::remove_dir_all(run).expect("removed");
        (seal.map(|seal| seal.ended), again)
    }

    pub fn run(&self) -> Command {
        let mut run = command(self.dir.path(), &["run", "short.toml", "--lab", "lab.toml"]);
        run.stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        run
    }

    pub fn is_up(&self) -> bool {
        Path::new("/run/netns")
            .join(format!("tm-{}-sw", self.name))
            .exists()
    }

    #[track_caller]
    pub fn is_gone(&self) {
        let said = self.say(&["lab", "status", "lab.toml"]);
        assert_eq!(said.out, format!("lab {} is down\n", self.name), "{said:?}");
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let said = self.say(&["lab", "down", "--force", "lab.toml"]);
        if !std::thread::panicking() {
            assert_eq!(said.code, Some(0), "{said:?}");
            self.is_gone();
        }
    }
}

/// A run that is under way, with what it says.
pub struct Run {
    pub child: Child,
    pub lines: Lines<BufReader<ChildStderr>>,
    pub said: String,
}

impl Run {
    pub fn start(mut command: Command) -> Run {
        let mut child = command.spawn().expect("the binary starts");
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        Run {
            child,
            lines,
            said: String::new(),
        }
    }

    /// Reads on until one of these phases begins, and says which; none when the run ended before.
    pub fn until<'a>(&mut self, phases: &[&'a str]) -> Option<&'a str> {
        for line in self.lines.by_ref() {
            let line = line.expect("text");
            self.said += &line;
            self.said.push('\n');
            let phase = phases.iter().find(|p| line.ends_with(&format!("-- {p}")));
            if phase.is_some() {
                return phase.copied();
            }
        }
        None
    }

    pub fn end(mut self) -> Said {
        self.until(&[]);
        let status = self.child.wait().expect("it ends");
        Said {
            code: status.code(),
            out: String::new(),
            err: self.said,
        }
    }
}
