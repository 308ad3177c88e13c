//! A plan written as TOML, so that a run directory says what was asked.
//!
//! What is written is read back as the same plan; comments of the original are not kept.

use std::fmt::{self, Display, Write};

use crate::duration::Seconds;
use crate::model::{Budget, ClusterSpec, Load, Palette, Plan, Rate, Storm, TopicSpec};
use crate::words::{COMMITS, COMPRESSIONS, EXPECTED, PROFILES, RATES, SIZES};

/// What somebody writes, as text.
pub(crate) fn text(write: impl FnOnce(&mut String) -> fmt::Result) -> String {
    let mut out = String::new();
    write(&mut out).unwrap_or_else(|_| unreachable!("writing into a string cannot fail"));
    out
}

impl Plan {
    /// The plan as TOML; [`Plan::parse`] of it is the plan again.
    pub fn to_toml(&self) -> String {
        text(|out| self.write(out))
    }

    fn write(&self, out: &mut String) -> fmt::Result {
        writeln!(out, "name = {}", quote(&self.name))?;
        writeln!(out, "about = {}", quote(&self.about))?;
        if let Some(expect) = self.expect {
            writeln!(out, "expect = {}", quote(word(EXPECTED, &expect)))?;
        }
        cluster(out, &self.cluster)?;
        for (name, spec) in &self.topics {
            topic(out, &quote(name), spec)?;
        }
        writeln!(out, "\n[phases]")?;
        writeln!(out, "steady = {}", seconds(self.phases.steady))?;
        writeln!(out, "calm = {}", seconds(self.phases.calm))?;
        writeln!(out, "settle_max = {}", seconds(self.phases.settle_max))?;
        writeln!(out, "drain_max = {}", seconds(self.phases.drain_max))?;
        writeln!(out, "\n[minimum]")?;
        writeln!(out, "acked = {}", self.minimum.acked)?;
        writeln!(out, "acked_per_second = {}", self.minimum.acked_per_second)?;
        writeln!(out, "\n[storm]")?;
        match &self.storm {
            Storm::Steps(written) => steps(out, written)?,
            Storm::Drawn(drawn) => palette(out, drawn)?,
        }
        budget(out, &self.budget)
    }
}

fn cluster(out: &mut String, spec: &ClusterSpec) -> fmt::Result {
    writeln!(out, "\n[cluster]")?;
    writeln!(out, "kafka = {}", quote(&spec.kafka))?;
    writeln!(out, "profile = {}", quote(word(PROFILES, &spec.profile)))?;
    if !spec.start_order.is_empty() {
        writeln!(out, "start_order = {}", list(&spec.start_order))?;
    }
    if let Some(bytes) = spec.disk_bytes {
        let (unit, of) = SIZES
            .iter()
            .find(|(_, of)| bytes.is_multiple_of(*of))
            .unwrap_or_else(|| unreachable!("a disk has whole MiB"));
        writeln!(out, "disk = {}", quote(&format!("{}{unit}", bytes / of)))?;
    }
    if !spec.properties.is_empty() {
        writeln!(out, "\n[cluster.properties]")?;
        for (key, value) in &spec.properties {
            writeln!(out, "{} = {}", quote(key), quote(value))?;
        }
    }
    Ok(())
}

fn topic(out: &mut String, name: &str, spec: &TopicSpec) -> fmt::Result {
    writeln!(out, "\n[topics.{name}]")?;
    let partitions: Vec<String> = spec.assignment.iter().map(|nodes| list(nodes)).collect();
    writeln!(out, "assignment = [{}]", partitions.join(", "))?;
    writeln!(out, "min_insync_replicas = {}", spec.min_insync_replicas)?;
    if !spec.properties.is_empty() {
        writeln!(out, "\n[topics.{name}.properties]")?;
        for (key, value) in &spec.properties {
            writeln!(out, "{} = {}", quote(key), quote(value))?;
        }
    }
    writeln!(out, "\n[topics.{name}.load]")?;
    load(out, &spec.load)
}

