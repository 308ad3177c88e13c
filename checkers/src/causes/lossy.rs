//! LRS: a replica that lost data led (elected, or resumed in the same epoch) without having copied
//! the data again; and why it was still in the in-sync set.

use history::{Mark, NodeId, Offset, ProcessChange, Seen, Service};

use super::loss::{Loss, LossKind};
use crate::facts::{Facts, PartFacts, Term, nodes};
use crate::judgement::Class;

/// A lossy leader.
#[derive(Debug, Clone)]
pub struct LossyLead {
    /// Its loss; position in `losses`.
    pub loss: usize,
    /// Its time of leadership; position in `roles.terms`.
    pub term: usize,
    /// Everything from here on it had lost and not copied again when it began to lead.
    pub from: Offset,
    /// It had led the same epoch before: nobody elected it.
    pub resumed: bool,
    /// Why it was in the in-sync set.
    pub why: WhyInSync,
    /// How that is known, or what is missing.
    pub because: String,
}

/// Why a replica that had lost data was in the in-sync set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhyInSync {
    /// It was the last one standing when it went down, and the last one is never taken out.
    LastStanding,
    /// All in-sync members were down together.
    AllDown,
    /// It had been taken out and was taken back by a fetch from before its loss.
    Readmitted,
    /// The evidence does not say.
    Unknown,
}

impl LossyLead {
    /// Whether it led without an offset that it had lost.
    pub fn reaches(&self, offset: Offset) -> bool {
        offset >= self.from
    }

    /// Whether the log is known to have been longer, before the loss, than what it led with: by a line
    /// of any broker, or a producer whose acknowledgement the final log does not bear out. What others
    /// wrote later it never had.
    pub fn lacked_something(&self, facts: &Facts, part: &PartFacts, loss: &Loss) -> bool {
        let roles = &part.roles;
        let terms = roles.terms.iter().map(|term| (term.line, term.leo));
        let follows = roles.follows.iter().map(|follow| (follow.line, follow.leo));
        let longer = |(line, leo): (usize, Offset)| {
            let when = facts.line_span(line);
            leo > self.from && when.is_some_and(|when| when.to <= loss.at)
        };
        let mut missing = part.acked_there.noes();
        terms.chain(follows).any(longer)
            || missing.any(|place| {
                let send = facts.ops.send(part.sends[place]);
                let early = send.returned.is_some_and(|at| at <= loss.at);
                early && send.acked_at().is_some_and(|offset| offset >= self.from)
            })
    }

    /// The class of what goes by it.
    pub fn class(&self, loss: &Loss) -> Class {
        match (loss.kind, self.why) {
            (_, WhyInSync::LastStanding) => Class::LastStanding,
            (_, WhyInSync::AllDown) => Class::AllDown,
            (_, WhyInSync::Readmitted) => Class::StaleReadmission,
            (LossKind::PowerCut | LossKind::Wiped, WhyInSync::Unknown) => Class::LossyLeader,
            (LossKind::Damaged, WhyInSync::Unknown) => Class::Damage,
        }
    }
}

/// Every time of leadership of a replica that had lost data and not copied it again.
pub fn all(facts: &Facts, part: &PartFacts, losses: &[Loss]) -> Vec<LossyLead> {
    let mut all = Vec::new();
    for (index, loss) in losses.iter().enumerate() {
        let terms = part.roles.terms.iter().enumerate();
        for (place, term) in terms.filter(|(_, term)| term.node == loss.node) {
            let Some(begins) = facts.line_span(term.line) else {
                continue;
            };
            if begins.to < loss.at || damage_was_cut(facts, part, loss, term) {
                continue;
            }
            let resumed = part.roles.terms.iter().any(|before| {
                before.node == term.node && before.epoch == term.epoch && before.life < term.life
            });
            let (why, because) = why_in_sync(facts, part, loss, term, resumed);
            all.push(LossyLead {
                loss: index,
                term: place,
                from: term
                    .leo
                    .max(loss.from)
                    .max(copied_again(facts, part, loss, term)),
                resumed,
                why,
                because,
            });
        }
    }
    all
}

/// Where the log ended that a replica had copied again after its loss and before it led: what stood
/// below it lacks for another reason. Of damaged bytes a log's end says nothing.
fn copied_again(facts: &Facts, part: &PartFacts, loss: &Loss, term: &Term) -> Offset {
    let followed = part
        .roles
        .follows
        .iter()
        .filter(|follow| follow.node == loss.node && between(facts, loss, term, follow.line));
    match loss.kind {
        LossKind::PowerCut | LossKind::Wiped => {
            followed.map(|follow| follow.leo).max().unwrap_or(Offset(0))
        }
        LossKind::Damaged => Offset(0),
    }
}

/// Whether a replica whose bytes were damaged followed with a longer log before it led, and cut it: the
/// damage, which may be found later, did not take what it lacks.
fn damage_was_cut(facts: &Facts, part: &PartFacts, loss: &Loss, term: &Term) -> bool {
    let mut cuts = part.roles.cuts.iter();
    loss.kind == LossKind::Damaged
        && cuts.any(|cut| {
            let had = cut.follow.map(|follow| part.roles.follows[follow].leo);
            cut.node == loss.node
                && cut.to <= term.leo
                && had.is_some_and(|leo| leo > term.leo)
                && between(facts, loss, term, cut.line)
        })
}

