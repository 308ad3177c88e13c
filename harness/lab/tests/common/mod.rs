//! What the lab's tests share: a lab with a name of its own, removed whatever happens.
//!
//! Commands on hosts go by OpenSSH from the controller's namespace, so that the lab is tested
//! without the harness's own lanes.

#![allow(dead_code)] // Not every test binary uses all of it.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use cluster::LabFile;
use nix::fcntl::{Flock, FlockArg};

/// A lab for one test; it goes down when this is dropped.
pub struct Bench {
    pub lab: LabFile,
    _turn: Option<Flock<File>>,
}

impl Bench {
    /// Waits for its turn. None, said aloud, when this machine cannot hold a lab.
    pub fn new(letter: &str) -> Option<Self> {
        if let Err(why) = lab::missing_tools() {
            println!("SKIPPED: {why}");
            return None;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock");
        let file = File::create(path).expect("the lock of the lab's tests");
        let turn = Flock::lock(file, FlockArg::LockExclusive).expect("a turn");
        Some(Self {
            lab: named(letter),
            _turn: Some(turn),
        })
    }

    /// A second lab within the same test.
    pub fn another(&self, letter: &str) -> Self {
        Self {
            lab: named(letter),
            _turn: None,
        }
    }

    /// Every process of the lab with its start time, so that a reused pid is another process.
    pub fn pids(&self) -> Vec<(String, String)> {
        ["n0", "n1", "n2", "ctl", "sw"]
            .iter()
            .flat_map(|part| self.pids_of(part))
            .collect()
    }

    pub fn pids_of(&self, part: &str) -> Vec<(String, String)> {
        let namespace = format!("tm-{}-{part}", self.lab.name);
        if !Path::new("/run/netns").join(&namespace).exists() {
            return Vec::new();
        }
        let mut all: Vec<_> = ok("ip", &["netns", "pids", &namespace])
            .split_whitespace()
            .filter_map(|pid| Some((pid.to_owned(), started(pid)?)))
            .collect();
        all.sort();
        all
    }

    /// Whether these processes of a part still run. An SSH session that is ending may come on top.
    pub fn still_holds(&self, part: &str, before: &[(String, String)]) -> bool {
        let now = self.pids_of(part);
        !before.is_empty() && before.iter().all(|pid| now.contains(pid))
    }

    /// What is outside the namespaces and must never change: interfaces, addresses, routes, rules.
    pub fn outside(&self) -> [String; 4] {
        let mut links: Vec<String> = ok("ip", &["-o", "link"])
            .lines()
            .filter_map(|line| Some(line.split(": ").nth(1)?.to_owned()))
            .collect();
        links.sort();
        [
            links.join(" "),
            ok("ip", &["-o", "-4", "addr"]),
            ok("ip", &["route", "show", "table", "all"]),
            ok("ip", &["rule"]),
        ]
    }

    /// What is left of the lab anywhere: names, mounts, files, processes by name and by pid.
    pub fn residue(&self, pids: &[(String, String)]) -> Vec<String> {
        let name = &self.lab.name;
        let mut left = Vec::new();
        let prefix = format!("tm-{name}-");
        for entry in std::fs::read_dir("/run/netns")
            .into_iter()
            .flatten()
            .flatten()
        {
            let entry = entry.file_name().to_string_lossy().into_owned();
            left.extend(entry.starts_with(&prefix).then_some(entry));
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let ours = |text: &str| text.contains(&prefix) || text.contains(&format!("labs/{name}"));
        left.extend(mounts.lines().filter(|l| ours(l)).map(str::to_owned));
        for entry in std::fs::read_dir("/var/tmp/tidemark/labs")
            .into_iter()
            .flatten()
            .flatten()
        {
            let entry = entry.file_name().to_string_lossy().into_owned();
            left.extend(entry.starts_with(name.as_str()).then_some(entry));
        }
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            left.extend(ours(&line).then_some(line));
        }
        left.extend(
            pids.iter()
                .filter(|(pid, start)| started(pid).as_ref() == Some(start))
                .map(|(pid, _)| format!("process {pid}")),
        );
        left
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let pids = self.pids();
        let down = lab::down(&self.lab.name);
        if !std::thread::panicking() {
            down.expect("the lab goes down");
            assert_eq!(self.residue(&pids), Vec::<String>::new(), "left of the lab");
        }
    }
}

fn named(letter: &str) -> LabFile {
    let text = cluster::labfile::BUILT_IN
        .iter()
        .find(|(name, _)| *name == "local")
        .unwrap()
        .1;
    let mut lab = LabFile::parse(text, "local").unwrap();
    lab.name = format!("t{}{letter}", std::process::id());
    lab
}

/// When a process started. None when it is gone; a zombie counts as gone.
fn started(pid: &str) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces; what follows it does not. State, and field 22.
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let is_zombie = words.next() == Some("Z");
    words.nth(18).filter(|_| !is_zombie).map(str::to_owned)
}

/// Standard output of a command that must succeed.
pub fn ok(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .expect("the command starts");
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A command inside the controller's namespace.
pub fn ctl(lab: &LabFile, argv: &[&str]) -> Output {
    let namespace = format!("tm-{}-ctl", lab.name);
    Command::new("ip")
        .args(["netns", "exec", &namespace])
        .args(argv)
        .output()
        .expect("ip")
}

/// A process that stays inside the controller's namespace.
pub fn in_ctl(lab: &LabFile, argv: &[&str]) -> Child {
    let namespace = format!("tm-{}-ctl", lab.name);
    let child = Command::new("ip")
        .args(["netns", "exec", &namespace])
        .args(argv)
        .stdin(Stdio::null())
        .spawn()
        .expect("ip");
    let pid = child.id().to_string();
    while !ok("ip", &["netns", "pids", &namespace])
        .split_whitespace()
        .any(|p| p == pid)
    {
        std::thread::yield_now();
    }
    // `ip` enters the namespace first and becomes the program then.
    let comm = format!("/proc/{pid}/comm");
    while std::fs::read_to_string(&comm).is_ok_and(|name| name == "ip\n") {
        std::thread::yield_now();
    }
    child
}

/// Standard output of a script on a host, over OpenSSH; it must succeed.
pub fn on(lab: &LabFile, node: usize, script: &str) -> String {
    let key = lab.login.key.as_ref().unwrap().display().to_string();
    let known = format!(
        "UserKnownHostsFile={}",
        lab.login.known_hosts.as_ref().unwrap().display()
    );
    let destination = format!("root@{}", lab.hosts[node].address);
    let output = ctl(
        lab,
        &[
            "ssh",
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "ConnectTimeout=5",
            "-o",
            "StrictHostKeyChecking=yes",
            "-o",
            &known,
            "-i",
            &key,
            &destination,
            script,
        ],
    );
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "n{node}: {script}: {}: {error}",
        output.status
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Ends pid 1 of a host, and with it the host.
pub fn kill_first_process(lab: &LabFile, part: &str) {
    let namespace = format!("tm-{}-{part}", lab.name);
    for pid in ok("ip", &["netns", "pids", &namespace]).split_whitespace() {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let nspid = status
            .lines()
            .find(|l| l.starts_with("NSpid"))
            .unwrap_or_default();
        if nspid.ends_with("\t1") {
            ok("kill", &["-9", pid]);
            return;
        }
    }
    panic!("{namespace} has no first process");
}
