//! Three machines and a jump host as a stranger would have them: nothing of ours on them, an
//! unprivileged user with sudo, SSH on another port and only by way of the jump host, addresses for
//! management that are not the cluster's, no Java in the path.
//!
//! They are namespaces that this test makes and removes; the product is told nothing of that.

#![allow(dead_code)] // Not every test binary uses all of it.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use nix::fcntl::{Flock, FlockArg};

pub const USER: &str = "kafka";
const ID: u32 = 64_017;
pub const PASSWORD: &str = "op3n $esame's";
pub const PASSWORD_ENV: &str = "TIDEMARK_TEST_SUDO";

/// Name, and addresses for the office (the controller and the jump host), management, the cluster.
const MACHINES: [(&str, [Option<&str>; 3]); 5] = [
    ("ctl", [Some("10.231.0.2"), None, Some("10.231.2.2")]),
    ("jump", [Some("10.231.0.9"), Some("10.231.1.9"), None]),
    ("n0", [None, Some("10.231.1.27"), Some("10.231.2.27")]),
    ("n1", [None, Some("10.231.1.28"), Some("10.231.2.28")]),
    ("n2", [None, Some("10.231.1.29"), Some("10.231.2.29")]),
];
const NETS: [&str; 3] = ["office", "mgmt", "cluster"];

/// All of it; ended when dropped. Labs' tests take turns.
pub struct Strangers {
    pub dir: tempfile::TempDir,
    prefix: String,
    firsts: Vec<Child>,
    java: PathBuf,
    _turn: Flock<File>,
}

fn ok(program: &str, args: &[&str]) -> String {
    let ran = Command::new(program).args(args).output().expect(program);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{program} {args:?}: {said}");
    String::from_utf8(ran.stdout).expect("text")
}

fn there(program: &str) -> Option<PathBuf> {
    let dirs = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let mut paths = dirs.iter().map(|dir| Path::new(dir).join(program));
    paths.find(|path| path.exists())
}

