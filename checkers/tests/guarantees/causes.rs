//! Why a record is gone: each class with the evidence that makes it so, and the verdict on it.

use checkers::judge;
use checkers::judgement::{Class, Finding, Judgement, Standing, Verdict};
use evidence::{LogLine, Says};
use history::{Event, Mark, Offset, Outcome, Partition, Reply};

use crate::scene::{edited, judged, recording};
use crate::{acquits, told};

/// n0 acknowledges v0 and v1 under acks=all, stands alone, loses v1 and leads again.
const LAST: &str = "
    topic t on n0,n1 by c1 acks=all
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n0 said 0.4s state t/0 e0 isr n0,n1 version 1
    n0 said 3.0s state t/0 e0 isr n0 version 2
    harm t/0 n0 lost from @1 at 4.0s
    n0 said 4.5s loaded t/0 @1
    n0 said 4.9s state t/0 e1 isr n0 version 3
    n0 said 5.0s leader t/0 e1 from @1 hw @1 isr n0 was none
    n1 said 6.0s follower t/0 e1 from @2 hw @2 was e0
    n1 said 6.1s cut t/0 @1
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0";

fn lost(judgement: &Judgement) -> Finding {
    let mut findings = judgement.findings.iter();
    let of_loss = |f: &&Finding| f.guarantee.starts_with("acked-lost");
    findings.find(of_loss).expect("a loss").clone()
}

fn is(scene: &str, class: Class, standing: Standing) -> Finding {
    let finding = lost(&judged(scene));
    assert_eq!(
        (finding.class, finding.standing),
        (class, standing),
        "{}",
        told(&finding)
    );
    finding
}

#[test]
fn the_last_one_standing_lost_it_and_led() {
    let finding = is(LAST, Class::LastStanding, Standing::NotPromised);
    let story = told(&finding);
    for part in [
        "v1 was acknowledged to c1 under acks=all",
        "n0 lost its log from @1 on, as by a power cut, at 4.000s",
        "was elected for e1 without having copied it again, as the last one standing",
        "version 2 has it as the only one in sync",
        "no recovery point",
    ] {
        assert!(story.contains(part), "`{part}` in\n{story}");
    }
    assert_eq!(finding.would_keep.as_deref(), Some("flush.messages=1"));
    // One cause: nothing else that it did is a breach either.
    let broken = |scene: &str| {
        let rows = judged(scene).topics[0].guarantees.clone();
        let mut broken = rows
            .into_iter()
            .filter(|row| matches!(row.verdict, checkers::judgement::Verdict::Broken { .. }));
        broken.next().map(|row| row.name)
    };
    let image = "n1 before-f1 5.5s t/0: e0 @0 v0 | e0 @1 v1";
    assert_eq!(broken(&format!("{LAST}\n{image}")), None);
    let flushed = LAST.replace("acks=all", "acks=all flush.messages=1");
    assert!(broken(&flushed).is_some());
}

#[test]
fn what_had_been_flushed_no_power_cut_takes() {
    let flushed = LAST.replace("acks=all", "acks=all flush.messages=1");
    is(&flushed, Class::LastStanding, Standing::Broken);
    // The setting was changed on the way: not all of the log had been flushed.
    let changed = format!("{flushed}\nset t flush.messages=1000 at 0.2s..0.3s");
    is(&changed, Class::LastStanding, Standing::NotPromised);
    // Its recovery point lies behind it.
    let mut pointed = recording(&format!("{LAST}\nn0 before-f1 3.5s t/0: e0 @0 v0 v1"));
    let partition: Partition = "t/0".parse().expect("a partition");
    let points = &mut pointed.evidence.images[0].recovery_point;
    points.insert(partition.clone(), Offset(2));
    let finding = lost(&judge(&pointed));
    assert_eq!(
        (finding.class, finding.standing),
        (Class::LastStanding, Standing::Broken)
    );
    assert!(told(&finding).contains("its recovery point in images/n0-before-f1"));
    let points = &mut pointed.evidence.images[0].recovery_point;
    points.insert(partition.clone(), Offset(1));
    assert_eq!(lost(&judge(&pointed)).standing, Standing::NotPromised);
    // A segment rolled behind it long before; and one only just.
    for (rolled, standing) in [
        (-20_000, Standing::Broken),
        (-3_000, Standing::Broken),
        (-2_999, Standing::NotPromised),
        (3_000, Standing::NotPromised),
    ] {
        let mut run = recording(&LAST.replace("    harm", "n0 broker killed at 30.0s\nn1 broker killed at 30.5s\nn0 zookeeper killed at 30.6s\n    harm"));
        let at = history::Mark::from_millis((23_000 + rolled) as u64);
        let says = Says::Rolled {
            partition: partition.clone(),
            at: Offset(2),
        };
        push_line(&mut run, at, says);
        for event in &mut run.events {
            if let history::Event::Harm(harm) = event {
                harm.at = history::Mark::from_millis(31_000);
            }
        }
        // It led after the loss.
        for line in &mut run.evidence.lines {
            if line.text.contains("e1") {
                line.span = Some(history::Span {
                    from: history::Mark::from_millis(40_000),
                    to: history::Mark::from_millis(40_000),
                });
            }
        }
        assert_eq!(lost(&judge(&run)).standing, standing, "{rolled}");
    }
}

