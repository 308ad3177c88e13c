//! Records that were there and are not.

use checkers::judgement::Class;

use crate::{abstains, acquits, convicts, permits, told};

/// A leader is cut off, goes on accepting, comes back and cuts its log.
const FAIL_OVER: &str = "
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 said 9.0s follower t/0 e1 from @3 hw @1 was e0
    n0 said 9.1s cut t/0 @1
";
const ENDS: &str = "
    n0 final t/0: e0 @0 v0 | e1 @1 v3
    n1 final t/0: e0 @0 v0 | e1 @1 v3
    n2 final t/0: e0 @0 v0 | e1 @1 v3
";
const SENDS: &str = "
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
    c1 send t/0 v2 -> @2 by n0 at 6.0s..6.1s
    c1 send t/0 v3 -> @1 by n1 at 9.5s..9.6s
";

fn scene(topic: &str, more: &str) -> String {
    format!("topic t on n0,n1,n2 by c1 {topic}\n{SENDS}{FAIL_OVER}{ENDS}{more}")
}

#[test]
fn above_the_hw_acks_1_may_lose_and_the_story_says_how() {
    let finding = permits(
        "acked-lost-above-hw",
        &scene("acks=1", ""),
        2,
        "t/0 @1..@2: 2 acknowledged records lost above the high watermark",
    );
    assert_eq!(finding.class, Class::AboveHw);
    assert_eq!(finding.would_keep.as_deref(), Some("acks=all"));
    assert_eq!(finding.held_nowhere, Some(2));
    let story = told(&finding);
    for part in [
        "n0 led e0 and acknowledged these 2 records",
        "its own high watermark stood at @1",
        "n1 was elected for e1, cleanly",
        "n0 followed e1 with its log ending at @3 and its high watermark at @1, and cut the log to @1",
    ] {
        assert!(story.contains(part), "{part} in\n{story}");
    }
    acquits("acked-lost-below-hw", &scene("acks=1", ""), 2);
}

#[test]
fn only_cuts_of_logs_that_had_reached_it_at_or_below_it_took_it() {
    let story = |scene: &str| {
        let title = "2 acknowledged records lost above";
        told(&permits("acked-lost-above-hw", scene, 2, title))
    };
    // n2 had not copied that far; nothing is said of its cut.
    let idle = story(&scene("acks=1", "n2 said 5.1s cut t/0 @1"));
    assert!(
        idle.contains("n0 followed e1") && !idle.contains("n2 followed"),
        "{idle}"
    );
    let follower = "n2 said 5.0s follower t/0 e1 from @3 hw @1 was e0";
    let both = scene("acks=1", "n2 said 5.1s cut t/0 @1");
    let both = both.replace(
        "n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0",
        follower,
    );
    // It had both before it cut.
    let both = story(&both.replace("at 6.0s..6.1s", "at 4.2s..4.3s"));
    assert!(
        both.contains("n0 followed e1") && both.contains("n2 followed e1"),
        "{both}"
    );
    // A first cut above them took none of them.
    let twice = scene("acks=1", "").replace(
        "n0 said 9.1s cut t/0 @1",
        "n0 said 9.05s cut t/0 @3\nn0 said 9.1s cut t/0 @1",
    );
    let twice = story(&twice);
    assert!(twice.contains("and cut the log to @1"), "{twice}");
}

#[test]
fn only_faults_that_were_there_between_acceptance_and_election_are_told() {
    let fault = |at: &str| {
        let [asked, proved, healing, healed] = at.split(' ').collect::<Vec<_>>()[..] else {
            panic!("four moments in `{at}`");
        };
        let more = format!(
            "f1 cut n0 -> n1, n1 -> n0 : injecting asked \"isolate n0\" (n0 leads) at {asked}
            f1 injected (12 packets dropped) at {proved}
            f1 healing at {healing}
            f1 healed (no rule left) at {healed}"
        );
        let title = "2 acknowledged records lost above";
        let scene = scene("acks=1", &more);
        told(&permits("acked-lost-above-hw", &scene, 2, title)).contains("(f1, ")
    };
    assert!(fault("3.0s 3.1s 7.0s 7.2s"));
    // Found to have had no effect.
    let vain = "f1 cut n0 -> n1, n1 -> n0 : injecting (n0 leads) at 3.0s
        f1 ineffective (no packet was dropped) at 3.1s";
    let title = "2 acknowledged records lost above";
    let vain = permits("acked-lost-above-hw", &scene("acks=1", vain), 2, title);
    assert!(!told(&vain).contains("(f1, "));
    // Over before the first of them was accepted; begun after another had been elected.
    assert!(!fault("1.0s 1.1s 3.0s 3.1s"));
    assert!(!fault("5.5s 5.6s 7.0s 7.2s"));
}

