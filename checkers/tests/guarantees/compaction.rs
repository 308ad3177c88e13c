//! Compacted topics: what a later record of a key replaced is no loss, and all else is judged.

use checkers::judgement::{Class, Fold, Verdict};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, told, verdict};

/// Three records, of which the first was replaced by the third; an image of before shows its key.
fn scene(earlier: &str, n0: &str, n1: &str) -> String {
    format!(
        "topic t on n0,n1 by c1 acks=all idempotent cleanup.policy=compact
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
        c1 send t/0 v2 -> @2 by n0 at 1.4s..1.5s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        {earlier}
        n0 final t/0: {n0}
        n1 final t/0: {n1}"
    )
}

const EARLIER: &str = "n0 before-f1 3.0s t/0: e0 @0 v0 key=a | e0 @1 v1 key=b";
const CLEANED: &str = "e0 @1 v1 key=b | e0 @2 v2 key=a";
const WHOLE: &str = "e0 @0 v0 key=a | e0 @1 v1 key=b | e0 @2 v2 key=a";

/// What is left open for want of probes, compacted or not, and nothing else.
fn holds(text: &str) -> bool {
    let open = |text: &str| -> Vec<String> {
        let mut all = judged(text).topics.remove(0).guarantees;
        all.retain(|one| matches!(one.verdict, Verdict::Unproven { .. }));
        all.into_iter().map(|one| one.name).collect()
    };
    let plain = scene("", WHOLE, WHOLE).replace(" cleanup.policy=compact", "");
    let plain = plain.replace(" key=a", "").replace(" key=b", "");
    judged(text).fold != Fold::Broken && open(text) == open(&plain)
}

#[test]
fn a_run_of_which_all_is_accounted_for_holds() {
    for (n0, n1) in [(CLEANED, CLEANED), (CLEANED, WHOLE)] {
        let text = scene(EARLIER, n0, n1);
        acquits("acked-lost-below-hw", &text, 3);
        acquits("committed-prefix", &text, if n1 == WHOLE { 5 } else { 4 });
        acquits("divergence-below-hw", &text, 2);
        acquits("duplicate-in-log", &text, 2);
        let judgement = judged(&text);
        assert!(holds(&text), "{:?}", judgement.sentence);
        let accounting = &judgement.topics[0].accounting;
        let row = &accounting.acknowledged;
        assert_eq!((row.sent, row.present, row.superseded), (3, 2, 1));
        assert!(accounting.imbalance.is_empty());
    }
    // Nothing was replaced yet.
    assert!(holds(&scene(EARLIER, WHOLE, WHOLE)));
}

#[test]
fn what_nothing_replaced_is_lost() {
    let other = CLEANED.replace("key=a", "key=c");
    let finding = convicts(
        "acked-lost-below-hw",
        &scene(EARLIER, &other, &other),
        "1 acknowledged record",
    );
    assert_eq!(finding.class, Class::Compaction);
    assert!(told(&finding).contains("KAFKA-13194"), "{}", told(&finding));
    // Nothing takes the last record of a log but who cuts it.
    let last = format!("{EARLIER} | e0 @2 v2 key=c");
    let cut = "e0 @0 v0 key=a | e0 @1 v1 key=b";
    let finding = convicts("acked-lost-below-hw", &scene(&last, cut, cut), "t/0 @2: 1");
    assert_eq!(finding.class, Class::Unexplained);
    // A record of its key before it replaces nothing.
    let earlier = EARLIER.replace("v1 key=b", "v1 key=a");
    let log = "e0 @0 v0 key=a | e0 @2 v2 key=b";
    convicts(
        "acked-lost-below-hw",
        &scene(&earlier, log, log),
        "1 acknowledged record",
    );
}