#[test]
fn of_two_losses_that_explain_it_the_one_that_may_be_counts() {
    let flushed = LAST.replace("acks=all", "acks=all flush.messages=1");
    for damage in ["3.9s", "4.1s"] {
        let damaged = format!("{flushed}\nharm t/0 n0 damaged from @1 at {damage}");
        is(&damaged, Class::LastStanding, Standing::NotPromised);
    }
    // Where both may have taken it, the first is told.
    let both =
        format!("{LAST}\nharm t/0 n0 damaged from @1 at 4.1s\nn0 before-f1 3.5s t/0: e0 @0 v0 v1");
    let mut pointed = recording(&both);
    let points = &mut pointed.evidence.images[0].recovery_point;
    points.insert("t/0".parse().expect("a partition"), Offset(1));
    let story = told(&lost(&judge(&pointed)));
    assert!(story.contains("n0 lost its log from @1 on"), "{story}");
    // It was damaged elsewhere, or only after it had led.
    for innocent in ["damaged from @2 at 4.1s", "damaged from @1 at 7.0s"] {
        let damaged = format!("{flushed}\nharm t/0 n0 {innocent}");
        is(&damaged, Class::LastStanding, Standing::Broken);
    }
}

fn push_line(run: &mut checkers::Recording, at: history::Mark, says: Says) {
    let line = LogLine {
        host_unix_millis: (at.0 / 1_000_000) as i64,
        span: Some(history::Span { from: at, to: at }),
        text: "made by hand".to_owned(),
        line: 900,
        says,
        ..run.evidence.lines[0].clone()
    };
    run.evidence.lines.push(line);
}

#[test]
fn all_in_sync_were_down_together() {
    let down = LAST
        .replace("n0 said 3.0s state t/0 e0 isr n0 version 2", "")
        .replace("version 3", "version 2")
        + "
        n0 broker killed at 3.5s
        n1 broker killed at 3.6s
        n0 broker started 7 at 4.2s
        n1 broker started 8 at 5.5s";
    let finding = is(&down, Class::AllDown, Standing::NotPromised);
    assert!(told(&finding).contains("were down at once"));
    // One of the others lived: why it was in sync is not known.
    let lived = down.replace("n1 broker killed at 3.6s", "");
    is(&lived, Class::LossyLeader, Standing::NotPromised);
}

#[test]
fn a_stale_fetch_took_it_back() {
    let back = LAST
        .replace("n0 said 3.0s state t/0 e0 isr n0 version 2", "")
        .replace("isr n0 version 3", "isr n0 version 4")
        + "
        n1 said 4.2s state t/0 e0 isr n1 version 2
        n1 said 4.4s state t/0 e0 isr n0,n1 version 3";
    let finding = is(&back, Class::StaleReadmission, Standing::NotPromised);
    assert!(told(&finding).contains("version 2 had taken it out"));
}

#[test]
fn a_lossy_leader_may_resume_its_epoch() {
    let resumed = LAST
        .replace("n0 said 4.9s state t/0 e1 isr n0 version 3", "")
        .replace("leader t/0 e1 from @1", "leader t/0 e0 from @1")
        .replace(
            "follower t/0 e1 from @2 hw @2 was e0",
            "follower t/0 e0 from @2 hw @2 was none",
        );
    let finding = is(&resumed, Class::LastStanding, Standing::NotPromised);
    assert!(
        told(&finding).contains("elected by nobody"),
        "{}",
        told(&finding)
    );
}

