//! Consumers' groups: what comes twice and what is skipped.

use checkers::judgement::Verdict;

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, told, verdict};

const TWICE: &str = "redelivered";
const SKIPPED: &str = "group-skipped";
pub const BACK: &str = "offset-regressed";

/// Four records, and consumers with these settings that did this.
pub fn scene(consumers: &str, calls: &str) -> String {
    let log = "e0 @0 v0 v1 v2 v3";
    format!(
        "topic t on n0,n1 by c1 idempotent
        {consumers}
        c1 send t/0 v0 -> @0 at 0.6s..0.7s
        c1 send t/0 v1 -> @1 at 0.6s..0.7s
        c1 send t/0 v2 -> @2 at 0.6s..0.7s
        c1 send t/0 v3 -> @3 at 0.6s..0.7s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        {calls}
        n0 final t/0: {log}
        n1 final t/0: {log}"
    )
}

pub fn group(commit: &str) -> String {
    format!("group g of c5,c6 commit={commit} reset=earliest")
}

pub const JOIN: &str = "c5 subscribe t at 0.8s..0.9s\nc5 rebalance assigned t/0 at 0.9s\n";
pub const FIRST: &str = "c5 poll -> t/0 @0=v0 @1=v1 by n0 at 1.0s..1.1s\n";
pub const AGAIN: &str = "c5 poll -> t/0 @1=v1 @2=v2 @3=v3 by n0 at 3.0s..3.1s\n";
pub const REST: &str = "c5 poll -> t/0 @2=v2 @3=v3 by n0 at 3.0s..3.1s\n";

/// It has no row in the judgement.
fn silent(name: &str, scene: &str) {
    let rows = &judged(scene).topics[0].guarantees;
    assert!(rows.iter().all(|row| row.name != name), "{name}");
}

#[test]
fn without_a_rebalance_nothing_comes_again() {
    for commit in ["auto", "after"] {
        let calls = format!("{JOIN}{FIRST}{AGAIN}");
        let finding = convicts(
            TWICE,
            &scene(&group(commit), &calls),
            "t/0: 1 record given to group g again, without cause",
        );
        assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((1, 2)));
        assert!(
            told(&finding).starts_with("@1 was given to c5 (o6)"),
            "{}",
            told(&finding)
        );
        acquits(
            TWICE,
            &scene(&group(commit), &format!("{JOIN}{FIRST}{REST}")),
            4,
        );
    }
}

#[test]
fn at_least_once_means_again_after_a_rebalance_or_a_restart() {
    for between in [
        "c5 rebalance revoked t/0 at 2.0s",
        "c5 rebalance assigned t/0 at 2.0s",
        "c6 rebalance assigned t/0 at 2.0s",
        "c6 subscribe t at 2.0s..2.1s",
    ] {
        let calls = format!("{JOIN}{FIRST}{between}\n{AGAIN}");
        permits(
            TWICE,
            &scene(&group("after"), &calls),
            1,
            "after a rebalance",
        );
        permits(
            TWICE,
            &scene(&group("auto"), &calls),
            1,
            "after a rebalance",
        );
    }
    // Another handle of the group is a restart.
    let calls = format!("{JOIN}{FIRST}{}", AGAIN.replace("c5", "c6"));
    permits(
        TWICE,
        &scene(&group("after"), &calls),
        1,
        "after a rebalance",
    );
    // A rebalance of other partitions, or at another time, is none of this.
    for beside in [
        "c5 rebalance revoked t/9 at 2.0s",
        "c5 rebalance revoked t/0 at 9.0s",
    ] {
        let calls = format!("{JOIN}{FIRST}{AGAIN}{beside}");
        convicts(TWICE, &scene(&group("after"), &calls), "without cause");
    }
}

#[test]
fn what_a_consumer_asks_for_again_is_its_own_wish() {
    for commit in ["auto", "after", "before"] {
        let calls = format!("{JOIN}{FIRST}c5 seek t/0@1 at 2.0s..2.1s\n{AGAIN}");
        permits(TWICE, &scene(&group(commit), &calls), 1, "on request");
        let beyond = calls.replace("seek t/0@1", "seek t/0@2");
        let convicted = format!("{beyond}c5 commit t/0@2 at 2.5s..2.6s");
        convicts(TWICE, &scene(&group(commit), &convicted), "without cause");
    }
}

