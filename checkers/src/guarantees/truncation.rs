//! Cuts: each justified by what the new leader's log has instead, and none below the high
//! watermark.

use super::{Case, Check, Tally};
use crate::audit::CutAudit;
use crate::findings::Findings;
use crate::gone::{Story, cut_lines};
use crate::judgement::{Class, Finding, Group, Justified, Standing};

/// Only what differs from the new leader's log is cut.
pub const AUDIT: Check = Check {
    name: "truncation-audit",
    sentence: "a replica cuts only what its new leader's log does not have",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look: audit,
};

/// Nothing below the high watermark is cut.
pub const BELOW: Check = Check {
    name: "truncated-below-hw",
    sentence: "no replica cuts its log below its own high watermark, or what was committed",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look: below,
};

/// The denominator: a broker that cuts says so among its transition lines.
fn lines(case: &Case) -> u64 {
    case.parts()
        .map(|part| {
            let roles = &part.roles;
            (roles.terms.len() + roles.follows.len() + roles.cuts.len()) as u64
        })
        .sum()
}

fn audit(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        examined: lines(case),
        ..Tally::of("transition and truncation lines")
    };
    for cut in case.cuts {
        let Justified::No { why } = &cut.fact.justified else {
            continue;
        };
        let text = format!("The cut is not justified: {why}.");
        let finding = tell(case, cut, &AUDIT, "cut what its new leader's log has", text);
        tally.found(findings, finding);
    }
    tally
}

fn below(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        examined: lines(case),
        ..Tally::of("transition and truncation lines")
    };
    for cut in case.cuts {
        let Some(why) = &cut.below_hw else { continue };
        let text = format!("{why}.");
        let finding = tell(case, cut, &BELOW, "cut below the high watermark", text);
        tally.found(findings, finding);
    }
    tally
}

fn tell(case: &Case, audit: &CutAudit, check: &Check, what: &str, text: String) -> Finding {
    let part = &case.facts.parts[audit.part];
    let cut = &part.roles.cuts[audit.cut];
    let title = format!("{}: {} {what}, to {}", part.name, cut.node, cut.to);
    let mut finding = case.finding(check.name, Some(part), title);
    let mut story = Story::default();
    story.say(case.facts, text, &cut_lines(part, cut));
    finding.story = story.sentences;
    finding.evidence = story.evidence;
    finding.still_held = audit.fact.still_held.clone();
    let epoch = cut.follow.map(|follow| part.roles.follows[follow].epoch);
    let excuse = case.excuse(part, cut.to, |term| Some(term.epoch) == epoch);
    (finding.class, finding.standing) = if let Some(excuse) = excuse {
        excuse
    } else if cut.to_own_hw.is_some() || case.contract.known_bad_protocol.is_some() {
        (Class::KnownBadProtocol, Standing::Broken)
    } else {
        (Class::Unexplained, Standing::Broken)
    };
    finding
}
