//! Pages stay sound whatever stands in a judgement: hostile text, many fail-overs, long runs.

mod common;

use checkers::Judgement;
use checkers::judgement::{FindingId, PartitionLead, Standing};
use common::{assert_balanced, attributes, change_text, demo, demo_json, tags};
use history::{Epoch, Mark};
use proptest::prelude::*;

fn with_text(change: impl Fn(&str) -> String) -> Judgement {
    let mut json = demo_json();
    change_text(&mut json, &change);
    serde_json::from_value(json).expect("free text may be anything")
}

/// What no page of ours may ever hold, whatever it quotes.
fn assert_inert(page: &str) {
    const RUNS: [&str; 6] = ["script", "iframe", "img", "object", "link", "form"];
    for tag in tags(page) {
        assert!(!RUNS.contains(&tag.name.as_str()), "{tag:?}");
        let outside_quotes: String = tag.inner.split('"').step_by(2).collect();
        assert!(!outside_quotes.contains(" on"), "an event handler: {tag:?}");
        assert!(!outside_quotes.contains(" src="), "{tag:?}");
    }
    for target in attributes(page, "href") {
        let scheme = target.contains(':') || target.starts_with("//");
        assert!(!scheme, "{target} leads out of the run's directory");
    }
    assert!(page.contains("Content-Security-Policy") && page.contains("default-src 'none'"));
}

#[test]
fn hostile_text_stays_text_everywhere() {
    for hostile in [
        "<script>alert(1)</script>",
        "\" onload=\"alert(1)",
        "javascript:alert(1)",
        "</style><script>alert(1)</script>",
        "nodes/../../etc/passwd\u{0}\u{1b}]0;x\u{7}",
        "a|b `c` [d](http://e) *f* <g> & \\",
        "",
    ] {
        let j = with_text(|_| hostile.to_owned());
        let page = report::html(&j);
        assert_balanced(&page);
        assert_inert(&page);
        assert_balanced(&report::junit(&j).expect("it can be written"));
        let summary = report::markdown(&j);
        let (told, command) = summary
            .rsplit_once("Repeat it: `")
            .expect("the command is last");
        assert!(!told.contains('<'), "raw HTML in the summary: {told}");
        assert_eq!(
            command.find('`'),
            Some(command.len() - 2),
            "one code span: {command}"
        );
    }
    // The same appended: names stay different, and sentences keep their words.
    let j = with_text(|text| format!("{text}<script>"));
    let page = report::html(&j);
    assert_inert(&page);
    assert!(page.contains("ledger&lt;script&gt;"));
    assert!(page.contains("Truncating to offset 8079&lt;script&gt;"));
}

#[test]
fn tables_of_the_summary_keep_their_columns() {
    let summary = report::markdown(&with_text(|text| format!("{text} | x")));
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let counts: Vec<_> = summary
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(bars)
        .collect();
    assert!(
        counts.len() > 5 && counts.iter().all(|n| *n == 4),
        "{counts:?}"
    );
}

/// The demo with `count` fail-overs, findings and partitions.
fn crowded(count: u32) -> Judgement {
    let mut j = demo();
    let (failover, finding) = (j.failovers[0].clone(), j.findings[0].clone());
    let lead = j.timeline.leadership[1].clone();
    j.failovers.clear();
    j.findings.clear();
    for i in 0..count {
        let mut failover = failover.clone();
        failover.from_epoch = Epoch(i as i32);
        failover.to_epoch = Epoch(i as i32 + 1);
        failover.quiet = i % 3 == 0;
        failover.findings = vec![FindingId(i + 1)];
        j.failovers.push(failover);
        let mut finding = finding.clone();
        finding.id = FindingId(i + 1);
        if i < 5 {
            finding.standing = Standing::Broken;
        }
        j.findings.push(finding);
        j.timeline.leadership.push(PartitionLead {
            partition: format!("metrics/{}", i + 1),
            ..lead.clone()
        });
    }
    j
}

