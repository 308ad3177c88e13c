//! The real clients against librdkafka's own mock cluster: every record is accounted for, whatever
//! the brokers answer.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use history::{
    Call, Clock, Event, Notebook, Offset, OpId, Outcome, Partition, Payload, Pen, Reply, RunId,
    SendAck, Topic, ValueId,
};
use plan::{Acks, Compression, Load, Rate, TopicSpec};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Err};
use workloads::{Clients, Consumer, Counts, Producer, RdKafka, Reading, Workload, drain, start};

type Mock = MockCluster<'static, DefaultProducerContext>;

fn mock(topics: &[(&str, i32)]) -> Mock {
    let mock = MockCluster::new(3).expect("a mock cluster");
    for (topic, partitions) in topics {
        mock.create_topic(topic, *partitions, 3).expect("a topic");
    }
    mock
}

fn spec(partitions: usize, load: Load) -> TopicSpec {
    TopicSpec {
        assignment: vec![Vec::new(); partitions],
        min_insync_replicas: 1,
        properties: BTreeMap::new(),
        load,
    }
}

fn load(acks: Acks, rate: Rate) -> Load {
    Load {
        producers: 2,
        consumers: 1,
        acks,
        idempotent: false,
        group: None,
        transactional: false,
        max_in_flight: 5,
        linger_ms: 2,
        batch_bytes: 16_384,
        compression: Compression::None,
        delivery_timeout: Duration::from_secs(10),
        value_bytes: 128,
        rate,
    }
}

/// Runs a scene with real time on one thread, as the runner does; the events that it wrote.
fn scene<F: Future>(act: impl FnOnce(Pen, Clock) -> F) -> (F::Output, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (pen, mut notebook) = Notebook::open();
    let local = tokio::task::LocalSet::new();
    let out = local.block_on(&runtime, async { act(pen, Clock::start()).await });
    (out, notebook.take())
}

fn run_id() -> RunId {
    RunId::from_number(4812)
}

fn begin(mock: &Mock, topics: BTreeMap<Topic, TopicSpec>, pen: Pen, clock: Clock) -> Workload {
    let clients = Rc::new(RdKafka::new(mock.bootstrap_servers(), run_id(), clock));
    start(clients, &topics, pen, clock).expect("the workload begins")
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..2000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("20 s passed without: {what}");
}

/// What became of every send. Panics when one was returned twice, never, or before it was invoked.
fn sends(events: &[Event]) -> BTreeMap<OpId, (Partition, ValueId, Outcome<SendAck>)> {
    let mut open = BTreeMap::new();
    let mut done = BTreeMap::new();
    for event in events {
        match event {
            Event::Invoked { op, at, call, .. } => {
                assert!(
                    open.insert(*op, (*at, call.clone())).is_none(),
                    "{op} twice"
                );
            }
            Event::Returned { op, at, reply } => {
                let (asked, call) = open.remove(op).expect("invoked before, returned once");
                assert!(*at >= asked && reply.answers(&call), "{op}: {reply:?}");
                if let (Call::Send { partition, value }, Reply::Sent(outcome)) = (call, reply) {
                    done.insert(*op, (partition, value, outcome.clone()));
                }
            }
            _ => {}
        }
    }
    assert!(open.is_empty(), "never returned: {open:?}");
    done
}

fn values_read(events: &[Event]) -> BTreeMap<(Partition, Offset), Payload> {
    let mut read = BTreeMap::new();
    for event in events {
        if let Event::Returned {
            reply: Reply::Polled(Outcome::Ok(came)),
            ..
        } = event
        {
            for delivery in came {
                assert!(delivery.broker.is_some(), "{delivery:?}");
                read.insert(
                    (delivery.partition.clone(), delivery.offset),
                    delivery.payload,
                );
            }
        }
    }
    read
}

