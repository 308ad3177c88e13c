//! What the recorded settings, versions and events promise, per topic and producer
//! (docs/guarantees.md, "contract"). Never what a plan asked for, and never what a flag says.

mod asked;
mod happened;
pub mod known;
mod promises;
mod readers;
mod timeline;
mod writers;

use std::collections::BTreeMap;
use std::time::Duration;

use history::{Mark, Offset, Topic};

pub use asked::promises;
pub use readers::Group;
pub use timeline::{Force, Timeline};
pub use writers::Writers;

use crate::causes::PartCauses;
use crate::facts::{Facts, Fate, PartFacts, PartId, SendFact};
use crate::judgement::{Clause, TimeSpan};
use known::Version;

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
            by: Vec::new(),
            promised,
            why,
            unless: None,
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
    /// Its producers, by settings.
    pub writers: Vec<Writers>,
    /// Its consumers, by group.
    pub groups: Vec<Group>,
    /// All its producers are idempotent, and there is one.
    pub idempotent: bool,
    /// The version of Kafka under test.
    pub kafka: Option<Version>,
    /// `min.insync.replicas` at first.
    pub min_isr: u32,
    /// The same over time.
    pub min_isr_over_time: Timeline,
    /// Largest number of replicas.
    pub replicas: usize,
    /// `unclean.leader.election.enable` of the topic, at any time.
    pub unclean_enabled: bool,
    /// The same over time.
    pub unclean: Timeline,
    /// `flush.messages`.
    pub flush: Timeline,
    /// A protocol version below 2.0: truncation that is known to lose or to diverge.
    pub known_bad_protocol: Option<String>,
    /// `cleanup.policy` names compaction, at any time.
    pub compacted: bool,
    /// Retention may have taken records within the run.
    pub may_expire: bool,
    /// `retention.ms`.
    pub retention: Timeline,
    /// `retention.bytes`.
    pub retention_bytes: Timeline,
    /// Brokers forget a producer after so many milliseconds of silence, where the run was longer.
    pub forgotten_within_run: Option<u64>,
    /// Some fault was begun, a leader changed, or an answer came so late that it may be that of a
    /// second request.
    pub disturbed: bool,
    /// Some partition changed its leader.
    pub leader_changed: bool,
    /// What of the contract's conditions came about, by partition.
    pub causes: BTreeMap<PartId, PartCauses>,
}

impl Contract {
    /// Reads the contract of a topic off what was recorded.
    pub fn of(facts: &Facts, topic: &Topic, parts: &[PartId]) -> Self {
        let recorded = &facts.recording.setting;
        let kafka = Version::of(&recorded.kafka);
        let setting = recorded.topics.get(topic);
        let over_time = |key| Timeline::of(facts, topic, key);
        let min_isr = over_time("min.insync.replicas");
        let writers = Writers::of(facts, topic);
        let (retention, bytes) = (over_time("retention.ms"), over_time("retention.bytes"));
        let (unclean, flush) = (
            over_time("unclean.leader.election.enable"),
            over_time("flush.messages"),
        );
        let unclean_enabled = unclean.ever().any(is_true);
        let run_ms = (facts.length.0 / 1_000_000) as i64;
        let number = |value: Option<&str>| value.and_then(|value| value.parse::<i64>().ok());
        let mut contract = Self {
            topic: topic.clone(),
            parts: parts.to_vec(),
            groups: groups(facts, topic, parts),
            idempotent: !writers.is_empty() && writers.iter().all(|writers| writers.idempotent),
            writers,
            kafka,
            min_isr: members(min_isr.first()),
            min_isr_over_time: min_isr,
            replicas: setting
                .and_then(|setting| setting.assignment.values().map(Vec::len).max())
                .unwrap_or(0),
            unclean_enabled,
            unclean,
            flush,
            known_bad_protocol: facts
                .broker_setting("inter.broker.protocol.version")
                .filter(|version| known::protocol_loses(version).is_some())
                .map(str::to_owned),
            compacted: over_time("cleanup.policy")
                .ever()
                .any(|policy| policy.is_some_and(|policy| policy.contains("compact"))),
            may_expire: bytes
                .ever()
                .any(|value| number(value).is_some_and(|n| n >= 0))
                || retention
                    .ever()
                    .any(|value| number(value).is_some_and(|ms| (0..=run_ms).contains(&ms))),
            retention,
            retention_bytes: bytes,
            forgotten_within_run: facts
                .broker_setting(known::forgets_producers_by(kafka))
                .and_then(|value| value.parse::<u64>().ok())
                .filter(|ms| i64::try_from(*ms).is_ok_and(|ms| ms <= run_ms)),
            disturbed: !facts.faults.is_empty()
                || parts.iter().any(|&id| disturbed(facts, &facts.parts[id])),
            leader_changed: parts.iter().any(|&id| facts.parts[id].changed_leader()),
            causes: BTreeMap::new(),
        };
        contract.causes = parts
            .iter()
            .map(|&id| (id, PartCauses::of(facts, &contract, id)))
            .collect();
        contract
    }

