//! What conclusions rest on. A premise that fails voids what is concluded from absence; positive
//! evidence stands.

use history::{NodeId, Offset, Payload, Phase, ProcessChange, Stage, StepStage, ValueId};
use plan::{Action, Storm};
use rustc_hash::FxHashMap;

use crate::accounting::undrained;
use crate::facts::{Facts, Fate, PartFacts, ReadFact, SendFact};
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
        fates,
    ),
    ("drain", "fresh consumers read every log to its end", drain),
    ("schedule", "what the plan required happened", schedule),
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
            load(facts),
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
        return Err(format!("the history breaks off: {torn}"));
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

/// A failed send that stands somewhere, or a record of this run that nobody sent, is our own fault.
fn fates(facts: &Facts) -> Looked {
    let refused = refused(facts);
    for (id, part) in facts.parts.iter().enumerate() {
        let refuses = facts.ops.counts(id).failed > 0;
        let sends = if refuses { part.sends.as_slice() } else { &[] };
        for (place, send) in facts.ops.sends_of(sends) {
            if let (Fate::Failed, Some(at)) = (send.fate, part.final_at.at(place)) {
                return Err(format!(
                    "{} ({}) was taken as refused and stands in {} at {at}",
                    send.value, send.op, part.name
                ));
            }
        }
        if let Some((send, read)) = given_though_refused(facts, part, &refused) {
            return Err(format!(
                "{} ({}) was taken as refused and was given to {} ({})",
                send.value, send.op, read.client, read.op
            ));
        }
        if let Some(at) = part.strangers.iter().find(|at| unsent(facts, part, **at)) {
            return Err(format!(
                "{} holds a record of this run at {at} that was not sent there",
                part.name
            ));
        }
    }
    Ok((facts.ops.sent(), "sends"))
}

/// The first delivery of a value that was certainly refused, with its send.
fn given_though_refused(
    facts: &Facts,
    part: &PartFacts,
    refused: &FxHashMap<ValueId, u32>,
) -> Option<(SendFact, ReadFact)> {
    let of = |read: ReadFact| {
        let Payload::Value(value) = read.payload else {
            return None;
        };
        let send = *refused.get(&value)?;
        Some((facts.ops.send(send), read))
    };
    if refused.is_empty() {
        return None;
    }
    // Where each record of the final log was found among the partition's own sends, none of those is
    // refused (that was looked for before), and so none of the deliveries that it bears out.
    let log = part
        .final_log()
        .map_or(0, |log| log.log.records.len() as u64);
    if part.data_records == log && part.strangers.is_empty() {
        let mut places = part.read_there.noes();
        return places.find_map(|place| of(facts.ops.read(part.reads[place])));
    }
    let mut reads = facts.ops.reads_of(&part.reads);
    reads.find_map(|(_, read)| of(read))
}

/// The values that were certainly refused, each with its (first) send.
fn refused(facts: &Facts) -> FxHashMap<ValueId, u32> {
    let any = |id: &usize| facts.ops.counts(*id).failed > 0;
    let mut refused = FxHashMap::default();
    for id in (0..facts.parts.len()).filter(any) {
        let rows = &facts.parts[id].sends;
        for (place, send) in facts.ops.sends_of(rows) {
            let first = || facts.ops.by_value.get(send.value) == Some(rows[place]);
            if send.fate == Fate::Failed && first() {
                refused.insert(send.value, rows[place]);
            }
        }
    }
    refused
}