#[test]
fn what_was_acknowledged_is_read_at_its_offset() {
    let mock = mock(&[("ledger", 3)]);
    let topics = BTreeMap::from([(
        "ledger".into(),
        spec(3, load(Acks::All, Rate::PerSecond(1000))),
    )]);
    let (counts, events) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen, clock);
        async move {
            let topic: Topic = "ledger".into();
            until("500 records read along", || {
                workload.counts()[&topic].delivered >= 500
            })
            .await;
            workload.stop(Duration::from_secs(5)).await
        }
    });
    let counts = counts["ledger"];
    assert!(
        counts.acked >= 500 && counts.acked == counts.sent,
        "{counts:?}"
    );
    let (sends, read) = (sends(&events), values_read(&events));
    assert_eq!(sends.len() as u64, counts.sent);
    let values: BTreeSet<u64> = sends.values().map(|(_, value, _)| value.0).collect();
    assert_eq!(values, (0..counts.sent).collect(), "values are dense");
    let mut confirmed = 0;
    for (op, (partition, value, outcome)) in sends {
        let ack = outcome.ok().unwrap_or_else(|| panic!("{op}: {outcome:?}"));
        let offset = ack.offset.expect("an offset");
        assert!(ack.broker.is_some());
        if let Some(payload) = read.get(&(partition, offset)) {
            assert_eq!(*payload, Payload::Value(value), "{op}");
            confirmed += 1;
        }
    }
    assert!(confirmed >= 500, "only {confirmed} were read");
}

#[test]
fn a_rate_is_kept_within_a_tenth() {
    let mock = mock(&[("ledger", 3)]);
    let topics = BTreeMap::from([(
        "ledger".into(),
        spec(3, load(Acks::Leader, Rate::PerSecond(2000))),
    )]);
    let ((counts, seconds), _) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen, clock);
        async move {
            let began = clock.mark();
            tokio::time::sleep(Duration::from_secs(2)).await;
            let seconds = clock.mark().since(began).as_secs_f64();
            (workload.stop(Duration::from_secs(5)).await, seconds)
        }
    });
    let rate = counts["ledger"].sent as f64 / seconds;
    assert!(
        (1800.0..2200.0).contains(&rate),
        "{rate:.0} records a second"
    );
}

/// Sends five records on demand, with an error pushed for the first produce requests.
fn five_sends(
    acks: Acks,
    idempotent: bool,
    timeout: Duration,
    errors: &[Err],
) -> (Counts, Vec<Event>) {
    let mock = mock(&[("ledger", 1)]);
    let load = Load {
        idempotent,
        delivery_timeout: timeout,
        producers: 1,
        consumers: 0,
        ..load(acks, Rate::OnDemand)
    };
    let topics = BTreeMap::from([("ledger".into(), spec(1, load))]);
    let (counts, events) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen, clock);
        let mock = &mock;
        async move {
            let ledger = Partition::new("ledger", 0);
            let first = workload.send(&ledger, 1, Duration::from_secs(10)).await;
            assert_eq!(first.acked + first.unknown, 1, "a warm-up send: {first:?}");
            mock.request_errors(Api::Produce, errors);
            let sent = workload.send(&ledger, 5, Duration::from_secs(20)).await;
            assert_eq!(sent.acked + sent.failed + sent.unknown, 5);
            workload.stop(Duration::from_secs(5)).await
        }
    });
    (counts["ledger"], events)
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn a_rejection_before_the_append_is_a_failure() {
    let (counts, events) = five_sends(
        Acks::All,
        false,
        LONG,
        &[Err::RD_KAFKA_RESP_ERR_INVALID_RECORD],
    );
    assert_eq!((counts.acked, counts.failed, counts.unknown), (1, 5, 0));
    assert_eq!(sends(&events).len(), 6);
}

#[test]
fn a_rejection_after_a_retry_is_a_doubt() {
    let errors = [
        Err::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        Err::RD_KAFKA_RESP_ERR_INVALID_RECORD,
    ];
    let (counts, _) = five_sends(Acks::All, false, LONG, &errors);
    assert_eq!((counts.acked, counts.failed, counts.unknown), (1, 0, 5));
}

#[test]
fn a_retried_leader_change_ends_well() {
    let (counts, _) = five_sends(
        Acks::All,
        true,
        LONG,
        &[Err::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION],
    );
    assert_eq!((counts.acked, counts.failed, counts.unknown), (6, 0, 0));
}

#[test]
fn a_time_out_after_refusals_is_a_doubt() {
    let refusals = [Err::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION; 100];
    let (counts, _) = five_sends(Acks::All, false, Duration::from_secs(1), &refusals);
    assert_eq!((counts.acked, counts.failed, counts.unknown), (1, 0, 5));
}