#[test]
fn an_image_that_still_holds_them_is_named() {
    let more = "n0 before-f1 8.0s t/0: e0 @0 v0 | e0 @1 v1";
    let finding = permits(
        "acked-lost-above-hw",
        &scene("acks=1", more),
        2,
        "2 acknowledged",
    );
    assert_eq!(finding.still_held.len(), 1);
    assert_eq!(finding.still_held[0].count, 1);
    assert_eq!(finding.held_nowhere, Some(1));
}

#[test]
fn the_same_loss_under_acks_all_is_a_broken_promise() {
    let finding = convicts(
        "acked-lost-below-hw",
        &scene("acks=all", ""),
        "t/0 @1..@2: 2",
    );
    assert_eq!(finding.class, Class::Unexplained);
    convicts("committed-lost", &scene("acks=all", ""), "t/0 @1..@2: 2");
}

#[test]
fn a_known_bad_protocol_is_named_and_still_broken() {
    let more = "broker inter.broker.protocol.version=0.11.0-IV1";
    let finding = convicts(
        "acked-lost-below-hw",
        &scene("acks=all", more),
        "t/0 @1..@2",
    );
    assert_eq!(finding.class, Class::KnownBadProtocol);
}

#[test]
fn an_unclean_election_that_the_settings_allow_is_not_promised_against() {
    let more = "
        broker unclean.leader.election.enable=true
        n2 said 0.4s state t/0 e0 isr n0 version 4
        n2 said 4.9s state t/0 e1 isr n1 version 5";
    let finding = permits(
        "acked-lost-below-hw",
        &scene("acks=all", more),
        2,
        "t/0 @1..@2",
    );
    assert_eq!(finding.class, Class::UncleanElection);
    // The version before is missing: whether it was unclean cannot be told.
    let gap = more.replace("version 4", "version 3");
    let scene = scene("acks=all", &gap).replace("isr n1,n2 was e0", "isr n1 was e0");
    abstains("acked-lost-below-hw", &scene, "may be permitted");
}

#[test]
fn acks_1_lost_below_the_hw_is_broken_by_any_commit_evidence() {
    let given = "c2 poll -> t/0 @1=v1 by n0 at 4.2s..4.3s";
    convicts("acked-lost-below-hw", &scene("acks=1", given), "t/0 @1: 1");
    let checked = "n0 leader-hw t/0 e0 @2 at 4.2s..4.3s";
    convicts(
        "acked-lost-below-hw",
        &scene("acks=1", checked),
        "t/0 @1: 1",
    );
    // The new leader's high watermark speaks for its own records only.
    let others = "n1 leader-hw t/0 e1 @2 at 9.8s..9.9s";
    permits(
        "acked-lost-above-hw",
        &scene("acks=1", others),
        2,
        "t/0 @1..@2",
    );
    // A follower's watermark is never evidence.
    let follower = "n1 marks t/0 hw @3 at 4.2s..4.3s";
    permits(
        "acked-lost-above-hw",
        &scene("acks=1", follower),
        2,
        "t/0 @1..@2",
    );
}

#[test]
fn a_checkpoint_counts_only_while_its_broker_led_and_if_it_moved() {
    let held = "n0 before-f1 4.5s t/0: e0 @0 v0 | e0 @1 v1 | hw @2";
    let finding = convicts("acked-lost-below-hw", &scene("acks=1", held), "t/0 @1: 1");
    let story = told(&finding);
    assert!(story.contains("in e0"), "{story}");
    let late = "n0 before-f1 9.05s t/0: e0 @0 v0 | e0 @1 v1 | hw @2";
    permits(
        "acked-lost-above-hw",
        &scene("acks=1", late),
        2,
        "t/0 @1..@2",
    );
}

#[test]
fn what_nobody_acknowledged_and_a_copy_shows_is_lost_if_it_was_committed() {
    let seen = scene("acks=all", "n0 before-f1 8.0s t/0: e0 @0 v0 | e0 @1 v1")
        .replace("v1 -> @1 by n0", "v1 -> ? timed out")
        .replace("c1 send t/0 v2 -> @2 by n0 at 6.0s..6.1s", "");
    // Nothing shows that it was committed.
    acquits("committed-lost", &seen, 2);
    let checked = "n0 leader-hw t/0 e0 @2 at 4.2s..4.3s";
    let finding = convicts(
        "committed-lost",
        &format!("{seen}\n{checked}"),
        "t/0 @1: 1 committed record lost",
    );
    assert_eq!(finding.still_held.len(), 1);
    acquits("acked-lost-below-hw", &format!("{seen}\n{checked}"), 2);
    // What is not our record, or was deleted on request, is nobody's loss.
    for innocent in [
        seen.replace("e0 @1 v1", "e0 @1 foreign"),
        seen.replace("e0 @1 v1", "e0 @1 corrupt"),
        format!("{seen}\nharm t/0 deleted before @2 at 95.0s"),
    ] {
        acquits("committed-lost", &format!("{innocent}\n{checked}"), 2);
    }
}

