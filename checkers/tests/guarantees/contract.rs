//! The contract, row by row: a configuration, and what it promises or not, with the reason.

use checkers::judge;
use checkers::judgement::{Clause, Judgement, Verdict};
use history::{ClientId, ProducerSetting};

use crate::scene::{judged, recording};

const BELOW: &str = "acknowledged records below";
const ABOVE: &str = "acknowledged records above";
const TWICE: &str = "no record stands twice";
const ORDER: &str = "records of one producer";
const SAW: &str = "what a consumer saw";
const AGREE: &str = "replicas agree";

/// A run of two replicas in which the leader changed, by a fault.
const CHANGED: &str = "
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    f1 kill broker n0 : injecting at 4.05s
    f1 injected (no such process) at 4.1s
    f1 healed at 8.0s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n2 said 0.4s state t/0 e0 isr n0,n1 version 0
    n2 said 4.9s state t/0 e1 isr n1 version 1
    n1 said 5.0s leader t/0 e1 from @1 hw @1 isr n1 was e0
    n0 said 9.0s follower t/0 e1 from @1 hw @1 was none
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0";
/// The same without one.
const QUIET: &str = "
    c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
    n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
    n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
    n0 final t/0: e0 @0 v0
    n1 final t/0: e0 @0 v0";

fn clause<'a>(judgement: &'a Judgement, what: &str) -> &'a Clause {
    let mut clauses = judgement.topics[0].contract.iter();
    let found = clauses.find(|clause| clause.what.starts_with(what));
    found.unwrap_or_else(|| panic!("no clause `{what}`"))
}

#[test]
fn each_configuration_promises_what_its_row_says() {
    // Topic and broker settings, run, clause, promised, words of the reason or the condition.
    let all = "on n0,n1 by c1 acks=all";
    let rows: &[(&str, &str, &str, bool, &str)] = &[
        (
            "on n0 by c1 acks=1",
            QUIET,
            BELOW,
            true,
            "what its disk keeps",
        ),
        (
            "on n0 by c1 acks=1",
            QUIET,
            BELOW,
            true,
            "a power cut takes what",
        ),
        (
            "on n0 by c1 acks=1",
            CHANGED,
            ABOVE,
            true,
            "the only replica",
        ),
        (
            "on n0,n1 by c1 acks=0",
            QUIET,
            ABOVE,
            false,
            "waits for no answer",
        ),
        (
            "on n0,n1 by c1 acks=0",
            CHANGED,
            TWICE,
            true,
            "nothing to send again for",
        ),
        (
            "on n0,n1 by c1 acks=0",
            CHANGED,
            ORDER,
            false,
            "connection is made anew",
        ),
        ("on n0,n1 by c1 acks=0", QUIET, SAW, true, "KAFKA-14704"),
        (
            "on n0,n1 by c1 acks=1",
            CHANGED,
            ABOVE,
            false,
            "before other replicas hold it",
        ),
        ("on n0,n1 by c1 acks=1", QUIET, ABOVE, true, "none changed"),
        (
            "on n0,n1 by c1 acks=1",
            CHANGED,
            TWICE,
            false,
            "retry after a fault",
        ),
        (
            "on n0,n1 by c1 acks=1",
            QUIET,
            TWICE,
            true,
            "no reason to send again",
        ),
        (
            "on n0,n1 by c1 acks=1 no-retries",
            CHANGED,
            TWICE,
            true,
            "nothing is sent again",
        ),
        (
            "on n0,n1 by c1 acks=1",
            QUIET,
            ORDER,
            false,
            "overtaken by a later",
        ),
        (
            "on n0,n1 by c1 acks=1 in-flight=1",
            CHANGED,
            ORDER,
            true,
            "one request in flight",
        ),
        (all, CHANGED, ABOVE, true, "only once it is below"),
        (all, CHANGED, TWICE, false, "KAFKA-13598"),
        (all, CHANGED, BELOW, true, "every in-sync replica"),
        (all, CHANGED, BELOW, true, "the last one in sync"),
        (
            "on n0,n1 by c1 acks=all flush.messages=1",
            CHANGED,
            BELOW,
            true,
            "a power cut is no excuse",
        ),
        (
            "on n0,n1 by c1 acks=all unclean.leader.election.enable=true",
            CHANGED,
            BELOW,
            true,
            "an unclean election drops them",
        ),
        (
            "on n0,n1 by c1 acks=all idempotent",
            CHANGED,
            TWICE,
            true,
            "copies are recognised",
        ),
        (
            "on n0,n1 by c1 acks=all idempotent",
            CHANGED,
            TWICE,
            true,
            "higher producer epoch",
        ),
        (
            "on n0,n1 by c1 acks=all idempotent",
            CHANGED,
            ORDER,
            true,
            "keeps its order",
        ),
        (all, CHANGED, AGREE, true, "byte for byte"),
    ];
    for (topic, run, what, promised, words) in rows {
        let judgement = judged(&format!("topic t {topic}\n{run}"));
        let clause = clause(&judgement, what);
        let said = format!("{} {}", clause.why, clause.unless.as_deref().unwrap_or(""));
        assert_eq!(clause.promised, *promised, "{topic}: {clause:?}");
        assert!(said.contains(words), "{topic}: `{words}` in {said}");
        assert_eq!(clause.would_change.is_some(), !promised, "{clause:?}");
    }
}

