//! What was committed, every later leader has: no leader's log ends, when its epoch begins, before a
//! high watermark that a leader of an earlier epoch gave, or before a record that clients were told
//! of as committed before that epoch began.
//!
//! A record may be committed long after its own epoch, by another leader; so what clients were told
//! counts from when they were told, and only high watermarks count by epoch. An unclean election, or
//! a leader that had lost part of its log by our doing, is what permits it.

use history::{Epoch, Mark, Offset};

use super::probes::say;
use super::{Case, Check, Tally};
use crate::facts::{PartId, ProofSource, Term, acks_all, served_by_leader};
use crate::findings::Findings;
use crate::gone::Story;
use crate::judgement::{Class, Finding, Group, OffsetRange, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "committed-past-election",
    sentence: "a new leader holds all that was committed before it",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look,
};

/// Everything below an offset was committed before an election.
#[derive(Debug, Clone, Copy)]
struct Point {
    hw: Offset,
    source: ProofSource,
    /// Whose high watermark it was; absent where clients were told.
    epoch: Option<Epoch>,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("beginnings of leadership");
    for &id in &case.contract.parts {
        let part = &case.facts.parts[id];
        let told = told_before(case, id);
        let mut given = given(case, id).into_iter().peekable();
        let mut highest: Option<Point> = None;
        for (place, election) in part.elections.iter().enumerate() {
            let term = &part.roles.terms[election.term];
            let earlier = |point: &Point| point.epoch.is_some_and(|epoch| epoch < term.epoch);
            let mut raise = |point: Point| {
                if highest.is_none_or(|known| point.hw > known.hw) {
                    highest = Some(point);
                }
            };
            while let Some(point) = given.next_if(earlier) {
                raise(point);
            }
            told[place].into_iter().for_each(&mut raise);
            tally.examined += 1;
            let Some(point) = highest.filter(|point| point.hw > term.leo) else {
                continue;
            };
            let finding = tell(case, id, place, &point);
            tally.found(findings, finding);
            // Later leaders lack it for the same cause.
            let hw = term.leo;
            highest = Some(Point { hw, ..point });
        }
    }
    tally
}

/// The high watermarks that leaders gave, ascending by epoch.
fn given(case: &Case, id: PartId) -> Vec<Point> {
    let part = &case.facts.parts[id];
    let mut points: Vec<Point> = Vec::new();
    for point in &part.hw_points {
        let hw = match (point.source, point.only_image) {
            (ProofSource::AckAll(_) | ProofSource::Delivered(_), _) => continue,
            // A checkpoint speaks of what its own image holds.
            (_, Some(image)) => point.hw.min(part.images[image].view.log.leo()),
            (_, None) => point.hw,
        };
        points.push(Point {
            hw,
            source: point.source,
            epoch: Some(point.epoch),
        });
    }
    points.sort_by_key(|point| point.epoch);
    points
}

/// For each election the highest offset that clients had been told of as committed since the one
/// before, and before it began.
fn told_before(case: &Case, id: PartId) -> Vec<Option<Point>> {
    let (facts, part) = (case.facts, &case.facts.parts[id]);
    let mut best: Vec<Option<Point>> = vec![None; part.elections.len()];
    let mut begun: Vec<Mark> = part
        .elections
        .iter()
        .map(|election| facts.line_span(part.roles.terms[election.term].line))
        .map(|span| span.map_or(Mark(0), |span| span.from))
        .collect();
    // A line that cannot be placed, or an epoch begun late, leaves less time before it, never more.
    for place in (1..begun.len()).rev() {
        begun[place - 1] = begun[place - 1].min(begun[place]);
    }
    // What came after the last one concerns none.
    let last = begun.last().copied().unwrap_or(Mark(0));
    let first_after = |at: Mark| match at < last {
        true => begun.partition_point(|begun| *begun <= at),
        false => begun.len(),
    };
    for (place, fact) in facts.ops.sends_of(&part.sends) {
        let (Some(at), Some(offset)) = (fact.returned, fact.acked_at()) else {
            continue;
        };
        let hw = Offset(offset.0 + 1);
        if let Some(best) = best.get_mut(first_after(at))
            && best.is_none_or(|known| hw > known.hw)
            && acks_all(facts, fact.client)
        {
            let source = ProofSource::AckAll(part.sends[place]);
            let epoch = None;
            *best = Some(Point { hw, source, epoch });
        }
    }
    for (place, fact) in facts.ops.reads_of(&part.reads) {
        let hw = Offset(fact.offset.0 + 1);
        if let Some(best) = best.get_mut(first_after(fact.returned))
            && best.is_none_or(|known| hw > known.hw)
            && served_by_leader(facts, part, part.reads[place])
        {
            let source = ProofSource::Delivered(part.reads[place]);
            let epoch = None;
            *best = Some(Point { hw, source, epoch });
        }
    }
    best
}

