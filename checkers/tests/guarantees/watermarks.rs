//! High watermarks, cuts, recovery.

use checkers::judgement::{Class, Justified};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits};

/// The positive control: a follower cuts to its own high watermark, then leads.
const CANARY: &str = "
    topic t on n0,n1,n2 by c1 acks=all
    broker inter.broker.protocol.version=0.11.0-IV1
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 at 1.2s..1.3s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @2 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @2 hw @1 was e0
    n2 said 5.1s cut-to-hw t/0 @1
    n2 said 5.1s cut t/0 @1
    n2 said 8.0s leader t/0 e3 from @1 hw @1 isr n2 was e1
    n1 before-f2 9.0s t/0: e0 @0 v0 | e0 @1 v1
    n0 final t/0: e0 @0 v0 | e3 @1 v2
    n1 final t/0: e0 @0 v0 | e3 @1 v2
    n2 final t/0: e0 @0 v0 | e3 @1 v2
    c1 send t/0 v2 -> @1 by n2 at 10.0s..10.1s";

#[test]
fn the_canary_is_caught_by_every_rule_that_speaks_of_it() {
    let lost = convicts(
        "acked-lost-below-hw",
        CANARY,
        "t/0 @1: 1 acknowledged record",
    );
    assert_eq!(lost.class, Class::KnownBadProtocol);
    assert!(
        lost.evidence
            .iter()
            .any(|line| line.text.contains("cut-to-hw"))
    );
    let story = crate::told(&lost);
    assert!(
        story.contains("n2 followed e1") && story.contains("without asking the leader"),
        "{story}"
    );
    // Another's cut is not why the one that led lacked it.
    let newer = CANARY.replace("=0.11.0-IV1", "=2.0-IV0");
    let of = |scene: &str| convicts("acked-lost-below-hw", scene, "t/0 @1: 1 ack").class;
    assert_eq!(of(&newer), Class::KnownBadProtocol);
    let others = newer.replace("n2 said 5.1s cut", "n0 said 5.1s cut");
    let others = others.replace(
        "n0 said 5.1s cut-to-hw",
        "n0 said 5.0s follower t/0 e1 from @2 hw @1 was e0\n    n0 said 5.1s cut-to-hw",
    );
    assert_eq!(of(&others), Class::Unexplained);
    // It had copied it again.
    let again = format!("{newer}\nn2 before-f1 6.0s t/0: e0 @0 v0 | e0 @1 v1");
    assert_eq!(of(&again), Class::Unexplained);
    convicts(
        "truncated-below-hw",
        CANARY,
        "n2 cut below the high watermark, to @1",
    );
    convicts(
        "truncation-audit",
        CANARY,
        "n2 cut what its new leader's log has, to @1",
    );
    convicts(
        "committed-prefix",
        CANARY,
        "t/0 @1: the committed part of n1",
    );
}

#[test]
fn a_cut_below_the_followers_own_hw() {
    let scene = CANARY.replace(
        "follower t/0 e1 from @2 hw @1",
        "follower t/0 e1 from @2 hw @2",
    );
    convicts("truncated-below-hw", &scene, "n2 cut below");
}

/// A deposed leader cuts what only it had.
const INNOCENT: &str = "
    topic t on n0,n1,n2 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 said 6.0s follower t/0 e1 from @3 hw @1 was e0
    n0 said 6.1s cut t/0 @1
    n0 final t/0: e0 @0 v0 | e1 @1 v1
    n1 final t/0: e0 @0 v0 | e1 @1 v1
    n2 final t/0: e0 @0 v0 | e1 @1 v1
    c1 send t/0 v1 -> @1 at 7.0s..7.1s";

fn justified(scene: &str) -> Justified {
    let judgement = judged(scene);
    assert_eq!(judgement.truncations.len(), 1);
    judgement.truncations[0].justified.clone()
}

#[test]
fn a_deposed_leaders_cut_is_justified() {
    acquits("truncated-below-hw", INNOCENT, 5);
    acquits("truncation-audit", INNOCENT, 5);
    assert!(matches!(justified(INNOCENT), Justified::Yes { why } if why.contains("ended at @1")));
    let shown = format!("{INNOCENT}\nn0 before-f1 5.5s t/0: e0 @0 v0 | e0 @1 foreign foreign");
    assert!(matches!(justified(&shown), Justified::Yes { why } if why.contains("differs")));
}

