//! Jepsen's EDN: what is written is read again by our own reader of foreign histories, processes do
//! one thing at a time, and lines stand in the order of their times.

mod recorded;

use std::fs;

use exchange::export::{self, Kind};
use exchange::foreign;
use history::jepsen::{Function, History, Item, Kind as Type, Op, Scalar};
use recorded::{ONE_OF_EACH, parsed, run};

fn exported(text: &str) -> (String, History) {
    let above = tempfile::tempdir().expect("a scratch directory");
    let run = run(above.path(), &parsed(text));
    let done = export::export(&run, Kind::JepsenEdn, above.path(), false).expect("exported");
    let text = fs::read_to_string(done.at).expect("read");
    let history = foreign::read(text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (text, history)
}

/// What became of the send of a value: its completion.
fn fate(history: &History, value: i64) -> Type {
    let sends = |op: &&Op| {
        let sent =
            |item: &Item| matches!(item, Item::Send { value: v, .. } if v.as_int() == Some(value));
        op.kind != Type::Invoke && history.items(op).iter().any(sent)
    };
    let found: Vec<&Op> = history.ops().iter().filter(sends).collect();
    assert_eq!(found.len(), 1, "v{value}");
    found[0].kind
}

#[test]
fn one_of_each_is_told() {
    let (text, history) = exported(ONE_OF_EACH);
    let fates = [
        (1, Type::Ok),
        (2, Type::Ok),
        (3, Type::Info),
        (4, Type::Fail),
        // It never came back.
        (5, Type::Info),
        // Its transaction was committed, the other's aborted.
        (6, Type::Ok),
        (7, Type::Fail),
    ];
    for (value, kind) in fates {
        assert_eq!(fate(&history, value), kind, "v{value}");
    }
    // Everything that began has an end.
    assert!(history.ops().iter().all(|op| op.partner().is_some()));
    let count = |f| history.ops().iter().filter(|op| op.function == f).count();
    assert_eq!(count(Function::Subscribe), 2);
    assert_eq!(count(Function::Assign), 2);
    // The seek of a consumer that had read: a new process.
    assert_eq!(count(Function::Crash), 2);
    let rebalanced = history.ops().iter().find(|op| op.rebalance_logged);
    let keys = history.rebalanced(rebalanced.expect("a rebalance"));
    let names: Vec<_> = keys.iter().map(|key| history.key(*key).clone()).collect();
    let text_of = |name: &str| Scalar::Text(name.to_owned());
    assert_eq!(names, [text_of("ledger-0"), text_of("ledger-1")]);
    assert!(text.contains(":process :nemesis, :f :kill"), "{text}");
    assert!(
        text.contains(r#":error "queue \"full\"\\of things""#),
        "{text}"
    );
}

#[test]
fn overlapping_sends_are_processes_of_their_own_and_unknown_ones_end_theirs() {
    let (_, history) = exported(
        "o1 c1 send ledger/0 v1 ... at 1s\n\
         o2 c1 send ledger/0 v2 ... at 2s\n\
         o1 sent -> @0 at 3s\n\
         o3 c1 send ledger/0 v3 ... at 4s\n\
         o2 sent -> ? timed out at 5s\n\
         o3 sent -> @1 at 6s\n\
         o4 c1 send ledger/0 v4 -> @2 at 7s..8s\n\
         o5 c1 send ledger/0 v5 -> @3 at 9s..10s\n\
         o6 c2 poll -> nothing at 11s..12s",
    );
    let invoked = history.ops().iter().filter(|op| op.kind == Type::Invoke);
    let processes: Vec<i64> = invoked.map(|op| op.process).collect();
    // The second one's fate is unknown: nobody is process 1 again.
    assert_eq!(processes, [0, 1, 0, 0, 0, 2]);
}

#[test]
fn lines_stand_in_the_order_of_their_times() {
    // The recorder heard of the first end late: it must not seem to come after the second begins,
    // and the third's beginning must not seem to come after the second's end.
    let (_, history) = exported(
        "o1 c1 send ledger/0 v1 ... at 1s\n\
         o2 c2 send ledger/0 v2 ... at 3s\n\
         o1 sent -> @0 at 2s\n\
         o2 sent -> @1 at 6s\n\
         o3 c3 send ledger/0 v3 ... at 5s\n\
         o3 sent -> @2 at 7s",
    );
    let times: Vec<i64> = history.ops().iter().filter_map(|op| op.time).collect();
    let seconds: Vec<i64> = times.iter().map(|time| time / 1_000_000_000).collect();
    assert_eq!(seconds, [1, 2, 3, 5, 6, 7]);
}

#[test]
fn records_that_are_not_ours_are_values_that_nobody_sent() {
    let (_, history) = exported("c2 poll -> ledger/0 @1=corrupt @2=foreign @3=foreign");
    let poll = history
        .ops()
        .iter()
        .find(|op| op.kind == Type::Ok)
        .expect("a poll");
    let read: Vec<Scalar> = history
        .items(poll)
        .iter()
        .filter_map(|item| match item {
            Item::Read { value, .. } => Some(history.value(*value)),
            _ => None,
        })
        .collect();
    let texts =
        ["corrupt at 1", "foreign at 2", "foreign at 3"].map(|t| Scalar::Text(t.to_owned()));
    assert_eq!(read, texts);
}
