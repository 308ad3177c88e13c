//! What groups commit, and what they find committed.

use crate::groups::{AGAIN, BACK, FIRST, JOIN, REST, group, in_transactions, scene};
use crate::{abstains, acquits, convicts, permits, told};

const COMMIT_2: &str = "c5 commit t/0@2 at 1.5s..1.6s\n";

#[test]
fn a_committed_offset_never_goes_back() {
    for commit in ["after", "before"] {
        let lower = format!("{JOIN}{FIRST}{COMMIT_2}c5 commit t/0@1 at 2.0s..2.1s");
        let finding = convicts(BACK, &scene(&group(commit), &lower), "went back 1 time");
        assert!(
            told(&finding).contains("c5 (o7) had committed @2 by 1.600s; c5 (o8) committed @1")
        );
        let higher = lower.replace("@1 at", "@3 at");
        acquits(BACK, &scene(&group(commit), &higher), 2);
        let same = lower.replace("@1 at", "@2 at");
        acquits(BACK, &scene(&group(commit), &same), 2);
        // Overlapping commits are unordered, and refused ones are none.
        let overlapping = lower.replace("2.0s..2.1s", "1.55s..2.1s");
        acquits(BACK, &scene(&group(commit), &overlapping), 2);
        let refused = lower.replace("@1 at", "@1 -> ! fenced at");
        acquits(BACK, &scene(&group(commit), &refused), 1);
        let unknown = lower.replace(COMMIT_2, "c5 commit t/0@2 -> ? lost at 1.5s..1.6s\n");
        acquits(BACK, &scene(&group(commit), &unknown), 1);
    }
}

#[test]
fn going_back_on_purpose_is_no_regression() {
    let back = format!(
        "{JOIN}{FIRST}{COMMIT_2}c5 seek t/0@0 at 1.8s..1.9s\nc5 commit t/0@1 at 2.0s..2.1s\nc5 commit t/0@2 at 2.2s..2.3s"
    );
    acquits(BACK, &scene(&group("after"), &back), 3);
    let forth = back.replace("seek t/0@0", "seek t/0@2");
    convicts(BACK, &scene(&group("after"), &forth), "went back 1 time");
}

#[test]
fn the_first_delivery_after_an_assignment_shows_what_is_committed() {
    let handed = |at: &str, given: &str| {
        let rest = REST.replace("c5", "c6").replace("@2=v2 @3=v3", given);
        format!(
            "{JOIN}{FIRST}{COMMIT_2}c6 subscribe t at 1.7s..1.8s\nc6 rebalance assigned t/0 at {at}\n{rest}"
        )
    };
    acquits(
        BACK,
        &scene(&group("after"), &handed("2.0s", "@2=v2 @3=v3")),
        1,
    );
    let finding = convicts(
        BACK,
        &scene(&group("after"), &handed("2.0s", "@1=v1 @2=v2")),
        "went back 1 time",
    );
    assert!(
        told(&finding).contains("was given @1 after it"),
        "{}",
        told(&finding)
    );
    assert_eq!(finding.offsets.map(|at| (at.from, at.to)), Some((1, 2)));
    // What is assigned elsewhere, to others, or taken away shows no position.
    for beside in [
        "c6 rebalance assigned t/9",
        "c6 rebalance revoked t/0",
        "c9 rebalance assigned t/0",
    ] {
        let calls = handed("2.0s", "@1=v1 @2=v2").replace("c6 rebalance assigned t/0", beside);
        acquits(BACK, &scene(&group("after"), &calls), 1);
    }
    // The commit was not answered yet when the partition changed hands.
    acquits(
        BACK,
        &scene(&group("after"), &handed("1.55s", "@1=v1 @2=v2")),
        1,
    );
    // The same thing is told once.
    let more = format!("{}c6 commit t/0@1 at 3.5s..3.6s", handed("2.0s", "@1=v1"));
    convicts(BACK, &scene(&group("after"), &more), "went back 1 time");
    let doubt = format!(
        "broker unclean.leader.election.enable=true\n{}",
        scene(&group("after"), &more)
    );
    abstains(BACK, &doubt, "may be permitted");
}

/// What another sought explains what it committed, and not what is given to somebody else afterwards.
#[test]
fn a_seek_explains_only_what_follows_from_it() {
    let given = "c6 poll -> t/0 @0=v0 by n0 at 3.0s..3.1s";
    let with = |calls: &str| {
        let calls =
            format!("{JOIN}c6 subscribe t at 1.0s..1.05s\n{FIRST}{COMMIT_2}{calls}\n{given}");
        scene(&group("after"), &calls)
    };
    let assigned = "c6 rebalance assigned t/0 at 2.0s";
    let sought = |client: &str, at: &str| format!("{client} seek t/0@0 at {at}s..{at}s");
    // Its own, or one before the partition changed hands.
    acquits(
        BACK,
        &with(&format!("{assigned}\n{}", sought("c6", "2.5"))),
        1,
    );
    acquits(
        BACK,
        &with(&format!("{}\n{assigned}", sought("c5", "1.8"))),
        1,
    );
    let late = with(&format!("{assigned}\n{}", sought("c5", "2.5")));
    convicts(BACK, &late, "went back 1 time");
    // Gone back on purpose, and committed again above it.
    let again = format!(
        "{}\nc5 commit t/0@1 at 1.85s..1.9s\n{assigned}",
        sought("c5", "1.8")
    );
    convicts(BACK, &with(&again), "went back 1 time");
}

#[test]
fn consumers_that_never_join_are_fenced_by_nobody() {
    let calls = format!("{FIRST}{COMMIT_2}c6 commit t/0@1 at 2.0s..2.1s");
    permits(BACK, &scene(&group("after"), &calls), 1, "went back 1 time");
    convicts(
        BACK,
        &scene(&group("after"), &format!("{JOIN}{calls}")),
        "went back 1 time",
    );
}

#[test]
fn offsets_committed_in_a_transaction_count_once_it_is_committed() {
    acquits(BACK, &in_transactions("commit", "commit", REST), 2);
    acquits(BACK, &in_transactions("abort", "commit", AGAIN), 1);
    let back = in_transactions("commit", "commit", REST).replace("t/0@4", "t/0@1");
    convicts(BACK, &back, "went back 1 time");
    let back = in_transactions("abort", "commit", REST).replace("t/0@4", "t/0@1");
    acquits(BACK, &back, 1);
}
