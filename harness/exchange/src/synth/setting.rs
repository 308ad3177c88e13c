//! What a run that nobody ran says of itself: plan, lab, settings, configuration files.
//!
//! The settings are those that a cluster of the lab would have given back, so far as they decide
//! what is promised.

use std::collections::BTreeMap;
use std::time::Duration;

use history::rundir::{RunDir, write_atomically};
use history::{
    ClientId, CommitMode, ConsumerSetting, HostFacts, NodeId, ProducerSetting, RunId, Setting,
    TopicSetting,
};
use plan::{
    Acks, ClusterSpec, Compression, Load, Minimum, Phases, Plan, Profile, Rate, Seed, StepError,
    Storm, TopicSpec,
};

use super::drain::drainer;
use super::groups::GROUP;
use super::orders::Orders;
use super::says::{make_dir, started};
use super::shape::{LOAD_BEGINS, NODES, Shape, TopicShape};
use super::story::steps;
use super::{Asked, SynthError};

const KAFKA: &str = "3.0.0";
/// What stands in place of a client library.
const CLIENT: &str = "none: this run was written by `tidemark synth`";
/// Whether nobody ran what has these settings.
pub fn is_written(setting: &Setting) -> bool {
    setting.client == CLIENT
}

/// Where hosts of a local lab have their addresses.
const HOSTS: [&str; 3] = ["192.168.136.27", "192.168.136.28", "192.168.136.29"];

/// Writes `plan.toml`, `schedule.toml`, `lab.toml`, `setting.json` and every node's configuration.
pub(super) fn write(
    dir: &RunDir,
    asked: &Asked,
    shape: &Shape,
    setting: &Setting,
) -> Result<(), SynthError> {
    write_atomically(&dir.plan_toml(), plan(asked, shape)?.to_toml().as_bytes())?;
    let schedule = schedule(asked, shape);
    write_atomically(&dir.schedule_toml(), schedule.as_bytes())?;
    write_atomically(&dir.lab_toml(), lab().as_bytes())?;
    dir.write_setting(setting)?;
    for node in NODES {
        let config = dir.nodes_dir(node).join("config");
        make_dir(&config)?;
        let mut text = String::new();
        for (key, value) in &setting.brokers[&node] {
            text.push_str(&format!("{key}={value}\n"));
        }
        write_atomically(&config.join("server.properties"), text.as_bytes())?;
    }
    Ok(())
}

/// The settings as found.
pub(super) fn setting(asked: &Asked, shape: &Shape, run: RunId, segment_bytes: u64) -> Setting {
    let mut producers = BTreeMap::new();
    for (index, topic) in shape.topics.iter().enumerate() {
        let setting = ProducerSetting {
            topic: topic.name.clone(),
            acks: if topic.acks_all { "all" } else { "1" }.to_owned(),
            idempotent: topic.acks_all,
            retries: true,
            max_in_flight: 5,
            transactional_id: None,
            transaction_timeout_ms: None,
        };
        let transactional = topic.parts.start >= shape.load;
        for client in shape.producers(index) {
            let setting = ProducerSetting {
                transactional_id: transactional.then(|| format!("synth-{client}")),
                transaction_timeout_ms: transactional.then_some(60_000),
                ..setting.clone()
            };
            producers.insert(client, setting);
        }
        if !topic.acks_all {
            producers.insert(shape.refused_by(index), setting);
        }
    }
    let ids = topic_ids(asked);
    let topics = shape.topics.iter().zip(ids).map(|(topic, id)| {
        let parts = shape.parts[topic.parts.clone()].iter();
        let assignment = parts.map(|part| (part.name.index, part.replicas.to_vec()));
        let setting = TopicSetting {
            id: Some(id),
            assignment: assignment.collect(),
            config: pairs(&topic_config(segment_bytes)),
        };
        (topic.name.clone(), setting)
    });
    let host = HostFacts {
        kernel: "none".to_owned(),
        system: "none: this run was written, not run".to_owned(),
        java: "none".to_owned(),
    };
    Setting {
        run,
        plan: "synth".to_owned(),
        seed: asked.seed,
        started: started().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
        tidemark: env!("CARGO_PKG_VERSION").to_owned(),
        kafka: KAFKA.to_owned(),
        client: CLIENT.to_owned(),
        brokers: NODES
            .into_iter()
            .map(|node| (node, pairs(&broker_config(node, segment_bytes))))
            .collect(),
        topics: topics.collect(),
        producers,
        consumers: consumers(shape),
        hosts: NODES.into_iter().map(|node| (node, host.clone())).collect(),
    }
}

/// Consumers of whom there is more to say than that they read.
fn consumers(shape: &Shape) -> BTreeMap<ClientId, ConsumerSetting> {
    let setting = |group: Option<&str>, commit, read_committed| ConsumerSetting {
        group: group.map(str::to_owned),
        commit,
        read_committed,
        reset: Some("earliest".to_owned()),
    };
    let topics = match shape.orders {
        Some(_) => 0..shape.topics.len(),
        None => 0..0,
    };
    let along = topics
        .end
        .checked_sub(1)
        .map(|orders| shape.consumer(orders));
    let readers = topics.map(|topic| drainer(topic, true)).chain(along);
    let readers = readers.map(|client| (client, setting(None, CommitMode::None, true)));
    let members = shape.members();
    let members = members.map(|client| (client, setting(Some(GROUP), CommitMode::After, false)));
    readers.chain(members).collect()
}

