//! Kafka and ZooKeeper on hosts over SSH: [`System`] for real brokers.
//!
//! It acts and reads back. It chooses no fault, records no event, and never retries what a broker
//! refused for good. Starting is in `remote_up`, what is asked of running brokers in `remote_ask`,
//! copying in `remote_copy`.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use history::{
    Clock, ClockSample, FaultId, Link, Mark, NodeId, Offset, Partition, PortName, ProcessState,
    RunId, Service, Topic,
};
use plan::{ClusterSpec, TopicSpec};

use crate::artefacts::Artefacts;
use crate::broker::Process;
use crate::claim;
use crate::cmd::Cmd;
use crate::config::Layout;
use crate::error::ClusterError;
use crate::fabric;
use crate::guard::{self, Watch};
use crate::host::{Host, Lane};
use crate::injection::{Effect, Injection, Powers};
use crate::injections;
use crate::install;
use crate::labfile::LabFile;
use crate::probe::{self, Watched};
use crate::properties::{self, ZkTimes};
use crate::remote_all::{all, all_ok, some_ok};
use crate::remote_lock::Locks;
use crate::root;
use crate::system::{
    Copied, CutReading, Described, Probes, Recovered, Signal, Signalled, Started, System,
};

/// A command that only looks.
const SHORT: Duration = Duration::from_secs(10);
/// At the very end nothing is worth waiting for: what is examined was copied before.
const LAST_GRACE: Duration = Duration::from_secs(1);
/// Seconds after which a connection that nobody answers counts as cut.
const CONNECT_SECONDS: u32 = 2;

/// Hosts that we are logged in to, with Kafka and ZooKeeper on them.
#[derive(Debug)]
pub struct RemoteCluster {
    pub(crate) lab: LabFile,
    pub(crate) spec: ClusterSpec,
    pub(crate) artefacts: Artefacts,
    pub(crate) layout: Layout,
    pub(crate) times: ZkTimes,
    pub(crate) nodes: Vec<Node>,
    /// What was created, to be compared with what is in force.
    pub(crate) topics: RefCell<BTreeMap<Topic, TopicSpec>>,
    pub(crate) locks: RefCell<Locks>,
    pub(crate) owner: RunId,
    pub(crate) steal: bool,
}

/// One host and where its services answer.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) host: Host,
    pub(crate) probe: SocketAddr,
    pub(crate) zookeeper: SocketAddr,
}

impl RemoteCluster {
    /// Logs in to every host of the lab and looks for its marker. Touches nothing there.
    ///
    /// # Errors
    /// The first host that refuses or is not claimed, with the remedy.
    pub async fn connect(
        lab: &LabFile,
        spec: &ClusterSpec,
        artefacts: &Artefacts,
        owner: RunId,
        steal: bool,
    ) -> Result<Self, ClusterError> {
        let connecting = lab.hosts.iter().map(|spec| async move {
            let host = Host::connect(lab, spec).await?;
            claim::check(&host, lab).await?;
            Ok(Node {
                probe: resolve(spec.node, &spec.address, lab.ports.probe).await?,
                zookeeper: resolve(spec.node, &spec.address, lab.ports.zk_client).await?,
                host,
            })
        });
        Ok(Self {
            nodes: all_ok(connecting).await?,
            layout: Layout::new(lab),
            lab: lab.clone(),
            spec: spec.clone(),
            artefacts: artefacts.clone(),
            times: properties::zookeeper_times(spec.profile),
            topics: RefCell::default(),
            locks: RefCell::default(),
            owner,
            steal,
        })
    }

    pub(crate) fn node(&self, node: NodeId) -> Result<&Node, ClusterError> {
        let found = self.nodes.iter().find(|n| n.host.node() == node);
        found.ok_or_else(|| ClusterError::Node {
            node,
            why: format!("the lab {} has no such host", self.lab.name),
        })
    }