#[test]
fn a_wiped_replica_that_led_is_excused_and_one_that_copied_again_is_not() {
    let wiped = LAST
        .replace("lost from @1", "wiped")
        .replace("from @1 hw @1", "from @0 hw @0");
    is(&wiped, Class::LastStanding, Standing::NotPromised);
    // It followed with all of it again, was cut, and led: the loss is not why.
    let copied = LAST.replace(
        "n0 said 4.9s",
        "n0 said 4.6s follower t/0 e0 from @2 hw @1 was none
         n0 said 4.7s cut t/0 @1
         n0 said 4.9s",
    );
    is(&copied, Class::Unexplained, Standing::Broken);
    // Nor if no line says where it went.
    let silent = copied.replace("n0 said 4.7s cut t/0 @1", "");
    is(&silent, Class::Unexplained, Standing::Broken);
    // Or an image shows it, after the loss.
    let shown = format!("{LAST}\nn0 before-f1 4.6s t/0: e0 @0 v0 | e0 @1 v1");
    is(&shown, Class::Unexplained, Standing::Broken);
    // What it followed with was not all that it had lost.
    let less = "n0 said 4.6s follower t/0 e0 from @1 hw @1 was none\n    n0 said 4.9s";
    let less = LAST.replace("n0 said 4.9s", less).replace(
        "from @1 hw @1 isr n0 was none",
        "from @0 hw @0 isr n0 was none",
    );
    is(&less, Class::LastStanding, Standing::NotPromised);
    // An image from before the loss shows that it never had it.
    let never = format!("{LAST}\nn0 before-f1 3.5s t/0: e0 @0 v0");
    is(&never, Class::Unexplained, Standing::Broken);
}

#[test]
fn damage_that_was_recorded_is_excused_and_other_damage_is_not() {
    let damaged = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        harm t/0 n0 damaged from @1 at 4.0s
        n0 final t/0: e0 @0 v0 corrupt
        n1 final t/0: e0 @0 v0 v1";
    is(damaged, Class::Damage, Standing::NotPromised);
    is(
        &damaged.replace("from @1", "from @2"),
        Class::Unexplained,
        Standing::Broken,
    );
    is(
        &damaged.replace("n0 damaged", "n1 damaged"),
        Class::Unexplained,
        Standing::Broken,
    );
}

#[test]
fn an_unclean_election_is_judged_by_what_was_in_force() {
    let scene = "
        topic t on n0,n1 by c1 acks=all unclean.leader.election.enable=false
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n1 said 3.0s state t/0 e0 isr n0 version 1
        n1 said 5.0s state t/0 e1 isr n1 version 2
        n1 said 5.0s leader t/0 e1 from @0 hw @0 isr n1 was e0
        n0 final t/0:
        n1 final t/0:";
    is(scene, Class::UncleanElection, Standing::Broken);
    let set = |value: &str, at: &str| {
        format!("{scene}\nset t unclean.leader.election.enable={value} at {at}")
    };
    is(
        &set("true", "4.0s..4.1s"),
        Class::UncleanElection,
        Standing::NotPromised,
    );
    is(
        &set("true", "6.0s..6.1s"),
        Class::UncleanElection,
        Standing::Broken,
    );
    let during = is(
        &set("true", "4.9s..5.1s"),
        Class::UncleanElection,
        Standing::Undetermined,
    );
    assert!(told(&during).contains("was in force when the leader was chosen"));
    let on_brokers = set("true", "4.0s..4.1s").replace("set t ", "set brokers ");
    // Whether the topic follows them was not recorded.
    let doubtful = is(&on_brokers, Class::UncleanElection, Standing::Undetermined);
    assert!(told(&doubtful).contains("was in force when the leader was chosen"));
    let differs = format!("{on_brokers}\nbroker unclean.leader.election.enable=true");
    is(&differs, Class::UncleanElection, Standing::Broken);
    let follows = on_brokers.replace("acks=all unclean.leader.election.enable=false", "acks=all");
    is(&follows, Class::UncleanElection, Standing::NotPromised);
}

