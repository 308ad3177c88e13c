//! Logging in, or being refused with one sentence that helps: sshd on loopback.

mod loopback;

use std::process::{Command, Stdio};
use std::time::Duration;

use cluster::{Cmd, Host, Lane};
use loopback::{keygen, sshd, sshd_with, sshd_with_password, sshd_with_rsa};

#[tokio::test]
async fn a_host_that_refuses() {
    let Some(sshd) = sshd().await else { return };
    let mut lab = sshd.lab();
    drop(sshd);
    let why = Host::connect(&lab, &lab.hosts[0])
        .await
        .expect_err("refused")
        .to_string();
    assert_eq!(
        why,
        format!(
            "n1: 127.0.0.1 refuses SSH on port {}: start sshd there, or correct `port` or `ssh_port` in the lab file",
            lab.login.port
        )
    );
    lab.hosts[0].address = "no-such-host.invalid".to_owned();
    let why = Host::connect(&lab, &lab.hosts[0])
        .await
        .expect_err("unknown name")
        .to_string();
    assert!(
        why.contains("cannot find the address of no-such-host.invalid"),
        "{why}"
    );
}

#[tokio::test]
async fn a_host_key_that_differs() {
    let Some(sshd) = sshd_with_rsa().await else {
        return;
    };
    keygen("ed25519", &sshd.path("other"), "");
    sshd.know(&["other"]);
    let mut lab = sshd.lab();
    lab.login.accept_new_host_keys = true;
    let why = sshd.refusal(&lab).await;
    assert!(
        why.contains("is not the known one (it shows ssh-ed25519 SHA256:"),
        "{why}"
    );
    assert!(
        why.contains(&format!("ssh-keygen -R '[127.0.0.1]:{}'", sshd.port)),
        "{why}"
    );
    keygen("rsa", &sshd.path("other-rsa"), "");
    sshd.know(&["other-rsa"]);
    assert!(sshd.refusal(&lab).await.contains("it shows ssh-rsa"));
}

#[tokio::test]
async fn a_host_key_that_is_unknown() {
    let Some(sshd) = sshd().await else { return };
    sshd.know(&[]);
    let mut lab = sshd.lab();
    let why = sshd.refusal(&lab).await;
    assert!(
        why.contains("is unknown (ssh-ed25519 SHA256:") && why.contains("ssh-keyscan"),
        "{why}"
    );
    std::fs::remove_file(sshd.path("known_hosts")).expect("removed");
    assert_eq!(sshd.refusal(&lab).await, why, "no file knows nobody");
    lab.login.accept_new_host_keys = true;
    Host::connect(&lab, &lab.hosts[0]).await.expect("accepted");
    lab.login.accept_new_host_keys = false;
    Host::connect(&lab, &lab.hosts[0])
        .await
        .expect("remembered");
    let known = std::fs::read_to_string(sshd.path("known_hosts")).expect("known");
    let public = std::fs::read_to_string(sshd.path("ed25519.pub")).expect("public");
    assert_eq!(
        known.trim_end(),
        format!("[127.0.0.1]:{} {}", sshd.port, public.trim_end())
    );
}

#[tokio::test]
async fn a_known_rsa_key_is_no_false_alarm() {
    let Some(sshd) = sshd_with_rsa().await else {
        return;
    };
    sshd.know(&["rsa"]);
    let lab = sshd.lab();
    Host::connect(&lab, &lab.hosts[0])
        .await
        .expect("the RSA key is asked for");
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(sshd.path("known_hosts"))
        .output()
        .expect("ssh-keygen");
    assert!(hashed.status.success());
    assert!(
        std::fs::read_to_string(sshd.path("known_hosts"))
            .expect("known")
            .starts_with("|1|")
    );
    Host::connect(&lab, &lab.hosts[0])
        .await
        .expect("hashed names too");
}

