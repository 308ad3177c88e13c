//! Real hosts with programs in the place of brokers: what it takes to do faults to them, undo them,
//! and look, a thousand times, without waiting for a JVM as often.
//!
//! Hosts, logins, guards, locks, rules, queues, disks and files are the real ones, and so is every
//! line of the code that harms and heals. Only what a service *is* differs: a shell that sends a
//! packet to its peers now and then, started through the real pid files; and a broker's log
//! directory, which it restores from a copy when it starts, as a broker does from its peers. Nothing
//! here answers for Kafka: what only brokers can do is refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use cluster::broker::Process;
use cluster::config::Layout;
use cluster::{
    ClusterError, Cmd, Copied, CutReading, Described, Effect, Host, Injection, LabFile, Lane,
    Powers, Probes, Recovered, RemoteCluster, Signal, Signalled, Started, System,
};
use evidence::{NewBatch, NewRecord, NewSegment, SegmentEnd, checkpoint};
use futures_util::future::try_join_all;
use history::{
    Clock, ClockSample, Epoch, FaultId, Link, Mark, NodeId, Offset, Partition, ProcessState,
    Service, Topic,
};
use tokio::time::{Instant, sleep};

/// By which a stand-in is known in a process table.
pub const NAME: &str = "tidemark-stand-in";
const WITHIN: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(20);

/// `$0` our name, `$1` the service, then its peers' addresses: a packet to each ten times a second,
/// so that rules have something to drop. It starts no other program, and its end is the signal's.
const STAND_IN: &str = r#"shift; exec 4<> <(:)
while :; do
  for to; do printf . >"/dev/udp/$to/9"; done
  read -rt 0.1 -u 4
done 2>/dev/null"#;

/// `$1` the copy, `$2` the log directory.
const RESTORE: &str = r#"find "$2" -mindepth 1 -delete && cp -a -- "$1/." "$2/""#;

/// The hosts of a cluster whose services are stand-ins.
pub struct StandIns<'a> {
    real: &'a RemoteCluster,
    hosts: Vec<Host>,
    layout: Layout,
}

impl<'a> StandIns<'a> {
    /// Logs in once more.
    ///
    /// # Errors
    /// A host refuses.
    pub async fn new(real: &'a RemoteCluster, lab: &LabFile) -> Result<Self, ClusterError> {
        Ok(Self {
            real,
            hosts: try_join_all(lab.hosts.iter().map(|spec| Host::connect(lab, spec))).await?,
            layout: Layout::new(lab),
        })
    }

    fn host(&self, node: NodeId) -> Result<&Host, ClusterError> {
        let host = self.hosts.iter().find(|host| host.node() == node);
        host.ok_or_else(|| ClusterError::Lab(format!("the lab has no {node}")))
    }

    fn service(&self, node: NodeId, service: Service) -> Result<Process<'_>, ClusterError> {
        Ok(Process {
            host: self.host(node)?,
            layout: &self.layout,
            service,
        })
    }

    fn copy(&self) -> String {
        format!("{}/stand-in", self.layout.run())
    }

    /// Puts a broker's files on every host, from which its log directory is restored.
    async fn lay_out(&self) -> Result<(), ClusterError> {
        let each = self.hosts.iter().map(|host| async move {
            let make = Cmd::script("mkdir -p -- \"$1/ledger-0\"", [self.copy()]);
            host.ok(Lane::Control, &make, WITHIN).await?;
            for (name, bytes) in files() {
                let path = format!("{}/{name}", self.copy());
                host.put_bytes(Lane::Control, bytes, &path, 0o644).await?;
            }
            Ok(())
        });
        try_join_all(each).await.map(drop)
    }

    async fn restore(&self, node: NodeId) -> Result<(), ClusterError> {
        let args = [self.copy(), self.layout.data(Service::Broker)];
        let cmd = Cmd::script(RESTORE, args);
        let host = self.host(node)?;
        host.ok(Lane::Control, &cmd, WITHIN).await.map(drop)
    }
}

/// A log of two segments, with what a broker has written down about it: below @45 it is flushed, and
/// the HW is @55.
fn files() -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for (range, end) in [
        (0..40, SegmentEnd::Closed),
        (40..60, SegmentEnd::Active { index_bytes: 4096 }),
    ] {
        let mut segment = NewSegment::new(Offset(range.start));
        for base in range {
            let value = format!("a value that stands in for value {base}");
            let records = [NewRecord::value(value.as_bytes())];
            segment.append(&NewBatch::plain(Offset(base), Epoch(0), &records));
        }
        let named = |(name, bytes)| (format!("ledger-0/{name}"), bytes);
        files.extend(segment.files(end).into_iter().map(named));
    }
    let epochs = checkpoint::write_epochs(&[(Epoch(0), Offset(0))]);
    let own = [
        ("recovery-point-offset-checkpoint", offsets(45)),
        ("replication-offset-checkpoint", offsets(55)),
        ("log-start-offset-checkpoint", offsets(0)),
        ("ledger-0/leader-epoch-checkpoint", epochs.into_bytes()),
        ("meta.properties", b"version=0\n".to_vec()),
    ];
    files.extend(own.map(|(name, bytes)| (name.to_owned(), bytes)));
    files
}

/// A checkpoint file that names one partition.
fn offsets(at: i64) -> Vec<u8> {
    let all = BTreeMap::from([(Partition::new("ledger", 0), Offset(at))]);
    checkpoint::write_offsets(&all).into_bytes()
}

fn only_brokers(what: &str) -> ClusterError {
    ClusterError::Lab(format!("stand-ins cannot {what}: that takes brokers"))
}

