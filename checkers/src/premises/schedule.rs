//! Whether the steps that the plan insists on were done, and the faults that it requires proved.

use std::collections::BTreeMap;

use history::StepStage;
use plan::{Action, Storm};

use super::Looked;
use crate::facts::{Facts, FaultStory};

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

/// Steps that must not be missed, faults that must be proved.
pub(super) fn schedule(facts: &Facts) -> Looked {
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
    // A fault that the plan does not require may prove ineffective: its step says so.
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for step in steps {
        if let Action::Fault {
            ask,
            required: true,
            ..
        } = &step.action
        {
            *wanted.entry(ask.to_string()).or_default() += 1;
        }
    }
    for (text, wanted) in wanted {
        let asked = |fault: &&FaultStory<'_>| fault.deed().is_some_and(|(asked, _)| asked == text);
        let faults = facts.faults.iter().filter(asked);
        let proved = faults.filter(|fault| fault.proof().is_some()).count();
        if proved < wanted {
            return Err(format!(
                "the plan requires `{text}` {}, and it was proved in force {}",
                times(wanted),
                times(proved)
            ));
        }
    }
    Ok((facts.steps.len() as u64, "events of steps"))
}

fn times(count: usize) -> String {
    match count {
        0 => "never".to_owned(),
        1 => "once".to_owned(),
        _ => format!("{count} times"),
    }
}