    pub(crate) fn service(
        &self,
        node: NodeId,
        service: Service,
    ) -> Result<Process<'_>, ClusterError> {
        Ok(Process {
            host: &self.node(node)?.host,
            layout: &self.layout,
            service,
        })
    }

    /// The guard that must watch a node before anything is injected there.
    pub(crate) fn watch(&self, node: NodeId) -> Result<Watch, ClusterError> {
        Ok(Watch::new(&self.node(node)?.host, &self.lab, self.owner))
    }

    /// Ends both services of a host and removes what the run left there: faults, processes, files;
    /// what fails keeps nothing else from being done. A host that is not ours is left alone.
    async fn leave(&self, node: &Node, armed: bool) -> Result<(), ClusterError> {
        let Some(lock) = self.lock_of(node.host.node()) else {
            return Ok(());
        };
        lock.renew().await?;
        let disarmed = self.watch(node.host.node())?.disarm(&node.host).await;
        let mut ended = Ok(());
        for service in [Service::Broker, Service::ZooKeeper] {
            let process = self.service(node.host.node(), service)?;
            ended = ended.and(process.end(LAST_GRACE).await);
        }
        // Files of a process that may still run are left to it.
        ended?;
        let cleared = install::clear(&node.host, &self.layout).await;
        let in_time = disarmed?;
        cleared?;
        root::forget(&node.host, &self.lab).await?;
        if in_time || !armed {
            return Ok(());
        }
        Err(guard::lapsed(&node.host))
    }
}

impl System for RemoteCluster {
    fn nodes(&self) -> Vec<NodeId> {
        self.nodes.iter().map(|node| node.host.node()).collect()
    }

    fn bootstrap(&self) -> String {
        let hosts = self.lab.hosts.iter();
        let listeners = hosts.map(|host| format!("{}:{}", host.address, self.lab.ports.broker));
        listeners.collect::<Vec<_>>().join(",")
    }

    async fn install(&self) -> Result<(), ClusterError> {
        self.lock().await?;
        let each = self
            .nodes
            .iter()
            .map(|node| install::install(&node.host, &self.lab, &self.spec, &self.artefacts));
        all_ok(each).await?;
        let each = self.nodes.iter().map(|node| self.keep_diary(&node.host));
        all_ok(each).await.map(drop)
    }

    async fn bring_up(&self) -> Result<Vec<Started>, ClusterError> {
        self.still_ours()?;
        self.start_everything().await
    }

    async fn create_topic(&self, name: &Topic, spec: &TopicSpec) -> Result<(), ClusterError> {
        self.create(name, spec).await
    }

    async fn describe(&self) -> Result<Described, ClusterError> {
        self.read_back().await
    }

    async fn sample_clocks(&self, clock: &Clock) -> Result<Vec<ClockSample>, ClusterError> {
        let samples = self.nodes.iter().map(|node| async move {
            let asked = clock.mark();
            let cmd = Cmd::new("date").arg("+%s%N");
            let said = node.host.ok(Lane::Control, &cmd, SHORT).await?;
            let answered = clock.mark();
            let host_unix_nanos = said.trim().parse().map_err(|_| {
                node.host
                    .error(format!("`date +%s%N` printed {said:?}, which is no time"))
            })?;
            Ok(ClockSample {
                node: node.host.node(),
                asked,
                answered,
                host_unix_nanos,
            })
        });
        some_ok(samples).await
    }

    fn probes(&self, clock: Clock, partitions: Vec<Partition>, interval: Duration) -> Probes {
        let watched: Vec<Watched> = self
            .nodes
            .iter()
            .map(|node| Watched {
                node: node.host.node(),
                broker: node.probe,
                zookeeper: node.zookeeper,
            })
            .collect();
        probe::start(&watched, clock, &partitions, interval)
    }

    async fn process(&self, node: NodeId, service: Service) -> Result<ProcessState, ClusterError> {
        self.service(node, service)?.state().await
    }

    async fn signal(
        &self,
        node: NodeId,
        service: Service,
        signal: Signal,
        clock: &Clock,
    ) -> Result<Signalled, ClusterError> {
        if signal != Signal::Resume {
            self.still_ours()?;
        }
        let process = self.service(node, service)?;
        process.obey(signal, &self.watch(node)?, clock).await
    }

