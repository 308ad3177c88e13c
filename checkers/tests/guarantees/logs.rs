//! Logs as such, and the files beside them.

use crate::{abstains, acquits, convicts};

const HEAD: &str = "
    topic t on n0,n1 by c1 acks=all
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none";

fn scene(n0: &str, n1: &str) -> String {
    format!("{HEAD}\nn0 final t/0: {n0}\nn1 final t/0: {n1}")
}

fn both(log: &str) -> String {
    scene(log, log)
}

#[test]
fn the_epoch_file_says_another_epoch() {
    for (epochs, told) in [
        ("e0@0", "e0 to @1"),
        ("e0@0 e1@2", "e0 to @1"),
        ("e0@0 e2@1", "e2 to @1"),
        ("e1@0", "e1 to @0"),
        ("e0@0 e1@1 e1@2", "lists e1"),
        ("e1@0 e0@1", "lists e0"),
        ("e0@1 e1@1", "lists e1"),
    ] {
        let log = format!("e0 @0 v0 | e1 @1 v1 | epochs {epochs}");
        let finding = convicts(
            "producer-state",
            &scene("e0 @0 v0 | e1 @1 v1", &log),
            "the log of n1",
        );
        assert!(
            crate::told(&finding).contains(told),
            "{epochs}: {finding:?}"
        );
    }
}

/// Whoever asks where such an epoch ends cuts a batch in two.
#[test]
fn no_epoch_begins_within_a_batch() {
    for log in [
        "e0 @0 v0 v2 | epochs e0@0 e1@1",
        "e0 @0 v0 v2 | e2 @2 v1 | epochs e0@0 e1@1 e2@2",
    ] {
        let finding = convicts("producer-state", &scene(log, log), "the log of n1");
        assert!(crate::told(&finding).contains("gives e1 to @1, where a batch of e0 stands"));
    }
}

#[test]
fn epoch_files_that_differ_in_what_does_not_matter() {
    let lines = scene("e0 @0 v0 | e2 @1 v1", "e0 @0 v0 | e2 @1 v1");
    for (log, examined) in [
        ("e0 @0 v0 | e2 @1 v1", 2),
        // An epoch that begins where the log ends.
        ("e0 @0 v0 | e2 @1 v1 | epochs e0@0 e2@1 e3@2", 2),
        // Below the first entry the log start has passed.
        ("e0 @0 v0 | e2 @1 v1 | epochs e2@1", 2),
    ] {
        acquits("producer-state", &both(log), examined);
    }
    acquits("producer-state", &lines, 2);
}

#[test]
fn a_snapshot_that_is_not_what_the_log_adds_up_to() {
    let log = "e0 @0 v0 v1 pid=7.0+0 | e0 @2 v2 pid=8.3+5";
    for snapshot in [
        "snapshot @3 7.0+1@1 8.3+6@2",
        "snapshot @3 7.0+1@0 8.3+5@2",
        "snapshot @3 7.1+1@1 8.3+5@2",
        "snapshot @3 7.0+1@1~@0 8.3+5@2",
        "snapshot @3 7.0+1@1",
        "snapshot @2 7.0+1@1 8.3+5@2",
        "snapshot @3 7.0+1@1 8.3+5@2 9.0+0@0",
        "snapshot @2",
    ] {
        let finding = convicts(
            "producer-state",
            &scene(log, &format!("{log} | {snapshot}")),
            "1 fault in the files beside the log of n1",
        );
        assert_eq!(finding.count, 1, "{snapshot}");
    }
}

