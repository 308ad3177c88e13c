//! What is asked of running brokers on the plan's behalf: topics, and the settings in force.
//!
//! A topic is there when every broker's own metadata shows it whole; a setting is in force when the
//! broker itself says so. A difference is an error that names the property.

use std::collections::BTreeMap;

use history::{HostFacts, NodeId, Partition, Topic, TopicSetting};
use plan::TopicSpec;
use std::time::Duration;
use tokio::time::{Instant, sleep};

use crate::admin::{self, AdminError, Resource, View};
use crate::error::ClusterError;
use crate::install;
use crate::properties;
use crate::remote::{Node, RemoteCluster};
use crate::remote_all::all_ok;
use crate::remote_up::ANSWER;
use crate::system::Described;
use crate::wire::{Wire, WireError};

/// For a new topic to be known everywhere with a full ISR.
const TOPIC_WITHIN: Duration = Duration::from_secs(30);
/// The broker itself waits up to 8 s until a new topic's leaders are known.
const CREATE_ANSWER: Duration = Duration::from_secs(12);
const LOOK: Duration = Duration::from_millis(50);

impl RemoteCluster {
    pub(crate) async fn create(&self, name: &Topic, spec: &TopicSpec) -> Result<(), ClusterError> {
        self.ask_controller(name, spec).await?;
        self.topics.borrow_mut().insert(name.clone(), spec.clone());
        let each = self
            .nodes
            .iter()
            .map(|node| self.sees_topic(node, name, spec));
        all_ok(each).await.map(drop)
    }

    /// Deletes a topic that was created here. The brokers remove its files when
    /// `file.delete.delay.ms` of the topic has passed.
    ///
    /// # Errors
    /// When there is no controller, or it refuses.
    pub async fn delete_topic(&self, name: &Topic) -> Result<(), ClusterError> {
        let deleted = async {
            let mut wire = Wire::open(self.controller().await?.probe, CREATE_ANSWER).await?;
            admin::delete_topic(&mut wire, name).await
        };
        let not_deleted =
            |error| ClusterError::Lab(format!("topic {name} was not deleted: {error}"));
        deleted.await.map_err(not_deleted)?;
        self.topics.borrow_mut().remove(name);
        Ok(())
    }

    /// Asks the controller to create the topic; who that is may change while we ask.
    async fn ask_controller(&self, name: &Topic, spec: &TopicSpec) -> Result<(), ClusterError> {
        let properties = asked_of_topic(spec);
        let deadline = Instant::now() + TOPIC_WITHIN;
        loop {
            let tried = async {
                let controller = self.controller().await?;
                let mut wire = Wire::open(controller.probe, CREATE_ANSWER).await?;
                admin::create_topic(&mut wire, name, &spec.assignment, &properties).await
            };
            match tried.await {
                Ok(()) => return Ok(()),
                Err(AdminError::Refused { name: error, .. }) if error.contains("NotController") => {
                }
                Err(error @ AdminError::Refused { .. }) => {
                    return Err(ClusterError::Lab(format!(
                        "topic {name} was not created: {error}"
                    )));
                }
                Err(AdminError::Wire(error)) if Instant::now() >= deadline => {
                    return Err(ClusterError::Lab(format!(
                        "topic {name} was not created within {}s: {error}",
                        TOPIC_WITHIN.as_secs()
                    )));
                }
                Err(AdminError::Wire(_)) => {}
            }
            sleep(LOOK).await;
        }
    }

    /// The controller, as the first broker that answers believes.
    async fn controller(&self) -> Result<&Node, AdminError> {
        let mut refusal = WireError::Malformed("there is no controller".to_owned());
        for node in &self.nodes {
            match look(node, None).await {
                Ok(view) => {
                    let found = view.controller.and_then(|id| self.node(id).ok());
                    if let Some(found) = found {
                        return Ok(found);
                    }
                }
                Err(error) => refusal = error,
            }
        }
        Err(refusal.into())
    }

    /// Waits until this broker's own metadata shows every partition with its leader and full ISR.
    async fn sees_topic(
        &self,
        node: &Node,
        name: &Topic,
        spec: &TopicSpec,
    ) -> Result<(), ClusterError> {
        let deadline = Instant::now() + TOPIC_WITHIN;
        loop {
            let missing = match look(node, Some(name)).await {
                Ok(view) => first_missing(&view, name, spec),
                Err(error) => Some(error.to_string()),
            };
            let Some(missing) = missing else {
                return Ok(());
            };
            if Instant::now() >= deadline {
                return Err(node.host.error(format!(
                    "the broker does not see topic {name} whole after {}s: {missing}",
                    TOPIC_WITHIN.as_secs()
                )));
            }
            sleep(LOOK).await;
        }
    }

    pub(crate) async fn read_back(&self) -> Result<Described, ClusterError> {
        let each = self.nodes.iter().map(|node| self.describe_node(node));
        let mut described = Described::default();
        for (node, broker, host) in all_ok(each).await? {
            described.brokers.insert(node, broker);
            described.hosts.insert(node, host);
        }
        let topics = self.topics.borrow().clone();
        for (name, spec) in topics {
            let setting = self.describe_topic(&name, &spec).await?;
            described.topics.insert(name, setting);
        }
        Ok(described)
    }

