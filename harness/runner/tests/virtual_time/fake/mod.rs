//! A cluster in memory behind `cluster::System`, for runs in virtual time.
//!
//! It has processes, cuts and a leader; the records are in `workloads::fake`. It misbehaves on
//! order: a vice named by the test.

pub mod runs;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use cluster::{
    Altered, ClusterError, Copied, CutReading, Described, Effect, Injection, Lack, POWERS, Powers,
    Probes, Recovered, Signal, Signalled, Started, System,
};
use history::{
    Clock, ClockSample, Epoch, FaultId, Harm, Link, Mark, NodeId, Observation, Offset, Partition,
    ProcessState, Seen, Service, Topic,
};
use workloads::fake::FakeKafka;

/// What the cluster does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vice {
    /// Nothing.
    None,
    /// Brokers do not come up.
    DeadOnArrival,
    /// A kill kills nothing.
    ImmortalBrokers,
    /// A broker that was killed cannot be started again.
    StaysDown,
    /// The teardown fails.
    ClingsOn,
    /// The named call never returns: for n1 where it names a node, else for everybody.
    NeverAnswers(&'static str),
    /// n2 ends by itself some seconds into the storm.
    DiesAlone,
    /// Rules are there and nothing meets them.
    IdleRules,
    /// No host has any power beyond processes.
    Powerless,
    /// n1 is not heard by any probe from its start on.
    Unprobed,
}

#[derive(Debug, Default)]
struct State {
    processes: BTreeMap<(NodeId, Service), ProcessState>,
    cuts: BTreeMap<FaultId, Vec<Link>>,
    next_pid: u32,
    epoch: i32,
    torn_down: bool,
    locked: bool,
}

/// Three brokers; the first that lives leads everything.
#[derive(Clone)]
pub struct FakeCluster {
    state: Rc<RefCell<State>>,
    kafka: FakeKafka,
    vice: Vice,
}

impl FakeCluster {
    pub fn new(kafka: FakeKafka, vice: Vice) -> Self {
        Self {
            state: Rc::default(),
            kafka,
            vice,
        }
    }

    /// What is left on the hosts: cuts, locks, processes that were not ended.
    pub fn residue(&self) -> Vec<String> {
        let state = self.state.borrow();
        let mut left: Vec<String> = state
            .cuts
            .keys()
            .map(|fault| format!("cut {fault}"))
            .collect();
        if state.locked || !state.torn_down {
            left.push("lock".to_owned());
        }
        left
    }

    /// For ever, when the vice is that this call never returns.
    async fn hang(&self, call: &'static str, node: Option<NodeId>) {
        if self.vice == Vice::NeverAnswers(call) && node.is_none_or(|n| n == NodeId(1)) {
            std::future::pending().await
        }
    }

    fn cut_off(&self, node: NodeId) -> bool {
        let state = self.state.borrow();
        let mut links = state.cuts.values().flatten();
        links.any(|link| link.to == node || link.from == node)
    }

    fn alive(&self, node: NodeId) -> bool {
        let state = self.state.borrow();
        matches!(
            state.processes.get(&(node, Service::Broker)),
            Some(ProcessState::Running { .. })
        )
    }

    fn leader(&self) -> Option<NodeId> {
        self.nodes().into_iter().find(|node| self.alive(*node))
    }

    fn set(&self, node: NodeId, service: Service, to: ProcessState) {
        self.state
            .borrow_mut()
            .processes
            .insert((node, service), to);
    }

    fn spawn(&self, node: NodeId, service: Service) -> Started {
        let mut state = self.state.borrow_mut();
        state.next_pid += 1;
        let pid = 100 + state.next_pid;
        state
            .processes
            .insert((node, service), ProcessState::Running { pid });
        Started {
            node,
            service,
            pid,
            fresh: true,
        }
    }

    fn round(&self, clock: &Clock, partitions: &[Partition]) -> Vec<Observation> {
        let mut seen = Vec::new();
        let (Some(leader), epoch) = (self.leader(), Epoch(self.state.borrow().epoch)) else {
            return Vec::new();
        };
        let isr: Vec<NodeId> = self
            .nodes()
            .into_iter()
            .filter(|n| self.alive(*n))
            .collect();
        let silent = |node: &&NodeId| self.vice == Vice::Unprobed && **node == NodeId(1);
        for node in isr.iter().filter(|node| !silent(node)) {
            for partition in partitions {
                let end = Offset(self.kafka.values(partition).len() as i64);
                let partition = partition.clone();
                seen.push((
                    *node,
                    Seen::LogEnd {
                        partition: partition.clone(),
                        leo: end,
                        epoch: None,
                    },
                ));
                seen.push((
                    *node,
                    Seen::Watermarks {
                        partition: partition.clone(),
                        hw: end,
                        lso: end,
                        log_start: Offset(0),
                    },
                ));
                let isr = isr.clone();
                seen.push((
                    *node,
                    Seen::Belief {
                        partition,
                        leader: Some(leader),
                        epoch,
                        isr,
                    },
                ));
            }
        }
        let now = clock.mark();
        seen.into_iter()
            .map(|(node, seen)| Observation {
                asked: now,
                answered: now,
                node,
                seen,
            })
            .collect()
    }
}

