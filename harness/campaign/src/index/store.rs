//! Putting nights and runs into the tables.

use std::collections::BTreeSet;

use checkers::Fold;
use rusqlite::{Connection, OptionalExtension, Result, params};

use super::{OfRun, State};
use crate::facts::Facts;
use crate::night::{Night, Outcome, Role};

pub fn night_stamp(db: &Connection, name: &str) -> Result<Option<String>> {
    stamp(db, "SELECT stamp FROM night WHERE name = ?1", name)
}

pub fn run_stamp(db: &Connection, name: &str) -> Result<Option<String>> {
    stamp(db, "SELECT stamp FROM run WHERE name = ?1", name)
}

fn stamp(db: &Connection, sql: &str, name: &str) -> Result<Option<String>> {
    let found = db.prepare_cached(sql)?.query_row([name], |row| row.get(0));
    Ok(found.optional()?.flatten())
}

/// A night with its attempts, in place of what was known of it. Runs whose own verdict was read stay
/// as that says; of the others, what the night kept is taken.
pub fn night(db: &Connection, name: &str, night: &Night, stamp: Option<&str>) -> Result<()> {
    db.execute("DELETE FROM night WHERE name = ?1", [name])?;
    db.execute(
        "INSERT INTO night VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
        params![
            name,
            night.date.to_string(),
            night.suite,
            night.lab,
            night.seed.to_string(),
            night.started.to_rfc3339(),
            night.ended.map(|ended| ended.to_rfc3339()),
            small(night.budget_s),
            small(night.taken_s),
            night.kafka,
            night.tidemark,
            night.void,
            night.exit_code(),
            night.sentence(),
            stamp,
            json(night),
        ],
    )?;
    for (at, entry) in night.entries.iter().enumerate() {
        for (nth, attempt) in entry.attempts.iter().enumerate() {
            let (outcome, why) = match &attempt.outcome {
                Outcome::Judged(_) => ("judged", None),
                Outcome::LabFailed { why } => ("lab-failed", Some(why)),
                Outcome::DidNotRun { why } => ("did-not-run", Some(why)),
            };
            let role = match entry.role {
                Role::Canary => "canary",
                Role::Calm => "calm",
                Role::Ordinary => "ordinary",
            };
            db.prepare_cached("INSERT INTO attempt VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10)")?
                .execute(params![
                    name,
                    small(at),
                    small(nth),
                    entry.plan,
                    role,
                    entry.seed.to_string(),
                    entry.again,
                    outcome,
                    why,
                    attempt.run,
                ])?;
            if let (Outcome::Judged(facts), Some(dir)) = (&attempt.outcome, &attempt.run)
                && run_stamp(db, dir)?.is_none()
            {
                let of = OfRun {
                    plan: entry.plan.clone(),
                    seed: entry.seed,
                    tidemark: night.tidemark.clone(),
                };
                run(db, dir, facts, &of, None)?;
            }
        }
    }
    Ok(())
}

/// A judged run with its figures, in place of what was known of it.
pub fn run(
    db: &Connection,
    name: &str,
    facts: &Facts,
    of: &OfRun,
    stamp: Option<&str>,
) -> Result<()> {
    db.execute("DELETE FROM run WHERE name = ?1", [name])?;
    db.prepare_cached(
        "INSERT INTO run VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16)",
    )?
    .execute(params![
        name,
        of.plan,
        of.seed.to_string(),
        facts.kafka,
        of.tidemark,
        verdict(facts.verdict),
        facts.wanted.map(verdict),
        facts.sentence,
        small(facts.examined),
        facts.faults,
        facts.proved,
        facts.healed,
        state_name(State::Deleted),
        0,
        stamp,
        json(facts),
    ])?;
    for figure in &facts.figures {
        db.prepare_cached("INSERT INTO metric VALUES (?1,?2,?3,?4,?5)")?
            .execute(params![
                name,
                figure.metric.name(),
                figure.fault,
                figure.value,
                figure.over
            ])?;
    }
    for cause in &facts.causes {
        db.prepare_cached("INSERT INTO cause VALUES (?1,?2,?3,?4,?5,?6,?7)")?
            .execute(params![
                name,
                cause.guarantee,
                cause.class,
                cause.topic,
                cause.fault,
                small(cause.count),
                cause.title,
            ])?;
    }
    Ok(())
}

/// What is left of a run's directory.
pub fn kept(db: &Connection, name: &str, state: State, bytes: u64) -> Result<()> {
    db.prepare_cached("UPDATE run SET state = ?2, bytes = ?3 WHERE name = ?1")?
        .execute(params![name, state_name(state), small(bytes)])?;
    Ok(())
}

/// Runs without a directory keep their rows.
pub fn deleted(db: &Connection, there: &BTreeSet<String>) -> Result<()> {
    for name in names(db, "SELECT name FROM run WHERE state <> 'deleted'")? {
        if !there.contains(&name) {
            kept(db, &name, State::Deleted, 0)?;
        }
    }
    Ok(())
}

/// Nights whose file is gone; files are the truth.
pub fn forget_nights(db: &Connection, there: &BTreeSet<String>) -> Result<()> {
    for name in names(db, "SELECT name FROM night")? {
        if !there.contains(&name) {
            db.execute("DELETE FROM night WHERE name = ?1", [&name])?;
        }
    }
    Ok(())
}

fn names(db: &Connection, sql: &str) -> Result<Vec<String>> {
    db.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

pub fn state_name(state: State) -> &'static str {
    match state {
        State::Whole => "whole",
        State::Thinned => "thinned",
        State::Deleted => "deleted",
    }
}

fn verdict(fold: Fold) -> &'static str {
    match fold {
        Fold::Held => "held",
        Fold::Broken => "broken",
        Fold::Unproven => "unproven",
    }
}

/// SQLite's whole numbers have a sign.
fn small(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// Types of ours always have a JSON form; a map with other keys than strings is not among them.
fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
