//! A record stands where its acknowledgement said. One that stands elsewhere is a loss masked by a
//! resend, or a wrong answer.

use super::{Case, Check, Tally};
use crate::findings::Findings;
use crate::gone::Kind;
use crate::judgement::Group;

/// The guarantee.
pub const CHECK: Check = Check {
    name: "acked-offset-wrong",
    sentence: "acknowledged records stand at their acknowledged offsets",
    group: Group::Loss,
    premises: &["history-whole", "values-unique", "final-logs"],
    look,
};

fn look(case: &Case, _: &mut Findings) -> Tally {
    let groups = case
        .gone
        .groups_with(|record| record.kind == Kind::AckedElsewhere);
    Tally {
        examined: case.parts().map(|part| part.acked_and_final).sum(),
        observed: groups.iter().map(|(_, count)| count).sum(),
        findings: groups.iter().map(|(group, _)| group.finding).collect(),
        blocked: case.no_final_log(),
        ..Tally::of("acknowledged records in the final log")
    }
}
