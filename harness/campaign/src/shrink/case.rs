//! What is reduced: a plan and the storm that one of its runs went through. Any part of the storm's
//! steps becomes a plan of its own.
//!
//! Nothing is run here. A step whose condition can no longer come about stays as it is: its run says
//! what that means.

use std::collections::BTreeSet;

use plan::{Action, Expected, Plan, Rate, Schedule, Seed, Step, Storm, When};

use crate::error::CampaignError;

/// What a plan's name gets at its end, and how long a name may be.
const SHRUNK: &str = "-shrunk";
const NAME_MAX: usize = 40;

/// A plan and the steps of a run of it.
#[derive(Debug, Clone)]
pub struct Case {
    plan: Plan,
    schedule: Schedule,
}

impl Case {
    /// The plan and the schedule of a run. `about` is what the reduced plan says that it is for.
    ///
    /// # Errors
    /// When the steps are not such as the plan can have.
    pub fn new(plan: &Plan, schedule: Schedule, about: &str) -> Result<Self, CampaignError> {
        schedule
            .fits(plan)
            .map_err(|why| CampaignError::Unfit { why })?;
        let mut plan = plan.clone();
        if !plan.name.ends_with(SHRUNK) {
            plan.name.truncate(NAME_MAX - SHRUNK.len());
            plan.name.push_str(SHRUNK);
        }
        let one_line = about.replace(char::is_control, " ");
        if !one_line.trim().is_empty() {
            one_line.trim().clone_into(&mut plan.about);
        }
        plan.expect = Some(Expected::Broken);
        Ok(Self { plan, schedule })
    }

    /// Every step, by its place in the storm.
    pub fn all(&self) -> Vec<usize> {
        (0..self.schedule.steps.len()).collect()
    }

    /// What is left to chance in the steps is drawn from it.
    pub fn seed(&self) -> Seed {
        self.schedule.seed
    }

    /// The steps, as a plan writes them.
    pub fn steps(&self) -> Vec<String> {
        self.schedule.steps.iter().map(Step::to_string).collect()
    }

    /// Those of the kept ones that can be without the rest. A `heal` goes with the fault that it
    /// names, and what an earlier step made possible goes with that step: an unclean election with
    /// the setting that allows it, say.
    pub fn close(&self, kept: &[usize]) -> Vec<usize> {
        self.possible(kept).into_iter().map(|(at, _)| at).collect()
    }

    /// These steps as a plan. Where no step is left to wait for, a step fires when the one before it
    /// is done; a minimum that the remaining `send` steps cannot reach is lowered to what they send.
    pub fn plan(&self, kept: &[usize]) -> Plan {
        let steps = self.possible(kept).into_iter().map(|(_, step)| step);
        let steps: Vec<Step> = steps.collect();
        let mut plan = self.plan.clone();
        for (name, spec) in &plan.topics {
            if spec.load.rate == Rate::OnDemand {
                let sent = steps.iter().map(|step| match &step.action {
                    Action::Send { count, partition } if partition.topic == *name => {
                        u64::from(*count)
                    }
                    _ => 0,
                });
                plan.minimum.acked = plan.minimum.acked.min(sent.sum());
            }
        }
        plan.storm = Storm::Steps(steps);
        plan
    }

    /// What a candidate leaves out of what there is, in words.
    pub fn without(&self, of: &[usize], kept: &[usize]) -> String {
        let gone: Vec<usize> = of.iter().copied().filter(|at| !kept.contains(at)).collect();
        let count = format!("{} of {} steps", kept.len(), of.len());
        match gone[..] {
            _ if kept.is_empty() => "no step at all".to_owned(),
            [one] => format!("{count}: without `{}`", self.schedule.steps[one]),
            [] => count,
            [first, .., last] => format!(
                "{count}: without {} between `{}` and `{}`",
                gone.len(),
                self.schedule.steps[first],
                self.schedule.steps[last]
            ),
        }
    }

    /// The kept steps that are possible without the others, as they then read.
    fn possible(&self, kept: &[usize]) -> Vec<(usize, Step)> {
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut places = Vec::new();
        let mut so_far = Schedule {
            seed: self.schedule.seed,
            steps: Vec::new(),
        };
        for &at in kept {
            let Some(original) = self.schedule.steps.get(at) else {
                continue;
            };
            let mut step = original.clone();
            if let Action::Heal(Some(name)) = &step.action
                && !names.contains(name.as_str())
            {
                continue;
            }
            if let When::After { step: name, .. } = &step.when
                && !names.contains(name.as_str())
            {
                step.when = When::Next;
            }
            so_far.steps.push(step);
            if so_far.fits(&self.plan).is_err() {
                so_far.steps.pop();
                continue;
            }
            if let Some(name) = &original.name {
                names.insert(name);
            }
            places.push(at);
        }
        places.into_iter().zip(so_far.steps).collect()
    }
}
