//! Steps: what reads, what does not and why, and that writing undoes reading.

use std::time::Duration;

use history::{FaultKind, Link, NodeId, Partition, PortName, Service, Topic};
use proptest::prelude::*;

use crate::ask::{Ask, Target};
use crate::model::{Action, Comparison, Condition, Missed, Quantity, Step, When};

fn complains(step: &str, expected: &str) {
    let error = step.parse::<Step>().expect_err(step).to_string();
    assert_eq!(error, expected, "for {step}");
}

#[test]
fn the_steps_of_the_documentation_read_and_print_alike() {
    for step in [
        "kill leader of ledger/0 for 8s",
        "await isr of ledger/0 == {n0, n1, n2} within 30s",
        "at 20s isolate leader of metrics/0 for 10s",
        "cut n2 -> n1 port broker",
        "cut n2 -> n1 port zk-client, n1 -> n2 for 1.5s required",
        "send 1 to ledger/0",
        "await log of n2 has \"Truncating partition\" within 20s or go on",
        "await leader of r1/0 == n1 within 20s",
        "await controller == n1 within 5s",
        "await acked of ledger >= 5000 within 60s",
        "pause a follower of ledger/0 for 3s",
        "kill zookeeper of controller",
        "restart all for 2s",
        "at 12.481s kill any for 6s required",
        "wait 2s",
        "heal",
    ] {
        let read: Step = step.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(read.to_string(), step);
    }
}

#[test]
fn spelling_is_free_where_meaning_is_not() {
    let loose: Step = "  cut n2->n1 port broker,n1->n2   for 1m 30s"
        .parse()
        .unwrap();
    assert_eq!(
        loose.to_string(),
        "cut n2 -> n1 port broker, n1 -> n2 for 90s"
    );
    let named: Step = "kill broker of n1".parse().unwrap();
    assert_eq!(named.to_string(), "kill n1");
    let tight: Step = "await isr of a/0=={n2,n1} within 1s".parse().unwrap();
    assert_eq!(tight.to_string(), "await isr of a/0 == {n1, n2} within 1s");
}

#[test]
fn errors_point_at_the_place_and_name_the_nearest_word() {
    complains(
        "at 3s kil leader of ledger/0",
        "expected `kill`, `pause`, `restart`, `isolate`, `cut`, `heal`, `send`, `await` or `wait`, \
         found `kil`; did you mean `kill`?\n\
         \x20   at 3s kil leader of ledger/0\n\
         \x20         ^^^",
    );
    complains(
        "kill leader of ledger",
        "expected a partition such as `ledger/0`, found `ledger`\n\
         \x20   kill leader of ledger\n\
         \x20                  ^^^^^^",
    );
    complains(
        "await leader of ledger/0 == n1",
        "expected `within`, found the end\n\
         \x20   await leader of ledger/0 == n1\n\
         \x20                                 ^",
    );
    complains(
        "kill n1 for 8s requried",
        "expected the end of the step, found `requried`; did you mean `required`?\n\
         \x20   kill n1 for 8s requried\n\
         \x20                  ^^^^^^^^",
    );
    complains(
        "wait 5",
        "`5` is not a duration such as `5s` or `1m 30s`: time unit needed, for example 5sec or \
         5ms\n\
         \x20   wait 5\n\
         \x20        ^",
    );
}

#[test]
fn what_would_be_harmful_or_empty_is_refused() {
    for (step, part) in [
        ("cut n0 -> n1 port probe", "never cut"),
        ("cut n0 -> n0", "no link to itself"),
        ("send 0 to ledger/0", "at least one record"),
        (
            "await isr of a/0 == {n1, n1} within 3s",
            "not yet in the set",
        ),
        ("await isr of a/0 == {} within 3s", "expected a node"),
        ("await log of n2 has \"\" within 3s", "in double quotes"),
        ("await log of n2 has \"x within 3s", "no closing"),
        ("", "found the end"),
        ("kill n300", "expected a target"),
    ] {
        let error = step.parse::<Step>().expect_err(step).to_string();
        assert!(error.contains(part), "{step}: {error}");
    }
}

fn node() -> impl Strategy<Value = NodeId> {
    (0u8..=9).prop_map(NodeId)
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

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        node().prop_map(Target::Node),
        Just(Target::Any),
        Just(Target::All),
        Just(Target::Controller),
        partition().prop_map(Target::LeaderOf),
        partition().prop_map(Target::FollowerOf),
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

fn ask() -> impl Strategy<Value = Ask> {
    let kind = prop_oneof![
        Just(FaultKind::Kill),
        Just(FaultKind::Pause),
        Just(FaultKind::Restart)
    ];
    let service = prop_oneof![Just(Service::Broker), Just(Service::ZooKeeper)];
    prop_oneof![
        (kind, service, target()).prop_map(|(kind, service, target)| Ask::Process {
            kind,
            service,
            target
        }),
        target().prop_map(Ask::Isolate),
        prop::collection::vec(link(), 1..4).prop_map(Ask::Cut),
    ]
}

fn condition() -> impl Strategy<Value = Condition> {
    prop_oneof![
        (partition(), node()).prop_map(|(partition, is)| Condition::Leader { partition, is }),
        (partition(), prop::collection::btree_set(node(), 1..4))
            .prop_map(|(partition, members)| Condition::Isr { partition, members }),
        node().prop_map(Condition::Controller),
        (topic(), any::<u32>()).prop_map(|(topic, number)| Condition::Compare {
            quantity: Quantity::Acked(Some(topic)),
            by: Comparison::AtLeast,
            number: number.into(),
        }),
        (node(), ".{1,20}").prop_map(|(node, contains)| Condition::LogLine { node, contains }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let missed = prop_oneof![Just(Missed::Stop), Just(Missed::GoOn)];
    prop_oneof![
        (1u32.., partition()).prop_map(|(count, partition)| Action::Send { count, partition }),
        (ask(), prop::option::of(duration()), any::<bool>()).prop_map(|(ask, hold, required)| {
            Action::Fault {
                meanwhile: false,
                ask,
                hold,
                required,
            }
        }),
        Just(Action::Heal(None)),
        (condition(), duration(), missed).prop_map(|(condition, within, missed)| Action::Await {
            condition,
            within,
            missed
        }),
        duration().prop_map(Action::Wait),
    ]
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    let when = prop_oneof![Just(When::Next), duration().prop_map(When::At)];
    (when, action()).prop_map(|(when, action)| Step {
        when,
        action,
        name: None,
    })
}

proptest! {
    #[test]
    fn every_step_is_read_back_as_itself(step in step()) {
        let text = step.to_string();
        prop_assert_eq!(text.parse::<Step>(), Ok(step), "{}", text);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in "[ a-z0-9>={},\"\\\\/é-]{0,40}") {
        if let Err(error) = text.parse::<Step>() {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
