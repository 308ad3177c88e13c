//! Events of every kind, for the property tests of this package.

use std::ops::Range;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::*;

/// Any events, in no sensible order: what is stored must come back, sensible or not.
pub(crate) fn any_events(count: Range<usize>) -> impl Strategy<Value = Vec<Event>> {
    vec(any_event(), count)
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (any::<u64>(), 0u16..4, mark(), call())
            .prop_map(|(op, client, at, call)| Event::Invoked { op: OpId(op), client: ClientId(client), at, call }),
        4 => (0u64..1000, mark(), reply())
            .prop_map(|(op, at, reply)| Event::Returned { op: OpId(op), at, reply }),
        1 => (mark(), mark(), node(), seen()).prop_map(|(asked, answered, node, seen)| {
            Event::Observed(Observation { asked, answered, node, seen })
        }),
        1 => (mark(), 1u16..9, stage())
            .prop_map(|(at, fault, stage)| Event::Fault(FaultEvent { fault: FaultId(fault), at, stage })),
        1 => (mark(), phase()).prop_map(|(at, phase)| Event::Phase { at, phase }),
        1 => (mark(), node(), service(), change())
            .prop_map(|(at, node, service, change)| Event::Process(ProcessEvent { at, node, service, change })),
        1 => (mark(), any::<u32>(), text(), step())
            .prop_map(|(at, index, text, stage)| Event::Step(StepEvent { at, index, text, stage })),
        1 => (mark(), mark(), node(), any::<i64>()).prop_map(|(asked, answered, node, host_unix_nanos)| {
            Event::Clock(ClockSample { node, asked, answered, host_unix_nanos })
        }),
        1 => image().prop_map(Event::Image),
        1 => (mark(), 0u16..9, rebalance(), vec(partition(), 0..3)).prop_map(
            |(at, client, change, partitions)| {
                Event::Rebalance(RebalanceEvent { at, client: ClientId(client), change, partitions })
            }
        ),
        1 => (mark(), option::of((1u16..9).prop_map(FaultId)), partition(), harm()).prop_map(
            |(at, fault, partition, harm)| Event::Harm(HarmEvent { at, fault, partition, harm })
        ),
        1 => (mark(), mark(), option::of("[a-z][a-z._-]{0,5}"), "[a-z.]{1,9}", option::of("[ -~]{0,9}"))
            .prop_map(|(asked, answered, topic, key, value)| {
                let topic = topic.filter(|name| name != "brokers").map(Into::into);
                Event::Altered(Alteration { asked, answered, topic, key, value })
            }),
    ]
}

fn mark() -> impl Strategy<Value = Mark> {
    prop_oneof![
        (0u64..100_000).prop_map(Mark::from_millis),
        (0u64..1 << 40).prop_map(Mark),
    ]
}

fn node() -> impl Strategy<Value = NodeId> {
    (0u8..3).prop_map(NodeId)
}

fn partition() -> impl Strategy<Value = Partition> {
    ("[a-z][a-z._-]{0,5}", 0..3i32).prop_map(|(topic, index)| Partition::new(topic, index))
}

fn offset() -> impl Strategy<Value = Offset> {
    prop_oneof![
        0i64..50,
        Just(-1),
        Just(i64::MAX),
        Just(i64::MIN),
        any::<i64>()
    ]
    .prop_map(Offset)
}

fn epoch() -> impl Strategy<Value = Epoch> {
    prop_oneof![0..5i32, any::<i32>()].prop_map(Epoch)
}

/// What people and brokers write: quotes, line ends and umlauts included.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,12}",
        "\\PC{0,8}",
        Just("a \"b\"\n\\c (d): e".to_owned())
    ]
}

fn why() -> impl Strategy<Value = Why> {
    text().prop_map(Why::new)
}

fn positions() -> impl Strategy<Value = Vec<(Partition, Offset)>> {
    vec((partition(), offset()), 0..3)
}

fn rebalance() -> impl Strategy<Value = Rebalance> {
    prop_oneof![
        Just(Rebalance::Assigned),
        Just(Rebalance::Revoked),
        Just(Rebalance::Lost),
    ]
}

fn harm() -> impl Strategy<Value = Harm> {
    prop_oneof![
        (node(), offset()).prop_map(|(node, from)| Harm::SuffixLost { node, from }),
        node().prop_map(|node| Harm::Wiped { node }),
        (node(), offset()).prop_map(|(node, from)| Harm::Damaged { node, from }),
        offset().prop_map(|before| Harm::Deleted { before }),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        3 => (partition(), any::<u64>())
            .prop_map(|(partition, value)| Call::Send { partition, value: ValueId(value) }),
        1 => Just(Call::Poll),
        1 => positions().prop_map(|from| Call::Assign { from }),
        1 => vec("[a-z][a-z._-]{0,5}", 0..3).prop_map(|topics| Call::Subscribe {
            topics: topics.into_iter().map(Into::into).collect(),
        }),
        1 => positions().prop_map(|to| Call::Seek { to }),
        1 => positions().prop_map(|offsets| Call::Commit { offsets }),
        1 => Just(Call::Begin),
        1 => any::<bool>().prop_map(|commit| Call::End { commit }),
    ]
}