#[test]
fn where_two_led_at_once_nobody_is_said_to_have_accepted_it() {
    let unnamed = scene("acks=1", "").replace("v2 -> @2 by n0", "v2 -> @2");
    let undetermined = |scene: &str| permits("acked-lost-undetermined", scene, 1, "t/0 @2: 1");
    let above = |scene: &str| permits("acked-lost-above-hw", scene, 2, "t/0 @1..@2: 2");
    undetermined(&unnamed);
    permits("acked-lost-above-hw", &unnamed, 1, "t/0 @1: 1");
    // The other began above it, or put something else there, or had not begun, or was no more.
    above(&unnamed.replace(
        "n1 said 5.0s leader t/0 e1 from @1",
        "n1 said 5.0s leader t/0 e1 from @3",
    ));
    above(&unnamed.replace("e1 @1 v3", "e1 @1 v3 foreign"));
    above(&unnamed.replace("v2 -> @2 at 6.0s..6.1s", "v2 -> @2 at 4.2s..4.3s"));
    let died = |at: &str| format!("{unnamed}\nn1 broker died at {at}");
    above(&died("5.9s"));
    undetermined(&died("6.0s"));
    undetermined(&died("4.9s"));
    undetermined(&died("5.9s").replace("n1 broker died", "n2 broker died"));
    undetermined(&died("5.9s").replace("n1 broker died", "n1 zookeeper died"));
    undetermined(&died("5.9s").replace("n1 broker died", "n1 broker paused"));
}

/// A second leader wrote nothing and committed all that it had; a third had less.
const THIRD: &str = "
    topic t on n0,n1,n2 by c1 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 3.0s leader t/0 e1 from @2 hw @1 isr n1,n2 was e0
    n0 said 3.0s follower t/0 e1 from @2 hw @1 was e0
    n2 said 3.0s follower t/0 e1 from @1 hw @1 was e0
    n1 leader-hw t/0 e1 @2 at 4.0s..4.1s
    n2 said 6.0s leader t/0 e2 from @1 hw @1 isr n2,n0 was e1
    n0 said 6.0s follower t/0 e2 from @2 hw @1 was e1
    n0 said 6.1s cut t/0 @1
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0
    n2 final t/0: e0 @0 v0";

#[test]
fn a_later_leaders_hw_commits_what_a_copy_shows_that_it_held() {
    let with = |more: &str| format!("{THIRD}\n{more}");
    let not_below = |more: &str| acquits("acked-lost-below-hw", &with(more), 1);
    let below = |more: &str| {
        convicts("acked-lost-below-hw", &with(more), "t/0 @1: 1");
    };
    // Its watermark alone does not say of which records it is.
    not_below("");
    not_below("n0 before-f1 5.0s t/0: e0 @0 v0 | e0 @1 v1");
    not_below("n1 before-f1 5.0s t/0: e0 @0 v0 | e0 @1 v9");
    below("n1 before-f1 5.0s t/0: e0 @0 v0 | e0 @1 v1");
    // A copy from before it led speaks unless the record was cut in between.
    let earlier = "n1 before-f1 2.0s t/0: e0 @0 v0 | e0 @1 v1";
    below(earlier);
    not_below(&format!("{earlier}\nn1 said 2.5s cut t/0 @1"));
    below(&format!("{earlier}\nn1 said 2.5s cut t/0 @2"));
    below(&format!("{earlier}\nn1 said 1.5s cut t/0 @1"));
    below(&format!("{earlier}\nn2 said 2.5s cut t/0 @1"));
    // What it began without it did not hold while it led.
    let began = with(earlier).replace("leader t/0 e1 from @2", "leader t/0 e1 from @1");
    acquits("acked-lost-below-hw", &began, 1);
}

#[test]
fn without_the_deposed_leaders_line_the_side_is_undetermined() {
    let dead = scene("acks=1", "").replace(
        "n0 said 9.0s follower t/0 e1 from @3 hw @1 was e0",
        "n0 said 9.0s follower t/0 e1 from @3 hw @1 was none",
    );
    let finding = permits("acked-lost-undetermined", &dead, 2, "cannot be shown");
    assert!(told(&finding).contains("Follower ... starts"));
    permits_none("acked-lost-above-hw", &dead);
    // A later line is none: it may have been cut, and its high watermark with it, in between.
    let later = THIRD.replace("n0 said 3.0s follower t/0 e1 from @2 hw @1 was e0\n", "");
    permits("acked-lost-undetermined", &later, 1, "cannot be shown");
    permits_none("acked-lost-above-hw", &later);
}