#[test]
fn snapshots_that_add_up() {
    for (log, files) in [
        (
            "e0 @0 v0 v1 pid=7.0+0 | e0 @2 v2 pid=8.3+5 | snapshot @2 7.0+1@1 | snapshot @3 8.3+5@2 7.0+1@1",
            3,
        ),
        // Sequences wrap.
        ("e0 @0 v0 v1 pid=7.0+2147483647 | snapshot @2 7.0+0@1", 2),
        // A transaction is open until its marker; a marker of a later epoch leaves no sequence.
        (
            "e0 @0 v0 txn pid=7.0+0 | e0 @1 v1 txn pid=7.0+1 | snapshot @2 7.0+1@1~@0",
            2,
        ),
        (
            "e0 @0 v0 txn pid=7.0+0 | e0 @1 commit pid=7.0+-1 | snapshot @2 7.0+0@0",
            2,
        ),
        (
            "e0 @0 v0 txn pid=7.0+0 | e0 @1 abort pid=7.1+-1 | snapshot @2 7.1+-1@-1",
            2,
        ),
        // A producer's new epoch does not end what was open.
        (
            "e0 @0 v0 txn pid=7.0+0 | e0 @1 v1 txn pid=7.1+0 | snapshot @2 7.1+0@1~@0",
            2,
        ),
        // No producer ids at all.
        ("e0 @0 v0 | snapshot @1", 2),
    ] {
        acquits("producer-state", &both(log), 2 * files);
    }
}

#[test]
fn what_the_log_start_or_time_took_away() {
    // The log begins later: what it lacks is not counted against the snapshot.
    let moved = |snapshot: &str| {
        let log = format!("e0 @2 v2 pid=8.3+5 | snapshot @3 {snapshot}");
        let mut recording = crate::scene::recording(&both(&log));
        for image in &mut recording.evidence.images {
            let log = image.logs.values_mut().next().expect("a log");
            log.segments = vec![history::Offset(2)];
        }
        crate::verdict(&checkers::judge(&recording), "producer-state")
    };
    // Nor is a transaction known that began before.
    for innocent in ["7.0+1@1 8.3+5@2", "8.3+5@2~@1"] {
        let verdict = moved(innocent);
        let held = matches!(
            verdict,
            checkers::judgement::Verdict::Held { examined: 4, .. }
        );
        assert!(held, "{verdict:?}");
    }
    for guilty in ["8.3+6@2", "8.3+5@1", "8.2+5@2", "7.0+1@1"] {
        let verdict = moved(guilty);
        let broken = matches!(verdict, checkers::judgement::Verdict::Broken { .. });
        assert!(broken, "{guilty}: {verdict:?}");
    }
    // Forgotten by time: it may be missing.
    let silent = both("e0 @0 v0 pid=7.0+0 | snapshot @1");
    convicts("producer-state", &silent, "1 fault");
    let soon = format!("{silent}\nbroker transactional.id.expiration.ms=1000");
    acquits("producer-state", &soon, 4);
}

#[test]
fn replicas_keep_the_same_of_producers() {
    // Of a compacted log only the files are compared with each other.
    let compacted =
        |n0: &str, n1: &str| scene(n0, n1).replace("acks=all", "acks=all cleanup.policy=compact");
    let log = "e0 @0 v0 pid=7.0+0";
    convicts(
        "producer-state",
        &compacted(
            &format!("{log} | snapshot @5 7.0+4@4"),
            &format!("{log} | snapshot @5 7.0+3@4"),
        ),
        "the log of n1",
    );
    let same = format!("{log} | snapshot @5 7.0+4@4");
    acquits("producer-state", &compacted(&same, &same), 4);
    // Snapshots at different offsets say nothing of each other.
    let other = format!("{log} | snapshot @6 7.0+5@5");
    acquits("producer-state", &compacted(&same, &other), 4);
}

#[test]
fn no_files_to_look_at() {
    let smeared = both("e0 @0 v0 | smeared");
    abstains("producer-state", &smeared, "no epoch files");
}

