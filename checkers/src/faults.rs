//! Faults as facts: what was done to whom, with which proof. Nothing is concluded from them here.

use history::{Deed, FaultKind, Mark, NodeId, Stage};

use crate::facts::{Facts, FaultStory};
use crate::judgement::{FaultFact, FaultSpan, StageFact};

/// Every fault, in order.
pub fn all(facts: &Facts) -> Vec<FaultFact> {
    facts
        .faults
        .iter()
        .filter_map(|fault| fact(fault, facts.length))
        .collect()
}

/// Faults as the timeline shows them.
pub fn spans(facts: &Facts) -> Vec<FaultSpan> {
    facts
        .faults
        .iter()
        .filter_map(|fault| {
            let (_, deed) = fault.deed()?;
            Some(FaultSpan {
                fault: fault.stages[0].fault,
                label: label(deed),
                nodes: harmed(deed),
                span: fault.in_force(facts.length),
            })
        })
        .collect()
}

fn fact(fault: &FaultStory, end: Mark) -> Option<FaultFact> {
    let (asked, deed) = fault.deed()?;
    let number = fault.stages[0].fault;
    let span = fault.in_force(end);
    let stages: Vec<StageFact> = fault
        .stages
        .iter()
        .map(|event| {
            let (stage, evidence) = stage(&event.stage);
            StageFact {
                stage: stage.to_owned(),
                at: event.at,
                evidence: evidence.map(str::to_owned),
            }
        })
        .collect();
    let has = |name: &str| stages.iter().any(|stage| stage.stage == name);
    let (proved, healed) = (has("injected"), has("healed"));
    let words = deed_in_words(deed);
    let proof = match (proved, has("ineffective")) {
        (true, _) => "proved in force",
        (false, true) => "proved ineffective",
        (false, false) => "never proved",
    };
    let undone = match (healed, has("stuck")) {
        (true, _) => "undone and proved undone",
        (false, true) => "could not be undone",
        (false, false) => "not seen undone",
    };
    // It may act from the intent on.
    let sentence = format!(
        "{number}, {} to {}: {words}; {proof}, {undone}.",
        fault.widest(end).from,
        span.to
    );
    Some(FaultFact {
        fault: number,
        kind: deed.kind.to_string(),
        asked: asked.to_owned(),
        deed: words,
        because: deed.because.clone(),
        nodes: harmed(deed),
        stages,
        proved,
        healed,
        span,
        sentence,
    })
}

fn stage(stage: &Stage) -> (&'static str, Option<&str>) {
    match stage {
        Stage::Injecting { .. } => ("injecting", None),
        Stage::Injected { evidence } => ("injected", Some(evidence)),
        Stage::Ineffective { evidence } => ("ineffective", Some(evidence)),
        Stage::Healing => ("healing", None),
        Stage::Healed { evidence } => ("healed", Some(evidence)),
        Stage::Stuck { why } => ("stuck", Some(why)),
        Stage::TookEffect { .. } => ("took effect", None),
    }
}

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
fn label(deed: &Deed) -> String {
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
    match deed.kind {
        FaultKind::Kill => format!("{processes} was killed"),
        FaultKind::Stop => format!("{processes} was stopped"),
        FaultKind::Pause => format!("{processes} was paused"),
        FaultKind::Restart => format!("{processes} was restarted"),
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
        // What exactly was asked says the plan's own words; where, the deed.
        kind => match (processes.is_empty(), deed.links.is_empty()) {
            (false, _) => format!("{kind}: {processes}"),
            (true, false) => format!("{kind}: {}", arrows(deed)),
            (true, true) => format!("{kind}: {}", deed.because),
        },
    }
}

fn links(deed: &Deed) -> String {
    format!("cut {}", arrows(deed))
}

fn arrows(deed: &Deed) -> String {
    let links: Vec<String> = deed.links.iter().map(ToString::to_string).collect();
    links.join(", ")
}