fn outcome<T: std::fmt::Debug>(ok: impl Strategy<Value = T>) -> impl Strategy<Value = Outcome<T>> {
    prop_oneof![
        3 => ok.prop_map(Outcome::Ok),
        1 => why().prop_map(Outcome::Failed),
        1 => why().prop_map(Outcome::Unknown),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let ack = (option::of(offset()), option::of(node()))
        .prop_map(|(offset, broker)| SendAck { offset, broker });
    prop_oneof![
        3 => outcome(ack).prop_map(Reply::Sent),
        1 => outcome(vec(delivery(), 0..6)).prop_map(Reply::Polled),
        1 => outcome(Just(())).prop_map(Reply::Assigned),
        1 => outcome(Just(())).prop_map(Reply::Done),
    ]
}

fn delivery() -> impl Strategy<Value = Delivery> {
    let payload = prop_oneof![
        any::<u64>().prop_map(|v| Payload::Value(ValueId(v))),
        Just(Payload::Corrupt),
        Just(Payload::Foreign),
    ];
    (
        partition(),
        offset(),
        payload,
        option::of(epoch()),
        option::of(node()),
    )
        .prop_map(|(partition, offset, payload, epoch, broker)| Delivery {
            partition,
            offset,
            payload,
            epoch,
            broker,
        })
}

fn seen() -> impl Strategy<Value = Seen> {
    let nodes = || vec(node(), 0..3);
    prop_oneof![
        (partition(), offset(), option::of(epoch())).prop_map(|(partition, leo, epoch)| {
            Seen::LogEnd {
                partition,
                leo,
                epoch,
            }
        }),
        (partition(), offset(), offset(), offset()).prop_map(|(partition, hw, lso, log_start)| {
            Seen::Watermarks {
                partition,
                hw,
                lso,
                log_start,
            }
        }),
        (partition(), epoch(), offset()).prop_map(|(partition, epoch, hw)| Seen::LeaderHw {
            partition,
            epoch,
            hw
        }),
        (partition(), option::of(node()), epoch(), nodes()).prop_map(
            |(partition, leader, epoch, isr)| {
                Seen::Belief {
                    partition,
                    leader,
                    epoch,
                    isr,
                }
            }
        ),
        option::of(node()).prop_map(|node| Seen::Controller { node }),
        (
            partition(),
            option::of(node()),
            epoch(),
            nodes(),
            any::<i32>()
        )
            .prop_map(|(partition, leader, epoch, isr, version)| {
                Seen::ZkState {
                    partition,
                    leader,
                    epoch,
                    isr,
                    version,
                }
            }),
        why().prop_map(|why| Seen::Silent { why }),
    ]
}

fn stage() -> impl Strategy<Value = Stage> {
    let kind = prop::sample::select(FaultKind::all().collect::<Vec<_>>());
    let port = prop_oneof![
        Just(PortName::Broker),
        Just(PortName::Probe),
        Just(PortName::ZkClient),
        Just(PortName::ZkPeer),
        Just(PortName::ZkElection),
    ];
    let link =
        (node(), node(), option::of(port)).prop_map(|(from, to, port)| Link { from, to, port });
    let deed = (
        kind,
        vec((node(), service()), 0..3),
        vec(link, 0..3),
        text(),
    )
        .prop_map(|(kind, processes, links, because)| Deed {
            kind,
            processes,
            links,
            because,
        });
    prop_oneof![
        2 => (text(), deed).prop_map(|(asked, deed)| Stage::Injecting { asked, deed }),
        1 => text().prop_map(|evidence| Stage::Injected { evidence }),
        1 => text().prop_map(|evidence| Stage::Ineffective { evidence }),
        1 => Just(Stage::Healing),
        1 => text().prop_map(|evidence| Stage::Healed { evidence }),
        1 => text().prop_map(|why| Stage::Stuck { why }),
        1 => (mark(), mark()).prop_map(|(after, before)| Stage::TookEffect { after, before }),
    ]
}

fn phase() -> impl Strategy<Value = Phase> {
    prop::sample::select(vec![
        Phase::Setup,
        Phase::Steady,
        Phase::Storm,
        Phase::Heal,
        Phase::Settle,
        Phase::Drain,
        Phase::Capture,
        Phase::Teardown,
    ])
}

fn service() -> impl Strategy<Value = Service> {
    prop_oneof![Just(Service::Broker), Just(Service::ZooKeeper)]
}

fn change() -> impl Strategy<Value = ProcessChange> {
    prop_oneof![
        any::<u32>().prop_map(|pid| ProcessChange::Started { pid }),
        Just(ProcessChange::Exited(Exit::Killed)),
        Just(ProcessChange::Exited(Exit::Stopped)),
        Just(ProcessChange::Exited(Exit::Died)),
        Just(ProcessChange::Paused),
        Just(ProcessChange::Resumed),
    ]
}

fn step() -> impl Strategy<Value = StepStage> {
    prop_oneof![
        Just(StepStage::Fired),
        Just(StepStage::Done),
        why().prop_map(StepStage::Missed),
    ]
}

fn image() -> impl Strategy<Value = ImageTaken> {
    let process = prop_oneof![
        any::<u32>().prop_map(|pid| ProcessState::Running { pid }),
        any::<u32>().prop_map(|pid| ProcessState::Paused { pid }),
        Just(ProcessState::Gone),
    ];
    let reason = prop_oneof![
        Just(ImageReason::Final),
        (1u16..9).prop_map(|f| ImageReason::BeforeReturn(FaultId(f))),
    ];
    (
        node(),
        mark(),
        mark(),
        process,
        any::<bool>(),
        reason,
        text(),
    )
        .prop_map(
            |(node, from, to, process, unchanged, reason, file)| ImageTaken {
                node,
                from,
                to,
                process,
                unchanged,
                reason,
                file,
            },
        )
}
