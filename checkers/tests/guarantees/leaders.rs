//! Who led what, and with what.

use checkers::judgement::{Class, Verdict};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, told, verdict};

/// Two leaders after each other, each in its own epoch.
const TWO: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 at 7.0s..7.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n0,n1 was e0
    n0 said 5.0s follower t/0 e1 from @1 hw @1 was e0
    n0 final t/0: e0 @0 v0 | e1 @1 v1
    n1 final t/0: e0 @0 v0 | e1 @1 v1";

#[test]
fn two_brokers_led_one_epoch() {
    for second in [
        "n0 said 5.5s leader t/0 e1 from @1 hw @1 isr n0 was e0",
        "n0 leader-hw t/0 e1 @1 at 6.0s..6.1s",
    ] {
        let scene = format!("{TWO}\n{second}");
        let finding = convicts("two-leaders-one-epoch", &scene, "{n0, n1} all led e1");
        assert_eq!(finding.evidence.len(), 2, "{finding:?}");
        assert_eq!(finding.class, Class::Unexplained);
    }
}

#[test]
fn one_leader_an_epoch() {
    acquits("two-leaders-one-epoch", TWO, 2);
    // Its own answers, a resumption in a new process, and what others believe are no second leader.
    for innocent in [
        "n1 leader-hw t/0 e1 @1 at 6.0s..6.1s",
        "n1 said 6.0s loaded t/0 @1
        n1 said 6.1s leader t/0 e1 from @1 hw @1 isr n1 was none",
        "n0 believes t/0 leader n0 e1 isr {n0,n1} at 6.0s..6.1s",
        "n0 zk t/0 leader n0 e1 isr {n0,n1} version 3 at 6.0s..6.1s",
        "n0 marks t/0 hw @1 at 6.0s..6.1s",
    ] {
        acquits("two-leaders-one-epoch", &format!("{TWO}\n{innocent}"), 2);
    }
}

#[test]
fn nobody_is_known_to_have_led() {
    let scene = "
        topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 believes t/0 leader n0 e0 isr {n0} at 2s..2.1s
        n0 final t/0: e0 @0 v0";
    abstains("two-leaders-one-epoch", scene, "lines-read");
    abstains("committed-past-election", scene, "lines-read");
    // Two epochs, and one broker's log is missing.
    let silent = TWO.replace("n0 said 5.0s follower t/0 e1 from @1 hw @1 was e0", "");
    let silent = silent.replace(
        "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none",
        "",
    );
    abstains("two-leaders-one-epoch", &silent, "lines-read");
}

/// A second leader of an epoch has an entry of its own among the elections.
#[test]
fn a_second_leader_is_not_dropped() {
    let second = "n0 said 5.5s leader t/0 e1 from @0 hw @0 isr n0 was e0";
    let finding = convicts(
        "committed-past-election",
        &format!("{TWO}\n{second}"),
        "n0 began e1 at @0, and all below @1 had been committed",
    );
    assert_eq!(finding.class, Class::Unexplained);
}

/// Of two leaders of an epoch the later is the one that began later, whatever its name.
#[test]
fn two_leaders_of_an_epoch_are_ordered_by_time() {
    for (first, second) in [("n0", "n1"), ("n1", "n0")] {
        let scene = format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @0 at 3.0s..3.1s
            {first} said 1.0s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            {second} said 1.0s follower t/0 e0 from @0 hw @0 was none
            {second} said 6.0s leader t/0 e0 from @0 hw @0 isr n0,n1 was e0
            n0 final t/0: e0 @0 v0
            n1 final t/0: e0 @0 v0"
        );
        let title = format!("{second} began e0 at @0");
        convicts("committed-past-election", &scene, &title);
    }
}

#[test]
fn a_later_leader_lacks_what_was_committed() {
    for (proof, says) in [
        ("n0 leader-hw t/0 e0 @3 at 2.0s..2.1s", "answered so"),
        (
            "n0 said 2.0s shrinks t/0 from n0,n1 to n0 hw @3 end @3",
            "wrote so",
        ),
        ("c1 send t/0 v8 -> @2 at 2.0s..2.1s", "acks=all"),
        (
            "c1 send t/0 v8 -> ? timed out at 2.0s..2.1s
            c2 poll -> t/0 @2=v8 by n0 at 2.2s..2.3s",
            "a leader gave @2 to c2",
        ),
    ] {
        let scene = format!("{TWO}\n{proof}");
        let finding = convicts(
            "committed-past-election",
            &scene,
            "n1 began e1 at @1, and all below @3 had been committed",
        );
        assert_eq!((finding.class, finding.count), (Class::Unexplained, 2));
        assert!(told(&finding).contains(says), "{}", told(&finding));
    }
}

