//! The guarantees, in table order: one file each, each a function of the same case.
//!
//! A guarantee says what it examined and what it found; `verdict` turns that into a verdict, so
//! that none can pass without having looked.

mod acked_lost;
mod acked_offset_wrong;
mod acked_under_min_isr;
mod case;
mod committed_lost;
mod committed_past_election;
mod committed_prefix;
pub mod compaction;
mod dedup_state;
mod dirty_hw;
mod divergence;
mod duplicate_in_log;
mod group_skipped;
mod groups;
mod hw_regressed;
mod hw_stalled;
mod isr_member_lacks_data;
mod log_hole;
mod log_malformed;
mod log_matching;
mod misplaced;
mod offset_regressed;
mod order_broken;
mod phantom;
mod probes;
mod producer_state;
mod read_then_changed;
mod read_then_vanished;
mod real_time_order;
mod redelivered;
mod stuck;
mod truncation;
mod two_leaders;
mod txn_atomicity;
mod txn_index;
mod watermarks_disordered;

use crate::contract::Promise;
use crate::findings::Findings;
use crate::gone::unit_of;
use crate::judgement::{Class, Finding, FindingId, Group, Guarantee, Standing, Verdict};
use crate::premises::Failed;

pub use case::{Case, DAMAGE};

/// What a guarantee saw.
#[derive(Debug)]
pub struct Tally {
    /// Whether it is promised.
    pub promise: Promise,
    /// How much was examined.
    pub examined: u64,
    /// Of what.
    pub unit: String,
    /// How many records, cuts or the like are concerned.
    pub observed: u64,
    /// Findings, by provisional id.
    pub findings: Vec<FindingId>,
    /// Why nothing can be concluded from finding nothing.
    pub blocked: Option<String>,
    /// The topic has nothing that this is about (no transactions, no groups): it gets no row.
    pub absent: bool,
}

impl Tally {
    /// Promised without condition; nothing seen yet.
    pub fn of(unit: &str) -> Self {
        Self {
            promise: Promise::Yes("in any configuration".to_owned()),
            examined: 0,
            unit: unit.to_owned(),
            observed: 0,
            findings: Vec::new(),
            blocked: None,
            absent: false,
        }
    }

    /// Of a topic that has nothing which this is about.
    pub fn absent() -> Self {
        Self {
            absent: true,
            ..Self::of("nothing")
        }
    }

    /// Counts a finding.
    pub fn found(&mut self, findings: &mut Findings, finding: Finding) {
        self.observed += finding.count;
        self.findings.push(findings.add(finding));
    }
}

/// A guarantee.
pub struct Check {
    /// Its name.
    pub name: &'static str,
    /// What it says.
    pub sentence: &'static str,
    /// Its family.
    pub group: Group,
    /// Premises that its passing rests on.
    pub premises: &'static [&'static str],
    /// Looks.
    pub look: fn(&Case, &mut Findings) -> Tally,
}

/// Every guarantee, in table order.
pub const ALL: &[&Check] = &[
    &acked_lost::BELOW,
    &acked_lost::ABOVE,
    &acked_lost::UNDETERMINED,
    &committed_lost::CHECK,
    &acked_offset_wrong::CHECK,
    &read_then_vanished::CHECK,
    &read_then_changed::CHECK,
    &duplicate_in_log::CHECK,
    &order_broken::CHECK,
    &real_time_order::CHECK,
    &redelivered::CHECK,
    &committed_prefix::CHECK,
    &divergence::BELOW,
    &divergence::LASTING,
    &log_matching::CHECK,
    &two_leaders::CHECK,
    &log_malformed::CHECK,
    &log_hole::CHECK,
    &producer_state::CHECK,
    &truncation::AUDIT,
    &truncation::BELOW,
    &dirty_hw::CHECK,
    &committed_past_election::CHECK,
    &hw_regressed::CHECK,
    &acked_under_min_isr::CHECK,
    &watermarks_disordered::CHECK,
    &hw_stalled::CHECK,
    &isr_member_lacks_data::CHECK,
    &phantom::CHECK,
    &misplaced::CHECK,
    &txn_atomicity::CHECK,
    &group_skipped::CHECK,
    &offset_regressed::CHECK,
    &stuck::CHECK,
];

