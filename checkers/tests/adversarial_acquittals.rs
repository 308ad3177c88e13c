//! Planted breaches that something makes look harmless: a judge that lets these pass sees nothing.
//!
//! What only looks like a breach stands in `adversarial_convictions`.

#[path = "guarantees/scene.rs"]
mod scene;

use std::collections::BTreeMap;

use checkers::judgement::{Class, Finding, Fold, Judgement, Verdict};
use checkers::{Recording, judge};
use history::{NodeId, Partition};
use scene::{edited, judged, recording};

fn verdict(judgement: &Judgement, name: &str) -> Verdict {
    let found = judgement.topics[0].guarantees.iter();
    let mut found = found.filter(|guarantee| guarantee.name == name);
    found
        .next()
        .expect("a guarantee of this name")
        .verdict
        .clone()
}

fn broken(judgement: &Judgement, name: &str) -> Vec<Finding> {
    let verdict = verdict(judgement, name);
    let Verdict::Broken {
        findings, observed, ..
    } = &verdict
    else {
        panic!("{name}: {verdict:?}");
    };
    let all = judgement.findings.iter();
    let all: Vec<Finding> = all.filter(|f| findings.contains(&f.id)).cloned().collect();
    assert_eq!(
        all.iter().map(|f| f.count).sum::<u64>(),
        *observed,
        "{name} counts what it found"
    );
    all
}

fn unproven(judgement: &Judgement, name: &str, why: &str) {
    match verdict(judgement, name) {
        Verdict::Unproven { why: said, .. } => assert!(said.contains(why), "{name}: {said}"),
        other => panic!("{name}: {other:?}"),
    }
}

/// acks=1; n0 leads and is deposed; what it alone held is gone.
const FAIL_OVER: &str = "
    topic t on n0,n1,n2 by c1 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 8.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 8.0s follower t/0 e1 from @1 hw @1 was e0
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0
    n2 final t/0: e0 @0 v0";

/// The library had fetched the record before the leader was killed, and handed it out after.
#[test]
fn what_a_leader_gave_before_it_died_was_committed() {
    let judgement = judged(&format!(
        "{FAIL_OVER}
        n0 broker killed at 5.0s
        c2 poll -> t/0 @1=v1 by n0 at 5.1s..5.2s
        n0 broker started 7 at 9s
        n0 said 10.0s follower t/0 e1 from @2 hw @0 was none
        n0 said 10.1s cut t/0 @1"
    ));
    broken(&judgement, "acked-lost-below-hw");
    broken(&judgement, "committed-lost");
    broken(&judgement, "read-then-vanished");
}

/// A leader that gives what lies beyond its own high watermark has committed it towards its
/// consumers, whatever it writes down later.
#[test]
fn what_a_leader_gave_beyond_its_own_watermark_is_no_dirty_read() {
    let judgement = judged(&format!(
        "{FAIL_OVER}
        c2 poll -> t/0 @1=v1 by n0 at 4.2s..4.3s
        n0 said 10.0s follower t/0 e1 from @2 hw @1 was e0
        n0 said 10.1s cut t/0 @1
        n0 said 10.2s hw-back t/0 @2 @1"
    ));
    let lost = broken(&judgement, "read-then-vanished");
    assert_eq!(lost[0].class, Class::Unexplained);
}

/// acks=all was answered: that a consumer read it in the dirty window as well excuses nothing.
#[test]
fn a_dirty_read_does_not_excuse_a_lost_acks_all() {
    let judgement = judged(&format!(
        "{}
        n0 said 10.0s follower t/0 e1 from @2 hw @1 was e0
        c2 poll -> t/0 @1=v1 by n0 at 10.05s..10.06s
        n0 said 10.1s cut t/0 @1
        n0 said 10.2s hw-back t/0 @2 @1",
        FAIL_OVER.replace("acks=1", "acks=all")
    ));
    let lost = broken(&judgement, "acked-lost-below-hw");
    assert_eq!(lost[0].class, Class::Unexplained);
}

/// An unclean election permits a loss. It does not permit replicas to stay different after the heal.
#[test]
fn an_unclean_election_does_not_excuse_divergence_at_rest() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        broker unclean.leader.election.enable=true
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n1 at 9.0s..9.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 said 0.6s state t/0 e0 isr n0 version 4
        n1 said 4.9s state t/0 e1 isr n1 version 5
        n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
        n0 said 6.0s follower t/0 e1 from @1 hw @1 was e0
        n1 final t/0: e0 @0 v0 | e1 @1 v1
        n0 final t/0: e0 @0 v0 | e1 @1 v1 tag=x";
    let judgement = judged(scene);
    broken(&judgement, "divergence-below-hw");
    broken(&judgement, "divergence-lasting");
}

