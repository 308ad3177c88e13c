//! Probes: what every broker says of its own logs, and what every ZooKeeper says of their states,
//! several times a second, on connections of their own.
//!
//! A probe never interprets. The log end (P2) is asked before the watermarks (P1), because a fetch
//! beyond the log end is answered with an error and without a watermark. Two answers are never
//! atomic with each other; each carries its own times.

mod zookeeper;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use history::{Clock, Epoch, Mark, NodeId, Observation, Offset, Partition, Seen, Topic, Why};
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use kafka_protocol::messages::{FetchRequest, ListOffsetsRequest};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::admin::{self, PartitionView, topic_name};
use crate::system::Probes;
use crate::wire::{Wire, WireError};

/// After this long without an answer a node is silent.
const PATIENCE: Duration = Duration::from_secs(1);
/// Pauses between attempts to reach a silent node.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(800));

/// ListOffsets: the last version without compact encoding; carries the epoch (from 4).
const LIST_OFFSETS: i16 = 5;
/// Fetch: the first version that followers answer too, with their own watermarks.
const FETCH_OWN: i16 = 11;
/// Fetch: the last version that only the leader answers, and only in the epoch that is named.
const FETCH_LEADER: i16 = 10;
/// "Debugging" replica id: lifts the leader check and the cap at the HW.
const DEBUGGER: i32 = -2;
/// The timestamp that asks for the log end.
const LATEST: i64 = -1;
/// Not part of a fetch session.
const NO_SESSION: i32 = -1;

/// Where one node is probed.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Who.
    pub node: NodeId,
    /// Its broker's PROBE listener.
    pub broker: SocketAddr,
    /// Its ZooKeeper's client port.
    pub zookeeper: SocketAddr,
}

/// Starts probing on the current `LocalSet`; dropping the result ends it.
pub fn start(
    watched: &[Watched],
    clock: Clock,
    partitions: &[Partition],
    interval: Duration,
) -> Probes {
    let (sender, observations) = unbounded_channel();
    let mut guard = JoinSet::new();
    for at in watched {
        let pen = Pen {
            node: at.node,
            clock,
            sender: sender.clone(),
        };
        let topics = by_topic(partitions);
        guard.spawn_local(watch_broker(at.broker, topics, interval, pen.clone()));
        guard.spawn_local(zookeeper::watch(
            at.zookeeper,
            partitions.to_vec(),
            interval,
            pen,
        ));
    }
    Probes {
        observations,
        guard,
    }
}

type Topics = BTreeMap<Topic, Vec<i32>>;

fn by_topic(partitions: &[Partition]) -> Topics {
    let mut topics = Topics::new();
    for partition in partitions {
        let indices = topics.entry(partition.topic.clone()).or_default();
        indices.push(partition.index);
    }
    topics
}

/// Notes what one node says.
#[derive(Clone)]
struct Pen {
    node: NodeId,
    clock: Clock,
    sender: UnboundedSender<Observation>,
}

impl Pen {
    fn note(&self, asked: Mark, seen: Seen) {
        let _ = self.sender.send(Observation {
            asked,
            answered: self.clock.mark(),
            node: self.node,
            seen,
        });
    }
}

async fn watch_broker(address: SocketAddr, topics: Topics, interval: Duration, pen: Pen) {
    let mut silent = false;
    let mut pause = BACK_OFF.0;
    while !pen.sender.is_closed() {
        let asked = pen.clock.mark();
        let why = match Wire::open(address, PATIENCE).await {
            Ok(wire) => {
                silent = false;
                pause = BACK_OFF.0;
                talk(wire, &topics, interval, &pen).await
            }
            Err(why) => why,
        };
        if !silent {
            silent = true;
            let why = Why::new(why.to_string());
            pen.note(asked, Seen::Silent { why });
        }
        sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
    }
}

/// Rounds over one connection, until it fails. What the broker believes is noted anew for each
/// connection: behind it may be another process.
async fn talk(mut wire: Wire, topics: &Topics, interval: Duration, pen: &Pen) -> WireError {
    let mut told = Told::default();
    loop {
        if let Err(why) = round(&mut wire, topics, &mut told, pen).await {
            return why;
        }
        if pen.sender.is_closed() {
            return WireError::Silent(Duration::ZERO);
        }
        sleep(interval).await;
    }
}

/// What was noted last, so that only changes are.
#[derive(Default)]
struct Told {
    controller: Option<Option<NodeId>>,
    beliefs: BTreeMap<Partition, PartitionView>,
}

/// A log end, and the epoch its replica believes current.
struct End {
    leo: i64,
    epoch: i32,
}

async fn round(
    wire: &mut Wire,
    topics: &Topics,
    told: &mut Told,
    pen: &Pen,
) -> Result<(), WireError> {
    let ends = log_ends(wire, topics, pen).await?;
    if !ends.is_empty() {
        watermarks(wire, &ends, pen).await?;
    }
    beliefs(wire, topics, told, pen).await?;
    let led: BTreeMap<Partition, End> = ends
        .into_iter()
        .filter(|(partition, end)| {
            let view = told.beliefs.get(partition);
            end.epoch >= 0 && view.is_some_and(|view| view.leader == Some(pen.node))
        })
        .collect();
    if !led.is_empty() {
        leader_watermarks(wire, &led, pen).await?;
    }
    Ok(())
}