#[tokio::test]
async fn keys_that_do_not_open() {
    let Some(sshd) = sshd().await else { return };
    keygen("ed25519", &sshd.path("stranger"), "");
    let mut lab = sshd.lab();
    lab.login.key = Some(sshd.path("stranger"));
    let why = sshd.refusal(&lab).await;
    let by_hand = format!("try `ssh -i {} -p ", sshd.path("stranger").display());
    assert!(
        why.contains("does not let ") && why.contains(&by_hand) && why.contains("ssh-copy-id -i "),
        "{why}"
    );
    lab.login.key = Some(sshd.path("missing"));
    let why = sshd.refusal(&lab).await;
    assert!(
        why.contains("cannot read the private key") && why.contains("correct login.key"),
        "{why}"
    );
    keygen("ed25519", &sshd.path("locked"), "a passphrase");
    std::fs::copy(sshd.path("locked.pub"), sshd.path("authorized")).expect("authorised");
    lab.login.key = Some(sshd.path("locked"));
    let why = sshd.refusal(&lab).await;
    assert!(
        why.contains("is encrypted: set login.passphrase_env"),
        "{why}"
    );
    lab.login.passphrase_env = Some("TIDEMARK_TEST_NO_SUCH_VARIABLE".to_owned());
    let why = sshd.refusal(&lab).await;
    assert!(
        why.ends_with(
            "TIDEMARK_TEST_NO_SUCH_VARIABLE (login.passphrase_env of the lab file) is not set"
        ),
        "{why}"
    );
    // HOME is set everywhere, and is nobody's passphrase.
    lab.login.passphrase_env = Some("HOME".to_owned());
    let why = sshd.refusal(&lab).await;
    assert!(why.contains("is its passphrase right?"), "{why}");
}

#[tokio::test]
async fn an_rsa_user_key_works() {
    let Some(sshd) = sshd().await else { return };
    keygen("rsa", &sshd.path("mine"), "");
    std::fs::copy(sshd.path("mine.pub"), sshd.path("authorized")).expect("authorised");
    let mut lab = sshd.lab();
    lab.login.key = Some(sshd.path("mine"));
    Host::connect(&lab, &lab.hosts[0])
        .await
        .expect("RSA with SHA-2");
}

#[tokio::test]
async fn a_server_short_of_startup_slots_is_asked_again() {
    let Some(sshd) = sshd_with("MaxStartups 2:100:2").await else {
        return;
    };
    let lab = sshd.lab();
    let mut all = tokio::task::JoinSet::new();
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            for i in 0..8 {
                let lab = lab.clone();
                all.spawn_local(async move {
                    let host = Host::connect(&lab, &lab.hosts[0]).await?;
                    host.ok(
                        Lane::Control,
                        &Cmd::new("echo").arg(i),
                        Duration::from_secs(20),
                    )
                    .await
                });
            }
            while let Some(done) = all.join_next().await {
                done.expect("no panic")
                    .expect("in the end everyone gets in");
            }
        })
        .await;
}

/// Runs an ignored test of this binary in a process of its own, with an environment of its own.
fn in_another_process(test: &str, variable: &str, value: &str) {
    let done = Command::new(std::env::current_exe().expect("this binary"))
        .args(["--ignored", "--exact", "--nocapture", test])
        .env(variable, value)
        .output()
        .expect("this binary again");
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    print!("{said}");
    let errors = String::from_utf8_lossy(&done.stderr);
    assert!(
        done.status.success() && said.contains("1 passed"),
        "{said}{errors}"
    );
}

const PASSWORD: &str = "TIDEMARK_TEST_PASSWORD";

#[test]
fn a_password_opens() {
    in_another_process("with_a_password", PASSWORD, "open sesame");
}

#[tokio::test]
#[ignore = "needs the environment that a_password_opens gives it"]
async fn with_a_password() {
    let password = std::env::var(PASSWORD).expect("not run by a_password_opens");
    let Some(sshd) = sshd_with_password(&password).await else {
        return;
    };
    let mut lab = sshd.lab();
    lab.login.key = None;
    lab.login.password_env = Some(PASSWORD.to_owned());
    Host::connect(&lab, &lab.hosts[0])
        .await
        .expect("the right password");
    lab.login.password_env = Some("HOME".to_owned());
    let why = sshd.refusal(&lab).await;
    assert!(
        why.contains("does not let root in with the password in HOME"),
        "{why}"
    );
}

#[test]
fn an_agent_opens() {
    let dir = tempfile::tempdir().expect("dir");
    let socket = dir.path().join("agent").display().to_string();
    in_another_process("with_an_agent", "SSH_AUTH_SOCK", &socket);
}