#[test]
fn the_audit_counts_what_a_cut_destroyed_and_who_still_holds_it() {
    let counts = |scene: &str| {
        let cut = &judged(scene).truncations[0];
        let held = cut.still_held.iter().map(|held| (held.node.0, held.count));
        let destroyed = (cut.acknowledged_destroyed, cut.acknowledged_lost);
        (cut.destroyed, destroyed, held.collect::<Vec<_>>())
    };
    assert_eq!(counts(INNOCENT), (Some(2), (0, 0), vec![]));
    let answered = "
        c2 send t/0 v2 -> @1 by n0 at 5.1s..5.2s
        c2 send t/0 v3 -> @2 by n0 at 5.3s..5.4s";
    let lost = format!("{INNOCENT}{answered}");
    assert_eq!(counts(&lost), (Some(2), (2, 2), vec![]));
    let image = "n0 before-f1 5.5s t/0: e0 @0 v0 | e0 @1 v2";
    let shown = format!("{lost}\n{image}");
    assert_eq!(counts(&shown), (Some(2), (2, 2), vec![(0, 1)]));
    // What another replica destroyed is not this one's doing, nor what stands where it was cut.
    let beyond = lost.replace("from @3 hw @1", "from @2 hw @1");
    assert_eq!(counts(&beyond), (Some(2), (2, 2), vec![]));
    let short = beyond.replace("v3 -> @2 by n0", "v3 -> @2 by n1");
    assert_eq!(counts(&short), (Some(1), (1, 1), vec![]));
    // v0 was cut with the rest and copied again: destroyed here, and not lost; the others have it.
    let deeper = lost.replace("cut t/0 @1", "cut t/0 @0");
    assert_eq!(
        counts(&deeper),
        (Some(3), (3, 2), vec![(0, 1), (1, 1), (2, 1)])
    );
}

#[test]
fn a_cut_of_what_the_leader_has_is_not() {
    let shown = format!("{INNOCENT}\nn0 before-f1 5.5s t/0: e0 @0 v0 | e0 @1 foreign foreign")
        .replace("cut t/0 @1", "cut t/0 @0");
    assert!(matches!(justified(&shown), Justified::No { .. }));
    convicts(
        "truncation-audit",
        &shown,
        "n0 cut what its new leader's log has, to @0",
    );
    // v0 was committed before the cut and came back with the copy.
    convicts(
        "truncated-below-hw",
        &shown,
        "n0 cut below the high watermark",
    );
}

#[test]
fn a_cut_that_nothing_explains_is_marked_unknown() {
    let new_process = INNOCENT
        .replace("from @3 hw @1 was e0", "from @3 hw @0 was none")
        .replace("cut t/0 @1", "cut t/0 @0");
    assert!(matches!(justified(&new_process), Justified::Unknown { .. }));
    let no_lines = "
        topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 leader-hw t/0 e0 @1 at 1.2s..1.3s
        n0 final t/0: e0 @0 v0";
    abstains("truncation-audit", no_lines, "no line of the broker");
    abstains("truncated-below-hw", no_lines, "no line of the broker");
}

#[test]
fn a_watermark_over_what_is_then_cut_is_known_and_counted() {
    let dirty = INNOCENT.replace(
        "n0 said 6.1s cut t/0 @1",
        "n0 said 6.1s cut t/0 @1
        n0 said 6.2s hw-back t/0 @3 @1",
    );
    let finding = permits("dirty-hw", &dirty, 1, "stood at @3");
    assert_eq!(finding.class, Class::DirtyHw);
    // Without a cut to that offset in that process it is something else.
    let other = dirty.replace("hw-back t/0 @3 @1", "hw-back t/0 @3 @2");
    let judgement = judged(&other);
    assert!(judgement.findings.is_empty(), "{:?}", judgement.findings);
}

#[test]
fn a_read_in_the_dirty_window_is_excused_by_it() {
    let dirty = INNOCENT.replace(
        "n0 said 6.1s cut t/0 @1",
        "n0 said 6.1s cut t/0 @1
        n0 said 6.2s hw-back t/0 @3 @1
        c1 send t/0 v9 -> ? timed out at 5.1s..5.2s
        c2 poll -> t/0 @2=v9 by n0 at 6.05s..6.06s",
    );
    let finding = permits("read-then-vanished", &dirty, 1, "t/0 @2");
    assert_eq!(finding.class, Class::DirtyHw);
    // It does not explain what another follower gave as well.
    let other = format!("{dirty}\nc3 poll -> t/0 @2=v9 by n2 at 6.07s..6.08s");
    let finding = convicts("read-then-vanished", &other, "t/0 @2");
    assert_eq!(finding.class, Class::Unexplained);
    // Without a name it may have been this broker, or one that led.
    let unnamed = dirty.replace("@2=v9 by n0", "@2=v9");
    let missing = "the evidence that would tell is missing";
    abstains("read-then-vanished", &unnamed, missing);
}

