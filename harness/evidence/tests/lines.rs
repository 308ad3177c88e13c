//! Every kind of line that counts, as Kafka 3.0.0 writes it, and lines that only look like one.

use evidence::{Says, says};
use history::{Epoch, NodeId, Offset, Partition};
use proptest::prelude::*;

fn said(line: &str) -> Says {
    says(line)
        .unwrap_or_else(|| panic!("says nothing: {line}"))
        .unwrap_or_else(|error| panic!("{error}: {line}"))
}

fn p(text: &str) -> Partition {
    text.parse().unwrap()
}

fn nodes(ids: &[u8]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

#[test]
fn transitions() {
    assert_eq!(
        said(
            "INFO [Broker id=1] Leader metrics-0 starts at leader epoch 1 from offset 8079 with high watermark 8074 ISR [1,2] addingReplicas [] removingReplicas []. Previous leader epoch was 0. (state.change.logger)"
        ),
        Says::LeaderStarts {
            partition: p("metrics/0"),
            epoch: Epoch(1),
            leo: Offset(8079),
            hw: Offset(8074),
            isr: nodes(&[1, 2]),
            previous: Some(Epoch(0)),
        }
    );
    assert_eq!(
        said(
            "INFO [Broker id=0] Follower my-topic-12 starts at leader epoch 0 from offset 0 with high watermark 0. Previous leader epoch was -1. (state.change.logger)"
        ),
        Says::FollowerStarts {
            partition: p("my-topic/12"),
            epoch: Epoch(0),
            leo: Offset(0),
            hw: Offset(0),
            previous: None,
        }
    );
}

#[test]
fn truncations() {
    let log = "INFO [Log partition=metrics-0, dir=/x/data]";
    assert_eq!(
        said(&format!("{log} Truncating to offset 8079 (kafka.log.Log)")),
        Says::Truncating {
            partition: p("metrics/0"),
            to: Offset(8079)
        }
    );
    assert_eq!(
        said(&format!(
            "{log} Truncating to 0 has no effect as the largest offset in the log is -1 (kafka.log.Log)"
        )),
        Says::TruncationWithoutEffect {
            partition: p("metrics/0"),
            to: Offset(0)
        }
    );
    assert_eq!(
        said(
            "INFO [ReplicaFetcher replicaId=2, leaderId=1, fetcherId=0] Truncating partition r1-0 to local high watermark 1 (kafka.server.ReplicaFetcherThread)"
        ),
        Says::TruncatingToHw {
            partition: p("r1/0"),
            hw: Offset(1)
        }
    );
    assert_eq!(
        said("DEBUG [Log partition=r1-0, dir=/x] Truncate and start at offset 5 (kafka.log.Log)"),
        Says::TruncateFully {
            partition: p("r1/0"),
            to: Offset(5)
        }
    );
    assert_eq!(
        said(
            "INFO [Partition r1-0 broker=2] Unexpected offset in append to r1-0. First offset 4 is less than log start offset 7. Since this is the first record to be appended to the follower's log, will start the log from offset 4. (kafka.cluster.Partition)"
        ),
        Says::TruncateFully {
            partition: p("r1/0"),
            to: Offset(4)
        }
    );
    assert_eq!(
        said(
            "WARN [Log partition=r1-0, dir=/x] Non-monotonic update of high watermark from (offset=12 segment=[0:1024]) to (offset=9 segment=[-1:-1]) (kafka.log.Log)"
        ),
        Says::NonMonotonicHw {
            partition: p("r1/0"),
            from: Offset(12),
            to: Offset(9)
        }
    );
    assert_eq!(
        said(
            "WARN [ReplicaFetcher replicaId=0, leaderId=1, fetcherId=0] Reset fetch offset for partition r1-0 from 12 to current leader's latest offset 9 (kafka.server.ReplicaFetcherThread)"
        ),
        Says::ResetFetchOffset {
            partition: p("r1/0"),
            from: Offset(12),
            to: Offset(9)
        }
    );
    assert_eq!(
        said(
            "WARN [ReplicaFetcher replicaId=0, leaderId=1, fetcherId=0] Reset fetch offset for partition r1-0 from 0 to current leader's start offset 9 (kafka.server.ReplicaFetcherThread)"
        ),
        Says::ResetFetchOffset {
            partition: p("r1/0"),
            from: Offset(0),
            to: Offset(9)
        }
    );
}

#[test]
fn in_sync_replicas() {
    let partition = "INFO [Partition ledger-0 broker=0]";
    assert_eq!(
        said(&format!(
            "{partition} Shrinking ISR from 0,1,2 to 0. Leader: (highWatermark: 5000, endOffset: 5003). Out of sync replicas: (brokerId: 1, endOffset: 5000) (brokerId: 2, endOffset: 5000). (kafka.cluster.Partition)"
        )),
        Says::Shrinking {
            partition: p("ledger/0"),
            from: nodes(&[0, 1, 2]),
            to: nodes(&[0]),
            hw: Offset(5000),
            leo: Offset(5003),
        }
    );
    assert_eq!(
        said(&format!(
            "{partition} ISR updated to 2,0 and version updated to [4] (kafka.cluster.Partition)"
        )),
        Says::IsrUpdated {
            partition: p("ledger/0"),
            isr: nodes(&[0, 2]),
            version: Some(4),
        }
    );
    assert_eq!(
        said(
            "INFO [Controller id=1 epoch=2] Partition ledger-0 state changed to (Leader:1,ISR:1,2,LeaderEpoch:3,ControllerEpoch:2) after removing replica 0 from the ISR as part of transition to OfflineReplica (state.change.logger)"
        ),
        Says::PartitionState {
            partition: p("ledger/0"),
            leader: Some(NodeId(1)),
            epoch: Epoch(3),
            isr: nodes(&[1, 2]),
            version: None,
        }
    );
}

#[test]
fn elections() {
    assert_eq!(
        said(
            "INFO [Controller id=1 epoch=2] Changed partition ledger-0 from OnlinePartition to OnlinePartition with state LeaderAndIsr(leader=1, leaderEpoch=1, isr=List(1, 2), zkVersion=3) (state.change.logger)"
        ),
        Says::PartitionState {
            partition: p("ledger/0"),
            leader: Some(NodeId(1)),
            epoch: Epoch(1),
            isr: nodes(&[1, 2]),
            version: Some(3),
        }
    );
    assert!(matches!(
        said(
            "INFO [Controller id=1 epoch=2] Changed partition ledger-0 from OfflinePartition to OnlinePartition with state LeaderAndIsr(leader=-1, leaderEpoch=2, isr=List(0), zkVersion=4) (state.change.logger)"
        ),
        Says::PartitionState {
            leader: None,
            epoch: Epoch(2),
            ..
        }
    ));
    assert_eq!(
        said(
            "INFO [Controller id=1] 1 successfully elected as the controller. Epoch incremented to 2 and epoch zk version is now 2 (kafka.controller.KafkaController)"
        ),
        Says::ControllerElected { epoch: 2 }
    );
}

#[test]
fn loading_and_life() {
    assert_eq!(
        said(
            "INFO [Partition ledger-0 broker=0] Log loaded for partition ledger-0 with initial high watermark 2451 (kafka.cluster.Partition)"
        ),
        Says::Loaded {
            partition: p("ledger/0"),
            hw: Offset(2451)
        }
    );
    assert_eq!(
        said(
            "INFO [Log partition=ledger-0, dir=/x] Rolled new log segment at offset 9001 in 3 ms. (kafka.log.Log)"
        ),
        Says::Rolled {
            partition: p("ledger/0"),
            at: Offset(9001)
        }
    );
    for (line, to) in [
        (
            "WARN [LogLoader partition=ledger-0, dir=/x] Corruption found in segment 0, truncating to offset 2451 (kafka.log.LogLoader)",
            Some(Offset(2451)),
        ),
        (
            "WARN [LogLoader partition=ledger-0, dir=/x] Found invalid offset during recovery. Deleting the corrupt segment and creating an empty one with starting offset 7 (kafka.log.LogLoader)",
            Some(Offset(7)),
        ),
        (
            "WARN Found invalid messages in log segment /x/y-1/ledger-0/00000000000000000000.log at byte offset 4711: Record size 3 is less than the minimum. null (kafka.log.LogSegment)",
            None,
        ),
        (
            "WARN [LogLoader partition=ledger-0, dir=/x] Deleting all segments because logEndOffset (3)  smaller than logStartOffset 5. This could happen if segment files were deleted from the file system. (kafka.log.LogLoader)",
            None,
        ),
    ] {
        assert_eq!(
            said(line),
            Says::Corruption {
                partition: p("ledger/0"),
                to
            }
        );
    }
    assert_eq!(
        said("INFO starting (kafka.server.KafkaServer)"),
        Says::BrokerStarted
    );
    assert_eq!(
        said("INFO [KafkaServer id=2] started (kafka.server.KafkaServer)"),
        Says::BrokerStarted
    );
    for fatal in [
        "ERROR [KafkaServer id=0] Fatal error during KafkaServer startup. Prepare to shutdown (kafka.server.KafkaServer)",
        "ERROR Exiting Kafka due to fatal exception (kafka.Kafka$)",
        "ERROR Shutdown broker because all log dirs in /x have failed (kafka.log.LogManager)",
        "ERROR Invalid config, exiting abnormally (org.apache.zookeeper.server.quorum.QuorumPeerMain)",
    ] {
        assert_eq!(said(fatal), Says::Fatal);
    }
}

#[test]
fn lines_that_only_look_like_one() {
    for line in [
        "",
        "INFO",
        "INFO [KafkaServer id=2] starting (kafka.server.OtherServer)",
        "INFO [Controller id=1 epoch=2] Changed partition ledger-0 state from NonExistentPartition to NewPartition with assigned replicas 0,1,2 (state.change.logger)",
        "INFO [Log partition=ledger-0, dir=/x] Loading producer state till offset 0 with message format version 2 (kafka.log.Log)",
        "INFO [Log partition=ledger-0, dir=/x] Deleting segments as part of log truncation: LogSegment(baseOffset=9) (kafka.log.Log)",
        "WARN [ReplicaFetcher replicaId=0, leaderId=1, fetcherId=0] Truncating r1-0 to offset 5 below high watermark 7 (kafka.server.ReplicaFetcherThread)",
        "INFO Log directory /x not found, creating it. (kafka.log.LogManager)",
        "INFO Partition 7 is fine (x.Y)",
        "INFO 7 things (x.Y)",
        "INFO Exiting Kafka. (kafka.Kafka$)",
    ] {
        assert_eq!(says(line), None, "{line}");
    }
    let future = "INFO [Broker id=1] Leader metrics-0 starts at leader epoch 1 from place 8079 (state.change.logger)";
    assert!(matches!(says(future), Some(Err(_))));
}

/// Real beginnings with torn, doubled and foreign continuations.
fn pieces() -> impl Strategy<Value = String> {
    let piece = proptest::sample::select(vec![
        "INFO [Log partition=ledger-0, dir=/x] ",
        "WARN [Partition ledger-0 broker=1] ",
        "Truncating to offset ",
        "Truncating partition ",
        "Leader ledger-0 starts at leader epoch ",
        " from offset ",
        " ISR [",
        "Shrinking ISR from 0,1 to ",
        ". Leader: (highWatermark: ",
        "Non-monotonic update of high watermark from (offset=",
        "Changed partition ledger-0 from A to B with state LeaderAndIsr(leader=",
        "99999999999999999999",
        "-",
        "7",
        "0,300",
        "]",
        "ä\u{1F30A}",
    ]);
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_panics_and_only_whole_lines_are_understood(text in pieces(), any in any::<String>()) {
        for text in [text, any] {
            if let Some(Ok(said)) = says(&text) {
                prop_assert!(format!("{said:?}").contains("ledger"), "{said:?}");
                prop_assert!(text.contains("ledger-0"), "{text}");
            }
        }
    }
}
