//! What brokers answer to requests that change something, from a server that answers as told.

use std::time::Duration;

use bytes::BytesMut;
use kafka_protocol::messages::alter_partition_reassignments_response as altered;
use kafka_protocol::messages::delete_records_response as deleted;
use kafka_protocol::messages::elect_leaders_response as elected;
use kafka_protocol::messages::incremental_alter_configs_response as configured;
use kafka_protocol::messages::list_partition_reassignments_response as moved;
use kafka_protocol::messages::{
    AlterPartitionReassignmentsResponse, DeleteRecordsResponse, ElectLeadersResponse,
    FindCoordinatorResponse, IncrementalAlterConfigsResponse, ListPartitionReassignmentsResponse,
};
use kafka_protocol::protocol::{Encodable, HeaderVersion, Request};

use super::*;
use crate::scripted::scripted;

/// Every version of everything, then the answer to one request, whose number is 2.
async fn broker<R: Request>(version: i16, answer: R::Response) -> Wire
where
    R::Response: Encodable,
{
    let mut versions = 1_i32.to_be_bytes().to_vec();
    versions.extend(0_i16.to_be_bytes());
    versions.extend(70_i32.to_be_bytes());
    for key in 0..70_i16 {
        for n in [key, 0, 99] {
            versions.extend(n.to_be_bytes());
        }
    }
    let mut body = BytesMut::new();
    body.extend_from_slice(&2_i32.to_be_bytes());
    if R::Response::header_version(version) > 0 {
        body.extend_from_slice(&[0]);
    }
    answer.encode(&mut body, version).unwrap();
    let framed = |body: &[u8]| [&(body.len() as i32).to_be_bytes()[..], body].concat();
    let at = scripted(vec![framed(&versions), framed(&body)]).await;
    Wire::open(at, Duration::from_secs(5)).await.unwrap()
}

fn partition() -> Partition {
    "ledger/1".parse().unwrap()
}

fn name() -> kafka_protocol::messages::TopicName {
    topic_name(&"ledger".into())
}

#[tokio::test]
async fn an_election_that_is_not_needed_says_so() {
    let about = |index, code| {
        elected::PartitionResult::default()
            .with_partition_id(index)
            .with_error_code(code)
    };
    let topic = elected::ReplicaElectionResult::default()
        .with_topic(name())
        .with_partition_result(vec![about(0, 0), about(1, 84)]);
    let answer = ElectLeadersResponse::default().with_replica_election_results(vec![topic]);
    let mut wire = broker::<ElectLeadersRequest>(ELECT_LEADERS, answer).await;
    let refused = elect(&mut wire, &partition(), false).await.unwrap_err();
    assert!(refused.is("ElectionNotNeeded"), "{refused}");
    assert_eq!(refused.to_string(), "refused with ElectionNotNeeded (84)");
}

#[tokio::test]
async fn an_answer_about_nothing_is_no_election() {
    let answer = ElectLeadersResponse::default();
    let mut wire = broker::<ElectLeadersRequest>(ELECT_LEADERS, answer).await;
    let error = elect(&mut wire, &partition(), true).await.unwrap_err();
    assert!(matches!(error, AdminError::Wire(_)), "{error}");
}

#[tokio::test]
async fn a_refusal_of_the_whole_request_is_a_refusal() {
    let answer = AlterPartitionReassignmentsResponse::default().with_error_code(41);
    let mut wire = broker::<AlterPartitionReassignmentsRequest>(ALTER_REASSIGNMENTS, answer).await;
    let to = [1, 2].map(NodeId);
    let refused = reassign(&mut wire, &partition(), &to).await.unwrap_err();
    assert!(refused.is("NotController"), "{refused}");

    let result = altered::ReassignablePartitionResponse::default().with_partition_index(1);
    let topic = altered::ReassignableTopicResponse::default()
        .with_name(name())
        .with_partitions(vec![result]);
    let answer = AlterPartitionReassignmentsResponse::default().with_responses(vec![topic]);
    let mut wire = broker::<AlterPartitionReassignmentsRequest>(ALTER_REASSIGNMENTS, answer).await;
    reassign(&mut wire, &partition(), &to).await.unwrap();
}

