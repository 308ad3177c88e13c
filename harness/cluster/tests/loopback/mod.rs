//! A real sshd on loopback for one test: own host keys, own user key, own port, ended by its pid.

#![allow(dead_code, reason = "each test file uses its part")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use cluster::{HostSpec, Kind, LabFile, Login, Ports, Sudo};
use history::NodeId;

/// Ends when dropped.
pub struct Sshd {
    pub dir: tempfile::TempDir,
    pub port: u16,
    child: Child,
}

/// None, and the reason printed, where no sshd can be run.
pub async fn sshd() -> Option<Sshd> {
    sshd_with("").await
}

/// The same with an RSA host key as well.
pub async fn sshd_with_rsa() -> Option<Sshd> {
    sshd_with(RSA).await
}

/// The same where root's password is `password`, in a mount namespace with a shadow file of its own.
pub async fn sshd_with_password(password: &str) -> Option<Sshd> {
    let hash = Command::new("openssl")
        .args(["passwd", "-6", password])
        .output();
    let allowed = Command::new("unshare").args(["-m", "true"]).status();
    let (Ok(hash), true) = (hash, allowed.is_ok_and(|s| s.success())) else {
        println!("SKIPPED: no password can be given here (needs root, unshare, openssl)");
        return None;
    };
    let hash = String::from_utf8_lossy(&hash.stdout);
    start(
        "PasswordAuthentication yes",
        Some(format!("root:{}:19000:0:99999:7:::\n", hash.trim())),
    )
    .await
}

/// The line that asks for one; the directory is filled in.
const RSA: &str = "HostKey @/rsa";

/// The same with more lines of sshd_config.
pub async fn sshd_with(more: &str) -> Option<Sshd> {
    start(more, None).await
}

async fn start(more: &str, shadow: Option<String>) -> Option<Sshd> {
    let Some(program) = ["/usr/sbin/sshd", "/usr/bin/sshd"]
        .into_iter()
        .find(|p| Path::new(p).exists())
    else {
        println!("SKIPPED: no sshd here (install openssh-server)");
        return None;
    };
    let dir = tempfile::tempdir().expect("a directory");
    let at = |name: &str| dir.path().join(name);
    if more == RSA {
        keygen("rsa", &at("rsa"), "");
    }
    for (name, kind) in [("ed25519", "ed25519"), ("user", "ed25519")] {
        keygen(kind, &at(name), "");
    }
    std::fs::copy(at("user.pub"), at("authorized")).expect("authorized keys");
    if nix::unistd::Uid::effective().is_root() {
        std::fs::create_dir_all("/run/sshd").expect("sshd's own directory");
    }
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|l| l.local_addr())
        .expect("a free port")
        .port();
    let d = dir.path().display().to_string();
    let more = more.replace('@', &d);
    let config = format!(
        "{more}\nListenAddress 127.0.0.1\nPort {port}\nHostKey {d}/ed25519\nAuthorizedKeysFile {d}/authorized\nUsePAM no\nStrictModes no\n\
         PasswordAuthentication no\nPermitRootLogin yes\nSetEnv HOME={d}\nPidFile none\n"
    );
    std::fs::write(at("config"), config).expect("sshd_config");
    let log = std::fs::File::create(at("log")).expect("a log");
    let mut command = match shadow {
        None => Command::new(program),
        Some(text) => {
            std::fs::write(at("shadow"), text).expect("shadow");
            let script =
                r#"mount --make-rprivate / && mount --bind "$1" /etc/shadow && shift && exec "$@""#;
            let mut wrapped = Command::new("unshare");
            wrapped.args(["-m", "sh", "-c", script, "sh"]);
            wrapped.arg(at("shadow")).arg(program);
            wrapped
        }
    };
    let child = command
        .arg("-D")
        .arg("-e")
        .arg("-f")
        .arg(at("config"))
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .expect("sshd");
    let sshd = Sshd { dir, port, child };
    for _ in 0..250 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            sshd.know(&["ed25519"]);
            return Some(sshd);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!(
        "sshd does not listen: {}",
        std::fs::read_to_string(sshd.dir.path().join("log")).unwrap_or_default()
    );
}

pub fn keygen(kind: &str, file: &Path, passphrase: &str) {
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    let status = Command::new("ssh-keygen")
        .args(bits)
        .args(["-q", "-t", kind, "-N", passphrase, "-C", "", "-f"])
        .arg(file)
        .status()
        .expect("ssh-keygen");
    assert!(status.success());
}

impl Sshd {
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn remote(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Lets known_hosts hold the public halves of these key files, and nothing else.
    pub fn know(&self, keys: &[&str]) {
        let lines = keys.iter().map(|key| {
            let public =
                std::fs::read_to_string(self.path(&format!("{key}.pub"))).expect("public key");
            format!("[127.0.0.1]:{} {public}", self.port)
        });
        std::fs::write(self.path("known_hosts"), lines.collect::<String>()).expect("known_hosts");
    }

    pub fn lab(&self) -> LabFile {
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective())
            .ok()
            .flatten()
            .expect("a user")
            .name;
        LabFile {
            name: "loop".to_owned(),
            kind: Kind::Machines,
            dir: self.remote("lab"),
            java: "java".to_owned(),
            lease: cluster::labfile::Lease::default(),
            interface: None,
            kafka: Vec::new(),
            login: Login {
                user,
                port: self.port,
                key: Some(self.path("user")),
                known_hosts: Some(self.path("known_hosts")),
                sudo: Sudo::None,
                ..Login::default()
            },
            ports: Ports::default(),
            hosts: vec![HostSpec {
                node: NodeId(1),
                name: "n1".to_owned(),
                address: "127.0.0.1".to_owned(),
                ssh_address: None,
                ssh_port: None,
            }],
        }
    }

    pub async fn host(&self) -> cluster::Host {
        let lab = self.lab();
        cluster::Host::connect(&lab, &lab.hosts[0])
            .await
            .expect("connected")
    }

    /// The error that connecting to this lab ends with.
    pub async fn refusal(&self, lab: &LabFile) -> String {
        cluster::Host::connect(lab, &lab.hosts[0])
            .await
            .expect_err("refused")
            .to_string()
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// The processes that serve connections: sshd's children.
    pub fn sessions(&self) -> Vec<i32> {
        let file = format!("/proc/{0}/task/{0}/children", self.pid());
        std::fs::read_to_string(file)
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|p| p.parse().ok())
            .collect()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for pid in self.sessions() {
            signal(pid, nix::sys::signal::Signal::SIGKILL);
        }
        self.child.kill().expect("kill sshd");
        self.child.wait().expect("wait for sshd");
    }
}

pub fn signal(pid: i32, signal: nix::sys::signal::Signal) {
    // It may have ended meanwhile.
    let _gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), signal);
}
