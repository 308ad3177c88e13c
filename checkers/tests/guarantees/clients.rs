//! What clients saw of order, places and answers: real time, changed offsets, misplaced records,
//! holes, in-sync sets.

use checkers::judgement::{Class, Verdict};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, told, verdict};

const LED: &str = "n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none\n";

/// A topic on two replicas with these logs.
fn scene(topic: &str, more: &str, log: &str) -> String {
    let finals = format!("n0 final t/0: {log}\nn1 final t/0: {log}\n");
    format!("topic t on n0,n1 by c1,c2 {topic}\n{LED}{more}\n{finals}")
}

/// It has no row in the judgement.
fn silent(name: &str, scene: &str) {
    let judgement = judged(scene);
    let rows = judgement.topics.iter().flat_map(|topic| &topic.guarantees);
    assert!(rows.into_iter().all(|row| row.name != name), "{name}");
}

const REAL_TIME: &str = "real-time-order-broken";
const SWAPPED: &str = "e0 @0 v1 | e0 @1 v0";

fn sent(second: &str) -> String {
    format!(
        "c1 send t/0 v0 -> @1 at 1.0s..1.1s
        c2 send t/0 v1 -> @0 at {second}"
    )
}

#[test]
fn what_was_acknowledged_first_stands_first_whoever_sent_it() {
    for topic in ["acks=all", "acks=1", "idempotent"] {
        let scene = scene(topic, &sent("1.2s..1.3s"), SWAPPED);
        let finding = convicts(REAL_TIME, &scene, "1 record stands before one");
        let first = finding.first.as_ref().expect("the earlier send");
        let last = finding.last.as_ref().expect("the later send");
        assert_eq!((first.op.0, first.offset), (1, Some(1)));
        assert_eq!((last.op.0, last.offset), (2, Some(0)));
        assert!(told(&finding).contains("v0 of c1 (o1) was acknowledged at @1 by 1.100s"));
    }
}

#[test]
fn each_record_out_of_place_counts_once() {
    let sends = "
        c1 send t/0 v0 -> @2 at 1.0s..1.1s
        c1 send t/0 v1 -> @3 at 1.0s..1.1s
        c2 send t/0 v2 -> @0 at 1.2s..1.3s
        c2 send t/0 v3 -> @1 at 1.4s..1.5s";
    let log = "e0 @0 v2 v3 v0 v1";
    let finding = convicts(REAL_TIME, &scene("", sends, log), "2 records stand");
    assert_eq!(finding.count, 2);
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((0, 2)));
}

#[test]
fn the_order_in_which_a_history_was_written_is_not_that_of_time() {
    // The later send is recorded first.
    let sends = "
        c2 send t/0 v1 -> @0 at 1.2s..1.3s
        c1 send t/0 v0 -> @1 at 1.0s..1.1s";
    convicts(REAL_TIME, &scene("", sends, SWAPPED), "1 record");
    let sends = "
        c2 send t/0 v1 -> @1 at 1.2s..1.3s
        c1 send t/0 v0 -> @0 at 1.0s..1.1s";
    acquits(REAL_TIME, &scene("", sends, "e0 @0 v0 v1"), 2);
}

#[test]
fn sends_that_overlap_are_unordered() {
    for second in ["1.05s..1.3s", "1.1s..1.3s", "0.9s..1.3s"] {
        acquits(REAL_TIME, &scene("", &sent(second), SWAPPED), 2);
    }
    let straight = sent("1.2s..1.3s").replace("v0 -> @1", "v0 -> @0");
    let straight = straight.replace("v1 -> @0", "v1 -> @1");
    acquits(REAL_TIME, &scene("", &straight, "e0 @0 v0 v1"), 2);
}

