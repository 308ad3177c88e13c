//! The load against clients in memory, in virtual time.

mod copying;

use std::collections::BTreeSet;

use history::{
    Call, Delivery, Epoch, Event, NodeId, Notebook, OpId, Outcome, Payload, Reply, ValueId,
};
use plan::{Acks, Compression};
use tokio::task::LocalSet;
use tokio::time::sleep;

use super::*;
use crate::fake::{Behaviour, FakeKafka};

const LATENCY: Duration = Duration::from_millis(3);
const SECOND: Duration = Duration::from_secs(1);

fn spec(partitions: usize, producers: u32, consumers: u32, rate: Rate) -> TopicSpec {
    TopicSpec {
        assignment: vec![vec![NodeId(0)]; partitions],
        min_insync_replicas: 1,
        properties: BTreeMap::new(),
        load: Load {
            producers,
            consumers,
            acks: Acks::All,
            idempotent: true,
            group: None,
            transactional: false,
            max_in_flight: 5,
            linger_ms: 0,
            batch_bytes: 16_384,
            compression: Compression::None,
            delivery_timeout: SECOND,
            value_bytes: 128,
            rate,
        },
    }
}

fn ledger(index: i32) -> Partition {
    Partition::new("ledger", index)
}

struct Scene {
    kafka: FakeKafka,
    workload: Workload,
    pen: Pen,
    clock: Clock,
}

impl Scene {
    fn counts(&self) -> Counts {
        self.workload.counts()["ledger"]
    }
}

/// Plays a scene of one topic in virtual time; its events.
fn play<F: Future>(spec: TopicSpec, act: impl FnOnce(Scene) -> F) -> (F::Output, Vec<Event>) {
    play_all(BTreeMap::from([("ledger".into(), spec)]), act)
}

fn play_all<F: Future>(
    topics: BTreeMap<Topic, TopicSpec>,
    act: impl FnOnce(Scene) -> F,
) -> (F::Output, Vec<Event>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    let (pen, mut notebook) = Notebook::open();
    let out = LocalSet::new().block_on(&runtime, async {
        let clock = Clock::start();
        let kafka = FakeKafka::new(clock, LATENCY);
        let workload = start(Rc::new(kafka.clone()), &topics, pen.clone(), clock).expect("opened");
        act(Scene {
            kafka,
            workload,
            pen,
            clock,
        })
        .await
    });
    let events = notebook.take();
    balance(&events);
    (out, events)
}

/// Every operation was invoked once, then returned once, with an answer to what was asked.
fn balance(events: &[Event]) {
    let mut open: BTreeMap<OpId, &Call> = BTreeMap::new();
    let mut last = None;
    for event in events {
        match event {
            Event::Invoked { op, call, .. } => {
                assert!(last < Some(*op), "{op} after {last:?}");
                last = Some(*op);
                open.insert(*op, call);
            }
            Event::Returned { op, reply, .. } => {
                let call = open
                    .remove(op)
                    .unwrap_or_else(|| panic!("{op} is not open"));
                assert!(reply.answers(call), "{op}: {call:?} -> {reply:?}");
            }
            Event::Rebalance(_) => {}
            other => panic!("not an operation: {other:?}"),
        }
    }
    assert!(open.is_empty(), "never returned: {open:?}");
}

fn deliveries(events: &[Event]) -> Vec<Delivery> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Returned {
                reply: Reply::Polled(Outcome::Ok(came)),
                ..
            } => Some(came.clone()),
            _ => None,
        })
        .flatten()
        .collect()
}

#[test]
fn a_rate_is_exact_and_dealt_over_clients_and_partitions() {
    let (counts, events) = play(spec(3, 2, 1, Rate::PerSecond(1000)), async |scene| {
        sleep(10 * SECOND).await;
        scene.workload.stop(SECOND).await["ledger"]
    });
    assert!((9_990..=10_000).contains(&counts.sent), "{counts:?}");
    assert_eq!((counts.acked, counts.delivered), (counts.sent, counts.sent));
    let mut dealt: BTreeMap<(ClientId, i32), u64> = BTreeMap::new();
    for event in &events {
        if let Event::Invoked {
            client,
            call: Call::Send { partition, .. },
            ..
        } = event
        {
            *dealt.entry((*client, partition.index)).or_default() += 1;
        }
    }
    assert_eq!(dealt.len(), 6);
    let share = counts.sent / 6;
    assert!(dealt.values().all(|n| n.abs_diff(share) <= 3), "{dealt:?}");
}

