//! Faults in words: a label for a figure, a sentence for a story.

use history::{Deed, FaultKind, NodeId};

/// The node that an isolation singles out: the one on every cut link.
fn isolated(deed: &Deed) -> Option<NodeId> {
    let first = deed.links.first()?;
    let on_all = |node: NodeId| deed.links.iter().all(|l| l.from == node || l.to == node);
    match (on_all(first.from), on_all(first.to)) {
        (true, false) => Some(first.from),
        (false, true) => Some(first.to),
        (true, true) | (false, false) => None,
    }
}

/// The nodes that a fault is meant for: the isolated one, not those it is isolated from.
pub fn harmed(deed: &Deed) -> Vec<NodeId> {
    match (deed.kind, isolated(deed)) {
        (FaultKind::Isolate, Some(node)) => vec![node],
        _ => deed.nodes(),
    }
}

/// `kill n1`, `isolate n0`.
pub(super) fn label(deed: &Deed) -> String {
    let names: Vec<String> = harmed(deed).iter().map(NodeId::to_string).collect();
    match deed.kind {
        FaultKind::Cut => deed
            .links
            .first()
            .map_or_else(|| "cut".to_owned(), |link| format!("cut {link}")),
        kind => format!("{kind} {}", names.join(" ")).trim_end().to_owned(),
    }
}

/// "the broker of n1 was killed", "n0 was cut off from n1 and n2; clients still reached it".
pub fn deed_in_words(deed: &Deed) -> String {
    let processes: Vec<String> = deed
        .processes
        .iter()
        .map(|(node, service)| format!("the {service} of {node}"))
        .collect();
    let processes = processes.join(" and ");
    let nodes: Vec<String> = harmed(deed).iter().map(NodeId::to_string).collect();
    let nodes = nodes.join(" and ");
    match deed.kind {
        FaultKind::Kill => format!("{processes} was killed"),
        FaultKind::Pause => format!("{processes} was paused"),
        FaultKind::Restart => format!("{processes} was restarted"),
        FaultKind::Stop => format!("{processes} was stopped in order"),
        FaultKind::Isolate => match isolated(deed) {
            Some(node) => {
                let others: Vec<String> = deed
                    .nodes()
                    .into_iter()
                    .filter(|other| *other != node)
                    .map(|other| other.to_string())
                    .collect();
                format!(
                    "{node} was cut off from {}; clients still reached it",
                    others.join(" and ")
                )
            }
            None => links(deed),
        },
        FaultKind::Cut => links(deed),
        FaultKind::Flap => format!("{}, again and again", links(deed)),
        FaultKind::Clients => {
            format!("clients no longer reached the broker of {nodes}; its peers did")
        }
        FaultKind::Shape => format!("links were made worse: {}", arrows(deed)),
        FaultKind::FillDisk => format!("the file system of {nodes}'s log directory was filled"),
        FaultKind::SlowDisk => format!("the disk of {nodes}'s log directory was slowed down"),
        FaultKind::FailDisk => format!("the disk of {nodes}'s log directory failed"),
        FaultKind::PowerCut => format!(
            "the power of {nodes} was cut: {processes} was killed and lost what it had not flushed"
        ),
        FaultKind::FlipBit => format!("one bit of a segment on {nodes} was changed"),
        FaultKind::Checkpoints => {
            format!("{processes} was killed, and its checkpoint files were taken away or made old")
        }
        FaultKind::Wipe => format!("{processes} was killed and its log directory emptied"),
        FaultKind::Clock => "a clock was set off".to_owned(),
        // They name partitions, settings and clients, which only the ask holds.
        FaultKind::Elect
        | FaultKind::Reassign
        | FaultKind::Configure
        | FaultKind::DeleteRecords
        | FaultKind::CrashClient => format!("{}: {}", deed.kind, deed.because),
    }
}

fn links(deed: &Deed) -> String {
    format!("cut {}", arrows(deed))
}

fn arrows(deed: &Deed) -> String {
    let links: Vec<String> = deed.links.iter().map(ToString::to_string).collect();
    links.join(", ")
}
