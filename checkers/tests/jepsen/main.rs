//! Foreign histories and what they must come to: guilty, innocent and mute ones for each anomaly
//! of Jepsen's Kafka checker, its limits and crashes, and where our own rules differ.
//!
//! The cases are data, in `cases/`: histories in EDN, each with what is expected as comments.
//!
//! ```text
//! ;; == name               a case begins
//! ;; flags: ww-deps, subscribed=yes
//! ;; jepsen: type 2, ...   exactly these types so often; or `nothing`; or `crash why`
//! ;; bad: type, ...        exactly these invalidate
//! ;; entry type: {...}     one of the anomalies of this type is exactly this
//! ;; native: type, ...     our rules: exactly these are broken
//! ;; native entry type: {...}
//! ;; held: name n, ...     our rules: held, so much was examined
//! ;; mute: name, ...       our rules: unproven, nothing was examined
//! ;; open: name, ...       our rules: unproven, for a reason
//! ```

mod metamorphic;

use checkers::jepsen::{Asked, ForeignVerdict, Valid, judge_as_jepsen, judge_natively};
use serde_json::Value;

const CASES: [(&str, &str); 7] = [
    ("offsets", include_str!("cases/offsets.edn")),
    ("transactions", include_str!("cases/transactions.edn")),
    ("loss", include_str!("cases/loss.edn")),
    ("polls", include_str!("cases/polls.edn")),
    ("sends", include_str!("cases/sends.edn")),
    ("cycles", include_str!("cases/cycles.edn")),
    ("limits", include_str!("cases/limits.edn")),
];

/// One history and what is said of it.
struct Case {
    name: String,
    text: String,
    asked: Asked,
    expected: Vec<(String, String)>,
}

/// All of them.
fn cases() -> Vec<Case> {
    let all = CASES.iter().flat_map(|(file, text)| {
        let cases = text.split(";; == ").skip(1);
        cases.map(move |case| Case::parse(file, case))
    });
    let all: Vec<Case> = all.collect();
    assert!(all.len() > 80, "{} cases were read", all.len());
    all
}

impl Case {
    fn parse(file: &str, case: &str) -> Case {
        let (name, text) = case.split_once('\n').expect("a name and a history");
        let comments = text.lines().filter_map(|line| line.strip_prefix(";; "));
        let expected = comments.filter_map(|line| line.split_once(": "));
        let expected: Vec<(String, String)> = expected
            .map(|(what, how)| (what.to_owned(), how.to_owned()))
            .collect();
        let flags = expected.iter().find(|(what, _)| what == "flags");
        let flags = flags.map_or("", |(_, flags)| flags);
        let subscribed = match () {
            () if flags.contains("subscribed=yes") => Some(true),
            () if flags.contains("subscribed=no") => Some(false),
            () => None,
        };
        Case {
            name: format!("{file}: {name}"),
            text: text.to_owned(),
            asked: Asked {
                ww_deps: flags.contains("ww-deps"),
                subscribed,
            },
            expected,
        }
    }

    fn all<'a>(&'a self, what: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.expected.iter().filter(move |(name, _)| name == what);
        named.map(|(_, how)| how.as_str())
    }

    /// A list, sorted; `nothing` is the empty one.
    fn list(&self, what: &str) -> Option<Vec<String>> {
        let text = self.all(what).next()?;
        let mut list: Vec<String> = text.split(", ").map(str::to_owned).collect();
        list.retain(|item| item != "nothing");
        list.sort();
        Some(list)
    }

    /// The entries that are named one by one.
    fn entries(&self, prefix: &str) -> Vec<(&str, Value)> {
        let mut entries = Vec::new();
        for (what, how) in &self.expected {
            if let Some(name) = what.strip_prefix(prefix) {
                let entry = serde_json::from_str(how).expect("an entry in JSON");
                entries.push((name, entry));
            }
        }
        entries
    }
}

/// Names with counts, as cases write them.
fn errors(verdict: &ForeignVerdict<'_>) -> Vec<String> {
    let mut errors: Vec<String> = verdict
        .errors()
        .map(|(name, n)| format!("{name} {n}"))
        .collect();
    errors.sort();
    errors
}

fn assert_entries(case: &Case, json: &Value, wanted: Vec<(&str, Value)>) {
    for (name, entry) in wanted {
        let found = json["anomalies"][name]
            .as_array()
            .cloned()
            .unwrap_or_default();
        assert!(
            found.contains(&entry),
            "{}: no {entry} in {found:#?}",
            case.name
        );
    }
}

