//! What the recorded settings and the recorded faults promise, per topic (docs/guarantees.md,
//! "contract"). Never what a plan asked for, and never what a flag says.

use std::collections::BTreeSet;
use std::time::Duration;

use history::Topic;
use plan::{Action, Plan, Storm, TopicSpec};

use crate::facts::{Facts, Fate, PartFacts, PartId, SendFact};
use crate::judgement::Clause;

/// Whether something is promised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Promise {
    /// It is, because.
    Yes(String),
    /// It is not, because; and what would make it so.
    No {
        /// Why not.
        why: String,
        /// What would change it.
        change: Option<String>,
    },
}

impl Promise {
    fn no(why: &str, change: &str) -> Self {
        Promise::No {
            why: why.to_owned(),
            change: Some(change.to_owned()),
        }
    }

    /// As a line of the contract.
    fn clause(&self, what: &str) -> Clause {
        let (promised, why, would_change) = match self {
            Promise::Yes(why) => (true, why.clone(), None),
            Promise::No { why, change } => (false, why.clone(), change.clone()),
        };
        Clause {
            what: what.to_owned(),
            promised,
            why,
            would_change,
        }
    }
}

/// The contract of one topic.
#[derive(Debug)]
pub struct Contract {
    /// Which topic.
    pub topic: Topic,
    /// Its partitions.
    pub parts: Vec<PartId>,
    /// `acks` of its producers.
    pub acks: BTreeSet<String>,
    /// All its producers are idempotent, and there is one.
    pub idempotent: bool,
    /// Some producer may send again by itself.
    pub retries: bool,
    /// Largest number of requests in flight of its producers.
    pub max_in_flight: u32,
    /// `min.insync.replicas`.
    pub min_isr: u32,
    /// Largest number of replicas.
    pub replicas: usize,
    /// `unclean.leader.election.enable`, of the topic.
    pub unclean_enabled: bool,
    /// A protocol version below 2.0: truncation that is known to lose or to diverge.
    pub known_bad_protocol: Option<String>,
    /// `cleanup.policy` names compaction.
    pub compacted: bool,
    /// Retention may have taken records within the run.
    pub may_expire: bool,
    /// Some fault was begun, a leader changed, or an answer came so late that it may be that of a
    /// second request.
    pub disturbed: bool,
    /// Some partition changed its leader.
    pub leader_changed: bool,
}

impl Contract {
    /// Reads the contract of a topic off what was recorded.
    pub fn of(facts: &Facts, topic: &Topic, parts: &[PartId]) -> Self {
        let recorded = &facts.recording.setting;
        let producers: Vec<_> = recorded
            .producers
            .values()
            .filter(|producer| producer.topic == *topic)
            .collect();
        let setting = recorded.topics.get(topic);
        let config = |key: &str| {
            setting
                .and_then(|setting| setting.config.get(key))
                .map(String::as_str)
        };
        let run_ms = (facts.length.0 / 1_000_000) as i64;
        let number = |key: &str| config(key).and_then(|value| value.parse::<i64>().ok());
        Self {
            topic: topic.clone(),
            parts: parts.to_vec(),
            acks: producers
                .iter()
                .map(|producer| producer.acks.clone())
                .collect(),
            idempotent: !producers.is_empty() && producers.iter().all(|p| p.idempotent),
            retries: producers.iter().any(|producer| producer.retries),
            max_in_flight: producers.iter().map(|p| p.max_in_flight).max().unwrap_or(0),
            min_isr: setting.map_or(1, |setting| setting.min_insync_replicas()),
            replicas: setting
                .and_then(|setting| setting.assignment.values().map(Vec::len).max())
                .unwrap_or(0),
            unclean_enabled: config("unclean.leader.election.enable") == Some("true")
                || facts.broker_setting("unclean.leader.election.enable") == Some("true"),
            known_bad_protocol: facts
                .broker_setting("inter.broker.protocol.version")
                .filter(|version| known_bad(version))
                .map(str::to_owned),
            compacted: config("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            may_expire: number("retention.bytes").is_some_and(|bytes| bytes >= 0)
                || number("retention.ms").is_some_and(|ms| (0..=run_ms).contains(&ms)),
            disturbed: !facts.faults.is_empty()
                || parts.iter().any(|&id| disturbed(facts, &facts.parts[id])),
            leader_changed: parts.iter().any(|&id| facts.parts[id].changed_leader()),
        }
    }

    /// What a plan would be promised, before anything is recorded: every fault it names is taken
    /// to happen, and every one to change a leader.
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
        Self {
            topic: topic.clone(),
            parts: Vec::new(),
            acks: std::iter::once(load.acks.to_string()).collect(),
            idempotent: load.idempotent,
            retries: true,
            max_in_flight: load.max_in_flight,
            min_isr: spec.min_insync_replicas,
            replicas: spec.assignment.iter().map(Vec::len).max().unwrap_or(0),
            unclean_enabled: property("unclean.leader.election.enable") == Some("true"),
            known_bad_protocol: property("inter.broker.protocol.version")
                .filter(|version| known_bad(version))
                .map(str::to_owned),
            compacted: property("cleanup.policy").is_some_and(|policy| policy.contains("compact")),
            may_expire: property("retention.ms").is_some() || property("retention.bytes").is_some(),
            disturbed: faults,
            leader_changed: faults,
        }
    }

