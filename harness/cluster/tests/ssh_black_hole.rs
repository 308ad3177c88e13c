//! A connection whose packets vanish: in a network namespace that holds nothing but a loopback.
//!
//! The outer test starts this same binary again inside the namespace; no thread ever changes its own.

mod loopback;

use std::process::Command;
use std::time::{Duration, Instant};

use cluster::{Cmd, Lane};
use loopback::sshd;

const INSIDE: &str = "TIDEMARK_TEST_BLACK_HOLE";

fn succeeds(program: &str, args: &[&str]) -> bool {
    Command::new(program)
        .args(args)
        .output()
        .is_ok_and(|o| o.status.success())
}

#[test]
fn a_black_hole_is_noticed_within_seconds() {
    if !succeeds(
        "unshare",
        &["-n", "sh", "-c", "ip link set lo up && iptables -w -n -L"],
    ) {
        println!(
            "SKIPPED: no iptables in a network namespace of our own here (needs root, unshare, ip, iptables)"
        );
        return;
    }
    let again = std::env::current_exe().expect("this binary");
    let inside = Command::new("unshare")
        .args(["-n", "sh", "-c", r#"ip link set lo up && exec "$@""#, "sh"])
        .arg(again)
        .args(["--ignored", "--exact", "inside"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare");
    let said = String::from_utf8_lossy(&inside.stdout).into_owned();
    assert!(
        inside.status.success() && said.contains("1 passed"),
        "{said}{}",
        String::from_utf8_lossy(&inside.stderr)
    );
}

#[tokio::test]
#[ignore = "runs inside the namespace that a_black_hole_is_noticed_within_seconds makes"]
async fn inside() {
    assert!(
        std::env::var_os(INSIDE).is_some(),
        "not inside the namespace"
    );
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let other = host.clone();
    let port = sshd.port.to_string();
    #[expect(clippy::disallowed_methods, reason = "the test measures real waiting")]
    let now = Instant::now;
    let sleep = Cmd::new("sleep").arg(60);
    let (ran, begun) = tokio::join!(
        other.run(Lane::Control, &sleep, Duration::from_secs(60)),
        async {
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(succeeds(
                "iptables",
                &[
                    "-w", "-A", "INPUT", "-p", "tcp", "--dport", &port, "-j", "DROP"
                ]
            ));
            now()
        }
    );
    let took = begun.elapsed();
    let why = ran.expect_err("no end was seen").to_string();
    assert!(why.contains("the SSH connection died"), "{why}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("black hole: noticed after {took:?}: {why}");
    let begun = now();
    let why = host
        .run(Lane::Control, &Cmd::new("true"), Duration::from_secs(60))
        .await
        .expect_err("still dark")
        .to_string();
    assert!(
        why.contains("does not answer on port") && begun.elapsed() < Duration::from_secs(8),
        "{why}, {:?}",
        begun.elapsed()
    );
    assert!(succeeds("iptables", &["-w", "-F", "INPUT"]));
    host.ok(Lane::Control, &Cmd::new("true"), Duration::from_secs(20))
        .await
        .expect("light again");
}
