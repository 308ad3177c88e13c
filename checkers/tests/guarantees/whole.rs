//! The judgement as a whole: folding, accounting, premises, figures, determinism.

use checkers::judgement::{Ended, Fold, Judgement, PremiseState, Role};

use crate::scene::{judged, recording};

/// Two contracts under one fault: what is kept, what may be lost.
const DEMO: &str = "
    topic ledger on n0,n1,n2 by c1 acks=all idempotent min.insync.replicas=2
    topic metrics on n0,n1,n2 by c2 acks=1
    c1 send ledger/0 v0 -> @0 by n0 at 1.0s..1.1s
    c2 send metrics/0 v1 -> @0 by n0 at 1.0s..1.1s
    f1 cut n0 -> n1, n1 -> n0 : injecting asked \"isolate n0\" (n0 leads) at 3.0s
    f1 injected (12 packets dropped) at 3.1s
    c2 send metrics/0 v2 -> @1 by n0 at 4.0s..4.1s
    c1 send ledger/0 v3 -> ? timed out at 4.0s..6.1s
    f1 healing at 7.0s
    f1 healed (no rule left) at 7.2s
    c1 send ledger/0 v4 -> @1 by n1 at 8.0s..8.1s
    n0 leader-hw metrics/0 e0 @1 at 2.0s..2.1s
    n0 leader-hw ledger/0 e0 @1 at 2.0s..2.1s
    n0 zk ledger/0 leader n0 e0 isr {n0,n1,n2} version 0 at 0.6s..0.7s
    n0 zk ledger/0 leader n0 e0 isr {n0,n1,n2} version 0 at 2.0s..2.1s
    n0 said 0.5s leader ledger/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n0 said 0.5s leader metrics/0 e0 from @0 hw @0 isr n0,n1,n2 was none
    n1 said 0.5s follower ledger/0 e0 from @0 hw @0 was none
    n1 said 0.5s follower metrics/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower metrics/0 e0 from @0 hw @0 was none
    n2 said 0.5s follower ledger/0 e0 from @0 hw @0 was none
    n1 said 5.0s leader ledger/0 e1 from @1 hw @1 isr n1,n2 was e0
    n1 said 5.0s leader metrics/0 e1 from @1 hw @1 isr n1,n2 was e0
    n0 said 7.5s follower ledger/0 e1 from @2 hw @1 was e0
    n0 said 7.5s follower metrics/0 e1 from @2 hw @1 was e0
    n0 said 7.6s cut ledger/0 @1
    n0 said 7.6s cut metrics/0 @1
    n0 before-f1 6.9s ledger/0: e0 @0 v0 | e0 @1 v3
    n0 before-f1 6.9s metrics/0: e0 @0 v1 | e0 @1 v2
    n0 final ledger/0: e0 @0 v0 | e1 @1 v4
    n1 final ledger/0: e0 @0 v0 | e1 @1 v4
    n2 final ledger/0: e0 @0 v0 | e1 @1 v4
    n0 final metrics/0: e0 @0 v1
    n1 final metrics/0: e0 @0 v1
    n2 final metrics/0: e0 @0 v1";

fn demo() -> Judgement {
    judged(DEMO)
}

#[test]
fn the_demo_holds_and_says_what_was_lost() {
    let judgement = demo();
    assert_eq!(judgement.fold, Fold::Held, "{:#?}", judgement.premises);
    assert_eq!(
        judgement.sentence,
        "Held. ledger kept all 2 acknowledged records. metrics lost 1 acknowledged record, above \
         the high watermark: acks=1 does not promise it."
    );
    assert_eq!(
        judgement.topics[0].settings,
        "acks=all, idempotent, min.isr 2"
    );
}

#[test]
fn every_record_is_accounted_for() {
    let judgement = demo();
    let [ledger, metrics] = [
        &judgement.topics[0].accounting,
        &judgement.topics[1].accounting,
    ];
    assert_eq!(
        (ledger.acknowledged.sent, ledger.acknowledged.present),
        (2, 2)
    );
    // The unknown one was applied on n0 alone, then cut.
    assert_eq!((ledger.unknown.sent, ledger.unknown.lost), (1, 1));
    assert_eq!(
        (
            metrics.acknowledged.sent,
            metrics.acknowledged.lost_above_hw
        ),
        (2, 1)
    );
    assert_eq!((ledger.drain.delivered, ledger.drain.matching), (2, 2));
    assert!(ledger.imbalance.is_empty() && metrics.imbalance.is_empty());
}