    /// `acks=all, idempotent, min.isr 2`; producers that differ stand by their names.
    pub fn words(&self) -> String {
        let mut words: Vec<String> = match self.writers.as_slice() {
            [] => vec!["no producers".to_owned()],
            [only] => vec![only.words()],
            several => several
                .iter()
                .map(|writers| format!("{} ({})", writers.words(), writers.names()))
                .collect(),
        };
        if self.writers.iter().any(|w| w.acks == plan::Acks::All) {
            words.push(format!("min.isr {}", self.min_isr));
        }
        if self.unclean_enabled {
            words.push("unclean elections".to_owned());
        }
        if self.flushed_throughout() {
            words.push("every record flushed".to_owned());
        }
        if self.compacted {
            words.push("compacted".to_owned());
        }
        if let Some(version) = &self.known_bad_protocol {
            words.push(format!("protocol {version}"));
        }
        words.join(", ")
    }

    /// Whether an unclean election in this span was allowed by what was in force.
    pub fn allows_unclean(&self, span: TimeSpan) -> Force {
        self.unclean.was(span, is_true)
    }

    /// The smallest `min.insync.replicas` that may have been in force in this span.
    pub fn min_isr_within(&self, span: TimeSpan) -> u32 {
        let values = self.min_isr_over_time.within(span);
        values.map(members).min().unwrap_or(1)
    }

    /// Whether every record was flushed before it was acknowledged, from the start until then.
    pub fn flushed_until(&self, until: Mark) -> bool {
        let span = TimeSpan {
            from: Mark(0),
            to: until,
        };
        self.flush.was(span, |value| value == Some("1")) == Force::Yes
    }

    fn flushed_throughout(&self) -> bool {
        self.flushed_until(Mark(u64::MAX))
    }

    /// Whether DeleteRecords was acknowledged.
    fn deleted(&self) -> bool {
        let mut causes = self.causes.values();
        causes.any(|causes| causes.deleted.is_some())
    }

    /// Whether DeleteRecords removed an offset.
    pub fn deleted_below(&self, id: PartId, offset: Offset) -> bool {
        let deleted = self.causes.get(&id).and_then(|causes| causes.deleted);
        deleted.is_some_and(|(before, _)| offset < before)
    }

    /// Whether retention may have taken a record of which this is the time of sending, by what was in
    /// force at some moment until the end; of one that nobody sent it is not known how old it is.
    pub fn may_have_aged(&self, sent: Option<Mark>, end: Mark) -> bool {
        let number = |value: Option<&str>| value.and_then(|value| value.parse::<i64>().ok());
        let since = TimeSpan {
            from: sent.unwrap_or(Mark(0)),
            to: end,
        };
        let mut by_size = self.retention_bytes.within(since).filter_map(number);
        let aged = |(span, value): (TimeSpan, Option<&str>)| {
            let limit = number(value).and_then(|ms| u64::try_from(ms).ok());
            limit.is_some_and(|limit| {
                let last = span.to.min(end);
                sent.is_none_or(|sent| last.since(sent).as_millis() >= u128::from(limit))
            })
        };
        by_size.any(|bytes| bytes >= 0) || self.retention.spans().any(aged)
    }
}

/// Groups, and those of whom no setting says more than that they read.
fn groups(facts: &Facts, topic: &Topic, parts: &[PartId]) -> Vec<Group> {
    let mut groups = Group::of(facts, topic, parts);
    let consumers = &facts.recording.setting.consumers;
    let mut reads = parts.iter().flat_map(|&part| &facts.parts[part].reads);
    if reads.any(|&read| !consumers.contains_key(&facts.ops.read(read).client)) {
        groups.push(Group::by_hand("other consumers"));
    }
    groups
}

/// `min.insync.replicas`; Kafka's own default is 1.
fn members(value: Option<&str>) -> u32 {
    value.and_then(|value| value.parse().ok()).unwrap_or(1)
}

fn is_true(value: Option<&str>) -> bool {
    value == Some("true")
}

/// An answer within this time is that of the first request: to send again takes an error, which a
/// leader that stays does not give, or a time-out, which is longer.
const QUICK: Duration = Duration::from_secs(1);

/// Whether a producer had a reason to send again that no fault of ours gave it.
fn disturbed(facts: &Facts, part: &PartFacts) -> bool {
    let mut sends = facts.ops.sends_of(&part.sends);
    let late = |send: &SendFact| match send.returned {
        Some(returned) => returned.since(send.invoked) > QUICK,
        None => true,
    };
    part.changed_leader()
        || sends.any(|(_, send)| match send.fate {
            Fate::Failed => false,
            Fate::Unknown => true,
            Fate::Acked { .. } => late(&send),
        })
}
