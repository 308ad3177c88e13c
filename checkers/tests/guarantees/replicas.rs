//! Agreement of replicas.

use checkers::judgement::{Class, Verdict};

use crate::{abstains, acquits, convicts, permits};

const HEAD: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 at 1.2s..1.3s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none";

fn scene(n0: &str, n1: &str) -> String {
    format!("{HEAD}\nn0 final t/0: {n0}\nn1 final t/0: {n1}")
}

#[test]
fn replicas_differ_below_the_hw() {
    let apart = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1 tag=x");
    convicts(
        "divergence-below-hw",
        &apart,
        "t/0 @1: n1 and the leader differ",
    );
    convicts("divergence-lasting", &apart, "t/0 @1: n1");
    let same = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1");
    acquits("divergence-below-hw", &same, 2);
    acquits("divergence-lasting", &same, 2);
}

#[test]
fn a_shorter_follower_diverges_lastingly_but_not_below_its_own_hw() {
    let shorter = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0");
    acquits("divergence-below-hw", &shorter, 2);
    convicts("divergence-lasting", &shorter, "t/0 @1: n1");
}

#[test]
fn rest_is_judged_only_of_runs_that_came_to_rest() {
    let apart = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1 tag=x");
    for name in ["divergence-below-hw", "divergence-lasting", "stuck"] {
        abstains(name, &format!("{apart}\nno drain"), "settled");
        abstains(name, &format!("{apart}\nended interrupted INT"), "settled");
    }
}

#[test]
fn what_is_broken_in_one_partition_is_broken_whatever_is_missing_of_another() {
    let two = |scene: &str| {
        let two = scene.replace("topic t", "topic t partitions=2");
        format!("{two}\nn0 said 0.5s leader t/1 e0 from @0 hw @0 isr n0,n1 was none")
    };
    let apart = two(&scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1 tag=x"));
    let same = two(&scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1"));
    for name in ["divergence-below-hw", "divergence-lasting"] {
        convicts(name, &apart, "t/0 @1: n1");
        abstains(name, &same, "no log of t/1");
    }
    let prefix = two(PREFIX);
    convicts("committed-prefix", &prefix, "the committed part of n1");
    abstains("committed-prefix", &same, "no log of t/1");
}

#[test]
fn a_single_replica_has_none_to_agree_with() {
    let alone = "
        topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n0 final t/0: e0 @0 v0";
    for name in ["divergence-below-hw", "divergence-lasting"] {
        let verdict = crate::verdict(&crate::scene::judged(alone), name);
        assert!(
            matches!(&verdict, Verdict::NotPromised { why, .. } if why.contains("single replica")),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_missing_replica_is_a_failed_premise() {
    let alone = format!("{HEAD}\nn0 final t/0: e0 @0 v0 | e0 @1 v1");
    abstains("divergence-below-hw", &alone, "t/0 on n1");
}

#[test]
fn one_offset_in_one_epoch_is_one_batch() {
    let apart = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1 tag=x");
    convicts("log-matching-broken", &apart, "t/0 @1: n0 and n1");
    let epochs = scene("e0 @0 v0 | e1 @1 v1", "e0 @0 v0 | e0 @1 v1");
    acquits("log-matching-broken", &epochs, 1);
    let smeared = scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1 tag=x | smeared");
    abstains("log-matching-broken", &smeared, "no batches");
}

/// n1 held v1, committed; the final log has another record there.
const PREFIX: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 at 1.2s..1.3s
    n1 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n0 said 2.5s leader t/0 e1 from @1 hw @1 isr n0 was e0
    n1 before-f1 2.0s t/0: e0 @0 v0 | e0 @1 v1
    n0 final t/0: e0 @0 v0 | e1 @1 foreign
    n1 final t/0: e0 @0 v0 | e1 @1 foreign";

#[test]
fn a_committed_part_that_the_final_log_lacks() {
    let finding = convicts(
        "committed-prefix",
        PREFIX,
        "t/0 @1: the committed part of n1",
    );
    assert_eq!(finding.class, Class::Unexplained);
    let above = PREFIX.replace("acks=all", "acks=1");
    acquits("committed-prefix", &above, 2);
    let unknown = above.replace("hw @1 isr n0 was", "hw @0 isr n0 was");
    abstains(
        "committed-prefix",
        &format!("{unknown}\nno drain"),
        "no batches",
    );
}

#[test]
fn logs_are_well_formed() {
    let bad = |log: &str| scene(log, "e0 @0 v0 | e0 @1 v1");
    convicts(
        "log-malformed",
        &bad("e0 @0 v0 | e0 @1 v1 | crc"),
        "1 fault",
    );
    convicts("log-malformed", &bad("e0 @1 v1 | e0 @0 v0"), "1 fault");
    convicts("log-malformed", &bad("e1 @0 v0 | e0 @1 v1"), "1 fault");
    convicts(
        "log-malformed",
        &bad("e0 @0 v0 pid=7.0+0 | e0 @1 v1 pid=7.0+2"),
        "1 fault",
    );
    acquits(
        "log-malformed",
        &bad("e0 @0 v0 pid=7.0+2147483647 | e0 @1 v1 pid=7.0+0"),
        4,
    );
    acquits(
        "log-malformed",
        &bad("e0 @0 v0 pid=7.0+5 | e0 @1 v1 pid=7.1+0"),
        4,
    );
    abstains("log-malformed", &scene("", ""), "no batches");
}

#[test]
fn records_that_nobody_sent() {
    let odd = scene("e0 @0 v0 | e0 @1 v1 foreign", "e0 @0 v0 | e0 @1 v1 corrupt");
    convicts("phantom", &odd, "1 record that nobody sent");
    let given = format!(
        "{}\nc2 poll -> t/0 @1=corrupt at 2.0s..2.1s",
        scene("e0 @0 v0", "e0 @0 v0")
    );
    convicts("phantom", &given, "1 record that nobody sent");
    acquits(
        "phantom",
        &scene("e0 @0 v0 | e0 @1 v1", "e0 @0 v0 | e0 @1 v1"),
        6,
    );
    abstains("phantom", &scene("", ""), "no stored");
}

#[test]
fn a_divergence_after_an_unclean_election_is_excused() {
    let scene = "
        topic t on n0,n1 by c1 acks=all unclean.leader.election.enable=true
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n1 said 0.5s leader t/0 e0 from @0 hw @0 isr n1 was none
        n0 said 0.4s state t/0 e0 isr n1 version 1
        n0 said 2.4s state t/0 e1 isr n0 version 2
        n0 said 2.5s leader t/0 e1 from @0 hw @0 isr n0 was e0
        n1 before-f1 2.0s t/0: e0 @0 v0
        n0 final t/0: e1 @0 foreign
        n1 final t/0: e1 @0 foreign";
    let finding = permits(
        "committed-prefix",
        scene,
        1,
        "t/0 @0: the committed part of n1",
    );
    assert_eq!(finding.class, Class::UncleanElection);
}