#[test]
fn deletion_excuses_and_an_unexplained_log_start_is_loss() {
    let scene = |topic: &str, more: &str| {
        let mut run = recording(&format!(
            "topic t on n0,n1 by c1 acks=all {topic}
            c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
            c1 send t/0 v1 -> @1 by n0 at 90.0s..90.1s
            c1 send t/0 v2 -> @2 by n0 at 91.0s..91.1s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @2 v2
            n1 final t/0: e0 @2 v2
            {more}"
        ));
        for image in &mut run.evidence.images {
            let partition = "t/0".parse().expect("a partition");
            image.log_start.insert(partition, Offset(2));
        }
        judge(&run)
    };
    let deleted = scene("", "harm t/0 deleted before @2 at 95.0s");
    let kept = "t kept 1 of 3 acknowledged records; 2 were deleted or replaced by later ones.";
    assert!(deleted.sentence.contains(kept), "{}", deleted.sentence);
    assert!(deleted.findings.is_empty(), "{:?}", deleted.findings);
    let row = &deleted.topics[0].accounting;
    assert_eq!((row.acknowledged.expired, row.acknowledged.lost), (2, 0));
    assert!(row.imbalance.is_empty(), "{:?}", row.imbalance);
    // It was told to delete less than is gone.
    let less = scene("", "harm t/0 deleted before @1 at 95.0s");
    assert_eq!(lost(&less).class, Class::Unexplained);
    assert_eq!(less.topics[0].accounting.acknowledged.expired, 1);
    assert!(told(&lost(&less)).contains("The log begins at @2"));
    // Retention takes what is old, not what is young.
    let aged = scene("retention.ms=50000", "");
    assert_eq!(aged.topics[0].accounting.acknowledged.expired, 1);
    assert_eq!(lost(&aged).count, 1);
    assert_eq!(lost(&scene("", "")).count, 2);
    // Only while it is in force, and only what is old enough by then.
    let changed = |to: &str, at: &str| format!("set t retention.ms={to} at {at}..{at}");
    let expired =
        |topic: &str, more: &str| scene(topic, more).topics[0].accounting.acknowledged.expired;
    assert_eq!(expired("retention.ms=20000", &changed("-1", "15.0s")), 0);
    assert_eq!(expired("retention.ms=20000", &changed("-1", "30.0s")), 1);
    assert_eq!(expired("retention.ms=-1", &changed("8000", "95.0s")), 2);
    assert_eq!(expired("retention.bytes=100", &changed("-1", "15.0s")), 2);
}

#[test]
fn what_was_deleted_counts_as_deleted_while_its_file_is_still_there() {
    let scene = |before: i64| {
        let text = format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
            c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
            c1 send t/0 v2 -> @2 by n0 at 1.4s..1.5s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @0 v0 v1 v2
            n1 final t/0: e0 @0 v0 v1 v2
            c2 poll -> t/0 @1=v1 by n0 at 1.6s..1.7s
            harm t/0 deleted before @{before} at 2.0s"
        );
        // Consumers are given nothing from below the log's start.
        let mut run = edited(&text, |events| {
            for event in events {
                if let Event::Returned {
                    reply: Reply::Polled(Outcome::Ok(given)),
                    at,
                    ..
                } = event
                    && *at > Mark::from_millis(2_000)
                {
                    given.retain(|delivery| delivery.offset >= Offset(2));
                }
            }
        });
        for image in &mut run.evidence.images {
            let partition = "t/0".parse().expect("a partition");
            image.log_start.insert(partition, Offset(2));
        }
        judge(&run)
    };
    let deleted = scene(2);
    assert!(deleted.findings.is_empty(), "{:?}", deleted.findings);
    let row = &deleted.topics[0].accounting;
    assert_eq!((row.acknowledged.present, row.acknowledged.expired), (1, 2));
    assert!(row.imbalance.is_empty(), "{:?}", row.imbalance);
    // What nobody deleted is lost to its readers, whatever the file holds.
    let kept = scene(1);
    assert_eq!(lost(&kept).count, 1);
    let vanished = |run: &Judgement| {
        let mut rows = run.topics[0].guarantees.iter();
        let row = rows.find(|row| row.name == "read-then-vanished");
        matches!(
            row.expect("a row").verdict,
            Verdict::Broken { observed: 1, .. }
        )
    };
    assert!(vanished(&kept) && !vanished(&deleted));
}

