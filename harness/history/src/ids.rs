//! Identities. Each is a type of its own and prints one way everywhere (logs, tests, reports).
//!
//! Nothing here gives an identity a meaning: that `n0` is `broker.id=0` is the cluster's business.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! numbered {
    ($(#[$doc:meta])* $name:ident($inner:ty), $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = BadId;
            fn from_str(text: &str) -> Result<Self, BadId> {
                text.strip_prefix($prefix)
                    .and_then(|digits| digits.parse().ok())
                    .map($name)
                    .ok_or_else(|| BadId { text: text.to_owned(), wanted: concat!($prefix, "<number>") })
            }
        }
    };
}

numbered!(
    /// A host and what runs on it; `n0` is `broker.id=0` and the first host of the lab file.
    NodeId(u8), "n"
);
numbered!(
    /// A producer or consumer handle of the workload. A handle that is opened again gets a new id.
    ClientId(u16), "c"
);
numbered!(
    /// One operation (a record sent, a poll, ...), unique within a run, ascending by invocation.
    OpId(u64), "o"
);
numbered!(
    /// One fault, numbered in the order of the schedule, from 1.
    FaultId(u16), "f"
);
numbered!(
    /// One payload, unique within a run, dense from 0: the key by which a record is recognised in
    /// any log.
    ValueId(u64), "v"
);
numbered!(
    /// A position in a partition's log. Kafka's end offsets (LEO, HW) are the *next* position.
    Offset(i64), "@"
);
numbered!(
    /// A partition leader epoch.
    Epoch(i32), "e"
);

/// A topic's name; cheap to clone.
pub type Topic = Arc<str>;

/// A partition of a topic. Prints as `ledger/0` (Kafka's own `ledger-0` is its directory's name).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Partition {
    /// The topic's name.
    pub topic: Topic,
    /// The partition's number within the topic.
    pub index: i32,
}

impl Partition {
    /// The partition `index` of `topic`.
    pub fn new(topic: impl Into<Topic>, index: i32) -> Self {
        Self {
            topic: topic.into(),
            index,
        }
    }

    /// The name of its directory under `log.dirs`, and in brokers' log lines: `ledger-0`.
    pub fn dir_name(&self) -> String {
        format!("{}-{}", self.topic, self.index)
    }

    /// Reads Kafka's `ledger-0`. The last dash separates, since topic names may hold dashes.
    pub fn from_dir_name(text: &str) -> Option<Self> {
        let (topic, index) = text.rsplit_once('-')?;
        if topic.is_empty() {
            return None;
        }
        Some(Self::new(topic, index.parse().ok().filter(|i| *i >= 0)?))
    }
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.index)
    }
}

impl FromStr for Partition {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        text.rsplit_once('/')
            .filter(|(topic, _)| !topic.is_empty())
            .and_then(|(topic, index)| {
                Some(Self::new(topic, index.parse().ok().filter(|i| *i >= 0)?))
            })
            .ok_or_else(|| BadId {
                text: text.to_owned(),
                wanted: "<topic>/<partition>",
            })
    }
}

/// The six characters that name a run, `x7k2qa`: lower-case letters and digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId([u8; 6]);

impl RunId {
    /// Spells a number (taken modulo 36^6) as a run id.
    pub fn from_number(mut n: u64) -> Self {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let mut text = [0; 6];
        for slot in &mut text {
            *slot = ALPHABET[(n % 36) as usize];
            n /= 36;
        }
        Self(text)
    }

    /// The id as it stands in payload headers.
    pub fn bytes(&self) -> [u8; 6] {
        self.0
    }

    /// Reads six bytes of a payload header.
    pub fn from_bytes(bytes: [u8; 6]) -> Option<Self> {
        bytes
            .iter()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            .then_some(Self(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{}", *b as char))
    }
}

impl FromStr for RunId {
    type Err = BadId;
    fn from_str(text: &str) -> Result<Self, BadId> {
        <[u8; 6]>::try_from(text.as_bytes())
            .ok()
            .and_then(Self::from_bytes)
            .ok_or_else(|| BadId {
                text: text.to_owned(),
                wanted: "six of a-z and 0-9",
            })
    }
}

impl Serialize for RunId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RunId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A text that should have been an identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not of the form {wanted}")]
pub struct BadId {
    /// What stood there.
    pub text: String,
    /// What should have stood there.
    pub wanted: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identities_print_and_parse_one_way() {
        assert_eq!(NodeId(2).to_string(), "n2");
        assert_eq!("o9313".parse(), Ok(OpId(9313)));
        assert_eq!("ledger/0".parse(), Ok(Partition::new("ledger", 0)));
        assert_eq!(
            Partition::from_dir_name("my-topic-3"),
            Some(Partition::new("my-topic", 3))
        );
        assert_eq!(Partition::from_dir_name("-3"), None);
        let run = RunId::from_number(123_456_789);
        assert_eq!(run.to_string().parse(), Ok(run));
        assert!("x7k2q".parse::<RunId>().is_err());
        assert_eq!(
            "o93x".parse::<OpId>().unwrap_err().to_string(),
            "`o93x` is not of the form o<number>"
        );
    }
}
