//! Which faults the story of a loss names, against what was in force: none that was over when the first
//! of its records was accepted, none that began after the election without them, none that had no
//! effect; and every one that surely acted in between, with its own times.

use std::collections::BTreeSet;
use std::fmt::Write;

use checkers::judgement::{Finding, StorySentence};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::stories::{self, Sent, begins};
use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

#[derive(Debug, Clone)]
pub struct World {
    story: stories::World,
    faults: Vec<Fault>,
}

/// What was done, and when; milliseconds. Its number is its place.
#[derive(Debug, Clone)]
struct Fault {
    what: What,
    node: u8,
    meant: u64,
    /// When it was seen to act, unless it was found to have no effect.
    proved: Option<u64>,
    /// When its undoing began, and what came of it.
    undone: Option<(u64, Undone)>,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Cut,
    Kill,
    Pause,
}

#[derive(Debug, Clone, Copy)]
enum Undone {
    Healed(u64),
    Stuck(u64),
    /// The run ended first.
    Never,
}

impl Fault {
    fn print(&self, number: usize) -> Vec<(u64, String)> {
        let node = self.node;
        let what = match self.what {
            What::Cut => {
                let other = self.other();
                format!("cut n{node} -> n{other}, n{other} -> n{node}")
            }
            What::Kill => format!("kill broker n{node}"),
            What::Pause => format!("pause broker n{node}"),
        };
        let at = |moment: u64| seconds(moment);
        let meant = self.meant;
        let mut lines = vec![(
            meant,
            format!(
                "f{number} {what} : injecting (n{node} is up) at {}",
                at(meant)
            ),
        )];
        match self.proved {
            Some(proved) => lines.push((
                proved,
                format!("f{number} injected (it was seen) at {}", at(proved)),
            )),
            None => lines.push((
                meant + 50,
                format!(
                    "f{number} ineffective (nothing was there) at {}",
                    at(meant + 50)
                ),
            )),
        }
        if let Some((began, came)) = self.undone.filter(|_| self.proved.is_some()) {
            lines.push((began, format!("f{number} healing at {}", at(began))));
            match came {
                Undone::Healed(end) => {
                    lines.push((end, format!("f{number} healed (it is gone) at {}", at(end))));
                }
                Undone::Stuck(end) => {
                    lines.push((end, format!("f{number} stuck (it stays) at {}", at(end))));
                }
                Undone::Never => {}
            }
        }
        lines
    }

    /// Those whom it befell.
    fn harms(&self) -> Vec<u8> {
        match self.what {
            What::Cut => vec![self.node, self.other()],
            What::Kill | What::Pause => vec![self.node],
        }
    }

    fn other(&self) -> u8 {
        (self.node + 1) % 3
    }

    /// It was in force throughout these moments, as was seen.
    fn surely(&self) -> Option<(u64, u64)> {
        let end = self.undone.map_or(u64::MAX, |(began, _)| began);
        Some((self.proved?, end))
    }

    /// It may have been in force at these moments and at no other.
    fn perhaps(&self) -> Option<(u64, u64)> {
        self.proved?;
        let end = match self.undone {
            Some((_, Undone::Healed(end))) => end,
            _ => u64::MAX,
        };
        Some((self.meant, end))
    }

    /// A moment at which it may be said to have begun.
    fn begun_at(&self, text: &str) -> bool {
        let moments = [Some(self.meant), self.proved];
        moments
            .into_iter()
            .flatten()
            .any(|at| text.contains(&seconds(at)))
    }

    /// If the sentence tells an end, it is its own.
    fn ended_at(&self, text: &str) -> bool {
        let Some((_, rest)) = text.split_once(" to ") else {
            return true;
        };
        let told: String = rest
            .chars()
            .take_while(|c| !matches!(c, ' ' | ':' | ','))
            .collect();
        if !told.ends_with('s') || !told.starts_with(|c: char| c.is_ascii_digit()) {
            return true;
        }
        match self.undone {
            Some((began, Undone::Healed(end))) => {
                [began, end].iter().any(|at| seconds(*at) == told)
            }
            Some((began, _)) => seconds(began) == told,
            // To the last that was recorded.
            None => told == "100.000s",
        }
    }
}

