//! Copies and order by the producers' sessions, what brokers may have forgotten of them, and records
//! that nobody acknowledged.

use checkers::judgement::{Class, Verdict};

use crate::scene::judged;
use crate::{abstains, acquits, convicts, permits, told, verdict};

/// A topic on two replicas with these logs.
fn scene(topic: &str, more: &str, log: &str) -> String {
    format!(
        "topic t on n0,n1 by c1,c2 {topic}
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        {more}
        n0 final t/0: {log}
        n1 final t/0: {log}"
    )
}

/// A leader change in between, clean unless the new leader is not in the set before.
fn elected(topic: &str, sends: &str, before: &str, log: &str) -> String {
    format!(
        "topic t on n0,n1 by c1 {topic}
        {sends}
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n1 said 0.4s state t/0 e0 isr {before} version 4
        n1 said 4.9s state t/0 e1 isr n1 version 5
        n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
        n0 final t/0: {log}
        n1 final t/0: {log}"
    )
}

const COPIED: &str = "duplicate-in-log";
const ONCE: &str = "c1 send t/0 v0 -> @0 at 1.0s..1.1s";

#[test]
fn batch_headers_tell_whose_doing_a_copy_is() {
    let copy = |first: &str, again: &str| format!("e0 @0 v0 {first} | e0 @1 v0 {again}");
    for (first, again, says) in [
        ("pid=7.0+3", "pid=7.0+3", "did not recognise them"),
        ("pid=7.1+0", "pid=7.0+0", "should have refused them"),
        ("pid=7.0+3", "pid=7.0+4", "numbered them anew"),
        ("pid=7.0+3", "pid=8.0+0", "began a new session"),
        ("", "", "nothing should be sent again"),
    ] {
        let text = scene("idempotent", ONCE, &copy(first, again));
        let finding = convicts(COPIED, &text, "1 further copy");
        assert!(told(&finding).contains(says), "{}", told(&finding));
    }
    let resent = scene("idempotent", ONCE, &copy("pid=7.0+3", "pid=7.1+0"));
    let finding = permits(COPIED, &resent, 1, "1 further copy");
    assert!(told(&finding).contains("KIP-360"));
    // Two kinds are two findings.
    let both = "e0 @0 v0 pid=7.0+3 | e0 @1 v0 pid=7.0+3 | e0 @2 v0 pid=7.1+0";
    let judgement = judged(&scene("idempotent", ONCE, both));
    let of = |finding: &&checkers::judgement::Finding| finding.guarantee == COPIED;
    assert_eq!(judgement.findings.iter().filter(of).count(), 2);
}

#[test]
fn what_brokers_may_have_forgotten_excuses_a_copy() {
    let log = "e0 @0 v0 pid=7.0+0 | e1 @1 v0 pid=7.0+0";
    let clean = elected("idempotent", ONCE, "n0,n1", log);
    convicts(COPIED, &clean, "1 further copy");
    let allowed = "broker unclean.leader.election.enable=true\n";
    let unclean = elected("idempotent", ONCE, "n0", log);
    let finding = permits(COPIED, &format!("{allowed}{unclean}"), 1, "1 further copy");
    assert_eq!(finding.class, Class::UncleanElection);
    // Nobody allowed it.
    convicts(COPIED, &unclean, "1 further copy");
    // Before the first copy it explains nothing, nor behind the second.
    for (one, two) in [("e1", "e1"), ("e0", "e0")] {
        let log = format!("{one} @0 v0 pid=7.0+0 | {two} @1 v0 pid=7.0+0");
        let beside = format!("{allowed}{}", elected("idempotent", ONCE, "n0", &log));
        convicts(COPIED, &beside, "1 further copy");
    }
    for (more, excused) in [
        ("harm t/0 n1 wiped at 3.0s", true),
        ("harm t/0 n1 lost from @0 at 3.0s", true),
        ("harm t/0 deleted before @0 at 3.0s", true),
        ("harm u/0 n1 wiped at 3.0s", false),
        ("harm t/0 n2 wiped at 3.0s", false),
        ("broker transactional.id.expiration.ms=1000", true),
        ("broker transactional.id.expiration.ms=604800000", false),
    ] {
        let text = format!("{clean}\n{more}");
        match excused {
            true => abstains(COPIED, &text, "may be permitted"),
            false => {
                convicts(COPIED, &text, "1 further copy");
            }
        }
    }
}