#[test]
fn full_speed_keeps_a_bounded_number_in_flight() {
    let (counts, _) = play(spec(1, 1, 0, Rate::Max), async |scene| {
        scene.kafka.behave(&ledger(0), Behaviour::Swallow);
        sleep(SECOND).await;
        let stuck = scene.counts();
        scene.workload.stop(SECOND).await;
        stuck
    });
    assert_eq!(counts.in_flight, sending::IN_FLIGHT_MAX as u64);
    assert_eq!(counts.sent, counts.in_flight);
}

#[test]
fn full_speed_goes_on_as_completions_come() {
    let (counts, _) = play(spec(1, 1, 0, Rate::Max), async |scene| {
        sleep(20 * LATENCY).await;
        scene.workload.stop(SECOND).await["ledger"]
    });
    assert!(
        counts.sent >= 10 * sending::IN_FLIGHT_MAX as u64,
        "{counts:?}"
    );
    assert_eq!(counts.acked, counts.sent);
}

#[test]
fn an_outage_is_not_followed_by_a_burst() {
    let (counts, _) = play(spec(1, 1, 0, Rate::PerSecond(20_000)), async |scene| {
        scene.kafka.behave(&ledger(0), Behaviour::Swallow);
        sleep(10 * SECOND).await;
        let sent = scene.counts().sent;
        scene.workload.stop(SECOND).await;
        sent
    });
    assert_eq!(counts, sending::IN_FLIGHT_MAX as u64);
}

#[test]
fn a_step_is_told_what_became_of_its_sends() {
    let ((ok, refused, silent), _) = play(spec(2, 0, 0, Rate::OnDemand), async |scene| {
        let to = |behaviour| scene.kafka.behave(&ledger(1), behaviour);
        let ok = scene.workload.send(&ledger(1), 1200, SECOND).await;
        to(Behaviour::Refuse);
        let refused = scene.workload.send(&ledger(1), 3, SECOND).await;
        to(Behaviour::KeepSilent);
        let began = scene.clock.mark();
        let silent = scene.workload.send(&ledger(1), 2, SECOND).await;
        assert_eq!(scene.clock.mark().since(began), SECOND);
        assert_eq!(scene.kafka.values(&ledger(1)).len(), 1202);
        assert!(scene.kafka.values(&ledger(0)).is_empty());
        scene.workload.stop(SECOND).await;
        (ok, refused, silent)
    });
    let sent = |acked, failed, unknown| Sent {
        acked,
        failed,
        unknown,
    };
    assert_eq!(ok, sent(1200, 0, 0));
    assert_eq!(refused, sent(0, 3, 0));
    assert_eq!(silent, sent(0, 0, 2));
}

#[test]
fn stopping_returns_what_nobody_answered_as_unknown() {
    let (counts, events) = play(spec(1, 1, 1, Rate::PerSecond(100)), async |scene| {
        sleep(SECOND).await;
        scene.kafka.behave(&ledger(0), Behaviour::KeepSilent);
        sleep(SECOND).await;
        scene.workload.stop(SECOND).await["ledger"]
    });
    assert_eq!(counts.in_flight, 0);
    assert!((95..=105).contains(&counts.unknown), "{counts:?}");
    assert_eq!(counts.acked + counts.unknown, counts.sent);
    let read: BTreeSet<Payload> = deliveries(&events).iter().map(|d| d.payload).collect();
    assert_eq!(read.len() as u64, counts.sent, "silent records were read");
}

#[test]
fn a_fenced_producer_is_followed_by_another() {
    let (producers, events) = play(spec(1, 1, 0, Rate::PerSecond(100)), async |scene| {
        sleep(SECOND).await;
        scene.kafka.behave(&ledger(0), Behaviour::Fence);
        sleep(Duration::from_millis(12)).await;
        scene.kafka.behave(&ledger(0), Behaviour::Ack);
        let before = scene.counts().acked;
        sleep(SECOND).await;
        assert!(scene.counts().acked > before + 90);
        let producers = scene.workload.producers();
        scene.workload.stop(SECOND).await;
        producers
    });
    assert!(producers.len() >= 2, "{producers:?}");
    assert!(producers.values().all(|setting| setting.acks == "all"));
    for event in events {
        if let Event::Invoked { client, .. } = event {
            assert!(producers.contains_key(&client), "{client} is not described");
        }
    }
}