#[test]
fn what_was_looked_at_is_counted() {
    let totals = demo().totals;
    // The fresh consumer's three records are deliveries too.
    assert_eq!((totals.sends, totals.acknowledged), (5, 4));
    assert_eq!((totals.failed, totals.unknown), (0, 1));
    assert_eq!(totals.deliveries, 3);
    assert_eq!((totals.brokers, totals.images), (3, 5));
    assert_eq!((totals.replica_logs, totals.replica_bytes), (8, 1300));
    assert_eq!((totals.log_lines, totals.faults), (12, 1));
    assert_eq!(totals.faults_proved, 1);
    assert_eq!(totals.length, history::Mark::from_millis(100_000));
}

#[test]
fn what_could_not_be_seen_is_said() {
    let silence = |more: &str| {
        let limits = judged(&format!("{DEMO}\n{more}")).limits;
        limits.into_iter().find(|limit| limit.contains("silent"))
    };
    assert_eq!(silence(""), None);
    let said = silence("n0 silent (connection refused) at 7.3s..7.4s");
    assert!(said.is_some_and(|said| said.contains("probes 1")));
    let limits = |recording: &checkers::Recording| checkers::judge(recording).limits.join("\n");
    let mut recording = recording(DEMO);
    let whole = limits(&recording);
    assert!(
        !whole.contains("placed") && !whole.contains("not whole"),
        "{whole}"
    );
    recording.evidence.lines[3].span = None;
    recording.torn = Some("in frame 3".to_owned());
    recording.evidence.unreadable.push(evidence::Unreadable {
        file: "images/n0.tar.zst".to_owned(),
        why: "it ends early".to_owned(),
    });
    let said = limits(&recording);
    for limit in [
        "1 lines could not be placed in run time.",
        "The evidence is not whole: in frame 3.",
        "images/n0.tar.zst could not be read: it ends early.",
    ] {
        assert!(said.contains(limit), "`{limit}` in\n{said}");
    }
}

#[test]
fn what_does_not_add_up_is_said_and_not_held() {
    let stranger = DEMO.replace(
        "n1 final ledger/0: e0 @0 v0",
        "n1 final ledger/0: e0 @0 v77",
    );
    let judgement = judged(&stranger);
    assert_ne!(judgement.fold, Fold::Held);
    assert!(!judgement.topics[0].accounting.imbalance.is_empty());
    let fates = judgement
        .premises
        .iter()
        .find(|p| p.name == "fates")
        .expect("fates");
    assert!(matches!(&fates.state, PremiseState::Failed { why } if why.contains("not sent there")));
}

#[test]
fn a_drain_that_gave_something_else_does_not_add_up() {
    let drained = |polls: &str| {
        let phases = "no drain\nphase settle at 99.0s\nphase drain at 99.5s";
        let judgement = judged(&format!("{DEMO}\n{phases}\n{polls}"));
        let topics = judgement.topics.iter();
        let said: Vec<String> = topics
            .flat_map(|topic| topic.accounting.imbalance.clone())
            .collect();
        let drain = judgement.premises.iter().find(|p| p.name == "drain");
        let state = &drain.expect("the drain").state;
        (said, matches!(state, PremiseState::Failed { .. }))
    };
    // A log that nobody read is a failed premise, and no sum that is wrong.
    assert_eq!(drained(""), (vec![], true));
    let metrics = "c9 poll -> metrics/0 @0=v1 at 99.6s..99.7s\n";
    let whole = "c9 poll -> ledger/0 @0=v0 @1=v4 at 99.6s..99.7s\n";
    assert_eq!(drained(&format!("{metrics}{whole}")), (vec![], false));
    for (polled, count, matching, failed) in [
        ("@0=v0", 1, 1, true),
        ("@0=v0 @1=v3", 2, 1, false),
        ("@0=v0 @1=v4 @2=v3", 3, 2, false),
    ] {
        let said = format!(
            "ledger: the drain gave {count} records, of which {matching} match the 2 of the final logs."
        );
        let polls = format!("{metrics}c9 poll -> ledger/0 {polled} at 99.6s..99.7s");
        assert_eq!(drained(&polls), (vec![said], failed), "{polled}");
    }
}