#[test]
fn fifty_failovers_stay_a_page_that_can_be_read() {
    let j = crowded(50);
    let page = report::html(&j);
    assert_balanced(&page);
    let details: Vec<_> = tags(&page)
        .into_iter()
        .filter(|tag| tag.name == "details" && !tag.closes)
        .collect();
    let open = details
        .iter()
        .filter(|tag| tag.inner.ends_with(" open"))
        .count();
    assert!(details.len() > 80, "every fail-over and finding is there");
    assert!(open <= 10, "{open} parts stand open");
    assert!(page.contains("25 more findings") && page.contains("48 further partitions"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
    for id in 1..=50 {
        assert!(page.contains(&format!("id=\"l{id}\"")), "l{id} is missing");
    }
}

#[test]
fn a_day_long_run_is_thinned_and_keeps_its_extremes() {
    let mut j = demo();
    j.timeline.length = Mark::from_millis(86_400_000);
    let rate = j.timeline.sends.get_mut("ledger").expect("ledger");
    rate.acknowledged = vec![450; 86_400];
    rate.acknowledged[40_001] = 0;
    rate.acknowledged[70_001] = 987_654;
    rate.unsuccessful = vec![0; 86_400];
    let page = report::html(&j);
    assert!(page.len() < 400_000, "{} bytes", page.len());
    assert!(page.contains("at most 987\u{202f}654"));
}

#[test]
fn a_cut_of_few_records_far_from_other_marks_is_still_drawn_large() {
    let mut j = demo();
    let f = &mut j.failovers[0];
    let cut = checkers::judgement::OffsetRange {
        from: 50_000_000,
        to: 50_000_003,
    };
    f.lost = Some(cut);
    f.before[0].cut = Some(cut);
    for picture in f.before.iter_mut().chain(&mut f.after) {
        picture.segments.truncate(1);
        picture.segments[0].to = 50_000_003;
    }
    let page = report::html(&j);
    let widths = tags(&page)
        .into_iter()
        .filter(|tag| tag.inner.contains("url(#cut)"))
        .flat_map(|tag| attributes(&format!("<{}>", tag.inner), "width"))
        .filter_map(|width| width.parse::<f64>().ok());
    assert!(widths.fold(0.0, f64::max) > 100.0);
    assert!(page.contains("← HW @8074"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn any_text_gives_sound_output(text in "\\PC{0,40}", control in any::<char>()) {
        let j = with_text(|was| format!("{was}{text}{control}"));
        let page = report::html(&j);
        assert_balanced(&page);
        assert_inert(&page);
        assert_balanced(&report::junit(&j).expect("it can be written"));
        report::markdown(&j);
    }

    #[test]
    fn any_number_gives_sound_output(numbers in proptest::collection::vec(any::<u64>(), 1..20)) {
        let mut json = demo_json();
        let next = std::cell::RefCell::new(numbers.iter().cycle());
        change_numbers(&mut json, &|was| {
            let n = *next.borrow_mut().next().expect("it cycles");
            // Nodes, epochs and lines are small; counts, times and offsets may be any number.
            if was < 1000 { n % 7 } else { n >> (n % 60) >> 1 }
        });
        let j: Judgement = serde_json::from_value(json).expect("every number is in its range");
        let page = report::html(&j);
        assert_balanced(&page);
        prop_assert!(!page.contains("NaN") && !page.contains("inf\""));
        report::junit(&j).expect("it can be written");
        report::markdown(&j);
    }
}

fn change_numbers(value: &mut serde_json::Value, change: &impl Fn(u64) -> u64) {
    use serde_json::Value;
    match value {
        Value::Number(n) => *n = change(n.as_u64().unwrap_or(0)).into(),
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| change_numbers(item, change)),
        Value::Object(fields) => fields
            .iter_mut()
            .for_each(|(_, field)| change_numbers(field, change)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
