//! JSON Lines: every event comes back, the schema that is published is that of the lines, and what
//! is none of them is refused with its line.

mod recorded;

use std::collections::BTreeSet;
use std::path::Path;

use exchange::export::jsonl::{self, read};
use exchange::export::{self, Kind, print_jsonl};
use history::Event;
use recorded::{ONE_OF_EACH, parsed, run};

fn lines_of(events: &[Event]) -> String {
    let above = tempfile::tempdir().expect("a scratch directory");
    let mut text = Vec::new();
    print_jsonl(&run(above.path(), events), &mut text).expect("exported");
    String::from_utf8(text).expect("text")
}

#[test]
fn one_of_each_event_comes_back() {
    let events = parsed(ONE_OF_EACH);
    let text = lines_of(&events);
    let told = read(text.as_bytes()).expect("read");
    assert_eq!(told.events, events);
    assert_eq!((told.header.run.as_str(), told.torn), ("abc123", None));
    // Every word of the form was on a line, so a kind that is added and left out here is seen.
    let said: BTreeSet<String> = text.lines().filter_map(word).collect();
    let all = "altered clock end fault harm header image invoked observed phase process rebalance \
               returned step";
    assert_eq!(said.into_iter().collect::<Vec<_>>().join(" "), all);
}

fn word(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(line["event"].as_str()?.to_owned())
}

#[test]
fn what_is_no_line_of_the_form_is_refused_with_its_line() {
    let text = lines_of(&parsed(
        "c1 send ledger/0 v1 -> @0\nc2 poll -> ledger/0 @0=v1",
    ));
    let whole: Vec<&str> = text.lines().collect();
    assert_eq!(whole.len(), 6);
    let refused = |lines: Vec<&str>, line: u64, words: &str| {
        let error = read(lines.join("\n").as_bytes()).expect_err(words);
        assert_eq!(error.line, line, "{error}");
        assert!(error.to_string().contains(words), "{error}");
    };
    refused(whole[1..].to_vec(), 1, "no header");
    refused(whole[..5].to_vec(), 5, "the end is missing");
    refused(
        [&whole[..2], &whole[3..]].concat(),
        5,
        "counts 4 events, 3 are there",
    );
    refused([&whole[..], &whole[1..2]].concat(), 7, "after the end");
    refused([&whole[..1], &whole[..]].concat(), 2, "a second header");
    let newer = whole[0].replace("\"format\":1", "\"format\":2");
    refused(
        [&[newer.as_str()], &whole[1..]].concat(),
        1,
        "a newer Tidemark",
    );
    let odd = whole[1].replace("ledger/0", "ledger");
    refused([&whole[..1], &[odd.as_str()]].concat(), 2, "ledger");
    refused(vec!["{"], 1, "EOF");
    refused(vec![], 0, "no header");
}

#[test]
fn a_torn_history_says_so_at_its_end() {
    let above = tempfile::tempdir().expect("a scratch directory");
    let run = run(above.path(), &parsed("phase setup\nphase steady"));
    let whole = std::fs::read(run.history_file()).expect("read");
    std::fs::write(
        run.history_file(),
        [&whole[..], b"TMFR and no more"].concat(),
    )
    .expect("written");
    let mut text = Vec::new();
    let exported = print_jsonl(&run, &mut text).expect("exported");
    let told = read(text.as_slice()).expect("read");
    assert_eq!(told.events.len(), 2);
    let torn = told.torn.expect("it is torn");
    assert!(torn.contains("torn at byte"), "{torn}");
    assert_eq!(exported.missing, [torn]);
}

#[test]
fn an_export_appears_whole_and_replaces_only_when_told() {
    let above = tempfile::tempdir().expect("a scratch directory");
    let run = run(above.path(), &parsed("phase setup"));
    let to = export::default_place(&run, Kind::Jsonl);
    let done = export::export(&run, Kind::Jsonl, &to, false).expect("exported");
    assert_eq!(done.at, to.join("history.jsonl"));
    let error = export::export(&run, Kind::Jsonl, &to, false).expect_err("it is there");
    assert!(error.to_string().contains("--force"), "{error}");
    export::export(&run, Kind::Jsonl, &to, true).expect("replaced");
    std::fs::write(run.history_file(), "no history").expect("written");
    export::export(&run, Kind::Jsonl, &to, true).expect_err("not a history");
    let names: Vec<_> = std::fs::read_dir(&to).expect("read").flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let kept = std::fs::read(to.join("history.jsonl")).expect("read");
    assert_eq!(read(kept.as_slice()).expect("the old one").events.len(), 1);
}

#[test]
fn the_published_schema_is_that_of_the_lines() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/jsonl.schema.json");
    let schema = jsonl::schema();
    if std::env::var_os("UPDATE").is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("a schema is JSON") + "\n";
        std::fs::write(&path, text).expect("the schema can be written");
    }
    let text = std::fs::read_to_string(&path).expect("docs/jsonl.schema.json is there");
    let published: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    assert!(
        published == schema,
        "docs/jsonl.schema.json is not the schema of a line; UPDATE=1 cargo test -p exchange writes it"
    );
}
