//! `judge`: index, judge each guarantee for each topic, fold, say it.

use std::collections::BTreeMap;

use history::rundir::VERDICT_FORMAT;
use plan::Expected;

use crate::accounting;
use crate::audit::{self, CutAudit};
use crate::availability;
use crate::contract::Contract;
use crate::facts::Facts;
use crate::faults;
use crate::figures;
use crate::findings::Findings;
use crate::gone::GoneTopic;
use crate::guarantees::{self, Case};
use crate::judgement::{
    Ended, Expectation, FindingId, Fold, Judgement, PhaseFact, Premise, PremiseState,
    RULES_VERSION, TimeSpan, TopicJudgement, Totals, TruncationFact, Verdict,
};
use crate::premises;
use crate::recording::Recording;
use crate::sentence;

/// Judges a recording.
pub fn judge(recording: &Recording) -> Judgement {
    let facts = Facts::of(recording);
    let (premises, failed) = premises::all(&facts);
    let mut findings = Findings::default();
    let mut topics = Vec::new();
    let mut truncations: Vec<TruncationFact> = Vec::new();
    let mut failovers = Vec::new();
    for (topic, parts) in facts.topics() {
        let contract = Contract::of(&facts, &topic, &parts);
        let gone = GoneTopic::of(&facts, &contract, &mut findings);
        let cuts: Vec<CutAudit> = audit::of(&facts, &contract, &gone);
        let case = Case {
            facts: &facts,
            contract: &contract,
            gone: &gone,
            cuts: &cuts,
        };
        let guarantees = guarantees::ALL
            .iter()
            .filter_map(|check| guarantees::judge(check, &case, &mut findings, &failed))
            .collect();
        failovers.extend(figures::failovers(&case));
        topics.push(TopicJudgement {
            topic: topic.to_string(),
            settings: contract.words(),
            contract: contract.clauses(),
            happened: contract.happened(&facts),
            guarantees,
            accounting: accounting::of(&facts, &contract, &gone),
        });
        truncations.extend(cuts.into_iter().map(|cut| cut.fact));
    }
    let (findings, names) = findings.named();
    rename(&mut topics, &mut failovers, &names);
    truncations.sort_by_key(|cut| (cut.at.map(|at| at.from), cut.partition.clone(), cut.node));
    failovers.sort_by_key(|f| (f.at.map(|at| at.from), f.partition.clone(), f.to_epoch));
    let fold = fold(recording, &topics, &premises);
    Judgement {
        format: VERDICT_FORMAT,
        rules_version: RULES_VERSION,
        run: recording.setting.run.to_string(),
        plan: recording.plan.name.clone(),
        about: recording.plan.about.clone(),
        seed: recording.setting.seed,
        kafka: recording.setting.kafka.clone(),
        fold,
        sentence: sentence::of(fold, &topics, &findings, &premises),
        ended: recording.ended.clone(),
        expected: recording
            .plan
            .expect
            .map(|wanted| expectation(wanted, fold)),
        totals: totals(&facts),
        limits: limits(&facts, &findings, &topics),
        premises,
        topics,
        findings,
        truncations,
        availability: availability::all(&facts),
        faults: faults::all(&facts),
        phases: phases(&facts),
        timeline: figures::timeline(&facts),
        failovers,
    }
}

fn rename(
    topics: &mut [TopicJudgement],
    failovers: &mut [crate::judgement::Failover],
    names: &BTreeMap<FindingId, FindingId>,
) {
    let rename = |ids: &mut Vec<FindingId>| {
        for id in ids.iter_mut() {
            *id = names[id];
        }
        ids.sort_unstable();
        ids.dedup();
    };
    for guarantee in topics.iter_mut().flat_map(|topic| &mut topic.guarantees) {
        match &mut guarantee.verdict {
            Verdict::Held { .. } => {}
            Verdict::Broken { findings, .. }
            | Verdict::Unproven { findings, .. }
            | Verdict::NotPromised { findings, .. } => rename(findings),
        }
    }
    for failover in failovers {
        rename(&mut failover.findings);
    }
}