#[test]
fn a_refused_send_that_stands_somewhere_is_our_own_fault() {
    let judgement = judged(&DEMO.replace("v4 -> @1 by n1", "v4 -> ! queue full"));
    let fates = judgement
        .premises
        .iter()
        .find(|p| p.name == "fates")
        .expect("fates");
    assert!(matches!(&fates.state, PremiseState::Failed { why } if why.contains("v4")));
    assert_eq!(judgement.fold, Fold::Unproven);
}

#[test]
fn a_value_sent_twice_and_an_answer_to_nothing_are_broken_premises() {
    let judgement = judged(&DEMO.replace("ledger/0 v4", "ledger/0 v0"));
    let unique = judgement
        .premises
        .iter()
        .find(|p| p.name == "values-unique")
        .expect("it");
    assert!(matches!(unique.state, PremiseState::Failed { .. }));
    let judgement = judged(&format!("{DEMO}\no77 sent -> @3 by n0"));
    let whole = judgement
        .premises
        .iter()
        .find(|p| p.name == "history-whole")
        .expect("it");
    assert!(matches!(whole.state, PremiseState::Failed { .. }));
}

#[test]
fn an_interrupted_run_is_unproven_and_says_so() {
    let judgement = judged(&format!("{DEMO}\nended interrupted INT"));
    assert_eq!(judgement.fold, Fold::Unproven);
    assert_eq!(
        judgement.ended,
        Ended::Interrupted {
            signal: "INT".into()
        }
    );
    assert!(
        judgement.sentence.contains("interrupted by INT"),
        "{}",
        judgement.sentence
    );
}

#[test]
fn the_fail_over_is_drawn_from_the_lines() {
    let judgement = demo();
    let failover = judgement
        .failovers
        .iter()
        .find(|f| f.partition == "metrics/0")
        .expect("a fail-over of metrics/0");
    assert_eq!((failover.from_epoch.0, failover.to_epoch.0), (0, 1));
    assert_eq!(failover.lost_count, 1);
    assert_eq!(failover.lost.map(|lost| (lost.from, lost.to)), Some((1, 2)));
    assert!(!failover.quiet && failover.fault.is_some());
    let [n0, n1, n2] = &failover.before[..] else {
        panic!("three replicas")
    };
    assert_eq!(
        (n0.role, n1.role, n2.role),
        (Role::DeposedLeader, Role::Leader, Role::Unknown)
    );
    assert_eq!(n0.cut.map(|cut| (cut.from, cut.to)), Some((1, 2)));
    assert_eq!(n0.hw.as_ref().map(|hw| hw.offset), Some(1));
    assert!(
        n0.hw
            .as_ref()
            .is_some_and(|hw| hw.source.contains("server.log:"))
    );
    assert_eq!(failover.after[0].segments[0].to, 1);
    assert_eq!(
        judgement.findings[0].title,
        "metrics/0 @1: 1 acknowledged record lost above the high watermark"
    );
    assert_eq!(failover.findings, vec![judgement.findings[0].id]);
}