/// Whether nobody sent what stands there, or it was certainly refused. What was sent to another
/// partition is `misplaced`, and not our own fault.
fn unsent(facts: &Facts, part: &PartFacts, at: Offset) -> bool {
    let value = part.final_log().and_then(|log| log.value_at(at));
    let send = value.and_then(|value| facts.ops.by_value.get(value));
    send.is_none_or(|send| facts.ops.send(send).fate == Fate::Failed)
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

/// Steps that must not be missed, faults that must be proved.
/// Whether a run in which this was missed shows nothing. A fault that the plan does not require may
/// prove ineffective: it is told, and what it would have shown is not examined.
fn must_be_met(step: &plan::Step) -> bool {
    if let plan::When::Once { missed, .. } = &step.when
        && *missed != plan::Missed::Stop
    {
        return false;
    }
    match &step.action {
        Action::Fault { required, .. } => *required,
        Action::Await { missed, .. } => *missed == plan::Missed::Stop,
        Action::Send { .. } => false,
        Action::Heal(_) | Action::Wait(_) => true,
    }
}

fn schedule(facts: &Facts) -> Looked {
    for event in &facts.steps {
        // What is not a step of a plan (the wait for settling) has a guarantee of its own.
        let Ok(step) = event.text.parse::<plan::Step>() else {
            continue;
        };
        if let StepStage::Missed(why) = &event.stage
            && must_be_met(&step)
        {
            return Err(format!(
                "step {} (`{}`) was missed: {why}",
                event.index, event.text
            ));
        }
    }
    let steps = match &facts.recording.plan.storm {
        Storm::Steps(steps) => steps.as_slice(),
        Storm::Drawn(_) => &[],
    };
    let required = steps
        .iter()
        .filter(|step| matches!(step.action, Action::Fault { required: true, .. }))
        .count();
    let proved = facts.faults.iter().filter(|f| f.proof().is_some()).count();
    let ineffective = facts.faults.iter().find(|fault| {
        fault
            .stages
            .iter()
            .any(|event| matches!(event.stage, Stage::Ineffective { .. }))
    });
    if required > 0 {
        if let Some((asked, _)) = ineffective.and_then(|fault| fault.deed()) {
            return Err(format!(
                "`{asked}` proved ineffective, and the plan requires it"
            ));
        }
        if proved < required {
            return Err(format!(
                "the plan requires {required} faults, {proved} were proved in force"
            ));
        }
    }
    Ok((facts.steps.len() as u64, "events of steps"))
}

fn load(facts: &Facts) -> Looked {
    let plan = &facts.recording.plan;
    let wanted = plan.minimum.acked;
    for (topic, parts) in facts.topics() {
        let acked: u64 = parts.iter().map(|&id| facts.ops.counts(id).acked).sum();
        if acked < wanted {
            return Err(format!(
                "{acked} records of {topic} were acknowledged, the plan wants at least {wanted}"
            ));
        }
    }
    let died = facts.processes.iter().find(|event| {
        matches!(event.change, ProcessChange::Exited(history::Exit::Died))
            && facts
                .phase_start(Phase::Steady)
                .is_some_and(|steady| event.at < steady)
    });
    if let Some(event) = died {
        return Err(format!(
            "the {} of {} died before the load",
            event.service, event.node
        ));
    }
    steady_rate(facts)?;
    let parts = 0..facts.parts.len();
    let acked = parts.map(|id| facts.ops.counts(id).acked).sum();
    Ok((acked, "acknowledged records"))
}

fn steady_rate(facts: &Facts) -> Result<(), String> {
    let wanted = facts.recording.plan.minimum.acked_per_second;
    let (Some(from), Some(to)) = (
        facts.phase_start(Phase::Steady),
        facts.phase_start(Phase::Storm),
    ) else {
        return Ok(());
    };
    if wanted == 0 {
        return Ok(());
    }
    let seconds = to.since(from).as_secs_f64();
    let acked = facts
        .ops
        .sends()
        .filter(|send| send.acked() && send.returned.is_some_and(|at| at >= from && at < to))
        .count();
    if (acked as f64) < f64::from(wanted) * seconds {
        return Err(format!(
            "{acked} records were acknowledged in the {seconds:.1} s of the steady phase, the plan \
             wants {wanted} a second"
        ));
    }
    Ok(())
}
