//! `tidemark export`: what it refuses, and that the SQL of `docs/sql`, asked of exported tables on
//! DuckDB, finds what the judge finds.

mod said;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use cluster::artefacts::{Artefacts, default_cache};
use said::{USAGE, dir, tidemark};
use serde_json::Value;

const DUCKDB: &str = include_str!("../../../docs/sql/pom.xml");
const TABLES: &str = include_str!("../../../docs/sql/duckdb.sql");
const LOST: &str = include_str!("../../../docs/sql/lost.sql");
const DUPLICATES: &str = include_str!("../../../docs/sql/duplicates.sql");
const DIVERGING: &str = include_str!("../../../docs/sql/diverging.sql");

/// What stands in one run that nobody ran, beside the losses of its fail-overs.
const PLANTS: [&str; 5] = [
    "acked-lost-below-hw=3",
    "acked-lost-above-hw=2",
    "duplicate-in-log=2",
    "divergence-below-hw",
    "divergence-lasting",
];

#[test]
fn what_cannot_be_exported_is_said_in_a_sentence() {
    let at = dir();
    synth(at.path(), "run", 2_000, 1, &[]);
    let export = |args: &[&str]| tidemark(at.path(), &[&["export"], args].concat());
    export(&["nowhere", "--as", "jsonl"]).refuses(USAGE, &["is not a run directory"]);
    export(&["run", "--as", "parquet", "--to", "-"]).refuses(USAGE, &["parquet is not one stream"]);
    assert_eq!(export(&["run", "--as", "csv"]).code, Some(USAGE));
    for kind in ["jsonl", "parquet", "jepsen-edn"] {
        let said = export(&["run", "--as", kind]);
        assert_eq!(said.code, Some(0), "{said:?}");
        export(&["run", "--as", kind]).refuses(USAGE, &["is there already", "--force"]);
        let said = export(&["run", "--as", kind, "--force"]);
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let said = export(&["run", "--as", "jsonl", "--to", "-"]);
    let file = fs::read_to_string(at.path().join("run/export/jsonl/history.jsonl"));
    assert_eq!(said.out, file.expect("exported"));
    // What was exported into the run is no flaw of its evidence.
    let said = tidemark(at.path(), &["check", "run", "--json"]);
    assert!(!said.out.contains("after the seal"), "{said:?}");
}

#[test]
fn our_own_edn_is_judged_by_jepsens_rules() {
    let at = dir();
    synth(at.path(), "run", 5_000, 1, &[]);
    let said = tidemark(
        at.path(),
        &["export", "run", "--as", "jepsen-edn", "--to", "."],
    );
    assert_eq!(said.code, Some(0), "{said:?}");
    let said = tidemark(
        at.path(),
        &["check", "history.edn", "--rules", "jepsen", "--json"],
    );
    let jepsen: Value = serde_json::from_str(&said.out).expect("a verdict");
    let said = tidemark(at.path(), &["check", "run", "--json"]);
    let ours: Value = serde_json::from_str(&said.out).expect("a verdict");
    // Jepsen knows no acks: what acks=1 lost above the high watermark is a lost write to it, and
    // others stand at those offsets now. It finds as many of them as we do, and nothing else.
    let mut judged = Found::default();
    judged.add(&ours);
    let lost: u64 = judged.lost.values().sum();
    assert!(lost > 0, "{judged:?}");
    assert_eq!(jepsen["errors"]["lost-write"], lost, "{jepsen}");
    let errors = jepsen["errors"].as_object().expect("errors");
    let kinds: Vec<&str> = errors.keys().map(String::as_str).collect();
    assert_eq!(kinds, ["inconsistent-offsets", "lost-write", "unseen"]);
    for kind in ["inconsistent-offsets", "lost-write"] {
        let found = jepsen["anomalies"][kind].as_array().expect("anomalies");
        assert!(found.iter().all(|of| of["key"] == "metrics-0"), "{jepsen}");
    }
}

#[test]
fn sql_on_duckdb_finds_what_the_judge_finds() {
    let at = dir();
    synth(at.path(), "planted", 20_000, 3, &PLANTS);
    synth(at.path(), "clean", 10_000, 4, &[]);
    let mut judged = Found::default();
    for run in ["planted", "clean"] {
        let said = tidemark(at.path(), &["check", run, "--json"]);
        let verdict: Value = serde_json::from_str(&said.out).expect("a verdict");
        judged.add(&verdict);
        let said = tidemark(
            at.path(),
            &["export", run, "--as", "parquet", "--to", "lake"],
        );
        assert_eq!(said.code, Some(0), "{said:?}");
    }
    let asked = Found::ask(at.path());
    assert_eq!(asked, judged);
    let sides: Vec<&str> = asked
        .lost
        .keys()
        .map(|(_, _, side)| side.as_str())
        .collect();
    assert!(
        sides.contains(&"below") && sides.contains(&"above"),
        "{asked:?}"
    );
    assert!(!asked.copies.is_empty(), "{asked:?}");
    for guarantee in ["divergence-below-hw", "divergence-lasting"] {
        assert!(
            asked.diverging.iter().any(|(of, ..)| of == guarantee),
            "{asked:?}"
        );
    }
}

fn synth(at: &Path, name: &str, operations: u32, seed: u32, plants: &[&str]) {
    let (operations, seed) = (operations.to_string(), seed.to_string());
    let mut args = vec!["synth", "--operations", &operations, "--seed", &seed];
    args.extend(["--failovers", "2", "--to", name]);
    args.extend(plants.iter().flat_map(|plant| ["--plant", plant]));
    let said = tidemark(at, &args);
    assert_eq!(said.code, Some(0), "{said:?}");
}

/// What is wrong with runs, as the judge and the queries both can say it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    /// Acknowledged records that are gone, by run, topic and side of the high watermark.
    lost: BTreeMap<(String, String, String), u64>,
    /// Further copies in final logs, by run and topic.
    copies: BTreeMap<(String, String), u64>,
    /// Guarantee, run, partition, first offset, offset after the last; one a replica, sorted.
    diverging: Vec<(String, String, String, i64, i64)>,
}