#[test]
fn only_records_at_their_acknowledged_offsets_count() {
    // v0 was acknowledged at @1, where something else stands now.
    let sends = sent("1.2s..1.3s");
    acquits(REAL_TIME, &scene("", &sends, "e0 @0 v1"), 1);
    let unknown = "c1 send t/0 v0 -> @? at 1.0s..1.1s\nc2 send t/0 v1 -> @0 at 1.2s..1.3s";
    acquits(REAL_TIME, &scene("", unknown, SWAPPED), 1);
}

#[test]
fn real_time_order_says_nothing_where_nothing_was_acknowledged() {
    abstains(REAL_TIME, &scene("", "", ""), "no acknowledged records");
    let refused = "c1 send t/0 v0 -> ? timed out";
    abstains(
        REAL_TIME,
        &scene("", refused, ""),
        "no acknowledged records",
    );
    silent(
        REAL_TIME,
        &scene("acks=0", "c1 send t/0 v0 -> ? acks=0", ""),
    );
    let logless = format!("topic t on n0,n1 by c1,c2\n{LED}{}", sent("1.2s..1.3s"));
    abstains(REAL_TIME, &logless, "no log of t/0");
}

const CHANGED: &str = "read-then-changed";
const ONE: &str = "c1 send t/0 v0 -> @0 at 1.0s..1.1s\nc1 send t/0 v1 -> @1 at 1.2s..1.3s\n";

#[test]
fn an_offset_that_was_read_holds_the_same_for_good() {
    let read = format!("{ONE}c5 poll -> t/0 @1=v9 by n0 at 2.0s..2.1s\nc2 send t/0 v9 -> ? lost");
    let finding = convicts(CHANGED, &scene("", &read, "e0 @0 v0 v1"), "t/0 @1: 1");
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((1, 2)));
    // It is the same thing that vanished: told once.
    assert_eq!(finding.guarantee, "committed-lost");
    let same = read.replace("=v9", "=v1").replace("v9", "v8");
    acquits(CHANGED, &scene("", &same, "e0 @0 v0 v1"), 3);
}

#[test]
fn two_consumers_are_given_the_same() {
    let reads = format!(
        "{ONE}c2 send t/0 v9 -> ? lost
        c5 poll -> t/0 @7=v1 by n0 at 2.0s..2.1s
        c6 poll -> t/0 @7=v9 by n0 at 3.0s..3.1s"
    );
    let finding = convicts(
        CHANGED,
        &scene("", &reads, "e0 @0 v0 v1"),
        "given different records at 1 offset",
    );
    assert!(
        told(&finding).contains("@7 gave v1 to c5"),
        "{}",
        told(&finding)
    );
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((7, 8)));
    let twice = format!(
        "{}\nc6 poll -> t/0 @12=v9 by n0 at 3.2s..3.3s\nc5 poll -> t/0 @12=v0 by n0 at 3.4s..3.5s",
        scene("", &reads, "e0 @0 v0 v1")
    );
    let finding = convicts(CHANGED, &twice, "given different records at 2 offsets");
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((7, 13)));
    // Without a final log as well: what was seen was seen.
    let logless = format!("topic t on n0,n1 by c1,c2\n{LED}{reads}");
    convicts(CHANGED, &logless, "given different records at 1 offset");
    let agreed = logless.replace("@7=v9", "@7=v1");
    abstains(CHANGED, &agreed, "no log of t/0");
}

#[test]
fn what_is_only_gone_has_not_changed() {
    let reads = format!("{ONE}c2 send t/0 v9 -> ? lost\nc5 poll -> t/0 @5=v9 by n0 at 2.0s..2.1s");
    let scene = scene("", &reads, "e0 @0 v0 v1");
    convicts("read-then-vanished", &scene, "1");
    acquits(CHANGED, &scene, 3);
}

/// An unclean election that the settings allow, and a record gone by it.
const UNCLEAN: &str = "
    topic t on n0,n1 by c1 acks=all
    broker unclean.leader.election.enable=true
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c5 poll -> t/0 @0=v0 by n0 at 1.2s..1.3s
    c1 send t/0 v1 -> @0 by n1 at 6.0s..6.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
    n1 said 5.0s leader t/0 e1 from @0 hw @0 isr n1 was e0
    n1 said 0.4s state t/0 e0 isr n0 version 4
    n1 said 4.9s state t/0 e1 isr n1 version 5
    n0 final t/0: e1 @0 v1
    n1 final t/0: e1 @0 v1";