#[test]
fn tails_and_indexes_above_and_below_what_was_flushed() {
    let log = "e0 @0 v0";
    for fault in [
        "torn durable",
        "zeroes durable",
        "crc",
        "flaw index durable entries do not ascend",
        "flaw timeindex durable it points past the end",
        "flaw snapshot durable its checksum fails",
    ] {
        let finding = convicts(
            "log-malformed",
            &scene(log, &format!("{log} | {fault}")),
            "1 fault in the log of n1",
        );
        assert_eq!(finding.story.len(), 1, "{fault}");
    }
    for innocent in [
        "torn",
        "zeroes",
        "torn loose",
        "zeroes loose",
        "flaw index loose entries do not ascend",
        "flaw txnindex loose it breaks off",
    ] {
        acquits(
            "log-malformed",
            &scene(log, &format!("{log} | {innocent}")),
            2,
        );
    }
    abstains("log-malformed", &both("smeared"), "no batches");
}

/// Two batches of one producer with a gap between their sequences.
const GAP: &str = "e0 @0 v0 pid=7.0+0 | e0 @1 v1 pid=7.0+5";

#[test]
fn a_producer_that_was_forgotten_may_begin_anywhere() {
    convicts("log-malformed", &both(GAP), "1 fault");
    let repeated = "e0 @0 v0 pid=7.0+0 | e0 @1 v1 pid=7.0+0";
    convicts("log-malformed", &both(repeated), "1 fault");
    for log in [GAP, repeated] {
        let deleted = format!("{}\nharm t/0 deleted before @1 at 3s", both(log));
        acquits("log-malformed", &deleted, 4);
        // Deleted up to the earlier batch, not beyond it.
        let kept = deleted.replace("before @1", "before @0");
        convicts("log-malformed", &kept, "1 fault");
        let other = deleted.replace("harm t/0 deleted before @1", "harm t/0 n0 lost from @1");
        convicts("log-malformed", &other, "1 fault");
    }
}

#[test]
fn a_producer_forgotten_by_time_may_begin_anywhere() {
    let silent = |ms: i64, setting: &str| {
        let mut recording = crate::scene::recording(&format!("{}\n{setting}", both(GAP)));
        for image in &mut recording.evidence.images {
            for log in image.logs.values_mut() {
                log.batches[1].max_timestamp = ms;
            }
        }
        crate::verdict(&checkers::judge(&recording), "log-malformed")
    };
    let broken = |verdict| matches!(verdict, checkers::judgement::Verdict::Broken { .. });
    let expires = "broker transactional.id.expiration.ms=1000";
    assert!(broken(silent(999, expires)));
    assert!(!broken(silent(1000, expires)));
    assert!(broken(silent(1_000_000, "")));
}

#[test]
fn a_lossy_leader_that_resumes_its_epoch_may_write_it_again() {
    let resumed = "
        topic t on n0,n1 by c1 acks=all
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 before-f1 3.0s t/0: e0 @0 v0 | e0 @1 v1
        harm t/0 n0 lost from @1 by f1 at 4s
        n0 said 5.0s loaded t/0 @1
        n0 said 5.1s leader t/0 e0 from @1 hw @1 isr n0,n1 was none
        n0 final t/0: e0 @0 v0 | e0 @1 v2
        n1 final t/0: e0 @0 v0 | e0 @1 v2";
    let name = "log-matching-broken";
    let finding = crate::permits(name, resumed, 2, "hold different bytes");
    assert!(crate::told(&finding).contains("n0 had lost part of its log"));
    for guilty in [
        // Nothing was lost, or by another, or elsewhere, or only afterwards.
        resumed.replace("harm t/0 n0 lost from @1 by f1 at 4s", ""),
        resumed.replace("n0 lost from @1", "n1 lost from @1"),
        resumed.replace("n0 lost from @1", "n0 lost from @2"),
        resumed.replace("at 4s", "at 6s"),
        // Another epoch came between, or it led but once.
        resumed.replace("leader t/0 e0 from @1", "leader t/0 e1 from @1"),
        resumed.replace(
            "n0 said 5.1s leader t/0 e0 from @1 hw @1 isr n0,n1 was none",
            "",
        ),
    ] {
        convicts(name, &guilty, "hold different bytes");
    }
}