#[tokio::test]
#[ignore = "needs the environment that an_agent_opens gives it"]
async fn with_an_agent() {
    let socket = std::env::var("SSH_AUTH_SOCK").expect("not run by an_agent_opens");
    let Some(sshd) = sshd().await else { return };
    let mut lab = sshd.lab();
    let key = lab.login.key.take().expect("a key");
    lab.login.agent = true;
    let why = sshd.refusal(&lab).await;
    assert!(why.contains("with the keys of the SSH agent"), "{why}");
    let mut agent = Command::new("ssh-agent")
        .args(["-D", "-a", &socket])
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent");
    while !std::path::Path::new(&socket).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let added = Command::new("ssh-add")
        .arg("-q")
        .arg(key)
        .status()
        .expect("ssh-add");
    let connected = Host::connect(&lab, &lab.hosts[0]).await;
    agent.kill().expect("kill the agent");
    agent.wait().expect("wait for the agent");
    assert!(added.success());
    connected.expect("the agent's key");
}

/// A lab whose host is reached through another sshd, and that one.
async fn behind(more: &str) -> Option<(loopback::Sshd, loopback::Sshd, cluster::LabFile)> {
    let (host, jump) = (sshd().await?, sshd_with(more).await?);
    let mut lab = host.lab();
    let known = |name: &loopback::Sshd| std::fs::read_to_string(name.path("known_hosts"));
    let both = known(&host).expect("known") + &known(&jump).expect("known");
    std::fs::write(host.path("known_hosts"), both).expect("known_hosts");
    lab.login.jump = Some(cluster::Jump {
        address: "127.0.0.1".to_owned(),
        port: jump.port,
        user: None,
        key: Some(jump.path("user")),
        passphrase_env: None,
        password_env: None,
    });
    Some((host, jump, lab))
}

#[tokio::test]
async fn through_a_jump_host() {
    let Some((host, jump, lab)) = behind("").await else {
        return;
    };
    let there = Host::connect(&lab, &lab.hosts[0]).await.expect("connected");
    let second = Duration::from_secs(1);
    let who = Cmd::script("echo \"$SSH_CONNECTION\"", [""; 0]);
    let said = there
        .ok(Lane::Control, &who, 10 * second)
        .await
        .expect("run");
    let from_jump = format!(" 127.0.0.1 {}\n", host.port);
    assert!(said.ends_with(&from_jump), "{said}");
    assert_eq!(host.sessions().len(), 1);
    assert_eq!(jump.sessions().len(), 1);

    // Both directions at once, and more than any buffer holds.
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|i| (i ^ (i >> 8)) as u8).collect();
    let file = host.remote("large");
    there
        .put_bytes(Lane::Bulk, bytes.clone(), &file, 0o644)
        .await
        .expect("put");
    let back = host.path("back");
    let size = there.get_file(Lane::Bulk, &file, &back).await.expect("got");
    assert_eq!(size, 20_000_000);
    assert!(std::fs::read(&back).expect("read") == bytes);

    // The way breaks: what runs is not known, what comes after takes another way.
    let long = Cmd::new("sleep").arg(30);
    let mut sessions = jump.sessions();
    let broken = async {
        tokio::time::sleep(second / 2).await;
        for pid in sessions.drain(..) {
            loopback::signal(pid, nix::sys::signal::Signal::SIGKILL);
        }
    };
    let (ran, ()) = tokio::join!(there.run(Lane::Control, &long, 20 * second), broken);
    let why = ran.expect_err("the way is gone").to_string();
    assert!(why.contains("the SSH connection died"), "{why}");
    let anything = Cmd::new("true");
    let said = there.ok(Lane::Control, &anything, 10 * second);
    said.await.expect("another way");
    drop(there);
    while !host.sessions().is_empty() || !jump.sessions().is_empty() {
        tokio::time::sleep(second / 50).await;
    }
}

#[tokio::test]
async fn a_jump_host_that_refuses() {
    let Some((host, jump, mut lab)) = behind("AllowTcpForwarding no").await else {
        return;
    };
    let why = host.refusal(&lab).await;
    let wanted = format!(
        "n1: the jump host 127.0.0.1 cannot connect to 127.0.0.1 port {}",
        host.port
    );
    assert!(why.starts_with(&wanted), "{why}");
    assert!(why.contains("AllowTcpForwarding"), "{why}");
    lab.login.jump.as_mut().expect("a jump host").key = Some(host.path("user"));
    let why = host.refusal(&lab).await;
    assert!(
        why.starts_with("n1: the jump host: 127.0.0.1 port "),
        "{why}"
    );
    assert!(why.contains(&format!(" -p {} ", jump.port)), "{why}");
    host.know(&["ed25519"]);
    let why = host.refusal(&lab).await;
    assert!(
        why.contains("the jump host: the host key of 127.0.0.1"),
        "{why}"
    );
}
