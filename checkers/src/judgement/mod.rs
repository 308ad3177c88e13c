//! What a judged run says: the shape of `verdict.json`.
//!
//! It holds no wall-clock time, path of a machine, host name or build: the same evidence under the
//! same rules gives the same bytes. Everything that a report shows is here, so that a report
//! decides nothing. Times are nanoseconds since the run's start, nodes and epochs bare numbers,
//! partitions text (`ledger/0`).

mod accounting;
mod figures;
mod finding;
mod happened;
mod text;

use history::Mark;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use accounting::{Accounting, DrainRow, OutcomeRow, RecordRow};
pub use figures::{
    EpochSegment, Failover, FaultSpan, GapPoint, GapSeries, LeadSpan, OffsetRange, PartitionLead,
    Rate, ReplicaPicture, Role, Sourced, Timeline,
};
pub use finding::{
    Class, Finding, FindingId, OpWitness, Standing, StillHeld, StorySentence, TimeSpan, Witness,
};
pub use happened::{
    AvailabilityFact, FaultFact, Gap, Justified, Latency, PhaseFact, StageFact, TruncationFact,
};
pub use text::grouped;

/// The version of the rules that gave this judgement; raised when a rule changes a verdict.
pub const RULES_VERSION: u32 = 6;

/// A judged run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Judgement {
    /// The version of this form; the first files named none.
    #[serde(default = "first_format")]
    pub format: u32,
    /// The version of the rules.
    pub rules_version: u32,
    /// The run's six characters.
    pub run: String,
    /// The plan's name.
    pub plan: String,
    /// What the plan is for.
    pub about: String,
    /// The seed.
    pub seed: u64,
    /// The version of Kafka under test.
    pub kafka: String,
    /// All guarantees and premises folded: broken over unproven over held.
    pub fold: Fold,
    /// The verdict as sentences: "Held. ledger kept all 26 707 acknowledged records. ...".
    pub sentence: String,
    /// How the run ended.
    pub ended: Ended,
    /// What the plan said the verdict must be, where it is a control.
    pub expected: Option<Expectation>,
    /// What was looked at.
    pub totals: Totals,
    /// What the conclusions rest on.
    pub premises: Vec<Premise>,
    /// Topic by topic, ascending by name.
    pub topics: Vec<TopicJudgement>,
    /// Findings, worst first; guarantees name them by id.
    pub findings: Vec<Finding>,
    /// Every cut of a replica's log.
    pub truncations: Vec<TruncationFact>,
    /// How long clients were without service, per partition and fault.
    pub availability: Vec<AvailabilityFact>,
    /// Faults in order.
    pub faults: Vec<FaultFact>,
    /// Phases in order.
    pub phases: Vec<PhaseFact>,
    /// What the timeline shows.
    pub timeline: Timeline,
    /// One per change of leader, in order of time.
    pub failovers: Vec<Failover>,
    /// What could not be seen, in sentences.
    pub limits: Vec<String>,
}

/// The verdict over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fold {
    /// All that was promised held, and something was examined.
    Held,
    /// Something promised was broken.
    Broken,
    /// Nothing broken, something unproven.
    Unproven,
}

impl std::fmt::Display for Fold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Fold::Held => "Held",
            Fold::Broken => "Broken",
            Fold::Unproven => "Unproven",
        })
    }
}

/// How the run ended, from its seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "how")]
pub enum Ended {
    /// All phases were gone through.
    Completed,
    /// A signal ended it early: `INT`.
    Interrupted {
        /// The signal's name.
        signal: String,
    },
    /// It stopped itself, since going on would have shown nothing.
    CutShort {
        /// What was lacking.
        why: String,
    },
    /// The harness or the lab failed.
    Failed {
        /// Why.
        why: String,
    },
    /// There is no seal: whoever ran it was killed.
    Incomplete,
}

/// What a control had to end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expectation {
    /// The verdict wanted.
    pub wanted: Fold,
    /// Whether it came.
    pub met: bool,
}

