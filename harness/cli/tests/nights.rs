//! Nights whose lab does not answer, as a user meets them: what they say and leave, whom they tell,
//! and what becomes of a night that was killed.
//!
//! The hosts are ports of loopback on which nobody listens: no root, no broker. A night that comes
//! to verdicts is in `plain.rs`.

mod said;

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use campaign::{Night, Outcome};
use nix::fcntl::{Flock, FlockArg};
use said::{HARNESS, Said, USAGE};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;

const HOOK: &str = "TIDEMARK_TEST_HOOK";

const SUITE: &str = r#"
name = "small"
about = "Controls and one plan."
budget = "10m"
canary = "canary-kip101"
calm = "quiet"
[[plans]]
plan = "demo"
"#;

/// A directory with a suite, and a lab that refuses SSH.
fn prepared(tell: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let suite = format!("{SUITE}\n{tell}");
    fs::write(dir.path().join("small.toml"), suite).expect("written");
    said::lab_that_is_gone(dir.path());
    dir
}

async fn nightly(dir: &Path, hook: Option<&str>) -> Said {
    let asked = ["nightly", "./small.toml", "--lab", "./gone.toml"];
    let mut command = Command::from(said::command(dir, &asked));
    command.env_remove(HOOK);
    if let Some(hook) = hook {
        command.env(HOOK, hook);
    }
    Said::of(command.output().await.expect("it ran"))
}

/// Answers each request with the next status, and gives their bodies.
async fn server(listener: TcpListener, statuses: &[u16]) -> Vec<Value> {
    let mut bodies = Vec::new();
    for status in statuses {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut asked = Vec::new();
        let body = loop {
            stream.read_buf(&mut asked).await.expect("bytes");
            let text = String::from_utf8_lossy(&asked).into_owned();
            let body = text.split_once("\r\n\r\n").map(|(_, body)| body);
            if let Some(body) = body.and_then(|body| serde_json::from_str(body).ok()) {
                break body;
            }
        };
        bodies.push(body);
        let answer = format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).await.expect("answered");
        // A connection that were kept open would be asked again here.
        drop(stream);
    }
    bodies
}

fn only_night(dir: &Path) -> Night {
    let nights = Night::files(&dir.join("results")).expect("nights");
    assert_eq!(nights.len(), 1, "{nights:?}");
    Night::read(&nights[0]).expect("a night")
}

