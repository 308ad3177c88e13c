//! What the three brokers write into their logs, in the words of Kafka 3.0.0.
//!
//! Only what speaks about replication is written; nothing here knows why it is said.

use std::fmt::Write as _;
use std::path::Path;

use chrono::{DateTime, TimeDelta, Utc};
use history::rundir::RunDir;
use history::{Epoch, Mark, NodeId, Offset, Partition};

use super::SynthError;
use super::shape::NODES;

/// The wall clock at the start of every run that nobody ran: all of them began at this moment.
pub(super) fn started() -> DateTime<Utc> {
    DateTime::from_timestamp(1_767_225_600, 0).unwrap_or_default()
}

/// How far a host's clock is ahead of the run's, in nanoseconds.
pub(super) fn ahead(node: NodeId) -> i64 {
    i64::from(node.0) * 1_700_000 - 1_100_000
}

/// Which file.
#[derive(Debug, Clone, Copy)]
pub(super) enum File {
    Server,
    StateChange,
    Controller,
}

const FILES: [&str; 3] = ["server.log", "state-change.log", "controller.log"];

/// The controller never changes: no fault ever befalls it.
pub(super) const CONTROLLER: NodeId = NodeId(2);

/// The lines of all brokers.
#[derive(Debug, Default)]
pub(super) struct Logs {
    text: [[String; 3]; NODES.len()],
}

impl Logs {
    fn say(&mut self, node: NodeId, file: File, at: Mark, level: &str, text: &str) {
        let wall = started() + TimeDelta::nanoseconds(at.0 as i64 + ahead(node));
        let time = wall.format("%Y-%m-%d %H:%M:%S,%3f");
        let into = &mut self.text[usize::from(node.0)][file as usize];
        // Writing into a string has no way to fail.
        let _ = writeln!(into, "{time} {level} {text}");
    }

    fn state(&mut self, node: NodeId, at: Mark, text: &str) {
        let text = format!("[Broker id={}] {text} (state.change.logger)", node.0);
        self.say(node, File::StateChange, at, "INFO", &text);
    }

    fn of_partition(&mut self, node: NodeId, name: &Partition, at: Mark, text: &str) {
        let dir = name.dir_name();
        let text = format!(
            "[Partition {dir} broker={}] {text} (kafka.cluster.Partition)",
            node.0
        );
        self.say(node, File::Server, at, "INFO", &text);
    }

    fn of_log(&mut self, node: NodeId, name: &Partition, at: Mark, level: &str, text: &str) {
        let dir = name.dir_name();
        let text = format!(
            "[Log partition={dir}, dir=/srv/tidemark/run/data/broker] {text} (kafka.log.Log)"
        );
        self.say(node, File::Server, at, level, &text);
    }

    /// A broker's process begins, and serves clients 400 ms later.
    pub fn starts(&mut self, node: NodeId, at: Mark) {
        let begun = "starting (kafka.server.KafkaServer)";
        self.say(node, File::Server, at, "INFO", begun);
        let text = format!(
            "[KafkaServer id={}] started (kafka.server.KafkaServer)",
            node.0
        );
        self.say(node, File::Server, Mark(at.0 + 400_000_000), "INFO", &text);
    }

    /// The controller is elected.
    pub fn controls(&mut self, at: Mark) {
        let id = CONTROLLER.0;
        let text = format!(
            "[Controller id={id}] {id} successfully elected as the controller. Epoch incremented \
             to 1 and epoch zk version is now 1 (kafka.controller.KafkaController)"
        );
        self.say(CONTROLLER, File::Controller, at, "INFO", &text);
    }

    /// A log is opened, with the high watermark of the checkpoint.
    pub fn loaded(&mut self, node: NodeId, name: &Partition, at: Mark, hw: Offset) {
        let dir = name.dir_name();
        let text = format!(
            "Log loaded for partition {dir} with initial high watermark {}",
            hw.0
        );
        self.of_partition(node, name, at, &text);
    }

    /// A broker begins to lead.
    pub fn leads(&mut self, node: NodeId, name: &Partition, at: Mark, role: &Role) {
        let dir = name.dir_name();
        let text = format!(
            "Leader {dir} starts at leader epoch {} from offset {} with high watermark {} ISR [{}] \
             addingReplicas [] removingReplicas []. Previous leader epoch was {}.",
            role.epoch.0,
            role.leo.0,
            role.hw.0,
            ids(role.isr, ","),
            role.previous
        );
        self.state(node, at, &text);
    }

    /// A broker begins to follow.
    pub fn follows(&mut self, node: NodeId, name: &Partition, at: Mark, role: &Role) {
        let dir = name.dir_name();
        let text = format!(
            "Follower {dir} starts at leader epoch {} from offset {} with high watermark {}. \
             Previous leader epoch was {}.",
            role.epoch.0, role.leo.0, role.hw.0, role.previous
        );
        self.state(node, at, &text);
    }

