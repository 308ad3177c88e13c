//! A setting on a timeline: what it was at first, and what it was changed to under load.
//!
//! A change is in force from some moment between its request and its reading back; what lies in
//! between may have met either value, and is said to. Where it is not known whether a topic follows
//! its brokers, a change of theirs may have reached it or not, and both courses count.

use history::{Alteration, Mark, Topic};

use crate::facts::Facts;
use crate::judgement::TimeSpan;

/// A setting of one topic, over the run.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Values in order; of a topic that may follow its brokers, what they were if it does not.
    values: Vec<Held>,
    /// What they were if it does, where that is another course.
    following: Option<Vec<Held>>,
}

/// A value with the widest span in which it may have been in force.
type Held = (TimeSpan, Option<String>);

/// Whether something was in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Force {
    /// Throughout.
    Yes,
    /// At no moment.
    No,
    /// At some moment, or perhaps.
    Either,
}

impl Timeline {
    /// A setting that nothing changes.
    pub fn fixed(value: Option<&str>) -> Self {
        Self {
            values: vec![always(value.map(str::to_owned))],
            following: None,
        }
    }

    /// A topic's setting as it was found, and as it was changed: of the topic itself, or of the
    /// brokers where the topic says nothing else than they do.
    pub fn of(facts: &Facts, topic: &Topic, key: &str) -> Self {
        let recording = facts.recording;
        let on_brokers = broker_key(key);
        let found = recording.setting.topics.get(topic);
        let found = found.and_then(|setting| setting.config.get(key)).cloned();
        let brokers = facts.broker_setting(on_brokers).map(str::to_owned);
        let mut changes: Vec<&Alteration> = facts
            .alterations
            .iter()
            .filter(|change| match &change.topic {
                Some(of) => of == topic && change.key == key,
                None => change.key == on_brokers,
            })
            .copied()
            .collect();
        changes.sort_by_key(|change| (change.asked, change.answered));
        let course = |own: Option<String>| course(own, brokers.clone(), &changes);
        match overrides(facts, topic, key, found.as_ref(), brokers.as_ref()) {
            Some(true) => Self::sure(course(found)),
            Some(false) => Self::sure(course(None)),
            None => {
                let (own, mut following) = (course(found.clone()), course(None));
                // What the topic was found to have it had, by whichever way.
                following[0].1 = found;
                Self {
                    following: Some(following).filter(|following| *following != own),
                    values: own,
                }
            }
        }
    }

    fn sure(values: Vec<Held>) -> Self {
        Self {
            values,
            following: None,
        }
    }

    /// The values with their spans, by either course.
    fn all(&self) -> impl Iterator<Item = &Held> {
        self.values.iter().chain(self.following.iter().flatten())
    }

    /// The values that may have been in force at some moment of a span.
    pub fn within(&self, span: TimeSpan) -> impl Iterator<Item = Option<&str>> {
        let meets = move |of: &TimeSpan| of.from <= span.to && span.from <= of.to;
        let values = self.all().filter(move |(of, _)| meets(of));
        values.map(|(_, value)| value.as_deref())
    }

    /// Every value with the widest span in which it may have been in force.
    pub fn spans(&self) -> impl Iterator<Item = (TimeSpan, Option<&str>)> {
        self.all().map(|(span, value)| (*span, value.as_deref()))
    }

    /// What it was at first.
    pub fn first(&self) -> Option<&str> {
        self.values.first().and_then(|(_, value)| value.as_deref())
    }

    /// Every value that was ever in force, or may have been.
    pub fn ever(&self) -> impl Iterator<Item = Option<&str>> {
        self.all().map(|(_, value)| value.as_deref())
    }

    /// Whether a value like this was in force in a span.
    pub fn was(&self, span: TimeSpan, wanted: impl Fn(Option<&str>) -> bool) -> Force {
        let mut values = self.within(span).map(wanted);
        let Some(first) = values.next() else {
            return Force::Either;
        };
        match (first, values.all(|value| value == first)) {
            (true, true) => Force::Yes,
            (false, true) => Force::No,
            (_, false) => Force::Either,
        }
    }

    /// "2, then 1 from 4.000s on", in the order of the changes.
    pub fn words(&self) -> String {
        let own = course_words(&self.values);
        match &self.following {
            None => own,
            Some(following) => format!(
                "{own}, or, if the topic follows its brokers, which was not recorded, {}",
                course_words(following)
            ),
        }
    }

    /// Whether it was changed, or may have been.
    pub fn changed(&self) -> bool {
        self.values.len() > 1 || self.following.is_some()
    }
}

fn always(value: Option<String>) -> Held {
    let span = TimeSpan {
        from: Mark(0),
        to: Mark(u64::MAX),
    };
    (span, value)
}

/// Whether a topic has a value of its own; nothing where that is not known. One that reports what the
/// brokers say, and was asked nothing else, follows them.
fn overrides(
    facts: &Facts,
    topic: &Topic,
    key: &str,
    found: Option<&String>,
    brokers: Option<&String>,
) -> Option<bool> {
    let Some(found) = found else {
        return Some(false);
    };
    // Topics are created with this one always.
    let always = key == "min.insync.replicas";
    let asked = facts.recording.plan.topics.get(topic);
    match asked.map(|spec| always || spec.properties.contains_key(key)) {
        Some(asked) => Some(asked || brokers.is_some_and(|brokers| brokers != found)),
        None if brokers.is_some_and(|brokers| brokers != found) => Some(true),
        None => None,
    }
}

/// The values of a topic with this one of its own, or none, under these changes.
fn course(
    mut own: Option<String>,
    mut brokers: Option<String>,
    changes: &[&Alteration],
) -> Vec<Held> {
    let mut values = vec![always(own.as_ref().or(brokers.as_ref()).cloned())];
    for change in changes {
        match change.topic {
            Some(_) => own.clone_from(&change.value),
            None => brokers.clone_from(&change.value),
        }
        let value = own.as_ref().or(brokers.as_ref()).cloned();
        if let Some((span, last)) = values.last_mut() {
            if *last == value {
                continue;
            }
            span.to = change.answered;
        }
        let (always, value) = always(value);
        let from = change.asked;
        values.push((TimeSpan { from, ..always }, value));
    }
    values
}

fn course_words(values: &[Held]) -> String {
    let name = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
    let mut words: Vec<String> = Vec::new();
    for (index, (span, value)) in values.iter().enumerate() {
        words.push(match index {
            0 => name(value),
            _ => format!("{} from {} on", name(value), span.from),
        });
    }
    words.join(", then ")
}

/// What brokers call a topic's setting.
fn broker_key(key: &str) -> &str {
    match key {
        "flush.messages" => "log.flush.interval.messages",
        "retention.ms" => "log.retention.ms",
        "retention.bytes" => "log.retention.bytes",
        "cleanup.policy" => "log.cleanup.policy",
        "delete.retention.ms" => "log.cleaner.delete.retention.ms",
        key => key,
    }
}
