//! The exhibits under `results/exhibits`, judged again: each keeps its verdict per guarantee and its
//! set of findings. `UPDATE=1 cargo test -p cli --test exhibits` writes what is expected anew.
//!
//! Every exhibit is judged in a copy, by `tidemark check` itself; nothing is written beside the
//! evidence. What an exhibit is *for* (what was planted, what a control must show) is demanded also
//! when updating: no update can bless a judge that has gone blind to it.

mod said;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use checkers::Judgement;
use checkers::judgement::{Finding, PremiseState, Verdict};
use history::rundir::{Difference, RunDir, SEAL_FORMAT, SETTING_FORMAT};
use said::{Said, dir, tidemark};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The newest format of `NAME.expected.json`.
const FORMAT: u32 = 1;
/// All exhibits together, in bytes.
const LARGEST: u64 = 9_000_000;
/// What judging writes into a run directory.
const DERIVED: [&str; 4] = ["verdict.json", "report.html", "junit.xml", "summary.md"];

/// `NAME.expected.json` of a run.
#[derive(Debug, Serialize, Deserialize)]
struct Expected {
    format: u32,
    rules_version: u32,
    /// Of `check`.
    exit_code: i32,
    fold: String,
    premises: BTreeMap<String, String>,
    /// Topic, guarantee, verdict in words.
    topics: BTreeMap<String, BTreeMap<String, String>>,
    /// A set: sorted, not by weight.
    findings: Vec<Found>,
}

/// What a finding is; its words are left to the judge's own tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Found {
    guarantee: String,
    topic: String,
    partition: Option<String>,
    /// First offset and the one after the last.
    offsets: Option<(i64, i64)>,
    count: u64,
    class: String,
    standing: String,
}

/// `foreign/NAME.expected.json`: all that was printed, by either rules.
#[derive(Debug, Serialize, Deserialize)]
struct Foreign {
    format: u32,
    jepsen: Printed,
    native: Printed,
}

/// What `check --json` printed, and its code.
#[derive(Debug, Serialize, Deserialize)]
struct Printed {
    exit_code: i32,
    verdict: Value,
}

fn exhibits() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../results/exhibits")
}

fn entries(at: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(at).unwrap_or_else(|err| panic!("{}: {err}", at.display()));
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    paths
}

/// Every exhibit that is a run, by name.
fn runs() -> BTreeMap<String, PathBuf> {
    let runs = entries(&exhibits())
        .into_iter()
        .filter(|it| it.join("history").is_dir());
    runs.map(|path| (name(&path), path)).collect()
}

fn name(path: &Path) -> String {
    path.file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Every file below, by its path relative to `at`.
fn files(at: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut open = vec![at.to_owned()];
    while let Some(next) = open.pop() {
        for path in entries(&next) {
            if path.is_dir() {
                open.push(path);
            } else {
                found.insert(path.strip_prefix(at).expect("below").to_owned());
            }
        }
    }
    found
}

/// A copy of the evidence alone, to do with as one likes.
fn copy(run: &Path, to: &Path) {
    for file in files(run) {
        if DERIVED.iter().any(|name| file == Path::new(name)) {
            continue;
        }
        let place = to.join(&file);
        fs::create_dir_all(place.parent().expect("a directory")).expect("made");
        fs::copy(run.join(&file), place).expect("copied");
    }
}

/// Judges a copy.
fn judged(run: &Path) -> (i32, Judgement) {
    let at = dir();
    copy(run, &at.path().join("run"));
    let said = tidemark(at.path(), &["check", "run", "--json"]);
    let judgement = serde_json::from_str(&said.out);
    let judgement = judgement.unwrap_or_else(|err| panic!("{}: {err}: {said:?}", run.display()));
    (said.code.expect("a code"), judgement)
}

/// A word of the judgement as JSON has it.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).expect("JSON");
    value.as_str().expect("a word").to_owned()
}

fn verdict(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Held { .. } => "held".to_owned(),
        Verdict::Broken { observed, .. } => format!("broken, {observed} observed"),
        Verdict::Unproven { findings, .. } if findings.is_empty() => "unproven".to_owned(),
        Verdict::Unproven { findings, .. } => format!("unproven, {} undecided", findings.len()),
        Verdict::NotPromised { observed, .. } => format!("not promised, {observed} observed"),
    }
}

fn found(finding: &Finding) -> Found {
    Found {
        guarantee: finding.guarantee.clone(),
        topic: finding.topic.clone(),
        partition: finding.partition.clone(),
        offsets: finding.offsets.map(|range| (range.from, range.to)),
        count: finding.count,
        class: word(finding.class),
        standing: word(finding.standing),
    }
}

