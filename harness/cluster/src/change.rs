//! What is changed through one broker: leaders, replicas, a topic's setting, the start of a log.
//!
//! As in `admin`, every function asks exactly the broker behind the given connection, once. Whether
//! anything changed by it is not concluded from an answer; `injections::topic` reads that back.

use history::{NodeId, Offset, Partition, Topic};
use kafka_protocol::messages::alter_partition_reassignments_request::{
    ReassignablePartition, ReassignableTopic,
};
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsTopic,
};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig,
};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::list_partition_reassignments_request::ListPartitionReassignmentsTopics;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsRequest, BrokerId, DeleteRecordsRequest, ElectLeadersRequest,
    FindCoordinatorRequest, IncrementalAlterConfigsRequest, ListOffsetsRequest,
    ListPartitionReassignmentsRequest,
};
use kafka_protocol::protocol::StrBytes;

use crate::admin::{AdminError, node, nodes, refusal, topic_name};
use crate::wire::{Wire, WireError};

const ELECT_LEADERS: i16 = 2;
const ALTER_REASSIGNMENTS: i16 = 0;
const LIST_REASSIGNMENTS: i16 = 0;
const INCREMENTAL_ALTER_CONFIGS: i16 = 1;
const DELETE_RECORDS: i16 = 2;
/// The last version without compact encoding.
const LIST_OFFSETS: i16 = 5;
/// The last version with a single key.
const FIND_COORDINATOR: i16 = 3;
/// Well below the wire's own patience, so that the broker's own words arrive.
const WITHIN_MS: i32 = 5_000;
/// IncrementalAlterConfigs' operations and resource.
const SET: i8 = 0;
const DELETE: i8 = 1;
const OF_TOPIC: i8 = 2;
/// FindCoordinator's kind of key.
const OF_GROUP: i8 = 0;

/// Asks for an election; only the controller can.
pub async fn elect(
    wire: &mut Wire,
    partition: &Partition,
    unclean: bool,
) -> Result<(), AdminError> {
    let asked = TopicPartitions::default()
        .with_topic(topic_name(&partition.topic))
        .with_partitions(vec![partition.index]);
    let request = ElectLeadersRequest::default()
        .with_election_type(unclean.into())
        .with_topic_partitions(Some(vec![asked]))
        .with_timeout_ms(WITHIN_MS);
    let answer = wire.ask(ELECT_LEADERS, &request).await?;
    refusal(answer.error_code, None)?;
    let results = answer.replica_election_results.iter();
    let mut results = results.flat_map(|topic| &topic.partition_result);
    let result = one(results.find(|it| it.partition_id == partition.index))?;
    refusal(result.error_code, result.error_message.as_ref())
}

/// Asks for other replicas of a partition; only the controller can. It answers before they have
/// copied anything.
pub async fn reassign(
    wire: &mut Wire,
    partition: &Partition,
    to: &[NodeId],
) -> Result<(), AdminError> {
    let replicas = to.iter().map(|n| BrokerId(n.0.into())).collect();
    let asked = ReassignablePartition::default()
        .with_partition_index(partition.index)
        .with_replicas(Some(replicas));
    let topic = ReassignableTopic::default()
        .with_name(topic_name(&partition.topic))
        .with_partitions(vec![asked]);
    let request = AlterPartitionReassignmentsRequest::default()
        .with_timeout_ms(WITHIN_MS)
        .with_topics(vec![topic]);
    let answer = wire.ask(ALTER_REASSIGNMENTS, &request).await?;
    refusal(answer.error_code, answer.error_message.as_ref())?;
    let mut results = answer.responses.iter().flat_map(|topic| &topic.partitions);
    let result = one(results.find(|it| it.partition_index == partition.index))?;
    refusal(result.error_code, result.error_message.as_ref())
}

/// A reassignment that is not done yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving {
    /// Replicas that it adds.
    pub adding: Vec<NodeId>,
    /// Replicas that it takes away.
    pub removing: Vec<NodeId>,
}

