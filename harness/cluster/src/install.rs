//! Makes one host ready: Java is there, ports are free, jars are there by their digest, the last
//! run's files are gone and this one's configuration is written.
//!
//! It starts no service and takes no lock. Whatever is missing on a host is one sentence with the
//! node and the remedy.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use history::{HostFacts, Service};

use crate::artefacts::{Artefacts, Jar};
use crate::broker::Process;
use crate::cmd::Cmd;
use crate::config::{self, Layout};
use crate::disk;
use crate::error::ClusterError;
use crate::host::{Host, Lane};
use crate::labfile::LabFile;
use crate::properties;

const SHORT: Duration = Duration::from_secs(20);
const LONG: Duration = Duration::from_secs(300);

/// Kafka 3.0.0 runs on nothing older.
pub(crate) const JAVA_MIN: u32 = 8;
/// What a run may write before anybody worries: logs, data, ZooKeeper's own.
const ROOM_FOR_A_RUN: u64 = 256 << 20;

/// `$1` java. Prints kernel, system, and Java's own words.
const FACTS: &str = r#"uname -sr
(. /etc/os-release 2>/dev/null; echo "${PRETTY_NAME:-unknown}")
command -v "$1" >/dev/null 2>&1 && "$1" -version 2>&1 || true"#;

/// `$1` store, `$2` incoming archive. Each file is named by its digest; a wrong one is not kept.
const UNPACK: &str = r#"set -e
rm -rf -- "$1/.incoming"; mkdir -p -- "$1/.incoming"
tar xf "$2" -C "$1/.incoming"; rm -f -- "$2"
cd "$1/.incoming"
for f in *.jar; do
  echo "${f%.jar}  $f" | sha256sum -c - >/dev/null
  mv -f -- "$f" ..
done
cd ..; rmdir .incoming"#;

/// What a host says of itself.
pub async fn facts(host: &Host, java: &str) -> Result<HostFacts, ClusterError> {
    let said = host
        .ok(Lane::Control, &Cmd::script(FACTS, [java]), SHORT)
        .await?;
    let mut lines = said.lines().map(str::to_owned);
    let mut next = || lines.next().unwrap_or_default();
    Ok(HostFacts {
        kernel: next(),
        system: next(),
        java: lines
            .find(|line| line.contains("version \""))
            .unwrap_or_default(),
    })
}

/// Checks the host, ends what a killed run left there, copies what is missing, writes this run's
/// files. The caller holds the host's lock.
pub async fn install(
    host: &Host,
    lab: &LabFile,
    spec: &plan::ClusterSpec,
    artefacts: &Artefacts,
) -> Result<(), ClusterError> {
    let layout = Layout::new(lab);
    java(host, &lab.java).await?;
    clear(host, &layout).await?;
    ports_free(host, lab).await?;
    jars(host, &layout, artefacts, spec.disk_bytes.unwrap_or(0)).await?;
    if let Some(bytes) = spec.disk_bytes {
        disk::mount(host, lab, &layout, bytes).await?;
    }
    files(host, lab, &layout, spec).await
}

/// Ends this lab's processes, if any still run, and removes a run's files and its file system.
pub async fn clear(host: &Host, layout: &Layout) -> Result<(), ClusterError> {
    for service in [Service::Broker, Service::ZooKeeper] {
        let process = Process {
            host,
            layout,
            service,
        };
        process.kill().await?;
    }
    disk::clear(host, layout).await
}

async fn java(host: &Host, java: &str) -> Result<(), ClusterError> {
    let found = facts(host, java).await?.java;
    let remedy = "install one (apt-get install openjdk-17-jre-headless, or yum install \
                  java-11-openjdk-headless), or set `java` in the lab file";
    match java_major(&found) {
        None => Err(host.error(format!(
            "there is no Java: `{java} -version` says nothing; {remedy}"
        ))),
        Some(major) if major < JAVA_MIN => Err(host.error(format!(
            "Java is too old: {found}, and Kafka needs {JAVA_MIN} or newer; {remedy}"
        ))),
        Some(_) => Ok(()),
    }
}

/// 8 of `openjdk version "1.8.0_412"`, 17 of `openjdk version "17.0.15" 2025-04-15`.
pub(crate) fn java_major(line: &str) -> Option<u32> {
    let version = line.split("version \"").nth(1)?.split('"').next()?;
    let mut parts = version.split(['.', '-', '_', '+']).map(str::parse);
    match (parts.next()?.ok()?, parts.next()) {
        (1, Some(Ok(minor))) => Some(minor),
        (major, _) => Some(major),
    }
}

/// The lab's ports, with their names under `[ports]`.
pub(crate) fn wanted_ports(lab: &LabFile) -> [(&'static str, u16); 5] {
    let ports = &lab.ports;
    [
        ("broker", ports.broker),
        ("probe", ports.probe),
        ("zk_client", ports.zk_client),
        ("zk_peer", ports.zk_peer),
        ("zk_election", ports.zk_election),
    ]
}

async fn ports_free(host: &Host, lab: &LabFile) -> Result<(), ClusterError> {
    let cmd = Cmd::script(
        r#"cat /proc/net/tcp /proc/net/tcp6 2>/dev/null; :"#,
        [""; 0],
    );
    let taken = listening(&host.ok(Lane::Control, &cmd, SHORT).await?);
    match wanted_ports(lab)
        .iter()
        .find(|(_, port)| taken.contains(port))
    {
        None => Ok(()),
        Some((name, port)) => Err(host.error(format!(
            "port {port} is in use by another program (`ss -ltnp sport = :{port}` there names it); \
             end that program, or set another `{name}` under [ports] in the lab file"
        ))),
    }
}

/// Local ports in state 0A of Linux's table of TCP sockets.
pub(crate) fn listening(table: &str) -> BTreeSet<u16> {
    let port = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let local = words.next()?;
        let state = words.nth(1)?;
        let port = local.rsplit_once(':')?.1;
        (state == "0A").then(|| u16::from_str_radix(port, 16).ok())?
    };
    table.lines().filter_map(port).collect()
}

