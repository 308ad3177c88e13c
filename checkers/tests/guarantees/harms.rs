//! What a recorded harm of ours explains in the files and answers of the replica that it befell: it
//! is counted and named, never a breach, and never hidden; and what it does not explain stays one.

use checkers::judgement::{Class, Standing, Verdict};

use crate::scene::judged;
use crate::{acquits, convicts, named, permits, told, verdict};

const HEAD: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
    c1 send t/0 v2 -> @2 by n0 at 1.4s..1.5s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n0 leader-hw t/0 e0 @3 at 2.0s..2.1s";
const WHOLE: &str = "e0 @0 v0 | e0 @1 v1 | e0 @2 v2";

/// Final logs of both, and what was done before them.
fn scene(n0: &str, n1: &str, harm: &str) -> String {
    format!("{HEAD}\n{harm}\nn0 final t/0: {n0}\nn1 final t/0: {n1}")
}

/// A guarantee, the log of n1 that breaks it, words of the finding, from where damage explains it, and
/// from where it no longer does.
const ROWS: &[(&str, &str, &str, u64, u64)] = &[
    (
        "log-malformed",
        "e0 @0 v0 | e0 @1 v1 | e0 @2 v2 | crc",
        "1 fault",
        90,
        91,
    ),
    (
        "log-malformed",
        "e0 @0 v0 | e2 @1 v1 | e0 @2 v2",
        "1 fault",
        2,
        3,
    ),
    (
        "log-malformed",
        "e0 @0 v0 | e0 @2 v2 | e0 @1 v1",
        "1 fault",
        2,
        3,
    ),
    (
        "log-malformed",
        "e0 @0 v0 pid=7.0+0 | e0 @1 v1 pid=7.0+5 | e0 @2 v2",
        "1 fault",
        1,
        2,
    ),
    (
        "log-malformed",
        "e0 @0 v0 | e0 @1 v1 | e0 @2 v2 | flaw index durable it lies",
        "1 fault",
        2,
        // Which offset it is about is not known: any damage to these files may be it.
        0,
    ),
    ("log-hole", "e0 @0 v0 | e0 @2 v2", "1 hole", 1, 2),
    (
        "log-hole",
        "e0 @0 v0 | e0 @1 v1 count=2 | e0 @2 v2",
        "1 hole",
        1,
        2,
    ),
    (
        "phantom",
        "e0 @0 v0 | e0 @1 corrupt | e0 @2 v2",
        "1 record",
        1,
        2,
    ),
    (
        "producer-state",
        "e0 @0 v0 | e0 @1 v1 | e0 @2 v2 | epochs e1@0",
        "fault",
        0,
        3,
    ),
    (
        "producer-state",
        "e0 @0 v0 | e0 @1 v1 pid=7.0+0 | e0 @2 v2 | snapshot @2 7.0+4@1",
        "fault",
        1,
        2,
    ),
    (
        "committed-prefix",
        "e0 @0 v0 | e0 @1 tag=x v1 | e0 @2 v2",
        "of n1",
        1,
        2,
    ),
    (
        "divergence-below-hw",
        "e0 @0 v0 | e0 @1 tag=x v1 | e0 @2 v2",
        "n1 and the leader",
        1,
        2,
    ),
    (
        "divergence-lasting",
        "e0 @0 v0 | e0 @1 tag=x v1 | e0 @2 v2",
        "n1 and the leader",
        1,
        2,
    ),
    (
        "log-matching-broken",
        "e0 @0 v0 | e0 @1 tag=x v1 | e0 @2 v2",
        "different bytes",
        1,
        2,
    ),
];

#[test]
fn damage_explains_what_stands_behind_it_on_that_replica() {
    for &(name, log, title, from, beyond) in ROWS {
        let harm = |text: &str| scene(WHOLE, log, &format!("harm t/0 {text} at 3.0s"));
        convicts(name, &scene(WHOLE, log, ""), title);
        let explained = harm(&format!("n1 damaged from @{from} by f1"));
        let judgement = judged(&explained);
        let Verdict::NotPromised { findings, .. } = verdict(&judgement, name) else {
            panic!("{name} of {log}: {:?}", verdict(&judgement, name));
        };
        let finding = named(&judgement, &findings, title);
        let cause = (finding.class, finding.standing);
        assert_eq!(cause, (Class::Damage, Standing::NotPromised), "{name}");
        // Elsewhere, on another replica, or in files that came later.
        let n1 = format!("n1 damaged from @{from}");
        convicts(name, &harm(&n1).replace("harm t/0", "harm u/0"), title);
        convicts(
            name,
            &harm(&format!("{n1} at 2.5s\nharm t/0 n1 wiped")),
            title,
        );
        if beyond > 0 {
            convicts(name, &harm(&format!("n1 damaged from @{beyond}")), title);
        }
        convicts(name, &harm("n1 wiped"), title);
    }
}

#[test]
fn damage_to_the_leader_explains_what_the_others_have_otherwise() {
    let changed = "e0 @0 v0 | e0 @1 tag=x v1 | e0 @2 v2";
    for name in [
        "committed-prefix",
        "divergence-below-hw",
        "log-matching-broken",
    ] {
        let text = |harm: &str| scene(changed, WHOLE, harm);
        convicts(name, &text(""), "t/0");
        permits(name, &text("harm t/0 n0 damaged from @1 at 3.0s"), 1, "t/0");
        convicts(name, &text("harm t/0 n0 damaged from @2 at 3.0s"), "t/0");
    }
}

