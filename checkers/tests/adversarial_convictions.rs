//! Healthy but messy clusters: what looks like a breach and is none. A judge that cries wolf once
//! is not believed again.
//!
//! Nothing here is convicted of what it did not do. What is guilty stands in
//! `adversarial_acquittals`.

#[path = "guarantees/scene.rs"]
mod scene;

use checkers::judge;
use checkers::judgement::{Class, Finding, Judgement, Standing, Verdict};
use history::Mark;
use scene::{judged, recording};

fn verdict(judgement: &Judgement, name: &str) -> Verdict {
    let found = judgement.topics[0].guarantees.iter();
    let mut found = found.filter(|guarantee| guarantee.name == name);
    found
        .next()
        .expect("a guarantee of this name")
        .verdict
        .clone()
}

/// Nothing at all is broken.
fn nothing_broken(judgement: &Judgement) {
    let broken: Vec<&Finding> = judgement
        .findings
        .iter()
        .filter(|finding| finding.standing == Standing::Broken)
        .collect();
    assert!(broken.is_empty(), "{broken:#?}");
}

fn observed(judgement: &Judgement, name: &str) -> u64 {
    match verdict(judgement, name) {
        Verdict::NotPromised { observed, .. } => observed,
        other => panic!("{name}: {other:?}"),
    }
}

fn unproven(judgement: &Judgement, name: &str, why: &str) {
    match verdict(judgement, name) {
        Verdict::Unproven { why: said, .. } => assert!(said.contains(why), "{name}: {said}"),
        other => panic!("{name}: {other:?}"),
    }
}

fn held(judgement: &Judgement, name: &str) {
    let verdict = verdict(judgement, name);
    assert!(
        matches!(verdict, Verdict::Held { .. }),
        "{name}: {verdict:?}"
    );
}

