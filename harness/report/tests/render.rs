//! Judgements in, text out: what people and machines are shown, compared with files.
//!
//! `UPDATE=1 cargo test -p report` writes the files again; look at them before committing.

mod common;

use checkers::Judgement;
use checkers::judgement::{
    Class, Ended, Expectation, Fold, Group, Guarantee, PremiseState, Standing, Verdict,
};
use common::{assert_balanced, attributes, demo, demo_json, same_as_file};

/// A run in which everything happened that a verdict can say.
fn stormy() -> Judgement {
    let mut j = demo();
    j.fold = Fold::Broken;
    j.sentence = "Broken. ledger lost 3 acknowledged records below the high watermark.".to_owned();
    j.expected = Some(Expectation {
        wanted: Fold::Held,
        met: false,
    });
    j.ended = Ended::Interrupted {
        signal: "TERM".to_owned(),
    };
    j.premises[1].state = PremiseState::Failed {
        why: "the image of n2 could not be read".to_owned(),
    };
    let template = j.findings[0].clone();
    j.findings = CLASSES
        .iter()
        .zip(1..)
        .map(|(class, id)| {
            let mut finding = template.clone();
            finding.id = checkers::judgement::FindingId(id);
            finding.class = *class;
            finding.standing = match id {
                1 | 2 => Standing::Broken,
                3 => Standing::Undetermined,
                _ => Standing::NotPromised,
            };
            finding
        })
        .collect();
    j.findings[0].story[1].missing = Some("the image of n0 before its return".to_owned());
    let ledger = &mut j.topics[0];
    ledger.guarantees[4].verdict = Verdict::Broken {
        findings: j.findings.iter().map(|f| f.id).collect(),
        observed: 3,
        examined: 26_707,
        unit: "acknowledged records".to_owned(),
    };
    ledger.guarantees[2].verdict = Verdict::Unproven {
        why: "the drain did not reach the end".to_owned(),
        findings: vec![],
    };
    ledger.accounting.imbalance = vec!["1 record is in no row".to_owned()];
    ledger.accounting.acknowledged.present -= 4;
    ledger.accounting.acknowledged.lost = 3;
    ledger.accounting.acknowledged.lost_below_hw = 3;
    ledger.guarantees.push(Guarantee {
        name: "phantom".to_owned(),
        sentence: "every record is one that was sent".to_owned(),
        group: Group::Records,
        verdict: Verdict::Held {
            examined: 5,
            unit: "records".to_owned(),
        },
        premises: vec![],
    });
    j
}

const CLASSES: [Class; 17] = [
    Class::Unexplained,
    Class::KnownBadProtocol,
    Class::Undetermined,
    Class::UncleanElection,
    Class::LossyLeader,
    Class::LastStanding,
    Class::AllDown,
    Class::StaleReadmission,
    Class::Damage,
    Class::ZookeeperRolledBack,
    Class::Compaction,
    Class::LoadRecovery,
    Class::DirtyHw,
    Class::AboveHw,
    Class::Expired,
    Class::Resend,
    Class::Plain,
];

/// A run of which nothing is left but its name.
fn empty() -> Judgement {
    let mut json = demo_json();
    for list in [
        "premises",
        "topics",
        "findings",
        "truncations",
        "availability",
    ] {
        json[list] = serde_json::json!([]);
    }
    for list in ["faults", "phases", "failovers", "limits"] {
        json[list] = serde_json::json!([]);
    }
    json["fold"] = "unproven".into();
    json["sentence"] = "Unproven. Nothing was examined: the history is empty.".into();
    json["ended"] = serde_json::json!({ "how": "incomplete" });
    for (_, count) in json["totals"].as_object_mut().expect("totals") {
        *count = 0.into();
    }
    json["timeline"] = serde_json::json!({
        "length": 0, "sends": {}, "deliveries": {}, "gaps": [], "leadership": [], "faults": []
    });
    serde_json::from_value(json).expect("a judgement")
}

