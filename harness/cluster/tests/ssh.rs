//! Hosts over SSH against a real sshd on loopback: one test per trap.

mod loopback;

use std::time::{Duration, Instant};

use cluster::{Cmd, End, Lane};
use loopback::{signal, sshd};
use nix::sys::signal::Signal;

const SOON: Duration = Duration::from_secs(20);

#[expect(clippy::disallowed_methods, reason = "the tests measure real waiting")]
fn now() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn output_status_and_arguments() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let ran = host
        .run(
            Lane::Control,
            &Cmd::script(
                r#"printf '%s|' "$@"; echo oops >&2; exit 3"#,
                ["a b", "it's", "$x"],
            ),
            SOON,
        )
        .await
        .expect("ran");
    assert_eq!(ran.end, End::Exit(3));
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "a b|it's|$x|");
    assert_eq!(String::from_utf8_lossy(&ran.stderr), "oops\n");
    assert_eq!(
        host.ok(Lane::Control, &Cmd::new("cat"), SOON)
            .await
            .expect("nothing to read"),
        ""
    );
    assert_eq!(
        host.ok(Lane::Control, &Cmd::new("cat").stdin("fed"), SOON)
            .await
            .expect("fed"),
        "fed"
    );
    assert_eq!(
        host.ok(
            Lane::Control,
            &Cmd::new("sh").args(["-c", "echo $K"]).env("K", "v w"),
            SOON
        )
        .await
        .expect("env"),
        "v w\n"
    );
    let missing = host
        .ok(Lane::Control, &Cmd::new("no-such-program"), SOON)
        .await
        .expect_err("127")
        .to_string();
    assert!(
        missing.starts_with("n1: `no-such-program` ended with exit status 127: "),
        "{missing}"
    );
}

#[tokio::test]
async fn a_signal_is_not_success() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let kill = Cmd::script("kill -9 $$", [""; 0]);
    for cmd in [kill.clone(), kill.stdin("with input")] {
        let ran = host.run(Lane::Control, &cmd, SOON).await.expect("ran");
        assert_eq!(ran.end, End::Signal("KILL".to_owned()));
        assert!(!ran.succeeded());
    }
    let status = host
        .run(Lane::Control, &Cmd::script("exit 137", [""; 0]), SOON)
        .await
        .expect("ran");
    assert_eq!(status.end, End::Exit(137), "a status is not a signal");
}

#[tokio::test]
async fn megabytes_on_both_streams_do_not_block() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let cmd = Cmd::script(
        "head -c 5000000 /dev/zero >&2; head -c 3000000 /dev/zero; head -c 5000000 /dev/zero >&2; echo last >&2",
        [""; 0],
    );
    let ran = host.run(Lane::Control, &cmd, SOON).await.expect("ran");
    assert_eq!(
        (ran.end.clone(), ran.stdout.len()),
        (End::Exit(0), 3_000_000)
    );
    assert!(ran.stderr.ends_with(b"last\n"));
    assert!(
        ran.stderr.len() <= 2 * 64 * 1024 + 128 * 1024,
        "{}",
        ran.stderr.len()
    );
}

#[tokio::test]
async fn huge_output_is_bounded_and_counted() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let cmd = Cmd::script("head -c 20000000 /dev/zero", [""; 0]);
    let ran = host.run(Lane::Bulk, &cmd, SOON).await.expect("ran");
    assert_eq!(ran.stdout.len() as u64 + ran.dropped, 20_000_000);
    assert_eq!(ran.stdout.len(), 8 * 1024 * 1024);
    let refused = host
        .ok(Lane::Bulk, &cmd, SOON)
        .await
        .expect_err("too much")
        .to_string();
    assert!(refused.contains("more than the 8 MiB"), "{refused}");
}

#[tokio::test]
async fn a_missed_deadline_kills_the_whole_group_there() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    for (name, feed) in [("plain", None), ("fed", Some("x"))] {
        let pids = sshd.remote(name);
        let mut cmd = Cmd::script(
            r#"trap '' TERM HUP PIPE; sleep 600 & echo $$ $! >"$1"; wait"#,
            [pids.clone()],
        );
        if let Some(bytes) = feed {
            cmd = cmd.stdin(bytes);
        }
        let begun = now();
        let why = host
            .run(Lane::Control, &cmd, Duration::from_millis(700))
            .await
            .expect_err("late")
            .to_string();
        assert!(why.ends_with("did not end within 0.7 s"), "{why}");
        assert!(
            begun.elapsed() < Duration::from_secs(4),
            "{:?}",
            begun.elapsed()
        );
        let pids = std::fs::read_to_string(pids).expect("pids");
        for pid in pids.split_whitespace() {
            ends(pid.parse().expect("pid")).await;
        }
    }
    assert_eq!(
        host.ok(Lane::Control, &Cmd::new("echo").arg("well"), SOON)
            .await
            .expect("the lane lives on"),
        "well\n"
    );
}