#[test]
fn committing_before_processing_gives_each_record_once() {
    let commit = |how: &str| {
        let handed = "c6 subscribe t at 2.5s..2.6s\nc6 rebalance assigned t/0 at 2.6s";
        let again = AGAIN.replace("c5", "c6");
        format!("{JOIN}{FIRST}c5 commit t/0@2{how} at 2.0s..2.1s\n{handed}\n{again}")
    };
    let told = scene(&group("before"), &commit(""));
    convicts(TWICE, &told, "without cause");
    for how in [" -> ? timed out", " -> ! fenced"] {
        permits(
            TWICE,
            &scene(&group("before"), &commit(how)),
            1,
            "uncommitted",
        );
    }
    let doubt = format!("broker unclean.leader.election.enable=true\n{told}");
    abstains(TWICE, &doubt, "may be permitted");
    let lost = format!("{told}\nharm __consumer_offsets/3 n0 wiped at 2.2s");
    abstains(TWICE, &lost, "may be permitted");
    let deleted = format!("{told}\nharm t/0 n0 wiped at 2.2s");
    convicts(TWICE, &deleted, "without cause");
    // The run takes 100 s: offsets that are kept for a minute may be gone, for two not.
    for minutes in [0, 1] {
        let short = format!("broker offsets.retention.minutes={minutes}\n{told}");
        abstains(TWICE, &short, "may be permitted");
    }
    let long = format!("broker offsets.retention.minutes=2\n{told}");
    convicts(TWICE, &long, "without cause");
}

#[test]
fn asynchronous_processing_promises_neither() {
    let calls = format!("{JOIN}{FIRST}{AGAIN}");
    permits(
        TWICE,
        &scene(&group("auto-async"), &calls),
        1,
        "between commits",
    );
    let skipping = format!("{JOIN}{FIRST}{}", REST.replace("@2=v2 ", ""));
    permits(
        SKIPPED,
        &scene(&group("auto-async"), &skipping),
        1,
        "committed first",
    );
}

/// A consumer that works in transactions: what it was given belongs to the one that is open.
pub fn in_transactions(first: &str, second: &str, again: &str) -> String {
    let calls = format!(
        "{JOIN}c5 begin at 0.95s
        {FIRST}
        c5 commit t/0@2 at 1.2s..1.3s
        c5 end {first} at 1.4s..1.5s
        c5 begin at 2.9s
        {again}
        c5 commit t/0@4 at 3.2s..3.3s
        c5 end {second} at 3.4s..3.5s"
    );
    scene(
        "group g of c5 commit=transaction reset=earliest read-committed",
        &calls,
    )
}

#[test]
fn within_transactions_each_record_is_processed_once() {
    acquits(TWICE, &in_transactions("commit", "commit", REST), 4);
    convicts(
        TWICE,
        &in_transactions("commit", "commit", AGAIN),
        "without cause",
    );
    // What was aborted was not processed.
    acquits(TWICE, &in_transactions("abort", "commit", AGAIN), 3);
    abstains(
        TWICE,
        &in_transactions("commit -> ? lost", "commit", AGAIN),
        "may be permitted",
    );
    // And what was aborted and does not come again is skipped.
    convicts(
        SKIPPED,
        &in_transactions("abort", "commit", REST),
        "2 records skipped by group g",
    );
    acquits(SKIPPED, &in_transactions("commit", "commit", REST), 4);
    acquits(
        SKIPPED,
        &in_transactions("commit -> ? lost", "commit", REST),
        4,
    );
}

/// Going back after an abort excuses what comes then, and not that the aborted one was given it.
#[test]
fn what_a_group_had_committed_may_not_come_again_and_be_sought_then() {
    let calls = |before: &str| {
        let calls = format!(
            "{JOIN}c5 begin at 0.95s
            {FIRST}
            c5 commit t/0@2 at 1.2s..1.3s
            c5 end commit at 1.4s..1.5s
            {before}
            c5 begin at 1.9s
            c5 poll -> t/0 @1=v1 by n0 at 2.0s..2.1s
            c5 end abort at 2.2s..2.3s
            c5 seek t/0@1 at 2.4s..2.5s
            c5 begin at 2.9s
            {AGAIN}
            c5 commit t/0@4 at 3.2s..3.3s
            c5 end commit at 3.4s..3.5s"
        );
        let group = "group g of c5 commit=transaction reset=earliest read-committed";
        scene(group, &calls)
    };
    convicts(TWICE, &calls(""), "without cause");
    let sought = calls("c5 seek t/0@1 at 1.6s..1.7s");
    permits(TWICE, &sought, 1, "on request");
}

