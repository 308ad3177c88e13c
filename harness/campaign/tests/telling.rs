//! What is told of a night, and that it is told: to a server on loopback that takes it, that refuses
//! twice, and that never takes it.

mod common;

use std::path::PathBuf;
use std::time::Duration;

use campaign::telling::{Message, Patience, Sent, send};
use campaign::{Night, Role};
use checkers::Fold;
use common::{entry, facts, failed, judged, loss, night};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn broken() -> Night {
    let mut facts = facts(Fold::Broken);
    facts.causes = vec![loss()];
    let held = common::facts(Fold::Held);
    night(
        0,
        vec![
            entry("cut-off-leader", Role::Ordinary, vec![judged("b", facts)]),
            entry(
                "storm",
                Role::Ordinary,
                vec![failed("n1 is gone"), judged("s", held)],
            ),
            entry("late", Role::Ordinary, Vec::new()),
        ],
    )
}

fn void() -> Night {
    let mut night = broken();
    night.entries[0].attempts = vec![judged("c", facts(Fold::Held))];
    night.void = night.why_void();
    night
}

#[test]
fn a_chat_gets_one_text_with_all_that_matters() {
    let night = broken();
    let changes = ["cut-off-leader, longest gap: +38 % since 20 Nov".to_owned()];
    let told = Message::of(&night, &changes, Some("https://lab.example/nights"));
    let body = told.chat();
    let text = body["text"].as_str().expect("a text");
    for wanted in [
        "Broken. cut-off-leader: ledger/0 @",
        "1 acknowledged record lost below the high watermark.",
        "4 of 5 runs judged in 58 of 60 min, 43 740 records examined; the lab failed once",
        "Again: tidemark run cut-off-leader --lab centos7 --seed 20261122",
        "Changed: cut-off-leader, longest gap: +38 % since 20 Nov",
        "Next night: 2026-09-25 03:10 UTC",
        "https://lab.example/nights",
    ] {
        assert!(text.contains(wanted), "`{wanted}` is missing in:\n{text}");
    }
    assert_eq!(
        body.as_object().expect("an object").len(),
        1,
        "some refuse what they do not know"
    );
    let card = told.card();
    let blocks = &card["attachments"][0]["content"]["body"];
    assert!(
        blocks[0]["text"]
            .as_str()
            .expect("a text")
            .starts_with("Broken. ")
    );
}

#[test]
fn nothing_in_it_calls_people_or_makes_links() {
    let mut night = broken();
    night.void = Some("<!channel> @here <https://evil.example|click> `rm`".to_owned());
    let body = Message::of(&night, &[], None).chat();
    let text = body["text"].as_str().expect("a text");
    for bad in ["<", ">", "`", " @here"] {
        assert!(!text.contains(bad), "{bad} in {text}");
    }
}

#[test]
fn a_program_gets_the_facts() {
    let night = void();
    let body = Message::of(&night, &[], None).generic();
    assert_eq!(body["exit_code"], 3);
    assert_eq!(body["night"], "2026-09-24");
    assert!(
        body["void"]
            .as_str()
            .expect("why")
            .contains("must be convicted")
    );
    assert_eq!(body["runs"][2]["verdict"], "broken");
    assert_eq!(body["runs"][2]["wanted"], "held");
    assert_eq!(body["runs"][2]["causes"][0], loss().title);
    assert_eq!(body["runs"][3]["lab_failures"][0], "n1 is gone");
    assert_eq!(body["runs"][4]["verdict"], serde_json::Value::Null);
}

#[test]
fn quiet_is_quiet_when_all_is_well_and_never_about_a_void_night() {
    let good = night(
        0,
        vec![entry(
            "a",
            Role::Ordinary,
            vec![judged("a", facts(Fold::Held))],
        )],
    );
    assert!(Message::of(&good, &[], None).worth_telling(false));
    assert!(!Message::of(&good, &[], None).worth_telling(true));
    assert!(Message::of(&broken(), &[], None).worth_telling(true));
    let mut void = good;
    void.void = Some("the canary was not convicted".to_owned());
    assert!(Message::of(&void, &[], None).worth_telling(true));
}

#[test]
fn a_mail_has_headers_that_nobody_can_add_to() {
    let mut night = broken();
    night.lab = "münchen\nBcc: everybody@example.org".to_owned();
    let to = [
        "a@example.org".to_owned(),
        "b@example.org\nX-Evil: 1".to_owned(),
    ];
    let mail = Message::of(&night, &[], None).mail("tidemark@example.org", &to);
    let (head, body) = mail.split_once("\n\n").expect("a head and a body");
    let names: Vec<&str> = head
        .lines()
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap_or_default())
        .collect();
    assert_eq!(
        names,
        [
            "From",
            "To",
            "Subject",
            "Date",
            "Auto-Submitted",
            "MIME-Version",
            "Content-Type",
            "Content-Transfer-Encoding"
        ]
    );
    assert!(head.is_ascii(), "{head}");
    assert!(head.contains("=?utf-8?Q?"), "{head}");
    assert!(
        head.contains("Date: Thu, 24 Sep 2026 04:08:00 +0000"),
        "{head}"
    );
    assert!(body.starts_with("Broken. "), "{body}");

    night.lab = "x".repeat(5000);
    let mail = Message::of(&night, &[], None).mail("tidemark@example.org", &to);
    let body = mail.split_once("\n\n").expect("a body").1;
    assert!(body.lines().all(|line| line.len() <= 998));
}

