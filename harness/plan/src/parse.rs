//! A plan read from TOML, every complaint with its line.
//!
//! Nothing is corrected and nothing is ignored: an unknown key, a misspelt property or a step about
//! a partition that does not exist is an error before anything starts. What is promised and how
//! much counts is never defaulted; how clients go about it is, with the values written here.

use std::collections::BTreeMap;
use std::time::Duration;

use history::payload::MIN_PAYLOAD_BYTES;
use history::{NodeId, Topic};

use crate::check;
use crate::error::PlanError;
use crate::model::{
    Acks, ClusterSpec, Compression, Expected, Load, Minimum, Palette, Phases, Plan, Profile, Rate,
    Step, Storm, TopicSpec,
};
use crate::properties::{self, check_broker, check_topic};
use crate::table::{Source, Table, Value};

/// The hosts of a lab, and so the brokers of a cluster: n0, n1 and n2.
pub const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

/// The versions of Kafka that there are artefacts and property tables for.
pub const KAFKA_VERSIONS: [&str; 1] = ["3.0.0"];

/// The largest payload, in bytes: Kafka's and librdkafka's limits for a batch are just above 1 MB,
/// and a record needs some of it for its framing.
pub const MAX_VALUE_BYTES: u32 = 1_000_000 - 1_000;

pub(crate) const EXPECTED: &[(&str, Expected)] = &[
    ("held", Expected::Held),
    ("broken", Expected::Broken),
    ("unproven", Expected::Unproven),
];

pub(crate) const PROFILES: &[(&str, Profile)] =
    &[("fast", Profile::Fast), ("stock", Profile::Stock)];

pub(crate) const COMPRESSIONS: &[(&str, Compression)] = &[
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];

const ACKS: &[(&str, Acks)] = &[
    ("0", Acks::None),
    ("1", Acks::Leader),
    ("all", Acks::All),
    ("-1", Acks::All),
];

pub(crate) const RATES: &[(&str, Rate)] = &[("max", Rate::Max), ("on-demand", Rate::OnDemand)];

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
        let topics = topics(&root.need("topics", "a plan without topics has nothing to judge")?)?;
        let storm = root.need(
            "storm",
            "what is done to the cluster; `steps = []` for nothing",
        )?;
        let storm = storm_of(&storm, &topics)?;
        let minimum = root.need("minimum", "the load below which a run means nothing")?;
        let minimum = minimum_of(&minimum, &topics, &storm)?;
        Ok(Plan {
            name: plan_name(&name)?,
            about: about.line()?.to_owned(),
            expect,
            cluster: cluster(&root.need("cluster", "the brokers under test")?)?,
            topics,
            phases: phases(&root.need("phases", "how long each phase may take")?)?,
            minimum,
            storm,
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
    let table = value.table(&["kafka", "profile", "start_order", "properties"])?;
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
    })
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

fn topics(value: &Value<'_>) -> Result<BTreeMap<Topic, TopicSpec>, PlanError> {
    let mut topics = BTreeMap::new();
    for (name, value) in value.entries()? {
        check::topic_name(name).map_err(|why| value.bad(why))?;
        topics.insert(Topic::from(name), topic(&value)?);
    }
    if topics.is_empty() {
        return Err(value.bad("a plan without topics has nothing to judge"));
    }
    Ok(topics)
}

fn topic(value: &Value<'_>) -> Result<TopicSpec, PlanError> {
    let table = value.table(&[
        "assignment",
        "partitions",
        "replicas",
        "min_insync_replicas",
        "properties",
        "load",
    ])?;
    let assignment = assignment(&table)?;
    let min_insync = table.need(
        "min_insync_replicas",
        "part of what acks=all promises: `min.insync.replicas`",
    )?;
    let min_insync_replicas = min_insync.positive()?;
    let replicas = assignment.iter().map(Vec::len).min().unwrap_or(0);
    if min_insync_replicas as usize > replicas {
        return Err(min_insync.bad(format!(
            "{min_insync_replicas} in-sync replicas can never be had of {replicas}"
        )));
    }
    let mut properties = BTreeMap::new();
    for (key, value) in table
        .get("properties")
        .map_or(Ok(vec![]), |v| v.entries())?
    {
        let text = value.property()?;
        check_topic(key, &text).map_err(|why| value.flawed(why))?;
        if key == "min.insync.replicas" {
            return Err(value.bad("say this as `min_insync_replicas`, beside the assignment"));
        }
        properties.insert(key.to_owned(), text);
    }
    Ok(TopicSpec {
        assignment,
        min_insync_replicas,
        properties,
        load: load(&table.need("load", "what clients send to and read from the topic")?)?,
    })
}

