//! Whether there was enough load to mean anything.

use history::{Phase, ProcessChange};

use super::Looked;
use crate::facts::Facts;

pub(super) fn load(facts: &Facts) -> Looked {
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
