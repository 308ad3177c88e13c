//! `junit.xml`: what a continuous-integration server shows.
//!
//! Broken is a failure, unproven an error, not promised a skip with its reason. A run without any
//! guarantee would be an empty suite, which servers count as a success: the case `run` prevents it.

use checkers::Judgement;
use checkers::judgement::{Finding, FindingId, Fold, Guarantee, Verdict};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::text;

/// The report with its one suite.
pub fn report(j: &Judgement) -> Report {
    let mut suite = TestSuite::new(format!("{} {}", j.plan, j.run));
    suite.add_property(("seed", j.seed.to_string().as_str()));
    suite.add_property(("kafka", j.kafka.as_str()));
    suite.add_property(("rules_version", j.rules_version.to_string().as_str()));
    suite.add_property(("repeat", text::repeat(j).as_str()));
    suite.set_time(std::time::Duration::from_nanos(j.totals.length.0));
    suite.add_test_case(the_run(j));
    for topic in &j.topics {
        for guarantee in &topic.guarantees {
            let mut case = TestCase::new(
                format!("{}: {}", topic.topic, guarantee.name),
                status(j, guarantee),
            );
            case.set_classname(format!("{}.{}", j.plan, topic.topic));
            suite.add_test_case(case);
        }
    }
    let mut report = Report::new("tidemark");
    report.add_test_suite(suite);
    report
}

/// The run as a whole: all folded, premises and the way it ended included.
fn the_run(j: &Judgement) -> TestCase {
    let status = match j.fold {
        Fold::Held => TestCaseStatus::success(),
        Fold::Broken => refused(NonSuccessKind::Failure, "broken", &j.sentence),
        Fold::Unproven => refused(NonSuccessKind::Error, "unproven", &j.sentence),
    };
    let mut case = TestCase::new("run", status);
    case.set_classname(j.plan.clone());
    case.set_system_out(j.sentence.clone());
    case
}

fn refused(kind: NonSuccessKind, verdict: &str, message: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(verdict).set_message(message);
    status
}

fn status(j: &Judgement, guarantee: &Guarantee) -> TestCaseStatus {
    match &guarantee.verdict {
        Verdict::Held { .. } => TestCaseStatus::success(),
        Verdict::Broken {
            findings,
            observed,
            examined,
            unit,
        } => {
            let message = format!(
                "{}: broken for {observed} of {examined} {unit}",
                guarantee.sentence
            );
            let mut status = refused(NonSuccessKind::Failure, "broken", &message);
            status.set_description(told(j, findings));
            status
        }
        Verdict::Unproven { why, findings } => {
            let mut status = refused(NonSuccessKind::Error, "unproven", why);
            status.set_description(told(j, findings));
            status
        }
        Verdict::NotPromised {
            why,
            observed,
            examined,
            unit,
            findings,
        } => {
            let mut status = TestCaseStatus::skipped();
            status
                .set_type("not-promised")
                .set_message(format!("{why}; seen {observed} in {examined} {unit}"))
                .set_description(told(j, findings));
            status
        }
    }
}

/// Titles and stories of the findings named.
fn told(j: &Judgement, ids: &[FindingId]) -> String {
    let named = |id: &&FindingId| j.findings.iter().find(|finding| finding.id == **id);
    ids.iter()
        .filter_map(|id| named(&id))
        .map(story)
        .collect::<Vec<_>>()
        .join("\n")
}

fn story(finding: &Finding) -> String {
    let mut text = format!("{} {}\n", finding.id, finding.title);
    for (i, sentence) in finding.story.iter().enumerate() {
        text += &format!("  {}. {}\n", i + 1, sentence.text);
    }
    for witness in &finding.evidence {
        let line = witness
            .line
            .map_or(String::new(), |line| format!(":{line}"));
        text += &format!("  {}{line}  {}\n", witness.source, witness.text.trim_end());
    }
    text
}