#[tokio::test]
async fn a_lab_that_does_not_answer_voids_the_night_and_people_are_told() {
    let dir = prepared(&format!("[tell]\nwebhook_env = \"{HOOK}\"\nquiet = true"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let hook = format!("http://{}/secret", listener.local_addr().expect("a port"));
    let (said, heard) = tokio::join!(
        nightly(dir.path(), Some(&hook)),
        server(listener, &[500, 503, 200])
    );
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    assert!(said.out.contains("Void."), "{said:?}");
    assert!(said.err.contains("canary-kip101 once more"), "{said:?}");
    assert!(said.err.contains("told, at the 3. try"), "{said:?}");
    assert!(!said.err.contains("secret"), "{said:?}");
    let text = heard[2]["text"].as_str().expect("a text");
    assert!(text.starts_with("Void."), "{text}");
    assert!(text.contains("canary-kip101"), "{text}");

    let night = only_night(dir.path());
    assert!(night.ended.is_some());
    let canary = &night.entries[0];
    assert_eq!(canary.attempts.len(), 2, "tried once more, and no more");
    for attempt in &canary.attempts {
        let Outcome::LabFailed { why } = &attempt.outcome else {
            panic!("{attempt:?}");
        };
        assert!(why.contains("127.0.0.2"), "{why}");
    }
    let last = night.entries.last().expect("an entry");
    assert_eq!(last.why(), Some("the night is void"));
    let results = dir.path().join("results");
    for file in ["index.html", "index.sqlite"] {
        assert!(results.join(file).exists(), "{file}");
    }
    let page = fs::read_to_string(results.join("index.html")).expect("a page");
    assert!(page.contains("Void"));
    let name = night.name();
    for ending in ["summary.md", "junit.xml"] {
        let text = fs::read_to_string(results.join(format!("nights/{name}.{ending}")));
        assert!(text.expect(ending).contains("canary-kip101"), "{ending}");
    }
    assert!(!results.join("nights/undelivered").exists());
}

#[tokio::test]
async fn a_night_that_was_killed_is_completed_and_the_next_has_another_seed() {
    let dir = prepared("");
    let results = dir.path().join("results");
    let said = nightly(dir.path(), None).await;
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    // As a SIGKILL in the middle of the calm run would have left it.
    let mut torn = only_night(dir.path());
    torn.entries.truncate(2);
    torn.entries[1].attempts.clear();
    (torn.ended, torn.void) = (None, None);
    fs::remove_dir_all(results.join("runs")).expect("removed");
    fs::create_dir(results.join("runs")).expect("made");
    let run = format!("{}-quiet-aaaaaa", torn.started.format("%Y-%m-%dT%H%M%S"));
    let exhibit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/exhibits/well-behaved");
    let copied = Command::new("cp")
        .arg("-r")
        .arg(exhibit)
        .arg(results.join("runs").join(&run))
        .status();
    assert!(copied.await.expect("cp").success());
    for of_the_end in ["seal.json", "verdict.json"] {
        drop(fs::remove_file(
            results.join("runs").join(&run).join(of_the_end),
        ));
    }
    torn.write(&results).expect("written");

    let said = nightly(dir.path(), None).await;
    assert!(
        said.err.contains("was killed while it ran quiet"),
        "{said:?}"
    );
    let nights = Night::files(&results).expect("nights");
    let nights: Vec<Night> = nights
        .iter()
        .map(|path| Night::read(path).expect("a night"))
        .collect();
    let [first, second] = &nights[..] else {
        panic!("{nights:?}");
    };
    let last = first.entries.last().expect("an entry");
    assert_eq!(last.run(), Some(run.as_str()));
    assert_eq!(last.why(), Some("the night was killed while it ran"));
    assert_eq!((first.ended, first.nth, second.nth), (None, 1, 2));
    assert_ne!(first.seed, second.seed);
    assert!(results.join("runs").join(&run).join("report.html").exists());

    // Whatever is derived can be made again.
    let page = fs::read(results.join("index.html")).expect("a page");
    for derived in ["index.html", "index.sqlite"] {
        fs::remove_file(results.join(derived)).expect("removed");
    }
    let again = said::tidemark(dir.path(), &["nightly", "page"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        fs::read(results.join("index.html"))
            .expect("a page")
            .len()
            .abs_diff(page.len())
            < 32
    );
    let nothing = said::tidemark(&results, &["nightly", "page"]);
    nothing.refuses(USAGE, &["results holds no night yet"]);

    // Once is enough.
    let said = nightly(dir.path(), None).await;
    assert!(!said.err.contains("was killed while"), "{said:?}");
}

#[test]
fn a_mail_goes_through_the_systems_sendmail() {
    let dir =
        prepared("[tell]\nmail = \"kafka@example.org\"\npage = \"https://ci.example.org/nights\"");
    let sendmail = dir.path().join("sendmail");
    fs::write(&sendmail, "#!/bin/sh\n[ \"$*\" = -t ] && cat > mail\n").expect("written");
    fs::set_permissions(&sendmail, fs::Permissions::from_mode(0o755)).expect("a mode");
    let path = std::env::var("PATH").expect("a path");
    let asked = ["nightly", "./small.toml", "--lab", "./gone.toml"];
    let mut command = said::command(dir.path(), &asked);
    command.env("PATH", format!("{}:{path}", dir.path().display()));
    let said = Said::of(command.output().expect("it ran"));
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    let mail = fs::read_to_string(dir.path().join("mail")).expect("a mail");
    assert!(mail.contains("\nTo: kafka@example.org\n"), "{mail}");
    let subject = mail.lines().find(|line| line.starts_with("Subject: "));
    assert!(
        subject.is_some_and(|it| it.contains("Void: small on gone")),
        "{mail}"
    );
    assert!(mail.contains("https://ci.example.org/nights"), "{mail}");

    // One that fails is said, and is no reason to end otherwise.
    fs::write(&sendmail, "#!/bin/sh\nexit 75\n").expect("written");
    let said = Said::of(command.output().expect("it ran"));
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    assert!(said.err.contains("no mail: "), "{said:?}");
}

#[tokio::test]
async fn a_night_that_cannot_begin_is_refused_in_a_sentence() {
    let dir = prepared(&format!("[tell]\nwebhook_env = \"{HOOK}\""));
    let said = nightly(dir.path(), None).await;
    assert_eq!(said.code, Some(USAGE), "{said:?}");
    let sentence = said.sentence();
    assert!(
        sentence.contains(HOOK) && sentence.contains("not set"),
        "{sentence}"
    );
    let said = nightly(dir.path(), Some("hooks.example.org/secret")).await;
    assert_eq!(said.code, Some(USAGE), "{said:?}");
    assert!(!said.sentence().contains("secret"), "{said:?}");
    assert!(!dir.path().join("results").exists(), "nothing was begun");

    let nights = dir.path().join("results/nights");
    fs::create_dir_all(&nights).expect("a directory");
    let lock = File::create(nights.join(".lock")).expect("a file");
    let _going_on = Flock::lock(lock, FlockArg::LockExclusive).expect("the lock");
    let said = nightly(dir.path(), Some("http://127.0.0.1:1/")).await;
    assert_eq!(said.code, Some(HARNESS), "{said:?}");
    assert!(said.sentence().contains("a night is going on"), "{said:?}");
}