#[test]
fn what_an_unclean_election_changed_is_not_promised() {
    let finding = permits(CHANGED, UNCLEAN, 1, "t/0 @0");
    assert_eq!(finding.class, Class::UncleanElection);
}

#[test]
fn what_one_partition_permits_proves_nothing_of_one_whose_log_is_missing() {
    let two = UNCLEAN.replace("topic t", "topic t partitions=2");
    let both = format!("{two}\nn0 said 0.5s leader t/1 e0 from @0 hw @0 isr n0 was none");
    for name in [
        CHANGED,
        "read-then-vanished",
        "committed-lost",
        "acked-lost-below-hw",
    ] {
        permits(name, UNCLEAN, 1, "t/0 @0");
        let judgement = judged(&both);
        let Verdict::Unproven { why, findings } = verdict(&judgement, name) else {
            panic!("{name}: {:?}", verdict(&judgement, name));
        };
        assert!(
            why.starts_with("the final capture holds no log of t/1"),
            "{name}: {why}"
        );
        assert_eq!(findings.len(), 1, "{name}");
        let logs = format!("{both}\nn0 final t/1:\nn1 final t/1:");
        permits(name, &logs, 1, "t/0 @0");
    }
}

const MISPLACED: &str = "misplaced";

#[test]
fn a_record_stands_in_the_partition_that_it_was_sent_to() {
    let other =
        "topic u on n0,n1 by c3\nn0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        c3 send u/0 v5 -> @0 at 1.0s..1.1s\nn0 final u/0: e0 @0 v5\nn1 final u/0: e0 @0 v5\n";
    let strayed = scene("", &format!("{ONE}{other}"), "e0 @0 v0 v1 | e0 @2 v5");
    let finding = convicts(
        MISPLACED,
        &strayed,
        "t/0: 1 record sent to another partition",
    );
    assert!(told(&finding).contains("sent to u/0"), "{}", told(&finding));
    // The cluster is at fault, or a client library, and not our own history.
    let judgement = judged(&strayed);
    let fates = judgement.premises.iter().find(|p| p.name == "fates");
    let state = &fates.expect("fates").state;
    assert!(matches!(
        state,
        checkers::judgement::PremiseState::Kept { .. }
    ));
    acquits(
        MISPLACED,
        &scene("", &format!("{ONE}{other}"), "e0 @0 v0 v1"),
        2 + 2 + 2,
    );
}

#[test]
fn a_record_given_from_another_partition_is_misplaced_too() {
    let other =
        "topic u on n0,n1 by c3\nn0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        c3 send u/0 v5 -> @0 at 1.0s..1.1s\nn0 final u/0: e0 @0 v5\nn1 final u/0: e0 @0 v5\n";
    let given = format!("{ONE}{other}c5 poll -> t/0 @9=v5 at 2.0s..2.1s");
    let finding = convicts(
        MISPLACED,
        &scene("", &given, "e0 @0 v0 v1"),
        "another partition",
    );
    assert!(
        told(&finding).contains("was given to c5"),
        "{}",
        told(&finding)
    );
}

#[test]
fn partitions_are_told_apart_in_whatever_order_a_history_names_them() {
    let other =
        "topic u on n0,n1 by c3\nn0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        c3 send u/0 v5 -> @0 at 0.8s..0.9s\nn0 final u/0: e0 @0 v5\nn1 final u/0: e0 @0 v5\n";
    let reads = "c5 poll -> u/0 @0=v5, t/0 @0=v0 by n0 at 2.0s..2.1s\n";
    let both = scene("", &format!("{other}{ONE}{reads}"), "e0 @0 v0 v1");
    acquits(&format!("{MISPLACED} of t"), &both, 2 + 2 + 2 + 1);
    acquits(&format!("{MISPLACED} of u"), &both, 1 + 1 + 1 + 1);
    let wrong = both.replace("u/0 @0=v5, t/0 @0=v0", "u/0 @3=v0, t/0 @3=v5");
    for topic in ["t", "u"] {
        convicts(
            &format!("{MISPLACED} of {topic}"),
            &wrong,
            "another partition",
        );
    }
}

