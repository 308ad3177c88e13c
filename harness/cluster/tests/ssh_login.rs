//! Logging in, or being refused with one sentence that helps: sshd on loopback.

mod loopback;

use std::time::Duration;

use cluster::{Cmd, Host, Lane};
use loopback::{keygen, sshd, sshd_with, sshd_with_rsa};

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
    let hashed = std::process::Command::new("ssh-keygen")
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
    assert!(
        why.contains("does not let ") && why.contains("ssh-copy-id"),
        "{why}"
    );
    lab.login.key = Some(sshd.path("missing"));
    assert!(
        sshd.refusal(&lab)
            .await
            .contains("cannot read the private key")
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
