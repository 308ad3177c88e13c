//! The contract of a plan, before anything is recorded: every fault it names is taken to happen,
//! and every one to change a leader. Printed before a run; no judgement rests on it.

use plan::{Action, Load, Plan, Rate, Storm, TopicSpec};

use super::timeline::Timeline;
use super::writers::Writers;
use super::{Contract, Group, known};
use history::Topic;

impl Contract {
    /// What a plan's topic would be promised.
    pub fn asked(plan: &Plan, topic: &Topic, spec: &TopicSpec) -> Self {
        let property = |key: &str| {
            let of_topic = spec.properties.get(key).map(String::as_str);
            of_topic.or_else(|| plan.cluster.properties.get(key).map(String::as_str))
        };
        let load = &spec.load;
        let faults = match &plan.storm {
            Storm::Steps(steps) => {
                let fault = |step: &plan::Step| matches!(step.action, Action::Fault { .. });
                steps.iter().any(fault)
            }
            Storm::Drawn(_) => true,
        };
        let flush = property("flush.messages").or_else(|| property("log.flush.interval.messages"));
        let min_isr = spec.min_insync_replicas.to_string();
        Self {
            topic: topic.clone(),
            parts: Vec::new(),
            writers: vec![Writers {
                clients: Vec::new(),
                acks: load.acks,
                idempotent: load.idempotent || load.transactional,
                retries: true,
                max_in_flight: load.max_in_flight,
                transactional: load.transactional,
            }],
            groups: readers(plan, topic, load),
            idempotent: load.idempotent || load.transactional,
            kafka: known::Version::of(&plan.cluster.kafka),
            min_isr: spec.min_insync_replicas,
            min_isr_over_time: Timeline::fixed(Some(&min_isr)),
            replicas: spec.assignment.iter().map(Vec::len).max().unwrap_or(0),
            unclean_enabled: property("unclean.leader.election.enable") == Some("true"),
            unclean: Timeline::fixed(property("unclean.leader.election.enable")),
            flush: Timeline::fixed(flush),
            known_bad_protocol: property("inter.broker.protocol.version")
                .filter(|version| known::protocol_loses(version).is_some())
                .map(str::to_owned),
            compacted: property("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            may_expire: property("retention.ms").is_some() || property("retention.bytes").is_some(),
            retention: Timeline::fixed(property("retention.ms")),
            retention_bytes: Timeline::fixed(property("retention.bytes")),
            forgotten_within_run: None,
            disturbed: faults,
            leader_changed: faults,
            causes: Default::default(),
        }
    }
}

/// The consumers that read along, and the groups that copy the topic; groups of a plan begin at the
/// log's start.
fn readers(plan: &Plan, topic: &Topic, load: &Load) -> Vec<Group> {
    let group = |load: &Load| match &load.group {
        None => Group::by_hand("its consumers"),
        Some(group) => Group {
            modes: vec![group.commit],
            read_committed: load.transactional,
            ..Group::by_hand(&format!("group {}", group.name))
        },
    };
    let copying = |load: &&Load| matches!(&load.rate, Rate::Copying(source) if source == topic);
    let loads = plan.topics.values().map(|spec| &spec.load);
    let mut readers: Vec<Group> = loads.filter(copying).map(group).collect();
    if load.consumers > 0 {
        // The group of a topic that is copied to reads the other one.
        readers.push(match load.rate {
            Rate::Copying(_) => Group::by_hand("its consumers"),
            Rate::PerSecond(_) | Rate::Max | Rate::OnDemand => group(load),
        });
    }
    readers
}

/// What a plan's topics would be promised, in words, before a run.
pub fn promises(plan: &Plan) -> String {
    let mut text = String::new();
    for (topic, spec) in &plan.topics {
        let contract = Contract::asked(plan, topic, spec);
        text.push_str(&format!("{topic} ({}):\n", contract.words()));
        for clause in contract.clauses() {
            let promised = if clause.promised {
                "promised"
            } else {
                "not promised"
            };
            text.push_str(&format!("  {}: {promised}, {}", clause.what, clause.why));
            if let Some(unless) = clause.unless {
                text.push_str(&format!("; unless {unless}"));
            }
            if let Some(change) = clause.would_change {
                text.push_str(&format!(" (what would: {change})"));
            }
            text.push('\n');
        }
    }
    text
}