#[test]
fn what_was_not_committed_may_be_left_behind() {
    acquits("committed-past-election", TWO, 2);
    for innocent in [
        // A follower's high watermark, a leader's of the same or a later epoch, records above it.
        "n1 marks t/0 hw @9 at 2.0s..2.1s",
        "n1 leader-hw t/0 e1 @9 at 6.0s..6.1s",
        "n0 leader-hw t/0 e0 @1 at 2.0s..2.1s",
        "n0 before-f1 4.0s t/0: e0 @0 v0 | e0 @1 foreign foreign | hw @1",
    ] {
        acquits("committed-past-election", &format!("{TWO}\n{innocent}"), 2);
    }
    // Told as committed only after the election: another leader may have committed it.
    let late = format!("{TWO}\nc1 send t/0 v8 -> @2 at 2.0s..5.1s");
    acquits("committed-past-election", &late, 2);
    let read = format!("{TWO}\nc2 poll -> t/0 @2=v1 by n0 at 5.0s..5.1s");
    acquits("committed-past-election", &read, 2);
    // acks=1, and nobody says that it was committed.
    let above = format!("{TWO}\nc1 send t/0 v8 -> @2 at 2.0s..2.1s").replace("acks=all", "acks=1");
    acquits("committed-past-election", &above, 2);
}

#[test]
fn a_checkpoint_proves_no_more_than_its_image_holds() {
    let image = |hw| format!("{TWO}\nn0 before-f1 4.0s t/0: e0 @0 v0 | e0 @1 foreign | hw {hw}");
    convicts("committed-past-election", &image("@9"), "all below @2");
    acquits("committed-past-election", &image("@0"), 2);
}

#[test]
fn an_unclean_election_or_a_lossy_leader_permits_it() {
    let unclean = format!(
        "{TWO}
        n0 leader-hw t/0 e0 @3 at 2.0s..2.1s
        n0 said 0.4s state t/0 e0 isr n0 version 1
        n1 said 4.9s state t/0 e1 isr n1 version 2"
    );
    // The settings forbid it: then it is nobody's excuse.
    let finding = convicts("committed-past-election", &unclean, "n1 began e1");
    assert!(told(&finding).contains("uncleanly"), "{}", told(&finding));
    let allowed = unclean.replace("acks=all", "acks=all unclean.leader.election.enable=true");
    let finding = permits("committed-past-election", &allowed, 2, "n1 began e1");
    assert_eq!(finding.class, Class::UncleanElection);
    for (harm, times) in [
        ("n1 lost from @1 by f1", 1),
        ("n1 wiped by f1", 1),
        ("n1 damaged from @2", 1),
        ("n0 lost from @1 by f1", 0),
        ("n1 lost from @3 by f1", 0),
        ("deleted before @3", 0),
    ] {
        let scene = format!("{TWO}\nn0 leader-hw t/0 e0 @3 at 2.0s..2.1s\nharm t/0 {harm} at 4s");
        match times {
            0 => assert_eq!(
                convicts("committed-past-election", &scene, "n1 began e1").class,
                Class::Unexplained
            ),
            _ => assert_eq!(
                permits("committed-past-election", &scene, 2, "n1 began e1").class,
                Class::LossyLeader
            ),
        }
    }
    // What was lost only afterwards explains nothing.
    let late = format!("{TWO}\nn0 leader-hw t/0 e0 @3 at 2.0s..2.1s\nharm t/0 n1 wiped at 6s");
    convicts("committed-past-election", &late, "n1 began e1");
}

#[test]
fn one_loss_is_told_once() {
    let third = "
        n0 leader-hw t/0 e0 @3 at 2.0s..2.1s
        n0 said 8.0s leader t/0 e2 from @2 hw @2 isr n0,n1 was e1
        n1 said 8.0s follower t/0 e2 from @2 hw @2 was e1";
    let judgement = judged(&format!("{TWO}\n{third}"));
    let Verdict::Broken { findings, .. } = verdict(&judgement, "committed-past-election") else {
        panic!("not broken");
    };
    assert_eq!(findings.len(), 1);
}
