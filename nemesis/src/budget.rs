//! What a storm may never do at once, asked before every injection.
//!
//! It counts what open faults do to brokers and to ZooKeeper, from their deeds alone: a fault that
//! proved ineffective counts as long as it is open, since half of it may be in force.

use std::collections::BTreeSet;

use history::{Deed, FaultKind, Link, NodeId, PortName, Service};
use plan::Budget;

/// Why a deed may not be done now, in words; none when it may.
pub fn over(budget: &Budget, nodes: &[NodeId], open: &[Deed], deed: &Deed) -> Option<String> {
    let all = || open.iter().chain([deed]);
    if let Some(most) = budget.brokers {
        let impaired: BTreeSet<NodeId> = all().flat_map(|it| impaired(it, nodes)).collect();
        if impaired.len() > most as usize {
            let names: Vec<String> = impaired.iter().map(NodeId::to_string).collect();
            return Some(format!(
                "over the budget: the brokers of {} would be impaired at once, and the plan allows {most}",
                names.join(", ")
            ));
        }
    }
    if budget.zookeeper_majority && !majority(nodes, &all().collect::<Vec<_>>()) {
        return Some("over the budget: no majority of ZooKeeper servers would be left".to_owned());
    }
    None
}

/// The brokers that cannot serve as they should while a deed is in force. Of links that are cut it
/// is the smaller side; where no side is smaller, everybody.
fn impaired(deed: &Deed, nodes: &[NodeId]) -> Vec<NodeId> {
    let brokers = || {
        let of = deed
            .processes
            .iter()
            .filter(|(_, service)| *service == Service::Broker);
        of.map(|(node, _)| *node).collect()
    };
    match deed.kind {
        FaultKind::Isolate | FaultKind::Cut | FaultKind::Flap => lonely(&deed.links, nodes),
        FaultKind::Clock => deed.nodes(),
        FaultKind::Shape
        | FaultKind::Elect
        | FaultKind::Reassign
        | FaultKind::Configure
        | FaultKind::SlowDisk
        | FaultKind::FlipBit
        | FaultKind::DeleteRecords
        | FaultKind::CrashClient => Vec::new(),
        FaultKind::Kill
        | FaultKind::Pause
        | FaultKind::Restart
        | FaultKind::Stop
        | FaultKind::Clients
        | FaultKind::FillDisk
        | FaultKind::FailDisk
        | FaultKind::PowerCut
        | FaultKind::Checkpoints
        | FaultKind::Wipe => brokers(),
    }
}

/// The nodes outside the largest group whose members all hear each other.
fn lonely(links: &[Link], nodes: &[NodeId]) -> Vec<NodeId> {
    let apart = |a: NodeId, b: NodeId| {
        let mut cut = links.iter();
        cut.any(|link| (link.from, link.to) == (a, b) || (link.from, link.to) == (b, a))
    };
    let together = |group: &BTreeSet<NodeId>| {
        let mut members = group.iter();
        members.all(|a| group.iter().all(|b| a == b || !apart(*a, *b)))
    };
    let best = groups(nodes).filter(together).max_by_key(BTreeSet::len);
    let best = best.unwrap_or_default();
    nodes
        .iter()
        .copied()
        .filter(|node| !best.contains(node))
        .collect()
}

/// Whether a majority of ZooKeeper servers lives and hears each other.
fn majority(nodes: &[NodeId], deeds: &[&Deed]) -> bool {
    let down: BTreeSet<NodeId> = deeds
        .iter()
        .flat_map(|deed| &deed.processes)
        .filter(|(_, service)| *service == Service::ZooKeeper)
        .map(|(node, _)| *node)
        .collect();
    let quorum = |link: &&Link| {
        matches!(
            link.port,
            None | Some(PortName::ZkPeer | PortName::ZkElection)
        )
    };
    let links: Vec<Link> = deeds
        .iter()
        .flat_map(|deed| deed.links.iter().filter(quorum))
        .copied()
        .collect();
    let alone: BTreeSet<NodeId> = lonely(&links, nodes).into_iter().collect();
    let left = nodes
        .iter()
        .filter(|node| !down.contains(node) && !alone.contains(node));
    left.count() > nodes.len() / 2
}

/// Every group of nodes, the empty one included.
fn groups(nodes: &[NodeId]) -> impl Iterator<Item = BTreeSet<NodeId>> {
    (0..1_u32 << nodes.len()).map(move |bits| {
        let members = nodes
            .iter()
            .enumerate()
            .filter(move |(i, _)| bits & (1 << i) != 0);
        members.map(|(_, node)| *node).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

    fn process(kind: FaultKind, node: u8, service: Service) -> Deed {
        Deed {
            kind,
            processes: vec![(NodeId(node), service)],
            links: Vec::new(),
            because: String::new(),
        }
    }

    fn cut(links: &[(u8, u8)], port: Option<PortName>) -> Deed {
        let link = |(from, to): &(u8, u8)| Link {
            from: NodeId(*from),
            to: NodeId(*to),
            port,
        };
        Deed {
            kind: FaultKind::Cut,
            processes: Vec::new(),
            links: links.iter().map(link).collect(),
            because: String::new(),
        }
    }

    fn one_broker() -> Budget {
        Budget {
            brokers: Some(1),
            zookeeper_majority: true,
        }
    }

    #[test]
    fn a_second_broker_is_one_too_many_and_the_same_one_is_not() {
        let open = [process(FaultKind::Kill, 0, Service::Broker)];
        let again = process(FaultKind::Pause, 0, Service::Broker);
        let other = process(FaultKind::Pause, 1, Service::Broker);
        assert_eq!(over(&one_broker(), &NODES, &open, &again), None);
        let why = over(&one_broker(), &NODES, &open, &other).expect("over");
        assert!(why.contains("n0, n1 would be impaired"), "{why}");
        assert_eq!(over(&Budget::default(), &NODES, &open, &other), None);
    }

    #[test]
    fn an_isolated_node_counts_and_a_ring_leaves_one() {
        let alone = cut(&[(0, 1), (1, 0), (0, 2), (2, 0)], None);
        let down = process(FaultKind::Kill, 0, Service::Broker);
        assert_eq!(
            over(&one_broker(), &NODES, &[down], &alone),
            None,
            "the same broker"
        );
        let ring = cut(&[(0, 2), (1, 0), (2, 1)], None);
        assert!(
            over(&one_broker(), &NODES, &[], &ring).is_some(),
            "nobody hears anybody"
        );
    }

    #[test]
    fn a_majority_of_zookeeper_lives_and_is_connected() {
        let budget = Budget {
            brokers: None,
            zookeeper_majority: true,
        };
        let one = process(FaultKind::Pause, 2, Service::ZooKeeper);
        let two = process(FaultKind::Kill, 1, Service::ZooKeeper);
        assert_eq!(over(&budget, &NODES, &[], &one), None);
        assert!(over(&budget, &NODES, std::slice::from_ref(&one), &two).is_some());
        let apart = cut(&[(0, 1)], Some(PortName::ZkPeer));
        assert!(over(&budget, &NODES, std::slice::from_ref(&one), &apart).is_some());
        let brokers = cut(&[(0, 1)], Some(PortName::Broker));
        assert_eq!(over(&budget, &NODES, &[one], &brokers), None);
    }
}
