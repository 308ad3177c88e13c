//! Watermarks in their order, and whether they get where they should.

use checkers::judgement::{Class, Verdict};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, verdict};

/// Two replicas at rest. The scene's own watch gives two answers to compare of n0, its log end after
/// its high watermark and its high watermark after its stable offset, and n1's log end after that.
const CALM: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n0 final t/0: e0 @0 v0 v1 v2 v3 v4
    n1 final t/0: e0 @0 v0 v1 v2 v3 v4";

fn holds(name: &str, scene: &str) {
    let verdict = verdict(&judged(scene), name);
    assert!(
        matches!(verdict, Verdict::Held { .. }),
        "{verdict:?}\n{scene}"
    );
}

fn calm(more: &str) -> String {
    format!("{CALM}\n{more}")
}

#[test]
fn a_high_watermark_beyond_the_log_end() {
    for node in ["n0", "n1"] {
        let scene = calm(&format!(
            "{node} marks t/0 hw @5 at 8.0s..8.1s
            {node} leo t/0 @4 at 8.2s..8.3s"
        ));
        let title = format!("the high watermark of {node} stood at @5, its log end later at @4");
        let finding = convicts("watermarks-disordered", &scene, &title);
        assert_eq!(finding.evidence.len(), 2);
        assert!(finding.evidence[0].text.contains("hw @5"), "{finding:?}");
    }
    let leader = calm(
        "n0 leader-hw t/0 e0 @5 at 8.0s..8.1s
        n0 leo t/0 @4 at 8.2s..8.3s",
    );
    convicts("watermarks-disordered", &leader, "stood at @5");
}

#[test]
fn a_stable_offset_beyond_the_high_watermark() {
    let scene = calm(
        "n0 marks t/0 hw @5 lso @5 at 8.0s..8.1s
        n0 marks t/0 hw @4 lso @4 at 8.2s..8.3s",
    );
    convicts(
        "watermarks-disordered",
        &scene,
        "the last stable offset of n0 stood at @5, its high watermark later at @4",
    );
}

/// Every row has one pair of answers out of order, and something that may have come in between.
#[test]
fn races_of_probes_are_no_findings() {
    for race in [
        // Asked before the other was answered.
        "n0 marks t/0 hw @5 at 8.0s..8.3s\nn0 leo t/0 @4 at 8.2s..8.4s",
        // The log end was asked first.
        "n0 leo t/0 @4 at 8.0s..8.1s\nn0 marks t/0 hw @5 at 8.2s..8.3s",
        // One answer reads the two one after the other.
        "n0 marks t/0 hw @4 lso @5 at 8.2s..8.3s",
        // Another broker's.
        "n0 marks t/0 hw @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s",
        // A cut; and a watermark that the broker saw going back itself.
        "n1 marks t/0 hw @5 at 8.0s..8.1s\nn1 said 8.15s cut t/0 @4\nn1 leo t/0 @4 at 8.2s..8.3s",
        "n1 marks t/0 hw @5 lso @5 at 8.0s..8.1s\nn1 said 8.15s hw-back t/0 @5 @4
            n1 marks t/0 hw @4 at 8.2s..8.3s",
        // A line is written a moment before its deed: answers around it are left out.
        "n1 said 7.9s cut t/0 @4\nn1 marks t/0 hw @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s",
        // Up to a second around it.
        "n1 said 7.0s cut t/0 @4\nn1 marks t/0 hw @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s",
        "n1 said 9.1s cut t/0 @4\nn1 marks t/0 hw @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s",
        // Another role.
        "n1 marks t/0 hw @5 at 6.0s..6.1s\nn1 said 7.9s follower t/0 e1 from @5 hw @5 was e0
            n1 leo t/0 @4 at 9.2s..9.3s",
        // Another process: by its lines, and by the host's process table.
        "n1 marks t/0 hw @5 at 6.0s..6.1s\nn1 said 7.9s loaded t/0 @4
            n1 said 7.95s follower t/0 e0 from @4 hw @4 was none\nn1 leo t/0 @4 at 9.2s..9.3s",
        "n1 marks t/0 hw @5 at 6.0s..6.1s\nn1 broker killed at 7.5s
            n1 broker started 7 at 7.6s\nn1 leo t/0 @4 at 9.2s..9.3s",
        // In order.
        "n1 marks t/0 hw @4 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s\nn1 leo t/0 @4 at 8.4s..8.5s",
        // Kafka's -1: not known.
        "n1 marks t/0 hw @4 at 8.0s..8.1s\nn1 leo t/0 @-1 at 8.2s..8.3s",
    ] {
        holds("watermarks-disordered", &calm(race));
    }
}

