//! Transactions: markers, outcomes, what read_committed consumers are given, the aborted index.

use checkers::judgement::Class;

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, told};

const NAME: &str = "txn-atomicity";

/// One producer with transactions; `calls` is what it asked for.
fn scene(calls: &str, log: &str, more: &str) -> String {
    format!(
        "topic t on n0,n1 by c1 idempotent transactional
        consumer c7 read-committed
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        {calls}
        n0 final t/0: {log}
        n1 final t/0: {log}
        {more}"
    )
}

/// Two records in one transaction that ends so.
fn txn(end: &str) -> String {
    format!(
        "c1 begin at 1.0s
        c1 send t/0 v0 -> @0 at 1.1s..1.2s
        c1 send t/0 v1 -> @1 at 1.3s..1.4s
        c1 end {end} at 1.5s..1.6s"
    )
}

const COMMITTED: &str = "e0 @0 v0 v1 pid=7.0+0 txn | e0 @2 commit pid=7.0";
const ABORTED: &str = "e0 @0 v0 v1 pid=7.0+0 txn | e0 @2 abort pid=7.0 | aborted 7 @0 @2";
const OPEN: &str = "e0 @0 v0 v1 pid=7.0+0 txn";
const HALF: &str = "e0 @0 v0 pid=7.0+0 txn | e0 @1 commit pid=7.0 | e0 @2 v1 pid=7.0+1 txn \
                    | e0 @3 abort pid=7.0 | aborted 7 @2 @3";

#[test]
fn markers_say_what_clients_were_told() {
    for (end, log) in [
        ("commit", COMMITTED),
        ("abort", ABORTED),
        ("abort", OPEN),
        ("commit -> ? timed out", COMMITTED),
        ("commit -> ? timed out", ABORTED),
        ("commit -> ? timed out", OPEN),
        ("commit -> ! fenced", ABORTED),
        ("abort -> ? timed out", ABORTED),
        ("abort -> ! fenced", OPEN),
    ] {
        acquits(NAME, &scene(&txn(end), log, ""), 1);
    }
}

#[test]
fn markers_that_contradict_what_a_client_was_told() {
    for (end, log, count, title) in [
        (
            "commit",
            ABORTED,
            2,
            "2 records of committed transactions stand aborted",
        ),
        (
            "commit",
            OPEN,
            2,
            "2 records of committed transactions stand without a marker",
        ),
        (
            "commit",
            HALF,
            1,
            "1 record of committed transactions stand aborted",
        ),
        (
            "abort",
            COMMITTED,
            2,
            "2 records of transactions that were not committed stand committed",
        ),
        (
            "abort",
            HALF,
            1,
            "1 record of transactions that were not committed",
        ),
        (
            "commit -> ! fenced",
            COMMITTED,
            2,
            "2 records of transactions that were not",
        ),
        (
            "abort -> ? timed out",
            COMMITTED,
            2,
            "2 records of transactions that were not",
        ),
        (
            "commit -> ? timed out",
            HALF,
            1,
            "1 record of transactions that are committed elsewhere",
        ),
    ] {
        let finding = convicts(NAME, &scene(&txn(end), log, ""), title);
        assert_eq!(finding.count, count, "{end}");
        assert!(told(&finding).contains("the transaction that c1 began (o1)"));
        assert_eq!(finding.class, Class::Unexplained);
    }
}

#[test]
fn a_transaction_that_nobody_ended_is_not_committed() {
    let unended =
        "c1 begin at 1.0s\nc1 send t/0 v0 -> @0 at 1.1s..1.2s\nc1 send t/0 v1 -> @1 at 1.3s..1.4s";
    acquits(NAME, &scene(unended, OPEN, ""), 1);
    acquits(NAME, &scene(unended, ABORTED, ""), 1);
    convicts(
        NAME,
        &scene(unended, COMMITTED, ""),
        "2 records of transactions that were not",
    );
    // Where the history breaks off, its end may have been asked for.
    abstains(
        NAME,
        &scene(unended, COMMITTED, "torn frame 3"),
        "history-whole",
    );
    // An abort behind a commit of unknown outcome leaves both possible.
    let both = format!(
        "{}\nc1 end abort at 1.7s..1.8s",
        txn("commit -> ? timed out")
    );
    acquits(NAME, &scene(&both, COMMITTED, ""), 1);
    acquits(NAME, &scene(&both, ABORTED, ""), 1);
}