#[test]
fn a_leaders_watermark_never_goes_back() {
    let scene = |answers: &str| format!("{INNOCENT}\n{answers}");
    convicts(
        "hw-regressed",
        &scene(
            "
        n1 leader-hw t/0 e1 @2 at 8.0s..8.1s
        n1 leader-hw t/0 e1 @1 at 8.2s..8.3s",
        ),
        "from @2 to @1",
    );
    // Asked before the other was answered: no order between them.
    acquits(
        "hw-regressed",
        &scene(
            "
        n1 leader-hw t/0 e1 @2 at 8.0s..8.3s
        n1 leader-hw t/0 e1 @1 at 8.2s..8.4s",
        ),
        2,
    );
    // The same, or more.
    for second in ["@2", "@3"] {
        let answers = format!(
            "n1 leader-hw t/0 e1 @2 at 8.0s..8.1s\nn1 leader-hw t/0 e1 {second} at 8.2s..8.3s"
        );
        acquits("hw-regressed", &scene(&answers), 2);
    }
    // Nor is there one where the clock does not tell the two moments apart.
    acquits(
        "hw-regressed",
        &scene(
            "
        n1 leader-hw t/0 e1 @2 at 8.0s..8.1s
        n1 leader-hw t/0 e1 @1 at 8.1s..8.2s",
        ),
        2,
    );
    // Another epoch, another process: normal.
    acquits(
        "hw-regressed",
        &scene(
            "
        n0 leader-hw t/0 e0 @2 at 8.0s..8.1s
        n1 leader-hw t/0 e1 @1 at 8.2s..8.3s",
        ),
        2,
    );
    acquits(
        "hw-regressed",
        &scene(
            "
        n1 leader-hw t/0 e1 @2 at 8.0s..8.1s
        n1 broker killed at 8.15s
        n1 broker started 7 at 8.16s
        n1 leader-hw t/0 e1 @1 at 8.2s..8.3s",
        ),
        2,
    );
    // What ended earlier, or later, or elsewhere is no excuse.
    for beside in [
        "n1 broker killed at 7.0s\nn1 broker started 7 at 7.1s",
        "n1 broker killed at 8.4s",
        "n0 broker killed at 8.15s",
        "n1 zookeeper killed at 8.15s",
        "n1 broker paused at 8.15s\nn1 broker resumed at 8.16s",
    ] {
        let answers = "
        n1 leader-hw t/0 e1 @2 at 8.0s..8.1s
        n1 leader-hw t/0 e1 @1 at 8.2s..8.3s";
        convicts(
            "hw-regressed",
            &scene(&format!("{answers}\n{beside}")),
            "from @2 to @1",
        );
    }
    abstains("hw-regressed", INNOCENT, "no answers");
}

#[test]
fn a_leader_that_writes_that_its_watermark_went_back() {
    let wrote = |line: &str| format!("{INNOCENT}\nn1 leader-hw t/0 e1 @1 at 8.0s..8.1s\n{line}");
    let finding = convicts(
        "hw-regressed",
        &wrote("n1 said 6.0s hw-back t/0 @2 @1"),
        "n1 led and saw its high watermark go back from @2 to @1",
    );
    assert_eq!(finding.evidence.len(), 2);
    for innocent in [
        // A follower's; the leader's before it led, or in the same millisecond; in a new process.
        "n2 said 6.0s hw-back t/0 @2 @1",
        "n1 said 4.0s hw-back t/0 @2 @1",
        "n1 said 5.0s hw-back t/0 @2 @1",
        "n1 said 5.5s loaded t/0 @1\nn1 said 6.0s hw-back t/0 @2 @1",
    ] {
        acquits("hw-regressed", &wrote(innocent), 1);
    }
}

