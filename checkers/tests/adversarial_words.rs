//! What is said must be so: counts, captions, times, and whose doing it was.

#[path = "guarantees/scene.rs"]
mod scene;

use checkers::judgement::{Judgement, PremiseState, Verdict};
use scene::judged;

fn unit(judgement: &Judgement, name: &str) -> (u64, String) {
    let found = judgement.topics[0].guarantees.iter();
    let mut found = found.filter(|guarantee| guarantee.name == name);
    match &found.next().expect("a guarantee of this name").verdict {
        Verdict::Held { examined, unit } => (*examined, unit.clone()),
        other => panic!("{name}: {other:?}"),
    }
}

const THREE: &str = "
    topic t on n0,n1,n2 by c1 acks=all
    c1 send t/0 v0 -> @0 at 1.0s..1.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n0 leader-hw t/0 e0 @1 at 1.2s..1.3s
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0
    n2 final t/0: e0 @0 v0";

/// Three logs agree, not two with one that nobody counts; and one is one.
#[test]
fn three_replicas_are_three_and_one_record_is_one() {
    let judgement = judged(THREE);
    for name in ["divergence-below-hw", "divergence-lasting"] {
        let (examined, unit) = unit(&judgement, name);
        assert_eq!(examined, 3, "{name}");
        assert!(unit.starts_with("replica logs, "), "{unit}");
    }
    let one = |name| unit(&judgement, name);
    assert_eq!(
        one("acked-lost-below-hw"),
        (1, "acknowledged record".into())
    );
    assert_eq!(one("stuck"), (1, "partition after settling".into()));
    assert_eq!(
        one("hw-regressed"),
        (1, "answer of leaders about their high watermark".into())
    );
    for premise in &judgement.premises {
        if let PremiseState::Kept { examined: 1, unit } = &premise.state {
            let first = unit.split(' ').find(|word| word.ends_with('s'));
            assert!(first.is_none() || unit.contains(" of "), "1 {unit}");
        }
    }
    // A replica alone has nothing to agree with.
    let alone = judged(
        "topic t on n0 by c1 acks=all
        c1 send t/0 v0 -> @0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n0 final t/0: e0 @0 v0",
    );
    let found = alone.topics[0]
        .guarantees
        .iter()
        .find(|g| g.name == "divergence-lasting");
    let verdict = &found.expect("divergence").verdict;
    let nothing = matches!(verdict, Verdict::NotPromised { examined: 0, .. });
    assert!(nothing, "{verdict:?}");
}

/// n0 acknowledges alone, n2 had copied the first of two; n1 is elected without either.
const LOST: &str = "
    topic t on n0,n1,n2 by c1 acks=1
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 4.0s..4.1s
    c1 send t/0 v2 -> @2 by n0 at 4.2s..4.3s
    f1 cut n0 -> n1, n1 -> n0 : injecting asked \"isolate n0\" (n0 leads) at 3.9s
    f1 injected (12 packets dropped) at 4.5s
    f1 healing at 7.0s
    f1 healed (no rule left) at 7.2s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1,n2 was e0
    n2 said 5.0s follower t/0 e1 from @2 hw @1 was e0
    n2 said 5.1s cut t/0 @1
    n0 said 9.0s follower t/0 e1 from @3 hw @1 was e0
    n0 said 9.1s cut t/0 @1
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0
    n2 final t/0: e0 @0 v0";

#[test]
fn the_caption_says_only_the_old_leader_only_if_so() {
    let caption = |scene: &str| judged(scene).failovers[0].lost_caption.clone();
    assert_eq!(
        caption(LOST),
        "2 acknowledged records that the new leader did not hold: never below the high watermark"
    );
    let alone = LOST
        .replace(
            "n2 said 5.0s follower t/0 e1 from @2",
            "n2 said 5.0s follower t/0 e1 from @1",
        )
        .replace("n2 said 5.1s cut t/0 @1", "");
    assert_eq!(
        caption(&alone),
        "2 acknowledged records that only the old leader held: never below the high watermark"
    );
}

/// Records that were lost between the intent of a fault and its proof were lost to that fault.
#[test]
fn a_fault_acts_from_its_intent_on() {
    let judgement = judged(LOST);
    let story: Vec<&str> = judgement.findings[0]
        .story
        .iter()
        .map(|s| s.text.as_str())
        .collect();
    let fault = story
        .iter()
        .find(|text| text.contains("(f1,"))
        .expect("the fault");
    assert!(
        fault.starts_with("From 3.900s to 7.000s: ") && fault.contains("proved at 4.500s"),
        "{fault}"
    );
    assert!(judgement.failovers[0].before_caption.contains("(3.900s)"));
    // An election between the two is the fault's doing.
    let early = judged(&LOST.replace(
        "injected (12 packets dropped) at 4.5s",
        "injected (12) at 5.5s",
    ));
    assert_eq!(early.availability[0].to_new_leader, Some(0));
}

/// n0 was dead at e1 and cut its log for e3 only: the figure of e1 shows no cut of it.
#[test]
fn a_figure_shows_the_cuts_of_its_own_fail_over() {
    let judgement = judged(
        "topic t on n0,n1,n2 by c1 acks=1
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
        n0 broker killed at 4s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1,n2 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n2 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 said 5.0s leader t/0 e1 from @2 hw @1 isr n1,n2 was e0
        n2 said 5.0s follower t/0 e1 from @1 hw @1 was e0
        n1 broker killed at 6s
        n2 said 8.0s leader t/0 e3 from @1 hw @1 isr n2 was e1
        n0 broker started 7 at 9s
        n0 said 9.5s follower t/0 e3 from @2 hw @1 was none
        n0 said 9.6s cut t/0 @1
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0
        n2 final t/0: e0 @0 v0",
    );
    let [first, second] = &judgement.failovers[..] else {
        panic!("two fail-overs")
    };
    assert_eq!((first.to_epoch.0, second.to_epoch.0), (1, 3));
    assert_eq!(first.before[0].cut, None);
    assert_eq!(first.before[0].leo.as_ref().map(|leo| leo.offset), Some(2));
    let cut = second.before[0].cut.expect("a cut for e3");
    assert_eq!((cut.from, cut.to), (1, 2));
}
