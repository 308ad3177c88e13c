//! Reads everything that the brokers of one run left behind, from its directory.
//!
//! It changes nothing there and forgets nothing: what cannot be read is listed with its reason.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use history::{Event, HostClocks, NodeId, Service, Span};

use crate::batch::Recognise;
use crate::image::read_image;
use crate::lines::{Source, read_lines};
use crate::model::{Evidence, Unreadable};

/// The log files of a node, in the order in which they are read; `true` for those that every broker
/// writes, so that their absence is said.
const FILES: [(&str, Service, bool); 4] = [
    ("server.log", Service::Broker, true),
    ("state-change.log", Service::Broker, true),
    ("controller.log", Service::Broker, false),
    ("zookeeper.log", Service::ZooKeeper, false),
];

/// Reads images (those that `events` name) and broker logs below the run directory `dir`.
///
/// `recognise` tells a record's payload; events also give the clock samples by which the hosts' own
/// times become spans of run time.
pub fn read(dir: &Path, events: &[Event], recognise: Recognise<'_>) -> Evidence {
    let mut evidence = Evidence::default();
    for event in events {
        if let Event::Image(taken) = event {
            let image = read_image(dir, taken, recognise, &mut evidence.unreadable);
            evidence.images.extend(image);
        }
    }
    for node in nodes(dir, &mut evidence.unreadable) {
        read_node(dir, node, &mut evidence);
    }
    let clocks = HostClocks::of(events);
    for line in &mut evidence.lines {
        line.span = place(&clocks, line.node, line.host_unix_millis);
    }
    evidence
}

/// A line's time in run time. Log4j drops what is below a millisecond, so the line was written
/// somewhere within the one that it names.
fn place(clocks: &HostClocks, node: NodeId, millis: i64) -> Option<Span> {
    const MILLISECOND: i64 = 1_000_000;
    let from = millis.checked_mul(MILLISECOND)?;
    let to = from.checked_add(MILLISECOND)?;
    Some(Span {
        from: clocks.place(node, from)?.from,
        to: clocks.place(node, to)?.to,
    })
}

/// Nodes that have a directory, ascending.
fn nodes(dir: &Path, unreadable: &mut Vec<Unreadable>) -> Vec<NodeId> {
    let mut nodes: Vec<NodeId> = names(dir, "nodes", unreadable)
        .iter()
        .filter_map(|name| name.parse().ok())
        .collect();
    nodes.sort_unstable();
    nodes
}

fn read_node(dir: &Path, node: NodeId, evidence: &mut Evidence) {
    let logs = format!("nodes/{node}/logs");
    let there = names(dir, &logs, &mut evidence.unreadable);
    for (live, service, expected) in FILES {
        let files = rotated(live, &there);
        if files.is_empty() && expected {
            evidence.unreadable.push(Unreadable {
                file: format!("{logs}/{live}"),
                why: "is not there".to_owned(),
            });
        }
        for name in files {
            let file = format!("{logs}/{name}");
            let source = Source {
                node,
                service,
                file: &file,
            };
            let read = File::open(dir.join(&file)).and_then(|opened| {
                let opened = BufReader::with_capacity(1 << 16, opened);
                read_lines(
                    source,
                    opened,
                    &mut evidence.lines,
                    &mut evidence.unreadable,
                )
            });
            if let Err(error) = read {
                let why = error.to_string();
                evidence.unreadable.push(Unreadable { file, why });
            }
        }
    }
}

/// Names in a directory of the run, in no order.
fn names(dir: &Path, sub: &str, unreadable: &mut Vec<Unreadable>) -> Vec<String> {
    let mut names = Vec::new();
    let listed = fs::read_dir(dir.join(sub)).and_then(|entries| {
        for entry in entries {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        Ok(())
    });
    if let Err(error) = listed {
        unreadable.push(Unreadable {
            file: sub.to_owned(),
            why: error.to_string(),
        });
    }
    names
}

/// The files of one log, oldest first: `server.log.2` before `server.log.1` (log4j's
/// RollingFileAppender counts upwards into the past), then those named after dates, which sort by
/// themselves, then the live file.
fn rotated<'a>(live: &str, there: &'a [String]) -> Vec<&'a str> {
    let mut files: Vec<(u8, std::cmp::Reverse<u32>, &str)> = there
        .iter()
        .filter_map(|name| {
            let suffix = name.strip_prefix(live)?;
            if suffix.is_empty() {
                return Some((2, std::cmp::Reverse(0), name.as_str()));
            }
            let suffix = suffix.strip_prefix('.')?;
            match suffix.parse() {
                Ok(number) => Some((0, std::cmp::Reverse(number), name.as_str())),
                Err(_) => suffix
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'-')
                    .then_some((1, std::cmp::Reverse(0), name.as_str())),
            }
        })
        .collect();
    files.sort_unstable();
    files.into_iter().map(|(_, _, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_files_come_oldest_first() {
        let there = [
            "server.log",
            "server.log.1",
            "server.log.2026-11-22-10",
            "server.log.10",
            "server.log.2026-11-22-09",
            "server.log.gz",
            "controller.log",
        ]
        .map(str::to_owned);
        assert_eq!(
            rotated("server.log", &there),
            [
                "server.log.10",
                "server.log.1",
                "server.log.2026-11-22-09",
                "server.log.2026-11-22-10",
                "server.log"
            ]
        );
    }
}
