//! Any step that the language can say, for property tests: every variant of every part.

use std::time::Duration;

use history::{FaultKind, Link, NodeId, Offset, Partition, PortName, Service, Topic};
use proptest::prelude::*;

use crate::ask::{Ask, Counterpart, SegmentChoice, Shape, Tail, Target};
use crate::model::{Action, Comparison, Condition, Missed, Quantity, Step, When};
use crate::step::words::{
    CLIENTS, COMPARISONS, COUNTERPARTS, ELECTIONS, FAULTS, PORTS, SUBJECTS, TARGETS, VERBS,
    words_of,
};

fn node() -> impl Strategy<Value = NodeId> {
    (0u8..=9).prop_map(NodeId)
}

fn nodes() -> impl Strategy<Value = Vec<NodeId>> {
    prop::collection::btree_set(node(), 1..4)
        .prop_map(|nodes| nodes.into_iter().collect::<Vec<_>>())
        .prop_shuffle()
}

fn topic() -> impl Strategy<Value = Topic> {
    "[a-zA-Z0-9._-]{1,12}".prop_map(Topic::from)
}

fn partition() -> impl Strategy<Value = Partition> {
    (topic(), 0i32..100).prop_map(|(topic, index)| Partition::new(topic, index))
}

fn duration() -> impl Strategy<Value = Duration> {
    (0u64..1_000_000, 0u32..1_000_000_000).prop_map(|(s, n)| Duration::new(s, n))
}

/// At least 1 ms.
fn some_time() -> impl Strategy<Value = Duration> {
    duration().prop_map(|length| length + Duration::from_millis(1))
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        node().prop_map(Target::Node),
        Just(Target::Any),
        Just(Target::All),
        Just(Target::Minority),
        Just(Target::Majority),
        Just(Target::Controller),
        Just(Target::ZooKeeperLeader),
        partition().prop_map(Target::LeaderOf),
        partition().prop_map(Target::FollowerOf),
        partition().prop_map(Target::FollowersOf),
        partition().prop_map(Target::LastInSyncOf),
        "[a-z -]{1,8}|.{0,5}".prop_map(Target::CoordinatorOf),
    ]
}

fn link() -> impl Strategy<Value = Link> {
    let port = prop_oneof![
        Just(None),
        Just(Some(PortName::Broker)),
        Just(Some(PortName::ZkClient)),
        Just(Some(PortName::ZkPeer)),
        Just(Some(PortName::ZkElection)),
    ];
    (0u8..5, 1u8..5, port).prop_map(|(from, further, port)| Link {
        from: NodeId(from),
        to: NodeId((from + further) % 5),
        port,
    })
}

fn links() -> impl Strategy<Value = Vec<Link>> {
    prop::collection::vec(link(), 1..4)
}

fn process() -> impl Strategy<Value = Ask> {
    let kind = prop_oneof![
        Just(FaultKind::Kill),
        Just(FaultKind::Pause),
        Just(FaultKind::Stop),
        Just(FaultKind::Restart),
    ];
    let service = prop_oneof![Just(Service::Broker), Just(Service::ZooKeeper)];
    (kind, service, target()).prop_map(|(kind, service, target)| Ask::Process {
        kind,
        service,
        target,
    })
}

fn cut() -> impl Strategy<Value = Ask> {
    let from = prop_oneof![
        Just(Counterpart::ZooKeeper),
        Just(Counterpart::Peers),
        Just(Counterpart::Clients),
    ];
    let groups = nodes().prop_filter("two groups at least", |nodes| nodes.len() > 1);
    prop_oneof![
        target().prop_map(Ask::Isolate),
        links().prop_map(Ask::Cut),
        (groups, any::<bool>()).prop_map(|(nodes, together)| {
            let mut groups: Vec<_> = nodes.iter().map(|node| [*node].into()).collect();
            if together && groups.len() > 2 {
                groups.pop();
                groups[0] = [nodes[0], nodes[nodes.len() - 1]].into();
            }
            Ask::Split(groups)
        }),
        target().prop_map(Ask::Bridge),
        Just(Ask::Ring),
        (target(), from).prop_map(|(target, from)| Ask::Part { target, from }),
    ]
}

