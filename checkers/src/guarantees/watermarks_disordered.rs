//! A high watermark never lies beyond the log's end, and the last stable offset never beyond the
//! high watermark.
//!
//! One answer reads the two one after the other while they move, so answers are compared with later
//! ones only: what is the smaller is asked first. Followers are looked at like leaders.

use std::collections::BTreeMap;

use history::{NodeId, Seen};

use super::probes::{Answer, Breaks, changes_of, in_order, say};
use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::{Story, many};
use crate::judgement::Group;

/// The guarantee.
pub const CHECK: Check = Check {
    name: "watermarks-disordered",
    sentence: "last stable offset, high watermark and log end are in this order",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look,
};

/// One replica's answers, by what they told.
#[derive(Debug, Default)]
struct Told {
    ends: Vec<Answer>,
    watermarks: Vec<Answer>,
    stable: Vec<Answer>,
}

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally::of("answers with an earlier one to compare with");
    for part in case.parts() {
        for (node, told) in told(case, part) {
            let hw = "high watermark";
            let end = in_order(told.watermarks.clone(), told.ends);
            compare(
                case,
                part,
                node,
                (hw, "log end"),
                &end,
                &mut tally,
                findings,
            );
            let stable = in_order(told.stable, told.watermarks);
            let names = ("last stable offset", hw);
            compare(case, part, node, names, &stable, &mut tally, findings);
        }
    }
    tally
}

fn told(case: &Case, part: &PartFacts) -> BTreeMap<NodeId, Told> {
    let mut nodes: BTreeMap<NodeId, Option<(Breaks, Told)>> = BTreeMap::new();
    for &index in &part.seen {
        let seen = case.facts.observations[index as usize];
        let entry = nodes.entry(seen.node).or_insert_with(|| {
            let changes = changes_of(case.facts, part, seen.node)?;
            Some((Breaks::of(changes), Told::default()))
        });
        let Some((breaks, told)) = entry else {
            continue;
        };
        match seen.seen {
            Seen::LogEnd { leo, .. } => told.ends.extend(breaks.place(seen, index, leo)),
            Seen::Watermarks { hw, lso, .. } => {
                told.watermarks.extend(breaks.place(seen, index, hw));
                told.stable.extend(breaks.place(seen, index, lso));
            }
            Seen::LeaderHw { hw, .. } => told.watermarks.extend(breaks.place(seen, index, hw)),
            Seen::Belief { .. }
            | Seen::Controller { .. }
            | Seen::ZkState { .. }
            | Seen::Silent { .. } => {}
        }
    }
    nodes
        .into_iter()
        .filter_map(|(node, known)| Some((node, known?.1)))
        .collect()
}

fn compare(
    case: &Case,
    part: &PartFacts,
    node: NodeId,
    (lower, upper): (&str, &str),
    pairs: &[(Answer, Answer)],
    tally: &mut Tally,
    findings: &mut Findings,
) {
    tally.examined += pairs.len() as u64;
    let mut wrong = pairs.iter().filter(|(x, y)| x.value > y.value);
    let Some((x, y)) = wrong.next() else {
        return;
    };
    let count = 1 + wrong.count() as u64;
    let title = format!(
        "{}: the {lower} of {node} stood at {}, its {upper} later at {}",
        part.name, x.value, y.value
    );
    let mut finding = case.finding(CHECK.name, Some(part), title);
    let mut story = Story::default();
    let text = format!(
        "{node} gave {} as its {lower} at {}; asked after that, at {}, it gave {} as its {upper}. \
         In between it changed neither its role nor its process, and cut nothing.",
        x.value, x.answered, y.asked, y.value
    );
    say(&mut story, case.facts, text, &[x.index, y.index]);
    if count > 1 {
        let answers = many(count, "answer", "answers");
        story.say(case.facts, format!("So did {answers} in all."), &[]);
    }
    (finding.story, finding.evidence) = (story.sentences, story.evidence);
    finding.count = count;
    tally.found(findings, finding);
}
