//! A plan read from TOML, every complaint with its line.
//!
//! Nothing is corrected and nothing is ignored: an unknown key, a misspelt property or a step about
//! a partition that does not exist is an error before anything starts. What is promised and how
//! much counts is never defaulted; how clients go about it is, with the values written here.

mod storm;
mod topic;

use std::collections::BTreeMap;

use history::{NodeId, Topic};

use crate::check;
use crate::error::PlanError;
use crate::model::{ClusterSpec, Minimum, NODES, Phases, Plan, Storm, TopicSpec};
use crate::properties::{self, check_broker};
use crate::table::{Source, Table, Value};
use crate::words::{EXPECTED, PROFILES, SIZES};

/// The versions of Kafka that there are artefacts and property tables for.
pub const KAFKA_VERSIONS: [&str; 1] = ["3.0.0"];

/// The largest payload, in bytes: Kafka's and librdkafka's limits for a batch are just above 1 MB,
/// and a record needs some of it for its framing.
pub const MAX_VALUE_BYTES: u32 = 1_000_000 - 1_000;

/// How large a disk of a broker's own may be, in bytes.
const DISK_BYTES: std::ops::RangeInclusive<u64> = 64 << 20..=16 << 30;

impl Plan {
    /// Reads a plan. `origin` is what errors call the text: a path, or an embedded plan's name.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line and, where there is one, the nearest word.
    pub fn parse(text: &str, origin: &str) -> Result<Plan, PlanError> {
        let source = Source { origin, text };
        let document = source.parse()?;
        let root = Table::root(
            &source,
            &document,
            &[
                "name", "about", "expect", "cluster", "topics", "phases", "minimum", "storm",
            ],
        )?;
        let name = root.need("name", "part of the run directory's name")?;
        let about = root.need("about", "a sentence on what the plan is for")?;
        let expect = root.get("expect").map(|v| v.word(EXPECTED)).transpose()?;
        let topics =
            topic::topics(&root.need("topics", "a plan without topics has nothing to judge")?)?;
        let storm = root.need(
            "storm",
            "what is done to the cluster; `steps = []` for nothing",
        )?;
        let cluster = cluster(&root.need("cluster", "the brokers under test")?)?;
        let (storm, budget) = storm::storm(&storm, &topics, &cluster)?;
        let minimum = root.need("minimum", "the load below which a run means nothing")?;
        let minimum = minimum_of(&minimum, &topics, &storm)?;
        Ok(Plan {
            name: plan_name(&name)?,
            about: about.line()?.to_owned(),
            expect,
            cluster,
            topics,
            phases: phases(&root.need("phases", "how long each phase may take")?)?,
            minimum,
            storm,
            budget,
        })
    }
}

/// Names become parts of directory names: lower-case letters, digits and dashes, at most 40.
fn plan_name(value: &Value<'_>) -> Result<String, PlanError> {
    let name = value.text()?;
    let fits = (1..=40).contains(&name.len())
        && !name.starts_with('-')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !fits {
        return Err(value.bad(format!(
            "`{name}` is not made of at most 40 lower-case letters, digits and dashes"
        )));
    }
    Ok(name.to_owned())
}