/// Judges one guarantee for one topic; nothing, where the topic has nothing that it is about.
pub fn judge(
    check: &Check,
    case: &Case,
    findings: &mut Findings,
    failed: &[Failed],
) -> Option<Guarantee> {
    let tally = (check.look)(case, findings);
    (!tally.absent).then(|| Guarantee {
        name: check.name.to_owned(),
        sentence: check.sentence.to_owned(),
        group: check.group,
        verdict: verdict(check, tally, findings, failed),
        premises: check
            .premises
            .iter()
            .map(|name| (*name).to_owned())
            .collect(),
    })
}

fn verdict(check: &Check, mut tally: Tally, findings: &Findings, failed: &[Failed]) -> Verdict {
    let nothing = format!("there were no {} to examine", tally.unit);
    tally.unit = unit_of(tally.examined, &tally.unit);
    let has = |standing| {
        tally
            .findings
            .iter()
            .any(|&id| findings.get(id).standing == standing)
    };
    if has(Standing::Broken) {
        return Verdict::Broken {
            findings: tally.findings,
            observed: tally.observed,
            examined: tally.examined,
            unit: tally.unit,
        };
    }
    if has(Standing::Undetermined) {
        return Verdict::Unproven {
            why: "what was found may be permitted; the evidence that would tell is missing".into(),
            findings: tally.findings,
        };
    }
    if let Some(why) = tally.blocked {
        return Verdict::Unproven {
            why,
            findings: tally.findings,
        };
    }
    let permitted = tally.findings.first().map(|&id| findings.get(id).class);
    let not_promised = match (tally.promise, permitted) {
        (Promise::No { why, .. }, _) => Some(why),
        (Promise::Yes(_), Some(class)) => Some(permitted_because(class).to_owned()),
        (Promise::Yes(_), None) => None,
    };
    if let Some(why) = not_promised {
        return Verdict::NotPromised {
            why,
            observed: tally.observed,
            examined: tally.examined,
            unit: tally.unit,
            findings: tally.findings,
        };
    }
    let unproven = |why: String| Verdict::Unproven {
        why,
        findings: Vec::new(),
    };
    if let Some(premise) = failed.iter().find(|f| check.premises.contains(&f.name)) {
        return unproven(format!("{}: {}", premise.name, premise.why));
    }
    if tally.examined == 0 {
        return unproven(nothing);
    }
    Verdict::Held {
        examined: tally.examined,
        unit: tally.unit,
    }
}

/// Why a finding of this class is permitted although the guarantee is promised otherwise.
fn permitted_because(class: Class) -> &'static str {
    match class {
        Class::UncleanElection => "an unclean election happened, which the settings allow",
        Class::DirtyHw => {
            "a returning follower takes the leader's high watermark before it cuts its log \
             (KAFKA-14704, 2.7.0 to 3.4.0)"
        }
        Class::AboveHw | Class::Undetermined => "acks=1 does not promise it across a new leader",
        Class::LossyLeader => "a replica that had lost data led",
        Class::LastStanding => {
            "the last in-sync replica lost data by a power cut or damage, and led all the same"
        }
        Class::AllDown => "all in-sync replicas were down together, and one that had lost data led",
        Class::StaleReadmission => {
            "a replica that had lost data was taken back into the in-sync set by a stale fetch"
        }
        Class::Damage => "files were damaged by a fault of ours",
        Class::ZookeeperRolledBack => "ZooKeeper forgot what it had confirmed",
        Class::Expired => "it was deleted on request or by retention",
        Class::Resend => "the client sent it again",
        Class::Unexplained
        | Class::KnownBadProtocol
        | Class::Compaction
        | Class::LoadRecovery
        | Class::Plain => "it is not promised",
    }
}