/// One leader, one epoch, one process: what happens to ZooKeeper beside it excuses nothing, and one
/// step back is one finding.
#[test]
fn a_watermark_that_goes_back_is_found_once_whatever_zookeeper_does() {
    let scene = |at: &str| {
        format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @0 at 1.0s..1.1s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @0 v0
            n1 final t/0: e0 @0 v0
            {at}"
        )
    };
    let judgement = judged(&scene(
        "n0 leader-hw t/0 e0 @9 at 8.0s..8.1s
        n0 zookeeper killed at 8.15s
        n0 leader-hw t/0 e0 @1 at 8.2s..8.3s",
    ));
    assert_eq!(broken(&judgement, "hw-regressed").len(), 1);
    let settled = judged(&scene(
        "n0 leader-hw t/0 e0 @9 at 99.6s..99.7s
        n0 leader-hw t/0 e0 @1 at 99.8s..99.9s",
    ));
    assert_eq!(broken(&settled, "hw-regressed").len(), 1);
}

/// What was certainly refused was given to a consumer: then our own reading of refusals is wrong.
#[test]
fn a_refused_record_that_was_delivered_breaks_a_premise() {
    let judgement = judged(
        "topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> ! refused at 1.2s..1.3s
        c2 poll -> t/0 @1=v1 by n0 at 2.0s..2.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0",
    );
    unproven(&judgement, "acked-lost-below-hw", "taken as refused");
}

/// Without a replica's own lines nobody knows what it cut.
#[test]
fn cuts_are_not_judged_of_replicas_whose_lines_are_missing() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        topic u on n0,n1 by c2 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower u/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0
        n0 final u/0:
        n1 final t/0: e0 @0 v0
        n1 final u/0:";
    let judgement = judged(scene);
    unproven(&judgement, "truncated-below-hw", "follows t/0");
    unproven(&judgement, "truncation-audit", "n1");
    assert_eq!(judgement.fold, Fold::Unproven);
}

/// The scene's `t/0` and `x/0` become `t/0` and `t/1`.
fn two_partitions(text: &str) -> Recording {
    let mut recording = edited(text, |events| {
        let text = history::notation::print(events).replace("x/0", "t/1");
        *events = history::notation::parse(&text).expect("the same events");
    });
    let (old, new) = (Partition::new("x", 0), Partition::new("t", 1));
    let setting = &mut recording.setting;
    setting.topics.remove(&history::Topic::from("x"));
    let topic = setting.topics.values_mut().next().expect("t");
    let nodes: Vec<NodeId> = topic.assignment[&0].clone();
    topic.assignment.insert(1, nodes);
    setting
        .producers
        .values_mut()
        .for_each(|p| p.topic = "t".into());
    for image in &mut recording.evidence.images {
        let logs: BTreeMap<_, _> = std::mem::take(&mut image.logs);
        let renamed = logs.into_iter();
        image.logs = renamed
            .map(|(p, log)| (if p == old { new.clone() } else { p }, log))
            .collect();
    }
    for line in &mut recording.evidence.lines {
        match &mut line.says {
            evidence::Says::LeaderStarts { partition, .. }
            | evidence::Says::FollowerStarts { partition, .. }
                if *partition == old =>
            {
                *partition = new.clone();
            }
            _ => {}
        }
    }
    recording
}

const TWO: &str = "
    topic t on n0,n1 by c1 acks=1
    topic x on n0,n1 by c2 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c2 send x/0 v1 -> @0 by n1 at 1.0s..1.1s
    c2 send x/0 v2 -> @1 by n1 at 1.2s..1.3s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 0.5s leader x/0 e0 from @0 hw @0 isr n0,n1 was none
    n0 said 0.5s follower x/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n0,n1 was e0
    n0 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0
    n0 final x/0: e0 @0 v1 v2
    n1 final x/0: e0 @0 v1 v2";

/// The other partition's change of leader is no excuse for this one's loss.
#[test]
fn partitions_of_a_topic_are_weighed_one_by_one() {
    let whole = judge(&two_partitions(TWO));
    assert_eq!(whole.topics.len(), 1);
    assert!(whole.findings.is_empty(), "{:?}", whole.findings);
    assert_eq!(whole.topics[0].accounting.acknowledged.present, 3);
    assert!(whole.topics[0].accounting.imbalance.is_empty());
    let lost = TWO.replace("e0 @0 v1 v2", "e0 @0 v1");
    let judgement = judge(&two_partitions(&lost));
    let found = broken(&judgement, "acked-lost-undetermined");
    assert_eq!(found[0].partition.as_deref(), Some("t/1"));
    let row = &judgement.topics[0].accounting;
    assert_eq!((row.acknowledged.present, row.acknowledged.lost), (2, 1));
    assert!(row.imbalance.is_empty(), "{:?}", row.imbalance);
    // A follower that lacks it is seen although the other partition's replicas agree.
    let short = TWO.replace("n0 final x/0: e0 @0 v1 v2", "n0 final x/0: e0 @0 v1");
    broken(&judge(&two_partitions(&short)), "divergence-lasting");
}

