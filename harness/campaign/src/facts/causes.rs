//! What broke promises in a run, equal causes taken together.
//!
//! It groups what the judge found, and explains nothing by itself.

use checkers::Judgement;
use checkers::judgement::{Class, Finding, Standing, Verdict};
use serde::{Deserialize, Serialize};

use super::kinds;

/// A story is cut after so many characters; the report has all of it.
const STORY_MAX: usize = 900;

/// What broke a promise in one run. Equal causes of different nights are shown as one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// The guarantee.
    pub guarantee: String,
    /// The class of the cause, as `verdict.json` names it.
    pub class: String,
    /// The topic.
    pub topic: String,
    /// The kind of the fault that the fail-over followed, where one explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// Records (or cuts, or moments) concerned.
    pub count: u64,
    /// The first finding's title.
    pub title: String,
    /// The first finding's story.
    pub story: String,
}

/// The causes of a judgement, as the judge ordered them.
pub(super) fn of(j: &Judgement) -> Vec<Cause> {
    let kinds = kinds(j);
    let mut causes: Vec<Cause> = Vec::new();
    for finding in &j.findings {
        if finding.standing != Standing::Broken {
            continue;
        }
        let explains = j
            .failovers
            .iter()
            .find(|it| it.findings.contains(&finding.id));
        let fault = explains.and_then(|failover| kinds.get(&failover.fault?));
        let cause = Cause {
            guarantee: finding.guarantee.clone(),
            class: class(finding.class),
            topic: finding.topic.clone(),
            fault: fault.map(|kind| (*kind).to_owned()),
            count: finding.count,
            title: finding.title.clone(),
            story: story(finding),
        };
        match causes.iter_mut().find(|known| known.same_as(&cause)) {
            Some(known) => known.count += cause.count,
            None => causes.push(cause),
        }
    }
    causes.extend(untold(j, &causes));
    causes
}

/// Guarantees that are broken without a finding that says so.
fn untold(j: &Judgement, told: &[Cause]) -> Vec<Cause> {
    let mut causes = Vec::new();
    for topic in &j.topics {
        for guarantee in &topic.guarantees {
            let Verdict::Broken {
                observed,
                examined,
                unit,
                ..
            } = &guarantee.verdict
            else {
                continue;
            };
            let name = &guarantee.name;
            if told
                .iter()
                .any(|it| it.guarantee == *name && it.topic == topic.topic)
            {
                continue;
            }
            causes.push(Cause {
                guarantee: name.clone(),
                class: class(Class::Plain),
                topic: topic.topic.clone(),
                fault: None,
                count: *observed,
                title: format!(
                    "{}: \"{}\" is broken for {observed} of {examined} {unit}",
                    topic.topic, guarantee.sentence
                ),
                story: String::new(),
            });
        }
    }
    causes
}

impl Cause {
    /// Whether another is the same cause; of one plan, that is.
    pub fn same_as(&self, other: &Self) -> bool {
        self.guarantee == other.guarantee
            && self.class == other.class
            && self.topic == other.topic
            && self.fault == other.fault
    }
}

fn class(class: Class) -> String {
    let value = serde_json::to_value(class).ok();
    let name = value.as_ref().and_then(|value| value.as_str());
    name.map_or_else(|| format!("{class:?}"), str::to_owned)
}

fn story(finding: &Finding) -> String {
    let sentences = finding.story.iter().map(|sentence| sentence.text.as_str());
    let mut story = String::new();
    for sentence in sentences {
        if !story.is_empty() {
            story.push(' ');
        }
        story.push_str(sentence);
        if story.chars().count() > STORY_MAX {
            let mut cut: String = story.chars().take(STORY_MAX).collect();
            cut.push('…');
            return cut;
        }
    }
    story
}