/// A consumer that sends on what it reads; of the end of its first transaction nobody was told, and
/// `marker` stands behind what it sent.
fn copied(again: &str, marker: &str) -> String {
    let scene = in_transactions("commit -> ? lost", "commit", again);
    let scene = scene.replace(
        "c5 commit t/0@2",
        "c5 send u/0 v10 -> @0 at 1.12s..1.13s
        c5 send u/0 v11 -> @1 at 1.12s..1.13s
        c5 commit t/0@2",
    );
    let log = format!("e0 @0 v10 v11 pid=7.0+0 txn{marker}");
    format!(
        "topic u on n0,n1 by c5 idempotent transactional
        {scene}
        n0 said 0.5s leader u/0 e0 from @0 hw @0 isr n0,n1 was none
        n0 final u/0: {log}
        n1 final u/0: {log}"
    )
}

#[test]
fn what_was_sent_on_says_whether_it_was_processed() {
    const COMMITTED: &str = " | e0 @2 commit pid=7.0";
    const ABORTED: &str = " | e0 @2 abort pid=7.0 | aborted 7 @0 @2";
    let all = REST.replace("@2=v2", "@0=v0 @1=v1 @2=v2");
    for name in [TWICE, SKIPPED] {
        acquits(name, &copied(REST, COMMITTED), 4);
        acquits(name, &copied(&all, ABORTED), 4);
    }
    // What it sent on was committed, its offsets were not.
    convicts(
        TWICE,
        &copied(&all, COMMITTED),
        "2 records given to group g again, without cause",
    );
    // Its offsets were committed, what it sent on was not.
    convicts(
        SKIPPED,
        &copied(REST, ABORTED),
        "2 records skipped by group g",
    );
    // Nobody can tell.
    abstains(TWICE, &copied(&all, ""), "may be permitted");
    acquits(SKIPPED, &copied(REST, ""), 4);
}

#[test]
fn a_consumer_by_itself_reads_on_from_where_it_was() {
    let alone = "consumer c5 commit=none";
    let assign = "c5 assign t/0@0 at 0.9s\n";
    acquits(TWICE, &scene(alone, &format!("{assign}{FIRST}{REST}")), 4);
    convicts(
        TWICE,
        &scene(alone, &format!("{assign}{FIRST}{AGAIN}")),
        "given to c5 again",
    );
    let anew = format!("{assign}{FIRST}c5 assign t/0@1 at 2.0s..2.1s\n{AGAIN}");
    permits(TWICE, &scene(alone, &anew), 1, "on request");
    acquits(SKIPPED, &scene(alone, &format!("{assign}{FIRST}{REST}")), 4);
    let gap = REST.replace("@2=v2 ", "");
    convicts(
        SKIPPED,
        &scene(alone, &format!("{assign}{FIRST}{gap}")),
        "1 record skipped by c5",
    );
    let ahead = format!("{assign}{FIRST}c5 seek t/0@3 at 2.0s..2.1s\n{gap}");
    permits(SKIPPED, &scene(alone, &ahead), 1, "on request");
    // It reads from where it was told to.
    let from_two = format!("c5 assign t/0@2 at 0.9s\n{REST}");
    acquits(SKIPPED, &scene(alone, &from_two), 2);
    convicts(
        SKIPPED,
        &scene(alone, &from_two.replace("@2 at", "@1 at")),
        "1 record skipped",
    );
    silent(BACK, &scene(alone, &format!("{assign}{FIRST}")));
    // Nobody keeps its place, so where it was first given something is where it began.
    let earliest = format!("{alone} reset=earliest");
    acquits(SKIPPED, &scene(&earliest, REST), 2);
    silent(
        BACK,
        &scene(&earliest, &format!("{FIRST}c5 commit t/0@2 at 2.0s..2.1s")),
    );
    // It has no committed offsets that could be lost.
    let doubt = "broker unclean.leader.election.enable=true";
    let gap = scene(alone, &format!("{assign}{FIRST}{gap}"));
    convicts(SKIPPED, &format!("{doubt}\n{gap}"), "without cause");
    // Nor does a rebalance hand it on.
    let handed = format!("{assign}{FIRST}c5 rebalance assigned t/0 at 2.0s\n{AGAIN}");
    convicts(TWICE, &scene(alone, &handed), "given to c5 again");
}

