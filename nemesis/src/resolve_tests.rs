//! What each fault turns into, and whom it befalls.

use std::collections::BTreeSet;

use history::{Epoch, Mark, NodeId, Observation, Partition, Seen};

use super::*;
use crate::board::Board;

const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

fn ledger() -> Partition {
    Partition::new("ledger", 0)
}

fn led_by(node: u8, isr: &[u8]) -> Board {
    let mut board = Board::default();
    board.observe(&Observation {
        asked: Mark::from_millis(9_119),
        answered: Mark::from_millis(9_120),
        node: NodeId(1),
        seen: Seen::Belief {
            partition: ledger(),
            leader: Some(NodeId(node)),
            epoch: Epoch(1),
            isr: isr.iter().map(|n| NodeId(*n)).collect(),
        },
    });
    board
}

fn on(board: &Board, ask: &str, draw: usize) -> Result<Resolved, String> {
    let partitions = [(ledger(), NODES.to_vec())];
    let mut world = World {
        nodes: &NODES,
        partitions: &partitions,
        board,
        zookeeper_leader: None,
        coordinator: None,
        pick: &mut |below| draw % below,
    };
    let ask: Ask = ask.parse().expect("an ask");
    resolve(&ask, &mut world).map_err(|why| why.to_string())
}

fn links_of(ask: &str) -> String {
    let resolved = on(&led_by(0, &[0, 1, 2]), ask, 0).expect("resolved");
    let links: Vec<String> = resolved.deed.links.iter().map(Link::to_string).collect();
    links.join(", ")
}

#[test]
fn the_leader_is_resolved_with_its_proof() {
    let kill = "kill leader of ledger/0";
    let deed = on(&led_by(2, &[0, 1, 2]), kill, 0).expect("resolved").deed;
    assert_eq!(deed.processes, [(NodeId(2), Service::Broker)]);
    let because = "n2 leads ledger/0 in e1, says the metadata of n1 at 9.120s";
    assert_eq!(deed.because, because);
    let none = on(&Board::default(), kill, 0).expect_err("nobody");
    assert_eq!(none, "no target: no node knows a leader of ledger/0");
}

#[test]
fn a_follower_is_never_the_leader() {
    let board = led_by(1, &[0, 1, 2]);
    for draw in 0..2 {
        let deed = on(&board, "kill a follower of ledger/0", draw)
            .expect("resolved")
            .deed;
        assert_ne!(deed.processes[0].0, NodeId(1));
    }
    let deed = on(&board, "pause followers of ledger/0", 0)
        .expect("resolved")
        .deed;
    let nodes: BTreeSet<NodeId> = deed.nodes().into_iter().collect();
    assert_eq!(nodes, BTreeSet::from([NodeId(0), NodeId(2)]));
}

#[test]
fn the_last_in_sync_is_nobody_while_there_are_more() {
    let ask = "power-cut last in sync of ledger/0";
    let more = on(&led_by(0, &[0, 2]), ask, 0).expect_err("two are in sync");
    assert_eq!(
        more,
        "no target: 2 replicas of ledger/0 are in sync, not one"
    );
    let resolved = on(&led_by(0, &[0]), ask, 0).expect("resolved");
    assert_eq!(resolved.deed.processes, [(NodeId(0), Service::Broker)]);
    let [
        Injection::LoseUnflushed {
            node, partitions, ..
        },
    ] = resolved.injections.as_slice()
    else {
        panic!("{resolved:?}");
    };
    assert_eq!(
        (*node, partitions.as_slice()),
        (NodeId(0), [ledger()].as_slice())
    );
}

#[test]
fn minority_and_majority_are_drawn_without_repeats() {
    let board = Board::default();
    for draw in 0..6 {
        let few = on(&board, "kill minority", draw).expect("resolved").deed;
        let many = on(&board, "kill majority", draw).expect("resolved").deed;
        assert_eq!((few.nodes().len(), many.nodes().len()), (1, 2));
    }
}

#[test]
fn what_each_partition_of_the_network_cuts() {
    let cases = [
        ("isolate n0", "n0 -> n1, n1 -> n0, n0 -> n2, n2 -> n0"),
        (
            "split {n0} | {n1, n2}",
            "n0 -> n1, n0 -> n2, n1 -> n0, n2 -> n0",
        ),
        ("bridge n1", "n0 -> n2, n2 -> n0"),
        ("ring", "n0 -> n2, n1 -> n0, n2 -> n1"),
        (
            "part n2 from peers",
            "n0 -> n2 port broker, n1 -> n2 port broker, n2 -> n0 port broker, n2 -> n1 port broker",
        ),
        ("cut n2 -> n1 port broker", "n2 -> n1 port broker"),
    ];
    for (ask, links) in cases {
        assert_eq!(links_of(ask), links, "{ask}");
    }
    let zookeeper = links_of("part n2 from zookeeper");
    assert_eq!(
        zookeeper.split(", ").count(),
        12,
        "four directions, three ports: {zookeeper}"
    );
}

#[test]
fn a_broker_parted_from_its_clients_keeps_its_peers() {
    let resolved = on(&Board::default(), "part n1 from clients", 0).expect("resolved");
    assert_eq!(resolved.deed.kind, FaultKind::Clients);
    assert!(resolved.deed.links.is_empty());
    assert_eq!(resolved.injections, [Injection::Clients(vec![NodeId(1)])]);
    let flap = on(
        &Board::default(),
        "flap part n1 from clients every 500ms",
        0,
    );
    assert!(
        flap.expect_err("no link")
            .contains("cuts no link that could flap")
    );
}

#[test]
fn a_node_outside_the_lab_is_refused() {
    let unresolved = on(&Board::default(), "kill n7", 0).expect_err("no such node");
    assert_eq!(unresolved, "no target: the lab has no n7");
}
