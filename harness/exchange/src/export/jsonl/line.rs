//! The lines of the JSON form, as types: one per event, between a header and an end.
//!
//! They mirror `history`'s events by hand on purpose. The frames of a recording may change their
//! layout; what other people's programs read changes only with [`FORMAT`]. As in `verdict.json`,
//! times are nanoseconds since the run's start, identities bare numbers, partitions text
//! (`ledger/0`).

use history::{ClientId, FaultId, Mark, NodeId, OpId, Phase, Rebalance, Service, Topic};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::client::{CallLine, PartitionText, ReplyLine};
use super::cluster::{
    ChangeLine, HarmLine, ProcessLine, ReasonLine, SeenLine, StageLine, StepLine,
};

/// The newest format that this program writes and reads.
pub const FORMAT: u32 = 1;

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Line {
    /// Always the first line: what follows, and of which run.
    Header(Header),
    /// A client is about to call.
    Invoked {
        /// The operation; unique, ascending.
        #[schemars(with = "u64")]
        op: OpId,
        /// Who calls.
        #[schemars(with = "u16")]
        client: ClientId,
        /// Taken before the call.
        #[schemars(with = "u64")]
        at: Mark,
        /// What is asked.
        #[serde(flatten)]
        call: CallLine,
    },
    /// A call came back.
    Returned {
        /// The operation that was invoked.
        #[schemars(with = "u64")]
        op: OpId,
        /// Taken after the answer.
        #[schemars(with = "u64")]
        at: Mark,
        /// What the client may conclude.
        #[serde(flatten)]
        reply: ReplyLine,
    },
    /// A stage of a fault was reached.
    Fault {
        /// Which fault.
        #[schemars(with = "u16")]
        fault: FaultId,
        /// When.
        #[schemars(with = "u64")]
        at: Mark,
        /// The stage.
        #[serde(flatten)]
        stage: StageLine,
    },
    /// A probe's answer.
    Observed {
        /// Taken before the request was sent.
        #[schemars(with = "u64")]
        asked: Mark,
        /// Taken after the answer came.
        #[schemars(with = "u64")]
        answered: Mark,
        /// Who answered.
        #[schemars(with = "u8")]
        node: NodeId,
        /// What it said.
        #[serde(flatten)]
        seen: SeenLine,
    },
    /// A process of the cluster began, ended, stopped or went on.
    Process {
        /// When the controller knew.
        #[schemars(with = "u64")]
        at: Mark,
        /// On which node.
        #[schemars(with = "u8")]
        node: NodeId,
        /// `broker` or `zookeeper`.
        #[schemars(with = "String")]
        service: Service,
        /// What happened.
        #[serde(flatten)]
        change: ChangeLine,
    },
    /// A phase of the run began.
    Phase {
        /// When.
        #[schemars(with = "u64")]
        at: Mark,
        /// Which: `setup`, `steady`, `storm`, ...
        #[schemars(with = "String")]
        phase: Phase,
    },
    /// A step of the schedule fired, was met, or missed its deadline.
    Step {
        /// When.
        #[schemars(with = "u64")]
        at: Mark,
        /// Its number in the saved schedule, from 0.
        index: u32,
        /// The step as the plan writes it.
        text: String,
        /// What became of it.
        #[serde(flatten)]
        stage: StepLine,
    },
    /// A host's clock was compared with the run's.
    Clock {
        /// The host.
        #[schemars(with = "u8")]
        node: NodeId,
        /// Taken before the host was asked.
        #[schemars(with = "u64")]
        asked: Mark,
        /// Taken after its answer.
        #[schemars(with = "u64")]
        answered: Mark,
        /// The host's clock in between: nanoseconds since 1970, UTC.
        host_unix_nanos: i64,
    },
    /// A replica image was copied from a host.
    Image {
        /// Whose files.
        #[schemars(with = "u8")]
        node: NodeId,
        /// Copying began.
        #[schemars(with = "u64")]
        from: Mark,
        /// Copying ended.
        #[schemars(with = "u64")]
        to: Mark,
        /// What the broker's process was meanwhile.
        process: ProcessLine,
        /// The files were the same before and after.
        unchanged: bool,
        /// Why it was taken.
        reason: ReasonLine,
        /// The archive, relative to the run directory.
        file: String,
    },
    /// A consumer group gave a client partitions, or took them.
    Rebalance {
        /// When the client was told.
        #[schemars(with = "u64")]
        at: Mark,
        /// Which consumer.
        #[schemars(with = "u16")]
        client: ClientId,
        /// `assigned`, `revoked` or `lost`.
        #[schemars(with = "String")]
        change: Rebalance,
        /// Which partitions.
        partitions: Vec<PartitionText>,
    },
    /// A log lost something by our doing.
    Harm {
        /// When it was done and read back.
        #[schemars(with = "u64")]
        at: Mark,
        /// By which fault; absent for what a client asked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<u16>")]
        fault: Option<FaultId>,
        /// Which partition.
        partition: PartitionText,
        /// What.
        #[serde(flatten)]
        harm: HarmLine,
    },
    /// A setting was changed under load.
    Altered {
        /// The old value held until now at least.
        #[schemars(with = "u64")]
        asked: Mark,
        /// The new value was read back before now.
        #[schemars(with = "u64")]
        answered: Mark,
        /// Of which topic; of all brokers when absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schemars(with = "Option<String>")]
        topic: Option<Topic>,
        /// `min.insync.replicas`.
        key: String,
        /// The new value; absent: back to what the brokers say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// Always the last line: a file without it is not whole.
    End {
        /// Events between header and end.
        events: u64,
        /// Where and why the recording breaks off, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        torn: Option<String>,
    },
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Header {
    /// Format of these lines, [`FORMAT`].
    pub format: u32,
    /// The run's six characters.
    pub run: String,
    /// The plan's name.
    pub plan: String,
    /// The seed from which everything was drawn.
    pub seed: u64,
    /// The version of Kafka under test.
    pub kafka: String,
}
