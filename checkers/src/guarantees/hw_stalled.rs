//! Once the time for settling is over, the high watermark has reached what every in-sync replica
//! holds.
//!
//! What a replica held in time is taken from answers that came before the drain; a replica that had
//! not said it by then convicts nobody.

use history::{Mark, NodeId, Offset, Phase, Seen};

use super::probes::say;
use super::{Case, Check, Tally};
use crate::facts::PartFacts;
use crate::findings::Findings;
use crate::gone::Story;
use crate::judgement::{Group, OffsetRange};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "hw-stalled",
    sentence: "the high watermark reaches what every in-sync replica holds",
    group: Group::Watermarks,
    premises: &["history-whole"],
    look,
};

/// An answer: position in `observations`, and what it said.
type Said = (u32, Offset);

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        blocked: case.never_healed(),
        ..Tally::of("partitions after settling")
    };
    let settled = case.facts.phase_start(Phase::Drain);
    let (None, Some(settled)) = (&tally.blocked, settled) else {
        return tally;
    };
    let since = case.facts.phase_start(Phase::Settle).unwrap_or(settled);
    for part in case.parts() {
        let Some((leader, hw)) = last_watermark(case, part, since) else {
            continue;
        };
        // Before the time was over it may have been on its way; not if it had arrived.
        let late = case.facts.observations[hw.0 as usize].asked >= settled;
        let arrived = part.final_log().is_some_and(|log| hw.1 >= log.log.leo());
        tally.examined += u64::from(late || arrived);
        if !late {
            continue;
        }
        let set = super::stuck::last_isr(case, part).unwrap_or_default();
        if !set.contains(&leader) {
            continue;
        }
        let held: Option<Vec<Said>> = set
            .iter()
            .map(|&node| held_in_time(case, part, node, settled))
            .collect();
        let Some((_, least)) = held
            .as_ref()
            .and_then(|held| held.iter().min_by_key(|(_, end)| *end))
            .filter(|(_, least)| hw.1 < *least)
        else {
            continue;
        };
        let title = format!(
            "{}: the high watermark of {leader} stood still at {}",
            part.name, hw.1
        );
        let mut finding = case.finding(CHECK.name, Some(part), title);
        finding.offsets = Some(OffsetRange {
            from: hw.1.0,
            to: least.0,
        });
        let mut story = Story::default();
        let text = format!(
            "When the time for settling was over, at {settled}, every member of the in-sync set {} \
             had said that its log ends at {least} or beyond.",
            crate::facts::nodes(&set)
        );
        let ends: Vec<u32> = held.iter().flatten().map(|(index, _)| *index).collect();
        say(&mut story, case.facts, text, &ends);
        let text = format!(
            "Asked after that, {leader} gave {} as its high watermark.",
            hw.1
        );
        say(&mut story, case.facts, text, &[hw.0]);
        (finding.story, finding.evidence) = (story.sentences, story.evidence);
        tally.found(findings, finding);
    }
    tally
}

/// The last leader's last high watermark since a moment.
fn last_watermark(case: &Case, part: &PartFacts, since: Mark) -> Option<(NodeId, Said)> {
    let leader = part.fin.as_ref().ok()?.leader;
    part.seen.iter().rev().find_map(|&index| {
        let seen = case.facts.observations[index as usize];
        let hw = match seen.seen {
            Seen::LeaderHw { hw, .. } | Seen::Watermarks { hw, .. } => hw,
            _ => return None,
        };
        let late = seen.node == leader && seen.asked >= since;
        late.then_some((leader, (index, hw)))
    })
}

/// The last log end that a replica had given before a moment.
fn held_in_time(case: &Case, part: &PartFacts, node: NodeId, until: Mark) -> Option<Said> {
    part.seen.iter().rev().find_map(|&index| {
        let seen = case.facts.observations[index as usize];
        match seen.seen {
            Seen::LogEnd { leo, .. } if seen.node == node && seen.answered <= until => {
                Some((index, leo))
            }
            _ => None,
        }
    })
}