#[test]
fn where_replicas_differ_by_what_the_cleaner_took_it_is_to_blame() {
    let (lacks, holds) = (
        CLEANED.replace("key=a", "key=c"),
        WHOLE.replace("v2 key=a", "v2 key=c"),
    );
    let one = scene(EARLIER, &lacks, &holds);
    for guarantee in ["divergence-below-hw", "committed-prefix"] {
        let finding = convicts(guarantee, &one, "n1");
        assert_eq!(finding.class, Class::Compaction, "{guarantee}");
    }
    // It takes nothing from the end of a log.
    let more = scene(EARLIER, &lacks, &holds.replace("v2 key=c", "v9 key=c"));
    let finding = convicts("divergence-below-hw", &more, "n1");
    assert_eq!(finding.class, Class::Unexplained);
}

#[test]
fn a_key_that_nobody_saw_leaves_it_open() {
    assert!(!holds(&scene("", CLEANED, CLEANED)));
    abstains(
        "acked-lost-below-hw",
        &scene("", CLEANED, CLEANED),
        "the evidence that would tell is missing",
    );
}

#[test]
fn replicas_may_differ_by_what_they_replaced_and_by_nothing_else() {
    // n1 lacks what it did not replace.
    convicts(
        "divergence-below-hw",
        &scene(EARLIER, CLEANED, "e0 @2 v2 key=a"),
        "n1 and the leader differ",
    );
    // And it holds another record there.
    let changed = "e0 @1 v0 key=b | e0 @2 v2 key=a";
    convicts(
        "divergence-below-hw",
        &scene(EARLIER, CLEANED, changed),
        "t/0 @1: n1 and the leader differ",
    );
    convicts(
        "committed-prefix",
        &scene(EARLIER, CLEANED, changed),
        "the committed part of n1",
    );
    let judgement = judged(&scene(EARLIER, CLEANED, WHOLE));
    let Verdict::NotPromised { why, .. } = verdict(&judgement, "log-matching-broken") else {
        panic!("batches are written anew");
    };
    assert!(why.contains("compaction"), "{why}");
}

#[test]
fn what_the_drain_read_before_it_was_replaced_is_accounted_for() {
    let drained = "no drain
        phase settle at 99.0s
        phase drain at 99.5s
        c8 poll -> t/0 @0=v0 @1=v1 @2=v2 by n0 at 99.6s..99.7s
        phase capture at 100.0s";
    let judgement = judged(&scene(&format!("{EARLIER}\n{drained}"), CLEANED, CLEANED));
    let accounting = &judgement.topics[0].accounting;
    let drain = &accounting.drain;
    assert_eq!(
        (
            drain.expected,
            drain.delivered,
            drain.matching,
            drain.superseded
        ),
        (2, 3, 2, 1)
    );
    assert!(accounting.imbalance.is_empty(), "{accounting:?}");
    // Of what nobody replaced it is said.
    let judgement = judged(&scene(drained, CLEANED, CLEANED));
    assert!(!judgement.topics[0].accounting.imbalance.is_empty());
}

#[test]
fn an_aborted_record_may_be_taken_without_a_successor() {
    let text = |end: &str| {
        format!(
            "topic t on n0,n1 by c1 acks=all transactional cleanup.policy=compact
            c1 begin at 1.0s..1.1s
            c1 send t/0 v0 -> @0 by n0 at 1.2s..1.3s
            c1 end {end} at 1.4s..1.5s
            c2 send t/0 v1 -> @2 by n0 at 1.6s..1.7s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @2 v1 key=b
            n1 final t/0: e0 @2 v1 key=b"
        )
    };
    acquits("acked-lost-below-hw", &text("abort"), 2);
    abstains("acked-lost-below-hw", &text("commit"), "missing");
    abstains("txn-atomicity", &text("abort"), "compaction");
}