/// The ids of the topics, as brokers spell them.
pub(super) fn topic_ids(asked: &Asked) -> Vec<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut stream = Seed(asked.seed).stream("synth topic ids");
    let mut letter = || char::from(LETTERS[stream.below(62) as usize]);
    (0..asked.topics + u32::from(asked.transactions))
        .map(|_| (0..22).map(|_| letter()).collect())
        .collect()
}

fn pairs(pairs: &[(&str, String)]) -> BTreeMap<String, String> {
    let owned = pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    owned.collect()
}

fn topic_config(segment_bytes: u64) -> Vec<(&'static str, String)> {
    vec![
        ("cleanup.policy", "delete".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("flush.messages", i64::MAX.to_string()),
        ("flush.ms", i64::MAX.to_string()),
        ("index.interval.bytes", "4096".to_owned()),
        ("message.timestamp.type", "CreateTime".to_owned()),
        ("min.insync.replicas", "2".to_owned()),
        ("preallocate", "false".to_owned()),
        ("retention.bytes", "-1".to_owned()),
        ("retention.ms", "-1".to_owned()),
        ("segment.bytes", segment_bytes.to_string()),
        ("segment.index.bytes", "1048576".to_owned()),
        ("segment.ms", "604800000".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
    ]
}

fn broker_config(node: NodeId, segment_bytes: u64) -> Vec<(&'static str, String)> {
    vec![
        ("auto.leader.rebalance.enable", "false".to_owned()),
        ("broker.id", node.0.to_string()),
        ("default.replication.factor", "3".to_owned()),
        ("inter.broker.protocol.version", "3.0-IV1".to_owned()),
        ("log.cleanup.policy", "delete".to_owned()),
        ("log.dirs", "/srv/tidemark/run/data/broker".to_owned()),
        ("log.flush.interval.messages", i64::MAX.to_string()),
        ("log.segment.bytes", segment_bytes.to_string()),
        ("min.insync.replicas", "2".to_owned()),
        ("replica.fetch.wait.max.ms", "200".to_owned()),
        (
            "replica.high.watermark.checkpoint.interval.ms",
            "1000".to_owned(),
        ),
        ("replica.lag.time.max.ms", "3000".to_owned()),
        ("unclean.leader.election.enable", "false".to_owned()),
        ("zookeeper.session.timeout.ms", "4000".to_owned()),
    ]
}

fn plan(asked: &Asked, shape: &Shape) -> Result<Plan, SynthError> {
    let steps = steps(shape).into_iter().map(|text| text.parse());
    let steps = steps
        .collect::<Result<Vec<_>, StepError>>()
        .map_err(|why| SynthError::Plan(why.to_string()))?;
    let topics = shape.topics.iter().map(|topic| {
        let parts = shape.parts[topic.parts.clone()].iter();
        let spec = TopicSpec {
            assignment: parts.map(|part| part.replicas.to_vec()).collect(),
            min_insync_replicas: 2,
            properties: BTreeMap::new(),
            load: load(asked, shape, topic),
        };
        (topic.name.clone(), spec)
    });
    Ok(Plan {
        name: "synth".to_owned(),
        about: "Written, not run: a well-behaved cluster, and what was planted in it.".to_owned(),
        expect: None,
        cluster: ClusterSpec {
            kafka: KAFKA.to_owned(),
            profile: Profile::Fast,
            properties: BTreeMap::new(),
            start_order: Vec::new(),
            disk_bytes: None,
        },
        topics: topics.collect(),
        phases: Phases {
            steady: Duration::from_secs(5),
            calm: Duration::from_secs(1),
            settle_max: Duration::from_secs(40),
            drain_max: Duration::from_secs(60),
        },
        minimum: Minimum {
            acked: acked(asked, shape),
            acked_per_second: 1,
        },
        storm: Storm::Steps(steps),
        budget: plan::Budget::default(),
    })
}

/// Half of what every topic is sent.
fn acked(asked: &Asked, shape: &Shape) -> u64 {
    let sent = shape.sends() / u64::from(asked.topics);
    let ordered = shape.orders.as_ref().map(Orders::sends);
    ordered.map_or(sent, |ordered| ordered.min(sent)) / 2
}

fn load(asked: &Asked, shape: &Shape, topic: &TopicShape) -> Load {
    let acks_all = topic.acks_all;
    let grouped = shape.groups && topic.parts.start == 0;
    Load {
        producers: 2,
        consumers: 1,
        acks: if acks_all { Acks::All } else { Acks::Leader },
        idempotent: acks_all,
        group: grouped.then(|| plan::Group {
            name: GROUP.to_owned(),
            commit: CommitMode::After,
        }),
        transactional: topic.parts.start >= shape.load,
        max_in_flight: 5,
        linger_ms: 5,
        batch_bytes: 16_384,
        compression: Compression::None,
        delivery_timeout: Duration::from_secs(30),
        value_bytes: asked.value_bytes,
        rate: Rate::Max,
    }
}

fn schedule(asked: &Asked, shape: &Shape) -> String {
    let mut text = format!(
        "# What the storm did, step by step.\nseed = {}\nsteps = [\n",
        asked.seed
    );
    for step in steps(shape) {
        text.push_str(&format!("    \"{step}\",\n"));
    }
    text.push_str("]\n");
    text
}

/// A lab that there never was; the load began at the same moment in every one.
fn lab() -> String {
    let mut text = format!(
        "# No host was touched: `tidemark synth` wrote this run. Its load began at {LOAD_BEGINS}.\n\
         name = \"synth\"\nkind = \"namespaces\"\n"
    );
    for (node, address) in NODES.iter().zip(HOSTS) {
        text.push_str(&format!(
            "\n[[hosts]]\nnode = \"{node}\"\nname = \"{node}\"\naddress = \"{address}\"\n"
        ));
    }
    text
}