#[test]
fn without_acknowledgements_nothing_is_ever_ok() {
    let (counts, events) = five_sends(Acks::None, false, LONG, &[]);
    assert_eq!((counts.acked, counts.failed, counts.unknown), (0, 0, 6));
    assert_eq!(sends(&events).len(), 6);
}

#[test]
fn a_dead_cluster_leaves_no_operation_open() {
    let mock = mock(&[("ledger", 3)]);
    let topics = BTreeMap::from([(
        "ledger".into(),
        spec(3, load(Acks::All, Rate::PerSecond(500))),
    )]);
    let (counts, events) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen, clock);
        let mock = &mock;
        async move {
            let topic: Topic = "ledger".into();
            until("100 acknowledged", || {
                workload.counts()[&topic].acked >= 100
            })
            .await;
            mock.broker_down(-1).expect("all brokers down");
            tokio::time::sleep(Duration::from_secs(1)).await;
            workload.stop(Duration::from_millis(500)).await
        }
    });
    let counts = counts["ledger"];
    assert!(counts.unknown >= 200, "{counts:?}");
    assert_eq!(counts.in_flight, 0);
    assert_eq!(counts.sent, counts.acked + counts.failed + counts.unknown);
    assert_eq!(sends(&events).len() as u64, counts.sent);
}

#[test]
fn a_fatal_producer_is_followed_by_another() {
    let mock = mock(&[("ledger", 1)]);
    let load = Load {
        idempotent: true,
        producers: 1,
        ..load(Acks::All, Rate::PerSecond(200))
    };
    let topics = BTreeMap::from([("ledger".into(), spec(1, load))]);
    let (producers, events) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen, clock);
        let mock = &mock;
        async move {
            let topic: Topic = "ledger".into();
            until("50 acknowledged", || workload.counts()[&topic].acked >= 50).await;
            // Records that were never refused before come out of order: the library gives up.
            mock.request_errors(
                Api::Produce,
                &[Err::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER],
            );
            until("a second producer", || workload.producers().len() == 2).await;
            let acked = workload.counts()[&topic].acked;
            until("it is acknowledged", || {
                workload.counts()[&topic].acked > acked + 50
            })
            .await;
            let producers = workload.producers();
            workload.stop(Duration::from_secs(5)).await;
            producers
        }
    });
    assert_eq!(producers.len(), 2);
    sends(&events);
}

#[test]
fn a_drain_reads_from_the_start_to_the_end() {
    let mock = mock(&[("ledger", 2)]);
    let load = Load {
        consumers: 0,
        ..load(Acks::All, Rate::OnDemand)
    };
    let topics = BTreeMap::from([("ledger".into(), spec(2, load))]);
    let ((all, short), events) = scene(|pen, clock| {
        let workload = begin(&mock, topics, pen.clone(), clock);
        let mock = &mock;
        async move {
            let (a, b) = (Partition::new("ledger", 0), Partition::new("ledger", 1));
            assert_eq!(workload.send(&a, 30, LONG).await.acked, 30);
            assert_eq!(workload.send(&b, 20, LONG).await.acked, 20);
            let (first, second) = (workload.next_client(), workload.next_client());
            workload.stop(LONG).await;
            let clients = RdKafka::new(mock.bootstrap_servers(), run_id(), clock);
            let ranges = [
                (a.clone(), Offset(0), Offset(30)),
                (b, Offset(0), Offset(20)),
            ];
            let all = drain(&clients, first, &ranges, &pen, &clock, LONG)
                .await
                .expect("opened");
            let beyond = [(a, Offset(0), Offset(31))];
            let within = Duration::from_secs(1);
            let short = drain(&clients, second, &beyond, &pen, &clock, within)
                .await
                .expect("opened");
            (all, short)
        }
    });
    assert!(all.complete, "{all:?}");
    assert_eq!(all.records, 50);
    assert_eq!(
        all.reached.values().map(|at| at.0).collect::<Vec<_>>(),
        [30, 20]
    );
    assert!(!short.complete, "{short:?}");
    assert_eq!(values_read(&events).len(), 50);
}