impl System for FakeCluster {
    fn nodes(&self) -> Vec<NodeId> {
        (0..3).map(NodeId).collect()
    }

    fn bootstrap(&self) -> String {
        "memory".to_owned()
    }

    async fn install(&self) -> Result<(), ClusterError> {
        self.state.borrow_mut().locked = true;
        self.hang("install", None).await;
        Ok(())
    }

    async fn bring_up(&self) -> Result<Vec<Started>, ClusterError> {
        if self.vice == Vice::DeadOnArrival {
            let why = "the broker ended at once: FATAL no such disk".to_owned();
            return Err(ClusterError::Node {
                node: NodeId(1),
                why,
            });
        }
        self.hang("bring_up", None).await;
        tokio::time::sleep(Duration::from_secs(6)).await;
        if self.vice == Vice::DiesAlone {
            let cluster = self.clone();
            tokio::task::spawn_local(async move {
                tokio::time::sleep(Duration::from_millis(5_300)).await;
                cluster.set(NodeId(2), Service::Broker, ProcessState::Gone);
            });
        }
        let both = [Service::ZooKeeper, Service::Broker];
        Ok(both
            .iter()
            .flat_map(|s| self.nodes().into_iter().map(|n| self.spawn(n, *s)))
            .collect())
    }

    async fn create_topic(&self, _: &Topic, _: &plan::TopicSpec) -> Result<(), ClusterError> {
        Ok(())
    }

    async fn describe(&self) -> Result<Described, ClusterError> {
        Ok(Described::default())
    }

    async fn sample_clocks(&self, clock: &Clock) -> Result<Vec<ClockSample>, ClusterError> {
        self.hang("sample_clocks", None).await;
        let at = clock.mark();
        let sample = |node| ClockSample {
            node,
            asked: at,
            answered: at,
            host_unix_nanos: at.0 as i64,
        };
        Ok(self.nodes().into_iter().map(sample).collect())
    }

    fn probes(&self, clock: Clock, partitions: Vec<Partition>, interval: Duration) -> Probes {
        let (sender, observations) = tokio::sync::mpsc::unbounded_channel();
        let mut guard = tokio::task::JoinSet::new();
        let cluster = self.clone();
        guard.spawn_local(async move {
            loop {
                for seen in cluster.round(&clock, &partitions) {
                    if sender.send(seen).is_err() {
                        return;
                    }
                }
                tokio::time::sleep(interval).await;
            }
        });
        Probes {
            observations,
            guard,
        }
    }

    async fn process(&self, node: NodeId, service: Service) -> Result<ProcessState, ClusterError> {
        self.hang("process", Some(node)).await;
        // No host answers in the moment in which it is asked.
        tokio::task::yield_now().await;
        let state = self.state.borrow();
        Ok(state
            .processes
            .get(&(node, service))
            .copied()
            .unwrap_or(ProcessState::Gone))
    }

    async fn signal(
        &self,
        node: NodeId,
        service: Service,
        signal: Signal,
        clock: &Clock,
    ) -> Result<Signalled, ClusterError> {
        let call = match signal {
            Signal::Kill => "kill",
            Signal::Pause => "pause",
            Signal::Resume => "resume",
            Signal::Stop => "stop",
        };
        let sent = clock.mark();
        self.hang(call, Some(node)).await;
        let state = self.state.borrow().processes.get(&(node, service)).copied();
        let before = state.unwrap_or(ProcessState::Gone);
        let after = match (before, signal) {
            (ProcessState::Gone, _) => ProcessState::Gone,
            (before, Signal::Kill) if self.vice == Vice::ImmortalBrokers => before,
            (before @ ProcessState::Paused { .. }, Signal::Stop) => before,
            (_, Signal::Kill | Signal::Stop) => ProcessState::Gone,
            (_, Signal::Pause) => ProcessState::Paused { pid: 1 },
            (_, Signal::Resume) => ProcessState::Running { pid: 1 },
        };
        if signal == Signal::Kill && before != after {
            self.state.borrow_mut().epoch += 1;
        }
        self.set(node, service, after);
        Ok(Signalled {
            before,
            after,
            between: (sent, clock.mark()),
        })
    }