#[test]
fn each_transaction_is_judged_by_its_own_end() {
    let calls = format!(
        "{}\nc1 begin at 2.0s\nc1 send t/0 v2 -> @3 at 2.1s..2.2s\nc1 end commit at 2.3s..2.4s",
        txn("abort")
    );
    let log = format!("{ABORTED} | e0 @3 v2 pid=7.0+2 txn | e0 @4 commit pid=7.0");
    acquits(NAME, &scene(&calls, &log, ""), 2);
    // The end of the first ends the second as well (KAFKA-17754).
    let log = "e0 @0 v0 v1 pid=7.0+0 txn | e0 @2 abort pid=7.0 | e0 @3 v2 pid=7.0+2 txn \
               | e0 @4 abort pid=7.0 | aborted 7 @0 @2 | aborted 7 @3 @4";
    let finding = convicts(NAME, &scene(&calls, log, ""), "1 record of committed");
    assert!(told(&finding).contains("KAFKA-17754"));
    assert_eq!(finding.offsets.map(|at| at.from), Some(3));
}

#[test]
fn transactions_of_different_producers_end_apart() {
    let calls = format!(
        "{}\nc2 begin at 1.0s\nc2 send t/0 v2 -> @2 at 1.1s..1.2s\nc2 end abort at 1.3s..1.4s",
        txn("commit")
    );
    let log = "e0 @0 v0 v1 pid=7.0+0 txn | e0 @2 v2 pid=8.0+0 txn | e0 @3 abort pid=8.0 \
               | e0 @4 commit pid=7.0 | aborted 8 @2 @3";
    let both = |log: &str| scene(&calls, log, "").replace("by c1 ", "by c1,c2 ");
    acquits(NAME, &both(log), 2);
    let swapped = log.replace("abort pid=8.0", "commit pid=8.0");
    let swapped = swapped.replace(" | aborted 8 @2 @3", "");
    convicts(
        NAME,
        &both(&swapped),
        "1 record of transactions that were not committed",
    );
}

#[test]
fn a_transaction_over_two_topics_is_committed_in_both_or_in_none() {
    let text = |end: &str, marker: &str| {
        format!(
            "topic t on n0,n1 by c1 idempotent transactional
            topic u on n0,n1 by c9
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
            c1 begin at 1.0s
            c1 send t/0 v0 -> @0 at 1.1s..1.2s
            c1 send u/0 v1 -> @0 at 1.3s..1.4s
            c1 end {end} at 1.5s..1.6s
            n0 final t/0: e0 @0 v0 pid=7.0+0 txn | e0 @1 pid=7.0 {marker}
            n1 final t/0: e0 @0 v0 pid=7.0+0 txn | e0 @1 pid=7.0 {marker}
            n0 final u/0: e0 @0 v1 pid=7.0+0 txn | e0 @1 commit pid=7.0
            n1 final u/0: e0 @0 v1 pid=7.0+0 txn | e0 @1 commit pid=7.0"
        )
    };
    acquits(NAME, &text("commit -> ? timed out", "commit"), 1);
    let finding = convicts(
        NAME,
        &text("commit -> ? timed out", "abort | aborted 7 @0 @1"),
        "t/0: 1 record of transactions that are committed elsewhere",
    );
    assert_eq!(finding.partition.as_deref(), Some("t/0"));
}

/// The scene's own drain is left out; a read_committed consumer polls so.
fn drained(end: &str, log: &str, polls: &str) -> String {
    let phases = format!(
        "no drain
        phase settle at 99.0s
        phase drain at 99.5s
        c8 poll -> t/0 @0=v0 @1=v1 by n0 at 99.6s..99.7s
        {polls}
        phase capture at 100.0s"
    );
    scene(&txn(end), log, &phases)
}

#[test]
fn read_committed_consumers_are_given_what_is_committed() {
    let whole = "c7 poll -> t/0 @0=v0 @1=v1 by n0 at 99.7s..99.8s";
    acquits(NAME, &drained("commit", COMMITTED, whole), 1);
    acquits(
        NAME,
        &drained("abort", ABORTED, "c7 poll -> nothing at 99.7s..99.8s"),
        1,
    );
    let finding = convicts(
        NAME,
        &drained("abort", ABORTED, whole),
        "2 records of transactions that were not committed were given to read_committed",
    );
    assert!(
        told(&finding).contains("was given to c7 (o6)"),
        "{}",
        told(&finding)
    );
    convicts(
        NAME,
        &drained("commit -> ? timed out", ABORTED, whole),
        "2 records of transactions that were not committed were given",
    );
    // Others may be given anything.
    let others = whole.replace("c7", "c9");
    acquits(NAME, &drained("abort", ABORTED, &others), 1);
    // A part of it, and then no more, is not whole.
    convicts(
        NAME,
        &drained(
            "commit",
            COMMITTED,
            "c7 poll -> t/0 @1=v1 by n0 at 99.7s..99.8s",
        ),
        "1 record are committed and were withheld",
    );
    acquits(
        NAME,
        &drained(
            "commit",
            COMMITTED,
            "c7 poll -> t/0 @0=v0 by n0 at 99.7s..99.8s",
        ),
        1,
    );
}