#[test]
fn a_breach_beside_the_damage_stays_one() {
    let log = "e0 @0 v0 | e0 @2 v2 | e0 @5 v1 | e0 @4 v3";
    let harm = "harm t/0 n1 damaged from @4 at 3.0s";
    let finding = convicts("log-hole", &scene(WHOLE, log, harm), "1 hole");
    assert_eq!(finding.offsets.map(|offsets| offsets.from), Some(1));
    let judgement = judged(&scene(WHOLE, log, harm));
    let holes: Vec<Class> = judgement
        .findings
        .iter()
        .filter(|finding| finding.guarantee == "log-hole")
        .map(|finding| finding.class)
        .collect();
    assert!(
        holes.contains(&Class::Damage) && holes.contains(&Class::Unexplained),
        "{holes:?}"
    );
}

#[test]
fn an_image_from_before_the_damage_is_not_excused_by_it() {
    let early = "n1 before-f1 2.5s t/0: e0 @0 v0 | e0 @2 v2";
    let harm = "harm t/0 n1 damaged from @0 at 3.0s";
    convicts(
        "log-hole",
        &scene(WHOLE, WHOLE, &format!("{early}\n{harm}")),
        "1 hole",
    );
    acquits("log-hole", &scene(WHOLE, WHOLE, harm), 6);
}

#[test]
fn what_a_power_cut_leaves_is_excused_until_the_next_start() {
    let cut = "e0 @0 v0 | snapshot @3 7.0+1@2";
    let image = |at: &str| format!("n1 before-f1 {at} t/0: {cut}");
    let text = |more: &str, at: &str| {
        scene(
            WHOLE,
            WHOLE,
            &format!(
                "harm t/0 n1 lost from @1 by f1 at 3.0s\n{more}\n{}",
                image(at)
            ),
        )
    };
    permits("producer-state", &text("", "3.5s"), 1, "1 fault");
    convicts(
        "producer-state",
        &text("n1 broker started 7 at 3.2s", "3.5s"),
        "1 fault",
    );
    permits(
        "producer-state",
        &text("n1 broker started 7 at 4.0s", "3.5s"),
        1,
        "1 fault",
    );
    convicts("producer-state", &text("", "2.5s"), "1 fault");
}

#[test]
fn a_damaged_record_that_a_consumer_was_given() {
    let text = |more: &str| {
        scene(
            WHOLE,
            WHOLE,
            &format!("c5 poll -> t/0 @1=corrupt by n0 at 4.0s..4.1s\n{more}"),
        )
    };
    convicts("phantom", &text(""), "1 record");
    let finding = permits(
        "phantom",
        &text("harm t/0 n0 damaged from @1 at 3.0s"),
        1,
        "1 record",
    );
    assert!(
        told(&finding).contains("the files of n0 were damaged"),
        "{}",
        told(&finding)
    );
    for harm in [
        "harm t/0 n1 damaged from @1 at 3.0s",
        "harm t/0 n0 damaged from @2 at 3.0s",
        "harm t/0 n0 damaged from @1 at 5.0s",
    ] {
        convicts("phantom", &text(harm), "1 record");
    }
}

#[test]
fn a_damaged_copy_at_another_offset_proves_no_loss() {
    // The batch of v2 says @5, which no checksum covers; a leader's high watermark was beyond it.
    let log = "e0 @0 v0 | e0 @1 v1 | e0 @5 v2";
    let text = |harm: &str| {
        let hw = "n0 leader-hw t/0 e0 @9 at 2.2s..2.3s";
        scene(WHOLE, log, &format!("{hw}\n{harm}"))
    };
    convicts("committed-lost", &text(""), "t/0 @5");
    acquits(
        "committed-lost",
        &text("harm t/0 n1 damaged from @2 at 3.0s"),
        3,
    );
    convicts(
        "committed-lost",
        &text("harm t/0 n1 damaged from @6 at 3.0s"),
        "t/0 @5",
    );
}

#[test]
fn who_has_damaged_files_need_not_recover() {
    let behind = |harm: &str| {
        scene(
            WHOLE,
            WHOLE,
            &format!(
                "n0 marks t/0 hw @3 at 99.6s
            n0 zk t/0 leader n0 e0 isr {{n0}} version 4 at 99.7s\n{harm}"
            ),
        )
    };
    convicts("stuck", &behind(""), "not recovered");
    permits(
        "stuck",
        &behind("harm t/0 n1 damaged from @0 at 3.0s"),
        1,
        "not recovered",
    );
    for harm in ["n1 wiped", "n1 lost from @1", "deleted before @1"] {
        convicts(
            "stuck",
            &behind(&format!("harm t/0 {harm} at 3.0s")),
            "not recovered",
        );
    }
}

#[test]
fn deletion_on_request_breaks_nothing() {
    let judgement = judged(&scene(
        "e0 @1 v1 | e0 @2 v2",
        "e0 @1 v1 | e0 @2 v2",
        "harm t/0 deleted before @1 at 3.0s",
    ));
    let broken: Vec<&str> = judgement.topics[0]
        .guarantees
        .iter()
        .filter(|one| matches!(one.verdict, Verdict::Broken { .. }))
        .map(|one| one.name.as_str())
        .collect();
    assert!(broken.is_empty(), "{broken:?}");
}