#[test]
fn each_session_keeps_its_order() {
    let sends = "
        c1 send t/0 v0 -> @2 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 at 1.2s..1.3s
        c1 send t/0 v2 -> @0 at 1.4s..1.5s";
    // v0 was sent again under a new epoch; v1 and v2 of the old one are out of order all the same.
    let log = "e0 @0 v2 pid=7.0+0 | e0 @1 v1 pid=7.0+1 | e0 @2 v0 pid=7.1+0";
    let finding = convicts(
        "order-broken",
        &scene("idempotent", sends, log),
        "1 record of c1",
    );
    assert!(told(&finding).contains("c1 sent v1"), "{}", told(&finding));
    let straight = "e0 @0 v1 pid=7.0+0 | e0 @1 v2 pid=7.0+1 | e0 @2 v0 pid=7.1+0";
    let text = scene("idempotent", sends, straight);
    permits("order-broken", &text, 2, "2 records of c1");
    let swapped = "e0 @0 v1 pid=7.0+0 | e1 @1 v0 pid=7.0+1";
    let two = "c1 send t/0 v0 -> @1 at 1.0s..1.1s\nc1 send t/0 v1 -> @0 at 1.2s..1.3s";
    convicts(
        "order-broken",
        &elected("idempotent", two, "n0,n1", swapped),
        "1 record",
    );
    let unclean = elected("idempotent", two, "n0", swapped);
    let unclean = format!("broker unclean.leader.election.enable=true\n{unclean}");
    let finding = permits("order-broken", &unclean, 1, "1 record");
    assert_eq!(finding.class, Class::UncleanElection);
}

#[test]
fn what_was_never_acknowledged_and_is_absent_is_counted_and_nothing_more() {
    let sends = "
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        c1 send t/0 v1 -> ? timed out at 1.2s..1.3s
        c1 send t/0 v2 -> ? timed out at 1.4s..1.5s
        c1 send t/0 v3 ... at 1.6s";
    let text = scene("acks=1", sends, "e0 @0 v0 v2");
    let unknown = &judged(&text).topics[0].accounting.unknown;
    assert_eq!(
        (unknown.sent, unknown.present, unknown.never_seen),
        (3, 1, 2)
    );
    acquits("acked-lost-below-hw", &text, 1);
    acquits("committed-lost", &text, 2);
    // Seen once, in an image that was cut later: applied, then lost.
    let seen = format!("{text}\nn1 before-f1 5.0s t/0: e0 @0 v0 v1");
    let unknown = &judged(&seen).topics[0].accounting.unknown;
    assert_eq!((unknown.lost, unknown.never_seen), (1, 1));
}

#[test]
fn what_was_refused_and_is_there_is_our_own_fault() {
    let refused = "c1 send t/0 v0 -> ! queue full at 1.0s..1.1s";
    for text in [
        scene("", refused, "e0 @0 v0"),
        scene(
            "",
            &format!("{refused}\nc5 poll -> t/0 @3=v0 at 2.0s..2.1s"),
            "",
        ),
        scene("", &refused.replace("t/0", "u/0"), "e0 @0 v0"),
    ] {
        let judgement = judged(&text);
        let fates = judgement.premises.iter().find(|p| p.name == "fates");
        let state = format!("{:?}", fates.expect("fates").state);
        assert!(state.contains("Failed"), "{state}");
        // Nothing that rests on fates is a pass.
        let lost = verdict(&judgement, "acked-lost-below-hw of t");
        assert!(matches!(lost, Verdict::Unproven { .. }), "{lost:?}");
        assert_ne!(judgement.fold, checkers::Fold::Held);
    }
}