    async fn start(&self, node: NodeId, service: Service) -> Result<Started, ClusterError> {
        self.hang("start", Some(node)).await;
        if let ProcessState::Running { pid } = self.process(node, service).await? {
            return Ok(Started {
                node,
                service,
                pid,
                fresh: false,
            });
        }
        if self.cut_off(node) {
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
        if self.vice == Vice::StaysDown || self.cut_off(node) {
            let why = "the broker did not register within 30s".to_owned();
            return Err(ClusterError::Node { node, why });
        }
        tokio::time::sleep(Duration::from_secs(4)).await;
        Ok(self.spawn(node, service))
    }

    async fn powers(&self) -> Result<Vec<Powers>, ClusterError> {
        let lacks = |(power, _)| Lack {
            power,
            why: "no such qdisc".to_owned(),
        };
        let lacks: Vec<Lack> = match self.vice {
            Vice::Powerless => POWERS.into_iter().map(lacks).collect(),
            _ => Vec::new(),
        };
        let all = |node| Powers {
            node,
            lacks: lacks.clone(),
        };
        Ok(self.nodes().into_iter().map(all).collect())
    }

    async fn inject(
        &self,
        _: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Effect, ClusterError> {
        self.hang("inject", None).await;
        let harms = match what {
            Injection::LoseUnflushed {
                node, partitions, ..
            } => {
                let lost = |partition: &Partition| {
                    let (node, from) = (*node, Offset(3));
                    (partition.clone(), Harm::SuffixLost { node, from })
                };
                partitions.iter().map(lost).collect()
            }
            _ => Vec::new(),
        };
        Ok(Effect {
            in_force: true,
            evidence: format!("{what:?}"),
            between: (clock.mark(), clock.mark()),
            harms,
            altered: altered(what, clock),
        })
    }

    async fn recover(
        &self,
        _: FaultId,
        what: &Injection,
        clock: &Clock,
    ) -> Result<Recovered, ClusterError> {
        Ok(Recovered {
            evidence: format!("{what:?} is over"),
            altered: altered(what, clock),
        })
    }

    async fn cut(
        &self,
        fault: FaultId,
        links: &[Link],
        clock: &Clock,
    ) -> Result<(Mark, Mark), ClusterError> {
        let asked = clock.mark();
        self.hang("cut", None).await;
        self.state.borrow_mut().cuts.insert(fault, links.to_vec());
        Ok((asked, clock.mark()))
    }

    async fn mend(&self, fault: FaultId) -> Result<(), ClusterError> {
        self.hang("mend", None).await;
        self.state.borrow_mut().cuts.remove(&fault);
        Ok(())
    }

    async fn cuts(&self) -> Result<Vec<CutReading>, ClusterError> {
        self.hang("cuts", None).await;
        let state = self.state.borrow();
        let packets = if self.vice == Vice::IdleRules { 0 } else { 7 };
        let each = state.cuts.iter().flat_map(|(fault, links)| {
            links.iter().map(|link| CutReading {
                fault: *fault,
                on: link.to,
                link: *link,
                packets,
            })
        });
        Ok(each.collect())
    }

    async fn connects(&self, _: Link) -> Result<bool, ClusterError> {
        Ok(false)
    }

    async fn find_log_line(&self, _: NodeId, _: &str) -> Result<Option<String>, ClusterError> {
        Ok(None)
    }

    async fn recovery_points(
        &self,
        _: NodeId,
    ) -> Result<BTreeMap<Partition, Offset>, ClusterError> {
        Ok(BTreeMap::new())
    }

    async fn zookeeper_leader(&self) -> Result<Option<NodeId>, ClusterError> {
        Ok(self.nodes().into_iter().find(|node| {
            let state = self.state.borrow();
            let server = state.processes.get(&(*node, Service::ZooKeeper));
            matches!(server, Some(ProcessState::Running { .. }))
        }))
    }

    async fn coordinator(&self, _: &str) -> Result<Option<NodeId>, ClusterError> {
        Ok(self.leader())
    }

    async fn copy_image(
        &self,
        node: NodeId,
        _: &[Partition],
        into: &Path,
    ) -> Result<Copied, ClusterError> {
        self.hang("copy_image", Some(node)).await;
        std::fs::write(into, b"").map_err(|error| ClusterError::Lab(error.to_string()))?;
        let process = self.process(node, Service::Broker).await?;
        Ok(Copied {
            process,
            unchanged: true,
            bytes: 0,
        })
    }

    async fn copy_logs(&self, node: NodeId, into: &Path) -> Result<(), ClusterError> {
        self.hang("copy_logs", Some(node)).await;
        std::fs::create_dir_all(into).map_err(|error| ClusterError::Lab(error.to_string()))
    }

    async fn tear_down(&self) -> Result<(), ClusterError> {
        self.hang("tear_down", None).await;
        let mut state = self.state.borrow_mut();
        state.torn_down = true;
        state.locked = false;
        if self.vice == Vice::ClingsOn {
            return Err(ClusterError::Lab("the data directory is busy".to_owned()));
        }
        Ok(())
    }
}

/// A setting that was changed, if that was asked for.
fn altered(what: &Injection, clock: &Clock) -> Vec<Altered> {
    let Injection::Configure { topic, key, value } = what else {
        return Vec::new();
    };
    vec![Altered {
        topic: topic.clone(),
        key: key.clone(),
        value: Some(value.clone()),
        between: (clock.mark(), clock.mark()),
    }]
}

/// Every node that an observation of the fake comes from.
pub fn nodes_seen(events: &[history::Event]) -> BTreeSet<NodeId> {
    events
        .iter()
        .filter_map(|event| match event {
            history::Event::Observed(seen) => Some(seen.node),
            _ => None,
        })
        .collect()
}