#[test]
fn what_strayed_on_one_replica_only_is_misplaced_there() {
    let other =
        "topic u on n0,n1 by c3\nn0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        c3 send u/0 v5 -> @0 at 1.0s..1.1s\nn0 final u/0: e0 @0 v5\nn1 final u/0: e0 @0 v5\n";
    let both = scene("", &format!("{ONE}{other}"), "e0 @0 v0 v1 | e0 @2 v5");
    for (node, other) in [("n0", "n1"), ("n1", "n0")] {
        let one = both.replace(
            &format!("{other} final t/0: e0 @0 v0 v1 | e0 @2 v5"),
            &format!("{other} final t/0: e0 @0 v0 v1"),
        );
        let finding = convicts(MISPLACED, &one, "1 record sent to another partition");
        let place = format!("stands in images/{node}-final");
        assert!(told(&finding).contains(&place), "{}", told(&finding));
        assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((2, 3)));
    }
}

#[test]
fn our_clients_give_no_keys_and_no_headers() {
    let keyed = scene("", ONE, "e0 @0 v0 v1 key=k");
    convicts(MISPLACED, &keyed, "1 record with a key that nobody gave");
    let headed = scene("", ONE, "e0 @0 v0 headers v1 headers");
    convicts(
        MISPLACED,
        &headed,
        "2 records with headers that nobody gave",
    );
    acquits(MISPLACED, &scene("", ONE, "e0 @0 v0 v1"), 6);
    abstains(
        MISPLACED,
        &scene("", "", ""),
        "no stored and delivered records",
    );
}

#[test]
fn a_record_of_nobody_is_a_broken_premise_and_not_misplaced() {
    let judgement = judged(&scene("", ONE, "e0 @0 v0 v1 v77"));
    let fates = judgement.premises.iter().find(|p| p.name == "fates");
    let state = format!("{:?}", fates.expect("fates").state);
    assert!(state.contains("not sent there"), "{state}");
    assert!(matches!(
        verdict(&judgement, MISPLACED),
        Verdict::Held { .. }
    ));
}

const HOLE: &str = "log-hole";

#[test]
fn logs_have_no_holes() {
    let finding = convicts(HOLE, &scene("", ONE, "e0 @0 v0 | e0 @2 v1"), "1 hole");
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((1, 2)));
    let text = told(&finding);
    assert!(
        text.contains("a batch ends at @0 and the next begins at @2"),
        "{text}"
    );
    convicts(HOLE, &scene("", ONE, "e0 @0 v0 v1 count=1"), "1 hole");
    convicts(HOLE, &scene("", ONE, "e0 @0 v0 v1 | e0 @1 v1"), "1 hole");
    acquits(HOLE, &scene("", ONE, "e0 @0 v0 | e0 @1 v1"), 4);
    // Where a log begins is another matter, and markers fill their place.
    acquits(
        HOLE,
        &scene("", ONE, "e0 @5 v0 | e0 @6 commit pid=7.0 | e0 @7 v1"),
        6,
    );
}

#[test]
fn a_hole_in_an_earlier_image_counts_unless_it_was_copied_while_it_changed() {
    let earlier = |tail: &str| {
        let image = format!("n1 before-f1 5.0s t/0: e0 @0 v0 | e0 @2 v1 {tail}");
        scene("", &format!("{ONE}{image}"), "e0 @0 v0 | e0 @1 v1")
    };
    convicts(HOLE, &earlier(""), "1 hole in the log of n1");
    acquits(HOLE, &earlier("| smeared"), 4);
}

