//! The examples: each reads and is written so, and together they show every form of every fault.

use std::collections::BTreeSet;

use super::*;

/// The form of a fault. A new variant does not compile here until it has one.
fn form(ask: &Ask) -> &'static str {
    match ask {
        Ask::Process { kind, .. } => match kind {
            FaultKind::Kill => "kill",
            FaultKind::Pause => "pause",
            FaultKind::Stop => "stop",
            FaultKind::Restart => "restart",
            other => panic!("{other} is done to no process"),
        },
        Ask::Isolate(_) => "isolate",
        Ask::Cut(_) => "cut",
        Ask::Split(_) => "split",
        Ask::Bridge(_) => "bridge",
        Ask::Ring => "ring",
        Ask::Part { from, .. } => match from {
            Counterpart::ZooKeeper => "part from zookeeper",
            Counterpart::Peers => "part from peers",
            Counterpart::Clients => "part from clients",
        },
        Ask::Flap { .. } => "flap",
        Ask::Shape { shape, .. } => match shape {
            Shape::Delay { .. } => "delay",
            Shape::Loss(_) => "lose",
            Shape::Duplicate(_) => "duplicate",
            Shape::Corrupt(_) => "corrupt",
            Shape::Reorder(_) => "reorder",
            Shape::Bandwidth(_) => "limit",
        },
        Ask::Elect { unclean: false, .. } => "elect preferred",
        Ask::Elect { unclean: true, .. } => "elect unclean",
        Ask::Reassign { .. } => "reassign",
        Ask::Configure { .. } => "configure",
        Ask::FillDisk(_) => "fill disk",
        Ask::SlowDisk(..) => "slow disk",
        Ask::FailDisk(_) => "fail disk",
        Ask::PowerCut { tail, .. } => match tail {
            Tail::Aligned => "power-cut",
            Tail::Torn => "power-cut torn",
            Tail::Zeroed => "power-cut zeroed",
        },
        Ask::FlipBit { segment, .. } => match segment {
            SegmentChoice::Active => "flip",
            SegmentChoice::Closed => "flip closed",
        },
        Ask::Checkpoints { stale: false, .. } => "remove checkpoints",
        Ask::Checkpoints { stale: true, .. } => "stale checkpoints",
        Ask::Wipe(_) => "wipe",
        Ask::DeleteRecords { before: None, .. } => "delete before hw",
        Ask::DeleteRecords {
            before: Some(_), ..
        } => "delete before",
        Ask::Clock { strobe: None, .. } => "bump",
        Ask::Clock {
            strobe: Some(_), ..
        } => "strobe",
        Ask::CrashClient {
            consumer: false, ..
        } => "crash producer",
        Ask::CrashClient { consumer: true, .. } => "crash consumer",
    }
}

const FORMS: usize = 40;

#[test]
fn the_examples_show_every_form_of_every_fault_once() {
    let mut forms = BTreeSet::new();
    let mut targets = BTreeSet::new();
    for example in EXAMPLES {
        let ask: Ask = example.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(ask.to_string(), *example);
        assert!(forms.insert(form(&ask)), "{example} is shown twice");
        let mut settled = ask.clone();
        assert_eq!(settled.target_mut().as_deref(), ask.target());
        targets.extend(ask.target().map(|target| match target {
            Target::Node(_) => "node",
            Target::Any => "any",
            Target::All => "all",
            Target::Minority => "minority",
            Target::Majority => "majority",
            Target::LeaderOf(_) => "leader",
            Target::FollowerOf(_) => "a follower",
            Target::FollowersOf(_) => "followers",
            Target::LastInSyncOf(_) => "last in sync",
            Target::Controller => "controller",
            Target::ZooKeeperLeader => "zookeeper leader",
            Target::CoordinatorOf(_) => "coordinator",
        }));
    }
    assert_eq!(forms.len(), FORMS, "{forms:?}");
    assert_eq!(targets.len(), 12, "every target is shown: {targets:?}");
}

#[test]
fn what_is_over_at_once_is_told_from_what_is_held() {
    for (text, momentary, nothing_to_hold) in [
        ("restart n1", true, false),
        ("elect preferred of a/0", true, true),
        ("flip bit of a/0 on n1", true, true),
        ("delete records of a/0 before hw", true, true),
        ("kill n1", false, false),
        ("wipe n1", false, false),
        ("crash producer of a", false, false),
    ] {
        let ask: Ask = text.parse().unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(ask.is_momentary(), momentary, "{text}");
        assert_eq!(ask.leaves_nothing_to_hold(), nothing_to_hold, "{text}");
    }
}