/// Broken over unproven over held. A run that was interrupted, whose accounting does not add up, in
/// which a premise failed, or in which nothing held, is at least unproven.
fn fold(recording: &Recording, topics: &[TopicJudgement], premises: &[Premise]) -> Fold {
    let verdicts = || {
        topics
            .iter()
            .flat_map(|t| &t.guarantees)
            .map(|g| &g.verdict)
    };
    if verdicts().any(|verdict| matches!(verdict, Verdict::Broken { .. })) {
        return Fold::Broken;
    }
    let completed = recording.ended == Ended::Completed && recording.torn.is_none();
    let balanced = topics.iter().all(|t| t.accounting.imbalance.is_empty());
    let kept = premises
        .iter()
        .all(|premise| matches!(premise.state, PremiseState::Kept { .. }));
    let unproven = verdicts().any(|verdict| matches!(verdict, Verdict::Unproven { .. }));
    let held = verdicts().any(|verdict| matches!(verdict, Verdict::Held { .. }));
    if completed && balanced && kept && !unproven && held {
        Fold::Held
    } else {
        Fold::Unproven
    }
}

fn expectation(wanted: Expected, fold: Fold) -> Expectation {
    let wanted = match wanted {
        Expected::Held => Fold::Held,
        Expected::Broken => Fold::Broken,
        Expected::Unproven => Fold::Unproven,
    };
    Expectation {
        wanted,
        met: wanted == fold,
    }
}

fn totals(facts: &Facts) -> Totals {
    let ops = &facts.ops;
    let evidence = &facts.recording.evidence;
    let counts = || (0..facts.parts.len()).map(|id| ops.counts(id));
    let acknowledged: u64 = counts().map(|counts| counts.acked).sum();
    let failed: u64 = counts().map(|counts| counts.failed).sum();
    let logs = || facts.parts.iter().flat_map(|part| &part.images);
    Totals {
        brokers: facts.recording.setting.brokers.len() as u32,
        sends: ops.sent(),
        acknowledged,
        failed,
        unknown: ops.sent() - acknowledged - failed,
        deliveries: ops.delivered(),
        images: evidence.images.len() as u32,
        replica_logs: logs().count() as u32,
        replica_bytes: logs().map(|image| image.view.log.bytes).sum(),
        log_lines: evidence.lines.len() as u64,
        observations: facts.observations.len() as u64,
        faults: facts.faults.len() as u32,
        faults_proved: facts.faults.iter().filter(|f| f.proof().is_some()).count() as u32,
        length: facts.length,
    }
}

fn phases(facts: &Facts) -> Vec<PhaseFact> {
    let ends = facts.phases.iter().skip(1).map(|(_, at)| *at);
    let ends = ends.chain([facts.length]);
    facts
        .phases
        .iter()
        .zip(ends)
        .map(|((phase, from), to)| PhaseFact {
            phase: phase.to_string(),
            span: TimeSpan { from: *from, to },
        })
        .collect()
}

/// What could not be seen.
fn limits(
    facts: &Facts,
    findings: &[crate::judgement::Finding],
    topics: &[TopicJudgement],
) -> Vec<String> {
    let mut limits = Vec::new();
    for finding in findings {
        if let Some(nowhere) = finding.held_nowhere.filter(|nowhere| *nowhere > 0) {
            limits.push(format!(
                "{} of {} stand in no image; that they were there and are gone follows from \
                 acknowledgements, log ends and cuts.",
                crate::judgement::grouped(nowhere),
                finding.id
            ));
        }
    }
    let silent = facts
        .observations
        .iter()
        .filter(|observation| matches!(observation.seen, history::Seen::Silent { .. }));
    let silent = silent.count();
    if silent > 0 {
        limits.push(format!(
            "Brokers fell silent to probes {}; what they knew then is not known.",
            crate::gone::many(silent as u64, "time", "times")
        ));
    }
    for unreadable in &facts.recording.evidence.unreadable {
        limits.push(format!(
            "{} could not be read: {}.",
            unreadable.file, unreadable.why
        ));
    }
    for topic in topics {
        limits.extend(topic.accounting.imbalance.iter().cloned());
    }
    let unplaced = facts
        .recording
        .evidence
        .lines
        .iter()
        .filter(|line| line.span.is_none())
        .count();
    if unplaced > 0 {
        limits.push(format!("{unplaced} lines could not be placed in run time."));
    }
    if let Some(torn) = &facts.recording.torn {
        limits.push(format!("The evidence is not whole: {torn}."));
    }
    limits
}
