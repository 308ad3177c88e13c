//! What a loss's story says against what happened: who accepted the record and in which epoch, who was
//! elected without it, who cut it, which image still holds it, and whether it was above the high
//! watermark. Names are looked for in the sentences, and each with the line that shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use checkers::judgement::{Class, Finding, Standing};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use crate::world::seconds;
use crate::{CASES, Seen, judge_any, scene};

/// Up to three leaders one after the other; all others follow each and cut to where it begins.
#[derive(Debug, Clone)]
pub struct World {
    pub acks_all: bool,
    terms: Vec<Term>,
}

#[derive(Debug, Clone)]
struct Term {
    leader: u8,
    /// Where its log ended when it was elected.
    from: i64,
    /// How many records it accepted.
    accepted: i64,
    /// The high watermark of the one before it, by its own line when it followed, if it wrote one.
    deposed: Option<i64>,
    /// Who wrote down that it cut its log.
    cut: [bool; 3],
    /// Which of the others had what the one before it accepted.
    copied: [bool; 3],
    /// Who was copied before this election.
    imaged: [bool; 3],
}

/// A record: the term in which it was accepted, its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sent {
    term: usize,
    offset: i64,
}

impl Sent {
    fn value(self) -> i64 {
        100 * self.term as i64 + self.offset
    }

    /// When it was accepted; milliseconds.
    pub fn accepted(self) -> u64 {
        begins(self.term) + 1_000 + 10 * self.offset as u64
    }
}

/// When a term begins; milliseconds.
pub fn begins(term: usize) -> u64 {
    1_000 + 10_000 * term as u64
}

impl World {
    /// One past the last record of a term.
    fn end(&self, term: usize) -> i64 {
        self.terms[term].from + self.terms[term].accepted
    }

    /// The log of a term's leader when it ended: what it began with, and what it accepted.
    fn log(&self, term: usize) -> Vec<Sent> {
        let mut log = match term {
            0 => Vec::new(),
            _ => self.log(term - 1),
        };
        log.retain(|sent| sent.offset < self.terms[term].from);
        log.extend((self.terms[term].from..self.end(term)).map(|offset| Sent { term, offset }));
        log
    }

    /// What a replica had when a term began, before it cut anything.
    fn held(&self, node: u8, term: usize) -> Vec<Sent> {
        let before = self.log(term - 1);
        let whole = node == self.terms[term - 1].leader
            || (self.terms[term].copied[usize::from(node)] && node != self.terms[term].leader);
        match whole {
            true => before,
            false => {
                let from = self.terms[term].from;
                before
                    .into_iter()
                    .filter(|sent| sent.offset < from)
                    .collect()
            }
        }
    }

    pub fn lost(&self) -> BTreeSet<Sent> {
        let last = self.log(self.terms.len() - 1);
        let all = (0..self.terms.len()).flat_map(|term| {
            (self.terms[term].from..self.end(term)).map(move |offset| Sent { term, offset })
        });
        all.filter(|sent| !last.contains(sent)).collect()
    }

    /// Who accepted it.
    pub fn leader(&self, sent: Sent) -> u8 {
        self.terms[sent.term].leader
    }

    /// The election without it: the first after it whose leader's log did not reach so far.
    pub fn killer(&self, sent: Sent) -> usize {
        let later = sent.term + 1..self.terms.len();
        later
            .into_iter()
            .find(|term| self.terms[*term].from <= sent.offset)
            .expect("it is lost")
    }

    fn leader_line(&self, term: usize) -> String {
        let Term { leader, from, .. } = self.terms[term];
        let was = match term {
            0 => "none".to_owned(),
            _ => format!("e{}", term - 1),
        };
        let at = seconds(begins(term));
        format!("n{leader} said {at} leader t/0 e{term} from @{from} hw @0 isr n0,n1,n2 was {was}")
    }

    fn cut_line(&self, term: usize, node: u8) -> Option<String> {
        let begun = &self.terms[term];
        let at = seconds(begins(term) + 200 + u64::from(node));
        let longer = self.held(node, term).len() as i64 > begun.from;
        let cut = node != begun.leader && begun.cut[usize::from(node)] && longer;
        cut.then(|| format!("n{node} said {at} cut t/0 @{}", begun.from))
    }

