//! Acknowledged records stay: below the high watermark always, above it where acks=all promises
//! that there is no "above". What cannot be placed is counted apart.

use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::findings::Findings;
use crate::gone::Kind;
use crate::judgement::Group;

const PREMISES: &[&str] = &[
    "history-whole",
    "values-unique",
    "final-logs",
    "fates",
    "load",
    "schedule",
];

/// Below the high watermark.
pub const BELOW: Check = Check {
    name: "acked-lost-below-hw",
    sentence: "acknowledged records below the high watermark stay",
    group: Group::Loss,
    premises: PREMISES,
    look: |case, _| {
        let mut tally = count(case, Kind::AckedBelow, case.contract.below_hw());
        let above = |kind| matches!(kind, Kind::AckedAbove | Kind::AckedUndetermined);
        let elsewhere = case.gone.records.iter().filter(|r| above(r.kind)).count() as u64;
        tally.examined -= elsewhere.min(tally.examined);
        tally
    },
};

/// Proven above it.
pub const ABOVE: Check = Check {
    name: "acked-lost-above-hw",
    sentence: "acknowledged records above the high watermark stay",
    group: Group::Loss,
    premises: PREMISES,
    look: above,
};

/// On one side or the other.
pub const UNDETERMINED: Check = Check {
    name: "acked-lost-undetermined",
    sentence: "no acknowledged record is lost on an unknown side of the high watermark",
    group: Group::Loss,
    premises: PREMISES,
    look: |case, _| count(case, Kind::AckedUndetermined, case.contract.above_hw()),
};

fn above(case: &Case, _: &mut Findings) -> Tally {
    count(case, Kind::AckedAbove, case.contract.above_hw())
}

fn count(case: &Case, kind: Kind, promise: Promise) -> Tally {
    let groups = case.gone.groups_with(|record| record.kind == kind);
    Tally {
        promise,
        examined: case.acked(),
        observed: groups.iter().map(|(_, count)| count).sum(),
        findings: groups.iter().map(|(group, _)| group.finding).collect(),
        blocked: case.no_final_log(),
        ..Tally::of("acknowledged records")
    }
}