/// However a run ends early, it holds nothing as a whole, and what was lost stays lost.
#[test]
fn a_run_that_ends_early_is_never_held() {
    let kept = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 leader-hw t/0 e0 @1 at 1.2s..1.3s
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0";
    assert_eq!(judged(kept).fold, Fold::Held);
    for end in [
        "ended incomplete",
        "ended failed disk full",
        "ended interrupted INT",
        "torn at 3",
    ] {
        assert_eq!(
            judged(&format!("{kept}\n{end}")).fold,
            Fold::Unproven,
            "{end}"
        );
        let lost = format!("{}\n{end}", kept.replace("e0 @0 v0", ""));
        assert_eq!(judged(&lost).fold, Fold::Broken, "{end}");
    }
}

/// A topic to which nobody sent proves nothing, and the run with it nothing as a whole.
#[test]
fn a_topic_without_sends_is_not_held() {
    let judgement = judged(
        "topic t on n0,n1 by c1 acks=all
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0:
        n1 final t/0:",
    );
    assert_eq!(judgement.fold, Fold::Unproven);
    unproven(&judgement, "acked-lost-below-hw", "no acknowledged records");
}

/// A leader that kept the record in memory only: every replica lost it, and the log starts later
/// without anybody's leave.
#[test]
fn a_log_start_that_nobody_moved_is_a_loss() {
    let mut recording = recording(
        "topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @1 v1
        n1 final t/0: e0 @1 v1",
    );
    for image in &mut recording.evidence.images {
        image
            .log_start
            .insert("t/0".parse().expect("a partition"), history::Offset(1));
    }
    assert_eq!(broken(&judge(&recording), "acked-lost-below-hw").len(), 1);
}

/// The order of what was recorded at the same moment, and who judges, changes nothing.
#[test]
fn the_order_of_nodes_in_the_evidence_changes_nothing() {
    let recording = two_partitions(TWO);
    let mut turned = recording.clone();
    turned.evidence.images.reverse();
    let fold = |r: &Recording| {
        let judgement = judge(r);
        let topics = serde_json::to_string(&judgement.topics).expect("JSON");
        (judgement.fold, topics, judgement.sentence)
    };
    assert_eq!(fold(&recording), fold(&turned));
    assert!(!recording.operations.sends.is_empty());
}

/// A cluster that settled too late is not held to have recovered, even if it is whole when it is
/// looked at; nor is it convicted: the deadline, or a follower's long fetch, may be to blame.
#[test]
fn a_missed_settling_proves_no_recovery() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0
        step 3 settle: every replica in sync, HW = LEO : missed (n1 is not in the ISR of t/0) at 99s";
    let judgement = judged(scene);
    unproven(&judgement, "stuck", "may be permitted");
    let story = &judgement.findings[0].story[0].text;
    assert!(story.contains("n1 is not in the ISR of t/0"), "{story}");
    // Replicas that were not at rest may differ; those at rest may not.
    let short = scene.replace("n1 final t/0: e0 @0 v0", "n1 final t/0:");
    unproven(&judged(&short), "divergence-lasting", "may be permitted");
    let rested = short.replace("missed (n1 is not in the ISR of t/0)", "done");
    broken(&judged(&rested), "divergence-lasting");
    // Still missing at the end, it is stuck.
    let out = format!("{scene}\n        n0 believes t/0 leader n0 e0 isr {{n0}} at 99.6s..99.7s");
    broken(&judged(&out), "stuck");
}

/// The leader's own change of the in-sync set is the version before: the election was unclean, and
/// that is known although nobody but the leader said it.
#[test]
fn an_unclean_election_after_a_leaders_own_shrink_is_told() {
    let mut recording = recording(
        "topic t on n0,n1 by c1 acks=all
        broker unclean.leader.election.enable=true
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 3.0s..3.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 said 2.0s state t/0 e0 isr n0 version 1
        n1 said 4.9s state t/0 e1 isr n1 version 2
        n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
        n0 said 8.0s follower t/0 e1 from @2 hw @2 was e0
        n0 said 8.1s cut t/0 @1
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0",
    );
    let lines = recording.evidence.lines.iter_mut();
    for line in lines.filter(|line| line.text.contains("version 1")) {
        line.says = evidence::Says::IsrUpdated {
            partition: Partition::new("t", 0),
            isr: vec![history::NodeId(0)],
            version: Some(1),
        };
    }
    let judgement = judge(&recording);
    assert_eq!(judgement.failovers[0].clean, Some(false));
    assert!(
        judgement
            .findings
            .iter()
            .all(|f| f.class == Class::UncleanElection)
    );
    // A missing version leaves it open.
    recording
        .evidence
        .lines
        .retain(|line| !line.text.contains("version 1"));
    assert_eq!(judge(&recording).failovers[0].clean, None);
}

/// Partitions whose logs were not captured are not counted among what was kept.
#[test]
fn what_cannot_be_accounted_for_is_not_said_to_be_kept() {
    let mut recording = two_partitions(TWO);
    for image in &mut recording.evidence.images {
        image.logs.remove(&Partition::new("t", 1));
    }
    let judgement = judge(&recording);
    assert_eq!(judgement.fold, Fold::Unproven);
    assert!(
        !judgement.sentence.contains("kept all"),
        "{}",
        judgement.sentence
    );
}