fn tell(case: &Case, id: PartId, place: usize, point: &Point) -> Finding {
    let part = &case.facts.parts[id];
    let election = &part.elections[place];
    let term = &part.roles.terms[election.term];
    let title = format!(
        "{}: {} began {} at {}, and all below {} had been committed",
        part.name, term.node, term.epoch, term.leo, point.hw
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    finding.offsets = Some(OffsetRange {
        from: term.leo.0,
        to: point.hw.0,
    });
    finding.count = (point.hw.0 - term.leo.0) as u64;
    let mut story = Story::default();
    committed(case, point, &mut story);
    let text = format!(
        "{} began to lead {} with a log that ended at {}. {}: {}.",
        term.node,
        term.epoch,
        term.leo,
        match election.clean {
            Some(true) => "It was elected cleanly",
            Some(false) => "It was elected uncleanly",
            None => "Whether it was elected cleanly is not known",
        },
        election.clean_because
    );
    story.say(case.facts, text, &[term.line]);
    (finding.class, finding.standing) = cause(case, id, place, point);
    if finding.class == Class::LossyLeader {
        let text = format!("{} had lost part of its log by a fault of ours.", term.node);
        story.say(case.facts, text, &[]);
    }
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding
}

fn committed(case: &Case, point: &Point, story: &mut Story) {
    let facts = case.facts;
    let all = match point.epoch {
        Some(epoch) => format!("All below {} was committed in {epoch}:", point.hw),
        None => format!("All below {} was committed before:", point.hw),
    };
    match point.source {
        ProofSource::AckAll(send) => {
            let send = facts.ops.send(send);
            let text = format!("{all} {} was acknowledged under acks=all.", send.op);
            story.say(facts, text, &[]);
        }
        ProofSource::Delivered(read) => {
            let read = facts.ops.read(read);
            let text = format!("{all} a leader gave {} to {}.", read.offset, read.client);
            story.say(facts, text, &[]);
        }
        ProofSource::LeaderHw(index) => {
            let text = format!("{all} its leader answered so.");
            say(story, facts, text, &[index]);
        }
        ProofSource::Line(line) => {
            story.say(facts, format!("{all} its leader wrote so."), &[line]);
        }
        ProofSource::Checkpoint(image) => {
            let file = &facts.image(image).file;
            let text = format!("{all} its leader's checkpoint says so ({file}).");
            story.say(facts, text, &[]);
        }
    }
}

fn cause(case: &Case, id: PartId, place: usize, point: &Point) -> (Class, Standing) {
    let part = &case.facts.parts[id];
    let election = &part.elections[place];
    let term = &part.roles.terms[election.term];
    let unclean = case.contract.unclean_enabled;
    if unclean && election.clean == Some(false) {
        (Class::UncleanElection, Standing::NotPromised)
    } else if lossy(case, id, term, point) {
        (Class::LossyLeader, Standing::NotPromised)
    } else if case.contract.known_bad_protocol.is_some() {
        (Class::KnownBadProtocol, Standing::Broken)
    } else if unclean && election.clean.is_none() {
        (Class::Undetermined, Standing::Undetermined)
    } else {
        (Class::Unexplained, Standing::Broken)
    }
}

/// Whether the new leader had lost some of it by a power cut or damage of ours.
fn lossy(case: &Case, id: PartId, term: &Term, point: &Point) -> bool {
    let part = &case.facts.parts[id];
    let began = case.facts.line_span(term.line);
    case.facts.harms.iter().any(|harm| {
        let earlier = began.is_none_or(|began| harm.at <= began.to);
        let lost = harm.harm.replica();
        let hit = lost.is_some_and(|(node, from)| node == term.node && from < point.hw);
        harm.partition == part.name && earlier && hit
    })
}
