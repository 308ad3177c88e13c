//! What a consumer was given stays. Jepsen's checker calls such a history valid; it is the worst
//! that Kafka can do, since others have acted on the record by then.

use super::{Case, Check, Tally};
use crate::findings::Findings;
use crate::judgement::Group;

/// The guarantee.
pub const CHECK: Check = Check {
    name: "read-then-vanished",
    sentence: "what a consumer saw stays",
    group: Group::Loss,
    premises: &["history-whole", "final-logs", "load"],
    look,
};

fn look(case: &Case, _: &mut Findings) -> Tally {
    let groups = case.gone.groups_with(|record| record.read.is_some());
    Tally {
        examined: case.parts().map(|part| part.values_given).sum(),
        observed: groups.iter().map(|(_, count)| count).sum(),
        findings: groups.iter().map(|(group, _)| group.finding).collect(),
        blocked: case.no_final_log(),
        ..Tally::of("deliveries")
    }
}