    /// `acks=all, idempotent, min.isr 2`.
    pub fn words(&self) -> String {
        let acks = self.acks.iter().cloned().collect::<Vec<_>>().join(" and ");
        let mut words = vec![if acks.is_empty() {
            "no producers".to_owned()
        } else {
            format!("acks={}", acks.replace("-1", "all"))
        }];
        if self.idempotent {
            words.push("idempotent".to_owned());
        }
        if self.acks_all() {
            words.push(format!("min.isr {}", self.min_isr));
        }
        if self.unclean_enabled {
            words.push("unclean elections".to_owned());
        }
        if self.compacted {
            words.push("compacted".to_owned());
        }
        if let Some(version) = &self.known_bad_protocol {
            words.push(format!("protocol {version}"));
        }
        words.join(", ")
    }

    /// Every producer waits for all in-sync replicas.
    pub fn acks_all(&self) -> bool {
        !self.acks.is_empty() && self.acks.iter().all(|acks| acks == "all" || acks == "-1")
    }

    /// Acknowledged records above the HW stay.
    pub fn above_hw(&self) -> Promise {
        if self.acks_all() {
            return Promise::Yes(
                "acks=all acknowledges a record only once it is below the high watermark".into(),
            );
        }
        if !self.leader_changed {
            return Promise::Yes(
                "acks=1 may lose records when the leader changes, and none changed".into(),
            );
        }
        Promise::no(
            "acks=1 acknowledges a record before other replicas hold it",
            "acks=all",
        )
    }

    /// No record twice.
    pub fn no_duplicates(&self) -> Promise {
        if self.idempotent {
            return Promise::Yes("an idempotent producer's copies are recognised".into());
        }
        if !self.retries {
            return Promise::Yes("nothing is sent again".into());
        }
        if !self.disturbed {
            return Promise::Yes(
                "without a fault or a late answer there is no reason to send again".into(),
            );
        }
        Promise::no(
            "without idempotence a retry after a fault may append a record twice",
            "enable.idempotence=true",
        )
    }

    /// Sending order stays.
    pub fn order(&self) -> Promise {
        if self.idempotent {
            return Promise::Yes("an idempotent producer keeps its order".into());
        }
        if self.max_in_flight <= 1 {
            return Promise::Yes("one request in flight cannot be overtaken".into());
        }
        if !self.retries && !self.acks.contains("0") {
            return Promise::Yes("nothing is sent again, so nothing is overtaken".into());
        }
        Promise::no(
            "a retry may be overtaken by a later request in flight",
            "enable.idempotence=true, or one request in flight",
        )
    }

    /// Records below the HW stay.
    pub fn below_hw(&self) -> Promise {
        Promise::Yes(match (self.unclean_enabled, self.replicas) {
            (true, _) => "unless an unclean election happens, which these settings allow".into(),
            (false, 1) => "one replica keeps what its disk keeps".into(),
            (false, _) => "below the high watermark every in-sync replica holds a record".into(),
        })
    }

    /// The contract in words.
    pub fn clauses(&self) -> Vec<Clause> {
        vec![
            self.below_hw()
                .clause("acknowledged records below the high watermark stay"),
            self.above_hw()
                .clause("acknowledged records above the high watermark stay"),
            self.no_duplicates()
                .clause("no record stands twice in the log"),
            self.order()
                .clause("records of one producer stay in sending order"),
            Promise::Yes("replicas copy their leader's log byte for byte".into())
                .clause("replicas agree"),
            Promise::Yes("consumers are given only what is below the high watermark".into())
                .clause("what a consumer saw stays"),
        ]
    }
}

/// An answer within this time is that of the first request: to send again takes an error, which a
/// leader that stays does not give, or a time-out, which is longer.
const QUICK: Duration = Duration::from_secs(1);

/// Whether a producer had a reason to send again that no fault of ours gave it.
fn disturbed(facts: &Facts, part: &PartFacts) -> bool {
    let sends = part.sends.iter().map(|&send| facts.ops.send(send));
    let late = |send: &SendFact| match send.returned {
        Some(returned) => returned.since(send.invoked) > QUICK,
        None => true,
    };
    part.changed_leader()
        || sends
            .filter(|send| send.fate != Fate::Failed)
            .any(|send| send.fate == Fate::Unknown || late(&send))
}

/// Versions below 2.0 cut a follower's log without asking for an epoch's end (up to 0.11.0-IV1,
/// KIP-101) or without its epoch in the answer (KAFKA-6361).
fn known_bad(version: &str) -> bool {
    ["0.", "1."].iter().any(|old| version.starts_with(old))
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
            if let Some(change) = clause.would_change {
                text.push_str(&format!(" (what would: {change})"));
            }
            text.push('\n');
        }
        if let Some(version) = contract.known_bad_protocol {
            text.push_str(&format!(
                "  protocol {version} is known to break these promises: a breach stays a breach\n"
            ));
        }
    }
    text
}
