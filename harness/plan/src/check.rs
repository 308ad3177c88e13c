//! What must agree within a plan: steps with topics, minima with rates, time-outs with each other.
//!
//! Pure rules without places; `parse` adds the line. A rule that Kafka itself enforces is checked
//! here too, so that a plan fails in a second and not when the first broker has started.

use std::collections::BTreeMap;
use std::time::Duration;

use history::{NodeId, Partition, Topic};

use crate::ask::{Ask, Target};
use crate::duration::Seconds;
use crate::model::{
    Action, Condition, Minimum, Profile, Quantity, Rate, Step, Storm, TopicSpec, When,
};
use crate::nearest::{hint, nearest};
use crate::parse::NODES;

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

/// Steps that fire at a time are in the order of their times.
pub(crate) fn times(steps: &[Step]) -> Result<(), String> {
    let mut latest = Duration::ZERO;
    for step in steps {
        if let When::At(at) = step.when {
            if at < latest {
                return Err(format!(
                    "`{step}` would fire before the step at {} that stands above it",
                    Seconds(latest)
                ));
            }
            latest = at;
        }
    }
    Ok(())
}

/// A step names only what there is.
pub(crate) fn step(step: &Step, topics: &Topics) -> Result<(), String> {
    match &step.action {
        Action::Send { partition, .. } => replicas(partition, topics).map(|_| ()),
        Action::Fault { ask, .. } => self::ask(ask, topics),
        Action::Heal(_) | Action::Wait(_) => Ok(()),
        Action::Await { condition, .. } => self::condition(condition, topics),
    }
}

/// A fault names only what there is.
pub(crate) fn ask(ask: &Ask, topics: &Topics) -> Result<(), String> {
    match ask {
        Ask::Process { target, .. } | Ask::Isolate(target) => self::target(target, topics),
        Ask::Cut(links) => links
            .iter()
            .flat_map(|link| [link.from, link.to])
            .try_for_each(node),
        other => Err(format!("{other:?} has no grammar yet")),
    }
}

fn target(target: &Target, topics: &Topics) -> Result<(), String> {
    match target {
        Target::Node(known) => node(*known),
        Target::Any | Target::All | Target::Controller => Ok(()),
        Target::LeaderOf(partition) => replicas(partition, topics).map(|_| ()),
        Target::FollowerOf(partition) => {
            if replicas(partition, topics)?.len() < 2 {
                return Err(format!("{partition} has one replica, so no follower"));
            }
            Ok(())
        }
        other => Err(format!("{other:?} has no grammar yet")),
    }
}

fn condition(condition: &Condition, topics: &Topics) -> Result<(), String> {
    match condition {
        Condition::Leader { partition, is } => replica(partition, *is, topics),
        Condition::Isr { partition, members } => members
            .iter()
            .try_for_each(|member| replica(partition, *member, topics)),
        Condition::Controller(known) => node(*known),
        Condition::Compare {
            quantity: Quantity::Acked(Some(topic)),
            ..
        } => known_topic(topic, topics).map(|_| ()),
        Condition::LogLine { node: known, .. } => node(*known),
        other => Err(format!("{other:?} has no grammar yet")),
    }
}

fn node(node: NodeId) -> Result<(), String> {
    if NODES.contains(&node) {
        Ok(())
    } else {
        Err(format!("`{node}` is not a node; there are n0, n1 and n2"))
    }
}

fn replica(partition: &Partition, node: NodeId, topics: &Topics) -> Result<(), String> {
    if replicas(partition, topics)?.contains(&node) {
        Ok(())
    } else {
        Err(format!("{node} is no replica of {partition}"))
    }
}

fn known_topic<'a>(topic: &Topic, topics: &'a Topics) -> Result<&'a TopicSpec, String> {
    topics.get(topic).ok_or_else(|| {
        let near = nearest(topic, topics.keys().map(AsRef::as_ref));
        format!("there is no topic `{topic}`{}", hint(near))
    })
}

fn replicas<'a>(partition: &Partition, topics: &'a Topics) -> Result<&'a [NodeId], String> {
    let spec = known_topic(&partition.topic, topics)?;
    let found = usize::try_from(partition.index)
        .ok()
        .and_then(|index| spec.assignment.get(index));
    found.map(Vec::as_slice).ok_or_else(|| {
        let count = spec.assignment.len();
        format!("there is no {partition}: the topic has {count} (numbered from 0)")
    })
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
        match spec.load.rate {
            Rate::PerSecond(rate) => {
                most_a_second = most_a_second.map(|sum| sum + u64::from(rate));
            }
            Rate::Max => most_a_second = None,
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