/// What was looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Brokers of the cluster.
    pub brokers: u32,
    /// Records that clients sent (invocations).
    pub sends: u64,
    /// Of those, acknowledged.
    pub acknowledged: u64,
    /// Of those, certainly refused.
    pub failed: u64,
    /// Of those, of unknown fate.
    pub unknown: u64,
    /// Records that consumers were given.
    pub deliveries: u64,
    /// Replica images.
    pub images: u32,
    /// Replica logs in them, over all images.
    pub replica_logs: u32,
    /// Bytes of segment files in them.
    pub replica_bytes: u64,
    /// Log lines of brokers that say something about replication.
    pub log_lines: u64,
    /// Answers of probes.
    pub observations: u64,
    /// Faults that were begun.
    pub faults: u32,
    /// Of those, proved in force by reading back.
    pub faults_proved: u32,
    /// The last moment of the history, nanoseconds.
    #[schemars(with = "u64")]
    pub length: Mark,
}

/// Something that conclusions rest on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Premise {
    /// `values-unique`.
    pub name: String,
    /// What it says.
    pub sentence: String,
    /// Whether it held.
    pub state: PremiseState,
}

/// Whether a premise held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum PremiseState {
    /// It held.
    Kept {
        /// How much was looked at.
        examined: u64,
        /// Of what.
        unit: String,
    },
    /// It did not; conclusions from absence that rest on it are void.
    Failed {
        /// Why.
        why: String,
    },
}

/// One topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TopicJudgement {
    /// Its name.
    pub topic: String,
    /// Its settings in a few words: `acks=all, idempotent, min.isr 2`.
    pub settings: String,
    /// What those settings, and the faults that happened, promise.
    pub contract: Vec<Clause>,
    /// What of the contract's conditions came about, in sentences.
    #[serde(default)]
    pub happened: Vec<String>,
    /// Guarantees in table order, the same for every topic.
    pub guarantees: Vec<Guarantee>,
    /// Where every record went.
    pub accounting: Accounting,
}

/// One line of a contract.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Clause {
    /// What: "acknowledged records above the high watermark stay".
    pub what: String,
    /// To which producers or groups; empty where all of the topic's are promised the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub by: Vec<String>,
    /// Whether it is promised.
    pub promised: bool,
    /// Why, or why not.
    pub why: String,
    /// Under which conditions it is not kept although it is promised: what happened tells whether
    /// they came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unless: Option<String>,
    /// What would make it promised.
    pub would_change: Option<String>,
}

/// One guarantee for one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Guarantee {
    /// `acked-lost-below-hw`.
    pub name: String,
    /// "acknowledged records below the high watermark stay".
    pub sentence: String,
    /// Its family.
    pub group: Group,
    /// The verdict.
    pub verdict: Verdict,
    /// Premises that it rests on, by name.
    pub premises: Vec<String>,
}

/// Families of guarantees, in table order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// Records that were there and are not.
    Loss,
    /// Copies and order.
    Order,
    /// Agreement of replicas.
    Replicas,
    /// High watermarks and cuts.
    Watermarks,
    /// Records as such.
    Records,
    /// Service, and recovery after the heal.
    Liveness,
}

/// The verdict on a guarantee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Verdict {
    /// Promised, examined, kept.
    Held {
        /// How much was examined; never 0.
        examined: u64,
        /// Of what: "acknowledged records".
        unit: String,
    },
    /// Promised and broken.
    Broken {
        /// The findings.
        findings: Vec<FindingId>,
        /// How many records, cuts or the like are concerned.
        observed: u64,
        /// How much was examined.
        examined: u64,
        /// Of what.
        unit: String,
    },
    /// Nothing found, but the evidence does not allow to say so; or found, and not decidable.
    Unproven {
        /// What is missing.
        why: String,
        /// Findings that could not be decided.
        findings: Vec<FindingId>,
    },
    /// These settings, or these faults, do not promise it.
    NotPromised {
        /// Why not.
        why: String,
        /// How often it was seen all the same.
        observed: u64,
        /// How much was examined.
        examined: u64,
        /// Of what.
        unit: String,
        /// The findings.
        findings: Vec<FindingId>,
    },
}

fn first_format() -> u32 {
    1
}