/// Whether a line was written after a loss and before a time of leadership.
fn between(facts: &Facts, loss: &Loss, term: &Term, line: usize) -> bool {
    let spans = facts.line_span(line).zip(facts.line_span(term.line));
    spans.is_some_and(|(when, begins)| when.from >= loss.at && when.to <= begins.from)
}

/// A version of the partition's state with its in-sync set.
struct Version<'a> {
    isr: &'a [NodeId],
    /// When it was written at the latest, where that is known.
    at: Option<Mark>,
    /// When it was written at the earliest: a line is written at once; and when somebody was told an
    /// older one, it was not there yet.
    not_before: Option<Mark>,
}

fn why_in_sync(
    facts: &Facts,
    part: &PartFacts,
    loss: &Loss,
    term: &Term,
    resumed: bool,
) -> (WhyInSync, String) {
    let versions = versions(facts, part);
    let first = part.roles.versions.iter().find(|(_, (_, epoch, _))| {
        // Whoever resumes its epoch is not elected: its set is that of the epoch.
        *epoch == Some(term.epoch)
    });
    let Some((&number, _)) = first else {
        return unknown("no version of the partition's state names its epoch");
    };
    let before = match resumed {
        true => versions.iter().rev().find(|(_, version)| {
            let begins = facts.line_span(term.line).map(|span| span.from);
            version
                .at
                .zip(begins)
                .is_some_and(|(at, begins)| at <= begins)
        }),
        false => versions.iter().find(|(known, _)| *known == number - 1),
    };
    let Some((number, version)) = before else {
        return unknown("the partition state before was not recorded without a gap");
    };
    let isr = nodes(version.isr);
    if !version.isr.contains(&loss.node) {
        let text = format!(
            "{} is not in the in-sync set {isr} of version {number}",
            loss.node
        );
        return (WhyInSync::Unknown, text);
    }
    let out = versions.iter().find(|(known, version)| {
        known < number
            && !version.isr.contains(&loss.node)
            && version.not_before.is_some_and(|at| at >= loss.at)
    });
    if let Some((out, _)) = out {
        let text = format!(
            "version {out} had taken it out of the in-sync set after its loss, version {number} \
             has it back: {isr}"
        );
        return (WhyInSync::Readmitted, text);
    }
    if version.isr == [loss.node] {
        let text = format!("version {number} has it as the only one in sync: {isr}");
        return (WhyInSync::LastStanding, text);
    }
    match all_down(facts, version.isr, term) {
        true => (
            WhyInSync::AllDown,
            format!("all members of the in-sync set {isr} of version {number} were down at once"),
        ),
        false => unknown(&format!(
            "the in-sync set {isr} of version {number} has others, which are not known to have \
             been down"
        )),
    }
}

fn unknown(why: &str) -> (WhyInSync, String) {
    (WhyInSync::Unknown, why.to_owned())
}

/// The versions of a partition's state, ascending, each with the latest moment of its writing: the
/// earliest at which anybody knew it.
fn versions<'a>(facts: &Facts, part: &'a PartFacts) -> Vec<(i32, Version<'a>)> {
    let mut all = Vec::new();
    for (&number, (isr, _, line)) in &part.roles.versions {
        let said = match *line {
            usize::MAX => None,
            line => facts.line_span(line).map(|span| span.to),
        };
        let seen = part
            .seen
            .iter()
            .map(|&index| facts.observations[index as usize]);
        let seen = seen
            .filter(
                |seen| matches!(&seen.seen, Seen::ZkState { version, .. } if *version == number),
            )
            .map(|seen| seen.answered)
            .next();
        let at = said.into_iter().chain(seen).min();
        let older = part.seen.iter().filter_map(|&index| {
            let answer = facts.observations[index as usize];
            let told = matches!(answer.seen, Seen::ZkState { version, .. } if version < number);
            (told && at.is_none_or(|at| answer.answered <= at)).then_some(answer.asked)
        });
        let version = Version {
            isr,
            at,
            not_before: said.or_else(|| older.max()),
        };
        all.push((number, version));
    }
    all
}

/// Whether all members of a set were down at one time before a time of leadership began.
fn all_down(facts: &Facts, members: &[NodeId], term: &Term) -> bool {
    let Some(begins) = facts.line_span(term.line) else {
        return false;
    };
    // The last exit of each before then, and its next start.
    let mut down: Vec<(Mark, Mark)> = Vec::new();
    for member in members {
        let of_member = |event: &&&history::ProcessEvent| {
            event.node == *member && event.service == Service::Broker
        };
        let exit = facts
            .processes
            .iter()
            .filter(of_member)
            .filter(|event| {
                matches!(event.change, ProcessChange::Exited(_)) && event.at <= begins.to
            })
            .map(|event| event.at)
            .max();
        let Some(exit) = exit else {
            return false;
        };
        let again = facts
            .processes
            .iter()
            .filter(of_member)
            .filter(|event| !matches!(event.change, ProcessChange::Exited(_)) && event.at >= exit)
            .map(|event| event.at)
            .min();
        down.push((exit, again.unwrap_or(Mark(u64::MAX))));
    }
    let last_exit = down.iter().map(|(exit, _)| *exit).max();
    let first_start = down.iter().map(|(_, start)| *start).min();
    last_exit <= first_start
}