#[test]
fn an_old_protocol_and_a_short_memory_are_told() {
    let old = format!(
        "topic t on n0,n1 by c1 acks=all\nbroker inter.broker.protocol.version=0.11.0-IV1\n{QUIET}"
    );
    let judgement = judged(&old);
    assert!(clause(&judgement, BELOW).why.contains("KIP-101"));
    assert!(clause(&judgement, AGREE).why.contains("stays a breach"));
    let short = format!(
        "topic t on n0,n1 by c1 idempotent\nbroker transactional.id.expiration.ms=5000\n{QUIET}"
    );
    let judgement = judged(&short);
    let clause = clause(&judgement, TWICE);
    assert!(
        !clause.promised && clause.why.contains("5000 ms"),
        "{clause:?}"
    );
}

#[test]
fn producers_of_one_topic_have_clauses_of_their_own() {
    let mut recording = recording(&format!("topic t on n0,n1 by c1 acks=1\n{CHANGED}"));
    let other = ProducerSetting {
        topic: "t".into(),
        acks: "all".to_owned(),
        idempotent: true,
        retries: true,
        max_in_flight: 5,
        transactional_id: None,
        transaction_timeout_ms: None,
    };
    recording.setting.producers.insert(ClientId(2), other);
    let judgement = judge(&recording);
    let topic = &judgement.topics[0];
    assert_eq!(
        topic.settings,
        "acks=1 (c1), acks=all, idempotent (c2), min.isr 1"
    );
    for what in [ABOVE, TWICE] {
        let told: Vec<(&[String], bool)> = topic
            .contract
            .iter()
            .filter(|clause| clause.what.starts_with(what))
            .map(|clause| (clause.by.as_slice(), clause.promised))
            .collect();
        let (c1, c2) = (["c1".to_owned()], ["c2".to_owned()]);
        assert_eq!(told, [(&c1[..], false), (&c2[..], true)], "{what}");
    }
    assert!(clause(&judgement, BELOW).by.is_empty());
}

#[test]
fn a_transactional_producer_is_promised_whole_transactions() {
    let mut recording = recording(&format!("topic t on n0,n1 by c1 acks=all\n{QUIET}"));
    for producer in recording.setting.producers.values_mut() {
        producer.transactional_id = Some("x".to_owned());
    }
    let judgement = judge(&recording);
    let clause = clause(&judgement, "transactions are whole");
    assert!(
        clause.promised && clause.why.contains("KAFKA-17754"),
        "{clause:?}"
    );
    assert!(clause_is(&judgement, TWICE, true));
}

fn clause_is(judgement: &Judgement, what: &str, promised: bool) -> bool {
    clause(judgement, what).promised == promised
}