    /// An empty log is looked at before the first fetch.
    pub fn nothing_to_cut(&mut self, node: NodeId, name: &Partition, leader: NodeId, at: Mark) {
        let text = format!(
            "[ReplicaFetcher replicaId={}, leaderId={}, fetcherId=0] Truncating partition {} to \
             local high watermark 0 (kafka.server.ReplicaFetcherThread)",
            node.0,
            leader.0,
            name.dir_name()
        );
        self.say(node, File::Server, at, "INFO", &text);
        let text = "Truncating to 0 has no effect as the largest offset in the log is -1";
        self.of_log(node, name, at, "INFO", text);
    }

    /// A log is cut.
    pub fn cuts(&mut self, node: NodeId, name: &Partition, at: Mark, to: Offset) {
        self.of_log(
            node,
            name,
            at,
            "INFO",
            &format!("Truncating to offset {}", to.0),
        );
    }

    /// A high watermark goes back.
    pub fn hw_back(&mut self, node: NodeId, name: &Partition, at: Mark, from: Offset, to: Offset) {
        let text = format!(
            "Non-monotonic update of high watermark from (offset={} segment=[0:0]) to (offset={} \
             segment=[0:0])",
            from.0, to.0
        );
        self.of_log(node, name, at, "WARN", &text);
    }

    /// A segment is begun.
    pub fn rolls(&mut self, node: NodeId, name: &Partition, at: Mark, base: Offset) {
        let text = format!("Rolled new log segment at offset {} in 1 ms.", base.0);
        self.of_log(node, name, at, "INFO", &text);
    }

    /// A leader asks for a smaller in-sync set.
    pub fn shrinks(
        &mut self,
        node: NodeId,
        name: &Partition,
        at: Mark,
        from: &[NodeId],
        role: &Role,
    ) {
        let outside = from.iter().filter(|other| !role.isr.contains(other));
        let mut text = format!(
            "Shrinking ISR from {} to {}. Leader: (highWatermark: {}, endOffset: {}). Out of sync \
             replicas:",
            ids(from, ","),
            ids(role.isr, ","),
            role.hw.0,
            role.leo.0
        );
        for other in outside {
            let _ = write!(text, " (brokerId: {}, endOffset: {})", other.0, role.hw.0);
        }
        text.push('.');
        self.of_partition(node, name, at, &text);
    }

    /// A leader's change of the in-sync set is agreed to.
    pub fn isr_updated(
        &mut self,
        node: NodeId,
        name: &Partition,
        at: Mark,
        isr: &[NodeId],
        version: i32,
    ) {
        let text = format!(
            "ISR updated to {} and version updated to [{version}]",
            ids(isr, ",")
        );
        self.of_partition(node, name, at, &text);
    }

    /// The controller writes a new state of a partition.
    pub fn elects(
        &mut self,
        name: &Partition,
        at: Mark,
        leader: NodeId,
        role: &Role,
        version: i32,
    ) {
        let from = if version == 0 {
            "NewPartition"
        } else {
            "OfflinePartition"
        };
        let text = format!(
            "[Controller id={} epoch=1] Changed partition {} from {from} to OnlinePartition with \
             state LeaderAndIsr(leader={}, leaderEpoch={}, isr=List({}), zkVersion={version}) \
             (state.change.logger)",
            CONTROLLER.0,
            name.dir_name(),
            leader.0,
            role.epoch.0,
            ids(role.isr, ", ")
        );
        self.say(CONTROLLER, File::StateChange, at, "INFO", &text);
    }

    /// The controller takes a dead replica out of the in-sync set, which raises the epoch.
    pub fn removes(
        &mut self,
        name: &Partition,
        at: Mark,
        leader: NodeId,
        role: &Role,
        dead: NodeId,
    ) {
        let text = format!(
            "[Controller id={} epoch=1] Partition {} state changed to (Leader:{},ISR:{},\
             LeaderEpoch:{},ControllerEpoch:1) after removing replica {} from the ISR as part of \
             transition to OfflineReplica (state.change.logger)",
            CONTROLLER.0,
            name.dir_name(),
            leader.0,
            ids(role.isr, ","),
            role.epoch.0,
            dead.0
        );
        self.say(CONTROLLER, File::StateChange, at, "INFO", &text);
    }

    /// Writes every file of every node.
    pub fn write(&self, dir: &RunDir) -> Result<(), SynthError> {
        for node in NODES {
            let logs = dir.nodes_dir(node).join("logs");
            make_dir(&logs)?;
            for (name, text) in FILES.iter().zip(&self.text[usize::from(node.0)]) {
                let path = logs.join(name);
                std::fs::write(&path, text).map_err(|err| SynthError::write(&path, &err))?;
            }
        }
        Ok(())
    }
}

pub(super) fn make_dir(path: &Path) -> Result<(), SynthError> {
    std::fs::create_dir_all(path).map_err(|err| SynthError::write(path, &err))
}

/// What a transition line says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Role<'a> {
    pub epoch: Epoch,
    pub leo: Offset,
    pub hw: Offset,
    pub isr: &'a [NodeId],
    /// The epoch before; -1 in a new process.
    pub previous: i32,
}

fn ids(nodes: &[NodeId], between: &str) -> String {
    let ids: Vec<String> = nodes.iter().map(|node| node.0.to_string()).collect();
    ids.join(between)
}