#[test]
fn a_group_skips_nothing_that_it_has_passed() {
    for commit in ["auto", "after"] {
        let gap = format!("{JOIN}{FIRST}{}", REST.replace("@2=v2 ", ""));
        let finding = convicts(
            SKIPPED,
            &scene(&group(commit), &gap),
            "t/0: 1 record skipped by group g, without cause",
        );
        assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((2, 3)));
        assert!(
            told(&finding).contains("@3 was given to c5"),
            "{}",
            told(&finding)
        );
        // What it has not come to is not due.
        acquits(
            SKIPPED,
            &scene(&group(commit), &format!("{JOIN}{FIRST}")),
            2,
        );
        // The log's start is.
        convicts(
            SKIPPED,
            &scene(&group(commit), &format!("{JOIN}{REST}")),
            "2 records skipped",
        );
    }
    // What is committed counts as passed.
    let committed = format!("{JOIN}{FIRST}c5 commit t/0@4 at 2.0s..2.1s");
    convicts(
        SKIPPED,
        &scene(&group("after"), &committed),
        "2 records skipped",
    );
    let unknown = format!("{JOIN}{FIRST}c5 commit t/0@4 -> ? lost at 2.0s..2.1s");
    acquits(SKIPPED, &scene(&group("after"), &unknown), 2);
    // It does not matter who of the group was given it.
    let shared = format!("{JOIN}{FIRST}{}", REST.replace("c5", "c6"));
    acquits(SKIPPED, &scene(&group("after"), &shared), 4);
    let strangers = shared.replace("c6 poll", "c9 poll");
    acquits(SKIPPED, &scene(&group("after"), &strangers), 2);
}

/// Asking for a position excuses what lies before it, from then on, and nothing behind it.
#[test]
fn a_seek_excuses_what_it_passes() {
    let convicted = |calls: &str| {
        let text = scene(&group("after"), &format!("{JOIN}{calls}"));
        convicts(SKIPPED, &text, "1 record skipped by group g, without cause");
    };
    let permitted = |calls: &str| {
        let text = scene(&group("after"), &format!("{JOIN}{calls}"));
        permits(SKIPPED, &text, 1, "on request");
    };
    let one = "c5 poll -> t/0 @0=v0 by n0 at 1.0s..1.1s\n";
    let last = "c5 poll -> t/0 @3=v3 by n0 at 3.0s..3.1s\n";
    // To 2, and then 3 came.
    let text = format!("{JOIN}{one}c5 seek t/0@2 at 2.0s..2.1s\n{last}");
    convicts(
        SKIPPED,
        &scene(&group("after"), &text),
        "1 record skipped by group g, without cause",
    );
    // What was skipped before anybody asked for anything.
    let first = "c5 poll -> t/0 @1=v1 @2=v2 by n0 at 1.0s..1.1s\n";
    convicted(&format!("{first}c5 seek t/0@3 at 2.0s..2.1s\n{last}"));
    // Another's seek is its own.
    convicted(&format!("{FIRST}c6 seek t/0@3 at 2.0s..2.1s\n{last}"));
    permitted(&format!("{FIRST}c5 seek t/0@3 at 2.0s..2.1s\n{last}"));
    // It went on and committed where it was.
    permitted(&format!(
        "{one}c6 seek t/0@2 at 2.0s..2.1s\nc6 commit t/0@2 at 2.2s..2.3s"
    ));
    convicted(&format!(
        "{one}c6 commit t/0@2 at 2.0s..2.1s\nc6 seek t/0@2 at 2.2s..2.3s"
    ));
}

#[test]
fn what_is_committed_first_may_be_skipped() {
    let gap = format!("{JOIN}{FIRST}{}", REST.replace("@2=v2 ", ""));
    permits(
        SKIPPED,
        &scene(&group("before"), &gap),
        1,
        "committed first",
    );
    let judgement = judged(&scene(&group("before"), &format!("{JOIN}{FIRST}{REST}")));
    let Verdict::NotPromised { observed, .. } = verdict(&judgement, SKIPPED) else {
        panic!("not promised");
    };
    assert_eq!(observed, 0);
}

