//! A failing run's storm, reduced: steps are left out as long as the same failure comes back most of
//! the time, until no step can go; then the times of those that are left are halved as long as it
//! does.
//!
//! It is handed something that runs plans, and knows neither hosts nor processes. Load, settings and
//! phases stay what they were. Every decision follows from the runs on record, so
//! that whoever was interrupted goes on where they were.

mod case;
mod part;
mod record;
mod reduce;
mod result;
mod shorten;

use std::collections::BTreeSet;
use std::time::Duration;

use checkers::Fold;
use plan::suite::with_ending;

use crate::conduct::deadline;
use crate::error::CampaignError;
use crate::facts::{Cause, Facts};
use crate::night::{Attempt, Outcome};

pub use case::Case;
pub use part::{Halved, Part, Time};
pub use record::{Came, RECORD_FORMAT, Record, Tally, Tried};
pub use reduce::reduce;
pub use result::{Ending, Reach, Shrunk};
pub use shorten::shorten;

/// Candidates in a row, under which the lab failed twice, after which the lab is to blame.
const UNDECIDED_MAX: u32 = 2;

/// Whoever runs candidates on a lab.
pub trait Tries {
    /// Runs a plan, given as text; ended at the deadline, which counts from now. Never an error: what
    /// goes wrong is an outcome.
    fn run(&mut self, plan: &str, deadline: Duration) -> Attempt;
    /// Removes from the hosts what a run left there. What cannot be healed is said by the next run.
    fn heal(&mut self);
    /// Time since this call began.
    fn elapsed(&self) -> Duration;
    /// Why no further run is to be begun: somebody asked for it.
    fn stop(&mut self) -> Option<String>;
    /// Keeps what is on record, after every run.
    ///
    /// # Errors
    /// When it cannot be kept: what is not on record would be run again.
    fn keep(&mut self, record: &Record) -> Result<(), CampaignError>;
    /// Progress, in a line.
    fn tell(&mut self, line: &str);
}

/// What is wanted of a reduction.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Runs that decide about a candidate, and runs that measure the result.
    pub times: u32,
    /// Of those, how many must break the same promise by the same cause.
    pub at_least: u32,
    /// After so long no run goes on, and none is begun that would.
    pub budget: Duration,
    /// How long the failing run took.
    pub takes: Duration,
    /// Whether times are shortened once no step can go.
    pub shorten: bool,
}

impl Asked {
    /// How many of `times` runs a rate is: `None` is more than half of them. A rate of nothing is
    /// one run: what never fails is no result.
    pub fn of_rate(times: u32, rate: Option<f64>) -> u32 {
        let wanted = match rate {
            None => times / 2 + 1,
            // A rate of 0.6 of 5 runs is 3 of them, whatever 0.6 is in binary.
            Some(rate) => (rate * f64::from(times) - 1e-9).ceil() as u32,
        };
        wanted.clamp(1, times.max(1))
    }
}

/// Reduces. What is on record already is not run again.
///
/// # Errors
/// When what came of a run cannot be kept.
pub fn shrink(
    case: &Case,
    asked: Asked,
    record: &mut Record,
    tries: &mut impl Tries,
) -> Result<Shrunk, CampaignError> {
    let mut shrinker = Shrinker {
        case,
        bar: asked.at_least,
        asked,
        record,
        tries,
        best: case.all().into(),
        reach: Reach::Steps,
        undecided: BTreeSet::new(),
        in_a_row: 0,
        lab_failures: 0,
    };
    let ending = match shrinker.go() {
        Ok(ending) | Err(Halt::For(ending)) => ending,
        Err(Halt::Unkept(error)) => return Err(error),
    };
    Ok(shrinker.result(ending))
}

/// Why a reduction does not go on.
enum Halt {
    For(Ending),
    Unkept(CampaignError),
}

struct Shrinker<'a, T> {
    case: &'a Case,
    asked: Asked,
    /// How many of the runs must fail: what was asked, or what the failing run's own steps reach.
    bar: u32,
    record: &'a mut Record,
    tries: &'a mut T,
    /// The least so far that fails often enough.
    best: Part,
    reach: Reach,
    /// Candidates under which the lab failed twice.
    undecided: BTreeSet<Part>,
    in_a_row: u32,
    lab_failures: u32,
}

