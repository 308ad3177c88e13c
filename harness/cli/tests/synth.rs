//! Runs that nobody ran, judged: a well-behaved one holds, and of what is planted exactly that is
//! found, by guarantee, partition, count and offsets.

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use said::{USAGE, dir, nothing_but, tidemark};
use serde_json::Value;

/// Of one guarantee in one topic: how many, in which partitions, between which offsets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    count: u64,
    partitions: BTreeSet<String>,
    offsets: Option<(i64, i64)>,
}

type Table = BTreeMap<(String, String), Seen>;

fn wider(known: Option<(i64, i64)>, more: (i64, i64)) -> Option<(i64, i64)> {
    known.map_or(Some(more), |(from, to)| {
        Some((from.min(more.0), to.max(more.1)))
    })
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// What must be found, as `synth` wrote it down.
fn planted(path: &Path) -> Table {
    let file = json(path);
    let mut table = Table::new();
    for find in list(&file["planted"])
        .iter()
        .chain(list(&file["permitted"]))
    {
        let partition = text(&find["partition"]);
        let topic = partition
            .rsplit_once('/')
            .expect("topic/index")
            .0
            .to_owned();
        let seen = table.entry((topic, text(&find["guarantee"]))).or_default();
        seen.count += find["count"].as_u64().expect("a count");
        seen.partitions.insert(partition);
        if let [from, to] = list(&find["offsets"]) {
            let range = (from.as_i64().expect("from"), to.as_i64().expect("to"));
            seen.offsets = wider(seen.offsets, range);
        }
    }
    table
}

/// What was found.
fn found(run: &Path) -> Table {
    let verdict = json(&run.join("verdict.json"));
    let findings: BTreeMap<u64, &Value> = list(&verdict["findings"])
        .iter()
        .map(|finding| (finding["id"].as_u64().expect("an id"), finding))
        .collect();
    let mut table = Table::new();
    for topic in list(&verdict["topics"]) {
        for guarantee in list(&topic["guarantees"]) {
            let name = text(&guarantee["name"]);
            let verdict = &guarantee["verdict"];
            let Some(count @ 1..) = verdict["observed"].as_u64() else {
                continue;
            };
            let seen = table.entry((text(&topic["topic"]), name)).or_default();
            seen.count = count;
            for id in list(&verdict["findings"]) {
                let finding = findings[&id.as_u64().expect("an id")];
                seen.partitions.insert(text(&finding["partition"]));
                let offsets = &finding["offsets"];
                if let (Some(from), Some(to)) = (offsets["from"].as_i64(), offsets["to"].as_i64()) {
                    seen.offsets = wider(seen.offsets, (from, to));
                }
            }
        }
    }
    table
}

/// Writes a run, judges it, and compares; gives the code of `check`.
fn exactly(name: &str, args: &[&str]) -> i32 {
    let at = dir();
    let mut all = vec!["synth", "--to", "run"];
    all.extend_from_slice(args);
    let wrote = tidemark(at.path(), &all);
    assert_eq!(wrote.code, Some(0), "{name}: {wrote:?}");
    let checked = tidemark(at.path(), &["check", "run"]);
    let mut found = found(&at.path().join("run"));
    let wanted = planted(&at.path().join("run.planted.json"));
    for (key, wanted) in &wanted {
        // Where the offsets are no part of the plant, the judge may give some.
        if let Some(found) = found.get_mut(key).filter(|_| wanted.offsets.is_none()) {
            found.offsets = None;
        }
    }
    assert_eq!(found, wanted, "{name} {args:?}: {}", checked.out);
    checked.code.expect("a code")
}

const SMALL: [&str; 4] = ["--operations", "20000", "--failovers", "2"];
const BOTH: [&str; 2] = ["--transactions", "--groups"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    SMALL.iter().chain(more).copied().collect()
}

#[test]
fn a_well_behaved_cluster_holds() {
    let shapes: [&[&str]; 8] = [
        &["--operations", "10000"],
        &["--operations", "10000", "--transactions", "--groups"],
        &[
            "--operations",
            "20000",
            "--failovers",
            "4",
            "--transactions",
            "--groups",
            "--partitions",
            "3",
        ],
        // Segments of one topic's transactions roll.
        &[
            "--operations",
            "600",
            "--topics",
            "1",
            "--transactions",
            "--value-size",
            "30000",
        ],
        &["--operations", "3000", "--failovers", "0"],
        &[
            "--operations",
            "20000",
            "--failovers",
            "4",
            "--partitions",
            "3",
            "--seed",
            "5",
        ],
        &[
            "--operations",
            "60000",
            "--failovers",
            "3",
            "--topics",
            "4",
            "--value-size",
            "32",
        ],
        &[
            "--operations",
            "30001",
            "--failovers",
            "3",
            "--topics",
            "1",
            "--partitions",
            "3",
        ],
    ];
    for shape in shapes {
        assert_eq!(exactly("nothing planted", shape), 0, "{shape:?}");
    }
}

/// Found, and permitted.
const PERMITTED: [&str; 3] = ["acked-lost-above-hw", "acked-lost-undetermined", "dirty-hw"];

/// Of groups.
const GROUPS: [&str; 3] = ["group-skipped", "redelivered", "offset-regressed"];

/// Each name with a seed of its own, so that no place is special.
#[test]
fn each_plant_is_found_and_nothing_else() {
    let seeds = ["1", "2", "7", "3", "11"];
    let names = exchange::synth::names();
    assert_eq!(names.len(), 39);
    for (name, seed) in names.into_iter().zip(seeds.iter().cycle()) {
        let mut args = with(&["--seed", seed, "--plant", name]);
        args.extend(match name.strip_prefix("txn-atomicity") {
            Some(_) => &BOTH[..1],
            None if GROUPS.contains(&name) => &BOTH[1..],
            None => &[],
        });
        let code = exactly(name, &args);
        assert_eq!(code, i32::from(!PERMITTED.contains(&name)), "{name}");
    }
}

#[test]
fn many_plants_are_found_together() {
    let plants = [
        "acked-lost-below-hw=3",
        "duplicate-in-log=2",
        "order-broken=2",
        "phantom=2",
        "log-hole=2",
        "misplaced=1",
        "acked-lost-above-hw=4",
        "hw-regressed=2",
    ];
    let mut args = vec![
        "--operations",
        "60000",
        "--failovers",
        "2",
        "--partitions",
        "2",
    ];
    for plant in plants {
        args.extend(["--plant", plant]);
    }
    for seed in ["7", "8"] {
        let mut args = args.clone();
        args.extend(["--seed", seed]);
        assert_eq!(exactly("many", &args), 1);
    }
}

#[test]
fn one_of_everything_is_found_at_once() {
    let mut args = vec![
        "--operations",
        "120000",
        "--failovers",
        "4",
        "--partitions",
        "3",
    ];
    args.extend(BOTH);
    for name in exchange::synth::names() {
        args.extend(["--plant", name]);
    }
    assert_eq!(exactly("everything", &args), 1);
}

/// Every file's bytes, by its path below `dir`.
fn bytes(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(dir).expect("below").display().to_string();
                files.insert(name, fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

#[test]
fn the_same_order_gives_the_same_bytes_and_another_seed_others() {
    let at = dir();
    for (to, seed) in [("a", "9"), ("b", "9"), ("c", "10")] {
        let args = with(&["--seed", seed, "--plant", "phantom", "--to", to]);
        let wrote = tidemark(at.path(), &[&["synth"], args.as_slice()].concat());
        assert_eq!(wrote.code, Some(0), "{wrote:?}");
    }
    let [a, b, c] = ["a", "b", "c"].map(|run| bytes(&at.path().join(run)));
    assert!(
        a.len() > 12 && a.contains_key("seal.json"),
        "{:?}",
        a.keys()
    );
    assert_eq!(a, b);
    assert_ne!(a["images/n0-final.tar.zst"], c["images/n0-final.tar.zst"]);
}

#[test]
fn without_images_the_history_alone_is_written() {
    let at = dir();
    let args = with(&["--no-images", "--to", "run"]);
    let wrote = tidemark(at.path(), &[&["synth"], args.as_slice()].concat());
    assert_eq!(wrote.code, Some(0), "{wrote:?}");
    assert_eq!(
        fs::read_dir(at.path().join("run/images"))
            .expect("there")
            .count(),
        0
    );
    let checked = tidemark(at.path(), &["check", "run"]);
    assert_eq!(checked.code, Some(2), "{checked:?}");
}

#[test]
fn what_cannot_be_written_is_refused_in_a_sentence() {
    let at = dir();
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["--plant", "txn-atomicity"],
            &["txn-atomicity needs --transactions"],
        ),
        (&["--plant", "redelivered"], &["redelivered needs --groups"]),
        (
            &["--plant", "lost"],
            &["`lost` cannot be planted", "duplicate-in-log"],
        ),
        (&["--operations", "50"], &["at least 245 operations"]),
        (&["--plant", "stuck=9"], &["2 of 9 stuck find a place"]),
        (
            &["--plant", "phantom", "--no-images"],
            &["leave --no-images out"],
        ),
        (&["--value-size", "8"], &["--value-size must be from 32"]),
        (&["--topics", "0"], &["--topics must be from 1"]),
    ];
    for (args, words) in cases {
        let all = [&["synth", "--to", "run"], args].concat();
        tidemark(at.path(), &all).refuses(USAGE, words);
    }
    nothing_but(at.path(), &[]);
    fs::create_dir(at.path().join("run")).expect("a directory");
    let said = tidemark(at.path(), &["synth", "--to", "run"]);
    said.refuses(USAGE, &["run exists already"]);
}