    async fn start(&self, node: NodeId, service: Service) -> Result<Started, ClusterError> {
        self.still_ours()?;
        self.start_service(node, service).await
    }

    async fn powers(&self) -> Result<Vec<Powers>, ClusterError> {
        all_ok(self.nodes.iter().map(|node| self.powers_of(node))).await
    }

    async fn inject(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Effect, ClusterError> {
        self.still_ours()?;
        injections::inject(self, fault, what, clock).await
    }

    async fn recover(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Recovered, ClusterError> {
        injections::recover(self, fault, what, clock).await
    }

    async fn cut(
        &self,
        fault: FaultId,
        links: &[Link],
        clock: &Clock,
    ) -> Result<(Mark, Mark), ClusterError> {
        self.still_ours()?;
        let asked = clock.mark();
        let each = self.nodes.iter().map(|node| async move {
            let to = |link: &&Link| link.to == node.host.node();
            let own: Vec<Link> = links.iter().filter(to).copied().collect();
            let watch = self.watch(node.host.node())?;
            match own.is_empty() {
                true => Ok(()),
                false => fabric::cut(&node.host, &self.lab, &watch, fault, &own).await,
            }
        });
        all_ok(each).await?;
        Ok((asked, clock.mark()))
    }

    async fn mend(&self, fault: FaultId) -> Result<(), ClusterError> {
        let each = self.nodes.iter();
        let each = each.map(|node| fabric::mend(&node.host, &self.lab, fault));
        all_ok(each).await.map(drop)
    }

    async fn cuts(&self) -> Result<Vec<CutReading>, ClusterError> {
        let each = self.nodes.iter();
        let each = each.map(|node| fabric::readings(&node.host, &self.lab));
        Ok(all_ok(each).await?.into_iter().flatten().collect())
    }

    async fn connects(&self, link: Link) -> Result<bool, ClusterError> {
        let from = &self.node(link.from)?.host;
        let address = &self.node(link.to)?.host.spec().address;
        let port = self.lab.ports.number(link.port.unwrap_or(PortName::Broker));
        let cmd = Cmd::new("timeout")
            .arg(CONNECT_SECONDS)
            .args(["bash", "-c", "exec 3<>\"/dev/tcp/$0/$1\""])
            .arg(address)
            .arg(port);
        Ok(from.run(Lane::Control, &cmd, SHORT).await?.succeeded())
    }

    async fn find_log_line(
        &self,
        node: NodeId,
        needle: &str,
    ) -> Result<Option<String>, ClusterError> {
        self.log_line(node, needle).await
    }

    async fn recovery_points(
        &self,
        node: NodeId,
    ) -> Result<BTreeMap<Partition, Offset>, ClusterError> {
        self.flushed(node).await
    }

    async fn zookeeper_leader(&self) -> Result<Option<NodeId>, ClusterError> {
        self.ensemble_leader().await
    }

    async fn coordinator(&self, group: &str) -> Result<Option<NodeId>, ClusterError> {
        self.group_coordinator(group).await
    }

    async fn copy_image(
        &self,
        node: NodeId,
        partitions: &[Partition],
        into: &Path,
    ) -> Result<Copied, ClusterError> {
        self.image(node, partitions, into).await
    }

    async fn copy_logs(&self, node: NodeId, into: &Path) -> Result<(), ClusterError> {
        self.logs(node, into).await
    }

    async fn tear_down(&self) -> Result<(), ClusterError> {
        let armed = self.stop_renewing();
        let left = all(self.nodes.iter().map(|node| self.leave(node, armed))).await;
        let unlocked = self.unlock().await;
        left.into_iter().collect::<Result<(), _>>()?;
        unlocked
    }
}

async fn resolve(node: NodeId, address: &str, port: u16) -> Result<SocketAddr, ClusterError> {
    let why = |why: String| ClusterError::Node {
        node,
        why: format!("its address `{address}` means nothing here: {why}; correct the lab file"),
    };
    let mut found = tokio::net::lookup_host((address, port))
        .await
        .map_err(|e| why(e.to_string()))?;
    found.next().ok_or_else(|| why("no such host".to_owned()))
}