/// The fault that a sentence names, if it names one: `(f2, `.
fn named(sentence: &StorySentence) -> Option<usize> {
    let (_, rest) = sentence.text.split_once("(f")?;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

impl World {
    fn print(&self) -> String {
        let mut text = self.story.print();
        let mut lines: Vec<(u64, String)> = Vec::new();
        for (fault, number) in self.faults.iter().zip(1..) {
            lines.extend(fault.print(number));
        }
        lines.sort();
        for (_, line) in lines {
            writeln!(text, "{line}").unwrap();
        }
        text
    }

    fn tells(&self, finding: &Finding, of: &[Sent], seen: &Seen) -> Result<(), TestCaseError> {
        let accepted = of
            .iter()
            .map(|sent| sent.accepted())
            .min()
            .expect("a record");
        let elected = begins(self.story.killer(of[0]));
        let leader = self.story.leader(of[0]);
        let meets = |(from, to): (u64, u64)| from <= elected && accepted <= to;
        let mut told = BTreeSet::new();
        for sentence in &finding.story {
            let Some(number) = named(sentence) else {
                continue;
            };
            told.insert(number);
            let fault = &self.faults[number - 1];
            let own = fault.begun_at(&sentence.text) && fault.ended_at(&sentence.text);
            prop_assert!(own, "times of f{}: {}", number, sentence.text);
        }
        for (fault, number) in self.faults.iter().zip(1..) {
            // What was never committed is told with what touched its leader only.
            let touches = self.story.acks_all || fault.harms().contains(&leader);
            let must = touches && fault.surely().is_some_and(meets);
            let may = fault.perhaps().is_some_and(meets);
            let is = told.contains(&number);
            let note = |name: &str| *seen.borrow_mut().entry(name.into()).or_default() += 1;
            match (is, must, may) {
                (true, _, _) => note("named"),
                (_, _, true) => note("perhaps"),
                _ => note("rightly not named"),
            }
            prop_assert!(is || !must, "f{} was in force: {:?}", number, finding.story);
            prop_assert!(
                !is || may,
                "f{} was not in force: {:?}",
                number,
                finding.story
            );
        }
        Ok(())
    }
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let lost = world.story.lost();
    for finding in &judgement.findings {
        if finding.guarantee.starts_with("acked-lost") {
            let of = stories::of(&lost, finding);
            world.tells(finding, &of, seen)?;
        }
    }
    Ok(())
}

fn any_fault() -> impl Strategy<Value = Fault> {
    let what = prop_oneof![2 => Just(What::Cut), 1 => Just(What::Kill), 1 => Just(What::Pause)];
    let times = (0u64..110, 1u64..20, 1u64..60, 1u64..20);
    let came = prop_oneof![6 => Just(0u8), 1 => Just(1), 1 => Just(2), 1 => Just(3)];
    (what, 0u8..3, times, proptest::bool::weighted(0.85), came).prop_map(
        |(what, node, (meant, proved, held, end), effective, came)| {
            // At no moment at which anything else happens.
            let meant = 250 * meant + 133;
            let proved = meant + 250 * proved;
            let began = proved + 250 * held;
            let end = began + 250 * end;
            let undone = match came {
                0 => Some(Undone::Healed(end)),
                1 => Some(Undone::Stuck(end)),
                2 => Some(Undone::Never),
                _ => None,
            };
            Fault {
                what,
                node,
                meant,
                proved: effective.then_some(proved),
                undone: undone.map(|came| (began, came)),
            }
        },
    )
}

fn any_world() -> impl Strategy<Value = World> {
    let faults = vec(any_fault(), 1..4);
    (stories::any_world(), faults).prop_map(|(story, faults)| World { story, faults })
}

fn check(cases: u32) {
    let shares = [("named", 200), ("perhaps", 10), ("rightly not named", 200)];
    judge_any(
        cases,
        any_world(),
        |world| format!("{:?}\n{}", world.faults, world.print()),
        agrees,
        &shares,
    );
}

#[test]
fn stories_name_the_faults_that_were_in_force() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn stories_name_the_faults_that_were_in_force_a_hundred_thousand_times() {
    check(100_000);
}