/// Beyond a transaction that nothing ends nobody reads; who does is owed what stands there.
#[test]
fn an_open_transaction_excuses_nothing_behind_it() {
    let log = "e0 @0 v9 pid=8.0+0 txn | e0 @1 v0 pid=7.0+0 txn | e0 @2 v1 pid=7.0+1 txn \
               | e0 @3 commit pid=7.0";
    let text = |polls: &str| {
        let text = drained("commit", log, polls).replace("@0=v0 @1=v1 by n0", "@1=v0 @2=v1 by n0");
        let text = text
            .replace("v0 -> @0", "v0 -> @1")
            .replace("v1 -> @1", "v1 -> @2");
        let begun = "c2 begin at 0.6s\nc2 send t/0 v9 -> ? lost at 0.7s..0.8s";
        text.replace("by c1 ", "by c1,c2 ")
            .replace("c1 begin", &format!("{begun}\nc1 begin"))
    };
    let past = "c7 poll -> t/0 @2=v1 by n0 at 99.7s..99.8s";
    convicts(
        NAME,
        &text(past),
        "1 record are committed and were withheld",
    );
    acquits(NAME, &text("c7 poll -> nothing at 99.7s..99.8s"), 2);
}

/// What its producer gave up may be left out of a committed transaction; then no reader is given it.
#[test]
fn what_was_left_out_is_given_to_nobody() {
    let calls = txn("commit").replace("v1 -> @1", "v1 -> ? lost");
    let open = "e0 @0 v0 pid=7.0+0 txn | e0 @1 commit pid=7.0 | e0 @2 v1 pid=7.0+1 txn";
    let read = "c7 poll -> t/0 @2=v1 by n0 at 9.0s..9.1s";
    for (log, title) in [
        (
            HALF,
            "1 record of transactions that were not committed were",
        ),
        (
            open,
            "1 record of transactions that nothing ends were given",
        ),
    ] {
        acquits(NAME, &scene(&calls, log, ""), 1);
        convicts(NAME, &scene(&calls, log, read), title);
        acquits(NAME, &scene(&calls, log, &read.replace("c7", "c9")), 1);
    }
    // Of what was acknowledged the marker tells it, once.
    let calls = calls.replace("v1 -> ? lost", "v1 -> @2");
    let twice = scene(&calls, HALF, read);
    let finding = convicts(NAME, &twice, "1 record of committed transactions stand");
    assert_eq!(finding.count, 1);
    let said = judged(&twice);
    assert_eq!(said.findings.len(), 1, "{:?}", said.findings);
}

#[test]
fn what_was_not_asked_to_commit_yet_is_given_to_nobody() {
    let early = "c7 poll -> t/0 @0=v0 by n0 at 1.25s..1.28s";
    convicts(
        NAME,
        &scene(&txn("commit"), COMMITTED, early),
        "1 record were given to read_committed consumers before anybody asked",
    );
    let later = "c7 poll -> t/0 @0=v0 by n0 at 1.25s..1.55s";
    acquits(NAME, &scene(&txn("commit"), COMMITTED, later), 1);
}

#[test]
fn the_index_names_each_aborted_transaction() {
    let bare = ABORTED.replace(" | aborted 7 @0 @2", "");
    let finding = convicts(
        NAME,
        &scene(&txn("abort"), &bare, ""),
        "the index of aborted transactions and the log differ in 1 transaction",
    );
    assert!(told(&finding).contains("the index does not name it"));
    let extra = format!("{COMMITTED} | aborted 7 @0 @2");
    let finding = convicts(
        NAME,
        &scene(&txn("commit"), &extra, ""),
        "differ in 1 transaction",
    );
    assert!(told(&finding).contains("the log does not abort it"));
    let wrong = ABORTED.replace("aborted 7 @0 @2", "aborted 7 @1 @2");
    convicts(
        NAME,
        &scene(&txn("abort"), &wrong, ""),
        "differ in 2 transactions",
    );
    // A marker of a producer without records aborts nothing.
    let empty = format!("{COMMITTED} | e0 @3 abort pid=8.0");
    acquits(NAME, &scene(&txn("commit"), &empty, ""), 1);
}

