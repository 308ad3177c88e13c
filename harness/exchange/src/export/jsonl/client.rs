//! What clients asked and were told, as it stands in lines. Nothing is decided here.

use history::{Epoch, NodeId, Offset, Partition, Topic, ValueId, Why};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `ledger/0`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartitionText(pub Partition);

impl Serialize for PartitionText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PartitionText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for PartitionText {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Partition".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A partition: `ledger/0`.",
            "type": "string",
            "pattern": "^.+/[0-9]+$"
        })
    }
}

/// A partition with a position in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct At {
    /// Which partition.
    pub partition: PartitionText,
    /// Which offset.
    #[schemars(with = "i64")]
    pub offset: Offset,
}

/// What a client asks of Kafka.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "call", rename_all = "kebab-case")]
pub enum CallLine {
    /// Append one record.
    Send {
        /// Where to.
        partition: PartitionText,
        /// Its payload.
        #[schemars(with = "u64")]
        value: ValueId,
    },
    /// Ask for the next records.
    Poll,
    /// Take these partitions, from these positions on.
    Assign {
        /// Each partition with the first offset to read.
        from: Vec<At>,
    },
    /// Join the group for these topics.
    Subscribe {
        /// Which.
        #[schemars(with = "Vec<String>")]
        topics: Vec<Topic>,
    },
    /// Read on from other positions.
    Seek {
        /// Each partition with the next offset to read.
        to: Vec<At>,
    },
    /// Commit a group's positions.
    Commit {
        /// Each partition with the next offset to process.
        offsets: Vec<At>,
    },
    /// Begin a transaction.
    Begin,
    /// End it.
    End {
        /// Committed, else aborted.
        commit: bool,
    },
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum ReplyLine {
    /// Answers `send`.
    Sent(OutcomeLine<AckLine>),
    /// Answers `poll`.
    Polled(OutcomeLine<PolledLine>),
    /// Answers `assign`.
    Assigned(OutcomeLine<NothingLine>),
    /// Answers every other call.
    Done(OutcomeLine<NothingLine>),
}

/// Whether it happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum OutcomeLine<T> {
    /// It took effect; the rest is what the client was told.
    Ok(T),
    /// It certainly took no effect, ever.
    Failed {
        /// The client's own words.
        #[schemars(with = "String")]
        why: Why,
    },
    /// It may have taken effect, or may still.
    Unknown {
        /// The client's own words.
        #[schemars(with = "String")]
        why: Why,
    },
}

/// Nothing more was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NothingLine {}

/// What a producer was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AckLine {
    /// Where the record stands; absent when the broker answered "duplicate sequence".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i64>")]
    pub offset: Option<Offset>,
    /// The broker that answered, where the client library tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u8>")]
    pub broker: Option<NodeId>,
}

/// What a consumer was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolledLine {
    /// The records, in the order in which they came.
    pub records: Vec<DeliveryLine>,
}

/// One record that a consumer was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryLine {
    /// Where from.
    pub partition: PartitionText,
    /// At which offset.
    #[schemars(with = "i64")]
    pub offset: Offset,
    /// What it holds.
    pub value: ValueLine,
    /// The leader epoch of its batch, where the client library tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<i32>")]
    pub epoch: Option<Epoch>,
    /// The broker that served it, where the client library tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u8>")]
    pub broker: Option<NodeId>,
}

/// A payload: the number of its value, or a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum ValueLine {
    /// A value of this run, intact.
    Value(#[schemars(with = "u64")] ValueId),
    /// Something else.
    Odd(OddLine),
}

/// A payload that is no value of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OddLine {
    /// Starts like one of ours, but its checksum fails.
    Corrupt,
    /// Not ours.
    Foreign,
}
