//! Steps read from text: when, what, for how long, under which name.
//!
//! What stands for several steps becomes them here, so that a schedule shows each of them.

mod asks;
mod conditions;
mod targets;

use std::str::FromStr;
use std::time::Duration;

use history::{FaultKind, Service};

use super::cursor::Cursor;
use super::words::{FAULTS, FaultVerb, SERVICES, VERBS, Verb, words_of};
use super::{StepError, Trouble};
use crate::ask::{Ask, Target};
use crate::model::{Action, Condition, Missed, NODES, Step, When};

/// How long a rolling restart waits for every ISR to be full before it goes on.
const ROLL_WITHIN: Duration = Duration::from_secs(60);
/// The most repetitions of one step.
const TIMES_MAX: i64 = 1_000;

/// Reads what a plan writes as one step. `roll` and `times` stand for several: they come one by one.
///
/// # Errors
/// The first thing that is wrong, with its place and the nearest word.
pub fn read(text: &str) -> Result<Vec<Step>, StepError> {
    let mut cursor = Cursor::new(text)?;
    let when = cursor.when()?;
    let actions = cursor.actions()?;
    let name = if cursor.accept("as") {
        Some(cursor.name()?)
    } else {
        None
    };
    cursor.end("the end of the step")?;
    let mut steps: Vec<Step> = actions
        .into_iter()
        .map(|action| Step {
            when: When::Next,
            action,
            name: None,
        })
        .collect();
    if let Some(first) = steps.first_mut() {
        first.when = when;
    }
    if let Some(last) = steps.last_mut() {
        last.name = name;
    }
    Ok(steps)
}

impl FromStr for Step {
    type Err = StepError;

    /// Reads one step; what stands for several is refused ([`read`] takes it).
    fn from_str(text: &str) -> Result<Self, StepError> {
        let mut steps = read(text)?;
        match steps.pop() {
            Some(step) if steps.is_empty() => Ok(step),
            Some(_) | None => Err(StepError::new(text, 0..text.len(), Trouble::SeveralSteps)),
        }
    }
}

impl FromStr for Ask {
    type Err = StepError;

    /// Reads a fault alone, as a palette names it: `kill leader of ledger/0`.
    fn from_str(text: &str) -> Result<Self, StepError> {
        let mut cursor = Cursor::new(text)?;
        let Some(verb) = cursor.accept_one_of(FAULTS) else {
            return Err(cursor.expected("a fault such as `kill` or `isolate`", &words_of(FAULTS)));
        };
        let ask = cursor.ask(verb)?;
        cursor.end("the end of the fault (`hold` says how long it lasts)")?;
        Ok(ask)
    }
}