#[test]
fn a_stable_offset_that_stays_behind() {
    let frozen = |from: &str, to: &str| {
        format!(
            "{INNOCENT}\nphase settle at 20s
            n1 marks t/0 hw @2 lso @1 at {from}..{from}
            n1 marks t/0 hw @2 lso @1 at {to}..{to}"
        )
    };
    let finding = convicts("stuck", &frozen("21s", "99.7s"), "not recovered");
    assert!(
        crate::told(&finding).contains("stood at @1 below its high watermark @2 for 78 s"),
        "{finding:?}"
    );
    acquits("stuck", &frozen("31s", "99.7s"), 1);
    let sooner = "broker transaction.abort.timed.out.transaction.cleanup.interval.ms=1000";
    convicts(
        "stuck",
        &format!("{}\n{sooner}", frozen("31s", "99.7s")),
        "not recovered",
    );
    // Its producers' own time-out, where it is recorded, and never more than brokers grant.
    let open = |words: &str, more: &str| {
        let text = frozen("21s", "99.7s").replace("acks=all", &format!("acks=all {words}"));
        format!("{text}\n{more}")
    };
    assert!(crate::told(&finding).contains("the producers' own was not recorded"));
    let known = convicts(
        "stuck",
        &open("transactional txn-timeout=60000", ""),
        "not recovered",
    );
    assert!(!crate::told(&known).contains("recorded"), "{known:?}");
    acquits("stuck", &open("transactional txn-timeout=120000", ""), 1);
    convicts("stuck", &open("txn-timeout=120000", ""), "not recovered");
    let granted = "broker transaction.max.timeout.ms=30000";
    let shorter = convicts(
        "stuck",
        &open("transactional txn-timeout=120000", granted),
        "not recovered",
    );
    assert!(crate::told(&shorter).contains("after 40 s"), "{shorter:?}");
    acquits(
        "stuck",
        &open(
            "transactional txn-timeout=120000",
            "broker transaction.max.timeout.ms=70000",
        ),
        1,
    );
    // It moved in between, or has caught up.
    let moved = frozen("21s", "60s").replace("lso @1 at 60s", "lso @0 at 60s")
        + "\nn1 marks t/0 hw @2 lso @1 at 99.7s..99.7s";
    acquits("stuck", &moved, 1);
    let done = frozen("21s", "99.7s") + "\nn1 marks t/0 hw @2 lso @2 at 99.8s..99.8s";
    acquits("stuck", &done, 1);
}

#[test]
fn a_log_that_begins_anew_is_a_cut() {
    // The leader's log begins beyond the follower's end: only this line tells.
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 before-f1 4.0s t/0: e0 @0 v0
        n1 said 5.0s reset t/0 @1 @9
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0";
    let judgement = judged(scene);
    let cut = &judgement.truncations[0];
    assert_eq!((cut.cut_to, cut.destroyed), (9, Some(1)));
    assert!(matches!(&cut.justified, Justified::Yes { why } if why.contains("full restart")));
    acquits("truncated-below-hw", scene, 3);
    // Back from beyond the leader's end the log's own line tells the cut.
    let back = scene.replace("reset t/0 @1 @9", "reset t/0 @1 @0");
    assert!(judged(&back).truncations.is_empty());
}

#[test]
fn a_log_cut_for_damage_answers_to_no_leader() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @5 hw @5 was none
        n1 said 5.0s damaged t/0 @1
        n1 said 5.1s loaded t/0 @1
        n1 said 5.2s follower t/0 e0 from @1 hw @1 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0";
    let judgement = judged(scene);
    let cut = &judgement.truncations[0];
    assert_eq!((cut.epoch, cut.hw_then.clone()), (None, None));
    assert!(matches!(&cut.justified, Justified::Unknown { .. }));
    // The high watermark of the process before is none of its own.
    acquits("truncated-below-hw", scene, 4);
}

#[test]
fn a_cluster_that_does_not_recover() {
    let scene = |more: &str| format!("{INNOCENT}\n{more}");
    acquits("stuck", INNOCENT, 1);
    acquits(
        "stuck",
        &scene("n1 believes t/0 leader n1 e1 isr {n0,n1,n2} at 9s..9.1s"),
        1,
    );
    convicts(
        "stuck",
        &scene("n1 believes t/0 leader n1 e1 isr {n1,n2} at 9s..9.1s"),
        "not recovered",
    );
    convicts("stuck", &scene("n2 broker died at 9s"), "not recovered");
    convicts(
        "stuck",
        &scene("n1 leader-hw t/0 e1 @1 at 99.6s..99.7s"),
        "not recovered",
    );
    abstains("stuck", &scene("no drain"), "settled");
    abstains("stuck", &scene("no watch"), "to examine");
}
