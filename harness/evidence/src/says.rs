//! What one message of a broker's or ZooKeeper server's log says, in the words of Kafka 3.0.0.
//!
//! Messages are told apart by their beginnings, never by a search through the whole line, since
//! logs are long and few lines matter. A message that begins like a known one and goes on
//! differently is an error, not a silence: another version may have reworded it.

use history::{Epoch, NodeId, Partition};

use crate::model::Says;
use crate::scan::Scan;

/// A message that begins like one that matters and does not go on like it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("begins like a line about replication, but goes on differently than in Kafka 3.0.0")]
pub struct Unfamiliar;

/// Reads a message as log4j's `%p %m (%c)` wrote it, from the level on. `None` when it says nothing
/// about replication.
pub fn says(line: &str) -> Option<Result<Says, Unfamiliar>> {
    let (level, rest) = line.split_once(' ')?;
    let (ident, message) = match rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    {
        Some((ident, message)) => (ident, message),
        None => ("", rest),
    };
    if matches!(level, "ERROR" | "FATAL") && is_fatal(level, message) {
        return Some(Ok(Says::Fatal));
    }
    let says = match message.split_once(' ')?.0 {
        "Leader" if message.contains(" starts at leader epoch ") => leader_starts(message),
        "Follower" if message.contains(" starts at leader epoch ") => follower_starts(message),
        "Truncating" => truncating(ident, message)?,
        "Truncate" => truncate_fully(ident, message)?,
        "Unexpected" => start_from_append(message)?,
        "Non-monotonic" => non_monotonic(ident, message)?,
        "Log" => loaded(message)?,
        "Shrinking" => shrinking(ident, message)?,
        "ISR" => isr_updated(ident, message)?,
        "Changed" => changed(message)?,
        "Partition" => removed_from_isr(message)?,
        "Corruption" | "Found" | "Deleting" => corruption(ident, message)?,
        "Rolled" => rolled(ident, message)?,
        "Reset" => reset(message)?,
        "starting" | "started" => broker_started(message)?,
        number if number.bytes().all(|byte| byte.is_ascii_digit()) => elected(message)?,
        _ => return None,
    };
    Some(says.ok_or(Unfamiliar))
}

/// The partition of `[Log partition=ledger-0, dir=...]` or `[Partition ledger-0 broker=1]`.
fn of(ident: &str) -> Option<Partition> {
    if let Some(rest) = ident.strip_prefix("Partition ") {
        return Partition::from_dir_name(rest.split_once(' ')?.0);
    }
    let (_, rest) = ident.split_once("partition=")?;
    Partition::from_dir_name(rest.split_once(',').map_or(rest, |(name, _)| name))
}

/// KafkaServer.scala, Kafka.scala, LogManager.scala (written at ERROR: the binding drops the marker
/// FATAL); QuorumPeerMain.java and ZooKeeperServerMain.java.
fn is_fatal(level: &str, message: &str) -> bool {
    level == "FATAL"
        || [
            "Fatal error during",
            "Exiting Kafka",
            "Halting Kafka",
            "Shutdown broker because",
        ]
        .iter()
        .any(|start| message.starts_with(start))
        || message.contains("exiting abnormally")
}

/// Partition.scala, makeLeader.
fn leader_starts(message: &str) -> Option<Says> {
    let mut scan = Scan(message);
    scan.skip("Leader ")?;
    let partition = scan.partition(" starts at leader epoch ")?;
    let epoch = scan.epoch()?;
    scan.skip(" from offset ")?;
    let leo = scan.offset()?;
    scan.skip(" with high watermark ")?;
    let hw = scan.offset()?;
    scan.skip(" ISR [")?;
    let isr = scan.nodes("]")?;
    scan.until("Previous leader epoch was ")?;
    let previous = scan.epoch()?;
    Some(Says::LeaderStarts {
        partition,
        epoch,
        leo,
        hw,
        isr,
        previous: some_epoch(previous),
    })
}

