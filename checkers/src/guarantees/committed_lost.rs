//! What was ever committed stays where it was, whatever its sender was told.

use super::{Case, Check, Tally};
use crate::findings::Findings;
use crate::judgement::Group;

/// The guarantee.
pub const CHECK: Check = Check {
    name: "committed-lost",
    sentence: "committed records stay where they are",
    group: Group::Loss,
    premises: &["history-whole", "final-logs", "load", "schedule"],
    look,
};

fn look(case: &Case, _: &mut Findings) -> Tally {
    let groups = case.gone.groups_with(|record| record.proof.is_some());
    let lost: u64 = groups.iter().map(|(_, count)| count).sum();
    let kept: u64 = case.parts().map(committed_in_final).sum();
    Tally {
        examined: kept + lost,
        observed: lost,
        findings: groups.iter().map(|(group, _)| group.finding).collect(),
        blocked: case.no_final_log(),
        ..Tally::of("committed records")
    }
}

/// Data records of the final log below the highest watermark that a leader gave.
fn committed_in_final(part: &crate::facts::PartFacts) -> u64 {
    let Some(log) = part.final_log() else {
        return 0;
    };
    let Some(hw) = part
        .hw_points
        .iter()
        .filter(|point| point.only_image.is_none())
        .map(|point| point.hw)
        .max()
    else {
        return 0;
    };
    log.log
        .batches
        .iter()
        .filter(|batch| !batch.is_control() && batch.base < hw)
        .map(|batch| {
            let records = log.log.records_of(batch);
            records.iter().filter(|record| record.offset < hw).count() as u64
        })
        .sum()
}
