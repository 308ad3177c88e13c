//! The text of every file that a host is given, where it stands, and the command lines of the JVMs.
//!
//! Pure: it writes no file and starts nothing. What runs on the hosts must be understood by JVMs 8,
//! 11 and 17 and by the userland of CentOS 7.

use std::collections::BTreeMap;
use std::fmt::Write;

use history::{NodeId, Service};

use crate::artefacts::Artefacts;
use crate::labfile::LabFile;
use crate::properties::ZkTimes;

/// Where things are on a host, below the lab's own directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    dir: String,
    lab: String,
}

impl Layout {
    /// Below the directory that the lab file names.
    pub fn new(lab: &LabFile) -> Self {
        Self {
            dir: lab.dir.trim_end_matches('/').to_owned(),
            lab: lab.name.clone(),
        }
    }

    /// The lab's directory.
    pub fn dir(&self) -> &str {
        &self.dir
    }

    /// What devices and file systems of ours are called: `tidemark-local`.
    pub fn mark(&self) -> String {
        format!("tidemark-{}", self.lab)
    }

    /// Jars, by digest; outlives runs.
    pub fn store(&self) -> String {
        format!("{}/store", self.dir)
    }

    /// Everything of one run; wiped when the next one installs.
    pub fn run(&self) -> String {
        format!("{}/run", self.dir)
    }

    /// Configuration files.
    pub fn config(&self) -> String {
        format!("{}/run/config", self.dir)
    }

    /// What the services write about themselves.
    pub fn logs(&self) -> String {
        format!("{}/run/logs", self.dir)
    }

    /// A service's data.
    pub fn data(&self, service: Service) -> String {
        format!("{}/run/data/{service}", self.dir)
    }

    /// Holds the process id and start time of the service's newest process.
    pub fn pid_file(&self, service: Service) -> String {
        format!("{}/run/{service}.pid", self.dir)
    }

    /// Where a JVM's own output goes.
    pub fn output(&self, service: Service) -> String {
        format!("{}/run/logs/{service}.out", self.dir)
    }

    /// A service's own log.
    pub fn log(&self, service: Service) -> String {
        let name = match service {
            Service::Broker => "server",
            Service::ZooKeeper => "zookeeper",
        };
        format!("{}/run/logs/{name}.log", self.dir)
    }
}

/// Properties in Java's form. Backslashes are the only thing that Java's reader would change in the
/// names and values that occur.
pub fn java_properties(all: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in all {
        let _ = writeln!(text, "{key}={}", value.replace('\\', r"\\"));
    }
    text
}

/// ZooKeeper's server id of a node: ids begin at 1.
pub fn zookeeper_id(node: NodeId) -> u32 {
    u32::from(node.0) + 1
}

/// One ZooKeeper's configuration.
pub fn zookeeper(lab: &LabFile, node: NodeId, data: &str, times: ZkTimes) -> String {
    let ports = &lab.ports;
    let own = lab.hosts.iter().find(|host| host.node == node);
    let address = own.map_or("0.0.0.0", |host| &host.address);
    let mut text = format!(
        "tickTime={}\ninitLimit={}\nsyncLimit={}\ndataDir={data}\nclientPort={}\n\
         clientPortAddress={address}\nmaxClientCnxns=0\nmaxSessionTimeout=60000\n\
         admin.enableServer=false\n4lw.commands.whitelist=*\n",
        times.tick_ms, times.init_ticks, times.sync_ticks, ports.zk_client,
    );
    for host in &lab.hosts {
        let _ = writeln!(
            text,
            "server.{}={}:{}:{}",
            zookeeper_id(host.node),
            host.address,
            ports.zk_peer,
            ports.zk_election
        );
    }
    text
}

/// Milliseconds, in UTC (the JVM's zone is set to it).
const PATTERN: &str = "%d{yyyy-MM-dd HH:mm:ss,SSS} %p %m (%c)%n";