#[test]
fn the_figure_ends_with_the_new_leaders_epoch_and_its_in_sync_set() {
    let after = |more: &str| {
        let judgement = judged(&format!("{DEMO}\n{more}"));
        let mut failovers = judgement.failovers.into_iter();
        let first = failovers.find(|f| f.partition == "metrics/0");
        first.expect("a fail-over of metrics/0").after
    };
    let sets = |more: &str| -> Vec<Vec<u16>> {
        let isr = after(more)
            .into_iter()
            .map(|replica| replica.isr.iter().map(|node| node.0.into()).collect());
        isr.collect()
    };
    let none: Vec<Vec<u16>> = vec![vec![]; 3];
    assert_eq!(sets(""), none);
    let seen = "
        n0 zk metrics/0 leader n1 e1 isr {n1,n2} version 1 at 8.0s..8.1s
        n1 believes metrics/0 leader n1 e1 isr {n0,n1,n2} at 8.2s..8.3s
        n2 believes metrics/0 leader n1 e1 isr {n1} at 8.4s..8.5s
        n0 zk metrics/0 leader n0 e0 isr {n0} version 0 at 8.6s..8.7s";
    let zookeeper = "n0 zk metrics/0 leader n1 e1 isr {n1,n2} version 1 at 8.0s..8.1s
        n0 zk metrics/0 leader n0 e0 isr {n0} version 0 at 8.6s..8.7s";
    assert_eq!(sets(zookeeper), [vec![], vec![1, 2], vec![]]);
    // The leader's last word in its epoch; not a follower's, and not that of an earlier epoch.
    assert_eq!(sets(seen), [vec![], vec![0, 1, 2], vec![]]);
    let epochs = |more: &str| -> Vec<Option<u32>> {
        let epochs = after(more).into_iter();
        epochs.map(|r| r.epoch.map(|e| e.0 as u32)).collect()
    };
    assert_eq!(epochs(""), [Some(1); 3]);
    // The same where another election ends the figure.
    let next = format!("{seen}\nn2 said 20.0s leader metrics/0 e2 from @1 hw @1 isr n2 was e1");
    assert_eq!(sets(&next), [vec![], vec![0, 1, 2], vec![]]);
    assert_eq!(epochs(&next), [Some(1); 3]);
}

#[test]
fn a_follower_is_drawn_from_its_line_whatever_became_of_the_old_leader() {
    let follows = "n2 said 5.0s follower metrics/0 e1 from @1 hw @1 was e0";
    let before = |scene: &str| {
        let mut failovers = judged(scene).failovers.into_iter();
        let first = failovers.find(|f| f.partition == "metrics/0");
        first.expect("a fail-over of metrics/0").before
    };
    let deposed = before(&format!("{DEMO}\n{follows}"));
    let roles: Vec<Role> = deposed.iter().map(|replica| replica.role).collect();
    assert_eq!(roles, [Role::DeposedLeader, Role::Leader, Role::Follower]);
    let leo =
        |replica: &checkers::judgement::ReplicaPicture| replica.leo.as_ref().map(|leo| leo.offset);
    assert_eq!((leo(&deposed[0]), leo(&deposed[2])), (Some(2), Some(1)));
    assert_eq!(deposed[2].cut, None);
    // In another life it was not the one that led.
    let restarted = DEMO.replace(
        "n0 said 7.5s follower metrics/0 e1 from @2 hw @1 was e0",
        "n0 said 7.5s follower metrics/0 e1 from @2 hw @1 was none",
    );
    let restarted = before(&format!("{restarted}\n{follows}"));
    let roles: Vec<Role> = restarted.iter().map(|replica| replica.role).collect();
    assert_eq!(roles, [Role::Unknown, Role::Leader, Role::Follower]);
}

#[test]
fn the_timeline_shows_who_still_believed_that_it_led() {
    let judgement = demo();
    let spans = &judgement.timeline.leadership[1].spans;
    let deposed: Vec<_> = spans.iter().filter(|span| span.deposed).collect();
    assert_eq!(deposed.len(), 1);
    assert_eq!(
        (deposed[0].span.from.0, deposed[0].span.to.0),
        (5_000_000_000, 7_500_000_000)
    );
    assert_eq!(judgement.timeline.sends["metrics"].acknowledged[4], 1);
    assert_eq!(judgement.timeline.sends["ledger"].unsuccessful[6], 1);
    assert_eq!(judgement.timeline.faults[0].span.from.0, 3_100_000_000);
}