/// Whether a partition's replicas are on the move; only the controller knows.
pub async fn moving(wire: &mut Wire, partition: &Partition) -> Result<Option<Moving>, AdminError> {
    let asked = ListPartitionReassignmentsTopics::default()
        .with_name(topic_name(&partition.topic))
        .with_partition_indexes(vec![partition.index]);
    let request = ListPartitionReassignmentsRequest::default()
        .with_timeout_ms(WITHIN_MS)
        .with_topics(Some(vec![asked]));
    let answer = wire.ask(LIST_REASSIGNMENTS, &request).await?;
    refusal(answer.error_code, answer.error_message.as_ref())?;
    let mut ongoing = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let found = ongoing.find(|it| it.partition_index == partition.index);
    Ok(found.map(|it| Moving {
        adding: nodes(it.adding_replicas.iter().copied()),
        removing: nodes(it.removing_replicas.iter().copied()),
    }))
}

/// Sets a topic's property, or takes the topic's own value away.
pub async fn configure(
    wire: &mut Wire,
    topic: &Topic,
    key: &str,
    value: Option<&str>,
) -> Result<(), AdminError> {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let change = AlterableConfig::default()
        .with_name(text(key))
        .with_config_operation(if value.is_some() { SET } else { DELETE })
        .with_value(value.map(text));
    let resource = AlterConfigsResource::default()
        .with_resource_type(OF_TOPIC)
        .with_resource_name(text(topic))
        .with_configs(vec![change]);
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let answer = wire.ask(INCREMENTAL_ALTER_CONFIGS, &request).await?;
    let result = one(answer.responses.first())?;
    refusal(result.error_code, result.error_message.as_ref())
}

/// Deletes the records before an offset; only the leader can. Returns the lowest log start of all
/// live replicas.
pub async fn delete_records(
    wire: &mut Wire,
    partition: &Partition,
    before: Offset,
) -> Result<Offset, AdminError> {
    let asked = DeleteRecordsPartition::default()
        .with_partition_index(partition.index)
        .with_offset(before.0);
    let topic = DeleteRecordsTopic::default()
        .with_name(topic_name(&partition.topic))
        .with_partitions(vec![asked]);
    let request = DeleteRecordsRequest::default()
        .with_topics(vec![topic])
        .with_timeout_ms(WITHIN_MS);
    let answer = wire.ask(DELETE_RECORDS, &request).await?;
    let mut results = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let result = one(results.find(|it| it.partition_index == partition.index))?;
    refusal(result.error_code, None)?;
    Ok(Offset(result.low_watermark))
}

/// An end of a log as its leader tells it to consumers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEdge {
    /// The first offset.
    Start,
    /// The HW.
    Hw,
}

/// Where a log begins or ends for consumers; only the leader tells.
pub async fn edge(
    wire: &mut Wire,
    partition: &Partition,
    edge: LogEdge,
) -> Result<Offset, AdminError> {
    let asked = ListOffsetsPartition::default()
        .with_partition_index(partition.index)
        .with_timestamp(match edge {
            LogEdge::Start => -2,
            LogEdge::Hw => -1,
        });
    let topic = ListOffsetsTopic::default()
        .with_name(topic_name(&partition.topic))
        .with_partitions(vec![asked]);
    let request = ListOffsetsRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_topics(vec![topic]);
    let answer = wire.ask(LIST_OFFSETS, &request).await?;
    let mut results = answer.topics.iter().flat_map(|topic| &topic.partitions);
    let result = one(results.find(|it| it.partition_index == partition.index))?;
    refusal(result.error_code, None)?;
    Ok(Offset(result.offset))
}

/// The broker that coordinates a consumer group. Where no group ever was, asking makes the brokers
/// create the topic of all groups: ask only when it is there.
pub async fn coordinator(wire: &mut Wire, group: &str) -> Result<Option<NodeId>, AdminError> {
    let request = FindCoordinatorRequest::default()
        .with_key(StrBytes::from_string(group.to_owned()))
        .with_key_type(OF_GROUP);
    let answer = wire.ask(FIND_COORDINATOR, &request).await?;
    refusal(answer.error_code, answer.error_message.as_ref())?;
    Ok(node(answer.node_id))
}

/// The only result of an answer to a question about one thing.
fn one<T>(result: Option<T>) -> Result<T, AdminError> {
    let missing = || WireError::Malformed("an answer about something else".to_owned());
    Ok(result.ok_or_else(missing)?)
}

#[cfg(test)]
mod tests;
