//! A setting on a timeline: what it was at first, and what it was changed to under load.
//!
//! A change is in force from some moment between its request and its reading back; what lies in
//! between may have met either value, and is said to.

use history::{Mark, Topic};

use crate::facts::Facts;
use crate::judgement::TimeSpan;

/// A setting of one topic, over the run.
#[derive(Debug, Clone, Default)]
pub struct Timeline {
    /// Values in order, each with the widest span in which it may have been in force.
    values: Vec<(TimeSpan, Option<String>)>,
}

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
        let always = TimeSpan {
            from: Mark(0),
            to: Mark(u64::MAX),
        };
        Self {
            values: vec![(always, value.map(str::to_owned))],
        }
    }

    /// A topic's setting as it was found, and as it was changed: of the topic itself, or of the
    /// brokers where the topic says nothing else than they do.
    pub fn of(facts: &Facts, topic: &Topic, key: &str) -> Self {
        let recording = facts.recording;
        let on_brokers = broker_key(key);
        let found = recording.setting.topics.get(topic);
        let found = found.and_then(|setting| setting.config.get(key));
        let asked = recording.plan.topics.get(topic);
        let asked = asked.is_some_and(|spec| spec.properties.contains_key(key));
        let mut brokers = facts.broker_setting(on_brokers).map(str::to_owned);
        // A topic that reports what the brokers say, and was asked nothing else, follows them.
        let own = found.filter(|found| asked || brokers.as_ref() != Some(found));
        let mut own = own.cloned();
        let value = |own: &Option<String>, brokers: &Option<String>| {
            own.as_ref().or(brokers.as_ref()).cloned()
        };
        let mut line = Self::fixed(value(&own, &brokers).as_deref());
        let mut changes: Vec<_> = facts
            .alterations
            .iter()
            .filter(|change| match &change.topic {
                Some(of) => of == topic && change.key == key,
                None => change.key == on_brokers,
            })
            .collect();
        changes.sort_by_key(|change| (change.asked, change.answered));
        for change in changes {
            match change.topic {
                Some(_) => own.clone_from(&change.value),
                None => brokers.clone_from(&change.value),
            }
            line.change(change.asked, change.answered, value(&own, &brokers));
        }
        line
    }

    fn change(&mut self, asked: Mark, answered: Mark, value: Option<String>) {
        if let Some((span, last)) = self.values.last_mut() {
            if *last == value {
                return;
            }
            span.to = answered;
        }
        let span = TimeSpan {
            from: asked,
            to: Mark(u64::MAX),
        };
        self.values.push((span, value));
    }

    /// The values that may have been in force at some moment of a span.
    pub fn within(&self, span: TimeSpan) -> impl Iterator<Item = Option<&str>> {
        let meets = move |of: &TimeSpan| of.from <= span.to && span.from <= of.to;
        let values = self.values.iter().filter(move |(of, _)| meets(of));
        values.map(|(_, value)| value.as_deref())
    }

    /// Every value that was ever in force.
    pub fn ever(&self) -> impl Iterator<Item = Option<&str>> {
        self.values.iter().map(|(_, value)| value.as_deref())
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

    /// "2, and 1 from 4.000s on", in the order of the changes.
    pub fn words(&self) -> String {
        let name = |value: &Option<String>| value.clone().unwrap_or_else(|| "unset".to_owned());
        let mut words: Vec<String> = Vec::new();
        for (index, (span, value)) in self.values.iter().enumerate() {
            words.push(match index {
                0 => name(value),
                _ => format!("{} from {} on", name(value), span.from),
            });
        }
        words.join(", then ")
    }

    /// Whether it was changed.
    pub fn changed(&self) -> bool {
        self.values.len() > 1
    }
}

/// What brokers call a topic's setting.
fn broker_key(key: &str) -> &str {
    match key {
        "flush.messages" => "log.flush.interval.messages",
        "retention.ms" => "log.retention.ms",
        "retention.bytes" => "log.retention.bytes",
        "cleanup.policy" => "log.cleanup.policy",
        key => key,
    }
}