/// log4j for a broker: transitions and elections in files of their own.
pub fn broker_log4j() -> String {
    let mut text = String::from(
        "log4j.rootLogger=INFO, server\n\
         log4j.logger.state.change.logger=INFO, state\n\
         log4j.additivity.state.change.logger=false\n\
         log4j.logger.kafka.controller=INFO, controller\n\
         log4j.additivity.kafka.controller=false\n",
    );
    for (appender, file) in [
        ("server", "server.log"),
        ("state", "state-change.log"),
        ("controller", "controller.log"),
    ] {
        text += &appender_to(appender, file);
    }
    text
}

/// log4j for a ZooKeeper.
pub fn zookeeper_log4j() -> String {
    format!(
        "log4j.rootLogger=INFO, zookeeper\n{}",
        appender_to("zookeeper", "zookeeper.log")
    )
}

fn appender_to(name: &str, file: &str) -> String {
    format!(
        "log4j.appender.{name}=org.apache.log4j.FileAppender\n\
         log4j.appender.{name}.File=${{kafka.logs.dir}}/{file}\n\
         log4j.appender.{name}.layout=org.apache.log4j.PatternLayout\n\
         log4j.appender.{name}.layout.ConversionPattern={PATTERN}\n"
    )
}

/// What both JVMs are started with besides their heaps; known to 8, 11 and 17. Two cores for six
/// JVMs: a small compiler, one collector thread, and no shared-memory file that JVMs with equal
/// process ids would fight over.
pub const JVM_OPTIONS: [&str; 7] = [
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Duser.timezone=UTC",
];

/// The heap of a service: smallest and largest.
pub const fn heap(service: Service) -> [&'static str; 2] {
    match service {
        Service::Broker => ["-Xms256m", "-Xmx512m"],
        Service::ZooKeeper => ["-Xms32m", "-Xmx128m"],
    }
}

/// The command line of a service.
pub fn command(
    lab: &LabFile,
    layout: &Layout,
    artefacts: &Artefacts,
    service: Service,
    times: ZkTimes,
) -> Vec<String> {
    let (name, main) = match service {
        Service::Broker => ("server", "kafka.Kafka"),
        Service::ZooKeeper => (
            "zookeeper",
            "org.apache.zookeeper.server.quorum.QuorumPeerMain",
        ),
    };
    let config = layout.config();
    let store = layout.store();
    let jars = artefacts.jars.iter();
    let class_path: Vec<String> = jars.map(|j| format!("{store}/{}.jar", j.sha256)).collect();
    let mut argv = vec![lab.java.clone()];
    argv.extend(heap(service).map(str::to_owned));
    argv.extend(JVM_OPTIONS.map(str::to_owned));
    argv.push(format!(
        "-Dlog4j.configuration=file:{config}/{name}-log4j.properties"
    ));
    argv.push(format!("-Dkafka.logs.dir={}", layout.logs()));
    if service == Service::ZooKeeper {
        argv.push("-Dzookeeper.jmx.log4j.disable=true".to_owned());
        if !times.force_sync {
            argv.push("-Dzookeeper.forceSync=no".to_owned());
        }
    }
    argv.extend(["-cp".to_owned(), class_path.join(":"), main.to_owned()]);
    argv.push(format!("{config}/{name}.properties"));
    argv
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zookeeper_knows_its_peers_and_listens_on_its_own_address() {
        let lab = LabFile::parse(include_str!("../../../labs/local.toml"), "local").unwrap();
        let times = crate::properties::zookeeper_times(plan::Profile::Fast);
        let text = zookeeper(&lab, NodeId(2), "/d", times);
        let address = &lab.hosts[2].address;
        assert!(text.contains(&format!("clientPortAddress={address}\n")));
        assert!(text.contains(&format!("server.3={address}:2888:3888\n")));
        assert!(text.contains("tickTime=500\n"));
        assert_eq!(text.matches("server.").count(), 3);
    }

    #[test]
    fn java_reads_back_what_was_written() {
        let all = BTreeMap::from([("a.b".to_owned(), r"x\y".to_owned())]);
        assert_eq!(java_properties(&all), "a.b=x\\\\y\n");
    }

    #[test]
    fn transitions_have_a_log_of_their_own() {
        let text = broker_log4j();
        assert!(text.contains("log4j.appender.state.File=${kafka.logs.dir}/state-change.log\n"));
        assert_eq!(text.matches(PATTERN).count(), 3);
    }
}
