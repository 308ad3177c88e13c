//! A lab for one test, whose story is told inside the lab's controller namespace: the test runs
//! itself again there, because a namespace is entered by a process before it has threads.

use std::collections::BTreeMap;
use std::fs::File;
use std::future::Future;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use cluster::{Artefacts, LabFile, artefacts};
use history::NodeId;
use nix::fcntl::{Flock, FlockArg};
use plan::{Acks, ClusterSpec, Compression, Load, Profile, Rate, TopicSpec};

const LAB_FILE: &str = "TIDEMARK_LIVE_LAB";

/// Runs `story` in a lab of its own, or says aloud why that is impossible here. `test` is the name
/// of the test that calls this. Labs' tests take turns.
pub fn in_a_lab<F: Future<Output = ()>>(
    test: &str,
    letter: &str,
    story: impl FnOnce(LabFile) -> F,
) {
    if let Ok(path) = std::env::var(LAB_FILE) {
        let text = std::fs::read_to_string(&path).unwrap();
        let lab = LabFile::parse(&text, &path).unwrap();
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        return tokio::task::LocalSet::new().block_on(&runtime, story(lab));
    }
    if let Err(missing) = lab::missing_tools() {
        println!("SKIPPED: {missing}");
        return;
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lab.lock");
    let _turn = Flock::lock(File::create(path).unwrap(), FlockArg::LockExclusive).unwrap();
    let mut file = cluster::labfile::find("local").unwrap();
    file.name = format!("k{}{letter}", std::process::id());
    let ran = std::panic::catch_unwind(|| {
        let up = lab::up(&file).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lab.toml");
        std::fs::write(&path, toml::to_string(&up).unwrap()).unwrap();
        jars();
        Command::new("ip")
            .args(["netns", "exec", &format!("tm-{}-ctl", up.name)])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--include-ignored"])
            .env(LAB_FILE, &path)
            .status()
            .unwrap()
    });
    lab::down(&file.name).unwrap();
    assert!(ran.unwrap().success(), "inside the lab the test failed");
}

pub fn jars() -> Artefacts {
    let cache = artefacts::default_cache().unwrap();
    Artefacts::broker("3.0.0", &cache).unwrap()
}

pub fn spec(properties: &[(&str, &str)]) -> ClusterSpec {
    ClusterSpec {
        kafka: "3.0.0".into(),
        profile: Profile::Fast,
        properties: map(properties),
        start_order: Vec::new(),
        disk_bytes: None,
    }
}

/// One partition on all three nodes.
#[allow(dead_code)] // Not every test binary creates a topic.
pub fn topic(properties: &[(&str, &str)]) -> TopicSpec {
    TopicSpec {
        assignment: vec![[0, 1, 2].map(NodeId).to_vec()],
        min_insync_replicas: 2,
        properties: map(properties),
        load: Load {
            producers: 1,
            consumers: 0,
            acks: Acks::All,
            idempotent: true,
            group: None,
            transactional: false,
            max_in_flight: 5,
            linger_ms: 0,
            batch_bytes: 16384,
            compression: Compression::None,
            delivery_timeout: Duration::from_secs(60),
            value_bytes: 128,
            rate: Rate::OnDemand,
        },
    }
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    let pairs = pairs.iter();
    pairs.map(|(k, v)| ((*k).into(), (*v).into())).collect()
}