fn permits_none(name: &str, scene: &str) {
    let judgement = crate::scene::judged(scene);
    let verdict = crate::verdict(&judgement, name);
    assert!(
        matches!(
            verdict,
            checkers::judgement::Verdict::NotPromised { observed: 0, .. }
        ),
        "{verdict:?}"
    );
}

#[test]
fn without_a_change_of_leader_acks_1_is_a_promise() {
    let scene = "
        topic t on n0,n1 by c1 acks=1
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final t/0:
        n1 final t/0:";
    convicts("acked-lost-undetermined", scene, "t/0 @0: 1");
}

#[test]
fn a_record_elsewhere_than_acknowledged_is_a_wrong_answer() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final t/0: e0 @0 v0 foreign v1
        n1 final t/0: e0 @0 v0 foreign v1";
    convicts(
        "acked-offset-wrong",
        scene,
        "t/0 @1: 1 acknowledged record not where",
    );
    acquits("acked-lost-below-hw", scene, 2);
    let told_nothing = scene.replace("v1 -> @1", "v1 -> @?");
    acquits("acked-offset-wrong", &told_nothing, 1);
}

#[test]
fn a_record_that_was_sent_again_after_a_change_of_leader_may_stand_elsewhere() {
    let again = scene("acks=1", "")
        .replace("e1 @1 v3", "e1 @1 v3 v1")
        .replace("c1 send t/0 v2 -> @2 by n0 at 6.0s..6.1s", "");
    let finding = permits("acked-offset-wrong", &again, 1, "t/0 @1: 1");
    assert_eq!(finding.class, Class::Resend);
    convicts(
        "acked-offset-wrong",
        &again.replace("acks=1", "acks=all"),
        "t/0 @1: 1",
    );
    // It proves nothing of a partition whose log is missing.
    let two = again.replace("topic t", "topic t partitions=2");
    let two = format!("{two}\nn0 said 0.5s leader t/1 e0 from @0 hw @0 isr n0 was none");
    abstains("acked-offset-wrong", &two, "no log of t/1");
}

#[test]
fn what_a_consumer_saw_stays() {
    let base = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> ? timed out at 1.2s..1.3s
        c2 poll -> t/0 @0=v0 @1=v1 by n0 at 2.0s..2.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 said 0.5s follower t/0 e0 from @0 hw @0 was none";
    let gone = format!("{base}\nn0 final t/0: e0 @0 v0\nn1 final t/0: e0 @0 v0");
    let base = base.replace("n0 said 0.5s follower", "n1 said 0.5s follower");
    let gone = gone.replace("n0 said 0.5s follower", "n1 said 0.5s follower");
    convicts(
        "read-then-vanished",
        &gone,
        "t/0 @1: 1 committed record lost",
    );
    convicts("committed-lost", &gone, "t/0 @1");
    acquits("acked-lost-below-hw", &gone, 1);
    let there = format!("{base}\nn0 final t/0: e0 @0 v0 v1\nn1 final t/0: e0 @0 v0 v1");
    acquits("read-then-vanished", &there, 4);
    let nothing = there.replace("poll -> t/0 @0=v0 @1=v1 by n0", "poll -> nothing") + "\nno drain";
    abstains("read-then-vanished", &nothing, "no deliveries to examine");
}

#[test]
fn nothing_is_concluded_from_absence_without_the_last_leaders_log() {
    let scene = scene("acks=all", "").replace("n1 final", "n3 final");
    abstains("acked-lost-below-hw", &scene, "from n1, its last leader");
    abstains("committed-lost", &scene, "from n1, its last leader");
    abstains("acked-offset-wrong", &scene, "from n1, its last leader");
    let no_leader = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 final t/0: e0 @0 v0";
    abstains("acked-lost-above-hw", no_leader, "names a leader");
}

#[test]
fn nothing_sent_is_nothing_proven() {
    let scene = "
        topic t on n0,n1 by c1 idempotent
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final t/0:
        n1 final t/0:";
    for name in [
        "acked-lost-below-hw",
        "acked-lost-above-hw",
        "acked-lost-undetermined",
        "acked-offset-wrong",
        "committed-lost",
        "duplicate-in-log",
        "order-broken",
    ] {
        abstains(name, scene, "");
    }
}

#[test]
fn a_torn_history_voids_absence_and_not_evidence() {
    let kept = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0";
    acquits("acked-lost-below-hw", kept, 1);
    abstains(
        "acked-lost-below-hw",
        &format!("{kept}\ntorn in frame 3"),
        "not whole",
    );
    abstains(
        "acked-lost-below-hw",
        &format!("{kept}\nended interrupted INT"),
        "INT",
    );
    let lost = kept.replace("e0 @0 v0", "");
    convicts(
        "acked-lost-below-hw",
        &format!("{lost}\ntorn in frame 3"),
        "t/0 @0: 1",
    );
}
