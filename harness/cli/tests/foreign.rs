//! `check FILE`: a history of Jepsen's, by either rules, with the exit codes of `docs/jepsen.md`.

mod said;

use std::fs;
use std::path::Path;

use said::{Said, USAGE, dir, nothing_but, tidemark};

const SENT: &str = "{:type :invoke, :process 0, :f :send, :value [[:send 1 7] [:send 1 8]]}
{:type :ok, :process 0, :f :send, :value [[:send 1 [0 7]] [:send 1 [1 8]]]}
{:type :invoke, :process 1, :f :poll, :value [[:poll]]}
";

/// What was sent, and an ok poll of it.
fn polled(at: &Path, name: &str, value: &str) -> String {
    let text = format!("{SENT}{{:type :ok, :process 1, :f :poll, :value {value}}}\n");
    fs::write(at.join(name), text).expect("written");
    name.to_owned()
}

fn codes(at: &Path, file: &str) -> [Option<i32>; 2] {
    let jepsen = tidemark(at, &["check", file, "--rules", "jepsen"]);
    [jepsen, tidemark(at, &["check", file])].map(|said| said.code)
}

#[test]
fn exit_codes_of_both_rules() {
    let at = dir();
    let at = at.path();
    let clean = polled(at, "clean.edn", "[[:poll {1 [[0 7] [1 8]]}]]");
    assert_eq!(codes(at, &clean), [Some(0), Some(2)]);
    let lost = polled(at, "lost.edn", "[[:poll {1 [[1 8]]}]]");
    assert_eq!(codes(at, &lost), [Some(1), Some(1)]);
    let crash = polled(at, "crash.edn", "[[:poll {1 [[0 7] [1 8]], 2 []}]]");
    assert_eq!(codes(at, &crash), [Some(2), Some(2)]);
    let phantom = polled(at, "phantom.edn", "[[:poll {1 [[0 7] [1 8] [2 9]]}]]");
    assert_eq!(codes(at, &phantom), [Some(2), Some(1)]);
    nothing_but(at, &["clean.edn", "crash.edn", "lost.edn", "phantom.edn"]);
}

#[test]
fn json_as_documented() {
    let at = dir();
    let lost = polled(at.path(), "lost.edn", "[[:poll {1 [[1 8]]}]]");
    let json = |more: &[&str]| {
        let args = [&["check", &lost, "--json"], more].concat();
        let Said { out, err, .. } = tidemark(at.path(), &args);
        assert!(err.is_empty(), "{err}");
        serde_json::from_str::<serde_json::Value>(&out).expect("one object")
    };
    let found = json(&["--rules", "jepsen", "--ww-deps", "--subscribed", "auto"]);
    assert_eq!(found["valid"], false);
    assert_eq!(
        found["errors"],
        serde_json::json!({"lost-write": 1, "unseen": 1})
    );
    assert_eq!(found["bad"], serde_json::json!(["lost-write", "unseen"]));
    let lost_write = &found["anomalies"]["lost-write"][0];
    let wanted = serde_json::json!({
        "key": 1, "value": 7, "index": 0, "max-read-index": 1, "writer": 1, "max-read": 3
    });
    assert_eq!(lost_write, &wanted);
    let rows = json(&[])["guarantees"]
        .as_array()
        .expect("guarantees")
        .clone();
    let row = |name: &str| {
        rows.iter()
            .find(|row| row["name"] == name)
            .expect("a guarantee")
    };
    assert_eq!(row("lost-write")["verdict"], "broken");
    assert_eq!(row("committed-prefix")["why"], "no images");
}

#[test]
fn a_malformed_history_is_refused_in_one_sentence() {
    let at = dir();
    let file = polled(at.path(), "odd.edn", "[[:poll {1 [[:x 7]]}]]");
    for rules in ["jepsen", "native"] {
        let said = tidemark(at.path(), &["check", &file, "--rules", rules, "--json"]);
        said.refuses(
            USAGE,
            &["odd.edn: line 4, column 55: an offset is a whole number"],
        );
        assert!(said.out.is_empty(), "{said:?}");
    }
}

#[test]
fn what_is_for_files_is_not_for_runs() {
    let at = dir();
    for flags in [
        &["--rules", "jepsen"][..],
        &["--ww-deps"],
        &["--subscribed", "no"],
    ] {
        let args = [&["check", "."], flags].concat();
        tidemark(at.path(), &args).refuses(USAGE, &["are for a history in a file"]);
    }
    let said = tidemark(at.path(), &["check", "nowhere.edn"]);
    assert_eq!(said.code, Some(USAGE), "{said:?}");
}