fn told(finding: &Finding) -> String {
    let said = |s: &checkers::judgement::StorySentence| {
        format!("{}{}", s.text, s.missing.as_deref().unwrap_or(""))
    };
    finding
        .story
        .iter()
        .map(said)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A leader is cut off from its peers, goes on acknowledging, and comes back.
const FAIL_OVER: &str = "
    topic t on n0,n1,n2 by c1 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
    c1 send t/0 v2 -> @2 by n0 at 6.0s..6.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 said 9.0s follower t/0 e1 from @3 hw @1 was e0
    n0 said 9.1s cut t/0 @1
    c1 send t/0 v3 -> @1 by n1 at 9.5s..9.6s
    n0 final t/0: e0 @0 v0 | e1 @1 v3
    n1 final t/0: e0 @0 v0 | e1 @1 v3
    n2 final t/0: e0 @0 v0 | e1 @1 v3";

/// KAFKA-14704: the follower that n0 has become serves what it is about to cut. Having led earlier
/// does not make it a leader then, and the record was never committed.
#[test]
fn a_dirty_read_of_an_acknowledged_record_is_no_commit() {
    let judgement = judged(&format!(
        "{FAIL_OVER}
        n0 said 9.2s hw-back t/0 @3 @1
        c2 poll -> t/0 @2=v2 by n0 at 9.05s..9.06s"
    ));
    nothing_broken(&judgement);
    assert_eq!(observed(&judgement, "acked-lost-above-hw"), 2);
    assert_eq!(observed(&judgement, "read-then-vanished"), 1);
    assert_eq!(observed(&judgement, "dirty-hw"), 1);
    held(&judgement, "acked-lost-below-hw");
    held(&judgement, "committed-lost");
    held(&judgement, "truncated-below-hw");
}

/// The same of a record that nobody acknowledged: read and gone, never committed.
#[test]
fn a_dirty_read_of_an_unknown_record_is_no_commit() {
    let judgement = judged(&format!(
        "{FAIL_OVER}
        c1 send t/0 v9 -> ? timed out at 6.2s..6.3s
        n0 said 9.2s hw-back t/0 @4 @1
        c2 poll -> t/0 @3=v9 by n0 at 9.05s..9.06s"
    ));
    nothing_broken(&judgement);
    held(&judgement, "committed-lost");
    let gone = judgement
        .findings
        .iter()
        .find(|f| f.guarantee == "read-then-vanished");
    let gone = gone.expect("a finding");
    assert_eq!(
        (gone.class, gone.standing),
        (Class::DirtyHw, Standing::NotPromised)
    );
}

/// A capture that went on while the files changed proves no absence.
#[test]
fn a_smeared_final_log_convicts_nobody() {
    let judgement = judged(
        "topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0 | smeared
        n1 final t/0: e0 @0 v0 | e0 @1 v1
        no drain",
    );
    nothing_broken(&judgement);
    unproven(
        &judgement,
        "acked-lost-below-hw",
        "changed while it was captured",
    );
}

/// The last leader's own file knows a later epoch than anybody named: it is not known whose log
/// was the last leader's.
#[test]
fn a_final_log_of_the_wrong_epoch_convicts_nobody() {
    let mut recording = recording(
        "topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0 | e0 @1 v1
        no drain",
    );
    let log = recording.evidence.images[0].logs.values_mut().next();
    let log = log.expect("a log");
    log.epochs.push((history::Epoch(4), history::Offset(1)));
    let judgement = judge(&recording);
    nothing_broken(&judgement);
    unproven(&judgement, "acked-lost-below-hw", "epoch file");
}

/// Two epochs in quick succession: a follower hears of the second before it has cut for the first.
/// What it then cuts it holds from the epoch before both.
const TWO_EPOCHS: &str = "
    topic t on n0,n1,n2 by c1 acks=all
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> ? timed out at 4.0s..4.9s
    c1 send t/0 v2 -> @1 by n1 at 5.05s..5.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
    n2 said 5.0s follower t/0 e1 from @2 hw @1 was e0
    n1 said 5.2s leader t/0 e2 from @2 hw @2 isr n1 was e1
    n2 said 5.2s follower t/0 e2 from @2 hw @1 was e1
    n2 said 5.3s cut t/0 @1
    n0 said 8.0s follower t/0 e2 from @1 hw @1 was none
    n0 final t/0: e0 @0 v0 | e1 @1 v2
    n1 final t/0: e0 @0 v0 | e1 @1 v2
    n2 final t/0: e0 @0 v0 | e1 @1 v2";

#[test]
fn a_cut_after_two_quick_epochs_is_of_what_stood_before_both() {
    let judgement = judged(TWO_EPOCHS);
    nothing_broken(&judgement);
    held(&judgement, "truncated-below-hw");
}

/// The new leader came to hold what was cut only later, from the leader after it.
#[test]
fn a_cut_is_weighed_against_what_the_leader_held_then() {
    let judgement = judged(
        "topic t on n0,n1,n2 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> ? timed out at 4.0s..4.9s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n0,n1,n2 was e0
        n0 before-f1 5.2s t/0: e0 @0 v0 | e0 @1 v1
        n0 said 5.4s follower t/0 e1 from @2 hw @1 was e0
        n0 said 5.5s cut t/0 @1
        n2 said 6.0s leader t/0 e2 from @2 hw @1 isr n0,n2 was e0
        n0 said 6.0s follower t/0 e2 from @1 hw @1 was e1
        n1 said 8.0s follower t/0 e2 from @1 hw @1 was none
        n0 final t/0: e0 @0 v0 | e0 @1 v1
        n1 final t/0: e0 @0 v0 | e0 @1 v1
        n2 final t/0: e0 @0 v0 | e0 @1 v1",
    );
    nothing_broken(&judgement);
}

/// A request that was not answered in time is sent again, fault or not; so is one that met a
/// change of leader that nobody injected.
#[test]
fn a_slow_answer_is_a_reason_to_send_again() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @1 by n0 at 1.0s..7.5s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0 | e0 @1 v0
        n1 final t/0: e0 @0 v0 | e0 @1 v0";
    let judgement = judged(scene);
    nothing_broken(&judgement);
    assert_eq!(observed(&judgement, "duplicate-in-log"), 1);
    let moved = scene.replace("1.0s..7.5s", "1.0s..1.9s")
        + "\nn1 said 1.5s leader t/0 e1 from @2 hw @1 isr n0,n1 was e0
        n0 said 1.5s follower t/0 e1 from @2 hw @1 was e0";
    nothing_broken(&judged(&moved));
    // Without either it has none.
    let quick = judged(&scene.replace("1.0s..7.5s", "1.0s..1.1s"));
    let verdict = verdict(&quick, "duplicate-in-log");
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
}

/// The new leader's own log file is lost; that the old one was deposed its own line says.
#[test]
fn a_deposed_leader_shows_a_change_by_itself() {
    let judgement = judged(&format!(
        "{}\nn1 leader-hw t/0 e1 @2 at 9.7s..9.8s",
        FAIL_OVER.replace(
            "n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0",
            ""
        )
    ));
    assert_eq!(observed(&judgement, "acked-lost-above-hw"), 2);
    nothing_broken(&judgement);
}