/// `assignment`, or `partitions` and `replicas` spread over the nodes in turn.
fn assignment(table: &Table<'_>) -> Result<Vec<Vec<NodeId>>, PlanError> {
    const WHAT: &str = "replicas of each partition; or give `partitions` and `replicas`";
    let counts = [table.get("partitions"), table.get("replicas")];
    if let Some(value) = table.get("assignment") {
        if let Some(other) = counts.iter().flatten().next() {
            return Err(other.bad("`assignment` says this already; leave one of them out"));
        }
        let mut assignment = Vec::new();
        for partition in value.list()? {
            let replicas = nodes(&partition)?;
            if replicas.is_empty() {
                return Err(partition.bad("a partition needs a replica"));
            }
            assignment.push(replicas);
        }
        if assignment.is_empty() {
            return Err(value.bad("a topic needs a partition"));
        }
        return Ok(assignment);
    }
    let [Some(partitions), Some(replicas)] = counts else {
        return Err(table
            .need("assignment", WHAT)
            .err()
            .unwrap_or_else(|| table.bad(WHAT)));
    };
    let count: u8 = replicas.positive()?;
    if usize::from(count) > NODES.len() {
        return Err(replicas.bad(format!("{count} replicas need more than n0, n1 and n2")));
    }
    let spread = |first: usize| {
        let replicas = (0..usize::from(count)).map(|next| NODES[(first + next) % NODES.len()]);
        replicas.collect()
    };
    let partitions: u16 = partitions.positive()?;
    Ok((0..usize::from(partitions)).map(spread).collect())
}

fn load(value: &Value<'_>) -> Result<Load, PlanError> {
    let table = value.table(&[
        "producers",
        "consumers",
        "acks",
        "idempotent",
        "max_in_flight",
        "linger_ms",
        "batch_bytes",
        "compression",
        "delivery_timeout",
        "value_bytes",
        "rate",
    ])?;
    let or = |key, default| table.get(key).map_or(Ok(default), |v| v.number::<u32>());
    let load = Load {
        producers: table.get("producers").map_or(Ok(1), |v| v.positive())?,
        consumers: or("consumers", 0)?,
        acks: acks(&table.need("acks", "what an acknowledgement promises")?)?,
        idempotent: table.get("idempotent").map_or(Ok(false), |v| v.boolean())?,
        max_in_flight: table.get("max_in_flight").map_or(Ok(5), |v| v.positive())?,
        linger_ms: or("linger_ms", 5)?,
        batch_bytes: table
            .get("batch_bytes")
            .map_or(Ok(16_384), |v| v.positive())?,
        compression: table
            .get("compression")
            .map_or(Ok(Compression::None), |v| v.word(COMPRESSIONS))?,
        delivery_timeout: table
            .get("delivery_timeout")
            .map_or(Ok(Duration::from_secs(30)), |v| v.duration())?,
        value_bytes: or("value_bytes", 128)?,
        rate: rate(&table.need("rate", "records a second, \"max\" or \"on-demand\"")?)?,
    };
    let complain = |key, why: String| match table.get(key) {
        Some(value) => Err(value.bad(why)),
        None => Err(table.bad(why)),
    };
    if load.idempotent && load.acks != Acks::All {
        let why = format!(
            "idempotence needs acks=all, and this load has acks={}",
            load.acks
        );
        return complain("idempotent", why);
    }
    if load.idempotent && load.max_in_flight > 5 {
        let why = "idempotence allows at most 5 requests in flight".to_owned();
        return complain("max_in_flight", why);
    }
    if !(MIN_PAYLOAD_BYTES..=MAX_VALUE_BYTES as usize).contains(&(load.value_bytes as usize)) {
        let why = format!(
            "must be {MIN_PAYLOAD_BYTES} (the header that makes a record recognisable) to \
             {MAX_VALUE_BYTES} bytes"
        );
        return complain("value_bytes", why);
    }
    if load.delivery_timeout < Duration::from_secs(1) {
        let why = "below 1s nearly every outcome would be unknown".to_owned();
        return complain("delivery_timeout", why);
    }
    Ok(load)
}