fn expected(exit_code: i32, judgement: &Judgement) -> Expected {
    let premises = judgement.premises.iter().map(|premise| {
        let state = match &premise.state {
            PremiseState::Kept { .. } => "kept",
            PremiseState::Failed { .. } => "failed",
        };
        (premise.name.clone(), state.to_owned())
    });
    let topics = judgement.topics.iter().map(|topic| {
        let guarantees = topic.guarantees.iter();
        let verdicts = guarantees.map(|it| (it.name.clone(), verdict(&it.verdict)));
        (topic.topic.clone(), verdicts.collect())
    });
    let mut findings: Vec<Found> = judgement.findings.iter().map(found).collect();
    findings.sort();
    Expected {
        format: FORMAT,
        rules_version: judgement.rules_version,
        exit_code,
        fold: word(judgement.fold),
        premises: premises.collect(),
        topics: topics.collect(),
        findings,
    }
}

/// Compares with the file, line by line; with `UPDATE=1` writes it instead.
fn compare(file: &Path, now: &impl Serialize, differences: &mut Vec<String>) {
    let mut text = serde_json::to_string_pretty(now).expect("JSON");
    text.push('\n');
    if std::env::var_os("UPDATE").is_some() {
        fs::write(file, text).expect("written");
        return;
    }
    let was = fs::read_to_string(file).unwrap_or_else(|err| {
        let remedy = "write it with UPDATE=1 cargo test -p cli --test exhibits";
        panic!("{}: {err}; {remedy}", file.display())
    });
    let format = serde_json::from_str::<Value>(&was).expect("JSON")["format"].as_u64();
    assert!(
        format.is_some_and(|format| format <= u64::from(FORMAT)),
        "{}: format {format:?}",
        file.display()
    );
    if was == text {
        return;
    }
    let name = name(file);
    let (old, new): (Vec<&str>, Vec<&str>) = (was.lines().collect(), text.lines().collect());
    let gone = old.iter().filter(|line| !new.contains(line));
    differences.extend(gone.map(|line| format!("{name}: - {}", line.trim())));
    let come = new.iter().filter(|line| !old.contains(line));
    differences.extend(come.map(|line| format!("{name}: + {}", line.trim())));
    differences.push(format!("{name} is not as expected"));
}

/// How often a guarantee was seen broken, promised or not; by topic and guarantee.
fn observed(judgement: &Judgement) -> BTreeMap<(String, String), u64> {
    let mut seen = BTreeMap::new();
    for topic in &judgement.topics {
        for guarantee in &topic.guarantees {
            if let Verdict::Broken { observed, .. } | Verdict::NotPromised { observed, .. } =
                guarantee.verdict
                && observed > 0
            {
                seen.insert((topic.topic.clone(), guarantee.name.clone()), observed);
            }
        }
    }
    seen
}

/// What `synth` wrote down that must be found.
fn planted(file: &Path) -> Option<BTreeMap<(String, String), u64>> {
    let text = fs::read_to_string(file).ok()?;
    let json: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(json["format"], 1, "{}", file.display());
    let mut planted = BTreeMap::new();
    for list in ["planted", "permitted"] {
        for find in json[list].as_array().expect("a list") {
            let (topic, _) = find["partition"]
                .as_str()
                .and_then(|it| it.rsplit_once('/'))
                .expect("a partition");
            let guarantee = find["guarantee"].as_str().expect("a name");
            *planted
                .entry((topic.to_owned(), guarantee.to_owned()))
                .or_default() += find["count"].as_u64().expect("a count");
        }
    }
    Some(planted)
}