#[test]
fn the_gap_between_log_end_and_high_watermark_keeps_the_widest_of_each_half_second() {
    let points = |more: &str| -> Vec<(String, u64, i64, i64)> {
        let gaps = judged(&format!("{DEMO}\n{more}")).timeline.gaps;
        let ledger = gaps.iter().filter(|gap| gap.partition == "ledger/0");
        let points = ledger.flat_map(|gap| gap.points.iter().map(|p| (gap.node, p)));
        points
            .filter(|(_, point)| point.at < history::Mark::from_millis(90_000))
            .map(|(node, p)| (node.to_string(), p.at.0 / 1_000_000, p.leo, p.hw))
            .collect()
    };
    assert_eq!(points(""), []);
    let seen = "
        n0 marks ledger/0 hw @1 at 0.9s..1.0s
        n0 leo ledger/0 @3 at 1.5s..1.51s
        n0 marks ledger/0 hw @1 at 1.52s..1.55s
        n0 leo ledger/0 @4 at 1.56s..1.57s
        n0 marks ledger/0 hw @1 at 1.6s..1.7s
        n0 marks ledger/0 hw @3 at 1.8s..1.9s
        n0 marks ledger/0 hw @4 at 2.0s..2.1s
        n0 marks ledger/0 hw @5 at 2.5s..2.6s
        n1 leo ledger/0 @3 at 2.5s..2.6s
        n1 marks ledger/0 hw @2 at 2.7s..2.8s";
    // None before the log end was asked for, and none of a broker that did not lead then.
    let n0 = |at, leo, hw| ("n0".to_owned(), at, leo, hw);
    assert_eq!(
        points(seen),
        [n0(1700, 4, 1), n0(2100, 4, 4), n0(2600, 5, 5)]
    );
}

#[test]
fn availability_is_measured_around_the_fault() {
    let judgement = demo();
    let fact = judgement
        .availability
        .iter()
        .find(|fact| fact.partition == "ledger/0")
        .expect("ledger/0");
    let gap = fact.send_gap.expect("a gap between two successes");
    assert_eq!((gap.from.0, gap.to.0), (1_100_000_000, 8_100_000_000));
    assert_eq!(fact.to_new_leader, Some(1_900_000_000));
    assert_eq!(fact.to_first_success, Some(5_000_000_000));
}

/// The demo with lines more: what is said of ledger/0 under a fault.
fn unavailable(more: &str, fault: &str) -> checkers::judgement::AvailabilityFact {
    let facts = judged(&format!("{DEMO}\n{more}")).availability;
    facts
        .into_iter()
        .find(|fact| fact.partition == "ledger/0" && fact.fault.to_string() == fault)
        .expect("ledger/0 under the fault")
}

#[test]
fn service_is_back_with_the_first_success_and_not_with_a_later_one() {
    let later = "c1 send ledger/0 v5 -> @2 by n1 at 8.2s..8.3s";
    assert_eq!(
        unavailable(later, "f1").to_first_success,
        Some(5_000_000_000)
    );
    // Asked later, answered earlier.
    let overtaking = "c1 send ledger/0 v5 -> @2 by n1 at 8.01s..8.05s";
    assert_eq!(
        unavailable(overtaking, "f1").to_first_success,
        Some(4_950_000_000)
    );
    // Asked before the fault: that it was answered shows nothing.
    let earlier = "c1 send ledger/0 v5 -> @2 by n1 at 3.0s..4.0s";
    assert_eq!(
        unavailable(earlier, "f1").to_first_success,
        Some(5_000_000_000)
    );
    // Answered only after the next fault had begun: that one's.
    let next = "
        f2 kill broker n2 : injecting asked \"kill n2\" (why n2) at 7.9s
        f2 injected (no such process) at 7.95s";
    assert_eq!(unavailable(next, "f1").to_first_success, None);
    assert_eq!(unavailable(next, "f2").to_first_success, Some(150_000_000));
}

#[test]
fn the_in_sync_set_is_full_again_when_somebody_says_so_of_the_newest_epoch() {
    let full = |more: &str| unavailable(more, "f1").to_full_isr;
    assert_eq!(full(""), None);
    let zk = |epoch: &str, isr: &str, at: &str| {
        format!("n0 zk ledger/0 leader n1 {epoch} isr {{{isr}}} version 3 at {at}\n")
    };
    let all = "n0,n1,n2";
    let newest = zk("e1", "n1,n2", "5.1s..5.2s");
    // Not before the fault was over; a set of an epoch that is past; or of some.
    let short = newest
        + &zk("e1", all, "6.9s..7.1s")
        + &zk("e0", all, "7.3s..7.4s")
        + &zk("e1", "n1,n2", "7.5s..7.6s");
    assert_eq!(full(&short), None);
    let later = short + &zk("e1", all, "8.4s..8.5s") + &zk("e1", all, "8.6s..8.7s");
    assert_eq!(full(&later), Some(1_500_000_000));
    let believed = "n1 believes ledger/0 leader n1 e1 isr {n0,n1,n2} at 7.9s..8.0s";
    assert_eq!(full(believed), Some(1_000_000_000));
    // What follows the next fault is that one's.
    let next = format!("f2 kill broker n2 : injecting asked \"kill n2\" (why n2) at 7.9s\n{later}");
    assert_eq!(full(&next), None);
}

