//! Which values a setting of a topic may have had between two moments: what was recorded at the
//! start, and every change that may have been in force by then.
//!
//! Nothing is decided where a change was under way: both values count.

use history::{Alteration, Mark};

use super::Case;

/// Values, each absent where nothing was ever said about it.
pub type Values<'a> = Vec<Option<&'a str>>;

/// The values of a topic's setting that may have been in force at some moment in `[from, to]`.
/// `broker` is the brokers' name of it.
pub fn values<'a>(
    case: &Case<'a>,
    key: &str,
    broker: &str,
    (from, to): (Mark, Mark),
) -> Values<'a> {
    let facts = case.facts;
    let topic = &case.contract.topic;
    let recorded = facts
        .recording
        .setting
        .topics
        .get(topic)
        .and_then(|setting| setting.config.get(key))
        .map(String::as_str)
        .or_else(|| facts.broker_setting(broker));
    let of_topic =
        |change: &&&Alteration| change.topic.as_ref() == Some(topic) && change.key == key;
    let of_brokers = |change: &&&Alteration| change.topic.is_none() && change.key == broker;
    let mut values = Vec::new();
    // What the brokers say may or may not be overridden by the topic: both count.
    track(
        facts.alterations.iter().filter(of_topic).copied(),
        recorded,
        facts.broker_setting(broker),
        (from, to),
        &mut values,
    );
    if facts.alterations.iter().any(|change| of_brokers(&change)) {
        track(
            facts.alterations.iter().filter(of_brokers).copied(),
            recorded,
            None,
            (from, to),
            &mut values,
        );
    }
    values
}

/// The values of one track of changes, from its first on. A change is in force at the earliest when
/// it was asked for, and the one before it at the latest until it was answered.
fn track<'a>(
    changes: impl Iterator<Item = &'a Alteration> + Clone,
    first: Option<&'a str>,
    taken_back: Option<&'a str>,
    (from, to): (Mark, Mark),
    values: &mut Values<'a>,
) {
    let mut begins = Mark(0);
    let mut value = first;
    for change in changes {
        if begins <= to && change.answered >= from {
            values.push(value);
        }
        begins = change.asked;
        value = change.value.as_deref().or(taken_back);
    }
    if begins <= to {
        values.push(value);
    }
}
