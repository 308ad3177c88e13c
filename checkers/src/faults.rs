//! Faults as facts: what was done to whom, with which proof. Nothing is concluded from them here.

use history::{Mark, Stage};

use crate::facts::{Facts, FaultStory};
use crate::judgement::{FaultFact, FaultSpan, Latency, StageFact};

mod words;

use words::label;
pub use words::{deed_in_words, harmed};

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
        latency: latency(fault),
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

/// From the decision to the moment at which it took effect, of which only bounds are known.
fn latency(fault: &FaultStory) -> Option<Latency> {
    let decided = fault.stages.first()?.at;
    fault.stages.iter().find_map(|event| match event.stage {
        Stage::TookEffect { after, before } => Some(Latency {
            at_least: Mark(after.0.saturating_sub(decided.0)),
            at_most: Mark(before.0.saturating_sub(decided.0)),
        }),
        _ => None,
    })
}