/// P2.
async fn log_ends(
    wire: &mut Wire,
    topics: &Topics,
    pen: &Pen,
) -> Result<BTreeMap<Partition, End>, WireError> {
    let topics = topics.iter().map(|(topic, indices)| {
        let partitions = indices.iter().map(|index| {
            ListOffsetsPartition::default()
                .with_partition_index(*index)
                .with_timestamp(LATEST)
        });
        ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions.collect())
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id(DEBUGGER.into())
        .with_topics(topics.collect());
    let asked = pen.clock.mark();
    let answer = wire.ask(LIST_OFFSETS, &request).await?;
    let mut ends = BTreeMap::new();
    for topic in &answer.topics {
        let replicas = topic.partitions.iter().filter(|p| p.error_code == 0);
        for replica in replicas {
            let partition = Partition::new(topic.name.as_str(), replica.partition_index);
            let (leo, epoch) = (replica.offset, replica.leader_epoch);
            pen.note(
                asked,
                Seen::LogEnd {
                    partition: partition.clone(),
                    leo: Offset(leo),
                    epoch: (epoch >= 0).then_some(Epoch(epoch)),
                },
            );
            ends.insert(partition, End { leo, epoch });
        }
    }
    Ok(ends)
}

/// P1.
async fn watermarks(
    wire: &mut Wire,
    ends: &BTreeMap<Partition, End>,
    pen: &Pen,
) -> Result<(), WireError> {
    let asked = pen.clock.mark();
    let answer = wire.ask(FETCH_OWN, &fetch(ends, |_| -1)).await?;
    for topic in &answer.responses {
        for replica in topic.partitions.iter().filter(|p| p.error_code == 0) {
            pen.note(
                asked,
                Seen::Watermarks {
                    partition: Partition::new(topic.topic.as_str(), replica.partition_index),
                    hw: Offset(replica.high_watermark),
                    lso: Offset(replica.last_stable_offset),
                    log_start: Offset(replica.log_start_offset),
                },
            );
        }
    }
    Ok(())
}

/// Commit evidence of kind (c): the broker itself compares the epoch, under the lock that guards
/// its leadership.
async fn leader_watermarks(
    wire: &mut Wire,
    led: &BTreeMap<Partition, End>,
    pen: &Pen,
) -> Result<(), WireError> {
    let asked = pen.clock.mark();
    let answer = wire.ask(FETCH_LEADER, &fetch(led, |end| end.epoch)).await?;
    for topic in &answer.responses {
        for replica in topic.partitions.iter().filter(|p| p.error_code == 0) {
            let partition = Partition::new(topic.topic.as_str(), replica.partition_index);
            if let Some(end) = led.get(&partition) {
                pen.note(
                    asked,
                    Seen::LeaderHw {
                        partition,
                        epoch: Epoch(end.epoch),
                        hw: Offset(replica.high_watermark),
                    },
                );
            }
        }
    }
    Ok(())
}

/// A consumer's fetch at the log end, answered at once and with as little data as the broker can.
fn fetch(ends: &BTreeMap<Partition, End>, epoch: impl Fn(&End) -> i32) -> FetchRequest {
    let mut topics: BTreeMap<&Topic, Vec<FetchPartition>> = BTreeMap::new();
    for (partition, end) in ends {
        let ask = FetchPartition::default()
            .with_partition(partition.index)
            .with_current_leader_epoch(epoch(end))
            .with_fetch_offset(end.leo)
            .with_partition_max_bytes(1);
        topics.entry(&partition.topic).or_default().push(ask);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        FetchTopic::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions)
    });
    FetchRequest::default()
        .with_max_bytes(1)
        .with_session_epoch(NO_SESSION)
        .with_topics(topics.collect())
}

/// P10.
async fn beliefs(
    wire: &mut Wire,
    topics: &Topics,
    told: &mut Told,
    pen: &Pen,
) -> Result<(), WireError> {
    let asked = pen.clock.mark();
    let view = admin::view(wire, topics.keys()).await?;
    if told.controller != Some(view.controller) {
        told.controller = Some(view.controller);
        pen.note(
            asked,
            Seen::Controller {
                node: view.controller,
            },
        );
    }
    for (partition, now) in view.partitions {
        let probed = topics.get(&partition.topic);
        let known = told.beliefs.get(&partition) == Some(&now);
        if known || !probed.is_some_and(|indices| indices.contains(&partition.index)) {
            continue;
        }
        pen.note(
            asked,
            Seen::Belief {
                partition: partition.clone(),
                leader: now.leader,
                epoch: now.epoch,
                isr: now.isr.clone(),
            },
        );
        told.beliefs.insert(partition, now);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_noted_once() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let watched = [Watched {
            node: NodeId(1),
            broker: address,
            zookeeper: address,
        }];
        let clock = Clock::start();
        let watching = async {
            let mut probes = start(&watched, clock, &[], Duration::from_millis(10));
            let first = probes.observations.recv().await.unwrap();
            assert!(matches!(first.seen, Seen::Silent { .. }) && first.node == NodeId(1));
            sleep(BACK_OFF.0 * 4).await;
            assert!(probes.observations.try_recv().is_err(), "noted again");
        };
        tokio::task::LocalSet::new().run_until(watching).await;
    }

    #[test]
    fn one_request_asks_for_every_partition() {
        let partitions = ["a/0", "b/0", "a/1"].map(|text| text.parse().unwrap());
        let topics = by_topic(&partitions);
        assert_eq!(topics[&Topic::from("a")], [0, 1]);
        let ends = partitions.map(|partition| (partition, End { leo: 7, epoch: 3 }));
        let request = fetch(&ends.into(), |end| end.epoch);
        assert_eq!(request.topics.len(), 2);
        let first = &request.topics[0].partitions;
        assert_eq!(first.len(), 2);
        assert_eq!(
            (first[1].fetch_offset, first[1].current_leader_epoch),
            (7, 3)
        );
        assert_eq!(
            (request.max_wait_ms, request.session_epoch),
            (0, NO_SESSION)
        );
    }
}