impl Strangers {
    /// None, said aloud, where such machines cannot be had.
    pub fn new() -> Option<Strangers> {
        let mut missing = lab::missing_tools().err().map(|e| e.to_string());
        for program in ["sudo", "openssl", "script"] {
            if there(program).is_none() {
                missing = missing.or(Some(format!("there is no {program} here")));
            }
        }
        if let Some(missing) = missing {
            println!("SKIPPED: {missing}");
            return None;
        }
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock");
        let turn = Flock::lock(
            File::create(path).expect("a lock file"),
            FlockArg::LockExclusive,
        );
        // No machine has a way out: what is fetched is fetched here.
        let cache = cluster::artefacts::default_cache().expect("a cache");
        cluster::Artefacts::broker("3.0.0", &cache).expect("Kafka's jars");
        let java = there("java").expect("java").canonicalize().expect("java");
        let mut all = Strangers {
            dir: tempfile::tempdir().expect("a directory"),
            prefix: format!("st{}", std::process::id()),
            firsts: Vec::new(),
            java,
            _turn: turn.map_err(|(_, error)| error).expect("the lock"),
        };
        all.connect();
        let path = all.path("id");
        ok(
            "ssh-keygen",
            &[
                "-q",
                "-t",
                "ed25519",
                "-N",
                "",
                "-f",
                &path.display().to_string(),
            ],
        );
        let hash = ok("openssl", &["passwd", "-6", PASSWORD]);
        for (name, _) in MACHINES.iter().skip(1) {
            all.start(name, hash.trim());
        }
        for (name, _) in MACHINES.iter().skip(1) {
            all.wait_for(name);
        }
        Some(all)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn netns(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    fn connect(&self) {
        let switch = self.netns("sw");
        ok("ip", &["netns", "add", &switch]);
        for net in NETS {
            ok("ip", &["-n", &switch, "link", "add", net, "type", "bridge"]);
            ok("ip", &["-n", &switch, "link", "set", net, "up"]);
        }
        for (name, addresses) in MACHINES {
            let netns = self.netns(name);
            ok("ip", &["netns", "add", &netns]);
            ok("ip", &["-n", &netns, "link", "set", "lo", "up"]);
            for (net, address) in NETS.iter().zip(addresses) {
                let Some(address) = address else { continue };
                let (port, with) = (format!("{name}-{net}"), format!("{address}/24"));
                ok(
                    "ip",
                    &[
                        "-n", &switch, "link", "add", &port, "type", "veth", "peer", "name", net,
                        "netns", &netns,
                    ],
                );
                ok(
                    "ip",
                    &["-n", &switch, "link", "set", &port, "master", net, "up"],
                );
                ok("ip", &["-n", &netns, "addr", "add", &with, "dev", net]);
                ok("ip", &["-n", &netns, "link", "set", net, "up"]);
            }
        }
    }

    fn start(&mut self, name: &str, hash: &str) {
        let own = self.path(name);
        for dir in ["etc", "srv", "home/kafka/.ssh", "run/sshd", "tmp"] {
            fs::create_dir_all(own.join(dir)).expect("a directory");
        }
        let mode = |path: PathBuf, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
        };
        mode(own.join("tmp"), 0o1777);
        let public = fs::read_to_string(self.path("id.pub")).expect("a key");
        fs::write(own.join("home/kafka/.ssh/authorized_keys"), public).expect("written");
        for path in [
            "home/kafka",
            "home/kafka/.ssh",
            "home/kafka/.ssh/authorized_keys",
        ] {
            chown(own.join(path), Some(ID), Some(ID)).expect("given");
        }
        mode(own.join("home/kafka/.ssh"), 0o700);
        let with = |file: &str, line: &str| {
            let mut text = fs::read_to_string(Path::new("/etc").join(file)).expect(file);
            text += line;
            fs::write(own.join("etc").join(file), text).expect("written");
        };
        with(
            "passwd",
            &format!("{USER}:x:{ID}:{ID}::/home/{USER}:/bin/bash\n"),
        );
        with("group", &format!("{USER}:x:{ID}:\n"));
        with("shadow", &format!("{USER}:{hash}:19000:0:99999:7:::\n"));
        mode(own.join("etc/shadow"), 0o600);
        fs::write(
            own.join("etc/hosts"),
            format!("127.0.0.1 localhost {name}\n"),
        )
        .expect("hosts");
        self.sudoers_of(name, "root ALL=(ALL) ALL\n");
        let key = own.join("run/host_key").display().to_string();
        ok("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &key]);
        fs::write(
            own.join("run/sshd_config"),
            "Port 2022\nHostKey /run/host_key\nPidFile none\nUsePAM no\nPermitRootLogin no\n\
             PasswordAuthentication no\nUseDNS no\n",
        )
        .expect("written");
        let script = own.join("host.sh");
        fs::write(&script, include_str!("host.sh")).expect("written");
        let alternatives = own.join("etc/alternatives");
        if Path::new("/etc/alternatives/java").is_symlink() {
            let to = alternatives.display().to_string();
            ok("cp", &["-a", "/etc/alternatives", &to]);
            fs::remove_file(alternatives.join("java")).expect("removed");
        }
        let child = Command::new("ip")
            .args(["netns", "exec", &self.netns(name)])
            .args([
                "unshare",
                "--mount",
                "--pid",
                "--uts",
                "--fork",
                "--mount-proc",
                "sh",
            ])
            .arg(&script)
            .arg(&own)
            .args([name, "/usr/sbin/sshd"])
            .stdin(Stdio::null())
            .spawn()
            .expect("ip");
        self.firsts.push(child);
    }

    /// Until its sshd listens on port 2022, as the kernel's table has it.
    fn wait_for(&mut self, name: &str) {
        let log = self.path(name).join("run/sshd.log");
        for _ in 0..1500 {
            if self
                .on(name, "cat /proc/net/tcp")
                .contains(":07E6 00000000:0000 0A")
            {
                return;
            }
            for first in &mut self.firsts {
                let ended = first.try_wait().expect("a status");
                assert!(
                    ended.is_none(),
                    "{}",
                    fs::read_to_string(&log).unwrap_or_default()
                );
            }
            std::thread::yield_now();
        }
        panic!("{name}: {}", fs::read_to_string(&log).unwrap_or_default());
    }

    /// What `/etc/sudoers` of every machine says of the user.
    pub fn sudoers(&self, lines: &[String]) {
        for name in ["n0", "n1", "n2"] {
            self.sudoers_of(name, &(lines.join("\n") + "\n"));
        }
    }

    fn sudoers_of(&self, name: &str, text: &str) {
        let path = self.path(name).join("etc/sudoers");
        // In place: the file is mounted where sudo looks.
        fs::write(&path, text).expect("sudoers");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o440)).expect("a mode");
    }