#[test]
fn every_case_by_jepsens_rules() {
    let mut wrong = Vec::new();
    for case in cases() {
        let history = exchange::foreign::read(case.text.as_bytes()).expect(&case.name);
        let verdict = judge_as_jepsen(&history, case.asked);
        let json = serde_json::to_value(&verdict).expect("a verdict is JSON");
        let wanted = case.all("jepsen").next().expect(&case.name);
        if let Some(why) = wanted.strip_prefix("crash ") {
            assert_eq!(verdict.valid, Valid::Unknown, "{}", case.name);
            assert_eq!(json["valid"], "unknown", "{}", case.name);
            let said = json["crash"].as_str().unwrap_or_default();
            assert!(said.contains(why), "{}: {said}", case.name);
            continue;
        }
        if Some(errors(&verdict)) != case.list("jepsen") {
            let found = errors(&verdict).join(", ");
            wrong.push(format!("{}: found {found}, wanted {wanted}", case.name));
            continue;
        }
        let bad: Vec<String> = verdict.bad.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            Some(&bad),
            case.list("bad").as_ref(),
            "{}: {json:#}",
            case.name
        );
        assert_eq!(json["valid"], bad.is_empty(), "{}", case.name);
        assert!(
            json.get("crash").is_none() && json.get("guarantees").is_none(),
            "{json:#}"
        );
        assert_entries(&case, &json, case.entries("entry "));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_by_our_own_rules() {
    for case in cases() {
        let history = exchange::foreign::read(case.text.as_bytes()).expect(&case.name);
        let verdict = judge_natively(&history, case.asked);
        let json = serde_json::to_value(&verdict).expect("a verdict is JSON");
        let bad: Vec<String> = verdict.bad.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(
            Some(&bad),
            case.list("native").as_ref(),
            "{}: {json:#}",
            case.name
        );
        // Nothing is ever proven of replicas.
        let wanted = if bad.is_empty() {
            Valid::Unknown
        } else {
            Valid::No
        };
        assert_eq!(verdict.valid, wanted, "{}", case.name);
        let row = |name: &str| {
            let row = verdict.guarantees.iter().find(|row| row.name == name);
            row.unwrap_or_else(|| panic!("{}: no guarantee {name}", case.name))
                .clone()
        };
        assert_eq!(row("committed-lost").why, Some("no images"));
        for name in case.list("mute").unwrap_or_default() {
            let row = row(&name);
            assert_eq!(
                (row.verdict, row.examined),
                ("unproven", 0),
                "{}: {row:?}",
                case.name
            );
        }
        for held in case.list("held").unwrap_or_default() {
            let (name, examined) = held.split_once(' ').expect("a name and a number");
            let row = row(name);
            assert_eq!(
                (row.verdict, row.examined.to_string().as_str()),
                ("held", examined),
                "{}: {row:?}",
                case.name
            );
        }
        for name in case.list("open").unwrap_or_default() {
            let row = row(&name);
            assert_eq!(row.verdict, "unproven", "{}: {row:?}", case.name);
            assert!(
                row.examined > 0 && row.why.is_some(),
                "{}: {row:?}",
                case.name
            );
        }
        assert_entries(&case, &json, case.entries("native entry "));
    }
}

/// Every anomaly of Jepsen is somebody's, every guarantee of ours is mute once.
#[test]
fn no_anomaly_is_without_its_cases() {
    let all = cases();
    let said = |what: &str, name: &str| {
        all.iter().any(|case| {
            let list = case.list(what).unwrap_or_default();
            list.iter().any(|item| item.split(' ').next() == Some(name))
        })
    };
    let found = [
        "inconsistent-offsets",
        "duplicate",
        "G1a",
        "precommitted-read",
        "lost-write",
        "poll-skip",
        "nonmonotonic-poll",
        "int-poll-skip",
        "int-nonmonotonic-poll",
        "int-send-skip",
        "int-nonmonotonic-send",
        "nonmonotonic-send",
        "unseen",
        "G0",
        "G0-realtime",
        "G1c",
        "G1c-realtime",
        "PL-1-cycle-exists",
        "PL-2-cycle-exists",
        "strong-PL-1-cycle-exists",
        "strong-PL-2-cycle-exists",
        "empty-transaction-graph",
    ];
    for name in found {
        assert!(said("jepsen", name), "nobody is guilty of {name}");
    }
    let history = exchange::foreign::read(&b""[..]).expect("no operation is a history");
    for row in &judge_natively(&history, Asked::default()).guarantees {
        assert_eq!(row.verdict, "unproven", "{row:?}");
        if row.why != Some("no images") {
            assert!(said("mute", row.name), "{} is never mute", row.name);
        }
    }
}