#[test]
fn what_is_gone_of_a_committed_transaction_is_told_once_as_lost() {
    let lost = "e0 @0 v0 pid=7.0+0 txn | e0 @1 commit pid=7.0";
    let finding = convicts(NAME, &scene(&txn("commit"), lost, ""), "t/0 @1: 1");
    assert_eq!(finding.guarantee, "acked-lost-below-hw");
    // Of an aborted one nobody misses it here.
    let gone = "e0 @0 v0 pid=7.0+0 txn | e0 @1 abort pid=7.0 | aborted 7 @0 @1";
    acquits(NAME, &scene(&txn("abort"), gone, ""), 1);
}

#[test]
fn an_unclean_election_may_take_a_marker_away() {
    let text = format!(
        "topic t on n0,n1 by c1 idempotent transactional
        broker unclean.leader.election.enable=true
        {}
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n1 said 0.4s state t/0 e0 isr n0 version 4
        n1 said 4.9s state t/0 e1 isr n1 version 5
        n1 said 5.0s leader t/0 e1 from @2 hw @2 isr n1 was e0
        n0 final t/0: {OPEN}
        n1 final t/0: {OPEN}",
        txn("commit")
    );
    // The marker stood behind the new leader's log end.
    let finding = permits(NAME, &text, 2, "without a marker");
    assert_eq!(finding.class, Class::UncleanElection);
    let clean = text.replace("isr n0 version 4", "isr n0,n1 version 4");
    convicts(NAME, &clean, "without a marker");
}

#[test]
fn a_topic_without_transactions_has_no_row() {
    let plain = scene(&txn("commit"), COMMITTED, "").replace(" transactional", "");
    let plain = plain
        .replace("c1 begin at 1.0s", "")
        .replace("c1 end commit at 1.5s..1.6s", "");
    let judgement = judged(&plain);
    assert!(
        judgement.topics[0]
            .guarantees
            .iter()
            .all(|row| row.name != NAME)
    );
    abstains(NAME, &scene("", "", ""), "no transactions");
    abstains(
        NAME,
        &scene(&txn("commit"), COMMITTED, "").replace("final t/0", "final u/0"),
        "no log of t/0",
    );
}

#[test]
fn what_consumers_of_committed_data_are_not_shown_is_counted() {
    let drained = |log: &str, polls: &str| {
        let text = drained("abort", log, "")
            .replace("c8 poll -> t/0 @0=v0 @1=v1 by n0 at 99.6s..99.7s", polls);
        judged(&text).topics[0].accounting.clone()
    };
    // o0 ends with an abort; what follows is no transaction's.
    let aborted = format!("{ABORTED} | e0 @3 v9");
    let one = drained(&aborted, "c7 poll -> t/0 @3=v9 by n0 at 99.6s..99.7s");
    let row = one.committed_drain.as_ref().expect("a row of its own");
    assert_eq!((row.expected, row.aborted, row.unstable), (1, 2, 0));
    assert_eq!((row.delivered, row.matching), (1, 1));
    assert_eq!((one.records.data, one.records.control), (3, 1));
    assert_eq!(one.drain.delivered, 0);
    // Nothing behind an open transaction is shown.
    let open = "e0 @0 txn pid=7.0+0 v0 v1 | e0 @2 v9";
    let two = drained(
        open,
        "c8 poll -> t/0 @0=v0 @1=v1 @2=v9 by n0 at 99.6s..99.7s",
    );
    assert!(two.committed_drain.is_none());
    let both = "c8 poll -> t/0 @0=v0 @1=v1 @2=v9 by n0 at 99.6s..99.7s
        c7 poll -> t/0 @2=v9 by n0 at 99.7s..99.8s";
    let three = drained(open, both);
    let row = three.committed_drain.as_ref().expect("a row of its own");
    assert_eq!((row.expected, row.aborted, row.unstable), (0, 0, 3));
    assert_eq!((three.drain.delivered, three.drain.matching), (3, 3));
    assert!(
        three
            .imbalance
            .iter()
            .any(|text| text.contains("the drain of committed data gave 1")),
        "{:?}",
        three.imbalance
    );
}

#[test]
fn offsets_that_hold_neither_data_nor_an_end_do_not_balance() {
    let judgement = judged(&scene(
        &txn("commit"),
        "e0 @0 txn pid=7.0+0 v0 v1 | e0 @3 commit pid=7.0",
        "",
    ));
    let imbalance = judgement.topics[0].accounting.imbalance.join(" ");
    assert!(
        imbalance.contains("4 offsets from @0 on, of which 3"),
        "{imbalance}"
    );
}
