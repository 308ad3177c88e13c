//! What was found: versions and effective settings, as read back from the running system.
//!
//! What is *promised* follows from this (and from the faults), never from what the plan asked for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{ClientId, NodeId, Partition, RunId, Topic};

/// `setting.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// The run.
    pub run: RunId,
    /// The plan's name: `demo`.
    pub plan: String,
    /// The seed from which everything was drawn.
    pub seed: u64,
    /// Wall-clock start, RFC 3339, UTC. For people; nothing is computed from it.
    pub started: String,
    /// The version of this program.
    pub tidemark: String,
    /// The version of Kafka that was installed: `3.0.0`.
    pub kafka: String,
    /// The client library and its features, as it names itself.
    pub client: String,
    /// Effective broker settings, by node, as DescribeConfigs gave them (set ones and defaults).
    pub brokers: BTreeMap<NodeId, BTreeMap<String, String>>,
    /// Topics, with effective settings.
    pub topics: BTreeMap<Topic, TopicSetting>,
    /// Producers of the workload.
    pub producers: BTreeMap<ClientId, ProducerSetting>,
    /// Consumers of the workload, where there is more to say than that they read.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub consumers: BTreeMap<ClientId, ConsumerSetting>,
    /// Hosts.
    pub hosts: BTreeMap<NodeId, HostFacts>,
}

/// A topic as the cluster describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSetting {
    /// The topic's id, where the version has one.
    pub id: Option<String>,
    /// Replicas of each partition, in assignment order.
    pub assignment: BTreeMap<i32, Vec<NodeId>>,
    /// Effective settings, as DescribeConfigs gave them.
    pub config: BTreeMap<String, String>,
}

impl TopicSetting {
    /// `min.insync.replicas`; Kafka's own default is 1.
    pub fn min_insync_replicas(&self) -> u32 {
        self.config
            .get("min.insync.replicas")
            .and_then(|v| v.parse().ok())
            .unwrap_or(1)
    }

    /// The partitions of the topic called `name`.
    pub fn partitions<'a>(&'a self, name: &'a Topic) -> impl Iterator<Item = Partition> + 'a {
        self.assignment
            .keys()
            .map(|index| Partition::new(name.clone(), *index))
    }
}

/// A producer as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerSetting {
    /// The topic it sends to.
    pub topic: Topic,
    /// `0`, `1` or `all`.
    pub acks: String,
    /// `enable.idempotence`.
    pub idempotent: bool,
    /// Whether the client library may send a record again by itself.
    pub retries: bool,
    /// `max.in.flight.requests.per.connection`.
    pub max_in_flight: u32,
    /// `transactional.id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactional_id: Option<String>,
    /// `transaction.timeout.ms`, where it is known: so long a transaction may stay open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_timeout_ms: Option<u64>,
}

/// A consumer as it was configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerSetting {
    /// `group.id`; absent for a consumer that assigns itself and commits nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// When its positions are committed.
    pub commit: CommitMode,
    /// `isolation.level=read_committed`.
    #[serde(default)]
    pub read_committed: bool,
    /// `auto.offset.reset`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<String>,
}

/// When a consumer's positions are committed: the rows of the contract for groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CommitMode {
    /// Never: assigned by hand, no group.
    None,
    /// `enable.auto.commit`, records processed inside the poll loop.
    Auto,
    /// `enable.auto.commit`, records processed elsewhere.
    AutoAsync,
    /// By hand, after processing.
    After,
    /// By hand, before processing.
    Before,
    /// Within the producer's transaction.
    Transaction,
}

/// A host, as it describes itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// `uname -sr`.
    pub kernel: String,
    /// `PRETTY_NAME` of os-release.
    pub system: String,
    /// First line of `java -version`.
    pub java: String,
}