fn acks(value: &Value<'_>) -> Result<Acks, PlanError> {
    if value.as_text().is_some() {
        return value.word(ACKS);
    }
    match value.number::<u64>()? {
        0 => Ok(Acks::None),
        1 => Ok(Acks::Leader),
        other => Err(value.bad(format!("`{other}` is none of 0, 1 and \"all\""))),
    }
}

fn rate(value: &Value<'_>) -> Result<Rate, PlanError> {
    if value.as_text().is_some() {
        return value.word(RATES);
    }
    value.positive().map(Rate::PerSecond)
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

fn storm_of(value: &Value<'_>, topics: &BTreeMap<Topic, TopicSpec>) -> Result<Storm, PlanError> {
    let table = value.table(&["steps", "length", "hold", "quiet", "faults"])?;
    let Some(steps) = table.get("steps") else {
        return palette(&table, topics).map(Storm::Drawn);
    };
    for key in ["length", "hold", "quiet", "faults"] {
        if let Some(other) = table.get(key) {
            return Err(other.bad("a storm is either written as `steps` or drawn, not both"));
        }
    }
    let mut written = Vec::new();
    for element in steps.list()? {
        let text = element.text()?;
        let step: Step = text
            .parse()
            .map_err(|why: crate::StepError| element.flawed(why))?;
        check::step(&step, topics).map_err(|why| element.bad(format!("{step}: {why}")))?;
        written.push(step);
    }
    check::times(&written).map_err(|why| steps.bad(why))?;
    Ok(Storm::Steps(written))
}

fn palette(table: &Table<'_>, topics: &BTreeMap<Topic, TopicSpec>) -> Result<Palette, PlanError> {
    const WHAT: &str =
        "a storm has `steps`, or is drawn from `length`, `hold`, `quiet` and `faults`";
    let length = table.need("length", WHAT)?;
    let weighted = table.need("faults", WHAT)?;
    let hold = bounds(&table.need("hold", WHAT)?)?;
    let quiet = bounds(&table.need("quiet", WHAT)?)?;
    let mut faults: Vec<(crate::Ask, u32)> = Vec::new();
    for (text, weight) in weighted.entries()? {
        let ask = text
            .parse()
            .map_err(|why: crate::StepError| weight.flawed(why))?;
        check::ask(&ask, topics).map_err(|why| weight.bad(why))?;
        if faults.iter().any(|(known, _)| *known == ask) {
            return Err(weight.bad(format!("`{ask}` is here twice")));
        }
        faults.push((ask, weight.positive()?));
    }
    if faults.is_empty() {
        return Err(weighted.bad("there must be a fault to draw"));
    }
    let palette = Palette {
        length: length.duration()?,
        faults,
        hold,
        quiet,
    };
    if palette.length < palette.quiet.0 + palette.hold.0 {
        return Err(length.bad("there is no time for even one fault (quiet, then hold)"));
    }
    Ok(palette)
}

/// `["3s", "10s"]`: the least and the most, both above nothing.
fn bounds(value: &Value<'_>) -> Result<(Duration, Duration), PlanError> {
    let elements = value.list()?;
    let [least, most] = elements.as_slice() else {
        return Err(value.bad("must be two durations: the least and the most"));
    };
    let (least, most) = (least.duration()?, most.duration()?);
    if least > most {
        return Err(value.bad("the least is more than the most"));
    }
    if least < Duration::from_millis(1) {
        return Err(value.bad("must be at least 1ms"));
    }
    Ok((least, most))
}

#[cfg(test)]
mod tests;
