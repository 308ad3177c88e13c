//! What must agree within a plan: steps with topics, minima with rates, time-outs with each other.
//!
//! Pure rules without places; `parse` adds the line. A rule that Kafka itself enforces is checked
//! here too, so that a plan fails in a second and not when the first broker has started.

mod steps;

use std::collections::BTreeMap;

use history::Topic;

use crate::model::{Action, Minimum, Profile, Rate, Storm, TopicSpec};
use crate::nearest::{hint, nearest};

pub(crate) use steps::{Order, Scope};

type Topics = BTreeMap<Topic, TopicSpec>;

/// Kafka's own rule for topic names; names that begin with two underscores are Kafka's.
pub(crate) fn topic_name(name: &str) -> Result<(), String> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if name.is_empty() || name.len() > 249 || !name.bytes().all(legal) {
        return Err(format!(
            "`{name}` cannot be a topic's name: 1 to 249 of a-z, A-Z, 0-9, `.`, `_` and `-`"
        ));
    }
    if matches!(name, "." | "..") || name.starts_with("__") {
        return Err(format!("`{name}` cannot be a topic's name: it is reserved"));
    }
    Ok(())
}

/// What is copied to a topic is another one that clients send to by themselves.
pub(crate) fn copied(name: &Topic, topics: &Topics) -> Result<(), String> {
    let Rate::Copying(source) = &topics[name].load.rate else {
        return Ok(());
    };
    if source == name {
        return Err(format!(
            "{name} cannot be copied to itself; name another topic"
        ));
    }
    let group = |spec: &TopicSpec| spec.load.group.as_ref().map(|group| group.name.clone());
    let own = group(&topics[name]);
    if let Some((other, _)) = topics
        .iter()
        .find(|(it, spec)| *it != name && group(spec) == own)
    {
        return Err(format!(
            "the clients of {other} have the same `group`; give one of the two another"
        ));
    }
    match topics.get(source).map(|spec| &spec.load.rate) {
        None => {
            let known = topics.keys().filter(|it| *it != name).map(|it| &**it);
            let near = hint(nearest(source, known));
            Err(format!("the plan has no topic `{source}`{near}"))
        }
        Some(Rate::Copying(_)) => Err(format!(
            "{source} is a copy itself; name a topic that has a `rate`"
        )),
        Some(Rate::PerSecond(_) | Rate::Max | Rate::OnDemand) => Ok(()),
    }
}

/// A minimum that no run of the plan can reach.
pub(crate) enum Unreachable {
    /// `acked`.
    Acked(String),
    /// `acked_per_second`.
    Rate(String),
}

/// The minimum can be reached by what the plan sends.
pub(crate) fn reachable(
    minimum: &Minimum,
    topics: &Topics,
    storm: &Storm,
) -> Result<(), Unreachable> {
    let mut most_a_second = Some(0u64);
    for (name, spec) in topics {
        // As much is copied as is sent.
        let (name, rate) = match &spec.load.rate {
            Rate::Copying(source) => (source, &topics[source].load.rate),
            own => (name, own),
        };
        match rate {
            Rate::PerSecond(rate) => {
                most_a_second = most_a_second.map(|sum| sum + u64::from(*rate));
            }
            // A copy of a copy is refused before.
            Rate::Max | Rate::Copying(_) => most_a_second = None,
            Rate::OnDemand => {
                let sent = sent_by_steps(name, storm);
                if sent < minimum.acked {
                    return Err(Unreachable::Acked(format!(
                        "{} can never be reached: the steps send {sent} to {name}",
                        minimum.acked
                    )));
                }
            }
        }
    }
    match most_a_second {
        Some(most) if u64::from(minimum.acked_per_second) > most => {
            Err(Unreachable::Rate(format!(
                "{} can never be reached: all topics together send {most} a second",
                minimum.acked_per_second
            )))
        }
        Some(_) | None => Ok(()),
    }
}

fn sent_by_steps(topic: &Topic, storm: &Storm) -> u64 {
    let Storm::Steps(steps) = storm else { return 0 };
    let sends = steps.iter().filter_map(|step| match &step.action {
        Action::Send { count, partition } if partition.topic == *topic => Some(u64::from(*count)),
        _ => None,
    });
    sends.sum()
}

/// A follower that waits for a fetch longer than it may lag falls out of the ISR while all is well;
/// and Kafka does not start when a fetch may wait longer than the socket. The error names the
/// property to blame.
pub(crate) fn fetch_wait(
    profile: Profile,
    properties: &BTreeMap<String, String>,
) -> Result<(), (&'static str, String)> {
    const WAIT: &str = "replica.fetch.wait.max.ms";
    const LAG: &str = "replica.lag.time.max.ms";
    const SOCKET: &str = "replica.socket.timeout.ms";
    // What each profile sets, or Kafka's own default where it sets nothing.
    let of_profile = |key| match (profile, key) {
        (Profile::Fast, WAIT) => 200,
        (Profile::Stock, WAIT) => 500,
        (Profile::Fast, LAG | SOCKET) => 3_000,
        (Profile::Stock, _) | (Profile::Fast, _) => 30_000,
    };
    let effective = |key: &'static str| -> i64 {
        let own = properties
            .get(key)
            .and_then(|text| text.trim().parse().ok());
        own.unwrap_or_else(|| of_profile(key))
    };
    let wait = effective(WAIT);
    for (key, limit) in [(LAG, effective(LAG)), (SOCKET, effective(SOCKET))] {
        let too_long = if key == LAG {
            wait >= limit
        } else {
            wait > limit
        };
        if too_long {
            let blamed = if properties.contains_key(WAIT) {
                WAIT
            } else {
                key
            };
            return Err((
                blamed,
                format!("{WAIT} is {wait} and must be below {key}, which is {limit}"),
            ));
        }
    }
    Ok(())
}