#[test]
fn what_was_acknowledged_without_an_offset_may_lie_before_the_logs_beginning() {
    let scene = |topic: &str, log: &str, start: i64| {
        let mut run = recording(&format!(
            "topic t on n0,n1 by c1 acks=all {topic}
            c1 send t/0 v0 -> @? by n0 at 1.0s..1.1s
            c1 send t/0 v1 -> @? by n0 at 1.2s..1.3s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: {log}
            n1 final t/0: {log}"
        ));
        for image in &mut run.evidence.images {
            let partition = "t/0".parse().expect("a partition");
            image.log_start.insert(partition, Offset(start));
        }
        let finding = lost(&judge(&run));
        (finding.count, finding.class, finding.standing)
    };
    let whole = scene("", "e0 @0 v0", 0);
    assert_eq!(whole, (1, Class::Unexplained, Standing::Broken));
    let moved = scene("", "e0 @1 v0", 1);
    assert_eq!(moved, (1, Class::Undetermined, Standing::Undetermined));
    let aged = scene("retention.ms=50000", "e0 @1 v0", 1);
    assert_eq!(aged, (1, Class::Expired, Standing::Undetermined));
}

/// v0 was acknowledged without its offset, and is gone; v1 stands at @1, where the log starts.
#[test]
fn where_a_success_without_an_offset_stood_others_may_show() {
    let scene = |more: &str| {
        judged(&format!(
            "topic t on n0,n1 by c1 acks=all
            c1 send t/0 v0 -> @? by n0 at 1.0s..1.1s
            c1 send t/0 v1 -> @1 by n0 at 1.2s..1.3s
            n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
            n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
            n0 final t/0: e0 @1 v1 | start @1
            n1 final t/0: e0 @1 v1 | start @1
            {more}"
        ))
    };
    let class = |run: &Judgement| {
        let finding = lost(run);
        (finding.class, finding.standing)
    };
    let deleted = "harm t/0 deleted before @1 at 2.0s";
    let open = scene(deleted);
    assert_eq!(class(&open), (Class::Expired, Standing::Undetermined));
    // Deleted before it was sent.
    let early = scene("harm t/0 deleted before @1 at 0.9s");
    assert_eq!(class(&early), (Class::Undetermined, Standing::Undetermined));
    for (sight, kept) in [
        // It may be another copy than the one that was acknowledged.
        (
            "n1 before-f1 1.5s t/0: e0 @0 v0 | e0 @1 v1",
            (Class::Undetermined, Standing::Undetermined),
        ),
        (
            "c2 poll -> t/0 @0=v0 by n0 at 1.4s..1.5s",
            (Class::Unexplained, Standing::Broken),
        ),
    ] {
        let excused = scene(&format!("{deleted}\n{sight}"));
        assert!(excused.findings.is_empty(), "{:?}", excused.findings);
        assert_eq!(excused.topics[0].accounting.acknowledged.expired, 1);
        assert_eq!(class(&scene(sight)), kept);
    }
}

#[test]
fn retention_is_a_condition_of_the_contract_where_it_may_act_within_the_run() {
    let removes = |topic: &str| {
        let text = LAST.replace("acks=all", &format!("acks=all {topic}"));
        let clauses = judged(&text).topics[0].contract.clone();
        let below = clauses.iter().find(|clause| clause.what.contains("below"));
        let unless = below.expect("a clause").unless.clone();
        unless.expect("a condition").contains("retention")
    };
    // The run takes 101 s.
    assert!(!removes("") && !removes("retention.ms=200000 retention.bytes=-1"));
    assert!(removes("retention.ms=100000 retention.bytes=-1"));
    assert!(removes("retention.ms=-1 retention.bytes=100"));
    assert!(removes("cleanup.policy=compact"));
}

#[test]
fn a_log_that_is_cut_while_it_is_loaded_is_not_excused_by_a_kill() {
    let killed = LAST.replace(
        "    harm t/0 n0 lost from @1 at 4.0s",
        "    n0 broker killed at 3.5s",
    );
    let of = |more: &str| {
        let mut run = recording(&format!("{killed}\n{more}"));
        let says = Says::Corruption {
            partition: "t/0".parse().expect("a partition"),
            to: Some(Offset(1)),
        };
        push_line(&mut run, history::Mark::from_millis(4_400), says);
        let finding = lost(&judge(&run));
        assert_eq!(finding.standing, Standing::Broken);
        finding.class
    };
    assert_eq!(of(""), Class::LoadRecovery);
    // It had copied it again before it led, or had never had it.
    let copied = "n0 said 4.6s follower t/0 e0 from @2 hw @1 was none";
    assert_eq!(of(copied), Class::Unexplained);
    let never = "n0 before-f1 3.6s t/0: e0 @0 v0";
    assert_eq!(of(never), Class::Unexplained);
    is(&killed, Class::Unexplained, Standing::Broken);
}