#[test]
fn what_happened_is_said_and_what_did_not() {
    let said = |scene: &str| judged(scene).topics[0].happened.join(" ");
    let quiet = said(&format!("topic t on n0,n1 by c1 acks=all\n{QUIET}"));
    assert_eq!(
        quiet,
        "No leader changed. No replica lost data by a power cut, wiping or damage."
    );
    let changed = said(&format!("topic t on n0,n1 by c1 acks=all\n{CHANGED}"));
    assert!(
        changed.contains("changed 1 time, and no election was unclean"),
        "{changed}"
    );
    let more = "
        set t min.insync.replicas=1 at 6.0s..6.1s
        harm t/0 deleted before @1 at 7.0s
        harm t/0 n1 wiped at 4.0s";
    let scene = format!("topic t on n0,n1 by c1 acks=all min.insync.replicas=2\n{CHANGED}{more}")
        .replace("isr n0,n1 version 0", "isr n0 version 0");
    let all = said(&scene);
    for part in [
        "An unclean election happened at e1 of t/0",
        "although the settings forbid it",
        "min.insync.replicas was 2, then 1 from 6.000s on",
        "DeleteRecords removed what t/0 held below @1",
        // It leads with all that anybody is known to have had.
        "n1 lost all its files at 4.000s; it did not lead before it had copied it again",
    ] {
        assert!(all.contains(part), "`{part}` in {all}");
    }
    // Another had more before, or a producer was told of more; what came later it never had.
    let longer = format!("{scene}\nn1 said 3.5s follower t/0 e0 from @2 hw @0 was e0");
    let later = scene.replace("follower t/0 e1 from @1", "follower t/0 e1 from @2");
    assert!(!said(&later).contains("without having copied it again"));
    let told = format!("{scene}\nc1 send t/0 v1 -> @1 by n0 at 3.0s..3.1s");
    for scene in [longer, told] {
        let all = said(&scene);
        let lacked = "n1 lost all its files at 4.000s; it led e1 without having copied it again";
        assert!(all.contains(lacked), "{all}");
    }
}

#[test]
fn each_way_of_committing_promises_what_its_row_says() {
    const SKIPS: &str = "a group skips";
    const AGAIN: &str = "a group processes";
    // Way of committing, clause, promised, words of the reason, the condition or the change.
    for (group, what, promised, words) in [
        (
            "commit=auto reset=earliest",
            SKIPS,
            true,
            "what is not processed is not committed",
        ),
        ("commit=auto", SKIPS, true, "begins at the log's end"),
        ("commit=auto reset=earliest", AGAIN, true, "at least once"),
        (
            "commit=auto-async",
            SKIPS,
            false,
            "commits after processing",
        ),
        ("commit=auto-async", AGAIN, false, "within the transaction"),
        ("commit=after", SKIPS, true, "go with the offsets topic"),
        ("commit=after", AGAIN, true, "a rebalance or a restart"),
        ("commit=before", SKIPS, false, "commits after processing"),
        ("commit=before", AGAIN, true, "its commit failed"),
        ("commit=transaction", SKIPS, true, "seeks forwards"),
        ("commit=transaction", AGAIN, true, "known to break this"),
        ("commit=after", "a committed offset", true, "did not join"),
        (
            "commit=none",
            "a consumer that assigns itself",
            true,
            "begins elsewhere",
        ),
    ] {
        let of = if group == "commit=none" {
            "consumer c5"
        } else {
            "group g of c5"
        };
        let read = "c5 poll -> t/0 @0=v0 by n0 at 2.0s..2.1s";
        let judgement = judged(&format!(
            "topic t on n0,n1 by c1 acks=all\n{of} {group}\nno drain\n{read}\n{QUIET}"
        ));
        let clause = clause(&judgement, what);
        let said = [&clause.unless, &clause.would_change].map(|said| said.as_deref().unwrap_or(""));
        let said = format!("{} {}", clause.why, said.join(" "));
        assert_eq!(clause.promised, promised, "{group}: {clause:?}");
        assert!(said.contains(words), "{group}: `{words}` in {said}");
        assert_eq!(clause.would_change.is_some(), !promised, "{clause:?}");
        assert_eq!(clause.unless.is_some(), promised, "{clause:?}");
        assert!(clause.by.is_empty(), "{clause:?}");
    }
    // Groups that differ are named; who reads nothing has no clause.
    let judgement = judged(&format!(
        "topic t on n0,n1 by c1 acks=all
        group g of c5 commit=after
        group h of c6 commit=before
        no drain
        c5 poll -> t/0 @0=v0 by n0 at 2.0s..2.1s
        c6 poll -> t/0 @0=v0 by n0 at 2.2s..2.3s{QUIET}"
    ));
    assert_eq!(clause(&judgement, SKIPS).by, ["group g"]);
    let nobody = judged(&format!(
        "topic t on n0,n1 by c1 acks=all\nno drain\n{QUIET}"
    ));
    let of = |j: &Judgement| {
        j.topics[0]
            .contract
            .iter()
            .any(|c| c.what.contains("a consumer that"))
    };
    assert!(
        !of(&nobody)
            && of(&judged(&format!(
                "topic t on n0,n1 by c1 acks=all\n{QUIET}"
            )))
    );
}