#[test]
fn a_gap_between_deliveries_ends_before_the_drain() {
    let gap = |more: &str| unavailable(more, "f1").delivery_gap.map(|g| (g.from, g.to));
    assert_eq!(gap(""), None);
    let before = "c5 poll -> ledger/0 @0=v0 by n0 at 1.9s..2.0s";
    // What was stored later it never gave: the gap does not close.
    let millis = history::Mark::from_millis;
    assert_eq!(gap(before), Some((millis(2000), millis(8100))));
    let after = "c5 poll -> ledger/0 @1=v4 by n1 at 8.5s..8.6s";
    assert_eq!(
        gap(&format!("{before}\n{after}")),
        Some((millis(2000), millis(8600)))
    );
    // Two records of one poll came at one time, and a poll during the fault halves the gap.
    let during = "c5 poll -> ledger/0 @0=v0 @0=v0 @0=v0 by n0 at 3.4s..3.5s";
    assert_eq!(
        gap(&format!("{before}\n{during}\n{after}")),
        Some((millis(3500), millis(8600)))
    );
}

#[test]
fn the_same_evidence_gives_the_same_bytes() {
    let bytes = || serde_json::to_string(&demo()).expect("JSON");
    assert_eq!(bytes(), bytes());
}

#[test]
fn an_empty_recording_is_unproven() {
    let judgement = judged("no drain");
    assert_eq!(judgement.fold, Fold::Unproven);
}

/// The demo with another plan: its fold, and why a premise failed.
fn planned(change: impl FnOnce(&mut checkers::Recording), premise: &str) -> (Fold, String) {
    let mut recording = recording(DEMO);
    change(&mut recording);
    let judgement = checkers::judge(&recording);
    let found = judgement.premises.iter().find(|p| p.name == premise);
    match &found.expect("a premise of this name").state {
        PremiseState::Failed { why } => (judgement.fold, why.clone()),
        PremiseState::Kept { .. } => (judgement.fold, String::new()),
    }
}

fn steps(recording: &mut checkers::Recording, texts: &[&str]) {
    let read = |text: &&str| text.parse().expect("a step");
    recording.plan.storm = plan::Storm::Steps(texts.iter().map(read).collect());
}

#[test]
fn too_little_load_means_nothing() {
    let (fold, why) = planned(|recording| recording.plan.minimum.acked = 3, "load");
    assert_eq!(fold, Fold::Unproven);
    assert!(why.contains("2 records of ledger"), "{why}");
    let (fold, _) = planned(|recording| recording.plan.minimum.acked = 2, "load");
    assert_eq!(fold, Fold::Held);
}

#[test]
fn a_required_fault_must_be_proved() {
    let cut = "isolate n0 required";
    let (fold, why) = planned(|recording| steps(recording, &[cut]), "schedule");
    assert_eq!((fold, why.as_str()), (Fold::Held, ""));
    let (fold, why) = planned(|recording| steps(recording, &[cut, cut]), "schedule");
    assert_eq!(fold, Fold::Unproven);
    assert!(
        why.contains("`isolate n0` 2 times, and it was proved in force once"),
        "{why}"
    );
    // The proof of another fault is none of this one.
    let (fold, why) = planned(
        |recording| steps(recording, &["kill n0 required"]),
        "schedule",
    );
    assert_eq!(fold, Fold::Unproven);
    assert!(
        why.contains("`kill n0` once, and it was proved in force never"),
        "{why}"
    );
}

