//! Reads log files of brokers and ZooKeeper servers, line by line, and keeps what speaks about
//! replication.
//!
//! The layout is that of docs/architecture.md: `yyyy-MM-dd HH:mm:ss,SSS LEVEL message (logger)`, in
//! UTC; Kafka's own default with the time in brackets is read as well. It knows no run time: whoever
//! has clock samples turns the host's time into a span.

use std::io::{self, BufRead, Read};

use chrono::NaiveDateTime;
use history::{NodeId, Service};

use crate::model::{LogLine, Says, Unreadable};
use crate::says::says;

/// Longer lines are read up to here; those that matter are shorter than 2 KiB.
const LINE_MAX: u64 = 64 << 10;

/// Length of `2026-11-22 03:10:55,123`.
const TIME: usize = 23;

/// Whose log file it is, and where it stands.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Whose.
    pub node: NodeId,
    /// Of which service.
    pub service: Service,
    /// Relative to the run directory.
    pub file: &'a str,
}

/// Reads a log file to its end and appends what says something; `span` is left empty. Lines that
/// begin like one that matters and cannot be understood are listed in `unreadable`.
pub fn read_lines(
    source: Source<'_>,
    mut from: impl BufRead,
    lines: &mut Vec<LogLine>,
    unreadable: &mut Vec<Unreadable>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(1 << 10);
    let mut number = 0_u32;
    // The exception that follows a fatal message says why; log4j writes it on lines of its own.
    let mut reason_of = None;
    while next_line(&mut from, &mut buffer)? {
        number = number.saturating_add(1);
        let text = String::from_utf8_lossy(&buffer);
        let Some((time, rest)) = split_time(&text) else {
            if let Some(time) = reason_of.take().filter(|_| !text.trim().is_empty()) {
                lines.push(line(source, number, time, &text, Says::Fatal));
            }
            continue;
        };
        reason_of = None;
        match says(rest) {
            None => {}
            Some(Err(unfamiliar)) => unreadable.push(Unreadable {
                file: source.file.to_owned(),
                why: format!("line {number}: {unfamiliar}: {text}"),
            }),
            Some(Ok(said)) => match millis(time) {
                Some(time) => {
                    reason_of = (said == Says::Fatal).then_some(time);
                    lines.push(line(source, number, time, &text, said));
                }
                None => unreadable.push(Unreadable {
                    file: source.file.to_owned(),
                    why: format!("line {number}: `{time}` is not a time"),
                }),
            },
        }
    }
    Ok(())
}

fn line(source: Source<'_>, number: u32, time: i64, text: &str, says: Says) -> LogLine {
    LogLine {
        node: source.node,
        service: source.service,
        file: source.file.to_owned(),
        line: number,
        host_unix_millis: time,
        span: None,
        text: text.to_owned(),
        says,
    }
}

