//! Storms that somebody made up, and runs that fail if certain steps are in them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use campaign::shrink::{Asked, Case, Part, Record, Shrunk, Tries, reduce, shrink};
use campaign::{Attempt, CampaignError, Facts};
use checkers::Fold;
use plan::{Plan, Schedule, Seed, Storm, Stream};

use crate::common::{facts, failed, judged, loss};

pub const PLAN: &str = r#"
name = "made-up"
about = "A storm of which only some is needed."
[cluster]
kafka = "3.0.0"
profile = "fast"
[topics.ledger]
assignment = [["n0", "n1", "n2"]]
min_insync_replicas = 2
[topics.ledger.load]
acks = "all"
rate = "on-demand"
[phases]
steady = "1s"
calm = "1s"
settle_max = "60s"
drain_max = "30s"
[minimum]
acked = 0
acked_per_second = 0
[storm]
steps = []
"#;

pub type Steps = BTreeSet<usize>;
/// Whether a run of this plan fails.
pub type PlanFails = Box<dyn FnMut(&Plan) -> bool>;
/// Whether the lab fails under these steps, in the so many-th run of a call.
pub type LabFails = Box<dyn Fn(&Steps, usize) -> bool>;

/// A storm of so many steps, each with its number for a name; many speak of earlier ones.
pub fn storm(draws: &mut Stream, count: usize) -> Case {
    let (mut cuts, mut allowed) = (Vec::new(), false);
    let mut steps = Vec::new();
    for at in 0..count {
        let node = draws.below(3);
        let step = match draws.below(8) {
            0 => format!("pause n{node} for 2s"),
            1 => {
                cuts.push(at);
                format!("isolate n{node}")
            }
            2 if !cuts.is_empty() => {
                format!("heal s{}", draws.pick(&cuts).expect("a cut"))
            }
            3 if at > 0 => {
                let earlier = draws.below(at as u64);
                format!("after s{earlier} 2s kill n{node} for 3s meanwhile")
            }
            4 if allowed => "elect unclean of ledger/0".to_owned(),
            5 => {
                allowed = true;
                "configure ledger unclean.leader.election.enable = true for 9s".to_owned()
            }
            6 => format!("send {} to ledger/0", 1 + draws.below(5)),
            _ => "await all in sync within 20s or go on".to_owned(),
        };
        steps.push(format!("'{step} as s{at}'"));
    }
    let text = format!("seed = 7\nsteps = [{}]", steps.join(", "));
    let schedule = Schedule::parse(&text, "made up").expect("a storm");
    let mut plan = Plan::parse(PLAN, "made up").expect("a plan");
    plan.minimum.acked = 4;
    Case::new(&plan, schedule, "what is left").expect("they fit")
}

/// The numbers of the steps of a plan.
pub fn numbers(plan: &Plan) -> Steps {
    let Storm::Steps(steps) = &plan.storm else {
        panic!("a drawn storm");
    };
    let names = steps.iter().filter_map(|step| step.name.as_deref());
    names
        .map(|name| name[1..].parse().expect("a number"))
        .collect()
}

pub fn some_of(draws: &mut Stream, count: usize, most: u64) -> Steps {
    let wanted = draws.between(0, most);
    (0..wanted)
        .map(|_| draws.below(count as u64) as usize)
        .collect()
}

/// These and everything that they need: the fewest that can be a storm together.
pub fn with_needs(case: &Case, wanted: &Steps) -> Steps {
    let possible = |kept: &[usize]| {
        let closed = case.close(kept);
        wanted.iter().all(|at| closed.contains(at))
    };
    let none: Result<_, Infallible> = reduce(
        case.all(),
        |kept| case.close(kept),
        |kept| Ok(possible(kept)),
    );
    let Ok(kept) = none;
    kept.into_iter().collect()
}

/// Runs nothing: a run fails if certain steps are in it, in so many of a hundred runs.
pub struct Pretend {
    pub fails: Box<dyn Fn(&Steps) -> u64>,
    pub seed: u64,
    /// Judged runs, those before this call included.
    pub runs: usize,
    pub lab_fails: LabFails,
    /// Runs that were asked for in this call.
    pub asked: usize,
    pub stop_at: Option<usize>,
    pub heals: usize,
    pub passed: Duration,
    pub told: Vec<String>,
    pub otherwise: Facts,
    /// Instead of `fails`: whether a run of this plan does.
    pub fails_by: Option<PlanFails>,
}

impl Pretend {
    pub fn new(fails: impl Fn(&Steps) -> u64 + 'static) -> Self {
        Self {
            fails: Box::new(fails),
            seed: 1,
            runs: 0,
            lab_fails: Box::new(|_, _| false),
            asked: 0,
            stop_at: None,
            heals: 0,
            passed: Duration::ZERO,
            told: Vec::new(),
            otherwise: facts(Fold::Held),
            fails_by: None,
        }
    }

    pub fn needing(needs: &Steps) -> Self {
        let needs = needs.clone();
        Self::new(move |steps| 100 * u64::from(needs.is_subset(steps)))
    }
}

impl Tries for Pretend {
    fn run(&mut self, plan: &str, deadline: Duration) -> Attempt {
        assert!(deadline >= Duration::from_secs(60), "{deadline:?}");
        let plan = Plan::parse(plan, "a candidate").expect("every candidate is a plan");
        let steps = numbers(&plan);
        self.passed += Duration::from_secs(60);
        self.asked += 1;
        if (self.lab_fails)(&steps, self.asked) {
            return failed("n2 did not answer");
        }
        self.runs += 1;
        let mut luck = Seed(self.seed).stream(&format!("run {}", self.runs));
        let mut facts = self.otherwise.clone();
        let fails = match &mut self.fails_by {
            Some(fails) => fails(&plan),
            None => luck.below(100) < (self.fails)(&steps),
        };
        if fails {
            facts.verdict = Fold::Broken;
            facts.causes.push(loss());
        }
        judged(&format!("run-{}", self.runs), facts)
    }

    fn heal(&mut self) {
        self.heals += 1;
    }

    fn elapsed(&self) -> Duration {
        self.passed
    }

    fn stop(&mut self) -> Option<String> {
        (self.stop_at == Some(self.asked)).then(|| "INT".to_owned())
    }

    fn keep(&mut self, record: &Record) -> Result<(), CampaignError> {
        assert_eq!(record.tried.len(), self.runs);
        Ok(())
    }

    fn tell(&mut self, line: &str) {
        self.told.push(line.to_owned());
    }
}

pub fn asked(times: u32) -> Asked {
    Asked {
        times,
        at_least: Asked::of_rate(times, None),
        budget: Duration::from_secs(1_000_000),
        takes: Duration::from_secs(60),
        shorten: false,
    }
}

pub fn with_times(times: u32) -> Asked {
    Asked {
        shorten: true,
        ..asked(times)
    }
}

pub fn all(case: &Case) -> Part {
    case.all().into()
}

pub fn fresh(case: &Case) -> Record {
    Record::new("2026-11-22T031055-made-up-x7k2qa", loss(), case.steps())
}

pub fn go(case: &Case, asked: Asked, pretend: &mut Pretend) -> (Shrunk, Record) {
    let mut record = fresh(case);
    let shrunk = shrink(case, asked, &mut record, pretend).expect("nothing to write");
    (shrunk, record)
}

pub fn kept(shrunk: &Shrunk) -> Steps {
    shrunk.part.kept.iter().copied().collect()
}