#[test]
fn a_position_beyond_the_log_fails_the_poll() {
    let mock = mock(&[("ledger", 1)]);
    let (reply, _) = scene(|_, clock| {
        let clients = RdKafka::new(mock.bootstrap_servers(), run_id(), clock);
        async move {
            let mut consumer = clients
                .consumer(history::ClientId(1), Reading::Everything)
                .expect("opened");
            let far = [(Partition::new("ledger", 0), Offset(1_000_000))];
            assert_eq!(consumer.assign(&far).await, Outcome::Ok(()));
            consumer.poll(10, Duration::from_secs(10)).await
        }
    });
    let Reply::Polled(Outcome::Failed(why)) = reply else {
        panic!("{reply:?}");
    };
    assert!(why.0.starts_with("ledger/0: "), "{why}");
}

/// The keys of a topic's first records, as an ordinary consumer is given them.
fn keys_of(mock: &Mock, topic: &str, count: usize) -> Vec<Option<Vec<u8>>> {
    let mut config = rdkafka::ClientConfig::new();
    config.set("bootstrap.servers", mock.bootstrap_servers());
    config.set("group.id", "nobody");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset(topic, 0, rdkafka::Offset::Beginning)
        .expect("a partition");
    consumer.assign(&from).expect("assigned");
    let next = || {
        let polled = consumer.poll(Duration::from_secs(10)).expect("a record");
        let record = polled.expect("readable");
        record.key().map(<[u8]>::to_vec)
    };
    std::iter::repeat_with(next).take(count).collect()
}

#[test]
fn records_of_a_keyed_topic_have_keys_in_turn_and_no_others_have_any() {
    let mock = mock(&[("compacted", 1), ("ledger", 1)]);
    let sent = [0, 1, workloads::rdkafka::KEYS, 7];
    scene(async |_, clock| {
        let keyed = BTreeSet::from([Topic::from("compacted")]);
        let clients = RdKafka::new(mock.bootstrap_servers(), run_id(), clock).keyed(keyed);
        let load = load(Acks::All, Rate::OnDemand);
        let mut producer = clients
            .producer(history::ClientId(1), &load, None)
            .expect("opened");
        for (op, value) in sent.into_iter().enumerate() {
            let to = |topic: &str, op: usize| workloads::Record {
                op: OpId(op as u64),
                partition: Partition::new(topic, 0),
                value: ValueId(value),
            };
            producer.submit(&[to("compacted", 2 * op), to("ledger", 2 * op + 1)]);
        }
        let done = producer.finish(Duration::from_secs(10)).await;
        assert_eq!(done.len(), 8);
    });
    let wanted = [0, 1, 0, 7].map(|key: u64| Some(key.to_be_bytes().to_vec()));
    assert_eq!(keys_of(&mock, "compacted", 4), wanted);
    assert_eq!(keys_of(&mock, "ledger", 4), [const { None }; 4]);
}

#[test]
fn a_setting_that_the_library_refuses_is_named() {
    let refused = Load {
        idempotent: true,
        ..load(Acks::Leader, Rate::Max)
    };
    let (error, _) = scene(|_, clock| async move {
        let clients = RdKafka::new("127.0.0.1:1".to_owned(), run_id(), clock);
        clients.producer(history::ClientId(7), &refused, None).err()
    });
    let error = error.expect("refused").to_string();
    assert!(error.starts_with("cannot open client c7: "), "{error}");
    assert!(error.contains("acks"), "{error}");
}

#[test]
fn the_library_names_itself() {
    let clients = RdKafka::new(String::new(), run_id(), Clock::start());
    let words = clients.describe();
    assert!(
        words.starts_with("librdkafka 2.") && words.contains("zstd"),
        "{words}"
    );
}