/// What the real runs are there for.
fn control(name: &str, now: &Expected) {
    let verdict = |topic: &str, guarantee: &str| now.topics[topic][guarantee].as_str();
    match name {
        "demo" => {
            assert_eq!(now.exit_code, 0, "{now:?}");
            assert_eq!(
                verdict("metrics", "acked-lost-above-hw"),
                "not promised, 783 observed"
            );
            assert!(now.findings.iter().all(|it| it.class != "unexplained"));
            assert!(now.findings.iter().all(|it| it.standing == "not-promised"));
            assert!(
                ["acked-lost-above-hw", "acked-lost-below-hw"]
                    .iter()
                    .all(|it| verdict("ledger", it) == "held")
            );
        }
        "canary-kip101" => {
            assert_eq!(now.exit_code, 1, "{now:?}");
            assert_eq!(verdict("r1", "acked-lost-below-hw"), "broken, 1 observed");
            let lost = |it: &&Found| it.guarantee == "acked-lost-below-hw";
            let lost: Vec<&Found> = now.findings.iter().filter(lost).collect();
            assert_eq!(lost.len(), 1);
            assert_eq!(lost[0].partition.as_deref(), Some("r1/0"));
            assert_eq!((lost[0].offsets, lost[0].count), (Some((1, 2)), 1));
            assert_eq!(lost[0].class, "known-bad-protocol");
        }
        // The same steps with the default protocol: whoever convicts here sees ghosts.
        "canary-kip101-default" => {
            assert_eq!((now.exit_code, now.findings.len()), (0, 0), "{now:?}");
            assert_eq!(verdict("r1", "acked-lost-below-hw"), "held");
        }
        "last-replica-standing" => {
            assert_eq!(now.exit_code, 0, "{now:?}");
            assert_eq!(
                verdict("ledger", "acked-lost-below-hw"),
                "not promised, 302 observed"
            );
            assert!(now.findings.iter().all(|it| it.class == "last-standing"));
        }
        // The same steps with a flush after each record: the power cut finds nothing to take.
        "last-replica-flushed" => {
            assert_eq!(now.exit_code, 0, "{now:?}");
            assert_eq!(verdict("ledger", "acked-lost-below-hw"), "held");
            assert!(now.findings.iter().all(|it| it.class == "resend"));
        }
        other => panic!("{other} is neither synthetic nor a control that this test knows"),
    }
}