    /// As `sudo install -d -o kafka /srv/tidemark` does there.
    pub fn make_dirs(&self) {
        for name in ["n0", "n1", "n2"] {
            let dir = self.path(name).join("srv/tidemark");
            fs::create_dir_all(&dir).expect("a directory");
            chown(dir, Some(ID), Some(ID)).expect("given");
        }
    }

    /// A lab file as a stranger would write it; `more` goes under [login].
    pub fn lab_file(&self, more: &str) -> PathBuf {
        let mut text = format!(
            "name = \"plain\"\nkind = \"machines\"\ndir = \"/srv/tidemark\"\njava = \"{}\"\n\
             interface = \"cluster\"\n\n[login]\nuser = \"{USER}\"\nport = 2022\nkey = \"{}\"\n\
             known_hosts = \"{}\"\naccept_new_host_keys = true\n{more}\n\
             [login.jump]\naddress = \"10.231.0.9\"\nport = 2022\n",
            self.java.display(),
            self.path("id").display(),
            self.path("known_hosts").display()
        );
        for (name, [_, mgmt, cluster]) in MACHINES.iter().skip(2) {
            text += &format!(
                "\n[[hosts]]\nnode = \"{name}\"\nname = \"{name}\"\naddress = \"{}\"\n\
                 ssh_address = \"{}\"\n",
                cluster.expect("an address"),
                mgmt.expect("an address")
            );
        }
        let path = self.path("plain.toml");
        fs::write(&path, text).expect("a lab file");
        path
    }

    /// tidemark on the controller, which reaches the hosts' sshd only through the jump host.
    pub fn tidemark(&self, args: &[&str]) -> Output {
        Command::new("ip")
            .args(["netns", "exec", &self.netns("ctl")])
            .arg(env!("CARGO_BIN_EXE_tidemark"))
            .args(args)
            .env(PASSWORD_ENV, PASSWORD)
            .current_dir(self.dir.path())
            .output()
            .expect("ip")
    }

    /// A command as root on a machine, past its sshd.
    pub fn on(&self, name: &str, script: &str) -> String {
        let netns = self.netns(name);
        ok("ip", &["netns", "exec", &netns, "sh", "-c", script])
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        for (name, _) in MACHINES {
            let pids = Command::new("ip")
                .args(["netns", "pids", &self.netns(name)])
                .output();
            let pids = pids.map(|out| String::from_utf8_lossy(&out.stdout).into_owned());
            for pid in pids.unwrap_or_default().split_whitespace() {
                let pid = nix::unistd::Pid::from_raw(pid.parse().expect("a pid"));
                let _gone = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
        }
        for mut first in self.firsts.drain(..) {
            let _ended = first.wait();
        }
        for name in MACHINES.map(|(name, _)| name).into_iter().chain(["sw"]) {
            let _gone = Command::new("ip")
                .args(["netns", "del", &self.netns(name)])
                .status();
        }
    }
}