/// Partition.scala, makeFollower.
fn follower_starts(message: &str) -> Option<Says> {
    let mut scan = Scan(message);
    scan.skip("Follower ")?;
    let partition = scan.partition(" starts at leader epoch ")?;
    let epoch = scan.epoch()?;
    scan.skip(" from offset ")?;
    let leo = scan.offset()?;
    scan.skip(" with high watermark ")?;
    let hw = scan.offset()?;
    scan.until("Previous leader epoch was ")?;
    let previous = scan.epoch()?;
    Some(Says::FollowerStarts {
        partition,
        epoch,
        leo,
        hw,
        previous: some_epoch(previous),
    })
}

/// A broker that has just loaded a partition says that its epoch was -1.
fn some_epoch(epoch: Epoch) -> Option<Epoch> {
    (epoch.0 >= 0).then_some(epoch)
}

/// Log.scala, truncateTo; AbstractFetcherThread.scala, truncateToHighWatermark.
fn truncating(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Truncating ")?;
    if scan.skip("partition ").is_some() {
        return Some((|| {
            let partition = scan.partition(" to local high watermark ")?;
            Some(Says::TruncatingToHw {
                partition,
                hw: scan.offset()?,
            })
        })());
    }
    // `Truncating ledger-0 to offset ..` (ReplicaFetcherThread) only repeats what Log.scala says.
    scan.skip("to ")?;
    Some((|| {
        let partition = of(ident)?;
        if scan.skip("offset ").is_some() {
            return Some(Says::Truncating {
                partition,
                to: scan.offset()?,
            });
        }
        let to = scan.offset()?;
        scan.skip(" has no effect")?;
        Some(Says::TruncationWithoutEffect { partition, to })
    })())
}

/// Log.scala, truncateFullyAndStartAt: written at DEBUG in 3.0.0.
fn truncate_fully(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Truncate and start at offset ")?;
    Some((|| {
        Some(Says::TruncateFully {
            partition: of(ident)?,
            to: scan.offset()?,
        })
    })())
}

/// Partition.scala, appendRecordsToFollowerOrFutureReplica: an empty log starts over where its
/// leader's begins.
fn start_from_append(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Unexpected offset in append to ")?;
    Some((|| {
        let partition = scan.partition(". First offset ")?;
        scan.until("will start the log from offset ")?;
        Some(Says::TruncateFully {
            partition,
            to: scan.offset()?,
        })
    })())
}

/// Log.scala, updateHighWatermarkMetadata; LogOffsetMetadata prints `(offset=N segment=[B:P])`.
fn non_monotonic(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Non-monotonic update of high watermark from ")?;
    Some((|| {
        scan.until("(offset=")?;
        let from = scan.offset()?;
        scan.until("(offset=")?;
        Some(Says::NonMonotonicHw {
            partition: of(ident)?,
            from,
            to: scan.offset()?,
        })
    })())
}

/// Partition.scala, createLog.
fn loaded(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Log loaded for partition ")?;
    Some((|| {
        let partition = scan.partition(" with initial high watermark ")?;
        Some(Says::Loaded {
            partition,
            hw: scan.offset()?,
        })
    })())
}

/// Partition.scala, maybeShrinkIsr.
fn shrinking(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Shrinking ISR from ")?;
    Some((|| {
        let from = scan.node_set(" to ")?;
        let to = scan.node_set(". Leader: (highWatermark: ")?;
        let hw = scan.offset()?;
        scan.skip(", endOffset: ")?;
        Some(Says::Shrinking {
            partition: of(ident)?,
            from,
            to,
            hw,
            leo: scan.offset()?,
        })
    })())
}

/// Partition.scala, handleAlterIsrResponse; the same text whether ZooKeeper or the controller agreed.
fn isr_updated(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("ISR updated to ")?;
    Some((|| {
        let isr = scan.node_set(" and version updated to [")?;
        Some(Says::IsrUpdated {
            partition: of(ident)?,
            isr,
            version: Some(scan.number()?),
        })
    })())
}

