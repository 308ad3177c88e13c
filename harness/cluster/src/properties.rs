//! Broker properties: a profile, what the plan says on top, and what the lab alone decides.
//!
//! Names are checked where plans are read (`plan::properties`); here layers are only put in order.
//! What a broker makes of them is read back from it later and compared.

use std::collections::BTreeMap;

use plan::{ClusterSpec, Profile};

use crate::error::ClusterError;
use crate::labfile::{HostSpec, LabFile};

/// Quick fail-over: sessions of 4 s, a replica lags after 3 s, checkpoints every second. Small
/// segments exercise rolls.
const FAST: &[(&str, &str)] = &[
    ("zookeeper.session.timeout.ms", "4000"),
    ("zookeeper.connection.timeout.ms", "10000"),
    ("replica.lag.time.max.ms", "3000"),
    ("replica.fetch.wait.max.ms", "200"),
    ("replica.fetch.backoff.ms", "200"),
    ("replica.socket.timeout.ms", "3000"),
    ("controller.socket.timeout.ms", "3000"),
    ("request.timeout.ms", "5000"),
    ("replica.high.watermark.checkpoint.interval.ms", "1000"),
    ("log.flush.offset.checkpoint.interval.ms", "2000"),
    ("log.flush.start.offset.checkpoint.interval.ms", "2000"),
    ("auto.create.topics.enable", "false"),
    ("auto.leader.rebalance.enable", "false"),
    ("unclean.leader.election.enable", "false"),
    ("default.replication.factor", "3"),
    ("min.insync.replicas", "2"),
    ("offsets.topic.num.partitions", "3"),
    ("offsets.topic.replication.factor", "3"),
    ("transaction.state.log.num.partitions", "3"),
    ("transaction.state.log.replication.factor", "3"),
    ("transaction.state.log.min.isr", "2"),
    (
        "transaction.abort.timed.out.transaction.cleanup.interval.ms",
        "1000",
    ),
    ("group.initial.rebalance.delay.ms", "0"),
    ("group.min.session.timeout.ms", "1000"),
    ("controlled.shutdown.max.retries", "2"),
    ("controlled.shutdown.retry.backoff.ms", "500"),
    ("log.segment.bytes", "1048576"),
    ("log.index.size.max.bytes", "1048576"),
    ("log.retention.ms", "-1"),
    ("log.retention.check.interval.ms", "600000"),
    ("log.cleaner.dedupe.buffer.size", "2097152"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    ("background.threads", "4"),
    ("num.recovery.threads.per.data.dir", "1"),
];

/// ZooKeeper's own times, in its ticks and milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ZkTimes {
    /// `tickTime`, in milliseconds.
    pub tick_ms: u32,
    /// `initLimit`, in ticks.
    pub init_ticks: u32,
    /// `syncLimit`, in ticks: a follower or leader that is silent for longer is given up.
    pub sync_ticks: u32,
    /// Whether every transaction is forced to disk before it is acknowledged.
    pub force_sync: bool,
}

/// The times of a profile. With `fast`, ZooKeeper itself is not under test.
pub fn zookeeper_times(profile: Profile) -> ZkTimes {
    match profile {
        Profile::Fast => ZkTimes {
            tick_ms: 500,
            init_ticks: 20,
            sync_ticks: 5,
            force_sync: false,
        },
        Profile::Stock => ZkTimes {
            tick_ms: 2000,
            init_ticks: 10,
            sync_ticks: 5,
            force_sync: true,
        },
    }
}

/// The whole of one broker's `server.properties`. `data` is its data directory on the host.
///
/// # Errors
/// When the plan sets a property that only the lab can decide.
pub fn broker(
    lab: &LabFile,
    spec: &ClusterSpec,
    host: &HostSpec,
    data: &str,
) -> Result<BTreeMap<String, String>, ClusterError> {
    let profile = match spec.profile {
        Profile::Fast => FAST,
        Profile::Stock => &[],
    };
    let mut all: BTreeMap<String, String> = profile
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    all.extend(spec.properties.clone());
    for (key, value) in decided_by_the_lab(lab, host, data) {
        if spec.properties.contains_key(key) {
            return Err(ClusterError::Lab(format!(
                "the broker property `{key}` follows from the lab and cannot be set by a plan; \
                 remove it from the plan's [cluster.properties]"
            )));
        }
        all.insert(key.to_owned(), value);
    }
    Ok(all)
}