/// A record, and a later one of its key and of another transaction, which ended so; what is left of
/// them on both replicas, and on one of them before.
fn transactions(end: &str, earlier: &str, left: &str) -> String {
    format!(
        "topic t on n0,n1 by c1,c2 acks=all transactional cleanup.policy=compact
        c1 begin at 1.00s..1.01s
        c1 send t/0 v0 -> @0 by n0 at 1.02s..1.03s
        c1 end commit at 1.04s..1.05s
        c2 begin at 1.10s..1.11s
        c2 send t/0 v2 -> @2 by n0 at 1.12s..1.13s
        c2 end {end} at 1.14s..1.15s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 before-f1 3.0s t/0: {earlier}
        n0 final t/0: {left}
        n1 final t/0: {left}"
    )
}

#[test]
fn an_aborted_record_replaces_nothing() {
    let all =
        "e0 @0 v0 key=a pid=71.0+0 txn | e0 @1 commit pid=71.0 | e0 @2 v2 key=a pid=72.0+0 txn";
    let left = |marker: &str| {
        format!("e0 @1 commit pid=71.0 | e0 @2 v2 key=a pid=72.0+0 txn | e0 @3 {marker} pid=72.0")
    };
    let text = transactions("commit", all, &left("commit"));
    acquits("acked-lost-below-hw", &text, 2);
    let text = transactions("abort", all, &left("abort"));
    let finding = convicts("acked-lost-below-hw", &text, "t/0 @0: 1");
    assert_eq!(finding.class, Class::Compaction);
    convicts(
        "committed-prefix",
        &text,
        "t/0 @0: the committed part of n0",
    );
    // Nor does one whose transaction has not ended.
    let open = left("abort").replace(" | e0 @3 abort pid=72.0", "");
    let text = transactions("commit -> ? timed out", all, &open);
    convicts("acked-lost-below-hw", &text, "t/0 @0: 1");
}

#[test]
fn a_marker_tells_what_the_producer_was_not_told() {
    let left = "e0 @0 v0 key=a pid=71.0+0 txn | e0 @1 commit pid=71.0 | e0 @4 v4 key=b";
    let earlier = |marker: &str| {
        format!(
            "e0 @0 v0 key=a pid=71.0+0 txn | e0 @1 commit pid=71.0 | e0 @2 v2 key=a pid=72.0+0 txn{marker}"
        )
    };
    let text = |marker| {
        let text = transactions("commit -> ? timed out", &earlier(marker), left);
        format!("{text}\nc3 send t/0 v4 -> @4 by n0 at 1.2s..1.3s")
    };
    acquits("acked-lost-below-hw", &text(" | e0 @3 abort pid=72.0"), 3);
    convicts(
        "acked-lost-below-hw",
        &text(" | e0 @3 commit pid=72.0"),
        "t/0 @2: 1",
    );
    // Without one it may have been either.
    abstains("acked-lost-below-hw", &text(""), "missing");
    acquits("committed-prefix", &text(""), 4);
}

#[test]
fn a_tombstone_goes_when_it_is_old() {
    let earlier = "e0 @0 v0 key=a | e0 @1 null key=a";
    let left = "e0 @2 v2 key=b";
    let text = scene(earlier, left, left).replace("v1 -> @1", "v2 -> @2");
    let text = text.replace("c1 send t/0 v2 -> @2 by n0 at 1.4s..1.5s\n", "");
    let text = text.replace(earlier, &format!("n0 before-f1 3.0s t/0: {earlier}"));
    // For a day it stays, and what it replaced is lost with it.
    convicts("acked-lost-below-hw", &text, "t/0 @0: 1");
    convicts("committed-prefix", &text, "the committed part of n0");
    let short = text.replace(" cleanup", " delete.retention.ms=1000 cleanup");
    acquits("acked-lost-below-hw", &short, 2);
    acquits("committed-prefix", &short, 3);
    // It goes from no log that does not reach it.
    let cut = short.replace("final t/0: e0 @2 v2 key=b", "final t/0:");
    convicts("acked-lost-below-hw", &cut, "t/0 @0");
}