fn shape() -> impl Strategy<Value = Ask> {
    let share = || 1u32..=100_000;
    let shape = prop_oneof![
        (some_time(), prop_oneof![Just(Duration::ZERO), duration()])
            .prop_map(|(by, jitter)| Shape::Delay { by, jitter }),
        share().prop_map(Shape::Loss),
        share().prop_map(Shape::Duplicate),
        share().prop_map(Shape::Corrupt),
        share().prop_map(Shape::Reorder),
        prop_oneof![1u32.., (1u32..4_000).prop_map(|m| m * 1_000)].prop_map(Shape::Bandwidth),
    ];
    let whom = prop_oneof![
        links().prop_map(|links| (links, None)),
        target().prop_map(|target| (Vec::new(), Some(target))),
    ];
    (whom, shape).prop_map(|((links, target), shape)| Ask::Shape {
        links,
        target,
        shape,
    })
}

fn topics_own() -> impl Strategy<Value = Ask> {
    let value = prop_oneof!["[a-z0-9.,]{0,8}", ".{0,6}"];
    let before = prop::option::of((0..i64::MAX).prop_map(Offset));
    prop_oneof![
        (partition(), any::<bool>())
            .prop_map(|(partition, unclean)| Ask::Elect { partition, unclean }),
        (partition(), nodes()).prop_map(|(partition, to)| Ask::Reassign { partition, to }),
        (topic(), "[a-z.]{1,12}", value).prop_map(|(topic, key, value)| Ask::Configure {
            topic,
            key,
            value
        }),
        (partition(), before)
            .prop_map(|(partition, before)| Ask::DeleteRecords { partition, before }),
        (topic(), any::<bool>()).prop_map(|(topic, consumer)| Ask::CrashClient { topic, consumer }),
    ]
}

fn files() -> impl Strategy<Value = Ask> {
    let tail = prop_oneof![Just(Tail::Aligned), Just(Tail::Torn), Just(Tail::Zeroed)];
    let segment = prop_oneof![Just(SegmentChoice::Active), Just(SegmentChoice::Closed)];
    prop_oneof![
        target().prop_map(Ask::FillDisk),
        target().prop_map(Ask::FailDisk),
        (target(), some_time()).prop_map(|(target, by)| Ask::SlowDisk(target, by)),
        (target(), tail).prop_map(|(target, tail)| Ask::PowerCut { target, tail }),
        (target(), partition(), segment).prop_map(|(target, partition, segment)| Ask::FlipBit {
            target,
            partition,
            segment
        }),
        (target(), any::<bool>()).prop_map(|(target, stale)| Ask::Checkpoints { target, stale }),
        target().prop_map(Ask::Wipe),
    ]
}

fn clock() -> impl Strategy<Value = Ask> {
    let by_ms = prop_oneof![1i64..1_000_000_000, -1_000_000_000i64..0];
    (target(), by_ms, prop::option::of(some_time())).prop_map(|(target, by_ms, strobe)| {
        Ask::Clock {
            target,
            by_ms,
            strobe,
        }
    })
}

/// Any fault.
pub(crate) fn ask() -> impl Strategy<Value = Ask> {
    let flap = (cut(), some_time()).prop_map(|(cut, every)| Ask::Flap {
        cut: Box::new(cut),
        every,
    });
    prop_oneof![
        process(),
        cut(),
        flap,
        shape(),
        topics_own(),
        files(),
        clock()
    ]
}

fn quantity() -> impl Strategy<Value = Quantity> {
    prop_oneof![
        (partition(), node()).prop_map(|(p, n)| Quantity::HwLag(p, n)),
        (partition(), node()).prop_map(|(p, n)| Quantity::Lag(p, n)),
        (partition(), node()).prop_map(|(p, n)| Quantity::Unflushed(p, n)),
        partition().prop_map(Quantity::Uncommitted),
        partition().prop_map(Quantity::Epoch),
        partition().prop_map(Quantity::IsrSize),
        prop::option::of(topic()).prop_map(Quantity::Acked),
    ]
}