#[test]
fn a_reader_whose_log_was_cut_reads_it_again() {
    let (lost, events) = play(spec(1, 0, 1, Rate::OnDemand), async |scene| {
        let ledger = ledger(0);
        scene.workload.send(&ledger, 10, SECOND).await;
        sleep(SECOND).await;
        let lost = scene.kafka.values(&ledger)[8];
        scene.kafka.lose_from(&ledger, Offset(8));
        scene.kafka.lead(&ledger, NodeId(1), Epoch(1));
        scene.workload.send(&ledger, 1, SECOND).await;
        sleep(10 * SECOND).await;
        scene.workload.stop(SECOND).await;
        lost
    });
    let at_8: BTreeSet<Payload> = deliveries(&events)
        .into_iter()
        .filter(|delivery| delivery.offset == Offset(8))
        .map(|delivery| delivery.payload)
        .collect();
    let expected = [Payload::Value(lost), Payload::Value(ValueId(10))];
    assert_eq!(at_8, expected.into(), "before the cut and after it");
}

#[test]
fn vices_show_in_the_history() {
    let (values, events) = play(spec(1, 0, 1, Rate::OnDemand), async |scene| {
        for behaviour in [Behaviour::Double, Behaviour::Lie, Behaviour::Swallow] {
            scene.kafka.behave(&ledger(0), behaviour);
            scene.workload.send(&ledger(0), 1, SECOND).await;
        }
        let values = scene.kafka.values(&ledger(0));
        scene.workload.stop(SECOND).await;
        values
    });
    assert_eq!(values, [ValueId(0), ValueId(0)]);
    let acked: Vec<Option<i64>> = events
        .iter()
        .filter_map(|event| match event {
            Event::Returned {
                reply: Reply::Sent(Outcome::Ok(ack)),
                ..
            } => Some(ack.offset.map(|offset| offset.0)),
            _ => None,
        })
        .collect();
    assert_eq!(
        acked,
        [Some(0), Some(2)],
        "the lie was acknowledged at the log's end"
    );
}

#[test]
fn a_drain_is_complete_only_at_the_end_that_was_asked_for() {
    let ((whole, short, empty), _) = play(spec(2, 0, 0, Rate::OnDemand), async |scene| {
        scene.workload.send(&ledger(0), 1500, SECOND).await;
        scene.workload.send(&ledger(1), 7, SECOND).await;
        let client = scene.workload.next_client();
        let read = async |ranges: &[(Partition, Offset, Offset)]| {
            drain(
                &scene.kafka,
                client,
                ranges,
                &scene.pen,
                &scene.clock,
                5 * SECOND,
            )
            .await
            .expect("opened")
        };
        let first = (ledger(0), Offset(0), Offset(1500));
        let whole = read(&[first.clone(), (ledger(1), Offset(5), Offset(7))]).await;
        let began = scene.clock.mark();
        let short = read(&[first, (ledger(1), Offset(0), Offset(8))]).await;
        assert_eq!(scene.clock.mark().since(began), 5 * SECOND);
        let empty = read(&[(ledger(1), Offset(7), Offset(7))]).await;
        scene.workload.stop(SECOND).await;
        (whole, short, empty)
    });
    assert!(whole.complete && whole.records == 1502, "{whole:?}");
    assert!(!short.complete && short.records == 1507, "{short:?}");
    assert_eq!(short.reached[&ledger(1)], Offset(7));
    assert!(empty.complete && empty.records == 0, "{empty:?}");
}

#[test]
fn a_run_in_virtual_time_is_the_same_every_time() {
    let run = || {
        play(spec(3, 2, 1, Rate::PerSecond(997)), async |scene| {
            sleep(SECOND).await;
            scene.kafka.behave(&ledger(1), Behaviour::Swallow);
            sleep(SECOND).await;
            scene.workload.stop(SECOND).await
        })
    };
    let ((_, first), (_, second)) = (run(), run());
    assert!(first.len() > 3000, "{} events", first.len());
    assert!(first == second, "two runs of one scene differ");
}

