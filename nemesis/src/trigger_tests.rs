//! Each kind of condition on one scene, and what must last.

use history::{Epoch, Observation, Seen};

use super::*;

/// A condition as a plan writes it.
fn condition(text: &str) -> Condition {
    let step: plan::Step = format!("await {text} within 1s").parse().expect("a step");
    match step.action {
        plan::Action::Await { condition, .. } => condition,
        other => panic!("{other}"),
    }
}

fn ledger() -> Partition {
    Partition::new("ledger", 0)
}

fn said(board: &mut Board, node: u8, at: u64, seen: Seen) {
    board.observe(&Observation {
        asked: Mark::from_millis(at),
        answered: Mark::from_millis(at + 1),
        node: NodeId(node),
        seen,
    });
}

fn ends(board: &mut Board, node: u8, leo: i64, hw: i64) {
    let partition = ledger();
    let log_end = Seen::LogEnd {
        partition: partition.clone(),
        leo: Offset(leo),
        epoch: None,
    };
    let watermarks = Seen::Watermarks {
        partition,
        hw: Offset(hw),
        lso: Offset(hw),
        log_start: Offset(0),
    };
    said(board, node, 10, log_end);
    said(board, node, 10, watermarks);
}

/// n0 leads ledger/0 in e2 since 9.001s with n0 and n1 in sync; n0 at 120/100, n2 at 90/60.
fn seen() -> Board {
    let mut board = Board::default();
    let belief = Seen::Belief {
        partition: ledger(),
        leader: Some(NodeId(0)),
        epoch: Epoch(2),
        isr: vec![NodeId(0), NodeId(1)],
    };
    said(&mut board, 0, 9_000, belief);
    ends(&mut board, 0, 120, 100);
    ends(&mut board, 2, 90, 60);
    board
}

fn holds_at(millis: u64, trigger: &mut Trigger<'_>, board: &Board) -> Option<String> {
    let looked_up = LookedUp {
        lines: BTreeMap::from([((NodeId(2), "cut".to_owned()), " a cut ".to_owned())]),
        recovery_points: BTreeMap::from([((ledger(), NodeId(0)), Offset(20))]),
    };
    trigger.holds(&Sight {
        board,
        partitions: &[(ledger(), vec![NodeId(0), NodeId(1), NodeId(2)])],
        acked: &BTreeMap::from([(Topic::from("ledger"), 50), (Topic::from("metrics"), 7)]),
        looked_up: &looked_up,
        now: Mark::from_millis(millis),
    })
}

fn holds(text: &str) -> Option<String> {
    let condition = condition(text);
    holds_at(9_500, &mut Trigger::new(&condition), &seen())
}

#[test]
fn conditions_and_what_makes_them_true() {
    let cases = [
        ("leader of ledger/0 == n0", Some("n0 leads ledger/0 in e2")),
        ("leader of ledger/0 == n1", None),
        (
            "isr of ledger/0 == {n0, n1}",
            Some("the ISR of ledger/0 is {n0, n1}"),
        ),
        ("isr of ledger/0 == {leader}", None),
        (
            "isr size of ledger/0 < 3",
            Some("isr size of ledger/0 is 2"),
        ),
        ("all in sync", None),
        (
            "hw lag of ledger/0 on n2 >= 40",
            Some("hw lag of ledger/0 on n2 is 40"),
        ),
        ("hw lag of ledger/0 on n2 > 40", None),
        ("hw lag of ledger/0 on n1 >= 0", None),
        (
            "lag of ledger/0 on n2 == 30",
            Some("lag of ledger/0 on n2 is 30"),
        ),
        (
            "uncommitted of ledger/0 <= 20",
            Some("uncommitted of ledger/0 is 20"),
        ),
        (
            "unflushed of ledger/0 on n0 >= 100",
            Some("unflushed of ledger/0 on n0 is 100"),
        ),
        ("unflushed of ledger/0 on n2 >= 0", None),
        ("epoch of ledger/0 > 1", Some("epoch of ledger/0 is 2")),
        ("acked of ledger >= 50", Some("acked of ledger is 50")),
        ("acked >= 58", None),
        ("acked >= 57", Some("acked is 57")),
        (
            "election of ledger/0 within 1s",
            Some("ledger/0 has e2 since 9.001s"),
        ),
        ("election of ledger/0 within 400ms", None),
        ("log of n2 has \"cut\"", Some("`a cut`")),
        ("controller == n0", None),
        (
            "acked >= 1 and epoch of ledger/0 > 1",
            Some("acked is 57, epoch of ledger/0 is 2"),
        ),
        ("acked >= 1 and epoch of ledger/0 > 7", None),
        ("controller == n0 or acked >= 1", Some("acked is 57")),
    ];
    for (text, met) in cases {
        assert_eq!(holds(text).as_deref(), met, "{text}");
    }
}

#[test]
fn what_must_last_begins_anew_when_it_stops() {
    let condition = condition("uncommitted of ledger/0 >= 20 for 2s");
    let mut trigger = Trigger::new(&condition);
    let mut board = seen();
    assert_eq!(holds_at(10_000, &mut trigger, &board), None);
    assert_eq!(
        trigger.due(Mark::from_millis(10_500)),
        Some(Duration::from_millis(1_500))
    );
    ends(&mut board, 0, 120, 120);
    assert_eq!(holds_at(11_000, &mut trigger, &board), None);
    assert_eq!(trigger.due(Mark::from_millis(11_000)), None);
    ends(&mut board, 0, 140, 120);
    assert_eq!(holds_at(12_000, &mut trigger, &board), None);
    assert_eq!(holds_at(13_999, &mut trigger, &board), None);
    let met = holds_at(14_000, &mut trigger, &board);
    assert_eq!(
        met.as_deref(),
        Some("uncommitted of ledger/0 is 20 since 12.000s")
    );
}

#[test]
fn only_what_a_condition_names_is_looked_up() {
    assert!(Lookups::of(&condition("all in sync")).is_empty());
    let condition = condition("log of n1 has \"x\" or unflushed of ledger/0 on n2 > 5 for 1s");
    let needed = Lookups::of(&condition);
    assert_eq!(needed.lines, BTreeSet::from([(NodeId(1), "x".to_owned())]));
    assert_eq!(needed.recovery_points, BTreeSet::from([NodeId(2)]));
}