impl Cursor<'_> {
    fn when(&mut self) -> Result<When, StepError> {
        if self.accept("at") {
            return Ok(When::At(self.duration()?));
        }
        if self.accept("after") {
            let step = self.name()?;
            let wait = if self.sees_number() {
                self.duration()?
            } else {
                Duration::ZERO
            };
            return Ok(When::After { step, wait });
        }
        if self.accept("when") {
            let (condition, within) = self.deadline()?;
            let missed = if !self.accept("or") {
                Missed::Stop
            } else if self.accept("fire") {
                Missed::Fire
            } else if self.sees(0, "go") {
                self.go_on()?
            } else {
                return Err(self.expected("`go on` or `fire`", &["go", "fire"]));
            };
            return Ok(When::Once {
                condition,
                within,
                missed,
            });
        }
        Ok(When::Next)
    }

    /// `CONDITION within 30s`.
    fn deadline(&mut self) -> Result<(Condition, Duration), StepError> {
        let condition = self.condition()?;
        self.require("within")?;
        Ok((condition, self.duration()?))
    }

    fn go_on(&mut self) -> Result<Missed, StepError> {
        self.require("go")?;
        self.require("on")?;
        Ok(Missed::GoOn)
    }

    /// One action, or the several that it stands for.
    fn actions(&mut self) -> Result<Vec<Action>, StepError> {
        if let Some(verb) = self.accept_one_of(FAULTS) {
            let fault = self.fault(verb)?;
            return self.repeated(fault);
        }
        let Some(verb) = self.accept_one_of(VERBS) else {
            let words: Vec<&str> = [
                words_of(FAULTS),
                words_of(VERBS),
                vec!["at", "after", "when"],
            ]
            .concat();
            return Err(self.expected(
                "a fault such as `kill` or `isolate`, or `send`, `await`, `wait`, `heal` or `roll`",
                &words,
            ));
        };
        match verb {
            Verb::Send => {
                let send = self.send()?;
                self.repeated(send)
            }
            Verb::Heal if self.sees_a_name() => Ok(vec![Action::Heal(Some(self.name()?))]),
            Verb::Heal => Ok(vec![Action::Heal(None)]),
            Verb::Await => Ok(vec![self.awaiting()?]),
            Verb::Wait => Ok(vec![Action::Wait(self.duration()?)]),
            Verb::Roll => self.roll(),
        }
    }

    /// Whether a name follows `heal`; `as` begins the step's own.
    fn sees_a_name(&self) -> bool {
        self.end("").is_err() && !self.sees(0, "as")
    }

    fn send(&mut self) -> Result<Action, StepError> {
        if self.sees(0, "0") {
            return Err(self.fail(Trouble::NothingToSend));
        }
        let count = self.word("a number of records", |word| word.parse().ok())?;
        self.require("to")?;
        let partition = self.partition()?;
        Ok(Action::Send { count, partition })
    }

    fn fault(&mut self, verb: FaultVerb) -> Result<Action, StepError> {
        let ask = self.ask(verb)?;
        let mut hold = ask.is_momentary().then_some(Duration::ZERO);
        let mut meanwhile = false;
        if self.accept("for") {
            hold = Some(self.duration()?);
            meanwhile = self.accept("meanwhile");
        }
        let required = self.accept("required");
        Ok(Action::Fault {
            ask,
            hold,
            meanwhile,
            required,
        })
    }

    fn awaiting(&mut self) -> Result<Action, StepError> {
        let (condition, within) = self.deadline()?;
        let missed = if self.accept("or") {
            self.go_on()?
        } else {
            Missed::Stop
        };
        Ok(Action::Await {
            condition,
            within,
            missed,
        })
    }

    /// `... times 5 every 2s`: so often, with so long a wait between.
    fn repeated(&mut self, action: Action) -> Result<Vec<Action>, StepError> {
        let place = self.place();
        if !self.accept("times") {
            return Ok(vec![action]);
        }
        if matches!(action, Action::Fault { hold: None, .. }) {
            return Err(self.fail_at(place, Trouble::NeverOver));
        }
        let times = self.word("a number from 1 to 1000", |word| {
            word.parse().ok().filter(|n| (1..=TIMES_MAX).contains(n))
        })?;
        self.require("every")?;
        let every = self.duration()?;
        let mut actions = vec![action.clone()];
        for _ in 1..times {
            actions.extend([Action::Wait(every), action.clone()]);
        }
        Ok(actions)
    }

    /// `roll [zookeeper] [every 2s]`: every node in turn, each back in sync before the next.
    fn roll(&mut self) -> Result<Vec<Action>, StepError> {
        let service = self.accept_one_of(SERVICES).unwrap_or(Service::Broker);
        let every = if self.accept("every") {
            Some(self.duration()?)
        } else {
            None
        };
        let required = self.accept("required");
        let mut actions = Vec::new();
        for node in NODES {
            actions.extend(every.filter(|_| !actions.is_empty()).map(Action::Wait));
            actions.push(Action::Fault {
                ask: Ask::Process {
                    kind: FaultKind::Restart,
                    service,
                    target: Target::Node(node),
                },
                hold: Some(Duration::ZERO),
                meanwhile: false,
                required,
            });
            actions.push(Action::Await {
                condition: Condition::AllInSync,
                within: ROLL_WITHIN,
                missed: Missed::Stop,
            });
        }
        Ok(actions)
    }
}
