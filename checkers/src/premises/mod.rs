//! What conclusions rest on. A premise that fails voids what is concluded from absence; positive
//! evidence stands.

mod fates;
mod load;
mod schedule;

use history::{NodeId, Phase};

use crate::accounting::undrained;
use crate::facts::Facts;
use crate::gone::unit_of;
use crate::judgement::{Ended, Premise, PremiseState};

/// A premise that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Which.
    pub name: &'static str,
    /// Why.
    pub why: String,
}

/// What a premise looked at, or why it failed.
type Looked = Result<(u64, &'static str), String>;

/// Name, sentence, and how it is looked at.
type Rule = (&'static str, &'static str, fn(&Facts) -> Looked);

const RULES: [Rule; 10] = [
    (
        "history-whole",
        "the history reaches from the first phase to the last",
        history_whole,
    ),
    ("values-unique", "every value was sent once", values_unique),
    (
        "clocks-monotonic",
        "no completion lies before its invocation",
        clocks,
    ),
    (
        "final-logs",
        "the last leader of every partition is known and its log was captured",
        final_logs,
    ),
    (
        "images-complete",
        "every replica's files were captured at the end, unchanging",
        images,
    ),
    (
        "evidence-read",
        "every captured file could be read",
        evidence_read,
    ),
    (
        "lines-read",
        "every broker's log was read, and placed in run time",
        lines_read,
    ),
    (
        "fates",
        "what was certainly refused stands nowhere, and what stands somewhere was sent",
        fates::fates,
    ),
    ("drain", "fresh consumers read every log to its end", drain),
    (
        "schedule",
        "what the plan required happened",
        schedule::schedule,
    ),
];

/// Looks at every premise; load is looked at topic by topic.
pub fn all(facts: &Facts) -> (Vec<Premise>, Vec<Failed>) {
    let mut premises = Vec::new();
    let mut failed = Vec::new();
    let looked = RULES
        .iter()
        .map(|(name, sentence, look)| (*name, *sentence, look(facts)))
        .chain([(
            "load",
            "there was enough load to mean anything",
            load::load(facts),
        )]);
    for (name, sentence, looked) in looked {
        let state = match looked {
            Ok((examined, unit)) => PremiseState::Kept {
                examined,
                unit: unit_of(examined, unit),
            },
            Err(why) => {
                failed.push(Failed {
                    name,
                    why: why.clone(),
                });
                PremiseState::Failed { why }
            }
        };
        premises.push(Premise {
            name: name.to_owned(),
            sentence: sentence.to_owned(),
            state,
        });
    }
    (premises, failed)
}

fn history_whole(facts: &Facts) -> Looked {
    if let Some(torn) = &facts.recording.torn {
        return Err(format!("the evidence is not whole: {torn}"));
    }
    match &facts.recording.ended {
        Ended::Completed => {}
        Ended::Interrupted { signal } => {
            return Err(format!("the run was interrupted by {signal}"));
        }
        Ended::CutShort { why } => return Err(format!("the run stopped itself: {why}")),
        Ended::Failed { why } => return Err(format!("the run failed: {why}")),
        Ended::Incomplete => return Err("the run has no seal".to_owned()),
    }
    if facts.ops.orphans > 0 {
        return Err(format!(
            "{} completions answer no invocation",
            facts.ops.orphans
        ));
    }
    let recording = facts.recording;
    let events = recording.operations.events + recording.events.len() as u64;
    Ok((events, "events"))
}

fn values_unique(facts: &Facts) -> Looked {
    match facts.ops.twice.first() {
        None => Ok((facts.ops.sent(), "values")),
        Some(first) => Err(format!(
            "{} values were sent more than once, {first} among them",
            facts.ops.twice.len()
        )),
    }
}

fn clocks(facts: &Facts) -> Looked {
    match facts.ops.backwards {
        0 => Ok((facts.ops.sent() + facts.ops.polls, "operations")),
        backwards => Err(format!(
            "{backwards} completions lie before their invocations"
        )),
    }
}

fn final_logs(facts: &Facts) -> Looked {
    for part in &facts.parts {
        part.fin.as_ref().map_err(Clone::clone)?;
    }
    Ok((facts.parts.len() as u64, "partitions"))
}

fn images(facts: &Facts) -> Looked {
    let mut examined = 0;
    for part in &facts.parts {
        for node in &part.replicas {
            let sound = part
                .finals()
                .any(|image| image.node == *node && image.sound);
            if !sound {
                return Err(format!(
                    "no unchanging copy of {} on {node} was taken at the end",
                    part.name
                ));
            }
            examined += 1;
        }
    }
    Ok((examined, "replicas"))
}

fn evidence_read(facts: &Facts) -> Looked {
    let evidence = &facts.recording.evidence;
    match evidence.unreadable.first() {
        None => Ok((evidence.images.len() as u64, "images")),
        Some(first) => Err(format!("{} could not be read ({})", first.file, first.why)),
    }
}

fn lines_read(facts: &Facts) -> Looked {
    let lines = &facts.recording.evidence.lines;
    for node in facts.recording.setting.brokers.keys() {
        if !lines.iter().any(|line| line.node == *node) {
            return Err(format!("no line of the broker of {node} was read"));
        }
    }
    for part in &facts.parts {
        let roles = &part.roles;
        let speaks = |node: NodeId| {
            let mut led = roles.terms.iter().map(|term| term.node);
            let mut followed = roles.follows.iter().map(|follow| follow.node);
            led.any(|said| said == node) || followed.any(|said| said == node)
        };
        if let Some(node) = part.replicas.iter().find(|node| !speaks(**node)) {
            return Err(format!(
                "no line of {node} says that it leads or follows {}",
                part.name
            ));
        }
    }
    if lines.iter().any(|line| line.span.is_none()) {
        return Err("lines could not be placed in run time: no clock samples".to_owned());
    }
    Ok((lines.len() as u64, "lines"))
}

fn drain(facts: &Facts) -> Looked {
    if facts.phase_start(Phase::Drain).is_none() {
        return Err("there was no drain".to_owned());
    }
    match undrained(facts).first() {
        None => Ok((facts.parts.len() as u64, "partitions")),
        Some(&id) => Err(format!("{} was not read to its end", facts.parts[id].name)),
    }
}