/// PartitionStateMachine.scala, doHandleStateChanges: only those that carry a leader.
fn changed(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Changed partition ")?;
    if !message.contains(" with state LeaderAndIsr(") {
        return None;
    }
    Some((|| {
        let partition = scan.partition(" from ")?;
        scan.until(" with state LeaderAndIsr(leader=")?;
        let leader = scan.number()?;
        scan.skip(", leaderEpoch=")?;
        let epoch = scan.epoch()?;
        scan.until(", isr=List(")?;
        let isr = scan.nodes(")")?;
        scan.skip(", zkVersion=")?;
        let version = Some(scan.number()?);
        Some(Says::PartitionState {
            partition,
            leader: some_node(leader)?,
            epoch,
            isr,
            version,
        })
    })())
}

/// ReplicaStateMachine.scala, doRemoveReplicasFromIsr: the controller's own ISR changes, which raise
/// the leader epoch.
fn removed_from_isr(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Partition ")?;
    let partition = scan.until(" state changed to (Leader:")?;
    Some((|| {
        let partition = Partition::from_dir_name(partition)?;
        let leader = scan.number()?;
        scan.skip(",ISR:")?;
        let isr = scan.nodes(",LeaderEpoch:")?;
        let epoch = scan.epoch()?;
        Some(Says::PartitionState {
            partition,
            leader: some_node(leader)?,
            epoch,
            isr,
            version: None,
        })
    })())
}

/// -1 is no leader, -2 a partition being deleted (LeaderAndIsr.scala).
fn some_node(id: i32) -> Option<Option<NodeId>> {
    match id {
        ..0 => Some(None),
        id => Some(Some(NodeId(u8::try_from(id).ok()?))),
    }
}

/// LogLoader.scala, recoverLog; LogSegment.scala, recover.
fn corruption(ident: &str, message: &str) -> Option<Option<Says>> {
    const STARTS: [(&str, Option<&str>); 4] = [
        (
            "Corruption found in segment ",
            Some(", truncating to offset "),
        ),
        (
            "Found invalid offset during recovery.",
            Some("with starting offset "),
        ),
        ("Found invalid messages in log segment ", None),
        ("Deleting all segments because logEndOffset ", None),
    ];
    let (start, before) = STARTS
        .into_iter()
        .find(|(start, _)| message.starts_with(start))?;
    let mut scan = Scan(message);
    Some((|| {
        scan.skip(start)?;
        let to = match before {
            None => None,
            Some(before) => {
                scan.until(before)?;
                Some(scan.offset()?)
            }
        };
        // LogSegment names no partition but its file: `<dir>/ledger-0/<base>.log at byte offset ..`.
        let partition = of(ident).or_else(|| {
            let (path, _) = message
                .strip_prefix(start)?
                .split_once(".log at byte offset ")?;
            let (parent, _) = path.rsplit_once('/')?;
            Partition::from_dir_name(parent.rsplit('/').next()?)
        })?;
        Some(Says::Corruption { partition, to })
    })())
}

/// Log.scala, roll.
fn rolled(ident: &str, message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Rolled new log segment at offset ")?;
    Some((|| {
        Some(Says::Rolled {
            partition: of(ident)?,
            at: scan.offset()?,
        })
    })())
}

/// AbstractFetcherThread.scala, fetchOffsetAndTruncate.
fn reset(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.skip("Reset fetch offset for partition ")?;
    Some((|| {
        let partition = scan.partition(" from ")?;
        let from = scan.offset()?;
        scan.until(" to current leader's ")?;
        scan.until(" offset ")?;
        Some(Says::ResetFetchOffset {
            partition,
            from,
            to: scan.offset()?,
        })
    })())
}

/// KafkaServer.scala: `starting` before anything is loaded, `started` when clients are served. Both
/// are reported; either belongs to a process that had not written before.
fn broker_started(message: &str) -> Option<Option<Says>> {
    matches!(
        message,
        "starting (kafka.server.KafkaServer)" | "started (kafka.server.KafkaServer)"
    )
    .then_some(Some(Says::BrokerStarted))
}

/// KafkaController.scala, elect.
fn elected(message: &str) -> Option<Option<Says>> {
    let mut scan = Scan(message);
    scan.until(" successfully elected as the controller.")?;
    Some((|| {
        scan.until("Epoch incremented to ")?;
        Some(Says::ControllerElected {
            epoch: scan.number()?,
        })
    })())
}