/// Reads the next line without its end; false at the end of the file.
fn next_line(from: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<bool> {
    buffer.clear();
    from.by_ref().take(LINE_MAX).read_until(b'\n', buffer)?;
    if buffer.is_empty() {
        return Ok(false);
    }
    if buffer.last() == Some(&b'\n') {
        buffer.pop();
        if buffer.last() == Some(&b'\r') {
            buffer.pop();
        }
    } else if buffer.len() as u64 >= LINE_MAX {
        from.skip_until(b'\n')?;
    }
    Ok(true)
}

/// Splits the time off a line that begins with one; stack traces and other second lines do not.
fn split_time(line: &str) -> Option<(&str, &str)> {
    let (line, after) = match line.strip_prefix('[') {
        Some(line) => (line, "] "),
        None => (line, " "),
    };
    let (time, rest) = line.split_at_checked(TIME)?;
    let marks = time.bytes().enumerate().all(|(at, byte)| match at {
        4 | 7 => byte == b'-',
        10 => byte == b' ',
        13 | 16 => byte == b':',
        19 => byte == b',',
        _ => byte.is_ascii_digit(),
    });
    if !marks {
        return None;
    }
    Some((time, rest.strip_prefix(after)?))
}

/// Milliseconds since 1970.
fn millis(time: &str) -> Option<i64> {
    NaiveDateTime::parse_from_str(time, "%Y-%m-%d %H:%M:%S,%3f")
        .ok()
        .map(|time| time.and_utc().timestamp_millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> (Vec<LogLine>, Vec<Unreadable>) {
        let (mut lines, mut unreadable) = (Vec::new(), Vec::new());
        let source = Source {
            node: NodeId(1),
            service: Service::Broker,
            file: "nodes/n1/logs/server.log",
        };
        read_lines(source, text, &mut lines, &mut unreadable).unwrap();
        (lines, unreadable)
    }

    #[test]
    fn a_line_has_its_number_time_and_text() {
        let text = "2026-11-22 03:10:55,123 INFO something else (x.Y)\r\n\
            [2026-11-22 03:10:55,124] INFO [Log partition=a-b-0, dir=/x] Truncating to offset 8079 (kafka.log.Log)\n";
        let (lines, unreadable) = read(text.as_bytes());
        assert_eq!(unreadable, []);
        let [line] = lines.as_slice() else {
            panic!("{lines:?}")
        };
        assert_eq!((line.line, line.host_unix_millis), (2, 1_795_317_055_124));
        assert!(line.text.ends_with("8079 (kafka.log.Log)"));
        let partition = history::Partition::new("a-b", 0);
        assert_eq!(
            line.says,
            Says::Truncating {
                partition,
                to: history::Offset(8079)
            }
        );
    }

    #[test]
    fn a_stack_trace_says_nothing_but_the_reason_of_a_fatal_line() {
        let text = "\
2026-11-22 03:10:55,123 ERROR Error while x (kafka.server.X)
java.lang.IllegalStateException: Truncating to offset 7
\tat kafka.log.Log.truncateTo(Log.scala:1)
2026-11-22 03:10:56,000 ERROR [KafkaServer id=0] Fatal error during KafkaServer startup. Prepare to shutdown (kafka.server.KafkaServer)
org.apache.zookeeper.KeeperException$NodeExistsException: KeeperErrorCode = NodeExists
\tat org.apache.zookeeper.KeeperException.create(KeeperException.java:126)
2026-11-22 03:10:56,100 INFO [KafkaServer id=0] shutting down (kafka.server.KafkaServer)
";
        let (lines, unreadable) = read(text.as_bytes());
        assert_eq!(unreadable, []);
        let said: Vec<_> = lines.iter().map(|l| (l.line, &l.says)).collect();
        assert_eq!(said, [(4, &Says::Fatal), (5, &Says::Fatal)]);
        assert!(lines[1].text.contains("NodeExists"));
    }

    #[test]
    fn a_reworded_line_is_listed() {
        let text = b"2026-11-22 03:10:55,123 INFO [Log partition=a-0, dir=/x] Truncating to point 7 (kafka.log.Log)\n\
            2026-13-22 03:10:55,123 INFO [Log partition=a-0, dir=/x] Truncating to offset 7 (kafka.log.Log)\n";
        let (lines, unreadable) = read(text);
        assert_eq!(lines, []);
        assert_eq!(unreadable.len(), 2);
        assert!(unreadable[0].why.starts_with("line 1: begins like"));
        assert!(unreadable[1].why.contains("is not a time"));
    }

    #[test]
    fn a_line_without_end_does_not_fill_the_memory() {
        let mut text = vec![b'x'; 3 << 20];
        text.extend_from_slice(
            b"\n2026-11-22 03:10:55,123 INFO [Log partition=a-0, dir=/x] Truncating to offset 7 (kafka.log.Log)",
        );
        let (lines, _) = read(&text);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].line, 2);
    }
}