#[test]
fn compaction_makes_holes_and_so_may_a_policy_that_was_changed() {
    let log = "e0 @0 v0 | e0 @2 v1";
    let row = |text: &str| match verdict(&judged(text), HOLE) {
        Verdict::NotPromised { why, observed, .. } => (why, observed),
        other => panic!("{other:?}"),
    };
    let (why, observed) = row(&scene("cleanup.policy=compact", ONE, log));
    assert!(why.contains("compaction") && observed == 0, "{why}");
    let changed = format!(
        "{ONE}set t cleanup.policy=compact at 2.0s..2.1s\nset t cleanup.policy=delete at 3.0s..3.1s"
    );
    row(&scene("cleanup.policy=delete", &changed, log));
    let others = format!("{ONE}set u cleanup.policy=compact at 2.0s..2.1s");
    convicts(
        HOLE,
        &scene("cleanup.policy=delete", &others, log),
        "1 hole",
    );
    let brokers = format!("{ONE}set brokers log.cleanup.policy=compact at 2.0s..2.1s");
    row(&scene("", &brokers, log));
    abstains(HOLE, &scene("", "", ""), "no batches");
}

const UNDER: &str = "acked-under-min-isr";

/// One acknowledged send between two answers of ZooKeeper; its leader knew the set of the first.
fn watched(topic: &str, before: &str, after: &str, more: &str) -> String {
    let more = format!(
        "c1 send t/0 v0 -> @0 by n0 at 3.0s..3.5s
        n0 zk t/0 leader n0 e0 isr {before} at 1.0s..1.1s
        n0 zk t/0 leader n0 e0 isr {after} at 4.0s..4.1s
        {more}"
    );
    let (set, _) = before.split_once(' ').expect("a set and a version");
    let known = format!("isr {} was none", set.trim_matches(['{', '}']));
    scene(topic, &more, "e0 @0 v0").replace("isr n0,n1 was none", &known)
}

const MIN_2: &str = "min.insync.replicas=2";

#[test]
fn an_answer_needs_enough_replicas_in_sync() {
    let small = watched(MIN_2, "{n0} version 3", "{n0} version 3", "");
    let finding = convicts(UNDER, &small, "1 record was acknowledged with too few");
    assert!(
        told(&finding).contains("{n0} (version 3)"),
        "{}",
        told(&finding)
    );
    let twice = watched(MIN_2, "{n0} version 3", "{n1} version 4", "");
    convicts(UNDER, &twice, "1 record");
    // Once large enough is enough.
    let grown = watched(MIN_2, "{n0} version 3", "{n0,n1} version 4", "");
    acquits(UNDER, &grown, 1);
    acquits(
        UNDER,
        &watched(MIN_2, "{n0,n1} version 3", "{n0,n1} version 3", ""),
        1,
    );
}

/// Seen in a storm: a controller took the only follower from the set of a leader that was cut off from
/// ZooKeeper; the follower fetched for some more milliseconds, and both held what was acknowledged.
#[test]
fn a_leader_counts_with_the_set_that_it_knows() {
    let small = watched(MIN_2, "{n0} version 3", "{n0} version 3", "");
    let finding = convicts(UNDER, &small, "1 record");
    assert!(
        told(&finding).contains("n0, which acknowledged it, knew"),
        "{}",
        told(&finding)
    );
    let deposed = small.replace("isr n0 was none", "isr n0,n1 was none");
    acquits(UNDER, &deposed, 1);
    // It was told in time; while the send was under way; when it was over.
    let told_at = |at: &str| format!("{deposed}\nn0 said {at} isr t/0 n0 version 3");
    convicts(UNDER, &told_at("2.9s"), "1 record");
    acquits(UNDER, &told_at("3.2s"), 1);
    acquits(UNDER, &told_at("3.6s"), 1);
    // It began anew, with the small set; with a large one, until a moment before.
    let again =
        |isr: &str| format!("{deposed}\nn0 said 2.5s leader t/0 e1 from @0 hw @0 isr {isr} was e0");
    convicts(UNDER, &again("n0"), "1 record");
    acquits(UNDER, &again("n0,n1"), 1);
    // Another's words are not its own, and nobody's are unknown.
    let other = small.replace("by n0", "by n1");
    abstains(
        UNDER,
        &other,
        "no acknowledged records whose in-sync sets are known",
    );
    let nobody = small.replace(" by n0", "");
    abstains(
        UNDER,
        &nobody,
        "no acknowledged records whose in-sync sets are known",
    );
}

