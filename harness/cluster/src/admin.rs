//! What is asked of one broker now and then: its metadata, a new topic, effective settings.
//!
//! Every function asks exactly the broker behind the given connection, once; who to ask, how often
//! and what an answer means for the cluster is decided in `remote`.

use std::collections::BTreeMap;

use history::{Epoch, NodeId, Partition, Topic};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::{
    BrokerId, CreateTopicsRequest, DeleteTopicsRequest, DescribeConfigsRequest, MetadataRequest,
    TopicName,
};
use kafka_protocol::protocol::StrBytes;

use crate::wire::{Wire, WireError, error_name};

/// First version with topic ids.
const METADATA: i16 = 10;
const CREATE_TOPICS: i16 = 5;
const DELETE_TOPICS: i16 = 5;
const DESCRIBE_CONFIGS: i16 = 4;
/// Well below the time-out of the request itself, so that the broker's own words arrive.
const CREATE_WITHIN_MS: i32 = 8_000;

/// The cluster as one broker believes it to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct View {
    /// Live brokers, ascending.
    pub brokers: Vec<NodeId>,
    /// The controller, if any.
    pub controller: Option<NodeId>,
    /// Ids of the topics that were asked about and are known, as Kafka prints them.
    pub ids: BTreeMap<Topic, String>,
    /// Their partitions.
    pub partitions: BTreeMap<Partition, PartitionView>,
}

/// A partition as one broker believes it to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Leader, if any.
    pub leader: Option<NodeId>,
    /// Leader epoch.
    pub epoch: Epoch,
    /// Replicas in assignment order.
    pub replicas: Vec<NodeId>,
    /// In-sync replicas, ascending.
    pub isr: Vec<NodeId>,
}

/// A broker's refusal, or no answer at all.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No answer.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The broker said no.
    #[error("refused with {name}{}", if .why.is_empty() { String::new() } else { format!(": {}", .why) })]
    Refused {
        /// Kafka's name of the error.
        name: String,
        /// The broker's own words, where it has some.
        why: String,
    },
}

impl AdminError {
    /// Whether the broker refused with this error, by Kafka's name of it: `NotController`.
    pub fn is(&self, error: &str) -> bool {
        let AdminError::Refused { name, .. } = self else {
            return false;
        };
        name.split(' ').next() == Some(error)
    }
}

/// Asks for metadata of these topics (and of the brokers). Creates nothing.
pub async fn view<'a>(
    wire: &mut Wire,
    topics: impl Iterator<Item = &'a Topic>,
) -> Result<View, WireError> {
    let topics = topics
        .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))))
        .collect();
    let request = MetadataRequest::default()
        .with_topics(Some(topics))
        .with_allow_auto_topic_creation(false);
    let answer = wire.ask(METADATA, &request).await?;
    let mut view = View {
        brokers: nodes(answer.brokers.iter().map(|broker| broker.node_id)),
        controller: node(answer.controller_id),
        ..View::default()
    };
    view.brokers.sort_unstable();
    for topic in answer.topics.iter().filter(|topic| topic.error_code == 0) {
        let Some(name) = topic.name.as_ref() else {
            continue;
        };
        let name: Topic = name.as_str().into();
        if topic.topic_id.as_bytes() != &[0; 16] {
            view.ids
                .insert(name.clone(), uuid_text(topic.topic_id.as_bytes()));
        }
        for partition in &topic.partitions {
            let mut isr = nodes(partition.isr_nodes.iter().copied());
            isr.sort_unstable();
            view.partitions.insert(
                Partition::new(name.clone(), partition.partition_index),
                PartitionView {
                    leader: node(partition.leader_id),
                    epoch: Epoch(partition.leader_epoch),
                    replicas: nodes(partition.replica_nodes.iter().copied()),
                    isr,
                },
            );
        }
    }
    Ok(view)
}