#[test]
fn a_crashed_producer_leaves_unknowns_and_its_successor_has_another_id() {
    let topic: Topic = "ledger".into();
    let ((crashed, revived, twice), events) =
        play(spec(1, 2, 0, Rate::PerSecond(1000)), async |scene| {
            sleep(SECOND).await;
            scene.kafka.behave(&ledger(0), Behaviour::KeepSilent);
            sleep(SECOND / 10).await;
            let crashed = scene.workload.crash(&topic, false).await.expect("one");
            scene.kafka.behave(&ledger(0), Behaviour::Ack);
            let before = scene.counts();
            assert_eq!(before.unknown, crashed.in_flight);
            sleep(SECOND).await;
            let half = scene.counts().sent - before.sent;
            assert!((495..=505).contains(&half), "{half} by the other alone");
            let to = scene.workload.send(&ledger(0), 1, SECOND).await;
            assert_eq!(to.acked, 1, "by whoever lives");
            let other = scene
                .workload
                .crash(&topic, false)
                .await
                .expect("the other");
            assert_eq!(
                scene.workload.crash(&topic, false).await,
                None,
                "nobody is left"
            );
            let quiet = scene.counts().sent;
            sleep(SECOND).await;
            assert_eq!(scene.counts().sent, quiet);
            let revived = scene.workload.revive(&topic, crashed.client).await;
            let again = scene.workload.revive(&topic, crashed.client).await;
            sleep(SECOND).await;
            let came = scene.counts().sent - quiet;
            assert!((495..=505).contains(&came), "{came}, and no burst");
            let counts = scene.workload.stop(SECOND).await["ledger"];
            assert_eq!(counts.in_flight, 0);
            (
                (crashed, other),
                revived.expect("opened"),
                again.expect("asked"),
            )
        });
    assert!((40..=60).contains(&crashed.0.in_flight), "{crashed:?}");
    assert_eq!((revived, twice), (Some(ClientId(2)), None));
    let last_of = |client| {
        let of_client =
            |event: &&Event| matches!(event, Event::Invoked { client: c, .. } if *c == client);
        events
            .iter()
            .rposition(|event| of_client(&event))
            .expect("it sent")
    };
    let first_new = events
        .iter()
        .position(|event| matches!(event, Event::Invoked { client, .. } if *client == ClientId(2)));
    assert!(last_of(crashed.0.client) < first_new.expect("it sent"));
}

#[test]
fn a_crashed_consumer_is_followed_by_one_that_goes_on() {
    let topic: Topic = "ledger".into();
    let (clients, events) = play(spec(1, 1, 1, Rate::OnDemand), async |scene| {
        scene.workload.send(&ledger(0), 10, SECOND).await;
        sleep(SECOND).await;
        let crashed = scene.workload.crash(&topic, true).await.expect("one");
        assert_eq!(scene.workload.crash(&topic, true).await, None);
        scene.workload.send(&ledger(0), 5, SECOND).await;
        sleep(SECOND).await;
        assert_eq!(scene.counts().delivered, 10, "nobody reads");
        let revived = scene.workload.revive(&topic, crashed.client).await;
        sleep(SECOND).await;
        assert_eq!(scene.counts().delivered, 15);
        let second = scene
            .workload
            .crash(&topic, true)
            .await
            .expect("the fresh one");
        scene.workload.stop(SECOND).await;
        (crashed.client, revived.expect("opened"), second.client)
    });
    assert_eq!(Some(clients.2), clients.1);
    assert_ne!(clients.0, clients.2);
    let unknown = |event: &&Event| {
        let Event::Returned {
            reply: Reply::Polled(Outcome::Unknown(_)),
            ..
        } = event
        else {
            return false;
        };
        true
    };
    assert_eq!(events.iter().filter(unknown).count(), 2);
}

/// What a history says of transactions: how many were begun, committed and aborted, and that every
/// send lies in one.
fn transactions(events: &[Event]) -> (u32, u32, u32) {
    let mut open: BTreeMap<ClientId, bool> = BTreeMap::new();
    let (mut begun, mut committed, mut aborted) = (0, 0, 0);
    for event in events {
        let Event::Invoked { client, call, .. } = event else {
            continue;
        };
        let open = open.entry(*client).or_default();
        match call {
            Call::Begin => {
                assert!(!*open, "{client} begins twice");
                *open = true;
                begun += 1;
            }
            Call::End { commit } => {
                assert!(*open, "{client} ends what it did not begin");
                *open = false;
                match commit {
                    true => committed += 1,
                    false => aborted += 1,
                }
            }
            Call::Send { .. } => assert!(*open, "{client} sends outside"),
            _ => {}
        }
    }
    (begun, committed, aborted)
}

fn transactional(producers: u32, rate: Rate) -> TopicSpec {
    let mut spec = spec(1, producers, 1, rate);
    spec.load.transactional = true;
    spec
}

#[test]
fn transactional_load_is_sent_in_transactions_and_some_are_aborted() {
    let ((counts, producers, consumers), events) =
        play(transactional(2, Rate::PerSecond(1000)), async |scene| {
            sleep(20 * SECOND).await;
            let (producers, consumers) = (scene.workload.producers(), scene.workload.consumers());
            let counts = scene.workload.stop(SECOND).await["ledger"];
            (counts, producers, consumers)
        });
    assert!((19_000..=20_000).contains(&counts.acked), "{counts:?}");
    let (begun, committed, aborted) = transactions(&events);
    assert_eq!(begun, committed + aborted, "each is ended");
    assert!(
        begun > 100 && aborted * 10 > begun && aborted * 3 < begun,
        "{begun} {aborted}"
    );
    let names: BTreeSet<&str> = producers
        .values()
        .filter_map(|producer| producer.transactional_id.as_deref())
        .collect();
    assert_eq!(names, ["tidemark-ledger-0", "tidemark-ledger-1"].into());
    assert!(consumers.len() == 1 && consumers.values().all(|it| it.read_committed));
}

