//! A follower's high watermark does not go back by its own cut. Known not to hold from 2.7.0 to
//! 3.4.0 (KAFKA-14704), so it is counted and not promised; what a consumer read in that window
//! shows as read-then-vanished with this cause.

use super::{Case, Check, Tally};
use crate::contract::Promise;
use crate::findings::Findings;
use crate::gone::{Story, cut_lines};
use crate::judgement::{Class, Group, Standing};

/// The guarantee.
pub const CHECK: Check = Check {
    name: "dirty-hw",
    sentence: "a returning follower's high watermark never covers what it is about to cut",
    group: Group::Watermarks,
    premises: &["lines-read"],
    look,
};

fn look(case: &Case, findings: &mut Findings) -> Tally {
    let mut tally = Tally {
        promise: Promise::No {
            why: "3.0.0 followers take the leader's high watermark before they cut their logs \
                  (KAFKA-14704, 2.7.0 to 3.4.0)"
                .to_owned(),
            change: Some("Kafka 3.5".to_owned()),
        },
        ..Tally::of("cuts")
    };
    tally.examined = case.cuts.len() as u64;
    for audit in case.cuts.iter().filter(|audit| audit.below_hw.is_none()) {
        let part = &case.facts.parts[audit.part];
        let cut = &part.roles.cuts[audit.cut];
        let backs = part.roles.hw_back.iter();
        for back in backs.filter(|b| b.cut == Some(audit.cut) && b.from > cut.to) {
            let title = format!(
                "{}: the high watermark of {} stood at {} over a log that it then cut to {}",
                part.name, cut.node, back.from, cut.to
            );
            let mut finding = case.finding(CHECK.name, Some(part), title);
            let mut story = Story::default();
            let text = format!(
                "{} followed a new leader and took its high watermark {} before it cut its own \
                 log to {}.",
                cut.node, back.from, cut.to
            );
            let mut lines = cut_lines(part, cut);
            lines.push(back.line);
            story.say(case.facts, text, &lines);
            finding.story = story.sentences;
            finding.evidence = story.evidence;
            finding.class = Class::DirtyHw;
            finding.standing = Standing::NotPromised;
            finding.would_keep = Some("Kafka 3.5 or later".to_owned());
            tally.found(findings, finding);
        }
    }
    tally
}
