//! What a consumer was given stays. Jepsen's checker calls such a history valid; it is the worst
//! that Kafka can do, since others have acted on the record by then.

use history::Payload;

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
    let examined: usize = case
        .parts()
        .map(|part| {
            let payloads = part.reads.iter().map(|&r| case.facts.ops.read(r).payload);
            payloads.filter(|p| matches!(p, Payload::Value(_))).count()
        })
        .sum();
    Tally {
        examined: examined as u64,
        observed: groups.iter().map(|(_, count)| count).sum(),
        findings: groups.iter().map(|(group, _)| group.finding).collect(),
        blocked: case.no_final_log(),
        ..Tally::of("deliveries")
    }
}