impl System for StandIns<'_> {
    fn nodes(&self) -> Vec<NodeId> {
        self.real.nodes()
    }

    fn bootstrap(&self) -> String {
        self.real.bootstrap()
    }

    async fn install(&self) -> Result<(), ClusterError> {
        self.real.install().await?;
        self.lay_out().await
    }

    async fn bring_up(&self) -> Result<Vec<Started>, ClusterError> {
        let nodes = self.nodes();
        let services = [Service::ZooKeeper, Service::Broker];
        let each = nodes.iter().flat_map(|node| services.map(|it| (*node, it)));
        try_join_all(each.map(|(node, service)| self.start(node, service))).await
    }

    async fn create_topic(&self, _: &Topic, _: &plan::TopicSpec) -> Result<(), ClusterError> {
        Err(only_brokers("create a topic"))
    }

    async fn describe(&self) -> Result<Described, ClusterError> {
        Err(only_brokers("describe themselves"))
    }

    async fn sample_clocks(&self, clock: &Clock) -> Result<Vec<ClockSample>, ClusterError> {
        self.real.sample_clocks(clock).await
    }

    fn probes(&self, clock: Clock, partitions: Vec<Partition>, interval: Duration) -> Probes {
        self.real.probes(clock, partitions, interval)
    }

    async fn process(&self, node: NodeId, service: Service) -> Result<ProcessState, ClusterError> {
        self.real.process(node, service).await
    }

    async fn signal(
        &self,
        node: NodeId,
        service: Service,
        signal: Signal,
        clock: &Clock,
    ) -> Result<Signalled, ClusterError> {
        self.real.signal(node, service, signal, clock).await
    }

    async fn start(&self, node: NodeId, service: Service) -> Result<Started, ClusterError> {
        let started = |pid, fresh| Started {
            node,
            service,
            pid,
            fresh,
        };
        let process = self.service(node, service)?;
        match process.state().await? {
            ProcessState::Running { pid } | ProcessState::Paused { pid } => {
                return Ok(started(pid, false));
            }
            ProcessState::Gone => {}
        }
        if service == Service::Broker {
            self.restore(node).await?;
        }
        let mut argv: Vec<String> = ["bash", "-c", STAND_IN, NAME].map(str::to_owned).into();
        argv.push(service.to_string());
        let others = self.hosts.iter().filter(|host| host.node() != node);
        argv.extend(others.map(|host| host.spec().address.clone()));
        let pid = process.spawn(argv).await?;
        // It writes its pid file first of all; a broker would be waited for until it is registered.
        let until = Instant::now() + WITHIN;
        while process.state().await? == ProcessState::Gone {
            if Instant::now() >= until {
                let why = format!("the stand-in for the {service} of {node} did not start");
                return Err(ClusterError::Lab(why));
            }
            sleep(LOOK).await;
        }
        Ok(started(pid, true))
    }

    async fn powers(&self) -> Result<Vec<Powers>, ClusterError> {
        self.real.powers().await
    }

    async fn inject(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Effect, ClusterError> {
        let effect = self.real.inject(fault, what, clock).await?;
        // A broker goes on after its checkpoints were copied; else there were no older ones.
        if let Injection::KeepCheckpoints(node) = what {
            let path = format!("{}/replication-offset-checkpoint", self.copy());
            let host = self.host(*node)?;
            host.put_bytes(Lane::Control, offsets(56), &path, 0o644)
                .await?;
            self.restore(*node).await?;
        }
        Ok(effect)
    }

    async fn recover(
        &self,
        fault: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Recovered, ClusterError> {
        let recovered = self.real.recover(fault, what, clock).await?;
        // A bit stays flipped, and the next cycle wants a log without.
        if let Injection::FlipBit { node, .. } = what {
            self.restore(*node).await?;
        }
        Ok(recovered)
    }

    async fn cut(
        &self,
        fault: FaultId,
        links: &[Link],
        clock: &Clock,
    ) -> Result<(Mark, Mark), ClusterError> {
        self.real.cut(fault, links, clock).await
    }

    async fn mend(&self, fault: FaultId) -> Result<(), ClusterError> {
        self.real.mend(fault).await
    }

    async fn cuts(&self) -> Result<Vec<CutReading>, ClusterError> {
        self.real.cuts().await
    }

    async fn connects(&self, link: Link) -> Result<bool, ClusterError> {
        self.real.connects(link).await
    }

    async fn find_log_line(&self, _: NodeId, _: &str) -> Result<Option<String>, ClusterError> {
        Err(only_brokers("write Kafka's log"))
    }

    async fn recovery_points(
        &self,
        node: NodeId,
    ) -> Result<BTreeMap<Partition, Offset>, ClusterError> {
        self.real.recovery_points(node).await
    }

    async fn zookeeper_leader(&self) -> Result<Option<NodeId>, ClusterError> {
        Err(only_brokers("elect a leader"))
    }

    async fn coordinator(&self, _: &str) -> Result<Option<NodeId>, ClusterError> {
        Err(only_brokers("coordinate a group"))
    }

    async fn copy_image(
        &self,
        node: NodeId,
        partitions: &[Partition],
        into: &Path,
    ) -> Result<Copied, ClusterError> {
        self.real.copy_image(node, partitions, into).await
    }

    async fn copy_logs(&self, node: NodeId, into: &Path) -> Result<(), ClusterError> {
        self.real.copy_logs(node, into).await
    }

    async fn tear_down(&self) -> Result<(), ClusterError> {
        self.real.tear_down().await
    }
}
