//! The small tables: the run, its partitions, and what was judged of it, if it was.
//!
//! A verdict is passed on as it stands in `verdict.json`; nothing of it is checked or renewed here.

use std::io;

use history::{Ended, HistoryError, RunDir, Setting};
use serde_json::Value;

use super::happened::Happened;
use super::lake::Lake;
use super::left::Left;
use super::table::{Cell, Column, int, long, text};
use super::words::nodes;

/// The newest form of the tables.
pub(super) const FORMAT: i32 = 1;

const RUNS: &[Column] = &[
    int("format"),
    text("plan"),
    text("seed"),
    text("kafka"),
    text("started"),
    text("ended"),
    long("events"),
    long("length_ns"),
    text("torn").or_null(),
    text("verdict").or_null(),
    int("rules_version").or_null(),
];

const PARTITIONS: &[Column] = &[
    text("topic"),
    int("partition"),
    text("replicas"),
    int("min_isr"),
    text("cleanup_policy"),
    int("leader").or_null(),
    int("epoch").or_null(),
    text("final_image").or_null(),
    long("log_start").or_null(),
    long("leo").or_null(),
    text("no_final_log").or_null(),
];

const VERDICTS: &[Column] = &[
    text("topic"),
    text("guarantee"),
    text("verdict"),
    long("examined").or_null(),
    text("unit").or_null(),
    long("observed").or_null(),
    text("why").or_null(),
];

const FINDINGS: &[Column] = &[
    long("finding"),
    text("guarantee"),
    text("topic"),
    text("partition").or_null(),
    text("title").or_null(),
    text("json"),
];

/// Writes them. Gives the rows of each table; `runs` comes last.
pub(super) fn write(
    (run, verdict): (&RunDir, &Value),
    setting: &Setting,
    happened: &Happened,
    torn: Option<&String>,
    left: &Left,
    lake: &Lake,
) -> io::Result<Vec<(&'static str, u64)>> {
    let mut counts = vec![("partitions", partitions(setting, left, lake)?)];
    counts.push(("verdicts", verdicts(verdict, lake)?));
    counts.push(("findings", findings(verdict, lake)?));

    let seal = run.read_seal().map_err(io::Error::other)?;
    let ended = match seal.map(|seal| seal.ended) {
        None => "incomplete",
        Some(Ended::Completed) => "completed",
        Some(Ended::Interrupted { .. }) => "interrupted",
        Some(Ended::CutShort { .. }) => "cut-short",
        Some(Ended::Failed { .. }) => "failed",
    };
    let mut table = lake.table("runs", RUNS)?;
    let rules = number(verdict, "rules_version");
    table.row([
        FORMAT.into(),
        (&setting.plan).into(),
        (&setting.seed.to_string()).into(),
        (&setting.kafka).into(),
        (&setting.started).into(),
        ended.into(),
        happened.events.into(),
        happened.length.0.into(),
        torn.into(),
        words(verdict, "fold").into(),
        rules.and_then(|rules| i32::try_from(rules).ok()).into(),
    ])?;
    counts.push(("runs", table.end()?));
    Ok(counts)
}

fn partitions(setting: &Setting, left: &Left, lake: &Lake) -> io::Result<u64> {
    let mut table = lake.table("partitions", PARTITIONS)?;
    for (name, topic) in &setting.topics {
        let policy = topic.config.get("cleanup.policy");
        for partition in topic.partitions(name) {
            let fin = left.finals.get(&partition);
            let leader = fin.and_then(|fin| fin.leader);
            let log = fin.and_then(|fin| fin.log.as_ref().ok());
            let replicas = topic.assignment.get(&partition.index);
            table.row([
                (&**name).into(),
                partition.index.into(),
                (&replicas.map(|of| nodes(of)).unwrap_or_default()).into(),
                i32::try_from(topic.min_insync_replicas())
                    .unwrap_or(i32::MAX)
                    .into(),
                policy.map_or("delete", String::as_str).into(),
                leader.map(|(_, node)| node.0).into(),
                leader.map(|(epoch, _)| epoch.0).into(),
                log.map(|log| &log.image).into(),
                log.map(|log| log.start.0).into(),
                log.map(|log| log.leo.0).into(),
                fin.and_then(|fin| fin.log.as_ref().err()).into(),
            ])?;
        }
    }
    table.end()
}

fn verdicts(verdict: &Value, lake: &Lake) -> io::Result<u64> {
    let mut table = lake.table("verdicts", VERDICTS)?;
    for topic in list(verdict, "topics") {
        for guarantee in list(topic, "guarantees") {
            let said = &guarantee["verdict"];
            table.row([
                required(topic, "topic"),
                required(guarantee, "name"),
                required(said, "is"),
                number(said, "examined").into(),
                words(said, "unit").into(),
                number(said, "observed").into(),
                words(said, "why").into(),
            ])?;
        }
    }
    table.end()
}

fn findings(verdict: &Value, lake: &Lake) -> io::Result<u64> {
    let mut table = lake.table("findings", FINDINGS)?;
    for finding in list(verdict, "findings") {
        table.row([
            number(finding, "id").unwrap_or_default().into(),
            required(finding, "guarantee"),
            required(finding, "topic"),
            words(finding, "partition").into(),
            words(finding, "title").into(),
            (&finding.to_string()).into(),
        ])?;
    }
    table.end()
}

/// `verdict.json`; null where the run was not judged.
pub(super) fn judged(run: &RunDir) -> Result<Value, HistoryError> {
    match run.verdict_json().exists() {
        true => run.read_verdict(),
        false => Ok(Value::Null),
    }
}

fn list<'a>(of: &'a Value, key: &str) -> &'a [Value] {
    of[key].as_array().map_or(&[], Vec::as_slice)
}

fn words<'a>(of: &'a Value, key: &str) -> Option<&'a str> {
    of[key].as_str()
}

fn required<'a>(of: &'a Value, key: &str) -> Cell<'a> {
    words(of, key).unwrap_or_default().into()
}

fn number(of: &Value, key: &str) -> Option<i64> {
    of[key].as_i64()
}
