//! Starting: ZooKeepers until they have a quorum, brokers until they are registered, all of them
//! until every broker knows every other.
//!
//! A process that dies meanwhile ends the wait at once, with the reason from its own log.

use std::future::Future;
use std::time::Duration;

use history::{NodeId, ProcessState, Service};
use tokio::time::{Instant, sleep};

use crate::admin;
use crate::config;
use crate::error::ClusterError;
use crate::remote::{Node, RemoteCluster};
use crate::remote_all::{all_ok, first_ok};
use crate::system::Started;
use crate::wire::Wire;
use crate::zookeeper::{ZkError, ZooKeeper};

/// For a ZooKeeper to find its quorum, or a broker to register, on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// For a session to run out: ZooKeeper clamps sessions to 60 s.
const EXPIRED_WITHIN: Duration = Duration::from_secs(75);
/// Between two looks at ZooKeeper.
const LOOK: Duration = Duration::from_millis(50);
/// Between two looks at the process table.
const LOOK_AT_PROCESS: Duration = Duration::from_millis(500);
/// For one answer of a broker or a ZooKeeper.
pub(crate) const ANSWER: Duration = Duration::from_secs(2);

impl RemoteCluster {
    pub(crate) async fn start_everything(&self) -> Result<Vec<Started>, ClusterError> {
        let nodes: Vec<NodeId> = self.nodes.iter().map(|node| node.host.node()).collect();
        let each = nodes
            .iter()
            .map(|n| self.start_service(*n, Service::ZooKeeper));
        let mut started = all_ok(each).await?;
        for node in &self.spec.start_order {
            started.push(self.start_service(*node, Service::Broker).await?);
        }
        let rest = nodes.iter().filter(|n| !self.spec.start_order.contains(n));
        let rest = rest.map(|n| self.start_service(*n, Service::Broker));
        started.extend(all_ok(rest).await?);
        let each = self.nodes.iter().map(|node| self.knows(node, &nodes));
        all_ok(each).await?;
        Ok(started)
    }

    pub(crate) async fn start_service(
        &self,
        node: NodeId,
        service: Service,
    ) -> Result<Started, ClusterError> {
        let process = self.service(node, service)?;
        if let ProcessState::Running { pid } | ProcessState::Paused { pid } =
            process.state().await?
        {
            return Ok(Started {
                node,
                service,
                pid,
                fresh: false,
            });
        }
        if service == Service::Broker {
            self.registration(node, false, EXPIRED_WITHIN).await?;
        }
        let argv = config::command(
            &self.lab,
            &self.layout,
            &self.artefacts,
            service,
            self.times,
        );
        let pid = process.spawn(argv).await?;
        match service {
            Service::Broker => {
                let registered = self.registration(node, true, READY_WITHIN);
                self.unless_it_dies(node, service, registered).await?;
            }
            Service::ZooKeeper => {
                let serving = self.serving(node);
                self.unless_it_dies(node, service, serving).await?;
            }
        }
        Ok(Started {
            node,
            service,
            pid,
            fresh: true,
        })
    }

    /// Waits for `ready`, or for the end of the process that should become ready.
    async fn unless_it_dies(
        &self,
        node: NodeId,
        service: Service,
        ready: impl Future<Output = Result<(), ClusterError>>,
    ) -> Result<(), ClusterError> {
        let process = self.service(node, service)?;
        let death = async {
            loop {
                sleep(LOOK_AT_PROCESS).await;
                if process.state().await? == ProcessState::Gone {
                    let said = process.last_words().await;
                    let why = format!("the {service} ended while it was starting; {said}");
                    return Err(process.host.error(why));
                }
            }
        };
        tokio::select! {
            biased;
            result = ready => match result {
                Ok(()) => Ok(()),
                Err(late) => {
                    let said = process.last_words().await;
                    Err(process.host.error(format!("{}; {said}", late.bare())))
                }
            },
            error = death => error,
        }
    }

    /// Waits until this node's own ZooKeeper accepts sessions, which takes a quorum.
    async fn serving(&self, node: NodeId) -> Result<(), ClusterError> {
        let at = self.node(node)?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            match ZooKeeper::open(at.zookeeper, 0, ANSWER).await {
                Ok(zk) => {
                    zk.close().await;
                    return Ok(());
                }
                Err(_) if Instant::now() < deadline => sleep(LOOK).await,
                Err(error) => {
                    return Err(at.host.error(format!(
                        "its ZooKeeper has no quorum after {}s ({error})",
                        READY_WITHIN.as_secs()
                    )));
                }
            }
        }
    }

    /// Waits until a broker is registered, or no longer is. Whichever ZooKeeper has a quorum is
    /// asked, and never one that is behind what was seen before.
    async fn registration(
        &self,
        node: NodeId,
        wanted: bool,
        within: Duration,
    ) -> Result<(), ClusterError> {
        let at = self.node(node)?;
        let path = format!("/brokers/ids/{}", node.0);
        let deadline = Instant::now() + within;
        let mut session: Option<ZooKeeper> = None;
        let mut last_seen = 0;
        loop {
            let there = match session.as_mut() {
                Some(zk) => Some(zk.get(&path).await),
                None => match self.any_zookeeper(last_seen).await {
                    Ok(zk) => Some(session.insert(zk).get(&path).await),
                    Err(_) => None,
                },
            };
            match there {
                Some(Ok(node)) if node.is_some() == wanted => {
                    if let Some(zk) = session {
                        zk.close().await;
                    }
                    return Ok(());
                }
                Some(Ok(_)) => last_seen = session.as_ref().map_or(0, ZooKeeper::last_seen),
                Some(Err(_)) | None => session = None,
            }
            if Instant::now() >= deadline {
                let what = match wanted {
                    true => "did not register with ZooKeeper",
                    false => "is still registered with ZooKeeper (its old session has not expired)",
                };
                let why = format!("the broker {what} within {}s", within.as_secs());
                return Err(at.host.error(why));
            }
            sleep(LOOK).await;
        }
    }

    /// A session with whichever ZooKeeper gives one first.
    pub(crate) async fn any_zookeeper(&self, last_seen: i64) -> Result<ZooKeeper, ClusterError> {
        let each = self.nodes.iter();
        let opened = first_ok(each.map(|node| ZooKeeper::open(node.zookeeper, last_seen, ANSWER)));
        opened.await.map_err(|refusal: Option<ZkError>| {
            let why = refusal.map_or_else(String::new, |error| error.to_string());
            ClusterError::Lab(format!("no ZooKeeper has a quorum: {why}"))
        })
    }

    /// Waits until a broker's own metadata lists exactly these brokers and a controller.
    async fn knows(&self, node: &Node, brokers: &[NodeId]) -> Result<(), ClusterError> {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let view = async {
                let mut wire = Wire::open(node.probe, ANSWER).await?;
                admin::view(&mut wire, std::iter::empty()).await
            };
            let found = match view.await {
                Ok(view) if view.brokers == brokers && view.controller.is_some() => return Ok(()),
                Ok(view) => format!("brokers {:?}", view.brokers),
                Err(error) => error.to_string(),
            };
            if Instant::now() >= deadline {
                return Err(node.host.error(format!(
                    "the broker does not know all others after {}s; it answers: {found}",
                    READY_WITHIN.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
    }
}