fn cluster(value: &Value<'_>) -> Result<ClusterSpec, PlanError> {
    let table = value.table(&["kafka", "profile", "start_order", "disk", "properties"])?;
    let kafka = table.need("kafka", "Kafka's version, such as \"3.0.0\"")?;
    let version = kafka.text()?;
    if !KAFKA_VERSIONS.contains(&version) {
        let known = crate::nearest::any_of(KAFKA_VERSIONS);
        return Err(kafka.bad(format!("Kafka {version} is not known here; {known} is")));
    }
    let profile = table.need("profile", "the brokers' time-outs, \"fast\" or \"stock\"")?;
    let profile = profile.word(PROFILES)?;
    let mut properties = BTreeMap::new();
    if let Some(value) = table.get("properties") {
        for (key, value) in value.entries()? {
            let text = value.property()?;
            check_broker(key, &text).map_err(|why| value.flawed(why))?;
            if properties::set_by_harness(key) {
                return Err(value.bad("the harness sets this on every broker; leave it out"));
            }
            properties.insert(key.to_owned(), text);
        }
        check::fetch_wait(profile, &properties).map_err(|(key, why)| {
            let place = value.entries().ok().and_then(|entries| {
                let mut entries = entries.into_iter();
                entries.find(|(name, _)| *name == key).map(|(_, v)| v)
            });
            place.unwrap_or(value).bad(why)
        })?;
    }
    let start_order = match table.get("start_order") {
        None => Vec::new(),
        Some(value) => start_order(&value)?,
    };
    Ok(ClusterSpec {
        kafka: version.to_owned(),
        profile,
        properties,
        start_order,
        disk_bytes: table.get("disk").map(|v| disk(&v)).transpose()?,
    })
}

/// `"512MiB"`: whole MiB or GiB. A smaller disk is full of Kafka's own files before a fault fills
/// it; a larger one takes too long to fill.
fn disk(value: &Value<'_>) -> Result<u64, PlanError> {
    let text = value.text()?;
    let bytes = SIZES.iter().find_map(|(unit, bytes)| {
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*bytes)
    });
    match bytes {
        Some(bytes) if DISK_BYTES.contains(&bytes) => Ok(bytes),
        Some(_) => Err(value.bad("must be from 64MiB to 16GiB")),
        None => Err(value.bad(format!(
            "`{text}` is not a size such as \"512MiB\" or \"1GiB\""
        ))),
    }
}

fn start_order(value: &Value<'_>) -> Result<Vec<NodeId>, PlanError> {
    let order = nodes(value)?;
    if !order.is_empty() && order.len() != NODES.len() {
        return Err(value.bad("must name n0, n1 and n2, each once, or nobody"));
    }
    Ok(order)
}

/// A list of nodes, none twice.
fn nodes(value: &Value<'_>) -> Result<Vec<NodeId>, PlanError> {
    let mut nodes = Vec::new();
    for element in value.list()? {
        let text = element.text()?;
        let node = text.parse().ok().filter(|node| NODES.contains(node));
        let node = node.ok_or_else(|| {
            element.bad(format!("`{text}` is not a node; there are n0, n1 and n2"))
        })?;
        if nodes.contains(&node) {
            return Err(element.bad(format!("{node} is named twice")));
        }
        nodes.push(node);
    }
    Ok(nodes)
}

fn phases(value: &Value<'_>) -> Result<Phases, PlanError> {
    let table = value.table(&["steady", "calm", "settle_max", "drain_max"])?;
    let duration = |key, why| table.need(key, why)?.duration();
    Ok(Phases {
        steady: duration("steady", "how long load runs before the storm")?,
        calm: duration("calm", "how long load runs after the storm's last step")?,
        settle_max: duration("settle_max", "how long ISRs may take to be full again")?,
        drain_max: duration("drain_max", "how long reading everything may take")?,
    })
}

fn minimum_of(
    value: &Value<'_>,
    topics: &BTreeMap<Topic, TopicSpec>,
    storm: &Storm,
) -> Result<Minimum, PlanError> {
    let table = value.table(&["acked", "acked_per_second"])?;
    let acked = table.need("acked", "acknowledged records of each topic, at least")?;
    let rate = table.need(
        "acked_per_second",
        "acknowledged records a second when steady",
    )?;
    let minimum = Minimum {
        acked: acked.number()?,
        acked_per_second: rate.number()?,
    };
    check::reachable(&minimum, topics, storm).map_err(|flaw| match flaw {
        check::Unreachable::Acked(why) => acked.bad(why),
        check::Unreachable::Rate(why) => rate.bad(why),
    })?;
    Ok(minimum)
}

#[cfg(test)]
mod tests;