#[test]
fn a_group_may_begin_at_the_end_only_without_a_committed_offset() {
    let latest = |commit: &str| group(commit).replace("earliest", "latest");
    let tail = REST.replace("@2=v2 ", "");
    // Where it began is where it was first given something.
    acquits(
        SKIPPED,
        &scene(&latest("after"), &format!("{JOIN}{REST}")),
        2,
    );
    let anew = format!("{JOIN}{FIRST}c5 rebalance assigned t/0 at 2.0s\n{tail}");
    permits(
        SKIPPED,
        &scene(&latest("after"), &anew),
        1,
        "before it had committed anything",
    );
    let told = format!(
        "{JOIN}{FIRST}c5 commit t/0@2 at 1.5s..1.6s\nc5 rebalance assigned t/0 at 2.0s\n{tail}"
    );
    convicts(SKIPPED, &scene(&latest("after"), &told), "without cause");
    // Automatic commits are not recorded.
    abstains(SKIPPED, &scene(&latest("auto"), &anew), "may be permitted");
    // Nobody joined in between.
    let on = format!("{FIRST}{tail}");
    convicts(SKIPPED, &scene(&latest("after"), &on), "without cause");
}

#[test]
fn aborted_records_are_skipped_by_read_committed_groups() {
    let text = |more: &str| {
        let log = "e0 @0 v0 pid=7.0+0 txn | e0 @1 abort pid=7.0 | e0 @2 v1 pid=7.0+1 txn \
                   | e0 @3 commit pid=7.0 | aborted 7 @0 @1";
        format!(
            "topic t on n0,n1 by c1 idempotent transactional
            group g of c5 commit=after reset=earliest {more}
            c1 begin
            c1 send t/0 v0 -> @0
            c1 end abort
            c1 begin
            c1 send t/0 v1 -> @2
            c1 end commit
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            c5 subscribe t at 0.8s..0.9s
            c5 poll -> t/0 @2=v1 by n0 at 3.0s..3.1s
            n0 final t/0: {log}
            n1 final t/0: {log}"
        )
    };
    acquits(SKIPPED, &text("read-committed"), 1);
    convicts(SKIPPED, &text(""), "1 record skipped");
}

#[test]
fn a_history_that_breaks_off_says_nothing_of_what_was_skipped() {
    let gap = format!("{JOIN}{FIRST}{}", REST.replace("@2=v2 ", ""));
    let torn = format!("{}\ntorn frame 3", scene(&group("after"), &gap));
    abstains(SKIPPED, &torn, "the evidence is not whole");
    let cut = format!("{}\nended interrupted INT", scene(&group("after"), &gap));
    abstains(SKIPPED, &cut, "the evidence is not whole");
    let skips = scene(&group("after"), &gap);
    let two = skips.replace("topic t", "topic t partitions=2");
    let two = format!("{two}\nn0 said 0.5s leader t/1 e0 from @0 hw @0 isr n0,n1 was none");
    convicts(SKIPPED, &two, "t/0: 1 record skipped");
    let logless = scene(&group("after"), &gap).replace("final t/0", "final u/0");
    abstains(SKIPPED, &logless, "no log of t/0");
    abstains(
        SKIPPED,
        &scene(&group("after"), JOIN),
        "no records within reach",
    );
    abstains(
        TWICE,
        &scene(&group("after"), JOIN),
        "no records that groups processed",
    );
}

#[test]
fn a_topic_without_groups_has_no_rows() {
    for name in [TWICE, SKIPPED, BACK] {
        silent(name, &scene("", FIRST));
        silent(
            name,
            &scene(&group("after"), "c9 poll -> t/0 @0=v0 by n0 at 1.0s..1.1s"),
        );
    }
    // Automatic commits are not recorded: there is nothing to say about them.
    silent(BACK, &scene(&group("auto"), &format!("{JOIN}{FIRST}")));
    abstains(
        BACK,
        &scene(
            &group("after"),
            &format!("{JOIN}{FIRST}c5 commit t/0@2 -> ? lost"),
        ),
        "no commits",
    );
}