/// The copy of the checkpoint may have been made after the broker had become a follower.
#[test]
fn a_checkpoint_copied_across_the_end_of_a_term_proves_nothing() {
    let scene =
        format!("{FAIL_OVER}\nn0 before-f1 8.9s t/0: e0 @0 v0 | e0 @1 v1 | e0 @2 v2 | hw @3");
    let mut recording = recording(&scene);
    let image = recording
        .evidence
        .images
        .iter_mut()
        .find(|i| i.file.contains("before-f1"));
    image.expect("the image").to = Mark::from_millis(9_050);
    let judgement = judge(&recording);
    nothing_broken(&judgement);
    assert_eq!(observed(&judgement, "acked-lost-above-hw"), 2);
}

/// n0 leads e0, loses it, leads e2, loses it: each loss is its own story.
const TWICE: &str = "
    topic t on n0,n1,n2 by c1 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
    c1 send t/0 v2 -> @1 by n1 at 6.0s..6.1s
    c1 send t/0 v3 -> @2 by n0 at 8.5s..8.6s
    c1 send t/0 v4 -> @2 by n1 at 12.0s..12.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 said 5.5s follower t/0 e1 from @2 hw @1 was e0
    n0 said 5.6s cut t/0 @1
    n0 said 8.0s leader t/0 e2 from @2 hw @2 isr n0,n1,n2 was e1
    n1 said 8.0s follower t/0 e2 from @2 hw @2 was e1
    n2 said 8.0s follower t/0 e2 from @2 hw @2 was e1
    n1 said 9.0s leader t/0 e3 from @2 hw @2 isr n1,n2 was e2
    n2 said 9.0s follower t/0 e3 from @2 hw @2 was e2
    n0 said 11.0s follower t/0 e3 from @3 hw @2 was e2
    n0 said 11.1s cut t/0 @2
    n0 final t/0: e0 @0 v0 | e1 @1 v2 | e3 @2 v4
    n1 final t/0: e0 @0 v0 | e1 @1 v2 | e3 @2 v4
    n2 final t/0: e0 @0 v0 | e1 @1 v2 | e3 @2 v4";

#[test]
fn two_losses_by_one_broker_are_two_stories() {
    let judgement = judged(TWICE);
    nothing_broken(&judgement);
    let above = |title: &str| {
        let mut all = judgement.findings.iter();
        told(all.find(|f| f.title.starts_with(title)).expect("the loss"))
    };
    let (first, second) = (above("t/0 @1:"), above("t/0 @2:"));
    assert!(
        first.contains("n0 led e0") && first.contains("elected for e1"),
        "{first}"
    );
    assert!(
        first.contains("cut the log to @1") && !first.contains("e3"),
        "{first}"
    );
    assert!(
        second.contains("n0 led e2") && second.contains("elected for e3"),
        "{second}"
    );
    assert!(
        second.contains("cut the log to @2") && !second.contains("e1"),
        "{second}"
    );
}

/// The answer may be of either of its terms: neither is named.
#[test]
fn an_answer_that_fits_two_terms_of_a_broker_names_none() {
    let long = TWICE.replace(
        "v3 -> @2 by n0 at 8.5s..8.6s",
        "v3 -> @2 by n0 at 4.5s..8.6s",
    );
    let judgement = judged(&long);
    nothing_broken(&judgement);
    assert_eq!(observed(&judgement, "acked-lost-above-hw"), 1);
    assert_eq!(observed(&judgement, "acked-lost-undetermined"), 1);
}

/// n2 cut what it had written in e1 itself, never the record of e0 at the same offset.
#[test]
fn a_cut_of_something_else_at_the_same_offset_is_not_blamed() {
    let judgement = judged(
        "topic t on n0,n1,n2 by c1 acks=1
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
        c1 send t/0 v2 -> @1 by n2 at 6.0s..6.1s
        c1 send t/0 v3 -> @1 by n1 at 12.0s..12.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n2 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
        n1 said 5.0s follower t/0 e1 from @1 hw @1 was e0
        n1 said 7.0s leader t/0 e2 from @1 hw @1 isr n1 was e1
        n2 said 9.0s follower t/0 e2 from @2 hw @1 was e1
        n2 said 9.1s cut t/0 @1
        n0 said 10.0s follower t/0 e2 from @2 hw @1 was e0
        n0 said 10.1s cut t/0 @1
        n0 final t/0: e0 @0 v0 | e2 @1 v3
        n1 final t/0: e0 @0 v0 | e2 @1 v3
        n2 final t/0: e0 @0 v0 | e2 @1 v3",
    );
    nothing_broken(&judgement);
    let stories: Vec<String> = judgement.findings.iter().map(told).collect();
    let of = |who: &str| stories.iter().find(|s| s.contains(who)).expect("a story");
    assert!(
        !of("n0 led e0 and ack").contains("n2 followed e2"),
        "{stories:#?}"
    );
    assert!(
        !of("n2 led e1 and ack").contains("n0 followed e2"),
        "{stories:#?}"
    );
}

