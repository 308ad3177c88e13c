//! What is reduced: a plan and the storm that one of its runs went through. Any part of the storm's
//! steps becomes a plan of its own, with their times as they were or shorter.
//!
//! Nothing is run here. A step whose condition can no longer come about stays as it is: its run says
//! what that means.

use std::collections::BTreeSet;
use std::time::Duration;

use plan::{Action, Expected, Plan, Rate, Schedule, Seed, Step, Storm, When};

use super::part::{Halved, Part, Time};
use super::result::instead;
use crate::error::CampaignError;
use crate::shown::one_line;

/// No time is made shorter than this, nor halved more often than so.
const SHORTEST: Duration = Duration::from_millis(100);
const HALVINGS_MAX: u32 = 6;

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
        let about = one_line(about);
        if !about.trim().is_empty() {
            about.trim().clone_into(&mut plan.about);
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

    /// A part as a plan. Where no step is left to wait for, a step fires when the one before it is
    /// done; a minimum that the remaining `send` steps cannot reach is lowered to what they send.
    pub fn plan(&self, part: &Part) -> Plan {
        let steps = self.shortened(part);
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

    /// The times of these steps that can be halved, each with how often at the most.
    pub fn times(&self, kept: &[usize]) -> Vec<(usize, Time, u32)> {
        let mut times = Vec::new();
        self.walk(&Part::from(kept.to_vec()), |at, time, length| {
            let can = |times: &u32| halved(length, *times) >= SHORTEST;
            if let Some(most) = (1..=HALVINGS_MAX).take_while(can).last() {
                times.push((at, time, most));
            }
        });
        times
    }

    /// The same steps with times halved so often; `None` if a plan cannot say that.
    pub fn halve(&self, kept: &[usize], times: &[(usize, Time, u32)]) -> Option<Part> {
        let halved = times.iter().filter(|(.., times)| *times > 0);
        let part = Part {
            kept: kept.to_vec(),
            halved: halved
                .map(|&(step, time, times)| Halved { step, time, times })
                .collect(),
        };
        let plan = self.plan(&part);
        (Plan::parse(&plan.to_toml(), "").as_ref() == Ok(&plan)).then_some(part)
    }

    /// How long the steps of a part hold and pause, all together.
    pub fn length(&self, part: &Part) -> Duration {
        let mut all = Duration::ZERO;
        self.walk(part, |_, _, length| all += length);
        all
    }

    /// What a candidate leaves out of what there is, or makes shorter in it, in words.
    pub fn without(&self, of: &Part, part: &Part) -> String {
        let gone: Vec<usize> = (of.kept.iter().copied())
            .filter(|at| !part.kept.contains(at))
            .collect();
        let count = format!("{} of {} steps", part.kept.len(), of.kept.len());
        match gone[..] {
            _ if part.kept.is_empty() => "no step at all".to_owned(),
            [one] => format!("{count}: without `{}`", self.schedule.steps[one]),
            [] => self.shorter(of, part),
            [first, .., last] => format!(
                "{count}: without {} between `{}` and `{}`",
                gone.len(),
                self.schedule.steps[first],
                self.schedule.steps[last]
            ),
        }
    }

    fn shorter(&self, of: &Part, part: &Part) -> String {
        let (were, are) = (self.shortened(of), self.shortened(part));
        let changed = were.iter().zip(&are).filter(|(were, are)| were != are);
        let changed: Vec<(&Step, &Step)> = changed.collect();
        let lengths = instead(self.length(part), self.length(of));
        match changed[..] {
            [(was, is)] => format!("{lengths}: `{is}` instead of `{was}`"),
            _ => lengths,
        }
    }

    /// Every time of a part's steps, as long as it is there.
    fn walk(&self, part: &Part, mut each: impl FnMut(usize, Time, Duration)) {
        let mut last = Duration::ZERO;
        for (at, step) in self.possible(&part.kept) {
            let mut see = |time, length| each(at, time, halved(length, part.halvings(at, time)));
            match step.when {
                When::At(fires) => {
                    see(Time::Before, fires.saturating_sub(last));
                    last = fires;
                }
                When::After { wait, .. } => see(Time::Before, wait),
                When::Next | When::Once { .. } => {}
            }
            match step.action {
                Action::Fault {
                    hold: Some(length), ..
                }
                | Action::Wait(length) => see(Time::Held, length),
                Action::Fault { hold: None, .. }
                | Action::Send { .. }
                | Action::Heal(_)
                | Action::Await { .. } => {}
            }
        }
    }

    /// The steps of a part, as they then read.
    fn shortened(&self, part: &Part) -> Vec<Step> {
        let mut steps = self.possible(&part.kept);
        let mut fires = Duration::ZERO;
        let mut at = 0;
        self.walk(part, |place, time, length| {
            while steps[at].0 != place {
                at += 1;
            }
            let step = &mut steps[at].1;
            match (time, &mut step.when, &mut step.action) {
                (Time::Before, When::At(when), _) => {
                    fires += length;
                    *when = fires;
                }
                (Time::Before, When::After { wait, .. }, _) => *wait = length,
                (Time::Held, _, Action::Fault { hold, .. }) => *hold = Some(length),
                (Time::Held, _, Action::Wait(wait)) => *wait = length,
                _ => unreachable!("a time that the step does not have"),
            }
        });
        steps.into_iter().map(|(_, step)| step).collect()
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

/// A time halved so often, in whole milliseconds; what was not halved is exact.
fn halved(length: Duration, times: u32) -> Duration {
    if times == 0 {
        return length;
    }
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.checked_shr(times).unwrap_or_default())
}