impl Found {
    fn add(&mut self, verdict: &Value) {
        let text = |of: &Value| of.as_str().expect("a text").to_owned();
        let run = text(&verdict["run"]);
        for topic in verdict["topics"].as_array().expect("topics") {
            let name = text(&topic["topic"]);
            for side in ["below", "above", "undetermined"] {
                let key = match side {
                    "undetermined" => "lost_undetermined".to_owned(),
                    side => format!("lost_{side}_hw"),
                };
                let count = topic["accounting"]["acknowledged"][key].as_u64();
                let count = count.expect("a number");
                if count > 0 {
                    let key = (run.clone(), name.clone(), side.to_owned());
                    self.lost.insert(key, count);
                }
            }
            let copies = topic["accounting"]["records"]["extra_copies"].as_u64();
            if let Some(copies @ 1..) = copies {
                self.copies.insert((run.clone(), name.clone()), copies);
            }
        }
        for finding in verdict["findings"].as_array().expect("findings") {
            let guarantee = text(&finding["guarantee"]);
            if guarantee.starts_with("divergence-") {
                let offset = |which: &str| finding["offsets"][which].as_i64().expect("an offset");
                let partition = text(&finding["partition"]);
                let (from, to) = (offset("from"), offset("to"));
                self.diverging
                    .push((guarantee, run.clone(), partition, from, to));
            }
        }
        self.diverging.sort();
    }

    fn ask(at: &Path) -> Self {
        let mut found = Self::default();
        let number = |text: &String| text.parse().expect("a number");
        let lost = "SELECT run, topic, side, COUNT(*) FROM lost GROUP BY ALL;";
        for row in rows(at, LOST, lost) {
            let key = (row[0].clone(), row[1].clone(), row[2].clone());
            found.lost.insert(key, number(&row[3]));
        }
        let copies = "SELECT run, topic, SUM(copies - 1) FROM duplicates GROUP BY ALL;";
        for row in rows(at, DUPLICATES, copies) {
            let key = (row[0].clone(), row[1].clone());
            found.copies.insert(key, number(&row[2]));
        }
        let ranges = "SELECT 'divergence-lasting', run, topic || '/' || partition, node, \
                             MIN(log_offset), MAX(log_offset) + 1 FROM diverging GROUP BY ALL \
                      UNION ALL \
                      SELECT 'divergence-below-hw', run, topic || '/' || partition, node, \
                             MIN(log_offset), MAX(log_offset) + 1 FROM diverging WHERE below_hw \
                      GROUP BY ALL;";
        for row in rows(at, DIVERGING, ranges) {
            let offset = |text: &String| text.parse().expect("an offset");
            let (from, to) = (offset(&row[4]), offset(&row[5]));
            let (guarantee, run, partition) = (row[0].clone(), row[1].clone(), row[2].clone());
            found.diverging.push((guarantee, run, partition, from, to));
        }
        found.diverging.sort();
        found
    }
}

/// The rows of a query, after the tables and the views of a file of `docs/sql` were made.
fn rows(at: &Path, views: &str, query: &str) -> Vec<Vec<String>> {
    let cache = default_cache().expect("a place for jars");
    let duckdb = Artefacts::resolve("duckdb", &cache, DUCKDB).expect("DuckDB, by Maven");
    let script = at.join("query.sql");
    let mark = "select 'from here on';";
    fs::write(&script, [TABLES, views, mark, "\n", query, "\n"].concat()).expect("written");
    let output = Command::new("java")
        .args(["-cp", &duckdb.class_path(), "sqlline.SqlLine"])
        .args(["-u", "jdbc:duckdb:", "-n", "x", "-p", "x"])
        .args([
            "--silent=true",
            "--showHeader=false",
            "--outputFormat=csv",
            "-f",
        ])
        .arg(&script)
        .current_dir(at.join("lake"))
        .output()
        .expect("java starts");
    let said = String::from_utf8_lossy(&output.stdout);
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complaints}");
    let asked = said.lines().skip_while(|line| *line != "'from here on'");
    let rows = asked.skip(1).filter(|line| line.starts_with('\''));
    let cells = |line: &str| {
        let inner = line.trim_matches('\'');
        inner.split("','").map(str::to_owned).collect()
    };
    assert!(said.contains("'from here on'"), "{said}\n{complaints}");
    rows.map(cells).collect()
}