fn all_three(name: &str, j: &Judgement) {
    let page = report::html(j);
    assert_balanced(&page);
    same_as_file(&format!("{name}.html"), &page);
    let junit = report::junit(j).expect("it can be written");
    assert_balanced(&junit);
    same_as_file(&format!("{name}.junit.xml"), &junit);
    same_as_file(&format!("{name}.md"), &report::markdown(j));
    assert_eq!(page, report::html(j), "the same judgement, the same bytes");
}

#[test]
fn the_demo_is_rendered_as_the_files_say() {
    all_three("demo", &demo());
}

#[test]
fn everything_that_a_verdict_can_say_is_rendered() {
    all_three("stormy", &stormy());
}

#[test]
fn a_run_that_examined_nothing_says_so() {
    let j = empty();
    all_three("empty", &j);
    let junit = report::junit(&j).expect("it can be written");
    assert!(junit.contains("tests=\"1\"") && junit.contains("errors=\"1\""));
}

#[test]
fn what_broke_comes_before_the_contract_and_its_row_comes_first() {
    let page = report::html(&stormy());
    let at = |needle: &str| {
        page.find(needle)
            .unwrap_or_else(|| panic!("{needle} is missing"))
    };
    assert!(at("id=\"broken\"") < at("id=\"contract\""));
    assert!(at("divergence-below-hw") < at("acked-lost-below-hw"));
    assert!(at("id=\"l1\"") < at("id=\"contract\"") && at("id=\"l3\"") > at("id=\"contract\""));
    assert!(!report::html(&demo()).contains("id=\"broken\""));
}

#[test]
fn every_verdict_and_every_cause_has_its_words() {
    let page = report::html(&stormy());
    for words in ["held", "broken", "unproven", "not promised"] {
        let pill = format!("\">{words}</span>");
        assert!(page.contains(&pill), "{words}");
    }
    for words in [
        "nothing recorded explains it",
        "known to lose",
        "evidence is missing",
        "unclean election",
        "had lost data",
        "KAFKA-14704",
        "above the high watermark, proven",
        "by retention",
        "sent again by the client",
        "interrupted by TERM",
        "and it did not",
        "Premise not met",
        "does not balance",
        "it would take the image of",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn every_link_within_the_page_leads_somewhere_and_no_name_is_used_twice() {
    for j in [demo(), stormy(), empty()] {
        let page = report::html(&j);
        let mut ids = attributes(&page, "id");
        for target in attributes(&page, "href") {
            if let Some(id) = target.strip_prefix('#') {
                assert!(ids.iter().any(|known| known == id), "#{id} leads nowhere");
            }
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "an id stands twice");
    }
}

#[test]
fn junit_counts_what_the_contract_says() {
    let junit = report::junit(&stormy()).expect("it can be written");
    // The run itself is the second failure; both topics have six guarantees, ledger one more.
    assert!(junit.contains("tests=\"14\" skipped=\"2\" failures=\"2\" errors=\"1\""));
    let held = report::junit(&demo()).expect("it can be written");
    assert!(held.contains("tests=\"13\" skipped=\"2\" failures=\"0\" errors=\"0\""));
}

#[test]
fn however_a_run_ended_it_is_said_at_the_top() {
    let why = || "the load never came".to_owned();
    let endings = [
        (
            Ended::Interrupted {
                signal: "HUP".to_owned(),
            },
            "interrupted by HUP",
        ),
        (Ended::CutShort { why: why() }, "stopped itself"),
        (
            Ended::Failed { why: why() },
            "the lab failed: the load never came",
        ),
        (Ended::Incomplete, "has no seal"),
    ];
    for (ended, words) in endings {
        let j = Judgement { ended, ..demo() };
        let page = report::html(&j);
        let said = page
            .find(words)
            .unwrap_or_else(|| panic!("{words} is missing"));
        assert!(said < page.find("<nav").expect("contents"), "{words}");
        assert!(report::markdown(&j).contains(words), "{words}");
    }
    assert!(!report::html(&demo()).contains("class=\"notice\""));
}