#[test]
fn what_came_more_than_a_second_before_or_after_is_no_excuse() {
    for far in ["6.999s", "9.301s"] {
        let scene = calm(&format!(
            "n1 said {far} cut t/0 @4
            n1 marks t/0 hw @5 at 8.0s..8.1s
            n1 leo t/0 @4 at 8.2s..8.3s"
        ));
        convicts("watermarks-disordered", &scene, "its log end later at @4");
    }
}

#[test]
fn without_lines_nothing_is_known_of_what_came_between() {
    let scene = "
        topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 marks t/0 hw @5 at 8.0s..8.1s
        n0 leo t/0 @4 at 8.2s..8.3s
        n0 final t/0: e0 @0 v0";
    abstains("watermarks-disordered", scene, "lines-read");
    abstains("watermarks-disordered", &calm("no watch"), "no answers");
}

#[test]
fn an_in_sync_follower_lacks_what_is_committed() {
    let scene = calm(
        "n0 leader-hw t/0 e0 @5 at 8.0s..8.1s
        n1 leo t/0 @4 at 8.2s..8.3s
        n1 leo t/0 @3 at 8.4s..8.5s",
    );
    let finding = convicts(
        "isr-member-lacks-data",
        &scene,
        "n1 was in sync and ended at @4, below the @5 of n0",
    );
    assert_eq!((finding.class, finding.count), (Class::Unexplained, 2));
    // The leader's other answer tells as much.
    let plain = scene.replace("leader-hw t/0 e0 @5", "marks t/0 hw @5");
    convicts("isr-member-lacks-data", &plain, "n1 was in sync");
    // A change of the set long before, and one long after.
    let between = format!(
        "{scene}\nn0 said 4.0s isr t/0 n0 version 1\nn0 said 5.0s isr t/0 n0,n1 version 2
        n0 said 20.0s isr t/0 n0 version 3"
    );
    convicts("isr-member-lacks-data", &between, "n1 was in sync");
}

#[test]
fn a_follower_that_need_not_have_it() {
    let pair = "n0 leader-hw t/0 e0 @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s";
    for innocent in [
        // The log end was asked first, or while the other answer was awaited.
        "n1 leo t/0 @4 at 8.0s..8.1s\nn0 leader-hw t/0 e0 @5 at 8.2s..8.3s".to_owned(),
        "n1 leo t/0 @4 at 8.05s..8.2s\nn0 leader-hw t/0 e0 @5 at 8.0s..8.1s".to_owned(),
        // Out of the set, as the leader, the controller or ZooKeeper alone says.
        format!("{pair}\nn0 said 4.0s isr t/0 n0 version 1"),
        format!("{pair}\nn0 said 8.15s isr t/0 n0 version 1"),
        format!("{pair}\nn0 said 8.15s shrinks t/0 from n0,n1 to n0 hw @5 end @5"),
        format!("{pair}\nn1 said 8.15s state t/0 e0 isr n0 version 1"),
        format!(
            "{pair}\nn0 zk t/0 leader n0 e0 isr {{n0,n1}} version 0 at 7.0s..7.1s
            n0 zk t/0 leader n0 e0 isr {{n0}} version 1 at 20s..20.1s"
        ),
        // Another role, another process, a cut: of either.
        format!("{pair}\nn1 said 8.15s follower t/0 e1 from @4 hw @4 was e0"),
        format!("{pair}\nn1 said 8.15s cut t/0 @4"),
        format!("{pair}\nn1 broker killed at 8.15s\nn1 broker started 7 at 8.16s"),
        // Not the leader's word.
        "n1 marks t/0 hw @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s".to_owned(),
        "n0 leader-hw t/0 e9 @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s".to_owned(),
    ] {
        let again = "n0 said 50.0s isr t/0 n0,n1 version 9";
        holds(
            "isr-member-lacks-data",
            &calm(&format!("{innocent}\n{again}")),
        );
    }
    acquits("isr-member-lacks-data", CALM, 1);
    acquits("watermarks-disordered", CALM, 2);
}