fn load(out: &mut String, load: &Load) -> fmt::Result {
    writeln!(out, "producers = {}", load.producers)?;
    writeln!(out, "consumers = {}", load.consumers)?;
    if let Some(group) = &load.group {
        writeln!(out, "group = {}", quote(&group.name))?;
        // Who copies commits in transactions, and in no other way.
        if !matches!(load.rate, Rate::Copying(_)) {
            writeln!(out, "commit = {}", quote(word(COMMITS, &group.commit)))?;
        }
    }
    writeln!(out, "acks = {}", quote(&load.acks.to_string()))?;
    writeln!(out, "idempotent = {}", load.idempotent)?;
    if load.transactional {
        writeln!(out, "transactional = true")?;
    }
    writeln!(out, "max_in_flight = {}", load.max_in_flight)?;
    writeln!(out, "linger_ms = {}", load.linger_ms)?;
    writeln!(out, "batch_bytes = {}", load.batch_bytes)?;
    let compression = word(COMPRESSIONS, &load.compression);
    writeln!(out, "compression = {}", quote(compression))?;
    writeln!(out, "delivery_timeout = {}", seconds(load.delivery_timeout))?;
    writeln!(out, "value_bytes = {}", load.value_bytes)?;
    match &load.rate {
        Rate::Copying(source) => writeln!(out, "copies = {}", quote(source)),
        Rate::PerSecond(rate) => writeln!(out, "rate = {rate}"),
        Rate::Max | Rate::OnDemand => {
            let rate = word(RATES, &load.rate);
            writeln!(out, "rate = {}", quote(rate))
        }
    }
}

/// `steps = [...]`, one a line.
pub(crate) fn steps(out: &mut String, steps: &[impl Display]) -> fmt::Result {
    if steps.is_empty() {
        return writeln!(out, "steps = []");
    }
    writeln!(out, "steps = [")?;
    for step in steps {
        writeln!(out, "    {},", quote(&step.to_string()))?;
    }
    writeln!(out, "]")
}

fn palette(out: &mut String, palette: &Palette) -> fmt::Result {
    let bounds = |(least, most)| format!("[{}, {}]", seconds(least), seconds(most));
    writeln!(out, "length = {}", seconds(palette.length))?;
    writeln!(out, "hold = {}", bounds(palette.hold))?;
    writeln!(out, "quiet = {}", bounds(palette.quiet))?;
    if palette.at_once != 1 {
        writeln!(out, "at_once = {}", palette.at_once)?;
    }
    if let Some(count) = palette.count {
        writeln!(out, "count = {count}")?;
    }
    if let Some(shift) = &palette.shift {
        writeln!(out, "\n[storm.shift]")?;
        writeln!(out, "every = {}", bounds(shift.every))?;
        writeln!(out, "kinds = {}", shift.kinds)?;
        writeln!(out, "rest = {}", bounds(shift.rest))?;
    }
    writeln!(out, "\n[storm.faults]")?;
    for (ask, weight) in &palette.faults {
        writeln!(out, "{} = {weight}", quote(&ask.to_string()))?;
    }
    Ok(())
}

fn budget(out: &mut String, budget: &Budget) -> fmt::Result {
    if budget.is_open() {
        return Ok(());
    }
    writeln!(out, "\n[storm.budget]")?;
    if let Some(brokers) = budget.brokers {
        writeln!(out, "brokers = {brokers}")?;
    }
    if budget.zookeeper_majority {
        writeln!(out, "zookeeper = \"majority\"")?;
    }
    Ok(())
}

fn word<T: PartialEq>(table: &[(&'static str, T)], value: &T) -> &'static str {
    let found = table.iter().find(|(_, known)| known == value);
    found.map_or_else(
        || unreachable!("the tables are complete"),
        |(word, _)| *word,
    )
}

fn seconds(duration: std::time::Duration) -> String {
    quote(&Seconds(duration).to_string())
}

fn list(items: &[impl Display]) -> String {
    let items: Vec<String> = items.iter().map(|item| quote(&item.to_string())).collect();
    format!("[{}]", items.join(", "))
}

/// A TOML string on one line: literal where that is easier to read, else with escapes. Used for
/// keys too, where both forms are allowed.
fn quote(text: &str) -> String {
    let plain = |c: char| !c.is_control() && c != '\'';
    if text.contains(['"', '\\']) && text.chars().all(plain) {
        return format!("'{text}'");
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