/// Retention moved the log start; a success without an offset may have stood below it.
#[test]
fn a_success_without_an_offset_below_a_moved_log_start_is_not_lost() {
    let mut recording = recording(
        "topic t on n0,n1 by c1 acks=all retention.bytes=1000
        c1 send t/0 v0 -> @? at 1.0s..1.1s
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
    let judgement = judge(&recording);
    nothing_broken(&judgement);
    let row = &judgement.topics[0].accounting;
    assert_eq!((row.acknowledged.expired, row.acknowledged.lost), (1, 0));
    assert!(row.imbalance.is_empty(), "{:?}", row.imbalance);
}

/// The library began a new producer epoch and sent again: its copies are its own.
#[test]
fn copies_under_a_new_producer_epoch_are_reported_and_not_charged() {
    let judgement = judged(
        "topic t on n0,n1 by c1 acks=all idempotent
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> @2 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 pid=7.0+0 v0 v1 | e0 @2 pid=7.1+0 v1
        n1 final t/0: e0 @0 pid=7.0+0 v0 v1 | e0 @2 pid=7.1+0 v1",
    );
    nothing_broken(&judgement);
    assert_eq!(observed(&judgement, "duplicate-in-log"), 1);
}

/// Sends that were in flight when the leader was killed: one was applied and cut, one is in F, one
/// was never seen; each is counted once.
#[test]
fn what_was_in_flight_at_a_kill_is_settled_by_the_logs() {
    let judgement = judged(
        "topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> ? timed out at 4.0s..9s
        c1 send t/0 v2 -> ? timed out at 4.0s..9s
        c1 send t/0 v3 -> ? timed out at 4.0s..9s
        f1 kill broker n0 : injecting at 4.05s
        f1 injected (no such process) at 4.1s
        n0 broker killed at 4.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 said 8.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
        n0 before-f1 8.5s t/0: e0 @0 v0 | e0 @1 v1
        n0 broker started 7 at 8.6s
        n0 said 9.0s follower t/0 e1 from @2 hw @0 was none
        n0 said 9.1s cut t/0 @1
        n0 final t/0: e0 @0 v0 | e1 @1 v2
        n1 final t/0: e0 @0 v0 | e1 @1 v2",
    );
    nothing_broken(&judgement);
    let row = &judgement.topics[0].accounting.unknown;
    assert_eq!(
        (row.sent, row.present, row.lost, row.never_seen),
        (3, 1, 1, 1)
    );
    assert!(judgement.topics[0].accounting.imbalance.is_empty());
}

/// A drain that was still being served when its time ran out shows a short drain, not a stuck
/// cluster.
#[test]
fn a_drain_that_ran_out_of_time_convicts_nobody() {
    let scene = |last: &str| {
        format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @0 at 1.0s..1.1s
            c1 send t/0 v1 -> @1 at 1.2s..1.3s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @0 v0 v1
            n1 final t/0: e0 @0 v0 v1
            no drain
            phase settle at 10s
            phase drain at 20s
            c9 poll -> t/0 @0=v0 by n0 at {last}
            phase capture at 80s"
        )
    };
    let judgement = judged(&scene("79.0s..79.9s"));
    nothing_broken(&judgement);
    unproven(&judgement, "stuck", "");
    let silent = judged(&scene("20.1s..20.2s"));
    let verdict = verdict(&silent, "stuck");
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
}

/// While a fault of ours is in force the cluster owes no recovery, and its replicas no agreement.
#[test]
fn a_fault_that_was_not_undone_is_not_blamed_on_the_cluster() {
    let scene = |end: &str| {
        format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @0 at 1.0s..1.1s
            c1 send t/0 v1 -> @1 at 8.0s..8.1s
            f1 cut n0 -> n1, n1 -> n0 : injecting at 3.0s
            f1 injected (12 packets dropped) at 3.1s
            f1 healing at 9.0s
            {end} at 9.1s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 believes t/0 leader n0 e0 isr {{n0}} at 99.6s..99.7s
            n0 final t/0: e0 @0 v0 | e0 @1 v1
            n1 final t/0: e0 @0 v0"
        )
    };
    let judgement = judged(&scene("f1 stuck (the rule stays)"));
    nothing_broken(&judgement);
    for name in ["stuck", "divergence-lasting", "divergence-below-hw"] {
        unproven(&judgement, name, "f1 was not proved undone");
    }
    let undone = judged(&scene("f1 healed (no rule left)"));
    let verdict = verdict(&undone, "stuck");
    assert!(matches!(verdict, Verdict::Broken { .. }), "{verdict:?}");
}