#[test]
fn the_summary_and_junit_tell_each_run_apart() {
    let night = broken();
    let told = Message::of(&night, &[], None);
    let summary = told.summary();
    assert!(summary.starts_with("# Broken. cut-off-leader"), "{summary}");
    assert!(
        summary.contains("| canary-kip101 | Broken, as it must | 21 870 | `tidemark run"),
        "{summary}"
    );
    assert!(
        summary.contains("| late | did not run: the night ended before it |"),
        "{summary}"
    );
    assert!(
        summary.contains("n1 led e6 and acknowledged it"),
        "{summary}"
    );
    let junit = told.junit().expect("xml");
    assert!(
        junit.contains("tests=\"6\"") && junit.contains("failures=\"2\""),
        "{junit}"
    );
    assert!(junit.contains("skipped"), "{junit}");
    let night = void();
    let junit = Message::of(&night, &[], None).junit().expect("xml");
    assert!(
        junit.contains("type=\"void\"") && junit.contains("type=\"control\""),
        "{junit}"
    );
}

/// Answers each connection with the next status, and tells what it was sent.
async fn server(statuses: Vec<u16>) -> (String, tokio::task::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!(
        "http://{}/hooks/secret",
        listener.local_addr().expect("an address")
    );
    let answered = tokio::spawn(async move {
        let mut bodies = Vec::new();
        for status in statuses {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut asked = Vec::new();
            let body = loop {
                let mut some = [0; 4096];
                let n = stream.read(&mut some).await.expect("bytes");
                asked.extend_from_slice(&some[..n]);
                if let Some(body) = whole(&asked) {
                    break body;
                }
                assert!(n > 0, "the request broke off");
            };
            bodies.push(body);
            let answer =
                format!("HTTP/1.1 {status} Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(answer.as_bytes()).await.expect("answered");
        }
        bodies
    });
    (url, answered)
}

/// The body of a request, once all of it is there.
fn whole(asked: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(asked).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.starts_with("POST /hooks/secret "), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("content-type: application/json"), "{head}");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))?;
    (body.len() == length.parse::<usize>().ok()?).then(|| body.to_owned())
}

const QUICK: Patience = Patience {
    tries: 3,
    pause: Duration::from_millis(5),
    each: Duration::from_secs(20),
};

#[tokio::test]
async fn a_server_that_listens_is_told_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let (url, answered) = server(vec![200]).await;
    let night = void();
    let body = Message::of(&night, &[], None).chat();
    let sent = send(&url, &body, QUICK, dir.path(), &night.name()).await;
    assert_eq!(sent, Sent::Delivered { tries: 1 });
    let got = answered.await.expect("bodies");
    assert_eq!(got, [body.to_string()]);
    assert!(
        got[0].contains("Void. Nothing that this night says counts"),
        "{got:?}"
    );
    assert_eq!(std::fs::read_dir(dir.path()).expect("listed").count(), 0);
}

#[tokio::test]
async fn a_server_that_refuses_twice_is_told_the_third_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let (url, answered) = server(vec![503, 429, 204]).await;
    let night = broken();
    let body = Message::of(&night, &[], None).generic();
    let sent = send(&url, &body, QUICK, dir.path(), &night.name()).await;
    assert_eq!(sent, Sent::Delivered { tries: 3 });
    assert_eq!(answered.await.expect("bodies").len(), 3);
}

/// Where a message that nobody took was kept, and why nobody did.
fn undelivered_at(sent: Sent) -> (PathBuf, String) {
    match sent {
        Sent::Undelivered {
            kept: Some(path),
            why,
        } => (path, why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_nobody_takes_is_written_to_the_disk_without_the_address() {
    let dir = tempfile::tempdir().expect("a directory");
    let undelivered = dir.path().join("undelivered");
    let (url, answered) = server(vec![500, 500, 500]).await;
    let night = broken();
    let body = Message::of(&night, &[], None).chat();
    let sent = send(&url, &body, QUICK, &undelivered, &night.name()).await;
    answered.await.expect("bodies");
    let (path, why) = undelivered_at(sent);
    assert_eq!(
        why,
        "it was answered with 500 Internal Server Error, at the last of 3 tries"
    );
    assert!(path.ends_with("undelivered/2026-09-24.json"));
    let kept: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).expect("read")).expect("json");
    assert_eq!(kept["body"], body);

    // Nobody listens there any more.
    let sent = send(&url, &body, QUICK, &undelivered, "again").await;
    let (path, why) = undelivered_at(sent);
    assert!(why.contains("at the last of 3 tries"), "{why}");
    let kept = std::fs::read_to_string(path).expect("read");
    assert!(!why.contains("secret") && !kept.contains("secret"), "{why}");
}

#[tokio::test]
async fn a_disk_that_takes_nothing_either_is_said() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("a-file");
    std::fs::write(&file, "").expect("written");
    let patience = Patience { tries: 1, ..QUICK };
    let sent = send(
        "no address",
        &serde_json::json!({}),
        patience,
        &file.join("x"),
        "n",
    )
    .await;
    let Sent::Undelivered { kept: None, why } = sent else {
        panic!("{sent:?}");
    };
    assert!(why.contains("could not be written to the disk"), "{why}");
}