/// Creates a topic with this assignment and these properties; only the controller can.
pub async fn create_topic(
    wire: &mut Wire,
    name: &Topic,
    assignment: &[Vec<NodeId>],
    properties: &BTreeMap<String, String>,
) -> Result<(), AdminError> {
    let assignments = (0..).zip(assignment).map(|(index, replicas)| {
        CreatableReplicaAssignment::default()
            .with_partition_index(index)
            .with_broker_ids(replicas.iter().map(|n| BrokerId(n.0.into())).collect())
    });
    let configs = properties.iter().map(|(key, value)| {
        CreatableTopicConfig::default()
            .with_name(StrBytes::from_string(key.clone()))
            .with_value(Some(StrBytes::from_string(value.clone())))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(assignments.collect())
        .with_configs(configs.collect());
    let request = CreateTopicsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(CREATE_WITHIN_MS);
    let answer = wire.ask(CREATE_TOPICS, &request).await?;
    for result in &answer.topics {
        refusal(result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// Deletes a topic; only the controller can.
pub async fn delete_topic(wire: &mut Wire, name: &Topic) -> Result<(), AdminError> {
    let request = DeleteTopicsRequest::default()
        .with_topic_names(vec![topic_name(name)])
        .with_timeout_ms(CREATE_WITHIN_MS);
    let answer = wire.ask(DELETE_TOPICS, &request).await?;
    for result in &answer.responses {
        refusal(result.error_code, result.error_message.as_ref())?;
    }
    Ok(())
}

/// What a setting belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource<'a> {
    /// A topic.
    Topic(&'a Topic),
    /// The broker that is asked, itself.
    Broker(NodeId),
}

/// Effective settings, defaults included. Secrets come without a value and are left out.
pub async fn settings(
    wire: &mut Wire,
    of: Resource<'_>,
) -> Result<BTreeMap<String, String>, AdminError> {
    let (kind, name) = match of {
        Resource::Topic(topic) => (2, topic.to_string()),
        Resource::Broker(node) => (4, node.0.to_string()),
    };
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(StrBytes::from_string(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let answer = wire.ask(DESCRIBE_CONFIGS, &request).await?;
    let mut settings = BTreeMap::new();
    for result in &answer.results {
        refusal(result.error_code, result.error_message.as_ref())?;
        for config in &result.configs {
            if let Some(value) = &config.value {
                settings.insert(config.name.to_string(), value.to_string());
            }
        }
    }
    Ok(settings)
}

/// Kafka's error as ours; none for code 0.
pub(crate) fn refusal(code: i16, why: Option<&StrBytes>) -> Result<(), AdminError> {
    if code == 0 {
        return Ok(());
    }
    Err(AdminError::Refused {
        name: error_name(code),
        why: why.map(ToString::to_string).unwrap_or_default(),
    })
}

/// A topic's name as the protocol wants it.
pub(crate) fn topic_name(topic: &Topic) -> TopicName {
    TopicName(StrBytes::from_string(topic.to_string()))
}

pub(crate) fn nodes(ids: impl Iterator<Item = BrokerId>) -> Vec<NodeId> {
    ids.filter_map(node).collect()
}

/// `broker.id` 2 is n2; -1 is nobody.
pub(crate) fn node(id: BrokerId) -> Option<NodeId> {
    u8::try_from(id.0).ok().map(NodeId)
}

/// Sixteen bytes as Kafka prints a topic's id: base 64 for URLs, unpadded.
fn uuid_text(bytes: &[u8; 16]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity(22);
    for chunk in bytes.chunks(3) {
        let mut bits = [0; 4];
        bits[1..=chunk.len()].copy_from_slice(chunk);
        let bits = u32::from_be_bytes(bits);
        for i in 0..=chunk.len() {
            text.push(ALPHABET[(bits >> (18 - 6 * i) & 63) as usize].into());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topic_ids_print_as_kafka_prints_them() {
        assert_eq!(uuid_text(&[0; 16]), "AAAAAAAAAAAAAAAAAAAAAA");
        let bytes = std::array::from_fn(|i| 255 - i as u8);
        assert_eq!(uuid_text(&bytes), "__79_Pv6-fj39vX08_Lx8A");
    }

    #[test]
    fn nobody_is_no_node() {
        assert_eq!(nodes([BrokerId(1), BrokerId(-1)].into_iter()), [NodeId(1)]);
    }
}