#[test]
fn on_demand_a_transaction_begins_when_there_is_something_to_send() {
    let (sent, events) = play(transactional(1, Rate::OnDemand), async |scene| {
        sleep(5 * SECOND).await;
        let sent = scene.workload.send(&ledger(0), 3, SECOND).await;
        sleep(5 * SECOND).await;
        scene.workload.stop(SECOND).await;
        sent
    });
    assert_eq!(sent.acked, 3);
    let (begun, committed, aborted) = transactions(&events);
    assert_eq!((begun, committed + aborted), (1, 1));
}

#[test]
fn a_transaction_with_a_doubt_in_it_is_aborted() {
    let (_, events) = play(transactional(1, Rate::PerSecond(100)), async |scene| {
        scene.kafka.behave(&ledger(0), Behaviour::Refuse);
        sleep(5 * SECOND).await;
        scene.workload.stop(SECOND).await;
    });
    let (begun, committed, aborted) = transactions(&events);
    // One that ended before it had sent anything may have been committed.
    assert!(
        begun > 20 && committed <= 1 && begun == committed + aborted,
        "{begun} {committed}"
    );
}

#[test]
fn a_crash_leaves_its_transaction_open_and_the_successor_takes_the_name() {
    let topic: Topic = "ledger".into();
    let (producers, events) = play(transactional(1, Rate::PerSecond(1000)), async |scene| {
        sleep(SECOND).await;
        let crashed = scene.workload.crash(&topic, false).await.expect("one");
        let revived = scene.workload.revive(&topic, crashed.client).await;
        assert!(revived.expect("opened").is_some());
        sleep(SECOND).await;
        let producers = scene.workload.producers();
        scene.workload.stop(SECOND).await;
        producers
    });
    let (begun, committed, aborted) = transactions(&events);
    assert!(begun > 4 && begun - committed - aborted <= 1, "{begun}");
    let names = producers.values().map(|it| it.transactional_id.clone());
    assert_eq!(names.collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(producers.len(), 2);
}

#[test]
fn a_group_reads_everything_once_and_goes_on_where_it_had_committed() {
    let topic: Topic = "ledger".into();
    let mut spec = spec(3, 1, 2, Rate::PerSecond(300));
    spec.load.group = Some(plan::Group {
        name: "readers".into(),
        commit: history::CommitMode::After,
    });
    let ((counts, consumers), events) = play(spec, async |scene| {
        sleep(5 * SECOND).await;
        let crash = async || scene.workload.crash(&topic, true).await.expect("a member");
        let (first, second) = (crash().await, crash().await);
        assert_eq!(scene.workload.crash(&topic, true).await, None);
        let before = scene.counts().delivered;
        sleep(5 * SECOND).await;
        assert_eq!(scene.counts().delivered, before, "nobody reads");
        for ended in [first, second] {
            let revived = scene.workload.revive(&topic, ended.client).await;
            assert!(revived.expect("opened").is_some());
        }
        sleep(5 * SECOND).await;
        let consumers = scene.workload.consumers();
        (scene.workload.stop(SECOND).await["ledger"], consumers)
    });
    let late = 300;
    assert!(counts.delivered + late >= counts.sent, "{counts:?}");
    let all = deliveries(&events);
    let once: BTreeSet<Payload> = all.iter().map(|d| d.payload).collect();
    // In memory a commit follows its poll at once: a crash leaves nothing uncommitted.
    assert_eq!(once.len(), all.len());
    assert_eq!(consumers.len(), 4);
    assert!(
        consumers
            .values()
            .all(|it| it.group.as_deref() == Some("readers"))
    );
    let assigned = |event: &Event| match event {
        Event::Rebalance(told) => Some(told.partitions.len()),
        _ => None,
    };
    let assigned: Vec<usize> = events.iter().filter_map(assigned).collect();
    assert_eq!(assigned, [3, 3], "once before the crash, once after it");
    let commits = |event: &&Event| {
        matches!(
            event,
            Event::Invoked {
                call: Call::Commit { .. },
                ..
            }
        )
    };
    assert!(events.iter().filter(commits).count() > 10);
}