    pub fn print(&self) -> String {
        let acks = if self.acks_all { "all" } else { "1" };
        let mut text = format!("topic t on n0,n1,n2 by c1 acks={acks}\n");
        let batches = |log: &[Sent]| {
            let batch = |sent: &Sent| format!("e{} @{} v{}", sent.term, sent.offset, sent.value());
            let all: Vec<String> = log.iter().map(batch).collect();
            all.join(" | ")
        };
        for (term, begun) in self.terms.iter().enumerate() {
            writeln!(text, "{}", self.leader_line(term)).unwrap();
            let version = term + 1;
            let at = seconds(begins(term) - 100);
            writeln!(
                text,
                "n0 said {at} state t/0 e{term} isr n0,n1,n2 version {version}"
            )
            .unwrap();
            for node in (0..3).filter(|node| *node != begun.leader) {
                let at = seconds(begins(term) + 100 + u64::from(node));
                let (end, hw, was) = match term {
                    0 => (0, Some(0), "none".to_owned()),
                    _ => {
                        let deposed = node == self.terms[term - 1].leader;
                        let hw = if deposed { begun.deposed } else { Some(0) };
                        let end = self.held(node, term).len();
                        (end, hw, format!("e{}", term - 1))
                    }
                };
                if let Some(hw) = hw {
                    writeln!(
                        text,
                        "n{node} said {at} follower t/0 e{term} from @{end} hw @{hw} was {was}"
                    )
                    .unwrap();
                }
                if term > 0
                    && let Some(line) = self.cut_line(term, node)
                {
                    writeln!(text, "{line}").unwrap();
                }
            }
            for offset in begun.from..self.end(term) {
                let sent = Sent { term, offset };
                let (value, at) = (sent.value(), seconds(sent.accepted()));
                let leader = begun.leader;
                writeln!(
                    text,
                    "c1 send t/0 v{value} -> @{offset} by n{leader} at {at}..{at}"
                )
                .unwrap();
            }
            for node in (0..3).filter(|node| term > 0 && begun.imaged[usize::from(*node)]) {
                let at = seconds(begins(term) - 1_000 + u64::from(node));
                let log = batches(&self.held(node, term));
                writeln!(text, "n{node} before-f{term} {at} t/0: {log}").unwrap();
            }
        }
        let last = batches(&self.log(self.terms.len() - 1));
        for node in 0..3 {
            writeln!(text, "n{node} final t/0: {last}").unwrap();
        }
        text
    }

    /// Under which guarantee a lost record is found, and as what.
    fn class(&self, sent: Sent) -> (&'static str, Class, Standing) {
        if self.acks_all {
            return ("acked-lost-below-hw", Class::Unexplained, Standing::Broken);
        }
        // Only the next leader may depose it; its own line says how high it was.
        match self.terms[sent.term + 1].deposed {
            Some(hw) if hw <= sent.offset && self.follows(sent.term) => {
                ("acked-lost-above-hw", Class::AboveHw, Standing::NotPromised)
            }
            _ => (
                "acked-lost-undetermined",
                Class::Undetermined,
                Standing::NotPromised,
            ),
        }
    }

    /// Whether a term's leader followed the next one, instead of leading again.
    fn follows(&self, term: usize) -> bool {
        self.terms[term].leader != self.terms[term + 1].leader
    }

    /// Who still held it in an image of before it was cut there.
    fn holders(&self, sent: Sent) -> BTreeSet<(u8, usize)> {
        let mut holders = BTreeSet::new();
        for term in 1..self.terms.len() {
            for node in 0..3 {
                if self.terms[term].imaged[usize::from(node)]
                    && self.held(node, term).contains(&sent)
                {
                    holders.insert((node, term));
                }
            }
        }
        holders
    }
}

/// Whether a sentence says all these words and quotes this line.
fn says(finding: &Finding, words: &[String], line: &str) -> bool {
    finding.story.iter().any(|sentence| {
        let quoted = sentence
            .evidence
            .iter()
            .map(|at| &finding.evidence[*at as usize].text);
        let mut quoted = quoted.filter(|text| *text == line);
        quoted.next().is_some() && words.iter().all(|word| named(&sentence.text, word))
    })
}

/// The name stands there as a word: `e1` is not in `e12`.
fn named(text: &str, name: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '@'));
    words.any(|word| word == name)
}

/// A finding tells of its records what happened to each of them.
fn tells(world: &World, finding: &Finding, of: &[Sent]) -> Result<(), TestCaseError> {
    let first = of[0];
    let (accepted, killer) = (first.term, world.killer(first));
    for sent in of {
        // One story for all of them.
        prop_assert_eq!(
            (sent.term, world.killer(*sent)),
            (accepted, killer),
            "{:?}",
            finding
        );
    }
    let leader = |term: usize| format!("n{}", world.terms[term].leader);
    let epoch = |term: usize| format!("e{term}");
    prop_assert!(
        says(
            finding,
            &[leader(accepted), epoch(accepted)],
            &world.leader_line(accepted)
        ),
        "who accepted them: {:#?}",
        finding
    );
    let from = format!("@{}", world.terms[killer].from);
    prop_assert!(
        says(
            finding,
            &[leader(killer), epoch(killer), from.clone()],
            &world.leader_line(killer)
        ),
        "who was elected without them: {:#?}",
        finding
    );
    let by = world.terms[accepted].leader;
    if let Some(line) = world
        .cut_line(killer, by)
        .filter(|_| world.held(by, killer).contains(&first))
    {
        let mut words = vec![format!("n{by}"), from];
        // Without its line nobody knows whom it followed when it cut.
        if by != world.terms[killer - 1].leader || world.terms[killer].deposed.is_some() {
            words.push(epoch(killer));
        }
        prop_assert!(says(finding, &words, &line), "who cut them: {:#?}", finding);
    }
    // Nobody is named who cut nothing of it.
    for witness in finding
        .evidence
        .iter()
        .filter(|witness| witness.text.contains(" cut "))
    {
        let mut holders = (0..3).filter(|node| world.held(*node, killer).contains(&first));
        // Where its cut then left no line, it may have been the next one.
        let told = |node: u8| {
            let mut cuts =
                (killer..world.terms.len()).filter_map(|term| world.cut_line(term, node));
            cuts.next()
        };
        prop_assert!(
            holders.any(|node| told(node).as_ref() == Some(&witness.text)),
            "{} of {:#?}",
            witness.text,
            finding
        );
    }
    Ok(())
}