#[test]
fn a_plan_says_what_its_groups_and_transactions_are_promised() {
    let text = include_str!("../../../plans/transactions.toml");
    let plan = plan::Plan::parse(text, "transactions.toml").expect("a plan");
    let said = checkers::promises(&plan);
    for words in [
        "a group skips no record: promised, what is not processed is not committed",
        "a group processes each record once: promised, without a rebalance",
        "transactions are whole or not at all",
        "transactional",
    ] {
        assert!(said.contains(words), "`{words}` in {said}");
    }
}

#[test]
fn a_plan_says_of_the_topic_that_is_copied_what_its_copiers_are_promised() {
    let text = include_str!("../../../plans/exactly-once.toml");
    let plan = plan::Plan::parse(text, "exactly-once.toml").expect("a plan");
    let said = checkers::promises(&plan);
    let (copies, ledger) = said.split_once("\nledger (").expect("two topics");
    for words in [
        "a group processes each record once: promised, offsets are committed with what was made of",
        "a committed offset never goes back: promised",
    ] {
        assert!(ledger.contains(words), "`{words}` in {ledger}");
        assert!(!copies.contains(words), "`{words}` in {copies}");
    }
    let alone = "a consumer that assigns itself is given every record";
    assert!(copies.contains(alone) && !ledger.contains(alone), "{said}");
}

#[test]
fn a_setting_of_the_brokers_reaches_the_topics_that_follow_them() {
    let said = |topic: &str, brokers: &str| {
        let scene = format!(
            "topic t on n0,n1 by c1 acks=all {topic}\n{brokers}\n{QUIET}
            set brokers min.insync.replicas=1 at 6.0s..6.1s"
        );
        judged(&scene).topics[0].happened.join(" ")
    };
    let broker = "broker min.insync.replicas=2";
    assert!(said("", broker).contains("was 2, then 1 from 6.000s on."));
    assert!(!said("min.insync.replicas=3", broker).contains("min.insync.replicas was"));
    let either = "was 2, or, if the topic follows its brokers, which was not recorded, 2, then 1";
    for unknown in [broker, ""] {
        assert!(said("min.insync.replicas=2", unknown).contains(either));
    }
}

#[test]
fn each_producer_is_judged_by_its_own_settings() {
    let scene = "
        topic t on n0,n1 by c1 acks=all
        c1 send t/0 v0 -> @0 by n0 at 1.0s..1.1s
        c1 send t/0 v1 -> @1 by n0 at 1.0s..3.0s
        c2 send t/0 v2 -> @3 by n0 at 1.0s..1.2s
        n0 said 0.5s leader t/0 e0 from @0 hw @0 isr n0,n1 was none
        n1 said 0.5s follower t/0 e0 from @0 hw @0 was none
        n0 final t/0: e0 @0 v0 | e0 @1 v1 | e0 @2 v1 | e0 @3 pid=7.0+0 v2
        n1 final t/0: e0 @0 v0 | e0 @1 v1 | e0 @2 v1 | e0 @3 pid=7.0+0 v2";
    let verdict = |scene: &str| {
        let mut run = recording(scene);
        let other = ProducerSetting {
            idempotent: true,
            ..run.setting.producers[&ClientId(1)].clone()
        };
        run.setting.producers.insert(ClientId(2), other);
        crate::verdict(&judge(&run), "duplicate-in-log")
    };
    // The copy is of the producer that is promised nothing.
    assert!(matches!(
        verdict(scene),
        Verdict::NotPromised { observed: 1, .. }
    ));
    // And of the one that is.
    let more = " | e0 @3 pid=7.0+0 v2";
    let twice = scene.replace(more, &format!("{more} | e0 @4 pid=7.0+0 v2"));
    assert!(matches!(
        verdict(&twice),
        Verdict::Broken { observed: 2, .. }
    ));
}