#[test]
fn every_run_keeps_its_verdict_and_its_findings() {
    let mut differences = Vec::new();
    let runs = runs();
    for (name, run) in &runs {
        let (code, judgement) = judged(run);
        let now = expected(code, &judgement);
        match planted(&run.with_extension("planted.json")) {
            Some(planted) => assert_eq!(observed(&judgement), planted, "{name}: found, planted"),
            None => control(name, &now),
        }
        compare(&run.with_extension("expected.json"), &now, &mut differences);
    }
    for control in [
        "demo",
        "canary-kip101",
        "canary-kip101-default",
        "last-replica-standing",
        "last-replica-flushed",
    ] {
        assert!(runs.contains_key(control), "{control} is gone");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn everything_that_can_be_planted_has_an_exhibit() {
    let runs = runs();
    let names = exchange::synth::names();
    assert!(names.len() >= 39, "{names:?}");
    for plant in names.into_iter().chain(["well-behaved"]) {
        let run = runs.get(plant);
        let remedy = "add a line to results/exhibits/synth.sh and run it";
        let run = run.unwrap_or_else(|| panic!("{plant} has no exhibit: {remedy}"));
        let planted = planted(&run.with_extension("planted.json")).expect("planted.json");
        // Where a guarantee can be broken in several ways, the plant's name goes on behind it.
        let there = planted
            .keys()
            .any(|(_, guarantee)| plant.starts_with(guarantee.as_str()));
        assert_eq!(there, plant != "well-behaved", "{plant}: {planted:?}");
    }
}

#[test]
fn every_foreign_history_keeps_its_verdict() {
    let mut differences = Vec::new();
    let mut shown = BTreeSet::new();
    let histories = entries(&exhibits().join("foreign"));
    for file in histories
        .iter()
        .filter(|it| it.extension().is_some_and(|it| it == "edn"))
    {
        let now = foreign(file);
        let name = name(file);
        let (valid, errors) = (&now.jepsen.verdict["valid"], &now.jepsen.verdict["errors"]);
        match name.as_str() {
            "held" => assert_eq!(*valid, true, "{now:?}"),
            "crash" => assert_eq!(*valid, "unknown", "{now:?}"),
            // Exported from the run of the same name: clients alone see the loss as well.
            "canary-kip101" => assert_eq!(errors["lost-write"], 1, "{now:?}"),
            "read-then-vanished" => assert_eq!(now.native.verdict["bad"][0], name, "{now:?}"),
            // A slow reader looks the same: listed, and nobody convicted.
            "read-then-perhaps-vanished" => {
                assert_eq!(now.native.verdict["errors"]["read-then-vanished"], 1);
                assert_eq!(now.native.verdict["valid"], "unknown", "{now:?}");
            }
            _ => assert!(errors[&name].as_u64() >= Some(1), "{name}: {errors}"),
        }
        shown.insert(name);
        compare(
            &file.with_extension("expected.json"),
            &now,
            &mut differences,
        );
    }
    for kind in [
        "lost-write",
        "G1c",
        "duplicate",
        "poll-skip",
        "unseen",
        "held",
        "crash",
    ] {
        assert!(shown.contains(kind), "{kind} has no exhibit");
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Judged by both rules, with the flags that its comment `;; flags: ...` gives.
fn foreign(file: &Path) -> Foreign {
    let text = fs::read_to_string(file).expect("text");
    let flags = text
        .lines()
        .find_map(|line| line.strip_prefix(";; flags: "));
    let flags: Vec<&str> = flags.unwrap_or_default().split_whitespace().collect();
    let at = dir();
    let printed = |rules| {
        let file = file.display().to_string();
        let asked = ["check", &file, "--json", "--rules", rules];
        let Said { code, out, err } = tidemark(at.path(), &[&asked, flags.as_slice()].concat());
        Printed {
            exit_code: code.expect("a code"),
            verdict: serde_json::from_str(&out).unwrap_or_else(|it| panic!("{file}: {it}: {err}")),
        }
    };
    Foreign {
        format: FORMAT,
        jepsen: printed("jepsen"),
        native: printed("native"),
    }
}

#[test]
fn a_byte_more_or_less_is_noticed_by_the_seal() {
    let at = dir();
    let run = at.path().join("run");
    copy(&runs()["phantom"], &run);
    let opened = RunDir::open(&run).expect("a run");
    assert_eq!(opened.verify(), Ok(vec![]));
    let sealed = files(&run);
    let sealed = sealed.iter().filter(|it| *it != Path::new("seal.json"));
    let mut tried = 0;
    for file in sealed {
        let path = run.join(file);
        let bytes = fs::read(&path).expect("a file");
        let changed = vec![Difference::Changed(file.display().to_string())];
        fs::write(&path, [bytes.as_slice(), b"\n"].concat()).expect("written");
        assert_eq!(opened.verify(), Ok(changed.clone()), "a byte more");
        if let Some((_, less)) = bytes.split_last() {
            fs::write(&path, less).expect("written");
            assert_eq!(opened.verify(), Ok(changed), "a byte less");
        }
        fs::write(&path, bytes).expect("written");
        tried += 1;
    }
    assert!(tried > 12, "{tried} files");
    assert_eq!(opened.verify(), Ok(vec![]));
    // And the judge says so, whatever the byte stands for.
    let plan = fs::read_to_string(opened.plan_toml()).expect("a plan");
    fs::write(opened.plan_toml(), plan + "\n").expect("written");
    let (_, judgement) = judged(&run);
    let said = serde_json::to_string(&judgement).expect("JSON");
    assert!(
        said.contains("plan.toml was changed after it was sealed"),
        "{said}"
    );
}

#[test]
fn every_exhibit_is_whole_small_and_nothing_but_evidence() {
    for (name, run) in runs() {
        let opened = RunDir::open(&run).unwrap_or_else(|err| panic!("{name}: {err}"));
        let at = dir();
        copy(&run, &at.path().join("run"));
        let copied = RunDir::open(&at.path().join("run")).expect("a run");
        assert_eq!(copied.verify(), Ok(vec![]), "{name}");
        assert!(opened.read_setting().is_ok(), "{name}");
    }
    let here = exhibits();
    let derived = |file: &PathBuf| {
        let name = file.file_name().unwrap_or_default();
        DERIVED.iter().any(|derived| name == *derived)
    };
    let evidence: Vec<PathBuf> = files(&here).into_iter().filter(|it| !derived(it)).collect();
    let bytes = |file: &PathBuf| fs::metadata(here.join(file)).expect("a file").len();
    let all: u64 = evidence.iter().map(bytes).sum();
    assert!(all <= LARGEST, "{all} bytes of exhibits");
}

/// A version that is raised without an exhibit of the version before would leave old runs unread.
#[test]
fn every_format_ever_written_has_an_exhibit() {
    let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut seals = BTreeSet::new();
    let mut settings = BTreeSet::new();
    let mut histories = BTreeSet::new();
    for run in runs().values() {
        let opened = RunDir::open(run).expect("a run");
        seals.insert(opened.read_seal().expect("read").expect("a seal").format);
        let setting = fs::read_to_string(opened.setting_json()).expect("there");
        let setting: Value = serde_json::from_str(&setting).expect("JSON");
        // The first settings did not say.
        settings.insert(setting["format"].as_u64().unwrap_or(0));
        let history = fs::read(opened.history_file()).expect("there");
        histories.insert(number(&history[8..12]));
    }
    assert_eq!(seals, (1..=SEAL_FORMAT).collect());
    assert_eq!(settings, (0..=u64::from(SETTING_FORMAT)).collect());
    assert_eq!(histories, (1..=history::frames::FORMAT).collect());
}
