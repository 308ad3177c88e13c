//! Text in, events out, text out again.

use super::*;
use crate::testing::any_events;
use crate::*;
use proptest::prelude::*;

/// Every form of the notation, in the printer's own spelling.
const ALL: &str = "\
phase storm
c1 send ledger/0 v1 -> @0 by n0
c1 send ledger/0 v2 -> @?
c1 send ledger/0 v3 -> ? timed out at 1s..1.25s
c1 send ledger/0 v4 -> ! queue full
c1 send ledger/0 v5 ...
c2 poll ... at 2s
o5 sent -> @3 by n0
o6 polled -> nothing at 2.000000001s
c2 assign ledger/0@0, my-topic/1@5
o9 c2 assign ...
phase heal
o9 assigned -> ? lost
c2 poll -> ledger/0 @0=v0 @1=corrupt @2=foreign e1 by n0, ledger/1 @7=v9
c2 poll -> ! closed
c2 subscribe ledger, metrics
c2 rebalance assigned ledger/0, ledger/1
c2 rebalance lost
c2 seek ledger/0@5
c2 commit ledger/0@5, ledger/1@6 -> ? timed out
c1 begin
c1 end commit ...
o14 done -> ok
c1 end abort -> ! fenced
harm ledger/0 n0 lost from @5 by f1
harm ledger/0 n0 wiped by f1
harm ledger/0 n0 damaged from @5
harm ledger/0 deleted before @5
set ledger min.insync.replicas=1
set brokers unclean.leader.election.enable at 3s..3.5s
f1 kill broker n0, zookeeper n1 : injecting (leader of ledger/0 is n0)
f1 injected (no such process)
f1 ineffective (\"it was: gone\")
f1 healing
f1 healed
f1 stuck (n0 does not answer)
f2 cut n0 -> n1 port zk-peer, n1 -> n0 : injecting asked \"cut n0 off\" (by name)
f3 isolate : injecting
n1 leo ledger/0 @5 e1
n1 leo ledger/0 @6
n1 marks ledger/0 hw @5
n1 marks ledger/0 hw @5 lso @4 start @1
n1 leader-hw ledger/0 e1 @5
n1 believes ledger/0 leader n1 e1 isr {n1,n2}
n1 zk ledger/0 leader none e1 isr {} version 3
n0 controller n1
n0 controller none
n0 silent (connection refused)
n0 broker started 123
n0 broker killed
n0 zookeeper stopped
n0 broker died
n0 broker paused
n0 broker resumed
step 3 kill leader of ledger/0 : fired
step 3 kill leader of ledger/0 : done
step 4 \"await: isr\" : missed (20s went by)
clock n0 1700000000000000000
image n0 before f1 running 123 changed images/n0-f1.tar.zst
image n1 final gone unchanged images/n1.tar.zst
image n2 final paused 5 unchanged \"a \\\"b\\\"\\n\" at 3.5s
";

#[test]
fn every_form_is_read_and_printed_the_same() {
    let events = parse(ALL).unwrap_or_else(|err| panic!("{err}"));
    assert_eq!(print(&events), ALL);
}

#[test]
fn times_and_operations_count_on_where_a_line_says_nothing() {
    let ms = Mark::from_millis;
    let events = parse("c1 send ledger/0 v1 -> @0 by n2\n# a comment\n\n  c1 poll ... at 1s")
        .unwrap_or_else(|err| panic!("{err}"));
    let partition = Partition::new("ledger", 0);
    let (client, value) = (ClientId(1), ValueId(1));
    let ack = SendAck {
        offset: Some(Offset(0)),
        broker: Some(NodeId(2)),
    };
    let expected = [
        Event::Invoked {
            op: OpId(1),
            client,
            at: ms(1),
            call: Call::Send { partition, value },
        },
        Event::Returned {
            op: OpId(1),
            at: ms(2),
            reply: Reply::Sent(Outcome::Ok(ack)),
        },
        Event::Invoked {
            op: OpId(2),
            client,
            at: ms(1000),
            call: Call::Poll,
        },
    ];
    assert_eq!(events, expected);
}

#[test]
fn later_stages_may_repeat_the_deed_but_only_truly() {
    let first = "f1 kill broker n0 : injecting\n";
    let repeated = parse(&format!("{first}f1 kill broker n0 : injected (gone)"));
    assert_eq!(repeated, parse(&format!("{first}f1 injected (gone)")));
    let wrong = parse(&format!("{first}f1 kill broker n1 : injected (gone)"));
    let err = wrong.expect_err("another deed").to_string();
    assert!(
        err.starts_with("line 2: ") && err.contains("`kill broker n0`"),
        "{err}"
    );
}

#[test]
fn what_is_wrong_is_said_with_its_line_and_place() {
    let cases = [
        (
            "c1 sned ledger/0 v1",
            "line 1: at `sned ledger/0 v1`: send, poll or assign;",
        ),
        (
            "phase storm\nphase strom",
            "line 2: at `strom`: setup, steady, storm",
        ),
        ("c1 send ledger v1", "at `ledger v1`: a partition, ledger/0"),
        (
            "c1 send ledger/0 v1",
            "`->` and the answer, or `...` for none yet",
        ),
        ("c1 send ledger/0 v1 -> 0", "at `0`: an offset (@0)"),
        (
            "c1 send ledger/0 v1 -> @0 at 1.5",
            "at `at 1.5`: nothing more",
        ),
        ("c1 send ledger/0 v1 -> ? lost at 1.5", "in double quotes"),
        ("phase storm at 1s..2s", "this line has one moment"),
        ("c2 poll -> ledger/0", "a record, @0=v0"),
        ("c2 poll -> ledger/0 @0=v0,", "a partition (ledger/0)"),
        (
            "f1 kill broker n0 : injectin",
            "a stage (injecting, took-effect",
        ),
        ("f1 injecting", "f1 kill broker n0 : injecting"),
        (
            "f1 cut n0 -> n1 port ssh : injecting",
            "at `ssh : injecting`: a port: broker",
        ),
        ("f1 healed (proof", "a text that ends with `)`"),
        (
            "f1 kill broker n0 : injecting asked \"x",
            "a closing double quote",
        ),
        (
            "n0 believes ledger/0 leader n1 e1 isr n1",
            "at `n1`: nodes in braces",
        ),
        ("n0 marks ledger/0 @5", "at `@5`: `hw`"),
        ("x", "a line begins with a client (c1)"),
    ];
    for (text, wanted) in cases {
        let err = parse(text).expect_err(text).to_string();
        assert!(
            err.contains(wanted),
            "{text}\n  gives {err}\n  not {wanted}"
        );
    }
}

proptest! {
    #[test]
    fn any_history_comes_back(events in any_events(0..30)) {
        let text = print(&events);
        match parse(&text) {
            Ok(read) => prop_assert_eq!(read, events, "{}", text),
            Err(err) => prop_assert!(false, "{err} in\n{text}"),
        }
    }

    #[test]
    fn any_text_is_read_or_refused_without_panic(text in "([cfno]1|send|poll|->|ledger/0|@0=v0|at 1s|[(),:\"{}]|\\PC| ){0,12}") {
        if let Ok(events) = parse(&text) {
            prop_assert_eq!(parse(&print(&events)), Ok(events));
        }
    }
}
