//! Lines of Jepsen's EDN. It writes what it is given, in the order in which it is given.

use std::fmt;
use std::io::{self, Write};

use history::{Delivery, Mark, Offset, Partition, Payload, ValueId};

/// How far an operation has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Invoke,
    Ok,
    Fail,
    Info,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Invoke => ":invoke",
            Kind::Ok => ":ok",
            Kind::Fail => ":fail",
            Kind::Info => ":info",
        })
    }
}

/// A partition as a key: Kafka's own `ledger-0`, which is a file's name, too.
pub(super) struct Key<'a>(pub(super) &'a Partition);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Text(&self.0.dir_name()).fmt(f)
    }
}

/// A text in quotes.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.0.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '\r' => f.write_str("\\r")?,
                '\t' => f.write_str("\\t")?,
                c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

/// `[[:send "ledger-0" 4812]]`, with its offset once it is known.
pub(super) struct Sent<'a>(
    pub(super) &'a Partition,
    pub(super) Option<Offset>,
    pub(super) ValueId,
);

impl fmt::Display for Sent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Sent(partition, offset, value) = self;
        match offset {
            Some(offset) => write!(f, "[[:send {} [{} {}]]]", Key(partition), offset.0, value.0),
            None => write!(f, "[[:send {} {}]]", Key(partition), value.0),
        }
    }
}

/// `[[:poll {"ledger-0" [[0 4] [1 5]]}]]`: the records of each partition, in their order.
pub(super) struct Polled<'a>(pub(super) &'a [Delivery]);

impl fmt::Display for Polled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[[:poll {")?;
        // One poll returns few partitions, mostly in runs; the order is that of their first record.
        let mut keys: Vec<&Partition> = Vec::new();
        for delivery in self.0 {
            if keys.last() != Some(&&delivery.partition) && !keys.contains(&&delivery.partition) {
                keys.push(&delivery.partition);
            }
        }
        for (index, key) in keys.into_iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{} [", Key(key))?;
            let records = self.0.iter().filter(|delivery| delivery.partition == *key);
            for (index, delivery) in records.enumerate() {
                let space = if index > 0 { " " } else { "" };
                write!(f, "{space}{}", Read(delivery))?;
            }
            f.write_str("]")?;
        }
        f.write_str("}]]")
    }
}

/// `[1071 4812]`. What is no value of ours is a text that nobody sent, and no other record's.
struct Read<'a>(&'a Delivery);

impl fmt::Display for Read<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offset = self.0.offset.0;
        match self.0.payload {
            Payload::Value(value) => write!(f, "[{offset} {}]", value.0),
            Payload::Corrupt => write!(f, "[{offset} \"corrupt at {offset}\"]"),
            Payload::Foreign => write!(f, "[{offset} \"foreign at {offset}\"]"),
        }
    }
}

/// `["ledger-0" "ledger-1"]`.
pub(super) struct Keys<'a>(pub(super) &'a [Partition]);

impl fmt::Display for Keys<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, partition) in self.0.iter().enumerate() {
            let space = if index > 0 { " " } else { "" };
            write!(f, "{space}{}", Key(partition))?;
        }
        f.write_str("]")
    }
}

/// Writes one map a line and numbers them.
pub(super) struct Lines<W> {
    into: W,
    /// Lines so far, which is the next one's index.
    pub(super) written: u64,
}

impl<W: Write> Lines<W> {
    pub(super) fn new(into: W) -> Self {
        Self { into, written: 0 }
    }

    /// Writes the line of an operation; `more` is what follows its value, `, :error "..."`.
    pub(super) fn line(
        &mut self,
        at: Mark,
        kind: Kind,
        process: impl fmt::Display,
        f: &str,
        value: impl fmt::Display,
        more: impl fmt::Display,
    ) -> io::Result<()> {
        let (index, time) = (self.written, at.0);
        self.written += 1;
        writeln!(
            self.into,
            "{{:index {index}, :time {time}, :type {kind}, :process {process}, :f {f}, \
             :value {value}{more}}}"
        )
    }

    pub(super) fn end(mut self) -> io::Result<()> {
        self.into.flush()
    }
}
