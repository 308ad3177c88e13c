//! The topics of a plan: where their replicas are, what they promise, what is sent to them.
//!
//! Only a topic's own rules are here; what a topic must agree on with a step is in `check`.

use std::collections::BTreeMap;
use std::time::Duration;

use history::payload::MIN_PAYLOAD_BYTES;
use history::{CommitMode, NodeId, Topic};

use super::{MAX_VALUE_BYTES, nodes};
use crate::check;
use crate::error::PlanError;
use crate::model::{Acks, Compression, Group, Load, NODES, Rate, TopicSpec};
use crate::properties::check_topic;
use crate::table::{Table, Value};
use crate::words::{ACKS, COMMITS, COMPRESSIONS, RATES};

pub(super) fn topics(value: &Value<'_>) -> Result<BTreeMap<Topic, TopicSpec>, PlanError> {
    let mut topics = BTreeMap::new();
    for (name, value) in value.entries()? {
        check::topic_name(name).map_err(|why| value.bad(why))?;
        topics.insert(Topic::from(name), topic(&value)?);
    }
    for (name, value) in value.entries()? {
        let name = Topic::from(name);
        check::copied(&name, &topics).map_err(|why| at(&value, &["load", "copies"]).bad(why))?;
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
        "group",
        "commit",
        "acks",
        "idempotent",
        "transactional",
        "max_in_flight",
        "linger_ms",
        "batch_bytes",
        "compression",
        "delivery_timeout",
        "value_bytes",
        "rate",
        "copies",
    ])?;
    let or = |key, default| table.get(key).map_or(Ok(default), |v| v.number::<u32>());
    let copying = table.get("copies").is_some();
    let load = Load {
        producers: table.get("producers").map_or(Ok(1), |v| v.positive())?,
        consumers: or("consumers", 0)?,
        group: group(&table, copying)?,
        acks: acks(&table.need("acks", "what an acknowledgement promises")?)?,
        idempotent: table.get("idempotent").map_or(Ok(false), |v| v.boolean())?,
        transactional: table
            .get("transactional")
            .map_or(Ok(false), |v| v.boolean())?,
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
        rate: rate(&table)?,
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
    if load.transactional && !load.idempotent {
        let why = "transactions need `idempotent = true`".to_owned();
        return complain("transactional", why);
    }
    if copying && !load.transactional {
        let why =
            "copies are made in transactions: say `transactional = true` (and `idempotent = true`)";
        return complain("copies", why.to_owned());
    }
    if !copying && load.group.is_some() && load.consumers == 0 {
        let why = "nobody belongs to it, since `consumers` is 0; give it some, or leave it out";
        return complain("group", why.to_owned());
    }
    if copying && load.group.is_none() {
        let why = "who copies reads as a group: say which, `group = \"copiers\"`";
        return complain("copies", why.to_owned());
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

/// `group` and `commit`. Who copies commits in transactions.
fn group(table: &Table<'_>, copying: bool) -> Result<Option<Group>, PlanError> {
    let commit = table.get("commit");
    if copying && let Some(commit) = &commit {
        return Err(commit.bad("who copies commits within each transaction; leave it out"));
    }
    let Some(name) = table.get("group") else {
        return match commit {
            Some(commit) => Err(commit.bad("only a `group` commits anything")),
            None => Ok(None),
        };
    };
    check::topic_name(name.text()?).map_err(|why| name.bad(why))?;
    if copying {
        return Ok(Some(Group {
            name: name.text()?.to_owned(),
            commit: CommitMode::Transaction,
        }));
    }
    Ok(Some(Group {
        name: name.text()?.to_owned(),
        commit: commit.map_or(Ok(CommitMode::After), |value| value.word(COMMITS))?,
    }))
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

/// `rate`, or `copies` in its place.
fn rate(table: &Table<'_>) -> Result<Rate, PlanError> {
    if let Some(source) = table.get("copies") {
        if let Some(rate) = table.get("rate") {
            return Err(rate.bad(
                "who copies sends what comes: as fast as it is sent to the topic that is copied; \
                 leave it out",
            ));
        }
        return Ok(Rate::Copying(Topic::from(source.text()?)));
    }
    let value = table.need("rate", "records a second, \"max\" or \"on-demand\"")?;
    if value.as_text().is_some() {
        return value.word(RATES);
    }
    value.positive().map(Rate::PerSecond)
}

/// What stands below a value, as deep as it goes.
fn at<'a>(value: &Value<'a>, keys: &[&str]) -> Value<'a> {
    let mut found = value.clone();
    for key in keys {
        let below = found.entries().unwrap_or_default();
        let Some((_, below)) = below.into_iter().find(|(name, _)| name == key) else {
            break;
        };
        found = below;
    }
    found
}