#[test]
fn a_deposed_leader_convicts_nobody() {
    // n1 leads e1 from 5 s on; what n0 says after that is a follower's word.
    let scene = calm(
        "n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n0,n1 was e0
        n0 said 5.0s follower t/0 e1 from @1 hw @1 was e0
        n0 marks t/0 hw @5 at 8.0s..8.1s
        n1 leo t/0 @4 at 8.2s..8.3s",
    );
    holds("isr-member-lacks-data", &scene);
}

#[test]
fn a_power_cut_excuses_the_follower() {
    let pair = "n0 leader-hw t/0 e0 @5 at 8.0s..8.1s\nn1 leo t/0 @4 at 8.2s..8.3s";
    for harm in [
        "n1 lost from @4 by f1",
        "n1 wiped by f1",
        "n1 damaged from @0",
    ] {
        let scene = calm(&format!("{pair}\nharm t/0 {harm} at 3s"));
        let finding = permits("isr-member-lacks-data", &scene, 1, "n1 was in sync");
        assert_eq!(finding.class, Class::LossyLeader);
    }
    for other in ["n0 lost from @4 by f1", "deleted before @5"] {
        let scene = calm(&format!("{pair}\nharm t/0 {other} at 3s"));
        convicts("isr-member-lacks-data", &scene, "n1 was in sync");
    }
}

#[test]
fn nobody_to_look_at() {
    let alone = "
        topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n0 final t/0: e0 @0 v0";
    let verdict = verdict(&judged(alone), "isr-member-lacks-data");
    assert!(
        matches!(verdict, Verdict::NotPromised { .. }),
        "{verdict:?}"
    );
    abstains("isr-member-lacks-data", &calm("no watch"), "no log ends");
}

/// What every replica held before the drain, and the leader's watermark after it.
fn stalled(n0: &str, n1: &str, hw: &str) -> String {
    calm(&format!(
        "n0 believes t/0 leader n0 e0 isr {{n0,n1}} at 9s..9.1s
        n0 leo t/0 {n0} at 99.1s..99.2s
        n1 leo t/0 {n1} at 99.1s..99.2s
        n0 marks t/0 hw {hw} at 99.7s..99.8s"
    ))
}

#[test]
fn a_watermark_that_stands_still() {
    let finding = convicts(
        "hw-stalled",
        &stalled("@3", "@2", "@1"),
        "the high watermark of n0 stood still at @1",
    );
    let range = finding.offsets.expect("offsets");
    assert_eq!((range.from, range.to), (1, 2));
    assert_eq!(finding.evidence.len(), 3);
}

#[test]
fn a_watermark_that_may_still_move() {
    acquits("hw-stalled", CALM, 1);
    acquits("hw-stalled", &stalled("@3", "@2", "@2"), 1);
    // A follower without the records, or one that said so only in the drain, or not at all.
    acquits("hw-stalled", &stalled("@3", "@1", "@1"), 1);
    let late = stalled("@3", "@2", "@1").replace(
        "n1 leo t/0 @2 at 99.1s..99.2s",
        "n1 leo t/0 @2 at 99.55s..99.6s",
    );
    acquits("hw-stalled", &late, 1);
    let silent = stalled("@3", "@2", "@1").replace("n1 leo t/0 @2 at 99.1s..99.2s", "");
    acquits("hw-stalled", &silent, 1);
    // Out of the set: the leader does not wait for it, and stands still all the same.
    let out = stalled("@3", "@0", "@1").replace("{n0,n1}", "{n0}");
    convicts("hw-stalled", &out, "stood still at @1");
}

#[test]
fn a_watermark_that_nobody_asked_for() {
    abstains("hw-stalled", &calm("no watch"), "no partitions");
    // Asked while the cluster was settling: it had arrived, or may have been on its way.
    let early = |hw: &str| calm(&format!("no watch\nn0 marks t/0 hw {hw} at 99.2s..99.3s"));
    acquits("hw-stalled", &early("@5"), 1);
    abstains("hw-stalled", &early("@4"), "no partitions");
    abstains(
        "hw-stalled",
        &stalled("@3", "@2", "@1").replace("topic", "no drain\ntopic"),
        "settled",
    );
}