/// A finding names every image that holds one of its records, and counts those that none holds.
fn holds(world: &World, finding: &Finding, of: &[Sent]) -> Result<(), TestCaseError> {
    let held: u64 = finding.still_held.iter().map(|held| held.count).sum();
    let nowhere = of
        .iter()
        .filter(|sent| world.holders(**sent).is_empty())
        .count() as u64;
    let wanted: usize = of.iter().map(|sent| world.holders(*sent).len()).sum();
    prop_assert_eq!(
        (held, finding.held_nowhere.unwrap_or(0)),
        (wanted as u64, nowhere),
        "{:#?}",
        finding
    );
    Ok(())
}

/// The records that a finding tells of; where another tells of some in between, the two ends.
pub fn of(lost: &BTreeSet<Sent>, finding: &Finding) -> Vec<Sent> {
    let ends = finding.first.as_ref().zip(finding.last.as_ref());
    let ends = ends.and_then(|(first, last)| first.value.zip(last.value));
    let (first, last) = ends.expect("operations with values");
    let within = |sent: &&Sent| (first.0..=last.0).contains(&(sent.value() as u64));
    let of: Vec<Sent> = lost.iter().filter(within).copied().collect();
    match of.len() as u64 == finding.count {
        true => of,
        false => vec![of[0], of[of.len() - 1]],
    }
}

fn agrees(world: &World, seen: &Seen) -> Result<(), TestCaseError> {
    let judgement = scene::judged(&world.print());
    let lost = world.lost();
    let mut told: BTreeMap<_, u64> = BTreeMap::new();
    for finding in judgement
        .findings
        .iter()
        .filter(|it| it.guarantee.starts_with("acked-lost"))
    {
        let of = self::of(&lost, finding);
        let whole = of.len() as u64 == finding.count;
        let as_what = (finding.guarantee.as_str(), finding.class, finding.standing);
        for sent in &of {
            prop_assert_eq!(world.class(*sent), as_what, "{:?} in {:?}", sent, finding);
        }
        *told.entry(as_what).or_default() += finding.count;
        tells(world, finding, &of)?;
        if whole {
            holds(world, finding, &of)?;
        }
        let note = |name: &str| *seen.borrow_mut().entry(name.to_owned()).or_default() += 1;
        note(&finding.guarantee);
        if world.killer(of[0]) > of[0].term + 1 {
            note("a later election");
        }
    }
    let mut wanted = BTreeMap::new();
    for sent in lost {
        *wanted.entry(world.class(sent)).or_default() += 1;
    }
    prop_assert_eq!(told, wanted);
    Ok(())
}

pub fn any_world() -> impl Strategy<Value = World> {
    let three = |share: f64| {
        let one = move || proptest::bool::weighted(share);
        [one(), one(), one()]
    };
    let term = (
        (0u8..3, 0i64..6, 0i64..4),
        option::weighted(0.8, 0i64..6),
        three(0.8),
        three(0.5),
        three(0.4),
    );
    let term = term.prop_map(
        |((leader, from, accepted), deposed, cut, copied, imaged)| Term {
            leader,
            from,
            accepted,
            deposed,
            cut,
            copied,
            imaged,
        },
    );
    (any::<bool>(), vec(term, 2..4)).prop_map(|(acks_all, mut terms)| {
        let mut end = 0;
        let mut before = None;
        for term in &mut terms {
            // Nobody is deposed by itself.
            if before == Some(term.leader) {
                term.leader = (term.leader + 1) % 3;
            }
            before = Some(term.leader);
            term.from = term.from.min(end);
            term.deposed = term.deposed.map(|hw| hw.min(end));
            end = term.from + term.accepted;
        }
        World { acks_all, terms }
    })
}

fn check(cases: u32) {
    let shares = [
        ("acked-lost-below-hw", 100),
        ("acked-lost-above-hw", 50),
        ("acked-lost-undetermined", 50),
        ("a later election", 20),
    ];
    judge_any(
        cases,
        any_world(),
        |world| format!("{world:?}\n{}", world.print()),
        agrees,
        &shares,
    );
}

#[test]
fn stories_of_losses_tell_what_happened() {
    check(CASES);
}

#[test]
#[ignore = "a minute: make test-slow"]
fn stories_of_losses_tell_what_happened_a_hundred_thousand_times() {
    check(100_000);
}