fn decided_by_the_lab(lab: &LabFile, host: &HostSpec, data: &str) -> Vec<(&'static str, String)> {
    let address = &host.address;
    let listeners = format!(
        "BROKER://{address}:{},PROBE://{address}:{}",
        lab.ports.broker, lab.ports.probe
    );
    let quorum: Vec<String> = lab
        .hosts
        .iter()
        .map(|h| format!("{}:{}", h.address, lab.ports.zk_client))
        .collect();
    vec![
        ("broker.id", host.node.0.to_string()),
        ("listeners", listeners.clone()),
        ("advertised.listeners", listeners),
        (
            "listener.security.protocol.map",
            "BROKER:PLAINTEXT,PROBE:PLAINTEXT".to_owned(),
        ),
        ("inter.broker.listener.name", "BROKER".to_owned()),
        ("log.dirs", data.to_owned()),
        ("zookeeper.connect", quorum.join(",")),
    ]
}

/// The first property that was asked for and is not in force, as a sentence; `None` when all are.
pub fn first_difference(
    asked: &BTreeMap<String, String>,
    effective: &BTreeMap<String, String>,
) -> Option<String> {
    asked
        .iter()
        .find_map(|(key, wanted)| match effective.get(key) {
            None => Some(format!(
                "`{key}` was set to `{wanted}`, but is not known there"
            )),
            Some(found) if same(wanted, found) => None,
            Some(found) => Some(format!(
                "`{key}` was set to `{wanted}`, but `{found}` is in force"
            )),
        })
}

/// Kafka prints a value back in its own form: numbers without sign and zeros, lists without blanks.
fn same(wanted: &str, found: &str) -> bool {
    let (wanted, found) = (wanted.trim(), found.trim());
    let list = |text: &str| text.replace(' ', "");
    let numbers = wanted.parse::<f64>().ok().zip(found.parse::<f64>().ok());
    wanted == found || list(wanted) == list(found) || numbers.is_some_and(|(a, b)| a == b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(properties: &[(&str, &str)]) -> ClusterSpec {
        ClusterSpec {
            kafka: "3.0.0".into(),
            profile: Profile::Fast,
            properties: map(properties),
            start_order: Vec::new(),
            disk_bytes: None,
        }
    }

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        let pairs = pairs.iter();
        pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
    }

    fn lab() -> LabFile {
        LabFile::parse(include_str!("../../../labs/local.toml"), "local").unwrap()
    }

    #[test]
    fn the_profile_and_the_lab_use_names_that_kafka_knows() {
        for (key, value) in FAST {
            assert_eq!(plan::properties::check_broker(key, value), Ok(()));
            assert!(!plan::properties::set_by_harness(key), "{key}");
        }
        let lab = lab();
        for (key, value) in decided_by_the_lab(&lab, &lab.hosts[0], "/d") {
            assert_eq!(plan::properties::check_broker(key, &value), Ok(()));
            assert!(plan::properties::set_by_harness(key), "{key}");
        }
    }

    #[test]
    fn a_plan_overrides_the_profile_and_not_the_lab() {
        let lab = lab();
        let asked = spec(&[("replica.fetch.wait.max.ms", "8000")]);
        let all = broker(&lab, &asked, &lab.hosts[1], "/d").unwrap();
        assert_eq!(all["replica.fetch.wait.max.ms"], "8000");
        assert_eq!(all["broker.id"], "1");
        let address = &lab.hosts[1].address;
        assert_eq!(
            all["listeners"],
            format!("BROKER://{address}:9092,PROBE://{address}:9192")
        );
        let asked = spec(&[("broker.id", "7")]);
        let error = broker(&lab, &asked, &lab.hosts[1], "/d").unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the broker property `broker.id`")
        );
    }

    #[test]
    fn a_difference_names_the_property_and_a_spelling_is_none() {
        let found = map(&[("a", "1.0"), ("b", "x,y"), ("c", "true")]);
        let asked = map(&[("a", "1"), ("b", "x, y")]);
        assert_eq!(first_difference(&asked, &found), None);
        let asked = map(&[("c", "false")]);
        assert_eq!(
            first_difference(&asked, &found).unwrap(),
            "`c` was set to `false`, but `true` is in force"
        );
        let asked = map(&[("d", "1")]);
        assert_eq!(
            first_difference(&asked, &found).unwrap(),
            "`d` was set to `1`, but is not known there"
        );
    }
}