#[test]
fn a_fault_that_is_not_required_may_prove_ineffective() {
    let ineffective = "
    f2 power-cut broker n0 : injecting asked \"power-cut n0\" (n0 leads) at 5.0s
    f2 ineffective (nothing was unflushed) at 5.1s";
    let with = |texts: &[&str]| {
        let mut recording = recording(&format!("{DEMO}{ineffective}"));
        steps(&mut recording, texts);
        let judgement = checkers::judge(&recording);
        judgement.fold
    };
    assert_eq!(with(&["isolate n0 required", "power-cut n0"]), Fold::Held);
    let both = ["isolate n0 required", "power-cut n0 required"];
    assert_eq!(with(&both), Fold::Unproven);
}

#[test]
fn a_missed_step_is_unproven_unless_the_plan_goes_on() {
    let missed = |text: &str| {
        let event = history::Event::Step(history::StepEvent {
            at: history::Mark(1),
            index: 4,
            text: text.to_owned(),
            stage: history::StepStage::Missed(history::Why::new("20s")),
        });
        planned(|recording| recording.events.push(event), "schedule")
    };
    let (fold, why) = missed("await controller == n0 within 20s");
    assert_eq!(fold, Fold::Unproven);
    assert!(why.contains("step 4"), "{why}");
    let (fold, _) = missed("await controller == n0 within 20s or go on");
    assert_eq!(fold, Fold::Held);
}

#[test]
fn sends_that_wait_for_all_and_others_are_measured_apart() {
    // metrics has acks=1 only.
    let facts = demo().availability;
    let metrics = facts.iter().find(|fact| fact.partition == "metrics/0");
    let metrics = metrics.expect("metrics/0");
    assert_eq!((metrics.send_gap, metrics.to_first_success), (None, None));
    let ledger = unavailable("", "f1");
    assert!(ledger.send_gap.is_some() && ledger.other_send_gap.is_none());
    // Somebody who waits for the leader alone is served meanwhile.
    let other = "c9 send ledger/0 v5 -> @7 by n1 at 4.0s..4.1s
        c9 send ledger/0 v6 -> @8 by n1 at 4.2s..4.3s";
    let both = unavailable(other, "f1");
    assert_eq!(both.send_gap, ledger.send_gap);
    let gap = both.other_send_gap.expect("a gap of others");
    assert_eq!(
        (gap.from.0, gap.to.0, gap.open),
        (4_100_000_000, 4_300_000_000, false)
    );
    assert_eq!(both.to_first_success, ledger.to_first_success);
    assert_eq!(both.other_to_first_success, Some(1_000_000_000));
}

#[test]
fn a_gap_that_never_closes_is_told() {
    let gap = |more: &str| {
        let gap = unavailable(more, "f1").send_gap.expect("a gap");
        (gap.from.0 / 1_000_000, gap.to.0 / 1_000_000, gap.open)
    };
    assert_eq!(gap(""), (1100, 8100, false));
    // Asked for after the last success, in vain.
    let vain = "c1 send ledger/0 v5 -> ? timed out at 8.5s..12.5s";
    assert_eq!(gap(vain), (8100, 12_500, true));
    assert_eq!(
        gap(&format!(
            "{vain}\nc1 send ledger/0 v6 -> ! too large at 13.0s..13.1s"
        )),
        (8100, 13_100, true)
    );
    // Asked for before the last success; or only just before the end.
    assert_eq!(
        gap("c1 send ledger/0 v5 -> ? timed out at 8.05s..12.5s"),
        (1100, 8100, false)
    );
    assert_eq!(
        gap("c1 send ledger/0 v5 -> ? timed out at 8.5s..8.9s"),
        (1100, 8100, false)
    );
    // Consumers were given nothing of what was stored later.
    let reads = |more: &str| {
        let gap = unavailable(more, "f1").delivery_gap;
        gap.map(|gap| (gap.from.0 / 1_000_000, gap.to.0 / 1_000_000, gap.open))
    };
    assert_eq!(
        reads("c5 poll -> ledger/0 @0=v0 by n0 at 3.0s..3.2s"),
        Some((3200, 8100, true))
    );
    assert_eq!(reads("c5 poll -> ledger/0 @0=v0 by n0 at 7.5s..7.6s"), None);
}