#[tokio::test]
async fn what_moves_is_told_by_who_comes_and_who_goes() {
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let ongoing = moved::OngoingPartitionReassignment::default()
        .with_partition_index(1)
        .with_replicas(ids(&[1, 0, 2]))
        .with_adding_replicas(ids(&[2]))
        .with_removing_replicas(ids(&[0]));
    let topic = moved::OngoingTopicReassignment::default()
        .with_name(name())
        .with_partitions(vec![ongoing]);
    let answer = ListPartitionReassignmentsResponse::default().with_topics(vec![topic]);
    let mut wire = broker::<ListPartitionReassignmentsRequest>(LIST_REASSIGNMENTS, answer).await;
    let found = moving(&mut wire, &partition()).await.unwrap().unwrap();
    assert_eq!(
        (found.adding, found.removing),
        (vec![NodeId(2)], vec![NodeId(0)])
    );
    let answer = ListPartitionReassignmentsResponse::default();
    let mut wire = broker::<ListPartitionReassignmentsRequest>(LIST_REASSIGNMENTS, answer).await;
    assert_eq!(moving(&mut wire, &partition()).await.unwrap(), None);
}

#[tokio::test]
async fn a_setting_is_refused_in_the_brokers_words() {
    let result = configured::AlterConfigsResourceResponse::default()
        .with_error_code(40)
        .with_error_message(Some(StrBytes::from_static_str("at least 1")))
        .with_resource_type(OF_TOPIC);
    let answer = IncrementalAlterConfigsResponse::default().with_responses(vec![result]);
    let mut wire =
        broker::<IncrementalAlterConfigsRequest>(INCREMENTAL_ALTER_CONFIGS, answer).await;
    let topic = "ledger".into();
    let refused = configure(&mut wire, &topic, "min.insync.replicas", Some("0")).await;
    assert_eq!(
        refused.unwrap_err().to_string(),
        "refused with InvalidConfig (40): at least 1"
    );
}

#[tokio::test]
async fn a_deletion_answers_with_the_lowest_log_start() {
    let about = |code| {
        let result = deleted::DeleteRecordsPartitionResult::default()
            .with_partition_index(1)
            .with_low_watermark(7)
            .with_error_code(code);
        let topic = deleted::DeleteRecordsTopicResult::default()
            .with_name(name())
            .with_partitions(vec![result]);
        DeleteRecordsResponse::default().with_topics(vec![topic])
    };
    let mut wire = broker::<DeleteRecordsRequest>(DELETE_RECORDS, about(0)).await;
    let low = delete_records(&mut wire, &partition(), Offset(7)).await;
    assert_eq!(low.unwrap(), Offset(7));
    let mut wire = broker::<DeleteRecordsRequest>(DELETE_RECORDS, about(6)).await;
    let refused = delete_records(&mut wire, &partition(), Offset(7)).await;
    assert!(refused.unwrap_err().is("NotLeaderOrFollower"));
}

#[tokio::test]
async fn a_coordinator_is_a_broker_or_an_error() {
    let answer = FindCoordinatorResponse::default().with_node_id(BrokerId(2));
    let mut wire = broker::<FindCoordinatorRequest>(FIND_COORDINATOR, answer).await;
    assert_eq!(coordinator(&mut wire, "g").await.unwrap(), Some(NodeId(2)));
    let answer = FindCoordinatorResponse::default().with_error_code(15);
    let mut wire = broker::<FindCoordinatorRequest>(FIND_COORDINATOR, answer).await;
    let refused = coordinator(&mut wire, "g").await.unwrap_err();
    assert!(refused.is("CoordinatorNotAvailable"), "{refused}");
}
