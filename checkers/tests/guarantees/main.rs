//! Each guarantee three times at least: guilty, innocent, mute. Scenes are text (see `scene`).

mod causes;
mod clients;
mod compaction;
mod contract;
mod copies;
mod groups;
mod harms;
mod leaders;
mod logs;
mod loss;
mod marks;
mod offsets;
mod order;
mod replicas;
mod scene;
mod transactions;
mod watermarks;
mod whole;

use checkers::judgement::{Finding, Judgement, Verdict};
use scene::judged;

/// The verdict on a guarantee for the (first) topic that has one.
fn verdict(judgement: &Judgement, name: &str) -> Verdict {
    let (name, topic) = name.split_once(" of ").unwrap_or((name, ""));
    let topic = judgement
        .topics
        .iter()
        .find(|t| topic.is_empty() || t.topic == topic)
        .expect("the topic");
    let found = topic
        .guarantees
        .iter()
        .find(|guarantee| guarantee.name == name);
    found.expect("a guarantee of this name").verdict.clone()
}

/// It is broken, and the finding with this in its title says why.
fn convicts(name: &str, scene: &str, title: &str) -> Finding {
    let judgement = judged(scene);
    let verdict = verdict(&judgement, name);
    let Verdict::Broken {
        findings,
        observed,
        examined,
        ..
    } = &verdict
    else {
        panic!("{name}: {verdict:?}");
    };
    let counts = judgement.findings.iter();
    let counts = counts.filter(|finding| findings.contains(&finding.id));
    let told: u64 = counts.map(|finding| finding.count).sum();
    assert!((1..=told).contains(observed), "{name}: {verdict:?}");
    assert!(*examined > 0, "{name}: {verdict:?}");
    named(&judgement, findings, title)
}

/// It is not promised, was seen so often, and the finding with this in its title says so.
fn permits(name: &str, scene: &str, times: u64, title: &str) -> Finding {
    let judgement = judged(scene);
    let verdict = verdict(&judgement, name);
    let Verdict::NotPromised {
        findings,
        observed,
        examined,
        ..
    } = &verdict
    else {
        panic!("{name}: {verdict:?}");
    };
    assert_eq!(*observed, times, "{verdict:?}");
    assert!(*examined > 0, "{verdict:?}");
    named(&judgement, findings, title)
}

fn named(judgement: &Judgement, ids: &[checkers::judgement::FindingId], title: &str) -> Finding {
    let mut all = judgement
        .findings
        .iter()
        .filter(|finding| ids.contains(&finding.id));
    let titles: Vec<&str> = judgement
        .findings
        .iter()
        .map(|f| f.title.as_str())
        .collect();
    let found = all.find(|finding| finding.title.contains(title));
    found
        .unwrap_or_else(|| panic!("no `{title}` among {titles:?}"))
        .clone()
}

/// It held, having examined so many.
fn acquits(name: &str, scene: &str, examined: u64) {
    let judgement = judged(scene);
    match verdict(&judgement, name) {
        Verdict::Held { examined: n, .. } => assert_eq!(n, examined, "{name}"),
        other => panic!("{name}: {other:?}"),
    }
}

/// It is unproven, and says why.
fn abstains(name: &str, scene: &str, why: &str) {
    let judgement = judged(scene);
    match verdict(&judgement, name) {
        Verdict::Unproven { why: said, .. } => assert!(said.contains(why), "{name}: {said}"),
        other => panic!("{name}: {other:?}"),
    }
}

/// The story of a finding as one text.
fn told(finding: &Finding) -> String {
    let sentences: Vec<String> = finding
        .story
        .iter()
        .map(|s| format!("{}{}", s.text, s.missing.as_deref().unwrap_or("")))
        .collect();
    sentences.join("\n")
}