#[test]
fn a_zookeeper_that_went_back_is_no_doing_of_kafkas() {
    let back = LAST.replace("    harm t/0 n0 lost from @1 at 4.0s", "")
        + "
        n0 zk t/0 leader n0 e0 isr {n0} version 7 at 3.4s..3.5s
        n0 zk t/0 leader n0 e1 isr {n0} version 3 at 7.0s..7.1s";
    let finding = is(&back, Class::ZookeeperRolledBack, Standing::NotPromised);
    assert!(told(&finding).contains("version 7"));
    // Another server still knows it: one lags.
    let lags = format!("{back}\nn1 zk t/0 leader n0 e0 isr {{n0}} version 7 at 8.0s..8.1s");
    assert_ne!(lost(&judged(&lags)).class, Class::ZookeeperRolledBack);
    // It went back after the leader had been chosen, by a version that nobody knew before.
    let late = back
        .replace("e1 isr n0 version 3", "e1 isr n0 version 8")
        .replace(
            "leader n0 e1 isr {n0} version 3",
            "leader n0 e0 isr {n0} version 3",
        );
    assert_ne!(lost(&judged(&late)).class, Class::ZookeeperRolledBack);
}

/// What it forgot it counts anew: one version is two states, each of which may be the one before
/// another.
#[test]
fn a_version_that_comes_twice_shows_a_zookeeper_that_went_back() {
    let twice = LAST
        .replace("    harm t/0 n0 lost from @1 at 4.0s", "")
        .replace("e1 isr n0 version 3", "e1 isr n0 version 2")
        + "
        n0 zk t/0 leader n0 e0 isr {n0} version 2 at 3.4s..3.5s
        n0 zk t/0 leader n0 e1 isr {n0} version 2 at 7.0s..7.1s";
    let finding = is(&twice, Class::ZookeeperRolledBack, Standing::NotPromised);
    assert!(told(&finding).contains("that version was another state"));
    let once = twice.replace(
        "leader n0 e0 isr {n0} version 2",
        "leader n0 e0 isr {n0} version 1",
    );
    is(&once, Class::Unexplained, Standing::Broken);
    // By the state that it went back to, the leader was not in sync.
    let unclean = twice.replace("isr n0,n1 version 1", "isr n1 version 1");
    is(&unclean, Class::UncleanElection, Standing::Broken);
}

#[test]
fn with_one_replica_only_its_disk_excuses() {
    let one = "
        topic t on n0 by c1 acks=1
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0 was none
        n0 said 0.4s state t/0 e0 isr n0 version 1
        n0 said 4.5s loaded t/0 @0
        n0 said 4.9s state t/0 e1 isr n0 version 2
        n0 said 5.0s leader t/0 e1 from @0 hw @0 isr n0 was none
        n0 final t/0:";
    is(one, Class::Unexplained, Standing::Broken);
    let cut = format!("{one}\nharm t/0 n0 lost from @0 at 4.0s");
    is(&cut, Class::LastStanding, Standing::NotPromised);
}

#[test]
fn losses_that_hit_nobody_change_nothing() {
    // The replica that lost it copied it again before it led.
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        harm t/0 n1 wiped at 4.0s
        n1 said 5.0s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0
        n1 final t/0: e0 @0 v0";
    acquits("acked-lost-below-hw", scene, 1);
    let said = judged(scene).topics[0].happened.join(" ");
    assert!(
        said.contains("it did not lead before it had copied it again"),
        "{said}"
    );
}

#[test]
fn every_kind_of_commit_evidence_is_told() {
    let more = "
        c2 poll -> t/0 @1=v1 by n0 at 2.2s..2.3s
        n0 leader-hw t/0 e0 @2 at 2.4s..2.5s";
    let finding = lost(&judged(&format!("{LAST}{more}")));
    let story = told(&finding);
    for part in [
        "v1 was acknowledged to c1 under acks=all at 1.300s",
        "v1 was given to c2 at 2.300s by n0",
        "n0 led e0 and gave its high watermark as @2 at 2.500s",
    ] {
        assert!(story.contains(part), "`{part}` in\n{story}");
    }
}