#[tokio::test]
async fn endless_output_meets_its_deadline() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let begun = now();
    let why = host
        .run(Lane::Bulk, &Cmd::new("yes"), Duration::from_millis(500))
        .await
        .expect_err("late")
        .to_string();
    assert!(why.contains("did not end"), "{why}");
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        host.ok(Lane::Bulk, &Cmd::new("echo").arg("well"), SOON)
            .await
            .expect("the lane lives on"),
        "well\n"
    );
}

#[tokio::test]
async fn a_dropped_future_kills_the_process() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let pids = sshd.remote("pid");
    let cmd = Cmd::script(r#"echo $$ >"$1"; exec sleep 600"#, [pids.clone()]);
    let waited =
        tokio::time::timeout(Duration::from_millis(600), host.run(Lane::Bulk, &cmd, SOON)).await;
    assert!(waited.is_err());
    let pid = std::fs::read_to_string(pids)
        .expect("started")
        .trim()
        .parse()
        .expect("pid");
    ends(pid).await;
}

#[tokio::test]
async fn lanes_do_not_wait_for_each_other() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let other = host.clone();
    host.ok(Lane::Bulk, &Cmd::new("true"), SOON)
        .await
        .expect("warm");
    let begun = now();
    let slow = Cmd::new("sleep").arg(2);
    let (_, quick) = tokio::join!(host.ok(Lane::Bulk, &slow, SOON), async {
        other
            .ok(Lane::Control, &Cmd::new("true"), SOON)
            .await
            .expect("true");
        begun.elapsed()
    });
    assert!(
        quick < Duration::from_secs(1),
        "control waited {quick:?} for bulk"
    );
}

#[tokio::test]
async fn a_daemon_outlives_its_session() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let out = sshd.remote("logs/out");
    let cmd = Cmd::script("echo up $WHO; echo err >&2; exec sleep 600", [""; 0]).env("WHO", "me");
    let pid = host.daemon(&cmd, &out).await.expect("started") as i32;
    drop(host);
    for session in sshd.sessions() {
        signal(session, Signal::SIGKILL);
    }
    let host = sshd.host().await;
    let name = host
        .ok(
            Lane::Control,
            &Cmd::new("cat").arg(format!("/proc/{pid}/comm")),
            SOON,
        )
        .await
        .expect("alive");
    assert_eq!(name, "sleep\n", "the pid is the program's own");
    assert_eq!(std::fs::read_to_string(&out).expect("out"), "up me\nerr\n");
    host.ok(Lane::Control, &Cmd::new("kill").arg("-9").arg(pid), SOON)
        .await
        .expect("killed");
    ends(pid).await;
    let why = host
        .daemon(&Cmd::new("no-such-program"), &out)
        .await
        .expect_err("missing")
        .to_string();
    assert!(why.contains("no-such-program is not there"), "{why}");
}

#[tokio::test]
async fn a_connection_that_dies_is_no_end_and_the_next_order_gets_a_new_one() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let other = host.clone();
    let cmd = Cmd::new("sleep").arg(30);
    let (ran, ()) = tokio::join!(other.run(Lane::Control, &cmd, SOON), async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        for session in sshd.sessions() {
            signal(session, Signal::SIGKILL);
        }
    });
    let why = ran.expect_err("no end was seen").to_string();
    assert!(
        why.contains("may or may not have run: the SSH connection died"),
        "{why}"
    );
    assert_eq!(
        host.ok(Lane::Control, &Cmd::new("echo").arg(1), SOON)
            .await
            .expect("reconnected"),
        "1\n"
    );
    for session in sshd.sessions() {
        signal(session, Signal::SIGKILL);
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        host.ok(Lane::Control, &Cmd::new("echo").arg(2), SOON)
            .await
            .expect("died while idle"),
        "2\n"
    );
}

#[tokio::test]
async fn a_peer_that_falls_silent_costs_a_bounded_time() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let family: Vec<i32> = sshd.sessions().into_iter().chain([sshd.pid()]).collect();
    family.iter().for_each(|pid| signal(*pid, Signal::SIGSTOP));
    let begun = now();
    let why = host
        .run(Lane::Control, &Cmd::new("true"), Duration::from_secs(1))
        .await
        .expect_err("silent")
        .to_string();
    let took = begun.elapsed();
    family.iter().for_each(|pid| signal(*pid, Signal::SIGCONT));
    assert!(took < Duration::from_secs(20), "{took:?}: {why}");
    println!("silent peer: {took:?}, {why}");
}

#[tokio::test]
async fn long_commands_are_refused_before_they_are_sent() {
    let Some(sshd) = sshd().await else { return };
    let host = sshd.host().await;
    let why = host
        .run(
            Lane::Control,
            &Cmd::new("echo").arg("x".repeat(130_000)),
            SOON,
        )
        .await
        .expect_err("long")
        .to_string();
    assert!(why.contains("pass it by standard input"), "{why}");
    assert!(why.len() < 400);
}

/// Waits until a process is gone or a zombie.
async fn ends(pid: i32) {
    for _ in 0..100 {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().next());
        if matches!(state, None | Some("Z")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("process {pid} lives on");
}