/// Copies the jars that the host does not have, in one archive.
///
/// `disk` is how large the log directory's own file system may grow.
async fn jars(
    host: &Host,
    layout: &Layout,
    artefacts: &Artefacts,
    disk: u64,
) -> Result<(), ClusterError> {
    let store = layout.store();
    let list = r#"mkdir -p -- "$1" && df -Pk -- "$1" | awk 'NR==2 {print $4}' && ls -- "$1""#;
    let cmd = Cmd::script(list, [store.clone()]);
    let said = host.ok(Lane::Bulk, &cmd, SHORT).await?;
    let mut lines = said.lines();
    let free: u64 = lines.next().and_then(|n| n.parse().ok()).unwrap_or(0) << 10;
    let there: BTreeSet<&str> = lines.collect();
    let missing: Vec<&Jar> = artefacts
        .jars
        .iter()
        .filter(|jar| !there.contains(format!("{}.jar", jar.sha256).as_str()))
        .collect();
    // For a moment both the archive and what comes out of it are there.
    let needed = 2 * missing.iter().map(|jar| jar.bytes).sum::<u64>() + ROOM_FOR_A_RUN + disk;
    if free < needed {
        return Err(full(host, layout, free, needed));
    }
    if missing.is_empty() {
        return Ok(());
    }
    let archive = tempfile_with(&missing).map_err(|e| {
        ClusterError::Lab(format!("cannot pack Kafka's jars for {}: {e}", host.node()))
    })?;
    let incoming = format!("{store}/.incoming.tar");
    let copied = async {
        host.put_file(Lane::Bulk, archive.path(), &incoming, 0o644)
            .await?;
        let cmd = Cmd::script(UNPACK, [store, incoming]);
        host.ok(Lane::Bulk, &cmd, LONG).await
    };
    match copied.await {
        Ok(_) => Ok(()),
        Err(error) if error.to_string().contains("No space left") => {
            Err(full(host, layout, free, needed))
        }
        Err(error) => Err(error),
    }
}

fn full(host: &Host, layout: &Layout, free: u64, needed: u64) -> ClusterError {
    host.error(format!(
        "the disk is full: {} MiB are free for {}, {} MiB are needed; make room there, or set \
         another `dir` in the lab file",
        free >> 20,
        layout.dir(),
        needed >> 20
    ))
}

/// An archive of the jars under their digests.
fn tempfile_with(jars: &[&Jar]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut archive = tar::Builder::new(tempfile::NamedTempFile::new()?);
    for jar in jars {
        let mut file = File::open(&jar.path)?;
        archive.append_file(Path::new(&format!("{}.jar", jar.sha256)), &mut file)?;
    }
    archive.into_inner()
}

/// Writes this run's files.
async fn files(
    host: &Host,
    lab: &LabFile,
    layout: &Layout,
    spec: &plan::ClusterSpec,
) -> Result<(), ClusterError> {
    let node = host.node();
    let data = |service| layout.data(service);
    let times = properties::zookeeper_times(spec.profile);
    let broker = properties::broker(lab, spec, host.spec(), &data(Service::Broker))?;
    let zookeeper = config::zookeeper(lab, node, &data(Service::ZooKeeper), times);
    let make = r#"umask 022; mkdir -p -- "$@""#;
    let dirs = [
        layout.config(),
        layout.logs(),
        data(Service::Broker),
        data(Service::ZooKeeper),
    ];
    host.ok(Lane::Control, &Cmd::script(make, dirs), SHORT)
        .await?;
    let at = |name: &str| format!("{}/{name}", layout.config());
    for (path, text) in [
        (at("server.properties"), config::java_properties(&broker)),
        (at("server-log4j.properties"), config::broker_log4j()),
        (at("zookeeper.properties"), zookeeper),
        (at("zookeeper-log4j.properties"), config::zookeeper_log4j()),
        (
            format!("{}/myid", data(Service::ZooKeeper)),
            format!("{}\n", config::zookeeper_id(node)),
        ),
    ] {
        host.put_bytes(Lane::Control, text.into_bytes(), &path, 0o644)
            .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_says_its_version_in_two_ways() {
        for (line, major) in [
            ("openjdk version \"17.0.15\" 2025-04-15", Some(17)),
            ("openjdk version \"1.8.0_412\"", Some(8)),
            ("java version \"1.7.0_80\"", Some(7)),
            ("openjdk version \"21-ea\"", Some(21)),
            ("", None),
        ] {
            assert_eq!(java_major(line), major, "{line}");
        }
    }

    #[test]
    fn listening_ports_are_read_and_connections_are_not() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue\n\
            0: 0100007F:2384 00000000:0000 0A 00000000:00000000 00:00000000\n\
            1: 0100007F:0016 0100007F:C350 01 00000000:00000000 00:00000000\n\
            0: 00000000000000000000000000000000:0885 00000000000000000000000000000000:0000 0A\n";
        assert_eq!(listening(table), BTreeSet::from([9092, 2181]));
    }
}