#[test]
fn where_the_in_sync_set_is_not_known_throughout_nothing_is_said() {
    let gap = watched(MIN_2, "{n0} version 3", "{n0} version 5", "");
    abstains(
        UNDER,
        &gap,
        "no acknowledged records whose in-sync sets are known",
    );
    let filled = "n0 said 2.0s state t/0 e0 isr n0,n1 version 4";
    acquits(
        UNDER,
        &watched(MIN_2, "{n0} version 3", "{n0} version 5", filled),
        1,
    );
    let filled = filled.replace("isr n0,n1", "isr n1");
    convicts(
        UNDER,
        &watched(MIN_2, "{n0} version 3", "{n0} version 5", &filled),
        "1 record",
    );
    // The answer of ZooKeeper came after the send began, or was asked for before it ended.
    for (from, to) in [("1.0s..1.1s", "1.0s..3.1s"), ("4.0s..4.1s", "3.4s..4.1s")] {
        let late = watched(MIN_2, "{n0} version 3", "{n0} version 3", "").replace(from, to);
        abstains(UNDER, &late, "no acknowledged records");
    }
    abstains(
        UNDER,
        &scene(MIN_2, ONE, "e0 @0 v0 v1"),
        "no acknowledged records",
    );
}

#[test]
fn one_replica_in_sync_is_always_there() {
    acquits(UNDER, &scene("acks=all", ONE, "e0 @0 v0 v1"), 2);
    let judgement = judged(&watched(
        "acks=1 min.insync.replicas=2",
        "{n0} version 3",
        "{n0} version 3",
        "",
    ));
    let Verdict::NotPromised { why, observed, .. } = verdict(&judgement, UNDER) else {
        panic!("acks=1 does not ask");
    };
    assert!(why.contains("acks=1") && observed == 0);
}

#[test]
fn what_was_wanted_is_what_was_in_force() {
    let small = |more: &str| watched(MIN_2, "{n0} version 3", "{n0} version 3", more);
    acquits(
        UNDER,
        &small("set t min.insync.replicas=1 at 2.0s..2.1s"),
        1,
    );
    // Under way: either may have been in force.
    acquits(
        UNDER,
        &small("set t min.insync.replicas=1 at 3.2s..9.0s"),
        1,
    );
    convicts(
        UNDER,
        &small("set t min.insync.replicas=1 at 3.6s..3.7s"),
        "1 record",
    );
    let back =
        "set t min.insync.replicas=1 at 1.0s..1.1s\nset t min.insync.replicas=2 at 2.0s..2.1s";
    convicts(UNDER, &small(back), "1 record");
    let raised = watched(
        "",
        "{n0} version 3",
        "{n0} version 3",
        "set t min.insync.replicas=2 at 2.0s..2.1s",
    );
    convicts(UNDER, &raised, "1 record");
    // Whether the topic follows its brokers was not recorded: either may have been in force.
    acquits(
        UNDER,
        &small("set brokers min.insync.replicas=1 at 2.0s..2.1s"),
        1,
    );
    // It does not: what it had was not what they had.
    convicts(
        UNDER,
        &small("broker min.insync.replicas=3\nset brokers min.insync.replicas=1 at 2.0s..2.1s"),
        "1 record",
    );
}