    async fn describe_node(
        &self,
        node: &Node,
    ) -> Result<(NodeId, BTreeMap<String, String>, HostFacts), ClusterError> {
        let id = node.host.node();
        let asked = properties::broker(
            &self.lab,
            &self.spec,
            node.host.spec(),
            &self.layout.data(history::Service::Broker),
        )?;
        let found = settings(node, Resource::Broker(id)).await?;
        if let Some(difference) = properties::first_difference(&asked, &found) {
            let why = format!("the broker's property {difference}");
            return Err(node.host.error(why));
        }
        let facts = install::facts(&node.host, &self.lab.java).await?;
        Ok((id, found, facts))
    }

    async fn describe_topic(
        &self,
        name: &Topic,
        spec: &TopicSpec,
    ) -> Result<TopicSetting, ClusterError> {
        let node = self
            .nodes
            .first()
            .ok_or_else(|| ClusterError::Lab("the lab has no hosts".to_owned()))?;
        let config = settings(node, Resource::Topic(name)).await?;
        if let Some(difference) = properties::first_difference(&asked_of_topic(spec), &config) {
            let why = format!("property of topic {name}: {difference}");
            return Err(node.host.error(why));
        }
        let view = look(node, Some(name)).await;
        let mut view = view.map_err(|e| node.host.error(format!("no metadata of {name}: {e}")))?;
        let partitions = view.partitions.into_iter();
        Ok(TopicSetting {
            id: view.ids.remove(name),
            assignment: partitions
                .map(|(p, seen)| (p.index, seen.replicas))
                .collect(),
            config,
        })
    }
}

/// One broker's own metadata.
async fn look(node: &Node, topic: Option<&Topic>) -> Result<View, WireError> {
    let mut wire = Wire::open(node.probe, ANSWER).await?;
    admin::view(&mut wire, topic.into_iter()).await
}

async fn settings(node: &Node, of: Resource<'_>) -> Result<BTreeMap<String, String>, ClusterError> {
    let asked = async {
        let mut wire = Wire::open(node.probe, ANSWER).await?;
        admin::settings(&mut wire, of).await
    };
    let told = asked.await;
    told.map_err(|e| {
        node.host
            .error(format!("the broker does not tell its settings: {e}"))
    })
}

/// The plan's topic properties, `min.insync.replicas` among them.
pub(crate) fn asked_of_topic(spec: &TopicSpec) -> BTreeMap<String, String> {
    let mut asked = spec.properties.clone();
    asked.insert(
        "min.insync.replicas".to_owned(),
        spec.min_insync_replicas.to_string(),
    );
    asked
}

/// What a view still lacks of a whole topic.
fn first_missing(view: &View, name: &Topic, spec: &TopicSpec) -> Option<String> {
    (0..).zip(&spec.assignment).find_map(|(index, replicas)| {
        let partition = Partition::new(name.clone(), index);
        let Some(seen) = view.partitions.get(&partition) else {
            return Some(format!("{partition} is unknown"));
        };
        let mut full = replicas.clone();
        full.sort_unstable();
        if seen.leader.is_none() {
            return Some(format!("{partition} has no leader"));
        }
        (seen.isr != full).then(|| {
            let isr: Vec<String> = seen.isr.iter().map(NodeId::to_string).collect();
            format!("the ISR of {partition} is {{{}}}", isr.join(", "))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::PartitionView;
    use history::Epoch;

    fn spec() -> TopicSpec {
        let nodes = [0, 1, 2].map(NodeId).to_vec();
        TopicSpec {
            assignment: vec![nodes],
            min_insync_replicas: 2,
            properties: BTreeMap::new(),
            load: plan::Load {
                producers: 1,
                consumers: 0,
                acks: plan::Acks::All,
                idempotent: true,
                group: None,
                transactional: false,
                max_in_flight: 5,
                linger_ms: 0,
                batch_bytes: 16384,
                compression: plan::Compression::None,
                delivery_timeout: Duration::from_secs(60),
                value_bytes: 128,
                rate: plan::Rate::OnDemand,
            },
        }
    }

    #[test]
    fn a_topic_is_whole_with_its_leader_and_full_isr() {
        let name: Topic = "t".into();
        let mut view = View::default();
        let missing = |view: &View| first_missing(view, &name, &spec());
        assert_eq!(missing(&view).unwrap(), "t/0 is unknown");
        let mut seen = PartitionView {
            leader: Some(NodeId(0)),
            epoch: Epoch(0),
            replicas: Vec::new(),
            isr: vec![NodeId(0), NodeId(2)],
        };
        let partition = Partition::new(name.clone(), 0);
        view.partitions.insert(partition.clone(), seen.clone());
        assert_eq!(missing(&view).unwrap(), "the ISR of t/0 is {n0, n2}");
        seen.isr = [0, 1, 2].map(NodeId).to_vec();
        view.partitions.insert(partition.clone(), seen.clone());
        assert_eq!(missing(&view), None);
        seen.leader = None;
        view.partitions.insert(partition, seen);
        assert_eq!(missing(&view).unwrap(), "t/0 has no leader");
    }
}