impl<T: Tries> Shrinker<'_, T> {
    fn go(&mut self) -> Result<Ending, Halt> {
        let all = Part::from(self.case.all());
        let same = self.measure(&all, "all steps")?;
        if same == 0 {
            return Ok(Ending::NotReproduced);
        }
        if same < self.bar {
            let (of, wanted) = (self.asked.times, self.bar);
            self.say(&format!(
                "all steps fail {same} of {of} times, and {wanted} were asked for: candidates \
                 need {same} of {of}"
            ));
            self.bar = same;
        }
        let fewest = self.least(&all, "no step can go: those that are left", Self::fewest)?;
        if self.asked.shorten {
            self.reach = Reach::Times;
            self.least(
                &fewest,
                "times are halved where it failed still: what is left",
                Self::shortest,
            )?;
            self.reach = Reach::All;
        }
        Ok(if self.undecided.is_empty() {
            Ending::Minimal
        } else {
            Ending::Undecided
        })
    }

    /// The least that some way of reducing finds in a part. Among many candidates some are taken for
    /// luck. So the result is measured by runs of its own; if they do not bear it out, that candidate
    /// counts as not failing, and all that was decided is decided again, from the record.
    fn least(
        &mut self,
        of: &Part,
        what: &str,
        way: fn(&mut Self, &Part) -> Result<Part, Halt>,
    ) -> Result<Part, Halt> {
        loop {
            self.best.clone_from(of);
            let found = way(self, of)?;
            if found == *of || self.measure(&found, what)? >= self.bar {
                return Ok(found);
            }
            self.say("that is too seldom: taken back");
        }
    }

    fn fewest(&mut self, of: &Part) -> Result<Part, Halt> {
        let case = self.case;
        let kept = reduce(
            of.kept.clone(),
            |kept| case.close(kept),
            |kept| self.fails(&Part::from(kept.to_vec())),
        )?;
        Ok(kept.into())
    }

    fn shortest(&mut self, of: &Part) -> Result<Part, Halt> {
        let case = self.case;
        let times = case.times(&of.kept);
        let most: Vec<u32> = times.iter().map(|(.., most)| *most).collect();
        let part = |halved: &[u32]| {
            let each = times.iter().zip(halved);
            let each: Vec<(usize, Time, u32)> = each
                .map(|(&(step, time, _), &halved)| (step, time, halved))
                .collect();
            case.halve(&of.kept, &each)
        };
        let halved = shorten(&most, |halved| match part(halved) {
            Some(part) => self.fails(&part),
            None => Ok(false),
        })?;
        Ok(part(&halved).unwrap_or_else(|| of.clone()))
    }

    /// Whether a candidate fails often enough. No run is made that cannot change the answer.
    fn fails(&mut self, part: &Part) -> Result<bool, Halt> {
        if self.undecided.contains(part) {
            return Ok(false);
        }
        let measured = self.record.tally(part, true);
        if measured.of >= self.asked.times {
            return Ok(measured.same >= self.bar && self.taken(part));
        }
        let mut told = false;
        loop {
            let so_far = self.record.tally(part, false);
            if so_far.same >= self.bar {
                return Ok(self.taken(part));
            }
            let left = self.asked.times.saturating_sub(so_far.of);
            if so_far.same + left < self.bar {
                self.in_a_row = 0;
                return Ok(false);
            }
            if !told {
                self.say(&self.case.without(&self.best, part));
                told = true;
            }
            if !self.try_once(part, false)? {
                return self.undecided(part);
            }
        }
    }

    fn taken(&mut self, part: &Part) -> bool {
        self.in_a_row = 0;
        self.best.clone_from(part);
        true
    }

    /// The lab failed twice: this candidate is neither kept nor called innocent.
    fn undecided(&mut self, part: &Part) -> Result<bool, Halt> {
        self.undecided.insert(part.clone());
        self.in_a_row += 1;
        if self.in_a_row >= UNDECIDED_MAX {
            return Err(Halt::For(Ending::LabFailed));
        }
        self.say("the lab failed twice: that part is not taken");
        Ok(false)
    }

    /// Runs that say how often a part fails, whatever the runs said that chose it.
    fn measure(&mut self, part: &Part, what: &str) -> Result<u32, Halt> {
        let (steps, times) = (part.kept.len(), self.asked.times);
        let mut told = false;
        loop {
            let so_far = self.record.tally(part, true);
            if so_far.of >= times {
                if told {
                    self.say(&format!("{what} fail {so_far} times"));
                }
                return Ok(so_far.same);
            }
            if !told {
                self.say(&format!("{what} ({steps}), {times} times"));
                told = true;
            }
            if !self.try_once(part, true)? {
                return Err(Halt::For(Ending::LabFailed));
            }
        }
    }

    /// One run on record; `false` if the lab failed twice.
    fn try_once(&mut self, part: &Part, measured: bool) -> Result<bool, Halt> {
        let plan = self.case.plan(part).to_toml();
        for retried in [false, true] {
            if let Some(why) = self.tries.stop() {
                return Err(Halt::For(Ending::Stopped { why }));
            }
            let deadline = self.deadline()?;
            if retried {
                self.tries.heal();
            }
            let begun = self.tries.elapsed();
            let attempt = self.tries.run(&plan, deadline);
            let took = self.tries.elapsed().saturating_sub(begun);
            match attempt.outcome {
                Outcome::Judged(facts) => {
                    let came = came(&facts, &self.record.cause);
                    self.say(&format!("  {came}"));
                    self.record.tried.push(Tried {
                        part: part.clone(),
                        measured,
                        came,
                        run: attempt.run,
                        took_s: took.as_secs(),
                    });
                    self.tries.keep(self.record).map_err(Halt::Unkept)?;
                    return Ok(true);
                }
                Outcome::LabFailed { why } => {
                    self.lab_failures += 1;
                    self.say(&format!(
                        "  the lab failed, which counts for nothing: {why}"
                    ));
                }
                Outcome::DidNotRun { why } => return Err(Halt::For(Ending::Stopped { why })),
            }
        }
        Ok(false)
    }

    /// No run is begun that would be asked to end before it has.
    fn deadline(&self) -> Result<Duration, Halt> {
        let took = self.record.tried.iter().map(|tried| tried.took_s).max();
        let takes = took.map_or(self.asked.takes, Duration::from_secs);
        let left = self.asked.budget.saturating_sub(self.tries.elapsed());
        if with_ending(takes) > left {
            return Err(Halt::For(Ending::Budget));
        }
        Ok(deadline(takes, left))
    }

    fn say(&mut self, line: &str) {
        self.tries.tell(line);
    }

    fn result(self, ending: Ending) -> Shrunk {
        let measured = self.record.tally(&self.best, true);
        let afresh = measured.of >= self.asked.times;
        let of_steps = self.case.all().len();
        let all = self.best.kept.len() == of_steps && self.best.halved.is_empty();
        let chose = !all && !afresh;
        let unshortened = Part::from(self.best.kept.clone());
        Shrunk {
            length: (self.case.length(&self.best), self.case.length(&unshortened)),
            reach: self.reach,
            plan: self.case.plan(&self.best),
            seed: self.case.seed(),
            rate: if chose {
                self.record.tally(&self.best, false)
            } else {
                measured
            },
            afresh,
            part: self.best,
            of_steps,
            often_enough: afresh && measured.same >= self.asked.at_least,
            lab_failures: self.lab_failures,
            ending,
        }
    }
}

fn came(facts: &Facts, wanted: &Cause) -> Came {
    if facts.causes.iter().any(|cause| cause.same_as(wanted)) {
        return Came::Same;
    }
    match facts.verdict {
        Fold::Held => Came::Held,
        Fold::Unproven => Came::Unproven,
        Fold::Broken => {
            let first = facts.causes.first().map(|cause| cause.title.clone());
            Came::Other {
                title: first.unwrap_or_else(|| facts.said().to_owned()),
            }
        }
    }
}