fn single() -> impl Strategy<Value = Condition> {
    let by = prop_oneof![
        Just(Comparison::AtLeast),
        Just(Comparison::Above),
        Just(Comparison::AtMost),
        Just(Comparison::Below),
        Just(Comparison::Equal),
    ];
    let members = prop::collection::btree_set(node(), 1..4);
    prop_oneof![
        (partition(), node()).prop_map(|(partition, is)| Condition::Leader { partition, is }),
        (partition(), members)
            .prop_map(|(partition, members)| Condition::Isr { partition, members }),
        partition().prop_map(Condition::LeaderAlone),
        node().prop_map(Condition::Controller),
        (node(), ".{1,20}").prop_map(|(node, contains)| Condition::LogLine { node, contains }),
        (partition(), some_time())
            .prop_map(|(partition, within)| Condition::Election { partition, within }),
        Just(Condition::AllInSync),
        (quantity(), by, 0..=i64::MAX).prop_map(|(quantity, by, number)| Condition::Compare {
            quantity,
            by,
            number
        }),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    single().prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
            prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::Or),
            (inner, duration()).prop_map(|(c, length)| Condition::Lasting(Box::new(c), length)),
        ]
    })
}

fn fault() -> impl Strategy<Value = Action> {
    let hold = prop::option::of((duration(), any::<bool>()));
    (ask(), hold, any::<bool>()).prop_map(|(ask, hold, required)| {
        // What is over at once is never left open.
        let at_once = ask.is_momentary().then_some((Duration::ZERO, false));
        let hold = hold.or(at_once);
        Action::Fault {
            ask,
            hold: hold.map(|(length, _)| length),
            meanwhile: hold.is_some_and(|(_, meanwhile)| meanwhile),
            required,
        }
    })
}

fn action() -> impl Strategy<Value = Action> {
    let missed = prop_oneof![Just(Missed::Stop), Just(Missed::GoOn)];
    prop_oneof![
        (1u32.., partition()).prop_map(|(count, partition)| Action::Send { count, partition }),
        fault(),
        prop::option::of(name()).prop_map(Action::Heal),
        (condition(), duration(), missed).prop_map(|(condition, within, missed)| Action::Await {
            condition,
            within,
            missed
        }),
        duration().prop_map(Action::Wait),
    ]
}

fn name() -> impl Strategy<Value = String> {
    "[a-zA-Z][a-zA-Z0-9_-]{0,8}".prop_filter("`as` begins a name", |name| name != "as")
}

fn when() -> impl Strategy<Value = When> {
    let missed = prop_oneof![Just(Missed::Stop), Just(Missed::GoOn), Just(Missed::Fire)];
    prop_oneof![
        Just(When::Next),
        duration().prop_map(When::At),
        (name(), prop_oneof![Just(Duration::ZERO), duration()])
            .prop_map(|(step, wait)| When::After { step, wait }),
        (condition(), duration(), missed).prop_map(|(condition, within, missed)| When::Once {
            condition,
            within,
            missed
        }),
    ]
}

/// Any step.
pub(crate) fn step() -> impl Strategy<Value = Step> {
    (when(), action(), prop::option::of(name())).prop_map(|(when, action, name)| Step {
        when,
        action,
        name,
    })
}

/// A word of the language, or something that may stand between words.
pub(crate) fn word() -> impl Strategy<Value = String> {
    let mut words: Vec<&str> = [
        words_of(FAULTS),
        words_of(VERBS),
        words_of(SUBJECTS),
        words_of(TARGETS),
        words_of(PORTS),
        words_of(COUNTERPARTS),
        words_of(ELECTIONS),
        words_of(CLIENTS),
        words_of(COMPARISONS),
    ]
    .concat();
    words.extend(
        "of to by from every for within times at after when and or go on fire as required \
         meanwhile n0 n1 n2 a/0 ledger 2s 500ms 5% 2mbit @7 hw { } ( ) | , -> = \"x\" disk bit \
         records clock checkpoints in sync lag size point leo - jitter port before 3"
            .split_whitespace(),
    );
    prop::sample::select(words).prop_map(str::to_owned)
}
