//! The small text files beside the logs: offset checkpoints, leader epochs, `partition.metadata`.
//!
//! Each is read and written. What can be read is read, and what cannot is said: a torn checkpoint is evidence too. No file is
//! opened here.

use std::collections::BTreeMap;

use history::{Epoch, Offset, Partition};

/// What a file said, as far as it could be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parsed<T> {
    /// The entries that could be read.
    pub value: T,
    /// What could not, one sentence each, with line numbers from 1.
    pub complaints: Vec<String>,
}

/// Reads an offset checkpoint: `topic partition offset` per line. Of two lines for one partition
/// the later counts, as in Kafka (`CheckpointFile` fills a map in file order).
pub fn offsets(text: &str) -> Parsed<BTreeMap<Partition, Offset>> {
    let entries = entries(text, |line| {
        let mut words = line.split(' ');
        let (topic, index, offset) = (words.next()?, words.next()?, words.next()?);
        if words.next().is_some() || topic.is_empty() {
            return None;
        }
        let index = index.parse().ok().filter(|index| *index >= 0)?;
        Some((Partition::new(topic, index), Offset(offset.parse().ok()?)))
    });
    Parsed {
        value: entries.value.into_iter().collect(),
        complaints: entries.complaints,
    }
}

/// Writes an offset checkpoint, as [`offsets`] reads it.
pub fn write_offsets(offsets: &BTreeMap<Partition, Offset>) -> String {
    let mut text = format!("0\n{}\n", offsets.len());
    for (partition, offset) in offsets {
        let (topic, index) = (&partition.topic, partition.index);
        text.push_str(&format!("{topic} {index} {}\n", offset.0));
    }
    text
}

/// Writes a `leader-epoch-checkpoint`, as [`epochs`] reads it.
pub fn write_epochs(epochs: &[(Epoch, Offset)]) -> String {
    let mut text = format!("0\n{}\n", epochs.len());
    for (epoch, start) in epochs {
        text.push_str(&format!("{} {}\n", epoch.0, start.0));
    }
    text
}

/// Writes a `partition.metadata`, as [`topic_id`] reads it.
pub fn write_topic_id(id: &str) -> String {
    format!("version: 0\ntopic_id: {id}")
}

/// Reads a `leader-epoch-checkpoint`: `epoch start-offset` per line, in file order.
pub fn epochs(text: &str) -> Parsed<Vec<(Epoch, Offset)>> {
    entries(text, |line| {
        let (epoch, offset) = line.split_once(' ')?;
        Some((Epoch(epoch.parse().ok()?), Offset(offset.parse().ok()?)))
    })
}

/// Reads the `topic_id` of a `partition.metadata`.
pub fn topic_id(text: &str) -> Result<String, String> {
    let mut id = None;
    for (key, value) in text.lines().filter_map(|line| line.split_once(':')) {
        match key.trim() {
            "version" if value.trim() != "0" => {
                return Err(format!("version {}, 0 is known", value.trim()));
            }
            "topic_id" => id = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    id.filter(|id| !id.is_empty())
        .ok_or_else(|| "no topic_id".to_owned())
}

/// The format that all checkpoints share: a version, a count, and so many entries. An empty file
/// has none: brokers create it empty at their start and fill it later.
fn entries<T>(text: &str, entry: impl Fn(&str) -> Option<T>) -> Parsed<Vec<T>> {
    let mut value = Vec::new();
    let mut complaints = Vec::new();
    if text.is_empty() {
        return Parsed { value, complaints };
    }
    let mut lines = (1..).zip(text.lines());
    match lines.next().map(|(_, line)| line.trim()) {
        Some("0") => {}
        other => {
            let other = other.unwrap_or_default();
            complaints.push(format!("line 1: version `{other}`, 0 is known"));
        }
    }
    let promised = lines
        .next()
        .and_then(|(_, line)| line.trim().parse::<usize>().ok());
    if promised.is_none() {
        complaints.push("line 2: no entry count".to_owned());
    }
    for (number, line) in lines {
        if line.trim().is_empty() {
            continue;
        }
        match entry(line.trim_end()) {
            Some(read) => value.push(read),
            None => complaints.push(format!("line {number}: `{line}` is not an entry")),
        }
    }
    if let Some(promised) = promised.filter(|promised| *promised != value.len()) {
        complaints.push(format!("{promised} entries promised, {} read", value.len()));
    }
    Parsed { value, complaints }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_read() {
        let read = offsets("0\n2\nledger 0 8074\nmy.topic-x 12 0\n");
        assert_eq!(read.complaints, Vec::<String>::new());
        let wanted = [
            (Partition::new("ledger", 0), Offset(8074)),
            (Partition::new("my.topic-x", 12), Offset(0)),
        ];
        assert_eq!(read.value, BTreeMap::from(wanted));
        let read = epochs("0\n2\n0 0\n3 8079\n");
        assert_eq!(read.complaints, Vec::<String>::new());
        assert_eq!(
            read.value,
            [(Epoch(0), Offset(0)), (Epoch(3), Offset(8079))]
        );
        assert_eq!(epochs("0\n0\n"), Parsed::default());
        assert_eq!(epochs(""), Parsed::default());
        assert_eq!(
            topic_id("version: 0\ntopic_id: WGpDZ7cTTD6u3kuMnGMpCA"),
            Ok("WGpDZ7cTTD6u3kuMnGMpCA".to_owned())
        );
    }

    #[test]
    fn what_cannot_be_read_is_said_and_the_rest_kept() {
        let read = offsets("0\n3\nledger 0 8074\nledger 1 80x\n");
        assert_eq!(read.value.len(), 1);
        assert_eq!(
            read.complaints,
            [
                "line 4: `ledger 1 80x` is not an entry",
                "3 entries promised, 1 read"
            ]
        );
        assert_eq!(
            epochs("1\n1\n0 0").complaints,
            ["line 1: version `1`, 0 is known"]
        );
        assert_eq!(epochs("0").complaints, ["line 2: no entry count"]);
        assert_eq!(topic_id("version: 0"), Err("no topic_id".to_owned()));
        assert!(topic_id("version: 7\ntopic_id: x").is_err());
    }
}