#[test]
fn a_crash_leaves_nothing_open_and_little_unsent() {
    let mock = mock(&[("ledger", 1)]);
    let topic: Topic = "ledger".into();
    let (crashed, events) = scene(async |pen, clock| {
        let topics = BTreeMap::from([(
            topic.clone(),
            spec(1, load(Acks::All, Rate::PerSecond(500))),
        )]);
        let workload = begin(&mock, topics, pen, clock);
        let acked = || workload.counts()[&topic].acked;
        until("records are acknowledged", || acked() > 100).await;
        let rtt = Duration::from_secs(1);
        (1..=3).for_each(|id| mock.broker_round_trip_time(id, rtt).expect("slow"));
        let sent = workload.counts()[&topic].sent;
        until("many are in flight", || {
            workload.counts()[&topic].sent > sent + 200
        })
        .await;
        let producer = workload.crash(&topic, false).await.expect("a producer");
        let reader = workload.crash(&topic, true).await.expect("a consumer");
        (1..=3).for_each(|id| {
            mock.broker_round_trip_time(id, Duration::ZERO)
                .expect("fast")
        });
        for ended in [producer.client, reader.client] {
            let fresh = workload.revive(&topic, ended).await.expect("opened");
            assert!(fresh.is_some_and(|client| client > ended), "{fresh:?}");
        }
        let before = workload.counts()[&topic];
        until("the fresh ones work", || {
            let now = workload.counts()[&topic];
            now.acked > before.acked + 500 && now.delivered > before.delivered + 500
        })
        .await;
        let last = workload.stop(Duration::from_secs(10)).await[&topic];
        assert_eq!(last.in_flight, 0);
        producer
    });
    assert!(crashed.in_flight > 50, "{crashed:?}");
    let unknown = |(_, _, outcome): &&(Partition, ValueId, Outcome<SendAck>)| {
        matches!(outcome, Outcome::Unknown(_))
    };
    let sends = sends(&events);
    assert_eq!(
        sends.values().filter(unknown).count() as u64,
        crashed.in_flight,
        "the crash alone leaves doubts"
    );
}

#[test]
fn transactions_are_begun_and_ended_one_after_another() {
    let mock = mock(&[("ledger", 2)]);
    let topic: Topic = "ledger".into();
    let load = Load {
        idempotent: true,
        transactional: true,
        ..load(Acks::All, Rate::PerSecond(500))
    };
    let (counts, events) = scene(async |pen, clock| {
        let topics = BTreeMap::from([(topic.clone(), spec(2, load))]);
        let workload = begin(&mock, topics, pen, clock);
        until("1000 acknowledged", || {
            workload.counts()[&topic].acked > 1000
        })
        .await;
        workload.stop(Duration::from_secs(5)).await[&topic]
    });
    assert_eq!(counts.sent, counts.acked, "{counts:?}");
    let (mut ended, mut begun) = (0, 0);
    for event in &events {
        match event {
            Event::Invoked {
                call: Call::Begin, ..
            } => begun += 1,
            Event::Returned {
                reply: Reply::Done(outcome),
                ..
            } => {
                assert_eq!(*outcome, Outcome::Ok(()));
                ended += 1;
            }
            _ => {}
        }
    }
    assert!(begun > 4, "{begun}");
    assert_eq!(ended, 2 * begun, "each begin and each end was done");
}

#[test]
fn a_group_shares_the_partitions_and_takes_over_from_a_crashed_member() {
    let mock = mock(&[("ledger", 4)]);
    let topic: Topic = "ledger".into();
    let load = Load {
        consumers: 2,
        group: Some(plan::Group {
            name: "readers".into(),
            commit: history::CommitMode::After,
        }),
        ..load(Acks::All, Rate::PerSecond(200))
    };
    let (crashed, events) = scene(async |pen, clock| {
        let topics = BTreeMap::from([(topic.clone(), spec(4, load))]);
        let workload = begin(&mock, topics, pen, clock);
        let delivered = || workload.counts()[&topic].delivered;
        until("records are read", || delivered() > 300).await;
        let crashed = workload.crash(&topic, true).await.expect("a member");
        // Half of what is sent is read by nobody until the group misses its member, after 6 s.
        let behind = || {
            let now = workload.counts()[&topic];
            now.sent.saturating_sub(now.delivered)
        };
        until("records wait for the crashed member", || behind() > 300).await;
        until("the other has taken them over", || behind() < 100).await;
        workload.stop(Duration::from_secs(5)).await;
        crashed
    });
    let (mut commits, mut assigned) = (0, BTreeSet::new());
    for event in &events {
        match event {
            Event::Invoked {
                call: Call::Commit { .. },
                ..
            } => commits += 1,
            Event::Rebalance(told) if told.change == history::Rebalance::Assigned => {
                assigned.extend(told.partitions.iter().map(|it| (told.client, it.index)));
            }
            _ => {}
        }
    }
    assert!(commits > 5, "{commits}");
    let other: BTreeSet<i32> = assigned
        .iter()
        .filter(|(client, _)| *client != crashed.client)
        .map(|(_, index)| *index)
        .collect();
    assert_eq!(other, (0..4).collect(), "{assigned:?}");
}
